use super::{Avp, AvpType, Avps, reveal};
use crate::Error;
use std::fmt;

/// The type of a control message (RFC 2661 section 3.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct MessageType(pub u16);

macro_rules! message_types {
    ($($name:ident = $number:literal,)*) => {
        #[allow(missing_docs, reason = "the RFC's own names")]
        impl MessageType {
            $(pub const $name: Self = Self($number);)*
        }

        impl fmt::Debug for MessageType {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match *self {
                    $(Self::$name => f.write_str(stringify!($name)),)*
                    Self(other) => write!(f, "message {other}"),
                }
            }
        }
    };
}

message_types! {
    SCCRQ = 1,
    SCCRP = 2,
    SCCCN = 3,
    STOPCCN = 4,
    HELLO = 6,
    OCRQ = 7,
    OCRP = 8,
    OCCN = 9,
    ICRQ = 10,
    ICRP = 11,
    ICCN = 12,
    CDN = 14,
    WEN = 15,
    SLI = 16,
}

/// A control message, its hidden AVPs deciphered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What it is.
    pub kind: MessageType,
    /// Whether it must be understood (the M bit of its Message Type AVP).
    pub mandatory: bool,
    avps: Vec<(AvpType, Vec<u8>)>,
    /// A mandatory AVP that nobody here knows; ends the tunnel or call (section 4.1).
    pub unknown_mandatory: Option<(u16, AvpType)>,
}

impl Message {
    /// Reads the AVPs of a control message; `secret` is for hidden ones.
    ///
    /// # Errors
    /// [`Error::MissingAvp`] if the Message Type is not first, [`Error::HiddenAvp`], or what an
    /// AVP's length is wrong by.
    pub fn parse(body: &[u8], secret: Option<&[u8]>) -> Result<Self, Error> {
        let mut avps = Avps::new(body);
        let first = avps.next().ok_or(Error::MissingAvp("message type"))??;
        let kind = match (first.vendor, first.kind, first.hidden, first.value) {
            (0, AvpType::MESSAGE_TYPE, false, [high, low]) => u16::from_be_bytes([*high, *low]),
            _ => return Err(Error::MissingAvp("message type")),
        };
        let mut message = Self {
            kind: MessageType(kind),
            mandatory: first.mandatory,
            avps: Vec::new(),
            unknown_mandatory: None,
        };
        let mut random_vector: Option<&[u8]> = None;
        for avp in avps {
            let avp = avp?;
            if avp.vendor != 0 || !avp.kind.is_known() {
                if avp.mandatory && message.unknown_mandatory.is_none() {
                    message.unknown_mandatory = Some((avp.vendor, avp.kind));
                }
                continue;
            }
            if avp.kind == AvpType::RANDOM_VECTOR {
                random_vector = Some(avp.value);
                continue;
            }
            let value = if avp.hidden {
                let secret = secret.ok_or(Error::HiddenAvp)?;
                let vector = random_vector.ok_or(Error::HiddenAvp)?;
                reveal(avp.kind, avp.value, secret, vector)?
            } else {
                avp.value.to_vec()
            };
            message.avps.push((avp.kind, value));
        }
        Ok(message)
    }

    /// The value of the first AVP of a type.
    #[must_use]
    pub fn bytes(&self, kind: AvpType) -> Option<&[u8]> {
        self.avps
            .iter()
            .find(|(k, _)| *k == kind)
            .map(|(_, value)| value.as_slice())
    }

    /// A 16-bit value.
    ///
    /// # Errors
    /// [`Error::BadLength`] if it is there with another size.
    pub fn word(&self, kind: AvpType) -> Result<Option<u16>, Error> {
        self.bytes(kind)
            .map(|value| {
                let value =
                    <[u8; 2]>::try_from(value).map_err(|_| Error::BadLength("AVP value"))?;
                Ok(u16::from_be_bytes(value))
            })
            .transpose()
    }

    /// Result code, error code and message of a StopCCN or CDN (section 4.4.2).
    ///
    /// Some Apple clients send the codes in the wrong byte order; no code in use has a low byte of
    /// zero, so those are turned round.
    #[must_use]
    pub fn result(&self) -> Option<(u16, u16, &[u8])> {
        let value = self.bytes(AvpType::RESULT_CODE)?;
        let (result, rest) = value.split_first_chunk::<2>()?;
        let (error, text) = rest.split_first_chunk::<2>().unwrap_or((&[0, 0], &[]));
        let right = |bytes: &[u8; 2]| match u16::from_be_bytes(*bytes) {
            code if code & 0xff == 0 => code.swap_bytes(),
            code => code,
        };
        Some((right(result), right(error), text))
    }
}

/// The AVPs of a control message to be.
#[derive(Debug)]
pub(crate) struct Builder {
    body: Vec<u8>,
}

impl Builder {
    pub(crate) fn new(kind: MessageType) -> Self {
        let mut this = Self { body: Vec::new() };
        this.word(AvpType::MESSAGE_TYPE, kind.0);
        this
    }

    pub(crate) fn word(&mut self, kind: AvpType, value: u16) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    pub(crate) fn long(&mut self, kind: AvpType, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    pub(crate) fn bytes(&mut self, kind: AvpType, value: &[u8]) -> &mut Self {
        self.push(kind, value, !is_optional(kind), false)
    }

    pub(crate) fn hidden(&mut self, kind: AvpType, value: &[u8]) -> &mut Self {
        self.push(kind, value, !is_optional(kind), true)
    }

    fn push(&mut self, kind: AvpType, value: &[u8], mandatory: bool, hidden: bool) -> &mut Self {
        Avp {
            mandatory,
            hidden,
            vendor: 0,
            kind,
            value,
        }
        .emit(&mut self.body);
        self
    }

    pub(crate) fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.body)
    }
}

/// AVPs whose M bit the RFC wants clear.
fn is_optional(kind: AvpType) -> bool {
    matches!(
        kind,
        AvpType::FIRMWARE_REVISION
            | AvpType::VENDOR_NAME
            | AvpType::TIE_BREAKER
            | AvpType::PHYSICAL_CHANNEL_ID
            | AvpType::PRIVATE_GROUP_ID
            | AvpType::RX_CONNECT_SPEED
            | AvpType::INITIAL_RECEIVED_LCP
            | AvpType::LAST_SENT_LCP
            | AvpType::LAST_RECEIVED_LCP
    )
}
