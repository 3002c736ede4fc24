//! A door for benchmarks to the parser, which is no part of the API.

use crate::config::Config;
use crate::select::phase1_offers;
use crate::vendor::Capabilities;
use crate::wire::{Header, Message, SaPayload, payload};

/// Reads a first message of main mode entirely: header, payloads, proposals with their attributes,
/// vendor IDs. Gives how many transforms were understood, and whether there is NAT traversal.
#[must_use]
pub fn parse_first_message(config: &Config, message: &[u8]) -> Option<(usize, bool)> {
    let (header, body) = Header::parse(message).ok()?;
    let message = Message::parse(header.next_payload, body).ok()?;
    let sa = SaPayload::parse(message.only(payload::SA)?).ok()?;
    let found = Capabilities::read(message.all(payload::VENDOR_ID), config);
    Some((phase1_offers(&sa).len(), found.dialect.is_some()))
}
