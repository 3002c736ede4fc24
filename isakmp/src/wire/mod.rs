//! ISAKMP on the wire (RFC 2408 section 3, RFC 2407 section 4.6): borrowed views and encoders.
#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects
)]

mod attribute;
mod encode;
mod header;
mod id;
mod notify;
pub(crate) mod payload;
mod sa;

pub(crate) use attribute::{Attributes, tlv, tv};
pub(crate) use encode::{Chain, ProposalOut, sa_payload, transform};
pub(crate) use header::{ExchangeType, Flags, HEADER_LEN, Header};
pub use id::Identity;
pub(crate) use notify::{Delete, Notify, delete_payload, notify_payload};
pub(crate) use payload::{Message, PROTO_AH, PROTO_ESP, PROTO_ISAKMP};
pub(crate) use sa::{Proposal, SaPayload, Transform};

use nom::IResult;

/// Why bytes are no ISAKMP message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Malformed {
    Truncated,
    Length,
    Version,
    Payloads,
    Doi,
}

impl Malformed {
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::Truncated => "isakmp_truncated",
            Self::Length => "isakmp_length",
            Self::Version => "isakmp_version",
            Self::Payloads => "isakmp_too_many_payloads",
            Self::Doi => "isakmp_doi",
        }
    }
}

type Parsed<'a, T> = IResult<&'a [u8], T, ()>;

/// Any failure of nom here is that bytes are missing.
fn finish<T>(result: Parsed<'_, T>) -> Result<(&[u8], T), Malformed> {
    result.map_err(|_| Malformed::Truncated)
}
