//! Two ends against each other in virtual time.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use ppp::{
    Assignment, AuthMethod, CloseReason, Config, Credentials, Event, Link, NetworkProtocol,
    Received, Role, Verdict,
};
use simnet::{Link as Wire, Node, Pair, seeded};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

const LOCAL: Ipv4Addr = Ipv4Addr::new(192, 168, 8, 1);
const PEER: Ipv4Addr = Ipv4Addr::new(192, 168, 8, 50);
const DNS: Ipv4Addr = Ipv4Addr::new(192, 168, 8, 10);

struct End {
    link: Link,
    password: &'static str,
    up: Option<(Ipv4Addr, Ipv4Addr, Option<Ipv4Addr>)>,
    authenticated: Option<AuthMethod>,
    closed: Option<CloseReason>,
}

impl End {
    fn drain(&mut self, now: Instant) {
        while let Some(event) = self.link.poll_event() {
            match event {
                Event::Authenticate(request) => {
                    assert!(self.up.is_none());
                    let verdict = match request.verify(self.password) {
                        Some(proof) => {
                            let mut assignment = Assignment::new(LOCAL, PEER);
                            assignment.dns = [Some(DNS), None];
                            Verdict::Accept { proof, assignment }
                        }
                        None => Verdict::refuse(),
                    };
                    self.link.authenticate(now, verdict).unwrap();
                }
                Event::Authenticated { method, .. } => self.authenticated = Some(method),
                Event::Ipv4Up {
                    local, peer, dns, ..
                } => self.up = Some((local, peer, dns[0])),
                Event::Ipv4Down => self.up = None,
                Event::Closed { reason } => self.closed = Some(reason),
                _ => {}
            }
        }
    }
}

impl Node for End {
    type Packet = Vec<u8>;
    fn handle(&mut self, now: Instant, mut frame: Vec<u8>) {
        let range = 0..frame.len();
        let _ = self.link.handle_frame(now, &mut frame, range);
        self.drain(now);
    }
    fn handle_timeout(&mut self, now: Instant) {
        self.link.handle_timeout(now);
        self.drain(now);
    }
    fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.link.poll_transmit()
    }
    fn poll_timeout(&self) -> Option<Instant> {
        self.link.poll_timeout()
    }
}

fn pair(server: Config, client: Config, wire: Wire, seed: u64) -> Pair<End, End> {
    #[allow(
        clippy::disallowed_methods,
        reason = "any start will do for virtual time"
    )]
    let now = Instant::now();
    let end = |config, role, seed| {
        let mut link = Link::new(Arc::new(config), role, Box::new(seeded(seed))).unwrap();
        link.open(now);
        End {
            link,
            password: "wonderland",
            up: None,
            authenticated: None,
            closed: None,
        }
    };
    let client = end(client, Role::Client, seed * 2);
    let server = end(server, Role::Server, seed * 2 + 1);
    Pair::new(now, client, server, wire, seed)
}

fn server() -> Config {
    Config::default()
}

fn client(password: &str) -> Config {
    let mut config = Config::default();
    config.credentials = Some(Credentials::new("OFFICE\\alice", password));
    config
}

fn connected(client: &mut End, server: &mut End) -> bool {
    client.up.is_some() && server.up.is_some()
}

#[test]
fn every_method_connects() {
    for method in [AuthMethod::Pap, AuthMethod::ChapMd5, AuthMethod::MsChapV2] {
        let mut server = server();
        server.auth = vec![method];
        let mut client = client("wonderland");
        client.auth = vec![method];
        let mut pair = pair(server, client, Wire::PERFECT, 1);
        assert!(
            pair.run_until(Duration::from_secs(10), connected),
            "{method:?}"
        );
        assert_eq!(pair.a.authenticated, Some(method));
        assert_eq!(pair.a.up, Some((PEER, LOCAL, Some(DNS))));
        assert_eq!(pair.b.up, Some((LOCAL, PEER, Some(DNS))));
    }
}

#[test]
fn a_client_declines_to_what_it_can() {
    let mut client = client("wonderland");
    client.auth = vec![AuthMethod::ChapMd5];
    let mut pair = pair(server(), client, Wire::PERFECT, 1);
    assert!(pair.run_until(Duration::from_secs(10), connected));
    assert_eq!(pair.b.authenticated, Some(AuthMethod::ChapMd5));
}

#[test]
fn nothing_in_common_ends_with_that_reason() {
    let mut client = client("wonderland");
    client.auth = vec![AuthMethod::Pap];
    let mut pair = pair(server(), client, Wire::PERFECT, 1);
    pair.run_for(Duration::from_secs(60));
    assert_eq!(pair.b.closed, Some(CloseReason::NoCommonAuthentication));
    assert!(pair.a.closed.is_some());
}

#[test]
fn a_wrong_password_is_refused_by_every_method() {
    for method in [AuthMethod::Pap, AuthMethod::ChapMd5, AuthMethod::MsChapV2] {
        let mut server = server();
        server.auth = vec![method];
        let mut client = client("looking-glass");
        client.auth = vec![method];
        let mut pair = pair(server, client, Wire::PERFECT, 1);
        pair.run_for(Duration::from_secs(60));
        assert_eq!(
            pair.a.closed,
            Some(CloseReason::AuthenticationFailed),
            "{method:?}"
        );
        assert_eq!(
            pair.b.closed,
            Some(CloseReason::AuthenticationFailed),
            "{method:?}"
        );
        assert!(pair.b.authenticated.is_none());
        assert_eq!(pair.a.poll_timeout(), None);
        assert_eq!(pair.b.poll_timeout(), None);
    }
}

#[test]
fn packets_travel_both_ways_in_place() {
    let mut pair = pair(server(), client("wonderland"), Wire::PERFECT, 1);
    assert!(pair.run_until(Duration::from_secs(10), connected));
    let now = pair.now;
    let mut buf = vec![0x45; 256];
    let (from, to) = (&mut pair.a.link, &mut pair.b.link);
    let frame = from
        .encapsulate(&mut buf, 64..164, NetworkProtocol::Ipv4)
        .unwrap();
    assert_eq!(frame, 60..164);
    let got = to.handle_frame(now, &mut buf, frame).unwrap();
    assert_eq!(got, Received::Ipv4(64..164));
}

/// RFC 2516 section 7: over PPPoE frames begin with the protocol field.
#[test]
fn frames_without_address_field_are_enough() {
    for (ours, theirs) in [(false, false), (false, true), (true, false)] {
        let (mut server, mut client) = (server(), client("wonderland"));
        (server.address_field, client.address_field) = (ours, theirs);
        let mut pair = pair(server, client, Wire::PERFECT, 1);
        let first = pair.b.poll_transmit().unwrap();
        let protocol: &[u8] = &[0xc0, 0x21];
        assert!(
            first.starts_with(if ours { &[0xff, 0x03] } else { protocol }),
            "{first:x?}"
        );
        pair.a.handle(pair.now, first);
        assert!(pair.run_until(Duration::from_secs(10), connected));
        let mut buf = [0x45; 64];
        let link = &mut pair.b.link;
        let frame = link.encapsulate(&mut buf, 24..64, NetworkProtocol::Ipv4);
        assert_eq!(frame, Ok(if ours { 20..64 } else { 22..64 }));
    }
}

#[test]
fn closing_takes_both_ends_down() {
    for by_client in [true, false] {
        let mut pair = pair(server(), client("wonderland"), Wire::PERFECT, 1);
        assert!(pair.run_until(Duration::from_secs(10), connected));
        let now = pair.now;
        let end = if by_client { &mut pair.a } else { &mut pair.b };
        end.link.close(now, "goodbye");
        pair.run_for(Duration::from_secs(30));
        let (asked, told) = if by_client {
            (&pair.a, &pair.b)
        } else {
            (&pair.b, &pair.a)
        };
        assert_eq!(asked.closed, Some(CloseReason::Administrative));
        assert_eq!(
            told.closed,
            Some(CloseReason::PeerTerminated("goodbye".into()))
        );
        assert!(asked.up.is_none() && told.up.is_none());
    }
}

#[test]
fn a_silent_peer_is_noticed() {
    let mut pair = pair(server(), client("wonderland"), Wire::PERFECT, 1);
    assert!(pair.run_until(Duration::from_secs(10), connected));
    pair.a_to_b.loss = 1.0;
    pair.run_for(Duration::from_secs(300));
    assert_eq!(pair.b.closed, Some(CloseReason::EchoTimeout));
}

#[test]
fn a_terrible_network_connects_and_closes_all_the_same() {
    let seeds = std::env::var("ROADWARRIOR_SEEDS").map_or(10_000, |s| s.parse().unwrap());
    for seed in 0..seeds {
        let mut server = server();
        server.max_configure = 60;
        server.max_terminate = 20;
        let mut client = client("wonderland");
        client.max_configure = 60;
        client.max_terminate = 20;
        let mut pair = pair(server, client, Wire::TERRIBLE, seed);
        assert!(
            pair.run_until(Duration::from_secs(300), connected),
            "seed {seed}: {:?} {:?} {:?} {:?}",
            pair.a.link,
            pair.a.closed,
            pair.b.link,
            pair.b.closed
        );
        let now = pair.now;
        pair.a.link.close(now, "goodbye");
        pair.run_for(Duration::from_secs(400));
        assert!(
            pair.a.closed.is_some() && pair.b.closed.is_some(),
            "seed {seed}: {:?} {:?} {:?} {:?}",
            pair.a.link,
            pair.a.closed,
            pair.b.link,
            pair.b.closed
        );
        assert_eq!(
            (pair.a.poll_timeout(), pair.b.poll_timeout()),
            (None, None),
            "seed {seed}: {:?} {:?} {:?} {:?}",
            pair.a.link,
            pair.a.closed,
            pair.b.link,
            pair.b.closed
        );
    }
}
