//! Worlds made from seeds; `examples/simulate.rs` runs many more.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod common;
mod office;
#[path = "simulation/mod.rs"]
mod simulation;

use simulation::{Fault, run};

/// How many worlds, and how many a fault may stay unnoticed in.
const WORLDS: u64 = 24;

#[test]
fn in_any_world_all_connect_and_nothing_leaks() {
    for seed in 0..WORLDS {
        if let Err(failure) = run(seed, None, true) {
            panic!(
                "seed {seed}:\n{}\n{}",
                failure.trace.join("\n"),
                failure.what
            );
        }
    }
}

#[test]
fn a_seed_replays_a_world_to_the_bit() {
    for seed in [3, 8] {
        assert_eq!(
            run(seed, None, false).unwrap(),
            run(seed, None, true).unwrap()
        );
    }
}

#[test]
fn what_must_hold_is_looked_at() {
    for fault in Fault::ALL {
        let noticed = (0..WORLDS).any(|seed| run(seed, Some(fault), false).is_err());
        assert!(noticed, "{fault:?}");
    }
}
