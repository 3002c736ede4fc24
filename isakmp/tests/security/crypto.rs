//! Downgrades, weak algorithms, Diffie-Hellman values.

use super::*;
use crate::common::{client_config, client_path, pair_of};
use isakmp::{ChildSa, Lifetime};

#[test]
fn cve_2014_9221_unknown_and_private_groups_are_skipped() {
    for group in [0, 3, 4, 6, 13, 22, 1025, 65_535] {
        let bad = message(2, &[sa(&attributes(5, group, &[]))]);
        let mut server = server();
        assert!(
            server
                .handle_datagram(now(), path(), &mut bad.clone())
                .is_err(),
            "{group}"
        );
        assert_eq!(server.sa_count(), 0);
    }
    // A group of one's own making: type, prime, generator.
    let bad = message(
        2,
        &[sa(&attributes(
            5,
            2,
            &[tv(5, 1), vec![0, 6, 0, 4, 1, 2, 3, 4], tv(7, 2)],
        ))],
    );
    assert!(
        server()
            .handle_datagram(now(), path(), &mut bad.clone())
            .is_err()
    );
}

#[test]
fn cve_2002_1623_aggressive_mode_is_not_answered() {
    let good = handshake()[0][0].clone();
    let mut bad = good;
    bad[18] = 4;
    refused_silently(&bad, "aggressive mode");
}

#[test]
fn cve_2015_3240_trivial_and_misshapen_public_values() {
    let first = message(2, &[sa(&attributes(5, 2, &[]))]);
    for value in [
        vec![0; 128],
        [vec![0; 127], vec![1]].concat(),
        vec![0xff; 128],
        vec![9; 127],
        vec![9; 129],
        vec![9; 1],
        vec![9; 4096],
    ] {
        let mut server = server();
        server
            .handle_datagram(now(), path(), &mut first.clone())
            .unwrap();
        let reply = server.poll_transmit().unwrap().payload;
        let mut bad = message(2, &[(4, value.clone()), (10, vec![6; 16])]);
        bad[..16].copy_from_slice(&reply[..16]);
        let _ = server.handle_datagram(now(), path(), &mut bad);
        assert!(server.poll_transmit().is_none(), "{value:?}");
    }
}

#[test]
fn sa_reply_modified_transform_is_refused_by_the_initiator() {
    for (from, to) in [
        ("aes256-sha1-modp2048", "aes128-sha1-modp2048"),
        ("aes256-sha1-modp2048", "des-md5-modp768"),
    ] {
        let mut mine = peer();
        mine.proposals = vec![from.parse().unwrap()];
        let mut other = peer();
        other.proposals = vec![to.parse().unwrap()];
        let mut config = server_config();
        config.policy = Policy::legacy_xp();
        let mut victim = pair_of(
            client_config(),
            config.clone(),
            Net::Direct,
            Link::PERFECT,
            63,
        );
        let out = client_path(&victim.a);
        victim.a.endpoint.connect(victim.now, out, mine).unwrap();
        let sent = victim.a.endpoint.poll_transmit().unwrap().payload;
        let mut net = pair(config, other, Net::Direct, Link::PERFECT, 64);
        net.run_until(Duration::from_secs(1), |_, b| !b.sent.is_empty());
        let mut answer = net.b.sent[0].2.clone();
        answer[..8].copy_from_slice(&sent[..8]);
        let error = victim
            .a
            .endpoint
            .handle_datagram(victim.now, out, &mut answer)
            .unwrap_err();
        assert_eq!(error.reason(), "isakmp_not_offered");
    }
}

/// Logjam: groups of 1536 bits and less are for those who ask for them.
#[test]
fn cve_2015_4000_weak_groups_are_not_in_the_modern_policy() {
    let has = |policy: &Policy, group| policy.phase1.iter().any(|s| s.group == group);
    for group in [
        isakmp::Group::Modp768,
        isakmp::Group::Modp1024,
        isakmp::Group::Modp1536,
    ] {
        assert!(!has(&Policy::modern(), group));
        assert!(has(&Policy::legacy_xp(), group));
    }
    assert!(!has(&Policy::compat(), isakmp::Group::Modp768));
}

/// RSA encryption is where the Bleichenbacher oracles of 2018 were; signatures have had forgeries.
#[test]
fn cve_2018_0131_other_authentication_methods_are_never_chosen() {
    for method in [
        0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 64_221, 65_001, 65_005, 65_535,
    ] {
        let bad = [tv(1, 5), tv(2, 2), tv(3, method), tv(4, 2)].concat();
        let mut server = server();
        let result = server.handle_datagram(now(), path(), &mut message(2, &[sa(&bad)]));
        assert!(result.is_err(), "{method}");
        assert_eq!(server.sa_count(), 0);
    }
}

fn lifetimes(words: &str, offered: Option<u32>) -> [Lifetime; 2] {
    let mut client = client_config();
    client.policy.child_lifetime.kilobytes = offered;
    let mut config = server_config();
    config.policy = Policy::legacy_xp();
    let mut peer = peer();
    peer.child_proposals = vec![words.parse().unwrap()];
    let mut net = pair_of(client, config, Net::Direct, Link::PERFECT, 69);
    let path = client_path(&net.a);
    net.a.endpoint.connect(net.now, path, peer).unwrap();
    assert!(common::established(&mut net, 1));
    common::children(&mut net).map(|c: Vec<ChildSa>| c[0].lifetime)
}

/// SWEET32: 4 GiB at most with blocks of 64 bits, for both sides.
#[test]
fn cve_2016_2183_traffic_of_short_blocks_is_limited() {
    const GIB_4: Option<u32> = Some(4 << 20);
    for words in ["3des-sha1", "des-md5"] {
        for (offered, agreed) in [
            (None, GIB_4),
            (Some(u32::MAX), GIB_4),
            (Some(250_000), Some(250_000)),
        ] {
            for lifetime in lifetimes(words, offered) {
                assert_eq!(lifetime.kilobytes, agreed, "{words} {offered:?}");
            }
        }
    }
    assert!(
        lifetimes("aes128-sha1", None)
            .iter()
            .all(|l| l.kilobytes.is_none())
    );
}

/// Weak default lists gave DES to peers that could do AES: the order of preference is ours.
#[test]
fn the_most_preferred_of_what_is_offered_is_chosen() {
    use isakmp::rand_core::Rng;
    let policy = Policy::legacy_xp();
    let mut rng = seeded(9);
    for _ in 0..300 {
        let mut offer: Vec<_> = (0..6)
            .map(|_| policy.phase1[rng.next_u32() as usize % policy.phase1.len()])
            .collect();
        offer.dedup();
        let mut client = Endpoint::new(Arc::new(client_config()), Box::new(seeded(1))).unwrap();
        let mut peer = peer();
        peer.proposals.clone_from(&offer);
        let back = Path {
            local: path().remote,
            remote: path().local,
        };
        client.connect(now(), back, peer).unwrap();
        let mut first = answer(&mut client);
        let mut server = server();
        server.handle_datagram(now(), path(), &mut first).unwrap();
        let reply = answer(&mut server);
        let best = policy.phase1.iter().find(|s| offer.contains(s)).unwrap();
        // The transform's number is its place in the offer.
        let number = usize::from(reply[28 + 12 + 8 + 4]);
        assert_eq!(offer[number - 1], *best);
    }
}
