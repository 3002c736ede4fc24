//! Both ends of an SA, every suite.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod common;

use common::{config, ends, start, suites};
use esp::{
    Cipher, Event, InboundSa, Integrity, Lifetime, OpenError, SaConfig, SaError, Sadb, SealError,
    Suite,
};
use simnet::seeded;
use std::time::Duration;

#[test]
fn every_suite_carries_every_length() {
    for suite in suites() {
        for esn in [false, true] {
            let mut config = config(suite);
            config.esn = esn;
            let (mut outbound, mut inbound, now) = ends(&config);
            for length in (0..70).chain([512, 1400]) {
                let text: Vec<u8> = (0..length).map(|n| n as u8).collect();
                let mut buf = vec![0; 64];
                buf.extend(&text);
                buf.resize(buf.len() + 64, 0);
                let packet = outbound.seal(now, &mut buf, 64..64 + length, 6).unwrap();
                let overhead = outbound.overhead();
                assert_eq!(packet.start, 64 - overhead.head);
                assert!(packet.end <= 64 + length + overhead.tail);
                if length > 16 && suite.cipher() != Cipher::NullTestOnly {
                    assert_ne!(&buf[64..64 + length], text);
                }
                let opened = inbound.open(now, &mut buf, packet).unwrap();
                assert_eq!(&buf[opened.payload], text, "{suite} {length}");
                assert_eq!(opened.next_header, 6);
                assert!(opened.newest);
            }
        }
    }
}

#[test]
fn every_flipped_bit_is_noticed() {
    for suite in suites() {
        let (mut outbound, mut inbound, now) = ends(&config(suite));
        let mut buf = vec![0x55; 160];
        let packet = outbound.seal(now, &mut buf, 64..96, 17).unwrap();
        // The SPI's bits choose the SA; all others are covered.
        for bit in 32..packet.len() * 8 {
            let mut bad = buf.clone();
            bad[packet.start + bit / 8] ^= 1 << (bit % 8);
            let result = inbound.open(now, &mut bad, packet.clone());
            let expected = [OpenError::Icv, OpenError::Replay];
            assert!(
                result.is_err_and(|e| expected.contains(&e)),
                "{suite} bit {bit}"
            );
        }
        assert!(inbound.open(now, &mut buf, packet).is_ok());
    }
}

#[test]
fn every_prefix_is_refused() {
    for suite in suites() {
        let (mut outbound, mut inbound, now) = ends(&config(suite));
        let mut buf = vec![0x55; 160];
        let packet = outbound.seal(now, &mut buf, 64..96, 17).unwrap();
        for end in packet.start..packet.end {
            let mut cut = buf.clone();
            assert!(inbound.open(now, &mut cut, packet.start..end).is_err());
        }
        // A range outside of the buffer is a short packet, not a panic.
        assert_eq!(
            inbound.open(now, &mut buf, 150..1000),
            Err(OpenError::Short)
        );
    }
}

#[test]
fn replays_are_dropped_and_reordering_is_not() {
    let suite = Suite::new(Cipher::AesCbc128, Some(Integrity::HmacSha1_96)).unwrap();
    let mut config = config(suite);
    config.replay_window = 64;
    let (mut outbound, mut inbound, now) = ends(&config);
    let mut packets = Vec::new();
    for _ in 0..100 {
        let mut buf = vec![0; 160];
        let packet = outbound.seal(now, &mut buf, 64..96, 17).unwrap();
        packets.push(buf[packet].to_vec());
    }
    let mut open = |index: usize| {
        let mut packet: Vec<u8> = packets[index].clone();
        let length = packet.len();
        inbound.open(now, &mut packet, 0..length).map(|o| o.newest)
    };
    assert_eq!(open(99), Ok(true));
    assert_eq!(open(99), Err(OpenError::Replay));
    assert_eq!(open(36), Ok(false));
    assert_eq!(open(36), Err(OpenError::Replay));
    assert_eq!(open(35), Err(OpenError::Replay));
}

#[test]
fn limits_stop_an_sa() {
    let suite = Suite::new(Cipher::TripleDesCbc, Some(Integrity::HmacSha1_96)).unwrap();
    let mut config = config(suite);
    assert_eq!(config.lifetime, Lifetime::SHORT_BLOCKS);
    config.lifetime.soft_packets = Some(2);
    config.lifetime.hard_packets = Some(3);
    let now = start();
    let mut sadb = Sadb::new(Box::new(seeded(1)));
    let id = sadb.insert_outbound(now, &config, 42).unwrap();
    let mut results = Vec::new();
    for _ in 0..4 {
        results.push(sadb.seal(now, id, &mut [0; 160], 64..96, 17).map(drop));
    }
    assert_eq!(results, [Ok(()), Ok(()), Ok(()), Err(SealError::Expired)]);
    let (owner, spi) = (42, config.spi);
    assert_eq!(sadb.poll_event(), Some(Event::SoftExpired { owner, spi }));
    assert_eq!(sadb.poll_event(), Some(Event::HardExpired { owner, spi }));
    assert_eq!(sadb.poll_event(), None);
}

#[test]
fn age_stops_an_sa() {
    let suite = Suite::new(Cipher::AesCbc256, Some(Integrity::HmacSha256_128)).unwrap();
    let mut config = config(suite);
    config.lifetime.soft_time = Some(Duration::from_secs(50));
    config.lifetime.hard_time = Some(Duration::from_secs(60));
    let now = start();
    let mut sadb = Sadb::new(Box::new(seeded(1)));
    sadb.insert_inbound(now, &config, 42).unwrap();
    assert_eq!(
        sadb.insert_inbound(now, &config, 43),
        Err(SaError::DuplicateSpi(config.spi))
    );
    let (owner, spi) = (42, config.spi);
    let at = sadb.poll_timeout().unwrap();
    assert_eq!(at, now + Duration::from_secs(50));
    sadb.handle_timeout(at);
    assert_eq!(sadb.poll_event(), Some(Event::SoftExpired { owner, spi }));
    let at = sadb.poll_timeout().unwrap();
    sadb.handle_timeout(at);
    assert_eq!(sadb.poll_event(), Some(Event::HardExpired { owner, spi }));
    assert_eq!(sadb.poll_timeout(), None);
    assert!(sadb.remove_inbound(spi) && !sadb.remove_inbound(spi));
}

#[test]
fn what_cannot_be_is_refused() {
    let suite = Suite::new(Cipher::AesCbc128, Some(Integrity::HmacSha1_96)).unwrap();
    let now = start();
    for spi in [0, 1, 255] {
        let mut config = config(suite);
        config.spi = spi;
        assert_eq!(
            InboundSa::new(now, &config).unwrap_err(),
            SaError::ReservedSpi(spi)
        );
    }
    let short = SaConfig::new(256, suite, &[0; 15], &[0; 20]);
    assert!(matches!(
        InboundSa::new(now, &short),
        Err(SaError::KeyLength { needed: 16, .. })
    ));
    for window in [0, 63, 65, 4160] {
        let mut config = config(suite);
        config.replay_window = window;
        assert_eq!(
            InboundSa::new(now, &config).unwrap_err(),
            SaError::BadWindow(window)
        );
    }
    assert_eq!(Suite::new(Cipher::AesCbc128, None), Err(SaError::BadSuite));
    assert!(Suite::new(Cipher::AesGcm128, Some(Integrity::HmacSha1_96)).is_err());
}

#[test]
fn no_room_and_too_long_are_errors() {
    let suite = Suite::new(Cipher::AesCbc128, Some(Integrity::HmacSha1_96)).unwrap();
    let (mut outbound, _, now) = ends(&config(suite));
    assert_eq!(
        outbound.seal(now, &mut [0; 100], 23..50, 17),
        Err(SealError::NoRoom)
    );
    assert_eq!(
        outbound.seal(now, &mut [0; 100], 24..90, 17),
        Err(SealError::NoRoom)
    );
    assert_eq!(
        outbound.seal(now, &mut [0; 100], 24..usize::MAX, 17),
        Err(SealError::NoRoom)
    );
    assert_eq!(
        outbound.seal(now, &mut vec![0; 70_000], 24..65_520, 17),
        Err(SealError::TooLong)
    );
    assert_eq!(outbound.seal(now, &mut [0; 100], 24..50, 17), Ok(0..68));
}
