//! What a peer that holds the keys can try, after the published vulnerabilities of others.

use super::*;
use crate::config::Selector;
use crate::event::ChildSa;
use crate::secret::PresharedKey;
use crate::wire::{
    Chain, ExchangeType, Flags, Header, Identity, Notify, ProposalOut, delete_payload,
    notify_payload, payload, sa_payload, tlv, transform, tv,
};
use crate::{PeerMatch, Policy};
use simnet::seeded;

const PSK: &str = "test";

/// A client and a server, established, without a network between them.
struct Pair {
    now: Instant,
    client: Endpoint,
    server: Endpoint,
    events: Vec<Event>,
}

fn swap(path: Path) -> Path {
    Path {
        local: path.remote,
        remote: path.local,
    }
}

impl Pair {
    fn new(children: usize) -> Self {
        let mut config = Config::new(vec![(PeerMatch::Any, PresharedKey::new(PSK))]);
        config.policy = Policy::legacy_xp();
        let endpoint =
            |seed| Endpoint::new(Arc::new(config.clone()), Box::new(seeded(seed))).unwrap();
        #[allow(
            clippy::disallowed_methods,
            reason = "a test starts its virtual clock somewhere"
        )]
        let now = Instant::now();
        let mut pair = Self {
            now,
            client: endpoint(1),
            server: endpoint(2),
            events: Vec::new(),
        };
        let mut peer = Peer::new(PresharedKey::new(PSK));
        peer.proposals = vec!["aes128-sha1-ecp256".parse().unwrap()];
        peer.children.truncate(children);
        pair.client.connect(now, Self::path(), peer).unwrap();
        pair.run();
        assert_eq!(pair.server.sas.len(), 1);
        assert_eq!(pair.server.children.len(), children);
        pair
    }

    fn path() -> Path {
        Path {
            local: "192.0.2.1:500".parse().unwrap(),
            remote: "192.0.2.2:500".parse().unwrap(),
        }
    }

    fn run(&mut self) {
        loop {
            let mut idle = true;
            while let Some(mut t) = self.client.poll_transmit() {
                let _ = self
                    .server
                    .handle_datagram(self.now, swap(t.path), &mut t.payload);
                idle = false;
            }
            while let Some(mut t) = self.server.poll_transmit() {
                let _ = self
                    .client
                    .handle_datagram(self.now, swap(t.path), &mut t.payload);
                idle = false;
            }
            while let Some(event) = self.server.poll_event() {
                self.events.push(event);
            }
            if idle {
                break;
            }
        }
    }

    /// The server gets a message with a right HASH over `chain`.
    fn protected(&mut self, exchange: ExchangeType, id: u32, chain: Chain) -> Result<(), Error> {
        let sa = self.client.sas.values().next().unwrap();
        let iv = sa.keys.as_ref().unwrap().iv(id);
        let (mut message, _) = Endpoint::seal_phase2(sa, exchange, id, &iv, &[], chain).unwrap();
        self.server
            .handle_datagram(self.now, swap(Self::path()), &mut message)
    }

    fn inform(&mut self, chain: Chain) -> Result<(), Error> {
        self.protected(ExchangeType::Informational, 77, chain)
    }

    fn cookies(&self) -> Vec<u8> {
        let sa = self.server.sas.values().next().unwrap();
        [sa.cookies.initiator, sa.cookies.responder].concat()
    }

    /// A message in the clear with the cookies of the SA.
    fn plain(&mut self, exchange: ExchangeType, chain: &Chain) -> Result<(), Error> {
        let sa = self.client.sas.values().next().unwrap();
        let header = sa.header(exchange, 99, Flags::NONE, chain.first());
        let mut message = header.encode(&chain.encode());
        self.server
            .handle_datagram(self.now, swap(Self::path()), &mut message)
    }

    fn child(&self) -> ChildSa {
        let child = |e: &Event| match e {
            Event::ChildEstablished(child) => Some(*child.clone()),
            _ => None,
        };
        self.events.iter().find_map(child).unwrap()
    }

    fn alive(&self) -> (usize, usize) {
        (self.server.sas.len(), self.server.children.len())
    }
}

fn delete(protocol: u8, spi: &[u8]) -> Chain {
    Chain::default().with(payload::DELETE, delete_payload(protocol, spi))
}

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
    let mut good = Endpoint::seal_phase2(
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
    let mut ask = |sequence: u32, port: u16| {
        let body = notify_payload(&Notify {
            protocol: 1,
            kind: Notify::R_U_THERE,
            spi: &cookies,
            data: &sequence.to_be_bytes(),
        });
        let sa = pair.client.sas.values().next().unwrap();
        let chain = Chain::default().with(payload::NOTIFICATION, body);
        let iv = sa.keys.as_ref().unwrap().iv(sequence);
        let mut message =
            Endpoint::seal_phase2(sa, ExchangeType::Informational, sequence, &iv, &[], chain)
                .unwrap()
                .0;
        let mut path = swap(Pair::path());
        path.remote.set_port(port);
        pair.server
            .handle_datagram(pair.now, path, &mut message)
            .unwrap();
        pair.server.sas.values().next().unwrap().path.remote.port()
    };
    assert_eq!(ask(10, 501), 501);
    assert_eq!(ask(11, 502), 502);
    assert_eq!(ask(10, 503), 502, "an old one was sent again");
    assert_eq!(ask(11, 504), 502);
}

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

#[test]
fn cve_2014_2143_a_spoofed_first_message_leaves_the_live_sa_alone() {
    let mut pair = Pair::new(1);
    let body = crate::select::offer_phase1(&["aes128-sha1-ecp256".parse().unwrap()], 3600);
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
