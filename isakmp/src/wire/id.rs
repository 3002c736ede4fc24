use super::{Malformed, finish};
use nom::Parser;
use nom::number::complete::{be_u8, be_u16};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const IPV4_ADDR: u8 = 1;
const FQDN: u8 = 2;
const USER_FQDN: u8 = 3;
const IPV4_ADDR_SUBNET: u8 = 4;
const IPV6_ADDR: u8 = 5;
const IPV6_ADDR_SUBNET: u8 = 6;
const KEY_ID: u8 = 11;

/// An identity (RFC 2407 section 4.6.2), of a peer or of one end of a selector.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Identity {
    /// `ID_IPV4_ADDR` or `ID_IPV6_ADDR`.
    Address(IpAddr),
    /// `ID_IPV4_ADDR_SUBNET` or `ID_IPV6_ADDR_SUBNET`: address and mask.
    Subnet(IpAddr, IpAddr),
    /// `ID_FQDN`: a host name, not terminated.
    Fqdn(Vec<u8>),
    /// `ID_USER_FQDN`: a mail address.
    UserFqdn(Vec<u8>),
    /// `ID_KEY_ID`: opaque bytes.
    KeyId(Vec<u8>),
    /// Any other type, uninterpreted.
    Other {
        /// The identification type.
        kind: u8,
        /// The identification data.
        data: Vec<u8>,
    },
}

impl Identity {
    fn from_parts(kind: u8, data: &[u8]) -> Result<Self, Malformed> {
        let v4 = |data: &[u8]| <[u8; 4]>::try_from(data).map(|a| IpAddr::from(Ipv4Addr::from(a)));
        let v6 = |data: &[u8]| <[u8; 16]>::try_from(data).map(|a| IpAddr::from(Ipv6Addr::from(a)));
        let wrong = |_| Malformed::Length;
        Ok(match kind {
            IPV4_ADDR => Self::Address(v4(data).map_err(wrong)?),
            IPV6_ADDR => Self::Address(v6(data).map_err(wrong)?),
            IPV4_ADDR_SUBNET | IPV6_ADDR_SUBNET => {
                let half = if kind == IPV4_ADDR_SUBNET { 4 } else { 16 };
                let (address, mask) = data.split_at_checked(half).ok_or(Malformed::Length)?;
                let read = |d| if half == 4 { v4(d) } else { v6(d) };
                Self::Subnet(read(address).map_err(wrong)?, read(mask).map_err(wrong)?)
            }
            FQDN => Self::Fqdn(data.to_vec()),
            USER_FQDN => Self::UserFqdn(data.to_vec()),
            KEY_ID => Self::KeyId(data.to_vec()),
            kind => Self::Other {
                kind,
                data: data.to_vec(),
            },
        })
    }

    /// Type, protocol, port and data of an identification payload.
    pub(crate) fn parse(body: &[u8]) -> Result<(Self, u8, u16), Malformed> {
        let (data, (kind, protocol, port)) = finish((be_u8, be_u8, be_u16).parse(body))?;
        Ok((Self::from_parts(kind, data)?, protocol, port))
    }

    /// The body of an identification payload.
    pub(crate) fn payload(&self, protocol: u8, port: u16) -> Vec<u8> {
        let octets = |ip: &IpAddr| match ip {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        let (kind, data) = match self {
            Self::Address(ip) => (if ip.is_ipv4() { IPV4_ADDR } else { IPV6_ADDR }, octets(ip)),
            Self::Subnet(ip, mask) => {
                let kind = if ip.is_ipv4() {
                    IPV4_ADDR_SUBNET
                } else {
                    IPV6_ADDR_SUBNET
                };
                (kind, [octets(ip), octets(mask)].concat())
            }
            Self::Fqdn(name) => (FQDN, name.clone()),
            Self::UserFqdn(name) => (USER_FQDN, name.clone()),
            Self::KeyId(id) => (KEY_ID, id.clone()),
            Self::Other { kind, data } => (*kind, data.clone()),
        };
        let mut out = vec![kind, protocol];
        out.extend_from_slice(&port.to_be_bytes());
        out.extend_from_slice(&data);
        out
    }

    /// Reads the address of a NAT-OA payload (RFC 3947 section 5.2), which has the same form.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Address(ip) => Some(*ip),
            _ => None,
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(ip) => ip.fmt(f),
            Self::Subnet(ip, mask) => write!(f, "{ip}/{mask}"),
            Self::Fqdn(name) | Self::UserFqdn(name) => name.escape_ascii().fmt(f),
            Self::KeyId(id) => write!(f, "key ID {}", id.escape_ascii()),
            Self::Other { kind, data } => write!(f, "type {kind}: {}", data.escape_ascii()),
        }
    }
}
