//! RFC 5382, requirement by requirement (section 8), and RFC 7857 section 2.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::*;
use firewall::{DropReason, Filtering, Protocol, Rule, RuleAction, Verdict};

const HERE: End = (ALICE, 40_000);
const THERE: End = (SERVER, 80);

/// Endpoint-independent mapping.
#[test]
fn rfc5382_req_1() {
    let mut net = net(nat());
    let public = net.connect(HERE, THERE);
    for to in [(SERVER, 443), (STRANGER, 80)] {
        assert_eq!(net.tcp_out(HERE, to, Tcp::new(SYN, 9, 0)), Ok(public));
    }
}

/// All valid sequences: the whole life of a connection, either way.
#[test]
fn rfc5382_req_2() {
    let mut config = nat();
    let web = Rule::pinhole(RuleAction::ForwardTo(ALICE, 8080), Protocol::TCP, 80);
    config.rules = vec![web];
    let mut net = net(config);
    let public = net.connect(HERE, THERE);
    assert!(
        net.tcp_out(HERE, THERE, Tcp::new(ACK, 1001, 5001).data(1000))
            .is_ok()
    );
    assert!(
        net.tcp_back(THERE, public, Tcp::new(ACK, 5001, 2001).data(1400))
            .is_ok()
    );
    // Again, after a loss; and half-closed.
    assert!(
        net.tcp_back(THERE, public, Tcp::new(ACK, 5001, 2001).data(1400))
            .is_ok()
    );
    assert!(
        net.tcp_out(HERE, THERE, Tcp::new(ACK | FIN, 2001, 6401))
            .is_ok()
    );
    assert!(
        net.tcp_back(THERE, public, Tcp::new(ACK, 6401, 2002).data(100))
            .is_ok()
    );
    assert!(
        net.tcp_back(THERE, public, Tcp::new(ACK | FIN, 6501, 2002))
            .is_ok()
    );
    assert!(net.tcp_out(HERE, THERE, Tcp::new(ACK, 2002, 6502)).is_ok());
    // The ports are used again at once.
    assert!(net.tcp_out(HERE, THERE, Tcp::new(SYN, 77_000, 0)).is_ok());
    assert!(
        net.tcp_back(THERE, public, Tcp::new(SYN | ACK, 9_000_000, 77_001))
            .is_ok()
    );
    assert!(
        net.tcp_out(HERE, THERE, Tcp::new(ACK, 77_001, 9_000_001).data(5))
            .is_ok()
    );

    // From outside, where it is allowed.
    let stranger = (STRANGER, 999);
    assert_eq!(
        net.tcp_back(stranger, (PUBLIC, 80), Tcp::new(SYN, 1, 0)),
        Ok((ALICE, 8080))
    );
    let answer = Tcp::new(SYN | ACK, 100, 2);
    assert_eq!(
        net.tcp_out((ALICE, 8080), stranger, answer),
        Ok((PUBLIC, 80))
    );
    assert!(
        net.tcp_back(stranger, (PUBLIC, 80), Tcp::new(ACK, 2, 101).data(9))
            .is_ok()
    );
}

/// Data may come with the SYN, and a server may take it or leave it (RFC 7413 section 3.1).
#[test]
fn tcp_fast_open() {
    for taken in [1001, 1101] {
        let mut net = net(nat());
        let syn = Tcp::new(SYN, 1000, 0).data(100);
        let public = net.tcp_out(HERE, THERE, syn).unwrap();
        for never in [1000, 1102] {
            let answer = Tcp::new(SYN | ACK, 5000, never);
            assert!(net.tcp_back(THERE, public, answer).is_err());
        }
        let answer = Tcp::new(SYN | ACK, 5000, taken);
        assert_eq!(net.tcp_back(THERE, public, answer), Ok(HERE));
        let data = Tcp::new(ACK, taken, 5001).data(200);
        assert!(net.tcp_out(HERE, THERE, data).is_ok());
        let answer = Tcp::new(ACK, 5001, taken + 200).data(10);
        assert!(net.tcp_back(THERE, public, answer).is_ok());
    }
}

/// Simultaneous open.
#[test]
fn rfc5382_req_2a() {
    let mut net = net(nat());
    let public = net.tcp_out(HERE, THERE, Tcp::new(SYN, 1000, 0)).unwrap();
    assert!(net.tcp_back(THERE, public, Tcp::new(SYN, 5000, 0)).is_ok());
    assert!(
        net.tcp_out(HERE, THERE, Tcp::new(SYN | ACK, 1000, 5001))
            .is_ok()
    );
    assert!(
        net.tcp_back(THERE, public, Tcp::new(SYN | ACK, 5000, 1001))
            .is_ok()
    );
    assert!(
        net.tcp_out(HERE, THERE, Tcp::new(ACK, 1001, 5001).data(10))
            .is_ok()
    );
    assert!(
        net.tcp_back(THERE, public, Tcp::new(ACK, 5001, 1011).data(10))
            .is_ok()
    );
    net.wait(7400);
    assert!(net.tcp_out(HERE, THERE, Tcp::new(ACK, 1011, 5011)).is_ok());
}

/// Filtering is what the administrator chooses (3a).
#[test]
fn rfc5382_req_3() {
    for (filtering, other_port, other_host) in [
        (Filtering::EndpointIndependent, true, true),
        (Filtering::AddressDependent, true, false),
        (Filtering::AddressAndPortDependent, false, false),
    ] {
        let mut net = net(nat_with(filtering));
        let public = net.connect(HERE, THERE);
        let syn = Tcp::new(SYN, 1, 0);
        assert_eq!(net.tcp_back((SERVER, 9), public, syn).is_ok(), other_port);
        assert_eq!(
            net.tcp_back((STRANGER, 80), public, syn).is_ok(),
            other_host
        );
    }
}

/// An unsolicited SYN is dropped silently (4a: an answer would violate the policy), and does not
/// hinder the outbound SYN that follows it.
#[test]
fn rfc5382_req_4() {
    let mut net = net(nat());
    let syn = net.tcp_back(THERE, (PUBLIC, 40_000), Tcp::new(SYN, 5000, 0));
    assert_eq!(dropped(syn), Some(DropReason::Policy));
    assert_eq!(net.firewall.poll_transmit(), None);
    net.wait(3);
    assert_eq!(
        net.tcp_out(HERE, THERE, Tcp::new(SYN, 1000, 0)),
        Ok((PUBLIC, 40_000))
    );
    assert!(
        net.tcp_back(THERE, (PUBLIC, 40_000), Tcp::new(SYN, 5000, 0))
            .is_ok()
    );
}

/// Established: 2 h 4 min; transitory: 4 min; RFC 7857 section 2.1: one for opening and one for
/// closing.
#[test]
fn rfc5382_req_5() {
    let ack = Tcp::new(ACK, 1001, 5001);
    let mut net = net(nat());
    net.connect(HERE, THERE);
    net.wait(7439);
    assert!(net.tcp_out(HERE, THERE, ack).is_ok());
    net.wait(7441);
    assert_eq!(
        dropped(net.tcp_out(HERE, THERE, ack)),
        Some(DropReason::Unrelated)
    );

    let public = net.tcp_out(HERE, THERE, Tcp::new(SYN, 1000, 0)).unwrap();
    net.wait(239);
    assert!(
        net.tcp_back(THERE, public, Tcp::new(SYN | ACK, 5000, 1001))
            .is_ok()
    );
    net.wait(239);
    assert!(net.tcp_out(HERE, THERE, ack).is_ok());
    assert!(
        net.tcp_out(HERE, THERE, Tcp::new(ACK | FIN, 1001, 5001))
            .is_ok()
    );
    // Half-closed is established.
    net.wait(7000);
    assert!(
        net.tcp_back(THERE, public, Tcp::new(ACK | FIN, 5001, 1002))
            .is_ok()
    );
    net.wait(239);
    assert!(net.tcp_out(HERE, THERE, Tcp::new(ACK, 1002, 5002)).is_ok());
    net.wait(241);
    let late = net.tcp_out(HERE, THERE, Tcp::new(ACK, 1002, 5002));
    assert_eq!(dropped(late), Some(DropReason::Unrelated));
}

/// No ALG: FTP's PORT passes as it is, and opens nothing.
#[test]
fn rfc5382_req_6() {
    let mut net = net(nat());
    let ftp = (SERVER, 21);
    let public = net.connect(HERE, ftp);
    let mut packet = tcp(HERE, ftp, Tcp::new(ACK, 1001, 5001).data(24));
    let command = b"PORT 192,168,1,10,200,10";
    packet.truncate(40);
    packet.extend(command);
    let sum = etherparse::TcpHeader::from_slice(&packet[20..]).unwrap();
    let sum = sum
        .0
        .calc_checksum_ipv4_raw(ALICE.octets(), SERVER.octets(), command);
    packet[36..38].copy_from_slice(&sum.unwrap().to_be_bytes());
    let sent = net.out(packet).unwrap();
    ends(&sent);
    assert!(sent.ends_with(command));
    let data = net.tcp_back(
        (SERVER, 20),
        (public.0, 200 * 256 + 10),
        Tcp::new(SYN, 1, 0),
    );
    assert_eq!(dropped(data), Some(DropReason::Policy));
}

/// No port overloading.
#[test]
fn rfc5382_req_7() {
    let mut net = net(nat());
    let alice = net.connect(HERE, THERE);
    let bob = net.connect((BOB, HERE.1), (STRANGER, 80));
    assert_ne!(alice, bob);
}

/// Hairpinning; 8a: with the external source address and port.
#[test]
fn rfc5382_req_8() {
    let mut net = net(nat_with(Filtering::EndpointIndependent));
    let alice = net.connect(HERE, THERE);
    let bob = net.connect((BOB, 6000), THERE);
    let mut syn = tcp((BOB, 6000), alice, Tcp::new(SYN, 1, 0));
    assert!(
        matches!(net.process(net.lan, &mut syn), Verdict::Forward { egress, .. } if egress == net.lan)
    );
    assert_eq!(ends(&syn), (bob, HERE));
    let mut answer = tcp(HERE, bob, Tcp::new(SYN | ACK, 1, 2));
    assert!(matches!(
        net.process(net.lan, &mut answer),
        Verdict::Forward { .. }
    ));
    assert_eq!(ends(&answer), (alice, (BOB, 6000)));
}

/// Destination unreachables are translated.
#[test]
fn rfc5382_req_9() {
    let mut net = net(nat());
    let sent = net.out(tcp(HERE, THERE, Tcp::new(SYN, 1000, 0))).unwrap();
    for code in 0..=13 {
        let error = net
            .back(icmp_error(ROUTER, PUBLIC, [3, code], [0, 0, 5, 0], &sent))
            .unwrap();
        assert_eq!(ends(&error), ((ROUTER, 0), (ALICE, 0)));
        assert_eq!(error[20..22], [3, code]);
        assert_eq!(quoted_ends(&error), (HERE, THERE));
    }
}

/// No ICMP message ends a connection.
#[test]
fn rfc5382_req_10() {
    let mut net = net(nat());
    let public = net.connect(HERE, THERE);
    let sent = net
        .out(tcp(HERE, THERE, Tcp::new(ACK, 1001, 5001).data(5)))
        .unwrap();
    for kind in [[3, 1], [3, 3], [3, 13], [11, 0], [12, 0]] {
        assert!(
            net.back(icmp_error(ROUTER, PUBLIC, kind, [0; 4], &sent))
                .is_ok()
        );
    }
    net.wait(7400);
    assert!(
        net.tcp_back(THERE, public, Tcp::new(ACK, 5001, 1006).data(5))
            .is_ok()
    );
}

/// RFC 7857 section 2.2: a RST is translated, and the session stays 4 minutes; data on it is
/// proof that the RST meant nothing.
#[test]
fn rfc7857_section_2_2() {
    let mut net = net(nat());
    let public = net.connect(HERE, THERE);
    assert!(net.tcp_back(THERE, public, Tcp::new(RST, 5001, 0)).is_ok());
    net.wait(239);
    assert!(
        net.tcp_out(HERE, THERE, Tcp::new(ACK, 1001, 5001).data(10))
            .is_ok()
    );
    net.wait(7000);
    assert!(
        net.tcp_back(THERE, public, Tcp::new(RST | ACK, 5001, 1011))
            .is_ok()
    );
    net.wait(241);
    assert!(
        net.tcp_back(THERE, public, Tcp::new(ACK, 5001, 1011))
            .is_err()
    );
}

/// Segments outside of the window belong to somebody else.
#[test]
fn segments_outside_the_window_are_dropped() {
    let mut net = net(nat());
    let public = net.connect(HERE, THERE);
    for (seq, ack) in [
        (5001 + 4001, 1001),
        (5001_u32.wrapping_sub(4100), 1001),
        (5001, 1002),
        (5001, 1001_u32.wrapping_sub(70_000)),
        (0x8000_5001, 1001),
    ] {
        let forged = net.tcp_back(THERE, public, Tcp::new(ACK, seq, ack));
        assert_eq!(
            dropped(forged),
            Some(DropReason::OutOfWindow),
            "{seq} {ack}"
        );
    }
    for seq in [5001 + 4001, 900] {
        let forged = net.tcp_back(THERE, public, Tcp::new(RST, seq, 0));
        assert_eq!(dropped(forged), Some(DropReason::OutOfWindow));
    }
    for flags in [0, FIN, SYN | FIN] {
        let forged = net.tcp_back(THERE, public, Tcp::new(flags, 5001, 1001));
        assert_eq!(dropped(forged), Some(DropReason::OutOfWindow));
    }
    assert!(
        net.tcp_back(THERE, public, Tcp::new(ACK, 5001 + 4000, 1001))
            .is_ok()
    );
}

/// A scaled window is as large as both sides agreed, and not scaled if only one did.
#[test]
fn windows_scale_if_both_sides_say_so() {
    for (theirs, far) in [(Some(7), true), (None, false)] {
        let mut net = net(nat());
        let syn = Tcp::new(SYN, 1000, 0).scale(7);
        let public = net.tcp_out(HERE, THERE, syn).unwrap();
        let mut answer = Tcp::new(SYN | ACK, 5000, 1001);
        answer.scale = theirs;
        assert!(net.tcp_back(THERE, public, answer).is_ok());
        assert!(
            net.tcp_out(HERE, THERE, Tcp::new(ACK, 1001, 5001).window(1000))
                .is_ok()
        );
        let data = Tcp::new(ACK, 5001 + 100_000, 1001).data(100);
        assert_eq!(net.tcp_back(THERE, public, data).is_ok(), far);
    }
}

/// A host that restarted and uses its port again: the server asks, the host resets, and all is new.
#[test]
fn a_syn_on_a_live_connection_is_answered_by_the_server() {
    let mut net = net(nat());
    let public = net.connect(HERE, THERE);
    let anew = Tcp::new(SYN, 3_000_000_000, 0);
    assert!(net.tcp_out(HERE, THERE, anew).is_ok());
    assert!(
        net.tcp_back(THERE, public, Tcp::new(ACK, 5001, 1001))
            .is_ok()
    );
    assert!(net.tcp_out(HERE, THERE, Tcp::new(RST, 1001, 0)).is_ok());
    assert!(net.tcp_out(HERE, THERE, anew).is_ok());
    assert!(
        net.tcp_back(THERE, public, Tcp::new(SYN | ACK, 8000, 3_000_000_001))
            .is_ok()
    );
    assert!(
        net.tcp_out(HERE, THERE, Tcp::new(ACK, 3_000_000_001, 8001))
            .is_ok()
    );
    // A server that has forgotten the connection answers at once.
    let again = Tcp::new(SYN, 50, 0);
    assert!(net.tcp_out(HERE, THERE, again).is_ok());
    assert!(
        net.tcp_back(THERE, public, Tcp::new(SYN | ACK, 70, 51))
            .is_ok()
    );
    assert!(
        net.tcp_out(HERE, THERE, Tcp::new(ACK, 51, 71).data(9))
            .is_ok()
    );
    // The outside cannot begin anew on a flow of the inside's.
    let forged = net.tcp_back(THERE, public, Tcp::new(SYN, 71, 0));
    assert_eq!(dropped(forged), Some(DropReason::OutOfWindow));
}
