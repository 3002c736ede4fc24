//! Users whom a RADIUS server knows.

use super::*;

#[test]
fn a_request_says_who_where_and_how() {
    let mut lab = Lab::new(RADIUS);
    lab.login("OFFICE\\carol", "a password of more than sixteen bytes");
    let asked = lab.asked().pop().unwrap();
    let packet = Packet::parse(&asked).unwrap();
    assert_eq!(packet.code, Code::ACCESS_REQUEST);
    let first = packet.attributes.iter().next().unwrap().0;
    assert_eq!(first, kind::MESSAGE_AUTHENTICATOR);
    assert_eq!(text(&asked, kind::USER_NAME), "OFFICE\\carol");
    assert_eq!(text(&asked, kind::NAS_IDENTIFIER), "office");
    assert_eq!(text(&asked, kind::CALLING_STATION_ID), "203.0.113.9");
    assert_eq!(text(&asked, kind::TUNNEL_CLIENT_ENDPOINT), "203.0.113.9");
    assert_eq!(text(&asked, kind::TUNNEL_SERVER_ENDPOINT), "198.51.100.1");
    for (kind, value) in [
        (kind::SERVICE_TYPE, 2),
        (kind::FRAMED_PROTOCOL, 1),
        (kind::NAS_PORT_TYPE, 5),
        (kind::TUNNEL_TYPE, 3),
        (kind::TUNNEL_MEDIUM_TYPE, 1),
    ] {
        assert_eq!(integer(&asked, kind), Some(value));
    }
    let password = packet.attributes.get(kind::USER_PASSWORD).unwrap();
    assert_eq!(password.len(), 48);
}

#[test]
fn chap_and_mschapv2_go_through_and_the_proof_comes_back() {
    let mut lab = Lab::new(RADIUS);
    let call = lab.call([203, 0, 113, 9]);
    let chap = Claim::ChapMd5 {
        id: 7,
        challenge: vec![1; 16],
        response: vec![2; 16],
    };
    let request = AuthRequest::new(b"carol", chap);
    lab.aaa.authenticate(lab.now, call, &request);
    let asked = lab.asked().pop().unwrap();
    let packet = Packet::parse(&asked).unwrap();
    let value = packet.attributes.get(kind::CHAP_PASSWORD).unwrap();
    assert_eq!((value[0], &value[1..]), (7, &[2; 16][..]));
    assert_eq!(
        packet.attributes.get(kind::CHAP_CHALLENGE),
        Some(&[1; 16][..])
    );
    lab.reply(&asked, Code::ACCESS_ACCEPT, |_| {});
    lab.admitted(call);

    let mschap = Claim::MsChapV2 {
        id: 9,
        challenge: [1; 16],
        peer_challenge: [2; 16],
        nt_response: [3; 24],
    };
    let request = AuthRequest::new(b"dave", mschap);
    for success in [true, false] {
        let call = lab.call([203, 0, 113, 9]);
        lab.aaa.authenticate(lab.now, call, &request);
        let asked = lab.asked().pop().unwrap();
        let packet = Packet::parse(&asked).unwrap();
        let vendor: Vec<_> = packet.attributes.vendor(ms::VENDOR).collect();
        let mut response = vec![9, 0];
        response.extend([2; 16]);
        response.extend([0; 8]);
        response.extend([3; 24]);
        assert_eq!(
            vendor,
            [
                (ms::CHAP_CHALLENGE, &[1; 16][..]),
                (ms::CHAP2_RESPONSE, response.as_slice())
            ]
        );
        lab.reply(&asked, Code::ACCESS_ACCEPT, |a| {
            let value = format!("\u{9}S={}", "A".repeat(40));
            if success {
                a.vendor(ms::VENDOR, ms::CHAP2_SUCCESS, value.as_bytes());
            }
        });
        if success {
            lab.admitted(call);
        } else {
            // The client could not tell us from an impostor.
            lab.refused("radius_no_ms_chap2_success");
        }
    }
}

#[test]
fn what_the_server_grants_is_what_the_client_gets() {
    let mut lab = Lab::new(RADIUS);
    let [own, dns] = [
        Ipv4Addr::new(192, 168, 40, 7),
        Ipv4Addr::new(192, 168, 8, 11),
    ];
    let call = lab.remote("carol", |a| {
        a.address(kind::FRAMED_IP_ADDRESS, own);
        a.vendor(ms::VENDOR, ms::PRIMARY_DNS_SERVER, &dns.octets());
        a.vendor(ms::VENDOR, ms::SECONDARY_NBNS_SERVER, &dns.octets());
        a.integer(kind::SESSION_TIMEOUT, 100);
    });
    let got = lab.admitted(call);
    assert_eq!((got.peer, got.dns), (own, [Some(dns), None]));
    assert_eq!(got.wins, [None, Some(dns)]);
    lab.aaa.opened(lab.now, call);
    lab.wait(100);
    assert!(matches!(lab.seen().as_slice(), [Seen::HungUp(c)] if *c == call));

    // The gateway's choice, by either number or by none, or from a pool by name.
    for number in [0xffff_fffe, 0xffff_ffff] {
        let call = lab.remote("carol", |a| {
            a.integer(kind::FRAMED_IP_ADDRESS, number);
        });
        let got = lab.admitted(call);
        assert_eq!(got.peer, Ipv4Addr::new(192, 168, 200, 10));
        assert_eq!(got.dns, [Some(Ipv4Addr::new(192, 168, 8, 10)), None]);
        lab.end(call, "peer_terminated");
    }
    let call = lab.remote("dave", |a| {
        a.text(kind::FRAMED_POOL, "guests");
    });
    assert_eq!(lab.admitted(call).peer, Ipv4Addr::new(192, 168, 201, 10));
    lab.remote("dave", |a| {
        a.text(kind::FRAMED_POOL, "nowhere");
    });
    lab.refused("unknown_pool");
    lab.remote("dave", |a| {
        a.address(kind::FRAMED_IP_ADDRESS, Ipv4Addr::new(8, 8, 8, 8));
    });
    lab.refused("address_not_ours");
    lab.remote("dave", |a| {
        a.address(kind::FRAMED_IP_ADDRESS, Ipv4Addr::new(192, 168, 201, 10));
    });
    // It is dave's own, who has come back.
    assert!(matches!(lab.seen().last(), Some(Seen::In(..))));
    lab.remote("mallory", |a| {
        a.address(kind::FRAMED_IP_ADDRESS, Ipv4Addr::new(192, 168, 201, 10));
    });
    lab.refused("address_in_use");
    let call = lab.remote("erin", |a| {
        a.integer(kind::PORT_LIMIT, 1);
    });
    lab.admitted(call);
    lab.remote("erin", |a| {
        a.integer(kind::PORT_LIMIT, 1);
    });
    lab.refused("too_many_sessions");
}

#[test]
fn a_reject_is_told_to_the_client_with_its_reason() {
    let mut lab = Lab::new(RADIUS);
    lab.login("carol", "c");
    let asked = lab.asked().pop().unwrap();
    lab.reply(&asked, Code::ACCESS_REJECT, |a| {
        a.vendor(ms::VENDOR, ms::CHAP_ERROR, b"\x07E=648 R=0 V=3");
        a.text(kind::REPLY_MESSAGE, "Your password has expired");
    });
    lab.wait(2);
    let (code, retry, message) = lab.refused("radius_reject");
    assert_eq!((code, retry), (648, false));
    assert_eq!(message, "Your password has expired");
    // A challenge is no way in.
    lab.login("dave", "c");
    let asked = lab.asked().pop().unwrap();
    lab.reply(&asked, Code::ACCESS_CHALLENGE, |_| {});
    lab.wait(2);
    lab.refused("radius_reject");
    lab.login("erin", "c");
    lab.wait(30);
    lab.refused("radius_no_reply");
    // Users of the configuration need no server.
    lab.connect("ann", "secret");
}

#[test]
fn a_server_that_signs_nothing_is_named_once_a_minute() {
    let mut lab = Lab::new(RADIUS);
    lab.login("carol", "c");
    let asked = lab.asked().pop().unwrap();
    let packet = Packet::parse(&asked).unwrap();
    let reply = Encoder::new().without_message_authenticator(
        Code::ACCESS_ACCEPT,
        packet.id,
        &packet.authenticator,
        Some(SECRET),
    );
    let from = ([192, 168, 8, 5], 1812).into();
    for _ in 0..10 {
        let dropped = lab.aaa.handle_radius(lab.now, Port::Access, from, &reply);
        assert!(dropped.is_err());
    }
    assert!(lab.seen().is_empty());
    let named = |n: &&String| n.contains("reason=radius_no_message_authenticator");
    assert_eq!(lab.notes.iter().filter(named).count(), 1);
}

#[test]
fn users_stay_in_and_are_accounted_for_when_the_servers_change() {
    let mut lab = Lab::new(RADIUS);
    let call = lab.remote("carol", |_| {});
    lab.admitted(call);
    lab.aaa.opened(lab.now, call);
    lab.records();
    lab.login("dave", "d");
    assert_eq!(lab.asked().len(), 1);
    let moved = RADIUS.replace("192.168.8.5", "192.168.8.6");
    lab.aaa.reconfigure(lab.now, Arc::new(office(&moved)));
    assert!(lab.aaa.user(call).is_some());
    lab.aaa
        .end(lab.now, call, "peer_terminated", Traffic::default());
    let sent = std::iter::from_fn(|| lab.aaa.poll_radius());
    let sent: Vec<_> = sent.map(|t| (t.port, t.to.ip().to_string())).collect();
    let to = |port| (port, "192.168.8.6".to_owned());
    assert_eq!(sent, [to(Port::Access), to(Port::Accounting)]);
    // Without servers, who waits is refused, and users of the configuration come in still.
    lab.aaa.reconfigure(lab.now, Arc::new(office("")));
    lab.wait(2);
    lab.refused("radius_no_reply");
    lab.connect("ann", "secret");
    // And from none to one.
    let mut lab = Lab::new("");
    lab.aaa.reconfigure(lab.now, Arc::new(office(RADIUS)));
    let call = lab.remote("carol", |_| {});
    lab.admitted(call);
}
