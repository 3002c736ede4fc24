//! The protocol field both ways, and whole links a second.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ppp::NetworkProtocol;
use roadwarrior_benches::ppp_link;
use std::hint::black_box;
use std::time::Instant;

fn frames(c: &mut Criterion) {
    let now = Instant::now();
    let (mut client, mut server) = ppp_link(now);
    let mut buf = vec![0x45; 1500];
    let mut group = c.benchmark_group("ppp frame");
    group.throughput(Throughput::Elements(1));
    group.bench_function("out", |b| {
        b.iter(|| client.encapsulate(black_box(&mut buf), 64..1464, NetworkProtocol::Ipv4));
    });
    let frame = client
        .encapsulate(&mut buf, 64..1464, NetworkProtocol::Ipv4)
        .unwrap();
    group.bench_function("in", |b| {
        b.iter(|| server.handle_frame(now, black_box(&mut buf), frame.clone()));
    });
    group.finish();
    let mut group = c.benchmark_group("ppp control");
    group.throughput(Throughput::Elements(1));
    group.bench_function("link up with MS-CHAPv2", |b| b.iter(|| ppp_link(now)));
}

criterion_group!(benches, frames);
criterion_main!(benches);
