//! No packet costs an allocation. Without the test harness, whose other thread allocates too.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use common::start;
use esp::{Cipher, Found, Integrity, Open, SaConfig, Sadb, Seal, Suite};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() {
    let now = start();
    for (cipher, integrity) in [
        (Cipher::AesCbc128, Some(Integrity::HmacSha1_96)),
        (Cipher::AesCbc256, Some(Integrity::HmacSha256_128)),
        (Cipher::TripleDesCbc, Some(Integrity::HmacSha1_96)),
        (Cipher::DesCbc, Some(Integrity::HmacMd5_96)),
        (Cipher::AesCbc192, Some(Integrity::HmacSha512_256)),
        (Cipher::AesGcm128, None),
    ] {
        let suite = Suite::new(cipher, integrity).unwrap();
        let length = integrity.map_or(0, Integrity::key_length);
        let config = SaConfig::new(
            0x1234,
            suite,
            &vec![1; cipher.key_length()],
            &vec![2; length],
        );
        let mut sadb = Sadb::new(Box::new(simnet::seeded(1)));
        sadb.insert_inbound(now, &config, 1).unwrap();
        let id = sadb.insert_outbound(now, &config, 1).unwrap();
        let mut bufs = [[0x55; 1600]; 40];
        let region = Region::new(ALLOCATOR);
        for buf in &mut bufs {
            let packet = sadb.seal(now, id, buf, 64..1464, 17).unwrap();
            assert_eq!(sadb.open(now, buf, packet).unwrap().payload.len(), 1400);
        }
        let mut jobs = bufs
            .each_mut()
            .map(|buf| (id, Seal::new(buf, 64..1464, 17)));
        sadb.seal_batch(now, &mut jobs);
        let mut packets = [const { 0..0 }; 40];
        for (packet, (_, job)) in packets.iter_mut().zip(jobs) {
            *packet = job.result.unwrap();
        }
        let mut packets = packets.into_iter();
        let mut jobs = bufs
            .each_mut()
            .map(|buf| Open::<Found>::new(buf, packets.next().unwrap()));
        sadb.open_batch(now, &mut jobs);
        assert!(jobs.iter().all(|job| job.result.is_ok()));
        assert_eq!(region.change().allocations, 0, "{suite}");
    }
}
