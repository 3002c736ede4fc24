use crate::config::{Config, ConfigError, Interface, Kind, RuleAction};
use crate::flow::{Flow, Tuple, Way};
use crate::nat::Mappings;
use crate::table::Table;
use crate::wire::{self, Body, End, Malformed, Packet, Protocol, TCP_ACK, TCP_SYN};
use rand_core::CryptoRng;
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

/// An interface of a [`Firewall`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceId(u64);

/// How a packet came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ingress {
    /// From where.
    pub interface: InterfaceId,
    /// Whether it came through IPsec.
    pub ipsec: bool,
}

/// What to do with a packet; it may have been rewritten in place.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub enum Verdict {
    /// Send it on.
    Forward {
        /// Where to.
        egress: InterfaceId,
        /// Where it lies in the buffer.
        packet: Range<usize>,
    },
    /// It is for the router itself.
    Local {
        /// Where it lies in the buffer.
        packet: Range<usize>,
    },
    /// Drop it.
    Drop(DropReason),
}

/// Why a packet was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum DropReason {
    /// Headers that do not fit.
    Malformed,
    /// Not IPv4.
    NotIpv4,
    /// A fragment that would have to be translated.
    Fragment,
    /// A source address that cannot come from there.
    Spoofed,
    /// No interface leads to the destination.
    NoRoute,
    /// From a public interface, and nothing allows it.
    Policy,
    /// A rule says so.
    Rule,
    /// TCP in mid-connection, an echo reply or an ICMP error that belong to nothing.
    Unrelated,
    /// The table of flows, the host's share of it, or the public ports are used up.
    Full,
    /// No such interface.
    NoInterface,
}

impl DropReason {
    /// A stable word for logs and metrics.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "firewall_malformed",
            Self::NotIpv4 => "firewall_not_ipv4",
            Self::Fragment => "firewall_fragment",
            Self::Spoofed => "firewall_spoofed",
            Self::NoRoute => "firewall_no_route",
            Self::Policy => "firewall_policy",
            Self::Rule => "firewall_rule",
            Self::Unrelated => "firewall_unrelated",
            Self::Full => "firewall_full",
            Self::NoInterface => "firewall_no_interface",
        }
    }
}

/// Zones, rules, flows and translation.
pub struct Firewall {
    config: Arc<Config>,
    interfaces: BTreeMap<InterfaceId, Interface>,
    /// The router's own addresses, and those that only one interface may send from: kept with
    /// how many interfaces name them, so that no packet walks through all interfaces.
    own: HashMap<Ipv4Addr, usize>,
    assigned: HashMap<Ipv4Addr, usize>,
    table: Table,
    mappings: Mappings,
    rng: Box<dyn CryptoRng + Send>,
    serial: u64,
    drops: BTreeMap<DropReason, u64>,
}

/// Tells which interface leads to an address.
pub(crate) type Route<'a> = &'a dyn Fn(IpAddr) -> Option<InterfaceId>;

impl std::fmt::Debug for Firewall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Firewall")
            .field("interfaces", &self.interfaces.len())
            .field("flows", &self.table.len())
            .finish_non_exhaustive()
    }
}

impl Firewall {
    /// A firewall without interfaces; `rng` chooses public ports.
    ///
    /// # Errors
    /// What of `config` cannot work.
    pub fn new(config: Arc<Config>, rng: Box<dyn CryptoRng + Send>) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self {
            config,
            interfaces: BTreeMap::new(),
            own: HashMap::new(),
            assigned: HashMap::new(),
            table: Table::default(),
            mappings: Mappings::default(),
            rng,
            serial: 0,
            drops: BTreeMap::new(),
        })
    }

    /// Replaces rules, limits and timeouts; flows that are up stay.
    ///
    /// # Errors
    /// What of `config` cannot work; then nothing has changed.
    pub fn set_config(&mut self, config: Arc<Config>) -> Result<(), ConfigError> {
        config.check()?;
        self.config = config;
        Ok(())
    }

    /// Adds an interface.
    pub fn add_interface(&mut self, interface: Interface) -> InterfaceId {
        self.serial += 1;
        let id = InterfaceId(self.serial);
        for address in &interface.own {
            *self.own.entry(*address).or_default() += 1;
        }
        if let Some(address) = interface.only_source {
            *self.assigned.entry(address).or_default() += 1;
        }
        self.interfaces.insert(id, interface);
        id
    }

    /// Removes an interface, and the flows of the one address that was behind it.
    pub fn remove_interface(&mut self, now: Instant, id: InterfaceId) {
        let removed = self.interfaces.remove(&id);
        for address in removed.iter().flat_map(|interface| &interface.own) {
            forget(&mut self.own, *address);
        }
        if let Some(host) = removed.and_then(|interface| interface.only_source) {
            forget(&mut self.assigned, host);
            let mappings = &mut self.mappings;
            self.table.remove_host(host, |flow| mappings.release(flow));
        }
        self.handle_timeout(now);
    }

    /// Live flows.
    #[must_use]
    pub fn flows(&self) -> usize {
        self.table.len()
    }

    /// Dropped packets by reason.
    #[must_use]
    pub fn drops(&self) -> &BTreeMap<DropReason, u64> {
        &self.drops
    }

    /// Judges the IP packet at `packet` in `buf`, and translates it in place.
    ///
    /// `route` tells which interface leads to a destination, after translation.
    pub fn process(
        &mut self,
        now: Instant,
        ingress: Ingress,
        buf: &mut [u8],
        packet: Range<usize>,
        route: &dyn Fn(IpAddr) -> Option<InterfaceId>,
    ) -> Verdict {
        let judged = match buf.get_mut(packet.clone()) {
            Some(bytes) => self.judge(now, ingress, bytes, route),
            None => Err(DropReason::Malformed),
        };
        match judged {
            Ok(Some(egress)) => Verdict::Forward { egress, packet },
            Ok(None) => Verdict::Local { packet },
            Err(reason) => {
                *self.drops.entry(reason).or_default() += 1;
                Verdict::Drop(reason)
            }
        }
    }

    /// Forgets flows that are over.
    pub fn handle_timeout(&mut self, now: Instant) {
        let mappings = &mut self.mappings;
        self.table.expire(now, |flow| mappings.release(flow));
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.table.next_expiry()
    }

    /// The interface to send to, or none if the packet is for the router itself.
    fn judge(
        &mut self,
        now: Instant,
        ingress: Ingress,
        bytes: &mut [u8],
        route: Route<'_>,
    ) -> Result<Option<InterfaceId>, DropReason> {
        let mut view = Packet::parse(bytes, false).map_err(|e| match e {
            Malformed::Header => DropReason::Malformed,
            Malformed::NotIpv4 => DropReason::NotIpv4,
        })?;
        let from = self
            .interfaces
            .get(&ingress.interface)
            .ok_or(DropReason::NoInterface)?;
        let (kind, clamp) = (from.kind, from.mss_clamp);
        self.check_source(from, &view)?;

        let tuple = Tuple::of(&view);
        if let Some((flow, way)) = self.table.find(now, &tuple) {
            if flow.kind(way) != kind {
                return Err(DropReason::Spoofed);
            }
            flow.see(now, &view, way, &self.config.timeouts);
            translate(bytes, &mut view, flow.target(way));
            return self.leave(bytes, &view, clamp, route);
        }
        if let Body::IcmpError { quoted } = view.body {
            return self.icmp_error(now, bytes, &mut view, quoted, route);
        }
        self.open(now, ingress, kind, bytes, &mut view, route)?;
        self.leave(bytes, &view, clamp, route)
    }

    /// Sources that cannot be (BCP 38, LAND).
    fn check_source(&self, from: &Interface, view: &Packet) -> Result<(), DropReason> {
        let source = view.source;
        let impossible = source.is_multicast()
            || source.is_broadcast()
            || source == view.destination
            || from.only_source.is_some_and(|only| only != source)
            || self.is_own(source)
            // Somebody's own address, from elsewhere.
            || (from.only_source.is_none() && self.assigned.contains_key(&source));
        if impossible {
            Err(DropReason::Spoofed)
        } else {
            Ok(())
        }
    }

    /// A packet of no known flow: makes one, if it may.
    fn open(
        &mut self,
        now: Instant,
        ingress: Ingress,
        kind: Kind,
        bytes: &mut [u8],
        view: &mut Packet,
        route: Route<'_>,
    ) -> Result<(), DropReason> {
        let original = Tuple::of(view);
        let mut target = original;
        if kind == Kind::Public {
            target.destination = self.admit(ingress, view)?;
        } else if let Some(nat) = &self.config.nat
            && view.destination == nat.address
        {
            // To a neighbour by its public name (RFC 4787 REQ-9, hairpinning).
            let neighbour = self.mappings.private(view.protocol, view.destination_port);
            target.destination = neighbour.ok_or(DropReason::Policy)?;
        }
        let is_local = self.is_own(target.destination.0);
        let egress = if is_local {
            None
        } else {
            route(target.destination.0.into())
        };
        let to = match egress {
            Some(id) => self.interfaces.get(&id).ok_or(DropReason::NoRoute)?.kind,
            None if is_local => Kind::Private,
            None => return Err(DropReason::NoRoute),
        };
        let hairpin = kind == Kind::Private && target.destination != original.destination;
        let translated =
            self.config.nat.is_some() && ((kind == Kind::Private && to == Kind::Public) || hairpin);
        self.check_first(view, translated || target != original)?;
        self.make_room(original.source.0)?;
        if translated {
            let nat = self.config.nat.as_ref().ok_or(DropReason::NoRoute)?;
            let port = self.mappings.public(nat, &original, &mut *self.rng);
            target.source = (nat.address, port.ok_or(DropReason::Full)?);
        }
        let mut flow = Flow::new(original, target.reversed(), [kind, to], now);
        flow.see(now, view, Way::Original, &self.config.timeouts);
        translate(bytes, view, flow.target(Way::Original));
        let mappings = &mut self.mappings;
        self.table.insert(flow, |old| mappings.release(old));
        Ok(())
    }

    /// Where a packet from a public interface goes, if a rule or an open mapping lets it in.
    fn admit(&self, ingress: Ingress, view: &Packet) -> Result<(Ipv4Addr, u16), DropReason> {
        let as_it_is = (view.destination, view.destination_port);
        let matching = self.config.rules.iter().find(|rule| {
            rule.protocol.is_none_or(|p| p == view.protocol)
                && rule.destination.is_none_or(|a| a == view.destination)
                && rule.port.is_none_or(|p| p == view.destination_port)
                && (!rule.ipsec_only || ingress.ipsec)
        });
        match matching.map(|rule| rule.action) {
            Some(RuleAction::Allow) => return Ok(as_it_is),
            Some(RuleAction::Deny) => return Err(DropReason::Rule),
            Some(RuleAction::ForwardTo(address, port)) => return Ok((address, port)),
            None => {}
        }
        match &self.config.nat {
            Some(nat) if nat.open_filtering && view.destination == nat.address => self
                .mappings
                .private(view.protocol, view.destination_port)
                .ok_or(DropReason::Policy),
            _ => Err(DropReason::Policy),
        }
    }

    /// Whether a packet can be a flow's first.
    fn check_first(&self, view: &Packet, translated: bool) -> Result<(), DropReason> {
        if view.fragment && translated {
            return Err(DropReason::Fragment);
        }
        match view.body {
            // Without translation a connection may go on after the router was restarted.
            Body::Tcp { flags } if translated && flags & (TCP_SYN | TCP_ACK) != TCP_SYN => {
                Err(DropReason::Unrelated)
            }
            Body::Echo { request: false } => Err(DropReason::Unrelated),
            _ => Ok(()),
        }
    }

    fn make_room(&mut self, host: Ipv4Addr) -> Result<(), DropReason> {
        let limits = self.config.limits;
        if self.table.of_host(host) >= limits.flows_per_host {
            return Err(DropReason::Full);
        }
        if self.table.len() >= limits.flows {
            let mappings = &mut self.mappings;
            if !self.table.evict_unreplied(|flow| mappings.release(flow)) {
                return Err(DropReason::Full);
            }
        }
        Ok(())
    }

    /// An ICMP error passes if it quotes a packet of a live flow, which is translated as well
    /// (RFC 5508 REQ-4 and REQ-5).
    fn icmp_error(
        &mut self,
        now: Instant,
        bytes: &mut [u8],
        view: &mut Packet,
        at: usize,
        route: Route<'_>,
    ) -> Result<Option<InterfaceId>, DropReason> {
        let inner = bytes.get(at..).ok_or(DropReason::Malformed)?;
        let mut quoted = Packet::parse(inner, true).map_err(|_| DropReason::Malformed)?;
        let answer = Tuple::of(&quoted).reversed();
        let (flow, way) = self.table.find(now, &answer).ok_or(DropReason::Unrelated)?;
        // What is quoted went the other way.
        let target = flow.target(way).reversed();
        let transport = view.transport;
        let (source, destination) = (view.source, view.destination);
        if let Some(inner) = bytes.get_mut(at..) {
            translate(inner, &mut quoted, target);
        }
        if source == answer.source.0 {
            let (address, _) = flow.target(way).source;
            wire::rewrite(bytes, view, End::Source, address, 0);
        }
        if destination == answer.destination.0 {
            let (address, _) = flow.target(way).destination;
            wire::rewrite(bytes, view, End::Destination, address, 0);
        }
        wire::mend_icmp(bytes, transport);
        self.leave(bytes, view, None, route)
    }

    /// Where a packet leaves, with its MSS clamped.
    fn leave(
        &self,
        bytes: &mut [u8],
        view: &Packet,
        clamp: Option<u16>,
        route: Route<'_>,
    ) -> Result<Option<InterfaceId>, DropReason> {
        if self.is_own(view.destination) {
            return Ok(None);
        }
        let egress = route(view.destination.into()).ok_or(DropReason::NoRoute)?;
        let to = self.interfaces.get(&egress).ok_or(DropReason::NoRoute)?;
        if let Some(most) = [clamp, to.mss_clamp].into_iter().flatten().min() {
            wire::clamp_mss(bytes, view, most);
        }
        Ok(Some(egress))
    }

    fn is_own(&self, address: Ipv4Addr) -> bool {
        self.own.contains_key(&address)
    }
}

/// One interface less names `address`.
fn forget(addresses: &mut HashMap<Ipv4Addr, usize>, address: Ipv4Addr) {
    if let Some(count) = addresses.get_mut(&address) {
        *count -= 1;
        if *count == 0 {
            addresses.remove(&address);
        }
    }
}

/// Rewrites what differs from `target`.
fn translate(bytes: &mut [u8], view: &mut Packet, target: Tuple) {
    if (view.source, view.source_port) != target.source {
        let (address, port) = target.source;
        wire::rewrite(bytes, view, End::Source, address, port);
    }
    let (address, port) = target.destination;
    if (view.destination, view.destination_port) != (address, port) {
        wire::rewrite(bytes, view, End::Destination, address, port);
    }
}

/// Whether a protocol has ports, or an echo's identifier.
pub(crate) fn has_ports(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::UDP | Protocol::TCP | Protocol::ICMP)
}
