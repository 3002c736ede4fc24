//! Every way a link ends, and every order of two of them: one end, and nothing left.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod common;

use common::*;
use ppp::{Config, Event, wire::ChapValue};
use std::time::Duration;

/// What happens to a link, and why it is closed afterwards, for each of [`links`].
struct Way {
    what: &'static str,
    act: fn(&mut Bench),
    reasons: [&'static str; 7],
}

const NO_ANSWER: &str = "negotiation_timeout";
const TOO_SLOW: &str = "authentication_timeout";
const SILENT: &str = "echo_timeout";
const NO_IPCP: &str = "negotiation_failed (ipcp)";
const BYE: &str = "peer_terminated (bye)";
const KICKED: &str = "administrative";
const CUT: &str = "lower_layer_down";
const WRONG: &str = "authentication_failed";

const WAYS: [Way; 7] = [
    Way {
        what: "the peer says goodbye",
        act: |b| drop(b.say(LCP, TERMINATE, 1, b"bye")),
        // Whoever has nothing yet to say goodbye to goes on asking.
        reasons: [BYE; 7],
    },
    Way {
        what: "the administrator closes it",
        act: |b| b.link.close(b.now, "kicked"),
        reasons: [KICKED; 7],
    },
    Way {
        what: "the lower layer goes",
        act: |b| b.link.lower_down(b.now),
        reasons: [CUT; 7],
    },
    Way {
        what: "nothing is heard any more",
        act: |b| b.wait(Duration::from_secs(600)),
        reasons: [
            NO_ANSWER, NO_ANSWER, TOO_SLOW, TOO_SLOW, TOO_SLOW, SILENT, SILENT,
        ],
    },
    Way {
        what: "authentication fails",
        act: fail_authentication,
        reasons: [NO_ANSWER, NO_ANSWER, WRONG, WRONG, WRONG, SILENT, SILENT],
    },
    Way {
        what: "IPCP ends alone",
        act: |b| drop(b.say(IPCP, TERMINATE, 1, b"")),
        reasons: [
            NO_ANSWER, NO_ANSWER, TOO_SLOW, TOO_SLOW, TOO_SLOW, NO_IPCP, NO_IPCP,
        ],
    },
    Way {
        what: "the peer does not know IPCP",
        act: |b| drop(b.say(LCP, PROTOCOL_REJECT, 1, &[0x80, 0x21, 1, 1, 0, 4])),
        reasons: [
            NO_ANSWER, NO_ANSWER, TOO_SLOW, TOO_SLOW, TOO_SLOW, NO_IPCP, NO_IPCP,
        ],
    },
];

/// Whoever is to prove itself fails; where nothing is to be proved, nothing happens.
fn fail_authentication(b: &mut Bench) {
    if b.events.iter().any(|e| matches!(e, Event::Authenticate(_))) {
        let _ = b.link.authenticate(b.now, ppp::Verdict::refuse());
    } else if let Some(asked) = b.take(CHAP, 1) {
        let challenge = ChapValue::parse(&asked.data).unwrap().value;
        let challenge = challenge.try_into().unwrap();
        b.respond_mschapv2(asked.id, challenge, b"alice", "looking-glass");
    } else if let Some(response) = b.take(CHAP, 2) {
        let _ = b.say(CHAP, 4, response.id, b"E=691 R=0 M=no");
    }
}

/// A server and a client that ask for LCP, a server that asks for a proof, one whose owner decides,
/// a client that waits for its verdict, and a server and a client that are up.
fn links() -> Vec<Bench> {
    let mut judging = Bench::asking_server(Config::default());
    judging.password = None;
    judging.answer_mschapv2(b"alice", PASSWORD);
    let mut answering = Bench::asked_client(client_config(), MSCHAPV2);
    let challenge = ChapValue {
        value: &[1; 16],
        name: b"server",
    };
    answering.say(CHAP, 1, 1, &challenge.emit()).unwrap();
    let mut up = Bench::client_in_network(client_config());
    up.open_ipcp_as_server();
    vec![
        Bench::server(Config::default()),
        Bench::client(client_config()),
        Bench::asking_server(Config::default()),
        judging,
        answering,
        Bench::server_up(Config::default()),
        up,
    ]
}

/// The link has ended once, is deaf and dumb, and has nothing more to do.
fn expect_nothing_left(b: &mut Bench, what: &str) {
    let count = |wanted: fn(&Event) -> bool| b.events.iter().filter(|e| wanted(e)).count();
    assert_eq!(count(|e| matches!(e, Event::Closed { .. })), 1, "{what}");
    assert_eq!(
        count(|e| matches!(e, Event::Ipv4Up { .. })),
        count(|e| matches!(e, Event::Ipv4Down)),
        "{what}"
    );
    assert_eq!(b.link.poll_timeout(), None, "{what}");
    b.heard.clear();
    assert!(b.say(LCP, REQUEST, 1, &magic()).is_err(), "{what}");
    let verdict = ppp::Verdict::refuse();
    assert!(b.link.authenticate(b.now, verdict).is_err(), "{what}");
    b.link.close(b.now, "again");
    b.link.lower_down(b.now);
    b.drain();
    b.expect_silence();
}

#[test]
fn every_end_has_its_reason() {
    for way in &WAYS {
        for (kind, (mut b, reason)) in links().into_iter().zip(way.reasons).enumerate() {
            (way.act)(&mut b);
            b.drain();
            b.wait(Duration::from_secs(900));
            let what = format!("{}, link {kind}", way.what);
            assert_eq!(b.closed().as_deref(), Some(reason), "{what}");
            expect_nothing_left(&mut b, &what);
        }
    }
}

#[test]
fn every_order_of_two_ends_leaves_nothing() {
    for (one, other) in WAYS.iter().flat_map(|w| WAYS.iter().map(move |v| (w, v))) {
        for (kind, mut b) in links().into_iter().enumerate() {
            (one.act)(&mut b);
            b.drain();
            (other.act)(&mut b);
            b.drain();
            b.wait(Duration::from_secs(900));
            let what = format!("{}, then {}, link {kind}", one.what, other.what);
            expect_nothing_left(&mut b, &what);
        }
    }
}

#[test]
fn an_echo_every_30_s_and_the_end_after_four() {
    let mut b = Bench::server_up(Config::default());
    b.heard.clear();
    for _ in 0..4 {
        b.wait(Duration::from_secs(30));
        b.expect(LCP, ECHO);
        b.expect_silence();
    }
    assert_eq!(b.closed(), None);
    b.wait(Duration::from_secs(60));
    assert_eq!(b.closed().unwrap(), "echo_timeout");
    // Packets are a sign of life; no echo is needed then.
    let mut b = Bench::server_up(Config::default());
    b.heard.clear();
    for _ in 0..20 {
        b.feed(&[0x21, 0x45]).unwrap();
        b.wait(Duration::from_secs(30));
    }
    b.expect_silence();
}

#[test]
fn a_loop_is_heard_by_its_magic_number() {
    // From the start: all we send comes back.
    let mut b = Bench::server(Config::default());
    for _ in 0..50 {
        let Some(own) = b.heard.pop_front() else {
            break;
        };
        let _ = b.say(own.protocol, own.code, own.id, &own.data);
    }
    b.wait(Duration::from_secs(30));
    assert_eq!(b.closed().unwrap(), "loopback");
    // Later: echoes come back as they went.
    let mut b = Bench::server_up(Config::default());
    b.heard.clear();
    for _ in 0..8 {
        b.wait(Duration::from_secs(30));
        if let Some(own) = b.heard.pop_front() {
            let _ = b.say(LCP, ECHO, own.id, &own.data);
            let reply = b.heard.pop_front();
            if let Some(reply) = reply.filter(|r| r.code == ECHO_REPLY) {
                let _ = b.say(LCP, ECHO_REPLY, reply.id, &reply.data);
            }
        }
    }
    assert_eq!(b.closed().unwrap(), "loopback");
}
