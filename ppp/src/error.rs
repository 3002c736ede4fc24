use thiserror::Error;

/// A [`Config`](crate::Config) that cannot work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The MRU is below 128 bytes.
    #[error("an MRU of {0} bytes is too small; 128 is the least")]
    MruTooSmall(u16),
    /// A name or password has more than 255 bytes.
    #[error("a name or password has more than 255 bytes")]
    NameTooLong,
    /// A client has no user name and password.
    #[error("a client needs credentials")]
    NoCredentials,
    /// The restart timer or its counter is zero.
    #[error("the restart timer and max_configure must not be zero")]
    NoRetransmission,
}

/// Why a frame was dropped or a command refused. Nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// The frame or packet is shorter than its fields say.
    #[error("frame too short for its {0}")]
    Short(&'static str),
    /// A length field does not fit.
    #[error("bad length of {0}")]
    BadLength(&'static str),
    /// Legal bytes at the wrong time: a network packet before authentication, say.
    #[error("frame not expected in this phase")]
    UnexpectedPhase,
    /// An answer to nothing we asked.
    #[error("identifier does not match")]
    UnknownIdentifier,
    /// A protocol this link does not have.
    #[error("protocol 0x{0:04x} not supported")]
    UnsupportedProtocol(u16),
    /// The command does not fit the link's state.
    #[error("command does not fit the state of the link")]
    NotNow,
    /// The buffer has no room for the header.
    #[error("no headroom for the header")]
    NoHeadroom,
    /// The packet is larger than the peer takes.
    #[error("packet larger than the peer's MRU")]
    TooLong,
}

impl Error {
    /// A stable word for logs and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Short(_) => "ppp_short",
            Self::BadLength(_) => "ppp_bad_length",
            Self::UnexpectedPhase => "ppp_unexpected_phase",
            Self::UnknownIdentifier => "ppp_unknown_identifier",
            Self::UnsupportedProtocol(_) => "ppp_unsupported_protocol",
            Self::NotNow => "ppp_not_now",
            Self::NoHeadroom => "ppp_no_headroom",
            Self::TooLong => "ppp_too_long",
        }
    }
}
