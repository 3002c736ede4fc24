use crate::suite::{
    AesKeySize, ChildSuite, Cipher, EspCipher, EspIntegrity, Group, Hash, Phase1Suite,
};
use std::sync::LazyLock;
use std::time::Duration;

/// How long a pair of ESP SAs may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    /// In seconds.
    pub seconds: u32,
    /// In kilobytes of traffic; none is no limit.
    pub kilobytes: Option<u32>,
}

/// What one key of a cipher with blocks of 64 bits may encrypt, in kilobytes: 4 GiB, an eighth of
/// the traffic where collisions become likely (SWEET32, CVE-2016-2183).
const SHORT_BLOCK_KILOBYTES: u32 = 4 << 20;

impl Lifetime {
    /// The shorter of both in each respect.
    pub(crate) fn min(self, other: Self) -> Self {
        Self {
            seconds: self.seconds.min(other.seconds),
            kilobytes: match (self.kilobytes, other.kilobytes) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            },
        }
    }

    /// At most what `cipher` bears.
    pub(crate) fn bounded(self, cipher: EspCipher) -> Self {
        let short = matches!(cipher, EspCipher::Des | EspCipher::TripleDes);
        self.min(Self {
            seconds: u32::MAX,
            kilobytes: short.then_some(SHORT_BLOCK_KILOBYTES),
        })
    }
}

/// Which algorithms are accepted, and in which order they are preferred.
///
/// As responder, the first entry that the peer offers wins, whatever the peer's own order.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// Its name in hints: `modern`, `compat`, `legacy_xp` or your own.
    pub name: &'static str,
    /// Phase 1.
    pub phase1: Vec<Phase1Suite>,
    /// Phase 2.
    pub child: Vec<ChildSuite>,
    /// How long an ISAKMP SA lives; a peer's shorter offer counts. Named ones: 8 h.
    pub phase1_lifetime: Duration,
    /// How long ESP SAs live; a peer's shorter offer counts. Named ones: 1 h.
    pub child_lifetime: Lifetime,
}

const AES256: Cipher = Cipher::AesCbc(AesKeySize::Aes256);
const AES192: Cipher = Cipher::AesCbc(AesKeySize::Aes192);
const AES128: Cipher = Cipher::AesCbc(AesKeySize::Aes128);

impl Policy {
    /// AES with SHA-2 or SHA-1 and groups of at least 2048 bits.
    #[must_use]
    pub fn modern() -> Self {
        let groups = [
            Group::Ecp384,
            Group::Ecp256,
            Group::Ecp521,
            Group::Modp2048,
            Group::Modp3072,
            Group::Modp4096,
        ];
        let hashes = [Hash::Sha256, Hash::Sha384, Hash::Sha512, Hash::Sha1];
        Self {
            name: "modern",
            phase1: product(&groups, &[AES256, AES192, AES128], &hashes),
            child: children(false, false),
            phase1_lifetime: Duration::from_secs(28_800),
            child_lifetime: Lifetime {
                seconds: 3600,
                kilobytes: None,
            },
        }
    }

    /// Everything that current systems offer: adds 3DES and the groups 5 and 2.
    #[must_use]
    pub fn compat() -> Self {
        let mut policy = Self::modern();
        policy.name = "compat";
        let groups = [Group::Ecp384, Group::Ecp256, Group::Modp2048];
        policy.phase1.extend(product(
            &groups,
            &[Cipher::TripleDes],
            &[Hash::Sha256, Hash::Sha1],
        ));
        policy.phase1.extend(product(
            &[Group::Modp1536, Group::Modp1024],
            &[AES256, AES192, AES128, Cipher::TripleDes],
            &[Hash::Sha256, Hash::Sha384, Hash::Sha512, Hash::Sha1],
        ));
        policy.child = children(true, false);
        policy
    }

    /// Everything, down to DES, MD5 and group 1: Windows XP and routers of its time.
    #[must_use]
    pub fn legacy_xp() -> Self {
        let mut policy = Self::compat();
        policy.name = "legacy_xp";
        let ciphers = [AES256, AES192, AES128, Cipher::TripleDes, Cipher::Des];
        let hashes = [
            Hash::Sha256,
            Hash::Sha384,
            Hash::Sha512,
            Hash::Sha1,
            Hash::Md5,
        ];
        let mut groups = Group::ALL;
        groups.reverse();
        for suite in product(&groups, &ciphers, &hashes) {
            if !policy.phase1.contains(&suite) {
                policy.phase1.push(suite);
            }
        }
        policy.child = children(true, true);
        policy
    }

    /// The lifetime of an ISAKMP SA in seconds, as it can be offered.
    pub(crate) fn phase1_seconds(&self) -> u32 {
        u32::try_from(self.phase1_lifetime.as_secs()).unwrap_or(u32::MAX)
    }

    /// The named policies that accept a suite which this one does not.
    pub(crate) fn accepting(accepts: impl Fn(&Self) -> bool) -> Vec<&'static str> {
        // Made once: anybody can have us explain a refusal.
        static NAMED: LazyLock<[Policy; 3]> =
            LazyLock::new(|| [Policy::modern(), Policy::compat(), Policy::legacy_xp()]);
        let accepting = NAMED.iter().filter(|policy| accepts(policy));
        accepting.map(|policy| policy.name).collect()
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::compat()
    }
}

fn product(groups: &[Group], ciphers: &[Cipher], hashes: &[Hash]) -> Vec<Phase1Suite> {
    let mut all = Vec::new();
    for &group in groups {
        for &cipher in ciphers {
            all.extend(hashes.iter().map(|&hash| Phase1Suite {
                cipher,
                hash,
                group,
            }));
        }
    }
    all
}

/// SHA-1 comes before SHA-256: old kernels truncate the latter to 96 bits, silently.
fn children(triple_des: bool, weak: bool) -> Vec<ChildSuite> {
    let sizes = [AesKeySize::Aes256, AesKeySize::Aes128, AesKeySize::Aes192];
    let suite = |cipher, integrity| ChildSuite { cipher, integrity };
    let mut integrities = vec![
        EspIntegrity::HmacSha1_96,
        EspIntegrity::HmacSha256_128,
        EspIntegrity::HmacSha384_192,
        EspIntegrity::HmacSha512_256,
    ];
    if weak {
        integrities.push(EspIntegrity::HmacMd5_96);
    }
    let mut ciphers: Vec<_> = sizes.into_iter().map(EspCipher::AesCbc).collect();
    if triple_des {
        ciphers.push(EspCipher::TripleDes);
        integrities.push(EspIntegrity::HmacMd5_96);
        integrities.dedup();
    }
    if weak {
        ciphers.push(EspCipher::Des);
    }
    let mut all: Vec<_> = sizes
        .into_iter()
        .map(|s| suite(EspCipher::AesGcm16(s), None))
        .collect();
    for cipher in ciphers {
        all.extend(integrities.iter().map(|&i| suite(cipher, Some(i))));
    }
    all
}
