//! Published test vectors, read in place.

use crate::crypto;
use crate::keys::{Cookies, Exchanged, Keys};
use crate::secret::Secret;
use crate::suite::{AesKeySize, Cipher, Group, Hash, Phase1Suite};
use crate::wire::{Header, Message, payload};
use std::path::{Path, PathBuf};

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let digit = |d: u8| char::from(d).to_digit(16).unwrap() as u8;
    digits
        .chunks_exact(2)
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect()
}

fn corpus(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/corpus")
        .join(name);
    if path.exists() {
        return Some(path);
    }
    #[allow(clippy::print_stderr, reason = "a skipped test says so")]
    {
        eprintln!("skipped: no {name}");
    }
    None
}

/// `ISAKMP` messages of a pcapng file with Ethernet, IPv4, UDP port 500.
fn messages(file: &[u8]) -> Vec<Vec<u8>> {
    let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize;
    let mut out = Vec::new();
    let mut at = 0;
    while at + 12 <= file.len() {
        let (kind, length) = (word(at), word(at + 4));
        if kind == 6 {
            let frame = &file[at + 28..at + 28 + word(at + 20)];
            let ip = &frame[14..];
            let header = usize::from(ip[0] & 15) * 4;
            if ip[9] == 17 {
                out.push(ip[header + 8..].to_vec());
            }
        }
        at += length;
    }
    out
}

/// Lines `name = value` of a NIST file, case by case.
fn cases(text: &str) -> Vec<std::collections::BTreeMap<String, String>> {
    let mut out: Vec<std::collections::BTreeMap<_, _>> = Vec::new();
    let mut hash = String::new();
    for line in text.lines() {
        if line.starts_with("[SHA") {
            hash = line.trim().to_owned();
        }
        let Some((name, value)) = line.split_once(" = ") else {
            continue;
        };
        if name == "COUNT" {
            out.push([("hash".to_owned(), hash.clone())].into());
        } else if let Some(case) = out.last_mut() {
            case.insert(name.trim().to_owned(), value.trim().to_owned());
        }
    }
    out
}

#[test]
fn nist_ikev1_psk_key_derivation() {
    let Some(path) = corpus("vectors/nist-cavs/ikev1_psk.fax") else {
        return;
    };
    let text = std::fs::read_to_string(path).unwrap();
    let mut count = 0;
    for case in cases(&text) {
        let hash = match case["hash"].as_str() {
            "[SHA-1]" => Hash::Sha1,
            "[SHA-256]" => Hash::Sha256,
            "[SHA-384]" => Hash::Sha384,
            "[SHA-512]" => Hash::Sha512,
            _ => continue,
        };
        if !case.contains_key("SKEYID_e") {
            continue;
        }
        let field = |name: &str| unhex(&case[name]);
        let suite = Phase1Suite {
            cipher: Cipher::AesCbc(AesKeySize::Aes128),
            hash,
            group: Group::Modp2048,
        };
        let exchanged = Exchanged {
            cookies: Cookies {
                initiator: field("CKY_I").try_into().unwrap(),
                responder: field("CKY_R").try_into().unwrap(),
            },
            initiator_nonce: &field("Ni"),
            responder_nonce: &field("Nr"),
            initiator_public: &[],
            responder_public: &[],
        };
        let keys = Keys::derive(suite, &field("pre-shared-key"), &field("g^xy"), &exchanged);
        let [skeyid, d, a] = keys.secrets();
        assert_eq!(skeyid.as_bytes(), field("SKEYID"));
        assert_eq!(d.as_bytes(), field("SKEYID_d"));
        assert_eq!(a.as_bytes(), field("SKEYID_a"));
        assert_eq!(keys.encryption().as_bytes(), &field("SKEYID_e")[..16]);
        count += 1;
    }
    assert!(count >= 40, "{count} cases");
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

/// RFC 5903 section 8: private keys, both public values, shared secret (x only).
#[test]
fn rfc_5903_groups_19_20_21() {
    let cases = [
        (
            Group::Ecp256,
            "C88F01F510D9AC3F70A292DAA2316DE544E9AAB8AFE84049C62A9C57862D1433",
            "DAD0B65394221CF9B051E1FECA5787D098DFE637FC90B9EF945D0C37725811805271A0461CDB8252D61F1C456FA3E59AB1F45B33ACCF5F58389E0577B8990BB3",
            "C6EF9C5D78AE012A011164ACB397CE2088685D8F06BF9BE0B283AB46476BEE53",
            "D12DFB5289C8D4F81208B70270398C342296970A0BCCB74C736FC7554494BF6356FBF3CA366CC23E8157854C13C58D6AAC23F046ADA30F8353E74F33039872AB",
            "D6840F6B42F6EDAFD13116E0E12565202FEF8E9ECE7DCE03812464D04B9442DE",
        ),
        (
            Group::Ecp384,
            "099F3C7034D4A2C699884D73A375A67F7624EF7C6B3C0F160647B67414DCE655E35B538041E649EE3FAEF896783AB194",
            "667842D7D180AC2CDE6F74F37551F55755C7645C20EF73E31634FE72B4C55EE6DE3AC808ACB4BDB4C88732AEE95F41AA9482ED1FC0EEB9CAFC4984625CCFC23F65032149E0E144ADA024181535A0F38EEB9FCFF3C2C947DAE69B4C634573A81C",
            "41CB0779B4BDB85D47846725FBEC3C9430FAB46CC8DC5060855CC9BDA0AA2942E0308312916B8ED2960E4BD55A7448FC",
            "E558DBEF53EECDE3D3FCCFC1AEA08A89A987475D12FD950D83CFA41732BC509D0D1AC43A0336DEF96FDA41D0774A3571DCFBEC7AACF3196472169E838430367F66EEBE3C6E70C416DD5F0C68759DD1FFF83FA40142209DFF5EAAD96DB9E6386C",
            "11187331C279962D93D604243FD592CB9D0A926F422E47187521287E7156C5C4D603135569B9E9D09CF5D4A270F59746",
        ),
        (
            Group::Ecp521,
            "0037ADE9319A89F4DABDB3EF411AACCCA5123C61ACAB57B5393DCE47608172A095AA85A30FE1C2952C6771D937BA9777F5957B2639BAB072462F68C27A57382D4A52",
            "0015417E84DBF28C0AD3C278713349DC7DF153C897A1891BD98BAB4357C9ECBEE1E3BF42E00B8E380AEAE57C2D107564941885942AF5A7F4601723C4195D176CED3E017CAE20B6641D2EEB695786D8C946146239D099E18E1D5A514C739D7CB4A10AD8A788015AC405D7799DC75E7B7D5B6CF2261A6A7F1507438BF01BEB6CA3926F9582",
            "0145BA99A847AF43793FDD0E872E7CDFA16BE30FDC780F97BCCC3F078380201E9C677D600B343757A3BDBF2A3163E4C2F869CCA7458AA4A4EFFC311F5CB151685EB9",
            "00D0B3975AC4B799F5BEA16D5E13E9AF971D5E9B984C9F39728B5E5739735A219B97C356436ADC6E95BB0352F6BE64A6C2912D4EF2D0433CED2B6171640012D9460F015C68226383956E3BD066E797B623C27CE0EAC2F551A10C2C724D9852077B87220B6536C5C408A1D2AEBB8E86D678AE49CB57091F4732296579AB44FCD17F0FC56A",
            "01144C7D79AE6956BC8EDB8E7C787C4521CB086FA64407F97894E5E6B2D79B04D1427E73CA4BAA240A34786859810C06B3C715A3A8CC3151F2BEE417996D19F3DDEA",
        ),
    ];
    for (group, private_a, public_a, private_b, public_b, shared) in cases {
        let [private_a, public_a, private_b, public_b, shared] =
            [private_a, public_a, private_b, public_b, shared].map(unhex);
        for (private, public, peer) in [
            (private_a, &public_a, &public_b),
            (private_b, &public_b, &public_a),
        ] {
            let exchange = crypto::run(group, &Secret::new(private), Some(peer)).unwrap();
            assert_eq!(exchange.public, *public, "{group}");
            assert_eq!(exchange.shared.unwrap().as_bytes(), shared, "{group}");
        }
    }
}

#[test]
fn wycheproof_invalid_points_are_refused_and_secrets_right() {
    let mut count = 0;
    for (group, name) in [(Group::Ecp256, "256"), (Group::Ecp384, "384")] {
        let Some(path) = corpus(&format!(
            "vectors/wycheproof/ecdh_secp{name}r1_ecpoint_test.json"
        )) else {
            return;
        };
        let text = std::fs::read_to_string(path).unwrap();
        let field = |case: &str, name: &str| -> Option<String> {
            let (_, rest) = case.split_once(&format!("\"{name}\""))?;
            Some(rest.split('"').nth(1)?.to_owned())
        };
        for case in text.split("\"tcId\"").skip(1) {
            let get = |name| field(case, name).unwrap_or_default();
            let public = unhex(&get("public"));
            // Compressed forms do not exist in IKE.
            let Some((4, point)) = public.split_first() else {
                continue;
            };
            let mut private = unhex(&get("private"));
            while private.len() > group.public_len() / 2 && private[0] == 0 {
                private.remove(0);
            }
            while private.len() < group.public_len() / 2 {
                private.insert(0, 0);
            }
            let shared =
                crypto::run(group, &Secret::new(private), Some(point)).and_then(|e| e.shared);
            if get("result") == "invalid" {
                assert!(shared.is_none(), "{case}");
            } else if let Some(shared) = shared {
                assert_eq!(shared.as_bytes(), unhex(&get("shared")), "{case}");
            } else {
                assert_eq!(get("result"), "acceptable", "{case}");
            }
            count += 1;
        }
    }
    assert!(count > 300, "{count}");
}

#[test]
fn modp_public_values_agree_and_trivial_ones_are_refused() {
    let mut rng = simnet::seeded(1);
    for group in Group::ALL.into_iter().filter(|g| g.id() < 19) {
        let [a, b] = [(); 2].map(|()| crypto::private_key(group, &mut rng));
        let public = |key| crypto::run(group, key, None).unwrap().public;
        let (pa, pb) = (public(&a), public(&b));
        assert_eq!(
            (pa.len(), pb.len()),
            (group.public_len(), group.public_len())
        );
        let shared =
            |key, peer: &[u8]| crypto::run(group, key, Some(peer)).unwrap().shared.unwrap();
        assert_eq!(shared(&a, &pb).as_bytes(), shared(&b, &pa).as_bytes());
        let prime = crypto::prime(group).unwrap();
        let small = |n: u8| {
            let mut value = vec![0; group.public_len()];
            *value.last_mut().unwrap() = n;
            value
        };
        let mut below = prime.clone();
        *below.last_mut().unwrap() -= 1;
        let mut above = prime.clone();
        for byte in above.iter_mut().rev() {
            *byte = byte.wrapping_add(1);
            if *byte != 0 {
                break;
            }
        }
        let short = pa[1..].to_vec();
        let long = [&[0][..], &pa].concat();
        for bad in [
            small(0),
            small(1),
            below,
            prime,
            above,
            vec![0xff; group.public_len()],
            short,
            long,
            Vec::new(),
        ] {
            assert!(crypto::run(group, &a, Some(&bad)).is_none(), "{group}");
        }
    }
}
