//! Published vectors, through what SAs use: one packet alone, and several in lanes.

use crate::Cipher;
use crate::cipher::Engine;
use crate::integrity::{BATCH, Hasher, Signed, macs};
use crate::lanes::hash::{Key, Kind};
use crate::lanes::{level, sha512};
use simnet::corpus::{self, cases, field, unhex};

/// Both directions; encryption alone, and side by side with others.
fn cbc(cipher: Cipher, key: &[u8], iv: &[u8], plain: &[u8], encrypted: &[u8]) {
    let engine = Engine::new(level(), cipher, key).unwrap();
    let mut text = plain.to_vec();
    engine.encrypt(iv, &mut text);
    assert_eq!(text, encrypted, "{cipher:?}");
    engine.decrypt(std::iter::once((iv, &mut text[..])));
    assert_eq!(text, plain, "{cipher:?}");
    let mut lanes = vec![plain.to_vec(); 5];
    engine.encrypt_many(lanes.iter_mut().map(|text| (iv, &mut text[..])));
    assert!(lanes.iter().all(|text| text == encrypted), "{cipher:?}");
    engine.decrypt(lanes.iter_mut().map(|text| (iv, &mut text[..])));
    assert!(lanes.iter().all(|text| text == plain), "{cipher:?}");
}

/// RFC 3602 section 4: cases 1 to 4, and what is encrypted in the packets of 5 to 8.
#[test]
fn rfc_3602_aes_cbc() {
    let ping = "08090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031323334353637";
    let short = "0800b5e8a80a0500a69c083d0b660e00777777777777777777777777";
    let tunnel = "4500005409040000 4001f988c0a87b03c0a87bc8 08009f76a90a0100b49c083d02a20400";
    let long = "45000044090c00004001f990c0a87b03c0a87bc8 0800d63caa0a0200c69c083da3de0300";
    let ones = "ff".repeat(32);
    let text = |t: &str| t.bytes().map(|b| format!("{b:02x}")).collect::<String>();
    for (key, iv, plain, encrypted) in [
        (
            "06a9214036b8a15b512e03d534120006",
            "3dafba429d9eb430b422da802c9fac41",
            text("Single block msg"),
            "e353779c1079aeb82708942dbe77181a",
        ),
        (
            "c286696d887c9aa0611bbb3e2025a45a",
            "562e17996d093d28ddb3ba695a2e6f58",
            "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f".to_owned(),
            "d296cd94c2cccf8a3a863028b5e1dc0a7586602d253cfff91b8266bea6d61ab1",
        ),
        (
            "6c3ea0477630ce21a2ce334aa746c2cd",
            "c782dc4c098c66cbd9cd27d825682c81",
            text("This is a 48-byte message (exactly 3 AES blocks)"),
            "d0a02b3836451753d493665d33f0e8862dea54cdb293abc7506939276772f8d5
             021c19216bad525c8579695d83ba2684",
        ),
        (
            "56e47a38c5598974bc46903dba290349",
            "8ce82eefbea0da3c44699ed7db51b7d9",
            (0xa0..=0xdf).map(|n| format!("{n:02x}")).collect(),
            "c30e32ffedc0774e6aff6af0869f71aa0f3af07a9a31a9c684db207eb0ef8e4e
             35907aa632c3ffdf868bb7b29d3d46ad83ce9f9a102ee99d49a53e87f4c3da55",
        ),
        (
            "90d382b410eeba7ad938c46cec1a82bf",
            "e96e8c08ab465763fd098d45dd3ff893",
            format!("08000ebda70a00008e9c083db95b0700 {ping} 0102030405060708090a0b0c0d0e0e01"),
            "f663c25d325c18c6a9453e194e120849a4870b66cc6b9965330013b4898dc856
             a4699e523a55db080b59ec3a8e4b7e52775b07d1db34ed9c538ab50c551b874a
             a269add047ad2d5913ac19b7cfbad4a6",
        ),
        (
            "90d382b410eeba7ad938c46cec1a82bf",
            "69d08df7d203329db093fc4924e5bd80",
            format!("{short} 01020201"),
            "f51995881ec4e0c4488987ce742e8109689bb379d2d750c0d915dca346a89f75",
        ),
        (
            "0123456789abcdef0123456789abcdef",
            "f4e765244f6407adf13dc1380f673f37",
            format!("{tunnel} {ping} 0102030405060708090a0a04"),
            "773b5241a4c449225e4f3ce5ed611b0c237ca96cf74a93013c1b0ea1a0cf70f8
             e4ecaec78ac53aad7a0f022b859243c647752e94a859352b8a4d4d2decd136e5
             c177f132ad3fbfb2201ac9904c74ee0a109e0ca1e4dfe9d5a100b842f1c22f0d",
        ),
        (
            "0123456789abcdef0123456789abcdef",
            "85d47224b5f3dd5d2101d4ea8dffab22",
            format!("{long} {ones} 0102030405060708090a0a04"),
            "15b92683819596a8047232cc00f7048fe45318e11f8a0f62ede3c3fc61203bb5
             0f980a08c9843fd3a1b06d5c07ff9639b7eb7dfb3512e5de435e7207ed971ef3
             d2726d9b5ef6affc6d17a0decbb13892",
        ),
    ] {
        let [key, iv, plain, encrypted] = [key, iv, &plain, encrypted].map(unhex);
        cbc(Cipher::AesCbc128, &key, &iv, &plain, &encrypted);
    }
}

const AES: [(Cipher, u32); 3] = [
    (Cipher::AesCbc128, 128),
    (Cipher::AesCbc192, 192),
    (Cipher::AesCbc256, 256),
];

#[test]
fn nist_aes_cbc() {
    let mut count = 0;
    for (cipher, bits) in AES {
        for kind in ["GFSbox", "KeySbox", "VarKey", "VarTxt", "MMT"] {
            let name = format!("vectors/nist-cavs/aes-CBC{kind}{bits}.fax");
            let Some(text) = corpus::text(&name) else {
                return;
            };
            for case in cases(&text) {
                let [key, iv, plain, encrypted] =
                    ["KEY", "IV", "PLAINTEXT", "CIPHERTEXT"].map(|f| unhex(&case[f]));
                cbc(cipher, &key, &iv, &plain, &encrypted);
                count += 1;
            }
        }
    }
    assert!(count > 1000, "{count}");
}

/// A Monte Carlo test: `rounds` times one block, with what came before as the next input.
fn monte_carlo(
    cipher: Cipher,
    key: &[u8],
    [iv, input]: [&[u8]; 2],
    rounds: usize,
    encrypt: bool,
) -> Vec<u8> {
    let engine = Engine::new(level(), cipher, key).unwrap();
    let (mut input, mut output) = (input.to_vec(), iv.to_vec());
    let mut vector = iv.to_vec();
    for _ in 0..rounds {
        let mut block = input.clone();
        if encrypt {
            engine.encrypt(&vector, &mut block);
            vector.clone_from(&block);
        } else {
            engine.decrypt(std::iter::once((&vector[..], &mut block[..])));
            vector.clone_from(&input);
        }
        let before = std::mem::replace(&mut output, block);
        // NIST's test of 3DES decrypts what it has just decrypted.
        let just_made = !encrypt && cipher == Cipher::TripleDesCbc;
        input = if just_made { output.clone() } else { before };
    }
    output
}

#[test]
fn nist_aes_cbc_monte_carlo() {
    for (cipher, bits) in AES {
        let Some(text) = corpus::text(&format!("vectors/nist-cavs/aes-CBCMCT{bits}.fax")) else {
            return;
        };
        for case in cases(&text) {
            let [key, iv, plain, encrypted] =
                ["KEY", "IV", "PLAINTEXT", "CIPHERTEXT"].map(|f| unhex(&case[f]));
            let found = if case["section"] == "[ENCRYPT]" {
                (
                    monte_carlo(cipher, &key, [&iv, &plain], 1000, true),
                    encrypted,
                )
            } else {
                (
                    monte_carlo(cipher, &key, [&iv, &encrypted], 1000, false),
                    plain,
                )
            };
            assert_eq!(found.0, found.1, "{}", case["COUNT"]);
        }
    }
}

/// Of the Monte Carlo files the first cases: each is ten thousand blocks.
#[test]
fn nist_triple_des_cbc_and_des_where_the_three_keys_are_one() {
    let mut count = 0;
    for kind in [
        "MMT1", "MMT2", "MMT3", "Monte1", "Monte3", "invperm", "permop", "subtab", "varkey",
        "vartext",
    ] {
        let Some(text) = corpus::text(&format!("vectors/nist-cavs/tdes-TCBC{kind}.fax")) else {
            return;
        };
        let monte = kind.starts_with("Monte");
        for case in cases(&text) {
            if monte && case["COUNT"].parse::<u32>().unwrap() > 1 {
                continue;
            }
            let part = |name| unhex(case.get(name).unwrap_or_else(|| &case["KEYs"]));
            let parts = ["KEY1", "KEY2", "KEY3"].map(part);
            let key = parts.concat();
            let [iv, plain, encrypted] = ["IV", "PLAINTEXT", "CIPHERTEXT"].map(|f| unhex(&case[f]));
            if monte {
                let encrypt = case["section"] == "[ENCRYPT]";
                let (input, output) = if encrypt {
                    (&plain, &encrypted)
                } else {
                    (&encrypted, &plain)
                };
                let made = monte_carlo(Cipher::TripleDesCbc, &key, [&iv, input], 10_000, encrypt);
                assert_eq!(made, *output, "{kind} {}", case["COUNT"]);
            } else {
                cbc(Cipher::TripleDesCbc, &key, &iv, &plain, &encrypted);
                if parts[0] == parts[1] && parts[1] == parts[2] {
                    cbc(Cipher::DesCbc, &parts[0], &iv, &plain, &encrypted);
                }
            }
            count += 1;
        }
    }
    assert!(count > 300, "{count}");
}

fn gcm(
    key: &[u8],
    nonce: &[u8],
    aad: &[u8],
    plain: &[u8],
    encrypted: &[u8],
    tag: &[u8],
    good: bool,
) {
    let cipher = match key.len() {
        16 => Cipher::AesGcm128,
        24 => Cipher::AesGcm192,
        _ => Cipher::AesGcm256,
    };
    let (salt, iv) = nonce.split_at(4);
    let engine = Engine::new(level(), cipher, &[key, salt].concat()).unwrap();
    let mut text = encrypted.to_vec();
    assert_eq!(engine.gcm_open(iv, aad, &mut text, tag), good);
    if good {
        assert_eq!(text, plain);
        let made = engine.gcm_seal(iv, aad, &mut text).unwrap();
        assert_eq!((&text[..], &made[..]), (encrypted, tag));
    } else {
        assert_eq!(text, encrypted, "not decrypted");
    }
}

/// The specification's cases 3, 9 and 15 (McGrew and Viega, appendix B).
#[test]
fn nist_gcm_specification() {
    let key = "feffe9928665731c6d6a8f9467308308";
    let plain = unhex(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72
         1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255",
    );
    for (size, encrypted, tag) in [
        (
            16,
            "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e
             21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091473f5985",
            "4d5c2af327cd64a62cf35abd2ba6fab4",
        ),
        (
            24,
            "3980ca0b3c00e841eb06fac4872a2757859e1ceaa6efd984628593b40ca1e19c
             7d773d00c144c525ac619d18c84a3f4718e2448b2fe324d9ccda2710acade256",
            "9924a7c8587336bfb118024db8674a14",
        ),
        (
            32,
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa
             8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad",
            "b094dac5d93471bdec1a502270e3cc6c",
        ),
    ] {
        let key = unhex(&key.repeat(2))[..size].to_vec();
        let nonce = unhex("cafebabefacedbaddecaf888");
        let [encrypted, tag] = [encrypted, tag].map(unhex);
        gcm(&key, &nonce, &[], &plain, &encrypted, &tag, true);
    }
}

/// Those with what ESP uses: nonces of 12 bytes, tags of 16, and no more than 16 bytes of AAD.
#[test]
fn wycheproof_gcm() {
    let Some(text) = corpus::text("vectors/wycheproof/aes_gcm_test.json") else {
        return;
    };
    let (mut count, mut bad) = (0, 0);
    for case in text.split("\"tcId\"").skip(1) {
        let get = |name| field(case, name).unwrap();
        let [key, nonce, aad, plain, encrypted, tag] =
            ["key", "iv", "aad", "msg", "ct", "tag"].map(|name| unhex(&get(name)));
        if nonce.len() == 12 && tag.len() == 16 && aad.len() <= 16 && encrypted.len() == plain.len()
        {
            let good = get("result") == "valid";
            gcm(&key, &nonce, &aad, &plain, &encrypted, &tag, good);
            count += 1;
            bad += u32::from(!good);
        }
    }
    assert!(count > 100 && bad > 20, "{count}, {bad} of them bad");
}

/// A MAC alone, and in lanes beside its like.
fn mac(hasher: &Hasher, message: &[u8], expected: &[u8], good: bool) {
    let signed = Signed {
        packet: message,
        esn_high: None,
    };
    let length = expected.len().min(32);
    let alone = hasher.mac(signed.packet, signed.suffix());
    assert_eq!(alone[..length] == expected[..length], good);
    let mut tags = [[0; 32]; BATCH];
    let work = core::iter::repeat_n(Some((hasher, signed)), 20);
    macs(level(), &work.collect(), &mut tags);
    assert!(
        tags[..20]
            .iter()
            .all(|tag| tag[..length] == alone[..length])
    );
}

/// None for a key that HMAC would hash first: those of SAs are shorter than a block.
fn hasher(hash: &str, key: &[u8]) -> Option<Hasher> {
    let block = if ["sha384", "sha512"].contains(&hash) {
        128
    } else {
        64
    };
    if key.len() > block {
        return None;
    }
    Some(match hash {
        "md5" => Hasher::Lanes(Key::new(Kind::Md5, key)),
        "sha1" => Hasher::Lanes(Key::new(Kind::Sha1, key)),
        "sha256" => Hasher::Lanes(Key::new(Kind::Sha256, key)),
        "sha384" => Hasher::Long(sha512::Key::new(level(), sha512::Kind::Sha384, key)),
        _ => Hasher::Long(sha512::Key::new(level(), sha512::Kind::Sha512, key)),
    })
}

#[test]
fn rfc_2202_and_rfc_4231_hmac() {
    for (file, hash, cases) in [
        ("rfc-2202-md5", "md5", 5),
        ("rfc-2202-sha1", "sha1", 5),
        ("rfc-4231-sha256", "sha256", 4),
        ("rfc-4231-sha384", "sha384", 4),
        ("rfc-4231-sha512", "sha512", 4),
    ] {
        let Some(text) = corpus::text(&format!("vectors/rfc/{file}.txt")) else {
            return;
        };
        let (mut key, mut message, mut count) = (Vec::new(), Vec::new(), 0);
        for (name, value) in text.lines().filter_map(|l| l.split_once(" = ")) {
            match name.trim() {
                "Key" => key = unhex(value),
                "Msg" => message = unhex(value),
                "MD" => {
                    if let Some(hasher) = hasher(hash, &key) {
                        mac(&hasher, &message, &unhex(value), true);
                        count += 1;
                    }
                }
                _ => {}
            }
        }
        assert!(count >= cases, "{file}: {count}");
    }
}

#[test]
fn nist_hmac() {
    let Some(text) = corpus::text("vectors/nist-cavs/hmac-HMAC.fax") else {
        return;
    };
    let mut count = 0;
    for case in cases(&text) {
        let hash = match case["section"].as_str() {
            "[L=20]" => "sha1",
            "[L=32]" => "sha256",
            "[L=48]" => "sha384",
            "[L=64]" => "sha512",
            _ => continue,
        };
        if let Some(hasher) = hasher(hash, &unhex(&case["Key"])) {
            mac(&hasher, &unhex(&case["Msg"]), &unhex(&case["Mac"]), true);
            count += 1;
        }
    }
    assert!(count > 100, "{count}");
}

#[test]
fn wycheproof_hmac() {
    for hash in ["sha1", "sha256", "sha384", "sha512"] {
        let Some(text) = corpus::text(&format!("vectors/wycheproof/hmac_{hash}_test.json")) else {
            return;
        };
        let mut count = 0;
        for case in text.split("\"tcId\"").skip(1) {
            let get = |name| field(case, name).unwrap();
            let [key, message, tag] = ["key", "msg", "tag"].map(|name| unhex(&get(name)));
            if let Some(hasher) = hasher(hash, &key) {
                // A bit that was changed behind the 32 bytes that are kept does not show.
                let good = get("result") == "valid";
                if good || tag.len() <= 32 {
                    mac(&hasher, &message, &tag, good);
                    count += 1;
                }
            }
        }
        assert!(count > 50, "{hash}: {count}");
    }
}

/// Captured packets without a known integrity key: they decrypt to IPv4 with ICMP.
#[test]
fn captured_triple_des_decrypts() {
    let key = unhex("4043434545464649494a4a4c4c4f4f515152525454575758");
    let engine = Engine::new(level(), Cipher::TripleDesCbc, &key).unwrap();
    for (name, at) in [("espudp1", 42), ("02-sunrise-sunset-esp", 34)] {
        let Some(file) = corpus::read(&format!("pcap/{name}.pcap")) else {
            return;
        };
        let mut count = 0;
        for frame in simnet::frames(&file) {
            let packet = &frame.bytes[at..];
            if packet[..4] != [0x12, 0x34, 0x56, 0x78] {
                continue;
            }
            let mut text = packet[16..packet.len() - 12].to_vec();
            engine.decrypt(std::iter::once((&packet[8..16], &mut text[..])));
            assert_eq!((text[0], text[9]), (0x45, 1), "{name}");
            let [.., padding, next_header] = text[..] else {
                panic!("empty")
            };
            assert_eq!(next_header, 4);
            let inner = usize::from(u16::from_be_bytes([text[2], text[3]]));
            assert_eq!(text.len(), inner + usize::from(padding) + 2);
            count += 1;
        }
        assert_eq!(count, 8, "{name}");
    }
}
