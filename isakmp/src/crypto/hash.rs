use crate::secret::Secret;
use crate::suite::Hash;
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq;

fn digest<D: Digest>(parts: &[&[u8]]) -> Vec<u8> {
    let mut state = D::new();
    for part in parts {
        state.update(part);
    }
    state.finalize().to_vec()
}

/// The hash of all parts, one after the other.
pub(crate) fn hash(hash: Hash, parts: &[&[u8]]) -> Vec<u8> {
    match hash {
        Hash::Md5 => digest::<Md5>(parts),
        Hash::Sha1 => digest::<Sha1>(parts),
        Hash::Sha256 => digest::<Sha256>(parts),
        Hash::Sha384 => digest::<Sha384>(parts),
        Hash::Sha512 => digest::<Sha512>(parts),
    }
}

fn mac<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    // HMAC takes keys of any length, so the error cannot occur.
    let Ok(mut state) = <M as KeyInit>::new_from_slice(key) else {
        return Vec::new();
    };
    for part in parts {
        state.update(part);
    }
    state.finalize().into_bytes().to_vec()
}

/// The PRF: HMAC with the negotiated hash (RFC 2409 section 4).
pub(crate) fn prf(hash: Hash, key: &[u8], parts: &[&[u8]]) -> Secret {
    Secret::new(match hash {
        Hash::Md5 => mac::<Hmac<Md5>>(key, parts),
        Hash::Sha1 => mac::<Hmac<Sha1>>(key, parts),
        Hash::Sha256 => mac::<Hmac<Sha256>>(key, parts),
        Hash::Sha384 => mac::<Hmac<Sha384>>(key, parts),
        Hash::Sha512 => mac::<Hmac<Sha512>>(key, parts),
    })
}

/// Compares in time that does not depend on where the bytes differ.
pub(crate) fn equal(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}
