//! The last sequence numbers, and limits that no test could reach by sending.

use crate::{
    Cipher, Event, InboundSa, Integrity, Lifetime, OpenError, OutboundSa, SaConfig, Sadb,
    SealError, Suite,
};
use simnet::seeded;
use std::time::{Duration, Instant};

const LAST: u64 = u32::MAX as u64;

fn config(cipher: Cipher) -> SaConfig {
    let suite = Suite::new(cipher, Some(Integrity::HmacSha1_96)).unwrap();
    SaConfig::new(0x1000, suite, &vec![7; cipher.key_length()], &[9; 20])
}

#[allow(
    clippy::disallowed_methods,
    reason = "any start will do for virtual time"
)]
fn start() -> Instant {
    Instant::now()
}

fn outbound(config: &SaConfig, last: u64) -> OutboundSa {
    let mut sa = OutboundSa::new(start(), config, &mut seeded(1)).unwrap();
    sa.skip_to(last);
    sa
}

fn packet(sa: &mut OutboundSa) -> Result<Vec<u8>, SealError> {
    let mut buf = [0x55; 128];
    let range = sa.seal(start(), &mut buf, 32..64, 6)?;
    Ok(buf[range].to_vec())
}

fn open(sa: &mut InboundSa, packet: &[u8]) -> Result<u64, OpenError> {
    let mut buf = packet.to_vec();
    let range = 0..buf.len();
    sa.open(start(), &mut buf, range).map(|o| o.sequence)
}

/// RFC 4303 section 3.3.3: the number 2^32 - 1 is the last, none is used twice.
#[test]
fn cve_2006_4436_sequence_numbers_stop_at_2_to_the_32() {
    let config = config(Cipher::AesCbc128);
    let mut sender = outbound(&config, LAST - 2);
    let mut receiver = InboundSa::new(start(), &config).unwrap();
    receiver.skip_to(LAST - 2);
    for expected in [LAST - 1, LAST] {
        let packet = packet(&mut sender).unwrap();
        assert_eq!(open(&mut receiver, &packet), Ok(expected));
        assert_eq!(open(&mut receiver, &packet), Err(OpenError::Replay));
    }
    for _ in 0..2 {
        assert_eq!(packet(&mut sender), Err(SealError::SequenceExhausted));
    }
    // An old number after the last is old: nothing wraps.
    let old = packet(&mut outbound(&config, 0)).unwrap();
    assert_eq!(open(&mut receiver, &old), Err(OpenError::Replay));
}

/// There is time for another SA before the numbers end, and each limit is told once.
#[test]
fn the_end_of_sequence_numbers_is_told_once_and_in_time() {
    let now = start();
    let config = config(Cipher::AesCbc128);
    let mut sadb = Sadb::new(Box::new(seeded(1)));
    let id = sadb.insert_outbound(now, &config, 42).unwrap();
    let events = |sadb: &mut Sadb, last: u64| {
        sadb.skip_to(id, last);
        for _ in 0..3 {
            let _ = sadb.seal(now, id, &mut [0; 160], 64..96, 6);
        }
        std::iter::from_fn(|| sadb.poll_event()).collect::<Vec<_>>()
    };
    let (owner, spi) = (42, config.spi);
    assert_eq!(events(&mut sadb, 1000), []);
    let soft = Event::SoftExpired { owner, spi };
    assert_eq!(events(&mut sadb, LAST / 4 * 3), [soft]);
    let hard = Event::HardExpired { owner, spi };
    assert_eq!(events(&mut sadb, LAST - 1), [hard]);
    assert_eq!(events(&mut sadb, LAST), []);
    let exhausted = sadb.counters().dropped_out();
    let exhausted: u64 = exhausted
        .filter(|(e, _)| *e == SealError::SequenceExhausted)
        .map(|(_, n)| n)
        .sum();
    assert_eq!(exhausted, 5);
}

/// RFC 4304: the high half is not sent, and counted by both.
#[test]
fn extended_sequence_numbers_pass_2_to_the_32() {
    for window in [64, 1024, 4096] {
        let mut config = config(Cipher::AesCbc128);
        config.esn = true;
        config.replay_window = window;
        let mut sender = outbound(&config, LAST - 3);
        let packets: Vec<_> = (0..7).map(|_| packet(&mut sender).unwrap()).collect();
        let mut receiver = InboundSa::new(start(), &config).unwrap();
        receiver.skip_to(LAST - 10);
        // Across the border and back.
        for index in [4, 0, 6, 2, 1, 5, 3] {
            let sequence = LAST - 2 + index as u64;
            assert_eq!(
                open(&mut receiver, &packets[index]),
                Ok(sequence),
                "{window}"
            );
        }
        for packet in &packets {
            assert!(open(&mut receiver, packet).is_err());
        }
        // The same low half, one subspace before: another number, so the ICV is wrong.
        let early = packet(&mut outbound(&config, 3)).unwrap();
        assert!(open(&mut receiver, &early).is_err());
        // Bits of the high half count.
        let late = packet(&mut outbound(&config, (5 << 32) + 7)).unwrap();
        assert_eq!(open(&mut receiver, &late), Err(OpenError::Icv));
    }
    let mut config = config(Cipher::AesCbc128);
    config.esn = true;
    let mut sender = outbound(&config, u64::MAX - 1);
    assert!(packet(&mut sender).is_ok());
    assert_eq!(packet(&mut sender), Err(SealError::SequenceExhausted));
}

/// For every size: what is as old as the window is long is too old.
#[test]
fn cve_2017_7184_replay_at_the_edges_of_every_window() {
    for window in (64..=4096_u32).step_by(64) {
        let mut config = config(Cipher::AesCbc128);
        config.replay_window = window;
        let (size, top) = (u64::from(window), 3 * u64::from(window) + 17);
        let mut receiver = InboundSa::new(start(), &config).unwrap();
        let mut at = |sequence: u64| {
            let packet = packet(&mut outbound(&config, sequence - 1)).unwrap();
            open(&mut receiver, &packet)
        };
        assert_eq!(at(top), Ok(top));
        assert_eq!(at(top - size), Err(OpenError::Replay), "{window}");
        assert_eq!(at(top - size + 1), Ok(top - size + 1), "{window}");
        assert_eq!(at(top - size + 1), Err(OpenError::Replay));
        assert_eq!(at(top), Err(OpenError::Replay));
        // A jump of just less than the window keeps what was seen, one more forgets it.
        assert_eq!(at(top + size - 1), Ok(top + size - 1));
        assert_eq!(at(top), Err(OpenError::Replay), "{window}");
        assert_eq!(at(top + 1), Ok(top + 1));
        assert_eq!(at(top + 3 * size), Ok(top + 3 * size));
        assert_eq!(at(top + 2 * size), Err(OpenError::Replay), "{window}");
        assert_eq!(at(top + 2 * size + 1), Ok(top + 2 * size + 1));
    }
}

/// SWEET32: with blocks of 64 bits another key is asked for after 4 GiB, and 32 GiB are the end.
#[test]
fn cve_2016_2183_short_blocks_end_by_volume() {
    for cipher in [Cipher::DesCbc, Cipher::TripleDesCbc] {
        let config = config(cipher);
        assert_eq!(config.lifetime, Lifetime::SHORT_BLOCKS);
        let now = start();
        let mut sadb = Sadb::new(Box::new(seeded(1)));
        let id = sadb.insert_outbound(now, &config, 42).unwrap();
        let (owner, spi) = (42, config.spi);
        let seal = |sadb: &mut Sadb, bytes: u64| {
            sadb.have_used(id, bytes);
            let sealed = sadb.seal(now, id, &mut [0; 160], 64..96, 6).map(drop);
            (sealed, sadb.poll_event())
        };
        assert_eq!(seal(&mut sadb, (4 << 30) - 1000), (Ok(()), None));
        let soft = Event::SoftExpired { owner, spi };
        assert_eq!(seal(&mut sadb, (4 << 30) - 1), (Ok(()), Some(soft)));
        let hard = Event::HardExpired { owner, spi };
        assert_eq!(seal(&mut sadb, (32 << 30) - 1), (Ok(()), Some(hard)));
        assert_eq!(seal(&mut sadb, 32 << 30), (Err(SealError::Expired), None));
    }
    assert_eq!(config(Cipher::AesCbc128).lifetime, Lifetime::default());
}

/// As an owner may say that an SA never ends by age.
#[test]
fn a_lifetime_without_end_is_none_too_long() {
    let mut config = config(Cipher::AesCbc128);
    config.lifetime.soft_time = Some(Duration::MAX);
    config.lifetime.hard_time = Some(Duration::MAX);
    assert!(packet(&mut outbound(&config, 0)).is_ok());
}

/// Soft and hard limits of each kind, for both ends.
#[test]
fn lifetimes_of_each_kind_for_both_ends() {
    let now = start();
    let size = 8 + 16 + 48 + 12;
    let time = |seconds| Some(Duration::from_secs(seconds));
    let mut limits = [Lifetime::default(); 3];
    (limits[0].soft_bytes, limits[0].hard_bytes) = (Some(2 * size), Some(4 * size));
    (limits[1].soft_packets, limits[1].hard_packets) = (Some(2), Some(4));
    (limits[2].soft_time, limits[2].hard_time) = (time(2), time(4));
    for lifetime in limits {
        let mut config = config(Cipher::AesCbc128);
        config.lifetime = lifetime;
        let mut sender = Sadb::new(Box::new(seeded(1)));
        let id = sender.insert_outbound(now, &config, 42).unwrap();
        let mut receiver = Sadb::new(Box::new(seeded(2)));
        receiver.insert_inbound(now, &config, 42).unwrap();
        // A sender without limits, so that the receiver's own are met.
        let mut endless = config.clone();
        endless.lifetime = Lifetime::default();
        let mut endless = outbound(&endless, 0);
        let (owner, spi) = (42, config.spi);
        for second in 1..=5 {
            let at = now + Duration::from_secs(second);
            let expected = match second {
                2 => Some(Event::SoftExpired { owner, spi }),
                4 => Some(Event::HardExpired { owner, spi }),
                _ => None,
            };
            // Age is over when it is reached; traffic once it has gone through.
            let over = if lifetime.hard_time.is_some() { 4 } else { 5 };
            let sealed = sender.seal(at, id, &mut [0; 160], 64..96, 6);
            assert_eq!(sealed.is_ok(), second < over, "{lifetime:?}");
            sender.handle_timeout(at);
            assert_eq!(sender.poll_event(), expected, "{lifetime:?} {second}");
            let mut packet = packet(&mut endless).unwrap();
            let range = 0..packet.len();
            let opened = receiver.open(at, &mut packet, range).map(drop);
            let result = if second < over {
                Ok(())
            } else {
                Err(OpenError::Expired)
            };
            assert_eq!(opened, result, "{lifetime:?} {second}");
            receiver.handle_timeout(at);
            assert_eq!(receiver.poll_event(), expected, "{lifetime:?} {second}");
        }
    }
}
