use crate::{Integrity, SaError};
use hmac::{Hmac, KeyInit as _, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq as _;

/// An HMAC with its key's inner and outer states computed in advance.
#[derive(Clone)]
pub(crate) enum Hasher {
    Md5(Hmac<Md5>),
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
    Sha384(Hmac<Sha384>),
    Sha512(Hmac<Sha512>),
}

/// Longest ICV in bytes.
const MAX_ICV: usize = 32;

impl Hasher {
    pub(crate) fn new(algorithm: Integrity, key: &[u8]) -> Result<Self, SaError> {
        algorithm.check_key(key)?;
        // HMAC takes keys of any length; ours has been checked.
        let made = match algorithm {
            Integrity::HmacMd5_96 => Hmac::new_from_slice(key).map(Self::Md5),
            Integrity::HmacSha1_96 => Hmac::new_from_slice(key).map(Self::Sha1),
            Integrity::HmacSha256_128 | Integrity::HmacSha256_96 => {
                Hmac::new_from_slice(key).map(Self::Sha256)
            }
            Integrity::HmacSha384_192 => Hmac::new_from_slice(key).map(Self::Sha384),
            Integrity::HmacSha512_256 => Hmac::new_from_slice(key).map(Self::Sha512),
        };
        made.map_err(|_| SaError::BadSuite)
    }

    /// Writes the ICV of `packet`, and of the high half of an extended sequence number, to `icv`.
    pub(crate) fn sign(&self, packet: &[u8], esn_high: Option<u32>, icv: &mut [u8]) {
        let mut full = [0; MAX_ICV];
        self.compute(packet, esn_high, &mut full);
        if let Some(part) = full.get(..icv.len()) {
            icv.copy_from_slice(part);
        }
    }

    /// Compares in constant time.
    pub(crate) fn verify(&self, packet: &[u8], esn_high: Option<u32>, icv: &[u8]) -> bool {
        let mut full = [0; MAX_ICV];
        self.compute(packet, esn_high, &mut full);
        full.get(..icv.len())
            .is_some_and(|part| part.ct_eq(icv).into())
    }

    fn compute(&self, packet: &[u8], esn_high: Option<u32>, out: &mut [u8; MAX_ICV]) {
        match self {
            Self::Md5(mac) => run(mac, packet, esn_high, out),
            Self::Sha1(mac) => run(mac, packet, esn_high, out),
            Self::Sha256(mac) => run(mac, packet, esn_high, out),
            Self::Sha384(mac) => run(mac, packet, esn_high, out),
            Self::Sha512(mac) => run(mac, packet, esn_high, out),
        }
    }
}

fn run<M: Mac + Clone>(mac: &M, packet: &[u8], esn_high: Option<u32>, out: &mut [u8; MAX_ICV]) {
    let mut mac = mac.clone();
    mac.update(packet);
    if let Some(high) = esn_high {
        mac.update(&high.to_be_bytes());
    }
    let digest = mac.finalize().into_bytes();
    for (to, from) in out.iter_mut().zip(digest) {
        *to = from;
    }
}
