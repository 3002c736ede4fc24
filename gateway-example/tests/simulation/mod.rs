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
mod deeds;
mod phases;
mod plan;
mod watch;

use crate::common::{PSK, SERVER, entropy, office};
use crate::office::{Node, Office, Peer};
use attacker::Attacker;
use book::Book;
use chacha20::ChaCha20Rng;
use clients::{Profile, profiles};
use gateway_example::config::{Config, Secret};
use gateway_example::core::{Client, ClientConfig, Entropy, Path, Protocols};
use plan::Action;
use ppp::AuthMethod;
use simnet::{HostId, NatId, seeded};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::AddAssign;
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
        let mut config = office(&format!("{users}{}", plan.config));
        config.ppp.auth.push(AuthMethod::Pap);
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
            let mut client = profiles[of.profile % profiles.len()].clone();
            client.pap_only = of.pap && client.may_have_pap_only();
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
        let pap = if profile.pap_only { ", PAP only," } else { "" };
        self.say(|| format!("{user} is {}{pap} at {address}, {nat:?}", profile.name));
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
}
