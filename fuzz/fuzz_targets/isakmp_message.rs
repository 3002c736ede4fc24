//! Any bytes as a datagram: to a fresh responder, to a half-open one, to an initiator, and to the
//! payload parsers.
#![no_main]

use chacha20::ChaCha20Rng;
use isakmp::{Config, Endpoint, Path, Peer, PeerMatch, Policy, PresharedKey};
use libfuzzer_sys::fuzz_target;
use rand_core::SeedableRng;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn endpoint(seed: u64) -> Endpoint {
    let mut config = Config::new(vec![(PeerMatch::Any, PresharedKey::new("fuzz"))]);
    config.policy = Policy::legacy_xp();
    Endpoint::new(Arc::new(config), Box::new(ChaCha20Rng::seed_from_u64(seed))).unwrap()
}

fuzz_target!(|data: &[u8]| {
    isakmp::fuzzing::parsers(data);
    let now = Instant::now();
    let path = |port| Path {
        local: ([192, 0, 2, 1], port).into(),
        remote: ([192, 0, 2, 2], port).into(),
    };
    let mut client = endpoint(1);
    client
        .connect(now, path(500), Peer::new(PresharedKey::new("fuzz")))
        .unwrap();
    let mut first = client.poll_transmit().unwrap().payload;
    let mut server = endpoint(2);
    for half_open in [false, true] {
        if half_open {
            server.handle_datagram(now, path(500), &mut first).unwrap();
            while server.poll_transmit().is_some() {}
        }
        for port in [500, 4500] {
            let _ = server.handle_datagram(now, path(port), &mut data.to_vec());
            let mut sent = 0;
            while let Some(t) = server.poll_transmit() {
                sent += t.payload.len();
            }
            assert!(sent <= data.len().max(600));
            let _ = client.handle_datagram(now, path(port), &mut data.to_vec());
        }
    }
    server.handle_timeout(now + Duration::from_secs(61));
    assert_eq!(server.half_open_count(), 0);
});
