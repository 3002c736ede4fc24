//! Two endpoints over simnet, with NATs between them.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use isakmp::{ChildSa, Config, Endpoint, Event, Path, Peer, PeerMatch, PresharedKey};
use simnet::{Link, Node, Pair, seeded};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) const PSK: &str = "correct horse";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Net {
    Direct,
    ClientNat,
    ServerNat,
    BothNat,
}

impl Net {
    pub(crate) fn client(self) -> bool {
        matches!(self, Self::ClientNat | Self::BothNat)
    }

    pub(crate) fn server(self) -> bool {
        matches!(self, Self::ServerNat | Self::BothNat)
    }
}

/// A datagram on the way: sender and receiver as the sender sees them.
pub(crate) type Packet = (SocketAddr, SocketAddr, Vec<u8>);

/// An endpoint and the NAT before it.
pub(crate) struct Host {
    pub(crate) endpoint: Endpoint,
    pub(crate) events: Vec<Event>,
    pub(crate) jobs: usize,
    /// Jobs are not run, the last is in `kept`.
    pub(crate) keep_jobs: bool,
    pub(crate) kept: Option<Box<isakmp::Job>>,
    own: &'static str,
    public: &'static str,
    nat: bool,
    /// Added to ports by the NAT.
    pub(crate) shift: u16,
    pub(crate) rebind_at: Option<Instant>,
    pub(crate) sent: Vec<Packet>,
    pub(crate) now: Instant,
}

impl Host {
    fn out(&self, address: SocketAddr) -> SocketAddr {
        if !self.nat {
            return address;
        }
        SocketAddr::new(self.public.parse().unwrap(), address.port() + self.shift)
    }

    fn collect(&mut self) {
        while let Some(event) = self.endpoint.poll_event() {
            match event {
                Event::Job(job) if self.keep_jobs => self.kept = Some(job),
                Event::Job(job) => {
                    self.jobs += 1;
                    self.endpoint.finish(self.now, job.run());
                }
                event => self.events.push(event),
            }
        }
    }
}

impl Node for Host {
    type Packet = Packet;

    fn handle(&mut self, now: Instant, (from, to, mut payload): Packet) {
        self.now = now;
        if self.rebind_at.is_some_and(|at| at <= now) {
            self.rebind_at = None;
            self.shift += 1000;
        }
        let local = if self.nat {
            let shift = if self.own == "10.0.0.2" {
                self.shift
            } else {
                0
            };
            // Packets to a mapping that is gone are lost.
            let Some(port) = to
                .port()
                .checked_sub(shift)
                .filter(|p| [500, 4500].contains(p))
            else {
                return;
            };
            SocketAddr::new(self.own.parse().unwrap(), port)
        } else {
            to
        };
        let _ = self.endpoint.handle_datagram(
            now,
            Path {
                local,
                remote: from,
            },
            &mut payload,
        );
        self.collect();
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        self.endpoint.handle_timeout(now);
        self.collect();
    }

    fn poll_transmit(&mut self) -> Option<Packet> {
        self.collect();
        let t = self.endpoint.poll_transmit()?;
        let packet = (self.out(t.path.local), t.path.remote, t.payload);
        self.sent.push(packet.clone());
        Some(packet)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.endpoint.poll_timeout()
    }
}

pub(crate) fn server_config() -> Config {
    Config::new(vec![(PeerMatch::Any, PresharedKey::new(PSK))])
}

pub(crate) fn client_config() -> Config {
    let mut config = Config::default();
    config.policy = isakmp::Policy::legacy_xp();
    config
}

pub(crate) fn peer() -> Peer {
    Peer::new(PresharedKey::new(PSK))
}

pub(crate) fn host(config: Config, seed: u64, client: bool, net: Net, now: Instant) -> Host {
    let nat = if client { net.client() } else { net.server() };
    let (public, private) = if client {
        ("192.0.2.2", "10.0.0.2")
    } else {
        ("198.51.100.1", "192.168.7.1")
    };
    Host {
        endpoint: Endpoint::new(Arc::new(config), Box::new(seeded(seed))).unwrap(),
        events: Vec::new(),
        jobs: 0,
        keep_jobs: false,
        kept: None,
        own: if nat { private } else { public },
        public,
        nat,
        shift: if client { 20_000 } else { 0 },
        rebind_at: None,
        sent: Vec::new(),
        now,
    }
}

pub(crate) fn pair_of(
    client: Config,
    server: Config,
    net: Net,
    link: Link,
    seed: u64,
) -> Pair<Host, Host> {
    let now = Instant::now_for_tests();
    let a = host(client, seed * 2, true, net, now);
    let b = host(server, seed * 2 + 1, false, net, now);
    Pair::new(now, a, b, link, seed)
}

/// A client that connects to a server.
pub(crate) fn pair(
    server: Config,
    peer: Peer,
    net: Net,
    link: Link,
    seed: u64,
) -> Pair<Host, Host> {
    let mut pair = pair_of(client_config(), server, net, link, seed);
    let path = client_path(&pair.a);
    pair.a.endpoint.connect(pair.now, path, peer).unwrap();
    pair
}

pub(crate) fn client_path(host: &Host) -> Path {
    Path {
        local: SocketAddr::new(host.own.parse().unwrap(), 500),
        remote: "198.51.100.1:500".parse().unwrap(),
    }
}

/// Runs until both sides have `count` children.
pub(crate) fn established(net: &mut Pair<Host, Host>, count: usize) -> bool {
    net.run_until(Duration::from_secs(90), |a, b| {
        a.endpoint.child_count() >= count && b.endpoint.child_count() >= count
    })
}

/// All children that were ever established: the client's, the server's.
pub(crate) fn children(net: &mut Pair<Host, Host>) -> [Vec<ChildSa>; 2] {
    let of = |host: &Host| {
        let child = |e: &Event| match e {
            Event::ChildEstablished(child) => Some(*child.clone()),
            _ => None,
        };
        host.events.iter().filter_map(child).collect()
    };
    [of(&net.a), of(&net.b)]
}

pub(crate) fn assert_matching(a: &ChildSa, b: &ChildSa, context: &str) {
    assert_eq!(a.suite, b.suite, "{context}");
    assert_eq!(
        (a.inbound_spi, a.outbound_spi),
        (b.outbound_spi, b.inbound_spi),
        "{context}"
    );
    for (x, y) in [
        (&a.inbound_keys, &b.outbound_keys),
        (&a.outbound_keys, &b.inbound_keys),
    ] {
        assert_eq!(x.encryption(), y.encryption(), "{context}");
        assert_eq!(x.integrity(), y.integrity(), "{context}");
        assert_eq!(
            x.encryption().len(),
            a.suite.cipher.key_length(),
            "{context}"
        );
    }
    assert_ne!(
        a.inbound_keys.encryption(),
        a.outbound_keys.encryption(),
        "{context}"
    );
    assert_eq!(a.udp_encapsulation, b.udp_encapsulation, "{context}");
    assert_eq!(a.local_selector, b.remote_selector, "{context}");
}

/// Whether something has ended for this reason.
pub(crate) fn has(events: &[Event], word: &str) -> bool {
    events.iter().any(|e| match e {
        Event::Closed { reason, .. } | Event::ChildDeleted { reason, .. } => {
            reason.reason() == word
        }
        _ => false,
    })
}

/// Reason, offer, hint.
pub(crate) fn refusal(event: &Event) -> Option<(&'static str, String, String)> {
    match event {
        Event::Refused {
            reason,
            offer,
            hint,
            ..
        } => Some((reason.reason(), offer.clone(), hint.clone())),
        _ => None,
    }
}

trait TestStart {
    fn now_for_tests() -> Instant;
}

impl TestStart for Instant {
    #[allow(
        clippy::disallowed_methods,
        reason = "a test starts its virtual clock somewhere"
    )]
    fn now_for_tests() -> Self {
        Self::now()
    }
}
