//! A world of road warriors, made from a seed: every client, every kind of NAT box, bad links, a
//! gateway that dies, and an attacker who sees all that crosses the internet; and what must hold
//! in any such world.
//!
//! A world has two minutes of trouble. Then the links are good, and:
//!
//! - each who should be connected is, in bounded time, though the attacker goes on;
//! - a packet comes out as it went in, once at most, and at its addressee alone; in quiet, always;
//! - a call ends for a reason: an attacker is none;
//! - nothing of a packet is seen on the internet;
//! - once all are gone and the attacker is silent, the gateway has nothing left.
#![allow(unreachable_pub, dead_code, reason = "shared by a test and an example")]

mod attacker;
mod book;
mod clients;
mod plan;
mod watch;

use crate::common::{PSK, SERVER, entropy, office};
use crate::office::{Node, OFFICE, Office, Peer};
use attacker::Attacker;
use book::{Book, Owner};
use chacha20::ChaCha20Rng;
use clients::{Profile, profiles};
use gateway_example::config::{Config, Secret};
use gateway_example::core::{
    Client, ClientConfig, Core as _, Entropy, Gateway, Path, Protocols, SessionStatus,
};
use plan::Action;
use rand_core::Rng as _;
use simnet::{Datagram, HostId, Link, NatId, seeded};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::AddAssign;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long there is trouble.
pub const TROUBLE: Duration = Duration::from_secs(120);
/// In which time after it everybody must be connected: clients find a dead gateway within five
/// minutes, and some of their calls fail while the attacker goes on.
pub const PATIENCE: Duration = Duration::from_secs(900);
/// When nothing may be left: leases of addresses are the last to go.
const AFTERWARDS: Duration = Duration::from_secs(30 * 3600);
/// More than this for one world is an end that never sleeps.
const STEPS: u64 = 2_000_000;

/// What can be wrong with the world on purpose, to see that it is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A packet comes out with a bit changed.
    Altered,
    /// A packet comes out twice.
    Twice,
    /// A packet comes out at somebody else's.
    Misdelivered,
    /// Packets of the last, quiet exchange are lost.
    Lost,
    /// A packet crosses the internet as it is.
    InClear,
    /// One warrior's calls go nowhere.
    CutOff,
    /// A call ends in a world without trouble.
    HungUp,
    /// A warrior stays when all have gone.
    Stays,
}

impl Fault {
    pub const ALL: [Self; 8] = [
        Self::Altered,
        Self::Twice,
        Self::Misdelivered,
        Self::Lost,
        Self::InClear,
        Self::CutOff,
        Self::HungUp,
        Self::Stays,
    ];
}

/// What a world that held was like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    pub warriors: usize,
    pub calls: u64,
    pub datagrams: u64,
    pub attacks: u64,
    pub packets: u64,
    /// Of all that crossed the internet.
    pub digest: u64,
}

impl AddAssign for Summary {
    fn add_assign(&mut self, other: Self) {
        self.warriors += other.warriors;
        self.calls += other.calls;
        self.datagrams += other.datagrams;
        self.attacks += other.attacks;
        self.packets += other.packets;
        self.digest ^= other.digest;
    }
}

/// What did not hold.
#[derive(Debug)]
pub struct Failure {
    pub what: String,
    /// Lines of what had happened, if they were asked for.
    pub trace: Vec<String>,
}

/// A person with a device, who calls again whenever the call is lost.
struct Warrior {
    host: HostId,
    profile: Profile,
    user: String,
    address: [u8; 4],
    /// Is or should be connected.
    wanted: bool,
    /// Has been connected since it called last.
    was_up: bool,
    /// Came through to the office and was heard, after the trouble.
    through: bool,
}

pub struct Simulation {
    office: Office,
    /// The gateway's.
    config: Config,
    /// The last one's randomness.
    hosts: u64,
    rng: ChaCha20Rng,
    start: Instant,
    warriors: Vec<Warrior>,
    nats: Vec<NatId>,
    attacker: Attacker,
    book: Book,
    agenda: BTreeMap<(Instant, u64), Action>,
    serial: u64,
    /// Whether a call may end for other reasons than its owner's.
    troubled: bool,
    fault: Option<Fault>,
    trace: Option<Vec<String>>,
    summary: Summary,
    steps: u64,
    /// How many packets had come out when the quiet exchange began.
    quiet_from: Option<u64>,
}

/// Runs the world of a seed to its end.
///
/// # Errors
/// What did not hold.
pub fn run(seed: u64, fault: Option<Fault>, trace: bool) -> Result<Summary, Failure> {
    let mut simulation = Simulation::new(seed, fault, trace);
    let result = simulation.live();
    let trace = simulation.trace.take().unwrap_or_default();
    match result {
        Ok(()) => Ok(simulation.summary),
        Err(what) => Err(Failure { what, trace }),
    }
}

impl Simulation {
    fn new(seed: u64, fault: Option<Fault>, trace: bool) -> Self {
        let mut rng = seeded(seed);
        let plan = plan::Plan::draw(&mut rng);
        let users: String = (0..plan.warriors.len())
            .map(|n| format!("[[user]]\nname = \"w{n}\"\npassword = \"p{n}\"\n"))
            .collect();
        let config = office(&format!("{users}{}", plan.config));
        let mut office = Office::with(config.clone(), plan.link, seed);
        let start = office.world.now;
        let nats: Vec<_> = plan
            .nats
            .iter()
            .map(|nat| office.world.add_nat(nat.build()))
            .collect();
        let mut agenda = BTreeMap::new();
        for (serial, (after, action)) in (0..).zip(plan.actions) {
            agenda.insert((start + after, serial), action);
        }
        let attacker = Attacker::new(seed, plan.attack);
        let mut simulation = Self {
            office,
            config,
            hosts: seed * 100,
            rng,
            start,
            warriors: Vec::new(),
            nats,
            attacker,
            book: Book::default(),
            serial: agenda.len() as u64,
            agenda,
            troubled: plan.troubled,
            fault,
            trace: trace.then(Vec::new),
            summary: Summary::default(),
            steps: 0,
            quiet_from: None,
        };
        let profiles = profiles();
        simulation.summary.warriors = plan.warriors.len();
        for (n, of) in plan.warriors.into_iter().enumerate() {
            let client = profiles[of.profile % profiles.len()].clone();
            simulation.arrive(n, client, of);
        }
        let (troubled, link) = (simulation.troubled, simulation.office.world.link);
        simulation.say(|| format!("seed {seed}: {link:?}, trouble {troubled}"));
        simulation
    }

    /// Randomness for another host.
    fn entropy(&mut self) -> Entropy {
        self.hosts += 1;
        entropy(self.hosts)
    }

    fn arrive(&mut self, n: usize, profile: Profile, of: plan::Placed) {
        let nat = of.nat.map(|index| self.nats[index]);
        let user = format!("w{n}");
        let client = self.client(&profile, &user, of.address);
        let address = Ipv4Addr::from(of.address).into();
        let host = self
            .office
            .world
            .add_host(Peer::new(Node::Client(client)), address, nat);
        self.say(|| format!("{user} is {} at {address}, {nat:?}", profile.name));
        self.warriors.push(Warrior {
            host,
            profile,
            user,
            address: of.address,
            wanted: true,
            was_up: false,
            through: false,
        });
        self.after(of.calls_after, Action::Call(n));
    }

    fn client(&mut self, profile: &Profile, user: &str, address: [u8; 4]) -> Client {
        let path = Path {
            local: SocketAddr::from((address, 500)),
            remote: SocketAddr::from((SERVER, 500)),
        };
        let password = user.replace('w', "p");
        let (psk, password) = (Secret::new(PSK.into()), Secret::new(password));
        let config = ClientConfig::new(path, psk, user.into(), password);
        let mut protocols = Protocols::new(&config).unwrap();
        profile.apply(&config, &mut protocols);
        let entropy = self.entropy();
        Client::with_protocols(config, protocols, entropy).unwrap()
    }

    /// The whole of it.
    fn live(&mut self) -> Result<(), String> {
        let end = self.start + TROUBLE;
        self.run_to(end)?;
        self.calm()?;
        self.quiet_exchange()?;
        self.leave()
    }

    /// Good links, and everybody comes through.
    fn calm(&mut self) -> Result<(), String> {
        self.say(|| "the trouble is over".into());
        self.office.world.link = Link::PERFECT;
        for warrior in 0..self.warriors.len() {
            let host = self.warriors[warrior].host;
            if self.warriors[warrior].wanted {
                self.office.world.host(host).asleep = false;
            }
        }
        self.all_come_through()?;
        // Who slept has come through, but may have been given up just now.
        self.pass(Duration::from_secs(60))?;
        for warrior in &mut self.warriors {
            warrior.through = false;
        }
        self.all_come_through()
    }

    fn all_come_through(&mut self) -> Result<(), String> {
        self.book.begin(self.office.world.now);
        let end = self.office.world.now + PATIENCE;
        while self.office.world.now < end {
            for n in 0..self.warriors.len() {
                self.send_up(n);
                self.send_down(n);
            }
            self.pass(Duration::from_secs(5))?;
            for (n, warrior) in self.warriors.iter_mut().enumerate() {
                warrior.through |= self.book.through(n);
            }
            if self.missing().is_empty() {
                return Ok(());
            }
        }
        Err(format!(
            "not connected in {} s: {:?}",
            PATIENCE.as_secs(),
            self.missing()
        ))
    }

    fn missing(&self) -> Vec<&str> {
        let missing = self.warriors.iter().filter(|w| w.wanted && !w.through);
        missing.map(|w| w.user.as_str()).collect()
    }

    /// Nobody disturbs: all arrives.
    fn quiet_exchange(&mut self) -> Result<(), String> {
        let active = std::mem::replace(&mut self.attacker.active, false);
        // What is on its way passes.
        self.pass(Duration::from_secs(20))?;
        self.book.forgive();
        self.quiet_from = Some(self.summary.packets);
        for _ in 0..3 {
            for n in 0..self.warriors.len() {
                if !self.warriors[n].wanted {
                    continue;
                }
                // The first goes up, so that whatever the attacker has made of an address is mended.
                self.send_up(n);
                self.pass(Duration::from_millis(500))?;
                self.send_down(n);
            }
        }
        self.pass(Duration::from_secs(5))?;
        self.attacker.active = active;
        match self.book.undelivered() {
            0 => Ok(()),
            lost => Err(format!("{lost} packets lost in quiet")),
        }
    }

    /// All go, each in its way, and nothing is left.
    fn leave(&mut self) -> Result<(), String> {
        self.say(|| "all leave".into());
        self.troubled = true;
        for n in 0..self.warriors.len() {
            if self.fault == Some(Fault::Stays) && n == 0 {
                continue;
            }
            self.warriors[n].wanted = false;
            let now = self.office.world.now;
            let vanishes = self.rng.next_u32().is_multiple_of(4);
            let host = self.office.world.host(self.warriors[n].host);
            if vanishes {
                host.asleep = true;
            } else if !host.asleep {
                host.client().shutdown(now);
                host.drain();
            }
            let pause = self.rng.next_u32() % 3000;
            self.pass(Duration::from_millis(pause.into()))?;
        }
        self.pass(Duration::from_secs(60))?;
        self.attacker.active = false;
        for n in 0..self.warriors.len() {
            let (host, wanted) = (self.warriors[n].host, self.warriors[n].wanted);
            let host = self.office.world.host(host);
            if !wanted && !host.asleep && !host.client().is_idle() {
                return Err(format!("w{n} has left and is not idle"));
            }
        }
        self.pass(AFTERWARDS)?;
        let now = self.office.world.now;
        let gateway = self.office.gateway;
        let status = self.office.world.host(gateway).gateway().status(now);
        let counts = [
            ("ISAKMP SAs", status.isakmp_sas),
            ("ESP SAs", status.esp_sas),
            ("tunnels", status.l2tp_tunnels),
            ("sessions", status.l2tp_sessions),
            ("peers", status.peers),
            ("addresses", status.addresses_in_use),
            ("flows", status.flows),
        ];
        let left: Vec<_> = counts.iter().filter(|(_, count)| *count > 0).collect();
        if left.is_empty() {
            Ok(())
        } else {
            Err(format!("left behind: {left:?}"))
        }
    }

    fn pass(&mut self, span: Duration) -> Result<(), String> {
        let end = self.office.world.now + span;
        self.run_to(end)
    }

    fn run_to(&mut self, end: Instant) -> Result<(), String> {
        loop {
            let due = self
                .agenda
                .keys()
                .next()
                .copied()
                .filter(|key| key.0 <= end);
            let next = self.office.world.next_at().filter(|at| *at <= end);
            match (due, next) {
                (Some(key), next) if next.is_none_or(|at| key.0 <= at) => {
                    self.office.world.now = self.office.world.now.max(key.0);
                    if let Some(action) = self.agenda.remove(&key) {
                        self.act(action);
                    }
                }
                (_, Some(_)) => {
                    self.office.world.step();
                }
                _ => break,
            }
            self.steps += 1;
            if self.steps > STEPS {
                return Err("somebody never sleeps".into());
            }
            self.observe()?;
        }
        self.office.world.now = self.office.world.now.max(end);
        Ok(())
    }

    fn after(&mut self, span: Duration, action: Action) {
        self.serial += 1;
        let at = self.office.world.now + span;
        self.agenda.insert((at, self.serial), action);
    }

    fn act(&mut self, action: Action) {
        let now = self.office.world.now;
        if !matches!(action, Action::Traffic) {
            self.say(|| format!("{action:?}"));
        }
        match action {
            Action::Call(n) if self.warriors[n].wanted => self.call(n),
            Action::Traffic => {
                let n = self.rng.next_u32() as usize % self.warriors.len();
                match self.rng.next_u32() % 5 {
                    0..2 => self.send_up(n),
                    2..4 => self.send_down(n),
                    _ => self.spoof(n),
                }
            }
            Action::Rebind(nat) => self.office.world.nat(self.nats[nat]).rebind(),
            Action::Renumber(nat) => {
                let other = 100 + 50 * nat as u8 + (self.rng.next_u32() % 50) as u8;
                let other = Ipv4Addr::new(203, 0, 113, other);
                let nat = self.office.world.nat(self.nats[nat]);
                nat.rebind();
                nat.public = other.into();
            }
            Action::Exhaust(nat) => {
                let nat = self.office.world.nat(self.nats[nat]);
                let hog = SocketAddr::from(([10, 66, 0, 1], 6881));
                nat.mapping = simnet::Mapping::AddressAndPortDependent;
                for n in 1..=u16::MAX {
                    let swarm = SocketAddr::from(([192, 0, 2, 99], n));
                    if nat.outbound(now, hog, swarm).is_none() {
                        break;
                    }
                }
            }
            Action::Restart => {
                let config = self.config.clone();
                let gateway = Gateway::new(Arc::new(config), self.entropy()).unwrap();
                let host = self.office.gateway;
                *self.office.world.host(host) = Peer::new(Node::Gateway(gateway));
            }
            Action::Rekey(n) => self.with_client(n, |client| client.rekey(now)),
            Action::RenewEsp(n) => self.with_client(n, |client| client.renew_esp(now)),
            Action::Sleep(n, span) => {
                let host = self.warriors[n].host;
                self.office.world.host(host).asleep = true;
                self.after(span, Action::Wake(n));
            }
            Action::Wake(n) if self.warriors[n].wanted => {
                let host = self.warriors[n].host;
                self.office.world.host(host).asleep = false;
            }
            Action::Vanish(n) => {
                self.warriors[n].wanted = false;
                let host = self.warriors[n].host;
                self.office.world.host(host).asleep = true;
            }
            Action::Call(_) | Action::Wake(_) => {}
        }
    }

    fn with_client(&mut self, n: usize, command: impl FnOnce(&mut Client)) {
        let host = self.office.world.host(self.warriors[n].host);
        if host.address.is_some() && host.gone.is_none() && !host.asleep {
            command(host.client());
            host.drain();
        }
    }

    /// A new call, with the device as it was.
    fn call(&mut self, n: usize) {
        let warrior = &self.warriors[n];
        let (profile, user) = (warrior.profile.clone(), warrior.user.clone());
        let address = warrior.address;
        let client = self.client(&profile, &user, address);
        self.summary.calls += 1;
        let now = self.office.world.now;
        self.warriors[n].was_up = false;
        let host = self.office.world.host(self.warriors[n].host);
        let asleep = host.asleep;
        *host = Peer::new(Node::Client(client));
        host.asleep = asleep;
        if self.fault == Some(Fault::CutOff) && n == 0 {
            return;
        }
        host.client().connect(now).unwrap();
        host.drain();
    }

    fn sessions(&mut self) -> Vec<SessionStatus> {
        let now = self.office.world.now;
        let gateway = self.office.gateway;
        self.office
            .world
            .host(gateway)
            .gateway()
            .status(now)
            .sessions
    }

    fn send_up(&mut self, n: usize) {
        let host = self.warriors[n].host;
        let peer = self.office.world.host(host);
        let (Some(address), None, false) = (peer.address, &peer.gone, peer.asleep) else {
            return;
        };
        let now = self.office.world.now;
        let packet = self
            .book
            .packet(&mut self.rng, now, address, OFFICE, Some(Owner::Gateway), n);
        if self.fault == Some(Fault::InClear) {
            let [source, destination] = [SERVER, SERVER].map(|ip| SocketAddr::from((ip, 7)));
            let payload = packet.clone();
            self.office.world.inject(Datagram {
                source,
                destination,
                payload,
            });
        }
        self.office.world.host(host).send(now, &packet);
    }

    /// From the office to a warrior's address, which by the gateway's own account is somebody's.
    fn send_down(&mut self, n: usize) {
        let host = self.warriors[n].host;
        let Some(address) = self.office.world.host(host).address else {
            return;
        };
        let sessions = self.sessions();
        let text = address.to_string();
        let session = sessions.iter().find(|s| s.address.as_ref() == Some(&text));
        let user = session.and_then(|s| s.user.as_ref());
        let Some(to) = self.warriors.iter().position(|w| Some(&w.user) == user) else {
            return;
        };
        let now = self.office.world.now;
        let owner = Some(Owner::Warrior(to));
        let packet = self
            .book
            .packet(&mut self.rng, now, OFFICE, address, owner, n);
        let gateway = self.office.gateway;
        self.office.world.host(gateway).send(now, &packet);
    }

    /// With another's address: to nobody.
    fn spoof(&mut self, n: usize) {
        let others = self.warriors.iter().enumerate().filter(|(m, _)| *m != n);
        let others: Vec<_> = others.map(|(_, w)| w.host).collect();
        let address = others
            .into_iter()
            .find_map(|host| self.office.world.host(host).address)
            .unwrap_or(Ipv4Addr::new(192, 168, 8, 77));
        let host = self.warriors[n].host;
        if self.office.world.host(host).address == Some(address) {
            return;
        }
        let now = self.office.world.now;
        let packet = self
            .book
            .packet(&mut self.rng, now, address, OFFICE, None, n);
        self.office.world.host(host).send(now, &packet);
    }

    fn log(&mut self, host: HostId, name: &str) {
        let lines = std::mem::take(&mut self.office.world.host(host).log);
        if self.trace.is_some() {
            for (_, line) in lines {
                self.say(|| format!("{name}: {line}"));
            }
        }
    }

    fn say(&mut self, line: impl FnOnce() -> String) {
        let at = self.office.world.now.duration_since(self.start);
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>10.3} {}", at.as_secs_f64(), line()));
        }
    }
}
