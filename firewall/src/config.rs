use crate::Protocol;
use std::net::Ipv4Addr;
use std::time::Duration;
use thiserror::Error;

/// What a [`Firewall`](crate::Firewall) lets through and how it translates.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Config {
    /// Translates what goes from a private to a public interface; none to route it as it is.
    pub nat: Option<Nat>,
    /// Rules for what comes from public interfaces, in order; the first that matches decides.
    pub rules: Vec<Rule>,
    /// How long silent flows are remembered.
    pub timeouts: Timeouts,
    /// Limits.
    pub limits: Limits,
}

/// Network address and port translation to one public address.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Nat {
    /// The public address.
    pub address: Ipv4Addr,
    /// Lets anybody answer on a mapped port, not only whom the private host sent to: RFC 4787's
    /// endpoint-independent filtering. Default false: address- and port-dependent.
    pub open_filtering: bool,
    /// Ports to choose from. Default 1024 to 65535.
    pub ports: (u16, u16),
}

impl Nat {
    /// To `address`, with strict filtering.
    #[must_use]
    pub fn new(address: Ipv4Addr) -> Self {
        Self {
            address,
            open_filtering: false,
            ports: (1024, u16::MAX),
        }
    }
}

/// A rule for packets that come from a public interface.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Rule {
    /// What to do with a packet that matches.
    pub action: RuleAction,
    /// IP protocol; any if none.
    pub protocol: Option<Protocol>,
    /// Destination address on the wire; any if none.
    pub destination: Option<Ipv4Addr>,
    /// Destination port on the wire; any if none.
    pub port: Option<u16>,
    /// Whether only packets that came through IPsec match.
    pub ipsec_only: bool,
}

/// What a [`Rule`] does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleAction {
    /// Let it through to where it is addressed.
    Allow,
    /// Drop it.
    Deny,
    /// Send it to this private address and port: a port forwarding.
    ForwardTo(Ipv4Addr, u16),
}

impl Rule {
    /// Matches every packet.
    #[must_use]
    pub fn new(action: RuleAction) -> Self {
        Self {
            action,
            protocol: None,
            destination: None,
            port: None,
            ipsec_only: false,
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
    /// TCP connections that are coming up or going down. Default 4 min (RFC 5382 REQ-5).
    pub tcp_transitory: Duration,
    /// ICMP queries. Default 60 s (RFC 5508 REQ-2).
    pub icmp: Duration,
    /// Other protocols. Default 2 min.
    pub other: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            udp: Duration::from_secs(300),
            tcp_established: Duration::from_secs(7440),
            tcp_transitory: Duration::from_secs(240),
            icmp: Duration::from_secs(60),
            other: Duration::from_secs(120),
        }
    }
}

/// Limits on what is remembered.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Limits {
    /// Flows in all. Default 262,144.
    pub flows: usize,
    /// Flows of one private address. Default 8,192.
    pub flows_per_host: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            flows: 262_144,
            flows_per_host: 8192,
        }
    }
}

/// Which side of the firewall an interface is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The office, and road warriors once they are in.
    Private,
    /// The internet.
    Public,
}

/// Where packets come from and go to.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Interface {
    /// Which side it is on.
    pub kind: Kind,
    /// The only source address that may come from here; any if none. For a road warrior, the
    /// address assigned to it.
    pub only_source: Option<Ipv4Addr>,
    /// The router's own addresses here: packets to them are [`Verdict::Local`](crate::Verdict),
    /// packets from them are dropped.
    pub own: Vec<Ipv4Addr>,
    /// Caps TCP's maximum segment size, in bytes, both ways; none to leave it.
    pub mss_clamp: Option<u16>,
}

impl Interface {
    /// On the office's side.
    #[must_use]
    pub fn private() -> Self {
        Self {
            kind: Kind::Private,
            only_source: None,
            own: Vec::new(),
            mss_clamp: None,
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
}

/// A [`Config`] that cannot work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The range of NAT ports is empty or begins with 0.
    #[error("NAT ports {0} to {1} are no range")]
    BadPorts(u16, u16),
    /// A limit is zero.
    #[error("a limit of 0 flows would let nothing through")]
    NoFlows,
}

impl Config {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if let Some(nat) = &self.nat
            && (nat.ports.0 == 0 || nat.ports.0 > nat.ports.1)
        {
            return Err(ConfigError::BadPorts(nat.ports.0, nat.ports.1));
        }
        if self.limits.flows == 0 || self.limits.flows_per_host == 0 {
            return Err(ConfigError::NoFlows);
        }
        Ok(())
    }
}
