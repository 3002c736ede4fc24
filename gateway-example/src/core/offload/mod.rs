//! Segmentation offload of the unencrypted side: one system call for many packets.
//!
//! The system hands out TCP and UDP payloads of up to 64 KiB under one header, which [`Segments`]
//! cuts, and takes such, which [`coalesce`] joins.

mod coalesce;
mod segments;

pub use coalesce::{MOST, Merged, coalesce};
pub use segments::{BadOffload, Segments};

/// What has yet to be done with a packet of the unencrypted side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Offload {
    /// Bytes of payload of each packet to cut it into; zero if it is one packet.
    pub segment: u16,
    /// Where the transport header begins, and where in it the checksum is to be put; none if it is
    /// there already.
    pub checksum: Option<(u16, u16)>,
}

/// Where TCP's checksum lies in its header.
pub const TCP_CHECKSUM: u16 = 16;
/// Where UDP's checksum lies in its header.
pub const UDP_CHECKSUM: u16 = 6;
/// IP's number for TCP.
const PROTOCOL_TCP: u8 = 6;
/// IP's number for UDP.
const PROTOCOL_UDP: u8 = 17;

/// TCP's flags (RFC 9293 section 3.1, RFC 3168).
mod flags {
    pub(super) const FIN: u8 = 0x01;
    pub(super) const PSH: u8 = 0x08;
    pub(super) const ACK: u8 = 0x10;
    pub(super) const CWR: u8 = 0x80;
}

/// Source and destination in an IP header.
fn addresses(packet: &[u8]) -> &[u8] {
    let range = if is_v6(packet) { 8..40 } else { 12..20 };
    packet.get(range).unwrap_or_default()
}

fn is_v6(packet: &[u8]) -> bool {
    packet.first().is_some_and(|first| first >> 4 == 6)
}

fn word(packet: &[u8], at: usize) -> Option<u16> {
    let bytes = packet.get(at..)?.first_chunk::<2>()?;
    Some(u16::from_be_bytes(*bytes))
}

fn long(packet: &[u8], at: usize) -> Option<u32> {
    let bytes = packet.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_be_bytes(*bytes))
}

fn put<const N: usize>(packet: &mut [u8], at: usize, bytes: [u8; N]) {
    if let Some(to) = packet.get_mut(at..).and_then(|p| p.first_chunk_mut()) {
        *to = bytes;
    }
}

/// Writes the length of an IP packet into its header; `added` goes to IPv4's identification.
fn set_length(packet: &mut [u8], length: usize, added: u16) {
    if is_v6(packet) {
        let payload = u16::try_from(length.saturating_sub(40)).unwrap_or(u16::MAX);
        return put(packet, 4, payload.to_be_bytes());
    }
    let length = u16::try_from(length).unwrap_or(u16::MAX);
    put(packet, 2, length.to_be_bytes());
    let identification = word(packet, 4).unwrap_or(0).wrapping_add(added);
    put(packet, 4, identification.to_be_bytes());
    put(packet, 10, [0, 0]);
    let header = usize::from(packet.first().map_or(0, |first| first & 0x0f)) * 4;
    let sum = crate::checksum::checksum(packet.get(..header).unwrap_or_default());
    put(packet, 10, sum.to_be_bytes());
}
