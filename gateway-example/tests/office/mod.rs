//! An office and its road warriors in virtual time.
#![allow(dead_code, reason = "each test uses a part")]
#![allow(unreachable_pub, reason = "shared by the tests alone")]

use crate::common::{PSK, SERVER, entropy, office};
use gateway_example::config::{Config, Secret};
use gateway_example::control::{Refusal, Request};
use gateway_example::core::{
    Client, ClientConfig, ClientEvent, Core, Dialer, Explanation, Forward, Gateway, GatewayEvent,
    HEADROOM, Path, SessionStatus, Sessions, Transmit,
};
use simnet::{Datagram, Host, HostId, Link, Nat, World};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub const OFFICE: Ipv4Addr = Ipv4Addr::new(192, 168, 8, 10);

#[allow(clippy::large_enum_variant, reason = "a handful of them in a test")]
pub enum Node {
    Gateway(Gateway),
    Client(Client),
    Dialer(Dialer),
}

pub struct Peer {
    pub node: Node,
    out: VecDeque<Datagram>,
    /// IP packets that came out on the unencrypted side.
    pub inner: Vec<Vec<u8>>,
    pub address: Option<Ipv4Addr>,
    pub gone: Option<String>,
    pub native: usize,
    /// Connections that have come up.
    pub calls: usize,
    /// IKE messages in the clear, and whether they went out.
    pub plain: Vec<(bool, Vec<u8>)>,
    /// Pauses before other calls.
    pub waits: Vec<Duration>,
    /// Hears nothing, says nothing, and its timers stand still.
    pub asleep: bool,
    /// Lines of its log, a gateway's with whom they concern.
    pub log: Vec<(Option<u64>, String)>,
}

impl Peer {
    pub fn new(node: Node) -> Self {
        Self {
            node,
            out: VecDeque::new(),
            inner: Vec::new(),
            address: None,
            gone: None,
            native: 0,
            calls: 0,
            plain: Vec::new(),
            waits: Vec::new(),
            asleep: false,
            log: Vec::new(),
        }
    }

    pub fn core(&mut self) -> &mut dyn Core {
        match &mut self.node {
            Node::Gateway(gateway) => gateway,
            Node::Client(client) => client,
            Node::Dialer(dialer) => dialer,
        }
    }

    pub fn client(&mut self) -> &mut Client {
        match &mut self.node {
            Node::Client(client) => client,
            Node::Gateway(_) | Node::Dialer(_) => panic!("not a client"),
        }
    }

    pub fn gateway(&mut self) -> &mut Gateway {
        match &mut self.node {
            Node::Gateway(gateway) => gateway,
            Node::Client(_) | Node::Dialer(_) => panic!("not a gateway"),
        }
    }

    /// Sends an IP packet from the unencrypted side.
    pub fn send(&mut self, now: Instant, packet: &[u8]) {
        let mut buf = vec![0; HEADROOM];
        buf.extend(packet);
        let range = HEADROOM..buf.len();
        buf.resize(buf.len() + 64, 0);
        let forward = self.core().handle_inner(now, &mut buf, range);
        self.forward(forward, &buf);
        self.drain();
    }

    pub fn forward(&mut self, forward: Forward, buf: &[u8]) {
        match forward {
            Forward::Nothing => {}
            Forward::Inner(range) => self.inner.push(buf[range].to_vec()),
            Forward::Udp { path, payload } => self.push(path, &buf[payload]),
            Forward::Esp {
                local,
                remote,
                payload,
            } => {
                self.native += 1;
                self.push_native(local, remote, &buf[payload]);
            }
        }
    }

    pub fn push(&mut self, path: Path, payload: &[u8]) {
        self.out.push_back(Datagram {
            source: path.local,
            destination: path.remote,
            payload: payload.to_vec(),
        });
    }

    /// The world has UDP alone: port 0 stands for IP protocol 50.
    pub fn push_native(&mut self, local: IpAddr, remote: IpAddr, payload: &[u8]) {
        let [local, remote] = [local, remote].map(|ip| SocketAddr::new(ip, 0));
        self.push(Path { local, remote }, payload);
    }

    fn client_event(&mut self) -> Option<ClientEvent> {
        match &mut self.node {
            Node::Client(client) => client.poll_event(),
            Node::Dialer(dialer) => dialer.poll_event(),
            Node::Gateway(_) => None,
        }
    }

    fn note(&mut self, event: ClientEvent) {
        match event {
            ClientEvent::Connected { address, .. } => {
                self.address = Some(address);
                self.calls += 1;
            }
            ClientEvent::Disconnected { reason } => self.gone = Some(reason),
            ClientEvent::Step { text, .. } => self.log.push((None, text)),
            ClientEvent::Redial { after } => self.waits.push(after),
            _ => {}
        }
    }

    pub fn drain(&mut self) {
        while let Some(transmit) = self.core().poll_transmit() {
            match transmit {
                Transmit::Udp { path, payload } => self.push(path, &payload),
                Transmit::Esp {
                    local,
                    remote,
                    payload,
                } => {
                    self.native += 1;
                    self.push_native(local, remote, &payload);
                }
                Transmit::Inner(packet) => self.inner.push(packet),
            }
        }
        match &mut self.node {
            Node::Gateway(gateway) => {
                while let Some(event) = gateway.poll_event() {
                    match event {
                        GatewayEvent::Step { peer, text, .. } => {
                            self.log.push((peer.map(|peer| peer.number()), text));
                        }
                        GatewayEvent::Plain(message) => {
                            let bytes = message.as_bytes().to_vec();
                            self.plain.push((message.is_outgoing(), bytes));
                        }
                        _ => {}
                    }
                }
            }
            Node::Client(_) | Node::Dialer(_) => {
                while let Some(event) = self.client_event() {
                    self.note(event);
                }
            }
        }
    }
}

impl Host for Peer {
    fn handle(&mut self, now: Instant, datagram: Datagram) {
        if self.asleep {
            return;
        }
        let mut buf = vec![0; HEADROOM];
        buf.extend(&datagram.payload);
        let range: Range<usize> = HEADROOM..buf.len();
        buf.resize(buf.len() + 64, 0);
        let (local, remote) = (datagram.destination, datagram.source);
        let forward = if local.port() == 0 {
            self.core()
                .handle_esp(now, local.ip(), remote.ip(), &mut buf, range)
        } else {
            self.core()
                .handle_udp(now, Path { local, remote }, &mut buf, range)
        };
        self.forward(forward, &buf);
        self.drain();
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.core().handle_timeout(now);
        self.drain();
    }

    fn poll_transmit(&mut self) -> Option<Datagram> {
        self.drain();
        self.out.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        if self.asleep {
            return None;
        }
        match &self.node {
            Node::Gateway(gateway) => gateway.poll_timeout(),
            Node::Client(client) => client.poll_timeout(),
            Node::Dialer(dialer) => dialer.poll_timeout(),
        }
    }
}

pub struct Office {
    pub world: World<Peer>,
    pub gateway: HostId,
    /// Where clients call.
    pub reached_at: Ipv4Addr,
}

impl Office {
    pub fn new(link: Link, seed: u64) -> Self {
        Self::with(office(""), link, seed)
    }

    pub fn with(config: Config, link: Link, seed: u64) -> Self {
        #[allow(
            clippy::disallowed_methods,
            reason = "any start will do for virtual time"
        )]
        let mut world = World::new(Instant::now(), link, seed);
        let gateway = Gateway::new(Arc::new(config), entropy(seed * 100)).unwrap();
        let gateway = world.add_host(Peer::new(Node::Gateway(gateway)), SERVER.into(), None);
        Self {
            world,
            gateway,
            reached_at: SERVER,
        }
    }

    pub fn warrior(
        &mut self,
        address: [u8; 4],
        nat: Option<simnet::NatId>,
        user: (&str, &str),
        change: impl FnOnce(&mut ClientConfig),
    ) -> HostId {
        let mut config = self.caller(address, user);
        change(&mut config);
        let mut client = Client::new(config, entropy(next_seed())).unwrap();
        client.connect(self.world.now).unwrap();
        let peer = Peer::new(Node::Client(client));
        self.world
            .add_host(peer, Ipv4Addr::from(address).into(), nat)
    }

    fn caller(&self, address: [u8; 4], user: (&str, &str)) -> ClientConfig {
        let path = Path {
            local: SocketAddr::from((address, 500)),
            remote: SocketAddr::from((self.reached_at, 500)),
        };
        let (psk, password) = (Secret::new(PSK.into()), Secret::new(user.1.into()));
        ClientConfig::new(path, psk, user.0.into(), password)
    }

    /// A warrior that calls again by itself.
    pub fn dialer(
        &mut self,
        address: [u8; 4],
        nat: Option<simnet::NatId>,
        user: (&str, &str),
    ) -> HostId {
        let config = self.caller(address, user);
        let mut dialer = Dialer::new(config, Box::new(|| entropy(next_seed()))).unwrap();
        dialer.connect(self.world.now).unwrap();
        let peer = Peer::new(Node::Dialer(dialer));
        self.world
            .add_host(peer, Ipv4Addr::from(address).into(), nat)
    }

    pub fn nat(&mut self) -> simnet::NatId {
        self.world
            .add_nat(Nat::new(Ipv4Addr::new(198, 51, 100, 2).into()))
    }

    pub fn connected(&mut self, warrior: HostId) -> Ipv4Addr {
        let up = |world: &mut World<Peer>| world.host(warrior).address.is_some();
        assert!(
            self.world.run_until(Duration::from_secs(60), up),
            "{:?}",
            self.world.host(warrior).gone
        );
        self.world.host(warrior).address.unwrap()
    }

    /// A ping to the office and its answer, whoever else is connected.
    pub fn ping(&mut self, warrior: HostId) {
        let now = self.world.now;
        let address = self.world.host(warrior).address.unwrap();
        let packet = udp(address, OFFICE, b"are you there?");
        self.world.host(warrior).send(now, &packet);
        self.world.run_for(Duration::from_secs(2));
        let arrived = std::mem::take(&mut self.world.host(self.gateway).inner);
        assert_eq!(arrived, [packet]);
        let now = self.world.now;
        let answer = udp(OFFICE, address, b"yes");
        self.world.host(self.gateway).send(now, &answer);
        self.world.run_for(Duration::from_secs(2));
        assert_eq!(
            std::mem::take(&mut self.world.host(warrior).inner),
            [answer]
        );
    }

    pub fn ask<T: serde::de::DeserializeOwned>(&mut self, request: &Request) -> Result<T, Refusal> {
        let now = self.world.now;
        let gateway = self.world.host(self.gateway);
        let answer = gateway.gateway().answer(now, request).unwrap();
        gateway.drain();
        answer.read()
    }

    pub fn explain(&mut self, who: &str) -> Explanation {
        self.ask(&Request::Explain { who: who.into() }).unwrap()
    }

    pub fn sessions(&mut self) -> Vec<SessionStatus> {
        self.ask::<Sessions>(&Request::Sessions).unwrap().sessions
    }

    pub fn assert_empty(&mut self) {
        let now = self.world.now;
        let status = self.world.host(self.gateway).gateway().status(now);
        let counts = [
            status.isakmp_sas,
            status.esp_sas,
            status.l2tp_tunnels,
            status.l2tp_sessions,
            status.peers,
            status.addresses_in_use,
        ];
        assert_eq!(counts, [0; 6], "{:?}", status.drops);
    }
}

fn next_seed() -> u64 {
    static SEEDS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(7);
    SEEDS.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

pub fn udp(from: Ipv4Addr, to: Ipv4Addr, payload: &[u8]) -> Vec<u8> {
    let [from, to] = [from, to].map(|ip| SocketAddr::from((ip, 7)));
    gateway_example::capture::udp_packet(from, to, payload)
}
