use super::DataHeader;
use crate::Error;
use std::ops::Range;

/// T: control message (RFC 2661 section 3.1).
const TYPE: u16 = 0x8000;
/// L: the Length field is there.
pub(super) const LENGTH: u16 = 0x4000;
/// S: Ns and Nr are there.
pub(super) const SEQUENCE: u16 = 0x0800;
/// O: the Offset Size field is there.
pub(super) const OFFSET: u16 = 0x0200;
/// P: the peer wants the message to be preferred.
pub(super) const PRIORITY: u16 = 0x0100;
const VERSION_MASK: u16 = 0x000f;

/// The version of the protocol.
pub const VERSION: u16 = 2;
/// The first two bytes of every control message.
pub const CONTROL_FLAGS: u16 = TYPE | LENGTH | SEQUENCE | VERSION;

/// A message's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Control or data.
    pub control: bool,
    /// Whether the Length field is there.
    pub length: bool,
    /// The P bit, of data messages.
    pub priority: bool,
    /// Bytes of padding before the payload, if the O bit is set.
    pub offset: Option<u16>,
    /// The receiver's Tunnel ID.
    pub tunnel: u16,
    /// The receiver's Session ID.
    pub session: u16,
    /// Ns and Nr, if the S bit is set.
    pub sequence: Option<(u16, u16)>,
    /// Where the AVPs or the PPP frame lie in the buffer.
    pub payload: Range<usize>,
}

impl Header {
    /// Bytes of a control message's header.
    pub const CONTROL_LENGTH: u16 = 12;

    /// Reads the header of the message at `message` in `buf`.
    ///
    /// # Errors
    /// [`Error::Short`], [`Error::BadLength`], [`Error::BadVersion`] or [`Error::BadFlags`].
    pub fn parse(buf: &[u8], message: Range<usize>) -> Result<Self, Error> {
        let bytes = buf.get(message.clone()).ok_or(Error::Short("header"))?;
        let mut cursor = Cursor { rest: bytes };
        let flags = cursor.word("flags")?;
        let version = flags & VERSION_MASK;
        if version != VERSION {
            return Err(Error::BadVersion(u8::try_from(version).unwrap_or(0)));
        }
        let control = flags & TYPE != 0;
        let needed = LENGTH | SEQUENCE;
        if control && (flags & needed != needed || flags & OFFSET != 0) {
            return Err(Error::BadFlags);
        }
        let has_length = flags & LENGTH != 0;
        let length = if has_length {
            usize::from(cursor.word("length")?)
        } else {
            bytes.len()
        };
        let tunnel = cursor.word("tunnel id")?;
        let session = cursor.word("session id")?;
        let sequence = if flags & SEQUENCE != 0 {
            Some((cursor.word("Ns")?, cursor.word("Nr")?))
        } else {
            None
        };
        let offset = if flags & OFFSET != 0 {
            let offset = cursor.word("offset size")?;
            cursor.rest = cursor
                .rest
                .get(usize::from(offset)..)
                .ok_or(Error::BadLength("offset"))?;
            Some(offset)
        } else {
            None
        };
        let header = bytes.len().saturating_sub(cursor.rest.len());
        // Bytes behind the length are the lower layer's padding; missing ones are an error.
        if length < header || length > bytes.len() {
            return Err(Error::BadLength("message"));
        }
        let start = message.start.saturating_add(header);
        let end = message.start.saturating_add(length);
        Ok(Self {
            control,
            length: has_length,
            priority: flags & PRIORITY != 0,
            offset,
            tunnel,
            session,
            sequence,
            payload: start..end,
        })
    }

    /// The same header, as a data message has it before its frame.
    #[must_use]
    pub fn data(&self) -> DataHeader {
        DataHeader {
            tunnel: self.tunnel,
            session: self.session,
            length: self.length,
            priority: self.priority,
            sequence: self.sequence,
            offset: self.offset,
        }
    }

    /// A control message: header and `body`. None if it is longer than its length field can say.
    #[must_use]
    pub fn emit_control(
        tunnel: u16,
        session: u16,
        ns: u16,
        nr: u16,
        body: &[u8],
    ) -> Option<Vec<u8>> {
        let length = u16::try_from(body.len())
            .ok()?
            .checked_add(Self::CONTROL_LENGTH)?;
        let mut bytes = Vec::with_capacity(usize::from(length));
        for word in [CONTROL_FLAGS, length, tunnel, session, ns, nr] {
            bytes.extend(word.to_be_bytes());
        }
        bytes.extend(body);
        Some(bytes)
    }
}

struct Cursor<'a> {
    rest: &'a [u8],
}

impl Cursor<'_> {
    fn word(&mut self, what: &'static str) -> Result<u16, Error> {
        let (word, rest) = self
            .rest
            .split_first_chunk::<2>()
            .ok_or(Error::Short(what))?;
        self.rest = rest;
        Ok(u16::from_be_bytes(*word))
    }
}
