//! A flow's two ends and its state.

use crate::clock::{self, Instant8};
use crate::config::Timeouts;
use crate::event::Phase;
use crate::firewall::user_of;
use crate::hash::Key;
use crate::interface::InterfaceId;
use crate::list::{Link, UNLINKED};
use crate::tcp::{self, Side, Tcp};
use crate::wire::{Packet, Protocol, Segment};
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
                Ends::new(source, self.source.1, destination, self.destination.1)
                    .hash(key, self.protocol)
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

/// Source and destination of an IPv4 packet, as they lie in it: the source above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) addresses: u64,
    pub(crate) ports: u32,
}

impl Ends {
    fn new(source: Ipv4Addr, from: u16, destination: Ipv4Addr, to: u16) -> Self {
        Self {
            addresses: u64::from(source.to_bits()) << 32 | u64::from(destination.to_bits()),
            ports: u32::from(from) << 16 | u32::from(to),
        }
    }

    /// Of the destination.
    #[allow(clippy::cast_possible_truncation, reason = "the lower half")]
    pub(crate) fn destination(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.addresses as u32)
    }

    /// As a [`Tuple`]'s.
    pub(crate) fn hash(self, key: Key, protocol: Protocol) -> u64 {
        let ports = u64::from(protocol.0) << 32 | u64::from(self.ports);
        key.hash([self.addresses, ports])
    }

    /// Source for destination.
    pub(crate) fn reversed(self) -> Self {
        Self {
            addresses: self.addresses.rotate_left(32),
            ports: self.ports.rotate_left(16),
        }
    }

    #[allow(clippy::cast_possible_truncation, reason = "halves")]
    fn split(self) -> [(IpAddr, u16); 2] {
        let end = |address: u64, port: u32| {
            let address = Ipv4Addr::from_bits(address as u32);
            (IpAddr::V4(address), port as u16)
        };
        [
            end(self.addresses >> 32, self.ports >> 16),
            end(self.addresses, self.ports),
        ]
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
    /// [`Ends`] as its first packet came, and as its answers come; IPv6 is not translated, and has
    /// its source here.
    addresses: [u64; 2],
    ports: [u32; 2],
    /// Where packets of each direction come in.
    pub(crate) interfaces: [InterfaceId; 2],
    /// When it is over.
    pub(crate) expires: Instant8,
    sides: [Side; 2],
    tcp_marks: u16,
    pub(crate) protocol: Protocol,
    flags: u8,

    v6_destination: [u64; 2],
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
            addresses: [0; 2],
            ports: [0; 2],
            interfaces: [InterfaceId::LOCAL; 2],
            expires: 0,
            sides: [Side::default(); 2],
            tcp_marks: 0,
            protocol: Protocol(0),
            flags: 0,
            v6_destination: [0; 2],
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
        let ports = |tuple: Tuple| u32::from(tuple.source.1) << 16 | u32::from(tuple.destination.1);
        let mut flow = Self {
            ports: [ports(original), ports(reply)],
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
                flow.addresses = [(a, b), (c, d)].map(|(a, b)| Ends::new(a, 0, b, 0).addresses);
            }
            (IpAddr::V6(source), IpAddr::V6(destination), ..) => {
                flow.flags |= V6;
                flow.addresses = halves(source.into());
                flow.v6_destination = halves(destination.into());
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

    /// Whether a segment goes on in a connection that is up, as most do; takes note of it if so.
    pub(crate) fn goes_on(&mut self, way: Way, segment: &Segment) -> bool {
        tcp::goes_on(&mut self.sides, self.tcp_marks, way, segment)
    }

    /// As packets of this direction come.
    pub(crate) fn tuple(&self, way: Way) -> Tuple {
        let [mut source, mut destination] = self.ends(way).split();
        if self.has(V6) {
            let (from, to) = match way {
                Way::Original => (self.addresses, self.v6_destination),
                Way::Reply => (self.v6_destination, self.addresses),
            };
            (source.0, destination.0) = (address(from).into(), address(to).into());
        }
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
        let (from, to) = (tuple.source.1, tuple.destination.1);
        match (tuple.source.0, tuple.destination.0, self.has(V6)) {
            (IpAddr::V4(source), IpAddr::V4(destination), false) => {
                self.way_of_v4(Ends::new(source, from, destination, to), tuple.protocol)
            }
            (IpAddr::V6(_), IpAddr::V6(_), true) => {
                let ways = [Way::Original, Way::Reply];
                ways.into_iter().find(|way| self.tuple(*way) == *tuple)
            }
            _ => None,
        }
    }

    /// Which way an IPv4 packet goes, if it is one of this flow.
    pub(crate) fn way_of_v4(&self, ends: Ends, protocol: Protocol) -> Option<Way> {
        if self.flags & (LIVE | V6) != LIVE || protocol != self.protocol {
            return None;
        }
        if ends == self.ends(Way::Original) {
            Some(Way::Original)
        } else {
            (ends == self.ends(Way::Reply)).then_some(Way::Reply)
        }
    }

    /// Of an IPv4 flow, as packets of this direction come.
    fn ends(&self, way: Way) -> Ends {
        let ([original, reply], [ports, reply_ports]) = (self.addresses, self.ports);
        let (addresses, ports) = match way {
            Way::Original => (original, ports),
            Way::Reply => (reply, reply_ports),
        };
        Ends { addresses, ports }
    }

    /// Of an IPv4 flow, as packets of this direction leave.
    pub(crate) fn leaving(&self, way: Way) -> Ends {
        self.ends(way.other()).reversed()
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
            (Protocol::TCP, Some(tcp)) => tcp.timeout(timeouts),
            (Protocol::ICMP | Protocol::ICMPV6, _) => timeouts.icmp,
            _ => timeouts.other,
        };
        clock::end(ms, timeout)
    }
}

fn address([high, low]: [u64; 2]) -> Ipv6Addr {
    Ipv6Addr::from_bits(u128::from(high) << 64 | u128::from(low))
}

/// A flow's first line is full, and its second is the last.
const _: () = assert!(size_of::<Flow>() == 128 && std::mem::offset_of!(Flow, v6_destination) == 64);
