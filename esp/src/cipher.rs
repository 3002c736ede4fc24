use crate::{Cipher, SaError};
use aes::{Aes128, Aes192, Aes256};
use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{AesGcm, Tag};
use cbc::{Decryptor, Encryptor};
use cipher::array::Array;
use cipher::consts::U12;
use cipher::{
    Block, BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt as _, BlockModeEncrypt as _,
    InnerIvInit as _,
};
use des::{Des, TdesEde3};

type Gcm<C> = AesGcm<C, U12>;

/// A cipher with its key schedule; both directions.
pub(crate) enum Engine {
    Null,
    Des(Box<Des>),
    TripleDes(Box<TdesEde3>),
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
    pub(crate) fn new(algorithm: Cipher, key: &[u8]) -> Result<Self, SaError> {
        algorithm.check_key(key)?;
        let made = match algorithm {
            Cipher::NullTestOnly => Some(Self::Null),
            Cipher::DesCbc => keyed(key).map(Self::Des),
            Cipher::TripleDesCbc => keyed(key).map(Self::TripleDes),
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
            Self::Des(c) => cbc_encrypt(&**c, iv, text),
            Self::TripleDes(c) => cbc_encrypt(&**c, iv, text),
            Self::Aes128(c) => cbc_encrypt(&**c, iv, text),
            Self::Aes192(c) => cbc_encrypt(&**c, iv, text),
            Self::Aes256(c) => cbc_encrypt(&**c, iv, text),
            Self::Null | Self::Gcm128(..) | Self::Gcm192(..) | Self::Gcm256(..) => {}
        }
    }

    /// CBC, or nothing for NULL. `text` is whole blocks.
    pub(crate) fn decrypt(&self, iv: &[u8], text: &mut [u8]) {
        match self {
            Self::Des(c) => cbc_decrypt(&**c, iv, text),
            Self::TripleDes(c) => cbc_decrypt(&**c, iv, text),
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
    C: AeadInOut<NonceSize = U12, TagSize = cipher::consts::U16>,
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
    C: AeadInOut<NonceSize = U12, TagSize = cipher::consts::U16>,
{
    let nonce = nonce(salt, iv);
    let Ok(tag) = <&Tag>::try_from(icv) else {
        return false;
    };
    cipher
        .decrypt_inout_detached(&nonce.into(), aad, text.into(), tag)
        .is_ok()
}
