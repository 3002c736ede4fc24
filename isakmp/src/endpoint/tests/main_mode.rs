//! Message 5 of main mode, and what may follow it.

use super::*;

#[test]
fn cve_2014_2143_a_spoofed_first_message_leaves_the_live_sa_alone() {
    let mut pair = Pair::new(1);
    let body = crate::offer::offer_phase1(
        &["aes128-sha1-ecp256".parse().unwrap()],
        3600,
        crate::Style::Windows,
    );
    let chain = Chain::default().with(payload::SA, body);
    let header = Header {
        initiator_cookie: [7; 8],
        responder_cookie: [0; 8],
        next_payload: chain.first(),
        exchange: ExchangeType::Main,
        flags: Flags::NONE,
        message_id: 0,
    };
    let mut message = header.encode(&chain.encode());
    pair.server
        .handle_datagram(pair.now, swap(Pair::path()), &mut message)
        .unwrap();
    assert_eq!(pair.alive(), (2, 1));
    pair.now += Duration::from_secs(61);
    pair.server.handle_timeout(pair.now);
    assert_eq!(pair.alive(), (1, 1));
}

#[test]
fn cve_2004_0164_initial_contact_in_message_1_is_ignored() {
    let mut pair = Pair::new(1);
    let contact = notify_payload(&Notify {
        protocol: 1,
        kind: Notify::INITIAL_CONTACT,
        spi: &pair.cookies(),
        data: &[],
    });
    let vid_initial_contact = 0x26244d38_eddb61b3_172a36e3_d0cfb819_u128;
    let mut chain = first(&["aes128-sha1-ecp256"]);
    chain.push(payload::NOTIFICATION, contact);
    chain.push(payload::VENDOR_ID, vid_initial_contact.to_be_bytes());
    let mut message = clear([7; 8], [0; 8], &chain);
    pair.server
        .handle_datagram(pair.now, swap(Pair::path()), &mut message)
        .unwrap();
    assert_eq!(pair.alive(), (2, 1));
}

fn first(suites: &[&str]) -> Chain {
    let suites: Vec<_> = suites.iter().map(|s| s.parse().unwrap()).collect();
    Chain::default().with(
        payload::SA,
        crate::offer::offer_phase1(&suites, 3600, crate::Style::Windows),
    )
}

/// A main mode message in the clear.
fn clear(initiator_cookie: [u8; 8], responder_cookie: [u8; 8], chain: &Chain) -> Vec<u8> {
    let header = Header {
        initiator_cookie,
        responder_cookie,
        next_payload: chain.first(),
        exchange: ExchangeType::Main,
        flags: Flags::NONE,
        message_id: 0,
    };
    header.encode(&chain.encode())
}

/// A pair whose server awaits message 5, and the right one.
fn awaiting_message_5() -> (Pair, Vec<u8>) {
    let mut pair = Pair::idle();
    pair.connect(0);
    for _ in 0..2 {
        let mut request = pair.client.poll_transmit().unwrap();
        pair.server
            .handle_datagram(pair.now, swap(request.path), &mut request.payload)
            .unwrap();
        let mut reply = pair.server.poll_transmit().unwrap();
        pair.client
            .handle_datagram(pair.now, swap(reply.path), &mut reply.payload)
            .unwrap();
    }
    let message_5 = pair.client.poll_transmit().unwrap().payload;
    (pair, message_5)
}

impl Pair {
    /// The server gets these payloads as message 5.
    fn message_5(&mut self, chain: &Chain) -> Result<(), Error> {
        let iv = self.server.sas.values().next().unwrap();
        let iv = iv.keys.as_ref().unwrap().iv(0);
        let sa = self.client.sas.values().next().unwrap();
        let (mut message, _) = sa.encrypted(ExchangeType::Main, 0, &iv, chain).unwrap();
        self.server
            .handle_datagram(self.now, swap(Self::path()), &mut message)
    }

    fn hash_i(&self, id: &[u8]) -> Vec<u8> {
        let sa = self.client.sas.values().next().unwrap();
        let hash = Endpoint::main_hash(sa, crate::event::Role::Initiator, id).unwrap();
        hash.as_bytes().to_vec()
    }

    fn established(&mut self) -> bool {
        let sa = self.server.sas.values().next();
        sa.is_some_and(|sa| sa.established())
    }
}

#[test]
fn cve_2014_2338_established_only_with_a_right_hash() {
    let (mut pair, good) = awaiting_message_5();
    // Header, ID and HASH in three blocks; RFC 2409 section 5 lets no hash cover what follows.
    for bit in 0..(28 + 48) * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        let result = pair
            .server
            .handle_datagram(pair.now, swap(Pair::path()), &mut bad);
        // The minor version and most flags mean nothing to us.
        if result.is_ok() && [17, 19].contains(&(bit / 8)) {
            (pair, _) = awaiting_message_5();
            continue;
        }
        assert!(!pair.established(), "bit {bit}: {result:?}");
    }
    pair.server
        .handle_datagram(pair.now, swap(Pair::path()), &mut good.clone())
        .unwrap();
    assert!(pair.established(), "and the right one still counts");
    let refusals = std::iter::from_fn(|| pair.server.poll_event());
    let refusals = refusals.filter(|e| matches!(e, Event::Refused { .. }));
    assert!(refusals.count() <= 1, "garbage is reported once");
}

#[test]
fn cve_2005_3732_missing_payloads_of_message_5() {
    let (mut pair, _) = awaiting_message_5();
    let id = Identity::Address("192.0.2.1".parse().unwrap()).payload(0, 0);
    let hash = pair.hash_i(&id);
    for chain in [
        Chain::default().with(payload::NONCE, vec![1; 16]),
        Chain::default().with(payload::IDENTIFICATION, id.clone()),
        Chain::default().with(payload::HASH, hash.clone()),
        Chain::default()
            .with(payload::IDENTIFICATION, id.clone())
            .with(payload::HASH, Vec::new()),
        Chain::default()
            .with(payload::IDENTIFICATION, id.clone())
            .with(payload::HASH, hash[..10].to_vec()),
        Chain::default()
            .with(payload::IDENTIFICATION, id.clone())
            .with(payload::IDENTIFICATION, id.clone())
            .with(payload::HASH, hash.clone()),
    ] {
        assert!(pair.message_5(&chain).is_err(), "{chain:?}");
        assert!(!pair.established());
    }
}

#[test]
fn cve_2004_0155_certificates_and_signatures_change_nothing() {
    let certificate = |chain: Chain| {
        chain
            .with(6, vec![4; 200])
            .with(7, vec![4])
            .with(9, vec![1; 128])
    };
    let (mut pair, _) = awaiting_message_5();
    let id = Identity::Fqdn(b"client".to_vec()).payload(0, 0);
    let hash = pair.hash_i(&id);
    let named = Chain::default().with(payload::IDENTIFICATION, id);
    assert!(pair.message_5(&certificate(named.clone())).is_err());
    let wrong = named.clone().with(payload::HASH, vec![0; hash.len()]);
    assert!(pair.message_5(&certificate(wrong)).is_err());
    assert!(!pair.established());
    let right = named.with(payload::HASH, hash);
    pair.message_5(&certificate(right)).unwrap();
    assert!(pair.established());
}

/// Those that are not understood are bytes; those that are have their lengths.
#[test]
fn cve_2013_6075_short_identities_of_all_types() {
    for kind in 0..=255_u8 {
        for length in 0..=20 {
            let (mut pair, _) = awaiting_message_5();
            let mut id = vec![kind, 0, 0, 0];
            id.resize(4 + length, b'a');
            let hash = pair.hash_i(&id);
            let chain = Chain::default()
                .with(payload::IDENTIFICATION, id)
                .with(payload::HASH, hash);
            let fits = match kind {
                1 => length == 4,
                4 => length == 8,
                5 => length == 16,
                6 => length == 32,
                _ => true,
            };
            assert_eq!(pair.message_5(&chain).is_ok(), fits, "{kind} {length}");
            if kind > 14 && kind < 250 {
                break;
            }
        }
    }
}

#[test]
fn cve_2004_0184_identities_without_their_fixed_part() {
    for length in 0..4 {
        let (mut pair, _) = awaiting_message_5();
        let id = vec![1; length];
        let hash = pair.hash_i(&id);
        let chain = Chain::default()
            .with(payload::IDENTIFICATION, id)
            .with(payload::HASH, hash);
        assert!(pair.message_5(&chain).is_err(), "{length}");
        assert!(!pair.established());
    }
}

/// The other side's value in message 3, as responder, and in message 4, as initiator.
fn accepts(group: Group, public: &[u8]) -> [bool; 2] {
    let word = group.to_string().to_lowercase().replace('_', "");
    let suite = format!("aes128-sha1-{word}");
    let exchange = Chain::default()
        .with(payload::KEY_EXCHANGE, public)
        .with(payload::NONCE, vec![7; 16]);
    let mut pair = Pair::idle();
    let path = swap(Pair::path());
    let mut one = clear([7; 8], [0; 8], &first(&[&suite]));
    pair.server
        .handle_datagram(pair.now, path, &mut one)
        .unwrap();
    let reply = pair.server.poll_transmit().unwrap().payload;
    let cookie = reply[8..16].try_into().unwrap();
    let mut three = clear([7; 8], cookie, &exchange);
    let _ = pair.server.handle_datagram(pair.now, path, &mut three);
    let as_responder = pair.server.poll_transmit().is_some();
    assert!(as_responder || pair.server.sas.values().all(|sa| sa.keys.is_none()));

    let mut peer = Peer::new(PresharedKey::new(PSK));
    peer.proposals = vec![suite.parse().unwrap()];
    pair.client.connect(pair.now, Pair::path(), peer).unwrap();
    let one = pair.client.poll_transmit().unwrap().payload;
    let own = one[..8].try_into().unwrap();
    let mut two = clear(own, [9; 8], &first(&[&suite]));
    let handled = pair
        .client
        .handle_datagram(pair.now, Pair::path(), &mut two);
    handled.unwrap();
    assert!(pair.client.poll_transmit().is_some());
    let mut four = clear(own, [9; 8], &exchange);
    let _ = pair
        .client
        .handle_datagram(pair.now, Pair::path(), &mut four);
    [as_responder, pair.client.poll_transmit().is_some()]
}

fn good(group: Group) -> Vec<u8> {
    let key = crypto::private_key(group, &mut seeded(3));
    crypto::public(group, &key).unwrap()
}

#[test]
fn cve_2015_3240_modular_public_values_at_their_limits() {
    for group in Group::ALL {
        let Some(prime) = crypto::prime(group) else {
            continue;
        };
        assert_eq!(accepts(group, &good(group)), [true; 2], "{group}");
        let mut two = vec![0; prime.len()];
        *two.last_mut().unwrap() = 2;
        assert_eq!(accepts(group, &two), [true; 2], "2 is a public value");
        let add = |n: u8| {
            let mut value = prime.clone();
            let (mut carry, mut first) = (u16::from(n), true);
            for byte in value.iter_mut().rev() {
                // p + n - 1
                let sum = u16::from(*byte) + carry;
                let sum = if first { sum - 1 } else { sum };
                first = false;
                (*byte, carry) = (sum.to_be_bytes()[1], sum >> 8);
            }
            value
        };
        let small = |n: u8| [&vec![0; prime.len() - 1][..], &[n]].concat();
        for bad in [
            small(0),
            small(1),
            add(0),
            add(1),
            add(2),
            vec![0xff; prime.len()],
            good(group)[1..].to_vec(),
            [&[0][..], &good(group)].concat(),
            Vec::new(),
            vec![1; 4000],
        ] {
            assert_eq!(accepts(group, &bad), [false; 2], "{group} {bad:x?}");
        }
    }
}

#[test]
fn cve_2026_35332_points_that_are_none() {
    for group in [Group::Ecp256, Group::Ecp384, Group::Ecp521] {
        let good = good(group);
        assert_eq!(accepts(group, &good), [true; 2], "{group}");
        let half = group.public_length() / 2;
        let mut off = good.clone();
        off[half - 1] ^= 1;
        let mut other = good.clone();
        *other.last_mut().unwrap() ^= 1;
        let swapped = [&good[half..], &good[..half]].concat();
        for bad in [
            // Infinity has no coordinates; this is what some write for it.
            vec![0; group.public_length()],
            off,
            other,
            swapped,
            vec![0xff; group.public_length()],
            // Compressed, with SEC1's form byte, X alone, cut, empty.
            [&[2][..], &good[..half]].concat(),
            [&[4][..], &good].concat(),
            good[..half].to_vec(),
            good[1..].to_vec(),
            vec![0],
            Vec::new(),
        ] {
            assert_eq!(accepts(group, &bad), [false; 2], "{group} {bad:x?}");
        }
    }
}

/// Windows says with a vendor ID that it has no other ISAKMP SA; it may have ESP SAs all the same.
#[test]
fn vid_initial_contact_counts_after_authentication_and_spares_esp() {
    let contact = 0x26244d38_eddb61b3_172a36e3_d0cfb819_u128;
    for says_so in [true, false] {
        let mut pair = Pair::new(1);
        let mut config = (*pair.client.config).clone();
        config.habits.initial_contact = false;
        let mut all = vec![natt::Dialect::Rfc3947.vendor_id().to_vec()];
        all.extend(says_so.then(|| contact.to_be_bytes().to_vec()));
        config.habits.vendor_ids = Some(all);
        pair.client.config = Arc::new(config);
        pair.connect(1);
        pair.run();
        let sas = if says_so { 1 } else { 2 };
        assert_eq!(pair.alive(), (sas, 2));
        let ended = |e: &Event| matches!(e, Event::Closed { reason, .. } if *reason == CloseReason::InitialContact);
        assert_eq!(pair.events.iter().any(ended), says_so);
        // The older ESP SA can still be deleted, over the newer ISAKMP SA.
        let older = pair.child().child;
        pair.server.close_child(pair.now, older);
        assert!(pair.server.poll_transmit().is_some());
    }
}

/// "Never" is a lifetime that an owner may want; a peer that names none does not have it overflow.
#[test]
fn a_lifetime_without_end_is_none_too_long() {
    let mut pair = Pair::idle();
    let mut config = (*pair.server.config).clone();
    config.policy.phase1_lifetime = Duration::MAX;
    pair.server.config = Arc::new(config);
    pair.connect(0);
    let sa = pair.client.sas.values_mut().next().unwrap();
    let message = &mut pair.client.transmits[0].payload;
    for bytes in [message, &mut sa.handshake().sa_body] {
        let duration = bytes.windows(4).position(|b| b == [0, 12, 0, 4]).unwrap();
        // An attribute that nobody knows.
        bytes[duration + 1] = 60;
    }
    pair.run();
    assert!(pair.established());
}
