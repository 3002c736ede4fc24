//! RFC 4787, requirement by requirement (section 12).
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::*;
use firewall::{DropReason, Filtering, IcmpError, Interface, Nat, Rule, RuleAction, Verdict};
use std::collections::HashMap;
use std::net::Ipv4Addr;

/// Endpoint-independent mapping.
#[test]
fn rfc4787_req_1() {
    let mut net = net(nat());
    let public = net.map((ALICE, 4501), (SERVER, 4500));
    for to in [(SERVER, 9), (STRANGER, 4500), (STRANGER, 9)] {
        assert_eq!(net.map((ALICE, 4501), to), public);
    }
}

/// Paired pooling: a host always has the same global address, while hosts are spread.
#[test]
fn rfc4787_req_2() {
    let mut config = nat();
    config.nat[0].addresses = (2..6).map(|n| Ipv4Addr::new(198, 51, 100, n)).collect();
    let mut net = net(config);
    let mut used: HashMap<Ipv4Addr, usize> = HashMap::new();
    for host in 1..=60 {
        let host = Ipv4Addr::new(192, 168, 2, host);
        let (address, _) = net.map((host, 4500), (SERVER, 4500));
        *used.entry(address).or_default() += 1;
        for port in 4501..4505 {
            assert_eq!(net.map((host, port), (STRANGER, port)).0, address);
        }
        let echo = net.out(ping(host, SERVER, 7)).unwrap();
        assert_eq!(ends(&echo).0.0, address);
    }
    assert_eq!(used.len(), 4);
}

/// No port overloading: two endpoints never share a global one, not even to different servers.
#[test]
fn rfc4787_req_3() {
    let mut config = nat();
    config.nat[0].ports = 1024..=1063;
    config.limits.flows_per_host = 100;
    let mut net = net(config);
    let mut seen = std::collections::HashSet::new();
    for n in 0..40 {
        let public = net.map((ALICE, 2000 + n), (SERVER, 53));
        assert!(seen.insert(public));
    }
    // All are taken.
    let more = net.out(udp((BOB, 1024), (STRANGER, 53)));
    assert_eq!(dropped(more), Some(DropReason::Full));
}

/// Low ports stay low, high ones high.
#[test]
fn rfc4787_req_3a() {
    let mut net = net(nat());
    for host in 1..=20 {
        let host = Ipv4Addr::new(192, 168, 2, host);
        assert!(net.map((host, 123), (SERVER, 123)).1 < 1024);
        assert!(net.map((host, 1024), (SERVER, 123)).1 >= 1024);
    }
}

/// Port parity.
#[test]
fn rfc4787_req_4() {
    let mut net = net(nat());
    for host in 1..=50 {
        let host = Ipv4Addr::new(192, 168, 2, host);
        for port in [4500, 4501, 600, 601] {
            let (_, public) = net.map((host, port), (SERVER, 4500));
            assert_eq!(public % 2, port % 2);
        }
    }
}

/// Two minutes at least; five by default; 5b: configurable.
#[test]
fn rfc4787_req_5() {
    let mut net = net(nat());
    let public = net.map((ALICE, 4500), (SERVER, 4500));
    net.wait(299);
    assert_eq!(net.answer((SERVER, 4500), public), Ok((ALICE, 4500)));
    net.wait(301);
    assert!(net.answer((SERVER, 4500), public).is_err());
    let mut config = nat();
    config.timeouts.udp = std::time::Duration::from_secs(120);
    let mut net = self::net(config);
    let public = net.map((ALICE, 4500), (SERVER, 4500));
    net.wait(121);
    assert!(net.answer((SERVER, 4500), public).is_err());
}

/// Outbound packets refresh; 6a: so do inbound ones that are let in, and none that are not.
#[test]
fn rfc4787_req_6() {
    let mut net = net(nat());
    let public = net.map((ALICE, 4500), (SERVER, 4500));
    for _ in 0..3 {
        net.wait(200);
        assert_eq!(net.map((ALICE, 4500), (SERVER, 4500)), public);
    }
    net.wait(200);
    assert!(net.answer((SERVER, 4500), public).is_ok());
    net.wait(200);
    assert!(net.answer((STRANGER, 4500), public).is_err());
    net.wait(150);
    assert!(net.answer((SERVER, 4500), public).is_err());
}

/// The outside may have the same addresses as the inside: interfaces tell sides, not addresses.
#[test]
fn rfc4787_req_7() {
    let mut net = net(nat());
    let twin = (Ipv4Addr::new(192, 168, 1, 99), 53);
    let mut packet = udp((ALICE, 4500), twin);
    let (lan, wan) = (net.lan, net.wan);
    let ingress = |interface| firewall::Ingress {
        interface,
        ipsec: false,
    };
    let range = 0..packet.len();
    let verdict = net
        .firewall
        .process(net.now, ingress(lan), &mut packet, range, &|_| Some(wan));
    assert!(matches!(verdict, Verdict::Forward { egress, .. } if egress == wan));
    let (public, _) = ends(&packet);
    assert_eq!(public.0, PUBLIC);
    assert_eq!(net.answer(twin, public), Ok((ALICE, 4500)));
}

/// Filtering is what the administrator chooses (8a).
#[test]
fn rfc4787_req_8() {
    for (filtering, other_port, other_host) in [
        (Filtering::EndpointIndependent, true, true),
        (Filtering::AddressDependent, true, false),
        (Filtering::AddressAndPortDependent, false, false),
    ] {
        let mut net = net(nat_with(filtering));
        let public = net.map((ALICE, 4500), (SERVER, 4500));
        assert!(net.answer((SERVER, 4500), public).is_ok());
        assert_eq!(net.answer((SERVER, 9), public).is_ok(), other_port);
        assert_eq!(net.answer((STRANGER, 4500), public).is_ok(), other_host);
        // RFC 7857 section 6: not by another protocol.
        let syn = net.tcp_back((SERVER, 4500), public, Tcp::new(SYN, 1, 0));
        assert!(syn.is_err());
    }
}

/// Hairpinning; 9a: with the external source address and port.
#[test]
fn rfc4787_req_9() {
    let mut net = net(nat());
    let alice = net.map((ALICE, 4500), (SERVER, 4500));
    let bob = net.map((BOB, 6000), (SERVER, 4500));
    // The first packets, and those that find the flow up.
    for _ in 0..2 {
        let mut packet = udp((BOB, 6000), alice);
        let verdict = net.process(net.lan, &mut packet);
        assert!(matches!(verdict, Verdict::Forward { egress, .. } if egress == net.lan));
        assert_eq!(ends(&packet), (bob, (ALICE, 4500)));
        let mut answer = udp((ALICE, 4500), bob);
        assert!(matches!(
            net.process(net.lan, &mut answer),
            Verdict::Forward { .. }
        ));
        assert_eq!(ends(&answer), (alice, (BOB, 6000)));
    }
}

/// No ALG: payloads that name the private endpoint pass as they are, and open nothing.
#[test]
fn rfc4787_req_10() {
    let mut net = net(nat());
    let sip = b"INVITE sip:bob@203.0.113.5 SIP/2.0\r\nVia: SIP/2.0/UDP 192.168.1.10:5060\r\n\r\nm=audio 40000 RTP/AVP 0\r\n";
    let sent = net
        .out(udp_with((ALICE, 5060), (SERVER, 5060), sip))
        .unwrap();
    let (public, _) = ends(&sent);
    assert!(sent.ends_with(sip));
    assert!(net.answer((SERVER, 40000), (public.0, 40000)).is_err());
}

/// Deterministic: the same whatever came before, and for the second host as for the first.
#[test]
fn rfc4787_req_11() {
    for filtering in [
        Filtering::EndpointIndependent,
        Filtering::AddressAndPortDependent,
    ] {
        let mut net = net(nat_with(filtering));
        let mut behaviours = Vec::new();
        for host in 1..30 {
            let host = (Ipv4Addr::new(192, 168, 2, host), 4500);
            let public = net.map(host, (SERVER, 4500));
            let same = net.map(host, (STRANGER, 9)) == public;
            behaviours.push((same, net.answer((ROUTER, 7), public).is_ok()));
        }
        behaviours.dedup();
        let open = filtering == Filtering::EndpointIndependent;
        assert_eq!(behaviours, [(true, open)]);
    }
}

/// No ICMP message ends a mapping; 12a: from whatever router it comes; 12b: unreachables pass.
#[test]
fn rfc4787_req_12() {
    let mut net = net(nat());
    let sent = net.out(udp((ALICE, 4500), (SERVER, 4500))).unwrap();
    let (public, _) = ends(&sent);
    for code in [0, 1, 2, 3, 9, 10, 13] {
        for router in [ROUTER, SERVER, STRANGER] {
            let error = icmp_error(router, PUBLIC, [3, code], [0; 4], &sent);
            let error = net.back(error).unwrap();
            assert_eq!(ends(&error).1.0, ALICE);
            assert_eq!(quoted_ends(&error), ((ALICE, 4500), (SERVER, 4500)));
        }
    }
    assert_eq!(net.answer((SERVER, 4500), public), Ok((ALICE, 4500)));
}

/// Too long and DF: the sender learns the MTU; 13a: without DF it is fragmented, in order.
#[test]
fn rfc4787_req_13() {
    let mut wan = Interface::public();
    wan.mtu = Some(1280);
    let mut lan = Interface::private();
    lan.own = vec![Ipv4Addr::new(192, 168, 1, 1)];
    let mut net = net_of(nat(), lan, wan);
    let long = udp_with((ALICE, 4500), (SERVER, 4500), &[7; 1400]);
    let mut whole = long.clone();
    // etherparse sets DF.
    assert_eq!(whole[6] & 0x40, 0x40);
    assert_eq!(
        net.process(net.lan, &mut whole),
        Verdict::TooBig { mtu: 1280 }
    );
    assert!(
        net.firewall
            .send_error(net.now, net.lan, &whole, IcmpError::TooBig(1280))
    );
    let error = net.firewall.poll_transmit().unwrap();
    assert_eq!(error.egress, Some(net.lan));
    let ((router, _), (to, _)) = ends(&error.packet);
    assert_eq!((router, to), (Ipv4Addr::new(192, 168, 1, 1), ALICE));
    assert_eq!(error.packet[20..22], [3, 4]);
    assert_eq!(error.packet[26..28], 1280_u16.to_be_bytes());
    assert_eq!(error.packet.len(), 576);

    let mut cuttable = long;
    cuttable[6] &= !0x40;
    set_header_checksum(&mut cuttable);
    assert_eq!(net.process(net.lan, &mut cuttable), Verdict::Queued);
    let pieces: Vec<_> = std::iter::from_fn(|| net.firewall.poll_transmit()).collect();
    assert!(
        pieces
            .iter()
            .all(|p| p.egress == Some(net.wan) && p.packet.len() <= 1280)
    );
    let packets: Vec<_> = pieces.into_iter().map(|p| p.packet).collect();
    let whole = reassemble(&packets);
    assert_eq!(ends(&whole), ((PUBLIC, 4500), (SERVER, 4500)));
    assert!(whole.ends_with(&[7; 1400]));
}

/// Fragments in order and out of order; 14a: a flood of them keeps nobody from sending whole
/// packets and fragments in order.
#[test]
fn rfc4787_req_14() {
    let datagram = udp_with((ALICE, 4500), (SERVER, 4500), &[9; 3000]);
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [2, 0, 1]] {
        let mut net = net(nat());
        let pieces = cut(&datagram, 1000, 77);
        assert_eq!(pieces.len(), 4);
        let mut left = Vec::new();
        for n in order.into_iter().chain([3]) {
            let mut piece = pieces[n].clone();
            match net.process(net.lan, &mut piece) {
                Verdict::Forward { .. } => left.push(piece),
                Verdict::Queued => {}
                other => panic!("{other:?}"),
            }
            left.extend(std::iter::from_fn(|| net.firewall.poll_transmit()).map(|t| t.packet));
        }
        let whole = reassemble(&left);
        assert_eq!(ends(&whole), ((PUBLIC, 4500), (SERVER, 4500)));
        assert!(whole.ends_with(&[9; 3000]));
    }

    let mut net = net(nat());
    for id in 0..5000 {
        let mut later = cut(&datagram, 1000, id).remove(1);
        let _ = net.process(net.lan, &mut later);
    }
    assert!(net.dropped(DropReason::Fragment) > 4000);
    assert!(net.out(udp((BOB, 4500), (SERVER, 4500))).is_ok());
    let pieces = cut(&udp_with((BOB, 9), (SERVER, 9), &[9; 3000]), 1000, 7);
    let sent: Vec<_> = pieces.into_iter().map(|p| net.out(p).unwrap()).collect();
    assert_eq!(ends(&reassemble(&sent)).1, (SERVER, 9));
}

/// RFC 6888 REQ-6: some destinations see the hosts as they are.
#[test]
fn rfc6888_req_6() {
    let mut config = nat();
    config.nat[0].except = vec![firewall::Prefix::new(SERVER.into(), 32)];
    let mut net = net(config);
    assert_eq!(net.map((ALICE, 5000), (SERVER, 53)), (ALICE, 5000));
    assert_eq!(net.answer((SERVER, 53), (ALICE, 5000)), Ok((ALICE, 5000)));
    assert_eq!(net.map((ALICE, 5000), (STRANGER, 53)).0, PUBLIC);
}

/// RFC 6888 REQ-8: a port rests before another host gets it, unless none is left.
#[test]
fn rfc6888_req_8() {
    let mut config = nat();
    config.nat[0].ports = 4500..=4501;
    let mut net = net(config);
    let public = net.map((ALICE, 4500), (SERVER, 4500));
    net.wait(301);
    // The odd one, though the host asks for the even.
    let bob = net.map((BOB, 4500), (SERVER, 4500));
    assert_ne!(bob, public);
    // The host that had it gets it back.
    assert_eq!(net.map((ALICE, 4500), (SERVER, 9)), public);
    net.wait(301);
    let carol = (Ipv4Addr::new(192, 168, 1, 12), 4500);
    // Nothing else is left.
    net.map(carol, (SERVER, 4500));
}

/// RFC 6888 REQ-2, RFC 7857 section 4: a host whose address has no port left gets no other one.
#[test]
fn rfc7857_section_4() {
    let mut config = nat();
    let mut pool = Nat::new(PUBLIC);
    pool.addresses.push(Ipv4Addr::new(198, 51, 100, 3));
    pool.ports = 2000..=2003;
    config.nat = vec![pool];
    config.rules = vec![Rule::new(RuleAction::Deny)];
    let mut net = net(config);
    let mut addresses: Vec<_> = (0..4)
        .map(|n| net.map((ALICE, 3000 + n), (SERVER, 1)).0)
        .collect();
    addresses.dedup();
    assert_eq!(addresses.len(), 1);
    let more = net.out(udp((ALICE, 3004), (SERVER, 1)));
    assert_eq!(dropped(more), Some(DropReason::Full));
}
