//! DES and 3DES (FIPS 46-3) of 64 blocks at once.
//!
//! A vector of bytes holds the same six bits of 64 blocks: what an S-box takes. One table lookup
//! within registers gives an S-box's contribution to one six of the next round, with the
//! permutation P and the expansion E already done; each six is the sum of six such lookups. No
//! memory access depends on a secret. Without AVX-512 VBMI and GFNI the `des` crate does the work.

use cipher::consts::U8;
use cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use des::{Des, TdesEde3};
use fearless_simd::Level;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Blocks in each vector.
pub(crate) const BLOCKS: usize = 64;

/// A key's eight sixes for a round, each in all bytes of a word.
type RoundKey = [u64; 8];

/// DES or 3DES with its key schedule.
pub(crate) struct Key<C> {
    level: Level,
    plain: C,
    encrypt: Schedule,
    decrypt: Schedule,
}

#[derive(Zeroize, ZeroizeOnDrop)]
struct Schedule(Box<[RoundKey]>);

/// A cipher of the `des` crate.
pub(crate) trait Plain:
    KeyInit + BlockCipherEncrypt<BlockSize = U8> + BlockCipherDecrypt
{
}
impl Plain for Des {}
impl Plain for TdesEde3 {}

impl<C: Plain> Key<C> {
    /// `key` is 8 bytes for DES, 24 for 3DES.
    pub(crate) fn new(level: Level, key: &[u8]) -> Option<Self> {
        let plain = C::new_from_slice(key).ok()?;
        let mut encrypt: Vec<RoundKey> = Vec::with_capacity(48);
        let mut decrypt: Vec<RoundKey> = Vec::with_capacity(48);
        let (parts, _) = key.as_chunks::<8>();
        for (i, part) in parts.iter().enumerate() {
            // Encrypt, decrypt, encrypt (RFC 2451 section 2.2): decryption is encryption with the
            // round keys in reverse.
            let mut rounds = round_keys(u64::from_be_bytes(*part));
            if i % 2 == 1 {
                rounds.reverse();
            }
            encrypt.extend(rounds);
            rounds.zeroize();
        }
        decrypt.extend(encrypt.iter().rev());
        Some(Self {
            level,
            plain,
            encrypt: Schedule(encrypt.into()),
            decrypt: Schedule(decrypt.into()),
        })
    }

    /// Each of `blocks` by itself.
    pub(crate) fn encrypt_blocks(&self, blocks: &mut [[u8; 8]]) {
        if blocks.len() < 2 || !wide(self.level, &self.encrypt.0, blocks) {
            self.plain
                .encrypt_blocks(Array::cast_slice_from_core_mut(blocks));
        }
    }

    /// Each of `blocks` by itself.
    pub(crate) fn decrypt_blocks(&self, blocks: &mut [[u8; 8]]) {
        if blocks.len() < 2 || !wide(self.level, &self.decrypt.0, blocks) {
            self.plain
                .decrypt_blocks(Array::cast_slice_from_core_mut(blocks));
        }
    }
}

/// False if this machine can't.
#[cfg(target_arch = "x86_64")]
fn wide(level: Level, keys: &[RoundKey], blocks: &mut [[u8; 8]]) -> bool {
    let Some(avx512) = level.as_avx512() else {
        return false;
    };
    let (whole, rest) = blocks.as_chunks_mut();
    for blocks in whole {
        avx512::crypt(avx512, keys, blocks);
    }
    if !rest.is_empty() {
        let mut padded = [[0; 8]; BLOCKS];
        padded[..rest.len()].copy_from_slice(rest);
        avx512::crypt(avx512, keys, &mut padded);
        rest.copy_from_slice(&padded[..rest.len()]);
    }
    true
}

#[cfg(not(target_arch = "x86_64"))]
fn wide(_: Level, _: &[RoundKey], _: &mut [[u8; 8]]) -> bool {
    false
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use super::{BLOCKS, LOOKUPS, Lookup, RoundKey};
    use core::arch::x86_64::{
        __m512i, _mm512_and_si512, _mm512_gf2p8affine_epi64_epi8, _mm512_maddubs_epi16,
        _mm512_multishift_epi64_epi8, _mm512_or_si512, _mm512_permutexvar_epi8, _mm512_set1_epi8,
        _mm512_set1_epi16, _mm512_set1_epi64, _mm512_shuffle_i64x2, _mm512_slli_epi64,
        _mm512_srli_epi64, _mm512_ternarylogic_epi64, _mm512_unpackhi_epi64, _mm512_unpacklo_epi64,
        _mm512_xor_si512,
    };
    use fearless_simd::prelude::*;
    use fearless_simd::{Avx512, u8x64, u64x8};

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

    fearless_simd::kernel!(
        /// Runs the rounds of `keys`, sixteen for each DES, over `blocks`.
        pub(super) fn crypt(avx512: Avx512, keys: &[RoundKey], blocks: &mut [[u8; 8]; BLOCKS]) {
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
}

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

/// The sixteen round keys of FIPS 46-3's key schedule.
fn round_keys(key: u64) -> [RoundKey; 16] {
    let pick = |from: u64, width: u32, bits: &[u8]| {
        bits.iter().fold(0, |to: u64, bit| {
            to << 1 | from >> (width - u32::from(*bit)) & 1
        })
    };
    let halves = pick(key, 64, &PC1);
    let rotate = |half: u64, by: u32| (half << by | half >> (28 - by)) & 0x0fff_ffff;
    let (mut c, mut d) = (halves >> 28, halves & 0x0fff_ffff);
    let mut keys = [[0; 8]; 16];
    for (i, round) in keys.iter_mut().enumerate() {
        let by = if matches!(i, 0 | 1 | 8 | 15) { 1 } else { 2 };
        (c, d) = (rotate(c, by), rotate(d, by));
        let bits = pick(c << 28 | d, 56, &PC2);
        for (six, to) in round.iter_mut().enumerate() {
            *to = (bits >> (42 - 6 * six) & 63) * 0x0101_0101_0101_0101;
        }
    }
    keys
}

#[rustfmt::skip]
const PC1: [u8; 56] = [
    57, 49, 41, 33, 25, 17,  9,  1, 58, 50, 42, 34, 26, 18, 10,  2, 59, 51, 43, 35, 27, 19, 11,  3, 60, 52, 44, 36,
    63, 55, 47, 39, 31, 23, 15,  7, 62, 54, 46, 38, 30, 22, 14,  6, 61, 53, 45, 37, 29, 21, 13,  5, 28, 20, 12,  4,
];

#[rustfmt::skip]
const PC2: [u8; 48] = [
    14, 17, 11, 24,  1,  5,  3, 28, 15,  6, 21, 10, 23, 19, 12,  4, 26,  8, 16,  7, 27, 20, 13,  2,
    41, 52, 31, 37, 47, 55, 30, 40, 51, 45, 33, 48, 44, 49, 39, 56, 34, 53, 46, 42, 50, 36, 29, 32,
];

#[rustfmt::skip]
const P: [u8; 32] = [
    16,  7, 20, 21, 29, 12, 28, 17,  1, 15, 23, 26,  5, 18, 31, 10,
     2,  8, 24, 14, 32, 27,  3,  9, 19, 13, 30,  6, 22, 11,  4, 25,
];

#[rustfmt::skip]
const S: [[u8; 64]; 8] = [
    [14,  4, 13,  1,  2, 15, 11,  8,  3, 10,  6, 12,  5,  9,  0,  7,  0, 15,  7,  4, 14,  2, 13,  1, 10,  6, 12, 11,  9,  5,  3,  8,
      4,  1, 14,  8, 13,  6,  2, 11, 15, 12,  9,  7,  3, 10,  5,  0, 15, 12,  8,  2,  4,  9,  1,  7,  5, 11,  3, 14, 10,  0,  6, 13],
    [15,  1,  8, 14,  6, 11,  3,  4,  9,  7,  2, 13, 12,  0,  5, 10,  3, 13,  4,  7, 15,  2,  8, 14, 12,  0,  1, 10,  6,  9, 11,  5,
      0, 14,  7, 11, 10,  4, 13,  1,  5,  8, 12,  6,  9,  3,  2, 15, 13,  8, 10,  1,  3, 15,  4,  2, 11,  6,  7, 12,  0,  5, 14,  9],
    [10,  0,  9, 14,  6,  3, 15,  5,  1, 13, 12,  7, 11,  4,  2,  8, 13,  7,  0,  9,  3,  4,  6, 10,  2,  8,  5, 14, 12, 11, 15,  1,
     13,  6,  4,  9,  8, 15,  3,  0, 11,  1,  2, 12,  5, 10, 14,  7,  1, 10, 13,  0,  6,  9,  8,  7,  4, 15, 14,  3, 11,  5,  2, 12],
    [ 7, 13, 14,  3,  0,  6,  9, 10,  1,  2,  8,  5, 11, 12,  4, 15, 13,  8, 11,  5,  6, 15,  0,  3,  4,  7,  2, 12,  1, 10, 14,  9,
     10,  6,  9,  0, 12, 11,  7, 13, 15,  1,  3, 14,  5,  2,  8,  4,  3, 15,  0,  6, 10,  1, 13,  8,  9,  4,  5, 11, 12,  7,  2, 14],
    [ 2, 12,  4,  1,  7, 10, 11,  6,  8,  5,  3, 15, 13,  0, 14,  9, 14, 11,  2, 12,  4,  7, 13,  1,  5,  0, 15, 10,  3,  9,  8,  6,
      4,  2,  1, 11, 10, 13,  7,  8, 15,  9, 12,  5,  6,  3,  0, 14, 11,  8, 12,  7,  1, 14,  2, 13,  6, 15,  0,  9, 10,  4,  5,  3],
    [12,  1, 10, 15,  9,  2,  6,  8,  0, 13,  3,  4, 14,  7,  5, 11, 10, 15,  4,  2,  7, 12,  9,  5,  6,  1, 13, 14,  0, 11,  3,  8,
      9, 14, 15,  5,  2,  8, 12,  3,  7,  0,  4, 10,  1, 13, 11,  6,  4,  3,  2, 12,  9,  5, 15, 10, 11, 14,  1,  7,  6,  0,  8, 13],
    [ 4, 11,  2, 14, 15,  0,  8, 13,  3, 12,  9,  7,  5, 10,  6,  1, 13,  0, 11,  7,  4,  9,  1, 10, 14,  3,  5, 12,  2, 15,  8,  6,
      1,  4, 11, 13, 12,  3,  7, 14, 10, 15,  6,  8,  0,  5,  9,  2,  6, 11, 13,  8,  1,  4, 10,  7,  9,  5,  0, 15, 14,  2,  3, 12],
    [13,  2,  8,  4,  6, 15, 11,  1, 10,  9,  3, 14,  5,  0, 12,  7,  1, 15, 13,  8, 10,  3,  7,  4, 12,  5,  6, 11,  0, 14,  9,  2,
      7, 11,  4,  1,  9, 12, 14,  2,  0,  6, 10, 13, 15,  3,  5,  8,  2,  1, 14,  7,  4, 10,  8, 13, 15, 12,  9,  0,  3,  5,  6, 11],
];

#[cfg(test)]
mod tests {
    use super::*;

    fn agrees<C: Plain>(key: &[u8]) {
        let mut rng = simnet::seeded(1);
        for count in [2, 63, 64, 65, 200] {
            let mut plain = vec![[0; 8]; count];
            rand_core::Rng::fill_bytes(&mut rng, plain.as_flattened_mut());
            let ours = Key::<C>::new(Level::new(), key).unwrap();
            let mut one = plain.clone();
            ours.encrypt_blocks(&mut one);
            let mut two = plain.clone();
            ours.plain
                .encrypt_blocks(Array::cast_slice_from_core_mut(&mut two));
            assert_eq!(one, two);
            ours.decrypt_blocks(&mut one);
            assert_eq!(one, plain);
        }
    }

    #[test]
    fn des_agrees_with_the_plain_one() {
        agrees::<Des>(&[0x13, 0x34, 0x57, 0x79, 0x9b, 0xbc, 0xdf, 0xf1]);
    }

    #[test]
    fn triple_des_agrees_with_the_plain_one() {
        let key: Vec<u8> = (0..24_u8).map(|i| i.wrapping_mul(37) ^ 5).collect();
        agrees::<TdesEde3>(&key);
    }

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
