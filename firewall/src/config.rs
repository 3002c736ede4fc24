use crate::policy::{Kind, Prefix, Rule, RuleAction, Scope};
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::time::Duration;
use thiserror::Error;

/// What a [`Firewall`](crate::Firewall) lets through and how it translates.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Config {
    /// Translations; the first whose interfaces match applies, and what matches none is routed as
    /// it is.
    pub nat: Vec<Nat>,
    /// Rules, in order; the first that matches decides. What matches none is allowed from private
    /// interfaces and dropped from public ones.
    pub rules: Vec<Rule>,
    /// How long silent flows are remembered.
    pub timeouts: Timeouts,
    /// Limits.
    pub limits: Limits,
}

/// Network address and port translation of what goes from one interface to another, to global
/// addresses (AlliedWare's `nat=enhanced`).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Nat {
    /// Where translated packets come in. Default: private interfaces.
    pub from: Scope,
    /// Where they leave. Default: public interfaces.
    pub to: Scope,
    /// The global addresses. A private host always gets the same one (RFC 4787 REQ-2). None: the
    /// first own address of the interface that a packet leaves by, whatever it is at the time.
    pub addresses: Vec<Ipv4Addr>,
    /// Destinations that packets go to as they are (RFC 6888 REQ-6). Default: none.
    pub except: Vec<Prefix>,
    /// Who may send to a mapped port. Default: whom the private host sent to, address and port.
    pub filtering: Filtering,
    /// Ports for hosts that use 1024 and up. Default: 1024 to 65535.
    pub ports: RangeInclusive<u16>,
    /// Ports for hosts that use lower ones (RFC 4787 REQ-3a). Default: 1 to 1023.
    pub low_ports: RangeInclusive<u16>,
    /// How long a port stays with the endpoint that had it last (RFC 6888 REQ-8), unless no other
    /// is left. Default: 120 s.
    pub port_hold: Duration,
}

/// Which packets from outside a mapping lets in (RFC 4787 section 5), without a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Filtering {
    /// Any.
    EndpointIndependent,
    /// From addresses that the private endpoint has sent to.
    AddressDependent,
    /// From addresses and ports that it has sent to.
    #[default]
    AddressAndPortDependent,
}

impl Nat {
    /// From private to public interfaces by `address`, with strict filtering.
    #[must_use]
    pub fn new(address: Ipv4Addr) -> Self {
        Self {
            addresses: vec![address],
            ..Self::masquerade()
        }
    }

    /// From private to public interfaces by the public interface's own address, with strict
    /// filtering.
    #[must_use]
    pub fn masquerade() -> Self {
        Self {
            from: Scope::Side(Kind::Private),
            to: Scope::Side(Kind::Public),
            addresses: Vec::new(),
            except: Vec::new(),
            filtering: Filtering::default(),
            ports: 1024..=u16::MAX,
            low_ports: 1..=1023,
            port_hold: Duration::from_secs(120),
        }
    }
}

/// How long silent flows are remembered.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Timeouts {
    /// UDP. Default 5 min, as RFC 4787 REQ-5 recommends.
    pub udp: Duration,
    /// TCP connections that are up. Default 2 h 4 min (RFC 5382 REQ-5).
    pub tcp_established: Duration,
    /// TCP connections that are coming up. Default 4 min (RFC 5382 REQ-5, RFC 7857 section 2.1).
    pub tcp_opening: Duration,
    /// TCP connections that are going down. Default 4 min (RFC 5382 REQ-5).
    pub tcp_transitory: Duration,
    /// ICMP queries. Default 60 s (RFC 5508 REQ-2).
    pub icmp: Duration,
    /// Other protocols. Default 2 min.
    pub other: Duration,
    /// A datagram of which the first fragment has not come. Default 5 s.
    pub fragment_held: Duration,
    /// A datagram of which it has. Default 30 s.
    pub fragment: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            udp: Duration::from_secs(300),
            tcp_established: Duration::from_secs(7440),
            tcp_opening: Duration::from_secs(240),
            tcp_transitory: Duration::from_secs(240),
            icmp: Duration::from_secs(60),
            other: Duration::from_secs(120),
            fragment_held: Duration::from_secs(5),
            fragment: Duration::from_secs(30),
        }
    }
}

/// Limits on what is remembered.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Limits {
    /// Flows in all. Default 262,144.
    pub flows: usize,
    /// Flows of one user: a private IPv4 address, or IPv6 /64. Default 8,192.
    pub flows_per_host: usize,
    /// Fragmented datagrams followed at once, and half as many of which only later fragments have
    /// come. Default 1024.
    pub fragmented: usize,
    /// Bytes of fragments held for their first one. Default 256 KiB.
    pub fragment_bytes: usize,
    /// Packets and events waiting to be polled, each. More are dropped. Default 1024; 0 for no
    /// events and no held fragments.
    pub queue: usize,
    /// ICMP errors a second (RFC 1812 section 4.3.2.8). Default 100.
    pub icmp_errors: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            flows: 262_144,
            flows_per_host: 8192,
            fragmented: 1024,
            fragment_bytes: 256 * 1024,
            queue: 1024,
            icmp_errors: 100,
        }
    }
}

/// A [`Config`] that cannot work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The range of NAT ports is empty or begins with 0.
    #[error("NAT ports {0} to {1} are no range of ports from 1 up")]
    BadPorts(u16, u16),
    /// A limit is zero, or more flows than 2^30.
    #[error("limits of flows must be 1 to 1073741824")]
    BadLimit,
    /// A port forwarding to no port.
    #[error("rule {0} forwards to port 0")]
    BadForward(usize),
}

impl Config {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        for nat in &self.nat {
            for ports in [&nat.ports, &nat.low_ports] {
                if *ports.start() == 0 || ports.is_empty() {
                    return Err(ConfigError::BadPorts(*ports.start(), *ports.end()));
                }
            }
        }
        let flows = 1..=1 << 30;
        if !flows.contains(&self.limits.flows) || self.limits.flows_per_host == 0 {
            return Err(ConfigError::BadLimit);
        }
        let to_nothing = |rule: &Rule| {
            matches!(rule.action, RuleAction::ForwardTo(_, 0))
                && rule.protocol.is_some_and(crate::Protocol::has_ports)
        };
        match self.rules.iter().position(to_nothing) {
            Some(index) => Err(ConfigError::BadForward(index)),
            None => Ok(()),
        }
    }
}
