use crate::{Accm, Call, CallErrors, CallRequest, CloseReason, Direction, Role};
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
#[non_exhaustive]
pub enum Received {
    /// A control message; it has been dealt with.
    Control,
    /// A data message. With [`Reorder::Queue`](crate::Reorder::Queue), frames that waited for this
    /// one may follow it in [`poll_frame`](crate::Endpoint::poll_frame).
    Data {
        /// Of this call.
        session: SessionId,
        /// Where the PPP frame lies in the buffer.
        frame: Range<usize>,
    },
    /// A data message that came too early and waits for those before it; only with
    /// [`Reorder::Queue`](crate::Reorder::Queue).
    Held,
}

/// A PPP frame that had to wait for those before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Of this call.
    pub session: SessionId,
    /// The PPP frame.
    pub payload: Vec<u8>,
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
    /// The peer has a call, or wants one made; answer with [`accept`](crate::Endpoint::accept) or
    /// [`close_session`](crate::Endpoint::close_session). Only if [`Config::ask`](crate::Config::ask)
    /// is set.
    CallRequested {
        /// Which.
        session: SessionId,
        /// With whom.
        path: PathId,
        /// Who asks.
        direction: Direction,
        /// What ICRQ or OCRQ say of it.
        request: Box<CallRequest>,
    },
    /// A call is up.
    SessionUp {
        /// Which.
        session: SessionId,
        /// With whom.
        path: PathId,
        /// Which end of the call we are.
        role: Role,
        /// What was said of it.
        call: Box<Call>,
    },
    /// The LAC reports what went wrong on the wire (WEN).
    CallErrors {
        /// Which call.
        session: SessionId,
        /// What it counted.
        errors: CallErrors,
    },
    /// The LNS says which control characters to escape (SLI).
    LinkInfo {
        /// Which call.
        session: SessionId,
        /// The maps.
        accm: Accm,
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
    /// Framing Capabilities AVP.
    pub framing_capabilities: Option<u32>,
    /// Bearer Capabilities AVP; without it the peer takes no outgoing calls.
    pub bearer_capabilities: Option<u32>,
    /// Receive Window Size AVP; 4 if absent (RFC 2661 section 4.4.3).
    pub receive_window: u16,
    /// The Tunnel ID the peer has assigned.
    pub tunnel_id: u16,
}
