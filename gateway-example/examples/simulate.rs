//! Road warriors of every kind in worlds made from seeds, in virtual time:
//!
//! ```text
//! cargo run --release -p gateway-example --example simulate -- --seeds 1000
//! cargo run --release -p gateway-example --example simulate -- --seed 17      # one, with a trace
//! ```
//!
//! `--from N` begins elsewhere than at 0, `--threads N` takes other than all cores.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a tool for people"
)]

#[path = "../tests/common/mod.rs"]
mod common;
#[path = "../tests/office/mod.rs"]
mod office;
#[path = "../tests/simulation/mod.rs"]
mod simulation;

use clap::Parser;
use simulation::Summary;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

#[derive(Parser)]
struct Args {
    /// Replay this one, with a trace
    #[arg(long)]
    seed: Option<u64>,
    /// How many worlds
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first one's seed
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// How many at a time
    #[arg(long)]
    threads: Option<usize>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if let Some(seed) = args.seed {
        return replay(seed);
    }
    let threads = args
        .threads
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get));
    #[allow(clippy::disallowed_methods, reason = "how long it took")]
    let begun = Instant::now();
    let next = AtomicU64::new(args.from);
    let (total, failed) = (Mutex::new(Summary::default()), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= args.from.saturating_add(args.seeds) {
                        break;
                    }
                    match one(seed, false) {
                        Ok(summary) => *total.lock().unwrap() += summary,
                        Err((what, _)) => {
                            failed.fetch_add(1, Ordering::Relaxed);
                            println!("seed {seed}: {what}");
                        }
                    }
                }
            });
        }
    });
    let (total, failed) = (*total.lock().unwrap(), failed.load(Ordering::Relaxed));
    println!(
        "{} worlds in {:.0} s: {} warriors, {} calls, {} datagrams, {} of them an attacker's, {} packets came out; {failed} worlds failed",
        args.seeds,
        begun.elapsed().as_secs_f64(),
        total.warriors,
        total.calls,
        total.datagrams,
        total.attacks,
        total.packets,
    );
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        println!("replay one with --seed N");
        ExitCode::FAILURE
    }
}

fn replay(seed: u64) -> ExitCode {
    match one(seed, true) {
        Ok(summary) => {
            println!("{summary:#?}");
            ExitCode::SUCCESS
        }
        Err((what, trace)) => {
            trace.iter().for_each(|line| println!("{line}"));
            println!("{what}");
            ExitCode::FAILURE
        }
    }
}

/// A panic is a failure as well.
fn one(seed: u64, trace: bool) -> Result<Summary, (String, Vec<String>)> {
    match catch_unwind(AssertUnwindSafe(|| simulation::run(seed, None, trace))) {
        Ok(Ok(summary)) => Ok(summary),
        Ok(Err(failure)) => Err((failure.what, failure.trace)),
        Err(_) => Err(("panic".into(), Vec::new())),
    }
}
