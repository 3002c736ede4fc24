//! Floods, duplicates, limits, fragments.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{
    Net, children, client_config, client_path, established, pair, pair_of, peer, refusal,
    server_config,
};
use isakmp::{Config, Limits, Path};
use simnet::Link;
use std::net::SocketAddr;
use std::time::Duration;

fn limits(change: impl FnOnce(&mut Limits)) -> Config {
    let mut config = server_config();
    change(&mut config.limits);
    config
}

/// A first message as our initiator sends it.
fn first_message(seed: u64) -> Vec<u8> {
    let mut net = pair_of(
        client_config(),
        server_config(),
        Net::Direct,
        Link::PERFECT,
        seed,
    );
    let path = client_path(&net.a);
    net.a.endpoint.connect(net.now, path, peer()).unwrap();
    net.a.endpoint.poll_transmit().unwrap().payload
}

fn from(last: u8, port: u16) -> Path {
    Path {
        local: "198.51.100.1:500".parse().unwrap(),
        remote: SocketAddr::from(([203, 0, 113, last], port)),
    }
}

#[test]
fn under_load_first_messages_leave_no_state_and_peers_still_connect() {
    let config = limits(|l| {
        l.stateless_from = 4;
        l.first_messages = 8000;
    });
    let mut net = pair(config, peer(), Net::ClientNat, Link::TERRIBLE, 20);
    let message = first_message(1);
    for port in 1000..2000 {
        let _ = net
            .b
            .endpoint
            .handle_datagram(net.now, from(9, port), &mut message.clone());
        let reply = net.b.endpoint.poll_transmit().unwrap();
        assert!(reply.payload.len() <= message.len(), "no amplification");
    }
    assert_eq!(net.b.endpoint.half_open_count(), 4);
    assert!(established(&mut net, 1), "a real peer comes through");
}

/// Fifty spoofed first messages a millisecond, each in another name: they are answered at a rate,
/// and a peer that repeats its own comes through.
#[test]
fn a_peer_comes_through_a_flood_of_first_messages() {
    for seed in 0..5 {
        let mut net = pair(server_config(), peer(), Net::ClientNat, Link::PERFECT, seed);
        let mut message = first_message(1);
        let (mut sent, mut answered, mut limited) = (0_u64, 0, 0);
        let start = net.now;
        while net.a.endpoint.child_count() == 0 {
            assert!(net.now - start < Duration::from_secs(10), "seed {seed}");
            // It has begun before the peer does.
            for _ in 0..if sent == 0 { 5000 } else { 50 } {
                sent += 1;
                message[..8].copy_from_slice(&sent.to_be_bytes());
                let mut spoofed = from(0, 500);
                let number = u32::try_from(sent).unwrap().wrapping_mul(0x9e37_79b1);
                spoofed.remote.set_ip(number.to_be_bytes().into());
                let server = &mut net.b.endpoint;
                match server.handle_datagram(net.now, spoofed, &mut message.clone()) {
                    Ok(()) => answered += u64::from(server.poll_transmit().is_some()),
                    Err(e) => limited += u64::from(e.reason() == "isakmp_rate_limited"),
                }
            }
            net.run_for(Duration::from_millis(1));
        }
        assert_eq!(answered + limited, sent);
        let seconds = (net.now - start).as_secs() + 1;
        // The second half is for what comes again, or looks like it.
        assert!(answered <= 4000 * seconds, "{answered} in {seconds} s");
        assert!(
            sent > 40_000,
            "the peer's first message was one of too many"
        );
    }
}

#[test]
fn one_network_cannot_use_up_what_all_may_ask() {
    let mut net = pair(server_config(), peer(), Net::Direct, Link::PERFECT, 6);
    let mut message = first_message(1);
    let server = &mut net.b.endpoint;
    let mut answered = 0;
    // Twice each, as one that knows of the rule would.
    for number in 1..=5000_u64 {
        message[..8].copy_from_slice(&number.to_be_bytes());
        for _ in 0..2 {
            let last = number.to_be_bytes()[7];
            let _ = server.handle_datagram(net.now, from(last, 4000), &mut message.clone());
            answered += usize::from(server.poll_transmit().is_some());
        }
    }
    // Half-open SAs answer what comes again as well.
    assert_eq!(answered, 3 * 2000 / 8);
    let start = net.now;
    assert!(established(&mut net, 1));
    assert!(net.now - start < Duration::from_secs(1), "at once");
}

#[test]
fn stateless_cookies_are_bound_to_address_and_time() {
    let config = limits(|l| l.stateless_from = 0);
    for (moved, late) in [(false, false), (true, false), (false, true)] {
        let mut net = pair(config.clone(), peer(), Net::Direct, Link::PERFECT, 21);
        net.run_until(Duration::from_secs(5), |a, _| a.sent.len() >= 2);
        assert_eq!(net.b.endpoint.sa_count(), 0);
        let (_, _, message3) = net.a.sent.last().unwrap().clone();
        let port = if moved { 501 } else { 500 };
        let path = Path {
            local: "198.51.100.1:500".parse().unwrap(),
            remote: SocketAddr::from(([192, 0, 2, 2], port)),
        };
        let now = net.now + Duration::from_secs(if late { 90 } else { 0 });
        let result = net
            .b
            .endpoint
            .handle_datagram(now, path, &mut message3.clone());
        assert_eq!(result.is_ok(), !moved && !late);
        assert_eq!(net.b.endpoint.sa_count(), usize::from(!moved && !late));
    }
}

#[test]
fn half_open_sas_are_limited_and_expire() {
    let mut net = pair_of(
        client_config(),
        limits(|l| {
            l.half_open = 8;
            l.half_open_per_source = 5;
        }),
        Net::Direct,
        Link::PERFECT,
        22,
    );
    let message = first_message(2);
    for source in 1..=4 {
        for port in 0..10 {
            let _ = net.b.endpoint.handle_datagram(
                net.now,
                from(source, 4000 + port),
                &mut message.clone(),
            );
        }
    }
    assert_eq!(net.b.endpoint.half_open_count(), 8);
    let error = net
        .b
        .endpoint
        .handle_datagram(net.now, from(1, 9), &mut { message })
        .unwrap_err();
    assert_eq!(error.reason(), "isakmp_half_open_limit");
    net.run_for(Duration::from_secs(31));
    assert_eq!(
        (net.b.endpoint.half_open_count(), net.b.endpoint.sa_count()),
        (0, 0)
    );
    assert_eq!(
        net.b.endpoint.poll_timeout(),
        None,
        "nothing is left to happen"
    );
}

#[test]
fn a_responder_never_repeats_itself_before_authentication() {
    let mut net = pair_of(
        client_config(),
        server_config(),
        Net::Direct,
        Link::PERFECT,
        23,
    );
    let message = first_message(3);
    net.b
        .endpoint
        .handle_datagram(net.now, from(1, 500), &mut { message })
        .unwrap();
    net.run_for(Duration::from_secs(120));
    assert_eq!(net.b.sent.len(), 1);
}

#[test]
fn duplicates_get_the_same_answer_and_no_second_computation() {
    let mut net = pair(server_config(), peer(), Net::ClientNat, Link::PERFECT, 24);
    assert!(established(&mut net, 1));
    let exchanges = net.b.endpoint.stats().exchanges;
    let sent = net.b.sent.clone();
    // The very first would start main mode again. Of the others only the last of main mode and
    // quick modes are answered.
    for (from, to, payload) in net.a.sent.clone().into_iter().skip(1) {
        let path = Path {
            local: to,
            remote: from,
        };
        let _ = net
            .b
            .endpoint
            .handle_datagram(net.now, path, &mut payload.clone());
    }
    let mut answers = Vec::new();
    while let Some(t) = net.b.endpoint.poll_transmit() {
        answers.push(t.payload);
    }
    assert!(!answers.is_empty());
    assert!(
        answers.iter().all(|a| sent.iter().any(|s| s.2 == *a)),
        "byte for byte"
    );
    assert_eq!(net.b.endpoint.stats().exchanges, exchanges);
    assert_eq!(net.b.endpoint.child_count(), 1);
}

#[test]
fn long_messages_are_fragmented_when_both_can() {
    let mut client = client_config();
    client.fragment_size = Some(180);
    let mut server = server_config();
    server.fragment_size = Some(180);
    let mut net = pair_of(client, server, Net::ClientNat, Link::TERRIBLE, 34);
    let path = client_path(&net.a);
    net.a.endpoint.connect(net.now, path, peer()).unwrap();
    assert!(established(&mut net, 1));
    let fragment = |p: &&common::Packet| {
        let payload = p.2.strip_prefix(&[0; 4]).unwrap_or(&p.2);
        payload.get(16) == Some(&132)
    };
    assert!(net.a.sent.iter().filter(fragment).count() > 2);
    assert!(net.b.sent.iter().filter(fragment).count() > 2);
    assert!(net.a.sent.iter().skip(2).all(|p| p.2.len() <= 190));
}

#[test]
fn each_dialect_connects() {
    for dialect in natt::Dialect::ANNOUNCED {
        for place in [Net::Direct, Net::ClientNat, Net::ServerNat, Net::BothNat] {
            let mut config = server_config();
            config.dialects = vec![dialect];
            let mut net = pair(config, peer(), place, Link::PERFECT, 37);
            assert!(established(&mut net, 1), "{dialect} {place:?}");
            let [client, server] = children(&mut net);
            assert_eq!(server[0].udp_encapsulation, place != Net::Direct);
            assert_eq!(
                client[0].nat_oa.is_some(),
                place != Net::Direct,
                "{dialect} {place:?}"
            );
            if place == Net::ClientNat {
                assert_eq!(server[0].nat_oa.unwrap().1.to_string(), "10.0.0.2");
            }
        }
    }
}

#[test]
fn keys_are_chosen_by_address() {
    let key = isakmp::PresharedKey::new;
    let mut config = server_config();
    config.psks = vec![
        (isakmp::PeerMatch::Any, key("wrong")),
        (
            isakmp::PeerMatch::Prefix("192.0.2.0".parse().unwrap(), 24),
            key(common::PSK),
        ),
        (
            isakmp::PeerMatch::Prefix("192.0.0.0".parse().unwrap(), 16),
            key("wrong too"),
        ),
    ];
    let mut net = pair(config.clone(), peer(), Net::Direct, Link::PERFECT, 38);
    assert!(established(&mut net, 1));
    config.psks.remove(0);
    config.psks.remove(0);
    config.psks[0].0 = isakmp::PeerMatch::Addr("203.0.113.1".parse().unwrap());
    let mut net = pair(config, peer(), Net::Direct, Link::PERFECT, 39);
    assert!(!established(&mut net, 1));
    assert_eq!(
        net.b.events.iter().find_map(refusal).unwrap().0,
        "no_preshared_key"
    );
}

#[test]
fn without_vendor_ids_there_is_no_nat_traversal() {
    let mut config = server_config();
    config.vendor_ids = isakmp::VendorIds::None;
    let mut net = pair(config, peer(), Net::Direct, Link::PERFECT, 40);
    assert!(established(&mut net, 1));
    let [client, _] = children(&mut net);
    assert!(!client[0].udp_encapsulation);
    // Nor is a peer asked that we have not told that we would.
    net.run_for(Duration::from_secs(180));
    assert_eq!(net.b.endpoint.stats().dpd_asked, 0);
}

fn quick_messages(sent: &[common::Packet]) -> Vec<common::Packet> {
    let quick = |p: &&common::Packet| {
        let payload = p.2.strip_prefix(&[0; 4]).unwrap_or(&p.2);
        payload.get(18) == Some(&32)
    };
    sent.iter().filter(quick).cloned().collect()
}

/// A pair whose server has answered quick mode and whose message 3 is lost.
fn third_quick_message_lost(seed: u64) -> simnet::Pair<common::Host, common::Host> {
    let mut net = pair(server_config(), peer(), Net::ClientNat, Link::PERFECT, seed);
    assert!(net.run_until(Duration::from_secs(5), |_, b| {
        !quick_messages(&b.sent).is_empty()
    }));
    net.a_to_b.loss = 1.0;
    assert!(net.run_until(Duration::from_secs(1), |a, _| a.endpoint.child_count() == 1));
    assert_eq!(net.b.endpoint.child_count(), 0);
    net
}

/// The one message that a responder repeats on a timer: its peer is authenticated, and considers
/// itself done.
#[test]
fn a_responder_asks_an_authenticated_peer_again_for_its_last_quick_message() {
    let mut net = third_quick_message_lost(41);
    net.run_for(Duration::from_secs(4));
    net.a_to_b = Link::PERFECT;
    net.run_for(Duration::from_secs(4));
    assert_eq!(net.b.endpoint.child_count(), 1);
    let sent = quick_messages(&net.b.sent);
    assert!((2..=5).contains(&sent.len()), "{}", sent.len());
    assert!(
        sent.iter().all(|p| *p == sent[0]),
        "the same, byte for byte"
    );
    net.run_for(Duration::from_secs(100));
    assert_eq!(quick_messages(&net.b.sent), sent, "and not once more");
}

#[test]
fn a_responder_does_not_ask_for_ever() {
    let mut net = third_quick_message_lost(42);
    net.run_for(Duration::from_secs(600));
    let sent = quick_messages(&net.b.sent);
    assert!((20..=31).contains(&sent.len()), "{}", sent.len());
    assert_eq!(net.b.endpoint.child_count(), 0);
}

/// Who sends a recorded message again from a victim's address gets it one answer, no repetitions.
#[test]
fn a_repeated_quick_message_from_elsewhere_does_not_redirect_the_repetitions() {
    let mut net = third_quick_message_lost(43);
    let (_, to, recorded) = quick_messages(&net.a.sent)[0].clone();
    let victim: SocketAddr = "203.0.113.77:4500".parse().unwrap();
    let path = Path {
        local: to,
        remote: victim,
    };
    let now = net.now;
    net.b
        .endpoint
        .handle_datagram(now, path, &mut recorded.clone())
        .unwrap();
    net.run_for(Duration::from_secs(60));
    let at_victim = net.b.sent.iter().filter(|p| p.1 == victim);
    assert_eq!(at_victim.count(), 1);
    assert!(quick_messages(&net.b.sent).len() > 10);
}
