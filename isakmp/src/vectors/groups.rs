//! Diffie-Hellman.

use crate::crypto;
use crate::secret::Secret;
use crate::suite::{Group, Hash};
use simnet::corpus::{cases, field, text, unhex};

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
            let private = Secret::new(private);
            assert_eq!(crypto::public(group, &private), Some(public.clone()));
            let found = crypto::shared(group, &private, peer).unwrap();
            assert_eq!(found.as_bytes(), shared, "{group}");
        }
    }
}

#[test]
fn wycheproof_invalid_points_are_refused_and_secrets_right() {
    let mut count = 0;
    for (group, name) in [(Group::Ecp256, "256"), (Group::Ecp384, "384")] {
        let name = format!("vectors/wycheproof/ecdh_secp{name}r1_ecpoint_test.json");
        let Some(text) = text(&name) else {
            return;
        };
        for case in text.split("\"tcId\"").skip(1) {
            let get = |name| field(case, name).unwrap_or_default();
            let public = unhex(&get("public"));
            // Compressed forms do not exist in IKE.
            let Some((4, point)) = public.split_first() else {
                continue;
            };
            let mut private = unhex(&get("private"));
            while private.len() > group.public_length() / 2 && private[0] == 0 {
                private.remove(0);
            }
            while private.len() < group.public_length() / 2 {
                private.insert(0, 0);
            }
            let shared = crypto::shared(group, &Secret::new(private), point);
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
        let public = |key| crypto::public(group, key).unwrap();
        let (pa, pb) = (public(&a), public(&b));
        assert_eq!(
            (pa.len(), pb.len()),
            (group.public_length(), group.public_length())
        );
        let shared = |key, peer: &[u8]| crypto::shared(group, key, peer).unwrap();
        assert_eq!(shared(&a, &pb).as_bytes(), shared(&b, &pa).as_bytes());
        let prime = crypto::prime(group).unwrap();
        let small = |n: u8| {
            let mut value = vec![0; group.public_length()];
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
            vec![0xff; group.public_length()],
            short,
            long,
            Vec::new(),
        ] {
            assert!(crypto::shared(group, &a, &bad).is_none(), "{group}");
        }
    }
}

/// A curve's coordinate or key in as many bytes as IKE has for it.
fn padded(text: &str, length: usize) -> Vec<u8> {
    let mut bytes = unhex(text);
    while bytes.len() > length && bytes[0] == 0 {
        bytes.remove(0);
    }
    [vec![0; length.saturating_sub(bytes.len())], bytes].concat()
}

fn nist_curve(section: &str) -> Option<(Group, Hash)> {
    match section {
        "[EC - SHA256]" => Some((Group::Ecp256, Hash::Sha256)),
        "[ED - SHA384]" => Some((Group::Ecp384, Hash::Sha384)),
        "[EE - SHA512]" => Some((Group::Ecp521, Hash::Sha512)),
        _ => None,
    }
}

/// CAVS 17.1: cases with an answer of P agree in everything, those with F do not, in at least one
/// of: point on the curve, public value of the private key, hash of the secret.
#[test]
fn nist_kas_validity_of_the_curves() {
    let name = "vectors/nist-cavs/KASValidityTest_ECCEphemeralUnified_NOKC_ZZOnly_init.fax";
    let Some(text) = text(name) else { return };
    let (mut passed, mut refused) = (0, 0);
    for case in cases(&text) {
        let Some((group, hash)) = nist_curve(&case["section"]) else {
            continue;
        };
        let length = group.public_length() / 2;
        let coordinate = |name: &str| padded(&case[name], length);
        let peer = [coordinate("QeCAVSx"), coordinate("QeCAVSy")].concat();
        let own = [coordinate("QeIUTx"), coordinate("QeIUTy")].concat();
        let private = Secret::new(coordinate("deIUT"));
        let shared = crypto::shared(group, &private, &peer);
        let agrees = shared.is_some_and(|shared| {
            let digest = crypto::hash(hash, &[shared.as_bytes()]);
            crypto::public(group, &private) == Some(own) && digest == unhex(&case["CAVSHashZZ"])
        });
        let expected = case["Result"].starts_with('P');
        assert_eq!(agrees, expected, "{group} {case:?}");
        *if expected { &mut passed } else { &mut refused } += 1;
    }
    assert_eq!((passed, refused), (72, 18));
}

/// The function test publishes no private keys: all of its points are good ones.
#[test]
fn nist_kas_points_are_accepted() {
    let name = "vectors/nist-cavs/KASFunctionTest_ECCEphemeralUnified_NOKC_ZZOnly_init.fax";
    let Some(text) = text(name) else { return };
    let mut rng = simnet::seeded(2);
    let mut count = 0;
    for case in cases(&text) {
        let Some((group, _)) = nist_curve(&case["section"]) else {
            continue;
        };
        let length = group.public_length() / 2;
        for side in ["QeCAVS", "QeIUT"] {
            let mut point = padded(&case[&format!("{side}x")], length);
            point.extend(padded(&case[&format!("{side}y")], length));
            let key = crypto::private_key(group, &mut rng);
            assert!(crypto::shared(group, &key, &point).is_some(), "{case:?}");
            *point.last_mut().unwrap() ^= 1;
            assert!(crypto::shared(group, &key, &point).is_none(), "{case:?}");
            count += 1;
        }
    }
    assert_eq!(count, 60);
}

/// Not IKE's groups, but its arithmetic.
#[test]
fn nist_kas_validity_of_modular_groups() {
    let name = "vectors/nist-cavs/KASValidityTest_FFCEphem_NOKC_ZZOnly_init.fax";
    let Some(text) = text(name) else { return };
    let mut count = 0;
    for case in cases(&text) {
        let passes = case.get("Result").is_some_and(|r| r.starts_with('P'));
        if !passes || case["section"] != "[FC - SHA256]" {
            continue;
        }
        let (private, peer) = (unhex(&case["XephemIUT"]), padded(&case["YephemCAVS"], 256));
        let shared = crypto::modular(&padded(&case["P"], 256), &private, &peer).unwrap();
        let digest = crypto::hash(Hash::Sha256, &[&shared]);
        assert_eq!(digest, unhex(&case["CAVSHashZZ"]), "{case:?}");
        count += 1;
    }
    assert!(count >= 10, "{count}");
}

/// Digits to bytes.
fn undecimal(text: &str, length: usize) -> Vec<u8> {
    let mut out = vec![0; length];
    for digit in text.bytes() {
        let mut carry = u16::from(digit - b'0');
        for byte in out.iter_mut().rev() {
            let [high, low] = (u16::from(*byte) * 10 + carry).to_be_bytes();
            (*byte, carry) = (low, high.into());
        }
        assert_eq!(carry, 0, "too long");
    }
    out
}

#[test]
fn botan_modular_groups() {
    let Some(text) = text("vectors/rfc/dh-botan-vec.txt") else {
        return;
    };
    let mut count = 0;
    for case in cases(&text) {
        let length = case["K"].len() / 2;
        let [prime, own, peer] = ["P", "X", "Y"].map(|name| undecimal(&case[name], length));
        let shared = crypto::modular(&prime, &own, &peer).unwrap();
        assert_eq!(shared, unhex(&case["K"]), "{case:?}");
        count += 1;
    }
    assert_eq!(count, 5);
}

#[test]
fn rfc_3526_primes() {
    let Some(text) = text("vectors/rfc/rfc-3526-modp-primes.txt") else {
        return;
    };
    let groups = [
        Group::Modp1536,
        Group::Modp2048,
        Group::Modp3072,
        Group::Modp4096,
    ];
    for (group, case) in groups.into_iter().zip(cases(&text)) {
        assert_eq!(crypto::prime(group), Some(unhex(&case["P"])), "{group}");
        assert_eq!(case["G"], "2");
    }
}

/// A secret that begins with zeros is as long as any other (RFC 2631 section 2.1.2).
#[test]
fn leading_zeros_of_a_secret_are_kept() {
    let mut rng = simnet::seeded(4);
    for group in [Group::Modp768, Group::Ecp256] {
        let peer = crypto::private_key(group, &mut rng);
        let peer = crypto::public(group, &peer).unwrap();
        let length = match group {
            Group::Ecp256 => group.public_length() / 2,
            _ => group.public_length(),
        };
        let found = (0..5000).any(|_| {
            let own = crypto::private_key(group, &mut rng);
            let shared = crypto::shared(group, &own, &peer).unwrap();
            assert_eq!(shared.as_bytes().len(), length, "{group}");
            shared.as_bytes()[0] == 0
        });
        assert!(found, "{group}");
    }
}

/// Twice the strength of the group, not its size (CVE-2002-20001, CVE-2022-40735).
#[test]
fn private_exponents_are_short_and_never_the_same() {
    let mut rng = simnet::seeded(5);
    for group in Group::ALL {
        let keys: Vec<_> = (0..50)
            .map(|_| crypto::private_key(group, &mut rng).as_bytes().to_vec())
            .collect();
        let lengths = keys.iter().map(Vec::len);
        assert!(lengths.clone().all(|l| (32..=66).contains(&l)), "{group}");
        let mut distinct = keys.clone();
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), keys.len());
    }
}
