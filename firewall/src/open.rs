//! A flow's first packet: whether it may pass, and how it is translated.

use crate::clock;
use crate::config::Filtering;
use crate::event::{CloseReason, DropReason, Event, FlowInfo, Ingress};
use crate::firewall::{Firewall, user_of};
use crate::flow::{Flow, NONE, Tuple};
use crate::interface::InterfaceId;
use crate::nat::{ActiveNat, Endpoint};
use crate::policy::{Kind, Rule, RuleAction};
use crate::process::{Exit, Refusal, Route};
use crate::tcp::Tcp;
use crate::wire::{Body, Packet};
use std::net::IpAddr;
use std::sync::Arc;

/// How a flow's first packet is to leave.
struct Opening {
    target: Tuple,
    /// The mapping that let it in.
    mapping: u32,
    ipsec_only: bool,
    rule: Option<usize>,
}

impl Firewall {
    /// A packet of no known flow: makes one, if it may.
    pub(crate) fn open(
        &mut self,
        ms: u64,
        ingress: Ingress,
        view: &Packet,
        route: Route<'_>,
    ) -> Result<(Exit, Tuple), Refusal> {
        let config = Arc::clone(&self.config);
        let nats = Arc::clone(&self.nats);
        let original = Tuple::of(view);
        let opening = self.admit(ingress, &original)?;
        let mut target = opening.target;
        let exit = self.egress(target.destination.0, view, route)?;
        if self.interfaces.is_everybody(target.destination.0) {
            return Err(DropReason::Broadcast.into());
        }
        let to = exit.interface.unwrap_or(InterfaceId::LOCAL);
        let from = self.interfaces.get(ingress.interface);
        let from = from.ok_or(DropReason::NoInterface)?;
        let kind = from.kind;
        let hairpin = kind == Kind::Private && target != original;
        let nat = if hairpin {
            ActiveNat::of(&nats, original.destination.0)
        } else {
            let interface = self.interfaces.get(to);
            interface.and_then(|leaving| nats.iter().find(|nat| nat.is_for(from, (to, leaving))))
        };
        let nat = nat.filter(|nat| view.is_v4() && !nat.excepts(target.destination.0));
        let tcp = first_segment(view, nat.is_none() && target == original)?;
        let inbound = kind == Kind::Public && to != InterfaceId::LOCAL;
        let user = if inbound {
            target.destination.0
        } else {
            original.source.0
        };
        self.make_room(ms, user_of(user))?;
        let mut mapping = opening.mapping;
        if let (Some(nat), IpAddr::V4(private)) = (nat, original.source.0) {
            let endpoint = (original.protocol, (private, original.source.1));
            let mapped = self.mappings.map(&config, nat, endpoint, &mut *self.rng);
            let (index, (address, port)) = mapped.ok_or(DropReason::Full)?;
            mapping = index;
            target.source = (IpAddr::V4(address), port);
        }
        let mut flow = Flow {
            tuples: [original, target.reversed()],
            interfaces: [ingress.interface, to],
            sides: [kind, self.interfaces.kind(to).unwrap_or(Kind::Private)],
            expires: 0,
            opened: clock::floor(ms),
            tcp,
            replied: false,
            ipsec_only: opening.ipsec_only,
            inbound,
            mapping,
            rule: opening.rule.and_then(|rule| rule.try_into().ok()),
        };
        flow.expires = flow.end(ms, &config.timeouts);
        if mapping != NONE {
            let depends = |nat: &ActiveNat| nat.filtering == Filtering::AddressDependent;
            let remember = nats.iter().any(depends) && !inbound;
            self.mappings.hold(mapping, flow.remote(), remember);
        }
        let answer = target.reversed();
        if let Some((other, way)) = self.table.find(&answer, self.table.hash(&answer)) {
            let known = self.table.get(other);
            if known.is_some_and(|known| self.is_live(ms, &known, way)) {
                // An answer could be either's: nobody takes over another's answers.
                if mapping != NONE {
                    let now = clock::floor(ms);
                    self.mappings.release(mapping, flow.remote(), now);
                }
                return Err(DropReason::Collision.into());
            }
            self.close(ms, other, CloseReason::Expired);
        }
        self.wake_by(clock::milliseconds(flow.expires));
        self.table.insert(&flow).ok_or(DropReason::Policy)?;
        self.tell(|| Event::FlowOpened(FlowInfo::of(&flow)));
        Ok((exit, target))
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
            rule: None,
        };
        let rules = &self.config.rules;
        let matching = |rule: &Rule| rule.matches(from, ingress.ipsec, original);
        // A neighbour by its public name: as the world would reach it (RFC 4787 REQ-9).
        let (address, port) = original.destination;
        let hairpin = kind == Kind::Private && self.nat_of(address).is_some();
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
            (opening.ipsec_only, opening.rule) = (rule.ipsec_only, Some(index));
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
            let nat = self.nat_of(address).ok_or(DropReason::Policy)?;
            let admitted = self.mappings.admit(nat.filtering, original);
            let (index, private): (u32, Endpoint) = admitted.ok_or(DropReason::Policy)?;
            opening.mapping = index;
            opening.target.destination = (IpAddr::V4(private.0), private.1);
        }
        Ok(opening)
    }

    fn make_room(&mut self, ms: u64, user: IpAddr) -> Result<(), DropReason> {
        let limits = self.config.limits;
        if self.table.of_host(user) >= limits.flows_per_host {
            return Err(DropReason::Full);
        }
        if self.table.len() >= limits.flows {
            let oldest = self.table.oldest_unreplied().ok_or(DropReason::Full)?;
            self.close(ms, oldest, CloseReason::Evicted);
        }
        Ok(())
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
