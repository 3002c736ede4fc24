//! No packet costs an allocation. Without the test harness, whose other thread allocates too.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use common::{config, start, suites};
use esp::{Found, Open, Sadb, Seal};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() {
    let now = start();
    for suite in suites() {
        let config = config(suite);
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
