use crate::wire::MsChapFailure;
use crate::{AuthMethod, AuthRequest, Proof};
use std::fmt;
use std::net::Ipv4Addr;
use std::ops::Range;

/// What a [`Link`](crate::Link) tells its owner.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// LCP is open; authentication follows.
    LcpUp {
        /// Largest packet the peer takes, in bytes.
        peer_mru: u16,
        /// How the peer proves who it is, or we do; none if nobody asked.
        auth: Option<AuthMethod>,
    },
    /// Server: the peer says who it is. Answer with [`Link::authenticate`](crate::Link::authenticate).
    Authenticate(AuthRequest),
    /// Authentication has succeeded.
    Authenticated {
        /// The user's name as sent.
        user: Vec<u8>,
        /// By which method.
        method: AuthMethod,
    },
    /// Client: the peer has refused us. Unless [`Config::ask_again`](crate::Config::ask_again) holds
    /// and the peer allows another try, the link closes.
    AuthenticationFailed(AuthFailure),
    /// IPCP is open.
    Ipv4Up {
        /// Our address.
        local: Ipv4Addr,
        /// The peer's address; 0.0.0.0 if it has not named one.
        peer: Ipv4Addr,
        /// DNS servers, primary and secondary, as given by or to the peer.
        dns: [Option<Ipv4Addr>; 2],
        /// WINS servers, likewise.
        wins: [Option<Ipv4Addr>; 2],
    },
    /// IPCP has closed.
    Ipv4Down,
    /// IPV6CP is open.
    Ipv6Up {
        /// Our interface identifier.
        local: [u8; 8],
        /// The peer's interface identifier.
        peer: [u8; 8],
    },
    /// IPV6CP has closed.
    Ipv6Down,
    /// The link is closed for good.
    Closed {
        /// Why.
        reason: CloseReason,
    },
}

/// What a peer said when it refused us.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthFailure {
    /// Error number of MS-CHAPv2, such as
    /// [`MsChapFailure::PASSWORD_EXPIRED`](crate::wire::MsChapFailure::PASSWORD_EXPIRED).
    pub code: Option<u16>,
    /// Whether the peer takes another name or password on this link.
    pub retry: bool,
    /// What it said for people, made printable.
    pub message: String,
}

/// Why a link has closed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// Our owner asked for it.
    Administrative,
    /// The peer asked for it; what it said, made printable.
    PeerTerminated(String),
    /// Wrong name or password.
    AuthenticationFailed,
    /// No authentication method in common.
    NoCommonAuthentication,
    /// Authentication took too long.
    AuthenticationTimeout,
    /// The peer does not answer Configure-Requests.
    NegotiationTimeout,
    /// The two ends cannot agree on options.
    NegotiationFailed(&'static str),
    /// The peer does not answer echo requests.
    EchoTimeout,
    /// We hear ourselves.
    Loopback,
    /// What carried the frames is gone.
    LowerLayerDown,
}

impl CloseReason {
    /// A stable word for logs and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Administrative => "administrative",
            Self::PeerTerminated(_) => "peer_terminated",
            Self::AuthenticationFailed => "authentication_failed",
            Self::NoCommonAuthentication => "no_common_authentication",
            Self::AuthenticationTimeout => "authentication_timeout",
            Self::NegotiationTimeout => "negotiation_timeout",
            Self::NegotiationFailed(_) => "negotiation_failed",
            Self::EchoTimeout => "echo_timeout",
            Self::Loopback => "loopback",
            Self::LowerLayerDown => "lower_layer_down",
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PeerTerminated(text) if !text.is_empty() => {
                write!(f, "peer_terminated ({text})")
            }
            Self::NegotiationFailed(protocol) => write!(f, "negotiation_failed ({protocol})"),
            other => f.write_str(other.reason()),
        }
    }
}

/// What is inside a packet of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkProtocol {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

/// What a frame was.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Received {
    /// A control packet; it has been dealt with.
    Control,
    /// An IPv4 packet, at this range of the buffer.
    Ipv4(Range<usize>),
    /// An IPv6 packet, at this range of the buffer.
    Ipv6(Range<usize>),
}

/// A server's answer to [`Event::Authenticate`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Verdict {
    /// The peer is who it says.
    Accept {
        /// From [`AuthRequest::verify`], or from RADIUS.
        proof: Proof,
        /// What the peer gets.
        assignment: Assignment,
    },
    /// The peer is not let in.
    Reject {
        /// MS-CHAPv2 error number (RFC 2759 section 6), such as
        /// [`MsChapFailure::AUTHENTICATION_FAILURE`](crate::wire::MsChapFailure::AUTHENTICATION_FAILURE).
        code: u16,
        /// Whether the peer may try again on this link (MS-CHAPv2 only, and three times at most).
        retry: bool,
        /// Text for people.
        message: String,
    },
}

impl Verdict {
    /// Wrong name or password, without saying which.
    #[must_use]
    pub fn refuse() -> Self {
        Self::Reject {
            code: MsChapFailure::AUTHENTICATION_FAILURE,
            retry: false,
            message: "Access denied".into(),
        }
    }
}

/// What a server gives to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Assignment {
    /// The server's own address.
    pub local: Ipv4Addr,
    /// The peer's address.
    pub peer: Ipv4Addr,
    /// DNS servers, primary and secondary.
    pub dns: [Option<Ipv4Addr>; 2],
    /// WINS servers, primary and secondary.
    pub wins: [Option<Ipv4Addr>; 2],
}

impl Assignment {
    /// Addresses without DNS and WINS servers.
    #[must_use]
    pub fn new(local: Ipv4Addr, peer: Ipv4Addr) -> Self {
        Self {
            local,
            peer,
            dns: [None; 2],
            wins: [None; 2],
        }
    }
}

/// Text of a peer, fit for logs and terminals.
pub(crate) fn printable(text: &[u8]) -> String {
    String::from_utf8_lossy(text)
        .chars()
        .filter(|c| !c.is_control())
        .collect()
}
