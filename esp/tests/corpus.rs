//! Captured packets whose keys are known: every one verifies, decrypts and holds what it should.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod common;

use common::start;
use esp::{Cipher, InboundSa, Integrity, OpenError, SaConfig, Sadb, Suite};
use simnet::{corpus, seeded};
use std::collections::HashMap;

/// Destination and SPI.
type Which = (String, u32);

/// Wireshark's table: family, source, destination, SPI, cipher, key, integrity, key.
fn table(text: &str) -> HashMap<Which, Option<SaConfig>> {
    let mut out = HashMap::new();
    for line in text.lines().filter(|l| l.starts_with('"')) {
        let fields: Vec<_> = line.split('"').skip(1).step_by(2).collect();
        let [_, _, to, spi, cipher, key, integrity, integrity_key] = fields[..] else {
            panic!("{line}")
        };
        let cipher = match cipher.split(' ').next() {
            Some("AES-CBC") => Cipher::AesCbc128,
            Some("TripleDES-CBC") => Cipher::TripleDesCbc,
            Some("DES-CBC") => Cipher::DesCbc,
            Some("NULL") => Cipher::NullTestOnly,
            _ => continue,
        };
        let integrity = match integrity.split(' ').next() {
            Some("HMAC-SHA-1-96") => Some(Integrity::HmacSha1_96),
            Some("HMAC-MD5-96") => Some(Integrity::HmacMd5_96),
            _ => None,
        };
        let spi: u32 = spi.parse().unwrap();
        let config = Suite::new(cipher, integrity).ok().map(|suite| {
            // Its SPIs are reserved ones; an SA by itself does not compare them.
            SaConfig::new(256 + spi, suite, key.as_bytes(), integrity_key.as_bytes())
        });
        out.insert((to.to_owned(), spi), config);
    }
    out
}

#[test]
fn a_capture_with_a_table_of_keys_opens() {
    let (Some(file), Some(text)) = (
        corpus::read("esp/wireshark-esp-capture1.pcap"),
        corpus::text("esp/wireshark-esp-capture1.esp_sa"),
    ) else {
        return;
    };
    let table = table(&text);
    let mut sas = HashMap::new();
    let (mut opened, mut unprotected) = (0, 0);
    for frame in simnet::frames(&file) {
        let ip = &frame.bytes[14..];
        let (to, at, protocol) = match ip[0] >> 4 {
            4 => {
                let to: [u8; 4] = ip[16..20].try_into().unwrap();
                (std::net::IpAddr::from(to), 20, ip[9])
            }
            6 => {
                let to: [u8; 16] = ip[24..40].try_into().unwrap();
                (std::net::IpAddr::from(to), 40, ip[6])
            }
            _ => continue,
        };
        if protocol != 50 {
            continue;
        }
        let end = if at == 20 {
            usize::from(u16::from_be_bytes([ip[2], ip[3]]))
        } else {
            40 + usize::from(u16::from_be_bytes([ip[4], ip[5]]))
        };
        let mut packet = ip[at..end].to_vec();
        let spi = u32::from_be_bytes(packet[..4].try_into().unwrap());
        let which = (to.to_string(), spi);
        // Without integrity there is no SA.
        let Some(config) = &table[&which] else {
            unprotected += 1;
            continue;
        };
        let sa = sas
            .entry(which)
            .or_insert_with(|| InboundSa::new(start(), config).unwrap());
        let range = 0..packet.len();
        let found = sa
            .open(start(), &mut packet.clone(), range.clone())
            .unwrap();
        // ICMP or ICMPv6: an echo request or reply.
        assert!([1, 58].contains(&found.next_header));
        let again = sa.open(start(), &mut packet.clone(), range.clone());
        assert_eq!(again, Err(OpenError::Replay));
        sa.open(start(), &mut packet, range).unwrap_err();
        opened += 1;
    }
    assert_eq!((opened, unprotected), (160, 80));
}

/// Captures of others: no SA, too short, cut off; nothing is opened and nothing panics.
#[test]
fn captures_without_keys_are_dropped_and_counted() {
    let Some(folder) = corpus::path("esp") else {
        return;
    };
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "pcap") {
            continue;
        }
        let file = std::fs::read(path).unwrap();
        let mut sadb = Sadb::new(Box::new(seeded(1)));
        let mut frames = 0;
        for frame in simnet::frames(&file) {
            for at in [34, 42, 54] {
                let mut packet = frame.bytes.get(at..).unwrap_or_default().to_vec();
                let range = 0..packet.len();
                let result = sadb.open(start(), &mut packet, range);
                let expected = [OpenError::NoSa, OpenError::Short];
                assert!(result.is_err_and(|e| expected.contains(&e)));
                frames += 1;
            }
        }
        let dropped: u64 = sadb.counters().dropped_in().map(|(_, n)| n).sum();
        assert_eq!(dropped, frames);
        count += frames;
    }
    assert!(count > 1000, "{count}");
}
