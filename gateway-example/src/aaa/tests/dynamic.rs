//! Disconnect-Request and CoA-Request (RFC 5176).

use super::*;

impl Lab {
    fn dynamic(&mut self, code: Code, fill: impl FnOnce(&mut Encoder)) -> (Code, Option<u32>) {
        let mut attributes = Encoder::new();
        fill(&mut attributes);
        let stamp = u32::try_from(self.aaa.wall(self.now).unwrap().as_secs()).unwrap();
        attributes.integer(kind::EVENT_TIMESTAMP, stamp);
        let payload = attributes.signed_request(code, 1, SECRET);
        let from = ([192, 168, 8, 5], 40_000).into();
        self.aaa
            .handle_radius(self.now, Port::Dynamic, from, &payload)
            .unwrap();
        let reply = std::iter::from_fn(|| self.aaa.poll_radius())
            .find(|t| t.port == Port::Dynamic)
            .unwrap();
        let packet = Packet::parse(&reply.payload).unwrap();
        let cause = packet.attributes.integer(kind::ERROR_CAUSE).unwrap();
        (packet.code, cause)
    }
}

#[test]
fn a_server_ends_a_call_by_each_of_its_names() {
    type Fill = fn(&mut Encoder, &Lab, CallId, Ipv4Addr);
    let names: [Fill; 4] = [
        |a, lab, call, _| {
            a.text(kind::ACCT_SESSION_ID, &lab.aaa.session_id(call));
        },
        |a, _, _, _| {
            a.text(kind::USER_NAME, "bob");
            a.text(kind::NAS_IDENTIFIER, "office");
        },
        |a, _, _, address| {
            a.address(kind::FRAMED_IP_ADDRESS, address);
            a.address(kind::NAS_IP_ADDRESS, Ipv4Addr::new(192, 168, 8, 1));
        },
        |a, _, _, _| {
            a.text(kind::USER_NAME, "bob");
            a.text(kind::CALLING_STATION_ID, "203.0.113.9");
        },
    ];
    for name in names {
        let mut lab = Lab::new(RADIUS);
        lab.aaa.set_clock(lab.now, WALL);
        let (other, _) = lab.connect("ann", "secret");
        let (call, address) = lab.connect("bob", "builder");
        let mut attributes = Encoder::new();
        name(&mut attributes, &lab, call, address);
        let (code, cause) = lab.dynamic(Code::DISCONNECT_REQUEST, |a| {
            a.append(&attributes);
        });
        assert_eq!((code, cause), (Code::DISCONNECT_ACK, None));
        assert!(matches!(lab.seen().as_slice(), [Seen::HungUp(c)] if *c == call));
        assert!(lab.notes.iter().any(|n| n.contains("cause=Admin-Reset")));
        assert!(lab.aaa.user(other).is_some());
    }
}

#[test]
fn a_server_ends_nothing_that_does_not_fit_in_full() {
    let mut lab = Lab::new(RADIUS);
    lab.aaa.set_clock(lab.now, WALL);
    lab.connect("bob", "builder");
    for (wrong, cause) in [(kind::FRAMED_IP_ADDRESS, 503), (kind::NAS_IP_ADDRESS, 403)] {
        let answer = lab.dynamic(Code::DISCONNECT_REQUEST, |a| {
            a.text(kind::USER_NAME, "bob");
            a.address(wrong, Ipv4Addr::new(10, 0, 0, 1));
        });
        assert_eq!(answer, (Code::DISCONNECT_NAK, Some(cause)));
    }
    let answer = lab.dynamic(Code::DISCONNECT_REQUEST, |a| {
        a.text(kind::USER_NAME, "nobody");
    });
    assert_eq!(answer, (Code::DISCONNECT_NAK, Some(503)));
    assert!(lab.seen().is_empty());
}

#[test]
fn a_server_changes_how_long_a_call_may_last() {
    let mut lab = Lab::new(RADIUS);
    lab.aaa.set_clock(lab.now, WALL);
    let (call, _) = lab.connect("bob", "builder");
    lab.records();
    lab.wait(100);
    let (code, _) = lab.dynamic(Code::COA_REQUEST, |a| {
        a.text(kind::USER_NAME, "bob");
        a.integer(kind::SESSION_TIMEOUT, 300);
    });
    assert_eq!(code, Code::COA_ACK);
    lab.wait(199);
    assert!(lab.seen().is_empty());
    lab.wait(1);
    assert!(matches!(lab.seen().as_slice(), [Seen::HungUp(c)] if *c == call));
    let answer = lab.dynamic(Code::COA_REQUEST, |a| {
        a.text(kind::USER_NAME, "bob");
        a.integer(kind::IDLE_TIMEOUT, 60);
    });
    assert_eq!(answer, (Code::COA_NAK, Some(503)));
}
