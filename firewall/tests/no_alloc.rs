//! A packet of a known flow allocates nothing.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::*;
use firewall::Verdict;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// One test, as allocations of others would be counted.
/// Without the test harness, whose other thread takes memory when it likes.
fn main() {
    let mut net = net(nat());
    let udp_end = net.map((ALICE, 4500), (SERVER, 4500));
    let tcp_end = net.connect((ALICE, 40_000), (SERVER, 80));
    let echo = net.out(ping(ALICE, SERVER, 7)).unwrap();
    let mut outward = [
        udp((ALICE, 4500), (SERVER, 4500)),
        tcp(
            (ALICE, 40_000),
            (SERVER, 80),
            Tcp::new(ACK, 1001, 5001).data(9),
        ),
        ping(ALICE, SERVER, 7),
    ];
    let mut inward = [
        udp((SERVER, 4500), udp_end),
        tcp((SERVER, 80), tcp_end, Tcp::new(ACK, 5001, 1010).data(9)),
        pong(SERVER, PUBLIC, echo_id(&echo)),
    ];
    let (lan, wan) = (net.lan, net.wan);
    let mut run = |from, to, packet: &mut Vec<u8>| {
        let ingress = firewall::Ingress {
            interface: from,
            ipsec: false,
        };
        let range = 0..packet.len();
        let region = Region::new(ALLOCATOR);
        let verdict = net
            .firewall
            .process(net.now, ingress, packet, range, &|_| Some(to));
        let change = region.change();
        assert!(matches!(verdict, Verdict::Forward { .. }));
        assert_eq!((change.allocations, change.reallocations), (0, 0));
    };
    for (out, back) in outward.iter_mut().zip(&mut inward) {
        run(lan, wan, out);
        run(wan, lan, back);
    }
}
