//! The key schedule of AES (FIPS 197 section 5.2).

use core::arch::x86_64::{
    __m128i, _mm_aesimc_si128, _mm_aeskeygenassist_si128, _mm_cvtsi128_si32, _mm_set1_epi32,
};
use fearless_simd::prelude::*;
use fearless_simd::{Sse2, u8x16};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Round keys; the last ones are unused if the key is short.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct RoundKeys {
    pub(in crate::lanes) keys: [[u8; 16]; 15],
    pub(in crate::lanes) rounds: usize,
}

/// The round keys of a `key` of 16, 24 or 32 bytes; none if this machine has no AES instructions.
#[multiversion::multiversion(targets("x86_64+aes+fxsr+sse2"))]
pub(in crate::lanes) fn expand(key: &[u8]) -> Option<RoundKeys> {
    multiversion::target::match_target! {
        "x86_64+aes+fxsr+sse2" => Some(expand_with_aes(key)),
        _ => {
            let _ = key;
            None
        }
    }
}

/// The keys of the equivalent inverse cipher (FIPS 197 section 5.3.5).
#[multiversion::multiversion(targets("x86_64+aes+fxsr+sse2"))]
pub(super) fn invert(keys: &RoundKeys) -> Option<RoundKeys> {
    multiversion::target::match_target! {
        "x86_64+aes+fxsr+sse2" => Some(invert_with_aes(keys)),
        _ => {
            let _ = keys;
            None
        }
    }
}

#[target_feature(enable = "aes,fxsr,sse2")]
fn expand_with_aes(key: &[u8]) -> RoundKeys {
    let given = key.len() / 4;
    let rounds = given + 6;
    let mut words = [0_u32; 60];
    for (word, bytes) in words.iter_mut().zip(key.as_chunks().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    let mut constant = 1_u8;
    for i in given..4 * (rounds + 1) {
        let before = words[i - 1];
        // The least word of this instruction's result is the S-box of each byte.
        let substituted = _mm_cvtsi128_si32(_mm_aeskeygenassist_si128::<0>(_mm_set1_epi32(
            before.cast_signed(),
        )))
        .cast_unsigned();
        let add = if i % given == 0 {
            let add = substituted.rotate_right(8) ^ u32::from(constant);
            constant = constant << 1 ^ if constant & 0x80 == 0 { 0 } else { 0x1b };
            add
        } else if given > 6 && i % given == 4 {
            substituted
        } else {
            before
        };
        words[i] = words[i - given] ^ add;
    }
    let mut keys = [[0; 16]; 15];
    for (key, words) in keys.iter_mut().zip(words.as_chunks::<4>().0) {
        for (bytes, word) in key.as_chunks_mut().0.iter_mut().zip(words) {
            *bytes = word.to_le_bytes();
        }
    }
    words.zeroize();
    RoundKeys { keys, rounds }
}

#[target_feature(enable = "aes,fxsr,sse2")]
fn invert_with_aes(keys: &RoundKeys) -> RoundKeys {
    let sse2 = Sse2::assume_supported();
    let rounds = keys.rounds;
    let mut inverse = [[0; 16]; 15];
    for (i, to) in inverse[..=rounds].iter_mut().enumerate() {
        let from = &keys.keys[rounds - i];
        *to = *from;
        if i != 0 && i != rounds {
            let key: __m128i = u8x16::from_slice(sse2, from).into();
            let key: u8x16<Sse2> = _mm_aesimc_si128(key).simd_into(sse2);
            *to = key.into();
        }
    }
    RoundKeys {
        keys: inverse,
        rounds,
    }
}
