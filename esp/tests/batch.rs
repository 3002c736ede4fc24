//! Batches equal one packet at a time, which equals RustCrypto's own crates.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod common;

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use cbc::cipher::consts::U12;
use cbc::cipher::{BlockCipherDecrypt, BlockModeDecrypt, InnerIvInit, KeyInit, array::Array};
use common::{CIPHERS, INTEGRITIES, start};
use esp::{
    Cipher, Found, InboundSa, Integrity, Open, OpenError, OutboundSa, SaConfig, Sadb, Seal,
    SealError, Suite,
};
use hmac::{Hmac, Mac};
use proptest::prelude::*;
use simnet::seeded;
use std::ops::Range;
use std::time::Instant;

/// A protocol whose packets do not say how long they are.
const TCP: u8 = 6;
/// What tunnel mode carries, what transport mode does, a dummy packet, and ESP inside ESP.
const NEXT_HEADERS: [u8; 6] = [4, 41, TCP, 17, 59, 50];

fn key(length: usize, salt: u8) -> Vec<u8> {
    (0..length)
        .map(|i| (i as u8).wrapping_mul(37) ^ salt)
        .collect()
}

fn config(cipher: Cipher, integrity: Integrity, esn: bool, spi: u32) -> SaConfig {
    let integrity = (!cipher.is_aead()).then_some(integrity);
    let suite = Suite::new(cipher, integrity).unwrap();
    let length = integrity.map_or(0, Integrity::key_length);
    let salt = spi.to_le_bytes()[0];
    let mut config = SaConfig::new(
        spi,
        suite,
        &key(cipher.key_length(), salt),
        &key(length, !salt),
    );
    config.esn = esn;
    config
}

fn buffers(sizes: &[usize]) -> Vec<Vec<u8>> {
    sizes
        .iter()
        .map(|size| (0..size + 128).map(|i| (i * 7 + size) as u8).collect())
        .collect()
}

fn seal_one_by_one(
    sa: &mut OutboundSa,
    now: Instant,
    bufs: &mut [Vec<u8>],
    next_header: u8,
) -> Vec<Result<Range<usize>, SealError>> {
    bufs.iter_mut()
        .map(|buf| {
            let payload = 64..buf.len() - 64;
            sa.seal(now, buf, payload, next_header)
        })
        .collect()
}

fn jobs(bufs: &mut [Vec<u8>], next_header: u8) -> Vec<Seal<'_>> {
    bufs.iter_mut()
        .map(|buf| {
            let payload = 64..buf.len() - 64;
            Seal::new(buf, payload, next_header)
        })
        .collect()
}

/// What RustCrypto's crates make of a packet: its payload with padding and trailer, if the ICV is
/// right.
fn plain_open(config: &SaConfig, packet: &[u8], esn_high: Option<u32>) -> Option<Vec<u8>> {
    let suite = config.suite;
    let salt = config.spi.to_le_bytes()[0];
    let cipher_key = key(suite.cipher().key_length(), salt);
    let (signed, icv) = packet.split_at(packet.len() - suite.icv_length());
    let (head, text) = signed.split_at(8 + suite.cipher().iv_length());
    let (header, iv) = head.split_at(8);
    let mut text = text.to_vec();
    if suite.cipher().is_aead() {
        let (key, salt) = cipher_key.split_at(cipher_key.len() - 4);
        let nonce: [u8; 12] = [salt, iv].concat().try_into().unwrap();
        let mut aad = header[..4].to_vec();
        aad.extend(esn_high.iter().flat_map(|h| h.to_be_bytes()));
        aad.extend(&header[4..]);
        let tag = icv.try_into().unwrap();
        match suite.cipher() {
            Cipher::AesGcm128 => Aes128Gcm::new_from_slice(key)
                .unwrap()
                .decrypt_inout_detached(&nonce.into(), &aad, text.as_mut_slice().into(), tag),
            Cipher::AesGcm256 => Aes256Gcm::new_from_slice(key)
                .unwrap()
                .decrypt_inout_detached(&nonce.into(), &aad, text.as_mut_slice().into(), tag),
            _ => aes_gcm::AesGcm::<aes::Aes192, U12>::new_from_slice(key)
                .unwrap()
                .decrypt_inout_detached(&nonce.into(), &aad, text.as_mut_slice().into(), tag),
        }
        .ok()?;
        return Some(text);
    }
    let integrity = suite.integrity().unwrap();
    let mac_key = key(integrity.key_length(), !salt);
    let mut message = signed.to_vec();
    message.extend(esn_high.iter().flat_map(|h| h.to_be_bytes()));
    fn mac<M: Mac + KeyInit>(key: &[u8], message: &[u8]) -> Vec<u8> {
        let mut mac = <M as KeyInit>::new_from_slice(key).unwrap();
        mac.update(message);
        mac.finalize().into_bytes().to_vec()
    }
    let full = match integrity {
        Integrity::HmacMd5_96 => mac::<Hmac<md5::Md5>>(&mac_key, &message),
        Integrity::HmacSha1_96 => mac::<Hmac<sha1::Sha1>>(&mac_key, &message),
        Integrity::HmacSha256_128 | Integrity::HmacSha256_96 => {
            mac::<Hmac<sha2::Sha256>>(&mac_key, &message)
        }
        Integrity::HmacSha384_192 => mac::<Hmac<sha2::Sha384>>(&mac_key, &message),
        _ => mac::<Hmac<sha2::Sha512>>(&mac_key, &message),
    };
    if full[..icv.len()] != *icv {
        return None;
    }
    fn cbc<C: KeyInit + BlockCipherDecrypt>(key: &[u8], iv: &[u8], text: &mut [u8]) {
        let cipher = C::new_from_slice(key).unwrap();
        let iv = Array::try_from(iv).unwrap();
        let (blocks, _) = Array::slice_as_chunks_mut(text);
        cbc::Decryptor::<&C>::inner_iv_init(&cipher, &iv).decrypt_blocks(blocks);
    }
    match suite.cipher() {
        Cipher::DesCbc => cbc::<des::Des>(&cipher_key, iv, &mut text),
        Cipher::TripleDesCbc => cbc::<des::TdesEde3>(&cipher_key, iv, &mut text),
        Cipher::AesCbc128 => cbc::<aes::Aes128>(&cipher_key, iv, &mut text),
        Cipher::AesCbc192 => cbc::<aes::Aes192>(&cipher_key, iv, &mut text),
        Cipher::AesCbc256 => cbc::<aes::Aes256>(&cipher_key, iv, &mut text),
        _ => {}
    }
    Some(text)
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![
        proptest::collection::vec(0..200_usize, 1..80),
        proptest::collection::vec(0..2500_usize, 1..20),
        (0..1500_usize, 1..300_usize).prop_map(|(size, count)| vec![size; count]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_batch_is_one_packet_after_the_other(
        cipher in proptest::sample::select(&CIPHERS[..]),
        integrity in proptest::sample::select(&INTEGRITIES[..]),
        esn in any::<bool>(),
        next_header in proptest::sample::select(&NEXT_HEADERS[..]),
        sizes in sizes(),
        broken in proptest::collection::vec(any::<u16>(), 0..4),
    ) {
        let now = start();
        let config = config(cipher, integrity, esn, 0x1234);
        let mut one = buffers(&sizes);
        let mut many = one.clone();
        let plain = one.clone();
        let mut sa = OutboundSa::new(now, &config, &mut seeded(7)).unwrap();
        let packets = seal_one_by_one(&mut sa, now, &mut one, next_header);
        let mut sa = OutboundSa::new(now, &config, &mut seeded(7)).unwrap();
        let mut sealed = jobs(&mut many, next_header);
        sa.seal_batch(now, &mut sealed);
        let results: Vec<_> = sealed.into_iter().map(|job| job.result).collect();
        prop_assert_eq!(&results, &packets);
        prop_assert_eq!(&many, &one);

        for ((buf, packet), plain) in one.iter().zip(&packets).zip(&plain) {
            let text = plain_open(&config, &buf[packet.clone().unwrap()], esn.then_some(0)).unwrap();
            let payload = &plain[64..plain.len() - 64];
            prop_assert_eq!(&text[..payload.len()], payload);
        }

        // Some are broken, and all come twice.
        for at in broken {
            let at = usize::from(at);
            let index = at % many.len();
            let packet = packets[index].clone().unwrap();
            many[index][packet.start + at % packet.len()] ^= 0x10;
        }
        let twice: Vec<Vec<u8>> = many.iter().chain(&many).cloned().collect();
        let ranges: Vec<_> = packets.iter().chain(&packets).map(|r| r.clone().unwrap()).collect();
        let mut one = twice.clone();
        let mut sa = InboundSa::new(now, &config).unwrap();
        let expected: Vec<_> = one.iter_mut().zip(&ranges)
            .map(|(buf, packet)| sa.open(now, buf, packet.clone()))
            .collect();
        let mut many = twice;
        let mut sa = InboundSa::new(now, &config).unwrap();
        let mut jobs: Vec<Open<'_>> = many.iter_mut().zip(&ranges)
            .map(|(buf, packet)| Open::new(buf, packet.clone()))
            .collect();
        sa.open_batch(now, &mut jobs);
        let results: Vec<_> = jobs.into_iter().map(|job| job.result).collect();
        prop_assert_eq!(results, expected);
        prop_assert_eq!(many, one);
    }

    /// However they are mixed, packets are those of the SA they are of, in order.
    #[test]
    fn many_sas_are_one_packet_after_the_other(
        ciphers in proptest::collection::vec(proptest::sample::select(&CIPHERS[..]), 1..40),
        sizes in sizes(),
        order in proptest::collection::vec(any::<u8>(), 300),
    ) {
        let now = start();
        let configs: Vec<_> = ciphers.iter().zip(0x1000..)
            .map(|(cipher, spi)| config(*cipher, INTEGRITIES[1], false, spi))
            .collect();
        let of: Vec<usize> = order.iter().map(|n| usize::from(*n) % configs.len()).collect();
        let insert = |sadb: &mut Sadb| -> Vec<_> {
            let ids = configs.iter().map(|config| sadb.insert_outbound(now, config, 0).unwrap());
            ids.collect()
        };
        let mut one = buffers(&sizes);
        let mut many = one.clone();
        let plain = one.clone();
        let mut sadb = Sadb::new(Box::new(seeded(7)));
        let ids = insert(&mut sadb);
        let packets: Vec<_> = one.iter_mut().zip(&of)
            .map(|(buf, of)| {
                let payload = 64..buf.len() - 64;
                sadb.seal(now, ids[*of], buf, payload, TCP)
            })
            .collect();
        let mut sadb = Sadb::new(Box::new(seeded(7)));
        let ids = insert(&mut sadb);
        let mut sealed: Vec<_> = jobs(&mut many, TCP).into_iter().zip(&of)
            .map(|(job, of)| (ids[*of], job))
            .collect();
        sadb.seal_batch(now, &mut sealed);
        let results: Vec<_> = sealed.into_iter().map(|(_, job)| job.result).collect();
        prop_assert_eq!(&results, &packets);
        prop_assert_eq!(&many, &one);
        for (((buf, packet), plain), of) in many.iter().zip(&packets).zip(&plain).zip(of) {
            let text = plain_open(&configs[of], &buf[packet.clone().unwrap()], None).unwrap();
            let payload = &plain[64..plain.len() - 64];
            prop_assert_eq!(&text[..payload.len()], payload);
        }
    }
}

#[test]
fn a_batch_may_be_of_many_sas_and_suites() {
    let now = start();
    let mut sadb = Sadb::new(Box::new(seeded(3)));
    let mut ids = Vec::new();
    for (i, cipher) in CIPHERS.into_iter().enumerate() {
        for (j, integrity) in INTEGRITIES.into_iter().enumerate() {
            let spi = 0x1000 + (i * 16 + j) as u32;
            let config = config(cipher, integrity, (i + j) % 2 == 1, spi);
            sadb.insert_inbound(now, &config, u64::from(spi)).unwrap();
            ids.push((
                sadb.insert_outbound(now, &config, u64::from(spi)).unwrap(),
                spi,
            ));
        }
    }
    let sizes: Vec<usize> = (0..ids.len() * 3).map(|i| i * 11 % 1400).collect();
    let mut bufs = buffers(&sizes);
    let plain = bufs.clone();
    let mut sealing: Vec<_> = jobs(&mut bufs, TCP)
        .into_iter()
        .enumerate()
        .map(|(i, job)| (ids[i % ids.len()].0, job))
        .collect();
    sadb.seal_batch(now, &mut sealing);
    let packets: Vec<_> = sealing
        .into_iter()
        .map(|(_, job)| job.result.unwrap())
        .collect();
    let mut stranger = vec![0xff; 100];
    let mut opening: Vec<Open<'_, Found>> = bufs
        .iter_mut()
        .zip(&packets)
        .map(|(buf, packet)| Open::new(buf, packet.clone()))
        .collect();
    opening.push(Open::new(&mut stranger, 0..100));
    sadb.open_batch(now, &mut opening);
    assert_eq!(opening.pop().unwrap().result, Err(OpenError::NoSa));
    for (i, (job, plain)) in opening.iter().zip(&plain).enumerate() {
        let found = job.result.as_ref().unwrap();
        assert_eq!(found.spi, ids[i % ids.len()].1);
        assert_eq!(job.buf[found.payload.clone()], plain[64..plain.len() - 64]);
    }
    let stats = sadb.counters().stats();
    assert_eq!(stats.packets_in, sizes.len() as u64);
    assert_eq!(stats.packets_out, sizes.len() as u64);
    let dropped: u64 = sadb.counters().dropped_in().map(|(_, n)| n).sum();
    assert_eq!(dropped, 1);
}
