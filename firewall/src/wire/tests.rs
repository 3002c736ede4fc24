#![allow(
    clippy::arithmetic_side_effects,
    reason = "a test that overflows has failed"
)]

use super::{Body, Extent, Packet};
use etherparse::{
    Icmpv4Slice, Icmpv6Slice, Ipv4HeaderSlice, Ipv6ExtensionSlice, Ipv6ExtensionsSlice,
    Ipv6HeaderSlice, PacketBuilder, SlicedPacket, TcpOptionElement, TcpSlice, UdpHeaderSlice,
    UdpSlice,
};
use proptest::prelude::*;
use std::net::IpAddr;

/// A packet as either parser sees it.
#[derive(Debug, PartialEq)]
struct Seen {
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    /// Where the IP headers end, and where the packet does.
    transport: usize,
    end: usize,
    /// Identification, offset, and whether more follow.
    fragment: Option<(u32, usize, bool)>,
    whole_only: bool,
    hop_limit: u8,
    body: Transport,
}

#[derive(Debug, PartialEq)]
enum Transport {
    Udp(u16, u16),
    /// Ports, sequence number, acknowledgment, window, flags, window scale, and the sequence
    /// numbers that it takes.
    Tcp([u16; 2], [u32; 2], u16, u8, Option<u8>, u32),
    /// A query's identifier, or the MTU that an error tells of.
    Icmp(Option<u16>, Option<u32>),
    None,
}

/// Etherparse's view, layer by layer.
fn theirs(bytes: &[u8]) -> Option<Seen> {
    let mut seen = match bytes.first()? >> 4 {
        4 => {
            let header = Ipv4HeaderSlice::from_slice(bytes).ok()?;
            let (transport, end) = (header.slice().len(), usize::from(header.total_len()));
            let offset = usize::from(header.fragments_offset().value()) * 8;
            let fragment = header.is_fragmenting_payload().then(|| {
                let id = header.identification().into();
                (id, offset, header.more_fragments())
            });
            bytes.get(transport..end)?;
            Seen {
                source: header.source_addr().into(),
                destination: header.destination_addr().into(),
                protocol: header.protocol().0,
                transport,
                end,
                fragment,
                whole_only: header.dont_fragment(),
                hop_limit: header.ttl(),
                body: Transport::None,
            }
        }
        6 => {
            let header = Ipv6HeaderSlice::from_slice(bytes).ok()?;
            let end = 40 + usize::from(header.payload_length());
            let payload = bytes.get(40..end)?;
            let parsed = Ipv6ExtensionsSlice::from_slice(header.next_header(), payload).ok()?;
            let (extensions, protocol, rest) = parsed;
            let fragments = extensions
                .into_iter()
                .filter_map(|extension| match extension {
                    Ipv6ExtensionSlice::Fragment(f) if f.is_fragmenting_payload() => {
                        let offset = usize::from(f.fragment_offset().value()) * 8;
                        Some((f.identification(), offset, f.more_fragments()))
                    }
                    _ => None,
                });
            Seen {
                source: header.source_addr().into(),
                destination: header.destination_addr().into(),
                protocol: protocol.0,
                transport: end - rest.len(),
                end,
                fragment: { fragments }.next(),
                whole_only: true,
                hop_limit: header.hop_limit(),
                body: Transport::None,
            }
        }
        _ => return None,
    };
    if seen.fragment.is_none_or(|(_, offset, _)| offset == 0) {
        seen.body = their_body(&seen, bytes.get(seen.transport..seen.end)?)?;
    }
    Some(seen)
}

/// Etherparse reads no further than to an option that it does not know.
const UNREAD: u8 = u8::MAX;

fn their_body(seen: &Seen, data: &[u8]) -> Option<Transport> {
    let v4 = seen.source.is_ipv4();
    Some(match seen.protocol {
        17 if seen.fragment.is_some() => {
            let udp = UdpHeaderSlice::from_slice(data).ok()?;
            Transport::Udp(udp.source_port(), udp.destination_port())
        }
        17 => {
            let udp = UdpSlice::from_slice(data).ok()?;
            // Etherparse takes 0 for a jumbogram's (RFC 2675), which nobody sends.
            if udp.length() == 0 {
                return None;
            }
            Transport::Udp(udp.source_port(), udp.destination_port())
        }
        6 => {
            let tcp = TcpSlice::from_slice(data).ok()?;
            let mut options = tcp.options_iterator();
            let scale = options.find_map(|option| match option {
                Ok(TcpOptionElement::WindowScale(scale)) => Some(scale.min(14)),
                Ok(_) => None,
                Err(_) => Some(UNREAD),
            });
            let marks = u32::from(tcp.syn()) + u32::from(tcp.fin());
            let length = u32::try_from(tcp.payload().len()).ok()? + marks;
            Transport::Tcp(
                [tcp.source_port(), tcp.destination_port()],
                [tcp.sequence_number(), tcp.acknowledgment_number()],
                tcp.window_size(),
                tcp.slice()[13],
                scale.filter(|_| tcp.syn()),
                length,
            )
        }
        1 if v4 => {
            // Etherparse wants timestamps of one length; they are queries like others.
            let head = data.get(..8)?;
            let (kind, code, word) = match Icmpv4Slice::from_slice(data) {
                Ok(icmp) => (icmp.type_u8(), icmp.code_u8(), icmp.bytes5to8()),
                Err(_) => (head[0], head[1], [head[4], head[5], head[6], head[7]]),
            };
            let id = u16::from_be_bytes([word[0], word[1]]);
            let mtu = u16::from_be_bytes([word[2], word[3]]).into();
            let query = matches!(kind, 0 | 8 | 13 | 14);
            Transport::Icmp(query.then_some(id), ((kind, code) == (3, 4)).then_some(mtu))
        }
        58 if !v4 => {
            let icmp = Icmpv6Slice::from_slice(data).ok()?;
            let word = icmp.bytes5to8();
            let id = u16::from_be_bytes([word[0], word[1]]);
            let query = matches!(icmp.type_u8(), 128 | 129);
            let mtu = (icmp.type_u8() == 2).then(|| u32::from_be_bytes(word));
            Transport::Icmp(query.then_some(id), mtu)
        }
        _ => Transport::None,
    })
}

fn ours(bytes: &[u8]) -> Option<Seen> {
    let view = Packet::parse(bytes, Extent::Whole).ok()?;
    let ports = [view.source_port, view.destination_port];
    let icmp = (view.protocol.0, view.is_v4());
    let later = view.fragment.is_some_and(|f| f.offset != 0);
    let body = match view.body {
        Body::Udp => Transport::Udp(ports[0], ports[1]),
        Body::Tcp(s) => Transport::Tcp(ports, [s.seq, s.ack], s.window, s.flags, s.scale, s.length),
        Body::Query { request } => Transport::Icmp(Some(ports[usize::from(!request)]), None),
        Body::Error { mtu, .. } => Transport::Icmp(None, mtu),
        Body::Other if later || !matches!(icmp, (1, true) | (58, false)) => Transport::None,
        Body::LinkLocal | Body::Other => Transport::Icmp(None, None),
    };
    Some(Seen {
        source: view.source,
        destination: view.destination,
        protocol: view.protocol.0,
        transport: view.transport,
        end: view.end,
        fragment: view.fragment.map(|f| (f.identification, f.offset, f.more)),
        whole_only: view.whole_only,
        hop_limit: view.hop_limit,
        body,
    })
}

/// Where this parser is stricter on purpose: more extension headers than it walks, or a fragment
/// of a fragment; and behind an IPv6 fragment's header it reads nothing but a first fragment.
fn is_exotic(bytes: &[u8]) -> bool {
    let Some(payload) = bytes.get(40..).filter(|_| bytes[0] >> 4 == 6) else {
        return false;
    };
    let (mut next, mut at, mut walked, mut fragments) = (bytes[6], 0, 0, 0);
    while let (0 | 43 | 44 | 51 | 60, Some(head)) = (next, payload.get(at..at + 8)) {
        let later = next == 44 && u16::from_be_bytes([head[2], head[3]]) & 0xfff8 != 0;
        fragments += usize::from(next == 44);
        walked += 1;
        if later || fragments > 1 || walked > 8 {
            return true;
        }
        at += match next {
            44 => 8,
            51 => (usize::from(head[1]) + 2) * 4,
            _ => (usize::from(head[1]) + 1) * 8,
        };
        next = head[0];
    }
    false
}

/// A packet that its builder finds right, often with some bytes changed, or cut, or longer.
fn packets() -> impl Strategy<Value = Vec<u8>> {
    let parts = (
        any::<([u8; 16], [u8; 16], u16, u16)>(),
        prop::collection::vec(any::<u8>(), 0..60),
        any::<(bool, u8, u8, u8)>(),
        prop::collection::vec(prop::sample::select(vec![0_u8, 43, 44, 51, 60]), 0..3),
    );
    let built = parts.prop_map(
        |((from, to, a, b), payload, (v4, kind, scale, more), chain)| {
            let ip = if v4 {
                PacketBuilder::ipv4(
                    from[..4].try_into().unwrap(),
                    to[..4].try_into().unwrap(),
                    64,
                )
            } else {
                PacketBuilder::ipv6(from, to, 64)
            };
            let mut packet = Vec::new();
            let options = [
                TcpOptionElement::MaximumSegmentSize(a),
                TcpOptionElement::Noop,
                TcpOptionElement::WindowScale(scale % 20),
            ];
            match kind % 6 {
                0 => ip.udp(a, b).write(&mut packet, &payload),
                1 => ip.tcp(a, b, 1, 2).write(&mut packet, &payload),
                2 => ip
                    .tcp(a, b, 1, 2)
                    .syn()
                    .options(&options)
                    .unwrap()
                    .write(&mut packet, &payload),
                3 if v4 => ip
                    .icmpv4_raw(kind / 6 % 16, more % 6, [1, 2, 3, 4])
                    .write(&mut packet, &payload),
                3 => ip
                    .icmpv6_raw(if kind > 99 { kind } else { kind % 6 }, 0, [1, 2, 3, 4])
                    .write(&mut packet, &payload),
                _ if v4 => ip.icmpv4_echo_request(a, b).write(&mut packet, &payload),
                _ => ip.icmpv6_echo_request(a, b).write(&mut packet, &payload),
            }
            .unwrap();
            if v4 && more % 4 == 0 {
                packet[6..8].copy_from_slice(&(a & 0xe007).to_be_bytes());
            }
            for extension in chain.into_iter().filter(|_| !v4) {
                let size = if extension == 51 { 12 } else { 8 };
                let mut header = vec![0; size];
                header[0] = std::mem::replace(&mut packet[6], extension);
                header[1] = u8::from(extension == 51);
                if extension == 44 {
                    header[3] = more & 9;
                }
                packet.splice(40..40, header);
                let length = u16::try_from(packet.len() - 40).unwrap();
                packet[4..6].copy_from_slice(&length.to_be_bytes());
            }
            packet
        },
    );
    let change = any::<(prop::sample::Index, u8)>();
    (built, prop::collection::vec(change, 0..3), -9..9_isize).prop_map(
        |(mut packet, changes, longer)| {
            for (index, value) in changes {
                // Mostly headers, where it matters.
                let at = index.index(packet.len().min(if value % 2 == 0 { 64 } else { 12 }));
                packet[at] = value;
            }
            let length = packet.len().saturating_add_signed(longer.min(3));
            if longer != 0 {
                packet.resize(length, 0);
            }
            packet
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    /// Both take the same packets, and see the same in every field of them.
    #[test]
    fn a_view_equals_etherparses(bytes in packets()) {
        let (ours, mut theirs) = (ours(&bytes), theirs(&bytes));
        let bodies = (ours.as_ref().map(|o| &o.body), theirs.as_mut().map(|t| &mut t.body));
        if let (Some(Transport::Tcp(.., scale, _)), Some(Transport::Tcp(.., unread, _))) = bodies
            && *unread == Some(UNREAD)
        {
            *unread = *scale;
        }
        if !is_exotic(&bytes) {
            prop_assert_eq!(ours, theirs);
        }
    }

    #[test]
    fn any_bytes_are_harmless(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        let _ = Packet::parse(&bytes, Extent::Whole);
        let _ = Packet::parse(&bytes, Extent::Quoted);
    }
}

/// Every packet that etherparse builds is one here, and etherparse's own walk through all layers
/// takes it.
#[test]
fn whole_packets_are_seen_alike() {
    for payload in 0..40 {
        let mut packet = Vec::new();
        PacketBuilder::ipv6([0x20; 16], [0x30; 16], 64)
            .udp(7, 9)
            .write(&mut packet, &vec![1; payload])
            .unwrap();
        assert!(SlicedPacket::from_ip(&packet).is_ok());
        assert!(ours(&packet).is_some());
        assert_eq!(ours(&packet), theirs(&packet));
    }
}
