use super::header::{LENGTH, OFFSET, PRIORITY, SEQUENCE, VERSION};
use crate::Error;
use std::ops::Range;

/// Bytes that a data message's header has at most, without padding of its offset.
pub const MAX_DATA_HEADER: usize = 14;

/// The longest payload of a UDP datagram over IPv4.
const MAX_DATAGRAM: u16 = 65_507;

/// What is in a data message's header (RFC 2661 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DataHeader {
    /// The receiver's Tunnel ID.
    pub tunnel: u16,
    /// The receiver's Session ID.
    pub session: u16,
    /// Whether to say the message's length.
    pub length: bool,
    /// The P bit.
    pub priority: bool,
    /// Ns, and Nr, which is reserved: 0 when we send.
    pub sequence: Option<(u16, u16)>,
    /// Bytes of padding before the frame, if the Offset Size field is wanted.
    pub offset: Option<u16>,
}

impl DataHeader {
    /// Bytes of the header, with its padding.
    #[must_use]
    pub fn size(&self) -> usize {
        let length = if self.length { 2_usize } else { 0 };
        let sequence = if self.sequence.is_some() { 4 } else { 0 };
        let offset = self
            .offset
            .map_or(0, |padding| usize::from(padding).saturating_add(2));
        length
            .saturating_add(sequence)
            .saturating_add(offset)
            .saturating_add(6)
    }

    /// Puts the header before the frame at `frame` in `buf`.
    ///
    /// # Errors
    /// [`Error::NoHeadroom`] or [`Error::TooLong`].
    pub fn prepend(&self, buf: &mut [u8], frame: Range<usize>) -> Result<Range<usize>, Error> {
        let start = frame
            .start
            .checked_sub(self.size())
            .ok_or(Error::NoHeadroom)?;
        if frame.end > buf.len() {
            return Err(Error::NoHeadroom);
        }
        let total = frame.end.saturating_sub(start);
        let total = u16::try_from(total).map_err(|_| Error::TooLong)?;
        if total > MAX_DATAGRAM {
            return Err(Error::TooLong);
        }
        let header = buf.get_mut(start..frame.start).ok_or(Error::NoHeadroom)?;
        let mut words = Words(header);
        let mut flags = VERSION;
        if self.length {
            flags |= LENGTH;
        }
        if self.priority {
            flags |= PRIORITY;
        }
        if self.sequence.is_some() {
            flags |= SEQUENCE;
        }
        if self.offset.is_some() {
            flags |= OFFSET;
        }
        words.put(flags);
        if self.length {
            words.put(total);
        }
        words.put(self.tunnel);
        words.put(self.session);
        if let Some((ns, nr)) = self.sequence {
            words.put(ns);
            words.put(nr);
        }
        if let Some(offset) = self.offset {
            words.put(offset);
            words.0.fill(0);
        }
        Ok(start..frame.end)
    }
}

/// What of a header is left to write.
struct Words<'a>(&'a mut [u8]);

impl Words<'_> {
    fn put(&mut self, word: u16) {
        if let Some((place, rest)) = std::mem::take(&mut self.0).split_first_chunk_mut::<2>() {
            *place = word.to_be_bytes();
            self.0 = rest;
        }
    }
}
