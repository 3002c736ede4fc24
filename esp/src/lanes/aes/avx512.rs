//! CBC with four blocks in a vector.

use super::Lane;
use super::keys::RoundKeys;
use core::arch::x86_64::{
    __m128i, __m512i, _mm512_aesdec_epi128, _mm512_aesdeclast_epi128, _mm512_aesenc_epi128,
    _mm512_aesenclast_epi128, _mm512_alignr_epi64, _mm512_broadcast_i32x4, _mm512_castsi512_si128,
    _mm512_extracti64x2_epi64, _mm512_inserti64x2, _mm512_setzero_si512, _mm512_ternarylogic_epi64,
    _mm512_xor_si512, _mm512_zextsi128_si512,
};
use fearless_simd::prelude::*;
use fearless_simd::{Avx512, u8x16, u8x64};

/// Bytes that are decrypted together.
const CHUNK: usize = 512;

fearless_simd::kernel!(
    /// CBC of one text.
    pub(super) fn cbc_decrypt(avx512: Avx512, keys: &RoundKeys, iv: [u8; 16], text: &mut [u8]) {
        let rounds = keys.rounds;
        let keys = broadcast(avx512, keys);
        let iv: __m128i = u8x16::from_slice(avx512, &iv).into();
        // The block before the next is the highest of this.
        let mut before = _mm512_inserti64x2::<3>(_mm512_setzero_si512(), iv);
        let (chunks, rest) = text.as_chunks_mut();
        for chunk in chunks {
            before = decrypt(avx512, &keys, rounds, before, chunk);
        }
        if !rest.is_empty() {
            let mut padded = [0; CHUNK];
            padded[..rest.len()].copy_from_slice(rest);
            decrypt(avx512, &keys, rounds, before, &mut padded);
            rest.copy_from_slice(&padded[..rest.len()]);
        }
    }
);

fearless_simd::kernel!(
    /// CBC of a part; gives its last four blocks as they were.
    #[inline(always)]
    fn decrypt(
        avx512: Avx512,
        keys: &[__m512i; 15],
        rounds: usize,
        before: __m512i,
        text: &mut [u8; CHUNK],
    ) -> __m512i {
        let (vectors, _) = text.as_chunks_mut::<64>();
        let mut encrypted = [before; 8];
        for (to, from) in encrypted.iter_mut().zip(&*vectors) {
            *to = u8x64::from_slice(avx512, from).into();
        }
        let mut blocks = encrypted.map(|block| _mm512_xor_si512(block, keys[0]));
        for key in &keys[1..rounds] {
            blocks = blocks.map(|block| _mm512_aesdec_epi128(block, *key));
        }
        let mut last = before;
        for ((block, encrypted), to) in blocks.into_iter().zip(encrypted).zip(vectors) {
            let block = _mm512_aesdeclast_epi128(block, keys[rounds]);
            let chain = _mm512_alignr_epi64::<6>(encrypted, last);
            let plain: u8x64<Avx512> = _mm512_xor_si512(block, chain).simd_into(avx512);
            plain.store_slice(to);
            last = encrypted;
        }
        last
    }
);

fearless_simd::kernel!(
    /// Each round key in all four blocks of a vector.
    #[inline(always)]
    pub(in crate::lanes) fn broadcast(avx512: Avx512, keys: &RoundKeys) -> [__m512i; 15] {
        // As a map over the array this crashes LLVM 22 with thin LTO.
        let mut all = [_mm512_setzero_si512(); 15];
        for (to, key) in all.iter_mut().zip(&keys.keys) {
            let key: __m128i = u8x16::from_slice(avx512, key).into();
            *to = _mm512_broadcast_i32x4(key);
        }
        all
    }
);

/// Texts that are encrypted side by side at most.
pub(super) const LANES: usize = 32;

/// Blocks of each text between looks at where texts end.
const PART: usize = 8;

fearless_simd::kernel!(
    /// CBC of up to [`LANES`] texts, of which none is longer than the one before.
    pub(super) fn cbc_encrypt(avx512: Avx512, keys: &RoundKeys, lanes: &mut [Lane<'_, 16>]) {
        // A round of four vectors ends before the next may begin, so that fewer take as long.
        if lanes.len() <= 16 {
            encrypt_4(avx512, keys, lanes);
        } else {
            encrypt_8(avx512, keys, lanes);
        }
    }
);

/// A vector of four blocks.
macro_rules! load {
    ($avx512:ident, $blocks:expr) => {{
        let [a, b, c, d]: [&[u8; 16]; 4] = $blocks;
        let v = _mm512_zextsi128_si512(u8x16::from_slice($avx512, a).into());
        let v = _mm512_inserti64x2::<1>(v, u8x16::from_slice($avx512, b).into());
        let v = _mm512_inserti64x2::<2>(v, u8x16::from_slice($avx512, c).into());
        _mm512_inserti64x2::<3>(v, u8x16::from_slice($avx512, d).into())
    }};
}

/// The four blocks of a vector.
macro_rules! split {
    ($avx512:ident, $vector:expr) => {{
        let blocks: [u8x16<Avx512>; 4] = [
            _mm512_castsi512_si128($vector).simd_into($avx512),
            _mm512_extracti64x2_epi64::<1>($vector).simd_into($avx512),
            _mm512_extracti64x2_epi64::<2>($vector).simd_into($avx512),
            _mm512_extracti64x2_epi64::<3>($vector).simd_into($avx512),
        ];
        blocks
    }};
}

/// CBC of four texts for each vector; those that end early, or are none, idle.
macro_rules! encrypt {
    ($name:ident, $vectors:literal) => {
        fearless_simd::kernel!(
            #[inline(always)]
            fn $name(avx512: Avx512, keys: &RoundKeys, lanes: &mut [Lane<'_, 16>]) {
                let rounds = keys.rounds;
                let keys = broadcast(avx512, keys);
                let longest = lanes.first().map_or(0, |lane| lane.text.len());
                let parts = lanes.last().map_or(0, |lane| lane.text.len()) / PART;
                let mut before = [[[0; 16]; 4]; $vectors];
                let mut texts: [[&mut [[u8; 16]]; 4]; $vectors] =
                    core::array::from_fn(|_| [&mut [][..], &mut [][..], &mut [][..], &mut [][..]]);
                let places = texts.as_flattened_mut().iter_mut();
                let places = places.zip(before.as_flattened_mut());
                for (lane, (text, before)) in lanes.iter_mut().zip(places) {
                    *text = &mut *lane.text;
                    *before = lane.before;
                }
                let mut state = [_mm512_setzero_si512(); $vectors];
                for (state, [a, b, c, d]) in state.iter_mut().zip(&before) {
                    *state = load!(avx512, [a, b, c, d]);
                }
                let mut spare = [[[[0; 16]; PART]; 4]; $vectors];
                for _ in 0..parts {
                    let mut fours = spare.each_mut().map(|four| four.each_mut());
                    let places = fours.as_flattened_mut().iter_mut();
                    for (part, text) in places.zip(texts.as_flattened_mut()) {
                        if let Some((front, rest)) = core::mem::take(text).split_first_chunk_mut() {
                            (*part, *text) = (front, rest);
                        }
                    }
                    for block in 0..PART {
                        for (state, [a, b, c, d]) in state.iter_mut().zip(&fours) {
                            let blocks = [&a[block], &b[block], &c[block], &d[block]];
                            let text = load!(avx512, blocks);
                            *state = _mm512_ternarylogic_epi64::<0x96>(*state, text, keys[0]);
                        }
                        encrypt_rounds(avx512, &keys, rounds, &mut state);
                        for (state, four) in state.iter().zip(&mut fours) {
                            for (to, block_of) in four.iter_mut().zip(split!(avx512, *state)) {
                                block_of.store_slice(&mut to[block]);
                            }
                        }
                    }
                }
                for block in 0..longest - parts * PART {
                    for (state, [a, b, c, d]) in state.iter_mut().zip(&texts) {
                        let blocks = [a.get(block), b.get(block), c.get(block), d.get(block)];
                        let blocks = blocks.map(|block| block.unwrap_or(&[0; 16]));
                        let text = load!(avx512, blocks);
                        *state = _mm512_ternarylogic_epi64::<0x96>(*state, text, keys[0]);
                    }
                    encrypt_rounds(avx512, &keys, rounds, &mut state);
                    for (state, four) in state.iter().zip(&mut texts) {
                        for (to, block_of) in four.iter_mut().zip(split!(avx512, *state)) {
                            if let Some(to) = to.get_mut(block) {
                                block_of.store_slice(to);
                            }
                        }
                    }
                }
            }
        );
    };
}

encrypt!(encrypt_4, 4);
encrypt!(encrypt_8, 8);

fearless_simd::kernel!(
    /// Encryption behind the first round key.
    #[inline(always)]
    pub(in crate::lanes) fn encrypt_rounds(
        avx512: Avx512,
        keys: &[__m512i; 15],
        rounds: usize,
        blocks: &mut [__m512i],
    ) {
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
