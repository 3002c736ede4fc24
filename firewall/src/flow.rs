//! A flow's two ends and its state.

use crate::clock::{self, Instant8};
use crate::config::Timeouts;
use crate::event::Phase;
use crate::firewall::user_of;
use crate::hash::Key;
use crate::interface::InterfaceId;
use crate::list::{Link, UNLINKED};
use crate::tcp::{Side, Tcp};
use crate::wire::{Packet, Protocol};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A packet's addresses and ports in the direction it travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Tuple {
    pub(crate) protocol: Protocol,
    pub(crate) source: (IpAddr, u16),
    pub(crate) destination: (IpAddr, u16),
}

impl Tuple {
    pub(crate) fn of(packet: &Packet) -> Self {
        Self {
            protocol: packet.protocol,
            source: (packet.source, packet.source_port),
            destination: (packet.destination, packet.destination_port),
        }
    }

    pub(crate) fn reversed(self) -> Self {
        Self {
            protocol: self.protocol,
            source: self.destination,
            destination: self.source,
        }
    }

    pub(crate) fn hash(&self, key: Key) -> u64 {
        match (self.source.0, self.destination.0) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let ends = Ends {
                    addresses: [source.to_bits(), destination.to_bits()],
                    ports: [self.source.1, self.destination.1],
                };
                ends.hash(key, self.protocol)
            }
            (source, destination) => {
                let ports = u64::from(self.protocol.0) << 32
                    | u64::from(self.source.1) << 16
                    | u64::from(self.destination.1);
                let [a, b] = halves(source);
                let [c, d] = halves(destination);
                key.hash([a, b, c, d, ports])
            }
        }
    }
}

/// Source and destination of an IPv4 packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) addresses: [u32; 2],
    pub(crate) ports: [u16; 2],
}

impl Ends {
    /// As a [`Tuple`]'s.
    pub(crate) fn hash(self, key: Key, protocol: Protocol) -> u64 {
        let [source, destination] = self.addresses.map(u64::from);
        let [from, to] = self.ports.map(u64::from);
        let ports = u64::from(protocol.0) << 32 | from << 16 | to;
        key.hash([source << 32 | destination, ports])
    }
}

#[allow(clippy::cast_possible_truncation, reason = "the lower half")]
fn halves(address: IpAddr) -> [u64; 2] {
    let bits = match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    };
    [(bits >> 64) as u64, bits as u64]
}

/// Which way a packet of a flow goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// As its first packet did.
    Original,
    Reply,
}

impl Way {
    pub(crate) fn index(self) -> usize {
        match self {
            Self::Original => 0,
            Self::Reply => 1,
        }
    }

    pub(crate) fn other(self) -> Self {
        match self {
            Self::Original => Self::Reply,
            Self::Reply => Self::Original,
        }
    }
}

/// No mapping.
pub(crate) const NONE: u32 = u32::MAX;

const LIVE: u8 = 1;
const V6: u8 = 2;
const REPLIED: u8 = 4;
const IPSEC_ONLY: u8 = 8;
const INBOUND: u8 = 16;

/// Two cache lines: what a packet of a known IPv4 flow reads and writes, and the rest.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(128))]
pub(crate) struct Flow {
    /// Source and destination as its first packet came, and as its answers come; IPv6 is not
    /// translated, and has its source here.
    addresses: [u32; 4],
    ports: [u16; 4],
    /// Where packets of each direction come in.
    pub(crate) interfaces: [InterfaceId; 2],
    /// When it is over.
    pub(crate) expires: Instant8,
    sides: [Side; 2],
    tcp_marks: u16,
    pub(crate) protocol: Protocol,
    flags: u8,

    v6_destination: [u32; 4],
    pub(crate) links: [Link; 3],
    /// The mapping that it uses.
    pub(crate) mapping: u32,
    /// Of its user, in the first of the user's flows.
    pub(crate) of_host: u32,
    reopening: (u32, u8),
    /// When it was opened.
    pub(crate) opened: Instant8,
    /// The timer wheel's list that it waits on.
    pub(crate) armed: u16,
    rule: u16,
}

const NO_RULE: u16 = u16::MAX;

impl Default for Flow {
    fn default() -> Self {
        Self {
            addresses: [0; 4],
            ports: [0; 4],
            interfaces: [InterfaceId::LOCAL; 2],
            expires: 0,
            sides: [Side::default(); 2],
            tcp_marks: 0,
            protocol: Protocol(0),
            flags: 0,
            v6_destination: [0; 4],
            links: [UNLINKED; 3],
            mapping: NONE,
            of_host: 0,
            reopening: (0, 0),
            opened: 0,
            armed: 0,
            rule: NO_RULE,
        }
    }
}

impl Flow {
    /// None for tuples of different families.
    pub(crate) fn new(
        original: Tuple,
        reply: Tuple,
        interfaces: [InterfaceId; 2],
        tcp: Tcp,
    ) -> Option<Self> {
        let mut flow = Self {
            ports: [
                original.source.1,
                original.destination.1,
                reply.source.1,
                reply.destination.1,
            ],
            interfaces,
            protocol: original.protocol,
            flags: LIVE,
            ..Self::default()
        };
        match (
            original.source.0,
            original.destination.0,
            reply.source.0,
            reply.destination.0,
        ) {
            (IpAddr::V4(a), IpAddr::V4(b), IpAddr::V4(c), IpAddr::V4(d)) => {
                flow.addresses = [a, b, c, d].map(Ipv4Addr::to_bits);
            }
            (IpAddr::V6(source), IpAddr::V6(destination), ..) => {
                flow.flags |= V6;
                flow.addresses = words(source);
                flow.v6_destination = words(destination);
            }
            _ => return None,
        }
        flow.set_tcp(&tcp);
        Some(flow)
    }

    pub(crate) fn is_live(&self) -> bool {
        self.has(LIVE)
    }

    /// Whether there was an answer.
    pub(crate) fn is_replied(&self) -> bool {
        self.has(REPLIED)
    }

    /// Whether its rule wants every packet of its direction to come through IPsec.
    pub(crate) fn is_ipsec_only(&self) -> bool {
        self.has(IPSEC_ONLY)
    }

    /// Whether it was opened from a public interface, to a private host.
    pub(crate) fn is_inbound(&self) -> bool {
        self.has(INBOUND)
    }

    fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    pub(crate) fn set_replied(&mut self) {
        self.flags |= REPLIED;
    }

    /// What it is, from the rule that let it in or from where it came.
    pub(crate) fn set_origin(&mut self, ipsec_only: bool, inbound: bool, rule: Option<usize>) {
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        self.flags |= flag(ipsec_only, IPSEC_ONLY) | flag(inbound, INBOUND);
        self.rule = rule
            .and_then(|rule| rule.try_into().ok())
            .unwrap_or(NO_RULE);
    }

    /// The rule that let it in, by its place in the configuration of then.
    pub(crate) fn rule(&self) -> Option<usize> {
        (self.rule != NO_RULE).then_some(self.rule.into())
    }

    pub(crate) fn tcp(&self) -> Tcp {
        Tcp::load(self.sides, self.tcp_marks, || self.reopening)
    }

    pub(crate) fn set_tcp(&mut self, tcp: &Tcp) {
        let (sides, marks, reopening) = tcp.store();
        (self.sides, self.tcp_marks) = (sides, marks);
        if let Some(reopening) = reopening {
            self.reopening = reopening;
        }
    }

    /// As packets of this direction come.
    pub(crate) fn tuple(&self, way: Way) -> Tuple {
        let ([a, b, c, d], [p, q, r, s]) = (self.addresses, self.ports);
        let v4 = |bits: u32, port: u16| (IpAddr::V4(Ipv4Addr::from_bits(bits)), port);
        let v6 = |words: [u32; 4], port: u16| (IpAddr::V6(address(words)), port);
        let (source, destination) = match (self.has(V6), way) {
            (false, Way::Original) => (v4(a, p), v4(b, q)),
            (false, Way::Reply) => (v4(c, r), v4(d, s)),
            (true, Way::Original) => (v6(self.addresses, p), v6(self.v6_destination, q)),
            (true, Way::Reply) => (v6(self.v6_destination, r), v6(self.addresses, s)),
        };
        Tuple {
            protocol: self.protocol,
            source,
            destination,
        }
    }

    /// Which way a packet goes, if it is one of this flow.
    pub(crate) fn way_of(&self, tuple: &Tuple) -> Option<Way> {
        if !self.is_live() || tuple.protocol != self.protocol {
            return None;
        }
        let ports = (tuple.source.1, tuple.destination.1);
        let [p, q, r, s] = self.ports;
        let (original, reply) = match (tuple.source.0, tuple.destination.0, self.has(V6)) {
            (IpAddr::V4(source), IpAddr::V4(destination), false) => {
                let ends = (source.to_bits(), destination.to_bits());
                let [a, b, c, d] = self.addresses;
                (ends == (a, b), ends == (c, d))
            }
            (IpAddr::V6(source), IpAddr::V6(destination), true) => {
                let ends = (words(source), words(destination));
                let (a, b) = (self.addresses, self.v6_destination);
                (ends == (a, b), ends == (b, a))
            }
            _ => return None,
        };
        if original && ports == (p, q) {
            Some(Way::Original)
        } else {
            (reply && ports == (r, s)).then_some(Way::Reply)
        }
    }

    /// Which way an IPv4 packet goes, if it is one of this flow.
    pub(crate) fn way_of_v4(&self, ends: Ends, protocol: Protocol) -> Option<Way> {
        if self.flags & (LIVE | V6) != LIVE || protocol != self.protocol {
            return None;
        }
        let [original, reply] = self.ends();
        if ends == original {
            Some(Way::Original)
        } else {
            (ends == reply).then_some(Way::Reply)
        }
    }

    /// Of an IPv4 flow, as packets of each direction come.
    fn ends(&self) -> [Ends; 2] {
        let ([a, b, c, d], [p, q, r, s]) = (self.addresses, self.ports);
        let ends = |addresses, ports| Ends { addresses, ports };
        [ends([a, b], [p, q]), ends([c, d], [r, s])]
    }

    /// Of an IPv4 flow, as packets of this direction leave.
    pub(crate) fn leaving(&self, way: Way) -> Ends {
        let [original, reply] = self.ends();
        let Ends { addresses, ports } = match way {
            Way::Original => reply,
            Way::Reply => original,
        };
        let ([to, from], [to_port, from_port]) = (addresses, ports);
        Ends {
            addresses: [from, to],
            ports: [from_port, to_port],
        }
    }

    /// Hashes of both tuples.
    pub(crate) fn hashes(&self, key: Key) -> [u64; 2] {
        [Way::Original, Way::Reply].map(|way| self.tuple(way).hash(key))
    }

    /// As packets of this direction leave.
    pub(crate) fn target(&self, way: Way) -> Tuple {
        self.tuple(way.other()).reversed()
    }

    /// The user that it counts for: its private end.
    pub(crate) fn host(&self) -> IpAddr {
        user_of(if self.is_inbound() {
            self.target(Way::Original).destination.0
        } else {
            self.tuple(Way::Original).source.0
        })
    }

    /// The global address of its private end.
    pub(crate) fn global(&self) -> IpAddr {
        if self.is_inbound() {
            self.tuple(Way::Original).destination.0
        } else {
            self.target(Way::Original).source.0
        }
    }

    /// The other end.
    pub(crate) fn remote(&self) -> IpAddr {
        if self.is_inbound() {
            self.tuple(Way::Original).source.0
        } else {
            self.target(Way::Original).destination.0
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.protocol {
            Protocol::TCP => self.tcp().phase(),
            _ if self.is_replied() => Phase::Established,
            _ => Phase::Opening,
        }
    }

    /// When it is over if no packet comes after this one.
    pub(crate) fn end(&self, ms: u64, tcp: Option<&Tcp>, timeouts: &Timeouts) -> Instant8 {
        let timeout = match (self.protocol, tcp) {
            (Protocol::UDP, _) => timeouts.udp,
            (_, Some(tcp)) => tcp.timeout(timeouts),
            (Protocol::ICMP | Protocol::ICMPV6, _) => timeouts.icmp,
            _ => timeouts.other,
        };
        clock::end(ms, timeout)
    }
}

fn words(address: Ipv6Addr) -> [u32; 4] {
    let [a, b] = halves(IpAddr::V6(address));
    #[allow(clippy::cast_possible_truncation, reason = "the lower halves")]
    [(a >> 32) as u32, a as u32, (b >> 32) as u32, b as u32]
}

fn address(words: [u32; 4]) -> Ipv6Addr {
    let bits = words
        .into_iter()
        .fold(0, |bits, word| bits << 32 | u128::from(word));
    Ipv6Addr::from_bits(bits)
}

/// A flow's first line is full, and its second is the last.
const _: () = assert!(size_of::<Flow>() == 128 && std::mem::offset_of!(Flow, v6_destination) == 64);
