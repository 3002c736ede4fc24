//! What the owner is told.

use crate::flow::{Flow, Way};
use crate::interface::InterfaceId;
use crate::wire::{Malformed, Protocol};
use std::net::SocketAddr;
use std::time::Instant;

/// How a packet came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ingress {
    /// From where.
    pub interface: InterfaceId,
    /// Whether it came through IPsec.
    pub ipsec: bool,
}

/// What to do with a packet; it may have been rewritten in place, if it is not to be dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub enum Verdict {
    /// Send it on.
    Forward {
        /// Where to.
        egress: InterfaceId,
        /// Where it lies in the buffer.
        packet: std::ops::Range<usize>,
    },
    /// It is for the router itself.
    Local {
        /// Where it lies in the buffer.
        packet: std::ops::Range<usize>,
    },
    /// Taken: what is left of it to send comes from
    /// [`poll_transmit`](crate::Firewall::poll_transmit), now or later.
    Queued,
    /// Drop it: it is longer than where it should leave can carry, and must not be fragmented.
    TooBig {
        /// What that link can carry, in bytes.
        mtu: u16,
    },
    /// Drop it.
    Drop(DropReason),
}

/// Why a packet was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum DropReason {
    /// Headers that do not fit.
    Malformed,
    /// Neither IPv4 nor IPv6.
    NotIp,
    /// A fragment that overlaps another, ends beyond 65,535 bytes, lacks the transport header, or
    /// belongs to a datagram of which one was dropped or that is not remembered.
    Fragment,
    /// A source address that cannot come from there.
    Spoofed,
    /// To a broadcast address, or a multicast group outside.
    Broadcast,
    /// ICMP that stays on its link.
    LinkLocal,
    /// No interface leads to the destination.
    NoRoute,
    /// Longer than where it should leave can carry.
    TooBig,
    /// From a public interface, and nothing allows it.
    Policy,
    /// A rule says so.
    Rule,
    /// In clear, of a flow that a rule allows through IPsec only.
    NotIpsec,
    /// TCP in mid-connection, an echo reply or an ICMP error that belong to nothing.
    Unrelated,
    /// TCP that cannot belong to its connection, or an ICMP error that quotes such a segment.
    OutOfWindow,
    /// An ICMP error with a wrong checksum, or for an MTU below what the internet has.
    BadError,
    /// The table of flows, the host's share of it, or the public ports are used up, or there is no
    /// public address.
    Full,
    /// Its answers could not be told from another flow's.
    Collision,
    /// No such interface.
    NoInterface,
}

impl DropReason {
    /// All of them, in the order of their numbers.
    pub(crate) const ALL: [Self; 17] = [
        Self::Malformed,
        Self::NotIp,
        Self::Fragment,
        Self::Spoofed,
        Self::Broadcast,
        Self::LinkLocal,
        Self::NoRoute,
        Self::TooBig,
        Self::Policy,
        Self::Rule,
        Self::NotIpsec,
        Self::Unrelated,
        Self::OutOfWindow,
        Self::BadError,
        Self::Full,
        Self::Collision,
        Self::NoInterface,
    ];

    /// A stable word for logs and metrics.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "firewall_malformed",
            Self::NotIp => "firewall_not_ip",
            Self::Fragment => "firewall_fragment",
            Self::Spoofed => "firewall_spoofed",
            Self::Broadcast => "firewall_broadcast",
            Self::LinkLocal => "firewall_link_local",
            Self::NoRoute => "firewall_no_route",
            Self::TooBig => "firewall_too_big",
            Self::Policy => "firewall_policy",
            Self::Rule => "firewall_rule",
            Self::NotIpsec => "firewall_not_ipsec",
            Self::Unrelated => "firewall_unrelated",
            Self::OutOfWindow => "firewall_out_of_window",
            Self::BadError => "firewall_bad_error",
            Self::Full => "firewall_full",
            Self::Collision => "firewall_collision",
            Self::NoInterface => "firewall_no_interface",
        }
    }
}

impl std::fmt::Display for DropReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.reason())
    }
}

impl From<Malformed> for DropReason {
    fn from(malformed: Malformed) -> Self {
        match malformed {
            Malformed::Header | Malformed::Extensions => Self::Malformed,
            Malformed::Version => Self::NotIp,
            Malformed::TinyFragment => Self::Fragment,
        }
    }
}

/// A packet to send that is not the one just handed in: a fragment that was held, a piece of one
/// that was too long, or an ICMP error.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transmit {
    /// Where to; none if it is for the router itself.
    pub egress: Option<InterfaceId>,
    /// The IP packet.
    pub packet: Vec<u8>,
}

/// What happened to a flow.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Its first packet passed.
    FlowOpened(FlowInfo),
    /// It is forgotten.
    FlowClosed(FlowInfo, CloseReason),
}

/// Why a flow ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// Silence, after a connection's end or without one.
    Expired,
    /// The table was full, and it had no answer.
    Evicted,
    /// Its interface was removed, or lost the address that the flow needs.
    InterfaceRemoved,
}

impl CloseReason {
    /// A stable word for logs.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Evicted => "evicted",
            Self::InterfaceRemoved => "interface_removed",
        }
    }
}

impl std::fmt::Display for CloseReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.reason())
    }
}

/// A flow's ends. Queries of ICMP have their identifier for a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FlowInfo {
    /// Its protocol.
    pub protocol: Protocol,
    /// Who sent the first packet.
    pub source: SocketAddr,
    /// To whom.
    pub destination: SocketAddr,
    /// The source as the packet left.
    pub translated_source: SocketAddr,
    /// The destination as the packet left.
    pub translated_destination: SocketAddr,
    /// Where it came in.
    pub ingress: InterfaceId,
    /// Where it left; none if it was for the router itself.
    pub egress: Option<InterfaceId>,
    /// The rule that let it in, by its place in the [`Config`](crate::Config) of then.
    pub rule: Option<usize>,
}

impl FlowInfo {
    pub(crate) fn of(flow: &Flow) -> Self {
        let (original, target) = (flow.tuple(Way::Original), flow.target(Way::Original));
        let [ingress, egress] = flow.interfaces;
        Self {
            protocol: original.protocol,
            source: original.source.into(),
            destination: original.destination.into(),
            translated_source: target.source.into(),
            translated_destination: target.destination.into(),
            ingress,
            egress: (egress != InterfaceId::LOCAL).then_some(egress),
            rule: flow.rule.map(usize::from),
        }
    }
}

/// A live flow, for a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FlowStatus {
    /// Its ends.
    pub info: FlowInfo,
    /// How far it is.
    pub phase: Phase,
    /// When its first packet passed, to an eighth of a second.
    pub opened: Instant,
    /// When it will be forgotten if no packet comes, to an eighth of a second.
    pub expires: Instant,
}

/// How far a flow is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// It had no answer; of TCP, its handshake is not over.
    Opening,
    /// It had an answer.
    Established,
    /// Both sides have closed it, or one has reset it.
    Closing,
}
