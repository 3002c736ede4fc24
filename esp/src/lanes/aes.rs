//! AES (FIPS 197) with VAES: CBC encryption of sixteen texts side by side. Without VAES the `aes`
//! crate does the work.

use super::LANES;
use crate::integrity::BATCH;
use cbc::Decryptor;
use cipher::consts::U16;
use cipher::{
    Array, BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt as _, BlockSizeUser,
    InnerIvInit as _, KeyInit,
};
use fearless_simd::Level;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A text of whole blocks of `B` bytes and the block before its first.
pub(crate) struct Lane<'a, const B: usize> {
    pub(crate) text: &'a mut [[u8; B]],
    before: [u8; B],
}

impl<'a, const B: usize> Lane<'a, B> {
    pub(crate) fn new(iv: &[u8], text: &'a mut [u8]) -> Self {
        Self {
            text: text.as_chunks_mut().0,
            before: *iv.first_chunk().unwrap_or(&[0; B]),
        }
    }
}

/// An AES cipher of the `aes` crate, and its round keys where VAES can use them.
pub(crate) struct Key<C> {
    pub(crate) plain: C,
    #[cfg(target_arch = "x86_64")]
    wide: Option<Wide>,
}

#[cfg(target_arch = "x86_64")]
struct Wide {
    avx512: fearless_simd::Avx512,
    encrypt: RoundKeys,
    decrypt: RoundKeys,
}

/// Round keys; the last ones are unused if the key is short.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct RoundKeys {
    pub(super) keys: [[u8; 16]; 15],
    pub(super) rounds: usize,
}

impl<C> Key<C>
where
    C: KeyInit + BlockCipherEncrypt + BlockCipherDecrypt + BlockSizeUser<BlockSize = U16>,
{
    #[cfg_attr(
        not(target_arch = "x86_64"),
        allow(unused_variables, reason = "there is one level only")
    )]
    pub(crate) fn new(level: Level, key: &[u8]) -> Option<Self> {
        Some(Self {
            plain: C::new_from_slice(key).ok()?,
            #[cfg(target_arch = "x86_64")]
            wide: level.as_avx512().map(|avx512| {
                let encrypt = avx512::expand(avx512, key);
                let decrypt = avx512::invert(avx512, &encrypt);
                Wide {
                    avx512,
                    encrypt,
                    decrypt,
                }
            }),
        })
    }

    /// CBC of each of `lanes`.
    pub(crate) fn cbc_encrypt(&self, lanes: &mut [Lane<'_, 16>]) {
        #[cfg(target_arch = "x86_64")]
        if let Some(wide) = &self.wide
            && lanes.len() > 1
        {
            longest_first(lanes);
            for lanes in lanes.chunks_mut(LANES) {
                avx512::cbc_encrypt(wide.avx512, &wide.encrypt, lanes);
            }
            return;
        }
        cbc_encrypt(lanes, |blocks| {
            self.plain
                .encrypt_blocks(Array::cast_slice_from_core_mut(blocks));
        });
    }
}

impl<C: BlockCipherDecrypt + BlockSizeUser<BlockSize = U16>> Key<C> {
    /// CBC of one text.
    pub(crate) fn cbc_decrypt(&self, iv: &[u8], text: &mut [u8]) {
        let Some(iv) = iv.first_chunk::<16>() else {
            return;
        };
        #[cfg(target_arch = "x86_64")]
        if let Some(wide) = &self.wide {
            avx512::cbc_decrypt(wide.avx512, &wide.decrypt, *iv, text);
            return;
        }
        let (blocks, _) = Array::slice_as_chunks_mut(text);
        Decryptor::<&C>::inner_iv_init(&self.plain, iv.into()).decrypt_blocks(blocks);
    }
}

/// So that those still going are at the front, and lanes of a vector about equally long.
fn longest_first<const B: usize>(lanes: &mut [Lane<'_, B>]) {
    lanes.sort_unstable_by_key(|lane| std::cmp::Reverse(lane.text.len()));
}

/// CBC of several texts, a block of each at a time.
pub(crate) fn cbc_encrypt<const B: usize>(
    lanes: &mut [Lane<'_, B>],
    encrypt: impl Fn(&mut [[u8; B]]),
) {
    let mut state = [[0; B]; BATCH];
    longest_first(lanes);
    for (state, lane) in state.iter_mut().zip(&*lanes) {
        *state = lane.before;
    }
    let mut block = 0;
    while let Some(going) = lanes.iter().rposition(|lane| lane.text.len() > block) {
        let (lanes, state) = (&mut lanes[..=going], &mut state[..=going]);
        let end = lanes.last().map_or(block, |lane| lane.text.len());
        for block in block..end {
            for (state, lane) in state.iter_mut().zip(&*lanes) {
                for (to, from) in state.iter_mut().zip(&lane.text[block]) {
                    *to ^= from;
                }
            }
            encrypt(state);
            for (state, lane) in state.iter().zip(&mut *lanes) {
                lane.text[block] = *state;
            }
        }
        block = end;
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) mod avx512 {
    use super::{LANES, Lane, RoundKeys};
    use core::arch::x86_64::{
        __m128i, __m512i, _mm_aesimc_si128, _mm_aeskeygenassist_si128, _mm_cvtsi128_si32,
        _mm_set1_epi32, _mm512_aesdec_epi128, _mm512_aesdeclast_epi128, _mm512_aesenc_epi128,
        _mm512_aesenclast_epi128, _mm512_alignr_epi64, _mm512_broadcast_i32x4,
        _mm512_extracti64x2_epi64, _mm512_inserti64x2, _mm512_setzero_si512,
        _mm512_ternarylogic_epi64, _mm512_xor_si512,
    };
    use fearless_simd::prelude::*;
    use fearless_simd::{Avx512, u8x16, u8x64};

    fearless_simd::kernel!(
        /// The key schedule of FIPS 197 section 5.2; `key` is 16, 24 or 32 bytes.
        pub(in crate::lanes) fn expand(avx512: Avx512, key: &[u8]) -> RoundKeys {
            let _ = avx512;
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
                let substituted = _mm_cvtsi128_si32(_mm_aeskeygenassist_si128::<0>(
                    _mm_set1_epi32(before.cast_signed()),
                ))
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
            zeroize::Zeroize::zeroize(&mut words);
            RoundKeys { keys, rounds }
        }
    );

    fearless_simd::kernel!(
        /// The keys of the equivalent inverse cipher (FIPS 197 section 5.3.5).
        pub(super) fn invert(avx512: Avx512, keys: &RoundKeys) -> RoundKeys {
            let rounds = keys.rounds;
            let mut inverse = [[0; 16]; 15];
            for (i, to) in inverse[..=rounds].iter_mut().enumerate() {
                let from = &keys.keys[rounds - i];
                *to = *from;
                if i != 0 && i != rounds {
                    let key: __m128i = u8x16::from_slice(avx512, from).into();
                    let key: u8x16<Avx512> = _mm_aesimc_si128(key).simd_into(avx512);
                    *to = key.into();
                }
            }
            RoundKeys {
                keys: inverse,
                rounds,
            }
        }
    );

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
            let mut texts: [&mut [[u8; 16]]; LANES] = std::array::from_fn(|_| &mut [][..]);
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
                std::array::from_fn(|i| four!(|lane: usize| load(before.get(4 * i + lane))));
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
}
