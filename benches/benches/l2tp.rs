//! The data header both ways, and control connections a second.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use l2tp::PathId;
use roadwarrior_benches::{PATH, l2tp_call, l2tp_endpoint};
use std::hint::black_box;
use std::time::Instant;

fn data(c: &mut Criterion) {
    let now = Instant::now();
    let (mut lac, mut lns) = (l2tp_endpoint(1), l2tp_endpoint(2));
    let session = l2tp_call(now, &mut lac, &mut lns);
    // Among others, as at a busy LNS.
    for path in 2..1000 {
        lns.connect(now, PathId(path)).unwrap();
        lac.connect(now, PathId(path)).unwrap();
    }
    let mut buf = vec![0x55; 1500];
    let mut group = c.benchmark_group("l2tp data header");
    group.throughput(Throughput::Elements(1));
    group.bench_function("out", |b| {
        b.iter(|| lac.encapsulate(session, black_box(&mut buf), 64..1464));
    });
    let message = lac.encapsulate(session, &mut buf, 64..1464).unwrap();
    group.bench_function("in", |b| {
        b.iter(|| lns.handle_datagram(now, PATH, black_box(&mut buf), message.clone()));
    });
    group.finish();
    let mut group = c.benchmark_group("l2tp control");
    group.throughput(Throughput::Elements(1));
    group.bench_function("tunnel and call up", |b| {
        b.iter(|| {
            let (mut lac, mut lns) = (l2tp_endpoint(1), l2tp_endpoint(2));
            l2tp_call(now, &mut lac, &mut lns)
        });
    });
}

criterion_group!(benches, data);
criterion_main!(benches);
