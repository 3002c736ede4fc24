//! Hidden AVP values (RFC 2661 section 4.3).

use super::AvpType;
use crate::Error;
use md5::{Digest as _, Md5};
use zeroize::Zeroizing;

/// Bytes of an MD5 hash, and so of a segment.
const SEGMENT: usize = 16;

/// Enciphers a value, with `padding` to hide its length.
#[must_use]
pub fn hide(
    kind: AvpType,
    value: &[u8],
    secret: &[u8],
    random_vector: &[u8],
    padding: &[u8],
) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    // Enciphered in place, so that the plain text does not stay anywhere.
    let mut text = Vec::with_capacity(
        size_of::<u16>()
            .saturating_add(value.len())
            .saturating_add(padding.len()),
    );
    text.extend(length.to_be_bytes());
    text.extend(value);
    text.extend(padding);
    let mut key = first_key(kind, secret, random_vector);
    for segment in text.chunks_mut(SEGMENT) {
        xor(segment, &key);
        key = next_key(secret, segment);
    }
    text
}

/// Deciphers a hidden value.
///
/// # Errors
/// [`Error::HiddenAvp`] if the length inside does not fit: a wrong secret, or an attack.
pub fn reveal(
    kind: AvpType,
    hidden: &[u8],
    secret: &[u8],
    random_vector: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut text = Zeroizing::new(hidden.to_vec());
    let mut key = first_key(kind, secret, random_vector);
    for (segment, cipher) in text.chunks_mut(SEGMENT).zip(hidden.chunks(SEGMENT)) {
        xor(segment, &key);
        key = next_key(secret, cipher);
    }
    let (length, rest) = text.split_first_chunk::<2>().ok_or(Error::HiddenAvp)?;
    rest.get(..usize::from(u16::from_be_bytes(*length)))
        .map(|value| Zeroizing::new(value.to_vec()))
        .ok_or(Error::HiddenAvp)
}

fn first_key(kind: AvpType, secret: &[u8], random_vector: &[u8]) -> [u8; SEGMENT] {
    let mut hash = Md5::new();
    hash.update(kind.0.to_be_bytes());
    hash.update(secret);
    hash.update(random_vector);
    hash.finalize().into()
}

fn next_key(secret: &[u8], cipher: &[u8]) -> [u8; SEGMENT] {
    let mut hash = Md5::new();
    hash.update(secret);
    hash.update(cipher);
    hash.finalize().into()
}

fn xor(segment: &mut [u8], key: &[u8; SEGMENT]) {
    for (byte, key) in segment.iter_mut().zip(key) {
        *byte ^= key;
    }
}
