//! AES-CBC (FIPS 197) with VAES: encryption of many texts side by side. Without VAES the `aes`
//! crate does the work.

#[cfg(target_arch = "x86_64")]
pub(super) mod avx512;
#[cfg(target_arch = "x86_64")]
pub(crate) mod keys;
#[cfg(target_arch = "x86_64")]
mod vaes;

#[cfg(target_arch = "x86_64")]
use super::x86::has_vaes;
use crate::integrity::BATCH;
use arrayvec::ArrayVec;
use cbc::Decryptor;
use cipher::consts::U16;
use cipher::{
    Array, BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt as _, BlockSizeUser,
    InnerIvInit as _, KeyInit,
};
use fearless_simd::Level;
#[cfg(target_arch = "x86_64")]
use keys::RoundKeys;

/// A text of whole blocks of `B` bytes and the block before its first.
pub(crate) struct Lane<'a, const B: usize> {
    pub(crate) text: &'a mut [[u8; B]],
    pub(crate) before: [u8; B],
}

impl<'a, const B: usize> Lane<'a, B> {
    pub(crate) fn new(iv: &[u8], text: &'a mut [u8]) -> Self {
        Self {
            text: text.as_chunks_mut().0,
            before: *iv.first_chunk().unwrap_or(&[0; B]),
        }
    }
}

impl<'a, const B: usize> Lane<'a, B> {
    /// Takes up to `blocks` from the front.
    pub(crate) fn split(&mut self, blocks: usize) -> Self {
        let text = core::mem::take(&mut self.text);
        let (front, rest) = text.split_at_mut(blocks.min(text.len()));
        let before = self.before;
        self.before = *front.last().unwrap_or(&before);
        self.text = rest;
        Self {
            text: front,
            before,
        }
    }
}

/// An AES cipher of the `aes` crate, and its round keys where VAES can use them.
pub(crate) struct Key<C> {
    pub(crate) plain: C,
    #[cfg(target_arch = "x86_64")]
    wide: Option<Wide>,
}

/// The vector units that can do more than the `aes` crate.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
enum Unit {
    Avx512(fearless_simd::Avx512),
    Vaes,
}

#[cfg(target_arch = "x86_64")]
struct Wide {
    unit: Unit,
    encrypt: RoundKeys,
    decrypt: RoundKeys,
}

#[cfg(target_arch = "x86_64")]
impl Wide {
    fn new(level: Level, key: &[u8]) -> Option<Self> {
        let unit = match level.as_avx512() {
            Some(avx512) => Unit::Avx512(avx512),
            None => has_vaes(level).then_some(Unit::Vaes)?,
        };
        let encrypt = keys::expand(key)?;
        let decrypt = keys::invert(&encrypt)?;
        Some(Self {
            unit,
            encrypt,
            decrypt,
        })
    }
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
            wide: Wide::new(level, key),
        })
    }

    #[cfg(target_arch = "x86_64")]
    pub(crate) fn round_keys(&self) -> Option<&RoundKeys> {
        Some(&self.wide.as_ref()?.encrypt)
    }

    /// CBC of each of `lanes`.
    pub(crate) fn cbc_encrypt(&self, lanes: &mut [Lane<'_, 16>]) {
        #[cfg(target_arch = "x86_64")]
        if let Some(wide) = &self.wide
            && lanes.len() > 1
        {
            longest_first(lanes);
            match wide.unit {
                Unit::Avx512(avx512) => {
                    for lanes in lanes.chunks_mut(avx512::LANES) {
                        avx512::cbc_encrypt(avx512, &wide.encrypt, lanes);
                    }
                }
                Unit::Vaes => {
                    for lanes in lanes.chunks_mut(vaes::LANES) {
                        vaes::cbc_encrypt(&wide.encrypt, lanes);
                    }
                }
            }
            return;
        }
        cbc_encrypt::<16, BATCH>(lanes, |blocks| {
            self.plain
                .encrypt_blocks(Array::cast_slice_from_core_mut(blocks));
        });
    }
}

impl<C: BlockCipherDecrypt + BlockSizeUser<BlockSize = U16>> Key<C> {
    /// CBC of one text.
    #[inline]
    pub(crate) fn cbc_decrypt(&self, iv: &[u8], text: &mut [u8]) {
        let Some(iv) = iv.first_chunk::<16>() else {
            return;
        };
        #[cfg(target_arch = "x86_64")]
        if let Some(wide) = &self.wide {
            match wide.unit {
                Unit::Avx512(avx512) => avx512::cbc_decrypt(avx512, &wide.decrypt, *iv, text),
                Unit::Vaes => {
                    vaes::cbc_decrypt(&wide.decrypt, iv, text);
                }
            }
            return;
        }
        let (blocks, _) = Array::slice_as_chunks_mut(text);
        Decryptor::<&C>::inner_iv_init(&self.plain, iv.into()).decrypt_blocks(blocks);
    }
}

/// So that those still going are at the front, and lanes of a vector about equally long.
fn longest_first<const B: usize>(lanes: &mut [Lane<'_, B>]) {
    lanes.sort_unstable_by_key(|lane| core::cmp::Reverse(lane.text.len()));
}

/// CBC of up to `N` texts, a block of each at a time.
pub(crate) fn cbc_encrypt<const B: usize, const N: usize>(
    lanes: &mut [Lane<'_, B>],
    encrypt: impl Fn(&mut [[u8; B]]),
) {
    longest_first(lanes);
    cbc_encrypt_in_order::<B, N>(lanes, encrypt);
}

/// Like [`cbc_encrypt`], of texts of which none is longer than the one before.
pub(crate) fn cbc_encrypt_in_order<const B: usize, const N: usize>(
    lanes: &mut [Lane<'_, B>],
    encrypt: impl Fn(&mut [[u8; B]]),
) {
    let mut state = ArrayVec::<_, N>::new();
    state.extend(lanes.iter().map(|lane| lane.before).take(N));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanes::levels;
    use ::aes::{Aes128, Aes192, Aes256};
    use cbc::Encryptor;
    use cipher::BlockModeEncrypt as _;

    fn agrees<C>(key: &[u8])
    where
        C: KeyInit + BlockCipherEncrypt + BlockCipherDecrypt + BlockSizeUser<BlockSize = U16>,
    {
        let iv = [3; 16];
        let plain = C::new_from_slice(key).unwrap();
        for level in levels() {
            let ours = Key::<C>::new(level, key).unwrap();
            // All as long, and each with a length of its own, one of them none.
            let lengths = [|_: usize| 21, |lane: usize| lane * 37 % 23];
            let counts = [1, 2, 3, 5, 8, 16, 17, 64];
            for (blocks, count) in lengths.iter().flat_map(|l| counts.map(|count| (l, count))) {
                let texts: Vec<Vec<u8>> = (0..count)
                    .map(|lane| (0..blocks(lane) * 16).map(|i| (i + lane) as u8).collect())
                    .collect();
                let mut encrypted = texts.clone();
                let mut lanes: Vec<Lane<'_, 16>> = encrypted
                    .iter_mut()
                    .map(|text| Lane::new(&iv, text))
                    .collect();
                ours.cbc_encrypt(&mut lanes);
                for (text, encrypted) in texts.iter().zip(&mut encrypted) {
                    let mut expected = text.clone();
                    let (blocks, _) = Array::slice_as_chunks_mut(&mut expected);
                    Encryptor::<&C>::inner_iv_init(&plain, &iv.into()).encrypt_blocks(blocks);
                    assert_eq!(*encrypted, expected);
                    ours.cbc_decrypt(&iv, encrypted);
                    assert_eq!(encrypted, text);
                }
            }
        }
    }

    #[test]
    fn every_level_agrees_with_the_plain_one() {
        let key: Vec<u8> = (0..32_u8).map(|i| i.wrapping_mul(37) ^ 5).collect();
        agrees::<Aes128>(&key[..16]);
        agrees::<Aes192>(&key[..24]);
        agrees::<Aes256>(&key);
    }
}
