use crate::suite::ParseProposalError;
use crate::wire::Malformed;

/// Why a datagram was dropped or a command refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are no ISAKMP message.
    #[error("malformed message: {0}")]
    Malformed(&'static str),
    /// No ISAKMP SA has these cookies.
    #[error("no ISAKMP SA has these cookies")]
    UnknownCookies,
    /// The message does not fit the state of the exchange, or lacks a payload.
    #[error("unexpected message: {0}")]
    Unexpected(&'static str),
    /// The message does not decrypt to payloads: another key, or damage.
    #[error("message does not decrypt")]
    Undecryptable,
    /// A HASH payload is wrong.
    #[error("message is not authentic")]
    NotAuthentic,
    /// A Diffie-Hellman value is of the wrong length, trivial, or not on the curve.
    #[error("invalid Diffie-Hellman value")]
    InvalidKeyExchange,
    /// The negotiation was refused; an event has the details.
    #[error("negotiation refused: {0}")]
    Refused(&'static str),
    /// A limit is reached.
    #[error("limit reached: {0}")]
    Limit(&'static str),
    /// The exchange type is not spoken here.
    #[error("unsupported exchange type {0}")]
    ExchangeType(u8),
    /// There is no such SA (any more).
    #[error("no such SA")]
    NoSuchSa,
    /// Words that name no proposal.
    #[error(transparent)]
    Proposal(#[from] ParseProposalError),
}

impl Error {
    /// A stable word for counters and logs.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Malformed(reason)
            | Self::Unexpected(reason)
            | Self::Refused(reason)
            | Self::Limit(reason) => reason,
            Self::UnknownCookies => "isakmp_unknown_cookies",
            Self::Undecryptable => "isakmp_undecryptable",
            Self::NotAuthentic => "isakmp_not_authentic",
            Self::InvalidKeyExchange => "isakmp_invalid_key_exchange",
            Self::ExchangeType(_) => "isakmp_exchange_type",
            Self::NoSuchSa => "isakmp_no_such_sa",
            Self::Proposal(_) => "isakmp_unknown_proposal",
        }
    }
}

impl From<Malformed> for Error {
    fn from(error: Malformed) -> Self {
        Self::Malformed(error.reason())
    }
}

/// Why a configuration was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// No algorithms are allowed in a phase.
    #[error("policy allows no algorithms")]
    EmptyPolicy,
    /// Both ports are the same: the marker could not be told.
    #[error("IKE and NAT traversal need different ports")]
    SamePorts,
    /// A pre-shared key is empty.
    #[error("pre-shared key is empty")]
    EmptyKey,
    /// A limit or a time is zero.
    #[error("{0} must not be zero")]
    Zero(&'static str),
}
