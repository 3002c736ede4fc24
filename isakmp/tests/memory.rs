//! What peers that are not authenticated can make us allocate, in bytes.
//!
//! One test, as the counts are of the whole process.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{client_config, client_path, pair_of, peer, server_config};
use isakmp::{Endpoint, Path};
use simnet::{Link, seeded};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Allocated and not freed since `region` began.
fn live(region: &Region<'_, System>) -> isize {
    let change = region.change();
    change.bytes_allocated as isize - change.bytes_deallocated as isize
}

fn from(index: u32) -> Path {
    let [a, b, c, d] = index.to_be_bytes();
    Path {
        local: ([198, 51, 100, 1], 500).into(),
        remote: ([a | 1, b, c, d], 500).into(),
    }
}

fn first_message() -> Vec<u8> {
    let net = common::Net::Direct;
    let mut net = pair_of(client_config(), server_config(), net, Link::PERFECT, 1);
    let path = client_path(&net.a);
    net.a.endpoint.connect(net.now, path, peer()).unwrap();
    net.a.endpoint.poll_transmit().unwrap().payload
}

fn drain(server: &mut Endpoint) {
    while server.poll_transmit().is_some() {}
    while server.poll_event().is_some() {}
}

#[test]
#[allow(
    clippy::disallowed_methods,
    reason = "a test starts its virtual clock somewhere"
)]
fn unauthenticated_peers_cannot_fill_memory() {
    let first = first_message();
    let start = Instant::now();
    let server = || Endpoint::new(Arc::new(server_config()), Box::new(seeded(2))).unwrap();

    // CVE-2004-0403: no length that a message claims is ever allocated.
    let mut victim = server();
    let region = Region::new(ALLOCATOR);
    for length in [0, 27, 29, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
        let mut lying = first.clone();
        lying[24..28].copy_from_slice(&length.to_be_bytes());
        assert!(victim.handle_datagram(start, from(1), &mut lying).is_err());
    }
    assert!(region.change().bytes_allocated < 16 * KIB);

    // CVE-2008-3652 and its kin: a flood from made-up sources, each with a cookie of its own.
    let mut victim = server();
    let region = Region::new(ALLOCATOR);
    let flood = |victim: &mut Endpoint, numbers: std::ops::Range<u32>| {
        for index in numbers {
            let mut message = first.clone();
            message[..4].copy_from_slice(&(index | 1).to_be_bytes());
            message[4..8].copy_from_slice(&index.to_be_bytes());
            let _ = victim.handle_datagram(start, from(index.rotate_left(8)), &mut message);
            drain(victim);
        }
    };
    flood(&mut victim, 1..20_000);
    let early = live(&region);
    flood(&mut victim, 20_000..200_000);
    let late = live(&region);
    assert!(early < 4 * MIB as isize, "{early}");
    assert!(late <= early + 64 * KIB as isize, "{early} {late}");
    assert!(victim.half_open_count() <= 512);
    victim.handle_timeout(start + Duration::from_secs(61));
    drain(&mut victim);
    let after = live(&region);
    assert_eq!(victim.sa_count(), 0);
    // Tables keep their room, the table of openings what it has seen.
    assert!(after < MIB as isize, "{after}");

    // Vendor IDs are read and forgotten, however long.
    let mut victim = server();
    let region = Region::new(ALLOCATOR);
    for index in 0..5_000_u32 {
        let mut message = first.clone();
        let mut long = vec![0, 0, 0x1f, 0x40];
        long.extend(index.to_be_bytes());
        long.resize(8000, 7);
        append(&mut message, 13, &long);
        message[..4].copy_from_slice(&(index | 1).to_be_bytes());
        message[4..8].copy_from_slice(&index.to_be_bytes());
        let _ = victim.handle_datagram(start, from(index.rotate_left(8)), &mut message);
        drain(&mut victim);
    }
    let held = live(&region);
    assert!(held < 4 * MIB as isize, "{held}");
}

/// Adds a payload to the end of a message's chain.
fn append(message: &mut Vec<u8>, kind: u8, payload: &[u8]) {
    let (mut at, mut next) = (28, message[16]);
    let mut last = 16;
    while next != 0 {
        last = at;
        next = message[at];
        at += usize::from(u16::from_be_bytes([message[at + 2], message[at + 3]]));
    }
    message[last] = kind;
    message.extend_from_slice(payload);
    let length = u32::try_from(message.len()).unwrap();
    message[24..28].copy_from_slice(&length.to_be_bytes());
}
