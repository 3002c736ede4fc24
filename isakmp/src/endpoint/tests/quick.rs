//! Quick mode as responder.

use super::*;

/// ESP transforms as a quick mode offers them: ID, attributes.
fn esp(spi: u32, transforms: &[(u8, &[(u16, u16)])]) -> Vec<u8> {
    let transforms = transforms
        .iter()
        .enumerate()
        .map(|(index, (id, attributes))| {
            let mut a = Vec::new();
            for (kind, value) in *attributes {
                tv(&mut a, *kind, *value);
            }
            transform(index + 1, *id, &a)
        });
    sa_payload(&[ProposalOut {
        number: 1,
        protocol: 3,
        spi: spi.to_be_bytes().to_vec(),
        transforms: transforms.collect(),
    }])
}

fn quick(sa: Vec<u8>) -> Chain {
    Chain::default()
        .with(payload::SA, sa)
        .with(payload::NONCE, vec![7; 16])
}

/// AES-128, transport, HMAC-SHA-1.
const GOOD: (u8, &[(u16, u16)]) = (12, &[(4, 2), (5, 2), (6, 128)]);

#[test]
fn cve_2024_3652_esp_without_encryption_or_integrity_is_skipped() {
    let mut pair = Pair::new(0);
    let bad: [(u8, &[(u16, u16)]); 9] = [
        (11, &[(4, 2), (5, 2)]),
        (11, &[(4, 2)]),
        (23, &[(4, 2), (6, 128)]),
        (1, &[(4, 2), (5, 2)]),
        (0, &[(4, 2), (5, 2)]),
        (255, &[(4, 2), (5, 2)]),
        (12, &[(4, 2), (6, 128)]),
        (12, &[(4, 2), (5, 2), (6, 0)]),
        (12, &[(4, 2), (5, 9), (6, 128)]),
    ];
    for (index, transform) in bad.into_iter().enumerate() {
        let id = 100 + u32::try_from(index).unwrap();
        let error = pair
            .protected(ExchangeType::Quick, id, quick(esp(4096, &[transform])))
            .unwrap_err();
        assert_eq!(error, Error::Refused("no_proposal_chosen"), "{transform:?}");
    }
    let mut all = bad.to_vec();
    all.push(GOOD);
    pair.protected(ExchangeType::Quick, 200, quick(esp(4096, &all)))
        .unwrap();
}

#[test]
fn cve_2011_3380_key_lengths_that_do_not_exist_are_skipped() {
    let mut pair = Pair::new(0);
    for (index, bits) in [0, 1, 7, 127, 129, 512, 65_535].into_iter().enumerate() {
        let attributes = [(4, 2), (5, 2), (6, bits)];
        let id = 100 + u32::try_from(index).unwrap();
        assert!(
            pair.protected(
                ExchangeType::Quick,
                id,
                quick(esp(4096, &[(12, &attributes)]))
            )
            .is_err(),
            "{bits}"
        );
    }
    // CVE-2005-3671: a key length where none belongs.
    pair.protected(
        ExchangeType::Quick,
        200,
        quick(esp(4096, &[(3, &[(4, 2), (5, 2), (6, 192)])])),
    )
    .unwrap();
}

#[test]
fn cve_2025_39965_reserved_spis_are_refused() {
    let mut pair = Pair::new(0);
    for (index, spi) in [0, 1, 255].into_iter().enumerate() {
        let id = 100 + u32::try_from(index).unwrap();
        assert!(
            pair.protected(ExchangeType::Quick, id, quick(esp(spi, &[GOOD])))
                .is_err(),
            "{spi}"
        );
    }
    pair.protected(ExchangeType::Quick, 200, quick(esp(256, &[GOOD])))
        .unwrap();
}

#[test]
fn cve_2023_38711_all_identity_types_in_quick_mode() {
    for kind in 0..=13_u8 {
        for length in [0, 1, 3, 4, 5, 8, 16, 31, 32, 200] {
            let mut pair = Pair::new(0);
            let mut id = vec![kind, 17, 6, 165];
            id.extend(vec![b'x'; length]);
            for (first, second) in [
                (id.clone(), id.clone()),
                (id.clone(), vec![1, 17, 6, 165, 192, 0, 2, 2]),
            ] {
                let chain = quick(esp(4096, &[GOOD]))
                    .with(payload::IDENTIFICATION, first)
                    .with(payload::IDENTIFICATION, second);
                // Accepted or refused, it leaves the SA alone.
                let _ = pair.protected(ExchangeType::Quick, 100 + u32::from(kind), chain);
            }
            assert_eq!(pair.alive(), (1, 0));
        }
    }
}

#[test]
fn cve_2023_23009_missing_payloads_of_quick_mode() {
    let mut pair = Pair::new(0);
    let sa = || esp(4096, &[GOOD]);
    let id = Identity::Address("192.0.2.1".parse().unwrap()).payload(17, 1701);
    let chains = [
        Chain::default().with(payload::NONCE, vec![7; 16]),
        Chain::default().with(payload::SA, sa()),
        Chain::default()
            .with(payload::SA, sa())
            .with(payload::NONCE, vec![7; 7]),
        Chain::default()
            .with(payload::SA, sa())
            .with(payload::NONCE, vec![7; 257]),
        Chain::default()
            .with(payload::SA, sa())
            .with(payload::SA, sa())
            .with(payload::NONCE, vec![7; 16]),
        quick(sa()).with(payload::IDENTIFICATION, id.clone()),
        quick(sa())
            .with(payload::IDENTIFICATION, id.clone())
            .with(payload::IDENTIFICATION, id.clone())
            .with(payload::IDENTIFICATION, id),
        quick(sa()).with(payload::KEY_EXCHANGE, vec![9; 128]),
        quick(esp(4096, &[(12, &[(4, 2), (5, 2), (6, 128), (3, 2)])])),
    ];
    for (index, chain) in chains.into_iter().enumerate() {
        let id = 100 + u32::try_from(index).unwrap();
        assert!(
            pair.protected(ExchangeType::Quick, id, chain).is_err(),
            "{index}"
        );
    }
    assert!(pair.server.sas.values().next().unwrap().quicks.is_empty());
}

#[test]
fn qm_replay_of_a_message_id_is_refused_for_the_life_of_the_sa() {
    let mut pair = Pair::new(1);
    let sa = pair.server.sas.values().next().unwrap();
    let id = *sa.quicks.keys().next().unwrap();
    // Long after the exchange is forgotten.
    pair.now += Duration::from_secs(70);
    pair.server.handle_timeout(pair.now);
    assert!(pair.server.sas.values().next().unwrap().quicks.is_empty());
    let error = pair
        .protected(ExchangeType::Quick, id, quick(esp(4096, &[GOOD])))
        .unwrap_err();
    assert_eq!(error.reason(), "isakmp_message_id_replayed");
}

#[test]
fn ah_and_esp_bundles_are_skipped_and_single_proposals_taken() {
    let mut pair = Pair::new(0);
    let mut attributes = Vec::new();
    tv(&mut attributes, 4, 2);
    tv(&mut attributes, 5, 2);
    let one = |number, protocol, id| ProposalOut {
        number,
        protocol,
        spi: vec![0, 0, 16, 0],
        transforms: vec![transform(1, id, &attributes)],
    };
    let bundle = sa_payload(&[one(1, 2, 3), one(1, 3, 3)]);
    assert!(
        pair.protected(ExchangeType::Quick, 100, quick(bundle))
            .is_err()
    );
    let both = sa_payload(&[one(1, 2, 3), one(1, 3, 3), one(2, 3, 3)]);
    pair.protected(ExchangeType::Quick, 101, quick(both))
        .unwrap();
}

#[test]
fn a_fourth_quick_mode_message_and_the_commit_bit_are_tolerated() {
    let mut pair = Pair::new(1);
    let sa = pair.client.sas.values().next().unwrap();
    let id = *sa.quicks.keys().next().unwrap();
    let connected = notify_payload(&Notify {
        protocol: 3,
        kind: 16_384,
        spi: &[0, 0, 16, 0],
        data: &[],
    });
    let chain = Chain::default().with(payload::NOTIFICATION, connected);
    pair.protected(ExchangeType::Quick, id, chain).unwrap();
    assert_eq!(pair.alive(), (1, 1));
}

#[test]
fn quick_modes_of_one_sa_are_limited() {
    let mut pair = Pair::new(0);
    for id in 1..200 {
        let _ = pair.protected(ExchangeType::Quick, id, quick(esp(4096, &[GOOD])));
    }
    let sa = pair.server.sas.values().next().unwrap();
    assert!(sa.quicks.len() <= pair.server.config.limits.quick_modes_per_sa);
    pair.now += Duration::from_secs(70);
    pair.server.handle_timeout(pair.now);
    assert!(pair.server.sas.values().next().unwrap().quicks.is_empty());
    assert!(pair.server.inbound_spis.is_empty(), "no SPI stays reserved");
}

#[test]
fn long_and_strange_lifetimes() {
    let mut pair = Pair::new(0);
    let mut attributes = Vec::new();
    tv(&mut attributes, 1, 1);
    // An hour in nine bytes.
    attributes.extend([0, 2, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0x0e, 0x10]);
    tv(&mut attributes, 1, 2);
    tlv(&mut attributes, 2, 250_000);
    tv(&mut attributes, 4, 2);
    tv(&mut attributes, 5, 2);
    // Unknown, private, empty.
    attributes.extend([0x7f, 0, 0, 0]);
    let sa = sa_payload(&[ProposalOut {
        number: 9,
        protocol: 3,
        spi: vec![0, 0, 16, 0],
        transforms: vec![transform(7, 3, &attributes)],
    }]);
    pair.protected(ExchangeType::Quick, 100, quick(sa)).unwrap();
    let pending = pair.server.sas.values().next().unwrap().quicks[&100]
        .child
        .as_ref()
        .unwrap();
    assert_eq!(
        pending.lifetime,
        crate::Lifetime {
            seconds: 3600,
            kilobytes: Some(250_000)
        }
    );
    let selector = |last: u8| Selector {
        id: Identity::Address(IpAddr::from([192, 0, 2, last])),
        protocol: 0,
        port: 0,
    };
    assert_eq!(pending.selectors, [selector(2), selector(1)]);
}

/// Message 1 of a client behind a NAT: its payloads and the attributes of its first transform, as
/// Windows sends them (HASH SA No ID ID NAT-OA NAT-OA; lifetimes in four bytes each).
#[test]
fn a_quick_mode_of_windows_behind_a_nat() {
    use natt::Dialect;
    for (dialect, nat_oa, mode) in [
        (Dialect::Rfc3947, &[21, 21][..], 4),
        (Dialect::Draft02Newline, &[131], 61_444),
        (Dialect::Apple, &[], 4),
        (Dialect::Draft04, &[16], 4),
    ] {
        let mut pair = Pair::idle();
        let mut config = (*pair.client.config).clone();
        config.dialects = vec![dialect];
        config.policy.child_lifetime.kilobytes = Some(250_000);
        pair.client.config = Arc::new(config);
        let mut peer = Peer::new(PresharedKey::new(PSK));
        peer.proposals = vec!["aes128-sha1-ecp256".parse().unwrap()];
        peer.child_proposals = vec!["aes256-sha1".parse().unwrap()];
        peer.force_encapsulation = true;
        pair.client.connect(pair.now, Pair::path(), peer).unwrap();
        pair.run();
        assert_eq!(pair.alive(), (1, 1), "{dialect}");
        let sent = pair.sent.iter().filter_map(|m| m.strip_prefix(&[0; 4]));
        let message = sent.clone().find(|m| m[18] == 32).unwrap();
        let (header, body) = Header::parse(message).unwrap();
        let keys = pair.client.sas.values().next().unwrap();
        let keys = keys.keys.as_ref().unwrap();
        let (plain, _) = keys.decrypt(&keys.iv(header.message_id), body).unwrap();
        let message = crate::wire::Message::parse(header.next_payload, &plain).unwrap();
        let kinds: Vec<_> = message.iter().map(|p| p.kind).collect();
        assert_eq!(kinds, [&[8, 1, 10, 5, 5][..], nat_oa].concat(), "{dialect}");
        let address = |last| [1, 17, 6, 165, 192, 0, 2, last];
        let ids: Vec<_> = message.all(payload::IDENTIFICATION).collect();
        assert_eq!(ids, [address(1), address(2)], "17/1701 both");
        let own = |last| [1, 0, 0, 0, 192, 0, 2, last];
        for (kind, last) in nat_oa.iter().zip([1, 2]) {
            assert!(message.all(*kind).any(|body| body == own(last)));
        }
        let sa = message.only(payload::SA).unwrap();
        let mut attributes = Vec::new();
        tv(&mut attributes, 4, mode);
        tv(&mut attributes, 6, 256);
        tv(&mut attributes, 5, 2);
        tv(&mut attributes, 1, 1);
        tlv(&mut attributes, 2, 3600);
        tv(&mut attributes, 1, 2);
        tlv(&mut attributes, 2, 250_000);
        assert!(sa.ends_with(&attributes), "{dialect}");
    }
}

/// Who sends message 3 on from another address, faster than it comes by itself, does not have the
/// gateway send there what is for a peer whose address cannot change, and is not taken for proof
/// that any other peer is there.
#[test]
fn message_3_from_elsewhere_moves_only_who_is_behind_a_nat() {
    for behind_nat in [false, true] {
        let mut pair = Pair::idle();
        pair.connect(1);
        let mut elsewhere = swap(Pair::path());
        elsewhere.remote.set_port(501);
        let mut quick = 0;
        pair.run_by(|server, sent| {
            quick += usize::from(sent.payload[18] == 32);
            if quick != 2 {
                return swap(sent.path);
            }
            let sa = server.sas.values_mut().next().unwrap();
            sa.nat.remote_behind_nat = behind_nat;
            elsewhere
        });
        assert_eq!(quick, 2);
        let port = if behind_nat { 501 } else { 500 };
        let sa = pair.server.sas.values().next().unwrap();
        let child = pair.server.children.values().next().unwrap();
        assert_eq!(sa.path.remote.port(), port);
        assert_eq!(child.path.remote.port(), port);
        assert_eq!(sa.moved.is_some(), behind_nat);
        assert_eq!(child.moved.is_some(), behind_nat);
    }
}

/// What we have said ourselves has a right HASH; sent back when we have forgotten it, it begins
/// nothing, and is no sign of life.
#[test]
fn our_own_message_1_begins_no_quick_mode_when_it_is_sent_back() {
    let mut pair = Pair::new(1);
    let quick_1 = pair.sent.iter().find(|message| message[18] == 32);
    let mut quick_1 = quick_1.unwrap().clone();
    pair.now += pair.client.config.timers.remember;
    pair.client.handle_timeout(pair.now);
    while pair.client.poll_transmit().is_some() {}
    let error = pair
        .client
        .handle_datagram(pair.now, Pair::path(), &mut quick_1)
        .unwrap_err();
    assert_eq!(error.reason(), "isakmp_message_id_replayed");
    assert!(pair.client.poll_transmit().is_none());
}
