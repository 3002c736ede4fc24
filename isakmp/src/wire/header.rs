use super::{Malformed, finish};
use nom::Parser;
use nom::number::complete::{be_u8, be_u32, be_u64};

/// Length of the ISAKMP header in bytes (RFC 2408 section 3.1).
pub(crate) const HEADER_LEN: usize = 28;
const VERSION: u8 = 0x10;

/// Exchange types we know (RFC 2408 section 3.1, RFC 2409 appendix A).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExchangeType {
    Main,
    Aggressive,
    Informational,
    Quick,
    Other(u8),
}

impl ExchangeType {
    const fn from_byte(byte: u8) -> Self {
        match byte {
            2 => Self::Main,
            4 => Self::Aggressive,
            5 => Self::Informational,
            32 => Self::Quick,
            other => Self::Other(other),
        }
    }

    const fn byte(self) -> u8 {
        match self {
            Self::Main => 2,
            Self::Aggressive => 4,
            Self::Informational => 5,
            Self::Quick => 32,
            Self::Other(other) => other,
        }
    }
}

/// The flags byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Flags(u8);

impl Flags {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const ENCRYPTED: Self = Self(1);

    pub(crate) const fn encrypted(self) -> bool {
        self.0 & 1 != 0
    }
}

/// The ISAKMP header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) initiator_cookie: [u8; 8],
    pub(crate) responder_cookie: [u8; 8],
    pub(crate) next_payload: u8,
    pub(crate) exchange: ExchangeType,
    pub(crate) flags: Flags,
    pub(crate) message_id: u32,
}

impl Header {
    /// Parses a message; its body is what the length field covers.
    pub(crate) fn parse(message: &[u8]) -> Result<(Self, &[u8]), Malformed> {
        let fields = (be_u64, be_u64, be_u8, be_u8, be_u8, be_u8, be_u32, be_u32);
        let (
            body,
            (initiator, responder, next_payload, version, exchange, flags, message_id, length),
        ) = finish({ fields }.parse(message))?;
        if version & 0xf0 != VERSION {
            return Err(Malformed::Version);
        }
        let length = usize::try_from(length)
            .ok()
            .and_then(|l| l.checked_sub(HEADER_LEN))
            .ok_or(Malformed::Length)?;
        // Trailing bytes are left alone: some peers pad the datagram.
        let body = body.get(..length).ok_or(Malformed::Length)?;
        let header = Self {
            initiator_cookie: initiator.to_be_bytes(),
            responder_cookie: responder.to_be_bytes(),
            next_payload,
            exchange: ExchangeType::from_byte(exchange),
            flags: Flags(flags),
            message_id,
        };
        Ok((header, body))
    }

    /// The message with this header and `body`.
    pub(crate) fn encode(&self, body: &[u8]) -> Vec<u8> {
        let length = HEADER_LEN.saturating_add(body.len());
        let mut out = Vec::with_capacity(length);
        out.extend_from_slice(&self.initiator_cookie);
        out.extend_from_slice(&self.responder_cookie);
        out.extend_from_slice(&[
            self.next_payload,
            VERSION,
            self.exchange.byte(),
            self.flags.0,
        ]);
        out.extend_from_slice(&self.message_id.to_be_bytes());
        out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
        out.extend_from_slice(body);
        out
    }
}
