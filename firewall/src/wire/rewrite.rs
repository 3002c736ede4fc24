//! Translation of a packet in place.

use super::{Body, Packet, put, word};
use crate::checksum;
use std::net::{IpAddr, Ipv4Addr};

/// Which end of a packet to rewrite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Source,
    Destination,
}

/// Rewrites one end's IPv4 address and port and mends the checksums in place. `view` is the
/// packet's parsed form, kept in step.
pub(crate) fn rewrite(bytes: &mut [u8], view: &mut Packet, end: End, address: Ipv4Addr, port: u16) {
    let (old, old_port, at, port_at) = match end {
        End::Source => (view.source, view.source_port, 12, 0),
        End::Destination => (view.destination, view.destination_port, 16, 2_usize),
    };
    let IpAddr::V4(old) = old else { return };
    let ([old_high, old_low], [high, low]) = (words(old), words(address));
    put(bytes, at, high);
    put(bytes, at.saturating_add(2), low);
    mend(bytes, 10, &[old_high, old_low], &[high, low]);
    let transport = view.transport;
    let field = |at: usize| transport.saturating_add(at);
    let (old, new) = ([old_high, old_low, old_port], [high, low, port]);
    match view.body {
        Body::Udp => {
            put(bytes, field(port_at), port);
            // No checksum stays none; one that comes out as 0 is sent as all ones (RFC 768).
            if word(bytes, field(6)) != Some(0) {
                mend(bytes, field(6), &old, &new);
                if word(bytes, field(6)) == Some(0) {
                    put(bytes, field(6), 0xffff);
                }
            }
        }
        Body::Tcp(_) => {
            put(bytes, field(port_at), port);
            mend(bytes, field(16), &old, &new);
        }
        Body::Query { request } if request == (end == End::Source) => {
            put(bytes, field(4), port);
            mend(bytes, field(2), &[old_port], &[port]);
        }
        Body::Query { .. } | Body::Error { .. } | Body::LinkLocal | Body::Other => {}
    }
    match end {
        End::Source => (view.source, view.source_port) = (IpAddr::V4(address), port),
        End::Destination => {
            (view.destination, view.destination_port) = (IpAddr::V4(address), port);
        }
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

fn words(address: Ipv4Addr) -> [u16; 2] {
    let [a, b, c, d] = address.octets();
    [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])]
}

pub(super) fn mend(bytes: &mut [u8], at: usize, old: &[u16], new: &[u16]) {
    if let Some(sum) = word(bytes, at) {
        put(bytes, at, checksum::update(sum, old, new));
    }
}
