//! The hot path: the header of data messages (RFC 2661 section 3.1).

use crate::Error;
use crate::wire::{LENGTH, SEQUENCE, VERSION};
use std::ops::Range;

/// Bytes that [`Endpoint::encapsulate`](crate::Endpoint::encapsulate) puts before a frame at most.
pub const MAX_DATA_HEADER: usize = 12;

/// What goes into a data message's header.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DataHeader {
    pub(crate) tunnel: u16,
    pub(crate) session: u16,
    pub(crate) length: bool,
    pub(crate) ns: Option<u16>,
}

impl DataHeader {
    /// Puts the header before `frame`.
    pub(crate) fn prepend(
        self,
        buf: &mut [u8],
        frame: Range<usize>,
    ) -> Result<Range<usize>, Error> {
        let mut header = [0; MAX_DATA_HEADER];
        let size = 6 + if self.length { 2 } else { 0 } + if self.ns.is_some() { 4 } else { 0 };
        let start = frame.start.checked_sub(size).ok_or(Error::NoHeadroom)?;
        let total = u16::try_from(frame.end.saturating_sub(start)).map_err(|_| Error::TooLong)?;
        let mut flags = VERSION;
        if self.length {
            flags |= LENGTH;
        }
        if self.ns.is_some() {
            flags |= SEQUENCE;
        }
        // Nr is reserved in data messages.
        let words = [
            Some(flags),
            self.length.then_some(total),
            Some(self.tunnel),
            Some(self.session),
            self.ns,
            self.ns.map(|_| 0),
        ];
        let (pairs, _) = header.as_chunks_mut::<2>();
        for (pair, word) in pairs.iter_mut().zip(words.into_iter().flatten()) {
            *pair = word.to_be_bytes();
        }
        let source = header.get(..size).ok_or(Error::NoHeadroom)?;
        buf.get_mut(start..frame.start)
            .ok_or(Error::NoHeadroom)?
            .copy_from_slice(source);
        Ok(start..frame.end)
    }
}
