use crate::Error;
use md5::{Digest as _, Md5};
use std::fmt;

const MANDATORY: u16 = 0x8000;
const HIDDEN: u16 = 0x4000;
const LENGTH_MASK: u16 = 0x03ff;
/// Flags and length, vendor, type.
const HEADER: u16 = 6;

/// The type of an AVP of vendor 0 (RFC 2661 section 4.4).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AvpType(pub u16);

macro_rules! avp_types {
    ($($name:ident = $number:literal,)*) => {
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
            /// Whether RFC 2661 defines it.
            #[must_use]
            pub fn is_known(self) -> bool {
                matches!(self, $(Self::$name)|*)
            }
        }
    };
}

avp_types! {
    MESSAGE_TYPE = 0,
    RESULT_CODE = 1,
    PROTOCOL_VERSION = 2,
    FRAMING_CAPABILITIES = 3,
    BEARER_CAPABILITIES = 4,
    TIE_BREAKER = 5,
    FIRMWARE_REVISION = 6,
    HOST_NAME = 7,
    VENDOR_NAME = 8,
    ASSIGNED_TUNNEL_ID = 9,
    RECEIVE_WINDOW_SIZE = 10,
    CHALLENGE = 11,
    Q931_CAUSE_CODE = 12,
    CHALLENGE_RESPONSE = 13,
    ASSIGNED_SESSION_ID = 14,
    CALL_SERIAL_NUMBER = 15,
    MINIMUM_BPS = 16,
    MAXIMUM_BPS = 17,
    BEARER_TYPE = 18,
    FRAMING_TYPE = 19,
    CALLED_NUMBER = 21,
    CALLING_NUMBER = 22,
    SUB_ADDRESS = 23,
    TX_CONNECT_SPEED = 24,
    PHYSICAL_CHANNEL_ID = 25,
    INITIAL_RECEIVED_LCP = 26,
    LAST_SENT_LCP = 27,
    LAST_RECEIVED_LCP = 28,
    PROXY_AUTHEN_TYPE = 29,
    PROXY_AUTHEN_NAME = 30,
    PROXY_AUTHEN_CHALLENGE = 31,
    PROXY_AUTHEN_ID = 32,
    PROXY_AUTHEN_RESPONSE = 33,
    CALL_ERRORS = 34,
    ACCM = 35,
    RANDOM_VECTOR = 36,
    PRIVATE_GROUP_ID = 37,
    RX_CONNECT_SPEED = 38,
    SEQUENCING_REQUIRED = 39,
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
    /// Appends the AVP. A value longer than 1017 bytes is cut off.
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

/// Enciphers a value (RFC 2661 section 4.3), with `padding` to hide its length.
#[must_use]
pub fn hide(
    kind: AvpType,
    value: &[u8],
    secret: &[u8],
    random_vector: &[u8],
    padding: &[u8],
) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    let mut text = length.to_be_bytes().to_vec();
    text.extend(value);
    text.extend(padding);
    let mut previous = random_vector.to_vec();
    let mut key = first_key(kind, secret, &previous);
    for block in text.chunks_mut(16) {
        xor(block, &key);
        previous.clear();
        previous.extend_from_slice(block);
        key = next_key(secret, &previous);
    }
    text
}

/// Deciphers a hidden value (RFC 2661 section 4.3).
///
/// # Errors
/// [`Error::HiddenAvp`] if the length inside does not fit: a wrong secret, or an attack.
pub fn reveal(
    kind: AvpType,
    hidden: &[u8],
    secret: &[u8],
    random_vector: &[u8],
) -> Result<Vec<u8>, Error> {
    let mut text = hidden.to_vec();
    let mut key = first_key(kind, secret, random_vector);
    for (block, cipher) in text.chunks_mut(16).zip(hidden.chunks(16)) {
        xor(block, &key);
        key = next_key(secret, cipher);
    }
    let (length, rest) = text.split_first_chunk::<2>().ok_or(Error::HiddenAvp)?;
    rest.get(..usize::from(u16::from_be_bytes(*length)))
        .map(<[u8]>::to_vec)
        .ok_or(Error::HiddenAvp)
}

fn first_key(kind: AvpType, secret: &[u8], random_vector: &[u8]) -> [u8; 16] {
    let mut hash = Md5::new();
    hash.update(kind.0.to_be_bytes());
    hash.update(secret);
    hash.update(random_vector);
    hash.finalize().into()
}

fn next_key(secret: &[u8], cipher: &[u8]) -> [u8; 16] {
    let mut hash = Md5::new();
    hash.update(secret);
    hash.update(cipher);
    hash.finalize().into()
}

fn xor(block: &mut [u8], key: &[u8; 16]) {
    for (byte, key) in block.iter_mut().zip(key) {
        *byte ^= key;
    }
}
