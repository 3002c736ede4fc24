use crate::integrity::BATCH;
use crate::lanes::des;
use crate::{Cipher, SaError};
use ::des::{Des, TdesEde3};
use aes::{Aes128, Aes192, Aes256};
use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{AesGcm, Tag};
use cbc::{Decryptor, Encryptor};
use cipher::array::Array;
use cipher::consts::{U12, U16};
use cipher::{
    Block, BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt as _, BlockModeEncrypt as _,
    InnerIvInit as _,
};
use fearless_simd::Level;

type Gcm<C> = AesGcm<C, U12>;

/// A cipher with its key schedule; both directions.
pub(crate) enum Engine {
    Null,
    Des(Box<des::Key<Des>>),
    TripleDes(Box<des::Key<TdesEde3>>),
    Aes128(Box<Aes128>),
    Aes192(Box<Aes192>),
    Aes256(Box<Aes256>),
    Gcm128(Box<Gcm<Aes128>>, [u8; 4]),
    Gcm192(Box<Gcm<Aes192>>, [u8; 4]),
    Gcm256(Box<Gcm<Aes256>>, [u8; 4]),
}

/// Bytes of AES-GCM's ICV (RFC 4106 section 6).
const GCM_ICV: usize = 16;

impl Engine {
    pub(crate) fn new(level: Level, algorithm: Cipher, key: &[u8]) -> Result<Self, SaError> {
        algorithm.check_key(key)?;
        let made = match algorithm {
            Cipher::NullTestOnly => Some(Self::Null),
            Cipher::DesCbc => des::Key::new(level, key).map(Box::new).map(Self::Des),
            Cipher::TripleDesCbc => des::Key::new(level, key).map(Box::new).map(Self::TripleDes),
            Cipher::AesCbc128 => keyed(key).map(Self::Aes128),
            Cipher::AesCbc192 => keyed(key).map(Self::Aes192),
            Cipher::AesCbc256 => keyed(key).map(Self::Aes256),
            Cipher::AesGcm128 => salted(key).map(|(c, salt)| Self::Gcm128(c, salt)),
            Cipher::AesGcm192 => salted(key).map(|(c, salt)| Self::Gcm192(c, salt)),
            Cipher::AesGcm256 => salted(key).map(|(c, salt)| Self::Gcm256(c, salt)),
        };
        made.ok_or(SaError::BadSuite)
    }

    /// CBC, or nothing for NULL. `text` is whole blocks.
    pub(crate) fn encrypt(&self, iv: &[u8], text: &mut [u8]) {
        match self {
            Self::Des(c) => cbc_encrypt_lanes(&mut [Lane::new(iv, text)], |b| c.encrypt_blocks(b)),
            Self::TripleDes(c) => {
                cbc_encrypt_lanes(&mut [Lane::new(iv, text)], |b| c.encrypt_blocks(b));
            }
            Self::Aes128(c) => cbc_encrypt(&**c, iv, text),
            Self::Aes192(c) => cbc_encrypt(&**c, iv, text),
            Self::Aes256(c) => cbc_encrypt(&**c, iv, text),
            Self::Null | Self::Gcm128(..) | Self::Gcm192(..) | Self::Gcm256(..) => {}
        }
    }

    /// CBC of each of `texts` behind its IV, block by block side by side.
    pub(crate) fn encrypt_many<'a>(&self, texts: impl Iterator<Item = (&'a [u8], &'a mut [u8])>) {
        match self {
            Self::Des(c) => encrypt_many(texts, |b| c.encrypt_blocks(b)),
            Self::TripleDes(c) => encrypt_many(texts, |b| c.encrypt_blocks(b)),
            Self::Aes128(c) => encrypt_many(texts, aes_blocks(&**c)),
            Self::Aes192(c) => encrypt_many(texts, aes_blocks(&**c)),
            Self::Aes256(c) => encrypt_many(texts, aes_blocks(&**c)),
            Self::Null | Self::Gcm128(..) | Self::Gcm192(..) | Self::Gcm256(..) => {}
        }
    }

    /// CBC, or nothing for NULL. `text` is whole blocks.
    pub(crate) fn decrypt(&self, iv: &[u8], text: &mut [u8]) {
        match self {
            Self::Des(c) => des_cbc_decrypt(iv, text, |b| c.decrypt_blocks(b)),
            Self::TripleDes(c) => des_cbc_decrypt(iv, text, |b| c.decrypt_blocks(b)),
            Self::Aes128(c) => cbc_decrypt(&**c, iv, text),
            Self::Aes192(c) => cbc_decrypt(&**c, iv, text),
            Self::Aes256(c) => cbc_decrypt(&**c, iv, text),
            Self::Null | Self::Gcm128(..) | Self::Gcm192(..) | Self::Gcm256(..) => {}
        }
    }

    /// AES-GCM: encrypts `text`; gives the ICV. None only if the text is too long for GCM.
    pub(crate) fn gcm_seal(&self, iv: &[u8], aad: &[u8], text: &mut [u8]) -> Option<[u8; GCM_ICV]> {
        match self {
            Self::Gcm128(c, salt) => gcm_seal(&**c, *salt, iv, aad, text),
            Self::Gcm192(c, salt) => gcm_seal(&**c, *salt, iv, aad, text),
            Self::Gcm256(c, salt) => gcm_seal(&**c, *salt, iv, aad, text),
            _ => None,
        }
    }

    /// AES-GCM: verifies `icv`, then decrypts `text`.
    pub(crate) fn gcm_open(&self, iv: &[u8], aad: &[u8], text: &mut [u8], icv: &[u8]) -> bool {
        match self {
            Self::Gcm128(c, salt) => gcm_open(&**c, *salt, iv, aad, text, icv),
            Self::Gcm192(c, salt) => gcm_open(&**c, *salt, iv, aad, text, icv),
            Self::Gcm256(c, salt) => gcm_open(&**c, *salt, iv, aad, text, icv),
            _ => false,
        }
    }
}

fn keyed<C: KeyInit>(key: &[u8]) -> Option<Box<C>> {
    C::new_from_slice(key).ok().map(Box::new)
}

fn salted<C: KeyInit>(key: &[u8]) -> Option<(Box<C>, [u8; 4])> {
    let (key, salt) = key.split_last_chunk::<4>()?;
    Some((keyed(key)?, *salt))
}

fn cbc_encrypt<C: BlockCipherEncrypt>(cipher: &C, iv: &[u8], text: &mut [u8]) {
    let Ok(iv) = <&Block<C>>::try_from(iv) else {
        return;
    };
    let (blocks, _) = Array::slice_as_chunks_mut(text);
    Encryptor::<&C>::inner_iv_init(cipher, iv).encrypt_blocks(blocks);
}

/// A text of blocks of `B` bytes and the block before its first.
struct Lane<'a, const B: usize> {
    text: &'a mut [[u8; B]],
    before: [u8; B],
}

impl<'a, const B: usize> Lane<'a, B> {
    fn new(iv: &[u8], text: &'a mut [u8]) -> Self {
        Self {
            text: text.as_chunks_mut().0,
            before: *iv.first_chunk().unwrap_or(&[0; B]),
        }
    }
}

fn aes_blocks<C>(cipher: &C) -> impl Fn(&mut [[u8; 16]])
where
    C: BlockCipherEncrypt<BlockSize = U16>,
{
    |blocks| cipher.encrypt_blocks(Array::cast_slice_from_core_mut(blocks))
}

fn encrypt_many<'a, const B: usize>(
    mut texts: impl Iterator<Item = (&'a [u8], &'a mut [u8])>,
    encrypt: impl Fn(&mut [[u8; B]]),
) {
    let mut lanes: [Lane<'a, B>; BATCH] = std::array::from_fn(|_| Lane::new(&[], &mut []));
    loop {
        let mut filled = 0;
        for (lane, (iv, text)) in lanes.iter_mut().zip(&mut texts) {
            *lane = Lane::new(iv, text);
            filled += 1;
        }
        if filled == 0 {
            return;
        }
        cbc_encrypt_lanes(&mut lanes[..filled], &encrypt);
    }
}

/// CBC of several texts, a block of each at a time.
fn cbc_encrypt_lanes<const B: usize>(lanes: &mut [Lane<'_, B>], encrypt: impl Fn(&mut [[u8; B]])) {
    let mut state = [[0; B]; BATCH];
    // The longest first, so that those still going are at the front.
    lanes.sort_unstable_by_key(|lane| std::cmp::Reverse(lane.text.len()));
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

/// CBC decryption, which is parallel within a text.
fn des_cbc_decrypt(iv: &[u8], text: &mut [u8], decrypt: impl Fn(&mut [[u8; 8]])) {
    let mut before = *iv.first_chunk().unwrap_or(&[0; 8]);
    for blocks in text.as_chunks_mut().0.chunks_mut(des::BLOCKS) {
        let mut copy = [[0; 8]; des::BLOCKS];
        let copy = &mut copy[..blocks.len()];
        copy.copy_from_slice(blocks);
        decrypt(blocks);
        for (block, encrypted) in blocks.iter_mut().zip(copy) {
            for (to, from) in block.iter_mut().zip(before) {
                *to ^= from;
            }
            before = *encrypted;
        }
    }
}

fn cbc_decrypt<C: BlockCipherDecrypt>(cipher: &C, iv: &[u8], text: &mut [u8]) {
    let Ok(iv) = <&Block<C>>::try_from(iv) else {
        return;
    };
    let (blocks, _) = Array::slice_as_chunks_mut(text);
    Decryptor::<&C>::inner_iv_init(cipher, iv).decrypt_blocks(blocks);
}

/// Salt and IV (RFC 4106 section 4).
fn nonce(salt: [u8; 4], iv: &[u8]) -> [u8; 12] {
    let mut nonce = [0; 12];
    for (to, from) in nonce.iter_mut().zip(salt.iter().chain(iv)) {
        *to = *from;
    }
    nonce
}

fn gcm_seal<C>(
    cipher: &C,
    salt: [u8; 4],
    iv: &[u8],
    aad: &[u8],
    text: &mut [u8],
) -> Option<[u8; GCM_ICV]>
where
    C: AeadInOut<NonceSize = U12, TagSize = U16>,
{
    let nonce = nonce(salt, iv);
    let tag = cipher.encrypt_inout_detached(&nonce.into(), aad, text.into());
    tag.ok().map(Into::into)
}

fn gcm_open<C>(
    cipher: &C,
    salt: [u8; 4],
    iv: &[u8],
    aad: &[u8],
    text: &mut [u8],
    icv: &[u8],
) -> bool
where
    C: AeadInOut<NonceSize = U12, TagSize = U16>,
{
    let nonce = nonce(salt, iv);
    let Ok(tag) = <&Tag>::try_from(icv) else {
        return false;
    };
    cipher
        .decrypt_inout_detached(&nonce.into(), aad, text.into(), tag)
        .is_ok()
}
