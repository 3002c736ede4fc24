//! What the tests of SAs share.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

use esp::{Cipher, InboundSa, Integrity, OutboundSa, SaConfig, Suite};
use simnet::seeded;
use std::time::Instant;

pub const CIPHERS: [Cipher; 9] = [
    Cipher::DesCbc,
    Cipher::TripleDesCbc,
    Cipher::AesCbc128,
    Cipher::AesCbc192,
    Cipher::AesCbc256,
    Cipher::AesGcm128,
    Cipher::AesGcm192,
    Cipher::AesGcm256,
    Cipher::NullTestOnly,
];
pub const INTEGRITIES: [Integrity; 6] = [
    Integrity::HmacMd5_96,
    Integrity::HmacSha1_96,
    Integrity::HmacSha256_128,
    Integrity::HmacSha256_96,
    Integrity::HmacSha384_192,
    Integrity::HmacSha512_256,
];

#[allow(
    clippy::disallowed_methods,
    reason = "any start will do for virtual time"
)]
pub fn start() -> Instant {
    Instant::now()
}

pub fn suites() -> Vec<Suite> {
    let mut suites = Vec::new();
    for cipher in CIPHERS {
        if cipher.is_aead() {
            suites.push(Suite::new(cipher, None).unwrap());
        } else {
            suites.extend(INTEGRITIES.map(|i| Suite::new(cipher, Some(i)).unwrap()));
        }
    }
    suites
}

pub fn config(suite: Suite) -> SaConfig {
    let key: Vec<u8> = (0..suite.cipher().key_length())
        .map(|n| n as u8 * 7 + 1)
        .collect();
    let integrity = suite.integrity().map_or(0, Integrity::key_length);
    SaConfig::new(0x1234_5678, suite, &key, &vec![9; integrity])
}

pub fn ends(config: &SaConfig) -> (OutboundSa, InboundSa, Instant) {
    let now = start();
    let outbound = OutboundSa::new(now, config, &mut seeded(1)).unwrap();
    (outbound, InboundSa::new(now, config).unwrap(), now)
}
