//! Main mode and quick mode, both roles against each other.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod common;

use common::{Net, established, pair, peer};
use isakmp::{ChildRequest, Config, Event, Group, Peer, Policy};
use simnet::Link;
use std::time::Duration;

const PHASE1: [&str; 18] = [
    "aes256-sha256-modp2048",
    "aes256-sha1-modp2048",
    "aes192-sha384-modp3072",
    "aes128-sha512-modp1536",
    "3des-sha1-modp1024",
    "3des-md5-modp1024",
    "des-sha1-modp768",
    "des-md5-modp768",
    "aes256-md5-modp4096",
    "aes256-sha256-ecp256",
    "aes256-sha1-ecp384",
    "aes128-sha1-ecp256",
    "aes256-sha512-ecp521",
    "3des-sha512-modp2048",
    "des-sha384-modp1024",
    "aes256-sha1-modp1024",
    "aes192-sha1-modp2048",
    "3des-sha256-ecp384",
];

const CHILD: [&str; 12] = [
    "aes256-sha1",
    "aes192-sha1",
    "aes128-sha1",
    "aes128-sha256",
    "aes256-sha384",
    "aes256-sha512",
    "3des-sha1",
    "3des-md5",
    "des-md5",
    "des-sha1",
    "aes128gcm16",
    "aes256gcm16",
];

fn legacy() -> Config {
    let mut config = common::server_config();
    config.policy = Policy::legacy_xp();
    config
}

#[test]
fn every_suite_of_phase_1_both_roles() {
    for words in PHASE1 {
        let mut peer = peer();
        peer.proposals = vec![words.parse().unwrap()];
        let mut net = pair(legacy(), peer, Net::Direct, Link::PERFECT, 1);
        assert!(established(&mut net, 1), "{words}");
        let [client, server] = common::children(&mut net);
        common::assert_matching(&client[0], &server[0], words);
        assert!(!client[0].udp_encapsulation, "{words}: no NAT, no UDP");
    }
}

#[test]
fn every_suite_of_phase_2_both_roles_with_and_without_pfs() {
    for (index, words) in CHILD.into_iter().enumerate() {
        let mut peer = peer();
        peer.child_proposals = vec![words.parse().unwrap()];
        peer.children[0].pfs = (index % 2 == 1).then_some(Group::ALL[index % 9]);
        let mut net = pair(legacy(), peer, Net::ClientNat, Link::PERFECT, 2);
        assert!(established(&mut net, 1), "{words}");
        let [client, server] = common::children(&mut net);
        common::assert_matching(&client[0], &server[0], words);
        assert_eq!(client[0].suite, words.parse().unwrap());
        assert!(
            client[0].udp_encapsulation && server[0].udp_encapsulation,
            "{words}"
        );
    }
}

#[test]
fn proposals_that_do_not_exist_are_refused() {
    for words in [
        "",
        "aes",
        "aes256-sha1",
        "aes257-sha1-modp2048",
        "aes256-sha1-modp2048-x",
    ] {
        assert!(words.parse::<isakmp::Phase1Proposal>().is_err(), "{words}");
    }
    for words in [
        "",
        "aes256",
        "null-sha1",
        "aes128gcm16-sha1",
        "aes256-sha1-modp1024",
    ] {
        assert!(words.parse::<isakmp::ChildProposal>().is_err(), "{words}");
    }
}

#[test]
fn several_children_at_once() {
    let mut peer = peer();
    for port in 1..=4 {
        let mut request = ChildRequest::l2tp();
        request.local_port = port;
        peer.children.push(request);
    }
    let mut net = pair(
        common::server_config(),
        peer,
        Net::ClientNat,
        Link::TERRIBLE,
        3,
    );
    assert!(established(&mut net, 5));
    let [client, server] = common::children(&mut net);
    assert_eq!((client.len(), server.len()), (5, 5));
}

#[test]
fn wrong_key_is_refused_with_a_hint() {
    let peer = Peer::new(isakmp::PresharedKey::new("wrong"));
    let mut net = pair(
        common::server_config(),
        peer,
        Net::ClientNat,
        Link::PERFECT,
        4,
    );
    assert!(!established(&mut net, 1));
    let refusals: Vec<_> = net.b.events.iter().filter_map(common::refusal).collect();
    assert_eq!(refusals.len(), 1, "{refusals:?}");
    assert_eq!(refusals[0].0, "authentication_failed");
    assert!(refusals[0].2.contains("PSK"), "{refusals:?}");
    let refusals: Vec<_> = net.a.events.iter().filter_map(common::refusal).collect();
    assert!(refusals.iter().any(|r| r.2.contains("PSK")), "{refusals:?}");
    net.run_for(Duration::from_secs(120));
    assert_eq!(
        (net.a.endpoint.sa_count(), net.b.endpoint.sa_count()),
        (0, 0)
    );
}

#[test]
fn no_common_proposal_is_refused_with_offer_and_hint() {
    let mut config = common::server_config();
    config.policy = Policy::modern();
    let mut peer = peer();
    peer.proposals = vec!["aes256-sha1-modp1024".parse().unwrap()];
    let mut net = pair(config, peer, Net::Direct, Link::PERFECT, 5);
    assert!(!established(&mut net, 1));
    let refusals: Vec<_> = net.b.events.iter().filter_map(common::refusal).collect();
    assert_eq!(refusals[0].0, "no_proposal_chosen");
    assert_eq!(refusals[0].1, "AES_CBC-256/HMAC_SHA1/MODP_1024");
    assert!(
        refusals[0]
            .2
            .contains("policy compat and legacy_xp accept it"),
        "{refusals:?}"
    );
    let refusals: Vec<_> = net.a.events.iter().filter_map(common::refusal).collect();
    assert_eq!(refusals[0].0, "no_proposal_chosen", "{refusals:?}");
}

#[test]
fn no_common_child_proposal_is_refused_both_sides() {
    let mut config = common::server_config();
    config.policy = Policy::modern();
    let mut peer = peer();
    peer.child_proposals = vec!["des-md5".parse().unwrap()];
    let mut net = pair(config, peer, Net::ClientNat, Link::PERFECT, 6);
    assert!(!established(&mut net, 1));
    let refusals: Vec<_> = net.b.events.iter().filter_map(common::refusal).collect();
    assert_eq!(refusals[0].0, "no_proposal_chosen");
    assert!(refusals[0].2.contains("legacy_xp"), "{refusals:?}");
    let refusals: Vec<_> = net.a.events.iter().filter_map(common::refusal).collect();
    assert_eq!(refusals[0].0, "no_proposal_chosen");
}

#[test]
fn deletes_go_both_ways() {
    for by_client in [true, false] {
        let mut net = pair(
            common::server_config(),
            peer(),
            Net::ClientNat,
            Link::PERFECT,
            7,
        );
        assert!(established(&mut net, 1));
        let [client, server] = common::children(&mut net);
        let now = net.now;
        if by_client {
            net.a.endpoint.close_child(now, client[0].child);
            net.a.endpoint.close(now, client[0].sa);
        } else {
            net.b.endpoint.close_child(now, server[0].child);
            net.b.endpoint.close(now, server[0].sa);
        }
        net.run_for(Duration::from_secs(1));
        for node in [&net.a, &net.b] {
            assert_eq!(
                (node.endpoint.sa_count(), node.endpoint.child_count()),
                (0, 0)
            );
        }
        let other = if by_client { &net.b } else { &net.a };
        let word = |e: &Event| matches!(e, Event::Closed { reason, .. } if reason.reason() == "peer_deleted");
        assert!(other.events.iter().any(word));
    }
}

#[test]
fn children_outlive_their_isakmp_sa() {
    let mut net = pair(
        common::server_config(),
        peer(),
        Net::ClientNat,
        Link::PERFECT,
        8,
    );
    assert!(established(&mut net, 1));
    let [client, _] = common::children(&mut net);
    let now = net.now;
    net.a.endpoint.close(now, client[0].sa);
    net.run_for(Duration::from_secs(1));
    assert_eq!(
        (net.b.endpoint.sa_count(), net.b.endpoint.child_count()),
        (0, 1)
    );
}

#[test]
fn key_log_lines_agree() {
    let mut config = common::server_config();
    config.key_log = true;
    let mut net = pair(config, peer(), Net::Direct, Link::PERFECT, 9);
    assert!(established(&mut net, 1));
    let lines = |events: &[Event]| -> Vec<String> {
        let line = |e: &Event| match e {
            Event::KeyLog(line) => Some(line.to_string()),
            _ => None,
        };
        events.iter().filter_map(line).collect()
    };
    let server = lines(&net.b.events);
    assert_eq!(server.len(), 1);
    let (cookie, key) = server[0].split_once(',').unwrap();
    assert_eq!((cookie.len(), key.len()), (16, 64));
    assert!(lines(&net.a.events).is_empty());
    // ESP's are made of what both sides know.
    let [client, server] = common::children(&mut net);
    let [client, server] = [client, server].map(|c| c[0].key_log_lines().map(|l| l.to_string()));
    assert_eq!(client[0], server[1]);
    assert_eq!(client[1], server[0]);
    let fields: Vec<_> = server[0].split(',').map(|f| f.trim_matches('"')).collect();
    assert_eq!(fields[..3], ["IPv4", "192.0.2.2", "198.51.100.1"]);
    assert_eq!(fields[4], "AES-CBC [RFC3602]");
    assert_eq!(fields[6], "HMAC-SHA-1-96 [RFC2404]");
    assert_eq!((fields[5].len(), fields[7].len()), (2 + 2 * 32, 2 + 2 * 20));
}

#[test]
fn jobs_may_run_elsewhere() {
    for (pfs, place) in [(None, Net::Direct), (Some(Group::Modp1024), Net::ClientNat)] {
        let mut server = common::server_config();
        server.deferred_jobs = true;
        let mut client = common::client_config();
        client.deferred_jobs = true;
        let mut peer = peer();
        peer.children[0].pfs = pfs;
        let mut net = common::pair_of(client, server, place, Link::TERRIBLE, 10);
        let path = common::client_path(&net.a);
        net.a.endpoint.connect(net.now, path, peer).unwrap();
        assert!(established(&mut net, 1));
        let [client, server] = common::children(&mut net);
        common::assert_matching(&client[0], &server[0], "jobs");
        // An initiator's public values are jobs of their own.
        let more = usize::from(pfs.is_some());
        assert_eq!((net.a.jobs, net.b.jobs), (3 + more, 2));
        let exchanges = [&net.a, &net.b].map(|h| h.endpoint.stats().exchanges);
        assert_eq!(exchanges, [2 + 2 * more as u64, 1 + more as u64]);
    }
}

/// The server's owner runs a job when its SA is long gone.
#[test]
fn results_of_jobs_that_come_late_are_ignored() {
    let mut config = common::server_config();
    config.deferred_jobs = true;
    let mut net = pair(config, peer(), Net::Direct, Link::PERFECT, 11);
    net.b.keep_jobs = true;
    assert!(!established(&mut net, 1));
    net.run_for(Duration::from_secs(120));
    assert_eq!(net.b.endpoint.sa_count(), 0);
    let (now, job) = (net.now, net.b.kept.take().unwrap());
    net.b.endpoint.finish(now, job.run());
    assert_eq!(net.b.endpoint.sa_count(), 0);
    assert!(net.b.endpoint.poll_transmit().is_none());
}

/// Where the server last saw the client.
fn seen_at(events: &[Event]) -> Option<u16> {
    let path = |e: &Event| match e {
        Event::Established { path, .. } | Event::PathChanged { new: path, .. } => Some(*path),
        _ => None,
    };
    events.iter().rev().find_map(path).map(|p| p.remote.port())
}

/// A third of all packets is lost, some come twice or in another order, and the NAT forgets its
/// mapping once, in the first five seconds: during main mode, quick mode or after.
#[test]
fn a_terrible_link_never_leaves_state_behind() {
    let seeds = std::env::var("ROADWARRIOR_SEEDS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(150);
    let (mut before_the_end, mut given_up) = (0, 0);
    for seed in 0..seeds {
        let mut peer = peer();
        peer.proposals = vec!["aes128-sha1-ecp256".parse().unwrap()];
        let place = [Net::ClientNat, Net::BothNat][usize::try_from(seed % 2).unwrap()];
        let mut net = pair(common::server_config(), peer, place, Link::TERRIBLE, seed);
        let rebind = net.now + Duration::from_millis(seed * 37 % 5000);
        net.a.rebind_at = Some(rebind);
        let first = net.a.shift;
        assert!(established(&mut net, 1), "seed {seed}");
        before_the_end += u64::from(net.a.shift != first);
        let [client, server] = common::children(&mut net);
        assert_eq!((client.len(), server.len()), (1, 1), "seed {seed}");
        common::assert_matching(&client[0], &server[0], "terrible");
        net.a_to_b = Link::PERFECT;
        net.b_to_a = Link::PERFECT;
        net.run_for(Duration::from_secs(110));
        assert_eq!(net.a.shift, first + 1000, "seed {seed}: rebound");
        assert_eq!(net.b.endpoint.half_open_count(), 0, "seed {seed}");
        let [a, b] = [&net.a, &net.b].map(|n| (n.endpoint.sa_count(), n.endpoint.child_count()));
        assert_eq!(a, b, "seed {seed}");
        if a == (1, 1) {
            let port = seen_at(&net.b.events);
            assert_eq!(port, Some(4500 + net.a.shift), "seed {seed}: followed");
        } else {
            // Ten questions or their answers were lost, one after the other.
            given_up += 1;
        }
        let now = net.now;
        net.a.endpoint.close_child(now, client[0].child);
        net.a.endpoint.close(now, client[0].sa);
        net.run_for(Duration::from_secs(120));
        for node in [&net.a, &net.b] {
            assert_eq!(
                (node.endpoint.sa_count(), node.endpoint.child_count()),
                (0, 0),
                "seed {seed}"
            );
        }
    }
    assert!(given_up <= seeds / 200, "{given_up} of {seeds}");
    assert!(before_the_end > seeds / 10, "{before_the_end} of {seeds}");
}
