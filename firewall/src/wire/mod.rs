//! Views on IPv4, IPv6, UDP, TCP and ICMP headers; only what a firewall needs.
#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects
)]

mod ip;
mod message;
mod mss;
mod rewrite;
mod transport;

#[cfg(test)]
mod tests;

pub use message::IcmpError;
pub(crate) use message::{build_error, checksum_is_right};
pub(crate) use mss::clamp_mss;
pub(crate) use rewrite::{fragment, mend_icmp, rewrite, rewrite_plain, set_identification};
pub(crate) use transport::Segment;

use std::net::IpAddr;

/// An IP protocol number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Protocol(pub u8);

#[allow(missing_docs, reason = "the registry's own names")]
impl Protocol {
    pub const ICMP: Self = Self(1);
    pub const TCP: Self = Self(6);
    pub const UDP: Self = Self(17);
    pub const GRE: Self = Self(47);
    pub const ESP: Self = Self(50);
    pub const ICMPV6: Self = Self(58);
}

impl Protocol {
    /// Whether it has ports, or the identifier of ICMP's queries.
    pub(crate) fn has_ports(self) -> bool {
        matches!(self, Self::UDP | Self::TCP | Self::ICMP | Self::ICMPV6)
    }
}

pub(crate) const TCP_FIN: u8 = 0x01;
pub(crate) const TCP_SYN: u8 = 0x02;
pub(crate) const TCP_RST: u8 = 0x04;
pub(crate) const TCP_ACK: u8 = 0x10;

/// What a packet is, as far as tracking goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) protocol: Protocol,
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    /// Ports, a query's identifier at the end that asked and its type at the other, or 0.
    pub(crate) source_port: u16,
    pub(crate) destination_port: u16,
    /// Offset of the transport header.
    pub(crate) transport: usize,
    /// Where the packet ends, by its own header.
    pub(crate) end: usize,
    pub(crate) body: Body,
    pub(crate) fragment: Option<Fragment>,
    /// Never fragmented on the way: IPv4 with DF, or IPv6.
    pub(crate) whole_only: bool,
    /// IPv4's time to live, IPv6's hop limit.
    pub(crate) hop_limit: u8,
}

/// A piece of a datagram (RFC 791 section 3.2, RFC 8200 section 4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fragment {
    pub(crate) identification: u32,
    /// In bytes.
    pub(crate) offset: usize,
    pub(crate) more: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    Udp,
    Tcp(Segment),
    /// ICMP that asks or answers (RFC 5508 section 2).
    Query {
        request: bool,
    },
    /// An ICMP error: where the packet it quotes begins, and the MTU if it tells one.
    Error {
        quoted: usize,
        mtu: Option<u32>,
    },
    /// ICMP that routers do not pass on: redirects, neighbour discovery, multicast listeners.
    LinkLocal,
    /// Later fragments, and protocols without ports.
    Other,
}

/// Why a packet has no view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// Lengths that do not fit, or headers that end early.
    Header,
    /// Neither IPv4 nor IPv6.
    Version,
    /// More extension headers than anybody sends.
    Extensions,
    /// A first fragment without its transport header (RFC 1858, RFC 7112).
    TinyFragment,
}

/// How much of a packet there must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    Whole,
    /// Cut short after 8 bytes of transport header, as ICMP errors quote it.
    Quoted,
}

impl Packet {
    /// Reads an IP packet.
    pub(crate) fn parse(bytes: &[u8], extent: Extent) -> Result<Self, Malformed> {
        let mut packet = match bytes.first().ok_or(Malformed::Header)? >> 4 {
            4 => ip::parse_v4(bytes, extent)?,
            6 => ip::parse_v6(bytes, extent)?,
            _ => return Err(Malformed::Version),
        };
        // Only the first fragment has ports.
        if packet.fragment.is_none_or(|fragment| fragment.offset == 0) {
            let end = packet.end.min(bytes.len());
            let data = bytes.get(packet.transport..end).ok_or(Malformed::Header)?;
            let cut = match packet.fragment {
                Some(_) => Malformed::TinyFragment,
                None => Malformed::Header,
            };
            transport::parse(&mut packet, data, extent).ok_or(cut)?;
        }
        Ok(packet)
    }

    pub(crate) fn is_v4(&self) -> bool {
        self.source.is_ipv4()
    }

    pub(crate) fn length(&self) -> usize {
        self.end
    }

    /// Bytes behind the IP header.
    pub(crate) fn payload_length(&self) -> usize {
        self.end.saturating_sub(self.transport)
    }
}

/// A whole TCP segment.
pub(crate) fn segment(bytes: &[u8]) -> Option<Segment> {
    transport::segment(bytes.len(), bytes, Extent::Whole)
}

pub(crate) fn word(bytes: &[u8], at: usize) -> Option<u16> {
    let chunk = bytes.get(at..)?.first_chunk::<2>()?;
    Some(u16::from_be_bytes(*chunk))
}

fn long(bytes: &[u8], at: usize) -> Option<u32> {
    let chunk = bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_be_bytes(*chunk))
}

fn put(bytes: &mut [u8], at: usize, value: u16) {
    if let Some(space) = bytes
        .get_mut(at..)
        .and_then(|rest| rest.first_chunk_mut::<2>())
    {
        *space = value.to_be_bytes();
    }
}
