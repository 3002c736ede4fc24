//! CBC with four blocks in a vector.

use super::keys::RoundKeys;
use super::{LANES, Lane};
use core::arch::x86_64::{
    __m128i, __m512i, _mm512_aesdec_epi128, _mm512_aesdeclast_epi128, _mm512_aesenc_epi128,
    _mm512_aesenclast_epi128, _mm512_alignr_epi64, _mm512_broadcast_i32x4,
    _mm512_extracti64x2_epi64, _mm512_inserti64x2, _mm512_setzero_si512, _mm512_ternarylogic_epi64,
    _mm512_xor_si512,
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

fearless_simd::kernel!(
    /// CBC of up to sixteen texts; those that end early idle.
    pub(super) fn cbc_encrypt(avx512: Avx512, keys: &RoundKeys, lanes: &mut [Lane<'_, 16>]) {
        let rounds = keys.rounds;
        let keys = broadcast(avx512, keys);
        let longest = lanes.iter().map(|lane| lane.text.len()).max().unwrap_or(0);
        let mut before = [[0; 16]; LANES];
        let mut texts: [&mut [[u8; 16]]; LANES] = core::array::from_fn(|_| &mut [][..]);
        for ((lane, text), before) in lanes.iter_mut().zip(&mut texts).zip(&mut before) {
            *text = &mut *lane.text;
            *before = lane.before;
        }
        let load = |block: Option<&[u8; 16]>| -> __m128i {
            u8x16::from_slice(avx512, block.unwrap_or(&[0; 16])).into()
        };
        macro_rules! four {
            ($load:expr) => {{
                let v = _mm512_setzero_si512();
                let v = _mm512_inserti64x2::<0>(v, $load(0));
                let v = _mm512_inserti64x2::<1>(v, $load(1));
                let v = _mm512_inserti64x2::<2>(v, $load(2));
                _mm512_inserti64x2::<3>(v, $load(3))
            }};
        }
        let mut state: [__m512i; 4] =
            core::array::from_fn(|i| four!(|lane: usize| load(before.get(4 * i + lane))));
        for block in 0..longest {
            for (i, state) in state.iter_mut().enumerate() {
                let text = four!(|lane: usize| load(texts[4 * i + lane].get(block)));
                *state = _mm512_ternarylogic_epi64::<0x96>(*state, text, keys[0]);
            }
            for key in &keys[1..rounds] {
                state = state.map(|state| _mm512_aesenc_epi128(state, *key));
            }
            state = state.map(|state| _mm512_aesenclast_epi128(state, keys[rounds]));
            for (state, texts) in state.iter().zip(texts.as_chunks_mut::<4>().0) {
                let blocks: [__m128i; 4] = [
                    _mm512_extracti64x2_epi64::<0>(*state),
                    _mm512_extracti64x2_epi64::<1>(*state),
                    _mm512_extracti64x2_epi64::<2>(*state),
                    _mm512_extracti64x2_epi64::<3>(*state),
                ];
                for (text, encrypted) in texts.iter_mut().zip(blocks) {
                    if let Some(to) = text.get_mut(block) {
                        let encrypted: u8x16<Avx512> = encrypted.simd_into(avx512);
                        encrypted.store_slice(to);
                    }
                }
            }
        }
    }
);
