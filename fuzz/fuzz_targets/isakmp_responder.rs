#![no_main]
//! Any bytes to a responder on either port, and a good first message cut and flipped: never a
//! panic, never a reply larger than what caused it, and nothing left once time has passed.
use arbitrary::Arbitrary;
use chacha20::{ChaCha20Rng, rand_core::SeedableRng};
use isakmp::{Config, Endpoint, Path, Peer, PeerMatch, PresharedKey};
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[derive(Arbitrary, Debug)]
enum Step {
    Inject(bool, Vec<u8>),
    Flip(u16, u8),
    Cut(u16),
    Wait(u8),
}

fuzz_target!(|steps: Vec<Step>| {
    let mut now = Instant::now();
    let psk = || PresharedKey::new("secret");
    let rng = |seed| Box::new(ChaCha20Rng::seed_from_u64(seed));
    let config = Arc::new(Config::new(vec![(PeerMatch::Any, psk())]));
    let mut responder = Endpoint::new(config, rng(1)).unwrap();
    let path = |port: u16| Path {
        local: ([198, 51, 100, 1], port).into(),
        remote: ([203, 0, 113, 1], port).into(),
    };
    let mut initiator = Endpoint::new(Arc::new(Config::default()), rng(2)).unwrap();
    initiator.connect(now, path(500), Peer::new(psk())).unwrap();
    let first = initiator.poll_transmit().unwrap().payload;
    for step in steps {
        let (port, mut message) = match step {
            Step::Inject(natt, bytes) => (if natt { 4500 } else { 500 }, bytes),
            Step::Flip(at, xor) => {
                let mut message = first.clone();
                let at = usize::from(at) % message.len();
                message[at] ^= xor;
                (500, message)
            }
            Step::Cut(end) => (500, first[..usize::from(end) % first.len()].to_vec()),
            Step::Wait(seconds) => {
                now += Duration::from_secs(u64::from(seconds));
                responder.handle_timeout(now);
                assert!(responder.poll_transmit().is_none());
                continue;
            }
        };
        let size = message.len();
        let _ = responder.handle_datagram(now, path(port), &mut message);
        let mut answered = 0;
        while let Some(reply) = responder.poll_transmit() {
            answered += reply.payload.len();
        }
        assert!(answered <= size);
        while responder.poll_event().is_some() {}
    }
    now += Duration::from_secs(600);
    responder.handle_timeout(now);
    assert_eq!(responder.sa_count(), 0);
});
