//! Published vulnerabilities of ESP implementations, each test named after what it is about. What
//! needs 2^32 packets or 4 GiB is in `src/tests/edges.rs`: `cve_2006_4436_sequence_numbers_...`,
//! `cve_2017_7184_replay_at_the_edges_...`, `cve_2016_2183_short_blocks_...`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod common;

use common::{CIPHERS, INTEGRITIES, config, ends, start, suites};
use esp::{
    Cipher, InboundSa, Integrity, Open, OpenError, OutboundSa, SaConfig, SaError, Sadb, SealError,
    Suite,
};
use hmac::{Hmac, KeyInit, Mac};
use simnet::seeded;

/// Packets too short for their header or their ICV crashed FreeS/WAN and others in 2002.
#[test]
fn lwn_16925_every_length_from_0_to_a_whole_packet() {
    for suite in suites() {
        let (_, mut inbound, now) = ends(&config(suite));
        let mut sadb = Sadb::new(Box::new(seeded(1)));
        sadb.insert_inbound(now, &config(suite), 1).unwrap();
        let cipher = suite.cipher();
        let around = 8 + cipher.iv_length() + suite.icv_length();
        for length in 0..around + cipher.alignment().max(2) {
            let mut packet = config(suite).spi.to_be_bytes().to_vec();
            packet.resize(length.max(4), 0);
            packet.truncate(length);
            packet.resize(length, 0);
            let short = Err(OpenError::Short);
            let result = inbound.open(now, &mut packet.clone(), 0..length);
            assert_eq!(result, short.clone(), "{suite} {length}");
            let mut copy = packet.clone();
            let mut jobs = [Open::new(&mut copy, 0..length)];
            inbound.open_batch(now, &mut jobs);
            assert_eq!(jobs[0].result, short, "{suite} {length}");
            let result = sadb.open(now, &mut packet, 0..length);
            assert_eq!(result, Err(OpenError::Short), "{suite} {length}");
        }
        // Long enough, and not whole blocks.
        for rest in 1..cipher.alignment() {
            let mut packet = vec![0; around + 2 * cipher.alignment() + rest];
            let range = 0..packet.len();
            assert_eq!(inbound.open(now, &mut packet, range), Err(OpenError::Short));
        }
    }
}

/// SPI 0 got into Linux's table; 1 to 255 are reserved as well (RFC 4303 section 2.1).
#[test]
fn cve_2025_39965_spis_0_to_255() {
    let now = start();
    let mut sadb = Sadb::new(Box::new(seeded(1)));
    for spi in 0..=255 {
        let mut config = config(suites()[0]);
        config.spi = spi;
        let refused = SaError::ReservedSpi(spi);
        assert_eq!(sadb.insert_inbound(now, &config, 1), Err(refused));
        assert_eq!(sadb.insert_outbound(now, &config, 1), Err(refused));
        let mut packet = [0; 100];
        packet[..4].copy_from_slice(&spi.to_be_bytes());
        assert_eq!(sadb.open(now, &mut packet, 0..100), Err(OpenError::NoSa));
    }
    assert_eq!((sadb.inbound_count(), sadb.outbound_count()), (0, 0));
    let mut config = config(suites()[0]);
    config.spi = 256;
    sadb.insert_inbound(now, &config, 1).unwrap();
}

/// Linux's esp6 wrote past the end of big frames.
#[test]
fn cve_2022_27666_output_of_every_length_up_to_the_largest() {
    for suite in suites() {
        let (mut outbound, mut inbound, now) = ends(&config(suite));
        let overhead = outbound.overhead();
        let mut buf = vec![0x55; 66_000];
        let (mut longest, mut last) = (0, 0..0);
        for length in 65_455..65_520 {
            match outbound.seal(now, &mut buf, 64..64 + length, 6) {
                Ok(packet) => {
                    assert!(packet.len() <= 65_535 && length > longest, "{suite}");
                    (longest, last) = (length, packet);
                }
                Err(e) => assert_eq!(e, SealError::TooLong, "{suite} {length}"),
            }
        }
        let opened = inbound.open(now, &mut buf, last).unwrap();
        assert_eq!(opened.payload, 64..64 + longest);
        assert!(longest + overhead.head + overhead.tail >= 65_535, "{suite}");
        // A buffer that ends anywhere before what is needed.
        let mut room = vec![0; 64 + 100 + overhead.tail];
        for end in 0..room.len() {
            let result = outbound.seal(now, &mut room[..end], 64..164, 6);
            assert!(
                result.is_ok() || result == Err(SealError::NoRoom),
                "{suite} {end}"
            );
            assert!(
                result.is_err() || end >= 164 + 2 + suite.icv_length(),
                "{suite} {end}"
            );
        }
        for start in 0..overhead.head {
            assert_eq!(
                outbound.seal(now, &mut room, start..start + 10, 6),
                Err(SealError::NoRoom)
            );
        }
    }
}

/// Windows ("EvilESP"): headers of a fragment, or of ESP and AH again, inside ESP.
#[test]
fn cve_2022_34718_fragments_esp_and_ah_inside_are_dropped() {
    let now = start();
    for suite in suites() {
        let mut sadb = Sadb::new(Box::new(seeded(1)));
        sadb.insert_inbound(now, &config(suite), 1).unwrap();
        let id = sadb.insert_outbound(now, &config(suite), 1).unwrap();
        for inner in [44, 50, 51] {
            let mut buf = [0x55; 256];
            let packet = sadb.seal(now, id, &mut buf, 64..164, inner).unwrap();
            let result = sadb.open(now, &mut buf, packet);
            assert_eq!(result, Err(OpenError::NextHeader), "{suite} {inner}");
        }
        let count = |error| {
            let mut all = sadb.counters().dropped_in();
            all.find(|(e, _)| *e == error).unwrap().1
        };
        assert_eq!(count(OpenError::NextHeader), 3);
    }
}

/// Encryption alone lets anybody change what is inside.
#[test]
fn cve_2005_0039_no_encryption_without_integrity() {
    for cipher in CIPHERS {
        let with = INTEGRITIES.map(|i| Suite::new(cipher, Some(i)).is_ok());
        assert_eq!(Suite::new(cipher, None).is_ok(), cipher.is_aead());
        assert_eq!(with, [!cipher.is_aead(); 6], "{cipher:?}");
    }
}

/// isakmpd's responder made SAs whose window was 0.
#[test]
fn cve_2006_4436_the_replay_window_is_on_by_default() {
    let config = config(suites()[0]);
    assert_eq!(config.replay_window, 1024);
    let (mut outbound, mut inbound, now) = ends(&config);
    let mut buf = [0; 160];
    let packet = outbound.seal(now, &mut buf, 64..96, 6).unwrap();
    for expected in [true, false, false] {
        let opened = inbound.open(now, &mut buf.clone(), packet.clone());
        assert_eq!(opened.is_ok(), expected);
    }
}

/// The window's size is no length that is believed.
#[test]
fn cve_2017_7184_windows_of_other_sizes_are_refused() {
    for window in (0..=5000).chain([65_536, u32::MAX]) {
        let mut config = config(suites()[0]);
        config.replay_window = window;
        let good = (64..=4096).contains(&window) && window % 64 == 0;
        assert_eq!(InboundSa::new(start(), &config).is_ok(), good, "{window}");
    }
}

/// A packet of NULL with HMAC-SHA-1, right but for what is asked for.
fn null_packet(sequence: u32, text: &[u8], good_icv: bool) -> (SaConfig, Vec<u8>) {
    let suite = Suite::new(Cipher::NullTestOnly, Some(Integrity::HmacSha1_96)).unwrap();
    let config = config(suite);
    let mut packet = config.spi.to_be_bytes().to_vec();
    packet.extend(sequence.to_be_bytes());
    packet.extend(text);
    // The key of `config`.
    let mut mac = Hmac::<sha1::Sha1>::new_from_slice(&[9; 20]).unwrap();
    mac.update(&packet);
    let mut icv = mac.finalize().into_bytes()[..12].to_vec();
    icv[0] ^= u8::from(!good_icv);
    packet.extend(icv);
    (config, packet)
}

/// Vaudenay's oracle: what the padding looks like is told only of what has been verified.
#[test]
fn vaudenay_2002_padding_is_looked_at_after_the_icv() {
    let texts: [(&[u8], _); 9] = [
        (&[1, 2, 2, 6], Ok(())),
        (&[0, 0, 0, 6], Ok(())),
        (&[1, 1, 1, 6], Ok(())),
        (&[1, 2, 1, 6], Err(OpenError::Padding)),
        (&[0, 2, 2, 6], Err(OpenError::Padding)),
        (&[1, 1, 2, 6], Err(OpenError::Padding)),
        // More padding than there is.
        (&[1, 2, 3, 6], Err(OpenError::Padding)),
        (&[1, 2, 255, 6], Err(OpenError::Padding)),
        (&[1, 2, 2, 59], Err(OpenError::Dummy)),
    ];
    for (text, expected) in texts {
        for good_icv in [true, false] {
            let (config, mut packet) = null_packet(1, text, good_icv);
            let mut inbound = InboundSa::new(start(), &config).unwrap();
            let range = 0..packet.len();
            let result = inbound.open(start(), &mut packet, range).map(drop);
            let expected = if good_icv {
                expected
            } else {
                Err(OpenError::Icv)
            };
            assert_eq!(result, expected, "{text:?}");
        }
    }
}

/// A number counts as seen only when its packet has been verified, padding or not.
#[test]
fn forged_packets_do_not_move_the_window() {
    let (config, mut far) = null_packet(1_000_000, &[0, 0, 0, 6], false);
    let mut inbound = InboundSa::new(start(), &config).unwrap();
    let range = 0..far.len();
    let result = inbound.open(start(), &mut far, range.clone());
    assert_eq!(result, Err(OpenError::Icv));
    let (_, mut near) = null_packet(1, &[0, 0, 0, 6], true);
    assert!(inbound.open(start(), &mut near, range.clone()).is_ok());
    // A verified one with bad padding does.
    let (_, bad) = null_packet(2, &[9, 9, 9, 6], true);
    for expected in [OpenError::Padding, OpenError::Replay] {
        let result = inbound.open(start(), &mut bad.clone(), range.clone());
        assert_eq!(result, Err(expected));
    }
}

/// What does not verify is not decrypted: its bytes stay as they came.
#[test]
fn nothing_is_decrypted_before_it_is_verified() {
    for suite in suites() {
        let (mut outbound, mut inbound, now) = ends(&config(suite));
        let mut buf = vec![0x55; 200];
        let packet = outbound.seal(now, &mut buf, 64..150, 6).unwrap();
        buf[packet.end - 1] ^= 1;
        let before = buf.clone();
        let result = inbound.open(now, &mut buf, packet.clone());
        assert_eq!(result, Err(OpenError::Icv), "{suite}");
        assert_eq!(buf, before, "{suite}");
        let mut jobs = [Open::new(&mut buf, packet)];
        inbound.open_batch(now, &mut jobs);
        assert_eq!(jobs[0].result, Err(OpenError::Icv), "{suite}");
        assert_eq!(buf, before, "{suite}");
    }
}

/// TFC padding (RFC 4303 section 2.7) goes where the payload says how long it is.
#[test]
fn padding_that_hides_the_length_is_cut_off() {
    let (mut outbound, mut inbound, now) = ends(&config(suites()[0]));
    let mut opened = |next_header: u8, at: usize, says: u16, length: usize| {
        let mut buf = vec![0; 64 + 300 + 64];
        buf[64 + at..64 + at + 2].copy_from_slice(&says.to_be_bytes());
        let packet = outbound.seal(now, &mut buf, 64..64 + length, next_header);
        let opened = inbound.open(now, &mut buf, packet.unwrap()).unwrap();
        opened.payload.len()
    };
    // IPv4, IPv6, UDP.
    assert_eq!(opened(4, 2, 84, 300), 84);
    assert_eq!(opened(41, 4, 44, 300), 84);
    assert_eq!(opened(17, 4, 84, 300), 84);
    for next_header in [4, 41, 17] {
        let at = if next_header == 4 { 2 } else { 4 };
        // As long as it says, and what cannot be is left alone.
        assert_eq!(
            opened(next_header, at, 260, 300),
            if next_header == 41 { 300 } else { 260 }
        );
        assert_eq!(opened(next_header, at, 301, 300), 300);
        assert_eq!(opened(next_header, at, u16::MAX, 300), 300);
        assert_eq!(
            opened(next_header, at, 7, 300),
            if next_header == 41 { 47 } else { 300 }
        );
    }
    assert_eq!(opened(6, 4, 84, 300), 300, "TCP does not say");
}

/// IVs of CBC are never foreseeable: neither counted, nor the last block, nor the same for two SAs.
#[test]
fn ivs_are_unpredictable() {
    let now = start();
    for suite in suites().into_iter().filter(|s| !s.cipher().is_aead()) {
        let length = suite.cipher().iv_length();
        if length == 0 {
            continue;
        }
        let mut seen = std::collections::HashSet::new();
        let mut rng = seeded(7);
        for _ in 0..4 {
            let mut sa = OutboundSa::new(now, &config(suite), &mut rng).unwrap();
            for _ in 0..64 {
                let mut buf = [0; 160];
                let packet = sa.seal(now, &mut buf, 64..96, 6).unwrap();
                let iv = buf[packet.start + 8..packet.start + 8 + length].to_vec();
                assert!(seen.insert(iv), "{suite}");
            }
        }
    }
}
