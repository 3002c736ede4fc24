//! IPv4's header (RFC 791 section 3.1) and IPv6's with its extension headers (RFC 8200 section 4).

use super::{Body, Extent, Fragment, Malformed, Packet, Protocol, long, word};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const DONT_FRAGMENT: u16 = 0x4000;
const MORE_FRAGMENTS: u16 = 0x2000;
const FRAGMENT_OFFSET: u16 = 0x1fff;
/// Extension headers walked at most; RFC 8200 knows six, each once.
const MAX_EXTENSIONS: usize = 8;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;

pub(super) fn parse_v4(bytes: &[u8], extent: Extent) -> Result<Packet, Malformed> {
    let header = bytes.first_chunk::<20>().ok_or(Malformed::Header)?;
    let &[
        first,
        _,
        l0,
        l1,
        i0,
        i1,
        f0,
        f1,
        ttl,
        protocol,
        _,
        _,
        s0,
        s1,
        s2,
        s3,
        d0,
        d1,
        d2,
        d3,
    ] = header;
    let transport = usize::from(first & 0x0f).saturating_mul(4);
    let total = usize::from(u16::from_be_bytes([l0, l1]));
    let fits = transport >= 20
        && total >= transport
        && transport <= bytes.len()
        && (extent == Extent::Quoted || total <= bytes.len());
    if !fits {
        return Err(Malformed::Header);
    }
    let flags = u16::from_be_bytes([f0, f1]);
    let fragment = (flags & (MORE_FRAGMENTS | FRAGMENT_OFFSET) != 0).then(|| Fragment {
        identification: u16::from_be_bytes([i0, i1]).into(),
        offset: usize::from(flags & FRAGMENT_OFFSET).saturating_mul(8),
        more: flags & MORE_FRAGMENTS != 0,
    });
    Ok(Packet {
        protocol: Protocol(protocol),
        source: IpAddr::V4(Ipv4Addr::new(s0, s1, s2, s3)),
        destination: IpAddr::V4(Ipv4Addr::new(d0, d1, d2, d3)),
        source_port: 0,
        destination_port: 0,
        transport,
        end: total,
        body: Body::Other,
        fragment,
        whole_only: flags & DONT_FRAGMENT != 0,
        hop_limit: ttl,
    })
}

pub(super) fn parse_v6(bytes: &[u8], extent: Extent) -> Result<Packet, Malformed> {
    let (header, _) = bytes.split_first_chunk::<40>().ok_or(Malformed::Header)?;
    let address = |at: usize| {
        let octets = header.get(at..)?.first_chunk::<16>()?;
        Some(IpAddr::V6(Ipv6Addr::from(*octets)))
    };
    let payload = usize::from(word(header, 4).ok_or(Malformed::Header)?);
    let end = payload.saturating_add(40);
    if extent == Extent::Whole && end > bytes.len() {
        return Err(Malformed::Header);
    }
    let mut next = header.get(6).copied().ok_or(Malformed::Header)?;
    let mut at = 40_usize;
    let mut fragment = None;
    for walked in 0.. {
        let size = match next {
            HOP_BY_HOP if at != 40 => return Err(Malformed::Extensions),
            HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS => {
                let units = usize::from(*bytes.get(at.saturating_add(1)).ok_or(Malformed::Header)?);
                units.saturating_add(1).saturating_mul(8)
            }
            AUTHENTICATION => {
                let units = usize::from(*bytes.get(at.saturating_add(1)).ok_or(Malformed::Header)?);
                // SPI and sequence number at least (RFC 4302 section 2).
                if units == 0 {
                    return Err(Malformed::Header);
                }
                units.saturating_add(2).saturating_mul(4)
            }
            FRAGMENT => {
                if fragment.is_some() {
                    return Err(Malformed::Extensions);
                }
                let flags = word(bytes, at.saturating_add(2)).ok_or(Malformed::Header)?;
                let identification = long(bytes, at.saturating_add(4)).ok_or(Malformed::Header)?;
                fragment = Some(Fragment {
                    identification,
                    offset: usize::from(flags & 0xfff8),
                    more: flags & 1 != 0,
                });
                8
            }
            _ => break,
        };
        if walked == MAX_EXTENSIONS {
            return Err(Malformed::Extensions);
        }
        next = *bytes.get(at).ok_or(Malformed::Header)?;
        at = at.saturating_add(size);
        if at > end || at > bytes.len() {
            // RFC 7112: the whole chain is in the first fragment.
            return Err(match fragment {
                Some(_) => Malformed::TinyFragment,
                None => Malformed::Header,
            });
        }
        if fragment.is_some_and(|f: Fragment| f.offset != 0) {
            // What follows is the middle of something.
            break;
        }
    }
    Ok(Packet {
        protocol: Protocol(next),
        source: address(8).ok_or(Malformed::Header)?,
        destination: address(24).ok_or(Malformed::Header)?,
        source_port: 0,
        destination_port: 0,
        transport: at,
        end,
        body: Body::Other,
        // Alone in its datagram: a whole packet (RFC 6946).
        fragment: fragment.filter(|f| f.more || f.offset != 0),
        whole_only: true,
        hop_limit: header.get(7).copied().ok_or(Malformed::Header)?,
    })
}
