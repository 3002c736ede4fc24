//! UDP, TCP and ICMP headers.

use super::{Body, Extent, Packet, Protocol, TCP_FIN, TCP_SYN, long, word};

/// What the window check needs of a TCP segment (RFC 9293 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) flags: u8,
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    /// As in the header, not scaled.
    pub(crate) window: u16,
    /// Sequence numbers taken: data, SYN and FIN.
    pub(crate) length: u32,
    /// A SYN's window scale option (RFC 7323 section 2), at most 14.
    pub(crate) scale: Option<u8>,
}

impl Segment {
    pub(crate) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The sequence number behind it.
    pub(crate) fn end(&self) -> u32 {
        self.seq.wrapping_add(self.length)
    }
}

/// RFC 7323 section 2.3.
const MAX_SCALE: u8 = 14;

/// Fills in what the transport header tells; none if it does not fit.
pub(super) fn parse(packet: &mut Packet, data: &[u8], extent: Extent) -> Option<()> {
    match packet.protocol {
        Protocol::UDP => {
            let length = usize::from(word(data, 4)?);
            word(data, 6)?;
            let fits = length >= 8 && length <= packet.payload_length();
            if extent == Extent::Whole && packet.fragment.is_none() && !fits {
                return None;
            }
            packet.body = Body::Udp;
        }
        Protocol::TCP => {
            let payload = packet.payload_length();
            packet.body = Body::Tcp(segment(payload, data, extent)?);
        }
        Protocol::ICMP if packet.is_v4() => return icmp(packet, data, icmp_v4),
        Protocol::ICMPV6 if !packet.is_v4() => return icmp(packet, data, icmp_v6),
        _ => return Some(()),
    }
    packet.source_port = word(data, 0)?;
    packet.destination_port = word(data, 2)?;
    Some(())
}

/// A segment that is `length` bytes long, of which there are `data`.
pub(super) fn segment(length: usize, data: &[u8], extent: Extent) -> Option<Segment> {
    let seq = long(data, 4)?;
    let quoted = Segment {
        flags: 0,
        seq,
        ack: 0,
        window: 0,
        length: 0,
        scale: None,
    };
    if extent == Extent::Quoted {
        return Some(quoted);
    }
    let header = data.first_chunk::<20>()?;
    let &[.., offset, flags, w0, w1, _, _, _, _] = header;
    let size = usize::from(offset >> 4).checked_mul(4)?;
    let options = data.get(20..size)?;
    let payload = length.checked_sub(size)?;
    let marks = u32::from(flags & TCP_SYN != 0).saturating_add(u32::from(flags & TCP_FIN != 0));
    let syn = flags & TCP_SYN != 0;
    Some(Segment {
        flags,
        ack: long(data, 8)?,
        window: u16::from_be_bytes([w0, w1]),
        length: u32::try_from(payload).ok()?.saturating_add(marks),
        scale: if syn { scale(options) } else { None },
        ..quoted
    })
}

fn scale(options: &[u8]) -> Option<u8> {
    let (at, size) = option(options, 3)?;
    (size == 3)
        .then(|| options.get(at.saturating_add(2)).copied())?
        .map(|scale| scale.min(MAX_SCALE))
}

/// Where in TCP's options the first of a kind is, and its size (RFC 9293 section 3.2).
pub(super) fn option(options: &[u8], wanted: u8) -> Option<(usize, u8)> {
    let mut at = 0_usize;
    loop {
        match *options.get(at)? {
            0 => return None,
            1 => at = at.saturating_add(1),
            kind => {
                let size = *options.get(at.saturating_add(1))?;
                let end = at.saturating_add(size.into());
                if size < 2 || end > options.len() {
                    return None;
                }
                if kind == wanted {
                    return Some((at, size));
                }
                at = end;
            }
        }
    }
}

/// What an ICMP type is.
enum Type {
    /// With the request's type: the port of the end that is asked.
    Request(u8),
    Reply(u8),
    Error,
    LinkLocal,
    Unknown,
}

fn icmp(packet: &mut Packet, data: &[u8], classify: fn(u8) -> Type) -> Option<()> {
    let &[kind, code, _, _, a, b, c, d] = data.first_chunk::<8>()?;
    let id = u16::from_be_bytes([a, b]);
    match classify(kind) {
        Type::Request(asked) => {
            packet.body = Body::Query { request: true };
            packet.source_port = id;
            packet.destination_port = asked.into();
        }
        Type::Reply(asked) => {
            packet.body = Body::Query { request: false };
            packet.source_port = asked.into();
            packet.destination_port = id;
        }
        Type::Error => {
            let mtu = match (packet.protocol, kind, code) {
                (Protocol::ICMP, 3, 4) => Some(u32::from(u16::from_be_bytes([c, d]))),
                (Protocol::ICMPV6, 2, _) => Some(u32::from_be_bytes([a, b, c, d])),
                _ => None,
            };
            let quoted = packet.transport.checked_add(8)?;
            packet.body = Body::Error { quoted, mtu };
        }
        Type::LinkLocal => packet.body = Body::LinkLocal,
        Type::Unknown => {}
    }
    Some(())
}

/// RFC 792; source quench is deprecated (RFC 6633), redirects and router discovery stay on their link.
fn icmp_v4(kind: u8) -> Type {
    match kind {
        8 | 13 => Type::Request(kind),
        0 => Type::Reply(8),
        14 => Type::Reply(13),
        3 | 11 | 12 => Type::Error,
        4 | 5 | 9 | 10 => Type::LinkLocal,
        _ => Type::Unknown,
    }
}

/// RFC 4443, RFC 4861, RFC 3810.
fn icmp_v6(kind: u8) -> Type {
    match kind {
        128 => Type::Request(kind),
        129 => Type::Reply(128),
        1..=4 => Type::Error,
        130..=137 | 141..=143 | 148 | 149 | 151..=153 => Type::LinkLocal,
        _ => Type::Unknown,
    }
}
