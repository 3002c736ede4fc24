use super::{ALL_STATIONS, Protocol, UNNUMBERED_INFORMATION};
use crate::Error;
use std::ops::Range;

/// Bytes that a frame's header has at most.
pub const MAX_HEADER: usize = 4;

/// What is before the information field of a frame (RFC 1661 section 2, RFC 1662 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    /// What the information is.
    pub protocol: Protocol,
    /// Whether address and control fields are left out (RFC 1661 section 6.6).
    pub compress_address: bool,
    /// Whether the protocol field has one byte, which only some protocols allow (RFC 1661 section
    /// 6.5).
    pub compress_protocol: bool,
}

impl FrameHeader {
    /// Reads the header of the frame at `frame` in `buf`, and says where its information lies.
    ///
    /// Both forms of each field are taken whether negotiated or not: peers differ, and there is no
    /// ambiguity.
    ///
    /// # Errors
    /// [`Error::Short`].
    pub fn parse(buf: &[u8], frame: Range<usize>) -> Result<(Self, Range<usize>), Error> {
        let bytes = buf.get(frame.clone()).ok_or(Error::Short("frame"))?;
        let (compress_address, rest) = match bytes {
            [ALL_STATIONS, UNNUMBERED_INFORMATION, rest @ ..] => (false, rest),
            rest => (true, rest),
        };
        let (protocol, compress_protocol, information) = match rest {
            [low, rest @ ..] if low & 1 == 1 => (u16::from(*low), true, rest),
            [high, low, rest @ ..] => (u16::from_be_bytes([*high, *low]), false, rest),
            _ => return Err(Error::Short("protocol field")),
        };
        let header = Self {
            protocol: Protocol(protocol),
            compress_address,
            compress_protocol,
        };
        let start = frame.end.saturating_sub(information.len());
        Ok((header, start..frame.end))
    }

    /// Puts the header before the information at `information` in `buf`; needs [`MAX_HEADER`] bytes
    /// of headroom.
    ///
    /// # Errors
    /// [`Error::NoHeadroom`].
    pub fn prepend(
        &self,
        buf: &mut [u8],
        information: Range<usize>,
    ) -> Result<Range<usize>, Error> {
        let [high, low] = self.protocol.0.to_be_bytes();
        let full = [ALL_STATIONS, UNNUMBERED_INFORMATION, high, low];
        let short = [ALL_STATIONS, UNNUMBERED_INFORMATION, low];
        let header: &[u8] = if self.compress_protocol && high == 0 && low & 1 == 1 {
            &short
        } else {
            &full
        };
        let header = if self.compress_address {
            header.get(2..).unwrap_or_default()
        } else {
            header
        };
        let start = information
            .start
            .checked_sub(header.len())
            .ok_or(Error::NoHeadroom)?;
        buf.get_mut(start..information.start)
            .ok_or(Error::NoHeadroom)?
            .copy_from_slice(header);
        Ok(start..information.end)
    }
}
