//! A packet of a known flow, among few and many others; new flows; and what a flow weighs.
//!
//! A packet is made on the stack from its flow's number, and the numbers are read in order: the
//! misses are the firewall's alone. Making it is measured too.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use firewall::{Config, Firewall, Ingress, Interface, InterfaceId, Job, Nat};
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
const MILLION: u32 = 1_000_000;
const BATCH: usize = 32;

fn udp(host: u32, port: u16, server: u8) -> [u8; 28] {
    let [a, b, c, d] = (0x0a00_0000 + host).to_be_bytes();
    let [high, low] = port.to_be_bytes();
    [
        0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, a, b, c, d, 203, 0, 113, server, high, low, 0,
        53, 0, 8, 0, 0,
    ]
}

fn tcp(host: u32, flags: u8) -> [u8; 40] {
    let mut packet = [0; 40];
    packet[..28].copy_from_slice(&udp(host, 5000, 5));
    packet[3] = 40;
    packet[9] = 6;
    packet[24..28].copy_from_slice(&[0, 0, 0, 1]);
    packet[32..34].copy_from_slice(&[0x50, flags]);
    packet
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

fn clear(interface: InterfaceId) -> Ingress {
    Ingress {
        interface,
        ipsec: false,
    }
}

/// Opens flows to so many servers from each host's one port, and tells what they take.
fn fill(now: Instant, flows: u32, servers: u32) -> (Firewall, Ingress, InterfaceId) {
    let region = Region::new(ALLOCATOR);
    let (mut firewall, lan, wan) = firewall();
    let start = Instant::now();
    for n in 0..flows {
        let mut packet = udp(n / servers, 5000, (n % servers) as u8);
        let _ = firewall.process(now, clear(lan), &mut packet, 0..28, &|_| Some(wan));
    }
    let took = start.elapsed();
    let change = region.change();
    // A reallocation is counted by what it adds.
    let bytes = change.bytes_allocated as isize - change.bytes_deallocated as isize;
    println!(
        "{} flows, {servers} to a host: {} bytes a flow, {:.0} flows opened a second",
        firewall.flow_count(),
        bytes / flows as isize,
        f64::from(flows) / took.as_secs_f64()
    );
    assert_eq!(firewall.flow_count(), flows as usize);
    (firewall, clear(lan), wan)
}

/// In which order flows have packets.
#[derive(Clone, Copy)]
enum Order {
    /// Each flow as often as any other, and no telling which is next: the worst.
    Random,
    /// The n-th busiest flow has 1/n of the busiest one's packets: as traffic is.
    Zipf,
}

impl Order {
    fn sequence(self, flows: u32) -> Vec<u32> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let draws = (0..1 << 20).map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let unit = (state >> 11) as f64 / (1_u64 << 53) as f64;
            let flow = match self {
                Self::Random => (unit * f64::from(flows)) as u32,
                Self::Zipf => f64::from(flows).powf(unit) as u32 - 1,
            };
            // Busy flows do not lie side by side.
            (u64::from(flow) * 2_654_435_761 % u64::from(flows)) as u32
        });
        draws.collect()
    }
}

fn known_flow(c: &mut Criterion) {
    let now = Instant::now();
    let mut group = c.benchmark_group("firewall known flow");
    group.throughput(Throughput::Elements(1));
    for flows in [1_u32, 1000, MILLION] {
        let (mut firewall, ingress, wan) = fill(now, flows, 1);
        let orders = [("random", Order::Random), ("zipf", Order::Zipf)];
        for (name, order) in orders.into_iter().take(if flows == 1 { 1 } else { 2 }) {
            let sequence = order.sequence(flows);
            let mut next = sequence.iter().cycle();
            group.bench_function(BenchmarkId::new(name, flows), |b| {
                b.iter(|| {
                    let mut packet = udp(*next.next().unwrap_or(&0), 5000, 0);
                    firewall.process(now, ingress, black_box(&mut packet), 0..28, &|_| Some(wan))
                });
            });
            let id = BenchmarkId::new(format!("{name}, by {BATCH}"), flows);
            group.throughput(Throughput::Elements(BATCH as u64));
            group.bench_function(id, |b| {
                b.iter(|| {
                    let mut packets = [[0; 28]; BATCH];
                    for packet in &mut packets {
                        *packet = udp(*next.next().unwrap_or(&0), 5000, 0);
                    }
                    let mut jobs = packets.each_mut().map(|p| Job::new(ingress, p, 0..28));
                    firewall.process_batch(now, black_box(&mut jobs), &|_| Some(wan));
                });
            });
            group.throughput(Throughput::Elements(1));
        }
    }
    group.finish();
}

/// Nanoseconds a packet of many runs of 2,000, `step` of which does so many of: the best, which
/// what else the machine does has hurt least, and the median.
fn runs(packets: u32, mut step: impl FnMut()) -> (f64, f64) {
    let steps = RUN / packets;
    let run = |_| {
        let start = Instant::now();
        (0..steps).for_each(|_| step());
        start.elapsed().as_secs_f64() * 1e9 / f64::from(steps * packets)
    };
    let mut all: Vec<f64> = (0..1500).map(run).collect();
    all.sort_by(f64::total_cmp);
    (all[0], all[all.len() / 2])
}

const RUN: u32 = 2000;

/// A million flows beside a thousand, in one process: UDP, each flow as likely as any other.
fn ratios(_: &mut Criterion) {
    let now = Instant::now();
    let mut least = [0.0; 3];
    for flows in [1000, MILLION] {
        let (mut firewall, inside, wan) = fill(now, flows, 1);
        let sequence = Order::Random.sequence(flows);
        let answers: Vec<[u8; 6]> = (0..flows)
            .map(|host| {
                let mut sent = udp(host, 5000, 0);
                let _ = firewall.process(now, inside, &mut sent, 0..28, &|_| Some(wan));
                let mut answer = udp(0, 53, 0);
                let global = [&sent[12..16], &sent[20..22]].concat();
                answered(&mut answer, &global);
                let to = |_| Some(inside.interface);
                let verdict = firewall.process(now, clear(wan), &mut answer, 0..28, &to);
                assert!(matches!(verdict, firewall::Verdict::Forward { .. }));
                global.try_into().unwrap()
            })
            .collect();
        // Beforehand, so that the answers' places are read in order as well.
        let answers: Vec<[u8; 6]> = sequence.iter().map(|n| answers[*n as usize]).collect();
        let mut next = sequence.iter().cycle();
        let mut one = || {
            let mut packet = udp(*next.next().unwrap_or(&0), 5000, 0);
            let _ = firewall.process(now, inside, black_box(&mut packet), 0..28, &|_| Some(wan));
        };
        (0..flows).for_each(|_| one());
        let out = runs(1, &mut one);
        let mut next = answers.iter().cycle();
        let answer = runs(1, || {
            let mut packet = udp(0, 53, 0);
            answered(&mut packet, next.next().unwrap());
            let to = |_| Some(inside.interface);
            let _ = firewall.process(now, clear(wan), black_box(&mut packet), 0..28, &to);
        });
        let mut next = sequence.chunks_exact(BATCH).cycle();
        let batch = runs(BATCH as u32, || {
            let mut packets = [[0; 28]; BATCH];
            for (packet, host) in packets.iter_mut().zip(next.next().unwrap_or(&[])) {
                *packet = udp(*host, 5000, 0);
            }
            let mut jobs = packets.each_mut().map(|p| Job::new(inside, p, 0..28));
            firewall.process_batch(now, black_box(&mut jobs), &|_| Some(wan));
        });
        let names = ["one by one, out", "one by one, in", "by 32, out"];
        let measured = names.into_iter().zip([out, answer, batch]);
        for ((name, (best, median)), least) in measured.zip(&mut least) {
            if flows != MILLION {
                *least = best;
            }
            println!(
                "{flows} flows, {name}: best {best:.0} ns, median {median:.0} ns; best is {:.1}x of a thousand's",
                best / *least
            );
        }
    }
}

/// Addresses and ports of what a server answers to a global address and port.
fn answered(packet: &mut [u8; 28], global: &[u8]) {
    packet[12..16].copy_from_slice(&[203, 0, 113, 0]);
    packet[16..20].copy_from_slice(&global[..4]);
    packet[22..24].copy_from_slice(&global[4..]);
}

fn known_connection(c: &mut Criterion) {
    let now = Instant::now();
    let (mut firewall, lan, wan) = firewall();
    for host in 0..1000 {
        let _ = firewall.process(now, clear(lan), &mut tcp(host, 2), 0..40, &|_| Some(wan));
        let mut sent = tcp(host, 2);
        let _ = firewall.process(now, clear(lan), &mut sent, 0..40, &|_| Some(wan));
        let mut answer = sent;
        answer[12..16].copy_from_slice(&sent[16..20]);
        answer[16..20].copy_from_slice(&sent[12..16]);
        answer[20..22].copy_from_slice(&sent[22..24]);
        answer[22..24].copy_from_slice(&sent[20..22]);
        answer[28..32].copy_from_slice(&[0, 0, 0, 2]);
        answer[32..36].copy_from_slice(&[0x50, 0x12, 0xff, 0xff]);
        let verdict = firewall.process(now, clear(wan), &mut answer, 0..40, &|_| Some(lan));
        assert!(matches!(verdict, firewall::Verdict::Forward { .. }));
    }
    let mut group = c.benchmark_group("firewall known connection");
    group.throughput(Throughput::Elements(1));
    let sequence = Order::Random.sequence(1000);
    let mut next = sequence.iter().cycle();
    group.bench_function("1000", |b| {
        b.iter(|| {
            let mut packet = tcp(*next.next().unwrap_or(&0), 0x10);
            packet[27] = 2;
            packet[31] = 2;
            firewall.process(now, clear(lan), black_box(&mut packet), 0..40, &|_| {
                Some(wan)
            })
        });
    });
    let (best, median) = runs(1, || {
        let mut packet = tcp(*next.next().unwrap_or(&0), 0x10);
        packet[27] = 2;
        packet[31] = 2;
        let _ = firewall.process(now, clear(lan), black_box(&mut packet), 0..40, &|_| {
            Some(wan)
        });
    });
    println!("1000 connections: best {best:.0} ns, median {median:.0} ns");
    group.finish();
}

fn weight(_: &mut Criterion) {
    let _ = fill(Instant::now(), MILLION, 10);
}

criterion_group!(benches, ratios, known_flow, known_connection, weight);
criterion_main!(benches);
