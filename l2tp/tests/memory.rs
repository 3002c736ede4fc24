//! What an idle tunnel with a call costs.
#![allow(clippy::print_stdout, reason = "the figure is of interest")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod common;

use common::{Avps, Script, about_us, call_connected};
use l2tp::wire::{AvpType, MessageType};
use l2tp::{Config, PathId};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;

#[global_allocator]
static MEMORY: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const TUNNELS: u16 = 500;
/// With the PPP link of the call the goal is 4 KiB.
const GOAL: usize = 2048;

#[test]
fn an_idle_tunnel_with_a_call_takes_less_than_2_kib() {
    let mut script = Script::new(Config::default());
    let region = Region::new(MEMORY);
    for n in 0..TUNNELS {
        script.path = PathId(n.into());
        (script.tunnel, script.ns, script.nr) = (0, 0, 0);
        let request = about_us(MessageType::SCCRQ, 1).bytes(AvpType::VENDOR_NAME, &[b'v'; 500]);
        let reply = script.say(0, &request);
        script.tunnel = reply[0].word(AvpType::ASSIGNED_TUNNEL_ID);
        script.say(0, &Avps::new(MessageType::SCCCN));
        script.call_up(1, &call_connected(MessageType::ICCN));
    }
    let change = region.change();
    let bytes = change.bytes_allocated - change.bytes_deallocated;
    assert_eq!(script.end.endpoint.session_count(), usize::from(TUNNELS));
    let each = bytes / usize::from(TUNNELS);
    println!("an idle tunnel with a call holds {each} bytes");
    assert!(each < GOAL, "{each}");
    // All of it is given back but for the empty tables.
    for n in 0..TUNNELS {
        let now = script.now;
        script.end.endpoint.close_path(now, PathId(n.into()));
        script.end.drain();
    }
    assert!(script.end.gone());
    let change = region.change();
    let rest = change.bytes_allocated - change.bytes_deallocated;
    assert!(rest / usize::from(TUNNELS) < 200, "{rest}");
}
