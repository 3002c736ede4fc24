#![no_main]
//! A server and a client on a bad line with an intruder: no panic, no growth, no end of work.
use arbitrary::Arbitrary;
use chacha20::{ChaCha20Rng, rand_core::SeedableRng};
use libfuzzer_sys::fuzz_target;
use ppp::{Assignment, Config, Credentials, Event, Link, Role, Verdict};
use std::sync::Arc;
use std::time::{Duration, Instant};

#[derive(Arbitrary, Debug)]
enum Step {
    ToServer,
    ToClient,
    LoseToServer,
    Mutate(u16, u8),
    Inject(Vec<u8>),
    InjectToClient(Vec<u8>),
    LoseToClient,
    CloseServer,
    CloseClient,
    Wait(u8),
}

fuzz_target!(|steps: Vec<Step>| {
    let mut now = Instant::now();
    let mut config = Config::default();
    config.credentials = Some(Credentials::new("alice", "wonderland"));
    config.ipv6 = true;
    let config = Arc::new(config);
    let link = |role, seed| {
        Link::new(
            Arc::clone(&config),
            role,
            Box::new(ChaCha20Rng::seed_from_u64(seed)),
        )
        .unwrap()
    };
    let (mut client, mut server) = (link(Role::Client, 1), link(Role::Server, 2));
    client.open(now);
    server.open(now);
    let feed = |link: &mut Link, now, mut frame: Vec<u8>| {
        let length = frame.len();
        let _ = link.handle_frame(now, &mut frame, 0..length);
    };
    for step in steps {
        match step {
            Step::ToServer => {
                if let Some(frame) = client.poll_transmit() {
                    feed(&mut server, now, frame);
                }
            }
            Step::ToClient => {
                if let Some(frame) = server.poll_transmit() {
                    feed(&mut client, now, frame);
                }
            }
            Step::LoseToServer => drop(client.poll_transmit()),
            Step::Mutate(at, xor) => {
                if let Some(mut frame) = client.poll_transmit() {
                    let at = usize::from(at) % frame.len();
                    frame[at] ^= xor;
                    feed(&mut server, now, frame);
                }
            }
            Step::Inject(frame) => feed(&mut server, now, frame),
            Step::InjectToClient(frame) => feed(&mut client, now, frame),
            Step::LoseToClient => drop(server.poll_transmit()),
            Step::CloseServer => server.close(now, "closed"),
            Step::CloseClient => client.close(now, "closed"),
            Step::Wait(seconds) => {
                now += Duration::from_secs(u64::from(seconds));
                client.handle_timeout(now);
                server.handle_timeout(now);
            }
        }
        while let Some(event) = server.poll_event() {
            if let Event::Authenticate(request) = event {
                let verdict = match request.verify("wonderland") {
                    Some(proof) => Verdict::Accept {
                        proof,
                        assignment: Assignment::new([10, 0, 0, 1].into(), [10, 0, 0, 2].into()),
                    },
                    None => Verdict::refuse(),
                };
                server.authenticate(now, verdict).unwrap();
            }
        }
        while client.poll_event().is_some() {}
    }
    for mut link in [server, client] {
        link.lower_down(now);
        assert_eq!(link.poll_timeout(), None);
    }
});
