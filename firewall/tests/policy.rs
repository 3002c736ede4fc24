//! Rules, interfaces that come and go, events, and IPv6.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::*;
use etherparse::PacketBuilder;
use firewall::{
    CloseReason, Config, ConfigError, DropReason, Event, Group, IcmpError, Interface, Nat, Prefix,
    Protocol, Rule, RuleAction, Scope, Verdict,
};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

const HOST: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, 10);
const FAR: Ipv6Addr = Ipv6Addr::new(0x2400, 0, 0, 0, 0, 0, 0, 5);

fn udp_v6(from: Ipv6Addr, to: Ipv6Addr, ports: (u16, u16), size: usize) -> Vec<u8> {
    let mut packet = Vec::new();
    PacketBuilder::ipv6(from.octets(), to.octets(), 64)
        .udp(ports.0, ports.1)
        .write(&mut packet, &vec![1; size])
        .unwrap();
    packet
}

#[test]
fn rules_are_replaced_while_flows_live() {
    let mut config = nat();
    config.rules = vec![Rule::pinhole(
        RuleAction::ForwardTo(ALICE, 8080),
        Protocol::TCP,
        80,
    )];
    let mut net = net(config.clone());
    let stranger = (STRANGER, 999);
    assert!(
        net.tcp_back(stranger, (PUBLIC, 80), Tcp::new(SYN, 1, 0))
            .is_ok()
    );
    assert_eq!(net.firewall.rule_hits(), [1]);
    config.rules = vec![Rule::new(RuleAction::Deny)];
    net.firewall.set_config(Arc::new(config.clone())).unwrap();
    let answer = Tcp::new(SYN | ACK, 100, 2);
    assert!(net.tcp_out((ALICE, 8080), stranger, answer).is_ok());
    let other = net.tcp_back((STRANGER, 1000), (PUBLIC, 80), Tcp::new(SYN, 1, 0));
    assert_eq!(dropped(other), Some(DropReason::Rule));
    assert_eq!(net.firewall.rule_hits(), [1]);
    // What cannot work changes nothing.
    config.nat[0].ports = 0..=1;
    assert_eq!(
        net.firewall.set_config(Arc::new(config)),
        Err(ConfigError::BadPorts(0, 1))
    );
    assert!(net.out(udp((ALICE, 1024), (SERVER, 1))).is_ok());
}

/// AlliedWare's model: calls are a group, translated by their own rule to another global address.
#[test]
fn groups_have_their_own_rules_and_translations() {
    let calls = Group(7);
    let mut config = nat();
    let mut of_calls = Nat::new([198, 51, 100, 9].into());
    of_calls.from = Scope::Group(calls);
    config.nat.insert(0, of_calls);
    let mut smtp = Rule::pinhole(RuleAction::Deny, Protocol::TCP, 25);
    smtp.from = Scope::Group(calls);
    smtp.source = Some(Prefix::new(IpAddr::V4(BOB), 24));
    config.rules = vec![smtp];
    let mut net = net(config);
    let mut call = Interface::private();
    call.group = calls;
    call.only_source = Some(BOB);
    let call = net.firewall.add_interface(call);
    let mut packet = udp((BOB, 5000), (SERVER, 53));
    assert!(matches!(
        net.process(call, &mut packet),
        Verdict::Forward { .. }
    ));
    assert_eq!(ends(&packet).0, ([198, 51, 100, 9].into(), 5000));
    assert_eq!(net.map((ALICE, 5000), (SERVER, 53)), (PUBLIC, 5000));
    let mut mail = tcp((BOB, 1025), (SERVER, 25), Tcp::new(SYN, 1, 0));
    assert_eq!(
        net.process(call, &mut mail),
        Verdict::Drop(DropReason::Rule)
    );
    assert!(
        net.tcp_out((ALICE, 1025), (SERVER, 25), Tcp::new(SYN, 1, 0))
            .is_ok()
    );
}

#[test]
fn flows_are_told_of() {
    let mut net = net(nat());
    net.map((ALICE, 4500), (SERVER, 53));
    let Some(Event::FlowOpened(flow)) = net.firewall.poll_event() else {
        panic!("no event")
    };
    assert_eq!(flow.protocol, Protocol::UDP);
    assert_eq!(
        (flow.source, flow.destination),
        ((ALICE, 4500).into(), (SERVER, 53).into())
    );
    assert_eq!(flow.translated_source, (PUBLIC, 4500).into());
    assert_eq!(net.firewall.poll_event(), None);
    let at = net.firewall.poll_timeout().unwrap();
    assert!(at >= net.now + std::time::Duration::from_secs(300));
    net.firewall.handle_timeout(at);
    let closed = net.firewall.poll_event();
    assert_eq!(closed, Some(Event::FlowClosed(flow, CloseReason::Expired)));
    let mut call = Interface::private();
    call.only_source = Some(BOB);
    let call = net.firewall.add_interface(call);
    let _ = net.process(call, &mut udp((BOB, 5000), (SERVER, 53)));
    net.firewall.remove_interface(net.now, call);
    assert!(matches!(
        net.firewall.poll_event(),
        Some(Event::FlowOpened(_))
    ));
    let closed = net.firewall.poll_event();
    assert!(matches!(
        closed,
        Some(Event::FlowClosed(_, CloseReason::InterfaceRemoved))
    ));
    assert_eq!(net.firewall.flow_count(), 0);
}

#[test]
fn events_that_nobody_polls_are_bounded() {
    let mut config = nat();
    config.limits.queue = 10;
    let mut net = net(config);
    for port in 2000..2100 {
        net.map((ALICE, port), (SERVER, 53));
    }
    assert_eq!(net.firewall.lost(), 90);
}

#[test]
fn ipv6_is_filtered_and_not_translated() {
    let mut net = net(nat());
    let packet = udp_v6(HOST, FAR, (4500, 53), 10);
    let stray = net.back(udp_v6(FAR, HOST, (53, 4500), 10));
    assert_eq!(dropped(stray), Some(DropReason::Policy));
    assert_eq!(net.out(packet.clone()), Ok(packet));
    assert!(net.back(udp_v6(FAR, HOST, (53, 4500), 10)).is_ok());
    assert!(net.back(udp_v6(FAR, HOST, (54, 4500), 10)).is_err());
    let mapped = Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0xc0a8, 10);
    let forged = net.out(udp_v6(mapped, FAR, (1, 2), 10));
    assert_eq!(dropped(forged), Some(DropReason::Spoofed));
}

#[test]
fn ipv6_packets_that_are_too_big_are_answered_and_the_answer_passes() {
    let mut wan = Interface::public();
    wan.mtu = Some(1280);
    let mut lan = Interface::private();
    let router = Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, 1);
    lan.own_v6 = vec![router];
    let mut net = net_of(Config::default(), lan, wan);
    let mut long = udp_v6(HOST, FAR, (4500, 53), 1400);
    assert_eq!(
        net.process(net.lan, &mut long),
        Verdict::TooBig { mtu: 1280 }
    );
    assert!(
        net.firewall
            .send_error(net.now, net.lan, &long, IcmpError::TooBig(1280))
    );
    let error = net.firewall.poll_transmit().unwrap().packet;
    assert_eq!((error.len(), error[40], error[41]), (1280, 2, 0));
    // As a router outside would send it: its checksum is found right, and it belongs to a flow.
    let mut short = udp_v6(HOST, FAR, (4500, 53), 10);
    let stray = net.back(error.clone());
    assert!(stray.is_err());
    let mut far = Config::default();
    far.limits.icmp_errors = 10;
    let mut beyond = net_of(far, Interface::private(), Interface::public());
    assert!(matches!(
        beyond.process(beyond.lan, &mut short),
        Verdict::Forward { .. }
    ));
    let mut wrong = error.clone();
    wrong[60] ^= 1;
    assert_eq!(dropped(beyond.back(wrong)), Some(DropReason::BadError));
    assert_eq!(beyond.back(error.clone()), Ok(error));
}

#[test]
fn neighbour_discovery_stays_on_its_link() {
    let mut net = net(nat());
    let from = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
    let all = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    for (hop_limit, here) in [(255, true), (254, false)] {
        let mut packet = Vec::new();
        PacketBuilder::ipv6(from.octets(), all.octets(), hop_limit)
            .icmpv6_raw(135, 0, [0; 4])
            .write(&mut packet, &[0; 16])
            .unwrap();
        let verdict = net.process(net.lan, &mut packet);
        assert_eq!(matches!(verdict, Verdict::Local { .. }), here);
    }
}

#[test]
fn extension_headers_are_walked_and_bounded() {
    let extended = |count: usize| {
        let inner = udp_v6(HOST, FAR, (4500, 53), 10);
        let mut packet = inner[..40].to_vec();
        packet[6] = 60;
        for n in 0..count {
            let next = if n + 1 == count { 17 } else { 60 };
            packet.extend([next, 0, 1, 4, 0, 0, 0, 0]);
        }
        packet.extend(&inner[40..]);
        let length = u16::try_from(packet.len() - 40).unwrap();
        packet[4..6].copy_from_slice(&length.to_be_bytes());
        packet
    };
    let mut net = net(Config::default());
    assert!(net.out(extended(3)).is_ok());
    assert!(net.back(udp_v6(FAR, HOST, (53, 4500), 10)).is_ok());
    assert_eq!(dropped(net.out(extended(9))), Some(DropReason::Malformed));
}

/// Protocols without ports: one flow between two addresses; a second host is not mixed up with it.
#[test]
fn esp_passes_by_address_and_is_nobody_elses() {
    let mut net = net(nat());
    let esp = |from, to| {
        let mut packet = udp((from, 0x1234), (to, 0x5678));
        packet[9] = Protocol::ESP.0;
        set_header_checksum(&mut packet);
        packet
    };
    assert_eq!(ends(&net.out(esp(ALICE, SERVER)).unwrap()).0.0, PUBLIC);
    assert_eq!(ends(&net.back(esp(SERVER, PUBLIC)).unwrap()).1.0, ALICE);
    assert_eq!(
        dropped(net.out(esp(BOB, SERVER))),
        Some(DropReason::Collision)
    );
    assert!(net.out(esp(BOB, STRANGER)).is_ok());
    assert_eq!(net.firewall.flow_count(), 2);
}
