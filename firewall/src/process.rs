//! A packet's way through the firewall.

use crate::config::Filtering;
use crate::errors::translate;
use crate::event::{CloseReason, DropReason, Event, FlowInfo, Ingress};
use crate::firewall::{Firewall, Outcome, Refusal, Route};
use crate::flow::{Flow, NONE, Tuple, Way};
use crate::fragments::{self, Step};
use crate::interface::InterfaceId;
use crate::nat::Endpoint;
use crate::policy::{Interface, Kind, Rule, RuleAction};
use crate::tcp::Tcp;
use crate::wire::{self, Body, Extent, Malformed, Packet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;

/// How a flow's first packet is to leave.
struct Opening {
    target: Tuple,
    /// The mapping that let it in.
    mapping: u32,
    ipsec_only: bool,
}

impl Firewall {
    pub(crate) fn judge(
        &mut self,
        now: Instant,
        ingress: Ingress,
        bytes: &mut [u8],
        route: Route<'_>,
    ) -> Result<Outcome, Refusal> {
        let mut view = Packet::parse(bytes, Extent::Whole).map_err(|e| match e {
            Malformed::Header | Malformed::Extensions => DropReason::Malformed,
            Malformed::Version => DropReason::NotIp,
            Malformed::TinyFragment => DropReason::Fragment,
        })?;
        match view.fragment {
            None => match self.judge_whole(now, ingress, bytes, &mut view, route)? {
                Outcome::Forward(egress) => Ok(self.fit(bytes, &view, egress)),
                other => Ok(other),
            },
            Some(fragment) => self.judge_fragment(now, ingress, bytes, &mut view, fragment, route),
        }
    }

    fn judge_whole(
        &mut self,
        now: Instant,
        ingress: Ingress,
        bytes: &mut [u8],
        view: &mut Packet,
        route: Route<'_>,
    ) -> Result<Outcome, Refusal> {
        let from = self.interfaces.get(ingress.interface);
        let from = from.ok_or(DropReason::NoInterface)?;
        match view.body {
            Body::Error { .. } => {
                self.check_source(from, view)?;
                let (kind, ms) = (from.kind, self.milliseconds(now));
                return self.judge_error(ms, kind, bytes, view, route);
            }
            Body::LinkLocal => return link_local(view),
            _ => {}
        }
        let clamp = from.mss_clamp;
        if let Some((index, way)) = self.table.find(&Tuple::of(view)) {
            if self.is_live(now, index, way) {
                return self.judge_known(now, ingress, (index, way), bytes, view, route);
            }
            self.close(now, index, CloseReason::Expired);
        }
        let from = self.interfaces.get(ingress.interface);
        let from = from.ok_or(DropReason::NoInterface)?;
        self.check_source(from, view)?;
        if is_for_all(view.destination) {
            // A router may answer on a private link: DHCP, IGMP.
            return match from.kind {
                Kind::Private => Ok(Outcome::Local),
                Kind::Public => Err(DropReason::Broadcast.into()),
            };
        }
        let (outcome, most, target) = self.open(now, ingress, view, route)?;
        translate(bytes, view, &target);
        if let Some(most) = [clamp, most].into_iter().flatten().min() {
            wire::clamp_mss(bytes, view, most);
        }
        Ok(outcome)
    }

    /// Whether a flow goes on: not over, and still between interfaces that there are.
    fn is_live(&mut self, now: Instant, index: u32, way: Way) -> bool {
        let ms = self.milliseconds(now);
        self.table.get(index).is_some_and(|flow| {
            let led_to = flow.interfaces.get(way.other().index()).copied();
            flow.expires > ms && led_to.and_then(|id| self.kind(id)).is_some()
        })
    }

    /// A packet of a known flow: no allocation from here on.
    fn judge_known(
        &mut self,
        now: Instant,
        ingress: Ingress,
        (index, way): (u32, Way),
        bytes: &mut [u8],
        view: &mut Packet,
        route: Route<'_>,
    ) -> Result<Outcome, Refusal> {
        let ms = self.milliseconds(now);
        let gone = DropReason::NoInterface;
        let from = self.interfaces.get(ingress.interface).ok_or(gone)?;
        let flow = self.table.get(index).ok_or(gone)?;
        let [original, reply] = flow.interfaces;
        let (came, led_to) = match way {
            Way::Original => (original, reply),
            Way::Reply => (reply, original),
        };
        if came != ingress.interface {
            // The same side, another interface: somebody moved, or pretends to be somebody.
            if self.kind(came).is_some_and(|kind| kind != from.kind) {
                return Err(DropReason::Spoofed.into());
            }
            if came != InterfaceId::LOCAL {
                self.check_source(from, view)?;
            }
        }
        if flow.ipsec_only && way == Way::Original && !ingress.ipsec {
            return Err(DropReason::NotIpsec.into());
        }
        let clamp = from.mss_clamp;
        let target = flow.target(way);
        let (outcome, most) = self.egress(target.destination.0, view, route)?;
        let moved = match outcome {
            Outcome::Forward(egress) if egress != led_to => Some(egress),
            _ => None,
        };
        if moved.is_some_and(|egress| self.kind(egress) != self.kind(led_to)) {
            return Err(DropReason::NoRoute.into());
        }
        let flow = self.table.get_mut(index).ok_or(gone)?;
        if let Body::Tcp(segment) = view.body
            && !flow.tcp.accept(way, &segment)
        {
            return Err(DropReason::OutOfWindow.into());
        }
        let interfaces = flow.interfaces.iter_mut();
        for (n, place) in interfaces.enumerate() {
            if n != way.index() {
                *place = moved.unwrap_or(*place);
            } else if *place != InterfaceId::LOCAL {
                *place = ingress.interface;
            }
        }
        let timeout = flow.timeout(&self.config.timeouts);
        let expires = ms + u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX / 2);
        let sooner = expires < std::mem::replace(&mut flow.expires, expires);
        let first_answer = way == Way::Reply && !flow.replied;
        flow.replied |= first_answer;
        if first_answer {
            self.table.replied(index);
        }
        if sooner {
            self.table.rearm(index);
            self.wake_by(expires);
        }
        translate(bytes, view, &target);
        if let Some(most) = [clamp, most].into_iter().flatten().min() {
            wire::clamp_mss(bytes, view, most);
        }
        Ok(outcome)
    }

    /// Sources that cannot be (BCP 38, LAND).
    pub(crate) fn check_source(&self, from: &Interface, view: &Packet) -> Result<(), DropReason> {
        let source = view.source;
        let nowhere = match (source, view.destination) {
            (IpAddr::V4(v4), _) => {
                let [first, ..] = v4.octets();
                v4.is_broadcast() || first == 0
            }
            // An IPv4 address in IPv6's clothes (RFC 4942 section 2.2).
            (IpAddr::V6(v6), IpAddr::V6(to)) => {
                v6.is_unspecified()
                    || v6.is_loopback()
                    || v6.to_ipv4_mapped().is_some()
                    || to.to_ipv4_mapped().is_some()
            }
            _ => true,
        };
        let global = from.kind == Kind::Public && self.config.nat_of(source).is_some();
        let impossible = nowhere
            || global
            || source.is_multicast()
            || source == view.destination
            || self.interfaces.is_own(source)
            || !self.interfaces.admits(from, source);
        if impossible {
            return Err(DropReason::Spoofed);
        }
        if self.interfaces.is_everybody(view.destination) {
            return Err(DropReason::Broadcast);
        }
        Ok(())
    }

    /// Where packets to this address leave, and the segment size that fits there; not if they are
    /// too long for it.
    pub(crate) fn egress(
        &mut self,
        destination: IpAddr,
        view: &Packet,
        route: Route<'_>,
    ) -> Result<(Outcome, Option<u16>), Refusal> {
        if self.interfaces.is_own(destination) {
            return Ok((Outcome::Local, None));
        }
        let unicast_link = matches!(destination, IpAddr::V6(v6) if v6.is_unicast_link_local());
        if unicast_link {
            return Err(DropReason::LinkLocal.into());
        }
        let id = route(destination).ok_or(DropReason::NoRoute)?;
        let to = self.interfaces.get(id).ok_or(DropReason::NoRoute)?;
        if let Some(mtu) = to.mtu
            && view.whole_only
            && view.length() > usize::from(mtu)
        {
            return Err(Refusal::TooBig(mtu));
        }
        Ok((Outcome::Forward(id), to.mss_clamp))
    }

    /// A packet of no known flow: makes one, if it may.
    fn open(
        &mut self,
        now: Instant,
        ingress: Ingress,
        view: &Packet,
        route: Route<'_>,
    ) -> Result<(Outcome, Option<u16>, Tuple), Refusal> {
        let config = Arc::clone(&self.config);
        let original = Tuple::of(view);
        let opening = self.admit(ingress, &original)?;
        let mut target = opening.target;
        let (outcome, most) = self.egress(target.destination.0, view, route)?;
        if self.interfaces.is_everybody(target.destination.0) {
            return Err(DropReason::Broadcast.into());
        }
        let to = match outcome {
            Outcome::Forward(id) => id,
            Outcome::Local | Outcome::Queued => InterfaceId::LOCAL,
        };
        let from = self.interfaces.get(ingress.interface);
        let from = from.ok_or(DropReason::NoInterface)?;
        let kind = from.kind;
        let hairpin = kind == Kind::Private && target != original;
        let nat = if hairpin {
            config.nat_of(original.destination.0)
        } else {
            self.interfaces.get(to).and_then(|to| {
                let mut nats = config.nat.iter();
                nats.find(|nat| nat.from.has(from) && nat.to.has(to))
            })
        };
        let nat = nat.filter(|_| view.is_v4());
        let tcp = first_segment(view, nat.is_none() && target == original)?;
        let inbound = kind == Kind::Public && to != InterfaceId::LOCAL;
        let user = if inbound {
            target.destination.0
        } else {
            original.source.0
        };
        self.make_room(now, crate::firewall::user_of(user))?;
        let mut mapping = opening.mapping;
        if let (Some(nat), IpAddr::V4(private)) = (nat, original.source.0) {
            let endpoint = (original.protocol, (private, original.source.1));
            let mapped = self.mappings.map(&config, nat, endpoint, &mut *self.rng);
            let (index, (address, port)) = mapped.ok_or(DropReason::Full)?;
            mapping = index;
            target.source = (IpAddr::V4(address), port);
        }
        let flow = Flow::new(original, target.reversed(), [ingress.interface, to], tcp);
        let mut flow = flow.ok_or(DropReason::Policy)?;
        flow.ipsec_only = opening.ipsec_only;
        flow.inbound = inbound;
        flow.mapping = mapping;
        if mapping != NONE {
            let nats = &config.nat;
            let depends = nats
                .iter()
                .any(|nat| nat.filtering == Filtering::AddressDependent);
            self.mappings
                .hold(mapping, flow.remote(), depends && !inbound);
        }
        let ms = self.milliseconds(now);
        let timeout = flow.timeout(&config.timeouts);
        flow.expires = ms + u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX / 2);
        if let Some((other, way)) = self.table.find(&target.reversed())
            && self.is_live(now, other, way)
        {
            // An answer could be either's: nobody takes over another's answers.
            if mapping != NONE {
                self.mappings.release(mapping, flow.remote(), ms);
            }
            return Err(DropReason::Collision.into());
        } else if let Some((over, _)) = self.table.find(&target.reversed()) {
            self.close(now, over, CloseReason::Expired);
        }
        self.wake_by(flow.expires);
        let host = flow.host();
        self.table.insert(flow, host);
        self.tell(Event::FlowOpened(FlowInfo::new(original, target)));
        Ok((outcome, most, target))
    }

    /// Where a flow's first packet may go: by a rule, by an open mapping, or by default.
    fn admit(&mut self, ingress: Ingress, original: &Tuple) -> Result<Opening, DropReason> {
        let from = self.interfaces.get(ingress.interface);
        let from = from.ok_or(DropReason::NoInterface)?;
        let kind = from.kind;
        let mut opening = Opening {
            target: *original,
            mapping: NONE,
            ipsec_only: false,
        };
        let rules = &self.config.rules;
        let matching = |rule: &Rule| rule.matches(from, ingress.ipsec, original);
        // A neighbour by its public name: as the world would reach it (RFC 4787 REQ-9).
        let (address, port) = original.destination;
        let hairpin = kind == Kind::Private && self.config.nat_of(address).is_some();
        let forwarded = |rule: &Rule| {
            hairpin
                && matches!(rule.action, RuleAction::ForwardTo(..))
                && rule.covers(original.protocol, address, port)
                && !rule.ipsec_only
        };
        if let Some(index) = rules
            .iter()
            .position(|rule| matching(rule) || forwarded(rule))
        {
            if let Some(hits) = self.rule_hits.get_mut(index) {
                *hits += 1;
            }
            let rule = rules.get(index).ok_or(DropReason::Policy)?;
            opening.ipsec_only = rule.ipsec_only;
            match rule.action {
                RuleAction::Deny => return Err(DropReason::Rule),
                RuleAction::Allow => {}
                RuleAction::ForwardTo(..) if original.source.0.is_ipv6() => {
                    return Err(DropReason::Policy);
                }
                RuleAction::ForwardTo(address, port) => {
                    let port = if original.protocol.has_ports() {
                        port
                    } else {
                        0
                    };
                    opening.target.destination = (IpAddr::V4(address), port);
                }
            }
            return Ok(opening);
        }
        if let (true, IpAddr::V4(global)) = (hairpin, address) {
            match self.mappings.private(original.protocol, (global, port)) {
                Some((_, (private, port))) => {
                    opening.target.destination = (IpAddr::V4(private), port);
                }
                None if self.interfaces.is_own(address) => {}
                None => return Err(DropReason::Policy),
            }
        } else if kind == Kind::Public {
            let nat = self.config.nat_of(address).ok_or(DropReason::Policy)?;
            let admitted = self.mappings.admit(nat.filtering, original);
            let (index, private): (u32, Endpoint) = admitted.ok_or(DropReason::Policy)?;
            opening.mapping = index;
            opening.target.destination = (IpAddr::V4(private.0), private.1);
        }
        Ok(opening)
    }

    fn make_room(&mut self, now: Instant, user: IpAddr) -> Result<(), DropReason> {
        let limits = self.config.limits;
        if self.table.of_host(user) >= limits.flows_per_host {
            return Err(DropReason::Full);
        }
        if self.table.len() >= limits.flows {
            let oldest = self.table.oldest_unreplied().ok_or(DropReason::Full)?;
            self.close(now, oldest, CloseReason::Evicted);
        }
        Ok(())
    }

    /// Fragments follow their first one; it is judged as the whole packet.
    fn judge_fragment(
        &mut self,
        now: Instant,
        ingress: Ingress,
        bytes: &mut [u8],
        view: &mut Packet,
        fragment: wire::Fragment,
        route: Route<'_>,
    ) -> Result<Outcome, Refusal> {
        let from = self.interfaces.get(ingress.interface);
        let from = from.ok_or(DropReason::NoInterface)?;
        self.check_source(from, view)?;
        let config = Arc::clone(&self.config);
        let ms = self.milliseconds(now);
        let id = fragments::Id::new(ingress.interface, view, fragment);
        let step = self.fragments.see(ms, id, view, fragment, bytes, &config);
        if let Some(at) = self.fragments.next_expiry() {
            self.wake_by(at);
        }
        match step {
            Step::Drop => Err(DropReason::Fragment.into()),
            Step::Held => Ok(Outcome::Queued),
            Step::Follow(way) => Ok(self.follow(bytes, view, way)),
            Step::Judge => {
                let (source, destination) = (view.source, view.destination);
                let judged = self.judge_whole(now, ingress, bytes, view, route);
                let Ok(outcome) = judged else {
                    self.fragments.refuse(ms, id, &config);
                    return judged;
                };
                let translated =
                    view.is_v4() && (view.source, view.destination) != (source, destination);
                if translated {
                    self.identification = self.identification.wrapping_add(1);
                }
                let way = fragments::Way {
                    egress: match outcome {
                        Outcome::Forward(id) => Some(id),
                        Outcome::Local | Outcome::Queued => None,
                    },
                    source: view.source,
                    destination: view.destination,
                    identification: translated.then_some(self.identification),
                };
                for mut held in self.fragments.settle(ms, &id, way, &config) {
                    self.release(&mut held, way);
                }
                Ok(self.follow(bytes, view, way))
            }
        }
    }

    /// Sends a fragment after its first one.
    fn follow(&mut self, bytes: &mut [u8], view: &mut Packet, way: fragments::Way) -> Outcome {
        let target = Tuple {
            source: (way.source, view.source_port),
            destination: (way.destination, view.destination_port),
            protocol: view.protocol,
        };
        translate(bytes, view, &target);
        if let Some(identification) = way.identification {
            wire::set_identification(bytes, identification);
        }
        match way.egress {
            Some(id) => self.fit(bytes, view, id),
            None => Outcome::Local,
        }
    }

    fn release(&mut self, held: &mut [u8], way: fragments::Way) {
        let Ok(mut view) = Packet::parse(held, Extent::Whole) else {
            return;
        };
        if self.follow(held, &mut view, way) != Outcome::Queued {
            self.transmit(way.egress, held.to_vec());
        }
    }

    /// Fragments what is too long for the link, if it may be.
    fn fit(&mut self, bytes: &[u8], view: &Packet, id: InterfaceId) -> Outcome {
        let mtu = self.interfaces.get(id).and_then(|to| to.mtu);
        match mtu.filter(|mtu| view.length() > usize::from(*mtu) && !view.whole_only) {
            Some(mtu) => {
                for piece in wire::fragment(bytes, view, mtu) {
                    self.transmit(Some(id), piece);
                }
                Outcome::Queued
            }
            None => Outcome::Forward(id),
        }
    }
}

/// Whether a packet can be a flow's first.
fn first_segment(view: &Packet, midway: bool) -> Result<Tcp, DropReason> {
    match view.body {
        // Without translation a connection may go on after the router was restarted.
        Body::Tcp(segment) => Tcp::open(&segment, midway).ok_or(DropReason::Unrelated),
        Body::Query { request: false } => Err(DropReason::Unrelated),
        _ => Ok(Tcp::default()),
    }
}

/// Neighbour discovery and multicast listeners are for the router itself, and only from a
/// neighbour (RFC 4861 section 6.1, RFC 3810 section 5.1.14); ICMP redirects are for nobody.
fn link_local(view: &Packet) -> Result<Outcome, Refusal> {
    let neighbour = matches!(view.hop_limit, 1 | 255) && !view.is_v4();
    let here = match view.destination {
        IpAddr::V6(v6) => v6.is_multicast() || v6.is_unicast_link_local() || view.hop_limit == 255,
        IpAddr::V4(_) => false,
    };
    if neighbour && here {
        Ok(Outcome::Local)
    } else {
        Err(DropReason::LinkLocal.into())
    }
}

fn is_for_all(destination: IpAddr) -> bool {
    destination.is_multicast() || destination == IpAddr::V4(Ipv4Addr::BROADCAST)
}

/// Whether an ICMP error may answer this packet (RFC 1812 section 4.3.2.7, RFC 4443 section 2.4).
pub(crate) fn is_answerable(view: &Packet) -> bool {
    let nobody =
        view.source.is_unspecified() || is_for_all(view.source) || view.source.is_loopback();
    let later = view.fragment.is_some_and(|fragment| fragment.offset != 0);
    let error = matches!(view.body, Body::Error { .. } | Body::LinkLocal);
    !nobody && !later && !error && !is_for_all(view.destination)
}
