use crate::{HEADER, SaError};
use core::fmt;

/// An encryption algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cipher {
    /// DES-CBC (RFC 2405). Broken; for Windows XP.
    DesCbc,
    /// 3DES-CBC (RFC 2451).
    TripleDesCbc,
    /// AES-CBC with 128 bits (RFC 3602).
    AesCbc128,
    /// AES-CBC with 192 bits (RFC 3602).
    AesCbc192,
    /// AES-CBC with 256 bits (RFC 3602).
    AesCbc256,
    /// AES-GCM with 128 bits and an ICV of 16 bytes (RFC 4106).
    AesGcm128,
    /// AES-GCM with 192 bits and an ICV of 16 bytes (RFC 4106).
    AesGcm192,
    /// AES-GCM with 256 bits and an ICV of 16 bytes (RFC 4106).
    AesGcm256,
    /// No encryption (RFC 2410): for tests only.
    NullTestOnly,
}

impl Cipher {
    /// Bytes of key material; AES-GCM's has 4 bytes of salt at its end.
    #[must_use]
    pub fn key_length(self) -> usize {
        match self {
            Self::NullTestOnly => 0,
            Self::DesCbc => 8,
            Self::TripleDesCbc | Self::AesCbc192 => 24,
            Self::AesCbc128 => 16,
            Self::AesCbc256 => 32,
            Self::AesGcm128 => 20,
            Self::AesGcm192 => 28,
            Self::AesGcm256 => 36,
        }
    }

    /// Bytes of the IV in each packet.
    #[must_use]
    pub fn iv_length(self) -> usize {
        match self {
            Self::NullTestOnly => 0,
            Self::DesCbc | Self::TripleDesCbc => 8,
            Self::AesGcm128 | Self::AesGcm192 | Self::AesGcm256 => 8,
            Self::AesCbc128 | Self::AesCbc192 | Self::AesCbc256 => 16,
        }
    }

    /// What payload, padding and trailer are padded to a multiple of.
    #[must_use]
    pub fn alignment(self) -> usize {
        match self {
            Self::DesCbc | Self::TripleDesCbc => 8,
            Self::AesCbc128 | Self::AesCbc192 | Self::AesCbc256 => 16,
            // RFC 4303 section 2.4 wants the ICV on 4 bytes.
            Self::AesGcm128 | Self::AesGcm192 | Self::AesGcm256 | Self::NullTestOnly => 4,
        }
    }

    /// Whether it checks integrity itself.
    #[must_use]
    pub fn is_aead(self) -> bool {
        matches!(self, Self::AesGcm128 | Self::AesGcm192 | Self::AesGcm256)
    }

    /// Whether its blocks of 64 bits limit the volume under one key (SWEET32).
    #[must_use]
    pub fn has_short_blocks(self) -> bool {
        matches!(self, Self::DesCbc | Self::TripleDesCbc)
    }

    fn name(self) -> &'static str {
        match self {
            Self::DesCbc => "DES_CBC",
            Self::TripleDesCbc => "3DES_CBC",
            Self::AesCbc128 => "AES_CBC_128",
            Self::AesCbc192 => "AES_CBC_192",
            Self::AesCbc256 => "AES_CBC_256",
            Self::AesGcm128 => "AES_GCM_16_128",
            Self::AesGcm192 => "AES_GCM_16_192",
            Self::AesGcm256 => "AES_GCM_16_256",
            Self::NullTestOnly => "NULL",
        }
    }
}

/// An integrity algorithm, by the length of its ICV in bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the registry's own names")]
pub enum Integrity {
    /// RFC 2403.
    HmacMd5_96,
    /// RFC 2404.
    HmacSha1_96,
    /// RFC 4868.
    HmacSha256_128,
    /// The truncation of old Android and Linux kernels (draft-ietf-ipsec-ciph-sha-256-00).
    HmacSha256_96,
    /// RFC 4868.
    HmacSha384_192,
    /// RFC 4868.
    HmacSha512_256,
}

impl Integrity {
    /// Bytes of key.
    #[must_use]
    pub fn key_length(self) -> usize {
        match self {
            Self::HmacMd5_96 => 16,
            Self::HmacSha1_96 => 20,
            Self::HmacSha256_128 | Self::HmacSha256_96 => 32,
            Self::HmacSha384_192 => 48,
            Self::HmacSha512_256 => 64,
        }
    }

    /// Bytes of ICV.
    #[must_use]
    pub fn icv_length(self) -> usize {
        match self {
            Self::HmacMd5_96 | Self::HmacSha1_96 | Self::HmacSha256_96 => 12,
            Self::HmacSha256_128 => 16,
            Self::HmacSha384_192 => 24,
            Self::HmacSha512_256 => 32,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::HmacMd5_96 => "HMAC_MD5_96",
            Self::HmacSha1_96 => "HMAC_SHA1_96",
            Self::HmacSha256_128 => "HMAC_SHA2_256_128",
            Self::HmacSha256_96 => "HMAC_SHA2_256_96",
            Self::HmacSha384_192 => "HMAC_SHA2_384_192",
            Self::HmacSha512_256 => "HMAC_SHA2_512_256",
        }
    }
}

/// An encryption and an integrity algorithm that go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Suite {
    cipher: Cipher,
    integrity: Option<Integrity>,
}

impl Suite {
    /// `integrity` is none for AES-GCM, and only then.
    ///
    /// # Errors
    /// [`SaError::BadSuite`].
    pub fn new(cipher: Cipher, integrity: Option<Integrity>) -> Result<Self, SaError> {
        if cipher.is_aead() == integrity.is_some() {
            return Err(SaError::BadSuite);
        }
        Ok(Self { cipher, integrity })
    }

    /// The encryption algorithm.
    #[must_use]
    pub fn cipher(self) -> Cipher {
        self.cipher
    }

    /// The integrity algorithm; none for AES-GCM.
    #[must_use]
    pub fn integrity(self) -> Option<Integrity> {
        self.integrity
    }

    /// Bytes of ICV.
    #[must_use]
    pub fn icv_length(self) -> usize {
        self.integrity.map_or(16, Integrity::icv_length)
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.cipher.name())?;
        match self.integrity {
            Some(integrity) => write!(f, "/{}", integrity.name()),
            None => Ok(()),
        }
    }
}

/// What of a suite every packet needs to know.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// Bytes of header and IV.
    pub(crate) head: usize,
    /// Bytes of ICV.
    pub(crate) icv: usize,
    /// What the text is padded to a multiple of, a power of two.
    pub(crate) alignment: usize,
    pub(crate) aead: bool,
}

impl Shape {
    pub(crate) fn new(suite: Suite) -> Self {
        Self {
            head: HEADER + suite.cipher.iv_length(),
            icv: suite.icv_length(),
            alignment: suite.cipher.alignment(),
            aead: suite.cipher.is_aead(),
        }
    }

    /// Header and IV, text, and ICV of a packet that is as long.
    pub(crate) fn split<'b>(
        &self,
        packet: &'b mut [u8],
    ) -> (&'b mut [u8], &'b mut [u8], &'b mut [u8]) {
        let (head, rest) = packet.split_at_mut(self.head);
        let (text, icv) = rest.split_at_mut(rest.len() - self.icv);
        (head, text, icv)
    }
}

impl Cipher {
    pub(crate) fn check_key(self, key: &[u8]) -> Result<(), SaError> {
        check(self.name(), self.key_length(), key)
    }
}

impl Integrity {
    pub(crate) fn check_key(self, key: &[u8]) -> Result<(), SaError> {
        check(self.name(), self.key_length(), key)
    }
}

fn check(algorithm: &'static str, needed: usize, key: &[u8]) -> Result<(), SaError> {
    if key.len() == needed {
        return Ok(());
    }
    Err(SaError::KeyLength {
        algorithm,
        needed,
        given: key.len(),
    })
}
