//! Informational exchanges.

use super::*;

#[test]
fn cve_2004_0164_plain_delete_and_initial_contact_are_ignored() {
    let mut pair = Pair::new(1);
    let spi = pair.child().outbound_spi.to_be_bytes();
    let cookies = pair.cookies();
    let contact = notify_payload(&Notify {
        protocol: 1,
        kind: Notify::INITIAL_CONTACT,
        spi: &cookies,
        data: &[],
    });
    for chain in [
        delete(3, &spi),
        delete(1, &cookies),
        Chain::default().with(payload::NOTIFICATION, contact),
    ] {
        assert!(pair.plain(ExchangeType::Informational, &chain).is_err());
    }
    assert_eq!(pair.alive(), (1, 1));
}

#[test]
fn cve_2019_10155_informational_with_a_wrong_hash_is_ignored() {
    let mut pair = Pair::new(1);
    let spi = pair.child().outbound_spi.to_be_bytes();
    let sa = pair.client.sas.values().next().unwrap();
    let id = 5;
    let iv = sa.keys.as_ref().unwrap().iv(id);
    let mut good = seal_phase2(
        sa,
        ExchangeType::Informational,
        id,
        &iv,
        &[],
        delete(3, &spi),
    )
    .unwrap()
    .0;
    let mut messages = Vec::new();
    for bit in 0..160 {
        // Flips one bit of the hash, in the plaintext.
        let chain = delete(3, &spi);
        let keys = sa.keys.as_ref().unwrap();
        let mut hash = keys
            .phase2_hash(&[&5_u32.to_be_bytes(), &chain.encode()])
            .as_bytes()
            .to_vec();
        hash[bit / 8] ^= 1 << (bit % 8);
        let mut chain = chain;
        chain.prepend(payload::HASH, hash);
        messages.push(
            sa.encrypted(ExchangeType::Informational, id, &iv, &chain)
                .unwrap()
                .0,
        );
    }
    for mut message in messages {
        let error = pair
            .server
            .handle_datagram(pair.now, swap(Pair::path()), &mut message)
            .unwrap_err();
        assert_eq!(error, Error::NotAuthentic);
    }
    assert_eq!(pair.alive(), (1, 1));
    pair.server
        .handle_datagram(pair.now, swap(Pair::path()), &mut good)
        .unwrap();
    assert_eq!(pair.alive(), (1, 0));
}

#[test]
fn cve_2023_38712_delete_followed_by_more_payloads() {
    let mut pair = Pair::new(1);
    let spi = pair.child().outbound_spi.to_be_bytes();
    let cookies = pair.cookies();
    let there = notify_payload(&Notify {
        protocol: 1,
        kind: Notify::R_U_THERE,
        spi: &cookies,
        data: &[0, 0, 0, 9],
    });
    let chain = delete(1, &cookies)
        .with(payload::NOTIFICATION, there)
        .with(payload::DELETE, delete_payload(3, &spi))
        .with(payload::DELETE, delete_payload(3, &spi))
        .with(payload::DELETE, delete_payload(1, &cookies));
    pair.inform(chain).unwrap();
    assert_eq!(pair.alive(), (0, 0));
    pair.run();
    let closed = pair
        .events
        .iter()
        .filter(|e| matches!(e, Event::Closed { .. }))
        .count();
    assert_eq!(closed, 1);
}

#[test]
fn cve_2004_0183_delete_whose_spi_count_lies() {
    let mut pair = Pair::new(1);
    for (size, count) in [
        (4, 65_535_u16),
        (255, 1),
        (0, 65_535),
        (0, 1),
        (3, 1),
        (16, 2),
    ] {
        let mut body = vec![0, 0, 0, 1, 3, size];
        body.extend(count.to_be_bytes());
        body.extend([0; 16]);
        let _ = pair.inform(Chain::default().with(payload::DELETE, body));
    }
    assert_eq!(pair.alive(), (1, 1));
}

#[test]
fn cve_2009_0790_dpd_with_foreign_cookies_is_not_answered() {
    let mut pair = Pair::new(1);
    let cookies = pair.cookies();
    let sent = |pair: &mut Pair, spi: &[u8]| {
        let body = notify_payload(&Notify {
            protocol: 1,
            kind: Notify::R_U_THERE,
            spi,
            data: &[0, 0, 0, 1],
        });
        pair.inform(Chain::default().with(payload::NOTIFICATION, body))
            .unwrap();
        pair.server.poll_transmit().is_some()
    };
    assert!(sent(&mut pair, &cookies));
    for spi in [&[][..], &[0; 16], &cookies[..8], &cookies[1..]] {
        assert!(!sent(&mut pair, spi));
    }
}

#[test]
fn dpd_question_from_elsewhere_moves_the_peer_only_if_it_is_new() {
    let mut pair = Pair::new(1);
    let cookies = pair.cookies();
    let mut ask = |behind_nat: bool, sequence: u32, port: u16| {
        for sa in pair.server.sas.values_mut() {
            sa.nat.remote_behind_nat = behind_nat;
        }
        let body = notify_payload(&Notify {
            protocol: 1,
            kind: Notify::R_U_THERE,
            spi: &cookies,
            data: &sequence.to_be_bytes(),
        });
        let sa = pair.client.sas.values().next().unwrap();
        let chain = Chain::default().with(payload::NOTIFICATION, body);
        let iv = sa.keys.as_ref().unwrap().iv(sequence);
        let mut message = seal_phase2(sa, ExchangeType::Informational, sequence, &iv, &[], chain)
            .unwrap()
            .0;
        let mut path = swap(Pair::path());
        path.remote.set_port(port);
        pair.server
            .handle_datagram(pair.now, path, &mut message)
            .unwrap();
        pair.server.sas.values().next().unwrap().path.remote.port()
    };
    assert_eq!(ask(false, 9, 501), 500, "its address does not change");
    assert_eq!(ask(true, 10, 501), 501);
    assert_eq!(ask(true, 11, 502), 502);
    assert_eq!(ask(true, 10, 503), 502, "an old one was sent again");
    assert_eq!(ask(true, 11, 504), 502);
}

impl Pair {
    fn notify_with_id(&mut self, id: u32, kind: u16, spi: &[u8], data: &[u8]) -> Result<(), Error> {
        let body = notify_payload(&Notify {
            protocol: 1,
            kind,
            spi,
            data,
        });
        let chain = Chain::default().with(payload::NOTIFICATION, body);
        self.protected(ExchangeType::Informational, id, chain)
    }
}

/// Who has recorded an INITIAL-CONTACT could end all later SAs of its sender with it.
#[test]
fn a_recorded_initial_contact_does_nothing_when_it_comes_again() {
    let mut pair = Pair::new(1);
    let cookies = pair.cookies();
    let contact = Notify::INITIAL_CONTACT;
    pair.notify_with_id(5, contact, &cookies, &[]).unwrap();
    let first = pair.server.sas.keys().next().copied().unwrap();
    // The same peer has another SA by now.
    let mut peer = Peer::new(PresharedKey::new(PSK));
    peer.proposals = vec!["aes128-sha1-ecp256".parse().unwrap()];
    pair.client.config = Arc::new(Config {
        habits: crate::Habits {
            initial_contact: false,
            ..crate::Habits::default()
        },
        ..(*pair.client.config).clone()
    });
    pair.client.connect(pair.now, Pair::path(), peer).unwrap();
    pair.run();
    assert_eq!(pair.alive(), (2, 2));
    assert_eq!(pair.client.sas.keys().next(), Some(&first));
    let error = pair.notify_with_id(5, contact, &cookies, &[]).unwrap_err();
    assert_eq!(error.reason(), "isakmp_message_id_replayed");
    assert_eq!(pair.alive(), (2, 2));
}

/// A recorded question or answer is no sign of life.
#[test]
fn recorded_dead_peer_detection_does_not_keep_a_dead_peer_alive() {
    let mut pair = Pair::new(1);
    let cookies = pair.cookies();
    let due = |pair: &Pair| {
        let sa = pair.server.sas.values().next().unwrap();
        sa.dpd.as_ref().unwrap().due
    };
    let ask = |pair: &mut Pair, sequence: u32| {
        let data = sequence.to_be_bytes();
        pair.notify_with_id(sequence, Notify::R_U_THERE, &cookies, &data)
            .unwrap();
        while pair.server.poll_transmit().is_some() {}
    };
    ask(&mut pair, 7);
    let before = due(&pair);
    pair.now += Duration::from_secs(3);
    ask(&mut pair, 7);
    ask(&mut pair, 6);
    let _ = pair.notify_with_id(9, Notify::R_U_THERE_ACK, &cookies, &[0, 0, 0, 1]);
    assert_eq!(due(&pair), before);
    ask(&mut pair, 8);
    assert_eq!(due(&pair), before + Duration::from_secs(3));
    // Nor is the newest answer, when it comes again.
    pair.now = due(&pair);
    pair.server.handle_timeout(pair.now);
    let sa = pair.server.sas.values().next().unwrap();
    let asked = sa.dpd.as_ref().unwrap().sequence.to_be_bytes();
    let answer = |pair: &mut Pair| {
        pair.notify_with_id(10, Notify::R_U_THERE_ACK, &cookies, &asked)
            .unwrap();
        due(pair)
    };
    let before = answer(&mut pair);
    assert_eq!(before, pair.now + Duration::from_secs(30));
    pair.now += Duration::from_secs(3);
    assert_eq!(answer(&mut pair), before);
}

/// INITIAL-CONTACT is about what came before.
#[test]
fn initial_contact_over_an_older_sa_spares_newer_ones() {
    let mut pair = Pair::new(1);
    let mut config = (*pair.client.config).clone();
    config.habits.initial_contact = false;
    pair.client.config = Arc::new(config);
    pair.connect(1);
    pair.run();
    assert_eq!(pair.alive(), (2, 2));
    let cookies = pair.cookies();
    pair.notify_with_id(5, Notify::INITIAL_CONTACT, &cookies, &[])
        .unwrap();
    assert_eq!(pair.alive(), (2, 2));
}

/// What follows a delete of the SA itself in one message does not move what has ended.
#[test]
fn an_sa_that_has_ended_goes_nowhere() {
    let mut pair = Pair::new(1);
    for sa in pair.server.sas.values_mut() {
        sa.nat.remote_behind_nat = true;
    }
    let cookies = pair.cookies();
    let there = notify_payload(&Notify {
        protocol: 1,
        kind: Notify::R_U_THERE,
        spi: &cookies,
        data: &[0x7f, 0, 0, 9],
    });
    let chain = delete(1, &cookies).with(payload::NOTIFICATION, there);
    let sa = pair.client.sas.values().next().unwrap();
    let iv = sa.keys.as_ref().unwrap().iv(77);
    let informational = ExchangeType::Informational;
    let (mut message, _) = seal_phase2(sa, informational, 77, &iv, &[], chain).unwrap();
    let mut path = swap(Pair::path());
    path.remote.set_port(501);
    while pair.server.poll_event().is_some() {}
    pair.server
        .handle_datagram(pair.now, path, &mut message)
        .unwrap();
    assert_eq!(pair.server.sas.len(), 0);
    let places = format!("{:?}", pair.server.places);
    assert!(places.contains("sas: Index({})"), "{places}");
    let last = std::iter::from_fn(|| pair.server.poll_event()).last();
    assert!(matches!(last, Some(Event::Closed { .. })), "{last:?}");
}
