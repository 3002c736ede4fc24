//! A flow's two ends and its state.

use crate::config::Timeouts;
use crate::firewall::user_of;
use crate::hash::Key;
use crate::interface::InterfaceId;
use crate::tcp::Tcp;
use crate::wire::{Packet, Protocol};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

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
        let ports = u64::from(self.protocol.0) << 32
            | u64::from(self.source.1) << 16
            | u64::from(self.destination.1);
        match (self.source.0, self.destination.0) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let addresses =
                    u64::from(source.to_bits()) << 32 | u64::from(destination.to_bits());
                key.hash([addresses, ports])
            }
            (source, destination) => {
                let [a, b] = halves(source);
                let [c, d] = halves(destination);
                key.hash([a, b, c, d, ports])
            }
        }
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

/// Both tuples of a flow, small: IPv6 is not translated.
#[derive(Debug, Clone, Copy)]
enum Ends {
    V4([(Ipv4Addr, u16); 4]),
    V6([(Ipv6Addr, u16); 2]),
}

/// No mapping.
pub(crate) const NONE: u32 = u32::MAX;

#[derive(Debug)]
pub(crate) struct Flow {
    ends: Ends,
    pub(crate) protocol: Protocol,
    /// Whether there was an answer.
    pub(crate) replied: bool,
    /// Whether its rule wants every packet of its direction to come through IPsec.
    pub(crate) ipsec_only: bool,
    /// Whether it was opened from a public interface, to a private host.
    pub(crate) inbound: bool,
    /// Where packets of each direction come in.
    pub(crate) interfaces: [InterfaceId; 2],
    /// The mapping that it uses.
    pub(crate) mapping: u32,
    /// The timer wheel's tick that it waits for.
    pub(crate) armed: u32,
    /// When it is over, in milliseconds of the firewall's time.
    pub(crate) expires: u64,
    pub(crate) tcp: Tcp,
}

impl Flow {
    /// None for tuples of different families.
    pub(crate) fn new(
        original: Tuple,
        reply: Tuple,
        interfaces: [InterfaceId; 2],
        tcp: Tcp,
    ) -> Option<Self> {
        let v4 = |(address, port): (IpAddr, u16)| match address {
            IpAddr::V4(v4) => Some((v4, port)),
            IpAddr::V6(_) => None,
        };
        let v6 = |(address, port): (IpAddr, u16)| match address {
            IpAddr::V6(v6) => Some((v6, port)),
            IpAddr::V4(_) => None,
        };
        let ends = if original.source.0.is_ipv4() {
            Ends::V4([
                v4(original.source)?,
                v4(original.destination)?,
                v4(reply.source)?,
                v4(reply.destination)?,
            ])
        } else {
            Ends::V6([v6(original.source)?, v6(original.destination)?])
        };
        Some(Self {
            ends,
            protocol: original.protocol,
            replied: false,
            ipsec_only: false,
            inbound: false,
            interfaces,
            mapping: NONE,
            armed: 0,
            expires: 0,
            tcp,
        })
    }

    /// As packets of this direction come.
    pub(crate) fn tuple(&self, way: Way) -> Tuple {
        let wrap = |source: (IpAddr, u16), destination: (IpAddr, u16)| Tuple {
            protocol: self.protocol,
            source,
            destination,
        };
        let v4 = |(address, port): (Ipv4Addr, u16)| (IpAddr::V4(address), port);
        let v6 = |(address, port): (Ipv6Addr, u16)| (IpAddr::V6(address), port);
        match (self.ends, way) {
            (Ends::V4([source, destination, ..]), Way::Original)
            | (Ends::V4([_, _, source, destination]), Way::Reply) => {
                wrap(v4(source), v4(destination))
            }
            (Ends::V6([source, destination]), Way::Original)
            | (Ends::V6([destination, source]), Way::Reply) => wrap(v6(source), v6(destination)),
        }
    }

    /// As packets of this direction leave.
    pub(crate) fn target(&self, way: Way) -> Tuple {
        self.tuple(way.other()).reversed()
    }

    /// The user that it counts for: its private end.
    pub(crate) fn host(&self) -> IpAddr {
        user_of(if self.inbound {
            self.target(Way::Original).destination.0
        } else {
            self.tuple(Way::Original).source.0
        })
    }

    /// The other end.
    pub(crate) fn remote(&self) -> IpAddr {
        if self.inbound {
            self.tuple(Way::Original).source.0
        } else {
            self.target(Way::Original).destination.0
        }
    }

    /// How long it lasts from a packet on.
    pub(crate) fn timeout(&self, timeouts: &Timeouts) -> Duration {
        match self.protocol {
            Protocol::UDP => timeouts.udp,
            Protocol::TCP => self.tcp.timeout(timeouts),
            Protocol::ICMP | Protocol::ICMPV6 => timeouts.icmp,
            _ => timeouts.other,
        }
    }
}
