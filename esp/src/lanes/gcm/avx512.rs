//! Four blocks in a vector; up to 32 before one reduction.

use super::{Input, KEPT, Key, POWERS, REVERSE};
use crate::lanes::aes::avx512::{broadcast, encrypt_rounds};
use core::arch::x86_64::{
    __m128i, __m512i, _mm_clmulepi64_si128, _mm_set_epi64x, _mm_shuffle_epi8, _mm_shuffle_epi32,
    _mm_xor_si128, _mm256_castsi256_si128, _mm256_extracti128_si256, _mm256_xor_si256,
    _mm512_add_epi32, _mm512_broadcast_i32x4, _mm512_bslli_epi128, _mm512_bsrli_epi128,
    _mm512_castsi512_si128, _mm512_castsi512_si256, _mm512_clmulepi64_epi128,
    _mm512_extracti64x4_epi64, _mm512_maskz_mov_epi8, _mm512_setzero_si512, _mm512_shuffle_epi8,
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

        // The mask takes the first block of the first vector, the text begins at the second: the
        // text's vectors get counters that begin at 2.
        let mut mask = [_mm512_xor_si512(
            _mm512_shuffle_epi8(counter, swap),
            keys[0],
        )];
        encrypt_rounds(avx512, &keys, rounds, &mut mask);
        let ones: __m512i =
            u32x16::from_slice(avx512, &[1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]).into();
        counter = _mm512_add_epi32(counter, ones);

        let (chunks, rest) = text.as_chunks_mut::<CHUNK>();
        // Those of the blocks from the `first` power from the end on.
        let powers = |first: usize| {
            let powers = key.powers[POWERS - first..].as_flattened();
            powers.as_chunks::<64>().0
        };
        let one_power = |power: usize| -> __m512i {
            _mm512_zextsi128_si512(u8x16::from_slice(avx512, &key.powers[POWERS - power]).into())
        };
        // What is authenticated before the text, with whose first blocks it is multiplied; then
        // the sum over what came before.
        let mut before = _mm512_zextsi128_si512(aad);
        let mut sum = _mm512_setzero_si512();
        for chunk in chunks {
            let mut blocks = counters(avx512, &mut counter, four, swap, keys[0]);
            encrypt_rounds(avx512, &keys, rounds, &mut blocks);
            if !sealing {
                let (here, later) = stream.split_at_mut(stream.len().min(8));
                for (to, from) in here.iter_mut().zip(blocks) {
                    store(avx512, from, to);
                }
                stream = later;
            }
            let nothing = [_mm512_setzero_si512(); 3];
            let mut products = multiply(avx512, nothing, before, one_power(CHUNK / 16 + 1));
            before = _mm512_setzero_si512();
            let vectors = chunk.as_chunks_mut::<64>().0;
            let key_stream = sealing.then_some(&blocks);
            let powers = powers(CHUNK / 16);
            absorb(
                avx512,
                vectors,
                key_stream,
                swap,
                &mut sum,
                &mut products,
                powers,
            );
            sum = _mm512_zextsi128_si512(reduce(avx512, products));
        }

        // What is left: whole vectors, one with zeros behind its text, and the lengths.
        let mut blocks = counters(avx512, &mut counter, four, swap, keys[0]);
        match rest.len() {
            0 => {}
            1..=256 => encrypt_rounds(avx512, &keys, rounds, &mut blocks[..4]),
            _ => encrypt_rounds(avx512, &keys, rounds, &mut blocks),
        }
        if !sealing {
            for (to, from) in stream.iter_mut().zip(blocks) {
                store(avx512, from, to);
            }
        }
        let count = rest.len().div_ceil(16) + 1;
        let nothing = [_mm512_setzero_si512(); 3];
        let mut products = multiply(avx512, nothing, before, one_power(count + 1));
        let (vectors, rest) = rest.as_chunks_mut::<64>();
        let whole = vectors.len();
        let (key_stream, powers) = (sealing.then_some(&blocks), powers(count));
        absorb(
            avx512,
            vectors,
            key_stream,
            swap,
            &mut sum,
            &mut products,
            powers,
        );
        if !rest.is_empty() {
            let mut last = [0; 64];
            last[..rest.len()].copy_from_slice(rest);
            if sealing {
                let block: __m512i = u8x64::from_slice(avx512, &last).into();
                let block = _mm512_xor_si512(block, blocks[whole]);
                let block = _mm512_maskz_mov_epi8((1 << rest.len()) - 1, block);
                store(avx512, block, &mut last);
                rest.copy_from_slice(&last[..rest.len()]);
            }
            let (last, powers) = (core::slice::from_mut(&mut last), &powers[whole..]);
            absorb(avx512, last, None, swap, &mut sum, &mut products, powers);
        }
        let bits = |bytes: usize| (bytes as u64 * 8).cast_signed();
        let lengths = _mm_set_epi64x(bits(input.aad.len()), bits(length));
        let lengths = _mm512_xor_si512(_mm512_zextsi128_si512(lengths), sum);
        products = multiply(avx512, products, lengths, one_power(1));
        let sum = _mm_shuffle_epi8(reduce(avx512, products), _mm512_castsi512_si128(swap));
        let tag = _mm_xor_si128(sum, _mm512_castsi512_si128(mask[0]));
        let tag: u8x16<Avx512> = tag.simd_into(avx512);
        tag.into()
    }
);

fearless_simd::kernel!(
    /// Adds the products of whole vectors, which the key stream encrypts before; `sum` goes with
    /// the first of them.
    #[inline(always)]
    fn absorb(
        avx512: Avx512,
        vectors: &mut [[u8; 64]],
        key_stream: Option<&[__m512i; 8]>,
        swap: __m512i,
        sum: &mut __m512i,
        products: &mut Products,
        powers: &[[u8; 64]],
    ) {
        for (i, (text, power)) in vectors.iter_mut().zip(powers).enumerate() {
            let mut block: __m512i = u8x64::from_slice(avx512, text).into();
            if let Some(key_stream) = key_stream {
                block = _mm512_xor_si512(block, key_stream[i]);
                store(avx512, block, text);
            }
            block = _mm512_xor_si512(_mm512_shuffle_epi8(block, swap), *sum);
            *sum = _mm512_setzero_si512();
            let power = u8x64::from_slice(avx512, power).into();
            *products = multiply(avx512, *products, block, power);
        }
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

/// Products not yet reduced: their low, middle and high parts.
type Products = [__m512i; 3];

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
