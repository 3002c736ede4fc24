use crate::Error;

/// The code of a control packet (RFC 1661 section 5, and RFC 1994, RFC 1334 for theirs).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Code(pub u8);

#[allow(missing_docs, reason = "the RFCs' own names")]
impl Code {
    pub const CONFIGURE_REQUEST: Self = Self(1);
    pub const CONFIGURE_ACK: Self = Self(2);
    pub const CONFIGURE_NAK: Self = Self(3);
    pub const CONFIGURE_REJECT: Self = Self(4);
    pub const TERMINATE_REQUEST: Self = Self(5);
    pub const TERMINATE_ACK: Self = Self(6);
    pub const CODE_REJECT: Self = Self(7);
    pub const PROTOCOL_REJECT: Self = Self(8);
    pub const ECHO_REQUEST: Self = Self(9);
    pub const ECHO_REPLY: Self = Self(10);
    pub const DISCARD_REQUEST: Self = Self(11);
    /// RFC 1570 section 2.1.
    pub const IDENTIFICATION: Self = Self(12);
    /// RFC 1570 section 2.2.
    pub const TIME_REMAINING: Self = Self(13);

    pub const CHAP_CHALLENGE: Self = Self(1);
    pub const CHAP_RESPONSE: Self = Self(2);
    pub const CHAP_SUCCESS: Self = Self(3);
    pub const CHAP_FAILURE: Self = Self(4);

    pub const PAP_REQUEST: Self = Self(1);
    pub const PAP_ACK: Self = Self(2);
    pub const PAP_NAK: Self = Self(3);
}

/// A control packet: code, identifier, data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// What it is.
    pub code: Code,
    /// Matches answers to requests.
    pub id: u8,
    /// What follows, as far as the length field says.
    pub data: &'a [u8],
}

/// Code, identifier, length.
const HEADER: u16 = 4;

impl<'a> Packet<'a> {
    /// Reads a packet; bytes behind its length are padding (RFC 1661 section 5).
    ///
    /// # Errors
    /// [`Error::Short`] or [`Error::BadLength`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let ([code, id, l0, l1], rest) = bytes
            .split_first_chunk::<4>()
            .ok_or(Error::Short("control header"))?;
        let length = u16::from_be_bytes([*l0, *l1])
            .checked_sub(HEADER)
            .ok_or(Error::BadLength("control packet"))?;
        let data = rest
            .get(..usize::from(length))
            .ok_or(Error::BadLength("control packet"))?;
        Ok(Self {
            code: Code(*code),
            id: *id,
            data,
        })
    }

    /// The packet as bytes. Data that its length field cannot tell is cut off.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let most = usize::from(u16::MAX.saturating_sub(HEADER));
        let data = self.data.get(..most).unwrap_or(self.data);
        let length = u16::try_from(data.len())
            .unwrap_or(u16::MAX)
            .saturating_add(HEADER);
        let mut bytes = Vec::with_capacity(usize::from(length));
        bytes.extend([self.code.0, self.id]);
        bytes.extend(length.to_be_bytes());
        bytes.extend(data);
        bytes
    }
}
