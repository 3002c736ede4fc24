use crate::lanes::hash::{Begun, Job, Key, Kind, Tag, mac_many};
use crate::{Integrity, SaError};
use fearless_simd::Level;
use hmac::{Hmac, KeyInit as _, Mac};
use sha2::{Sha384, Sha512};
use subtle::ConstantTimeEq as _;

/// An HMAC with its key's inner and outer states computed in advance.
pub(crate) enum Hasher {
    Lanes(Key),
    Sha384(Hmac<Sha384>),
    Sha512(Hmac<Sha512>),
}

/// A packet without its ICV, and the high half of its sequence number if that is extended.
#[derive(Clone, Copy)]
pub(crate) struct Signed<'a> {
    pub(crate) packet: &'a [u8],
    pub(crate) esn_high: Option<u32>,
}

impl Hasher {
    pub(crate) fn new(algorithm: Integrity, key: &[u8]) -> Result<Self, SaError> {
        algorithm.check_key(key)?;
        // HMAC takes keys of any length; ours has been checked.
        match algorithm {
            Integrity::HmacMd5_96 => Ok(Self::Lanes(Key::new(Kind::Md5, key))),
            Integrity::HmacSha1_96 => Ok(Self::Lanes(Key::new(Kind::Sha1, key))),
            Integrity::HmacSha256_128 | Integrity::HmacSha256_96 => {
                Ok(Self::Lanes(Key::new(Kind::Sha256, key)))
            }
            Integrity::HmacSha384_192 => Hmac::new_from_slice(key)
                .map(Self::Sha384)
                .map_err(|_| SaError::BadSuite),
            Integrity::HmacSha512_256 => Hmac::new_from_slice(key)
                .map(Self::Sha512)
                .map_err(|_| SaError::BadSuite),
        }
    }

    /// The MAC before it is cut to the ICV's length.
    pub(crate) fn mac(&self, signed: Signed<'_>) -> Tag {
        self.finish(None, signed)
    }

    /// [`mac`](Self::mac) of a packet whose hash may have begun.
    pub(crate) fn finish(&self, begun: Option<Begun>, signed: Signed<'_>) -> Tag {
        let suffix = signed.esn_high.map(u32::to_be_bytes);
        match self {
            Self::Lanes(key) => {
                let begun = begun.unwrap_or_else(|| key.begin());
                key.mac(begun, signed.packet, suffix)
            }
            Self::Sha384(mac) => run(mac, signed.packet, suffix),
            Self::Sha512(mac) => run(mac, signed.packet, suffix),
        }
    }

    fn kind(&self) -> Option<Kind> {
        match self {
            Self::Lanes(key) => Some(key.kind),
            Self::Sha384(_) | Self::Sha512(_) => None,
        }
    }
}

fn run<M: Mac + Clone>(mac: &M, packet: &[u8], suffix: Option<[u8; 4]>) -> Tag {
    let mut mac = mac.clone();
    mac.update(packet);
    if let Some(suffix) = suffix {
        mac.update(&suffix);
    }
    let mut tag = [0; 32];
    for (to, from) in tag.iter_mut().zip(mac.finalize().into_bytes()) {
        *to = from;
    }
    tag
}

/// Compares in constant time.
pub(crate) fn verify(tag: &Tag, icv: &[u8]) -> bool {
    tag.get(..icv.len())
        .is_some_and(|part| part.ct_eq(icv).into())
}

/// Packets whose MACs are computed side by side, at most.
pub(crate) const BATCH: usize = 64;

/// The MACs of `work`; what has none keeps its place in `tags` as it is.
pub(crate) fn macs<'w>(
    level: Level,
    work: &[Option<(&'w Hasher, Signed<'w>)>],
    tags: &mut [Tag; BATCH],
) {
    for kind in [Kind::Md5, Kind::Sha1, Kind::Sha256] {
        let job = |(place, item): (usize, &Option<(&'w Hasher, Signed<'w>)>)| match item {
            Some((Hasher::Lanes(key), signed)) if key.kind == kind => Some(Job {
                place,
                key,
                message: signed.packet,
                suffix: signed.esn_high.map(u32::to_be_bytes),
            }),
            _ => None,
        };
        let mut found = work.iter().enumerate().take(BATCH).filter_map(job);
        let Some(first) = found.next() else {
            continue;
        };
        let mut jobs = [first; BATCH];
        let mut count = 1;
        for (to, job) in jobs.iter_mut().skip(1).zip(found) {
            *to = job;
            count += 1;
        }
        mac_many(level, kind, &jobs[..count], tags);
    }
    for (item, tag) in work.iter().zip(tags) {
        if let Some((hasher, signed)) = item
            && hasher.kind().is_none()
        {
            *tag = hasher.mac(*signed);
        }
    }
}
