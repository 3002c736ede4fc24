#![no_main]
//! Any packets from either side, and whole ones that are made to fit: never a panic; what is
//! dropped is left as it was; checksums that were right stay right; one global endpoint stands for
//! one private endpoint, and one private endpoint for one global one, as long as its flow lives.
use arbitrary::Arbitrary;
use chacha20::{ChaCha20Rng, rand_core::SeedableRng};
use firewall::{Config, Event, Filtering, Firewall, FlowInfo, Ingress, Interface, Nat, Verdict};
use libfuzzer_sys::fuzz_target;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

const GLOBAL: [u8; 4] = [198, 51, 100, 2];

#[derive(Arbitrary, Debug)]
enum Content {
    Any(Vec<u8>),
    /// A whole UDP datagram or TCP segment with right checksums.
    Fit {
        tcp: bool,
        host: u8,
        ports: [u8; 2],
        flags: u8,
        seq: u8,
        fragment: u8,
        payload: Vec<u8>,
    },
}

#[derive(Arbitrary, Debug)]
struct Step {
    from_lan: bool,
    wait: u8,
    content: Content,
}

fn sum(bytes: &[u8], start: u32) -> u16 {
    let mut sum = start;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// Of a whole packet's transport, with its pseudo-header.
fn transport_sum(packet: &[u8]) -> u16 {
    let length = packet.len() as u32 - 20;
    let start = u32::from(sum(&packet[12..20], 0)) + u32::from(packet[9]) + length;
    sum(&packet[20..], start)
}

fn build(from_lan: bool, content: Content) -> (Vec<u8>, bool) {
    let (tcp, host, ports, flags, seq, fragment, payload) = match content {
        Content::Any(bytes) => return (bytes, false),
        Content::Fit {
            tcp,
            host,
            ports,
            flags,
            seq,
            fragment,
            payload,
        } => (tcp, host, ports, flags, seq, fragment, payload),
    };
    let inside = [192, 168, 1, host % 4];
    let outside = [203, 0, 113, host / 64];
    let (from, to) = match (from_lan, host & 32 != 0) {
        (true, true) => (inside, GLOBAL),
        (true, false) => (inside, outside),
        (false, _) => (outside, GLOBAL),
    };
    let mut packet = vec![
        0x45,
        0,
        0,
        0,
        0,
        7,
        0,
        0,
        64,
        if tcp { 6 } else { 17 },
        0,
        0,
    ];
    packet.extend(from);
    packet.extend(to);
    packet.extend([4, ports[0] % 8, 4, ports[1] % 8]);
    if tcp {
        packet.extend([0, 0, 0, seq, 0, 0, 0, seq, 0x50, flags, 16, 0, 0, 0, 0, 0]);
    } else {
        packet.extend((payload.len() as u16 + 8).to_be_bytes());
        packet.extend([0, 0]);
    }
    packet.extend(&payload[..payload.len().min(1000)]);
    if !tcp {
        let length = packet.len() as u16 - 20;
        packet[24..26].copy_from_slice(&length.to_be_bytes());
    }
    let length = packet.len() as u16;
    packet[2..4].copy_from_slice(&length.to_be_bytes());
    let at = if tcp { 36 } else { 26 };
    let mut check = !transport_sum(&packet);
    if !tcp && check == 0 {
        check = 0xffff;
    }
    packet[at..at + 2].copy_from_slice(&check.to_be_bytes());
    let whole = fragment < 200;
    if !whole {
        packet[6..8].copy_from_slice(&[if fragment & 1 == 0 { 0x20 } else { 0 }, fragment & 6]);
    }
    let check = !sum(&packet[..20], 0);
    packet[10..12].copy_from_slice(&check.to_be_bytes());
    (packet, whole)
}

type Bijection = (
    HashMap<SocketAddr, (SocketAddr, usize)>,
    HashMap<SocketAddr, SocketAddr>,
);

/// Keeps which private endpoint has which global one, for each protocol.
fn note(maps: &mut HashMap<u8, Bijection>, flow: &FlowInfo, open: bool) {
    let ported = matches!(flow.protocol.0, 6 | 17);
    if flow.source == flow.translated_source || !ported {
        return;
    }
    let (private, global) = maps.entry(flow.protocol.0).or_default();
    if open {
        let (mapped, count) = private
            .entry(flow.source)
            .or_insert((flow.translated_source, 0));
        assert_eq!(*mapped, flow.translated_source);
        *count += 1;
        let owner = global.entry(flow.translated_source).or_insert(flow.source);
        assert_eq!(*owner, flow.source);
    } else if let Some((mapped, count)) = private.get_mut(&flow.source) {
        *count -= 1;
        if *count == 0 {
            global.remove(mapped);
            private.remove(&flow.source);
        }
    }
}

fuzz_target!(|steps: Vec<Step>| {
    let mut now = Instant::now();
    let mut config = Config::default();
    let mut nat = Nat::new(GLOBAL.into());
    nat.filtering = Filtering::EndpointIndependent;
    nat.ports = 1024..=1040;
    config.nat = vec![nat];
    config.limits.flows = 16;
    config.limits.fragmented = 8;
    let rng = Box::new(ChaCha20Rng::seed_from_u64(1));
    let mut firewall = Firewall::new(Arc::new(config), rng).unwrap();
    let lan = firewall.add_interface(Interface::private());
    let mut wan = Interface::public();
    wan.mtu = Some(576);
    let wan = firewall.add_interface(wan);
    let mut maps = HashMap::new();
    for step in steps {
        now += Duration::from_secs(u64::from(step.wait));
        let (mut packet, whole) = build(step.from_lan, step.content);
        let before = packet.clone();
        let good = packet.len() >= 20 && packet[0] == 0x45 && sum(&packet[..20], 0) == 0xffff;
        let interface = if step.from_lan { lan } else { wan };
        let ingress = Ingress {
            interface,
            ipsec: false,
        };
        let length = packet.len();
        let route = |to: std::net::IpAddr| match to {
            std::net::IpAddr::V4(v4) if v4.octets()[0] == 192 => Some(lan),
            _ => Some(wan),
        };
        match firewall.process(now, ingress, &mut packet, 0..length, &route) {
            Verdict::Forward { .. } | Verdict::Local { .. } => {
                if good {
                    assert_eq!(sum(&packet[..20], 0), 0xffff);
                }
                if whole {
                    assert_eq!(transport_sum(&packet), 0xffff);
                }
            }
            Verdict::Drop(_) | Verdict::TooBig { .. } => assert_eq!(packet, before),
            _ => {}
        }
        while let Some(sent) = firewall.poll_transmit() {
            assert!(sent.egress.is_none_or(|id| id != wan) || sent.packet.len() <= 576);
        }
        while let Some(event) = firewall.poll_event() {
            match event {
                Event::FlowOpened(flow) => note(&mut maps, &flow, true),
                Event::FlowClosed(flow, _) => note(&mut maps, &flow, false),
                _ => {}
            }
        }
        assert!(firewall.flow_count() <= 16);
        assert_eq!(firewall.flows().count(), firewall.flow_count());
    }
});
