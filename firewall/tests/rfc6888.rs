//! What RFC 6888 (carrier-grade NAT) and RFC 7857 (updates) ask for beyond RFC 4787, 5382 and 5508.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod common;
use common::*;
use firewall::{DropReason, Filtering, IcmpError, Nat};
use std::collections::HashSet;
use std::net::Ipv4Addr;

fn host(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 168, 3, n)
}

/// The pool need not be in one piece, nor in order: all of it is used.
#[test]
fn rfc6888_req_3() {
    let mut config = nat();
    let pool: [Ipv4Addr; 3] = [
        [198, 51, 100, 9].into(),
        [192, 0, 2, 77].into(),
        [198, 51, 100, 2].into(),
    ];
    config.nat[0].addresses = pool.to_vec();
    let mut net = net(config);
    let used: HashSet<_> = (1..100)
        .map(|n| net.map((host(n), 5000), (SERVER, 53)).0)
        .collect();
    assert_eq!(used, HashSet::from(pool));
}

/// A subscriber's ports and state are bounded, and nobody else's by it; what is refused counts.
#[test]
fn rfc6888_req_4() {
    let mut config = nat();
    config.limits.flows_per_host = 10;
    let mut net = net(config);
    for port in 5000..5010 {
        net.map((ALICE, port), (SERVER, 53));
    }
    let more = net.out(udp((ALICE, 6000), (SERVER, 53)));
    assert_eq!(dropped(more), Some(DropReason::Full));
    assert_eq!(net.dropped(DropReason::Full), 1);
    net.map((BOB, 6000), (SERVER, 53));
    // As soon as flows of its own are over, it may open others.
    net.wait(301);
    net.map((ALICE, 6000), (SERVER, 53));
}

/// Where no port is left: dropped (a), answered on request (b), counted (c).
#[test]
fn rfc6888_req_11() {
    let mut config = nat();
    config.nat[0].ports = 2000..=2001;
    let mut net = net(config);
    net.map((ALICE, 5000), (SERVER, 53));
    net.map((ALICE, 5001), (SERVER, 53));
    let packet = udp((BOB, 5000), (SERVER, 53));
    let refused = net.out(packet.clone());
    assert_eq!(dropped(refused), Some(DropReason::Full));
    assert_eq!(net.dropped(DropReason::Full), 1);
    assert!(net.firewall.poll_transmit().is_none());
    let (now, lan) = (net.now, net.lan);
    assert!(
        net.firewall
            .send_error(now, lan, &packet, IcmpError::Prohibited)
    );
    let error = net.firewall.poll_transmit().unwrap();
    assert_eq!(error.egress, Some(lan));
    assert_eq!(ends(&error.packet).1.0, BOB);
}

/// Every port of every address can be had, and each but once.
#[test]
fn rfc6888_req_13() {
    let mut config = nat();
    config.nat[0].addresses.push([198, 51, 100, 3].into());
    config.nat[0].ports = 2000..=2019;
    let mut net = net(config);
    let sent = (1..=200).map(|n| net.out(udp((host(n), 5000), (SERVER, 53))));
    let had: Vec<_> = sent.flatten().map(|packet| ends(&packet).0).collect();
    assert_eq!(had.len(), 40);
    assert_eq!(had.into_iter().collect::<HashSet<_>>().len(), 40);
}

/// REQ-15, RFC 7857 section 9: a port that is not the host's own tells nothing of the next one.
#[test]
fn rfc6888_req_15() {
    let mut net = net(nat());
    let ports: Vec<u16> = (1..=100)
        .map(|n| net.map((host(n), 5000), (SERVER, 53)).1)
        .collect();
    assert_eq!(ports[0], 5000);
    let steps = ports[1..].windows(2).map(|two| two[1].wrapping_sub(two[0]));
    let steps: HashSet<_> = steps.collect();
    assert!(steps.len() > 90, "{} different steps", steps.len());
    // All over the range: in each sixteenth of it.
    let parts: HashSet<_> = ports.iter().map(|port| port / 4096).collect();
    assert_eq!(parts.len(), 16);
}

/// Mappings are for each protocol by itself.
#[test]
fn rfc7857_section_5() {
    let mut net = net(nat_with(Filtering::EndpointIndependent));
    let public = net.map((ALICE, 5000), (SERVER, 53));
    // Bob's TCP may have the port that Alice's UDP has; neither hears of the other.
    assert_eq!(net.connect((BOB, 5000), (SERVER, 80)), public);
    assert_eq!(net.answer((SERVER, 53), public), Ok((ALICE, 5000)));
    let segment = Tcp::new(ACK, 5001, 1001);
    let back = net.tcp_back((SERVER, 80), public, segment);
    assert_eq!(back, Ok((BOB, 5000)));
}

/// What is dropped refreshes no mapping.
#[test]
fn rfc7857_section_7() {
    let mut net = net(nat());
    let public = net.map((ALICE, 5000), (SERVER, 53));
    for _ in 0..4 {
        net.wait(70);
        assert!(net.answer((STRANGER, 53), public).is_err());
    }
    assert!(net.answer((SERVER, 53), public).is_ok());
    for _ in 0..5 {
        net.wait(70);
        assert!(net.answer((STRANGER, 53), public).is_err());
    }
    assert!(net.answer((SERVER, 53), public).is_err());
}

/// Two hosts' datagrams with one identification have two outside, so that their fragments are not
/// mixed up.
#[test]
fn rfc7857_section_10() {
    let mut net = net(nat());
    let outside = [ALICE, BOB].map(|host| {
        let pieces = cut(&udp_with((host, 5000), (SERVER, 9), &[7; 2000]), 1000, 77);
        let sent: Vec<_> = pieces.into_iter().map(|p| net.out(p).unwrap()).collect();
        assert_eq!(ends(&reassemble(&sent)).0.0, PUBLIC);
        [sent[0][4], sent[0][5]]
    });
    assert_ne!(outside[0], outside[1]);
}

/// A query's mapping is gone after its last session, and its identifier's rest.
#[test]
fn rfc7857_section_11() {
    let mut config = nat();
    let mut pool = Nat::new(PUBLIC);
    pool.port_hold = std::time::Duration::from_secs(10);
    config.nat = vec![pool];
    let mut net = net(config);
    let id = echo_id(&net.out(ping(ALICE, SERVER, 7)).unwrap());
    assert_eq!(id, 7);
    let other = echo_id(&net.out(ping(BOB, SERVER, 7)).unwrap());
    assert_ne!(other, 7);
    net.wait(61);
    assert!(net.back(pong(SERVER, PUBLIC, 7)).is_err());
    net.wait(11);
    assert_eq!(echo_id(&net.out(ping(BOB, SERVER, 7)).unwrap()), 7);
}
