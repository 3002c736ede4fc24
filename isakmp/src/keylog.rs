//! Keys in the forms that Wireshark reads. Whoever has them can read the traffic.

use crate::event::ChildSa;
use crate::secret::{ChildKeys, Secret};
use crate::suite::{ChildSuite, EspCipher, EspIntegrity};
use std::net::IpAddr;

struct Hex<'a>(&'a [u8]);

impl std::fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What Wireshark needs to decrypt the messages of one ISAKMP SA.
///
/// Its Display is a line of `ikev1_decryption_table`: cookie and key in hexadecimal.
#[derive(Clone)]
pub struct KeyLogLine {
    initiator_cookie: [u8; 8],
    key: Secret,
}

impl KeyLogLine {
    pub(crate) const fn new(initiator_cookie: [u8; 8], key: Secret) -> Self {
        Self {
            initiator_cookie,
            key,
        }
    }

    /// The initiator's cookie.
    #[must_use]
    pub const fn initiator_cookie(&self) -> &[u8; 8] {
        &self.initiator_cookie
    }

    /// The encryption key, derived from `SKEYID_e`.
    #[must_use]
    pub fn encryption_key(&self) -> &[u8] {
        self.key.as_bytes()
    }
}

impl std::fmt::Display for KeyLogLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (cookie, key) = (Hex(&self.initiator_cookie), Hex(self.key.as_bytes()));
        write!(f, "{cookie},{key}")
    }
}

impl std::fmt::Debug for KeyLogLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyLogLine({} bytes)", self.key.as_bytes().len())
    }
}

/// What Wireshark needs to verify and decrypt the packets of one ESP SA.
///
/// Its Display is a line of `esp_sa`: family, outer addresses, SPI, algorithms, keys.
#[derive(Clone)]
pub struct EspKeyLogLine {
    source: IpAddr,
    destination: IpAddr,
    spi: u32,
    suite: ChildSuite,
    keys: ChildKeys,
}

impl ChildSa {
    /// The lines for packets to us and for packets to the peer.
    #[must_use]
    pub fn key_log_lines(&self) -> [EspKeyLogLine; 2] {
        let (local, remote) = (self.path.local.ip(), self.path.remote.ip());
        [
            (remote, local, self.inbound_spi, &self.inbound_keys),
            (local, remote, self.outbound_spi, &self.outbound_keys),
        ]
        .map(|(source, destination, spi, keys)| EspKeyLogLine {
            source,
            destination,
            spi,
            suite: self.suite,
            keys: keys.clone(),
        })
    }
}

impl std::fmt::Display for EspKeyLogLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (source, destination, spi) = (self.source, self.destination, self.spi);
        let family = if source.is_ipv4() { "IPv4" } else { "IPv6" };
        let (cipher, integrity) = names(self.suite);
        let encryption = Hex(self.keys.encryption());
        write!(
            f,
            r#""{family}","{source}","{destination}","0x{spi:08x}","{cipher}","0x{encryption}","{integrity}","#,
        )?;
        match self.keys.integrity() {
            [] => f.write_str(r#""""#),
            key => write!(f, r#""0x{}""#, Hex(key)),
        }
    }
}

impl std::fmt::Debug for EspKeyLogLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EspKeyLogLine({:08x}, {:?})", self.spi, self.keys)
    }
}

/// What Wireshark calls the algorithms; an unknown name makes it refuse the whole file.
const fn names(suite: ChildSuite) -> (&'static str, &'static str) {
    let cipher = match suite.cipher {
        EspCipher::Des => "DES-CBC [RFC2405]",
        EspCipher::TripleDes => "TripleDES-CBC [RFC2451]",
        EspCipher::AesCbc(_) => "AES-CBC [RFC3602]",
        EspCipher::AesGcm16(_) => "AES-GCM [RFC4106]",
    };
    let integrity = match suite.integrity {
        Some(EspIntegrity::HmacMd5_96) => "HMAC-MD5-96 [RFC2403]",
        Some(EspIntegrity::HmacSha1_96) => "HMAC-SHA-1-96 [RFC2404]",
        Some(EspIntegrity::HmacSha256_128) => "HMAC-SHA-256-128 [RFC4868]",
        Some(EspIntegrity::HmacSha256_96) => "HMAC-SHA-256-96 [draft-ietf-ipsec-ciph-sha-256-00]",
        Some(EspIntegrity::HmacSha384_192) => "HMAC-SHA-384-192 [RFC4868]",
        Some(EspIntegrity::HmacSha512_256) => "HMAC-SHA-512-256 [RFC4868]",
        None => "NULL",
    };
    (cipher, integrity)
}
