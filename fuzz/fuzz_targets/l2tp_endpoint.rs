#![no_main]
//! Messages of a well-behaved peer, mutated, dropped and repeated, never break an LNS, and all
//! it has is gone once its path is.
use arbitrary::Arbitrary;
use chacha20::{ChaCha20Rng, rand_core::SeedableRng};
use l2tp::{Config, Endpoint, PathId};
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[derive(Arbitrary, Debug)]
enum Step {
    Deliver,
    Lose,
    Repeat,
    Mutate(u16, u8),
    Inject(Vec<u8>),
    Answer,
    Wait(u8),
}

fuzz_target!(|steps: Vec<Step>| {
    let mut now = Instant::now();
    let end = |seed| {
        Endpoint::new(
            Arc::new(Config::default()),
            Box::new(ChaCha20Rng::seed_from_u64(seed)),
        )
        .unwrap()
    };
    let (mut lac, mut lns, path) = (end(1), end(2), PathId(1));
    let tunnel = lac.connect(now, path).unwrap();
    lac.open(now, tunnel).unwrap();
    let mut last = Vec::new();
    for step in steps {
        let mut deliver = |mut message: Vec<u8>| {
            let length = message.len();
            let _ = lns.handle_datagram(now, path, &mut message, 0..length);
        };
        match step {
            Step::Deliver => {
                if let Some(t) = lac.poll_transmit() {
                    last = t.payload.clone();
                    deliver(t.payload);
                }
            }
            Step::Lose => drop(lac.poll_transmit()),
            Step::Repeat => deliver(last.clone()),
            Step::Mutate(at, xor) => {
                let mut message = last.clone();
                if let Some(byte) = message.get_mut(usize::from(at)) {
                    *byte ^= xor;
                }
                deliver(message);
            }
            Step::Inject(bytes) => deliver(bytes),
            Step::Answer => {
                while let Some(mut t) = lns.poll_transmit() {
                    let length = t.payload.len();
                    let _ = lac.handle_datagram(now, path, &mut t.payload, 0..length);
                }
            }
            Step::Wait(seconds) => {
                now += Duration::from_secs(u64::from(seconds));
                lac.handle_timeout(now);
                lns.handle_timeout(now);
            }
        }
        while lns.poll_event().is_some() || lac.poll_event().is_some() {}
    }
    lns.close_path(now, path);
    assert_eq!((lns.tunnels().count(), lns.session_count()), (0, 0));
    assert_eq!(lns.poll_timeout(), None);
});
