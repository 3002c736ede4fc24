//! The hot path: the protocol field before a packet (RFC 1661 section 2).

use crate::Error;
use crate::wire::{ALL_STATIONS, Protocol, UNNUMBERED_INFORMATION};
use std::ops::Range;

/// Bytes that [`Link::encapsulate`](crate::Link::encapsulate) puts before a packet at most.
pub const MAX_HEADER: usize = 4;

/// What is inside a network-layer packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkProtocol {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

/// The protocol of a frame and where its information field lies.
///
/// Address and control, and a protocol field of one byte, are taken whether negotiated or not:
/// peers differ, and there is no ambiguity.
pub(crate) fn parse(buf: &[u8], frame: Range<usize>) -> Result<(Protocol, Range<usize>), Error> {
    let bytes = buf.get(frame.clone()).ok_or(Error::Short("frame"))?;
    let mut start = frame.start;
    let rest = match bytes {
        [ALL_STATIONS, UNNUMBERED_INFORMATION, rest @ ..] => {
            start += 2;
            rest
        }
        rest => rest,
    };
    match rest {
        [low, ..] if low & 1 == 1 => Ok((Protocol(u16::from(*low)), start + 1..frame.end)),
        [high, low, ..] => Ok((
            Protocol(u16::from_be_bytes([*high, *low])),
            start + 2..frame.end,
        )),
        _ => Err(Error::Short("protocol field")),
    }
}

/// Puts a header before `packet`, compressed as the peer allowed.
pub(crate) fn prepend(
    buf: &mut [u8],
    packet: Range<usize>,
    protocol: Protocol,
    compress_address: bool,
    compress_protocol: bool,
) -> Result<Range<usize>, Error> {
    let [high, low] = protocol.0.to_be_bytes();
    let full = [ALL_STATIONS, UNNUMBERED_INFORMATION, high, low];
    let short = [ALL_STATIONS, UNNUMBERED_INFORMATION, low];
    let header: &[u8] = if compress_protocol && high == 0 && low & 1 == 1 {
        &short
    } else {
        &full
    };
    let header = if compress_address {
        header.get(2..).unwrap_or_default()
    } else {
        header
    };
    let start = packet
        .start
        .checked_sub(header.len())
        .ok_or(Error::NoHeadroom)?;
    buf.get_mut(start..packet.start)
        .ok_or(Error::NoHeadroom)?
        .copy_from_slice(header);
    Ok(start..packet.end)
}
