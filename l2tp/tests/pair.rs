//! LAC against LNS in virtual time.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod common;

use common::{PATH, connected, pair, start, with_secret};
use l2tp::{CloseReason, Config, Endpoint, PathId, Received};
use simnet::{Link, Node as _, seeded};
use std::sync::Arc;
use std::time::Duration;

#[test]
fn a_call_comes_up_and_carries_frames() {
    let mut pair = pair(Config::default(), Config::default(), Link::PERFECT, 1);
    assert!(pair.run_until(Duration::from_secs(5), connected));
    let mut buf = vec![0xaa; 128];
    let call = pair.a.session.unwrap();
    let message = pair
        .a
        .endpoint
        .encapsulate(call, &mut buf, 64..100)
        .unwrap();
    assert_eq!(message, 58..100);
    let now = pair.now;
    let got = pair
        .b
        .endpoint
        .handle_datagram(now, PATH, &mut buf, message.clone());
    let session = pair.b.session.unwrap();
    assert_eq!(
        got,
        Ok(Received::Data {
            session,
            frame: 64..100
        })
    );
    // The same bytes from another peer are nobody's.
    let other = pair
        .b
        .endpoint
        .handle_datagram(now, PathId(8), &mut buf, message);
    assert_eq!(other, Err(l2tp::Error::UnknownTunnel));
}

#[test]
fn numbered_data_goes_through_once() {
    let mut config = Config::default();
    config.data_sequencing = true;
    config.data_length = true;
    let mut pair = pair(config, Config::default(), Link::PERFECT, 1);
    assert!(pair.run_until(Duration::from_secs(5), connected));
    let mut buf = vec![0xaa; 128];
    let call = pair.a.session.unwrap();
    let message = pair
        .a
        .endpoint
        .encapsulate(call, &mut buf, 64..100)
        .unwrap();
    assert_eq!(message, 52..100);
    let now = pair.now;
    assert!(
        pair.b
            .endpoint
            .handle_datagram(now, PATH, &mut buf, message.clone())
            .is_ok()
    );
    let again = pair
        .b
        .endpoint
        .handle_datagram(now, PATH, &mut buf, message);
    assert_eq!(again, Err(l2tp::Error::OutOfSequence));
}

#[test]
fn tunnel_authentication_and_hidden_avps() {
    for hide in [false, true] {
        let mut pair = pair(
            with_secret("s", hide),
            with_secret("s", hide),
            Link::PERFECT,
            1,
        );
        assert!(
            pair.run_until(Duration::from_secs(5), connected),
            "hide {hide}"
        );
    }
}

#[test]
fn a_wrong_tunnel_secret_is_refused() {
    let mut pair = pair(
        with_secret("right", false),
        with_secret("wrong", false),
        Link::PERFECT,
        1,
    );
    pair.run_for(Duration::from_secs(120));
    assert_eq!(pair.a.down, [CloseReason::AuthenticationFailed]);
    assert!(pair.a.empty() && pair.b.empty());
    assert_eq!((pair.a.poll_timeout(), pair.b.poll_timeout()), (None, None));
}

#[test]
fn a_repeated_sccrq_makes_no_second_tunnel() {
    let mut pair = pair(Config::default(), Config::default(), Link::PERFECT, 1);
    let sccrq = pair.a.poll_transmit().unwrap();
    let now = pair.now;
    pair.b.handle(now, sccrq.clone());
    pair.b.handle(now, sccrq.clone());
    assert_eq!(pair.b.endpoint.tunnels().count(), 1);
    assert!(pair.run_until(Duration::from_secs(5), connected));
    pair.b.handle(now, sccrq);
    assert_eq!(
        (pair.b.endpoint.tunnels().count(), pair.b.tunnels_up),
        (1, 1)
    );
}

#[test]
fn equal_tunnel_ids_on_two_paths_stay_apart() {
    let now = start();
    let mut lns = Endpoint::new(Arc::new(Config::default()), Box::new(seeded(1))).unwrap();
    for path in [PathId(1), PathId(2)] {
        // The same seed: the same tunnel id, as ten Windows PCs have.
        let mut lac = Endpoint::new(Arc::new(Config::default()), Box::new(seeded(9))).unwrap();
        let tunnel = lac.connect(now, PATH).unwrap();
        lac.open(now, tunnel).unwrap();
        for _ in 0..10 {
            while let Some(mut t) = lac.poll_transmit() {
                let range = 0..t.payload.len();
                lns.handle_datagram(now, path, &mut t.payload, range)
                    .unwrap();
            }
            while let Some(mut t) = lns.poll_transmit() {
                assert_eq!(t.path, path);
                let range = 0..t.payload.len();
                lac.handle_datagram(now, PATH, &mut t.payload, range)
                    .unwrap();
            }
        }
        assert_eq!(lac.session_count(), 1);
    }
    assert_eq!((lns.tunnels().count(), lns.session_count()), (2, 2));
}

#[test]
fn short_and_odd_messages_are_refused() {
    let now = start();
    let mut lac = Endpoint::new(Arc::new(Config::default()), Box::new(seeded(1))).unwrap();
    lac.connect(now, PATH).unwrap();
    let sccrq = lac.poll_transmit().unwrap().payload;
    for end in 0..sccrq.len() {
        let mut lns = Endpoint::new(Arc::new(Config::default()), Box::new(seeded(2))).unwrap();
        let mut cut = sccrq[..end].to_vec();
        assert!(
            lns.handle_datagram(now, PATH, &mut cut, 0..end).is_err(),
            "{end}"
        );
        assert_eq!(lns.tunnels().count(), 0);
        assert!(lns.poll_transmit().is_none());
    }
    for version in (0..16).filter(|v| *v != 2) {
        let mut lns = Endpoint::new(Arc::new(Config::default()), Box::new(seeded(2))).unwrap();
        let mut odd = sccrq.clone();
        odd[1] = version;
        let length = odd.len();
        let refused = lns.handle_datagram(now, PATH, &mut odd, 0..length);
        assert_eq!(refused, Err(l2tp::Error::BadVersion(version)));
    }
}
