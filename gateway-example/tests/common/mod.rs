//! What the tests of whole connections share.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part")]
#![allow(clippy::panic, reason = "a test that cannot go on has failed")]

use gateway_example::config::{Config, Secret};
use gateway_example::core::{
    Client, ClientConfig, ClientEvent, Core as _, Entropy, Forward, Gateway, HEADROOM, Path,
    Spread, Transmit, Work,
};
use simnet::seeded;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub const SERVER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
pub const PSK: &str = "abcdefghij0123456789";

pub fn entropy(seed: u64) -> Entropy {
    let mut next = seed * 1000;
    Box::new(move || {
        next += 1;
        Box::new(seeded(next))
    })
}

/// An office with two users, and `more`.
pub fn office(more: &str) -> Config {
    let shared = include_str!("office.toml");
    Config::parse(FilePath::new("office.toml"), &format!("{shared}{more}")).unwrap()
}

/// Works on the last piece first, each in a thread of its own, and counts how many there were.
#[derive(Debug, Default)]
pub struct Threads {
    pub pieces: std::sync::Mutex<Vec<usize>>,
}

impl Spread for Threads {
    fn each(&self, _: Work, _: usize, pieces: &mut [&mut (dyn FnMut() + Send)]) {
        self.pieces.lock().unwrap().push(pieces.len());
        std::thread::scope(|scope| {
            for piece in pieces.iter_mut().rev() {
                scope.spawn(piece);
            }
        });
    }
}

/// Connected clients and their gateway, without a network between them; time stands still.
pub struct Joined {
    pub now: Instant,
    pub gateway: Gateway,
    pub clients: Vec<Client>,
    /// What the gateway gave the clients.
    pub addresses: Vec<Ipv4Addr>,
    nat: bool,
}

impl Joined {
    /// One client for each of `suites`. Two of the same seed are alike to the bit, if
    /// they begin at the same time.
    pub fn new(now: Instant, suites: &[&str], nat: bool, seed: u64) -> Self {
        Self::spread(now, suites, nat, seed, 1, Arc::<Threads>::default())
    }

    /// With so many shards of ESP SAs.
    pub fn spread(
        now: Instant,
        suites: &[&str],
        nat: bool,
        seed: u64,
        shards: usize,
        spread: Arc<dyn Spread>,
    ) -> Self {
        let clients = suites.iter().zip(0_u8..).map(|(esp, i)| {
            let path = Path {
                local: SocketAddr::from(([192, 168, 77, 2 + i], 500)),
                remote: SocketAddr::from((SERVER, 500)),
            };
            let (user, password) = login(i);
            let (psk, password) = (Secret::new(PSK.into()), Secret::new(password.into()));
            let mut config = ClientConfig::new(path, psk, user, password);
            config.ike = vec!["aes128-sha1-modp1024".into()];
            config.esp = vec![(*esp).into()];
            Client::new(config, entropy(seed + 1 + u64::from(i))).unwrap()
        });
        let others = (2..).take(suites.len().saturating_sub(2)).map(|i| {
            let (user, password) = login(i);
            format!("[[user]]\nname = \"{user}\"\npassword = \"{password}\"\n")
        });
        let config = Arc::new(office(&others.collect::<String>()));
        let mut gateway = Gateway::new(config, entropy(seed)).unwrap();
        gateway.spread(shards.try_into().unwrap(), spread);
        let mut joined = Self {
            now,
            gateway,
            clients: clients.collect(),
            addresses: Vec::new(),
            nat,
        };
        for index in 0..suites.len() {
            joined.clients[index].connect(now).unwrap();
            joined.settle();
            for _ in 0..100 {
                let connected = std::iter::from_fn(|| joined.clients[index].poll_event());
                let address = connected.into_iter().find_map(|event| match event {
                    ClientEvent::Connected { address, .. } => Some(address),
                    _ => None,
                });
                if let Some(address) = address {
                    joined.addresses.push(address);
                    break;
                }
                joined.now += Duration::from_millis(100);
                joined.gateway.handle_timeout(joined.now);
                joined.clients[index].handle_timeout(joined.now);
                joined.settle();
            }
            assert_eq!(joined.addresses.len(), index + 1, "connected");
        }
        joined
    }

    /// The client's path as the gateway sees it, or the gateway's as the client does.
    pub fn across(&self, path: Path) -> Path {
        across(path, self.nat)
    }

    /// Carries control messages until there are none.
    pub fn settle(&mut self) {
        loop {
            let mut idle = true;
            for index in 0..self.clients.len() {
                while let Some(transmit) = self.clients[index].poll_transmit() {
                    idle = false;
                    let (path, native, mut buf, range) = self.carried(transmit);
                    let forward = if native {
                        let [local, remote] = [path.local, path.remote].map(|a| a.ip());
                        self.gateway
                            .handle_esp(self.now, local, remote, &mut buf, range)
                    } else {
                        self.gateway.handle_udp(self.now, path, &mut buf, range)
                    };
                    assert_eq!(forward, Forward::Nothing);
                }
            }
            while let Some(transmit) = self.gateway.poll_transmit() {
                idle = false;
                let (path, native, mut buf, range) = self.carried(transmit);
                let IpAddr::V4(to) = path.local.ip() else {
                    continue;
                };
                let client = &mut self.clients[usize::from(to.octets()[3] - 2)];
                let forward = if native {
                    let [local, remote] = [path.local, path.remote].map(|a| a.ip());
                    client.handle_esp(self.now, local, remote, &mut buf, range)
                } else {
                    client.handle_udp(self.now, path, &mut buf, range)
                };
                assert_eq!(forward, Forward::Nothing);
            }
            while self.gateway.poll_event().is_some() {}
            if idle {
                return;
            }
        }
    }

    fn carried(&self, transmit: Transmit) -> (Path, bool, Vec<u8>, std::ops::Range<usize>) {
        let (path, native, payload) = match transmit {
            Transmit::Udp { path, payload } => (path, false, payload),
            Transmit::Esp {
                local,
                remote,
                payload,
            } => {
                let [local, remote] = [local, remote].map(|ip| SocketAddr::new(ip, 0));
                (Path { local, remote }, true, payload)
            }
            Transmit::Inner(_) => unreachable!("the firewall has said something"),
        };
        let (buf, range) = with_room(&payload);
        (self.across(path), native, buf, range)
    }
}

/// Name and password of the user of client number `index`.
fn login(index: u8) -> (String, &'static str) {
    match index {
        0 => ("bob".into(), "builder"),
        1 => ("ann".into(), "secret"),
        _ => (format!("user{index}"), "secret"),
    }
}

/// The client's path as the gateway sees it, or the gateway's as the client does.
pub fn across(path: Path, nat: bool) -> Path {
    let translate = |address: SocketAddr| match address {
        SocketAddr::V4(v4) if nat => {
            let ([a, b, c, d], port) = (v4.ip().octets(), v4.port());
            match (a, port) {
                (192, 1..) => SocketAddr::from(([203, 0, 113, d], port + 10_000)),
                (203, 1..) => SocketAddr::from(([192, 168, 77, d], port - 10_000)),
                _ => SocketAddr::from(([a, b, c, d], port)),
            }
        }
        other => other,
    };
    Path {
        local: translate(path.remote),
        remote: translate(path.local),
    }
}

/// A packet with room around it.
pub fn with_room(packet: &[u8]) -> (Vec<u8>, std::ops::Range<usize>) {
    let mut buf = vec![0; HEADROOM];
    buf.extend(packet);
    let range = HEADROOM..buf.len();
    buf.resize(buf.len() + 64, 0);
    (buf, range)
}

/// A TCP segment that acknowledges, with a payload of this length.
pub fn tcp(from: (Ipv4Addr, u16), to: (Ipv4Addr, u16), sequence: u32, payload: usize) -> Vec<u8> {
    let mut segment = Vec::new();
    segment.extend(from.1.to_be_bytes());
    segment.extend(to.1.to_be_bytes());
    segment.extend(sequence.to_be_bytes());
    segment.extend([0, 0, 0, 1, 0x80, 0x10, 0xff, 0xff, 0, 0, 0, 0]);
    // Timestamps, as everybody sends them.
    segment.extend([1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 1]);
    segment.extend((0..payload).map(|i| (i as u32).wrapping_mul(31).wrapping_add(sequence) as u8));
    ip(from.0, to.0, 6, segment, 16)
}

/// A UDP datagram.
pub fn udp(from: (Ipv4Addr, u16), to: (Ipv4Addr, u16), payload: usize) -> Vec<u8> {
    let mut segment = Vec::new();
    segment.extend(from.1.to_be_bytes());
    segment.extend(to.1.to_be_bytes());
    segment.extend((payload as u16 + 8).to_be_bytes());
    segment.extend([0, 0]);
    segment.extend((0..payload).map(|i| i as u8));
    ip(from.0, to.0, 17, segment, 6)
}

fn ip(from: Ipv4Addr, to: Ipv4Addr, protocol: u8, mut segment: Vec<u8>, field: usize) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend((segment.len() as u16 + 20).to_be_bytes());
    packet.extend([0, 9, 0x40, 0, 64, protocol, 0, 0]);
    packet.extend(from.octets());
    packet.extend(to.octets());
    let sum = !sum(&packet);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    let pseudo = [
        &packet[12..20],
        &[0, protocol],
        &(segment.len() as u16).to_be_bytes(),
    ]
    .concat();
    let transport = !self::sum(&[&pseudo[..], &segment].concat());
    segment[field..field + 2].copy_from_slice(&transport.to_be_bytes());
    packet.extend(segment);
    packet
}

/// The ones' complement sum (RFC 1071).
pub fn sum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2);
    let sum: u32 = words
        .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |b| u32::from(*b)))
        .sum();
    let sum = (sum >> 16) + (sum & 0xffff);
    ((sum >> 16) + (sum & 0xffff)) as u16
}
