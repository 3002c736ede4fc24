//! Handshakes, how much of them is in jobs and how much on the calling thread, and first messages.

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

/// Where a responder's time goes.
#[derive(Clone, Copy)]
enum Part {
    /// Both sides in all.
    Whole,
    /// The responder's jobs.
    Jobs,
    /// All that the responder does besides.
    Caller,
}

#[derive(Default)]
struct Times {
    jobs: Duration,
    caller: Duration,
}

fn timed<T>(sum: &mut Duration, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    *sum += start.elapsed();
    result
}

/// Main mode and quick mode to the end.
fn handshake(
    now: Instant,
    client: &mut Endpoint,
    server: &mut Endpoint,
    port: u16,
    proposal: &str,
    times: &mut Times,
) {
    let mut peer = Peer::new(PresharedKey::new("bench"));
    peer.proposals = vec![proposal.parse().unwrap()];
    client.connect(now, path(port), peer).unwrap();
    loop {
        let mut idle = true;
        while let Some(mut t) = client.poll_transmit() {
            let result = timed(&mut times.caller, || {
                server.handle_datagram(now, back(t.path), &mut t.payload)
            });
            result.unwrap();
            idle = false;
        }
        while let Some(mut t) = timed(&mut times.caller, || server.poll_transmit()) {
            client
                .handle_datagram(now, back(t.path), &mut t.payload)
                .unwrap();
            idle = false;
        }
        while let Some(event) = timed(&mut times.caller, || server.poll_event()) {
            if let Event::Job(job) = event {
                let result = timed(&mut times.jobs, || job.run());
                timed(&mut times.caller, || server.finish(now, result));
                idle = false;
            }
        }
        while client.poll_event().is_some() {}
        if idle {
            return;
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
        for (part, name) in [
            (Part::Whole, "both sides"),
            (Part::Jobs, "responder's jobs"),
            (Part::Caller, "responder's calling thread"),
        ] {
            group.bench_function(format!("{proposal}/{name}"), |b| {
                b.iter_custom(|count| {
                    let mut client = endpoint(1, |_| ());
                    let mut server = endpoint(2, |c| c.deferred_jobs = true);
                    let start = Instant::now();
                    let mut times = Times::default();
                    for index in 0..count {
                        // Above 4500, where messages look otherwise.
                        let port = 5000 + (index % 60_000) as u16;
                        // As many as from one network are heard in a second.
                        let at = now + Duration::from_millis(10 * index);
                        handshake(at, &mut client, &mut server, port, proposal, &mut times);
                    }
                    match part {
                        Part::Whole => start.elapsed(),
                        Part::Jobs => times.jobs,
                        Part::Caller => times.caller,
                    }
                });
            });
        }
    }
    group.finish();
}

/// The first message of Windows 10, captured, if the captures are there.
fn windows() -> Option<Vec<u8>> {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../shared/corpus/isakmp/windows10-mm1.hex"
    );
    let text = std::fs::read_to_string(file).ok()?;
    let digits: String = text.lines().filter(|l| !l.starts_with('#')).collect();
    let pairs = digits.as_bytes().chunks_exact(2);
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    pairs.map(byte).collect()
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
    let mut stateless = endpoint(3, |c| {
        c.limits.stateless_from = 0;
        c.limits.first_messages = u32::MAX;
    });
    group.bench_function("answered without state", |b| {
        b.iter(|| {
            stateless
                .handle_datagram(now, back(path(500)), black_box(&mut first.clone()))
                .unwrap();
            stateless.poll_transmit()
        });
    });
    // All at one instant, and each in another name.
    let mut flooded = endpoint(6, |c| c.limits.first_messages = 1);
    let mut message = first.clone();
    let mut number = 0_u64;
    group.bench_function("one of too many", |b| {
        b.iter(|| {
            number += 1;
            message[..8].copy_from_slice(&number.to_be_bytes());
            let refused = flooded.handle_datagram(now, back(path(500)), black_box(&mut message));
            (refused.is_err(), flooded.poll_transmit())
        });
    });
    if let Some(windows) = windows() {
        let config = Config::default();
        let parse = || isakmp::bench::parse_first_message(&config, black_box(&windows));
        assert_eq!(parse(), Some((5, true)), "its five transforms");
        group.bench_function("of Windows 10, captured, parsed only", |b| b.iter(parse));
        group.bench_function("of Windows 10, captured, answered without state", |b| {
            b.iter(|| {
                stateless
                    .handle_datagram(now, back(path(500)), black_box(&mut windows.clone()))
                    .unwrap();
                stateless.poll_transmit()
            });
        });
        // Parsed and compared with all that the policy has, to no avail.
        let mut strict = endpoint(5, |c| {
            c.policy.phase1 = vec!["aes256-sha512-ecp521".parse().unwrap()];
            c.limits.first_messages = u32::MAX;
        });
        group.bench_function("of Windows 10, captured, refused", |b| {
            b.iter(|| {
                let mut first = windows.clone();
                let refused = strict.handle_datagram(now, back(path(500)), black_box(&mut first));
                while strict.poll_event().is_some() {}
                (refused.is_err(), strict.poll_transmit())
            });
        });
    }
    group.bench_function("answered with state", |b| {
        b.iter_custom(|count| {
            let mut limits = Limits::default();
            limits.half_open = usize::MAX;
            limits.half_open_per_source = usize::MAX;
            limits.stateless_from = usize::MAX;
            limits.first_messages = u32::MAX;
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
