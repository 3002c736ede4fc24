use crate::lanes::hash::{Job, Key, Kind, Tag, mac_many};
use crate::lanes::sha512;
use crate::{Integrity, SaError};
use arrayvec::ArrayVec;
use fearless_simd::Level;
use subtle::ConstantTimeEq as _;

/// An HMAC with its key's inner and outer states computed in advance.
pub(crate) enum Hasher {
    Lanes(Key),
    /// SHA-384 and SHA-512, whose words are of 64 bits.
    Long(sha512::Key),
}

/// A packet without its ICV, and the high half of its sequence number if that is extended.
#[derive(Clone, Copy)]
pub(crate) struct Signed<'a> {
    pub(crate) packet: &'a [u8],
    pub(crate) esn_high: Option<u32>,
}

impl<'a> Signed<'a> {
    pub(crate) fn suffix(&self) -> Option<[u8; 4]> {
        self.esn_high.map(u32::to_be_bytes)
    }

    /// Its MAC as one of many.
    fn job<K>(&self, place: usize, key: &'a K) -> Job<'a, K> {
        Job {
            place,
            key,
            message: self.packet,
            suffix: self.suffix(),
        }
    }
}

impl Hasher {
    pub(crate) fn new(level: Level, algorithm: Integrity, key: &[u8]) -> Result<Self, SaError> {
        algorithm.check_key(key)?;
        Ok(match algorithm {
            Integrity::HmacMd5_96 => Self::Lanes(Key::new(Kind::Md5, key)),
            Integrity::HmacSha1_96 => Self::Lanes(Key::new(Kind::Sha1, key)),
            Integrity::HmacSha256_128 | Integrity::HmacSha256_96 => {
                Self::Lanes(Key::new(Kind::Sha256, key))
            }
            Integrity::HmacSha384_192 => {
                Self::Long(sha512::Key::new(level, sha512::Kind::Sha384, key))
            }
            Integrity::HmacSha512_256 => {
                Self::Long(sha512::Key::new(level, sha512::Kind::Sha512, key))
            }
        })
    }

    /// The MAC before it is cut to the ICV's length.
    #[inline]
    pub(crate) fn mac(&self, packet: &[u8], suffix: Option<[u8; 4]>) -> Tag {
        match self {
            Self::Lanes(key) => key.mac(packet, suffix),
            Self::Long(key) => key.mac(packet, suffix),
        }
    }
}

/// Compares in constant time.
pub(crate) fn verify(tag: &Tag, icv: &[u8]) -> bool {
    // One barrier against the optimizer is enough: a byte each takes longer than a block's hash.
    let (mut left, mut right, mut differ) = (tag.as_slice(), icv, 0);
    while let (Some((a, behind_a)), Some((b, behind_b))) =
        (left.split_first_chunk(), right.split_first_chunk())
    {
        differ |= u32::from_ne_bytes(*a) ^ u32::from_ne_bytes(*b);
        (left, right) = (behind_a, behind_b);
    }
    // Every ICV is whole words.
    right.is_empty() && differ.ct_eq(&0).into()
}

/// Packets whose MACs are computed side by side, at most.
pub(crate) const BATCH: usize = 64;

/// What to compute MACs of. Lists such as this one are filled in place and not moved: they are long.
pub(crate) type Work<'w> = ArrayVec<Option<(&'w Hasher, Signed<'w>)>, BATCH>;

/// The MACs of `work`; what has none keeps its place in `tags` as it is.
pub(crate) fn macs<'w>(level: Level, work: &Work<'w>, tags: &mut [Tag; BATCH]) {
    for kind in [Kind::Md5, Kind::Sha1, Kind::Sha256] {
        let job = |(place, item): (usize, &Option<(&'w Hasher, Signed<'w>)>)| match item {
            Some((Hasher::Lanes(key), signed)) if key.kind == kind => Some(signed.job(place, key)),
            _ => None,
        };
        let mut jobs = ArrayVec::<_, BATCH>::new();
        jobs.extend(work.iter().enumerate().filter_map(job));
        if !jobs.is_empty() {
            mac_many(level, kind, &jobs, tags);
        }
    }
    let long = |(place, item): (usize, &Option<(&'w Hasher, Signed<'w>)>)| match item {
        Some((Hasher::Long(key), signed)) => Some(signed.job(place, key)),
        _ => None,
    };
    let mut jobs = ArrayVec::<_, BATCH>::new();
    jobs.extend(work.iter().enumerate().filter_map(long));
    sha512::mac_many(level, &jobs, tags);
}
