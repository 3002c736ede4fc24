//! RFC 5508, requirement by requirement (section 9).
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::*;
use firewall::{DropReason, IcmpError, Interface, Verdict};
use std::net::Ipv4Addr;

/// Queries from inside and their answers pass; 1a: the identifier does not depend on the host.
#[test]
fn rfc5508_req_1() {
    let mut net = net(nat());
    let sent = net.out(ping(ALICE, SERVER, 77)).unwrap();
    assert_eq!(ends(&sent).0.0, PUBLIC);
    let id = echo_id(&sent);
    assert_eq!(echo_id(&net.out(ping(ALICE, STRANGER, 77)).unwrap()), id);
    let bob = echo_id(&net.out(ping(BOB, SERVER, 77)).unwrap());
    assert_ne!(bob, id);
    let reply = net.back(pong(SERVER, PUBLIC, id)).unwrap();
    assert_eq!((ends(&reply).1.0, echo_id(&reply)), (ALICE, 77));
    assert!(net.back(pong(SERVER, PUBLIC, 9999)).is_err());
    // Timestamps are queries as well.
    let mut stamp = ping(ALICE, SERVER, 78);
    stamp[20] = 13;
    mend_icmp(&mut stamp);
    let sent = net.out(stamp).unwrap();
    let mut answer = pong(SERVER, PUBLIC, echo_id(&sent));
    answer[20] = 14;
    mend_icmp(&mut answer);
    assert_eq!(echo_id(&net.back(answer).unwrap()), 78);
}

/// 60 seconds; 2a: configurable.
#[test]
fn rfc5508_req_2() {
    for seconds in [60, 100] {
        let mut config = nat();
        config.timeouts.icmp = std::time::Duration::from_secs(seconds);
        let mut net = net(config);
        // Without an answer as well.
        let lonely = echo_id(&net.out(ping(BOB, SERVER, 78)).unwrap());
        net.wait(seconds + 1);
        assert!(net.back(pong(SERVER, PUBLIC, lonely)).is_err());
        assert_eq!(net.firewall.flow_count(), 0);
        let id = echo_id(&net.out(ping(ALICE, SERVER, 77)).unwrap());
        net.wait(seconds - 1);
        assert!(net.back(pong(SERVER, PUBLIC, id)).is_ok());
        net.wait(seconds + 1);
        assert!(net.back(pong(SERVER, PUBLIC, id)).is_err());
    }
}

/// Errors with a wrong checksum are dropped; 3a: and those that quote a header with one; 3b:
/// options of it are walked past; 3c: its transport checksum is nobody's business; 3d: what comes
/// behind it, extensions as well, passes as it is.
#[test]
fn rfc5508_req_3() {
    let mut net = net(nat());
    let sent = net.out(udp((ALICE, 4500), (SERVER, 4500))).unwrap();
    let error = unreachable(ROUTER, PUBLIC, &sent);
    let mut wrong = error.clone();
    wrong[30] ^= 1;
    assert_eq!(dropped(net.back(wrong)), Some(DropReason::BadError));
    let mut wrong = error.clone();
    wrong[28 + 8] ^= 1;
    mend_icmp(&mut wrong);
    assert_eq!(dropped(net.back(wrong)), Some(DropReason::BadError));

    let mut quoted = sent[..20].to_vec();
    quoted[0] = 0x46;
    quoted.extend([1, 1, 1, 0]);
    set_header_checksum(&mut quoted);
    quoted.extend(&sent[20..28]);
    // Not the checksum it was sent with.
    quoted[24 + 6] ^= 0x55;
    quoted.resize(128, 0);
    let extension = [0x20, 0, 0xdf, 0xff];
    quoted.extend(extension);
    let mut packet = error[..28].to_vec();
    packet.extend(&quoted);
    let length = u16::try_from(packet.len()).unwrap();
    packet[2..4].copy_from_slice(&length.to_be_bytes());
    packet[25] = 32;
    set_header_checksum(&mut packet);
    mend_icmp(&mut packet);
    let passed = net.back(packet).unwrap();
    ends(&passed);
    assert_eq!(passed[28 + 12..28 + 16], ALICE.octets());
    assert_eq!(passed[28 + 24..28 + 26], 4500_u16.to_be_bytes());
    assert!(passed.ends_with(&extension));
}

/// From outside: dropped without a mapping; else what it quotes is reverted (4a), its type and
/// code stay (4b), and it goes to whom it quotes (4c).
#[test]
fn rfc5508_req_4() {
    let mut net = net(nat());
    let sent = net.out(udp((ALICE, 4500), (SERVER, 4500))).unwrap();
    let stray = unreachable(ROUTER, PUBLIC, &udp((PUBLIC, 9), (SERVER, 9)));
    assert_eq!(dropped(net.back(stray)), Some(DropReason::Unrelated));
    for kind in [[3, 0], [3, 4], [11, 0], [11, 1], [12, 0]] {
        let error = icmp_error(ROUTER, PUBLIC, kind, [0, 0, 5, 0], &sent);
        let passed = net.back(error).unwrap();
        assert_eq!(ends(&passed), ((ROUTER, 0), (ALICE, 0)));
        assert_eq!(passed[20..22], kind);
        assert_eq!(quoted_ends(&passed), ((ALICE, 4500), (SERVER, 4500)));
    }
    // About a query.
    let sent = net.out(ping(BOB, SERVER, 77)).unwrap();
    let passed = net.back(unreachable(ROUTER, PUBLIC, &sent)).unwrap();
    assert_eq!(ends(&passed).1.0, BOB);
    assert_eq!(echo_id(&passed[28..]), 77);
}

/// From inside: the same; 5c: it comes from the global address, whoever sent it.
#[test]
fn rfc5508_req_5() {
    let mut net = net(nat());
    let public = net.map((ALICE, 4500), (SERVER, 4500));
    let received = net.back(udp((SERVER, 4500), public)).unwrap();
    let stray = unreachable(ALICE, SERVER, &udp((SERVER, 9), (ALICE, 9)));
    assert_eq!(dropped(net.out(stray)), Some(DropReason::Unrelated));
    let inner_router = Ipv4Addr::new(192, 168, 1, 254);
    for from in [ALICE, inner_router] {
        let passed = net
            .out(icmp_error(from, SERVER, [3, 3], [0; 4], &received))
            .unwrap();
        assert_eq!(ends(&passed), ((PUBLIC, 0), (SERVER, 0)));
        assert_eq!(passed[20..22], [3, 3]);
        assert_eq!(quoted_ends(&passed), ((SERVER, 4500), public));
    }
}

/// An error neither refreshes nor ends a query's session.
#[test]
fn rfc5508_req_6() {
    let mut net = net(nat());
    let sent = net.out(ping(ALICE, SERVER, 77)).unwrap();
    let error = || unreachable(ROUTER, PUBLIC, &sent);
    net.wait(40);
    assert!(net.back(error()).is_ok());
    assert!(net.back(pong(SERVER, PUBLIC, echo_id(&sent))).is_ok());
    net.wait(40);
    assert!(net.back(error()).is_ok());
    net.wait(30);
    assert!(net.back(error()).is_err());
    assert!(net.back(pong(SERVER, PUBLIC, echo_id(&sent))).is_err());
}

/// Hairpinned errors pass; 7a: to whom they quote. (Hairpinned queries are for basic NAT.)
#[test]
fn rfc5508_req_7() {
    let mut net = net(nat());
    let alice = net.map((ALICE, 4500), (SERVER, 4500));
    let bob = net.map((BOB, 6000), (SERVER, 4500));
    let mut packet = udp((BOB, 6000), alice);
    let _ = net.process(net.lan, &mut packet);
    let mut error = icmp_error(ALICE, bob.0, [3, 3], [0; 4], &packet);
    assert!(
        matches!(net.process(net.lan, &mut error), Verdict::Forward { egress, .. } if egress == net.lan)
    );
    assert_eq!(ends(&error), ((PUBLIC, 0), (BOB, 0)));
    assert_eq!(quoted_ends(&error), ((BOB, 6000), alice));
}

/// A flow that cannot be: code 13, on request.
#[test]
fn rfc5508_req_8() {
    let mut config = nat();
    config.limits.flows_per_host = 1;
    let mut net = net(config);
    net.map((ALICE, 1024), (SERVER, 1));
    let mut more = udp((ALICE, 1024), (SERVER, 2));
    assert_eq!(
        net.process(net.lan, &mut more),
        Verdict::Drop(DropReason::Full)
    );
    assert!(
        net.firewall
            .send_error(net.now, net.lan, &more, IcmpError::Prohibited)
    );
    let error = net.firewall.poll_transmit().unwrap();
    assert_eq!(error.egress, Some(net.lan));
    assert_eq!(error.packet[20..22], [3, 13]);
    assert_eq!(ends(&error.packet), ((PUBLIC, 0), (ALICE, 0)));
    assert_eq!(quoted_ends(&error.packet), ((ALICE, 1024), (SERVER, 2)));
}

/// Nothing is generated towards an interface that nobody asks it for.
#[test]
fn rfc5508_req_9() {
    let mut net = net(nat());
    for packet in [
        udp((SERVER, 1), (PUBLIC, 2)),
        tcp((SERVER, 1), (PUBLIC, 2), Tcp::new(SYN, 1, 0)),
    ] {
        assert!(net.back(packet).is_err());
    }
    assert_eq!(net.firewall.poll_transmit(), None);
}

/// Unreachables, time exceeded and echo are supported (10a); redirects (10b) and source quench
/// and information requests (10c) are not; when not to answer (10e), and not too often (10f).
#[test]
fn rfc5508_req_10() {
    let mut net = net(nat());
    let sent = net.out(udp((ALICE, 4500), (SERVER, 4500))).unwrap();
    for kind in [4, 5] {
        let error = icmp_error(ROUTER, PUBLIC, [kind, 0], [0; 4], &sent);
        assert_eq!(dropped(net.back(error)), Some(DropReason::LinkLocal));
    }
    let packet = udp((ALICE, 1), (SERVER, 2));
    for (error, kind) in [
        (IcmpError::TimeExceeded, [11, 0]),
        (IcmpError::NoRoute, [3, 0]),
        (IcmpError::PortUnreachable, [3, 3]),
    ] {
        assert!(net.firewall.send_error(net.now, net.lan, &packet, error));
        assert_eq!(net.firewall.poll_transmit().unwrap().packet[20..22], kind);
    }
    let all = Ipv4Addr::BROADCAST;
    let later = cut(&udp_with((ALICE, 1), (SERVER, 2), &[0; 100]), 48, 1).remove(1);
    for never in [
        unreachable(ALICE, SERVER, &packet),
        udp((ALICE, 1), (all, 2)),
        udp((ALICE, 1), (Ipv4Addr::new(224, 0, 0, 1), 2)),
        udp((Ipv4Addr::UNSPECIFIED, 1), (SERVER, 2)),
        later,
    ] {
        assert!(
            !net.firewall
                .send_error(net.now, net.lan, &never, IcmpError::NoRoute)
        );
    }
    let many = (0..1000).filter(|_| {
        net.firewall
            .send_error(net.now, net.lan, &packet, IcmpError::NoRoute)
    });
    assert!(many.count() <= 100);
    net.wait(1);
    assert!(
        net.firewall
            .send_error(net.now, net.lan, &packet, IcmpError::NoRoute)
    );
}

/// Messages that are neither queries nor errors are dropped: router discovery.
#[test]
fn rfc5508_req_11() {
    let mut net = net_of(nat(), Interface::private(), Interface::public());
    for kind in [9, 10] {
        let packet = icmp_error(ALICE, SERVER, [kind, 0], [0; 4], &[0; 28]);
        assert_eq!(dropped(net.out(packet)), Some(DropReason::LinkLocal));
    }
}
