//! Packets allocate nothing, and an idle link holds little.
#![allow(clippy::print_stdout, reason = "the figure is of interest")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::*;
use ppp::{Config, NetworkProtocol, Received};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// One program and no test harness, whose other thread takes memory when it likes: the counters
/// are of the whole process.
fn main() {
    let region = Region::new(ALLOCATOR);
    let mut b = Bench::server_up(Config::default());
    b.heard = std::collections::VecDeque::new();
    b.events = Vec::new();
    let stats = region.change();
    let held = stats.bytes_allocated - stats.bytes_deallocated;
    // What the link points to and what it is, the generator and the configuration included.
    let size = held + size_of::<ppp::Link>();
    println!(
        "an idle open link holds {size} bytes, {} of them its own",
        size_of::<ppp::Link>()
    );
    assert!(size < 2048, "{size} bytes");

    let mut buf = [0x45; 1500];
    let region = Region::new(ALLOCATOR);
    for _ in 0..1000 {
        let frame = b
            .link
            .encapsulate(&mut buf, 64..1464, NetworkProtocol::Ipv4)
            .unwrap();
        let got = b.link.handle_frame(b.now, &mut buf, frame).unwrap();
        assert_eq!(got, Received::Ipv4(64..1464));
        assert!(b.link.poll_transmit().is_none() && b.link.poll_event().is_none());
        assert!(b.link.poll_timeout().is_some());
    }
    let stats = region.change();
    assert_eq!((stats.allocations, stats.reallocations), (0, 0));
}
