use crate::Error;
use std::fmt;

const MANDATORY: u16 = 0x8000;
const HIDDEN: u16 = 0x4000;
const LENGTH_MASK: u16 = 0x03ff;
/// Flags and length, vendor, type.
const HEADER: u16 = 6;

/// Bytes that an AVP's value may have at most, also when it is hidden (RFC 2661 sections 4.1, 4.3).
pub const MAX_VALUE: usize = 1015;

/// The type of an AVP of vendor 0 (RFC 2661 section 4.4).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AvpType(pub u16);

/// What RFC 2661 section 4.4 says of an AVP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Definition {
    /// What its M bit must be.
    pub mandatory: bool,
    /// Whether its H bit may be set.
    pub hideable: bool,
    /// Bytes its value has at least.
    pub least: usize,
    /// Bytes its value has at most.
    pub most: usize,
}

macro_rules! avp_types {
    ($($name:ident = $number:literal, $mandatory:ident, $hideable:ident, $least:literal, $most:expr;)*) => {
        #[allow(missing_docs, reason = "the RFC's own names")]
        impl AvpType {
            $(pub const $name: Self = Self($number);)*
        }

        impl fmt::Debug for AvpType {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match *self {
                    $(Self::$name => f.write_str(stringify!($name)),)*
                    Self(other) => write!(f, "AVP({other})"),
                }
            }
        }

        impl AvpType {
            /// Every type that RFC 2661 defines.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// What RFC 2661 says of it; none if it does not know it.
            #[must_use]
            pub fn definition(self) -> Option<Definition> {
                const MUST: bool = true;
                const MAY: bool = true;
                const NOT: bool = false;
                match self {
                    $(Self::$name => Some(Definition {
                        mandatory: $mandatory,
                        hideable: $hideable,
                        least: $least,
                        most: $most,
                    }),)*
                    Self(_) => None,
                }
            }
        }
    };
}

avp_types! {
    // type, M bit, H bit, and the size of the value
    MESSAGE_TYPE = 0, MUST, NOT, 2, 2;
    RESULT_CODE = 1, MUST, NOT, 2, MAX_VALUE;
    PROTOCOL_VERSION = 2, MUST, NOT, 2, 2;
    FRAMING_CAPABILITIES = 3, MUST, MAY, 4, 4;
    BEARER_CAPABILITIES = 4, MUST, MAY, 4, 4;
    TIE_BREAKER = 5, NOT, NOT, 8, 8;
    FIRMWARE_REVISION = 6, NOT, MAY, 2, 2;
    HOST_NAME = 7, MUST, NOT, 0, MAX_VALUE;
    VENDOR_NAME = 8, NOT, MAY, 0, MAX_VALUE;
    ASSIGNED_TUNNEL_ID = 9, MUST, MAY, 2, 2;
    RECEIVE_WINDOW_SIZE = 10, MUST, NOT, 2, 2;
    CHALLENGE = 11, MUST, MAY, 1, MAX_VALUE;
    Q931_CAUSE_CODE = 12, MUST, NOT, 3, MAX_VALUE;
    CHALLENGE_RESPONSE = 13, MUST, MAY, 16, 16;
    ASSIGNED_SESSION_ID = 14, MUST, MAY, 2, 2;
    CALL_SERIAL_NUMBER = 15, MUST, MAY, 4, 4;
    MINIMUM_BPS = 16, MUST, MAY, 4, 4;
    MAXIMUM_BPS = 17, MUST, MAY, 4, 4;
    BEARER_TYPE = 18, MUST, MAY, 4, 4;
    FRAMING_TYPE = 19, MUST, MAY, 4, 4;
    CALLED_NUMBER = 21, MUST, MAY, 0, MAX_VALUE;
    CALLING_NUMBER = 22, MUST, MAY, 0, MAX_VALUE;
    SUB_ADDRESS = 23, MUST, MAY, 0, MAX_VALUE;
    TX_CONNECT_SPEED = 24, MUST, MAY, 4, 4;
    PHYSICAL_CHANNEL_ID = 25, NOT, MAY, 4, 4;
    INITIAL_RECEIVED_LCP = 26, NOT, MAY, 0, MAX_VALUE;
    LAST_SENT_LCP = 27, NOT, MAY, 0, MAX_VALUE;
    LAST_RECEIVED_LCP = 28, NOT, MAY, 0, MAX_VALUE;
    PROXY_AUTHEN_TYPE = 29, NOT, MAY, 2, 2;
    PROXY_AUTHEN_NAME = 30, NOT, MAY, 0, MAX_VALUE;
    PROXY_AUTHEN_CHALLENGE = 31, NOT, MAY, 0, MAX_VALUE;
    PROXY_AUTHEN_ID = 32, NOT, MAY, 2, 2;
    PROXY_AUTHEN_RESPONSE = 33, NOT, MAY, 0, MAX_VALUE;
    CALL_ERRORS = 34, MUST, MAY, 26, 26;
    ACCM = 35, MUST, MAY, 10, 10;
    RANDOM_VECTOR = 36, MUST, NOT, 0, MAX_VALUE;
    PRIVATE_GROUP_ID = 37, NOT, MAY, 0, MAX_VALUE;
    RX_CONNECT_SPEED = 38, NOT, MAY, 4, 4;
    SEQUENCING_REQUIRED = 39, MUST, NOT, 0, 0;
}

/// An attribute-value pair (RFC 2661 section 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Avp<'a> {
    /// M: whoever does not know it must not go on.
    pub mandatory: bool,
    /// H: the value is enciphered.
    pub hidden: bool,
    /// 0 for the IETF's.
    pub vendor: u16,
    /// Which attribute.
    pub kind: AvpType,
    /// Its value, enciphered if hidden.
    pub value: &'a [u8],
}

impl Avp<'_> {
    /// Appends the AVP. A value longer than 1017 bytes, which no length field can say, is cut off.
    pub fn emit(&self, out: &mut Vec<u8>) {
        let most = usize::from(LENGTH_MASK.saturating_sub(HEADER));
        let value = self.value.get(..most).unwrap_or(self.value);
        let length = u16::try_from(value.len())
            .unwrap_or(0)
            .saturating_add(HEADER);
        let mut flags = length;
        if self.mandatory {
            flags |= MANDATORY;
        }
        if self.hidden {
            flags |= HIDDEN;
        }
        for word in [flags, self.vendor, self.kind.0] {
            out.extend(word.to_be_bytes());
        }
        out.extend(value);
    }
}

/// Walks through the AVPs of a control message.
#[derive(Debug, Clone)]
pub struct Avps<'a>(&'a [u8]);

impl<'a> Avps<'a> {
    /// The AVPs in `body`.
    #[must_use]
    pub fn new(body: &'a [u8]) -> Self {
        Self(body)
    }
}

impl<'a> Iterator for Avps<'a> {
    type Item = Result<Avp<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let parsed = split(self.0);
        // After an error there is nothing to go on from.
        self.0 = parsed.as_ref().map_or(&[], |(_, rest)| rest);
        Some(parsed.map(|(avp, _)| avp))
    }
}

fn split(bytes: &[u8]) -> Result<(Avp<'_>, &[u8]), Error> {
    let ([f0, f1, v0, v1, t0, t1], _) = bytes
        .split_first_chunk::<6>()
        .ok_or(Error::Short("AVP header"))?;
    let flags = u16::from_be_bytes([*f0, *f1]);
    let (avp, rest) = bytes
        .split_at_checked(usize::from(flags & LENGTH_MASK))
        .ok_or(Error::BadLength("AVP"))?;
    // A length below 6 would not move on.
    let value = avp
        .get(usize::from(HEADER)..)
        .ok_or(Error::BadLength("AVP"))?;
    let avp = Avp {
        mandatory: flags & MANDATORY != 0,
        hidden: flags & HIDDEN != 0,
        vendor: u16::from_be_bytes([*v0, *v1]),
        kind: AvpType(u16::from_be_bytes([*t0, *t1])),
        value,
    };
    Ok((avp, rest))
}
