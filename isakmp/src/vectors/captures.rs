//! Captured exchanges whose keys are known.

use super::{corpus, unhex};
use crate::keys::{Cookies, Exchanged, Keys};
use crate::suite::{Hash, Phase1Suite};
use crate::wire::{Header, Message, payload};
use std::collections::{BTreeMap, BTreeSet};

/// Frames of a pcapng or pcap file.
fn frames(file: &[u8]) -> Vec<&[u8]> {
    let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize;
    let mut out = Vec::new();
    if word(0) == 0xa1b2_c3d4 {
        let mut at = 24;
        while at + 16 <= file.len() {
            let end = at + 16 + word(at + 8);
            out.push(&file[at + 16..end]);
            at = end;
        }
        return out;
    }
    let mut at = 0;
    while at + 12 <= file.len() {
        // Enhanced packet blocks.
        if word(at) == 6 {
            out.push(&file[at + 28..at + 28 + word(at + 20)]);
        }
        at += word(at + 4);
    }
    out
}

/// ISAKMP messages of a file with Ethernet, IPv4, UDP port 500.
fn messages(file: &[u8]) -> Vec<Vec<u8>> {
    let udp = frames(file).into_iter().map(|frame| &frame[14..]);
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
        corpus("isakmp/rub-mm-psk-complete.pcapng"),
        corpus("isakmp/rub-mm-psk-complete.keys.log"),
    ) else {
        return;
    };
    let messages = messages(&std::fs::read(capture).unwrap());
    let log = std::fs::read_to_string(log).unwrap();
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
    }
}

/// What is known of the plaintext of an encrypted message: its payloads, the start of its HASH.
type Known = (&'static [u8], &'static str);

/// Decrypts a whole connection with nothing but Ka, each exchange with an IV chain of its own.
fn decrypt_all(name: &str, suite: &str, ka: &str, known: &[Known]) {
    let Some(path) = corpus(name) else { return };
    let suite: Phase1Suite = suite.parse().unwrap();
    let hash_len = if suite.hash == Hash::Md5 { 16 } else { 32 };
    let messages = messages(&std::fs::read(path).unwrap());
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
        let found = inner.only(payload::HASH);
        if let Some(found) = found {
            assert_eq!(found.len(), hash_len);
        }
        assert!(found.unwrap_or_default().starts_with(&unhex(hash)));
    }
    assert!(known.next().is_none());
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
    decrypt_all(
        "isakmp/wireshark-mm-xauth-qm.pcapng",
        "aes256-sha256-modp1024",
        "928392441e00ece5e8af3bc545416e86afa1291e7c013271514738b70ef25d22",
        &known,
    );
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
