//! A peer that does main mode as it should or nearly, and has the keys afterwards.
#![no_main]

use arbitrary::Arbitrary;
use chacha20::ChaCha20Rng;
use libfuzzer_sys::fuzz_target;
use rand_core::SeedableRng;
use std::time::{Duration, Instant};

#[derive(Arbitrary, Debug)]
enum Step {
    /// A phase 2 message with a right HASH.
    Protected {
        quick: bool,
        id: u8,
        payloads: Vec<(u8, Vec<u8>)>,
    },
    /// A quick mode with one ESP transform.
    Quick {
        id: u8,
        spi: u32,
        transform: u8,
        attributes: Vec<(u8, u16)>,
        more: Vec<(u8, Vec<u8>)>,
    },
    Delete {
        id: u8,
        protocol: u8,
        spi: Vec<u8>,
        count: u16,
    },
    Wait(u16),
}

fuzz_target!(|steps: Vec<Step>| {
    let rng = |seed| Box::new(ChaCha20Rng::seed_from_u64(seed)) as Box<_>;
    let mut both = isakmp::fuzzing::Connected::new(Instant::now(), rng);
    for step in steps.into_iter().take(32) {
        match step {
            Step::Protected {
                quick,
                id,
                payloads,
            } => {
                let payloads: Vec<_> = payloads
                    .iter()
                    .map(|(k, b)| (*k, &b[..b.len().min(9000)]))
                    .collect();
                both.protected(quick, id.into(), &payloads);
            }
            Step::Quick {
                id,
                spi,
                transform,
                attributes,
                more,
            } => {
                let mut t = vec![1, transform, 0, 0];
                for (kind, value) in attributes.iter().take(40) {
                    t.extend([0x80, *kind]);
                    t.extend(value.to_be_bytes());
                }
                let length = |n: usize| u16::try_from(n).unwrap().to_be_bytes();
                let mut sa = vec![0, 0, 0, 1, 0, 0, 0, 1, 0, 0];
                sa.extend(length(t.len() + 16));
                sa.extend([1, 3, 4, 1]);
                sa.extend(spi.to_be_bytes());
                sa.extend([0, 0]);
                sa.extend(length(t.len() + 4));
                sa.extend(t);
                let mut payloads: Vec<(u8, &[u8])> = vec![(1, &sa), (10, &[7; 16])];
                payloads.extend(
                    more.iter()
                        .take(8)
                        .map(|(k, b)| (*k, &b[..b.len().min(600)])),
                );
                both.protected(true, id.into(), &payloads);
            }
            Step::Delete {
                id,
                protocol,
                spi,
                count,
            } => {
                let mut body = vec![0, 0, 0, 1, protocol, spi.len() as u8];
                body.extend(count.to_be_bytes());
                body.extend(&spi[..spi.len().min(255)]);
                both.protected(false, id.into(), &[(12, &body)]);
            }
            Step::Wait(seconds) => both.wait(Duration::from_secs(seconds.into())),
        }
    }
    both.wait(Duration::from_secs(100_000));
    assert_eq!(both.server.child_count(), 0);
    assert_eq!(both.server.sa_count(), 0);
});
