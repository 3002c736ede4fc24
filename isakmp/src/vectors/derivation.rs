//! SKEYID, its children, key expansion, HASH_R.

use crate::crypto::prf;
use crate::keys::{Cookies, Exchanged, Keys, expand, skeyid_step, stretch};
use crate::secret::Secret;
use crate::suite::{AesKeySize, Cipher, Group, Hash, Phase1Suite};
use simnet::corpus::{cases, field, text, unhex};

#[test]
fn nist_ikev1_psk_key_derivation() {
    let Some(text) = text("vectors/nist-cavs/ikev1_psk.fax") else {
        return;
    };
    let mut count = 0;
    for case in cases(&text) {
        let hash = match case["section"].as_str() {
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

/// NSS's collection: some of NIST, some of its own making.
#[test]
fn nss_prf_steps_and_expansions() {
    let Some(text) = text("vectors/ike/nss-ike-prf.json") else {
        return;
    };
    let mut counts = std::collections::BTreeMap::new();
    for case in text.split('{').skip(1) {
        let get = |name| field(case, name).unwrap();
        let hash = match get("prf").as_str() {
            "sha1" => Hash::Sha1,
            "sha256" => Hash::Sha256,
            "sha384" => Hash::Sha384,
            "sha512" => Hash::Sha512,
            // AES-XCBC was never a PRF of IKEv1's registry.
            _ => continue,
        };
        let hex = |name| unhex(&get(name));
        let length: usize = get("size").parse().unwrap();
        let key = Secret::new(hex("ikm"));
        let (ni, nr) = (hex("ni"), hex("nr"));
        let out = match get("type").as_str() {
            // Signatures: the nonces are the key.
            "ikeGxy" => prf(hash, &[ni, nr].concat(), &[key.as_bytes()]),
            "ikeV1Psk" => prf(hash, key.as_bytes(), &[&ni, &nr]),
            "ikeV1" => {
                let cookies = Cookies {
                    initiator: ni.try_into().unwrap(),
                    responder: nr.try_into().unwrap(),
                };
                let n = get("key_number").parse().unwrap();
                skeyid_step(hash, &key, &hex("prev"), &hex("gxy"), &cookies, n)
            }
            "ikeV1AppB" => stretch(hash, &key, length),
            // The seed is one zero byte, written as one digit.
            "ikeV1AppBQuick" => expand(hash, &key, &[&[0]], length),
            _ => continue,
        };
        let published = hex("okm");
        if get("valid") == "true" {
            assert_eq!(out.as_bytes(), published, "{case}");
        } else {
            assert_ne!(out.as_bytes(), published, "{case}");
        }
        *counts.entry(get("type")).or_insert(0) += 1;
    }
    let counts: Vec<_> = counts.into_values().collect();
    assert_eq!(
        counts,
        [8, 12, 12, 12, 4],
        "ikeGxy, ikeV1, ikeV1AppB, ikeV1AppBQuick, ikeV1Psk"
    );
}

/// Aggressive mode's `HASH_R` is made as main mode's.
#[test]
fn published_check_values_of_known_keys() {
    let Some(text) = text("vectors/ike/ike-psk-hashes.txt") else {
        return;
    };
    let mut count = 0;
    for line in text.lines().filter(|l| !l.starts_with('#')) {
        let columns: Vec<_> = line.split('\t').collect();
        let [fields, hash, psk] = columns[..] else {
            panic!("{line}")
        };
        let fields: Vec<_> = fields.split(':').map(unhex).collect();
        let [gr, gi, cky_r, cky_i, sa, id, ni, nr, hash_r] = &fields[..] else {
            panic!("{line}")
        };
        let cookie = |bytes: &Vec<u8>| <[u8; 8]>::try_from(&bytes[..]).unwrap();
        let cookies = Cookies {
            initiator: cookie(cky_i),
            responder: cookie(cky_r),
        };
        let exchanged = Exchanged {
            cookies,
            initiator_nonce: ni,
            responder_nonce: nr,
            initiator_public: gi,
            responder_public: gr,
        };
        let suite = Phase1Suite {
            cipher: Cipher::TripleDes,
            hash: match hash {
                "md5" => Hash::Md5,
                "sha1" => Hash::Sha1,
                other => panic!("{other}"),
            },
            group: Group::Modp1024,
        };
        let expected = |psk: &[u8]| {
            // HASH_R does not depend on g^xy.
            let keys = Keys::derive(suite, psk, &[], &exchanged);
            let publics = [&gr[..], &gi[..]];
            keys.main_hash(publics, [&cookies.responder, &cookies.initiator], sa, id)
        };
        assert_eq!(expected(psk.as_bytes()).as_bytes(), hash_r, "{psk}");
        assert_ne!(expected(b"another").as_bytes(), hash_r, "{psk}");
        count += 1;
    }
    assert_eq!(count, 7);
}
