use crate::error::ConfigError;
use crate::habits::Habits;
use crate::policy::Policy;
use crate::secret::PresharedKey;
use crate::suite::{ChildProposal, Group, Phase1Proposal};
use crate::wire::Identity;
use natt::Dialect;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Where a message goes or comes from, and on which of our addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Path {
    /// Our address and port: the one a datagram came to, never an unspecified one, as NAT detection
    /// compares it with what the peer has sent to.
    pub local: SocketAddr,
    /// The peer's address and port.
    pub remote: SocketAddr,
}

/// A UDP payload to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// From where to where.
    pub path: Path,
    /// What.
    pub payload: Vec<u8>,
}

/// Which peers something is for; the longest match counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PeerMatch {
    /// Every peer.
    Any,
    /// The peer with this outer address.
    Addr(IpAddr),
    /// Peers in this network: address and prefix length in bits.
    Prefix(IpAddr, u8),
}

impl fmt::Display for PeerMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Addr(address) => write!(f, "{address}"),
            Self::Prefix(network, length) => write!(f, "{network}/{length}"),
        }
    }
}

impl PeerMatch {
    /// How many bits match; `None` if it is not for this peer.
    pub(crate) fn length(&self, peer: IpAddr) -> Option<u16> {
        let bits = |a: IpAddr| match a.to_canonical() {
            IpAddr::V4(a) => (u128::from(u32::from(a)) << 96, true),
            IpAddr::V6(a) => (u128::from(a), false),
        };
        match *self {
            Self::Any => Some(0),
            Self::Addr(address) => (address.to_canonical() == peer.to_canonical()).then_some(256),
            Self::Prefix(network, length) => {
                let ((network, v4), (peer, peer_v4)) = (bits(network), bits(peer));
                let mask = u128::MAX
                    .checked_shl(128 - u32::from(length.min(128)))
                    .unwrap_or(0);
                (v4 == peer_v4 && (network ^ peer) & mask == 0).then(|| u16::from(length) + 1)
            }
        }
    }

    pub(crate) fn best<T>(list: &[(Self, T)], peer: IpAddr) -> Option<&T> {
        let matches = list
            .iter()
            .filter_map(|(m, value)| Some((m.length(peer)?, value)));
        // The first of equals.
        matches
            .rev()
            .max_by_key(|(length, _)| *length)
            .map(|(_, value)| value)
    }
}

/// Which vendor IDs are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum VendorIds {
    /// None: no NAT traversal, no DPD, no fragmentation.
    None,
    /// Those that negotiate something the peer has shown to know.
    #[default]
    Minimal,
    /// As responder, also those the peer has not shown to know.
    Full,
}

/// Dead peer detection (RFC 3706).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dpd {
    /// Silence after which the peer is asked. Default 30 s.
    pub interval: Duration,
    /// Time between two questions. Default 2.5 s.
    pub retry: Duration,
    /// Questions without an answer until the peer is dead. Default 10.
    pub retries: u32,
}

impl Default for Dpd {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(30),
            // As long as five times five seconds, and a third of packets lost does not look like
            // death.
            retry: Duration::from_millis(2500),
            retries: 10,
        }
    }
}

/// Bounds on what peers can make us keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// ISAKMP SAs that are not authenticated yet. Default 4096.
    pub half_open: usize,
    /// The same, from one address, or one /64 with IPv6: many clients may share a NAT. Default 256.
    pub half_open_per_source: usize,
    /// First messages that are looked at within a second. Of those beyond, only what comes again is,
    /// as peers repeat themselves: as many a second at most. No network (/24, with IPv6 /48) gets
    /// more than an eighth of either. Default 2000.
    pub first_messages: u32,
    /// From this number of half-open SAs on, a first message creates no state. Default 512.
    pub stateless_from: usize,
    /// How long a peer has for its second message, and then twice that for the rest of phase 1.
    /// Default 30 s.
    pub half_open_time: Duration,
    /// ISAKMP SAs in all. Default 65,536.
    pub sas: usize,
    /// Pairs of ESP SAs of one ISAKMP SA, and of one peer that has connected to us. Default 32.
    pub children_per_sa: usize,
    /// Quick modes of one ISAKMP SA that are under way or remembered. Default 32.
    pub quick_modes_per_sa: usize,
    /// Messages being put together from fragments. Default 64.
    pub fragmented_messages: usize,
    /// Refusals of first messages that are reported within ten seconds: anybody can cause them. The
    /// others are only counted. Default 100.
    pub refusals: u32,
    /// Events that wait for the owner, and as many datagrams. Default 65,536.
    pub events: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            half_open: 4096,
            half_open_per_source: 256,
            first_messages: 2000,
            stateless_from: 512,
            half_open_time: Duration::from_secs(30),
            sas: 65_536,
            children_per_sa: 32,
            quick_modes_per_sa: 32,
            fragmented_messages: 64,
            refusals: 100,
            events: 65_536,
        }
    }
}

/// When we repeat ourselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timers {
    /// Until the first retransmission; doubles from then on. Default 1 s.
    pub retransmit: Duration,
    /// The longest time between two. Default 2 s.
    pub retransmit_cap: Duration,
    /// Retransmissions until we give up. Default 30.
    pub retries: u32,
    /// Between two NAT keepalives (RFC 3948 section 4). Default 20 s.
    pub keepalive: Duration,
    /// How long a finished quick mode answers duplicates. Default 60 s.
    pub remember: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            retransmit: Duration::from_secs(1),
            retransmit_cap: Duration::from_secs(2),
            retries: 30,
            keepalive: natt::KEEPALIVE_INTERVAL,
            remember: Duration::from_secs(60),
        }
    }
}

/// How an [`Endpoint`](crate::Endpoint) behaves.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// Algorithms. Default [`Policy::compat`].
    pub policy: Policy,
    /// Keys for peers that connect to us.
    pub psks: Vec<(PeerMatch, PresharedKey)>,
    /// Who we say we are (RFC 2407 section 4.6.2). Default none: our address.
    pub identity: Option<Identity>,
    /// Our port for IKE. Default 500.
    pub ike_port: u16,
    /// Our port for NAT traversal (RFC 3947 section 4). Default 4500.
    pub natt_port: u16,
    /// NAT traversal versions that are spoken; empty for no NAT traversal. Default all.
    pub dialects: Vec<Dialect>,
    /// For a responder behind a NAT: lets Windows believe that it is not (see
    /// [`natt::NatD::mirrored`]). Default false.
    pub nat_d_mirror: bool,
    /// Which vendor IDs are sent. Default [`VendorIds::Minimal`].
    pub vendor_ids: VendorIds,
    /// How an initiator behaves where the standards leave it free.
    pub habits: Habits,
    /// Whether the peer is told when an SA ends (RFC 2408 section 3.15). Default true.
    pub send_deletes: bool,
    /// How silent peers are asked; none for never. Questions are always answered. Default every
    /// 30 s.
    pub dpd: Option<Dpd>,
    /// Messages longer than this, in bytes, are fragmented if the peer can; none for never. Default
    /// 1200.
    pub fragment_size: Option<usize>,
    /// Whether tunnel mode is accepted besides transport mode. Default false.
    pub accept_tunnel: bool,
    /// Peers whose HMAC-SHA-256 is truncated to 96 bits. Default none.
    pub sha256_96: Vec<PeerMatch>,
    /// Reports keys of ISAKMP SAs as [`Event::KeyLog`](crate::Event::KeyLog). Default false.
    pub key_log: bool,
    /// Hands Diffie-Hellman computations and the derivation of keys to the owner as
    /// [`Event::Job`](crate::Event::Job). Default false.
    pub deferred_jobs: bool,
    /// Bounds.
    pub limits: Limits,
    /// Times.
    pub timers: Timers,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            psks: Vec::new(),
            identity: None,
            ike_port: 500,
            natt_port: 4500,
            dialects: Dialect::ALL.to_vec(),
            nat_d_mirror: false,
            vendor_ids: VendorIds::default(),
            habits: Habits::default(),
            send_deletes: true,
            dpd: Some(Dpd::default()),
            fragment_size: Some(1200),
            accept_tunnel: false,
            sha256_96: Vec::new(),
            key_log: false,
            deferred_jobs: false,
            limits: Limits::default(),
            timers: Timers::default(),
        }
    }
}

impl Config {
    /// The defaults, with keys for peers that connect to us; an initiator needs none.
    #[must_use]
    pub fn new(psks: Vec<(PeerMatch, PresharedKey)>) -> Self {
        Self {
            psks,
            ..Self::default()
        }
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.policy.phase1.is_empty() || self.policy.child.is_empty() {
            return Err(ConfigError::EmptyPolicy);
        }
        if self.ike_port == self.natt_port {
            return Err(ConfigError::SamePorts);
        }
        if self.psks.iter().any(|(_, key)| key.as_bytes().is_empty()) {
            return Err(ConfigError::EmptyKey);
        }
        if self.timers.retransmit.is_zero() || self.timers.keepalive.is_zero() {
            return Err(ConfigError::Zero("timer"));
        }
        if self
            .dpd
            .is_some_and(|dpd| dpd.interval.is_zero() || dpd.retry.is_zero())
        {
            return Err(ConfigError::Zero("DPD interval"));
        }
        Ok(())
    }
}

/// Transport mode protects one protocol between two hosts, tunnel mode whole packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Transport mode.
    Transport,
    /// Tunnel mode.
    Tunnel,
}

/// One end of what ESP SAs carry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Selector {
    /// Usually an address.
    pub id: Identity,
    /// IP protocol; zero is any.
    pub protocol: u8,
    /// Port; zero is any.
    pub port: u16,
}

/// ESP SAs to be negotiated.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChildRequest {
    /// Transport or tunnel.
    pub mode: Mode,
    /// Our end; our address if none.
    pub local: Option<Identity>,
    /// The peer's end; its address, as we see it, if none.
    pub remote: Option<Identity>,
    /// IP protocol; zero is any.
    pub protocol: u8,
    /// Our port; zero is any.
    pub local_port: u16,
    /// The peer's port; zero is any.
    pub remote_port: u16,
    /// A Diffie-Hellman exchange of its own (perfect forward secrecy).
    pub pfs: Option<Group>,
}

impl ChildRequest {
    /// L2TP: UDP from port 1701 to port 1701, transport mode (RFC 3193).
    #[must_use]
    pub const fn l2tp() -> Self {
        Self {
            mode: Mode::Transport,
            local: None,
            remote: None,
            protocol: 17,
            local_port: 1701,
            remote_port: 1701,
            pfs: None,
        }
    }
}

/// Whom to connect to.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Peer {
    /// The key.
    pub psk: PresharedKey,
    /// The peer's port for NAT traversal. Default 4500.
    pub remote_natt_port: u16,
    /// Who we say we are; [`Config::identity`] if none.
    pub identity: Option<Identity>,
    /// Who the peer has to be; anyone with the key if none.
    pub remote_identity: Option<Identity>,
    /// Phase 1 algorithms; [`Config::policy`] if empty.
    pub proposals: Vec<Phase1Proposal>,
    /// Phase 2 algorithms; [`Config::policy`] if empty.
    pub child_proposals: Vec<ChildProposal>,
    /// Negotiated as soon as phase 1 is complete. Default [`ChildRequest::l2tp`].
    pub children: Vec<ChildRequest>,
    /// Pretends to be behind a NAT: ESP always goes in UDP. Default false.
    pub force_encapsulation: bool,
}

impl Peer {
    /// With the standard port, our policy, and L2TP's child.
    #[must_use]
    pub fn new(psk: PresharedKey) -> Self {
        Self {
            psk,
            remote_natt_port: 4500,
            identity: None,
            remote_identity: None,
            proposals: Vec::new(),
            child_proposals: Vec::new(),
            children: vec![ChildRequest::l2tp()],
            force_encapsulation: false,
        }
    }
}
