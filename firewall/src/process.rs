//! A packet's way through the firewall.

use crate::clock;
use crate::errors::translate;
use crate::event::{CloseReason, DropReason, Ingress, Verdict};
use crate::firewall::Firewall;
use crate::flow::{Flow, Tuple, Way};
use crate::fragments::{self, Step};
use crate::interface::InterfaceId;
use crate::policy::{Interface, Kind};
use crate::wire::{self, Body, Extent, Malformed, Packet};
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

/// What becomes of a packet that is not dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Forward(InterfaceId),
    Local,
    Queued,
}

/// Why one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Drop(DropReason),
    TooBig(u16),
}

impl From<DropReason> for Refusal {
    fn from(reason: DropReason) -> Self {
        Self::Drop(reason)
    }
}

/// Tells which interface leads to an address.
pub(crate) type Route<'a> = &'a dyn Fn(IpAddr) -> Option<InterfaceId>;

/// Where a packet leaves.
#[derive(Clone, Copy)]
pub(crate) struct Exit {
    /// None if it is for the router itself.
    pub(crate) interface: Option<InterfaceId>,
    /// TCP's maximum segment size there.
    mss_clamp: Option<u16>,
    /// Its MTU, if the packet has to be cut for it.
    cut: Option<u16>,
}

impl Exit {
    const LOCAL: Self = Self {
        interface: None,
        mss_clamp: None,
        cut: None,
    };
}

/// A packet, read, and its tuple with the hash of it.
#[derive(Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) view: Packet,
    pub(crate) tuple: Tuple,
    pub(crate) hash: u64,
}

impl Firewall {
    /// Judges the IP packet at `packet` in `buf`, and translates it in place. What is dropped is
    /// left as it was.
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
        self.advance(now);
        if let Some(glance) = self.glance(buf, &packet)
            && let Some(egress) = self.pass(ingress, buf, &packet, &glance, route)
        {
            return Verdict::Forward { egress, packet };
        }
        let mut seen = self.see(buf, &packet);
        self.judge(ingress, buf, packet, seen.as_mut(), route)
    }

    /// Reads a packet.
    pub(crate) fn see(&self, buf: &[u8], packet: &Range<usize>) -> Result<Seen, Malformed> {
        let bytes = buf.get(packet.clone()).ok_or(Malformed::Header)?;
        let view = Packet::parse(bytes, Extent::Whole)?;
        let tuple = Tuple::of(&view);
        let hash = self.table.hash(&tuple);
        Ok(Seen { view, tuple, hash })
    }

    pub(crate) fn judge(
        &mut self,
        ingress: Ingress,
        buf: &mut [u8],
        packet: Range<usize>,
        seen: Result<&mut Seen, &mut Malformed>,
        route: Route<'_>,
    ) -> Verdict {
        let ms = self.moment.ms;
        let judged = match (seen, buf.get_mut(packet.clone())) {
            (Ok(seen), Some(bytes)) => match seen.view.fragment {
                None => self
                    .judge_whole(ms, ingress, bytes, seen, route)
                    .map(|exit| self.leave(bytes, &seen.view, exit)),
                Some(fragment) => self.judge_fragment(ms, ingress, bytes, seen, fragment, route),
            },
            (Err(malformed), _) => Err(DropReason::from(*malformed).into()),
            (_, None) => Err(DropReason::Malformed.into()),
        };
        match judged {
            Ok(Outcome::Forward(egress)) => Verdict::Forward { egress, packet },
            Ok(Outcome::Local) => Verdict::Local { packet },
            Ok(Outcome::Queued) => Verdict::Queued,
            Err(Refusal::TooBig(mtu)) => {
                self.count(DropReason::TooBig);
                Verdict::TooBig { mtu }
            }
            Err(Refusal::Drop(reason)) => {
                self.count(reason);
                Verdict::Drop(reason)
            }
        }
    }

    fn judge_whole(
        &mut self,
        ms: u64,
        ingress: Ingress,
        bytes: &mut [u8],
        seen: &mut Seen,
        route: Route<'_>,
    ) -> Result<Exit, Refusal> {
        let view = &mut seen.view;
        let from = self.interfaces.get(ingress.interface);
        let from = from.ok_or(DropReason::NoInterface)?;
        let (kind, clamp) = (from.kind, from.mss_clamp);
        match view.body {
            Body::Error { .. } => {
                self.check_source(from, view)?;
                return self.judge_error(ms, kind, bytes, view, route);
            }
            Body::LinkLocal => return link_local(view),
            _ => {}
        }
        let known = self.table.find(&seen.tuple, seen.hash);
        let known = match known {
            Some(found) => self.judge_known(ms, (ingress, kind), found, view, route)?,
            None => None,
        };
        let (exit, target) = match known {
            Some(known) => known,
            None => {
                let from = self.interfaces.get(ingress.interface);
                let from = from.ok_or(DropReason::NoInterface)?;
                self.check_source(from, view)?;
                if is_for_all(view.destination) {
                    // A router may answer on a private link: DHCP, IGMP.
                    return match kind {
                        Kind::Private => Ok(Exit::LOCAL),
                        Kind::Public => Err(DropReason::Broadcast.into()),
                    };
                }
                self.open(ms, ingress, view, route)?
            }
        };
        translate(bytes, view, &target);
        if let Some(most) = [clamp, exit.mss_clamp].into_iter().flatten().min() {
            wire::clamp_mss(bytes, view, most);
        }
        Ok(exit)
    }

    /// Whether a flow goes on: not over, and still between interfaces that there are.
    pub(crate) fn is_live(&self, ms: u64, flow: &Flow, way: Way) -> bool {
        let (_, led_to) = way.of(flow.interfaces);
        flow.expires > clock::floor(ms) && self.interfaces.kind(led_to).is_some()
    }

    /// A packet of a known flow: no allocation from here on. None if the flow is over.
    fn judge_known(
        &mut self,
        ms: u64,
        (ingress, kind): (Ingress, Kind),
        (index, way): (u32, Way),
        view: &Packet,
        route: Route<'_>,
    ) -> Result<Option<(Exit, Tuple)>, Refusal> {
        let gone = DropReason::NoInterface;
        let mut flow = self.table.get(index).ok_or(gone)?;
        if !self.is_live(ms, &flow, way) {
            self.close(ms, index, CloseReason::Expired);
            return Ok(None);
        }
        let (came, led_to) = way.of(flow.interfaces);
        if came != ingress.interface {
            // The same side, another interface: somebody moved, or pretends to be somebody.
            if self.interfaces.kind(came).is_some_and(|side| side != kind) {
                return Err(DropReason::Spoofed.into());
            }
            let from = self.interfaces.get(ingress.interface).ok_or(gone)?;
            if came != InterfaceId::LOCAL {
                self.check_source(from, view)?;
            }
        }
        if flow.ipsec_only && way == Way::Original && !ingress.ipsec {
            return Err(DropReason::NotIpsec.into());
        }
        let target = flow.target(way);
        let exit = self.egress(target.destination.0, view, route)?;
        let moved = exit.interface.filter(|egress| *egress != led_to);
        let sides = moved.map(|egress| [egress, led_to].map(|id| self.interfaces.kind(id)));
        if sides.is_some_and(|[now, before]| now != before) {
            return Err(DropReason::NoRoute.into());
        }
        if let Body::Tcp(segment) = view.body
            && !flow.tcp.accept(way, &segment)
        {
            return Err(DropReason::OutOfWindow.into());
        }
        let (here, there) = way.of(flow.interfaces.each_mut());
        let (side, _) = way.of(flow.sides.each_mut());
        if came != InterfaceId::LOCAL {
            (*here, *side) = (ingress.interface, kind);
        }
        *there = moved.unwrap_or(led_to);
        let before = flow.expires;
        flow.expires = flow.end(ms, &self.config.timeouts);
        let answered = way == Way::Reply && !flow.replied;
        flow.replied |= answered;
        self.table.update(index, &flow);
        if answered {
            self.table.replied(index);
        }
        if flow.expires < before {
            self.table.rearm(index, flow.expires);
            self.wake_by(clock::milliseconds(flow.expires));
        }
        Ok(Some((exit, target)))
    }

    /// Sources that cannot be (BCP 38, LAND).
    pub(crate) fn check_source(&self, from: &Interface, view: &Packet) -> Result<(), DropReason> {
        let source = view.source;
        // On no wire (RFC 1122 section 3.2.1.3), unless an interface says so.
        let inward = |a: IpAddr| a.is_loopback() && !self.interfaces.is_behind_any(a);
        let nowhere = match (source, view.destination) {
            _ if inward(source) || inward(view.destination) => true,
            (IpAddr::V4(v4), _) => {
                let [first, ..] = v4.octets();
                v4.is_broadcast() || first == 0
            }
            // An IPv4 address in IPv6's clothes (RFC 4942 section 2.2).
            (IpAddr::V6(v6), IpAddr::V6(to)) => {
                v6.is_unspecified()
                    || v6.to_ipv4_mapped().is_some()
                    || to.to_ipv4_mapped().is_some()
            }
            _ => true,
        };
        let global = from.kind == Kind::Public && self.nat_of(source).is_some();
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
        &self,
        destination: IpAddr,
        view: &Packet,
        route: Route<'_>,
    ) -> Result<Exit, Refusal> {
        if self.interfaces.is_own(destination) {
            return Ok(Exit::LOCAL);
        }
        let unicast_link = matches!(destination, IpAddr::V6(v6) if v6.is_unicast_link_local());
        if unicast_link {
            return Err(DropReason::LinkLocal.into());
        }
        let id = route(destination).ok_or(DropReason::NoRoute)?;
        let to = self.interfaces.get(id).ok_or(DropReason::NoRoute)?;
        let exceeded = to.mtu.filter(|mtu| view.length() > usize::from(*mtu));
        match exceeded {
            Some(mtu) if view.whole_only => Err(Refusal::TooBig(mtu)),
            _ => Ok(Exit {
                interface: Some(id),
                mss_clamp: to.mss_clamp,
                cut: exceeded,
            }),
        }
    }

    /// Fragments follow their first one; it is judged as the whole packet.
    fn judge_fragment(
        &mut self,
        ms: u64,
        ingress: Ingress,
        bytes: &mut [u8],
        seen: &mut Seen,
        fragment: wire::Fragment,
        route: Route<'_>,
    ) -> Result<Outcome, Refusal> {
        let view = &mut seen.view;
        let from = self.interfaces.get(ingress.interface);
        let from = from.ok_or(DropReason::NoInterface)?;
        self.check_source(from, view)?;
        let config = Arc::clone(&self.config);
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
                let judged = self.judge_whole(ms, ingress, bytes, seen, route);
                let view = &mut seen.view;
                let exit = match judged {
                    Ok(exit) => exit,
                    Err(refusal) => {
                        self.fragments.refuse(ms, id, &config);
                        return Err(refusal);
                    }
                };
                let translated =
                    view.is_v4() && (view.source, view.destination) != (source, destination);
                if translated {
                    self.identification = self.identification.wrapping_add(1);
                }
                let way = fragments::Way {
                    egress: exit.interface,
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
        let mtu = way.egress.and_then(|id| self.interfaces.get(id)?.mtu);
        let exit = Exit {
            interface: way.egress,
            cut: mtu.filter(|mtu| view.length() > usize::from(*mtu) && !view.whole_only),
            ..Exit::LOCAL
        };
        self.leave(bytes, view, exit)
    }

    fn release(&mut self, held: &mut [u8], way: fragments::Way) {
        let Ok(mut view) = Packet::parse(held, Extent::Whole) else {
            return;
        };
        if self.follow(held, &mut view, way) != Outcome::Queued {
            self.transmit(way.egress, held.to_vec());
        }
    }

    /// Cuts what is too long for the link.
    fn leave(&mut self, bytes: &[u8], view: &Packet, exit: Exit) -> Outcome {
        let Some(id) = exit.interface else {
            return Outcome::Local;
        };
        let Some(mtu) = exit.cut else {
            return Outcome::Forward(id);
        };
        for piece in wire::fragment(bytes, view, mtu) {
            self.transmit(Some(id), piece);
        }
        Outcome::Queued
    }
}

/// Neighbour discovery and multicast listeners are for the router itself, and only from a
/// neighbour (RFC 4861 section 6.1, RFC 3810 section 5.1.14); ICMP redirects are for nobody.
fn link_local(view: &Packet) -> Result<Exit, Refusal> {
    let neighbour = matches!(view.hop_limit, 1 | 255) && !view.is_v4();
    let here = match view.destination {
        IpAddr::V6(v6) => v6.is_multicast() || v6.is_unicast_link_local() || view.hop_limit == 255,
        IpAddr::V4(_) => false,
    };
    if neighbour && here {
        Ok(Exit::LOCAL)
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
