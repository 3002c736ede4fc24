//! LAC against LNS in virtual time.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use l2tp::{
    CallResult, CloseReason, Config, Endpoint, Event, PathId, Received, Secret, SessionId,
    StopResult, TunnelId,
};
use simnet::{Link, Node, Pair, seeded};
use std::sync::Arc;
use std::time::{Duration, Instant};

const PATH: PathId = PathId(7);

struct End {
    endpoint: Endpoint,
    tunnel: Option<TunnelId>,
    session: Option<SessionId>,
    down: Vec<CloseReason>,
    tunnels_up: usize,
}

impl End {
    fn drain(&mut self) {
        while let Some(event) = self.endpoint.poll_event() {
            match event {
                Event::TunnelUp { tunnel, .. } => {
                    self.tunnel = Some(tunnel);
                    self.tunnels_up += 1;
                }
                Event::TunnelDown { reason, .. } => {
                    self.tunnel = None;
                    self.down.push(reason);
                }
                Event::SessionUp { session, .. } => self.session = Some(session),
                Event::SessionDown { .. } => self.session = None,
                _ => {}
            }
        }
    }

    fn empty(&self) -> bool {
        self.endpoint.tunnels().count() == 0 && self.endpoint.session_count() == 0
    }
}

impl Node for End {
    type Packet = Vec<u8>;
    fn handle(&mut self, now: Instant, mut message: Vec<u8>) {
        let range = 0..message.len();
        let _ = self
            .endpoint
            .handle_datagram(now, PATH, &mut message, range);
        self.drain();
    }
    fn handle_timeout(&mut self, now: Instant) {
        self.endpoint.handle_timeout(now);
        self.drain();
    }
    fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.endpoint.poll_transmit().map(|t| t.payload)
    }
    fn poll_timeout(&self) -> Option<Instant> {
        self.endpoint.poll_timeout()
    }
}

fn pair(lac: Config, lns: Config, link: Link, seed: u64) -> Pair<End, End> {
    #[allow(
        clippy::disallowed_methods,
        reason = "any start will do for virtual time"
    )]
    let now = Instant::now();
    let end = |config, seed| End {
        endpoint: Endpoint::new(Arc::new(config), Box::new(seeded(seed))).unwrap(),
        tunnel: None,
        session: None,
        down: Vec::new(),
        tunnels_up: 0,
    };
    let mut lac = end(lac, seed * 2);
    let lns = end(lns, seed * 2 + 1);
    let tunnel = lac.endpoint.connect(now, PATH).unwrap();
    lac.endpoint.open(now, tunnel).unwrap();
    Pair::new(now, lac, lns, link, seed)
}

fn with_secret(secret: &str, hide: bool) -> Config {
    let mut config = Config::default();
    config.secret = Some(Secret::new(secret.as_bytes()));
    config.hide_avps = hide;
    config
}

fn patient() -> Config {
    let mut config = Config::default();
    config.max_retransmits = 30;
    config.setup_timeout = Duration::from_secs(600);
    config
}

fn connected(a: &mut End, b: &mut End) -> bool {
    a.session.is_some() && b.session.is_some()
}

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
    #[allow(
        clippy::disallowed_methods,
        reason = "any start will do for virtual time"
    )]
    let now = Instant::now();
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
fn every_way_to_end_leaves_nothing() {
    type End2 = fn(&mut Pair<End, End>);
    let ways: [End2; 5] = [
        |p| {
            let (now, session) = (p.now, p.a.session.unwrap());
            p.a.endpoint
                .close_session(now, session, CallResult::ADMINISTRATIVE);
            let tunnel = p.a.tunnel.unwrap();
            p.a.endpoint.close_tunnel(now, tunnel, StopResult::GENERAL);
        },
        |p| {
            let (now, tunnel) = (p.now, p.b.tunnel.unwrap());
            p.b.endpoint
                .close_tunnel(now, tunnel, StopResult::SHUTTING_DOWN);
        },
        |p| {
            let now = p.now;
            p.a.endpoint.close_path(now, PATH);
            p.b.endpoint.close_path(now, PATH);
        },
        |p| {
            p.a_to_b.loss = 1.0;
            p.b_to_a.loss = 1.0;
        },
        |p| {
            let now = p.now;
            let (a, b) = (p.a.tunnel.unwrap(), p.b.tunnel.unwrap());
            p.a.endpoint.close_tunnel(now, a, StopResult::GENERAL);
            p.b.endpoint.close_tunnel(now, b, StopResult::GENERAL);
        },
    ];
    for (index, way) in ways.into_iter().enumerate() {
        let mut pair = pair(Config::default(), Config::default(), Link::PERFECT, 1);
        assert!(pair.run_until(Duration::from_secs(5), connected));
        way(&mut pair);
        pair.a.drain();
        pair.b.drain();
        pair.run_for(Duration::from_secs(300));
        assert!(pair.a.empty() && pair.b.empty(), "way {index}");
        assert_eq!(
            (pair.a.poll_timeout(), pair.b.poll_timeout()),
            (None, None),
            "way {index}"
        );
        assert_eq!(pair.a.down.len(), 1, "way {index}");
    }
}

#[test]
fn a_terrible_network_connects_and_closes_all_the_same() {
    let seeds = std::env::var("ROADWARRIOR_SEEDS").map_or(200, |s| s.parse().unwrap());
    for seed in 0..seeds {
        let mut pair = pair(patient(), patient(), Link::TERRIBLE, seed);
        assert!(
            pair.run_until(Duration::from_secs(600), connected),
            "seed {seed}"
        );
        let (now, tunnel) = (pair.now, pair.a.tunnel.unwrap());
        pair.a
            .endpoint
            .close_tunnel(now, tunnel, StopResult::GENERAL);
        pair.run_for(Duration::from_secs(600));
        assert!(pair.a.empty() && pair.b.empty(), "seed {seed}");
        assert_eq!(
            (pair.a.poll_timeout(), pair.b.poll_timeout()),
            (None, None),
            "seed {seed}"
        );
    }
}

#[test]
fn short_and_odd_messages_are_refused() {
    #[allow(
        clippy::disallowed_methods,
        reason = "any start will do for virtual time"
    )]
    let now = Instant::now();
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
