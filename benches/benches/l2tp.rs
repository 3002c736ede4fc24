//! The data header both ways, and control connections a second.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use l2tp::{Config, Endpoint, PathId, SessionId};
use simnet::seeded;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

const PATH: PathId = PathId(1);

fn endpoint(seed: u64) -> Endpoint {
    Endpoint::new(Arc::new(Config::default()), Box::new(seeded(seed))).unwrap()
}

/// Brings a call up between the two.
fn connect(now: Instant, lac: &mut Endpoint, lns: &mut Endpoint) -> SessionId {
    let tunnel = lac.connect(now, PATH).unwrap();
    let session = lac.open(now, tunnel).unwrap();
    loop {
        let mut quiet = true;
        while let Some(mut t) = lac.poll_transmit() {
            let length = t.payload.len();
            lns.handle_datagram(now, PATH, &mut t.payload, 0..length)
                .unwrap();
            quiet = false;
        }
        while let Some(mut t) = lns.poll_transmit() {
            let length = t.payload.len();
            lac.handle_datagram(now, PATH, &mut t.payload, 0..length)
                .unwrap();
            quiet = false;
        }
        if quiet {
            return session;
        }
    }
}

fn data(c: &mut Criterion) {
    let now = Instant::now();
    let (mut lac, mut lns) = (endpoint(1), endpoint(2));
    let session = connect(now, &mut lac, &mut lns);
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
            let (mut lac, mut lns) = (endpoint(1), endpoint(2));
            connect(now, &mut lac, &mut lns)
        });
    });
}

criterion_group!(benches, data);
criterion_main!(benches);
