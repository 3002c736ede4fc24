//! Translation of a packet in place.

use super::{Body, Packet, Protocol, put, word};
use crate::checksum;
use crate::flow::{Ends, EndsV4};
use std::net::{IpAddr, Ipv4Addr};

/// Rewrites an IPv4 packet's source and destination, each with its port, and mends the checksums
/// in place, each once. `view` is the packet's parsed form, kept in step.
pub(crate) fn rewrite(
    bytes: &mut [u8],
    view: &mut Packet,
    source: Option<(Ipv4Addr, u16)>,
    destination: Option<(Ipv4Addr, u16)>,
) {
    let (mut addresses, mut ports) = (Change::default(), Change::default());
    let transport = view.transport;
    let field = |at: usize| transport.saturating_add(at);
    if let (Some((address, port)), IpAddr::V4(old)) = (source, view.source) {
        addresses.of(old, address);
        put_address(bytes, 12, address);
        if view.has_port(true) {
            ports.word(view.source_port, port);
            put(bytes, field(if view.is_query() { 4 } else { 0 }), port);
        }
        (view.source, view.source_port) = (IpAddr::V4(address), port);
    }
    if let (Some((address, port)), IpAddr::V4(old)) = (destination, view.destination) {
        addresses.of(old, address);
        put_address(bytes, 16, address);
        if view.has_port(false) {
            ports.word(view.destination_port, port);
            put(bytes, field(if view.is_query() { 4 } else { 2 }), port);
        }
        (view.destination, view.destination_port) = (IpAddr::V4(address), port);
    }
    if addresses == Change::default() {
        return;
    }
    addresses.mend(bytes, 10);
    match view.body {
        Body::Udp => addresses.and(ports).mend_udp(bytes, field(6)),
        Body::Tcp(_) => addresses.and(ports).mend(bytes, field(16)),
        Body::Query { .. } if ports != Change::default() => ports.mend(bytes, field(2)),
        Body::Query { .. } | Body::Error { .. } | Body::LinkLocal | Body::Other => {}
    }
}

/// [`rewrite`] of UDP or TCP behind an IPv4 header without options.
#[inline(always)]
pub(crate) fn rewrite_plain(bytes: &mut [u8], protocol: Protocol, old: EndsV4, new: EndsV4) {
    let Some(header) = bytes.first_chunk_mut::<28>() else {
        return;
    };
    // What stays as it was adds 0xffff, which is nothing.
    let addresses = words(!old.addresses()).wrapping_add(words(new.addresses()));
    let ports = words((!old.ports()).into()).wrapping_add(words(new.ports().into()));
    let both = Change(addresses.wrapping_add(ports));
    #[rustfmt::skip]
    let [
        .., sum_0, sum_1, s0, s1, s2, s3, d0, d1, d2, d3, p0, p1, q0, q1, _, _, udp_0, udp_1,
    ] = header;
    [*sum_0, *sum_1] = Change(addresses).applied([*sum_0, *sum_1]);
    [*s0, *s1, *s2, *s3, *d0, *d1, *d2, *d3] = new.addresses().to_be_bytes();
    [*p0, *p1, *q0, *q1] = new.ports().to_be_bytes();
    match protocol {
        Protocol::UDP => [*udp_0, *udp_1] = both.applied_udp([*udp_0, *udp_1]),
        _ => both.mend(bytes, 36),
    }
}

/// The sum of the four words of `bits`.
#[allow(clippy::cast_possible_truncation, reason = "the halves' sum is small")]
fn words(bits: u64) -> u32 {
    let halves = (bits & EVERY_OTHER).wrapping_add(bits >> 16 & EVERY_OTHER);
    (halves.wrapping_add(halves >> 32) & 0xffff_ffff) as u32
}

const EVERY_OTHER: u64 = 0x0000_ffff_0000_ffff;

impl Packet {
    fn is_query(&self) -> bool {
        matches!(self.body, Body::Query { .. })
    }

    /// Whether this end has a port in the packet; of a query's ends, one has its identifier.
    fn has_port(&self, source: bool) -> bool {
        match self.body {
            Body::Udp | Body::Tcp(_) => true,
            Body::Query { request } => request == source,
            Body::Error { .. } | Body::LinkLocal | Body::Other => false,
        }
    }
}

/// What a checksum has to take in: ~m + m' for each word (RFC 1624 equation 3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Change(u32);

impl Change {
    fn word(&mut self, old: u16, new: u16) {
        let change = u32::from(!old).saturating_add(new.into());
        self.0 = self.0.saturating_add(change);
    }

    fn of(&mut self, old: Ipv4Addr, new: Ipv4Addr) {
        let change = words((!old.to_bits()).into()).wrapping_add(words(new.to_bits().into()));
        self.0 = self.0.saturating_add(change);
    }

    fn and(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    fn applied(self, sum: [u8; 2]) -> [u8; 2] {
        checksum::change(u16::from_be_bytes(sum), self.0).to_be_bytes()
    }

    /// No checksum stays none; one that comes out as 0 is sent as all ones (RFC 768).
    fn applied_udp(self, sum: [u8; 2]) -> [u8; 2] {
        match sum {
            [0, 0] => sum,
            _ => match self.applied(sum) {
                [0, 0] => [0xff; 2],
                sum => sum,
            },
        }
    }

    fn mend(self, bytes: &mut [u8], at: usize) {
        if let Some(sum) = word(bytes, at) {
            put(bytes, at, checksum::change(sum, self.0));
        }
    }

    fn mend_udp(self, bytes: &mut [u8], at: usize) {
        if let Some(sum) = word(bytes, at) {
            put(
                bytes,
                at,
                u16::from_be_bytes(self.applied_udp(sum.to_be_bytes())),
            );
        }
    }
}

fn put_address(bytes: &mut [u8], at: usize, address: Ipv4Addr) {
    if let Some(space) = bytes
        .get_mut(at..)
        .and_then(|rest| rest.first_chunk_mut::<4>())
    {
        *space = address.octets();
    }
}

/// Recomputes the checksum of an ICMP message of which the quoted packet has changed.
pub(crate) fn mend_icmp(bytes: &mut [u8], view: &Packet) {
    let at = view.transport.saturating_add(2);
    put(bytes, at, 0);
    if let Some(message) = bytes.get(view.transport..view.end) {
        let sum = checksum::compute(message);
        put(bytes, at, sum);
    }
}

/// Gives an IPv4 fragment another identification (RFC 6864 section 5.3.1).
pub(crate) fn set_identification(bytes: &mut [u8], new: u16) {
    if let Some(old) = word(bytes, 4) {
        put(bytes, 4, new);
        mend(bytes, 10, &[old], &[new]);
    }
}

/// Cuts an IPv4 packet into fragments of at most `mtu` bytes (RFC 791 section 3.2).
pub(crate) fn fragment(bytes: &[u8], view: &Packet, mtu: u16) -> Vec<Vec<u8>> {
    let Some((header, data)) = bytes
        .get(..view.end)
        .and_then(|packet| packet.split_at_checked(view.transport))
    else {
        return Vec::new();
    };
    let room = usize::from(mtu).saturating_sub(header.len()) & !7;
    if room == 0 {
        return Vec::new();
    }
    let old = word(header, 6).unwrap_or(0);
    let (offset, more) = (old & 0x1fff, old & 0x2000);
    let count = data.len().div_ceil(room);
    let pieces = data.chunks(room).enumerate().map(|(n, piece)| {
        let mut packet = header.to_vec();
        packet.extend_from_slice(piece);
        let before = n.saturating_mul(room) / 8;
        let at = offset.saturating_add(u16::try_from(before).unwrap_or(0));
        let last = n.saturating_add(1) == count;
        let more = if last { more } else { 0x2000 };
        let length = u16::try_from(packet.len()).unwrap_or(u16::MAX);
        put(&mut packet, 2, length);
        put(&mut packet, 6, at | more);
        put(&mut packet, 10, 0);
        let sum = checksum::compute(packet.get(..header.len()).unwrap_or_default());
        put(&mut packet, 10, sum);
        packet
    });
    pieces.collect()
}

pub(super) fn mend(bytes: &mut [u8], at: usize, old: &[u16], new: &[u16]) {
    if let Some(sum) = word(bytes, at) {
        put(bytes, at, checksum::update(sum, old, new));
    }
}
