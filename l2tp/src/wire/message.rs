use super::{Avp, AvpType, Avps, hide, reveal};
use crate::Error;
use rand_core::CryptoRng;
use std::fmt;
use zeroize::Zeroizing;

/// Result Code of a StopCCN: the version is not supported (RFC 2661 section 4.4.2).
const BAD_VERSION: u16 = 5;

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

        impl MessageType {
            /// Every type that RFC 2661 defines.
            pub const ALL: &[Self] = &[$(Self::$name),*];
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

impl MessageType {
    /// Whether it is about one call and not about the whole control connection.
    #[must_use]
    pub fn is_of_call(self) -> bool {
        self.0 >= Self::OCRQ.0 && Self::ALL.contains(&self)
    }
}

/// A control message, its hidden AVPs deciphered.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// What it is.
    pub kind: MessageType,
    /// Whether it must be understood (the M bit of its Message Type AVP).
    pub mandatory: bool,
    avps: Vec<(AvpType, Zeroizing<Vec<u8>>)>,
    /// What forbids to go on with the tunnel or call.
    pub fault: Option<Fault>,
}

/// A mandatory AVP that ends the tunnel or call (RFC 2661 sections 4.1 and 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Nobody here knows it.
    Unknown {
        /// Whose it is.
        vendor: u16,
        /// Its number.
        kind: AvpType,
    },
    /// Its value has a size that its type forbids.
    BadSize(AvpType),
    /// It is hidden and cannot be read.
    Unreadable(AvpType),
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.kind)?;
        let sizes = self.avps.iter().map(|(kind, value)| (kind, value.len()));
        f.debug_map().entries(sizes).finish()
    }
}

impl Message {
    /// Reads the AVPs of a control message; `secret` is for hidden ones.
    ///
    /// AVPs that are unknown or whose value is malformed are left out; [`fault`](Self::fault) says
    /// if one of them was mandatory.
    ///
    /// # Errors
    /// [`Error::MissingAvp`] if the Message Type is not first, or what an AVP's length is wrong by.
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
            fault: None,
        };
        let mut random_vector: Option<&[u8]> = None;
        for avp in avps {
            let avp = avp?;
            match read(&avp, secret, random_vector) {
                Ok(_) if avp.kind == AvpType::RANDOM_VECTOR => random_vector = Some(avp.value),
                Ok(value) => message.avps.push((avp.kind, value)),
                Err(fault) if avp.mandatory => {
                    message.fault.get_or_insert(fault);
                }
                Err(_) => {}
            }
        }
        Ok(message)
    }

    /// Its AVPs without the Message Type and Random Vector, in their order.
    pub fn avps(&self) -> impl Iterator<Item = (AvpType, &[u8])> {
        self.avps
            .iter()
            .map(|(kind, value)| (*kind, value.as_slice()))
    }

    /// The value of the first AVP of a type.
    #[must_use]
    pub fn bytes(&self, kind: AvpType) -> Option<&[u8]> {
        self.avps()
            .find(|(k, _)| *k == kind)
            .map(|(_, value)| value)
    }

    /// A 16-bit value.
    #[must_use]
    pub fn word(&self, kind: AvpType) -> Option<u16> {
        let value = self.bytes(kind)?.try_into().ok()?;
        Some(u16::from_be_bytes(value))
    }

    /// A 32-bit value.
    #[must_use]
    pub fn long(&self, kind: AvpType) -> Option<u32> {
        let value = self.bytes(kind)?.try_into().ok()?;
        Some(u32::from_be_bytes(value))
    }

    /// Result code, error code and message of a StopCCN or CDN (section 4.4.2).
    ///
    /// Some Apple clients send the codes in the wrong byte order; no code in use has a low byte of
    /// zero, so those are turned round. The one exception is the error code that goes with a
    /// StopCCN for a bad version: it is a version, such as 0x0100.
    #[must_use]
    pub fn result(&self) -> Option<(u16, u16, &[u8])> {
        let value = self.bytes(AvpType::RESULT_CODE)?;
        let (result, rest) = value.split_first_chunk::<2>()?;
        let (error, text) = rest.split_first_chunk::<2>().unwrap_or((&[0, 0], &[]));
        let right = |bytes: &[u8; 2]| match u16::from_be_bytes(*bytes) {
            code if code & 0xff == 0 => code.swap_bytes(),
            code => code,
        };
        let result = right(result);
        let error = match (self.kind, result) {
            (MessageType::STOPCCN, BAD_VERSION) => u16::from_be_bytes(*error),
            _ => right(error),
        };
        Some((result, error, text))
    }
}

/// The plain value of an AVP that its type allows.
fn read(
    avp: &Avp<'_>,
    secret: Option<&[u8]>,
    random_vector: Option<&[u8]>,
) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let Avp { vendor, kind, .. } = *avp;
    let definition = kind.definition().filter(|_| vendor == 0);
    let definition = definition.ok_or(Fault::Unknown { vendor, kind })?;
    let value = match (avp.hidden, secret, random_vector) {
        (false, ..) => Zeroizing::new(avp.value.to_vec()),
        (true, Some(secret), Some(vector)) if definition.hideable => {
            reveal(kind, avp.value, secret, vector).map_err(|_| Fault::Unreadable(kind))?
        }
        (true, ..) => return Err(Fault::Unreadable(kind)),
    };
    if (definition.least..=definition.most).contains(&value.len()) {
        Ok(value)
    } else {
        Err(Fault::BadSize(kind))
    }
}

/// The AVPs of a control message to be, with the M bits that RFC 2661 wants.
pub struct Builder<'a> {
    body: Vec<u8>,
    hiding: Option<Hiding<'a>>,
}

struct Hiding<'a> {
    secret: &'a [u8],
    rng: &'a mut dyn CryptoRng,
    /// What the Random Vector AVP in the message says, once there is one.
    vector: Option<[u8; 16]>,
}

impl fmt::Debug for Builder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Builder({} bytes)", self.body.len())
    }
}

impl<'a> Builder<'a> {
    /// A message with its Message Type AVP.
    #[must_use]
    pub fn new(kind: MessageType) -> Self {
        let mut this = Self {
            body: Vec::with_capacity(64),
            hiding: None,
        };
        this.word(AvpType::MESSAGE_TYPE, kind.0);
        this
    }

    /// Hides every following AVP that may be hidden (section 4.3).
    #[must_use]
    pub fn hiding(mut self, secret: &'a [u8], rng: &'a mut dyn CryptoRng) -> Self {
        self.hiding = Some(Hiding {
            secret,
            rng,
            vector: None,
        });
        self
    }

    /// Adds a 16-bit value.
    pub fn word(&mut self, kind: AvpType, value: u16) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// Adds a 32-bit value.
    pub fn long(&mut self, kind: AvpType, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// Adds a 32-bit value if there is one.
    pub fn maybe_long(&mut self, kind: AvpType, value: Option<u32>) -> &mut Self {
        match value {
            Some(value) => self.long(kind, value),
            None => self,
        }
    }

    /// Adds a value if there is one.
    pub fn maybe_bytes(&mut self, kind: AvpType, value: Option<&[u8]>) -> &mut Self {
        match value {
            Some(value) => self.bytes(kind, value),
            None => self,
        }
    }

    /// Adds a value, of which [`MAX_VALUE`](super::MAX_VALUE) bytes at most are taken.
    pub fn bytes(&mut self, kind: AvpType, value: &[u8]) -> &mut Self {
        let value = value.get(..super::MAX_VALUE).unwrap_or(value);
        let hideable = kind.definition().is_some_and(|d| d.hideable);
        let Some(hiding) = self.hiding.as_mut().filter(|_| hideable) else {
            return self.push(kind, value, false);
        };
        let vector = *hiding.vector.get_or_insert_with(|| {
            let mut vector = [0; 16];
            hiding.rng.fill_bytes(&mut vector);
            let avp = Avp {
                mandatory: true,
                hidden: false,
                vendor: 0,
                kind: AvpType::RANDOM_VECTOR,
                value: &vector,
            };
            avp.emit(&mut self.body);
            vector
        });
        // Up to whole segments, so that lengths do not tell a 2-byte value from a 14-byte one.
        let used = value.len().saturating_add(size_of::<u16>());
        let room = super::MAX_VALUE.saturating_add(size_of::<u16>());
        let padded = used.next_multiple_of(16).min(room);
        let mut padding = [0; 16];
        hiding.rng.fill_bytes(&mut padding);
        let padding = padding
            .get(..padded.saturating_sub(used))
            .unwrap_or_default();
        let hidden = hide(kind, value, hiding.secret, &vector, padding);
        self.push(kind, &hidden, true)
    }

    fn push(&mut self, kind: AvpType, value: &[u8], hidden: bool) -> &mut Self {
        let avp = Avp {
            mandatory: kind.definition().is_some_and(|d| d.mandatory),
            hidden,
            vendor: 0,
            kind,
            value,
        };
        avp.emit(&mut self.body);
        self
    }

    /// The message's body.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.body
    }
}
