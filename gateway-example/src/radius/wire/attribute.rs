use super::super::Error;
use std::net::Ipv4Addr;

/// Attribute types (RFC 2865, 2866, 2868, 2869, 3162, 5176).
#[allow(missing_docs, reason = "they are the RFCs' names")]
pub mod kind {
    pub const USER_NAME: u8 = 1;
    pub const USER_PASSWORD: u8 = 2;
    pub const CHAP_PASSWORD: u8 = 3;
    pub const NAS_IP_ADDRESS: u8 = 4;
    pub const NAS_PORT: u8 = 5;
    pub const SERVICE_TYPE: u8 = 6;
    pub const FRAMED_PROTOCOL: u8 = 7;
    pub const FRAMED_IP_ADDRESS: u8 = 8;
    pub const REPLY_MESSAGE: u8 = 18;
    pub const STATE: u8 = 24;
    pub const CLASS: u8 = 25;
    pub const VENDOR_SPECIFIC: u8 = 26;
    pub const SESSION_TIMEOUT: u8 = 27;
    pub const IDLE_TIMEOUT: u8 = 28;
    pub const CALLED_STATION_ID: u8 = 30;
    pub const CALLING_STATION_ID: u8 = 31;
    pub const NAS_IDENTIFIER: u8 = 32;
    pub const PROXY_STATE: u8 = 33;
    pub const ACCT_STATUS_TYPE: u8 = 40;
    pub const ACCT_INPUT_OCTETS: u8 = 42;
    pub const ACCT_OUTPUT_OCTETS: u8 = 43;
    pub const ACCT_SESSION_ID: u8 = 44;
    pub const ACCT_AUTHENTIC: u8 = 45;
    pub const ACCT_SESSION_TIME: u8 = 46;
    pub const ACCT_INPUT_PACKETS: u8 = 47;
    pub const ACCT_OUTPUT_PACKETS: u8 = 48;
    pub const ACCT_TERMINATE_CAUSE: u8 = 49;
    pub const ACCT_INPUT_GIGAWORDS: u8 = 52;
    pub const ACCT_OUTPUT_GIGAWORDS: u8 = 53;
    pub const EVENT_TIMESTAMP: u8 = 55;
    pub const CHAP_CHALLENGE: u8 = 60;
    pub const NAS_PORT_TYPE: u8 = 61;
    pub const PORT_LIMIT: u8 = 62;
    pub const TUNNEL_TYPE: u8 = 64;
    pub const TUNNEL_MEDIUM_TYPE: u8 = 65;
    pub const TUNNEL_CLIENT_ENDPOINT: u8 = 66;
    pub const TUNNEL_SERVER_ENDPOINT: u8 = 67;
    pub const MESSAGE_AUTHENTICATOR: u8 = 80;
    pub const ACCT_INTERIM_INTERVAL: u8 = 85;
    pub const NAS_PORT_ID: u8 = 87;
    pub const FRAMED_POOL: u8 = 88;
    pub const NAS_IPV6_ADDRESS: u8 = 95;
    pub const ERROR_CAUSE: u8 = 101;
}

/// Attributes whose lengths add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes<'a>(&'a [u8]);

/// One attribute off the front of `rest`.
fn split(rest: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[kind, length], after) = rest.split_first_chunk::<2>()?;
    let (value, rest) = after.split_at_checked(usize::from(length).checked_sub(2)?)?;
    Some((kind, value, rest))
}

impl<'a> Attributes<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut rest = bytes;
        while !rest.is_empty() {
            (_, _, rest) = split(rest).ok_or(Error::BadAttributeLength)?;
        }
        Ok(Self(bytes))
    }

    /// Type and value of each.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &'a [u8])> + use<'a> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (kind, value, after) = split(rest)?;
            rest = after;
            Some((kind, value))
        })
    }

    /// The values of one type.
    pub fn all(&self, wanted: u8) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.iter()
            .filter_map(move |(kind, value)| (kind == wanted).then_some(value))
    }

    /// The first value of a type.
    #[must_use]
    pub fn get(&self, kind: u8) -> Option<&'a [u8]> {
        self.all(kind).next()
    }

    /// An integer, four bytes.
    ///
    /// # Errors
    /// It has another length.
    pub fn integer(&self, kind: u8) -> Result<Option<u32>, Error> {
        let Some(value) = self.get(kind) else {
            return Ok(None);
        };
        let value = value.try_into().map_err(|_| Error::BadAttribute(kind))?;
        Ok(Some(u32::from_be_bytes(value)))
    }

    /// An IPv4 address.
    ///
    /// # Errors
    /// It has another length.
    pub fn address(&self, kind: u8) -> Result<Option<Ipv4Addr>, Error> {
        Ok(self.integer(kind)?.map(Ipv4Addr::from))
    }

    /// Vendor type and value of each Vendor-Specific attribute of `vendor` (RFC 2865 section 5.26);
    /// what is not in the customary form ends its attribute.
    pub fn vendor(&self, vendor: u32) -> impl Iterator<Item = (u8, &'a [u8])> + use<'a> {
        self.all(kind::VENDOR_SPECIFIC)
            .filter_map(move |value| {
                let (id, rest) = value.split_first_chunk::<4>()?;
                (u32::from_be_bytes(*id) == vendor).then_some(rest)
            })
            .flat_map(|rest| Self(rest).iter())
    }

    /// How far behind the first attribute the value of the Message-Authenticator lies.
    ///
    /// # Errors
    /// There are several, or it is not of 16 bytes: both are forgeries (RFC 3579 section 3.2).
    pub(super) fn message_authenticator(&self) -> Result<Option<usize>, Error> {
        let mut found = None;
        let mut at = 0_usize;
        for (kind, value) in self.iter() {
            let start = at.saturating_add(2);
            if kind == kind::MESSAGE_AUTHENTICATOR && found.replace(start).is_some() {
                return Err(Error::BadMessageAuthenticator);
            }
            if kind == kind::MESSAGE_AUTHENTICATOR && value.len() != 16 {
                return Err(Error::BadMessageAuthenticator);
            }
            at = start.saturating_add(value.len());
        }
        Ok(found)
    }
}
