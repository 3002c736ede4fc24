//! Messages in the wrong state or from the wrong sender; reflection.

use super::*;
use crate::common::{client_config, client_path, pair_of};

#[test]
fn cve_2020_1763_informational_for_unknown_cookies_is_silent() {
    for exchange in [5, 32, 6, 0, 1, 3, 33, 34, 36, 240, 255] {
        let mut bad = message(
            exchange,
            &[(11, vec![0, 0, 0, 1, 1, 0, 0, 14]), (12, vec![0; 30])],
        );
        bad[8] = 1;
        refused_silently(&bad, "unknown cookies");
    }
}

#[test]
fn cve_2007_1841_unprotected_notifications_in_every_state_change_nothing() {
    for steps in 0..8 {
        let mut net = pair(server_config(), peer(), Net::ClientNat, Link::PERFECT, 61);
        for _ in 0..steps {
            net.step();
        }
        let Some(last) = net.b.sent.last().cloned() else {
            continue;
        };
        let payload = last.2.strip_prefix(&[0; 4]).unwrap_or(&last.2);
        for kind in [14_u16, 24, 16, 24_578, 36_136] {
            let mut notify = vec![0, 0, 0, 1, 1, 16];
            notify.extend(kind.to_be_bytes());
            notify.extend(&payload[..16]);
            let mut delete = vec![0, 0, 0, 1, 1, 16, 0, 1];
            delete.extend(&payload[..16]);
            let mut bad = message(5, &[(12, delete), (11, notify)]);
            bad[..16].copy_from_slice(&payload[..16]);
            let now = net.now;
            let from = net.a.sent.last().cloned().unwrap().0;
            let mut server_path = path();
            server_path.remote = from;
            let _ = net
                .b
                .endpoint
                .handle_datagram(now, server_path, &mut bad.clone());
            let _ = net
                .a
                .endpoint
                .handle_datagram(now, client_path(&net.a), &mut bad);
        }
        // It connects all the same; the client may stop only if it sees an error and no answer.
        assert!(common::established(&mut net, 1), "after {steps} steps");
    }
}

#[test]
fn cve_2019_12312_encrypted_messages_before_there_are_keys() {
    let [client, _] = handshake();
    for exchange in [2, 5, 32] {
        let mut server = server();
        server
            .handle_datagram(now(), path(), &mut client[0].clone())
            .unwrap();
        let reply = server.poll_transmit().unwrap().payload;
        let mut bad = message(exchange, &[(8, vec![1; 20]), (12, vec![1; 16])]);
        bad[..16].copy_from_slice(&reply[..16]);
        bad[19] = 1;
        assert!(server.handle_datagram(now(), path(), &mut bad).is_err());
        assert!(server.poll_transmit().is_none());
        assert_eq!(server.half_open_count(), 1);
    }
}

#[test]
fn cve_2005_3732_missing_payloads_of_main_mode() {
    let [client, _] = handshake();
    let fresh = || {
        let mut server = server();
        server
            .handle_datagram(now(), path(), &mut client[0].clone())
            .unwrap();
        let reply = server.poll_transmit().unwrap().payload;
        (server, reply)
    };
    let ke = (4, vec![5; 128]);
    let nonce = (10, vec![6; 16]);
    let cases = [
        vec![],
        vec![ke.clone()],
        vec![nonce.clone()],
        vec![(4, vec![]), nonce.clone()],
        vec![ke.clone(), (10, vec![])],
        vec![ke.clone(), (10, vec![1; 7])],
        vec![ke.clone(), (10, vec![1; 257])],
        vec![ke.clone(), ke, nonce],
    ];
    for payloads in cases {
        let (mut server, reply) = fresh();
        let mut bad = message(2, &payloads);
        bad[..16].copy_from_slice(&reply[..16]);
        assert!(
            server.handle_datagram(now(), path(), &mut bad).is_err(),
            "{payloads:?}"
        );
        assert!(server.poll_transmit().is_none());
        assert_eq!(server.stats().exchanges, 0, "no computation for nothing");
    }
}

#[test]
fn cve_1999_0016_a_packet_from_ourselves() {
    let mut server = server();
    let here = "198.51.100.1:500".parse().unwrap();
    let mut good = handshake()[0][0].clone();
    assert!(
        server
            .handle_datagram(
                now(),
                Path {
                    local: here,
                    remote: here
                },
                &mut good
            )
            .is_err()
    );
    assert!(server.poll_transmit().is_none());
}

#[test]
fn cve_2024_2169_two_gateways_never_answer_each_others_errors() {
    let mut config = server_config();
    config.policy = Policy::modern();
    let mut client = client_config();
    client.policy = Policy::legacy_xp();
    let mut peer = peer();
    peer.proposals = vec!["des-md5-modp768".parse().unwrap()];
    let mut net = pair_of(client, config, Net::Direct, Link::PERFECT, 62);
    let path = client_path(&net.a);
    net.a.endpoint.connect(net.now, path, peer).unwrap();
    net.run_for(Duration::from_secs(300));
    assert!(net.b.sent.len() <= 3, "{}", net.b.sent.len());
    assert!(net.a.sent.len() <= 3);
}

#[test]
fn cve_2023_30570_a_refusal_leaves_nothing_that_its_cookie_opens() {
    let refused = message(2, &[sa(&[])]);
    let nothing = message(2, &[sa(&attributes(99, 2, &[]))]);
    for first in [refused, nothing] {
        let mut server = server();
        assert!(
            server
                .handle_datagram(now(), path(), &mut first.clone())
                .is_err()
        );
        let reply = answer(&mut server);
        assert!(!reply.is_empty() && reply.len() <= first.len());
        assert_eq!(server.sa_count(), 0);
        for exchange in [2, 5, 32] {
            for payloads in [
                vec![(4, vec![5; 128]), (10, vec![6; 16])],
                vec![(8, vec![1; 20])],
            ] {
                let mut next = with_cookies(message(exchange, &payloads), &reply);
                let error = server
                    .handle_datagram(now(), path(), &mut next)
                    .unwrap_err();
                assert_eq!(error.reason(), "isakmp_unknown_cookies");
            }
        }
        assert!(server.poll_transmit().is_none());
    }
}

/// A responder that repeats itself lets a made-up source aim nine datagrams at its victim.
#[test]
fn cve_2016_5361_a_responder_never_sends_more_than_it_gets_before_authentication() {
    for messages in 1..=3 {
        // The client falls silent after its first, second or third message, which is not right.
        let wrong = isakmp::Peer::new(isakmp::PresharedKey::new("wrong"));
        let mut net = pair(server_config(), wrong, Net::ClientNat, Link::PERFECT, 67);
        net.run_until(Duration::from_secs(5), |a, _| a.sent.len() >= messages);
        net.a_to_b.loss = 1.0;
        let got: usize = net.a.sent.iter().map(|p| p.2.len()).sum();
        net.run_for(Duration::from_secs(1));
        let count = net.b.sent.len();
        let sent: usize = net.b.sent.iter().map(|p| p.2.len()).sum();
        assert!(sent <= got, "{sent} for {got}");
        net.run_for(Duration::from_secs(300));
        assert_eq!(net.b.sent.len(), count, "not one on a timer");
        assert_eq!(net.b.endpoint.sa_count(), 0);
    }
}

/// Each message of main mode again and again: the same answer, no computation, and not for ever.
#[test]
fn mm_replay_each_message_is_answered_from_memory_a_number_of_times() {
    for index in 0..3 {
        let mut net = pair(server_config(), peer(), Net::Direct, Link::PERFECT, 68);
        net.run_until(Duration::from_secs(5), |_, b| b.sent.len() > index);
        let (now, exchanges) = (net.now, net.b.endpoint.stats().exchanges);
        let (request, reply) = (net.a.sent[index].2.clone(), net.b.sent[index].2.clone());
        let mut answers = 0;
        for _ in 0..1000 {
            net.b
                .endpoint
                .handle_datagram(now, path(), &mut request.clone())
                .unwrap();
            while let Some(t) = net.b.endpoint.poll_transmit() {
                assert_eq!(t.payload, reply);
                answers += 1;
            }
        }
        assert!((1..=64).contains(&answers), "{answers}");
        assert_eq!(net.b.endpoint.stats().exchanges, exchanges);
    }
}

#[test]
fn cve_2002_0872_cookies_and_spis_are_neither_counted_nor_zero() {
    let mut seen = std::collections::BTreeSet::new();
    let mut server = server();
    let mut first = message(2, &[sa(&attributes(5, 2, &[]))]);
    for index in 1..=200_u64 {
        first[..8].copy_from_slice(&index.to_be_bytes());
        server.handle_datagram(now(), path(), &mut first).unwrap();
        let cookie: [u8; 8] = answer(&mut server)[8..16].try_into().unwrap();
        assert_ne!(cookie, [0; 8]);
        assert!(seen.insert(u64::from_be_bytes(cookie)));
    }
    let mut ordered: Vec<_> = seen.iter().collect();
    ordered.dedup_by_key(|c| **c >> 32);
    assert_eq!(ordered.len(), 200, "no two are near");
}
