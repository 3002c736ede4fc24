//! Handshakes, the Diffie-Hellman part of them, and the first message of a peer.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use isakmp::{Config, Endpoint, Event, Limits, Path, Peer, PeerMatch, PresharedKey};
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn endpoint(seed: u64, change: impl FnOnce(&mut Config)) -> Endpoint {
    let mut config = Config::new(vec![(PeerMatch::Any, PresharedKey::new("bench"))]);
    config.policy = isakmp::Policy::legacy_xp();
    change(&mut config);
    Endpoint::new(Arc::new(config), Box::new(simnet::seeded(seed))).unwrap()
}

fn path(port: u16) -> Path {
    Path {
        local: ([192, 0, 2, 1], port).into(),
        remote: ([198, 51, 100, 1], 500).into(),
    }
}

fn back(path: Path) -> Path {
    Path {
        local: path.remote,
        remote: path.local,
    }
}

/// Main mode and quick mode to the end; the time that jobs took.
fn handshake(
    now: Instant,
    client: &mut Endpoint,
    server: &mut Endpoint,
    port: u16,
    proposal: &str,
) -> Duration {
    let mut peer = Peer::new(PresharedKey::new("bench"));
    peer.proposals = vec![proposal.parse().unwrap()];
    client.connect(now, path(port), peer).unwrap();
    let mut in_jobs = Duration::ZERO;
    loop {
        let mut idle = true;
        while let Some(mut t) = client.poll_transmit() {
            server
                .handle_datagram(now, back(t.path), &mut t.payload)
                .unwrap();
            idle = false;
        }
        while let Some(mut t) = server.poll_transmit() {
            client
                .handle_datagram(now, back(t.path), &mut t.payload)
                .unwrap();
            idle = false;
        }
        while let Some(event) = server.poll_event() {
            if let Event::Job(job) = event {
                let start = Instant::now();
                let result = job.run();
                in_jobs += start.elapsed();
                server.finish(now, result);
                idle = false;
            }
        }
        while client.poll_event().is_some() {}
        if idle {
            return in_jobs;
        }
    }
}

fn handshakes(c: &mut Criterion) {
    let now = Instant::now();
    let mut group = c.benchmark_group("isakmp/handshake");
    group.throughput(Throughput::Elements(1)).sample_size(20);
    for proposal in [
        "aes256-sha1-ecp384",
        "aes256-sha256-ecp256",
        "aes256-sha1-modp2048",
        "aes256-sha1-modp1024",
    ] {
        for jobs in [false, true] {
            let name = if jobs {
                format!("{proposal}/responder DH only")
            } else {
                format!("{proposal}/both sides")
            };
            group.bench_function(name, |b| {
                b.iter_custom(|count| {
                    let mut client = endpoint(1, |_| ());
                    let mut server = endpoint(2, |c| c.deferred_jobs = jobs);
                    let start = Instant::now();
                    let mut in_jobs = Duration::ZERO;
                    for index in 0..count {
                        let port = 1024 + (index % 60_000) as u16;
                        in_jobs += handshake(now, &mut client, &mut server, port, proposal);
                    }
                    if jobs { in_jobs } else { start.elapsed() }
                });
            });
        }
    }
    group.finish();
}

fn first_messages(c: &mut Criterion) {
    let now = Instant::now();
    let mut client = endpoint(1, |_| ());
    client
        .connect(now, path(500), Peer::new(PresharedKey::new("bench")))
        .unwrap();
    let first = client.poll_transmit().unwrap().payload;
    let mut group = c.benchmark_group("isakmp/first message");
    group.throughput(Throughput::Elements(1));
    let mut stateless = endpoint(3, |c| c.limits.stateless_from = 0);
    group.bench_function("answered without state", |b| {
        b.iter(|| {
            stateless
                .handle_datagram(now, back(path(500)), black_box(&mut first.clone()))
                .unwrap();
            stateless.poll_transmit()
        });
    });
    group.bench_function("answered with state", |b| {
        b.iter_custom(|count| {
            let mut limits = Limits::default();
            limits.half_open = usize::MAX;
            limits.half_open_per_source = usize::MAX;
            limits.stateless_from = usize::MAX;
            limits.sas = usize::MAX;
            let mut server = endpoint(4, |c| c.limits = limits);
            let mut message = first.clone();
            let start = Instant::now();
            for index in 0..count {
                message[..8].copy_from_slice(&(index + 1).to_be_bytes());
                server
                    .handle_datagram(now, back(path(500)), &mut message)
                    .unwrap();
                black_box(server.poll_transmit());
            }
            start.elapsed()
        });
    });
    group.finish();
}

criterion_group!(benches, handshakes, first_messages);
criterion_main!(benches);
