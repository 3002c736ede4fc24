//! What a reply says.

use super::Error;
use super::wire::{Attributes, MsChapError, kind, ms};
use std::net::Ipv4Addr;
use std::time::Duration;

/// Class attributes kept for accounting at most; no server sends more than a few.
const MAX_CLASSES: usize = 8;
/// Bytes of Reply-Message kept at most: what fits PPP's answer.
const MAX_MESSAGE: usize = 255;
/// Service-Type: the client is a PPP link (RFC 2865 section 5.6).
const SERVICE_FRAMED: u32 = 2;
/// Framed-Protocol (RFC 2865 section 5.7).
const PROTOCOL_PPP: u32 = 1;
/// MS-CHAP2-Success: an identifier and `S=` with 40 digits (RFC 2548 section 2.3.3).
const CHAP2_SUCCESS: usize = 43;

/// Which address the client gets (RFC 2865 section 5.8).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FramedAddress {
    /// Nothing was said, or 255.255.255.254: one of the gateway's.
    #[default]
    Ours,
    /// 255.255.255.255: one that the client may choose.
    Clients,
    /// This one.
    Fixed(Ipv4Addr),
}

/// What an Access-Accept grants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Accept {
    /// The client's address.
    pub address: FramedAddress,
    /// From which pool, if from one of the gateway's.
    pub pool: Option<String>,
    /// DNS servers, primary and secondary (RFC 2548).
    pub dns: [Option<Ipv4Addr>; 2],
    /// WINS servers, primary and secondary (RFC 2548).
    pub wins: [Option<Ipv4Addr>; 2],
    /// How long the call may last.
    pub session_timeout: Option<Duration>,
    /// How long it may be silent.
    pub idle_timeout: Option<Duration>,
    /// How often to send interim accounting.
    pub interim_interval: Option<Duration>,
    /// How many calls the user may have.
    pub port_limit: Option<u32>,
    /// To be returned in accounting, unread.
    pub class: Vec<Vec<u8>>,
    /// Text for people.
    pub message: String,
    /// `S=...`: the server's own proof to an MS-CHAPv2 client.
    pub success: Option<Vec<u8>>,
}

/// What an Access-Reject says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reject {
    /// MS-CHAPv2's error.
    pub error: Option<MsChapError>,
    /// Text for people.
    pub message: String,
}

fn seconds(attributes: &Attributes<'_>, kind: u8) -> Result<Option<Duration>, Error> {
    let seconds = attributes.integer(kind)?.filter(|s| *s > 0);
    Ok(seconds.map(|s| Duration::from_secs(s.into())))
}

/// All of Reply-Message, as one text without control characters.
fn message(attributes: &Attributes<'_>) -> String {
    let mut text = String::new();
    for part in attributes.all(kind::REPLY_MESSAGE) {
        for c in String::from_utf8_lossy(part).chars() {
            if !c.is_control() && text.len().saturating_add(c.len_utf8()) <= MAX_MESSAGE {
                text.push(c);
            }
        }
    }
    text
}

impl Accept {
    /// Reads an Access-Accept's attributes.
    ///
    /// # Errors
    /// Which attribute has the wrong length or asks for a service that is none of ours: the reply
    /// is then a refusal (RFC 2865 sections 5 and 5.6).
    pub fn parse(attributes: &Attributes<'_>) -> Result<Self, Error> {
        for (kind, only) in [
            (kind::SERVICE_TYPE, SERVICE_FRAMED),
            (kind::FRAMED_PROTOCOL, PROTOCOL_PPP),
        ] {
            if attributes.integer(kind)?.is_some_and(|value| value != only) {
                return Err(Error::BadAttribute(kind));
            }
        }
        let address = match attributes.address(kind::FRAMED_IP_ADDRESS)? {
            None => FramedAddress::Ours,
            Some(a) if u32::from(a) == 0xffff_fffe => FramedAddress::Ours,
            Some(Ipv4Addr::BROADCAST) => FramedAddress::Clients,
            Some(address) => FramedAddress::Fixed(address),
        };
        let text = |kind| {
            let value = attributes.get(kind);
            value.map(|v| String::from_utf8_lossy(v).into_owned())
        };
        let mut accept = Self {
            address,
            pool: text(kind::FRAMED_POOL),
            session_timeout: seconds(attributes, kind::SESSION_TIMEOUT)?,
            idle_timeout: seconds(attributes, kind::IDLE_TIMEOUT)?,
            interim_interval: seconds(attributes, kind::ACCT_INTERIM_INTERVAL)?,
            port_limit: attributes.integer(kind::PORT_LIMIT)?,
            message: message(attributes),
            ..Self::default()
        };
        let classes = attributes.all(kind::CLASS).take(MAX_CLASSES);
        accept.class = classes.map(<[u8]>::to_vec).collect();
        for (kind, value) in attributes.vendor(ms::VENDOR) {
            let [primary_dns, secondary_dns] = &mut accept.dns;
            let [primary_wins, secondary_wins] = &mut accept.wins;
            let place = match kind {
                ms::PRIMARY_DNS_SERVER => primary_dns,
                ms::SECONDARY_DNS_SERVER => secondary_dns,
                ms::PRIMARY_NBNS_SERVER => primary_wins,
                ms::SECONDARY_NBNS_SERVER => secondary_wins,
                ms::CHAP2_SUCCESS => {
                    if value.len() < CHAP2_SUCCESS {
                        return Err(Error::BadAttribute(kind::VENDOR_SPECIFIC));
                    }
                    accept.success = value.get(1..CHAP2_SUCCESS).map(<[u8]>::to_vec);
                    continue;
                }
                _ => continue,
            };
            let octets: [u8; 4] = value
                .try_into()
                .map_err(|_| Error::BadAttribute(kind::VENDOR_SPECIFIC))?;
            *place = Some(octets.into());
        }
        Ok(accept)
    }
}

impl Reject {
    /// Reads an Access-Reject's attributes; what cannot be read is left out.
    #[must_use]
    pub fn parse(attributes: &Attributes<'_>) -> Self {
        let mut vendor = attributes.vendor(ms::VENDOR);
        let error = vendor.find(|(kind, _)| *kind == ms::CHAP_ERROR);
        Self {
            error: error.and_then(|(_, value)| MsChapError::parse(value)),
            message: message(attributes),
        }
    }
}
