//! Bytes on the heap for each peer of a responder; prints figures, measures no time.

use isakmp::{Config, Endpoint, Limits, Path, Peer, PeerMatch, PresharedKey};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const PEERS: u16 = 1000;
const PROPOSAL: &str = "aes256-sha1-modp1024";

fn config() -> Config {
    let mut config = Config::new(vec![(PeerMatch::Any, PresharedKey::new("bench"))]);
    let mut limits = Limits::default();
    limits.half_open_per_source = usize::MAX;
    limits.stateless_from = usize::MAX;
    limits.first_messages = u32::MAX;
    config.limits = limits;
    config
}

fn path(port: u16) -> Path {
    Path {
        local: ([198, 51, 100, 1], 500).into(),
        remote: ([192, 0, 2, 1], port).into(),
    }
}

fn back(path: Path) -> Path {
    Path {
        local: path.remote,
        remote: path.local,
    }
}

fn drain(server: &mut Endpoint) {
    while server.poll_event().is_some() {}
}

/// Each peer goes on until it has sent `messages`; the server's memory is what grows.
fn connect(now: Instant, server: &mut Endpoint, port: u16, messages: usize) {
    let rng = Box::new(simnet::seeded(port.into()));
    let mut client = Endpoint::new(Arc::new(config()), rng).unwrap();
    let mut peer = Peer::new(PresharedKey::new("bench"));
    peer.proposals = vec![PROPOSAL.parse().unwrap()];
    client.connect(now, back(path(port)), peer).unwrap();
    for _ in 0..messages {
        let Some(mut request) = client.poll_transmit() else {
            break;
        };
        server
            .handle_datagram(now, path(port), &mut request.payload)
            .unwrap();
        while let Some(mut reply) = server.poll_transmit() {
            client
                .handle_datagram(now, back(path(port)), &mut reply.payload)
                .unwrap();
        }
        drain(server);
    }
}

fn measure(name: &str, messages: usize, later: Duration) {
    let now = Instant::now();
    let rng = Box::new(simnet::seeded(7));
    let mut server = Endpoint::new(Arc::new(config()), rng).unwrap();
    connect(now, &mut server, 1, messages);
    let region = Region::new(ALLOCATOR);
    for port in 0..PEERS {
        connect(now, &mut server, 1000 + port, messages);
    }
    server.handle_timeout(now + later);
    while server.poll_transmit().is_some() {}
    drain(&mut server);
    let change = region.change();
    let bytes = change.bytes_allocated - change.bytes_deallocated;
    println!(
        "{name}: {} bytes a peer ({} SAs, {} children)",
        bytes / usize::from(PEERS),
        server.sa_count(),
        server.child_count()
    );
}

fn main() {
    measure("after message 1", 1, Duration::ZERO);
    measure("after message 3", 2, Duration::ZERO);
    measure("main mode complete", 3, Duration::ZERO);
    measure("main and quick mode complete", 9, Duration::ZERO);
    let minute = Duration::from_secs(61);
    measure("the same, a minute later", 9, minute);
}
