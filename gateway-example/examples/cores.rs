//! How much faster the gateway's core is on several cores: packets of eight clients, in batches.
//!
//! `cargo run --release -p gateway-example --example cores`. Without system calls: what the clients
//! send is opened, looked at by the firewall and put in order for the office; what the office sends is
//! put in calls and sealed.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    reason = "its report, and a measurement that cannot go on is none"
)]

#[path = "../tests/common/mod.rs"]
mod common;

use common::{Joined, Threads, udp};
use gateway_example::core::offload::Offload;
use gateway_example::core::{BATCH, Core, Datagram, Destination, Outbox, Path, Spread};
use gateway_example::io::{Cores, now};
use std::net::Ipv4Addr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

const OFFICE: Ipv4Addr = Ipv4Addr::new(192, 168, 8, 10);
const CLIENTS: usize = 8;
const BATCHES: usize = 100;
const ROUNDS: usize = 7;
const PAYLOAD: usize = 1300;

/// The time for [`BATCHES`] of each direction, the best of [`ROUNDS`].
fn measure(suite: &str, workers: usize) -> [Duration; 2] {
    let workers = NonZeroUsize::new(workers).unwrap();
    let spread = Cores::start(Some(workers)).unwrap();
    let spread = spread.map_or_else(|| Arc::<Threads>::default() as Arc<dyn Spread>, |(_, s)| s);
    let suites = [suite; CLIENTS];
    let mut joined = Joined::spread(now(), &suites, true, 1, workers.get(), spread);
    let mut best = [Duration::MAX; 2];
    for _ in 0..ROUNDS {
        let [up, down] = &mut best;
        *up = (*up).min(upwards(&mut joined));
        *down = (*down).min(downwards(&mut joined));
    }
    best
}

fn upwards(joined: &mut Joined) -> Duration {
    let at = joined.now;
    let mut batches: Vec<Vec<(Path, Vec<u8>)>> = Vec::new();
    for _ in 0..BATCHES {
        let mut batch = Vec::new();
        for index in 0..CLIENTS {
            let mut outbox = Outbox::default();
            let packet = udp((joined.addresses[index], 7), (OFFICE, 80), PAYLOAD);
            for _ in 0..BATCH / CLIENTS {
                joined.clients[index].push_inner(at, &packet, Offload::default(), &mut outbox);
            }
            joined.clients[index].seal(at, &mut outbox);
            for run in outbox.runs() {
                let Destination::Udp(path) = run.destination else {
                    panic!("not through the NAT");
                };
                let path = joined.across(path);
                batch.extend(run.bytes.chunks(run.length).map(|d| (path, d.to_vec())));
            }
        }
        batches.push(batch);
    }
    let mut outbox = Outbox::default();
    let mut came = 0;
    let start = now();
    for batch in &mut batches {
        let each = batch.iter_mut();
        let mut datagrams: Vec<_> = each.map(|(path, d)| Datagram::udp(*path, d)).collect();
        joined
            .gateway
            .push_datagrams(at, &mut datagrams, &mut outbox);
        came += datagrams.iter().filter(|d| d.inner().is_some()).count();
    }
    let took = now() - start;
    assert_eq!(came, BATCHES * BATCH);
    took
}

fn downwards(joined: &mut Joined) -> Duration {
    let at = joined.now;
    let to = joined.addresses.iter();
    let packets: Vec<_> = to.map(|to| udp((OFFICE, 80), (*to, 7), PAYLOAD)).collect();
    let mut outbox = Outbox::default();
    let mut went = 0;
    let start = now();
    for _ in 0..BATCHES {
        for _ in 0..BATCH / CLIENTS {
            for packet in &packets {
                joined
                    .gateway
                    .push_inner(at, packet, Offload::default(), &mut outbox);
            }
        }
        joined.gateway.seal(at, &mut outbox);
        went += outbox
            .runs()
            .map(|run| run.bytes.len() / run.length)
            .sum::<usize>();
        outbox.clear();
    }
    let took = now() - start;
    assert_eq!(went, BATCHES * BATCH);
    took
}

fn main() {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!("{CLIENTS} clients, {PAYLOAD} bytes, Gbit/s");
    println!(
        "{:<14} {:>7} {:>12} {:>12}",
        "suite", "workers", "to office", "to clients"
    );
    for suite in ["aes128-sha1", "aes256-sha256", "3des-sha1"] {
        for workers in 1..=cores.min(4) {
            let rates = measure(suite, workers).map(|time| {
                let bits = (BATCHES * BATCH * PAYLOAD * 8) as f64;
                bits / time.as_secs_f64() / 1e9
            });
            println!(
                "{suite:<14} {workers:>7} {:>12.2} {:>12.2}",
                rates[0], rates[1]
            );
        }
    }
}
