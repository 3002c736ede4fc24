//! The short way of most packets: UDP, or TCP that opens and ends nothing, over IPv4 without
//! options and in one piece, of a flow that goes on as it went. It works on integers as the flow
//! keeps them. What differs in anything takes the long way, which would say the same of these.

use crate::event::Ingress;
use crate::firewall::Firewall;
use crate::flow::{Ends, EndsV4};
use crate::interface::InterfaceId;
use crate::process::Route;
use crate::wire::{self, Protocol};
use std::net::IpAddr;
use std::ops::Range;

const IP_HEADER: usize = 20;

/// What a packet's headers say, and the hash of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Glance {
    pub(crate) ends: EndsV4,
    pub(crate) protocol: Protocol,
    /// Of the packet.
    length: u16,
    pub(crate) hash: u64,
}

impl Firewall {
    /// Reads a packet; none if the short way is not for it.
    #[inline]
    pub(crate) fn glance(&self, buf: &[u8], packet: &Range<usize>) -> Option<Glance> {
        let bytes = buf.get(packet.clone())?;
        #[rustfmt::skip]
        let &[
            first, _, l0, l1, _, _, f0, f1, _, protocol, _, _, s0, s1, s2, s3, d0, d1, d2, d3,
            p0, p1, q0, q1, u0, u1, _, _,
        ] = bytes.first_chunk::<28>()?;
        let length = u16::from_be_bytes([l0, l1]);
        // Version 4, no options; neither a fragment's offset nor more to come.
        let plain = first == 0x45 && u16::from_be_bytes([f0, f1]) & 0x3fff == 0;
        if !plain || usize::from(length) > bytes.len() {
            return None;
        }
        let protocol = Protocol(protocol);
        let payload = length.checked_sub(20)?;
        match protocol {
            Protocol::UDP if (8..=payload).contains(&u16::from_be_bytes([u0, u1])) => {}
            Protocol::TCP if payload >= 20 => {}
            _ => return None,
        }
        let ends = EndsV4::new(
            u64::from_be_bytes([s0, s1, s2, s3, d0, d1, d2, d3]),
            u32::from_be_bytes([p0, p1, q0, q1]),
        );
        Some(Glance {
            ends,
            protocol,
            length,
            hash: self.table.hash_v4(ends, protocol),
        })
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
        let (entry, records) = self
            .table
            .find_v4(glance.ends, glance.protocol, glance.hash)?;
        let bytes = buf.get_mut(packet.clone())?;
        let (position, address, port) = entry.translation()?;
        let target = glance.ends.with(position, address, port);
        let destination = IpAddr::V4(target.destination());
        let goes_on = entry.is_usual(ingress.ipsec)
            && entry.came == ingress.interface
            && entry.expires > self.moment.floor
            && self.interfaces.longest(entry.came) != 0
            && !self.interfaces.is_own(destination);
        if !goes_on {
            return None;
        }
        let egress = route(destination)?;
        let expires = match glance.protocol {
            Protocol::TCP => self.moment.tcp_end,
            _ => self.moment.udp_end,
        };
        if self.interfaces.longest_on(entry.leads_to(), egress) < glance.length
            || expires < entry.expires
        {
            return None;
        }
        if glance.protocol == Protocol::TCP {
            let segment = wire::segment(bytes.get(IP_HEADER..glance.length.into())?)?;
            let connection = records.connection_mut(entry.place)?;
            if !connection.goes_on(entry.way(), &segment) {
                return None;
            }
        }
        entry.expires = expires;
        if target != glance.ends {
            wire::rewrite_plain(bytes, glance.protocol, glance.ends, target);
        }
        Some(egress)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Interface, Nat, Rule, RuleAction, Verdict};
    use proptest::prelude::*;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    #[derive(Debug, Clone)]
    struct Step {
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
            (0..3_u8, any::<bool>(), flags, 0..4_u8, 0..60_usize),
            prop::option::of(0..6_usize),
            prop::bool::weighted(0.05),
            any::<bool>(),
            prop::option::weighted(0.1, (0..40_usize, any::<u8>())),
            prop::sample::select(vec![0, 1, 50_000, 70_000, 400_000]),
        );
        let step = step.prop_map(
            |((host, tcp, flags, seq, data), answers, wrong_interface, ipsec, spoilt, later)| {
                Step {
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
        let header = if step.tcp { 40 } else { 28 };
        let length = header + step.data;
        let mut packet = vec![0; length];
        packet[0] = 0x45;
        packet[3] = length as u8;
        packet[8] = 64;
        packet[9] = if step.tcp { 6 } else { 17 };
        packet[12..20].copy_from_slice(&[10, 0, 0, step.host, 203, 0, 113, 5]);
        packet[20..24].copy_from_slice(&[19, 136, 0, 53]);
        if step.tcp {
            packet[27] = step.seq;
            packet[31] = step.seq;
            packet[32] = 0x50;
            packet[33] = step.flags;
            packet[34] = 0x10;
        } else {
            packet[25] = (8 + step.data) as u8;
            // None, right enough, and one that comes out as zero.
            packet[26..28]
                .copy_from_slice(&[[0, 0], [0x12, 0x34], [0xff, 0xff]][step.seq as usize % 3]);
        }
        if let Some(before) = step.answers.and_then(|n| sent.iter().rev().nth(n)) {
            packet[9] = before[9];
            packet[12..16].copy_from_slice(&before[16..20]);
            packet[16..20].copy_from_slice(&before[12..16]);
            packet[20..22].copy_from_slice(&before[22..24]);
            packet[22..24].copy_from_slice(&before[20..22]);
        }
        if let Some((at, byte)) = step.spoilt {
            packet[at % header] = byte;
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
                    let IpAddr::V4(v4) = to else { return None };
                    Some(if v4.octets()[0] == 10 { lan } else { wan })
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
