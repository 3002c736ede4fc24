use super::{Malformed, finish};
use nom::Parser;
use nom::bytes::complete::take;
use nom::number::complete::{be_u8, be_u16};

pub(crate) const SA: u8 = 1;
pub(crate) const PROPOSAL: u8 = 2;
pub(crate) const TRANSFORM: u8 = 3;
pub(crate) const KEY_EXCHANGE: u8 = 4;
pub(crate) const IDENTIFICATION: u8 = 5;
pub(crate) const HASH: u8 = 8;
pub(crate) const NONCE: u8 = 10;
pub(crate) const NOTIFICATION: u8 = 11;
pub(crate) const DELETE: u8 = 12;
pub(crate) const VENDOR_ID: u8 = 13;
pub(crate) const FRAGMENT: u8 = 132;

/// Protocol numbers of proposals, notifications and deletes (RFC 2407 section 4.4.1).
pub(crate) const PROTO_ISAKMP: u8 = 1;
pub(crate) const PROTO_AH: u8 = 2;
pub(crate) const PROTO_ESP: u8 = 3;

/// Payloads in one message at most; Apple sends about 15, with NAT-D and notifications 20.
const MAX_PAYLOADS: usize = 64;

/// One payload: its type and what follows the generic header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Payload<'a> {
    pub(crate) kind: u8,
    pub(crate) body: &'a [u8],
    /// Where the payload after this one starts, in the message body.
    pub(crate) end: usize,
}

/// All payloads of a message.
#[derive(Debug, Clone)]
pub(crate) struct Message<'a> {
    payloads: Vec<Payload<'a>>,
}

impl<'a> Message<'a> {
    /// Walks the chain; what follows its end is padding.
    pub(crate) fn parse(first: u8, body: &'a [u8]) -> Result<Self, Malformed> {
        let mut payloads = Vec::new();
        let mut rest = body;
        let mut kind = first;
        while kind != 0 {
            if payloads.len() >= MAX_PAYLOADS {
                return Err(Malformed::Payloads);
            }
            let (after, (next, content)) = generic(rest)?;
            let end = body.len().saturating_sub(after.len());
            payloads.push(Payload {
                kind,
                body: content,
                end,
            });
            rest = after;
            kind = next;
        }
        Ok(Self { payloads })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Payload<'a>> {
        self.payloads.iter()
    }

    pub(crate) fn all(&self, kind: u8) -> impl Iterator<Item = &'a [u8]> {
        self.payloads
            .iter()
            .filter(move |p| p.kind == kind)
            .map(|p| p.body)
    }

    /// The payload of a type that must be there exactly once.
    pub(crate) fn only(&self, kind: u8) -> Option<&'a [u8]> {
        let mut all = self.all(kind);
        let first = all.next()?;
        all.next().is_none().then_some(first)
    }

    pub(crate) fn first(&self) -> Option<&Payload<'a>> {
        self.payloads.first()
    }

    /// Length of the whole chain, without padding.
    pub(crate) fn len(&self) -> usize {
        self.payloads.last().map_or(0, |p| p.end)
    }
}

/// What remains, the next payload type, the content.
type Generic<'a> = (&'a [u8], (u8, &'a [u8]));

/// Reads a generic payload header and its content.
pub(super) fn generic(input: &[u8]) -> Result<Generic<'_>, Malformed> {
    let (rest, (next, _reserved, length)) = finish((be_u8, be_u8, be_u16).parse(input))?;
    let length = usize::from(length)
        .checked_sub(4)
        .ok_or(Malformed::Length)?;
    let (rest, content) = finish(take(length).parse(rest))?;
    Ok((rest, (next, content)))
}
