//! Many SAs: rekeying without a gap, counters.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use common::{config, start, suites};
use esp::{OpenError, SaError, Sadb, SealError};
use simnet::seeded;

/// Make before break: packets of the old SA and of the new one are opened until the old is
/// removed.
#[test]
fn old_and_new_sas_live_side_by_side() {
    let now = start();
    let (mut sender, mut receiver) = (
        Sadb::new(Box::new(seeded(1))),
        Sadb::new(Box::new(seeded(2))),
    );
    let (old, mut new) = (config(suites()[0]), config(suites()[12]));
    new.spi = 0x9999;
    receiver.insert_inbound(now, &old, 7).unwrap();
    let old_id = sender.insert_outbound(now, &old, 7).unwrap();
    let packets: Vec<_> = (0..4)
        .map(|_| {
            let mut buf = [0x55; 200];
            let packet = sender.seal(now, old_id, &mut buf, 64..100, 6).unwrap();
            buf[packet].to_vec()
        })
        .collect();
    receiver.insert_inbound(now, &new, 7).unwrap();
    assert_eq!(
        receiver.insert_inbound(now, &new, 7),
        Err(SaError::DuplicateSpi(0x9999))
    );
    let new_id = sender.insert_outbound(now, &new, 7).unwrap();
    let mut open = |packet: &[u8]| {
        let mut buf = packet.to_vec();
        let range = 0..buf.len();
        receiver
            .open(now, &mut buf, range)
            .map(|found| (found.owner, found.spi))
    };
    assert_eq!(open(&packets[0]), Ok((7, old.spi)));
    let mut buf = [0x55; 200];
    let packet = sender.seal(now, new_id, &mut buf, 64..100, 6).unwrap();
    assert_eq!(open(&buf[packet]), Ok((7, new.spi)));
    assert_eq!(open(&packets[1]), Ok((7, old.spi)), "late");
    assert!(sender.remove_outbound(old_id) && !sender.remove_outbound(old_id));
    assert_eq!(
        sender.seal(now, old_id, &mut [0; 200], 64..100, 6),
        Err(SealError::NoSa)
    );
    assert!(receiver.remove_inbound(old.spi) && !receiver.remove_inbound(old.spi));
    let mut late = packets[2].clone();
    let range = 0..late.len();
    assert_eq!(receiver.open(now, &mut late, range), Err(OpenError::NoSa));
    assert_eq!((receiver.inbound_count(), sender.outbound_count()), (1, 1));
}

/// Each packet is counted once, as what became of it; each reason has a word of its own.
#[test]
fn every_drop_has_a_reason_and_is_counted() {
    let words: std::collections::BTreeSet<_> = OpenError::ALL
        .iter()
        .map(OpenError::reason)
        .chain(SealError::ALL.iter().map(SealError::reason))
        .collect();
    // Both ways know expiry and a missing SA.
    assert_eq!(words.len(), OpenError::ALL.len() + SealError::ALL.len() - 2);
    let now = start();
    let mut sadb = Sadb::new(Box::new(seeded(1)));
    let config = config(suites()[0]);
    sadb.insert_inbound(now, &config, 1).unwrap();
    let id = sadb.insert_outbound(now, &config, 1).unwrap();
    let mut buf = [0x55; 200];
    let packet = sadb.seal(now, id, &mut buf, 64..100, 6).unwrap();
    let size = packet.len() as u64;
    let mut bad = buf;
    bad[packet.end - 1] ^= 1;
    let mut stranger = buf;
    stranger[packet.start] ^= 1;
    assert!(sadb.open(now, &mut bad, packet.clone()).is_err());
    assert!(sadb.open(now, &mut stranger, packet.clone()).is_err());
    assert!(
        sadb.open(now, &mut buf.clone(), packet.start..packet.start + 9)
            .is_err()
    );
    for _ in 0..3 {
        let _ = sadb.open(now, &mut buf.clone(), packet.clone());
    }
    assert!(sadb.seal(now, id, &mut buf, 0..20, 6).is_err());
    let stats = sadb.counters().stats();
    assert_eq!((stats.packets_in, stats.bytes_in), (1, size));
    assert_eq!((stats.packets_out, stats.bytes_out), (1, size));
    let dropped: Vec<_> = sadb
        .counters()
        .dropped_in()
        .map(|(e, n)| (e.reason(), n))
        .filter(|(_, n)| *n > 0)
        .collect();
    assert_eq!(
        dropped,
        [("no_sa", 1), ("short", 1), ("replay", 2), ("icv", 1)]
    );
    let dropped: u64 = sadb.counters().dropped_out().map(|(_, n)| n).sum();
    assert_eq!(dropped, 1);
}

/// A reader on another thread sees numbers that only grow, and holds nobody up.
#[test]
fn statistics_are_read_while_packets_go_through() {
    let now = start();
    let mut sadb = Sadb::new(Box::new(seeded(1)));
    let id = sadb.insert_outbound(now, &config(suites()[0]), 1).unwrap();
    let counters = std::sync::Arc::clone(sadb.counters());
    let reader = std::thread::spawn(move || {
        let mut last = 0;
        while last < 20_000 {
            let stats = counters.stats();
            assert!(stats.packets_out >= last);
            last = stats.packets_out;
        }
        last
    });
    for _ in 0..20_000 {
        sadb.seal(now, id, &mut [0; 200], 64..100, 6).unwrap();
    }
    assert_eq!(reader.join().unwrap(), 20_000);
}
