//! Every suite against OpenSSL, both ways: what `esp` seals, alone and in batches of any size,
//! OpenSSL verifies and decrypts to what it was; what OpenSSL makes, `esp` opens.
#![forbid(unsafe_code)]

#[path = "../../tests/common/mod.rs"]
mod common;

use common::suites;
use esp::{Cipher, InboundSa, Integrity, Open, OutboundSa, SaConfig, Seal, Suite};
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use openssl::symm;
use simnet::seeded;
use std::time::Instant;

const BATCHES: [usize; 10] = [1, 2, 3, 7, 15, 16, 17, 64, 100, 260];

/// An SA with its keys, as OpenSSL needs them.
struct Peer {
    suite: Suite,
    key: Vec<u8>,
    mac_key: Vec<u8>,
    esn: bool,
}

impl Peer {
    fn new(suite: Suite, esn: bool) -> Self {
        let bytes = |length: usize, salt: u8| {
            (0..length)
                .map(|i| (i as u8).wrapping_mul(37) ^ salt)
                .collect()
        };
        Self {
            suite,
            key: bytes(suite.cipher().key_length(), 0x5a),
            mac_key: bytes(suite.integrity().map_or(0, Integrity::key_length), 0xc3),
            esn,
        }
    }

    fn config(&self) -> SaConfig {
        let mut config = SaConfig::new(0x1234_5678, self.suite, &self.key, &self.mac_key);
        config.esn = self.esn;
        config
    }

    /// Cipher and key; none for NULL. DES is no longer in OpenSSL's usual provider: it is 3DES
    /// with one key three times.
    fn cipher(&self) -> Option<(symm::Cipher, Vec<u8>)> {
        let key = self.key.clone();
        Some(match self.suite.cipher() {
            Cipher::DesCbc => (symm::Cipher::des_ede3_cbc(), key.repeat(3)),
            Cipher::TripleDesCbc => (symm::Cipher::des_ede3_cbc(), key),
            Cipher::AesCbc128 => (symm::Cipher::aes_128_cbc(), key),
            Cipher::AesCbc192 => (symm::Cipher::aes_192_cbc(), key),
            Cipher::AesCbc256 => (symm::Cipher::aes_256_cbc(), key),
            Cipher::AesGcm128 => (symm::Cipher::aes_128_gcm(), key[..16].to_vec()),
            Cipher::AesGcm192 => (symm::Cipher::aes_192_gcm(), key[..24].to_vec()),
            Cipher::AesGcm256 => (symm::Cipher::aes_256_gcm(), key[..32].to_vec()),
            _ => return None,
        })
    }

    fn icv(&self, signed: &[u8]) -> Vec<u8> {
        let digest = match self.suite.integrity().unwrap() {
            Integrity::HmacMd5_96 => MessageDigest::md5(),
            Integrity::HmacSha1_96 => MessageDigest::sha1(),
            Integrity::HmacSha384_192 => MessageDigest::sha384(),
            Integrity::HmacSha512_256 => MessageDigest::sha512(),
            _ => MessageDigest::sha256(),
        };
        let key = PKey::hmac(&self.mac_key).unwrap();
        let mut signer = Signer::new(digest, &key).unwrap();
        signer.update(signed).unwrap();
        if self.esn {
            signer.update(&[0; 4]).unwrap();
        }
        let mut icv = signer.sign_to_vec().unwrap();
        icv.truncate(self.suite.icv_length());
        icv
    }

    fn cbc(&self, mode: symm::Mode, iv: &[u8], text: &[u8]) -> Vec<u8> {
        let Some((cipher, key)) = self.cipher() else {
            return text.to_vec();
        };
        let mut crypter = symm::Crypter::new(cipher, mode, &key, Some(iv)).unwrap();
        crypter.pad(false);
        let mut out = vec![0; text.len() + cipher.block_size()];
        let length = crypter.update(text, &mut out).unwrap();
        out.truncate(length);
        out
    }

    /// Nonce and additional data of AES-GCM (RFC 4106).
    fn gcm(&self, header: &[u8], iv: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let nonce = [&self.key[self.key.len() - 4..], iv].concat();
        let high: &[u8] = if self.esn { &[0; 4] } else { &[] };
        (nonce, [&header[..4], high, &header[4..]].concat())
    }

    /// Payload with padding and trailer, if the packet verifies.
    fn open(&self, packet: &[u8]) -> Vec<u8> {
        let (signed, icv) = packet.split_at(packet.len() - self.suite.icv_length());
        let (header, rest) = signed.split_at(8);
        let (iv, text) = rest.split_at(self.suite.cipher().iv_length());
        if self.suite.cipher().is_aead() {
            let (cipher, key) = self.cipher().unwrap();
            let (nonce, aad) = self.gcm(header, iv);
            return symm::decrypt_aead(cipher, &key, Some(&nonce), &aad, text, icv).unwrap();
        }
        assert_eq!(self.icv(signed), icv, "{}", self.suite);
        self.cbc(symm::Mode::Decrypt, iv, text)
    }

    fn seal(&self, sequence: u32, payload: &[u8]) -> Vec<u8> {
        let mut text = payload.to_vec();
        let align = self.suite.cipher().alignment();
        let padding = (payload.len() + 2).next_multiple_of(align) - payload.len() - 2;
        text.extend(1..=padding as u8);
        text.extend([padding as u8, 6]);
        let header = [0x1234_5678_u32.to_be_bytes(), sequence.to_be_bytes()].concat();
        let iv: Vec<u8> = (0..self.suite.cipher().iv_length())
            .map(|i| (sequence as u8).wrapping_mul(31) ^ i as u8)
            .collect();
        if self.suite.cipher().is_aead() {
            let (cipher, key) = self.cipher().unwrap();
            let (nonce, aad) = self.gcm(&header, &iv);
            let mut tag = [0; 16];
            let text =
                symm::encrypt_aead(cipher, &key, Some(&nonce), &aad, &text, &mut tag).unwrap();
            return [header, iv, text, tag.to_vec()].concat();
        }
        let text = self.cbc(symm::Mode::Encrypt, &iv, &text);
        let mut packet = [header, iv, text].concat();
        packet.extend(self.icv(&packet));
        packet
    }
}

/// Payloads of all kinds of lengths, different for each place in each batch.
fn payload(index: usize, batch: usize) -> Vec<u8> {
    let length = (index * 97 + batch * 31) % 1461;
    (0..length).map(|i| (i * 7 + index) as u8).collect()
}

#[test]
fn what_is_sealed_opens_in_openssl() {
    let now = Instant::now();
    let mut count = 0;
    for suite in suites() {
        for esn in [false, true] {
            let peer = Peer::new(suite, esn);
            let mut sa = OutboundSa::new(now, &peer.config(), &mut seeded(1)).unwrap();
            for batch in BATCHES {
                let payloads: Vec<_> = (0..batch).map(|i| payload(i, batch)).collect();
                let mut bufs: Vec<_> = payloads
                    .iter()
                    .map(|p| [&[0; 64][..], p, &[0; 64]].concat())
                    .collect();
                let mut jobs: Vec<_> = bufs
                    .iter_mut()
                    .zip(&payloads)
                    .map(|(buf, p)| Seal::new(buf, 64..64 + p.len(), 6))
                    .collect();
                if let [job] = &mut jobs[..] {
                    job.result = sa.seal(now, job.buf, job.payload.clone(), 6);
                } else {
                    sa.seal_batch(now, &mut jobs);
                }
                let ranges: Vec<_> = jobs.into_iter().map(|job| job.result.unwrap()).collect();
                for ((buf, range), payload) in bufs.iter().zip(ranges).zip(&payloads) {
                    let text = peer.open(&buf[range]);
                    assert_eq!(text[..payload.len()], payload[..], "{suite} {batch}");
                    let padding = text.len() - payload.len() - 2;
                    assert_eq!(text[text.len() - 2..], [padding as u8, 6], "{suite}");
                    count += 1;
                }
            }
        }
    }
    assert_eq!(count, 39 * 2 * BATCHES.iter().sum::<usize>());
}

#[test]
fn what_openssl_seals_opens() {
    let now = Instant::now();
    for suite in suites() {
        for esn in [false, true] {
            let peer = Peer::new(suite, esn);
            let mut sa = InboundSa::new(now, &peer.config()).unwrap();
            let mut sequence = 0;
            for batch in BATCHES {
                let payloads: Vec<_> = (0..batch).map(|i| payload(i, batch)).collect();
                let mut bufs: Vec<_> = payloads
                    .iter()
                    .map(|payload| {
                        sequence += 1;
                        peer.seal(sequence, payload)
                    })
                    .collect();
                let mut jobs: Vec<_> = bufs
                    .iter_mut()
                    .map(|buf| {
                        let range = 0..buf.len();
                        Open::new(buf, range)
                    })
                    .collect();
                if let [job] = &mut jobs[..] {
                    job.result = sa.open(now, job.buf, job.packet.clone());
                } else {
                    sa.open_batch(now, &mut jobs);
                }
                for (job, payload) in jobs.iter().zip(&payloads) {
                    let opened = job.result.as_ref().unwrap();
                    assert_eq!(
                        job.buf[opened.payload.clone()],
                        payload[..],
                        "{suite} {batch}"
                    );
                    assert_eq!(opened.next_header, 6);
                }
            }
        }
    }
}
