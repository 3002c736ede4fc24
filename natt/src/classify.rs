use crate::Error;
use core::ops::Range;

/// Tells IKE from ESP on the NAT traversal port: an ESP SPI is never zero (RFC 3948 section 2.2).
pub const NON_ESP_MARKER: [u8; 4] = [0; 4];

/// The one byte of a NAT keepalive (RFC 3948 section 2.3).
pub const KEEPALIVE: [u8; 1] = [0xff];

const ISAKMP_HEADER: usize = 28;
/// SPI and sequence number (RFC 4303 section 2).
const ESP_HEADER: usize = 8;

/// On which of the two ports a datagram arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PortKind {
    /// IKE alone: UDP port 500.
    Ike,
    /// IKE with a marker, ESP and keepalives: UDP port 4500.
    Natt,
}

/// What a datagram is; ranges are in the caller's buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Datagram {
    /// A NAT keepalive: to be ignored.
    Keepalive,
    /// An ISAKMP message, without the marker.
    Ike(Range<usize>),
    /// An ESP packet, from SPI to ICV.
    Esp(Range<usize>),
}

/// Says what the UDP payload at `range` of `buf` is.
///
/// # Errors
/// [`Error::TooShort`] if it is none of the three, [`Error::Range`] if it is not in the buffer.
pub fn classify(port: PortKind, buf: &[u8], range: Range<usize>) -> Result<Datagram, Error> {
    let datagram = buf.get(range.clone()).ok_or(Error::Range)?;
    if datagram == KEEPALIVE {
        return Ok(Datagram::Keepalive);
    }
    let (datagram, range, ike) = match (port, datagram.strip_prefix(&NON_ESP_MARKER)) {
        (PortKind::Ike, _) => (datagram, range, true),
        (PortKind::Natt, Some(message)) => (
            message,
            range.end.saturating_sub(message.len())..range.end,
            true,
        ),
        (PortKind::Natt, None) => (datagram, range, false),
    };
    let least = if ike { ISAKMP_HEADER } else { ESP_HEADER };
    if datagram.len() < least {
        return Err(Error::TooShort);
    }
    Ok(if ike {
        Datagram::Ike(range)
    } else {
        Datagram::Esp(range)
    })
}

/// Puts the non-ESP marker before the ISAKMP message at `message`; the range of both.
///
/// # Errors
/// [`Error::Range`] if there are not four bytes of room before the message.
pub fn prepend_marker(buf: &mut [u8], message: Range<usize>) -> Result<Range<usize>, Error> {
    let start = message
        .start
        .checked_sub(NON_ESP_MARKER.len())
        .ok_or(Error::Range)?;
    buf.get_mut(start..message.start)
        .ok_or(Error::Range)?
        .copy_from_slice(&NON_ESP_MARKER);
    Ok(start..message.end)
}
