use super::{Body, Extent, Packet};
use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use proptest::prelude::*;
use std::net::IpAddr;

/// What etherparse says: addresses, protocol, and ports where there are any.
type Seen = (IpAddr, IpAddr, Option<(u16, u16)>);

fn theirs(bytes: &[u8]) -> Option<Seen> {
    let sliced = SlicedPacket::from_ip(bytes).ok()?;
    let (source, destination): (IpAddr, IpAddr) = match sliced.net.as_ref()? {
        NetSlice::Ipv4(v4) => (
            v4.header().source_addr().into(),
            v4.header().destination_addr().into(),
        ),
        NetSlice::Ipv6(v6) => (
            v6.header().source_addr().into(),
            v6.header().destination_addr().into(),
        ),
        NetSlice::Arp(_) => return None,
    };
    let ports = match sliced.transport {
        Some(TransportSlice::Udp(udp)) => Some((udp.source_port(), udp.destination_port())),
        Some(TransportSlice::Tcp(tcp)) => Some((tcp.source_port(), tcp.destination_port())),
        _ => None,
    };
    Some((source, destination, ports))
}

fn ours(bytes: &[u8]) -> Option<Seen> {
    let view = Packet::parse(bytes, Extent::Whole).ok()?;
    let ported = matches!(view.body, Body::Udp | Body::Tcp(_)) && view.fragment.is_none();
    let ports = ported.then_some((view.source_port, view.destination_port));
    Some((view.source, view.destination, ports))
}

/// A packet that its builder finds right, with one byte changed or its end cut off.
fn packets() -> impl Strategy<Value = Vec<u8>> {
    let parts = (
        any::<[u8; 16]>(),
        any::<[u8; 16]>(),
        any::<[u16; 2]>(),
        prop::collection::vec(any::<u8>(), 0..40),
        0..4_u8,
    );
    let built = parts.prop_map(|(from, to, [source, destination], payload, kind)| {
        let v4 = |a: [u8; 16]| [a[0], a[1], a[2], a[3]];
        let ip = if kind % 2 == 0 {
            etherparse::PacketBuilder::ipv4(v4(from), v4(to), 64)
        } else {
            etherparse::PacketBuilder::ipv6(from, to, 64)
        };
        let mut packet = Vec::new();
        if kind < 2 {
            ip.udp(source, destination)
                .write(&mut packet, &payload)
                .unwrap();
        } else {
            ip.tcp(source, destination, 1, 2)
                .write(&mut packet, &payload)
                .unwrap();
        }
        packet
    });
    (built, any::<(prop::sample::Index, u8, bool)>()).prop_map(
        |(mut packet, (index, value, cut))| {
            let at = index.index(packet.len());
            if cut {
                packet.truncate(at);
            } else {
                packet[at] = value;
            }
            packet
        },
    )
}

proptest! {
    /// What both take for a packet they see alike; what only etherparse takes is refused for a
    /// length that this parser checks and it does not.
    #[test]
    fn a_view_equals_etherparses(bytes in packets()) {
        if let (Some(ours), Some(theirs)) = (ours(&bytes), theirs(&bytes)) {
            prop_assert_eq!(ours, theirs);
        }
    }

    #[test]
    fn any_bytes_are_harmless(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        let _ = Packet::parse(&bytes, Extent::Whole);
        let _ = Packet::parse(&bytes, Extent::Quoted);
    }
}

/// Every packet that etherparse builds is one here.
#[test]
fn whole_packets_are_seen_alike() {
    for payload in 0..40 {
        let mut packet = Vec::new();
        etherparse::PacketBuilder::ipv6([0x20; 16], [0x30; 16], 64)
            .udp(7, 9)
            .write(&mut packet, &vec![1; payload])
            .unwrap();
        assert!(ours(&packet).is_some());
        assert_eq!(ours(&packet), theirs(&packet));
    }
}
