use super::authenticator::{hmac_md5, packet_md5};
use super::{Attributes, Code, HEADER, MAX_PACKET, MAX_VALUE, kind};
use std::net::Ipv4Addr;
use zeroize::Zeroizing;

/// Attributes being written, and at the end the packet around them.
///
/// The Message-Authenticator always comes first: it must lie before anything that an attacker
/// can choose (CVE-2024-3596).
#[derive(Clone, Default)]
pub struct Encoder {
    attributes: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Encoder({} bytes)", self.attributes.len())
    }
}

/// Type, length and value of the Message-Authenticator.
const MESSAGE_AUTHENTICATOR: usize = 18;

impl Encoder {
    /// No attributes yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an attribute, unless its value is empty or too long, or the packet is full.
    pub fn bytes(&mut self, kind: u8, value: &[u8]) -> &mut Self {
        let room = MAX_PACKET - HEADER - MESSAGE_AUTHENTICATOR;
        let length = value.len().saturating_add(2);
        if let (1..=MAX_VALUE, Ok(length_byte)) = (value.len(), u8::try_from(length))
            && self.attributes.len().saturating_add(length) <= room
        {
            self.attributes.extend([kind, length_byte]);
            self.attributes.extend(value);
        }
        self
    }

    /// Adds a text, cut to what fits.
    pub fn text(&mut self, kind: u8, value: &str) -> &mut Self {
        let end = value.floor_char_boundary(MAX_VALUE);
        self.bytes(kind, value.get(..end).unwrap_or_default().as_bytes())
    }

    /// Adds an integer.
    pub fn integer(&mut self, kind: u8, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// Adds an IPv4 address.
    pub fn address(&mut self, kind: u8, value: Ipv4Addr) -> &mut Self {
        self.bytes(kind, &value.octets())
    }

    /// Adds a Vendor-Specific attribute in the customary form (RFC 2865 section 5.26).
    pub fn vendor(&mut self, vendor: u32, kind: u8, value: &[u8]) -> &mut Self {
        let Ok(length) = u8::try_from(value.len().saturating_add(2)) else {
            return self;
        };
        let mut whole = Zeroizing::new(vendor.to_be_bytes().to_vec());
        whole.extend([kind, length]);
        whole.extend(value);
        self.bytes(kind::VENDOR_SPECIFIC, &whole)
    }

    /// Adds attributes written elsewhere.
    pub fn append(&mut self, other: &Self) -> &mut Self {
        if let Ok(attributes) = Attributes::parse(&other.attributes) {
            for (kind, value) in attributes.iter() {
                self.bytes(kind, value);
            }
        }
        self
    }

    /// A request whose authenticator is random: an Access-Request.
    #[must_use]
    pub fn access_request(&self, id: u8, authenticator: &[u8; 16], secret: &[u8]) -> Vec<u8> {
        self.packet(Code::ACCESS_REQUEST, id, authenticator, secret)
    }

    /// A request whose authenticator is computed: Accounting-Request (RFC 2866 section 3),
    /// Disconnect-Request or CoA-Request (RFC 5176 section 2.3).
    #[must_use]
    pub fn signed_request(&self, code: Code, id: u8, secret: &[u8]) -> Vec<u8> {
        self.signed(code, id, &[0; 16], secret)
    }

    /// A reply to a request that had `authenticator` (RFC 2865 section 3).
    #[must_use]
    pub fn reply(&self, code: Code, id: u8, authenticator: &[u8; 16], secret: &[u8]) -> Vec<u8> {
        self.signed(code, id, authenticator, secret)
    }

    /// The packet with an authenticator over all of it.
    fn signed(&self, code: Code, id: u8, authenticator: &[u8; 16], secret: &[u8]) -> Vec<u8> {
        let mut packet = self.packet(code, id, authenticator, secret);
        sign(&mut packet, authenticator, secret);
        packet
    }

    /// The packet with its Message-Authenticator.
    fn packet(&self, code: Code, id: u8, authenticator: &[u8; 16], secret: &[u8]) -> Vec<u8> {
        let mut packet = self.header(code, id, authenticator, MESSAGE_AUTHENTICATOR);
        packet.extend([kind::MESSAGE_AUTHENTICATOR, 18]);
        packet.extend([0; 16]);
        packet.extend(self.attributes.iter());
        let mac = hmac_md5(secret, &[&packet]);
        if let Some(place) = packet.get_mut(HEADER.saturating_add(2)..)
            && let Some(place) = place.first_chunk_mut()
        {
            *place = mac;
        }
        packet
    }

    fn header(&self, code: Code, id: u8, authenticator: &[u8; 16], more: usize) -> Vec<u8> {
        let length = HEADER
            .saturating_add(more)
            .saturating_add(self.attributes.len());
        let mut packet = Vec::with_capacity(length);
        packet.extend([code.0, id]);
        packet.extend(u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
        packet.extend(authenticator);
        packet
    }

    /// A packet as old peers send it.
    #[cfg(test)]
    pub(crate) fn without_message_authenticator(
        &self,
        code: Code,
        id: u8,
        authenticator: &[u8; 16],
        secret: Option<&[u8]>,
    ) -> Vec<u8> {
        let mut packet = self.header(code, id, authenticator, 0);
        packet.extend(self.attributes.iter());
        if let Some(secret) = secret {
            sign(&mut packet, authenticator, secret);
        }
        packet
    }
}

/// Puts MD5 over the packet and the secret in the authenticator's place.
fn sign(packet: &mut [u8], authenticator: &[u8; 16], secret: &[u8]) {
    let digest = packet_md5(packet, authenticator, secret);
    if let Some(place) = packet.get_mut(4..HEADER) {
        place.copy_from_slice(&digest);
    }
}
