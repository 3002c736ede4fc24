//! A packet through the whole core allocates nothing, either way.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::{Joined, across, udp};
use gateway_example::core::offload::{MOST, Offload, coalesce};
use gateway_example::core::{BATCH, Core, Datagram, Destination, Outbox};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::net::Ipv4Addr;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const OFFICE: Ipv4Addr = Ipv4Addr::new(192, 168, 8, 10);

/// Takes a packet through the sender, as often as a batch has room for it.
fn out(core: &mut dyn Core, now: Instant, packet: &[u8], outbox: &mut Outbox) -> usize {
    for _ in 0..BATCH {
        core.push_inner(now, packet, Offload::default(), outbox);
    }
    core.seal(now, outbox);
    outbox.runs().map(|run| run.bytes.len() / run.length).sum()
}

/// Takes what was sent through the receiver.
fn back(
    core: &mut dyn Core,
    now: Instant,
    batch: &mut [Datagram<'_>],
    outbox: &mut Outbox,
) -> usize {
    core.push_datagrams(now, batch, outbox);
    let mut packets = [&[][..]; BATCH];
    let mut count = 0;
    for (place, packet) in packets
        .iter_mut()
        .zip(batch.iter().filter_map(Datagram::inner))
    {
        *place = packet;
        count += 1;
    }
    let mut came = 0;
    for packets in packets[..count].chunks(MOST) {
        coalesce(packets, &mut |merged| {
            came += merged.payloads().len();
        });
    }
    came
}

/// Without the test harness, whose other thread takes memory when it likes.
#[allow(
    clippy::disallowed_methods,
    reason = "any start will do for virtual time"
)]
fn main() {
    let mut joined = Joined::new(Instant::now(), &["aes128-sha1"], true, 40);
    let now = joined.now;
    let warrior = joined.addresses[0];
    let packets = [
        udp((warrior, 7), (OFFICE, 80), 1300),
        udp((OFFICE, 80), (warrior, 7), 1300),
    ];
    let mut outbox = Outbox::default();
    let mut other = Outbox::default();
    // The first round makes the flow.
    for round in 0..3 {
        for (from_client, packet) in [true, false].into_iter().zip(&packets) {
            let (gateway, client) = (&mut joined.gateway, &mut joined.clients[0]);
            let (sender, receiver): (&mut dyn Core, &mut dyn Core) = if from_client {
                (client, gateway)
            } else {
                (gateway, client)
            };
            let region = Region::new(ALLOCATOR);
            assert_eq!(out(sender, now, packet, &mut outbox), BATCH);
            let sending = region.change();
            let mut sent: Vec<_> = outbox
                .runs()
                .flat_map(|run| {
                    run.bytes
                        .chunks(run.length)
                        .map(move |p| (run.destination, p.to_vec()))
                })
                .collect();
            outbox.clear();
            let path = match sent[0].0 {
                Destination::Udp(path) => path,
                other => unreachable!("{other:?}"),
            };
            let path = across(path, true);
            let mut batch: Vec<_> = sent
                .iter_mut()
                .map(|(_, p)| Datagram::udp(path, p))
                .collect();
            let region = Region::new(ALLOCATOR);
            let came = back(receiver, now, &mut batch, &mut other);
            let receiving = region.change();
            assert_eq!(came, BATCH);
            if round > 0 {
                assert_eq!((sending.allocations, sending.reallocations), (0, 0));
                assert_eq!((receiving.allocations, receiving.reallocations), (0, 0));
            }
        }
    }
}
