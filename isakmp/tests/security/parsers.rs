//! Lengths, chains, loops: what a parser must survive.

use super::*;
use crate::common::{client_config, client_path, pair_of};

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
fn cve_2011_3380_aes_without_a_key_length_is_aes_128() {
    let good = message(2, &[sa(&attributes(7, 2, &[]))]);
    let (_, reply) = half_open(&good);
    assert!(reply.windows(2).any(|w| w == [0x80, 1]));
}

#[test]
fn cve_2004_0184_identities_shorter_than_eight_bytes() {
    for length in 0..=8 {
        for kind in 0..=12 {
            let mut id = vec![kind; length];
            id.truncate(length);
            let payloads = [sa(&attributes(5, 2, &[])), (5, id)];
            let (server, _) = half_open(&message(2, &payloads));
            assert_eq!(server.sa_count(), 1);
        }
    }
}

#[test]
fn cve_2004_0392_next_payload_and_length_in_all_combinations() {
    let good = message(2, &[sa(&attributes(5, 2, &[])), (13, vec![1; 16])]);
    // The header's, the SA's, the proposal's, the transform's and the vendor ID's.
    let ends = [(16, None), (28, Some(30)), (40, Some(42)), (48, Some(50))];
    let last = good.len() - 20;
    for (at, length_at) in ends.into_iter().chain([(last, Some(last + 2))]) {
        for next in 0..=255 {
            for length in [None, Some(0), Some(3), Some(4), Some(8), Some(0xffff_u16)] {
                let mut bad = good.clone();
                bad[at] = next;
                if let (Some(at), Some(length)) = (length_at, length) {
                    bad[at..at + 2].copy_from_slice(&length.to_be_bytes());
                }
                let mut server = server();
                let _ = server.handle_datagram(now(), path(), &mut bad);
                assert!(answer(&mut server).len() <= good.len());
            }
        }
    }
    // A chain that ends in the middle of itself.
    for kind in [1, 2, 3, 4, 13] {
        refused_silently(&message(2, &vec![(kind, vec![]); 40]), "empty payloads");
    }
}

#[test]
fn cve_2015_3204_nat_payloads_of_all_dialects_everywhere() {
    let rfc_3947 = natt::Dialect::Rfc3947.vendor_id().to_vec();
    let first = message(2, &[sa(&attributes(5, 2, &[])), (13, rfc_3947)]);
    for kind in [15, 16, 20, 21, 130, 131] {
        for length in [0, 1, 4, 8, 16, 20, 21, 1000] {
            let odd = vec![(kind, vec![7; length]); 3];
            let mut payloads = vec![sa(&attributes(5, 2, &[]))];
            payloads.extend(odd.clone());
            let _ = half_open(&message(2, &payloads));
            let (mut server, reply) = half_open(&first);
            let mut payloads = vec![(4, vec![5; 128]), (10, vec![6; 16])];
            payloads.extend(odd);
            let third = with_cookies(message(2, &payloads), &reply);
            server
                .handle_datagram(now(), path(), &mut third.clone())
                .unwrap();
            assert!(answer(&mut server).len() <= third.len() + 72);
        }
    }
}

#[test]
fn cve_2022_23094_malformed_messages_without_half_and_with_full_state() {
    let cookies_of = |bytes: &[u8]| bytes[..16].to_vec();
    let mut malformed = vec![
        message(2, &[]),
        message(2, &[(1, vec![])]),
        message(2, &[(1, vec![0; 8])]),
        message(2, &[(4, vec![]), (10, vec![])]),
        message(2, &[(8, vec![0; 3])]),
        message(4, &[sa(&attributes(5, 2, &[]))]),
        message(5, &[(11, vec![0; 7])]),
        message(5, &[(12, vec![0; 3])]),
        message(5, &[(132, vec![])]),
        message(32, &[(8, vec![])]),
        message(32, &[(1, vec![0xff; 30])]),
        message(99, &[(99, vec![0; 99])]),
    ];
    let encrypted = malformed.clone().into_iter().map(|mut m| {
        m[19] = 1;
        m
    });
    malformed.extend(encrypted.collect::<Vec<_>>());
    let mut net = pair(server_config(), peer(), Net::Direct, Link::PERFECT, 65);
    assert!(common::established(&mut net, 1));
    let live = cookies_of(&net.b.sent.last().unwrap().2);
    for bad in malformed {
        refused_silently(&bad, "no state");
        let (mut server, reply) = half_open(&message(2, &[sa(&attributes(5, 2, &[]))]));
        let mut half = with_cookies(bad.clone(), &reply);
        assert!(server.handle_datagram(now(), path(), &mut half).is_err());
        assert_eq!((server.sa_count(), answer(&mut server).len()), (1, 0));
        let mut full = with_cookies(bad, &live);
        let now = net.now;
        assert!(
            net.b
                .endpoint
                .handle_datagram(now, path(), &mut full)
                .is_err()
        );
        assert!(net.b.endpoint.poll_transmit().is_none());
    }
    assert_eq!(
        (net.b.endpoint.sa_count(), net.b.endpoint.child_count()),
        (1, 1)
    );
}

#[test]
fn protos_every_field_with_extreme_values() {
    let mut first_peer = peer();
    first_peer.proposals = vec!["aes128-sha1-ecp256".parse().unwrap()];
    let mut net = pair(server_config(), first_peer, Net::Direct, Link::PERFECT, 66);
    assert!(common::established(&mut net, 1));
    let sent: Vec<_> = net.a.sent.iter().map(|p| p.2.clone()).collect();
    let try_one = |index: usize, bad: Vec<u8>| {
        let mut server = server();
        if index > 0 {
            let _ = server.handle_datagram(now(), path(), &mut sent[0].clone());
            let reply = answer(&mut server);
            let mut bad = bad.clone();
            bad[8..16].copy_from_slice(&reply[8..16]);
            let _ = server.handle_datagram(now(), path(), &mut bad);
        } else {
            let _ = server.handle_datagram(now(), path(), &mut bad.clone());
        }
        assert!(answer(&mut server).len() <= bad.len().max(sent[index].len()));
        assert!(server.sa_count() <= 1);
    };
    for (index, good) in sent.iter().enumerate().take(2) {
        for at in 0..good.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut bad = good.clone();
                bad[at] = value;
                try_one(index, bad);
            }
            for value in [0_u16, 4, 0x7fff, 0x8000, 0xffff] {
                let mut bad = good.clone();
                if let Some(two) = bad.get_mut(at..at + 2) {
                    two.copy_from_slice(&value.to_be_bytes());
                    try_one(index, bad);
                }
            }
        }
    }
}

/// BENIGNCERTAIN: nothing is in a reply but our templates, random cookies and what was sent.
#[test]
fn cve_2016_6415_reply_never_contains_unsent_bytes() {
    use isakmp::rand_core::Rng;
    let good = handshake()[0][0].clone();
    let mut rng = seeded(8);
    let own: Vec<Vec<u8>> = natt::Dialect::ALL
        .iter()
        .map(|d| d.vendor_id().to_vec())
        .chain([0xafcad713_68a1f1c9_6b8696fc_77570100_u128
            .to_be_bytes()
            .to_vec()])
        .collect();
    let mut replies = 0;
    for _ in 0..20_000 {
        let mut request = good.clone();
        for _ in 0..rng.next_u32() % 4 {
            let at = 18 + rng.next_u32() as usize % (request.len() - 18);
            request[at] = rng.next_u32().to_le_bytes()[0];
        }
        let mut server = server();
        let _ = server.handle_datagram(now(), path(), &mut request.clone());
        let reply = answer(&mut server);
        if reply.is_empty() {
            continue;
        }
        replies += 1;
        let sent = |part: &[u8]| request.windows(part.len()).any(|w| w == part);
        assert_eq!(reply[..8], request[..8]);
        assert_eq!(
            reply[24..28],
            u32::try_from(reply.len()).unwrap().to_be_bytes()
        );
        let (mut kind, mut rest) = (reply[16], &reply[28..]);
        while kind != 0 {
            let length = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
            assert_eq!(rest[1], 0, "reserved");
            let body = &rest[4..length];
            match kind {
                1 => {
                    assert_eq!(body[..10], [0, 0, 0, 1, 0, 0, 0, 1, 0, 0]);
                    let [number, protocol, spi, count] = body[12..16] else {
                        panic!()
                    };
                    assert_eq!((protocol, spi, count), (1, 0, 1));
                    assert!(sent(&[number, 1]));
                    assert_eq!(body[16..18], [0, 0]);
                    assert!(sent(&body[20..]), "the transform is the peer's");
                }
                13 => assert!(own.iter().any(|o| o == body) || sent(body)),
                11 => {
                    assert_eq!(body[..8], [0, 0, 0, 1, 1, 8, 0, 14]);
                    assert_eq!(body[8..], request[..8]);
                }
                other => panic!("payload {other}"),
            }
            (kind, rest) = (rest[0], &rest[length..]);
        }
        assert!(rest.is_empty());
    }
    assert!(replies > 5000, "{replies}");
}
