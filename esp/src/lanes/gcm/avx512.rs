//! Four blocks in a vector; up to 32 before one reduction.

use super::{Input, KEPT, Key, POWERS, REVERSE};
use crate::lanes::aes::avx512::broadcast;
use core::arch::x86_64::{
    __m128i, __m512i, _mm_clmulepi64_si128, _mm_set_epi64x, _mm_shuffle_epi32, _mm_xor_si128,
    _mm256_castsi256_si128, _mm256_extracti128_si256, _mm256_xor_si256, _mm512_add_epi32,
    _mm512_aesenc_epi128, _mm512_aesenclast_epi128, _mm512_broadcast_i32x4, _mm512_bslli_epi128,
    _mm512_bsrli_epi128, _mm512_castsi512_si256, _mm512_clmulepi64_epi128,
    _mm512_extracti64x4_epi64, _mm512_setzero_si512, _mm512_shuffle_epi8,
    _mm512_ternarylogic_epi64, _mm512_xor_si512, _mm512_zextsi128_si512,
};
use fearless_simd::prelude::*;
use fearless_simd::{Avx512, u8x16, u8x64, u32x16};

/// Bytes between two reductions.
const CHUNK: usize = 512;

fearless_simd::kernel!(
    /// Encrypts `text`, or, given where to put the key stream, leaves it as the ciphertext that
    /// it is. Gives the ciphertext's tag.
    pub(super) fn crypt(
        avx512: Avx512,
        key: &Key,
        input: Input<'_>,
        text: &mut [u8],
        stream: Option<&mut [[u8; 64]; KEPT / 64]>,
    ) -> [u8; 16] {
        let rounds = key.keys.rounds;
        let keys = broadcast(avx512, &key.keys);
        let sealing = stream.is_none();
        let mut unused = [];
        let mut stream = match stream {
            Some(stream) => stream.as_mut_slice(),
            None => unused.as_mut_slice(),
        };
        let length = text.len();
        let swap: __m512i = u8x64::from_slice(avx512, REVERSE.as_flattened()).into();

        // Counters in their own order, so that they can be added to; block 1 makes the tag's mask.
        let mut first = [0; 16];
        first[..12].copy_from_slice(&input.nonce);
        first.reverse();
        let first: __m128i = u8x16::from_slice(avx512, &first).into();
        let numbers: [u32; 16] = [1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0];
        let numbers: __m512i = u32x16::from_slice(avx512, &numbers).into();
        let four: __m512i =
            u32x16::from_slice(avx512, &[4, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0]).into();
        let mut counter = _mm512_add_epi32(_mm512_broadcast_i32x4(first), numbers);

        let mut aad = [0; 16];
        aad[..input.aad.len()].copy_from_slice(input.aad);
        aad.reverse();
        let aad: __m128i = u8x16::from_slice(avx512, &aad).into();
        let one = _mm512_zextsi128_si512(u8x16::from_slice(avx512, &key.powers[POWERS - 1]).into());
        let mut sum = reduce(
            avx512,
            multiply(avx512, nothing(avx512), _mm512_zextsi128_si512(aad), one),
        );

        // The mask takes the first block of the first vector, the text begins at the second: the
        // text's vectors get counters that begin at 2.
        let mut mask = [_mm512_xor_si512(
            _mm512_shuffle_epi8(counter, swap),
            keys[0],
        )];
        encrypt(avx512, &keys, rounds, &mut mask);
        let ones: __m512i =
            u32x16::from_slice(avx512, &[1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]).into();
        counter = _mm512_add_epi32(counter, ones);

        let (chunks, rest) = text.as_chunks_mut::<CHUNK>();
        // Those of the blocks from the `first` power from the end on.
        let powers = key.powers.as_flattened();
        let power = |first: usize, vector: usize| -> __m512i {
            let at = (POWERS - first) * 16 + vector * 64;
            u8x64::from_slice(avx512, &powers[at..at + 64]).into()
        };
        for chunk in chunks {
            let mut blocks = counters(avx512, &mut counter, four, swap, keys[0]);
            encrypt(avx512, &keys, rounds, &mut blocks);
            if !sealing {
                let (here, later) = stream.split_at_mut(stream.len().min(8));
                for (to, from) in here.iter_mut().zip(blocks) {
                    store(avx512, from, to);
                }
                stream = later;
            }
            let mut products = nothing(avx512);
            for (i, (text, key_stream)) in chunk
                .as_chunks_mut::<64>()
                .0
                .iter_mut()
                .zip(blocks)
                .enumerate()
            {
                let mut block: __m512i = u8x64::from_slice(avx512, text).into();
                if sealing {
                    block = _mm512_xor_si512(block, key_stream);
                    store(avx512, block, text);
                }
                block = _mm512_shuffle_epi8(block, swap);
                if i == 0 {
                    block = _mm512_xor_si512(block, _mm512_zextsi128_si512(sum));
                }
                products = multiply(avx512, products, block, power(CHUNK / 16, i));
            }
            sum = reduce(avx512, products);
        }

        // What is left, zeros up to a whole block, and the lengths.
        let left = rest.len();
        let end = left.next_multiple_of(16);
        let mut last = [[0; 64]; CHUNK / 64 + 1];
        last.as_flattened_mut()[..left].copy_from_slice(rest);
        if left > 0 {
            let mut blocks = counters(avx512, &mut counter, four, swap, keys[0]);
            encrypt(avx512, &keys, rounds, &mut blocks);
            if sealing {
                for (text, key_stream) in last[..left.div_ceil(64)].iter_mut().zip(blocks) {
                    let block = u8x64::from_slice(avx512, text).into();
                    store(avx512, _mm512_xor_si512(block, key_stream), text);
                }
                let flat = last.as_flattened_mut();
                rest.copy_from_slice(&flat[..left]);
                flat[left..left.next_multiple_of(64)].fill(0);
            } else {
                for (to, from) in stream.iter_mut().zip(blocks) {
                    store(avx512, from, to);
                }
            }
        }
        let flat = last.as_flattened_mut();
        flat[end..end + 8].copy_from_slice(&(input.aad.len() as u64 * 8).to_be_bytes());
        flat[end + 8..end + 16].copy_from_slice(&(length as u64 * 8).to_be_bytes());
        let count = end / 16 + 1;
        let mut products = nothing(avx512);
        let mut carried = _mm512_zextsi128_si512(sum);
        for (i, block) in last[..count.div_ceil(4)].iter().enumerate() {
            let block: __m512i = u8x64::from_slice(avx512, block).into();
            let block = _mm512_xor_si512(_mm512_shuffle_epi8(block, swap), carried);
            carried = _mm512_setzero_si512();
            products = multiply(avx512, products, block, power(count, i));
        }
        let sum: u8x16<Avx512> = reduce(avx512, products).simd_into(avx512);
        let mut sum: [u8; 16] = sum.into();
        sum.reverse();
        let mut masks = [0; 64];
        store(avx512, mask[0], &mut masks);
        for (to, from) in sum.iter_mut().zip(masks) {
            *to ^= from;
        }
        sum
    }
);

fearless_simd::kernel!(
    #[inline(always)]
    fn store(avx512: Avx512, v: __m512i, to: &mut [u8; 64]) {
        let v: u8x64<Avx512> = v.simd_into(avx512);
        v.store_slice(to);
    }
);

fearless_simd::kernel!(
    /// The next 32 counter blocks, with the first round key added.
    #[inline(always)]
    fn counters(
        avx512: Avx512,
        counter: &mut __m512i,
        four: __m512i,
        swap: __m512i,
        key: __m512i,
    ) -> [__m512i; 8] {
        let _ = avx512;
        let mut blocks = [key; 8];
        for block in &mut blocks {
            *block = _mm512_xor_si512(_mm512_shuffle_epi8(*counter, swap), key);
            *counter = _mm512_add_epi32(*counter, four);
        }
        blocks
    }
);

fearless_simd::kernel!(
    /// The rounds behind the first round key.
    #[inline(always)]
    fn encrypt(avx512: Avx512, keys: &[__m512i; 15], rounds: usize, blocks: &mut [__m512i]) {
        let _ = avx512;
        for key in &keys[1..rounds] {
            for block in &mut *blocks {
                *block = _mm512_aesenc_epi128(*block, *key);
            }
        }
        for block in blocks {
            *block = _mm512_aesenclast_epi128(*block, keys[rounds]);
        }
    }
);

/// Products not yet reduced: their low, middle and high parts.
type Products = [__m512i; 3];

fearless_simd::kernel!(
    #[inline(always)]
    fn nothing(avx512: Avx512) -> Products {
        let _ = avx512;
        [_mm512_setzero_si512(); 3]
    }
);

fearless_simd::kernel!(
    /// Adds the products of each block of `a` and `b`.
    #[inline(always)]
    fn multiply(avx512: Avx512, sum: Products, a: __m512i, b: __m512i) -> Products {
        let _ = avx512;
        let [low, middle, high] = sum;
        [
            _mm512_xor_si512(low, _mm512_clmulepi64_epi128::<0x00>(a, b)),
            _mm512_ternarylogic_epi64::<0x96>(
                middle,
                _mm512_clmulepi64_epi128::<0x01>(a, b),
                _mm512_clmulepi64_epi128::<0x10>(a, b),
            ),
            _mm512_xor_si512(high, _mm512_clmulepi64_epi128::<0x11>(a, b)),
        ]
    }
);

fearless_simd::kernel!(
    /// The sum over the four blocks, modulo POLYVAL's polynomial.
    #[inline(always)]
    fn reduce(avx512: Avx512, products: Products) -> __m128i {
        let _ = avx512;
        let [low, middle, high] = products;
        let low = _mm512_xor_si512(low, _mm512_bslli_epi128::<8>(middle));
        let high = _mm512_xor_si512(high, _mm512_bsrli_epi128::<8>(middle));
        let [mut low, high] = [low, high].map(|v| {
            let half =
                _mm256_xor_si256(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64::<1>(v));
            _mm_xor_si128(
                _mm256_castsi256_si128(half),
                _mm256_extracti128_si256::<1>(half),
            )
        });
        let polynomial = _mm_set_epi64x(0, 0xc200_0000_0000_0000_u64.cast_signed());
        for _ in 0..2 {
            let folded = _mm_clmulepi64_si128::<0x00>(low, polynomial);
            low = _mm_xor_si128(_mm_shuffle_epi32::<0b01_00_11_10>(low), folded);
        }
        _mm_xor_si128(low, high)
    }
);
