//! Calls of both kinds over a network that loses, repeats and reorders, and every way to end.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod common;

use common::{End, Ends, PATH, config, connected, connected_pair, idle_pair, seeds};
use l2tp::{CallRequest, CallResult, CloseReason, Config, Direction, Role, StopResult};
use simnet::{Link, Node as _};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(900);

/// Goes on for as long as the network needs; takes outgoing calls.
fn patient(seed: u64) -> Config {
    config(|c| {
        c.max_retransmits = 30;
        c.setup_timeout = Duration::from_secs(600);
        c.bearer_capabilities = Some(1);
        c.receive_window = 1 + u16::try_from(seed % 16).unwrap();
        c.tie_breaker = seed.is_multiple_of(3);
    })
}

fn gone(pair: &mut Ends, what: &str) {
    pair.run_for(LONG);
    assert!(pair.a.gone() && pair.b.gone(), "{what}");
    assert!(
        pair.a.session.is_none() && pair.b.session.is_none(),
        "{what}"
    );
    assert!(pair.a.tunnel.is_none() && pair.b.tunnel.is_none(), "{what}");
}

#[test]
fn calls_both_ways_come_up_and_go_down_over_a_terrible_network() {
    for seed in seeds(10_000) {
        let direction = if seed.is_multiple_of(2) {
            Direction::Incoming
        } else {
            Direction::Outgoing
        };
        let what = format!("seed {seed} {direction:?}");
        let link = Link {
            duplicate: 0.3,
            ..Link::TERRIBLE
        };
        let mut pair = idle_pair(patient(seed), patient(seed / 16), link, seed);
        let now = pair.now;
        let tunnel = pair.a.endpoint.connect(now, PATH).unwrap();
        let request = CallRequest::default();
        match direction {
            Direction::Incoming => pair.a.endpoint.open(now, tunnel).unwrap(),
            Direction::Outgoing => pair.a.endpoint.open_outgoing(now, tunnel, request).unwrap(),
        };
        assert!(pair.run_until(LONG, connected), "{what}");
        let (lac, lns) = match direction {
            Direction::Incoming => (pair.a.role, pair.b.role),
            Direction::Outgoing => (pair.b.role, pair.a.role),
        };
        assert_eq!((lac, lns), (Some(Role::Lac), Some(Role::Lns)), "{what}");

        // The call goes, then another comes from the other side, then all goes.
        let (now, session) = (pair.now, pair.b.session.unwrap());
        pair.b
            .endpoint
            .close_session(now, session, CallResult::LOST_CARRIER);
        pair.b.drain();
        let quiet =
            |a: &mut End, b: &mut End| a.endpoint.session_count() + b.endpoint.session_count() == 0;
        assert!(pair.run_until(LONG, quiet), "{what}");
        let (now, tunnel) = (pair.now, pair.b.tunnel.unwrap());
        pair.b.endpoint.open(now, tunnel).unwrap();
        assert!(pair.run_until(LONG, connected), "{what}");
        let now = pair.now;
        pair.a
            .endpoint
            .close_tunnel(now, tunnel_of(&pair.a), StopResult::GENERAL);
        pair.a.drain();
        gone(&mut pair, &what);
        assert_eq!((pair.a.tunnels_up, pair.b.tunnels_up), (1, 1), "{what}");
        assert_eq!(pair.a.down, [CloseReason::Local], "{what}");
    }
}

fn tunnel_of(end: &End) -> l2tp::TunnelId {
    end.tunnel.unwrap()
}

/// One way in which one end loses what it has.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    StopCcn,
    Cdn,
    PathDeleted,
    Timeout,
}

fn end_one(pair: &mut Ends, first: bool, way: Way) {
    let now = pair.now;
    let end = if first { &mut pair.a } else { &mut pair.b };
    match way {
        Way::StopCcn => {
            if let Some(tunnel) = end.tunnel {
                end.endpoint
                    .close_tunnel(now, tunnel, StopResult::SHUTTING_DOWN);
            }
        }
        Way::Cdn => {
            if let Some(session) = end.session {
                end.endpoint
                    .close_session(now, session, CallResult::ADMINISTRATIVE);
            }
        }
        Way::PathDeleted => end.endpoint.close_path(now, PATH),
        Way::Timeout => {
            pair.a_to_b.loss = 1.0;
            pair.b_to_a.loss = 1.0;
        }
    }
    pair.a.drain();
    pair.b.drain();
}

#[test]
fn all_orders_of_teardown_leave_nothing() {
    let ways = [Way::StopCcn, Way::Cdn, Way::PathDeleted, Way::Timeout];
    let pauses = [0, 5, 15, 100, 40_000].map(Duration::from_millis);
    // Either end first, any two ways, at once or with the first on its way, arrived, or over.
    for (first, second) in ways.into_iter().flat_map(|w| ways.map(|v| (w, v))) {
        for (ends, pause) in [(true, true), (true, false), (false, true), (false, false)]
            .into_iter()
            .flat_map(|e| pauses.map(|p| (e, p)))
        {
            let what = format!("{first:?} then {second:?}, {ends:?}, {pause:?}");
            let mut pair = connected_pair(Config::default(), Config::default());
            end_one(&mut pair, ends.0, first);
            pair.run_for(pause);
            end_one(&mut pair, ends.1, second);
            if (first, second) == (Way::Cdn, Way::Cdn) {
                // A tunnel may live without calls: the administrator ends it.
                pair.run_for(Duration::from_secs(1));
                assert_eq!(pair.a.endpoint.session_count(), 0, "{what}");
                assert_eq!(pair.b.endpoint.session_count(), 0, "{what}");
                assert_eq!(pair.a.endpoint.tunnels().count(), 1, "{what}");
                end_one(&mut pair, true, Way::StopCcn);
            }
            gone(&mut pair, &what);
            assert_eq!((pair.a.down.len(), pair.b.down.len()), (1, 1), "{what}");
            assert_eq!(pair.a.sessions_down.len(), 1, "{what}");
            assert_eq!(pair.b.sessions_down.len(), 1, "{what}");
        }
    }
}

#[test]
fn teardown_at_every_moment_of_the_setup_leaves_nothing() {
    let ways = [Way::StopCcn, Way::PathDeleted, Way::Timeout];
    for (way, milliseconds) in ways
        .into_iter()
        .flat_map(|w| (0..80).step_by(5).map(move |t| (w, t)))
    {
        let mut pair = common::pair(Config::default(), Config::default(), Link::PERFECT, 3);
        pair.run_for(Duration::from_millis(milliseconds));
        // The one who calls knows its tunnel before it is up.
        let now = pair.now;
        let tunnel = pair.a.endpoint.tunnels().next().unwrap().tunnel;
        match way {
            Way::StopCcn => pair
                .a
                .endpoint
                .close_tunnel(now, tunnel, StopResult::GENERAL),
            _ => end_one(&mut pair, true, way),
        }
        pair.a.drain();
        gone(&mut pair, &format!("{way:?} after {milliseconds} ms"));
        assert_eq!(pair.a.down.len(), 1);
    }
}

#[test]
fn a_closed_tunnel_answers_for_as_long_as_the_peer_may_repeat() {
    let mut pair = connected_pair(Config::default(), Config::default());
    let (now, tunnel) = (pair.now, pair.a.tunnel.unwrap());
    pair.a
        .endpoint
        .close_tunnel(now, tunnel, StopResult::GENERAL);
    pair.a.drain();
    let stop = pair.a.poll_transmit().unwrap();
    for _ in 0..3 {
        pair.b.handle(now, stop.clone());
        assert!(pair.b.poll_transmit().is_some(), "an acknowledgement");
    }
    let reason = CloseReason::Peer {
        result: 1,
        error: 0,
        message: String::new(),
        cause: None,
    };
    assert_eq!(pair.b.down, [reason]);
    let last = pair.b.poll_timeout().unwrap();
    assert_eq!(last - now, Duration::from_secs(31));
    pair.b.handle_timeout(last);
    assert!(pair.b.gone());
}

/// xl2tpd hangs up so: a StopCCN, and no CDN before it.
#[test]
fn a_call_ends_for_the_reason_that_the_peer_gave_for_the_tunnel() {
    let mut pair = connected_pair(Config::default(), Config::default());
    let (now, tunnel) = (pair.now, tunnel_of(&pair.a));
    let endpoint = &mut pair.a.endpoint;
    endpoint.close_tunnel(now, tunnel, StopResult::GENERAL);
    pair.a.drain();
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.a.sessions_down, [CloseReason::TunnelDown]);
    assert_eq!(pair.b.sessions_down, pair.b.down);
    assert_eq!(pair.b.down[0].reason(), "peer_closed");
}

#[test]
fn a_dead_peer_is_noticed_by_hello() {
    let mut pair = connected_pair(Config::default(), Config::default());
    let now = pair.now;
    pair.a_to_b.loss = 1.0;
    pair.b_to_a.loss = 1.0;
    pair.run_for(Duration::from_secs(59));
    assert!(pair.a.tunnel.is_some());
    pair.run_for(Duration::from_secs(60 + 31 - 59 + 1));
    assert_eq!(pair.a.down, [CloseReason::Timeout]);
    assert_eq!(pair.a.sessions_down, [CloseReason::TunnelDown]);
    assert!(pair.now > now && pair.a.gone());
}

#[test]
fn data_counts_as_a_sign_of_life() {
    let mut pair = connected_pair(Config::default(), config(|c| c.hello_interval = None));
    // A Hello of ours would be the end.
    pair.a_to_b.loss = 1.0;
    let from = pair.now;
    while pair.now < from + Duration::from_secs(300) {
        pair.run_for(Duration::from_secs(30));
        let (session, mut buf) = (pair.b.session.unwrap(), vec![0; 64]);
        let message = pair
            .b
            .endpoint
            .encapsulate(session, &mut buf, 20..64)
            .unwrap();
        pair.a.handle(pair.now, buf[message].to_vec());
    }
    assert!(pair.a.session.is_some());
    pair.run_for(Duration::from_secs(92));
    assert_eq!(pair.a.down, [CloseReason::Timeout]);
}
