//! The protocol field both ways, and whole links a second.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ppp::{Assignment, Config, Credentials, Event, Link, NetworkProtocol, Role, Verdict};
use simnet::seeded;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

/// Brings a link up between a client and a server.
fn connect(now: Instant) -> (Link, Link) {
    let mut config = Config::default();
    config.credentials = Some(Credentials::new("alice", "wonderland"));
    let config = Arc::new(config);
    let link = |role, seed| Link::new(Arc::clone(&config), role, Box::new(seeded(seed))).unwrap();
    let (mut client, mut server) = (link(Role::Client, 1), link(Role::Server, 2));
    client.open(now);
    server.open(now);
    loop {
        let mut quiet = true;
        while let Some(mut frame) = client.poll_transmit() {
            let length = frame.len();
            let _ = server.handle_frame(now, &mut frame, 0..length);
            quiet = false;
        }
        while let Some(mut frame) = server.poll_transmit() {
            let length = frame.len();
            let _ = client.handle_frame(now, &mut frame, 0..length);
            quiet = false;
        }
        while let Some(event) = server.poll_event() {
            if let Event::Authenticate(request) = event {
                let proof = request.verify("wonderland").unwrap();
                let assignment = Assignment::new([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
                server
                    .authenticate(now, Verdict::Accept { proof, assignment })
                    .unwrap();
                quiet = false;
            }
        }
        if quiet {
            return (client, server);
        }
    }
}

fn frames(c: &mut Criterion) {
    let now = Instant::now();
    let (mut client, mut server) = connect(now);
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
    group.bench_function("link up with MS-CHAPv2", |b| b.iter(|| connect(now)));
}

criterion_group!(benches, frames);
criterion_main!(benches);
