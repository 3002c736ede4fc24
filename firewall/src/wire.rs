//! Views on IPv4, UDP, TCP and ICMP headers; only what a firewall needs.

use crate::checksum;
use std::net::Ipv4Addr;

/// An IP protocol number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Protocol(pub u8);

#[allow(missing_docs, reason = "the registry's own names")]
impl Protocol {
    pub const ICMP: Self = Self(1);
    pub const TCP: Self = Self(6);
    pub const UDP: Self = Self(17);
    pub const ESP: Self = Self(50);
}

const ECHO_REPLY: u8 = 0;
const ECHO_REQUEST: u8 = 8;
const MORE_FRAGMENTS: u16 = 0x2000;
const FRAGMENT_OFFSET: u16 = 0x1fff;
/// RFC 792's error messages that quote a packet.
const ICMP_ERRORS: [u8; 5] = [3, 4, 5, 11, 12];

pub(crate) const TCP_FIN: u8 = 0x01;
pub(crate) const TCP_SYN: u8 = 0x02;
pub(crate) const TCP_RST: u8 = 0x04;
pub(crate) const TCP_ACK: u8 = 0x10;

/// What a packet is, as far as tracking goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) protocol: Protocol,
    pub(crate) source: Ipv4Addr,
    pub(crate) destination: Ipv4Addr,
    /// Ports, an echo's identifier at the end that asked, or 0.
    pub(crate) source_port: u16,
    pub(crate) destination_port: u16,
    /// Offset of the transport header.
    pub(crate) transport: usize,
    pub(crate) body: Body,
    pub(crate) fragment: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    Udp,
    Tcp {
        flags: u8,
    },
    Echo {
        request: bool,
    },
    /// An ICMP error: where the packet it quotes begins.
    IcmpError {
        quoted: usize,
    },
    Other,
}

/// Why a packet has no view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Malformed {
    Header,
    NotIpv4,
}

impl Packet {
    /// Reads an IPv4 packet. `quoted` allows one that is cut short after 8 bytes of transport
    /// header, as ICMP errors quote it.
    pub(crate) fn parse(bytes: &[u8], quoted: bool) -> Result<Self, Malformed> {
        let header = bytes.first_chunk::<20>().ok_or(Malformed::Header)?;
        if header[0] >> 4 != 4 {
            return Err(Malformed::NotIpv4);
        }
        let transport = usize::from(header[0] & 0x0f) * 4;
        let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
        if transport < 20 || total < transport || (!quoted && total > bytes.len()) {
            return Err(Malformed::Header);
        }
        let fragment = u16::from_be_bytes([header[6], header[7]]);
        let fragment = fragment & (MORE_FRAGMENTS | FRAGMENT_OFFSET) != 0;
        let end = total.min(bytes.len());
        let data = bytes.get(transport..end).ok_or(Malformed::Header)?;
        let protocol = Protocol(header[9]);
        let ports = data.first_chunk::<4>();
        let mut packet = Self {
            protocol,
            source: Ipv4Addr::new(header[12], header[13], header[14], header[15]),
            destination: Ipv4Addr::new(header[16], header[17], header[18], header[19]),
            source_port: 0,
            destination_port: 0,
            transport,
            body: Body::Other,
            fragment,
        };
        if fragment {
            // Only the first has ports; all of a datagram are tracked by address alone.
            return Ok(packet);
        }
        let least = match protocol {
            Protocol::TCP if !quoted => 20,
            Protocol::TCP | Protocol::UDP | Protocol::ICMP => 8,
            _ => 0,
        };
        if data.len() < least {
            return Err(Malformed::Header);
        }
        match (protocol, ports) {
            (Protocol::UDP | Protocol::TCP, Some([s0, s1, d0, d1])) => {
                packet.source_port = u16::from_be_bytes([*s0, *s1]);
                packet.destination_port = u16::from_be_bytes([*d0, *d1]);
                packet.body = match protocol {
                    Protocol::TCP => Body::Tcp {
                        flags: data.get(13).copied().unwrap_or(0),
                    },
                    _ => Body::Udp,
                };
            }
            (Protocol::ICMP, Some([kind, ..])) => match *kind {
                ECHO_REQUEST | ECHO_REPLY => {
                    let id = data.get(4..6).and_then(|b| b.first_chunk::<2>());
                    let id = id.map_or(0, |b| u16::from_be_bytes(*b));
                    // The identifier is the asking end's port; the other has none.
                    let request = *kind == ECHO_REQUEST;
                    if request {
                        packet.source_port = id;
                    } else {
                        packet.destination_port = id;
                    }
                    packet.body = Body::Echo { request };
                }
                kind if ICMP_ERRORS.contains(&kind) => {
                    packet.body = Body::IcmpError {
                        quoted: transport + 8,
                    };
                }
                _ => {}
            },
            _ => {}
        }
        Ok(packet)
    }
}

/// Which end of a packet to rewrite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Source,
    Destination,
}

/// Rewrites one end's address and port and mends the checksums in place. `view` is the packet's
/// parsed form, kept in step.
pub(crate) fn rewrite(bytes: &mut [u8], view: &mut Packet, end: End, address: Ipv4Addr, port: u16) {
    let (old, old_port, at, port_at) = match end {
        End::Source => (view.source, view.source_port, 12, 0),
        End::Destination => (view.destination, view.destination_port, 16, 2),
    };
    let (old_words, new_words) = (words(old), words(address));
    if let Some(space) = bytes.get_mut(at..at + 4) {
        space.copy_from_slice(&address.octets());
    }
    mend(bytes, 10, &old_words, &new_words);
    let transport = view.transport;
    match view.body {
        Body::Udp | Body::Tcp { .. } => {
            put(bytes, transport + port_at, port);
            let old = [old_words[0], old_words[1], old_port];
            let new = [new_words[0], new_words[1], port];
            match view.body {
                // No checksum stays none; one that comes out as 0 is sent as all ones (RFC 768).
                Body::Udp if word(bytes, transport + 6) == Some(0) => {}
                Body::Udp => {
                    mend(bytes, transport + 6, &old, &new);
                    if word(bytes, transport + 6) == Some(0) {
                        put(bytes, transport + 6, 0xffff);
                    }
                }
                _ => mend(bytes, transport + 16, &old, &new),
            }
        }
        Body::Echo { request } if request == (end == End::Source) => {
            put(bytes, transport + 4, port);
            mend(bytes, transport + 2, &[old_port], &[port]);
        }
        Body::Echo { .. } | Body::IcmpError { .. } | Body::Other => {}
    }
    match end {
        End::Source => (view.source, view.source_port) = (address, port),
        End::Destination => (view.destination, view.destination_port) = (address, port),
    }
}

/// Recomputes the checksum of an ICMP message of which the quoted packet has changed.
pub(crate) fn mend_icmp(bytes: &mut [u8], transport: usize) {
    put(bytes, transport + 2, 0);
    let total = word(bytes, 2)
        .map_or(bytes.len(), usize::from)
        .min(bytes.len());
    let sum = bytes.get(transport..total).map_or(0, checksum::compute);
    put(bytes, transport + 2, sum);
}

/// Lowers TCP's maximum segment size option to `most` on SYNs (RFC 793 section 3.1).
pub(crate) fn clamp_mss(bytes: &mut [u8], view: &Packet, most: u16) {
    let Body::Tcp { flags } = view.body else {
        return;
    };
    if flags & TCP_SYN == 0 {
        return;
    }
    let start = view.transport;
    let length = bytes.get(start + 12).map_or(0, |b| usize::from(b >> 4) * 4);
    let mut at = start + 20;
    while at < start + length {
        match (bytes.get(at).copied(), bytes.get(at + 1).copied()) {
            (Some(1), _) => at += 1,
            (Some(2), Some(4)) => {
                if let Some(old) = word(bytes, at + 2).filter(|old| *old > most) {
                    put(bytes, at + 2, most);
                    // The option may stand on an odd byte, where checksum words straddle it.
                    let (old, new) = if (at - start).is_multiple_of(2) {
                        (old, most)
                    } else {
                        (old.swap_bytes(), most.swap_bytes())
                    };
                    mend(bytes, start + 16, &[old], &[new]);
                }
                return;
            }
            (Some(kind), Some(size)) if kind != 0 && size >= 2 => at += usize::from(size),
            _ => return,
        }
    }
}

fn words(address: Ipv4Addr) -> [u16; 2] {
    let [a, b, c, d] = address.octets();
    [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])]
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    bytes
        .get(at..)?
        .first_chunk::<2>()
        .map(|b| u16::from_be_bytes(*b))
}

fn put(bytes: &mut [u8], at: usize, value: u16) {
    if let Some(space) = bytes.get_mut(at..at + 2) {
        space.copy_from_slice(&value.to_be_bytes());
    }
}

fn mend(bytes: &mut [u8], at: usize, old: &[u16], new: &[u16]) {
    if let Some(sum) = word(bytes, at) {
        put(bytes, at, checksum::update(sum, old, new));
    }
}
