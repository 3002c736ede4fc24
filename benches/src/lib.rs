//! Shared set-up of the benchmarks.
#![allow(
    clippy::unwrap_used,
    reason = "a benchmark that cannot go on has failed"
)]

use l2tp::{Endpoint, PathId, SessionId};
use ppp::{Assignment, Credentials, Event, Link, Role, Verdict};
use simnet::seeded;
use std::sync::Arc;
use std::time::Instant;

/// Where L2TP's peer is.
pub const PATH: PathId = PathId(1);

/// An end of L2TP.
#[must_use]
pub fn l2tp_endpoint(seed: u64) -> Endpoint {
    Endpoint::new(Arc::new(l2tp::Config::default()), Box::new(seeded(seed))).unwrap()
}

/// Brings a call up between the two.
pub fn l2tp_call(now: Instant, lac: &mut Endpoint, lns: &mut Endpoint) -> SessionId {
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

/// Brings a link up between a client and a server.
#[must_use]
pub fn ppp_link(now: Instant) -> (Link, Link) {
    let mut config = ppp::Config::default();
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
