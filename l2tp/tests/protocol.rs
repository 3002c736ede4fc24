//! Tunnel authentication, tie breakers, strangers among AVPs, and the order of data.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod common;

use common::{
    Avps, PATH, Script, about_us, call_connected, config, connected, connected_pair, idle_pair,
    with_secret,
};
use l2tp::wire::{AvpType, MessageType};
use l2tp::{CloseReason, Config, ConfigError, Error, Received, Reorder, Secret};
use simnet::{Link, Node as _};
use std::time::Duration;

const SHORT: Duration = Duration::from_secs(5);

#[test]
fn a_secret_on_one_side_only_is_refused_whoever_calls() {
    let none = Config::default();
    for (lac, lns) in [
        (with_secret("s", false), none.clone()),
        (none, with_secret("s", false)),
        (with_secret("s", true), with_secret("t", true)),
    ] {
        let mut pair = common::pair(lac, lns, Link::PERFECT, 1);
        pair.run_for(Duration::from_secs(200));
        assert!(pair.a.gone() && pair.b.gone());
        assert_eq!((pair.a.tunnels_up, pair.b.tunnels_up), (0, 0));
    }
}

#[test]
fn no_tunnel_comes_up_without_the_right_response() {
    for response in [None, Some([0; 16])] {
        let mut script = Script::new(with_secret("s", false));
        let reply = script.say(0, &about_us(MessageType::SCCRQ, 3));
        script.tunnel = reply[0].word(AvpType::ASSIGNED_TUNNEL_ID);
        let mut connected = Avps::new(MessageType::SCCCN);
        if let Some(response) = response {
            connected = connected.bytes(AvpType::CHALLENGE_RESPONSE, &response);
        }
        let said = script.say(0, &connected);
        assert_eq!(said[0].kind(), Some(MessageType::STOPCCN));
        assert_eq!(said[0].message.as_ref().unwrap().result().unwrap().0, 4);
        assert_eq!(script.end.down, [CloseReason::AuthenticationFailed]);
    }
}

#[test]
fn two_that_call_each_other_get_one_tunnel_with_tie_breakers_and_two_without() {
    for (a, b, tunnels) in [
        (false, false, 2),
        (true, true, 1),
        (true, false, 1),
        (false, true, 1),
    ] {
        for seed in 0..20 {
            let with = |tie| config(|c| c.tie_breaker = tie);
            let mut pair = idle_pair(with(a), with(b), Link::PERFECT, seed);
            let now = pair.now;
            pair.a.endpoint.connect(now, PATH).unwrap();
            pair.b.endpoint.connect(now, PATH).unwrap();
            pair.run_for(SHORT);
            let what = format!("{a} {b} seed {seed}");
            assert_eq!(pair.a.endpoint.tunnels().count(), tunnels, "{what}");
            assert_eq!(pair.b.endpoint.tunnels().count(), tunnels, "{what}");
            let mut down = pair.a.down.clone();
            down.extend(pair.b.down.clone());
            let lost = vec![CloseReason::TieBreaker; 2 - tunnels];
            assert_eq!(down, lost, "{what}");
            assert_eq!((pair.a.tunnels_up, pair.b.tunnels_up), (tunnels, tunnels));
        }
    }
}

#[test]
fn equal_tie_breakers_end_both() {
    let mut script = Script::new(config(|c| c.tie_breaker = true));
    script.end.endpoint.connect(script.now, PATH).unwrap();
    let ours = script.heard();
    let ours = ours[0].message.as_ref().unwrap();
    let tie = ours.bytes(AvpType::TIE_BREAKER).unwrap().to_vec();
    let same = about_us(MessageType::SCCRQ, 3).bytes(AvpType::TIE_BREAKER, &tie);
    let bytes = script.next(0, &same);
    assert_eq!(script.give(&bytes), Err(Error::TieBreaker));
    assert!(script.heard().is_empty() && script.end.gone());
    assert_eq!(script.end.down, [CloseReason::TieBreaker]);
}

#[test]
fn a_mandatory_stranger_ends_what_it_is_about_and_another_does_not() {
    let stranger = |avps: Avps, mandatory| avps.raw(mandatory, 311, 99, b"?");
    for mandatory in [true, false] {
        // In a message of the tunnel.
        let mut script = Script::new(Config::default());
        let request = stranger(about_us(MessageType::SCCRQ, 3), mandatory);
        let said = script.say(0, &request);
        let expected = if mandatory {
            MessageType::STOPCCN
        } else {
            MessageType::SCCRP
        };
        assert_eq!((said[0].kind(), said[0].tunnel), (Some(expected), 3));
        assert_eq!(script.end.empty(), mandatory);
        // In a message of a call.
        let mut script = Script::new(Config::default());
        script.tunnel_up();
        let request = Avps::new(MessageType::ICRQ).word(AvpType::ASSIGNED_SESSION_ID, 5);
        let said = script.say(0, &stranger(request, mandatory));
        let message = said[0].message.as_ref().unwrap();
        if mandatory {
            assert_eq!((message.kind, said[0].session), (MessageType::CDN, 5));
            let (result, error, _) = message.result().unwrap();
            assert_eq!((result, error), (2, 8));
        } else {
            assert_eq!(message.kind, MessageType::ICRP);
        }
        assert!(script.end.tunnel.is_some());
    }
}

#[test]
fn unknown_messages_end_the_tunnel_if_mandatory() {
    for (kind, mandatory) in [
        (5, true),
        (13, true),
        (200, true),
        (13, false),
        (200, false),
    ] {
        let mut script = Script::new(Config::default());
        script.tunnel_up();
        let avps = Avps::default().raw(mandatory, 0, 0, &u16::to_be_bytes(kind));
        script.say(0, &avps);
        assert_eq!(script.end.tunnel.is_none(), mandatory, "{kind}");
    }
}

#[test]
fn another_version_of_the_protocol_is_refused_with_ours() {
    let mut script = Script::new(Config::default());
    let request = Avps::new(MessageType::SCCRQ)
        .word(AvpType::PROTOCOL_VERSION, 0x0200)
        .word(AvpType::ASSIGNED_TUNNEL_ID, 3);
    let said = script.say(0, &request);
    let (result, error, _) = said[0].message.as_ref().unwrap().result().unwrap();
    assert_eq!((result, error), (5, 0x0100));
    assert_eq!(script.end.down, [CloseReason::BadVersion]);
}

#[test]
fn messages_out_of_order_end_the_tunnel() {
    for kind in [MessageType::SCCRQ, MessageType::SCCRP, MessageType::SCCCN] {
        let mut script = Script::new(Config::default());
        script.tunnel_up();
        let said = script.say(0, &about_us(kind, 3));
        let (result, ..) = said[0].message.as_ref().unwrap().result().unwrap();
        assert_eq!(result, 7, "{kind:?}");
        assert!(script.end.empty());
    }
}

#[test]
fn a_configuration_that_cannot_work_is_refused() {
    type Change = fn(&mut Config);
    let bad: [(Change, ConfigError); 8] = [
        (|c| c.receive_window = 0, ConfigError::NoWindow),
        (
            |c| c.retransmit_timeout = Duration::ZERO,
            ConfigError::NoRetransmission,
        ),
        (|c| c.hide_avps = true, ConfigError::HidingWithoutSecret),
        (|c| c.host_name.clear(), ConfigError::BadName),
        (|c| c.max_tunnels = 65_536, ConfigError::BadLimit),
        (|c| c.max_sessions_per_tunnel = 0, ConfigError::BadLimit),
        (|c| c.max_queue = 1, ConfigError::BadLimit),
        (
            |c| {
                c.reorder = Reorder::Queue {
                    timeout: SHORT,
                    depth: 0,
                };
            },
            ConfigError::BadReorder,
        ),
    ];
    for (change, error) in bad {
        let rng = Box::new(simnet::seeded(1));
        let result = l2tp::Endpoint::new(std::sync::Arc::new(config(change)), rng);
        assert_eq!(result.err(), Some(error));
    }
    let shown = format!("{:?}", config(|c| c.secret = Some(Secret::new(b"hunter2"))));
    assert!(shown.contains("Secret(7 bytes)") && !shown.contains("hunter2"));
}

/// A LAC's numbered call to an LNS with this policy, and a way to give it frames.
struct Numbered {
    script: Script,
    id: u16,
}

impl Numbered {
    fn new(reorder: Reorder, required: bool) -> Self {
        let mut script = Script::new(config(|c| c.reorder = reorder));
        script.tunnel_up();
        let mut connected = call_connected(MessageType::ICCN);
        if required {
            connected = connected.bytes(AvpType::SEQUENCING_REQUIRED, &[]);
        }
        let id = script.call_up(5, &connected);
        Self { script, id }
    }

    /// The frame that bears `ns`, and what follows it.
    fn give(&mut self, ns: u16) -> Result<Vec<u16>, Error> {
        let header = l2tp::wire::DataHeader {
            tunnel: self.script.tunnel,
            session: self.id,
            sequence: Some((ns, 0)),
            ..Default::default()
        };
        let mut buf = [0; 32];
        buf[30..].copy_from_slice(&ns.to_be_bytes());
        let message = header.prepend(&mut buf, 30..32).unwrap();
        let bytes = buf[message].to_vec();
        let mut frames = Vec::new();
        if let Received::Data { frame, .. } = self.script.give(&bytes)? {
            frames.push(u16::from_be_bytes(bytes[frame].try_into().unwrap()));
        }
        frames.extend(self.freed());
        Ok(frames)
    }

    fn freed(&mut self) -> Vec<u16> {
        let mut frames = Vec::new();
        while let Some(frame) = self.script.end.endpoint.poll_frame() {
            frames.push(u16::from_be_bytes(frame.payload.try_into().unwrap()));
        }
        frames
    }
}

const QUEUE: Reorder = Reorder::Queue {
    timeout: Duration::from_millis(100),
    depth: 4,
};

#[test]
fn without_a_queue_old_frames_are_dropped() {
    let mut call = Numbered::new(Reorder::DropOld, true);
    assert_eq!(call.give(0), Ok(vec![0]));
    assert_eq!(call.give(3), Ok(vec![3]));
    assert_eq!(call.give(2), Err(Error::OutOfSequence));
    assert_eq!(call.give(3), Err(Error::OutOfSequence));
    assert_eq!(call.give(4), Ok(vec![4]));
}

#[test]
fn a_queue_puts_frames_in_order() {
    let mut call = Numbered::new(QUEUE, true);
    assert_eq!(call.give(0), Ok(vec![0]));
    assert_eq!(call.give(3), Ok(vec![]));
    assert_eq!(call.give(2), Ok(vec![]));
    assert_eq!(call.give(3), Err(Error::OutOfSequence));
    assert_eq!(call.give(1), Ok(vec![1, 2, 3]));
    assert_eq!(call.give(1), Err(Error::OutOfSequence));
    assert_eq!(call.give(4), Ok(vec![4]));
    // Nothing waits any more.
    let idle = call.script.end.poll_timeout().unwrap();
    assert!(idle > call.script.now + Duration::from_secs(1));
}

#[test]
fn a_queue_waits_so_long_and_holds_so_much() {
    let mut call = Numbered::new(QUEUE, true);
    assert_eq!(call.give(1), Ok(vec![]));
    assert_eq!(call.give(3), Ok(vec![]));
    call.script.wait(Duration::from_millis(99));
    assert_eq!(call.freed(), []);
    call.script.wait(Duration::from_millis(1));
    assert_eq!(call.freed(), [1]);
    call.script.wait(Duration::from_millis(100));
    assert_eq!(call.freed(), [3]);
    // The fifth that waits frees the first; a wide gap frees all.
    for ns in [5, 7, 9, 8] {
        assert_eq!(call.give(ns).map(|f| f.len()), Ok(usize::from(ns == 9)));
    }
    assert_eq!(call.give(20_000), Ok(vec![7, 8, 9, 20_000]));
    assert_eq!(call.give(20_001), Ok(vec![20_001]));
}

#[test]
fn a_queue_survives_the_wrap_of_its_numbers() {
    let mut call = Numbered::new(QUEUE, true);
    for ns in [0x7fff, 0xfffd] {
        call.give(ns).unwrap();
    }
    call.give(0xfffe).unwrap();
    assert_eq!(call.give(0), Ok(vec![]));
    assert_eq!(call.give(1), Ok(vec![]));
    assert_eq!(call.give(0xffff), Ok(vec![0xffff, 0, 1]));
}

#[test]
fn what_waits_goes_with_its_call() {
    let mut call = Numbered::new(QUEUE, true);
    call.give(2).unwrap();
    call.script.end.endpoint.close_path(call.script.now, PATH);
    call.script.end.drain();
    assert!(call.script.end.gone());
    assert_eq!(call.freed(), []);
}

#[test]
fn numbers_are_kept_to_if_required_and_else_the_lns_decides() {
    // Required: a message without is nobody's.
    let mut call = Numbered::new(Reorder::DropOld, true);
    let [t, u] = call.script.tunnel.to_be_bytes();
    let [s, v] = call.id.to_be_bytes();
    let plain = [0, 2, t, u, s, v, 1];
    assert_eq!(call.script.give(&plain), Err(Error::NotNumbered));
    let mut call = Numbered::new(Reorder::DropOld, false);
    let [t, u] = call.script.tunnel.to_be_bytes();
    let [s, v] = call.id.to_be_bytes();
    assert!(call.script.give(&[0, 2, t, u, s, v, 1]).is_ok());

    // A LAC does as the LNS does, and goes on where it was.
    let numbered = config(|c| c.data_sequencing = true);
    let mut pair = connected_pair(Config::default(), numbered);
    assert!(connected(&mut pair.a, &mut pair.b));
    let (a, b) = (pair.a.session.unwrap(), pair.b.session.unwrap());
    let mut buf = [0; 64];
    let size = |r: std::ops::Range<usize>| r.len() - 24;
    let lac = &mut pair.a.endpoint;
    assert_eq!(size(lac.encapsulate(a, &mut buf, 40..64).unwrap()), 6);
    let message = pair.b.endpoint.encapsulate(b, &mut buf, 40..64).unwrap();
    let plain = message.clone();
    pair.a.handle(pair.now, buf[message].to_vec());
    let lac = &mut pair.a.endpoint;
    for ns in 0..2 {
        let message = lac.encapsulate(a, &mut buf, 40..64).unwrap();
        assert_eq!(buf[message.start + 6..message.start + 8], [0, ns]);
    }
    // The LNS stops.
    let mut stopped = buf[plain.clone()].to_vec();
    let [t, u, s, v] = {
        let message = pair.b.endpoint.encapsulate(b, &mut buf, 40..64).unwrap();
        let ids = &buf[message.start + 2..message.start + 6];
        [ids[0], ids[1], ids[2], ids[3]]
    };
    stopped.splice(..10, [0, 2, t, u, s, v]);
    pair.a.handle(pair.now, stopped);
    let lac = &mut pair.a.endpoint;
    assert_eq!(size(lac.encapsulate(a, &mut buf, 40..64).unwrap()), 6);
}
