use crate::suite::{AesKeySize, Cipher};
use cipher::{Block, BlockModeDecrypt, BlockModeEncrypt, BlockSizeUser, KeyIvInit};

fn blocks<M: BlockSizeUser>(data: &mut [u8], mut each: impl FnMut(&mut Block<M>)) -> Option<()> {
    let size = M::block_size();
    if !data.len().is_multiple_of(size) {
        return None;
    }
    for chunk in data.chunks_exact_mut(size) {
        each(chunk.try_into().ok()?);
    }
    Some(())
}

fn encrypt_with<M: BlockModeEncrypt + KeyIvInit>(
    key: &[u8],
    iv: &[u8],
    data: &mut [u8],
) -> Option<()> {
    let mut mode = M::new_from_slices(key, iv).ok()?;
    blocks::<M>(data, |block| mode.encrypt_block(block))
}

fn decrypt_with<M: BlockModeDecrypt + KeyIvInit>(
    key: &[u8],
    iv: &[u8],
    data: &mut [u8],
) -> Option<()> {
    let mut mode = M::new_from_slices(key, iv).ok()?;
    blocks::<M>(data, |block| mode.decrypt_block(block))
}

/// Encrypts whole blocks in place; `None` if key, IV or data are not of the cipher's lengths.
pub(crate) fn encrypt(cipher: Cipher, key: &[u8], iv: &[u8], data: &mut [u8]) -> Option<()> {
    match cipher {
        Cipher::Des => encrypt_with::<cbc::Encryptor<des::Des>>(key, iv, data),
        Cipher::TripleDes => encrypt_with::<cbc::Encryptor<des::TdesEde3>>(key, iv, data),
        Cipher::AesCbc(AesKeySize::Aes128) => {
            encrypt_with::<cbc::Encryptor<aes::Aes128>>(key, iv, data)
        }
        Cipher::AesCbc(AesKeySize::Aes192) => {
            encrypt_with::<cbc::Encryptor<aes::Aes192>>(key, iv, data)
        }
        Cipher::AesCbc(AesKeySize::Aes256) => {
            encrypt_with::<cbc::Encryptor<aes::Aes256>>(key, iv, data)
        }
    }
}

/// Decrypts whole blocks in place; `None` as in [`encrypt`].
pub(crate) fn decrypt(cipher: Cipher, key: &[u8], iv: &[u8], data: &mut [u8]) -> Option<()> {
    match cipher {
        Cipher::Des => decrypt_with::<cbc::Decryptor<des::Des>>(key, iv, data),
        Cipher::TripleDes => decrypt_with::<cbc::Decryptor<des::TdesEde3>>(key, iv, data),
        Cipher::AesCbc(AesKeySize::Aes128) => {
            decrypt_with::<cbc::Decryptor<aes::Aes128>>(key, iv, data)
        }
        Cipher::AesCbc(AesKeySize::Aes192) => {
            decrypt_with::<cbc::Decryptor<aes::Aes192>>(key, iv, data)
        }
        Cipher::AesCbc(AesKeySize::Aes256) => {
            decrypt_with::<cbc::Decryptor<aes::Aes256>>(key, iv, data)
        }
    }
}
