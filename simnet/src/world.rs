use crate::{Link, Nat, seeded};
use chacha20::ChaCha20Rng;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// A UDP datagram on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram {
    /// Source as it stands on the wire at this point.
    pub source: SocketAddr,
    /// Destination.
    pub destination: SocketAddr,
    /// UDP payload.
    pub payload: Vec<u8>,
}

/// A UDP host: a sans-IO state machine with the suite's verbs.
pub trait Host {
    /// A datagram arrived.
    fn handle(&mut self, now: Instant, datagram: Datagram);
    /// The time that `poll_timeout` named has come.
    fn handle_timeout(&mut self, now: Instant);
    /// The next datagram to send.
    fn poll_transmit(&mut self) -> Option<Datagram>;
    /// When `handle_timeout` is due.
    fn poll_timeout(&self) -> Option<Instant>;
}

/// A host of a [`World`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HostId(usize);

/// A NAT box of a [`World`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NatId(usize);

/// Hosts, some behind NAT boxes, on one lossy internet in virtual time.
///
/// Two hosts may have the same private address as long as a host sends first: a NAT box maps
/// by host and address. A host reached through a port forwarding is one whose NAT was given
/// a [`World::forward`].
#[derive(Debug)]
pub struct World<H> {
    /// Virtual time.
    pub now: Instant,
    /// What every link does.
    pub link: Link,
    hosts: Vec<Slot<H>>,
    nats: Vec<NatBox>,
    rng: ChaCha20Rng,
    in_flight: BTreeMap<(Instant, u64), Datagram>,
    sent: u64,
    log: Vec<(Instant, Datagram)>,
}

#[derive(Debug)]
struct Slot<H> {
    host: H,
    address: IpAddr,
    behind: Option<NatId>,
}

#[derive(Debug)]
struct NatBox {
    nat: Nat,
    /// Public port to host and inner port.
    forwards: Vec<(u16, HostId, u16)>,
}

impl<H: Host> World<H> {
    /// An empty world; the same `seed` and inputs replay the same run.
    #[must_use]
    pub fn new(start: Instant, link: Link, seed: u64) -> Self {
        Self {
            now: start,
            link,
            hosts: Vec::new(),
            nats: Vec::new(),
            rng: seeded(seed),
            in_flight: BTreeMap::new(),
            sent: 0,
            log: Vec::new(),
        }
    }

    /// Adds a NAT box.
    pub fn add_nat(&mut self, nat: Nat) -> NatId {
        self.nats.push(NatBox {
            nat,
            forwards: Vec::new(),
        });
        NatId(self.nats.len() - 1)
    }

    /// Adds a host with `address`, behind a NAT or on the open internet.
    pub fn add_host(&mut self, host: H, address: IpAddr, behind: Option<NatId>) -> HostId {
        self.hosts.push(Slot {
            host,
            address,
            behind,
        });
        HostId(self.hosts.len() - 1)
    }

    /// Forwards a public port of `nat` to `port` of a host behind it.
    pub fn forward(&mut self, nat: NatId, public_port: u16, to: HostId, port: u16) {
        self.nats[nat.0].forwards.push((public_port, to, port));
    }

    /// A host's state machine. Call [`World::step`] or a `run_` afterwards to send what it made.
    pub fn host(&mut self, id: HostId) -> &mut H {
        &mut self.hosts[id.0].host
    }

    /// A NAT box.
    pub fn nat(&mut self, id: NatId) -> &mut Nat {
        &mut self.nats[id.0].nat
    }

    /// What crossed the open internet, in order, as an observer there sees it.
    #[must_use]
    pub fn log(&self) -> &[(Instant, Datagram)] {
        &self.log
    }

    /// Puts a datagram on the open internet, as an attacker does.
    pub fn inject(&mut self, datagram: Datagram) {
        self.send(datagram);
    }

    /// When the next thing happens, if anything is left to.
    pub fn next_at(&mut self) -> Option<Instant> {
        self.drain();
        let arrival = self.in_flight.keys().next().map(|(at, _)| *at);
        self.next_timeout().into_iter().chain(arrival).min()
    }

    /// Does the next thing due; false when nothing is left to happen.
    pub fn step(&mut self) -> bool {
        let Some(next) = self.next_at() else {
            return false;
        };
        self.now = self.now.max(next);
        let arrival = self.in_flight.keys().next();
        if arrival.is_some_and(|(at, _)| *at <= self.now)
            && let Some((_, datagram)) = self.in_flight.pop_first()
        {
            self.deliver(datagram);
        } else {
            for slot in &mut self.hosts {
                if slot.host.poll_timeout().is_some_and(|at| at <= self.now) {
                    slot.host.handle_timeout(self.now);
                }
            }
        }
        self.drain();
        true
    }

    /// Steps until `done` holds; false if it does not within `limit` of virtual time.
    pub fn run_until(&mut self, limit: Duration, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        let end = self.now + limit;
        for _ in 0..10_000_000 {
            if done(self) {
                return true;
            }
            if !self.step() || self.now > end {
                return done(self);
            }
        }
        false
    }

    /// Steps through all that happens in the next `span` of virtual time.
    pub fn run_for(&mut self, span: Duration) {
        let end = self.now + span;
        while self.next_at().is_some_and(|at| at <= end) {
            self.step();
        }
        self.now = self.now.max(end);
    }

    fn next_timeout(&self) -> Option<Instant> {
        self.hosts
            .iter()
            .filter_map(|s| s.host.poll_timeout())
            .min()
    }

    fn drain(&mut self) {
        for index in 0..self.hosts.len() {
            while let Some(datagram) = self.hosts[index].host.poll_transmit() {
                self.leave(index, datagram);
            }
        }
    }

    fn leave(&mut self, from: usize, mut datagram: Datagram) {
        if let Some(NatId(nat)) = self.hosts[from].behind {
            let natbox = &mut self.nats[nat];
            let forward = natbox
                .forwards
                .iter()
                .find(|(_, host, port)| host.0 == from && *port == datagram.source.port());
            datagram.source = if let Some((public_port, ..)) = forward {
                SocketAddr::new(natbox.nat.public, *public_port)
            } else {
                // Tell apart hosts with one address: the scope is this test's, not the wire's.
                let inner = SocketAddr::new(host_key(from), datagram.source.port());
                match natbox.nat.outbound(self.now, inner, datagram.destination) {
                    Some(mapped) => mapped,
                    None => return,
                }
            };
        }
        self.send(datagram);
    }

    fn send(&mut self, datagram: Datagram) {
        self.log.push((self.now, datagram.clone()));
        for delay in self.link.deliveries(&mut self.rng) {
            self.sent += 1;
            self.in_flight
                .insert((self.now + delay, self.sent), datagram.clone());
        }
    }

    fn deliver(&mut self, mut datagram: Datagram) {
        let to = datagram.destination;
        for natbox in &mut self.nats {
            if natbox.nat.public != to.ip() {
                continue;
            }
            let forward = natbox.forwards.iter().find(|(port, ..)| *port == to.port());
            let target = if let Some((_, host, port)) = forward {
                Some((host.0, *port))
            } else {
                natbox
                    .nat
                    .inbound(self.now, datagram.source, to.port())
                    .and_then(|inner| Some((host_of_key(inner.ip())?, inner.port())))
            };
            if let Some((host, port)) = target {
                let slot = &mut self.hosts[host];
                datagram.destination = SocketAddr::new(slot.address, port);
                slot.host.handle(self.now, datagram);
            }
            return;
        }
        let open = |s: &&mut Slot<H>| s.behind.is_none() && s.address == to.ip();
        if let Some(slot) = self.hosts.iter_mut().find(open) {
            slot.host.handle(self.now, datagram);
        }
    }
}

fn host_key(host: usize) -> IpAddr {
    IpAddr::V6(std::net::Ipv6Addr::from(host as u128))
}

fn host_of_key(key: IpAddr) -> Option<usize> {
    match key {
        IpAddr::V6(v6) => usize::try_from(u128::from(v6)).ok(),
        IpAddr::V4(_) => None,
    }
}
