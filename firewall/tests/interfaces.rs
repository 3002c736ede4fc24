//! Interfaces that change, the list of flows, and batches.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod common;

use common::*;
use firewall::{
    CloseReason, Config, DropReason, Event, Firewall, Ingress, Interface, Job, Nat, Phase,
    Protocol, Rule, RuleAction, Verdict,
};
use std::net::Ipv4Addr;
use std::time::Duration;

fn masquerade() -> Config {
    let mut config = Config::default();
    config.nat = vec![Nat::masquerade()];
    config.rules = vec![Rule::pinhole(
        RuleAction::ForwardTo(BOB, 8080),
        Protocol::TCP,
        80,
    )];
    config
}

fn wan(address: Option<Ipv4Addr>) -> Interface {
    let mut wan = Interface::public();
    wan.own.extend(address);
    wan
}

/// The translation follows the public interface's address; flows by the old one end.
#[test]
fn a_masquerade_follows_its_interface() {
    let mut net = net_of(masquerade(), Interface::private(), wan(None));
    // Never untranslated.
    let early = net.out(udp((ALICE, 1024), (SERVER, 53)));
    assert_eq!(dropped(early), Some(DropReason::Full));
    assert!(
        net.firewall
            .set_interface(net.now, net.wan, wan(Some(PUBLIC)))
    );
    assert_eq!(net.map((ALICE, 1024), (SERVER, 53)), (PUBLIC, 1024));
    let syn = Tcp::new(SYN, 1, 0);
    assert_eq!(
        net.tcp_back((STRANGER, 9), (PUBLIC, 80), syn),
        Ok((BOB, 8080))
    );

    let moved = Ipv4Addr::new(198, 51, 100, 99);
    while net.firewall.poll_event().is_some() {}
    assert!(
        net.firewall
            .set_interface(net.now, net.wan, wan(Some(moved)))
    );
    assert_eq!(net.firewall.flow_count(), 0);
    let closed = std::iter::from_fn(|| net.firewall.poll_event());
    let closed =
        closed.filter(|e| matches!(e, Event::FlowClosed(_, CloseReason::InterfaceRemoved)));
    assert_eq!(closed.count(), 2);
    assert_eq!(net.map((ALICE, 1024), (SERVER, 53)), (moved, 1024));
    let late = net.answer((SERVER, 53), (PUBLIC, 1024));
    assert_eq!(dropped(late), Some(DropReason::Policy));
    let gone = net.wan;
    net.firewall.remove_interface(net.now, gone);
    assert!(!net.firewall.set_interface(net.now, gone, wan(Some(PUBLIC))));
}

/// A call that gets another address takes nothing of the old one's along.
#[test]
fn a_call_that_changes_its_address_loses_its_flows() {
    let mut call = Interface::private();
    call.only_source = Some(ALICE);
    let mut net = net_of(nat(), call.clone(), Interface::public());
    net.map((ALICE, 1024), (SERVER, 53));
    call.only_source = Some(BOB);
    assert!(net.firewall.set_interface(net.now, net.lan, call));
    assert_eq!(net.firewall.flow_count(), 0);
    let spoofed = net.out(udp((ALICE, 1024), (SERVER, 53)));
    assert_eq!(dropped(spoofed), Some(DropReason::Spoofed));
    net.map((BOB, 1024), (SERVER, 53));
}

/// A flow's packets may come and leave by other interfaces of the same sides, and by none of the
/// other side; it outlives the interfaces that it has left.
#[test]
fn a_flow_moves_within_its_sides() {
    let query = [ping(ALICE, SERVER, 7), pong(SERVER, ALICE, 7)];
    let (alice, server) = ((ALICE, 1024), (SERVER, 53));
    let datagram = [udp(alice, server), udp(server, alice)];
    for [there, back] in [query, datagram] {
        let mut net = net(Config::default());
        let (lan, wan, now) = (net.lan, net.wan, net.now);
        let firewall = &mut net.firewall;
        let other_lan = firewall.add_interface(Interface::private());
        let other_wan = firewall.add_interface(Interface::public());
        let pass = |firewall: &mut Firewall, packet: &[u8], interface, to| {
            let (mut packet, range) = (packet.to_vec(), 0..packet.len());
            let ingress = Ingress {
                interface,
                ipsec: false,
            };
            let verdict = firewall.process(now, ingress, &mut packet, range, &|_| Some(to));
            match verdict {
                Verdict::Forward { egress, .. } => Ok(egress),
                Verdict::Drop(reason) => Err(reason),
                other => panic!("{other:?}"),
            }
        };
        let known = |firewall: &Firewall| {
            let flow = firewall.flows().next().unwrap().info;
            (flow.ingress, flow.egress.unwrap())
        };
        assert_eq!(pass(firewall, &there, lan, wan), Ok(wan));
        assert_eq!(pass(firewall, &back, wan, lan), Ok(lan));

        assert_eq!(pass(firewall, &there, lan, other_wan), Ok(other_wan));
        // Packets of the short way do not tell.
        let told = if there[9] == Protocol::UDP.0 {
            wan
        } else {
            other_wan
        };
        assert_eq!(known(firewall), (lan, told));
        assert_eq!(pass(firewall, &back, other_wan, lan), Ok(lan));
        assert_eq!(known(firewall), (lan, other_wan));
        assert_eq!(pass(firewall, &there, other_lan, other_wan), Ok(other_wan));
        assert_eq!(known(firewall), (other_lan, other_wan));
        assert_eq!(pass(firewall, &back, other_wan, other_lan), Ok(other_lan));

        let no_route = Err(DropReason::NoRoute);
        assert_eq!(pass(firewall, &there, other_lan, lan), no_route);
        assert_eq!(pass(firewall, &back, other_wan, wan), no_route);
        let spoofed = Err(DropReason::Spoofed);
        assert_eq!(pass(firewall, &there, other_wan, other_wan), spoofed);

        for left in [lan, wan] {
            firewall.remove_interface(now, left);
        }
        assert_eq!(pass(firewall, &there, other_lan, other_wan), Ok(other_wan));
        assert_eq!(pass(firewall, &back, other_wan, other_lan), Ok(other_lan));
    }
}

#[test]
fn live_flows_are_listed() {
    let mut net = net_of(masquerade(), Interface::private(), wan(Some(PUBLIC)));
    net.map((ALICE, 1024), (SERVER, 53));
    net.wait(10);
    net.tcp_back((STRANGER, 9), (PUBLIC, 80), Tcp::new(SYN, 1, 0))
        .unwrap();
    let mut flows: Vec<_> = net.firewall.flows().collect();
    flows.sort_by_key(|flow| flow.opened);
    let [udp, tcp] = flows[..] else {
        panic!("{flows:?}")
    };
    assert_eq!(udp.info.source, (ALICE, 1024).into());
    assert_eq!(udp.info.translated_source, (PUBLIC, 1024).into());
    assert_eq!(
        (udp.info.ingress, udp.info.egress),
        (net.lan, Some(net.wan))
    );
    assert_eq!((udp.info.rule, udp.phase), (None, Phase::Opening));
    assert_eq!(udp.expires, net.now + Duration::from_secs(290));
    assert_eq!(tcp.info.translated_destination, (BOB, 8080).into());
    assert_eq!((tcp.info.rule, tcp.phase), (Some(0), Phase::Opening));
    assert_eq!(tcp.opened, net.now);
    net.answer((SERVER, 53), (PUBLIC, 1024)).unwrap();
    assert_eq!(
        net.firewall
            .flows()
            .filter(|f| f.phase == Phase::Established)
            .count(),
        1
    );
}

/// A batch gives what its packets give one by one, of old flows and new ones.
#[test]
fn a_batch_equals_its_packets_one_by_one() {
    let mut single = net(nat());
    let mut batched = net(nat());
    batched.now = single.now;
    let mut state = 1_u32;
    for round in 0..20 {
        let mut packets = Vec::new();
        for _ in 0..round * 5 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let [a, b, c, _] = state.to_be_bytes();
            let host = (Ipv4Addr::new(192, 168, 2, a % 8), 2000 + u16::from(b % 8));
            packets.push(match c % 4 {
                0 => (false, udp((SERVER, 53), (PUBLIC, host.1))),
                1 => (true, tcp(host, (SERVER, 80), Tcp::new(SYN, 7, 0))),
                2 => (true, vec![c; usize::from(c)]),
                _ => (true, udp(host, (SERVER, 53))),
            });
        }
        let mut copies = packets.clone();
        let mut jobs = Vec::new();
        for (outward, packet) in &mut copies {
            let interface = if *outward { batched.lan } else { batched.wan };
            let ingress = Ingress {
                interface,
                ipsec: false,
            };
            let range = 0..packet.len();
            jobs.push(Job::new(ingress, packet, range));
        }
        let (lan, wan) = (batched.lan, batched.wan);
        let now = batched.now;
        batched.firewall.process_batch(now, &mut jobs, &|to| {
            Some(if is_private(to) { lan } else { wan })
        });
        let verdicts: Vec<_> = jobs.into_iter().map(|job| job.verdict).collect();
        for (((outward, packet), verdict), copy) in packets.iter_mut().zip(verdicts).zip(&copies) {
            let from = if *outward { single.lan } else { single.wan };
            assert_eq!(single.process(from, packet), verdict);
            assert_eq!(packet, &copy.1);
        }
        single.wait(7);
        batched.now = single.now;
    }
    assert!(single.firewall.flow_count() > 50);
    assert_eq!(single.firewall.drops(), batched.firewall.drops());
}

/// GRE and ESP are told apart by addresses alone: no call id, no SPI.
#[test]
fn gre_and_esp_pass_by_address() {
    for protocol in [Protocol::GRE.0, Protocol::ESP.0] {
        let of = |from: Ipv4Addr, to: Ipv4Addr, call: u8| {
            let mut packet = udp_with((from, 1), (to, 1), &[call; 20]);
            packet[9] = protocol;
            packet[20..28].fill(call);
            set_header_checksum(&mut packet);
            packet
        };
        let mut net = net(nat());
        let unasked = net.back(of(SERVER, PUBLIC, 1));
        assert_eq!(dropped(unasked), Some(DropReason::Policy));
        let sent = net.out(of(ALICE, SERVER, 7)).unwrap();
        assert_eq!(sent[12..16], PUBLIC.octets());
        assert_eq!(sent[20..], [7; 28]);
        let answer = net.back(of(SERVER, PUBLIC, 9)).unwrap();
        assert_eq!(answer[16..20], ALICE.octets());
        // Answers for another host could not be told apart.
        let second = net.out(of(BOB, SERVER, 8));
        assert_eq!(dropped(second), Some(DropReason::Collision));
    }
}
