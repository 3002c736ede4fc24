use std::fmt;
use std::ops::Range;

/// What carries messages to and from one peer; chosen by the owner, opaque to this crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathId(pub u64);

/// A tunnel of this endpoint, by the Tunnel ID that we assigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TunnelId(pub(crate) u16);

/// A call of this endpoint, by the Tunnel ID and Session ID that we assigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId {
    pub(crate) tunnel: u16,
    pub(crate) session: u16,
}

impl SessionId {
    /// The tunnel the call belongs to.
    #[must_use]
    pub fn tunnel(self) -> TunnelId {
        TunnelId(self.tunnel)
    }
}

impl fmt::Display for TunnelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tunnel, self.session)
    }
}

/// A control message to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// To whom.
    pub path: PathId,
    /// The message, from its L2TP header.
    pub payload: Vec<u8>,
}

/// What a datagram was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// A control message; it has been dealt with.
    Control,
    /// A data message.
    Data {
        /// Of this call.
        session: SessionId,
        /// Where the PPP frame lies in the buffer.
        frame: Range<usize>,
    },
}

/// What an [`Endpoint`](crate::Endpoint) tells its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A control connection is up.
    TunnelUp {
        /// Which.
        tunnel: TunnelId,
        /// With whom.
        path: PathId,
        /// What the peer says of itself.
        peer: PeerInfo,
    },
    /// A control connection has ended, and all its calls with it.
    TunnelDown {
        /// Which.
        tunnel: TunnelId,
        /// With whom.
        path: PathId,
        /// Why.
        reason: CloseReason,
    },
    /// A call is up.
    SessionUp {
        /// Which.
        session: SessionId,
        /// With whom.
        path: PathId,
    },
    /// A call has ended, or did not come up.
    SessionDown {
        /// Which.
        session: SessionId,
        /// With whom.
        path: PathId,
        /// Why.
        reason: CloseReason,
    },
}

/// What a peer says of itself in SCCRQ or SCCRP.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerInfo {
    /// Host Name AVP, any bytes.
    pub host_name: Vec<u8>,
    /// Vendor Name AVP, any bytes.
    pub vendor_name: Vec<u8>,
    /// Firmware Revision AVP.
    pub firmware: Option<u16>,
    /// Receive Window Size AVP; 4 if absent (RFC 2661 section 4.4.3).
    pub receive_window: u16,
    /// The Tunnel ID the peer has assigned.
    pub tunnel_id: u16,
}

/// Why a tunnel or a call has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// Our owner asked for it.
    Local,
    /// The peer sent StopCCN or CDN: result code, error code, message made printable.
    Peer {
        /// RFC 2661 section 4.4.2.
        result: u16,
        /// RFC 2661 section 4.4.2; 0 if absent.
        error: u16,
        /// What the peer said.
        message: String,
    },
    /// The peer does not acknowledge.
    Timeout,
    /// Tunnel authentication failed.
    AuthenticationFailed,
    /// The peer sent what the protocol forbids.
    ProtocolError(&'static str),
    /// The tunnel of the call has ended.
    TunnelDown,
    /// What carried the messages is gone.
    PathClosed,
}

impl CloseReason {
    /// A stable word for logs and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Peer { .. } => "peer_closed",
            Self::Timeout => "timeout",
            Self::AuthenticationFailed => "tunnel_authentication_failed",
            Self::ProtocolError(_) => "protocol_error",
            Self::TunnelDown => "tunnel_down",
            Self::PathClosed => "path_closed",
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer {
                result,
                error,
                message,
            } => {
                write!(f, "peer_closed (result {result}, error {error}")?;
                if !message.is_empty() {
                    write!(f, ", {message:?}")?;
                }
                f.write_str(")")
            }
            Self::ProtocolError(what) => write!(f, "protocol_error ({what})"),
            other => f.write_str(other.reason()),
        }
    }
}

/// Result Code of a StopCCN (RFC 2661 section 4.4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopResult(pub u16);

#[allow(missing_docs, reason = "named as the RFC describes them")]
impl StopResult {
    pub const GENERAL: Self = Self(1);
    pub const GENERAL_ERROR: Self = Self(2);
    pub const NOT_AUTHORIZED: Self = Self(4);
    pub const BAD_VERSION: Self = Self(5);
    pub const SHUTTING_DOWN: Self = Self(6);
}

/// Result Code of a CDN (RFC 2661 section 4.4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallResult(pub u16);

#[allow(missing_docs, reason = "named as the RFC describes them")]
impl CallResult {
    pub const LOST_CARRIER: Self = Self(1);
    pub const GENERAL_ERROR: Self = Self(2);
    pub const ADMINISTRATIVE: Self = Self(3);
    pub const NO_FACILITIES: Self = Self(4);
    pub const TIMEOUT: Self = Self(10);
}
