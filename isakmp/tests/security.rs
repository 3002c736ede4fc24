//! Published vulnerabilities of IKEv1 implementations: what anybody can send.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{Net, client_config, client_path, pair, pair_of, peer, server_config};
use isakmp::{Endpoint, Path, Policy};
use simnet::{Link, seeded};
use std::sync::Arc;
use std::time::Instant;

fn path() -> Path {
    Path {
        local: "198.51.100.1:500".parse().unwrap(),
        remote: "192.0.2.2:500".parse().unwrap(),
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "a test starts its virtual clock somewhere"
)]
fn now() -> Instant {
    Instant::now()
}

fn server() -> Endpoint {
    let mut config = server_config();
    config.policy = Policy::legacy_xp();
    Endpoint::new(Arc::new(config), Box::new(seeded(7))).unwrap()
}

/// All messages of a whole handshake: the client's, the server's.
fn handshake() -> [Vec<Vec<u8>>; 2] {
    let mut net = pair(server_config(), peer(), Net::Direct, Link::PERFECT, 60);
    assert!(common::established(&mut net, 1));
    [&net.a.sent, &net.b.sent].map(|sent| sent.iter().map(|p| p.2.clone()).collect())
}

/// A chain of payloads behind a header with `exchange`; lengths are right unless `lengths` says.
fn message(exchange: u8, payloads: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut out = vec![9; 8];
    out.extend([0; 8]);
    out.extend([
        payloads.first().map_or(0, |p| p.0),
        0x10,
        exchange,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
    ]);
    for (index, (_, body)) in payloads.iter().enumerate() {
        out.extend([payloads.get(index + 1).map_or(0, |p| p.0), 0]);
        out.extend(u16::try_from(body.len() + 4).unwrap().to_be_bytes());
        out.extend(body);
    }
    let length = u32::try_from(out.len()).unwrap();
    out[24..28].copy_from_slice(&length.to_be_bytes());
    out
}

/// An SA payload with one transform of these attributes.
fn sa(attributes: &[u8]) -> (u8, Vec<u8>) {
    let t = u16::try_from(attributes.len() + 8).unwrap().to_be_bytes();
    let p = u16::try_from(attributes.len() + 16).unwrap().to_be_bytes();
    let mut body = vec![
        0, 0, 0, 1, 0, 0, 0, 1, 0, 0, p[0], p[1], 1, 1, 0, 1, 0, 0, t[0], t[1], 1, 1, 0, 0,
    ];
    body.extend(attributes);
    (1, body)
}

fn tv(kind: u8, value: u16) -> Vec<u8> {
    [&[0x80, kind][..], &value.to_be_bytes()].concat()
}

/// AES-128, SHA-1, PSK, MODP-1024, with more attributes.
fn attributes(cipher: u16, group: u16, more: &[Vec<u8>]) -> Vec<u8> {
    let mut out = [tv(1, cipher), tv(2, 2), tv(3, 1), tv(4, group)].concat();
    out.extend(more.concat());
    out
}

/// Neither state nor an answer.
fn refused_silently(bytes: &[u8], context: &str) {
    let mut server = server();
    let result = server.handle_datagram(now(), path(), &mut bytes.to_vec());
    assert!(result.is_err(), "{context}");
    assert_eq!(server.sa_count(), 0, "{context}");
    assert!(server.poll_transmit().is_none(), "{context}");
    assert!(server.poll_timeout().is_none(), "{context}");
}

#[test]
fn cve_2013_4564_short_datagrams_and_wrong_versions_are_silent() {
    for length in 0..28 {
        refused_silently(&vec![0xfe; length], "short");
    }
    let good = &handshake()[0][0];
    for version in [0x00, 0x20, 0x30, 0xf0, 0xff] {
        let mut bad = good.clone();
        bad[17] = version;
        refused_silently(&bad, "version");
    }
}

#[test]
fn cve_2005_0398_header_length_differs_from_datagram() {
    let good = &handshake()[0][0];
    let length = u32::try_from(good.len()).unwrap();
    for wrong in [0, 1, 27, 28, length + 1, 0x7fff_ffff, u32::MAX, length - 1] {
        let mut bad = good.clone();
        bad[24..28].copy_from_slice(&wrong.to_be_bytes());
        refused_silently(&bad, &format!("length {wrong}"));
    }
}

#[test]
fn cve_2004_0219_every_prefix_of_every_message_in_every_state() {
    let [client, _] = handshake();
    for cut_message in &client {
        for cut in 0..cut_message.len() {
            let mut server = server();
            // Fresh, and after a first message.
            for first in [false, true] {
                if first {
                    server
                        .handle_datagram(now(), path(), &mut client[0].clone())
                        .unwrap();
                }
                let mut prefix = cut_message[..cut].to_vec();
                let _ = server.handle_datagram(now(), path(), &mut prefix);
            }
            assert!(server.sa_count() <= 1);
        }
    }
}

#[test]
fn cve_2022_34721_every_bit_of_the_handshake_flipped() {
    let mut net = pair_of(
        client_config(),
        server_config(),
        Net::Direct,
        Link::PERFECT,
        60,
    );
    let path_out = client_path(&net.a);
    let start = net.now;
    net.a.endpoint.connect(start, path_out, peer()).unwrap();
    let first = net.a.endpoint.poll_transmit().unwrap().payload;
    for bit in 0..first.len() * 8 {
        let mut server = server();
        let mut bad = first.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        let _ = server.handle_datagram(start, path(), &mut bad);
        let mut sent = 0;
        while let Some(t) = server.poll_transmit() {
            sent += t.payload.len();
        }
        assert!(sent <= first.len(), "bit {bit}: no amplification");
    }
}

#[test]
fn cve_2003_0108_zero_length_payloads_do_not_loop() {
    for length in 0..4_u16 {
        let mut bad = message(2, &[sa(&attributes(5, 2, &[])), (13, vec![1; 16])]);
        let at = bad.len() - 18;
        bad[at..at + 2].copy_from_slice(&length.to_be_bytes());
        refused_silently(&bad, "zero length");
    }
}

#[test]
fn cve_2004_0057_payload_longer_than_the_message() {
    for length in [21, 1000, 0xffff_u16] {
        let mut bad = message(2, &[sa(&attributes(5, 2, &[])), (13, vec![1; 16])]);
        let at = bad.len() - 18;
        bad[at..at + 2].copy_from_slice(&length.to_be_bytes());
        refused_silently(&bad, "payload length");
    }
}

#[test]
fn max_payloads() {
    for (count, ok) in [(63, true), (64, false), (500, false)] {
        let mut payloads = vec![sa(&attributes(5, 2, &[]))];
        payloads.extend(vec![(13, vec![1; 16]); count]);
        let mut server = server();
        let result = server.handle_datagram(now(), path(), &mut message(2, &payloads));
        assert_eq!(result.is_ok(), ok, "{count}");
    }
}

#[test]
fn cve_2015_3204_situation_and_doi_bits() {
    for (at, value) in [(3, 0), (3, 2), (0, 0xff), (7, 0xff), (4, 0xff), (7, 0)] {
        let (kind, mut body) = sa(&attributes(5, 2, &[]));
        body[at] = value;
        refused_silently(&message(2, &[(kind, body)]), "situation");
    }
}

#[test]
fn cve_2015_3991_payload_types_of_other_versions_are_skipped() {
    let mut payloads = vec![sa(&attributes(5, 2, &[]))];
    payloads.extend(
        (14..=54)
            .chain(128..=135)
            .filter(|k| *k != 132)
            .map(|kind| (kind, vec![kind; 12])),
    );
    server()
        .handle_datagram(now(), path(), &mut message(2, &payloads))
        .unwrap();
}

#[test]
fn cve_2004_0220_certificate_requests_of_any_length_change_nothing() {
    for length in 0..=5 {
        let payloads = [
            sa(&attributes(5, 2, &[])),
            (7, vec![4; length]),
            (6, vec![4; length]),
            (9, vec![4; length]),
        ];
        server()
            .handle_datagram(now(), path(), &mut message(2, &payloads))
            .unwrap();
    }
}

#[test]
fn cve_2011_3380_aes_key_lengths() {
    for bits in [0, 1, 7, 127, 129, 512, 65_535] {
        let bad = message(2, &[sa(&attributes(7, 2, &[tv(14, bits)]))]);
        let mut server = server();
        assert!(
            server
                .handle_datagram(now(), path(), &mut bad.clone())
                .is_err(),
            "{bits}"
        );
        assert_eq!(server.sa_count(), 0);
    }
    for bits in [128, 192, 256] {
        let good = message(2, &[sa(&attributes(7, 2, &[tv(14, bits)]))]);
        server()
            .handle_datagram(now(), path(), &mut good.clone())
            .unwrap();
    }
}

#[test]
fn cve_2005_3671_triple_des_with_a_key_length() {
    let odd = message(2, &[sa(&attributes(5, 2, &[tv(14, 192)]))]);
    server()
        .handle_datagram(now(), path(), &mut odd.clone())
        .unwrap();
}

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
    net.run_for(std::time::Duration::from_secs(300));
    assert!(net.b.sent.len() <= 3, "{}", net.b.sent.len());
    assert!(net.a.sent.len() <= 3);
}

#[test]
fn cve_2016_1287_fragments() {
    let [client, _] = handshake();
    let whole = &client[0];
    let (one, two) = whole.split_at(100);
    let fragment = |id: u8, number: u8, last: u8, data: &[u8]| {
        let mut out = message(2, &[(132, [&[0, id, number, last][..], data].concat())]);
        out[..8].copy_from_slice(&whole[..8]);
        out
    };
    let run = |parts: &[Vec<u8>]| {
        let mut server = server();
        for part in parts {
            let _ = server.handle_datagram(now(), path(), &mut part.clone());
        }
        server.sa_count()
    };
    assert_eq!(run(&[fragment(1, 1, 0, one), fragment(1, 2, 1, two)]), 1);
    assert_eq!(
        run(&[
            fragment(1, 2, 1, two),
            fragment(1, 2, 1, two),
            fragment(1, 1, 0, one)
        ]),
        1,
        "any order"
    );
    assert_eq!(
        run(&[fragment(1, 0, 0, one), fragment(1, 1, 1, two)]),
        0,
        "index 0"
    );
    assert_eq!(
        run(&[fragment(1, 1, 1, one), fragment(1, 2, 1, two)]),
        0,
        "last twice"
    );
    assert_eq!(
        run(&[fragment(1, 1, 0, one), fragment(2, 2, 1, two)]),
        0,
        "interleaved IDs"
    );
    assert_eq!(run(&[fragment(1, 255, 1, two)]), 0, "number 255");
    let nested = fragment(3, 1, 1, &fragment(1, 1, 1, whole));
    assert_eq!(run(&[nested]), 0, "fragment of a fragment");
    for length in 0..4 {
        let mut short = message(2, &[(132, vec![1; length])]);
        short[..8].copy_from_slice(&whole[..8]);
        assert_eq!(run(&[short]), 0);
    }
    // CVE-2016-10396, CVE-2016-6381: no more than the limit is kept, and not for long.
    let mut server = server();
    let start = now();
    for id in 0..=255 {
        for number in (2..=32).rev() {
            let _ = server.handle_datagram(start, path(), &mut fragment(id, number, 0, &[7; 600]));
        }
    }
    assert!(server.poll_timeout().is_some());
    server.handle_timeout(start + std::time::Duration::from_secs(11));
    assert!(server.poll_timeout().is_none(), "memory is given back");
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
        net.run_until(std::time::Duration::from_secs(1), |_, b| !b.sent.is_empty());
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

#[test]
fn cve_2004_0222_a_million_malformed_messages_leave_nothing() {
    let count: u32 = std::env::var("ROADWARRIOR_SEEDS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(20_000);
    let [client, _] = handshake();
    let mut server = server();
    let start = now();
    let mut rng = seeded(5);
    use isakmp::rand_core::Rng;
    for index in 0..count {
        let mut bad = client[index as usize % client.len()].clone();
        for _ in 0..3 {
            let at = rng.next_u32() as usize % bad.len();
            bad[at] = rng.next_u32().to_le_bytes()[0];
        }
        let _ = server.handle_datagram(start, path(), &mut bad);
        while server.poll_transmit().is_some() {}
        while server.poll_event().is_some() {}
    }
    server.handle_timeout(start + std::time::Duration::from_secs(61));
    assert_eq!((server.sa_count(), server.half_open_count()), (0, 0));
    assert!(server.poll_timeout().is_none());
}
