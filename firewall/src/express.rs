//! The short way of most packets: UDP, or TCP that opens and ends nothing, behind a plain IP header
//! and in one piece, of a flow that goes on as it went. It works on integers as the flow's entry
//! keeps them. What differs in anything takes the long way, which would say the same of these.

use crate::event::Ingress;
use crate::firewall::Firewall;
use crate::flow::{Ends, EndsV4, EndsV6};
use crate::interface::InterfaceId;
use crate::process::Route;
use crate::record::Records;
use crate::table::Table;
use crate::ways::{Entry, Ways};
use crate::wire::{self, Protocol};
use std::ops::Range;

/// What a packet's headers say.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Glance {
    V4(Plain<EndsV4>),
    V6(Plain<EndsV6>),
}

/// The same, of one family.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plain<E> {
    pub(crate) ends: E,
    pub(crate) protocol: Protocol,
    /// Of the packet.
    length: usize,
    pub(crate) hash: u64,
}

impl Glance {
    pub(crate) fn hash(&self) -> u64 {
        match self {
            Self::V4(plain) => plain.hash,
            Self::V6(plain) => plain.hash,
        }
    }
}

impl<E: Family> Plain<E> {
    /// UDP or TCP behind a plain header that says this.
    #[inline(always)]
    fn new(
        table: &Table,
        bytes: &[u8],
        addresses: E::Addresses,
        protocol: u8,
        payload: usize,
    ) -> Option<Self> {
        let &[p0, p1, q0, q1, u0, u1] = bytes.get(E::HEADER..)?.first_chunk()?;
        let protocol = Protocol(protocol);
        let fits = match protocol {
            Protocol::UDP => (8..=payload).contains(&u16::from_be_bytes([u0, u1]).into()),
            Protocol::TCP => payload >= 20,
            _ => false,
        };
        let length = E::HEADER + payload;
        if !fits || length > bytes.len() {
            return None;
        }
        let ends = E::new(addresses, u32::from_be_bytes([p0, p1, q0, q1]));
        Some(Self {
            ends,
            protocol,
            length,
            hash: table.hash_of(ends, protocol),
        })
    }
}

impl Firewall {
    /// Reads a packet; none if the short way is not for it.
    #[inline]
    pub(crate) fn glance(&self, buf: &[u8], packet: &Range<usize>) -> Option<Glance> {
        let bytes = buf.get(packet.clone())?;
        match bytes.first()? {
            // No options.
            0x45 => self.glance_v4(bytes).map(Glance::V4),
            0x60..=0x6f => self.glance_v6(bytes).map(Glance::V6),
            _ => None,
        }
    }

    #[inline(always)]
    fn glance_v4(&self, bytes: &[u8]) -> Option<Plain<EndsV4>> {
        #[rustfmt::skip]
        let &[
            _, _, l0, l1, _, _, f0, f1, _, protocol, _, _, s0, s1, s2, s3, d0, d1, d2, d3,
        ] = bytes.first_chunk()?;
        // Neither a fragment's offset nor more to come.
        if u16::from_be_bytes([f0, f1]) & 0x3fff != 0 {
            return None;
        }
        let payload = usize::from(u16::from_be_bytes([l0, l1])).checked_sub(EndsV4::HEADER)?;
        let addresses = u64::from_be_bytes([s0, s1, s2, s3, d0, d1, d2, d3]);
        Plain::new(&self.table, bytes, addresses, protocol, payload)
    }

    fn glance_v6(&self, bytes: &[u8]) -> Option<Plain<EndsV6>> {
        let (&[_, _, _, _, l0, l1, protocol, _], rest) = bytes.split_first_chunk()?;
        let (source, rest) = rest.split_first_chunk::<16>()?;
        let destination = rest.first_chunk::<16>()?;
        let addresses = [*source, *destination].map(Into::into);
        let payload = u16::from_be_bytes([l0, l1]).into();
        Plain::new(&self.table, bytes, addresses, protocol, payload)
    }

    /// Translates a packet in place, if its flow goes on, and tells where it leaves; else nothing
    /// has changed.
    #[inline(always)]
    pub(crate) fn pass(
        &mut self,
        ingress: Ingress,
        buf: &mut [u8],
        packet: &Range<usize>,
        glance: &Glance,
        route: Route<'_>,
    ) -> Option<InterfaceId> {
        let bytes = buf.get_mut(packet.clone())?;
        match glance {
            Glance::V4(plain) => self.pass_plain(ingress, bytes, plain, route),
            Glance::V6(plain) => self.pass_plain(ingress, bytes, plain, route),
        }
    }

    #[inline(always)]
    fn pass_plain<E: Family>(
        &mut self,
        ingress: Ingress,
        bytes: &mut [u8],
        plain: &Plain<E>,
        route: Route<'_>,
    ) -> Option<InterfaceId> {
        let (ways, records) = E::ways(&mut self.table);
        let entry = ways.find_mut(plain.hash, plain.ends, plain.protocol)?;
        let target = plain.ends.leaving(entry)?;
        let destination = target.destination();
        let goes_on = entry.is_usual(ingress.ipsec)
            && entry.came == ingress.interface
            && entry.expires > self.moment.floor
            && self.interfaces.longest(entry.came) != 0
            && !self.interfaces.is_own(destination);
        if !goes_on {
            return None;
        }
        // Another interface of the same side is as good; which one a flow leads to, the long way
        // learns from the first answer.
        let egress = route(destination)?;
        let longest = self.interfaces.longest_on(entry.leads_to(), egress);
        let expires = match plain.protocol {
            Protocol::TCP => self.moment.tcp_end,
            _ => self.moment.udp_end,
        };
        if usize::from(longest) < plain.length || expires < entry.expires {
            return None;
        }
        if plain.protocol == Protocol::TCP {
            let segment = wire::segment(bytes.get(E::HEADER..plain.length)?)?;
            let connection = records.connection_mut(entry.place)?;
            if !connection.goes_on(entry.way(), &segment) {
                return None;
            }
        }
        entry.expires = expires;
        plain.ends.rewrite(target, bytes, plain.protocol);
        Some(egress)
    }
}

/// What is different for IPv4 and IPv6.
pub(crate) trait Family: Ends {
    /// Bytes of the IP header.
    const HEADER: usize;

    fn ways(table: &mut Table) -> (&mut Ways<Self>, &mut Records);

    /// How a packet with these ends leaves; none if the short way cannot do that.
    fn leaving(self, entry: &Entry<Self>) -> Option<Self>;
    fn rewrite(self, target: Self, bytes: &mut [u8], protocol: Protocol);
}

impl Family for EndsV4 {
    const HEADER: usize = 20;

    fn ways(table: &mut Table) -> (&mut Ways<Self>, &mut Records) {
        table.v4()
    }

    #[inline(always)]
    fn leaving(self, entry: &Entry<Self>) -> Option<Self> {
        let (position, address, port) = entry.translation()?;
        Some(self.with(position, address, port))
    }

    #[inline(always)]
    fn rewrite(self, target: Self, bytes: &mut [u8], protocol: Protocol) {
        if self != target {
            wire::rewrite_plain(bytes, protocol, self, target);
        }
    }
}

impl Family for EndsV6 {
    const HEADER: usize = 40;

    fn ways(table: &mut Table) -> (&mut Ways<Self>, &mut Records) {
        table.v6()
    }

    fn leaving(self, _: &Entry<Self>) -> Option<Self> {
        Some(self)
    }

    /// It is not translated.
    fn rewrite(self, _: Self, _: &mut [u8], _: Protocol) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Interface, Nat, Rule, RuleAction, Verdict};
    use proptest::prelude::*;
    use std::net::IpAddr;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    #[derive(Debug, Clone)]
    struct Step {
        v6: bool,
        host: u8,
        tcp: bool,
        flags: u8,
        seq: u8,
        data: usize,
        /// Swapped ends of what left before, as many packets ago.
        answers: Option<usize>,
        wrong_interface: bool,
        ipsec: bool,
        /// A byte of the headers that is another.
        spoilt: Option<(usize, u8)>,
        later: u64,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let flags = prop::sample::select(vec![0x02, 0x12, 0x10, 0x10, 0x10, 0x18, 0x11, 0x04]);
        let step = (
            any::<bool>(),
            (0..3_u8, any::<bool>(), flags, 0..4_u8, 0..60_usize),
            prop::option::of(0..6_usize),
            prop::bool::weighted(0.05),
            any::<bool>(),
            prop::option::weighted(0.1, (0..60_usize, any::<u8>())),
            prop::sample::select(vec![0, 1, 50_000, 70_000, 400_000]),
        );
        let step = step.prop_map(
            |(
                v6,
                (host, tcp, flags, seq, data),
                answers,
                wrong_interface,
                ipsec,
                spoilt,
                later,
            )| {
                Step {
                    v6,
                    host,
                    tcp,
                    flags,
                    seq,
                    data,
                    answers,
                    wrong_interface,
                    ipsec,
                    spoilt,
                    later,
                }
            },
        );
        prop::collection::vec(step, 1..80)
    }

    fn packet(step: &Step, sent: &[Vec<u8>]) -> Vec<u8> {
        let mut transport = [0_u8; 20][..if step.tcp { 20 } else { 8 }].to_vec();
        transport[..4].copy_from_slice(&[19, 136, 0, 53]);
        if step.tcp {
            transport[7] = step.seq;
            transport[11] = step.seq;
            transport[12..15].copy_from_slice(&[0x50, step.flags, 0x10]);
        } else {
            transport[5] = (8 + step.data) as u8;
            // None, right enough, and one that comes out as zero.
            transport[6..]
                .copy_from_slice(&[[0, 0], [0x12, 0x34], [0xff, 0xff]][step.seq as usize % 3]);
        }
        transport.resize(transport.len() + step.data, 0);
        let protocol = if step.tcp { 6 } else { 17 };
        let length = transport.len() as u8;
        let mut packet = if step.v6 {
            let mut header = [0; 40];
            (header[0], header[5], header[6], header[7]) = (0x60, length, protocol, 64);
            (header[8], header[23]) = (0x20, step.host);
            (header[24], header[39]) = (0x21, 5);
            header.to_vec()
        } else {
            let mut header = [0; 20];
            (header[0], header[3], header[8], header[9]) = (0x45, 20 + length, 64, protocol);
            header[12..].copy_from_slice(&[10, 0, 0, step.host, 203, 0, 113, 5]);
            header.to_vec()
        };
        packet.extend(transport);
        let same = |other: &&Vec<u8>| other[0] == packet[0];
        if let Some(before) = step
            .answers
            .and_then(|n| sent.iter().rev().filter(same).nth(n))
        {
            // Protocol, addresses and ports.
            let (protocol, [source, destination, ports]) = match step.v6 {
                true => (6, [8, 24, 40]),
                false => (9, [12, 16, 20]),
            };
            let address = destination - source;
            packet[protocol] = before[protocol];
            for (to, from, bytes) in [
                (source, destination, address),
                (destination, source, address),
                (ports, ports + 2, 2),
                (ports + 2, ports, 2),
            ] {
                packet[to..to + bytes].copy_from_slice(&before[from..from + bytes]);
            }
        }
        if let Some((at, byte)) = step.spoilt {
            let headers = packet.len() - step.data;
            packet[at % headers] = byte;
        }
        packet
    }

    proptest! {
        /// The short way says what the long one says, and leaves the same packet and state.
        #[test]
        fn equals_the_long_way(steps in steps(), mtu in prop::option::of(60..90_u16)) {
            let make = || {
                let forward = RuleAction::ForwardTo([10, 0, 0, 1].into(), 53);
                let mut rule = Rule::pinhole(forward, Protocol::UDP, 7);
                rule.ipsec_only = true;
                let config = Config {
                    nat: vec![Nat::new([198, 51, 100, 2].into())],
                    rules: vec![rule],
                    ..Config::default()
                };
                let rng = Box::new(simnet::seeded(1));
                let mut firewall = Firewall::new(Arc::new(config), rng).unwrap();
                let lan = firewall.add_interface(Interface::private());
                let mut public = Interface::public();
                public.mtu = mtu;
                let wan = firewall.add_interface(public);
                (firewall, lan, wan)
            };
            let ((mut short, lan, wan), (mut long, ..)) = (make(), make());
            #[allow(clippy::disallowed_methods, reason = "a test's start")]
            let mut now = Instant::now();
            let mut sent = Vec::new();
            for step in steps {
                now += Duration::from_millis(step.later);
                let mut one = packet(&step, &sent);
                let mut two = one.clone();
                let inside = step.answers.is_none() != step.wrong_interface;
                let ingress = Ingress { interface: if inside { lan } else { wan }, ipsec: step.ipsec };
                let route = |to: IpAddr| {
                    let inside = match to {
                        IpAddr::V4(v4) => v4.octets()[0] == 10,
                        IpAddr::V6(v6) => v6.octets()[0] == 0x20,
                    };
                    Some(if inside { lan } else { wan })
                };
                let range = 0..one.len();
                let verdict = short.process(now, ingress, &mut one, range.clone(), &route);
                long.advance(now);
                let mut seen = long.see(&two, &range);
                let expected = long.judge(ingress, &mut two, range, seen.as_mut(), &route);
                prop_assert_eq!(&verdict, &expected);
                prop_assert_eq!(&one, &two);
                prop_assert_eq!(short.poll_timeout(), long.poll_timeout());
                if matches!(verdict, Verdict::Forward { .. }) {
                    sent.push(one);
                }
            }
            prop_assert_eq!(short.drops(), long.drops());
            let flows = |firewall: &Firewall| firewall.flows().map(|f| format!("{f:?}")).collect::<Vec<_>>();
            prop_assert_eq!(flows(&short), flows(&long));
        }
    }
}
