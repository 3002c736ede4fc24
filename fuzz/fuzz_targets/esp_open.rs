#![no_main]
//! Any bytes to SAs of every kind of suite: nothing forged is opened, alone or in a batch, and its
//! bytes stay as they came. Bytes that are properly signed open or not by their padding alone.
use chacha20::{ChaCha20Rng, rand_core::SeedableRng};
use esp::{Cipher, Found, Integrity, Open, OpenError, SaConfig, Sadb, Suite};
use hmac::{Hmac, KeyInit, Mac};
use libfuzzer_sys::fuzz_target;
use std::time::Instant;

const SPI: u32 = 0x1111_1111;

fn database(now: Instant, cipher: Cipher, integrity: Option<Integrity>, esn: bool) -> Sadb {
    let suite = Suite::new(cipher, integrity).unwrap();
    let key = vec![7; cipher.key_length()];
    let auth = vec![8; integrity.map_or(0, Integrity::key_length)];
    let mut config = SaConfig::new(SPI, suite, &key, &auth);
    config.esn = esn;
    let mut sadb = Sadb::new(Box::new(ChaCha20Rng::seed_from_u64(1)));
    sadb.insert_inbound(now, &config, 1).unwrap();
    sadb
}

fuzz_target!(|data: &[u8]| {
    let now = Instant::now();
    let esn = data.first().is_some_and(|b| b & 1 == 1);
    let mut packet = SPI.to_be_bytes().to_vec();
    packet.extend(data);
    let range = 0..packet.len();
    for (cipher, integrity) in [
        (Cipher::AesCbc128, Some(Integrity::HmacSha1_96)),
        (Cipher::AesCbc256, Some(Integrity::HmacSha256_128)),
        (Cipher::TripleDesCbc, Some(Integrity::HmacMd5_96)),
        (Cipher::DesCbc, Some(Integrity::HmacSha384_192)),
        (Cipher::AesGcm256, None),
        (Cipher::NullTestOnly, Some(Integrity::HmacSha512_256)),
    ] {
        let mut sadb = database(now, cipher, integrity, esn);
        let mut alone = packet.clone();
        let refused = sadb.open(now, &mut alone, range.clone()).unwrap_err();
        let mut twice = [packet.clone(), packet.clone()];
        let mut jobs = twice
            .each_mut()
            .map(|buf| Open::<Found>::new(buf, range.clone()));
        sadb.open_batch(now, &mut jobs);
        assert!(jobs.iter().all(|job| job.result == Err(refused)));
        assert!([&alone, &twice[0], &twice[1]].iter().all(|p| **p == packet));
    }
    let mut sadb = database(
        now,
        Cipher::NullTestOnly,
        Some(Integrity::HmacSha1_96),
        false,
    );
    let mut signed = packet;
    let mut mac = Hmac::<sha1::Sha1>::new_from_slice(&[8; 20]).unwrap();
    mac.update(&signed);
    signed.extend(&mac.finalize().into_bytes()[..12]);
    let range = 0..signed.len();
    match sadb.open(now, &mut signed, range) {
        Ok(found) => assert!(found.payload.start == 8 && found.payload.end + 14 <= signed.len()),
        Err(e) => assert!(!matches!(e, OpenError::Icv | OpenError::NoSa)),
    }
});
