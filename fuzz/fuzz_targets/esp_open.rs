#![no_main]
//! Nothing forged is opened, whatever the algorithms.
use chacha20::{ChaCha20Rng, rand_core::SeedableRng};
use esp::{Cipher, Integrity, SaConfig, Sadb, Suite};
use libfuzzer_sys::fuzz_target;
use std::time::Instant;

fuzz_target!(|data: &[u8]| {
    let now = Instant::now();
    let mut sadb = Sadb::new(Box::new(ChaCha20Rng::seed_from_u64(1)));
    let suites = [
        (Cipher::AesCbc128, Some(Integrity::HmacSha1_96)),
        (Cipher::TripleDesCbc, Some(Integrity::HmacMd5_96)),
        (Cipher::AesGcm256, None),
        (Cipher::NullTestOnly, Some(Integrity::HmacSha512_256)),
    ];
    for (cipher, integrity) in suites {
        let suite = Suite::new(cipher, integrity).unwrap();
        let key = vec![7; cipher.key_length()];
        let auth = vec![8; integrity.map_or(0, Integrity::key_length)];
        let mut config = SaConfig::new(0x1111_1111, suite, &key, &auth);
        config.esn = data.first().is_some_and(|b| b & 1 == 1);
        sadb.insert_inbound(now, &config, 1).unwrap();
        let mut packet = 0x1111_1111_u32.to_be_bytes().to_vec();
        packet.extend(data);
        let length = packet.len();
        assert!(sadb.open(now, &mut packet, 0..length).is_err());
        sadb.remove_inbound(0x1111_1111);
    }
});
