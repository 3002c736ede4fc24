use crate::config::{Mode, Path, Selector};
use crate::job::Job;
use crate::keylog::KeyLogLine;
use crate::plain::PlainMessage;
use crate::policy::Lifetime;
use crate::secret::ChildKeys;
use crate::suite::{ChildSuite, Phase1Suite};
use crate::vendor::PeerSoftware;
use crate::wire::Identity;
use std::net::IpAddr;
use std::time::Duration;

/// An ISAKMP SA, unique in its endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SaId(pub(crate) u64);

/// A pair of ESP SAs, unique in its endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChildId(pub(crate) u64);

/// Who started an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// We did.
    Initiator,
    /// The peer did.
    Responder,
}

/// What happened, for the owner.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// Main mode is complete, the peer authenticated.
    Established {
        /// The SA.
        sa: SaId,
        /// Where the peer is.
        path: Path,
        /// Who started it.
        role: Role,
        /// Who the peer says it is.
        peer_id: Identity,
        /// Who it is: SAs with the same number are one peer's. Neither the address nor the identity
        /// tells. `None` until the peer has proved where it is: [`Event::Recognized`] follows then.
        party: Option<u64>,
        /// Who is behind a NAT.
        nat: natt::Detection,
        /// The version of NAT traversal, if both know one.
        dialect: Option<natt::Dialect>,
        /// The algorithms.
        suite: Phase1Suite,
        /// What the peer probably runs.
        software: PeerSoftware,
        /// How long main mode took; as responder without the first message, if that left no state.
        took: Duration,
    },
    /// A peer has proved where it is, after a main mode that changed its port: with the first quick
    /// mode, or an answer to dead peer detection.
    Recognized {
        /// The SA.
        sa: SaId,
        /// Where the peer is.
        path: Path,
        /// Who it is, as in [`Event::Established`].
        party: u64,
    },
    /// The peer, authenticated, is at another address or port; also the change to port 4500.
    PathChanged {
        /// The SA.
        sa: SaId,
        /// Where it was.
        old: Path,
        /// Where it is.
        new: Path,
    },
    /// Quick mode is complete: install the ESP SAs.
    ChildEstablished(Box<ChildSa>),
    /// Remove the ESP SAs, perhaps after a grace period for packets on the way.
    ChildDeleted {
        /// The pair.
        child: ChildId,
        /// The ISAKMP SA it belongs to, which may be gone.
        sa: SaId,
        /// Why.
        reason: CloseReason,
    },
    /// An ISAKMP SA has ended; its ESP SAs live on.
    Closed {
        /// The SA.
        sa: SaId,
        /// Where the peer was.
        path: Path,
        /// Why.
        reason: CloseReason,
    },
    /// A negotiation has failed.
    Refused {
        /// With whom.
        path: Path,
        /// The SA, if there is one.
        sa: Option<SaId>,
        /// Why.
        reason: RefusedReason,
        /// What was offered.
        offer: String,
        /// What to change.
        hint: String,
    },
    /// The key of an ISAKMP SA; only with [`Config::key_log`](crate::Config::key_log).
    KeyLog(KeyLogLine),
    /// An encrypted message in the clear; only after
    /// [`Endpoint::set_plain_messages`](crate::Endpoint::set_plain_messages).
    Plain(Box<PlainMessage>),
    /// Work to be done anywhere and given to [`Endpoint::finish`](crate::Endpoint::finish); only
    /// with [`Config::deferred_jobs`](crate::Config::deferred_jobs).
    Job(Box<Job>),
}

/// A pair of ESP SAs that quick mode has agreed on.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ChildSa {
    /// Its name.
    pub child: ChildId,
    /// The ISAKMP SA it belongs to.
    pub sa: SaId,
    /// Who started quick mode.
    pub role: Role,
    /// Where the peer is.
    pub path: Path,
    /// The pair it takes over from.
    pub replaces: Option<ChildId>,
    /// SPI of packets to us.
    pub inbound_spi: u32,
    /// SPI of packets to the peer.
    pub outbound_spi: u32,
    /// Keys of packets to us.
    pub inbound_keys: ChildKeys,
    /// Keys of packets to the peer.
    pub outbound_keys: ChildKeys,
    /// The algorithms.
    pub suite: ChildSuite,
    /// Transport or tunnel.
    pub mode: Mode,
    /// ESP goes in UDP on the NAT traversal port.
    pub udp_encapsulation: bool,
    /// Our end of what they carry.
    pub local_selector: Selector,
    /// The peer's end.
    pub remote_selector: Selector,
    /// Our address as the peer knows it, and the peer's own address, from NAT-OA.
    pub nat_oa: Option<(IpAddr, IpAddr)>,
    /// How long they may be used.
    pub lifetime: Lifetime,
}

/// Why an SA has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// The owner asked for it.
    Local,
    /// The peer deleted it.
    PeerDeleted,
    /// Its lifetime is over.
    Expired,
    /// The peer no longer answers.
    DpdTimeout,
    /// A newer one has taken over.
    Replaced,
    /// The same peer has started afresh (INITIAL-CONTACT).
    InitialContact,
    /// It never came up.
    Failed,
}

impl CloseReason {
    /// A stable word.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::PeerDeleted => "peer_deleted",
            Self::Expired => "expired",
            Self::DpdTimeout => "dpd_timeout",
            Self::Replaced => "replaced",
            Self::InitialContact => "initial_contact",
            Self::Failed => "failed",
        }
    }
}

impl std::fmt::Display for CloseReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.reason())
    }
}

/// Why a negotiation has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusedReason {
    /// Nothing of what was offered is acceptable.
    NoProposalChosen,
    /// The peer has another pre-shared key, or sent a wrong hash.
    AuthenticationFailed,
    /// There is no pre-shared key for the peer.
    NoPresharedKey,
    /// The peer is somebody else than expected.
    InvalidIdentity,
    /// The peer wants aggressive mode.
    AggressiveMode,
    /// The peer does not answer.
    Timeout,
    /// The peer sent an error.
    PeerRefused,
}

impl RefusedReason {
    /// A stable word.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NoProposalChosen => "no_proposal_chosen",
            Self::AuthenticationFailed => "authentication_failed",
            Self::NoPresharedKey => "no_preshared_key",
            Self::InvalidIdentity => "invalid_identity",
            Self::AggressiveMode => "aggressive_mode",
            Self::Timeout => "timeout",
            Self::PeerRefused => "peer_refused",
        }
    }
}

impl std::fmt::Display for RefusedReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.reason())
    }
}
