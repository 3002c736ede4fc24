//! Algorithms: their numbers on the wire (RFC 2409 appendix A, RFC 2407 section 4.5, RFC 5903) and
//! their names.

use std::fmt;
use std::str::FromStr;

/// The length of an AES key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AesKeySize {
    /// 128 bits.
    Aes128,
    /// 192 bits.
    Aes192,
    /// 256 bits.
    Aes256,
}

impl AesKeySize {
    /// In bits.
    #[must_use]
    pub const fn bits(self) -> u16 {
        match self {
            Self::Aes128 => 128,
            Self::Aes192 => 192,
            Self::Aes256 => 256,
        }
    }

    /// In bytes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::Aes192 => 24,
            Self::Aes256 => 32,
        }
    }

    pub(crate) const fn from_bits(bits: u64) -> Option<Self> {
        match bits {
            128 => Some(Self::Aes128),
            192 => Some(Self::Aes192),
            256 => Some(Self::Aes256),
            _ => None,
        }
    }
}

/// Encryption of ISAKMP messages, all in CBC mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cipher {
    /// DES: 56 bits, for very old peers.
    Des,
    /// Three-key 3DES.
    TripleDes,
    /// AES.
    AesCbc(AesKeySize),
}

impl Cipher {
    pub(crate) const fn id(self) -> u16 {
        match self {
            Self::Des => 1,
            Self::TripleDes => 5,
            Self::AesCbc(_) => 7,
        }
    }

    pub(crate) const fn key_length(self) -> usize {
        match self {
            Self::Des => 8,
            Self::TripleDes => 24,
            Self::AesCbc(size) => size.bytes(),
        }
    }

    pub(crate) const fn block_len(self) -> usize {
        match self {
            Self::Des | Self::TripleDes => 8,
            Self::AesCbc(_) => 16,
        }
    }
}

/// The hash of phase 1; its HMAC is the PRF.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Hash {
    /// MD5.
    Md5,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Hash {
    pub(crate) const fn id(self) -> u16 {
        match self {
            Self::Md5 => 1,
            Self::Sha1 => 2,
            Self::Sha256 => 4,
            Self::Sha384 => 5,
            Self::Sha512 => 6,
        }
    }

    pub(crate) const fn from_id(id: u64) -> Option<Self> {
        match id {
            1 => Some(Self::Md5),
            2 => Some(Self::Sha1),
            4 => Some(Self::Sha256),
            5 => Some(Self::Sha384),
            6 => Some(Self::Sha512),
            _ => None,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA2_256",
            Self::Sha384 => "SHA2_384",
            Self::Sha512 => "SHA2_512",
        }
    }
}

/// A Diffie-Hellman group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Group {
    /// Group 1.
    Modp768,
    /// Group 2.
    Modp1024,
    /// Group 5.
    Modp1536,
    /// Group 14.
    Modp2048,
    /// Group 15.
    Modp3072,
    /// Group 16.
    Modp4096,
    /// Group 19.
    Ecp256,
    /// Group 20.
    Ecp384,
    /// Group 21.
    Ecp521,
}

impl Group {
    /// All groups.
    pub const ALL: [Self; 9] = [
        Self::Modp768,
        Self::Modp1024,
        Self::Modp1536,
        Self::Modp2048,
        Self::Modp3072,
        Self::Modp4096,
        Self::Ecp256,
        Self::Ecp384,
        Self::Ecp521,
    ];

    pub(crate) const fn id(self) -> u16 {
        match self {
            Self::Modp768 => 1,
            Self::Modp1024 => 2,
            Self::Modp1536 => 5,
            Self::Modp2048 => 14,
            Self::Modp3072 => 15,
            Self::Modp4096 => 16,
            Self::Ecp256 => 19,
            Self::Ecp384 => 20,
            Self::Ecp521 => 21,
        }
    }

    pub(crate) fn from_id(id: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|g| u64::from(g.id()) == id)
    }

    /// Length of a public value in bytes.
    #[must_use]
    pub const fn public_length(self) -> usize {
        match self {
            Self::Modp768 => 96,
            Self::Modp1024 => 128,
            Self::Modp1536 => 192,
            Self::Modp2048 => 256,
            Self::Modp3072 => 384,
            Self::Modp4096 => 512,
            Self::Ecp256 => 64,
            Self::Ecp384 => 96,
            Self::Ecp521 => 132,
        }
    }

    const fn keyword(self) -> &'static str {
        match self {
            Self::Modp768 => "modp768",
            Self::Modp1024 => "modp1024",
            Self::Modp1536 => "modp1536",
            Self::Modp2048 => "modp2048",
            Self::Modp3072 => "modp3072",
            Self::Modp4096 => "modp4096",
            Self::Ecp256 => "ecp256",
            Self::Ecp384 => "ecp384",
            Self::Ecp521 => "ecp521",
        }
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, bits) = self.keyword().split_at(if self.id() >= 19 { 3 } else { 4 });
        write!(f, "{}_{bits}", kind.to_ascii_uppercase())
    }
}

impl fmt::Display for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Des => f.write_str("DES_CBC"),
            Self::TripleDes => f.write_str("3DES_CBC"),
            Self::AesCbc(size) => write!(f, "AES_CBC-{}", size.bits()),
        }
    }
}

/// The algorithms of an ISAKMP SA.
///
/// Parsed from words such as `aes256-sha1-modp2048`; shown as `AES_CBC-256/HMAC_SHA1/MODP_2048`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Phase1Suite {
    /// Encryption.
    pub cipher: Cipher,
    /// Hash and PRF.
    pub hash: Hash,
    /// Diffie-Hellman group.
    pub group: Group,
}

/// What an initiator offers for phase 1.
pub type Phase1Proposal = Phase1Suite;

impl fmt::Display for Phase1Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/HMAC_{}/{}",
            self.cipher,
            self.hash.name(),
            self.group
        )
    }
}

/// Words that name no proposal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown proposal {0:?}")]
pub struct ParseProposalError(String);

impl FromStr for Phase1Suite {
    type Err = ParseProposalError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let mut words = text.split('-');
            let cipher = match words.next()? {
                "des" => Cipher::Des,
                "3des" => Cipher::TripleDes,
                word => Cipher::AesCbc(aes_keyword(word)?),
            };
            let hash = match words.next()? {
                "md5" => Hash::Md5,
                "sha1" | "sha" => Hash::Sha1,
                "sha256" => Hash::Sha256,
                "sha384" => Hash::Sha384,
                "sha512" => Hash::Sha512,
                _ => return None,
            };
            let word = words.next()?;
            let group = Group::ALL.into_iter().find(|g| g.keyword() == word)?;
            words.next().is_none().then_some(Self {
                cipher,
                hash,
                group,
            })
        };
        parse().ok_or_else(|| ParseProposalError(text.to_owned()))
    }
}

fn aes_keyword(word: &str) -> Option<AesKeySize> {
    match word {
        "aes" | "aes128" => Some(AesKeySize::Aes128),
        "aes192" => Some(AesKeySize::Aes192),
        "aes256" => Some(AesKeySize::Aes256),
        _ => None,
    }
}

/// Encryption of ESP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EspCipher {
    /// DES in CBC mode: for very old peers.
    Des,
    /// 3DES in CBC mode.
    TripleDes,
    /// AES in CBC mode.
    AesCbc(AesKeySize),
    /// AES-GCM with a 16-byte ICV (RFC 4106).
    AesGcm16(AesKeySize),
}

impl EspCipher {
    pub(crate) const fn id(self) -> u8 {
        match self {
            Self::Des => 2,
            Self::TripleDes => 3,
            Self::AesCbc(_) => 12,
            Self::AesGcm16(_) => 20,
        }
    }

    /// Length of [`ChildKeys::encryption`](crate::ChildKeys::encryption) in bytes.
    #[must_use]
    pub const fn key_length(self) -> usize {
        match self {
            Self::Des => 8,
            Self::TripleDes => 24,
            Self::AesCbc(size) => size.bytes(),
            Self::AesGcm16(size) => size.bytes() + 4,
        }
    }

    pub(crate) const fn aes_key_size(self) -> Option<AesKeySize> {
        match self {
            Self::AesCbc(size) | Self::AesGcm16(size) => Some(size),
            Self::Des | Self::TripleDes => None,
        }
    }
}

/// Integrity of ESP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EspIntegrity {
    /// HMAC-MD5, 96 bits.
    HmacMd5_96,
    /// HMAC-SHA-1, 96 bits.
    HmacSha1_96,
    /// HMAC-SHA-256, 128 bits (RFC 4868).
    HmacSha256_128,
    /// HMAC-SHA-256, 96 bits: an early draft that old Linux and Android kernels follow.
    HmacSha256_96,
    /// HMAC-SHA-384, 192 bits.
    HmacSha384_192,
    /// HMAC-SHA-512, 256 bits.
    HmacSha512_256,
}

impl EspIntegrity {
    /// The authentication algorithm attribute's value.
    pub(crate) const fn id(self) -> u16 {
        match self {
            Self::HmacMd5_96 => 1,
            Self::HmacSha1_96 => 2,
            Self::HmacSha256_128 | Self::HmacSha256_96 => 5,
            Self::HmacSha384_192 => 6,
            Self::HmacSha512_256 => 7,
        }
    }

    pub(crate) const fn from_id(id: u64) -> Option<Self> {
        match id {
            1 => Some(Self::HmacMd5_96),
            2 => Some(Self::HmacSha1_96),
            5 => Some(Self::HmacSha256_128),
            6 => Some(Self::HmacSha384_192),
            7 => Some(Self::HmacSha512_256),
            _ => None,
        }
    }

    /// Length of the key in bytes.
    #[must_use]
    pub const fn key_length(self) -> usize {
        match self {
            Self::HmacMd5_96 => 16,
            Self::HmacSha1_96 => 20,
            Self::HmacSha256_128 | Self::HmacSha256_96 => 32,
            Self::HmacSha384_192 => 48,
            Self::HmacSha512_256 => 64,
        }
    }
}

/// The algorithms of a pair of ESP SAs.
///
/// Parsed from words such as `aes256-sha1` or `aes128gcm16`; shown as `AES_CBC-256/HMAC_SHA1_96`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChildSuite {
    /// Encryption.
    pub cipher: EspCipher,
    /// Integrity; none for AES-GCM, which has its own.
    pub integrity: Option<EspIntegrity>,
}

/// What an initiator offers for phase 2.
pub type ChildProposal = ChildSuite;

impl fmt::Display for ChildSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cipher {
            EspCipher::Des => f.write_str("DES_CBC")?,
            EspCipher::TripleDes => f.write_str("3DES_CBC")?,
            EspCipher::AesCbc(size) => write!(f, "AES_CBC-{}", size.bits())?,
            EspCipher::AesGcm16(size) => write!(f, "AES_GCM_16-{}", size.bits())?,
        }
        f.write_str(match self.integrity {
            None => "",
            Some(EspIntegrity::HmacMd5_96) => "/HMAC_MD5_96",
            Some(EspIntegrity::HmacSha1_96) => "/HMAC_SHA1_96",
            Some(EspIntegrity::HmacSha256_128) => "/HMAC_SHA2_256_128",
            Some(EspIntegrity::HmacSha256_96) => "/HMAC_SHA2_256_96",
            Some(EspIntegrity::HmacSha384_192) => "/HMAC_SHA2_384_192",
            Some(EspIntegrity::HmacSha512_256) => "/HMAC_SHA2_512_256",
        })
    }
}

impl FromStr for ChildSuite {
    type Err = ParseProposalError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let mut words = text.split('-');
            let word = words.next()?;
            let cipher = match (
                word,
                word.strip_suffix("gcm16").or(word.strip_suffix("gcm")),
            ) {
                ("des", _) => EspCipher::Des,
                ("3des", _) => EspCipher::TripleDes,
                (_, Some(aes)) => EspCipher::AesGcm16(aes_keyword(aes)?),
                (aes, None) => EspCipher::AesCbc(aes_keyword(aes)?),
            };
            let integrity = match (cipher, words.next()) {
                (EspCipher::AesGcm16(_), None) => None,
                (EspCipher::AesGcm16(_), Some(_)) => return None,
                (_, word) => Some(match word? {
                    "md5" => EspIntegrity::HmacMd5_96,
                    "sha1" | "sha" => EspIntegrity::HmacSha1_96,
                    "sha256" => EspIntegrity::HmacSha256_128,
                    "sha256_96" => EspIntegrity::HmacSha256_96,
                    "sha384" => EspIntegrity::HmacSha384_192,
                    "sha512" => EspIntegrity::HmacSha512_256,
                    _ => return None,
                }),
            };
            let suite = Self { cipher, integrity };
            words.next().is_none().then_some(suite)
        };
        parse().ok_or_else(|| ParseProposalError(text.to_owned()))
    }
}
