//! Packets through a firewall, checked by etherparse.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod common;

use common::{ALICE, BOB, PUBLIC, SERVER, ends, nat, udp};
use etherparse::{PacketBuilder, SlicedPacket, TransportSlice};
use firewall::{
    Config, DropReason, Filtering, Firewall, Ingress, Interface, InterfaceId, Protocol, Rule,
    RuleAction, Verdict,
};
use simnet::seeded;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

struct Net {
    firewall: Firewall,
    lan: InterfaceId,
    wan: InterfaceId,
    now: Instant,
}

fn net(config: Config) -> Net {
    let mut firewall = Firewall::new(Arc::new(config), Box::new(seeded(1))).unwrap();
    let mut interface = Interface::private();
    interface.mss_clamp = Some(1360);
    let lan = firewall.add_interface(interface);
    let wan = firewall.add_interface(Interface::public());
    #[allow(
        clippy::disallowed_methods,
        reason = "any start will do for virtual time"
    )]
    let now = Instant::now();
    Net {
        firewall,
        lan,
        wan,
        now,
    }
}

impl Net {
    fn process(&mut self, from: InterfaceId, packet: &mut [u8]) -> Verdict {
        let (lan, wan) = (self.lan, self.wan);
        let private = |a: IpAddr| matches!(a, IpAddr::V4(v4) if v4.octets()[0] == 192);
        let route = move |a: IpAddr| Some(if private(a) { lan } else { wan });
        let ingress = Ingress {
            interface: from,
            ipsec: false,
        };
        let range = 0..packet.len();
        self.firewall
            .process(self.now, ingress, packet, range, &route)
    }

    /// Sends a UDP datagram from the LAN; gives the public port it left with.
    fn out(&mut self, from: (Ipv4Addr, u16), to: (Ipv4Addr, u16)) -> u16 {
        let mut packet = udp(from, to);
        let verdict = self.process(self.lan, &mut packet);
        let range = 0..packet.len();
        assert_eq!(
            verdict,
            Verdict::Forward {
                egress: self.wan,
                packet: range
            }
        );
        let (source, destination) = ends(&packet);
        assert_eq!((source.0, destination), (PUBLIC, to));
        source.1
    }

    fn back(&mut self, from: (Ipv4Addr, u16), port: u16) -> Result<(Ipv4Addr, u16), DropReason> {
        let mut packet = udp(from, (PUBLIC, port));
        match self.process(self.wan, &mut packet) {
            Verdict::Forward { .. } => Ok(ends(&packet).1),
            Verdict::Drop(reason) => Err(reason),
            other => panic!("{other:?}"),
        }
    }
}

fn tcp(from: (Ipv4Addr, u16), to: (Ipv4Addr, u16), syn: bool, ack: bool) -> Vec<u8> {
    let mut packet = Vec::new();
    let builder =
        PacketBuilder::ipv4(from.0.octets(), to.0.octets(), 64).tcp(from.1, to.1, 7, 4000);
    let builder = if syn {
        builder
            .syn()
            .options(&[etherparse::TcpOptionElement::MaximumSegmentSize(1460)])
            .unwrap()
    } else {
        builder
    };
    let builder = if ack { builder.ack(8) } else { builder };
    builder.write(&mut packet, b"").unwrap();
    packet
}

#[test]
fn answers_come_back_and_strangers_do_not() {
    let mut net = net(nat());
    let port = net.out((ALICE, 4500), (SERVER, 4500));
    assert_eq!(port, 4500);
    assert_eq!(net.back((SERVER, 4500), port), Ok((ALICE, 4500)));
    assert_eq!(net.back((SERVER, 4501), port), Err(DropReason::Policy));
    assert_eq!(
        net.back((Ipv4Addr::new(203, 0, 113, 6), 4500), port),
        Err(DropReason::Policy)
    );
}

#[test]
fn mappings_do_not_depend_on_the_destination() {
    let mut net = net(nat());
    let port = net.out((ALICE, 4500), (SERVER, 4500));
    assert_eq!(net.out((ALICE, 4500), (SERVER, 9)), port);
    assert_eq!(
        net.out((ALICE, 4500), (Ipv4Addr::new(203, 0, 113, 6), 4500)),
        port
    );
}

#[test]
fn two_hosts_with_one_port_stay_apart() {
    let mut net = net(nat());
    let alice = net.out((ALICE, 4500), (SERVER, 4500));
    let bob = net.out((BOB, 4500), (SERVER, 4500));
    assert_ne!(alice, bob);
    assert_eq!(bob % 2, 0);
    assert_eq!(net.back((SERVER, 4500), alice), Ok((ALICE, 4500)));
    assert_eq!(net.back((SERVER, 4500), bob), Ok((BOB, 4500)));
}

#[test]
fn open_filtering_lets_anybody_answer() {
    let mut config = nat();
    config.nat[0].filtering = Filtering::EndpointIndependent;
    let mut net = net(config);
    let port = net.out((ALICE, 4500), (SERVER, 4500));
    assert_eq!(
        net.back((Ipv4Addr::new(203, 0, 113, 6), 7), port),
        Ok((ALICE, 4500))
    );
}

#[test]
fn silence_ends_a_flow_and_frees_its_port() {
    let mut net = net(nat());
    let port = net.out((ALICE, 4500), (SERVER, 4500));
    net.now += Duration::from_secs(299);
    assert_eq!(net.back((SERVER, 4500), port), Ok((ALICE, 4500)));
    net.now += Duration::from_secs(301);
    assert_eq!(net.back((SERVER, 4500), port), Err(DropReason::Policy));
    while let Some(at) = net.firewall.poll_timeout() {
        net.now = net.now.max(at);
        net.firewall.handle_timeout(net.now);
    }
    assert_eq!(net.firewall.flow_count(), 0);
    assert_eq!(net.out((BOB, 4500), (SERVER, 4500)), 4500);
}

#[test]
fn tcp_needs_a_syn_and_its_mss_is_clamped() {
    let mut net = net(nat());
    let mut middle = tcp((ALICE, 5000), (SERVER, 80), false, true);
    assert_eq!(
        net.process(net.lan, &mut middle),
        Verdict::Drop(DropReason::Unrelated)
    );
    let mut syn = tcp((ALICE, 5000), (SERVER, 80), true, false);
    assert!(matches!(
        net.process(net.lan, &mut syn),
        Verdict::Forward { .. }
    ));
    ends(&syn);
    let header = SlicedPacket::from_ip(&syn).unwrap();
    let Some(TransportSlice::Tcp(header)) = header.transport else {
        panic!()
    };
    let mss = header.options_iterator().next().unwrap().unwrap();
    assert_eq!(mss, etherparse::TcpOptionElement::MaximumSegmentSize(1360));
    let mut answer = tcp((SERVER, 80), (PUBLIC, 5000), true, true);
    assert!(matches!(
        net.process(net.wan, &mut answer),
        Verdict::Forward { .. }
    ));
    assert_eq!(ends(&answer).1, (ALICE, 5000));
}

#[test]
fn pings_and_the_errors_they_cause_come_back() {
    let mut net = net(nat());
    let mut ping = Vec::new();
    PacketBuilder::ipv4(ALICE.octets(), SERVER.octets(), 64)
        .icmpv4_echo_request(77, 1)
        .write(&mut ping, b"abc")
        .unwrap();
    assert!(matches!(
        net.process(net.lan, &mut ping),
        Verdict::Forward { .. }
    ));
    let ((source, _), _) = ends(&ping);
    assert_eq!(source, PUBLIC);
    let Some(TransportSlice::Icmpv4(sent)) = SlicedPacket::from_ip(&ping).unwrap().transport else {
        panic!("no ICMP");
    };
    let etherparse::Icmpv4Type::EchoRequest(header) = sent.icmp_type() else {
        panic!("no echo")
    };
    let mut reply = Vec::new();
    PacketBuilder::ipv4(SERVER.octets(), PUBLIC.octets(), 64)
        .icmpv4_echo_reply(header.id, 1)
        .write(&mut reply, b"abc")
        .unwrap();
    assert!(matches!(
        net.process(net.wan, &mut reply),
        Verdict::Forward { .. }
    ));
    assert_eq!(ends(&reply).1.0, ALICE);
    assert_eq!(reply[24..26], 77_u16.to_be_bytes());
    // A router on the way cannot deliver it.
    let unreachable = etherparse::Icmpv4Type::DestinationUnreachable(
        etherparse::icmpv4::DestUnreachableHeader::Host,
    );
    let mut error = Vec::new();
    PacketBuilder::ipv4([203, 0, 113, 1], PUBLIC.octets(), 64)
        .icmpv4(unreachable.clone())
        .write(&mut error, &ping)
        .unwrap();
    let forwarded = net.process(net.wan, &mut error);
    assert!(
        matches!(forwarded, Verdict::Forward { .. }),
        "{forwarded:?}"
    );
    let ((source, _), (destination, _)) = ends(&error);
    assert_eq!(
        (source, destination),
        (Ipv4Addr::new(203, 0, 113, 1), ALICE)
    );
    assert_eq!(ends(&error[28..]).0.0, ALICE);
    // One that quotes nothing of ours.
    let mut forged = Vec::new();
    PacketBuilder::ipv4([203, 0, 113, 1], PUBLIC.octets(), 64)
        .icmpv4(unreachable)
        .write(&mut forged, &udp((PUBLIC, 9), (SERVER, 9)))
        .unwrap();
    assert_eq!(
        net.process(net.wan, &mut forged),
        Verdict::Drop(DropReason::Unrelated)
    );
}

#[test]
fn rules_and_port_forwardings_let_in() {
    let mut config = nat();
    let web = Rule::pinhole(RuleAction::ForwardTo(ALICE, 8080), Protocol::TCP, 80);
    let mut l2tp = Rule::pinhole(RuleAction::Allow, Protocol::UDP, 1701);
    l2tp.ipsec_only = true;
    config.rules = vec![web, l2tp];
    let mut net = net(config);
    let mut syn = tcp((SERVER, 5000), (PUBLIC, 80), true, false);
    assert!(matches!(
        net.process(net.wan, &mut syn),
        Verdict::Forward { .. }
    ));
    assert_eq!(ends(&syn), ((SERVER, 5000), (ALICE, 8080)));
    let mut answer = tcp((ALICE, 8080), (SERVER, 5000), true, true);
    assert!(matches!(
        net.process(net.lan, &mut answer),
        Verdict::Forward { .. }
    ));
    assert_eq!(ends(&answer), ((PUBLIC, 80), (SERVER, 5000)));
    let mut clear = udp((SERVER, 1701), (PUBLIC, 1701));
    assert_eq!(
        net.process(net.wan, &mut clear),
        Verdict::Drop(DropReason::Policy)
    );
}

#[test]
fn neighbours_meet_by_their_public_names() {
    let mut net = net(nat());
    let port = net.out((ALICE, 4500), (SERVER, 4500));
    let mut packet = udp((BOB, 6000), (PUBLIC, port));
    assert!(matches!(
        net.process(net.lan, &mut packet),
        Verdict::Forward { .. }
    ));
    let (source, destination) = ends(&packet);
    assert_eq!((source.0, destination), (PUBLIC, (ALICE, 4500)));
    let mut answer = udp((ALICE, 4500), source);
    assert!(matches!(
        net.process(net.lan, &mut answer),
        Verdict::Forward { .. }
    ));
    assert_eq!(ends(&answer), ((PUBLIC, port), (BOB, 6000)));
}

#[test]
fn spoofed_sources_are_dropped() {
    let mut net = net(Config::default());
    let mut call = Interface::private();
    call.only_source = Some(BOB);
    let call = net.firewall.add_interface(call);
    let mut own = udp((BOB, 1), (ALICE, 2));
    assert!(matches!(
        net.process(call, &mut own),
        Verdict::Forward { .. }
    ));
    for (from, source) in [(call, ALICE), (net.wan, BOB), (net.lan, BOB)] {
        let mut forged = udp((source, 1), (SERVER, 2));
        assert_eq!(
            net.process(from, &mut forged),
            Verdict::Drop(DropReason::Spoofed)
        );
    }
    let mut land = udp((ALICE, 1), (ALICE, 1));
    assert_eq!(
        net.process(net.lan, &mut land),
        Verdict::Drop(DropReason::Spoofed)
    );
    net.firewall.remove_interface(net.now, call);
    assert_eq!(net.firewall.flow_count(), 0);
}

#[test]
fn a_full_table_keeps_what_is_established() {
    let mut config = nat();
    config.limits.flows = 4;
    config.limits.flows_per_host = 3;
    let mut net = net(config);
    let kept = net.out((ALICE, 1024), (SERVER, 1));
    assert!(net.back((SERVER, 1), kept).is_ok());
    for to in 2..4 {
        net.out((ALICE, 1024), (SERVER, to));
    }
    let mut more = udp((ALICE, 1024), (SERVER, 9));
    assert_eq!(
        net.process(net.lan, &mut more),
        Verdict::Drop(DropReason::Full)
    );
    for to in 1..20 {
        // Each pushes out one that had no answer.
        let from = Ipv4Addr::new(192, 168, 1, 100 + to as u8);
        net.out((from, 2000), (SERVER, to));
    }
    assert_eq!(net.firewall.flow_count(), 4);
    assert!(net.back((SERVER, 1), kept).is_ok());
}

#[test]
fn every_prefix_is_refused_or_harmless() {
    for packet in [
        udp((ALICE, 1), (SERVER, 2)),
        tcp((ALICE, 1), (SERVER, 2), true, false),
    ] {
        for end in 0..packet.len() {
            let mut net = net(nat());
            let mut cut = packet[..end].to_vec();
            assert_eq!(
                net.process(net.lan, &mut cut),
                Verdict::Drop(DropReason::Malformed)
            );
        }
    }
}

#[test]
fn an_address_is_guarded_until_its_last_interface_is_gone() {
    let mut net = net(Config::default());
    let mut call = Interface::private();
    call.only_source = Some(BOB);
    let calls = [
        net.firewall.add_interface(call.clone()),
        net.firewall.add_interface(call),
    ];
    let forged = |net: &mut Net| net.process(net.lan, &mut udp((BOB, 1), (SERVER, 2)));
    for id in calls {
        assert_eq!(forged(&mut net), Verdict::Drop(DropReason::Spoofed));
        net.firewall.remove_interface(net.now, id);
    }
    assert!(matches!(forged(&mut net), Verdict::Forward { .. }));
}
