//! Which global address and port stand for which private ones.

use crate::arena::Arena;
use crate::clock::{self, Instant8};
use crate::config::{Config, Filtering, Nat};
use crate::flow::{NONE, Tuple};
use crate::hash::Key;
use crate::index::Index;
use crate::interface::{InterfaceId, Interfaces};
use crate::policy::Interface;
use crate::ports::{Class, Ports};
use crate::wire::Protocol;
use rand_core::Rng;
use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::ops::{Deref, RangeInclusive};

/// An address and a port, or a query's identifier.
pub(crate) type Endpoint = (Ipv4Addr, u16);

/// A translation as the interfaces are now.
#[derive(Debug, Clone)]
pub(crate) struct ActiveNat {
    nat: Nat,
    /// Only for what leaves here.
    egress: Option<InterfaceId>,
}

impl Deref for ActiveNat {
    type Target = Nat;

    fn deref(&self) -> &Nat {
        &self.nat
    }
}

impl ActiveNat {
    /// As it is if it has addresses, else one for each interface, by its own.
    pub(crate) fn resolve(nat: &Nat, interfaces: &Interfaces) -> Vec<Self> {
        if !nat.addresses.is_empty() {
            let nat = nat.clone();
            return vec![Self { nat, egress: None }];
        }
        let leaving = interfaces.iter().filter(|(_, to)| nat.to.has(to));
        // Without an address nothing passes: it must not leave untranslated.
        let active = leaving.map(|(id, to)| Self {
            nat: Nat {
                addresses: to.own.first().copied().into_iter().collect(),
                ..nat.clone()
            },
            egress: Some(id),
        });
        active.collect()
    }

    /// The one that has this global address.
    pub(crate) fn of(nats: &[Self], address: IpAddr) -> Option<&Self> {
        let IpAddr::V4(v4) = address else { return None };
        nats.iter().find(|nat| nat.addresses.contains(&v4))
    }

    pub(crate) fn excepts(&self, destination: IpAddr) -> bool {
        self.except
            .iter()
            .any(|prefix| prefix.contains(destination))
    }

    /// Whether it is for packets that come in and leave by these.
    pub(crate) fn is_for(&self, from: &Interface, (id, to): (InterfaceId, &Interface)) -> bool {
        self.from.has(from) && self.to.has(to) && self.egress.is_none_or(|egress| egress == id)
    }
}

/// Endpoint-independent mappings (RFC 4787 REQ-1), for each protocol (RFC 7857 section 5). Each
/// lasts as long as a flow uses it; then its port is held for its endpoint, and goes to another
/// when the hold is over or no other port is left.
#[derive(Debug)]
pub(crate) struct Mappings {
    mappings: Arena<Mapping>,
    by_private: Index,
    by_global: Index,
    ports: HashMap<(Protocol, Ipv4Addr), Ports, Key>,
    /// Which addresses an endpoint has flows to, where filtering depends on it.
    remotes: HashMap<(u32, IpAddr), u32, Key>,
    /// Unused ones, and until when they are held.
    idle: VecDeque<(Instant8, u32)>,
    key: Key,
}

#[derive(Debug, Clone, Copy)]
struct Mapping {
    protocol: Protocol,
    private: Endpoint,
    global: Endpoint,
    flows: u32,
    held_until: Instant8,
    /// Whether it is in `idle`.
    queued: bool,
}

impl Default for Mapping {
    fn default() -> Self {
        let nowhere = (Ipv4Addr::UNSPECIFIED, 0);
        Self {
            protocol: Protocol(0),
            private: nowhere,
            global: nowhere,
            flows: 0,
            held_until: 0,
            queued: false,
        }
    }
}

fn hash(key: Key, protocol: Protocol, (address, port): Endpoint) -> u64 {
    let words = u64::from(address.to_bits()) << 24 | u64::from(port) << 8 | u64::from(protocol.0);
    key.hash([words])
}

impl Mappings {
    pub(crate) fn new(key: Key) -> Self {
        Self {
            mappings: Arena::default(),
            by_private: Index::default(),
            by_global: Index::default(),
            ports: HashMap::with_hasher(key),
            remotes: HashMap::with_hasher(key),
            idle: VecDeque::new(),
            key,
        }
    }

    /// The global address of a private host: always the same (RFC 4787 REQ-2, RFC 7857 section 4).
    pub(crate) fn address(&self, nat: &Nat, host: Ipv4Addr) -> Option<Ipv4Addr> {
        let count = u64::try_from(nat.addresses.len()).ok()?;
        let chosen = hash(self.key, Protocol(0), (host, 0)).checked_rem(count)?;
        nat.addresses.get(usize::try_from(chosen).ok()?).copied()
    }

    /// The mapping for packets of a private endpoint; none if all ports are taken.
    pub(crate) fn map(
        &mut self,
        config: &Config,
        nat: &Nat,
        (protocol, private): (Protocol, Endpoint),
        rng: &mut dyn Rng,
    ) -> Option<(u32, Endpoint)> {
        let address = self.address(nat, private.0)?;
        if !protocol.has_ports() {
            return Some((NONE, (address, 0)));
        }
        if let Some((index, mapping)) = self.of_private(nat, protocol, private) {
            return Some((index, mapping.global));
        }
        let port = self.take_port(config, nat, protocol, (address, private.1), rng)?;
        let index = self.mappings.insert(Mapping {
            protocol,
            private,
            global: (address, port),
            ..Mapping::default()
        });
        let (key, mappings) = (self.key, &self.mappings);
        let of = |at: u32, end: fn(&Mapping) -> Endpoint| {
            let mapping = mappings.get(at);
            mapping.map_or(0, |m| hash(key, m.protocol, end(m)))
        };
        let (private_of, global_of) = (|at| of(at, |m| m.private), |at| of(at, |m| m.global));
        self.by_private
            .insert(hash(key, protocol, private), index, private_of);
        self.by_global
            .insert(hash(key, protocol, (address, port)), index, global_of);
        Some((index, (address, port)))
    }

    /// The mapping of a private endpoint to one of the addresses there are now.
    fn of_private(
        &self,
        nat: &Nat,
        protocol: Protocol,
        private: Endpoint,
    ) -> Option<(u32, &Mapping)> {
        let same = |at: u32| {
            self.mappings.get(at).is_some_and(|m| {
                (m.protocol, m.private) == (protocol, private)
                    && nat.addresses.contains(&m.global.0)
            })
        };
        let hash = hash(self.key, protocol, private);
        let index = self.by_private.find(hash, same)?;
        Some((index, self.mappings.get(index)?))
    }

    /// The mapping that has a global endpoint, in use or held.
    fn of_global(&self, protocol: Protocol, global: Endpoint) -> Option<(u32, &Mapping)> {
        let same = |at: u32| {
            let mapping = self.mappings.get(at);
            mapping.is_some_and(|m| (m.protocol, m.global) == (protocol, global))
        };
        let index = self
            .by_global
            .find(hash(self.key, protocol, global), same)?;
        Some((index, self.mappings.get(index)?))
    }

    /// The private endpoint behind a global one, if it is in use.
    pub(crate) fn private(&self, protocol: Protocol, global: Endpoint) -> Option<(u32, Endpoint)> {
        let (index, mapping) = self.of_global(protocol, global)?;
        (mapping.flows > 0).then_some((index, mapping.private))
    }

    /// The private endpoint that a packet from outside may reach without a rule.
    pub(crate) fn admit(&self, filtering: Filtering, tuple: &Tuple) -> Option<(u32, Endpoint)> {
        let (IpAddr::V4(address), port) = tuple.destination else {
            return None;
        };
        let (index, private) = self.private(tuple.protocol, (address, port))?;
        let admitted = match filtering {
            Filtering::EndpointIndependent => true,
            Filtering::AddressDependent => self.remotes.contains_key(&(index, tuple.source.0)),
            Filtering::AddressAndPortDependent => false,
        };
        admitted.then_some((index, private))
    }

    /// A flow to `remote` uses it; `remember` who may answer.
    pub(crate) fn hold(&mut self, index: u32, remote: IpAddr, remember: bool) {
        if let Some(mapping) = self.mappings.get_mut(index) {
            mapping.flows += 1;
            if remember {
                *self.remotes.entry((index, remote)).or_default() += 1;
            }
        }
    }

    /// A flow to `remote` is over; its port is held until `until`.
    pub(crate) fn release(&mut self, index: u32, remote: IpAddr, until: Instant8) {
        if let Some(count) = self.remotes.get_mut(&(index, remote)) {
            *count -= 1;
            if *count == 0 {
                self.remotes.remove(&(index, remote));
            }
        }
        if let Some(mapping) = self.mappings.get_mut(index) {
            mapping.flows = mapping.flows.saturating_sub(1);
            if mapping.flows == 0 {
                mapping.held_until = until;
                if !std::mem::replace(&mut mapping.queued, true) {
                    self.idle.push_back((until, index));
                }
            }
        }
    }

    /// Gives back ports that were held long enough.
    pub(crate) fn expire(&mut self, ms: u64) {
        let now = clock::floor(ms);
        while self.idle.front().is_some_and(|(until, _)| *until <= now) {
            self.forget_oldest(false);
        }
    }

    pub(crate) fn next_expiry(&self) -> Option<u64> {
        let first = self.idle.front();
        first.map(|(until, _)| clock::milliseconds(*until))
    }

    /// Gives back the port that was held longest, if `now` even before its time; false if none is.
    fn forget_oldest(&mut self, now: bool) -> bool {
        let Some((until, index)) = self.idle.pop_front() else {
            return false;
        };
        let Some(slot) = self.mappings.get_mut(index) else {
            return true;
        };
        let used_since = slot.held_until > until;
        slot.queued = slot.flows == 0 && used_since && !now;
        if slot.queued {
            self.idle.push_back((slot.held_until, index));
            return true;
        }
        if slot.flows > 0 {
            return true;
        }
        let mapping = *slot;
        let (protocol, (address, port)) = (mapping.protocol, mapping.global);
        for (table, endpoint) in [
            (&mut self.by_private, mapping.private),
            (&mut self.by_global, mapping.global),
        ] {
            table.remove(hash(self.key, protocol, endpoint), index);
        }
        if let Some(ports) = self.ports.get_mut(&(protocol, address)) {
            ports.give_back(port);
        }
        self.mappings.remove(index);
        true
    }

    /// The host's own port if it is free, else one of the same range and parity (RFC 4787 REQ-3
    /// and REQ-4), else any; chosen at random, so that it cannot be guessed (RFC 7857 section 9).
    fn take_port(
        &mut self,
        config: &Config,
        nat: &Nat,
        protocol: Protocol,
        (address, wanted): Endpoint,
        rng: &mut dyn Rng,
    ) -> Option<u16> {
        let queries = matches!(protocol, Protocol::ICMP | Protocol::ICMPV6);
        let range = if queries {
            0..=u16::MAX
        } else if wanted < 1024 {
            nat.low_ports.clone()
        } else {
            nat.ports.clone()
        };
        let mut classes = vec![Class::same_parity(range.clone(), wanted), Class::any(range)];
        if wanted < 1024 && !queries {
            classes.push(Class::any(nat.ports.clone()));
        }
        let reserved = reserved(config, protocol, address);
        loop {
            let ports = self.ports.entry((protocol, address)).or_default();
            let start = rng.next_u32();
            if let Some(port) = ports.take(wanted, &classes, start, &reserved) {
                return Some(port);
            }
            if !self.forget_oldest(true) {
                return None;
            }
        }
    }
}

/// Ports that rules speak of: a mapping on one of them would shadow the service behind it
/// (CVE-2021-3773).
fn reserved(config: &Config, protocol: Protocol, address: Ipv4Addr) -> Vec<RangeInclusive<u16>> {
    let about = |rule: &&crate::Rule| {
        rule.protocol.is_none_or(|p| p == protocol)
            && rule.destination.is_none_or(|p| p.contains(address.into()))
    };
    let rules = config.rules.iter().filter(about);
    rules.filter_map(|rule| rule.ports.clone()).collect()
}
