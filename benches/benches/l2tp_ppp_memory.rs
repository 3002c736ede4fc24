//! Bytes on the heap for each idle tunnel with a call and its PPP link at an LNS; prints figures,
//! measures no time.

use l2tp::{Endpoint, PathId};
use ppp::{Assignment, Credentials, Event, Link, Role, Verdict};
use simnet::seeded;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::sync::Arc;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// A LAC brings up its tunnel and call, and is forgotten.
fn call(now: Instant, lns: &mut Endpoint, config: &Arc<l2tp::Config>, client: u16) {
    let rng = Box::new(seeded(u64::from(client) + 2));
    let mut lac = Endpoint::new(Arc::clone(config), rng).unwrap();
    let path = PathId(u64::from(client));
    let tunnel = lac.connect(now, path).unwrap();
    lac.open(now, tunnel).unwrap();
    let mut quiet = false;
    while !quiet {
        quiet = true;
        for first in [true, false] {
            let (from, to) = if first {
                (&mut lac, &mut *lns)
            } else {
                (&mut *lns, &mut lac)
            };
            while let Some(mut t) = from.poll_transmit() {
                let length = t.payload.len();
                to.handle_datagram(now, path, &mut t.payload, 0..length)
                    .unwrap();
                quiet = false;
            }
            while to.poll_event().is_some() {}
        }
    }
}

/// A server link that is up with MS-CHAPv2; its peer is forgotten.
fn link(now: Instant, config: &Arc<ppp::Config>, client: u16) -> Link {
    let link = |role, seed| Link::new(Arc::clone(config), role, Box::new(seeded(seed))).unwrap();
    let mut server = link(Role::Server, u64::from(client));
    let mut peer = link(Role::Client, u64::from(client) + 100_000);
    peer.open(now);
    server.open(now);
    let mut up = false;
    let mut quiet = false;
    while !quiet {
        quiet = true;
        for first in [true, false] {
            let (from, to) = if first {
                (&mut peer, &mut server)
            } else {
                (&mut server, &mut peer)
            };
            while let Some(mut frame) = from.poll_transmit() {
                let length = frame.len();
                let _ = to.handle_frame(now, &mut frame, 0..length);
                quiet = false;
            }
        }
        while let Some(event) = server.poll_event() {
            match event {
                Event::Authenticate(request) => {
                    let proof = request.verify("wonderland").unwrap();
                    let assignment = Assignment::new([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
                    let verdict = Verdict::Accept { proof, assignment };
                    server.authenticate(now, verdict).unwrap();
                    quiet = false;
                }
                Event::Ipv4Up { .. } => up = true,
                _ => {}
            }
        }
    }
    assert!(up);
    server
}

fn main() {
    let now = Instant::now();
    let tunnels = Arc::new(l2tp::Config::default());
    let mut links = ppp::Config::default();
    links.credentials = Some(Credentials::new("alice", "wonderland"));
    let links = Arc::new(links);
    let held = |region: &Region<'_, System>| {
        let change = region.change();
        change.bytes_allocated - change.bytes_deallocated
    };
    for clients in [100_u16, 1000, 10_000] {
        let count = usize::from(clients);
        let region = Region::new(ALLOCATOR);
        let mut lns = Endpoint::new(Arc::clone(&tunnels), Box::new(seeded(1))).unwrap();
        for client in 0..clients {
            call(now, &mut lns, &tunnels, client);
        }
        assert_eq!(lns.session_count(), count);
        let l2tp = held(&region) / count;
        // What links are, and what they point to: their generators too.
        let region = Region::new(ALLOCATOR);
        let mut calls = Vec::with_capacity(count);
        calls.extend((0..clients).map(|client| link(now, &links, client)));
        assert_eq!(calls.len(), count);
        let ppp = held(&region) / count;
        println!(
            "{clients} tunnels with a call: {l2tp} bytes each, its link {ppp}, together {}",
            l2tp + ppp
        );
    }
}
