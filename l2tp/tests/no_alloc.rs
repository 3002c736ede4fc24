//! Data messages in and out take no memory.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod common;

use common::{PATH, config, connected_pair};
use l2tp::{Config, Received, Reorder};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::time::Duration;

#[global_allocator]
static MEMORY: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Without the test harness, whose other thread takes memory when it likes.
fn main() {
    data_in_and_out_takes_no_memory();
}

fn data_in_and_out_takes_no_memory() {
    let numbered = config(|c| {
        c.data_sequencing = true;
        c.data_length = true;
    });
    let queued = config(|c| {
        c.reorder = Reorder::Queue {
            timeout: Duration::from_millis(50),
            depth: 8,
        };
    });
    for (lac, lns) in [
        (Config::default(), Config::default()),
        (numbered.clone(), Config::default()),
        (numbered, queued),
    ] {
        let mut pair = connected_pair(lac, lns);
        let (out, session) = (pair.a.session.unwrap(), pair.b.session.unwrap());
        let (now, mut buf) = (pair.now, vec![0x55; 1500]);
        let region = Region::new(MEMORY);
        for _ in 0..10_000 {
            let message = pair
                .a
                .endpoint
                .encapsulate(out, &mut buf, 64..1464)
                .unwrap();
            let got = pair
                .b
                .endpoint
                .handle_datagram(now, PATH, &mut buf, message)
                .unwrap();
            assert_eq!(
                got,
                Received::Data {
                    session,
                    frame: 64..1464
                }
            );
        }
        let change = region.change();
        assert_eq!((change.allocations, change.reallocations), (0, 0));
        // The counter counts.
        let region = Region::new(MEMORY);
        drop(std::hint::black_box(vec![1_u8; 100]));
        assert_eq!(region.change().allocations, 1);
    }
}
