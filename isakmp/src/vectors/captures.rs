//! Captured exchanges whose keys are known.

use crate::habits::Style;
use crate::keys::{Cookies, Exchanged, Keys};
use crate::offer::ChildOffer;
use crate::policy::Lifetime;
use crate::suite::{Hash, Phase1Suite};
use crate::wire::{Header, Message, payload};
use simnet::corpus::{self, unhex};
use std::collections::{BTreeMap, BTreeSet};

/// ISAKMP messages of a file with Ethernet, IPv4, UDP port 500.
fn messages(file: &[u8]) -> Vec<Vec<u8>> {
    let udp = simnet::frames(file).into_iter().map(|f| &f.bytes[14..]);
    let udp = udp.filter(|ip| ip[9] == 17);
    udp.map(|ip| {
        let udp = &ip[usize::from(ip[0] & 15) * 4..];
        let length = usize::from(u16::from_be_bytes([udp[4], udp[5]]));
        udp[8..length].to_vec()
    })
    .collect()
}

#[test]
fn a_captured_main_and_quick_mode_decrypts_and_verifies() {
    let (Some(capture), Some(log)) = (
        corpus::read("isakmp/rub-mm-psk-complete.pcapng"),
        corpus::text("isakmp/rub-mm-psk-complete.keys.log"),
    ) else {
        return;
    };
    let messages = messages(&capture);
    let shared: String = log.lines().skip(2).take(8).collect();
    let parse = |index: usize| {
        let (header, body) = Header::parse(&messages[index]).unwrap();
        (header, body.to_vec())
    };
    let plain = |index: usize| {
        let (header, body) = parse(index);
        let message = Message::parse(header.next_payload, &body).unwrap();
        let get = |kind| message.only(kind).map(<[u8]>::to_vec);
        (
            get(payload::SA),
            get(payload::KEY_EXCHANGE),
            get(payload::NONCE),
        )
    };
    let sa_body = plain(0).0.unwrap();
    let (gi, ni) = (plain(2).1.unwrap(), plain(2).2.unwrap());
    let (gr, nr) = (plain(3).1.unwrap(), plain(3).2.unwrap());
    let header = parse(3).0;
    let cookies = Cookies {
        initiator: header.initiator_cookie,
        responder: header.responder_cookie,
    };
    let exchanged = Exchanged {
        cookies,
        initiator_nonce: &ni,
        responder_nonce: &nr,
        initiator_public: &gi,
        responder_public: &gr,
    };
    let suite = "aes128-sha1-modp1024".parse().unwrap();
    let mut keys = Keys::derive(suite, b"Wollowitz", &unhex(&shared), &exchanged);
    assert_eq!(
        keys.encryption().as_bytes(),
        unhex("4f8e6565f454ccc77de9c313fc206fe9")
    );
    let sides = [
        ([&gi[..], &gr], [&cookies.initiator, &cookies.responder]),
        ([&gr[..], &gi], [&cookies.responder, &cookies.initiator]),
    ];
    for (index, (publics, cookies)) in [4, 5].into_iter().zip(sides) {
        let (header, body) = parse(index);
        let (bytes, iv) = keys.decrypt(&keys.iv(0), &body).unwrap();
        let message = Message::parse(header.next_payload, &bytes).unwrap();
        let id = message.only(payload::IDENTIFICATION).unwrap();
        let hash = message.only(payload::HASH).unwrap();
        let expected = keys.main_hash(publics, cookies, &sa_body, id);
        assert_eq!(hash, expected.as_bytes(), "message {}", index + 1);
        keys.set_iv(iv);
    }
    // Quick mode: each message goes on with the IV of the one before.
    let id = parse(6).0.message_id.to_be_bytes();
    let mut iv = keys.iv(parse(6).0.message_id);
    let mut nonces: Vec<Vec<u8>> = Vec::new();
    for index in 6..9 {
        let (header, body) = parse(index);
        let (bytes, next) = keys.decrypt(&iv, &body).unwrap();
        iv = next;
        let message = Message::parse(header.next_payload, &bytes).unwrap();
        let first = message.first().unwrap();
        let rest = &bytes[first.end..message.len()];
        let expected = match index {
            6 => keys.phase2_hash(&[&id, rest]),
            7 => keys.phase2_hash(&[&id, &nonces[0], rest]),
            _ => keys.phase2_hash(&[&[0], &id, &nonces[0], &nonces[1]]),
        };
        assert_eq!(
            first.body,
            expected.as_bytes(),
            "quick mode message {}",
            index - 5
        );
        nonces.extend(message.only(payload::NONCE).map(<[u8]>::to_vec));
        if index == 6 {
            let sa = message.only(payload::SA).unwrap();
            assert_eq!(
                sa,
                offered_like(sa, Style::StrongSwan, 1200, &["aes128-sha256"; 2])
            );
        }
    }
}

/// What our initiator offers in a captured one's manner, with its SPI.
fn offered_like(captured: &[u8], style: Style, seconds: u32, suites: &[&str]) -> Vec<u8> {
    let suites: Vec<_> = suites.iter().map(|s| s.parse().unwrap()).collect();
    ChildOffer {
        suites: &suites,
        mode: 1,
        pfs: None,
        lifetime: Lifetime {
            seconds,
            kilobytes: None,
        },
        spi: u32::from_be_bytes(captured[16..20].try_into().unwrap()),
        style,
        unsupported: false,
    }
    .payload()
}

/// What is known of the plaintext of an encrypted message: its payloads, the start of its HASH.
type Known = (&'static [u8], &'static str);

/// Decrypts a whole connection with nothing but Ka, each exchange with an IV chain of its own.
/// Gives the SA payloads of its quick modes.
fn decrypt_all(name: &str, suite: &str, ka: &str, known: &[Known]) -> Vec<Vec<u8>> {
    let Some(file) = corpus::read(name) else {
        return Vec::new();
    };
    let mut offers = Vec::new();
    let suite: Phase1Suite = suite.parse().unwrap();
    let hash_len = if suite.hash == Hash::Md5 { 16 } else { 32 };
    let messages = messages(&file);
    let publics: Vec<Vec<u8>> = messages
        .iter()
        .filter_map(|message| {
            let (header, body) = Header::parse(message).unwrap();
            let plain = !header.flags.encrypted();
            let message = plain.then(|| Message::parse(header.next_payload, body).unwrap())?;
            message.only(payload::KEY_EXCHANGE).map(<[u8]>::to_vec)
        })
        .collect();
    let [initiator, responder] = &publics[..] else {
        panic!("{} KE payloads", publics.len())
    };
    let mut keys = Keys::of_capture(suite, unhex(ka), [initiator, responder]);
    let mut ivs: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut known = known.iter();
    for message in &messages {
        let (header, body) = Header::parse(message).unwrap();
        // A retransmission does not move the IV.
        if !header.flags.encrypted() || !seen.insert(message) {
            continue;
        }
        let id = header.message_id;
        let iv = ivs.get(&id).cloned().unwrap_or_else(|| keys.iv(id));
        let (plain, next) = keys.decrypt(&iv, body).unwrap();
        if id == 0 {
            keys.set_iv(next);
        } else {
            ivs.insert(id, next);
        }
        let inner = Message::parse(header.next_payload, &plain).unwrap();
        let padding = &plain[inner.len()..];
        let counted = |last: &u8| usize::from(*last) + 1 == padding.len();
        // Racoon pads with random bytes and their number, others with zeros.
        assert!(padding.iter().all(|b| *b == 0) || padding.last().is_some_and(counted));
        let (kinds, hash) = known.next().unwrap();
        assert_eq!(inner.iter().map(|p| p.kind).collect::<Vec<_>>(), *kinds);
        offers.extend(inner.only(payload::SA).map(<[u8]>::to_vec));
        let found = inner.only(payload::HASH);
        if let Some(found) = found {
            assert_eq!(found.len(), hash_len);
        }
        assert!(found.unwrap_or_default().starts_with(&unhex(hash)));
    }
    assert!(known.next().is_none());
    offers
}

#[test]
fn a_capture_with_xauth_and_interleaved_exchanges_decrypts_with_its_key() {
    let known: [Known; 12] = [
        (&[5, 8], "1101366621ad9c45"),
        (&[5, 8], "27835427b62b510f"),
        (&[8, 14], ""),
        (&[8, 11], ""),
        (&[8, 14], ""),
        (&[8, 14], ""),
        (&[8, 14], ""),
        (&[8, 14], ""),
        (&[8, 14], ""),
        (&[8, 1, 10, 5, 5], ""),
        (&[8, 1, 10, 5, 5], ""),
        (&[8], ""),
    ];
    let offers = decrypt_all(
        "isakmp/wireshark-mm-xauth-qm.pcapng",
        "aes256-sha256-modp1024",
        "928392441e00ece5e8af3bc545416e86afa1291e7c013271514738b70ef25d22",
        &known,
    );
    let Some(sa) = offers.first() else { return };
    // An Android.
    let suites: Vec<_> = ["aes256", "aes128", "3des", "des"]
        .into_iter()
        .flat_map(|cipher| ["sha256", "sha1", "md5"].map(|hash| format!("{cipher}-{hash}")))
        .collect();
    let suites: Vec<_> = suites.iter().map(String::as_str).collect();
    assert_eq!(*sa, offered_like(sa, Style::Racoon, 28_800, &suites));
}

#[test]
fn a_capture_with_certificates_and_a_retransmission_decrypts_with_its_key() {
    let known: [Known; 5] = [
        (&[5, 6, 7, 9], ""),
        (&[5, 6, 9], ""),
        (&[8, 1, 10, 4, 5, 5], "5a32e8a56d40768d"),
        (&[8, 1, 10, 4, 5, 5], ""),
        (&[8], ""),
    ];
    decrypt_all(
        "isakmp/wireshark-ikev1-certs.pcap",
        "3des-md5-modp1024",
        "735be0cb62f82675c4f7bf8fbab9b56834ba76d6ab4fa240",
        &known,
    );
}
