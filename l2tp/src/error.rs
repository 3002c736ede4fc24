use thiserror::Error;

/// A [`Config`](crate::Config) that cannot work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The receive window is zero.
    #[error("a receive window of 0 would let the peer send nothing")]
    NoWindow,
    /// The retransmission timeout is zero.
    #[error("the retransmission timeout must not be 0")]
    NoRetransmission,
    /// Hidden AVPs were asked for without a secret.
    #[error("hidden AVPs need a secret")]
    HidingWithoutSecret,
    /// The host name is empty or a name is longer than 255 bytes.
    #[error("the host name must have 1 to 255 bytes, the vendor name 255 at most")]
    BadName,
    /// A limit is out of its bounds.
    #[error("tunnels and calls must be limited to 1 to 65,000, the queue to 8 or more")]
    BadLimit,
    /// The reorder queue cannot work.
    #[error("the reorder queue needs a timeout and a depth of 1 to 1,024")]
    BadReorder,
}

/// Why a message was dropped or a command refused. Nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// The message is shorter than its header says.
    #[error("message too short for its {0}")]
    Short(&'static str),
    /// A length field does not fit.
    #[error("bad length of {0}")]
    BadLength(&'static str),
    /// Not version 2.
    #[error("version {0} is not L2TPv2")]
    BadVersion(u8),
    /// A control message without the T, L and S bits, or with O.
    #[error("control message with wrong flags")]
    BadFlags,
    /// A control message without a Message Type AVP first, or without another it needs.
    #[error("control message lacks its {0}")]
    MissingAvp(&'static str),
    /// A hidden AVP that cannot be read.
    #[error("hidden AVP cannot be read")]
    HiddenAvp,
    /// No such tunnel on this path.
    #[error("no such tunnel on this path")]
    UnknownTunnel,
    /// No such call in the tunnel, or it is not up.
    #[error("no such call")]
    UnknownSession,
    /// The message is not the next in sequence.
    #[error("message out of sequence")]
    OutOfSequence,
    /// A data message without a number, in a call that requires them.
    #[error("data message without a sequence number")]
    NotNumbered,
    /// The peer opens a tunnel at the same time, and ours goes on.
    #[error("our tie breaker wins")]
    TieBreaker,
    /// Our own request for a tunnel has come back, or its challenge.
    #[error("our own request came back")]
    Reflected,
    /// Only the other end of a call may say this, or not now.
    #[error("not for this end of the call, or not now")]
    WrongState,
    /// The peer takes no outgoing calls.
    #[error("the peer takes no outgoing calls")]
    NoBearer,
    /// A table is full.
    #[error("limit of {0} reached")]
    Limit(&'static str),
    /// We do not answer calls.
    #[error("incoming tunnels are not accepted")]
    NotAccepting,
    /// The buffer has no room for the header.
    #[error("no headroom for the header")]
    NoHeadroom,
    /// The message would be longer than a datagram.
    #[error("message too long")]
    TooLong,
}

impl Error {
    /// A stable word for logs and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Short(_) => "l2tp_short",
            Self::BadLength(_) => "l2tp_bad_length",
            Self::BadVersion(_) => "l2tp_bad_version",
            Self::BadFlags => "l2tp_bad_flags",
            Self::MissingAvp(_) => "l2tp_missing_avp",
            Self::HiddenAvp => "l2tp_hidden_avp",
            Self::UnknownTunnel => "l2tp_unknown_tunnel",
            Self::UnknownSession => "l2tp_unknown_session",
            Self::OutOfSequence => "l2tp_out_of_sequence",
            Self::NotNumbered => "l2tp_not_numbered",
            Self::TieBreaker => "l2tp_tie_breaker",
            Self::Reflected => "l2tp_reflected",
            Self::WrongState => "l2tp_wrong_state",
            Self::NoBearer => "l2tp_no_bearer",
            Self::Limit(_) => "l2tp_limit",
            Self::NotAccepting => "l2tp_not_accepting",
            Self::NoHeadroom => "l2tp_no_headroom",
            Self::TooLong => "l2tp_too_long",
        }
    }
}
