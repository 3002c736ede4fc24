use crate::integrity::{BATCH, Hasher};
#[cfg(target_arch = "x86_64")]
use crate::lanes::aes::keys::RoundKeys;
use crate::lanes::aes::{self as lanes, Lane};
use crate::lanes::des;
#[cfg(target_arch = "x86_64")]
use crate::lanes::gcm as wide;
use crate::lanes::hash::Tag;
use crate::{Cipher, HEADER, SaError};
use ::aes::{Aes128, Aes192, Aes256};
use ::des::{Des, TdesEde3};
use aes_gcm::AesGcm;
use aes_gcm::aead::{AeadInOut, KeyInit};
use alloc::boxed::Box;
use arrayvec::ArrayVec;
use cbc::Encryptor;
use cipher::array::Array;
use cipher::consts::{U12, U16};
use cipher::{Block, BlockCipherEncrypt, BlockModeEncrypt as _, BlockSizeUser, InnerIvInit as _};
use fearless_simd::Level;
#[cfg(target_arch = "x86_64")]
use subtle::ConstantTimeEq as _;

type Gcm<C> = AesGcm<C, U12>;

/// A cipher with its key schedule; both directions.
pub(crate) enum Engine {
    Null,
    Des(Box<des::Key<Des>>),
    TripleDes(Box<des::Key<TdesEde3>>),
    Aes128(Box<lanes::Key<Aes128>>),
    Aes192(Box<lanes::Key<Aes192>>),
    Aes256(Box<lanes::Key<Aes256>>),
    Gcm128(Box<Gcm<Aes128>>, [u8; 4]),
    Gcm192(Box<Gcm<Aes192>>, [u8; 4]),
    Gcm256(Box<Gcm<Aes256>>, [u8; 4]),
    /// Any AES-GCM where vectors of AES blocks can be had.
    #[cfg(target_arch = "x86_64")]
    WideGcm(Box<wide::Key>, [u8; 4]),
}

/// Bytes of AES-GCM's ICV (RFC 4106 section 6).
const GCM_ICV: usize = 16;

impl Engine {
    pub(crate) fn new(level: Level, algorithm: Cipher, key: &[u8]) -> Result<Self, SaError> {
        algorithm.check_key(key)?;
        let made = match algorithm {
            Cipher::NullTestOnly => Some(Self::Null),
            Cipher::DesCbc => des::Key::new(level, key).map(|k| Self::Des(Box::new(k))),
            Cipher::TripleDesCbc => des::Key::new(level, key).map(|k| Self::TripleDes(Box::new(k))),
            Cipher::AesCbc128 => lanes::Key::new(level, key).map(|k| Self::Aes128(Box::new(k))),
            Cipher::AesCbc192 => lanes::Key::new(level, key).map(|k| Self::Aes192(Box::new(k))),
            Cipher::AesCbc256 => lanes::Key::new(level, key).map(|k| Self::Aes256(Box::new(k))),
            Cipher::AesGcm128 => gcm::<Aes128>(level, key, Self::Gcm128),
            Cipher::AesGcm192 => gcm::<Aes192>(level, key, Self::Gcm192),
            Cipher::AesGcm256 => gcm::<Aes256>(level, key, Self::Gcm256),
        };
        made.ok_or(SaError::BadSuite)
    }

    /// CBC, or nothing for NULL. `text` is whole blocks.
    pub(crate) fn encrypt(&self, iv: &[u8], text: &mut [u8]) {
        match self {
            Self::Des(c) => cbc_encrypt(&c.plain, iv, text),
            Self::TripleDes(c) => cbc_encrypt(&c.plain, iv, text),
            Self::Aes128(c) => cbc_encrypt(&c.plain, iv, text),
            Self::Aes192(c) => cbc_encrypt(&c.plain, iv, text),
            Self::Aes256(c) => cbc_encrypt(&c.plain, iv, text),
            _ => {}
        }
    }

    /// Like [`encrypt`](Self::encrypt) of `packet`, which is header, IV and text, and the MAC of it
    /// all with `suffix` behind.
    pub(crate) fn encrypt_and_mac(
        &self,
        hasher: &Hasher,
        packet: &mut [u8],
        iv_length: usize,
        suffix: Option<[u8; 4]>,
    ) -> Tag {
        #[cfg(target_arch = "x86_64")]
        if let Hasher::Lanes(key) = hasher
            && let Some(keys) = self.round_keys()
            // With less there is nothing to do at the same time.
            && packet.len() >= HEADER + iv_length + 64
            && let Some(tag) = key.encrypt_and_mac(keys, packet, suffix)
        {
            return tag;
        }
        let (head, text) = packet.split_at_mut(HEADER + iv_length);
        self.encrypt(&head[HEADER..], text);
        hasher.mac(packet, suffix)
    }

    #[cfg(target_arch = "x86_64")]
    fn round_keys(&self) -> Option<&RoundKeys> {
        match self {
            Self::Aes128(c) => c.round_keys(),
            Self::Aes192(c) => c.round_keys(),
            Self::Aes256(c) => c.round_keys(),
            _ => None,
        }
    }

    /// Whether texts of any such SAs are encrypted side by side, as many as [`des::BLOCKS`].
    pub(crate) fn is_des(&self) -> bool {
        matches!(self, Self::Des(_) | Self::TripleDes(_))
    }

    /// CBC of each of `texts` behind its IV, block by block side by side.
    pub(crate) fn encrypt_many<'a>(&self, texts: impl Iterator<Item = (&'a [u8], &'a mut [u8])>) {
        match self {
            Self::Des(c) => in_lanes::<8, { des::BLOCKS }>(texts, |l| c.cbc_encrypt(l)),
            Self::TripleDes(c) => in_lanes::<8, { des::BLOCKS }>(texts, |l| c.cbc_encrypt(l)),
            Self::Aes128(c) => in_lanes::<16, BATCH>(texts, |l| c.cbc_encrypt(l)),
            Self::Aes192(c) => in_lanes::<16, BATCH>(texts, |l| c.cbc_encrypt(l)),
            Self::Aes256(c) => in_lanes::<16, BATCH>(texts, |l| c.cbc_encrypt(l)),
            _ => {}
        }
    }

    /// Like [`encrypt_many`](Self::encrypt_many), with an engine of DES or 3DES for each of at most
    /// [`des::BLOCKS`] texts.
    pub(crate) fn encrypt_each<'a>(
        texts: impl Iterator<Item = (&'a Self, &'a [u8], &'a mut [u8])>,
    ) {
        let (mut des, mut triple) = (ArrayVec::new(), ArrayVec::new());
        for (engine, iv, text) in texts.take(des::BLOCKS) {
            match engine {
                Self::Des(key) => des.push((&**key, Lane::new(iv, text))),
                Self::TripleDes(key) => triple.push((&**key, Lane::new(iv, text))),
                other => other.encrypt(iv, text),
            }
        }
        des::cbc_encrypt_each(des);
        des::cbc_encrypt_each(triple);
    }

    /// CBC of each of `texts` behind its IV, or nothing for NULL. They are whole blocks.
    #[inline]
    pub(crate) fn decrypt<'a>(&self, texts: impl Iterator<Item = (&'a [u8], &'a mut [u8])>) {
        match self {
            Self::Des(c) => des_cbc_decrypt(texts, |b| c.decrypt_blocks(b)),
            Self::TripleDes(c) => des_cbc_decrypt(texts, |b| c.decrypt_blocks(b)),
            Self::Aes128(c) => texts.for_each(|(iv, text)| c.cbc_decrypt(iv, text)),
            Self::Aes192(c) => texts.for_each(|(iv, text)| c.cbc_decrypt(iv, text)),
            Self::Aes256(c) => texts.for_each(|(iv, text)| c.cbc_decrypt(iv, text)),
            _ => {}
        }
    }

    /// AES-GCM: encrypts `text`; gives the ICV. None only if the text is too long for GCM.
    pub(crate) fn gcm_seal(&self, iv: &[u8], aad: &[u8], text: &mut [u8]) -> Option<[u8; GCM_ICV]> {
        match self {
            Self::Gcm128(c, salt) => gcm_seal(&**c, *salt, iv, aad, text),
            Self::Gcm192(c, salt) => gcm_seal(&**c, *salt, iv, aad, text),
            Self::Gcm256(c, salt) => gcm_seal(&**c, *salt, iv, aad, text),
            #[cfg(target_arch = "x86_64")]
            Self::WideGcm(key, salt) => {
                let nonce = nonce(*salt, iv);
                key.seal(wide::Input { nonce, aad }, text)
            }
            _ => None,
        }
    }

    /// AES-GCM: verifies `icv`, then decrypts `text`.
    pub(crate) fn gcm_open(&self, iv: &[u8], aad: &[u8], text: &mut [u8], icv: &[u8]) -> bool {
        match self {
            Self::Gcm128(c, salt) => gcm_open(&**c, *salt, iv, aad, text, icv),
            Self::Gcm192(c, salt) => gcm_open(&**c, *salt, iv, aad, text, icv),
            Self::Gcm256(c, salt) => gcm_open(&**c, *salt, iv, aad, text, icv),
            #[cfg(target_arch = "x86_64")]
            Self::WideGcm(key, salt) => {
                let nonce = nonce(*salt, iv);
                key.open(wide::Input { nonce, aad }, text, |tag| {
                    tag.ct_eq(icv).into()
                })
            }
            _ => false,
        }
    }
}

/// The fastest AES-GCM that there is; `plain` makes the one of the `aes-gcm` crate.
fn gcm<C>(
    level: Level,
    key: &[u8],
    plain: impl Fn(Box<Gcm<C>>, [u8; 4]) -> Engine,
) -> Option<Engine>
where
    Gcm<C>: KeyInit,
    C: KeyInit + BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>,
{
    let (key, salt) = key.split_last_chunk::<4>()?;
    #[cfg(target_arch = "x86_64")]
    if let Some(key) = wide::Key::new::<C>(level, key) {
        return Some(Engine::WideGcm(Box::new(key), *salt));
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = level;
    let key = Gcm::<C>::new_from_slice(key).ok()?;
    Some(plain(Box::new(key), *salt))
}

fn cbc_encrypt<C: BlockCipherEncrypt>(cipher: &C, iv: &[u8], text: &mut [u8]) {
    let Ok(iv) = <&Block<C>>::try_from(iv) else {
        return;
    };
    let (blocks, _) = Array::slice_as_chunks_mut(text);
    Encryptor::<&C>::inner_iv_init(cipher, iv).encrypt_blocks(blocks);
}

/// Gives `encrypt` as many texts at once as there may be.
fn in_lanes<'a, const B: usize, const N: usize>(
    mut texts: impl Iterator<Item = (&'a [u8], &'a mut [u8])>,
    encrypt: impl Fn(&mut [Lane<'a, B>]),
) {
    loop {
        let mut lanes = ArrayVec::<_, N>::new();
        let some = texts.by_ref().take(N);
        lanes.extend(some.map(|(iv, text)| Lane::new(iv, text)));
        if lanes.is_empty() {
            return;
        }
        encrypt(&mut lanes);
    }
}

/// CBC decryption, which is parallel within a text and over texts.
fn des_cbc_decrypt<'a>(
    texts: impl Iterator<Item = (&'a [u8], &'a mut [u8])>,
    decrypt: impl Fn(&mut [[u8; 8]]),
) {
    let mut blocks = [[0; 8]; des::BLOCKS];
    let mut filled = 0;
    let mut parts = ArrayVec::<Lane<'a, 8>, BATCH>::new();
    let flush = |blocks: &mut [[u8; 8]], parts: &mut [Lane<'a, 8>]| {
        decrypt(blocks);
        let mut plain = blocks.iter();
        for part in parts {
            for (block, plain) in part.text.iter_mut().zip(&mut plain) {
                let encrypted = *block;
                for ((to, plain), before) in block.iter_mut().zip(plain).zip(part.before) {
                    *to = plain ^ before;
                }
                part.before = encrypted;
            }
        }
    };
    for (iv, text) in texts {
        let mut whole = Lane::new(iv, text);
        while !whole.text.is_empty() {
            let part = whole.split(blocks.len() - filled);
            blocks[filled..filled + part.text.len()].copy_from_slice(part.text);
            filled += part.text.len();
            parts.push(part);
            if filled == blocks.len() || parts.is_full() {
                flush(&mut blocks[..filled], &mut parts);
                parts.clear();
                filled = 0;
            }
        }
    }
    flush(&mut blocks[..filled], &mut parts);
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
    let Ok(tag) = <&aes_gcm::Tag>::try_from(icv) else {
        return false;
    };
    cipher
        .decrypt_inout_detached(&nonce.into(), aad, text.into(), tag)
        .is_ok()
}
