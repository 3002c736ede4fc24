//! Bytes on the heap for each idle tunnel with a call at an LNS; prints figures, measures no time.

use l2tp::{Config, Endpoint, PathId};
use simnet::seeded;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::sync::Arc;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() {
    let now = Instant::now();
    for clients in [100_u16, 1000, 10_000] {
        let config = Arc::new(Config::default());
        let region = Region::new(ALLOCATOR);
        let mut lns = Endpoint::new(Arc::clone(&config), Box::new(seeded(1))).unwrap();
        for client in 0..clients {
            let rng = Box::new(seeded(u64::from(client) + 2));
            let mut lac = Endpoint::new(Arc::clone(&config), rng).unwrap();
            let path = PathId(u64::from(client));
            let tunnel = lac.connect(now, path).unwrap();
            lac.open(now, tunnel).unwrap();
            let mut quiet = false;
            while !quiet {
                quiet = true;
                for first in [true, false] {
                    let (from, to) = if first {
                        (&mut lac, &mut lns)
                    } else {
                        (&mut lns, &mut lac)
                    };
                    while let Some(mut t) = from.poll_transmit() {
                        let length = t.payload.len();
                        to.handle_datagram(now, path, &mut t.payload, 0..length)
                            .unwrap();
                        quiet = false;
                    }
                    while to.poll_event().is_some() {}
                }
            }
        }
        assert_eq!(lns.session_count(), usize::from(clients));
        let change = region.change();
        let bytes = change.bytes_allocated - change.bytes_deallocated;
        println!(
            "{clients} tunnels with a call: {} bytes each",
            bytes / usize::from(clients)
        );
    }
}
