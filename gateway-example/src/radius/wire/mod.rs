//! RADIUS packets as bytes (RFC 2865 section 3): no state, no secrets kept.

mod attribute;
mod authenticator;
mod encode;
mod microsoft;
#[cfg(test)]
mod tests;

pub use attribute::{Attributes, kind};
pub use authenticator::{hide_password, verify_reply, verify_request};
pub use encode::Encoder;
pub use microsoft::{MsChapError, ms};

use super::Error;

/// Code, identifier, length and authenticator.
pub const HEADER: usize = 20;
/// A longer packet is none (RFC 2865 section 3).
pub const MAX_PACKET: usize = 4096;
/// Bytes of an attribute's value at most.
pub const MAX_VALUE: usize = 253;

/// What a packet is for (RFC 2865 section 4, RFC 2866 section 4, RFC 5176 section 2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Code(pub u8);

impl Code {
    /// Access-Request.
    pub const ACCESS_REQUEST: Self = Self(1);
    /// Access-Accept.
    pub const ACCESS_ACCEPT: Self = Self(2);
    /// Access-Reject.
    pub const ACCESS_REJECT: Self = Self(3);
    /// Accounting-Request.
    pub const ACCOUNTING_REQUEST: Self = Self(4);
    /// Accounting-Response.
    pub const ACCOUNTING_RESPONSE: Self = Self(5);
    /// Access-Challenge.
    pub const ACCESS_CHALLENGE: Self = Self(11);
    /// Disconnect-Request.
    pub const DISCONNECT_REQUEST: Self = Self(40);
    /// Disconnect-ACK.
    pub const DISCONNECT_ACK: Self = Self(41);
    /// Disconnect-NAK.
    pub const DISCONNECT_NAK: Self = Self(42);
    /// CoA-Request.
    pub const COA_REQUEST: Self = Self(43);
    /// CoA-ACK.
    pub const COA_ACK: Self = Self(44);
    /// CoA-NAK.
    pub const COA_NAK: Self = Self(45);
}

/// A packet whose lengths are right; nothing of it is authenticated yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// What it is.
    pub code: Code,
    /// Matches replies to requests.
    pub id: u8,
    /// Request Authenticator or Response Authenticator.
    pub authenticator: [u8; 16],
    /// In the order sent.
    pub attributes: Attributes<'a>,
    /// All of it, without padding.
    bytes: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads a packet; bytes behind its length are padding (RFC 2865 section 3).
    ///
    /// # Errors
    /// Which length is wrong.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, Error> {
        let Some((&[code, id, high, low], rest)) = datagram.split_first_chunk::<4>() else {
            return Err(Error::Short);
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if !(HEADER..=MAX_PACKET).contains(&length) {
            return Err(Error::BadLength);
        }
        let bytes = datagram.get(..length).ok_or(Error::Short)?;
        let authenticator = rest.first_chunk::<16>().ok_or(Error::Short)?;
        let attributes = bytes.get(HEADER..).ok_or(Error::Short)?;
        Ok(Self {
            code: Code(code),
            id,
            authenticator: *authenticator,
            attributes: Attributes::parse(attributes)?,
            bytes,
        })
    }

    /// All of it, without padding.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}
