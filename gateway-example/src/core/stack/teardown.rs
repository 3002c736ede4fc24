//! Everything there is of a connection ends in every order, at either end: nothing is left.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use super::{Stack, StackConfig};
use crate::config::{Config, Secret};
use crate::core::event::{Event, KeyEvent};
use crate::core::{
    ClientConfig, Core, Entropy, Gateway, GatewayEvent, HEADROOM, Path, TAILROOM, Transmit, convert,
};
use simnet::seeded;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Cause {
    StopCcn,
    Cdn,
    LcpTerminate,
    EspDelete,
    IsakmpDelete,
    Administrator,
    /// The network is gone, and timers do the rest.
    Timer,
}

const ALL: [Cause; 7] = [
    Cause::StopCcn,
    Cause::Cdn,
    Cause::LcpTerminate,
    Cause::EspDelete,
    Cause::IsakmpDelete,
    Cause::Administrator,
    Cause::Timer,
];

/// One way.
const LATENCY: Duration = Duration::from_millis(10);
const OFFICE: &str = r#"
[gateway]
policy = "legacy_xp"
[[psk]]
peer = "any"
secret = "abcdefghij0123456789"
[ppp]
local = "192.168.8.1"
[pool]
range = "192.168.200.10-192.168.200.99"
[[user]]
name = "ann"
password = "secret"
"#;

/// A gateway and a client that does nothing by itself, without a NAT between them.
struct Ends {
    now: Instant,
    gateway: Gateway,
    client: Stack,
    up: bool,
    /// Why calls of the client have ended.
    down: Vec<&'static str>,
    /// What the gateway has told.
    told: Vec<GatewayEvent>,
    /// When it arrives, whether at the gateway, and what.
    wire: VecDeque<(Instant, bool, Transmit)>,
    cut: bool,
}

fn entropy(seed: u64) -> Entropy {
    let mut next = seed * 1000;
    Box::new(move || {
        next += 1;
        Box::new(seeded(next))
    })
}

impl Ends {
    /// A client that has begun to connect.
    fn calling(seed: u64) -> Self {
        #[allow(
            clippy::disallowed_methods,
            reason = "any start will do for virtual time"
        )]
        let now = Instant::now();
        let config = Config::parse(FilePath::new("office.toml"), OFFICE).unwrap();
        let gateway = Gateway::new(Arc::new(config), entropy(seed)).unwrap();
        let [local, remote] = [[203, 0, 113, 9], [198, 51, 100, 1]];
        let [local, remote] = [local, remote].map(|ip| SocketAddr::from((ip, 500)));
        let (psk, password) = ("abcdefghij0123456789", "secret");
        let [psk, password] = [psk, password].map(|s| Secret::new(s.into()));
        let mut config = ClientConfig::new(Path { local, remote }, psk, "ann".into(), password);
        // The quickest Diffie-Hellman there is.
        config.ike = vec!["aes128-sha1-modp768".into()];
        let parts = StackConfig {
            isakmp: convert::isakmp_client(&config),
            l2tp: convert::l2tp_client(),
            ppp: convert::ppp_client(&config),
            role: ppp::Role::Client,
        };
        let mut client = Stack::new(parts, entropy(seed + 1)).unwrap();
        let peer = convert::isakmp_peer(&config).unwrap();
        client.connect(now, config.path, peer).unwrap();
        Self {
            now,
            gateway,
            client,
            up: false,
            down: Vec::new(),
            told: Vec::new(),
            wire: VecDeque::new(),
            cut: false,
        }
    }

    /// A connection that is all up.
    fn connected(seed: u64) -> Self {
        let mut ends = Self::calling(seed);
        ends.run_for(Duration::from_secs(5));
        assert!(ends.up);
        let status = ends.gateway.status(ends.now);
        let there = [
            status.isakmp_sas,
            status.esp_sas,
            status.l2tp_tunnels,
            status.l2tp_sessions,
            status.peers,
            status.addresses_in_use,
        ];
        assert_eq!(there, [1; 6]);
        ends
    }

    fn drain(&mut self) {
        while let Some(event) = self.client.poll_event() {
            match event {
                Event::EspUp { peer, .. } if !self.up => {
                    self.client.dial(self.now, peer, super::L2TP_PORT).unwrap();
                }
                Event::Ipv4Up { .. } => self.up = true,
                Event::SessionDown { reason, .. } => self.down.push(reason),
                _ => {}
            }
        }
        let gateway = &mut self.gateway;
        self.told
            .extend(std::iter::from_fn(|| gateway.poll_event()));
        let at = self.now + LATENCY;
        for to_gateway in [true, false] {
            while let Some(transmit) = if to_gateway {
                self.client.poll_transmit()
            } else {
                self.gateway.poll_transmit()
            } {
                if !self.cut {
                    self.wire.push_back((at, to_gateway, transmit));
                }
            }
        }
    }

    fn arrive(&mut self, to_gateway: bool, transmit: Transmit) {
        let now = self.now;
        let (path, payload) = match transmit {
            Transmit::Udp { path, payload } => (Some(path), payload),
            Transmit::Esp { payload, .. } => (None, payload),
            Transmit::Inner(_) => return,
        };
        let mut buf = vec![0; HEADROOM];
        buf.extend(&payload);
        let whole = HEADROOM..buf.len();
        buf.resize(buf.len() + TAILROOM, 0);
        let [ours, theirs] = [[198, 51, 100, 1], [203, 0, 113, 9]].map(std::net::IpAddr::from);
        let back = path.map(|path| Path {
            local: path.remote,
            remote: path.local,
        });
        match (to_gateway, back) {
            (true, Some(path)) => drop(self.gateway.handle_udp(now, path, &mut buf, whole)),
            (true, None) => drop(self.gateway.handle_esp(now, ours, theirs, &mut buf, whole)),
            (false, Some(path)) => {
                let natt = path.local.port() == 4500;
                let _ = self.client.handle_udp(now, path, natt, &mut buf, whole);
            }
            (false, None) => {
                let client = &mut self.client;
                let _ = client.handle_native_esp(now, theirs, ours, &mut buf, whole);
            }
        }
    }

    fn run_for(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            self.drain();
            let wire = self.wire.front().map(|(at, ..)| *at);
            let timeouts = [self.gateway.poll_timeout(), self.client.poll_timeout()];
            let next = timeouts.into_iter().chain([wire]).flatten().min();
            let Some(at) = next.filter(|at| *at <= end) else {
                break;
            };
            self.now = self.now.max(at);
            if wire == Some(at) {
                let (_, to_gateway, transmit) = self.wire.pop_front().unwrap();
                self.arrive(to_gateway, transmit);
            } else {
                self.gateway.handle_timeout(self.now);
                self.client.handle_timeout(self.now);
            }
        }
        self.now = end;
    }

    fn stack(&mut self, at_gateway: bool) -> &mut Stack {
        if at_gateway {
            self.gateway.stack()
        } else {
            &mut self.client
        }
    }

    fn end(&mut self, at_gateway: bool, cause: Cause) {
        let now = self.now;
        let stack = self.stack(at_gateway);
        match cause {
            Cause::StopCcn => {
                let tunnels: Vec<_> = stack.l2tp.tunnels().map(|t| t.tunnel).collect();
                for tunnel in tunnels {
                    let reason = l2tp::StopResult::SHUTTING_DOWN;
                    stack.l2tp.close_tunnel(now, tunnel, reason);
                }
            }
            Cause::Cdn => {
                for session in stack.calls.keys().copied().collect::<Vec<_>>() {
                    let reason = l2tp::CallResult::ADMINISTRATIVE;
                    stack.l2tp.close_session(now, session, reason);
                }
            }
            Cause::LcpTerminate => {
                for session in stack.calls.keys().copied().collect::<Vec<_>>() {
                    stack.hang_up(now, session, "bye");
                }
            }
            Cause::EspDelete => {
                for child in stack.child_serials.keys().copied().collect::<Vec<_>>() {
                    stack.isakmp.close_child(now, child);
                }
            }
            Cause::IsakmpDelete => {
                for sa in stack.peer_of_sa.keys().copied().collect::<Vec<_>>() {
                    stack.isakmp.close(now, sa);
                }
            }
            Cause::Administrator => stack.shutdown(now),
            Cause::Timer => {
                self.cut = true;
                self.wire.clear();
            }
        }
        // What was asked of the parts is done when they are next looked at.
        self.gateway.handle_timeout(now);
        self.client.handle_timeout(now);
        self.drain();
    }

    fn assert_nothing_left(&mut self, what: &str) {
        self.run_for(Duration::from_secs(60));
        // A client that has lost its call gives up the rest; else it would keep its SAs fresh.
        self.end(false, Cause::Administrator);
        // Longer than any SA lives, should a word about its end be lost.
        self.run_for(Duration::from_secs(10 * 3600));
        let status = self.gateway.status(self.now);
        assert_eq!(status.addresses_in_use, 0, "{what}");
        assert!(status.sessions.is_empty(), "{what}");
        for at_gateway in [true, false] {
            let stack = self.stack(at_gateway);
            let tables = [
                stack.isakmp.sa_count(),
                stack.isakmp.child_count(),
                stack.l2tp.tunnels().count(),
                stack.l2tp.lingering_count(),
                stack.l2tp.session_count(),
                stack.peers.len(),
                stack.parties.len(),
                stack.places.len(),
                stack.peer_of_sa.len(),
                stack.children.len(),
                stack.child_serials.len(),
                stack.peer_of_path.len(),
                stack.calls.len(),
                stack.dialled.len(),
                stack.deadlines.len(),
            ];
            assert_eq!(tables, [0; 15], "{what}, at the gateway: {at_gateway}");
            assert_eq!(stack.sadb.poll_timeout(), None, "{what}");
        }
    }
}

/// All orders of the six causes, one while the other is on its way, from both ends in turn.
#[test]
fn close_everything_in_every_order() {
    let mut order = [0, 1, 2, 3, 4, 5];
    let mut count = 0;
    permutations(&mut order, 0, &mut |order| {
        count += 1;
        let mut ends = Ends::connected(count);
        for (place, index) in order.iter().enumerate() {
            // Which end begins, and what overtakes what, differ from order to order.
            let at_gateway = (usize::try_from(count).unwrap() + place) % 2 == 0;
            ends.end(at_gateway, ALL[*index]);
            ends.run_for(Duration::from_millis(count % 3 * 9));
        }
        ends.assert_nothing_left(&format!("{order:?}"));
    });
    assert_eq!(count, 720);
}

/// Any two causes from any two ends, at once or after a while.
#[test]
fn any_two_ends_leave_nothing() {
    let pauses = [0, 15, 12_000].map(Duration::from_millis);
    let mut seed = 10_000;
    for (first, second) in ALL.into_iter().flat_map(|c| ALL.map(|d| (c, d))) {
        for (one, other) in [(true, false), (false, true), (true, true)] {
            for pause in pauses {
                let what = format!("{first:?} then {second:?}, {one} {other}, {pause:?}");
                seed += 1;
                let mut ends = Ends::connected(seed);
                ends.end(one, first);
                ends.run_for(pause);
                ends.end(other, second);
                ends.assert_nothing_left(&what);
            }
        }
    }
}

/// The tunnel lives on and its Hellos are answered: nothing else would ever tell the client.
#[test]
fn a_call_that_never_comes_up_is_told_to_the_client() {
    let mut ends = Ends::calling(30_000);
    let tunnel_up = |ends: &mut Ends| ends.client.l2tp.tunnels().count() > 0;
    while !tunnel_up(&mut ends) {
        ends.run_for(Duration::from_millis(1));
    }
    let session = *ends.client.dialled.keys().next().unwrap();
    let (now, why) = (ends.now, l2tp::CallResult::ADMINISTRATIVE);
    ends.client.l2tp.close_session(now, session, why);
    ends.run_for(Duration::from_secs(60));
    assert_eq!(ends.down, ["local"]);
    assert_eq!(ends.client.l2tp.tunnels().count(), 1);
    ends.assert_nothing_left("a call that never came up");
}

/// Nobody would end its connection any more.
#[test]
fn nobody_comes_in_while_the_gateway_stops() {
    for (seed, at) in (40_000..).zip((0..400).step_by(10)) {
        let mut ends = Ends::calling(seed);
        ends.run_for(Duration::from_millis(at));
        ends.gateway.shutdown(ends.now);
        ends.run_for(Duration::from_secs(2));
        assert!(ends.gateway.is_idle(), "stopped after {at} ms");
        let status = ends.gateway.status(ends.now);
        assert_eq!(status.addresses_in_use, 0, "stopped after {at} ms");
    }
}

/// As some routers do when they think that a link is bad.
#[test]
fn a_login_ends_when_its_client_negotiates_lcp_anew() {
    let mut ends = Ends::connected(41_000);
    let said = |ends: &Ends, start: &str| {
        let begins = |event: &&GatewayEvent| matches!(event, GatewayEvent::Step { text, .. } if text.starts_with(start));
        ends.told.iter().filter(begins).count()
    };
    let (now, client) = (ends.now, &mut ends.client);
    let (ppp, rng) = (Arc::clone(&client.ppp), (client.entropy)());
    let (session, call) = client.calls.iter_mut().next().unwrap();
    let session = *session;
    call.link = ppp::Link::new(ppp, ppp::Role::Client, rng).unwrap();
    call.link.open(now);
    client.drain_link(now, session);
    ends.up = false;
    ends.run_for(Duration::from_secs(10));
    assert!(ends.up);
    assert_eq!(said(&ends, "login user="), 2);
    assert_eq!(said(&ends, "logout user="), 1);
    let status = ends.gateway.status(ends.now);
    assert_eq!(status.addresses_in_use, 1);
    assert_eq!(status.sessions.len(), 1);
    ends.assert_nothing_left("another login on the same call");
    assert_eq!(said(&ends, "logout user="), 2);
}

/// An administrator has asked for keys, or no longer for those that the configuration asks for.
#[test]
fn a_reload_leaves_the_key_log_as_it_is() {
    for (seed, on) in [(42_000, true), (43_000, false)] {
        let mut ends = Ends::connected(seed);
        ends.gateway.set_key_log(ends.now, on);
        let folder = if on { "" } else { "key_log_dir = \"/keys\"\n" };
        let office = OFFICE.replace("[gateway]\n", &format!("[gateway]\n{folder}"));
        let config = Config::parse(FilePath::new("office.toml"), &office).unwrap();
        let stack = convert::stack_server(&config);
        ends.stack(true).set_config(stack).unwrap();
        let peer = *ends.client.peers.keys().next().unwrap();
        ends.client.rekey(ends.now, peer);
        ends.run_for(Duration::from_secs(5));
        let esp = |event: &&GatewayEvent| matches!(event, GatewayEvent::Key(KeyEvent::Esp(_)));
        assert_eq!(ends.told.iter().any(|event| esp(&event)), on);
    }
}

/// What a client has on ports it has left goes with the oldest of them.
#[test]
fn a_client_that_keeps_changing_its_port_replaces_its_own() {
    let mut ends = Ends::connected(20_000);
    let now = ends.now;
    let peer = *ends.client.peers.keys().next().unwrap();
    for port in 50_000..50_010 {
        let path = ends.client.l2tp_path(now, peer, port, super::L2TP_PORT);
        ends.client.l2tp.connect(now, path).unwrap();
        ends.run_for(Duration::from_secs(1));
    }
    for at_gateway in [true, false] {
        let stack = ends.stack(at_gateway);
        assert_eq!(stack.l2tp_tunnels(), super::L2TP_PATHS, "{at_gateway}");
        assert_eq!(stack.calls.len(), 0, "{at_gateway}");
    }
    ends.assert_nothing_left("ports");
}

fn permutations(order: &mut [usize; 6], from: usize, each: &mut impl FnMut(&[usize; 6])) {
    if from == order.len() {
        return each(order);
    }
    for other in from..order.len() {
        order.swap(from, other);
        permutations(order, from + 1, each);
        order.swap(from, other);
    }
}
