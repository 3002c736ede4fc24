//! ICMP errors: their checksums, and new ones (RFC 792, RFC 4443).

use super::{Packet, Protocol, put};
use crate::checksum;
use std::net::IpAddr;

/// An error that a router tells the sender of a packet it could not pass on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum IcmpError {
    /// Too long for the next link, whose MTU in bytes is given: fragmentation needed
    /// (RFC 1191 section 4), or packet too big (RFC 4443 section 3.2).
    TooBig(u16),
    /// No route to the destination.
    NoRoute,
    /// Communication administratively prohibited (RFC 1812 section 5.2.7.1, RFC 5508 REQ-8).
    Prohibited,
    /// Nobody listens on the port.
    PortUnreachable,
    /// Time to live exceeded in transit.
    TimeExceeded,
}

impl IcmpError {
    /// Type, code and second word.
    fn header(self, v4: bool) -> [u8; 8] {
        let (kind, code) = match (self, v4) {
            (Self::TooBig(_), true) => (3, 4),
            (Self::NoRoute, true) => (3, 0),
            (Self::Prohibited, true) => (3, 13),
            (Self::PortUnreachable, true) => (3, 3),
            (Self::TimeExceeded, true) => (11, 0),
            (Self::TooBig(_), false) => (2, 0),
            (Self::NoRoute, false) => (1, 0),
            (Self::Prohibited, false) => (1, 1),
            (Self::PortUnreachable, false) => (1, 4),
            (Self::TimeExceeded, false) => (3, 0),
        };
        let [high, low] = match self {
            Self::TooBig(mtu) => mtu.to_be_bytes(),
            _ => [0, 0],
        };
        [kind, code, 0, 0, 0, 0, high, low]
    }
}

/// RFC 1812 section 4.3.2.3: as much as possible without exceeding 576 bytes in all.
const MAX_V4: usize = 576;
/// RFC 4443 section 2.4 (c).
const MAX_V6: usize = 1280;

/// An ICMP error from `router` to the source of `original`; none if the families differ.
pub(crate) fn build_error(
    router: IpAddr,
    original: &[u8],
    view: &Packet,
    error: IcmpError,
) -> Option<Vec<u8>> {
    let quoted = original.get(..view.end)?;
    let mut packet = Vec::new();
    match (router, view.source) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let quoted = quoted.get(..quoted.len().min(MAX_V4.saturating_sub(28)))?;
            // Precedence as RFC 1812 section 4.3.2.5 wants it: internetwork control.
            packet.extend([0x45, 0xc0, 0, 0, 0, 0, 0, 0, 64, Protocol::ICMP.0, 0, 0]);
            packet.extend(from.octets());
            packet.extend(to.octets());
            packet.extend(error.header(true));
            packet.extend_from_slice(quoted);
            let length = u16::try_from(packet.len()).ok()?;
            put(&mut packet, 2, length);
            let sum = checksum::compute(packet.get(..20)?);
            put(&mut packet, 10, sum);
            let sum = checksum::compute(packet.get(20..)?);
            put(&mut packet, 22, sum);
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let quoted = quoted.get(..quoted.len().min(MAX_V6.saturating_sub(48)))?;
            let length = u16::try_from(quoted.len().checked_add(8)?).ok()?;
            packet.extend([0x60, 0, 0, 0]);
            packet.extend(length.to_be_bytes());
            packet.extend([Protocol::ICMPV6.0, 64]);
            packet.extend(from.octets());
            packet.extend(to.octets());
            packet.extend(error.header(false));
            packet.extend_from_slice(quoted);
            let sum = sum_v6(&packet, 40)?;
            put(&mut packet, 42, sum);
        }
        _ => return None,
    }
    Some(packet)
}

/// Whether an ICMP message's own checksum is right, and the header checksum of the IPv4 packet
/// it quotes (RFC 5508 REQ-3).
pub(crate) fn checksum_is_right(bytes: &[u8], view: &Packet, quoted: usize) -> bool {
    let message = bytes.get(view.transport..view.end);
    if !view.is_v4() {
        return bytes
            .get(..view.end)
            .and_then(|packet| sum_v6(packet, view.transport))
            == Some(0);
    }
    let header = bytes.get(quoted..).and_then(|inner| {
        let size = usize::from(inner.first()? & 0x0f).checked_mul(4)?;
        inner.get(..size)
    });
    message.is_some_and(|m| checksum::compute(m) == 0)
        && header.is_some_and(|h| checksum::compute(h) == 0)
}

/// The checksum of ICMPv6 with its pseudo-header (RFC 8200 section 8.1).
fn sum_v6(packet: &[u8], transport: usize) -> Option<u16> {
    let message = packet.get(transport..)?;
    let mut pseudo = [0; 40];
    let (addresses, rest) = pseudo.split_at_mut_checked(32)?;
    addresses.copy_from_slice(packet.get(8..40)?);
    let length = u32::try_from(message.len()).ok()?.to_be_bytes();
    rest.copy_from_slice(&[length, [0, 0, 0, Protocol::ICMPV6.0]].concat());
    // One's complement sums add up: the message goes on where the pseudo-header ends.
    Some(checksum::update(
        checksum::compute(message),
        &[],
        &[!checksum::compute(&pseudo)],
    ))
}
