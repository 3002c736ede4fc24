//! What is let through: zones, rules, and the interfaces they speak of.

use crate::firewall::user_of;
use crate::flow::Tuple;
use crate::wire::Protocol;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

/// Which side of the firewall an interface is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The office, and road warriors once they are in.
    Private,
    /// The internet.
    Public,
}

/// A name for interfaces that rules and translations speak of together: all calls, say, which
/// come and go while the policy stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Group(pub u16);

/// Where a packet came in, as far as a rule or a translation cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scope {
    /// By any interface.
    Any,
    /// By one of this side.
    Side(Kind),
    /// By one of this group.
    Group(Group),
}

impl Scope {
    pub(crate) fn has(self, interface: &Interface) -> bool {
        match self {
            Self::Any => true,
            Self::Side(kind) => interface.kind == kind,
            Self::Group(group) => interface.group == group,
        }
    }
}

/// Addresses that begin with the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

impl Prefix {
    /// The prefix of `address` with `length` bits; more than the family has mean all of them.
    #[must_use]
    pub fn new(address: IpAddr, length: u8) -> Self {
        let length = length.min(if address.is_ipv4() { 32 } else { 128 });
        let address = match address {
            IpAddr::V4(v4) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
                IpAddr::V4((v4.to_bits() & mask).into())
            }
            IpAddr::V6(v6) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
                IpAddr::V6((v6.to_bits() & mask).into())
            }
        };
        Self { address, length }
    }

    /// Bits that its addresses share.
    #[must_use]
    pub fn length(&self) -> u8 {
        self.length
    }

    /// The user that it is, if it is no network of several.
    pub(crate) fn user(&self) -> Option<IpAddr> {
        let one = if self.is_v4() { 32 } else { 64 };
        (self.length >= one).then(|| user_of(self.address))
    }

    pub(crate) fn is_v4(&self) -> bool {
        self.address.is_ipv4()
    }

    /// Whether it has `address`.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.address.is_ipv4() == address.is_ipv4() && Self::new(address, self.length) == *self
    }

    /// Its directed broadcast address and its network address, where packets to everybody on the
    /// link go (RFC 2644); none where there are none (RFC 3021).
    pub(crate) fn everybody(&self) -> Option<[Ipv4Addr; 2]> {
        match self.address {
            IpAddr::V4(v4) if self.length < 31 => {
                let host = u32::MAX >> self.length;
                Some([v4, (v4.to_bits() | host).into()])
            }
            _ => None,
        }
    }
}

impl From<IpAddr> for Prefix {
    /// One address alone.
    fn from(address: IpAddr) -> Self {
        Self::new(address, u8::MAX)
    }
}

/// A rule for packets that begin a flow: the first that matches decides.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Rule {
    /// What to do with a packet that matches.
    pub action: RuleAction,
    /// Where it comes in. Default: from public interfaces.
    pub from: Scope,
    /// IP protocol; any if none.
    pub protocol: Option<Protocol>,
    /// Source address on the wire; any if none.
    pub source: Option<Prefix>,
    /// Destination address on the wire (for what comes from outside, the global one); any if none.
    pub destination: Option<Prefix>,
    /// Destination ports on the wire; any if none.
    pub ports: Option<RangeInclusive<u16>>,
    /// Whether only packets that came through IPsec match; of the flow that they open, too.
    pub ipsec_only: bool,
}

/// What a [`Rule`] does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RuleAction {
    /// Let it through to where it is addressed.
    Allow,
    /// Drop it.
    Deny,
    /// Send it to this private address and port: a port forwarding.
    ForwardTo(Ipv4Addr, u16),
}

impl Rule {
    /// Matches every packet from public interfaces.
    #[must_use]
    pub fn new(action: RuleAction) -> Self {
        Self {
            action,
            from: Scope::Side(Kind::Public),
            protocol: None,
            source: None,
            destination: None,
            ports: None,
            ipsec_only: false,
        }
    }

    /// Matches packets of `protocol` to `port`, from public interfaces: a pinhole.
    #[must_use]
    pub fn pinhole(action: RuleAction, protocol: Protocol, port: u16) -> Self {
        Self {
            protocol: Some(protocol),
            ports: Some(port..=port),
            ..Self::new(action)
        }
    }

    pub(crate) fn matches(&self, from: &Interface, ipsec: bool, tuple: &Tuple) -> bool {
        let (address, port) = tuple.destination;
        self.from.has(from)
            && self.covers(tuple.protocol, address, port)
            && self.source.is_none_or(|p| p.contains(tuple.source.0))
            && (!self.ipsec_only || ipsec)
    }

    /// Whether it is about this destination.
    pub(crate) fn covers(&self, protocol: Protocol, address: IpAddr, port: u16) -> bool {
        self.protocol.is_none_or(|p| p == protocol)
            && self.destination.is_none_or(|p| p.contains(address))
            && self
                .ports
                .as_ref()
                .is_none_or(|ports| ports.contains(&port))
    }
}

/// Where packets come from and go to.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Interface {
    /// Which side it is on.
    pub kind: Kind,
    /// What rules call it. Default: group 0.
    pub group: Group,
    /// The only IPv4 source address that may come from here; any if none. For a road warrior, the
    /// address assigned to it.
    pub only_source: Option<Ipv4Addr>,
    /// Networks behind it. If there are any, nothing else may come from here (nor
    /// [`only_source`](Self::only_source)), and none of them from elsewhere; their directed
    /// broadcasts are dropped. Loopback addresses are nobody's, unless they are among these.
    pub networks: Vec<Prefix>,
    /// The router's own addresses here: packets to them are [`Verdict::Local`](crate::Verdict),
    /// packets from them are dropped.
    pub own: Vec<Ipv4Addr>,
    /// The same for IPv6.
    pub own_v6: Vec<Ipv6Addr>,
    /// What ICMP errors that leave here bear, where the router has no address of its
    /// [`own`](field@Self::own): its system's, say, whose packets come from elsewhere.
    pub error_source: Option<Ipv4Addr>,
    /// Caps TCP's maximum segment size, in bytes, both ways; none to leave it.
    pub mss_clamp: Option<u16>,
    /// The longest IP packet that can leave here, in bytes; any if none. IPv4 without DF is
    /// fragmented, all else is [`Verdict::TooBig`](crate::Verdict).
    pub mtu: Option<u16>,
}

impl Interface {
    /// On the office's side.
    #[must_use]
    pub fn private() -> Self {
        Self {
            kind: Kind::Private,
            group: Group::default(),
            only_source: None,
            networks: Vec::new(),
            own: Vec::new(),
            own_v6: Vec::new(),
            error_source: None,
            mss_clamp: None,
            mtu: None,
        }
    }

    /// On the internet's side.
    #[must_use]
    pub fn public() -> Self {
        Self {
            kind: Kind::Public,
            ..Self::private()
        }
    }

    /// What may come from it, if that is limited.
    pub(crate) fn behind(&self) -> impl Iterator<Item = Prefix> {
        let only = self.only_source.map(|v4| Prefix::from(IpAddr::V4(v4)));
        self.networks.iter().copied().chain(only)
    }

    pub(crate) fn own(&self) -> impl Iterator<Item = IpAddr> {
        let v4 = self.own.iter().copied().map(IpAddr::V4);
        v4.chain(self.own_v6.iter().copied().map(IpAddr::V6))
    }
}
