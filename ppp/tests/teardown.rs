//! Every way a link ends, and every order of two of them: one end, and nothing left.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod common;

use common::*;
use ppp::{Config, Event};
use std::time::Duration;

const WAYS: [fn(&mut Bench); 7] = [
    // The peer says goodbye.
    |b| drop(b.say(LCP, TERMINATE, 1, b"bye")),
    // The administrator does.
    |b| b.link.close(b.now, "kicked"),
    // The lower layer goes.
    |b| b.link.lower_down(b.now),
    // Nothing is heard any more.
    |b| b.wait(Duration::from_secs(600)),
    // The peer fails to prove itself, in the states where that is asked.
    |b| drop(b.say(CHAP, 2, 0, &[0; 60])),
    // IPCP ends alone.
    |b| drop(b.say(IPCP, TERMINATE, 1, b"")),
    // The peer does not know IPCP.
    |b| drop(b.say(LCP, PROTOCOL_REJECT, 1, &[0x80, 0x21, 1, 1, 0, 4])),
];

fn links() -> Vec<Bench> {
    let client_up = || {
        let mut b = Bench::asked_client(client_config(), MSCHAPV2);
        let proof = b.challenge_mschapv2(1, [1; 16], PASSWORD);
        b.say(CHAP, 3, 1, proof.as_bytes()).unwrap();
        b
    };
    let mut judging = Bench::asking_server(Config::default());
    judging.password = None;
    judging.answer_mschapv2(b"alice", PASSWORD);
    vec![
        Bench::server(Config::default()),
        Bench::client(client_config()),
        Bench::asking_server(Config::default()),
        judging,
        Bench::server_up(Config::default()),
        client_up(),
    ]
}

#[test]
fn every_order_of_two_ends_leaves_nothing() {
    for (first, one) in WAYS.iter().enumerate() {
        for (second, other) in WAYS.iter().enumerate() {
            for (kind, mut b) in links().into_iter().enumerate() {
                one(&mut b);
                b.drain();
                other(&mut b);
                b.drain();
                b.wait(Duration::from_secs(900));
                let closed = b.events.iter();
                let closed = closed.filter(|e| matches!(e, Event::Closed { .. })).count();
                assert_eq!(closed, 1, "{first} {second} link {kind}");
                assert_eq!(b.link.poll_timeout(), None, "{first} {second} link {kind}");
                let count =
                    |wanted: fn(&Event) -> bool| b.events.iter().filter(|e| wanted(e)).count();
                assert_eq!(
                    count(|e| matches!(e, Event::Ipv4Up { .. })),
                    count(|e| matches!(e, Event::Ipv4Down)),
                    "{first} {second} link {kind}"
                );
                // It is deaf and dumb now.
                b.heard.clear();
                assert!(b.say(LCP, REQUEST, 1, &magic()).is_err());
                assert!(b.link.authenticate(b.now, ppp::Verdict::refuse()).is_err());
                b.link.close(b.now, "again");
                b.link.lower_down(b.now);
                b.drain();
                b.expect_silence();
            }
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
