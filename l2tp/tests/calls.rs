//! Calls of both kinds: what is said of them, who decides, and how they end.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod common;

use common::{
    Avps, End, Ends, PATH, Script, about_us, call_connected, config, connected, connected_pair,
    idle_pair, with_secret,
};
use l2tp::wire::{AvpType, MessageType};
use l2tp::{
    Accm, Call, CallErrors, CallRequest, CallResult, CauseCode, CloseReason, Config, Disconnect,
    Error, ErrorCode, ProxyAuthen, Role, Secret, SessionId, Stop, StopResult,
};
use simnet::{Link, Node as _};
use std::time::Duration;

const SHORT: Duration = Duration::from_secs(5);

/// Everything an ICRQ and an ICCN can say.
fn full_call() -> Call {
    let mut call = Call::default();
    call.request.serial = 77;
    call.request.bearer_type = Some(2);
    call.request.called_number = Some(b"0800".to_vec());
    call.request.calling_number = Some(b"4711".to_vec());
    call.request.sub_address = Some(b"12".to_vec());
    call.request.physical_channel = Some(0xdead_beef);
    let connected = &mut call.connected;
    connected.tx_speed = 64_000;
    connected.rx_speed = Some(128_000);
    connected.framing_type = 2;
    connected.sequencing_required = true;
    connected.private_group = Some(b"red".to_vec());
    connected.initial_received_lcp = Some(vec![1, 4, 5, 220]);
    connected.last_sent_lcp = Some(vec![3, 4, 0xc0, 0x23]);
    connected.last_received_lcp = Some(vec![]);
    let mut proxy = ProxyAuthen::default();
    proxy.authen_type = 3;
    proxy.name = Some(b"alice".to_vec());
    proxy.challenge = Some(vec![9; 16]);
    proxy.id = Some(200);
    proxy.response = Some(Secret::new(b"open sesame"));
    connected.proxy_authen = Some(proxy);
    call
}

fn full_request() -> CallRequest {
    let mut request = CallRequest::default();
    request.serial = 9;
    request.bearer_type = Some(1);
    request.framing_type = Some(1);
    request.minimum_bps = Some(9_600);
    request.maximum_bps = Some(56_000);
    request.called_number = Some(b"5551234".to_vec());
    request.sub_address = Some(b"9".to_vec());
    request
}

fn takes_calls() -> Config {
    config(|c| c.bearer_capabilities = Some(3))
}

/// `a` has a tunnel to `b` and, once that is up, `call` is made.
fn dial(a: Config, b: Config, call: impl FnOnce(&mut Ends)) -> Ends {
    let mut pair = idle_pair(a, b, Link::PERFECT, 4);
    let now = pair.now;
    pair.a.endpoint.connect(now, PATH).unwrap();
    let up = |a: &mut End, b: &mut End| a.tunnel.is_some() && b.tunnel.is_some();
    assert!(pair.run_until(SHORT, up));
    call(&mut pair);
    pair.a.drain();
    pair
}

fn hiding() -> Config {
    let mut config = with_secret("s", true);
    config.bearer_capabilities = Some(3);
    config
}

#[test]
fn the_lns_hears_all_that_the_lac_says_of_an_incoming_call() {
    for settings in [takes_calls(), hiding()] {
        let mut pair = dial(settings.clone(), settings, |p| {
            let tunnel = p.a.tunnel.unwrap();
            p.a.endpoint
                .open_incoming(p.now, tunnel, full_call())
                .unwrap();
        });
        assert!(pair.run_until(SHORT, connected));
        assert_eq!(pair.b.call.as_deref(), Some(&full_call()));
        let roles = (pair.a.role, pair.b.role);
        assert_eq!(roles, (Some(Role::Lac), Some(Role::Lns)));
    }
}

#[test]
fn the_lac_hears_all_that_the_lns_says_of_an_outgoing_call() {
    for settings in [takes_calls(), hiding()] {
        let mut asks = settings.clone();
        asks.ask = true;
        let mut pair = dial(settings, asks, |p| {
            let tunnel = p.a.tunnel.unwrap();
            p.a.endpoint
                .open_outgoing(p.now, tunnel, full_request())
                .unwrap();
        });
        assert!(pair.run_until(SHORT, |_, b| b.asked.is_some()));
        let (now, session) = (pair.now, pair.b.asked.unwrap());
        // The LAC rings, and says how the call is once it is through.
        let early = pair
            .b
            .endpoint
            .answered(now, session, full_call().connected);
        assert_eq!(early, Err(Error::WrongState));
        pair.b.endpoint.accept(now, session).unwrap();
        assert_eq!(pair.b.endpoint.accept(now, session), Err(Error::WrongState));
        pair.run_for(SHORT);
        assert!(pair.a.session.is_none());
        let now = pair.now;
        let mut speeds = full_call().connected;
        speeds.proxy_authen = None;
        pair.b
            .endpoint
            .answered(now, session, speeds.clone())
            .unwrap();
        pair.b.drain();
        assert!(pair.run_until(SHORT, connected));
        assert_eq!(pair.b.call.as_ref().unwrap().request, full_request());
        assert_eq!(pair.a.call.as_ref().unwrap().connected, speeds);
        let roles = (pair.a.role, pair.b.role);
        assert_eq!(roles, (Some(Role::Lns), Some(Role::Lac)));
    }
}

#[test]
fn an_outgoing_call_waits_for_the_tunnel() {
    let mut pair = idle_pair(Config::default(), takes_calls(), Link::PERFECT, 4);
    let now = pair.now;
    let tunnel = pair.a.endpoint.connect(now, PATH).unwrap();
    pair.a
        .endpoint
        .open_outgoing(now, tunnel, CallRequest::default())
        .unwrap();
    assert!(pair.run_until(SHORT, connected));
    let request = &pair.b.call.as_ref().unwrap().request;
    assert_eq!(request.serial, 1);
    assert!(request.minimum_bps.is_some() && request.called_number.is_some());
}

#[test]
fn a_peer_without_bearer_capabilities_gets_no_outgoing_call() {
    let mut pair = dial(Config::default(), Config::default(), |p| {
        let (now, tunnel) = (p.now, p.a.tunnel.unwrap());
        let refused =
            p.a.endpoint
                .open_outgoing(now, tunnel, CallRequest::default());
        assert_eq!(refused, Err(Error::NoBearer));
    });
    assert_eq!(pair.a.endpoint.session_count(), 0);
    // Asked before that was known, the call ends when it is.
    let mut early = idle_pair(Config::default(), Config::default(), Link::PERFECT, 4);
    let now = early.now;
    let tunnel = early.a.endpoint.connect(now, PATH).unwrap();
    let request = CallRequest::default();
    early
        .a
        .endpoint
        .open_outgoing(now, tunnel, request)
        .unwrap();
    early.run_for(SHORT);
    assert_eq!(early.a.sessions_down, [CloseReason::NotAccepted]);
    // And an LNS that asks all the same is refused.
    pair.run_for(SHORT);
    let mut script = Script::new(Config::default());
    script.tunnel_up();
    let request = Avps::new(MessageType::OCRQ).word(AvpType::ASSIGNED_SESSION_ID, 8);
    let said = script.say(0, &request);
    let refusal = said[0].message.as_ref().unwrap();
    assert_eq!((said[0].session, refusal.kind), (8, MessageType::CDN));
    assert_eq!(
        refusal.result().unwrap().0,
        CallResult::NO_FACILITIES_EVER.0
    );
}

#[test]
fn the_owner_takes_or_refuses_a_call() {
    let asks = config(|c| c.ask = true);
    for take in [true, false] {
        let mut pair = dial(Config::default(), asks.clone(), |p| {
            let tunnel = p.a.tunnel.unwrap();
            p.a.endpoint.open(p.now, tunnel).unwrap();
        });
        assert!(pair.run_until(SHORT, |_, b| b.asked.is_some()));
        pair.run_for(SHORT);
        assert!(pair.a.session.is_none());
        let (now, session) = (pair.now, pair.b.asked.unwrap());
        if take {
            pair.b.endpoint.accept(now, session).unwrap();
            pair.b.drain();
            assert!(pair.run_until(SHORT, connected));
        } else {
            pair.b
                .endpoint
                .close_session(now, session, CallResult::BUSY);
            pair.b.drain();
            pair.run_for(SHORT);
            assert!(
                matches!(
                    pair.a.sessions_down[..],
                    [CloseReason::Peer { result: 8, .. }]
                ),
                "{:?}",
                pair.a.sessions_down
            );
            assert_eq!(pair.a.endpoint.session_count(), 0);
            assert_eq!(pair.b.endpoint.session_count(), 0);
        }
    }
}

#[test]
fn an_owner_who_does_not_answer_loses_the_call() {
    let mut pair = dial(Config::default(), config(|c| c.ask = true), |p| {
        let tunnel = p.a.tunnel.unwrap();
        p.a.endpoint.open(p.now, tunnel).unwrap();
    });
    pair.run_for(Duration::from_secs(70));
    assert_eq!(pair.a.endpoint.session_count(), 0);
    assert_eq!(pair.b.endpoint.session_count(), 0);
    let session = pair.b.asked.unwrap();
    let late = pair.b.endpoint.accept(pair.now, session);
    assert_eq!(late, Err(Error::UnknownSession));
}

#[test]
fn wan_errors_and_link_info_arrive() {
    for settings in [Config::default(), with_secret("s", true)] {
        let mut pair = connected_pair(settings.clone(), settings);
        let now = pair.now;
        let (lac, lns) = (pair.a.session.unwrap(), pair.b.session.unwrap());
        let errors = CallErrors {
            crc: 1,
            framing: 2,
            hardware_overruns: 3,
            buffer_overruns: 4,
            timeouts: 5,
            alignment: u32::MAX,
        };
        let accm = Accm {
            send: 0x000a_0000,
            receive: 1,
        };
        pair.a.endpoint.report_errors(now, lac, errors).unwrap();
        pair.b.endpoint.set_link_info(now, lns, accm).unwrap();
        // Each is only for one end to say.
        let wrong = pair.b.endpoint.report_errors(now, lns, errors);
        assert_eq!(wrong, Err(Error::WrongState));
        let wrong = pair.a.endpoint.set_link_info(now, lac, accm);
        assert_eq!(wrong, Err(Error::WrongState));
        pair.run_for(SHORT);
        assert_eq!(pair.b.errors, Some(errors));
        assert_eq!(pair.a.link_info, Some(accm));
        assert_eq!((pair.a.errors, pair.b.link_info), (None, None));
    }
}

#[test]
fn the_peer_hears_why_a_call_and_a_tunnel_end() {
    let mut pair = connected_pair(Config::default(), Config::default());
    let (now, session) = (pair.now, pair.a.session.unwrap());
    let cause = CauseCode {
        cause: 17,
        message: 0x45,
        advisory: b"user busy".to_vec(),
    };
    let disconnect = Disconnect {
        result: CallResult::GENERAL_ERROR,
        error: Some((ErrorCode::VENDOR, "out of\n paper".to_owned())),
        cause: Some(cause.clone()),
    };
    pair.a.endpoint.close_session(now, session, disconnect);
    pair.a.drain();
    pair.run_for(SHORT);
    let why = CloseReason::Peer {
        result: 2,
        error: 6,
        message: "out of paper".to_owned(),
        cause: Some(Box::new(cause)),
    };
    assert_eq!(pair.b.sessions_down.as_slice(), std::slice::from_ref(&why));
    assert_eq!(
        why.to_string(),
        "peer_closed (result 2, error 6, cause 17, \"out of paper\")"
    );

    let (now, tunnel) = (pair.now, pair.b.tunnel.unwrap());
    let stop = Stop {
        result: StopResult::GENERAL_ERROR,
        error: Some((ErrorCode::TRY_ANOTHER, "elsewhere".to_owned())),
    };
    pair.b.endpoint.close_tunnel(now, tunnel, stop);
    pair.b.drain();
    pair.run_for(SHORT);
    let why = CloseReason::Peer {
        result: 2,
        error: 7,
        message: "elsewhere".to_owned(),
        cause: None,
    };
    assert_eq!(pair.a.down, [why]);
}

#[test]
fn a_value_that_no_avp_can_hold_is_refused() {
    let mut pair = connected_pair(takes_calls(), takes_calls());
    let (now, tunnel) = (pair.now, pair.a.tunnel.unwrap());
    let mut request = CallRequest::default();
    request.called_number = Some(vec![b'1'; l2tp::wire::MAX_VALUE + 1]);
    let refused = pair.a.endpoint.open_outgoing(now, tunnel, request.clone());
    assert_eq!(refused, Err(Error::TooLong));
    request.called_number = Some(vec![b'1'; l2tp::wire::MAX_VALUE]);
    assert!(pair.a.endpoint.open_outgoing(now, tunnel, request).is_ok());
}

#[test]
fn limits_of_calls_and_tunnels_hold_for_both_ends() {
    let few = config(|c| {
        c.max_sessions_per_tunnel = 2;
        c.max_tunnels_per_path = 2;
    });
    // Ours.
    let mut pair = dial(few.clone(), Config::default(), |p| {
        let (now, tunnel) = (p.now, p.a.tunnel.unwrap());
        let calls: Vec<Result<SessionId, Error>> =
            (0..3).map(|_| p.a.endpoint.open(now, tunnel)).collect();
        assert_eq!(calls[2], Err(Error::Limit("sessions per tunnel")));
        assert!(p.a.endpoint.connect(now, PATH).is_ok());
        let third = p.a.endpoint.connect(now, PATH);
        assert_eq!(third, Err(Error::Limit("tunnels per path")));
    });
    pair.run_for(SHORT);
    assert_eq!(pair.b.endpoint.session_count(), 2);
    // The peer's: the third call is refused, those in stay.
    let mut pair = dial(Config::default(), few.clone(), |p| {
        let (now, tunnel) = (p.now, p.a.tunnel.unwrap());
        for _ in 0..3 {
            p.a.endpoint.open(now, tunnel).unwrap();
        }
    });
    pair.run_for(SHORT);
    assert_eq!(pair.a.endpoint.session_count(), 2);
    assert_eq!(pair.b.endpoint.session_count(), 2);
    assert!(matches!(
        pair.a.sessions_down[..],
        [CloseReason::Peer { result: 4, .. }]
    ));
    let mut script = Script::new(few);
    for id in 1..=3 {
        let bytes = script.next(0, &about_us(MessageType::SCCRQ, id));
        script.ns = 0;
        let taken = script.give(&bytes);
        assert_eq!(taken.is_ok(), id < 3);
    }
    assert_eq!(script.end.endpoint.tunnels().count(), 2);
}

#[test]
fn a_call_that_the_peer_mixes_up_ends_and_the_tunnel_stays() {
    type Mix = fn(&mut Script, u16) -> Vec<common::Said>;
    let ways: [Mix; 3] = [
        // Connected twice.
        |s, id| s.say(id, &call_connected(MessageType::ICCN)),
        // An answer to what was never asked.
        |s, id| {
            let reply = Avps::new(MessageType::ICRP).word(AvpType::ASSIGNED_SESSION_ID, 5);
            s.say(id, &reply)
        },
        // The same Session ID for another call.
        |s, _| {
            let request = Avps::new(MessageType::ICRQ)
                .word(AvpType::ASSIGNED_SESSION_ID, 5)
                .long(AvpType::CALL_SERIAL_NUMBER, 2);
            s.say(0, &request)
        },
    ];
    for way in ways {
        let mut script = Script::new(Config::default());
        script.tunnel_up();
        let id = script.call_up(5, &call_connected(MessageType::ICCN));
        let said = way(&mut script, id);
        assert_eq!(said[0].kind(), Some(MessageType::CDN));
        assert_eq!(said[0].session, 5);
        assert_eq!(said[0].word(AvpType::ASSIGNED_SESSION_ID), id);
        assert!(script.end.session.is_none() && script.end.tunnel.is_some());
        assert_eq!(script.end.endpoint.session_count(), 0);
    }
}

#[test]
fn a_caller_who_gives_up_before_our_reply_arrives_names_its_own_id() {
    let mut script = Script::new(Config::default());
    script.tunnel_up();
    let request = Avps::new(MessageType::ICRQ)
        .word(AvpType::ASSIGNED_SESSION_ID, 5)
        .long(AvpType::CALL_SERIAL_NUMBER, 2);
    script.say(0, &request);
    assert_eq!(script.end.endpoint.session_count(), 1);
    let goodbye = Avps::new(MessageType::CDN)
        .word(AvpType::RESULT_CODE, 3)
        .word(AvpType::ASSIGNED_SESSION_ID, 5);
    script.say(0, &goodbye);
    assert_eq!(script.end.endpoint.session_count(), 0);
    // As with a whole tunnel.
    let mut script = Script::new(Config::default());
    script.say(0, &about_us(MessageType::SCCRQ, 9));
    let goodbye = Avps::new(MessageType::STOPCCN)
        .word(AvpType::ASSIGNED_TUNNEL_ID, 9)
        .word(AvpType::RESULT_CODE, 6);
    script.say(0, &goodbye);
    assert!(script.end.empty());
}

#[test]
fn the_queue_of_control_messages_is_bounded() {
    let small = config(|c| {
        c.max_queue = 8;
        c.max_sessions_per_tunnel = 1000;
    });
    // Of ours, commands are refused.
    let mut pair = dial(small.clone(), Config::default(), |p| {
        p.run_for(SHORT);
        let (now, tunnel) = (p.now, p.a.tunnel.unwrap());
        let placed = (0..100).take_while(|_| p.a.endpoint.open(now, tunnel).is_ok());
        assert_eq!(placed.count(), 5);
        let refused = p.a.endpoint.open(now, tunnel);
        assert_eq!(refused, Err(Error::Limit("control messages")));
    });
    pair.run_for(SHORT);
    assert_eq!(pair.b.endpoint.session_count(), 5);
    // A peer that asks on and on and acknowledges nothing is shut out.
    let mut script = Script::new(small);
    script.tunnel_up();
    script.nr = 1;
    for id in 1..20 {
        let request = Avps::new(MessageType::ICRQ).word(AvpType::ASSIGNED_SESSION_ID, id);
        let bytes = script.next(0, &request);
        script.give(&bytes).unwrap();
        while script.end.poll_transmit().is_some() {}
    }
    assert_eq!(script.end.down, [CloseReason::QueueFull]);
    assert!(script.end.empty());
}
