//! Published attacks on NATs and firewalls, and the classes that they belong to.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::*;
use etherparse::PacketBuilder;
use firewall::{DropReason, Filtering, Interface, Prefix, Protocol, Rule, RuleAction, Verdict};
use std::net::{IpAddr, Ipv4Addr};

/// Port shadow: a client that sends from the port of a service gets no mapping on that port, and
/// what others send to the service goes to the service.
#[test]
fn cve_2021_3773_port_shadow() {
    let mut config = nat_with(Filtering::EndpointIndependent);
    config.rules = vec![Rule::pinhole(RuleAction::Allow, Protocol::UDP, 4500)];
    let mut wan = Interface::public();
    wan.own = vec![PUBLIC];
    let mut net = net_of(config, Interface::private(), wan);
    let victim = (STRANGER, 4500);
    let (_, shadow) = net.map((ALICE, 4500), victim);
    assert_ne!(shadow, 4500);
    let mut packet = udp(victim, (PUBLIC, 4500));
    assert!(matches!(
        net.process(net.wan, &mut packet),
        Verdict::Local { .. }
    ));
}

/// Port shadow between clients: no sequence of source ports gives two users one global port.
#[test]
fn cve_2021_3773_between_clients() {
    let mut net = net(nat_with(Filtering::EndpointIndependent));
    let mut owners = std::collections::HashMap::new();
    let mut state: u32 = 7;
    for _ in 0..3000 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let [a, b, c, _] = state.to_be_bytes();
        let host = (Ipv4Addr::new(192, 168, 3, a % 16), 3000 + u16::from(b % 32));
        let public = net.map(host, (SERVER, 1 + u16::from(c % 8)));
        assert_eq!(*owners.entry(public).or_insert(host), host);
    }
    for (public, host) in owners {
        assert_eq!(net.answer((STRANGER, 9), public), Ok(host));
    }
}

/// Packets for an address of the tunnels that arrive on the public side tell nothing.
#[test]
fn cve_2019_14899_packets_for_the_pool_from_outside() {
    let pool = Ipv4Addr::new(10, 9, 0, 7);
    let mut call = Interface::private();
    call.only_source = Some(pool);
    let mut net = net_of(nat(), call, Interface::public());
    let public = net.connect((pool, 40_000), (SERVER, 80));
    for flags in [SYN, ACK, SYN | ACK, RST] {
        let probe = tcp((SERVER, 80), (pool, 40_000), Tcp::new(flags, 5001, 1001));
        assert!(net.back(probe).is_err());
    }
    let spoofed = udp((pool, 1), public);
    assert_eq!(dropped(net.back(spoofed)), Some(DropReason::Spoofed));
    assert_eq!(net.firewall.poll_transmit(), None);
}

/// NAT slipstreaming: what a payload says opens nothing.
#[test]
fn cve_2020_28041_nat_slipstreaming() {
    let mut net = net(nat());
    let sip = b"REGISTER sip:203.0.113.5 SIP/2.0\r\nContact: <sip:x@192.168.1.10:3306>\r\n\r\n";
    let sent = net
        .out(udp_with((ALICE, 5060), (SERVER, 5060), sip))
        .unwrap();
    assert!(sent.ends_with(sip));
    let syn = net.tcp_back((SERVER, 5060), (PUBLIC, 3306), Tcp::new(SYN, 1, 0));
    assert_eq!(dropped(syn), Some(DropReason::Policy));
}

/// The IRC helper: none is there.
#[test]
fn cve_2022_2663_irc_helper() {
    let mut net = net(nat());
    let irc = b"PRIVMSG a :\x01DCC CHAT chat 3232235786 5555\x01\r\n";
    let sent = net
        .out(udp_with((ALICE, 6667), (SERVER, 6667), irc))
        .unwrap();
    assert!(sent.ends_with(irc));
    let syn = net.tcp_back((SERVER, 6667), (PUBLIC, 5555), Tcp::new(SYN, 1, 0));
    assert_eq!(dropped(syn), Some(DropReason::Policy));
}

/// DCCP (33) is tracked by address alone: however short its header, nothing of it is read.
#[test]
fn cve_2014_2523_dccp_header() {
    for length in 0..32 {
        let mut net = net(nat());
        let mut packet = udp_with((ALICE, 1), (SERVER, 2), &[0xff; 40]);
        packet[9] = 33;
        packet.truncate(20 + length);
        packet[2..4].copy_from_slice(&u16::try_from(20 + length).unwrap().to_be_bytes());
        set_header_checksum(&mut packet);
        let sent = net.out(packet.clone()).unwrap();
        assert_eq!(sent[20..], packet[20..]);
        assert_eq!(ends(&sent).0.0, PUBLIC);
    }
}

/// Traffic of a call that its routes lead astray (TunnelCrack, TunnelVision) is the client's to
/// prevent; the gateway lets nobody in by another's address.
#[test]
fn cve_2023_36671_and_2024_3661_leaked_routes() {
    let mut call = Interface::private();
    call.only_source = Some(ALICE);
    let mut net = net_of(nat(), call, Interface::public());
    let leaked = net.back(udp((ALICE, 1), (PUBLIC, 2)));
    assert_eq!(dropped(leaked), Some(DropReason::Spoofed));
}

/// What is for a host alone is on no wire (RFC 1122 section 3.2.1.3, RFC 4291 section 2.5.3): a
/// system behind that routes it would take it.
#[test]
fn loopback_addresses_are_on_no_wire() {
    let mut config = nat();
    config.rules = vec![Rule::new(RuleAction::Allow)];
    let mut net = net(config);
    let loopback = Ipv4Addr::new(127, 0, 0, 1);
    let to_v6 = |to: u16| {
        let mut packet = Vec::new();
        let from = [0x2001, 0xdb8, 0, 0, 0, 0, 0, 9].map(u16::to_be_bytes);
        let to = [0, 0, 0, 0, 0, 0, 0, to].map(u16::to_be_bytes);
        let addresses = (from.as_flattened(), to.as_flattened());
        PacketBuilder::ipv6(
            addresses.0.try_into().unwrap(),
            addresses.1.try_into().unwrap(),
            64,
        )
        .udp(1, 2)
        .write(&mut packet, b"?")
        .unwrap();
        packet
    };
    assert!(net.out(to_v6(2)).is_ok());
    for packet in [
        udp((ALICE, 1), (loopback, 2)),
        udp((loopback, 1), (SERVER, 2)),
        to_v6(1),
    ] {
        let sent = net.out(packet);
        assert_eq!(dropped(sent), Some(DropReason::Spoofed));
    }
    for (from, to) in [(SERVER, loopback), (loopback, PUBLIC)] {
        let came = net.back(udp((from, 1), (to, 2)));
        assert_eq!(dropped(came), Some(DropReason::Spoofed));
    }
    // Unless an interface says that they are behind it, as in a test on one machine.
    let mut wan = Interface::public();
    wan.networks = vec![Prefix::new(loopback.into(), 8)];
    let mut net = net_of(nat(), Interface::private(), wan);
    let public = net.map((ALICE, 1), (loopback, 2));
    assert_eq!(net.answer((loopback, 2), public), Ok((ALICE, 1)));
}

/// Forged ICMP errors: they must quote a live flow, a segment in its window, and no MTU that no
/// link has.
#[test]
fn rfc5927_forged_icmp_errors() {
    let mut net = net(nat());
    let (here, there) = ((ALICE, 40_000), (SERVER, 80));
    let public = net.connect(here, there);
    let quote = |seq| tcp(public, there, Tcp::new(ACK, seq, 5001));
    for seq in [1001 + 70_000, 1001_u32.wrapping_sub(70_000), 0x8000_0000] {
        let forged = net.back(unreachable(STRANGER, PUBLIC, &quote(seq)));
        assert_eq!(dropped(forged), Some(DropReason::OutOfWindow));
    }
    for mtu in [1, 68, 552, 575] {
        let [a, b] = u16::to_be_bytes(mtu);
        let forged = icmp_error(STRANGER, PUBLIC, [3, 4], [0, 0, a, b], &quote(1001));
        assert_eq!(dropped(net.back(forged)), Some(DropReason::BadError));
    }
    let honest = icmp_error(ROUTER, PUBLIC, [3, 4], [0, 0, 5, 0], &quote(1001));
    assert!(net.back(honest).is_ok());
    let other = tcp(public, (SERVER, 81), Tcp::new(ACK, 1001, 5001));
    let forged = net.back(unreachable(STRANGER, PUBLIC, &other));
    assert_eq!(dropped(forged), Some(DropReason::Unrelated));
}

/// One user who opens all the flows he can harms neither others nor what is established.
#[test]
fn conntrack_exhaustion() {
    let mut config = nat();
    config.limits.flows = 100;
    config.limits.flows_per_host = 60;
    let mut net = net(config);
    let kept = net.map((BOB, 2000), (SERVER, 53));
    assert!(net.answer((SERVER, 53), kept).is_ok());
    for host in 0..20 {
        for port in 0..200 {
            let host = Ipv4Addr::new(192, 168, 4, host);
            let _ = net.out(udp((host, 3000), (SERVER, 1000 + port)));
        }
    }
    assert!(net.firewall.flow_count() <= 100);
    assert!(net.dropped(DropReason::Full) > 0);
    assert_eq!(net.answer((SERVER, 53), kept), Ok((BOB, 2000)));
    assert!(net.out(udp((BOB, 2001), (SERVER, 53))).is_ok());
}

/// L2TP that a rule allows through IPsec is not carried on in clear.
#[test]
fn a_flow_through_ipsec_is_not_continued_in_clear() {
    let mut config = nat();
    let mut l2tp = Rule::pinhole(RuleAction::Allow, Protocol::UDP, 1701);
    l2tp.ipsec_only = true;
    config.rules = vec![l2tp];
    let mut wan = Interface::public();
    wan.own = vec![PUBLIC];
    let mut net = net_of(config, Interface::private(), wan);
    let packet = || udp((SERVER, 1701), (PUBLIC, 1701));
    assert_eq!(dropped(net.back(packet())), Some(DropReason::Policy));
    net.ipsec = true;
    assert!(matches!(
        net.process(net.wan, &mut packet()),
        Verdict::Local { .. }
    ));
    assert_eq!(net.firewall.rule_hits(), [1]);
    net.ipsec = false;
    assert_eq!(dropped(net.back(packet())), Some(DropReason::NotIpsec));
}

/// LAND: from itself to itself.
#[test]
fn cve_1999_0016_land() {
    let mut net = net(nat());
    let land = tcp((PUBLIC, 80), (PUBLIC, 80), Tcp::new(SYN, 1, 0));
    assert_eq!(dropped(net.back(land)), Some(DropReason::Spoofed));
    let land = tcp((ALICE, 80), (ALICE, 80), Tcp::new(SYN, 1, 0));
    assert_eq!(dropped(net.out(land)), Some(DropReason::Spoofed));
}

/// Smurf: directed broadcasts.
#[test]
fn cve_1999_0513_directed_broadcast() {
    let mut config = nat();
    config.rules = vec![Rule::new(RuleAction::Allow)];
    let mut lan = Interface::private();
    lan.networks = vec![Prefix::new(IpAddr::V4(ALICE), 24)];
    let mut net = net_of(config, lan, Interface::public());
    for host in [0, 255] {
        let all = Ipv4Addr::new(192, 168, 1, host);
        assert_eq!(
            dropped(net.back(ping(SERVER, all, 1))),
            Some(DropReason::Broadcast)
        );
    }
    for all in [Ipv4Addr::BROADCAST, Ipv4Addr::new(224, 0, 0, 1)] {
        assert_eq!(
            dropped(net.back(ping(SERVER, all, 1))),
            Some(DropReason::Broadcast)
        );
    }
}

/// Ping of death: a fragment that ends behind the longest packet there can be.
#[test]
fn cve_1999_0128_ping_of_death() {
    let mut net = net(nat());
    let mut pieces = cut(&udp_with((ALICE, 1), (SERVER, 2), &[0; 1000]), 800, 5);
    let last = pieces.get_mut(1).unwrap();
    last[6..8].copy_from_slice(&0x1fff_u16.to_be_bytes());
    set_header_checksum(last);
    let last = last.clone();
    assert_eq!(dropped(net.out(last)), Some(DropReason::Fragment));
    // And nothing else of that datagram.
    assert_eq!(
        dropped(net.out(pieces.remove(0))),
        Some(DropReason::Fragment)
    );
}

/// Teardrop: overlapping fragments; the whole datagram is lost.
#[test]
fn cve_1999_0015_teardrop() {
    let mut net = net(nat());
    let pieces = cut(&udp_with((ALICE, 1), (SERVER, 2), &[0; 1992]), 1000, 5);
    assert!(net.out(pieces[0].clone()).is_ok());
    let mut overlapping = pieces[1].clone();
    overlapping[7] -= 1;
    set_header_checksum(&mut overlapping);
    assert_eq!(dropped(net.out(overlapping)), Some(DropReason::Fragment));
    assert_eq!(
        dropped(net.out(pieces[1].clone())),
        Some(DropReason::Fragment)
    );
}

/// Tiny fragments: the flags of TCP behind the first one (RFC 1858, RFC 3128).
#[test]
fn rfc1858_tiny_fragments() {
    let syn = tcp((SERVER, 1), (PUBLIC, 2), Tcp::new(SYN, 1, 0).data(40));
    for size in [8, 16] {
        let mut net = net(nat());
        for piece in cut(&syn, size, 9) {
            let verdict = net.back(piece);
            assert!(matches!(verdict, Err(Verdict::Drop(_) | Verdict::Queued)));
        }
        assert_eq!(net.firewall.flow_count(), 0);
        assert_eq!(net.firewall.poll_transmit(), None);
    }
}
