//! What a seed makes: who is where, on which links, and what goes wrong when.

use super::TROUBLE;
use chacha20::ChaCha20Rng;
use rand_core::Rng as _;
use simnet::{Filtering, Link, Mapping, Nat};
use std::net::Ipv4Addr;
use std::time::Duration;

/// Something that happens.
#[derive(Debug, Clone, Copy)]
pub(super) enum Action {
    /// A warrior calls.
    Call(usize),
    /// Somebody sends a packet.
    Traffic,
    /// A NAT box forgets its mappings.
    Rebind(usize),
    /// And gets another address as well.
    Renumber(usize),
    /// Somebody behind a NAT box takes all of its ports.
    Exhaust(usize),
    /// The gateway dies, and another starts that knows nothing.
    Restart,
    /// A warrior renews its keys.
    Rekey(usize),
    /// As Windows does after a silence.
    RenewEsp(usize),
    /// A warrior's device sleeps for a time.
    Sleep(usize, Duration),
    Wake(usize),
    /// For good, without a word.
    Vanish(usize),
}

pub(super) struct Placed {
    pub(super) profile: usize,
    pub(super) address: [u8; 4],
    pub(super) nat: Option<usize>,
    pub(super) calls_after: Duration,
    /// Its user has ticked PAP alone, if the client has a box for that.
    pub(super) pap: bool,
}

pub(super) struct NatPlan {
    public: Ipv4Addr,
    mapping: Mapping,
    filtering: Filtering,
    lifetime: Duration,
    preserve_ports: bool,
    ports: u16,
}

impl NatPlan {
    pub(super) fn build(&self) -> Nat {
        let mut nat = Nat::new(self.public.into());
        nat.mapping = self.mapping;
        nat.filtering = self.filtering;
        nat.lifetime = self.lifetime;
        nat.preserve_ports = self.preserve_ports;
        nat.ports = 40_000..=40_000 + self.ports;
        nat
    }
}

pub(super) struct Plan {
    pub(super) link: Link,
    pub(super) nats: Vec<NatPlan>,
    pub(super) warriors: Vec<Placed>,
    pub(super) actions: Vec<(Duration, Action)>,
    /// Of a hundred datagrams, how many an attacker answers.
    pub(super) attack: u32,
    /// Whether anything but an attacker can end a call.
    pub(super) troubled: bool,
    /// More of the gateway's configuration.
    pub(super) config: &'static str,
}

struct Draw<'a>(&'a mut ChaCha20Rng);

impl Draw<'_> {
    fn below(&mut self, n: usize) -> usize {
        self.0.next_u32() as usize % n.max(1)
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    fn when(&mut self) -> Duration {
        Duration::from_millis(self.below(TROUBLE.as_millis() as usize) as u64)
    }
}

impl Plan {
    pub(super) fn draw(rng: &mut ChaCha20Rng) -> Self {
        let mut draw = Draw(rng);
        let link = link(&mut draw);
        let nats: Vec<_> = (0..=draw.below(2)).map(|n| nat(&mut draw, n)).collect();
        let count = 1 + draw.below(4);
        let warriors: Vec<_> = (0..count)
            .map(|n| placed(&mut draw, n, nats.len()))
            .collect();
        let mut actions: Vec<_> = (0..20 + draw.below(40))
            .map(|_| (draw.when(), Action::Traffic))
            .collect();
        let restless = draw.one_in(2);
        if restless {
            for _ in 0..1 + draw.below(4) {
                let (w, n) = (draw.below(count), draw.below(nats.len()));
                let nap = Duration::from_secs(5 + draw.below(200) as u64);
                let action = match draw.below(8) {
                    0 => Action::Rebind(n),
                    1 => Action::Renumber(n),
                    2 => Action::Exhaust(n),
                    3 => Action::Restart,
                    4 => Action::Rekey(w),
                    5 => Action::RenewEsp(w),
                    6 => Action::Sleep(w, nap),
                    _ => Action::Vanish(w),
                };
                actions.push((draw.when(), action));
            }
        }
        let attack = draw.of(&[0, 10, 30, 60]);
        let troubled = restless || link.loss > 0.0;
        Self {
            link,
            nats,
            warriors,
            actions,
            attack,
            troubled,
            config: draw.of(&["", "[aaa]\nsessions = \"replace\"\n"]),
        }
    }
}

fn link(draw: &mut Draw<'_>) -> Link {
    let mut link = Link::PERFECT;
    match draw.below(4) {
        0 => {}
        1 => link.jitter = Duration::from_millis(40),
        2 => {
            link.latency = Duration::from_millis(draw.below(300) as u64);
            link.jitter = Duration::from_millis(40);
            link.loss = 0.05;
            link.duplicate = 0.05;
        }
        _ => link = Link::TERRIBLE,
    }
    link
}

fn nat(draw: &mut Draw<'_>, n: usize) -> NatPlan {
    NatPlan {
        public: Ipv4Addr::new(198, 51, 100, 10 + n as u8),
        mapping: draw.of(&[
            Mapping::EndpointIndependent,
            Mapping::AddressDependent,
            Mapping::AddressAndPortDependent,
        ]),
        filtering: draw.of(&[
            Filtering::EndpointIndependent,
            Filtering::AddressDependent,
            Filtering::AddressAndPortDependent,
        ]),
        lifetime: Duration::from_secs(draw.of(&[30, 60, 120])),
        preserve_ports: draw.one_in(3),
        ports: draw.of(&[11, 500]),
    }
}

fn placed(draw: &mut Draw<'_>, n: usize, nats: usize) -> Placed {
    let nat = (!draw.one_in(4)).then(|| draw.below(nats));
    let address = match nat {
        // Often the same as another's.
        Some(_) => [192, 168, 1, draw.of(&[2, 3])],
        None => [203, 0, 113, 20 + n as u8],
    };
    Placed {
        profile: draw.below(usize::MAX),
        address,
        nat,
        calls_after: Duration::from_millis(draw.below(5000) as u64),
        pap: draw.one_in(4),
    }
}
