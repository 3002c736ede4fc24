//! A packet of a known flow, with few and with many others; new flows; and what a flow weighs.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use firewall::{Config, Firewall, Ingress, Interface, InterfaceId, Nat};
use simnet::seeded;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Over this many ports of one address, the pool has to be larger.
const ADDRESSES: u8 = 32;

fn udp(host: u32, port: u16) -> [u8; 28] {
    let [a, b, c, d] = (0x0a00_0000 + host).to_be_bytes();
    let [high, low] = port.to_be_bytes();
    [
        0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, a, b, c, d, 203, 0, 113, 5, high, low, 0, 53, 0,
        8, 0, 0,
    ]
}

fn firewall() -> (Firewall, InterfaceId, InterfaceId) {
    let mut config = Config::default();
    let mut nat = Nat::new([198, 51, 100, 2].into());
    nat.addresses = (0..ADDRESSES).map(|n| [198, 51, 100, n].into()).collect();
    config.nat = vec![nat];
    config.limits.flows = 1 << 20;
    config.limits.queue = 0;
    let mut firewall = Firewall::new(Arc::new(config), Box::new(seeded(1))).unwrap();
    let lan = firewall.add_interface(Interface::private());
    let wan = firewall.add_interface(Interface::public());
    (firewall, lan, wan)
}

fn known_flow(c: &mut Criterion) {
    let now = Instant::now();
    let mut group = c.benchmark_group("firewall known flow");
    group.throughput(Throughput::Elements(1));
    for flows in [1_u32, 1000, 1_000_000] {
        let region = Region::new(ALLOCATOR);
        let (mut firewall, lan, wan) = firewall();
        let ingress = Ingress {
            interface: lan,
            ipsec: false,
        };
        let start = Instant::now();
        for host in 0..flows {
            let mut packet = udp(host, 5000);
            let _ = firewall.process(now, ingress, &mut packet, 0..28, &|_| Some(wan));
        }
        let took = start.elapsed();
        let change = region.change();
        // A reallocation is counted by what it adds.
        let bytes = change.bytes_allocated as isize - change.bytes_deallocated as isize;
        println!(
            "{} flows: {} bytes a flow, {:.0} flows opened a second",
            firewall.flow_count(),
            bytes / flows as isize,
            f64::from(flows) / took.as_secs_f64()
        );
        let mut next = 0_u32;
        group.bench_function(BenchmarkId::from_parameter(flows), |b| {
            b.iter(|| {
                // Not in the order in which they lie in memory.
                next = next.wrapping_add(2_654_435_761) % flows;
                let mut packet = udp(next, 5000);
                firewall.process(now, ingress, black_box(&mut packet), 0..28, &|_| Some(wan))
            });
        });
    }
}

criterion_group!(benches, known_flow);
criterion_main!(benches);
