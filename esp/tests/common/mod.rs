//! What the tests of SAs share.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

use esp::{Cipher, Integrity};
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
