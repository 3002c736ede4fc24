//! CBC with two blocks in a vector.

use super::Lane;
use super::keys::RoundKeys;
use crate::lanes::x86::{load, load_block, load_twice, store, store_block, vaes, vaes_entry};
use core::arch::x86_64::{
    __m128i, __m256i, _mm256_aesdec_epi128, _mm256_aesdeclast_epi128, _mm256_aesenc_epi128,
    _mm256_aesenclast_epi128, _mm256_broadcastsi128_si256, _mm256_castsi256_si128,
    _mm256_extracti128_si256, _mm256_permute2x128_si256, _mm256_set_m128i, _mm256_setzero_si256,
    _mm256_xor_si256,
};

vaes_entry! {
    /// CBC of up to [`LANES`] texts, of which none is longer than the one before.
    pub(super) fn cbc_encrypt(keys: &RoundKeys, lanes: &mut [Lane<'_, 16>]) -> () = encrypt
}

vaes_entry! {
    /// CBC of one text of whole blocks.
    pub(super) fn cbc_decrypt(keys: &RoundKeys, iv: &[u8; 16], text: &mut [u8]) -> () = decrypt
}

/// Texts that are encrypted side by side at most.
pub(super) const LANES: usize = 16;

/// Blocks of each text between looks at where texts end.
const PART: usize = 8;

vaes! {
    fn encrypt(keys: &RoundKeys, lanes: &mut [Lane<'_, 16>]) {
        match lanes.len() {
            0..=4 => encrypt_in::<2>(keys, lanes),
            5..=8 => encrypt_in::<4>(keys, lanes),
            _ => encrypt_in::<8>(keys, lanes),
        }
    }

    /// The longest text is the first; texts that end early idle.
    fn encrypt_in<const V: usize>(keys: &RoundKeys, lanes: &mut [Lane<'_, 16>]) {
        let longest = lanes.first().map_or(0, |lane| lane.text.len());
        let shortest = lanes.last().map_or(0, |lane| lane.text.len());
        let first = load_twice(&keys.keys[0]);
        let mut before = [[[0; 16]; 2]; V];
        let mut texts: [[&mut [[u8; 16]]; 2]; V] =
            core::array::from_fn(|_| [&mut [][..], &mut [][..]]);
        let places = texts.as_flattened_mut().iter_mut().zip(before.as_flattened_mut());
        for (lane, (text, before)) in lanes.iter_mut().zip(places) {
            *text = &mut *lane.text;
            *before = lane.before;
        }
        let mut state = [_mm256_setzero_si256(); V];
        for (state, [a, b]) in state.iter_mut().zip(&before) {
            *state = _mm256_set_m128i(load_block(b), load_block(a));
        }
        let parts = shortest / PART;
        let mut spare = [[[[0; 16]; PART]; 2]; V];
        for _ in 0..parts {
            let mut pairs = spare.each_mut().map(|pair| pair.each_mut());
            let places = pairs.as_flattened_mut().iter_mut();
            for (part, text) in places.zip(texts.as_flattened_mut()) {
                if let Some((front, rest)) = core::mem::take(text).split_first_chunk_mut() {
                    (*part, *text) = (front, rest);
                }
            }
            for block in 0..PART {
                for (state, [a, b]) in state.iter_mut().zip(&pairs) {
                    let text = _mm256_set_m128i(load_block(&b[block]), load_block(&a[block]));
                    *state = _mm256_xor_si256(*state, _mm256_xor_si256(text, first));
                }
                rounds(keys, &mut state);
                for (state, [a, b]) in state.iter().zip(&mut pairs) {
                    store_block(_mm256_castsi256_si128(*state), &mut a[block]);
                    store_block(_mm256_extracti128_si256::<1>(*state), &mut b[block]);
                }
            }
        }
        for block in 0..longest - parts * PART {
            for (state, [a, b]) in state.iter_mut().zip(&texts) {
                let a = load_block(a.get(block).unwrap_or(&[0; 16]));
                let b = load_block(b.get(block).unwrap_or(&[0; 16]));
                let text = _mm256_xor_si256(_mm256_set_m128i(b, a), first);
                *state = _mm256_xor_si256(*state, text);
            }
            rounds(keys, &mut state);
            for (state, [a, b]) in state.iter().zip(&mut texts) {
                if let Some(to) = a.get_mut(block) {
                    store_block(_mm256_castsi256_si128(*state), to);
                }
                if let Some(to) = b.get_mut(block) {
                    store_block(_mm256_extracti128_si256::<1>(*state), to);
                }
            }
        }
    }

    /// Encryption but for the first key.
    fn rounds<const V: usize>(keys: &RoundKeys, state: &mut [__m256i; V]) {
        for key in &keys.keys[1..keys.rounds] {
            let key = load_twice(key);
            for state in &mut *state {
                *state = _mm256_aesenc_epi128(*state, key);
            }
        }
        let key = load_twice(&keys.keys[keys.rounds]);
        for state in state {
            *state = _mm256_aesenclast_epi128(*state, key);
        }
    }

    fn decrypt(keys: &RoundKeys, iv: &[u8; 16], text: &mut [u8]) {
        let mut before = load_block(iv);
        let (chunks, text) = text.as_chunks_mut::<256>();
        for chunk in chunks {
            before = decrypt_in::<8>(keys, before, chunk);
        }
        let mut rest = text.as_chunks_mut().0;
        if rest.len() > 8 {
            let (half, behind) = rest.split_at_mut(8);
            before = decrypt_in::<4>(keys, before, half.as_flattened_mut());
            rest = behind;
        }
        match rest.len() {
            0 => {}
            1..=2 => decrypt_rest::<0>(keys, before, rest),
            3..=4 => decrypt_rest::<1>(keys, before, rest),
            5..=6 => decrypt_rest::<2>(keys, before, rest),
            _ => decrypt_rest::<3>(keys, before, rest),
        }
    }

    /// CBC of `V` vectors and one or two blocks.
    fn decrypt_rest<const V: usize>(keys: &RoundKeys, before: __m128i, blocks: &mut [[u8; 16]]) {
        let Some((whole, last)) = blocks.split_at_mut_checked(2 * V) else {
            return;
        };
        let whole = whole.as_flattened_mut().as_chunks_mut().0;
        let (Some(whole), [first, second @ ..]) = (whole.first_chunk_mut::<V>(), last) else {
            return;
        };
        let key = load_twice(&keys.keys[0]);
        let mut state = [_mm256_setzero_si256(); V];
        for (state, text) in state.iter_mut().zip(&*whole) {
            *state = _mm256_xor_si256(load(text), key);
        }
        let encrypted = _mm256_set_m128i(
            load_block(second.first().unwrap_or(&[0; 16])),
            load_block(first),
        );
        let mut end = _mm256_xor_si256(encrypted, key);
        for key in &keys.keys[1..keys.rounds] {
            let key = load_twice(key);
            for state in &mut state {
                *state = _mm256_aesdec_epi128(*state, key);
            }
            end = _mm256_aesdec_epi128(end, key);
        }
        let key = load_twice(&keys.keys[keys.rounds]);
        let mut chain = _mm256_broadcastsi128_si256(before);
        for (state, text) in state.into_iter().zip(whole) {
            let encrypted = load(text);
            chain = _mm256_permute2x128_si256::<0x21>(chain, encrypted);
            store(_mm256_xor_si256(_mm256_aesdeclast_epi128(state, key), chain), text);
            chain = encrypted;
        }
        chain = _mm256_permute2x128_si256::<0x21>(chain, encrypted);
        let plain = _mm256_xor_si256(_mm256_aesdeclast_epi128(end, key), chain);
        store_block(_mm256_castsi256_si128(plain), first);
        if let Some(second) = second.first_mut() {
            store_block(_mm256_extracti128_si256::<1>(plain), second);
        }
    }

    /// CBC of `V` vectors; gives their last block as it was.
    fn decrypt_in<const V: usize>(keys: &RoundKeys, before: __m128i, text: &mut [u8]) -> __m128i {
        let mut state = [_mm256_setzero_si256(); V];
        let Some(text) = text.as_chunks_mut().0.first_chunk_mut::<V>() else {
            return before;
        };
        let key = load_twice(&keys.keys[0]);
        for (state, text) in state.iter_mut().zip(&*text) {
            *state = _mm256_xor_si256(load(text), key);
        }
        for key in &keys.keys[1..keys.rounds] {
            let key = load_twice(key);
            for state in &mut state {
                *state = _mm256_aesdec_epi128(*state, key);
            }
        }
        let key = load_twice(&keys.keys[keys.rounds]);
        let mut chain: __m256i = _mm256_broadcastsi128_si256(before);
        for (state, text) in state.iter_mut().zip(text) {
            let encrypted = load(text);
            chain = _mm256_permute2x128_si256::<0x21>(chain, encrypted);
            store(_mm256_xor_si256(_mm256_aesdeclast_epi128(*state, key), chain), text);
            chain = encrypted;
        }
        _mm256_extracti128_si256::<1>(chain)
    }
}
