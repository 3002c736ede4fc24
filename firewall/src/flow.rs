//! A flow's two ends and its state.

use crate::clock::{self, Instant8};
use crate::config::Timeouts;
use crate::event::Phase;
use crate::firewall::user_of;
use crate::hash::Key;
use crate::interface::InterfaceId;
use crate::policy::Kind;
use crate::tcp::Tcp;
use crate::wire::{Packet, Protocol};
use std::fmt::Debug;
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

    /// None if one address is of IPv4 and the other of IPv6.
    pub(crate) fn hash(&self, key: Key) -> Option<u64> {
        let v4 = EndsV4::of(self).map(|ends| ends.hash(key, self.protocol));
        v4.or_else(|| EndsV6::of(self).map(|ends| ends.hash(key, self.protocol)))
    }
}

/// Addresses and ports of one family, as [`Ways`](crate::ways::Ways) keeps them.
pub(crate) trait Ends: Copy + Debug {
    /// The source's and the destination's.
    type Addresses: Copy + PartialEq + Debug;
    /// What translation puts in the place of one of them.
    type Address: Copy + Debug;
    const NOWHERE: (Self::Addresses, Self::Address);

    /// None if the tuple is of another family.
    fn of(tuple: &Tuple) -> Option<Self>;
    fn new(addresses: Self::Addresses, ports: u32) -> Self;
    fn addresses(self) -> Self::Addresses;
    /// The source's above the destination's.
    fn ports(self) -> u32;
    fn destination(self) -> IpAddr;
    fn tuple(self, protocol: Protocol) -> Tuple;
    fn hash(self, key: Key, protocol: Protocol) -> u64;

    /// Which end of a packet becomes another, if it is to leave with these ends; none if both.
    fn change(self, leaving: Self) -> Option<(Position, Self::Address, u16)>;
}

/// Of the two ends of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Position {
    Source,
    Destination,
}

/// Of an IPv4 packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EndsV4 {
    /// As they lie in the packet: the source's above the destination's.
    addresses: u64,
    ports: u32,
}

impl EndsV4 {
    /// With another end.
    pub(crate) fn with(self, position: Position, address: u32, port: u16) -> Self {
        // Turned so that it is the lower half: which one it is cannot be foretold.
        let turn = match position {
            Position::Source => 16,
            Position::Destination => 0,
        };
        let addresses = self.addresses.rotate_left(2 * turn) >> 32 << 32 | u64::from(address);
        let ports = self.ports.rotate_left(turn) >> 16 << 16 | u32::from(port);
        Self {
            addresses: addresses.rotate_left(2 * turn),
            ports: ports.rotate_left(turn),
        }
    }

    #[allow(clippy::cast_possible_truncation, reason = "the lower half")]
    fn end(self, position: Position) -> (u32, u16) {
        match position {
            Position::Source => ((self.addresses >> 32) as u32, (self.ports >> 16) as u16),
            Position::Destination => (self.addresses as u32, self.ports as u16),
        }
    }
}

impl Ends for EndsV4 {
    type Addresses = u64;
    type Address = u32;
    const NOWHERE: (u64, u32) = (0, 0);

    fn of(tuple: &Tuple) -> Option<Self> {
        let (IpAddr::V4(source), IpAddr::V4(destination)) = (tuple.source.0, tuple.destination.0)
        else {
            return None;
        };
        let [source, destination] = [source, destination].map(|v4| u64::from(v4.to_bits()));
        Some(Self::new(source << 32 | destination, ports(tuple)))
    }

    fn new(addresses: u64, ports: u32) -> Self {
        Self { addresses, ports }
    }

    fn addresses(self) -> u64 {
        self.addresses
    }

    fn ports(self) -> u32 {
        self.ports
    }

    #[allow(clippy::cast_possible_truncation, reason = "the lower half")]
    fn destination(self) -> IpAddr {
        Ipv4Addr::from_bits(self.addresses as u32).into()
    }

    fn tuple(self, protocol: Protocol) -> Tuple {
        let [source, destination] = [Position::Source, Position::Destination].map(|position| {
            let (address, port) = self.end(position);
            (IpAddr::V4(Ipv4Addr::from_bits(address)), port)
        });
        Tuple {
            protocol,
            source,
            destination,
        }
    }

    fn hash(self, key: Key, protocol: Protocol) -> u64 {
        let ports = u64::from(protocol.0) << 32 | u64::from(self.ports);
        key.hash([self.addresses, ports])
    }

    fn change(self, leaving: Self) -> Option<(Position, u32, u16)> {
        let positions = [Position::Source, Position::Destination];
        positions.into_iter().find_map(|position| {
            let (address, port) = leaving.end(position);
            let changed = self.with(position, address, port);
            (changed == leaving).then_some((position, address, port))
        })
    }
}

/// Of an IPv6 packet, which is not translated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EndsV6 {
    addresses: [Ipv6Addr; 2],
    ports: u32,
}

impl Ends for EndsV6 {
    type Addresses = [Ipv6Addr; 2];
    type Address = ();
    const NOWHERE: ([Ipv6Addr; 2], ()) = ([Ipv6Addr::UNSPECIFIED; 2], ());

    fn of(tuple: &Tuple) -> Option<Self> {
        let (IpAddr::V6(source), IpAddr::V6(destination)) = (tuple.source.0, tuple.destination.0)
        else {
            return None;
        };
        Some(Self::new([source, destination], ports(tuple)))
    }

    fn new(addresses: [Ipv6Addr; 2], ports: u32) -> Self {
        Self { addresses, ports }
    }

    fn addresses(self) -> [Ipv6Addr; 2] {
        self.addresses
    }

    fn ports(self) -> u32 {
        self.ports
    }

    fn destination(self) -> IpAddr {
        let [_, destination] = self.addresses;
        destination.into()
    }

    #[allow(clippy::cast_possible_truncation, reason = "the lower half")]
    fn tuple(self, protocol: Protocol) -> Tuple {
        let [source, destination] = self.addresses.map(IpAddr::V6);
        Tuple {
            protocol,
            source: (source, (self.ports >> 16) as u16),
            destination: (destination, self.ports as u16),
        }
    }

    fn hash(self, key: Key, protocol: Protocol) -> u64 {
        let ports = u64::from(protocol.0) << 32 | u64::from(self.ports);
        let [[a, b], [c, d]] = self.addresses.map(halves);
        key.hash([a, b, c, d, ports])
    }

    fn change(self, _: Self) -> Option<(Position, (), u16)> {
        Some((Position::Source, (), 0))
    }
}

fn ports(tuple: &Tuple) -> u32 {
    u32::from(tuple.source.1) << 16 | u32::from(tuple.destination.1)
}

#[allow(clippy::cast_possible_truncation, reason = "the lower half")]
fn halves(address: Ipv6Addr) -> [u64; 2] {
    let bits = address.to_bits();
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
    pub(crate) const BOTH: [Self; 2] = [Self::Original, Self::Reply];

    pub(crate) fn other(self) -> Self {
        match self {
            Self::Original => Self::Reply,
            Self::Reply => Self::Original,
        }
    }

    /// Of two things, this way's and the other's.
    pub(crate) fn of<T>(self, [original, reply]: [T; 2]) -> (T, T) {
        match self {
            Self::Original => (original, reply),
            Self::Reply => (reply, original),
        }
    }
}

/// No mapping.
pub(crate) const NONE: u32 = u32::MAX;

/// As it is worked with; [`Table`](crate::table::Table) keeps it in pieces.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flow {
    /// As packets of each direction come.
    pub(crate) tuples: [Tuple; 2],
    /// Where they come in, and on which side that is.
    pub(crate) interfaces: [InterfaceId; 2],
    pub(crate) sides: [Kind; 2],
    /// When it is over.
    pub(crate) expires: Instant8,
    /// When it was opened.
    pub(crate) opened: Instant8,
    /// Of TCP.
    pub(crate) tcp: Tcp,
    /// Whether there was an answer.
    pub(crate) replied: bool,
    /// Whether its rule wants every packet of its direction to come through IPsec.
    pub(crate) ipsec_only: bool,
    /// Whether it was opened from a public interface, to a private host.
    pub(crate) inbound: bool,
    /// The mapping that it uses.
    pub(crate) mapping: u32,
    /// The rule that let it in, by its place in the configuration of then.
    pub(crate) rule: Option<u16>,
}

impl Flow {
    /// As packets of this direction come.
    pub(crate) fn tuple(&self, way: Way) -> Tuple {
        way.of(self.tuples).0
    }

    /// As packets of this direction leave.
    pub(crate) fn target(&self, way: Way) -> Tuple {
        self.tuple(way.other()).reversed()
    }

    /// The user that it counts for: its private end.
    pub(crate) fn host(&self) -> IpAddr {
        let way = host_way(self.inbound);
        user_of(self.tuple(way).source.0)
    }

    /// The global address of its private end.
    pub(crate) fn global(&self) -> IpAddr {
        let way = host_way(self.inbound);
        self.target(way).source.0
    }

    /// The other end.
    pub(crate) fn remote(&self) -> IpAddr {
        let way = host_way(self.inbound);
        self.target(way).destination.0
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.tuple(Way::Original).protocol {
            Protocol::TCP => self.tcp.phase(),
            _ if self.replied => Phase::Established,
            _ => Phase::Opening,
        }
    }

    /// When it is over if no packet comes after this one.
    pub(crate) fn end(&self, ms: u64, timeouts: &Timeouts) -> Instant8 {
        let timeout = match self.tuple(Way::Original).protocol {
            Protocol::UDP => timeouts.udp,
            Protocol::TCP => self.tcp.timeout(timeouts),
            Protocol::ICMP | Protocol::ICMPV6 => timeouts.icmp,
            _ => timeouts.other,
        };
        clock::end(ms, timeout)
    }
}

/// Which way the packets of the private end go.
pub(crate) fn host_way(inbound: bool) -> Way {
    if inbound { Way::Reply } else { Way::Original }
}
