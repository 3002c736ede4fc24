//! A vector of bytes holds the same six bits of 64 blocks: what an S-box takes. One table lookup
//! within registers gives an S-box's contribution to one six of the next round, with the
//! permutation P and the expansion E already done; each six is the sum of six such lookups.

use super::{P, RoundKey, S, padded};
use core::arch::x86_64::{
    __m512i, _mm512_and_si512, _mm512_gf2p8affine_epi64_epi8, _mm512_maddubs_epi16,
    _mm512_multishift_epi64_epi8, _mm512_or_si512, _mm512_permutexvar_epi8, _mm512_set1_epi8,
    _mm512_set1_epi16, _mm512_set1_epi64, _mm512_shuffle_i64x2, _mm512_slli_epi64,
    _mm512_srli_epi64, _mm512_ternarylogic_epi64, _mm512_unpackhi_epi64, _mm512_unpacklo_epi64,
    _mm512_xor_si512,
};
use fearless_simd::prelude::*;
use fearless_simd::{Avx512, u8x64, u64x8};

/// Blocks in each vector.
pub(super) const BLOCKS: usize = 64;

/// Bytes 8i+j to 8j+i.
const SWAP: [u8; 64] = {
    let mut swap = [0; 64];
    let mut i = 0;
    while i < 64 {
        swap[i] = ((i % 8) * 8 + i / 8) as u8;
        i += 1;
    }
    swap
};
/// Which bit of each byte the initial permutation gathers into the bytes of R, least byte first.
const ODD: u64 = 0x8020_0802_8020_0802;
/// The same for L.
const EVEN: u64 = 0x4010_0401_4010_0401;
/// Where in R (twice, one behind the other) the expansion E takes each six from.
const EXPAND: u64 = u64::from_le_bytes([27, 23, 19, 15, 11, 7, 3, 31]);
/// Byte `i` has bit `i`.
const UNIT: u64 = 0x8040_2010_0804_0201;

/// Runs the rounds of `keys`, sixteen for each DES, over each of `blocks`.
pub(super) fn crypt_blocks(avx512: Avx512, keys: &[RoundKey], blocks: &mut [[u8; 8]]) {
    let (whole, rest) = blocks.as_chunks_mut();
    for blocks in whole {
        crypt(avx512, keys, blocks);
    }
    padded(rest, |blocks| crypt(avx512, keys, blocks));
}

fearless_simd::kernel!(
    /// Runs the rounds of `keys`, sixteen for each DES, over `blocks`.
    fn crypt(avx512: Avx512, keys: &[RoundKey], blocks: &mut [[u8; 8]; BLOCKS]) {
        let swap: __m512i = u8x64::from_slice(avx512, &SWAP).into();
        let mut left = [swap; 8];
        let mut right = [swap; 8];
        for (i, eight) in blocks.as_chunks::<8>().0.iter().enumerate() {
            let words = eight.map(u64::from_be_bytes);
            let words: __m512i = u64x8::from_slice(avx512, &words).into();
            for (half, bits) in [(&mut left, EVEN), (&mut right, ODD)] {
                let bits = _mm512_set1_epi64(bits.cast_signed());
                let twice = _mm512_gf2p8affine_epi64_epi8::<0>(bits, words);
                let expand = _mm512_set1_epi64(EXPAND.cast_signed());
                let sixes = _mm512_multishift_epi64_epi8(expand, twice);
                half[i] = _mm512_permutexvar_epi8(swap, sixes);
            }
        }
        let mut left = transpose(avx512, left);
        let mut right = transpose(avx512, right);
        for sixteen in keys.as_chunks::<16>().0 {
            for [one, two] in sixteen.as_chunks::<2>().0 {
                round(avx512, &mut left, &right, one);
                round(avx512, &mut right, &left, two);
            }
            // The halves of the last round are not exchanged; IP and its inverse between two
            // DES cancel out.
            (left, right) = (right, left);
        }
        let left = transpose(avx512, left);
        let right = transpose(avx512, right);
        for (i, eight) in blocks.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            let [l, r] = [left[i], right[i]].map(|half| {
                // The middle four bits of each six are the half's own.
                let sixes = _mm512_srli_epi64::<1>(_mm512_permutexvar_epi8(swap, half));
                let fours = _mm512_and_si512(sixes, _mm512_set1_epi8(0x0f));
                _mm512_maddubs_epi16(fours, _mm512_set1_epi16(0x0110))
            });
            let matrix = _mm512_or_si512(r, _mm512_slli_epi64::<8>(l));
            let unit = _mm512_set1_epi64(UNIT.cast_signed());
            let bytes = _mm512_gf2p8affine_epi64_epi8::<0>(unit, matrix);
            let words: u64x8<Avx512> = bytes.simd_into(avx512);
            *eight = <[u64; 8]>::from(words).map(u64::to_le_bytes);
        }
    }
);

fearless_simd::kernel!(
    /// `left ^= f(right, key)`, in sixes.
    #[inline(always)]
    fn round(avx512: Avx512, left: &mut [__m512i; 8], right: &[__m512i; 8], key: &RoundKey) {
        let mut input = *right;
        for (six, key) in input.iter_mut().zip(key) {
            *six = _mm512_xor_si512(*six, _mm512_set1_epi64(key.cast_signed()));
        }
        let look_up = |lookup: &Lookup| {
            let table = u8x64::from_slice(avx512, &lookup.table).into();
            _mm512_permutexvar_epi8(input[lookup.from], table)
        };
        for (left, lookups) in left.iter_mut().zip(&LOOKUPS) {
            for [a, b] in lookups.as_chunks::<2>().0 {
                *left = _mm512_ternarylogic_epi64::<0x96>(*left, look_up(a), look_up(b));
            }
        }
    }
);

fearless_simd::kernel!(
    /// Rows and columns of words exchanged.
    #[inline(always)]
    fn transpose(avx512: Avx512, rows: [__m512i; 8]) -> [__m512i; 8] {
        let _ = avx512;
        let [a, b, c, d, e, f, g, h] = rows;
        let pairs = [
            _mm512_unpacklo_epi64(a, b),
            _mm512_unpackhi_epi64(a, b),
            _mm512_unpacklo_epi64(c, d),
            _mm512_unpackhi_epi64(c, d),
            _mm512_unpacklo_epi64(e, f),
            _mm512_unpackhi_epi64(e, f),
            _mm512_unpacklo_epi64(g, h),
            _mm512_unpackhi_epi64(g, h),
        ];
        // Columns 0 2 4 6 lie in the even ones of these, 1 3 5 7 in the odd ones.
        let mut columns = pairs;
        for odd in 0..2 {
            let (p, q) = (pairs[odd], pairs[2 + odd]);
            let (r, s) = (pairs[4 + odd], pairs[6 + odd]);
            let low = _mm512_shuffle_i64x2::<0b01_00_01_00>(p, q);
            let high = _mm512_shuffle_i64x2::<0b11_10_11_10>(p, q);
            let low2 = _mm512_shuffle_i64x2::<0b01_00_01_00>(r, s);
            let high2 = _mm512_shuffle_i64x2::<0b11_10_11_10>(r, s);
            columns[odd] = _mm512_shuffle_i64x2::<0b10_00_10_00>(low, low2);
            columns[2 + odd] = _mm512_shuffle_i64x2::<0b11_01_11_01>(low, low2);
            columns[4 + odd] = _mm512_shuffle_i64x2::<0b10_00_10_00>(high, high2);
            columns[6 + odd] = _mm512_shuffle_i64x2::<0b11_01_11_01>(high, high2);
        }
        columns
    }
);

/// Where part of a six comes from: an S-box, and what it contributes for each input.
struct Lookup {
    from: usize,
    table: [u8; 64],
}

/// The six S-boxes that each six of the next round comes from.
static LOOKUPS: [[Lookup; 6]; 8] = {
    let mut all = [const {
        [const {
            Lookup {
                from: 0,
                table: [0; 64],
            }
        }; 6]
    }; 8];
    let mut six = 0;
    while six < 8 {
        let mut bit = 0;
        while bit < 6 {
            // E: six `i` is bits 4i to 4i + 5, counted from 1 and around.
            let of_f = (4 * six + bit + 31) % 32;
            let of_s = P[of_f] as usize - 1;
            let lookup = &mut all[six][bit];
            lookup.from = of_s / 4;
            let mut input = 0;
            while input < 64 {
                let row = (input >> 4 & 2) | (input & 1);
                let output = S[lookup.from][row * 16 + (input >> 1 & 15)];
                let value = output >> (3 - of_s % 4) & 1;
                lookup.table[input] = value << (5 - bit);
                input += 1;
            }
            bit += 1;
        }
        six += 1;
    }
    all
};

#[cfg(test)]
mod tests {
    use super::LOOKUPS;

    #[test]
    fn each_six_comes_from_six_different_boxes() {
        for six in &LOOKUPS {
            let mut from: Vec<usize> = six.iter().map(|l| l.from).collect();
            from.sort_unstable();
            from.dedup();
            assert_eq!(from.len(), 6);
        }
    }
}
