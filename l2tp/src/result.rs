//! Why tunnels and calls end, in messages and in events.

use crate::wire::{AvpType, Builder, Message};
use std::fmt;

/// Result Code of a StopCCN (RFC 2661 section 4.4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopResult(pub u16);

#[allow(missing_docs, reason = "named as the RFC describes them")]
impl StopResult {
    pub const GENERAL: Self = Self(1);
    pub const GENERAL_ERROR: Self = Self(2);
    pub const ALREADY_EXISTS: Self = Self(3);
    pub const NOT_AUTHORIZED: Self = Self(4);
    pub const BAD_VERSION: Self = Self(5);
    pub const SHUTTING_DOWN: Self = Self(6);
    pub const STATE_MACHINE: Self = Self(7);
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
    pub const NO_FACILITIES_EVER: Self = Self(5);
    pub const INVALID_DESTINATION: Self = Self(6);
    pub const NO_CARRIER: Self = Self(7);
    pub const BUSY: Self = Self(8);
    pub const NO_DIAL_TONE: Self = Self(9);
    pub const TIMEOUT: Self = Self(10);
    pub const NO_FRAMING: Self = Self(11);
}

/// General Error Code (RFC 2661 section 4.4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorCode(pub u16);

#[allow(missing_docs, reason = "named as the RFC describes them")]
impl ErrorCode {
    pub const NO_CONTROL_CONNECTION: Self = Self(1);
    pub const LENGTH: Self = Self(2);
    pub const VALUE: Self = Self(3);
    pub const RESOURCES: Self = Self(4);
    pub const SESSION_ID: Self = Self(5);
    pub const VENDOR: Self = Self(6);
    pub const TRY_ANOTHER: Self = Self(7);
    pub const UNKNOWN_MANDATORY: Self = Self(8);
}

/// What a StopCCN says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// Why the tunnel ends.
    pub result: StopResult,
    /// What was wrong, and a text for a reader.
    pub error: Option<(ErrorCode, String)>,
}

impl From<StopResult> for Stop {
    fn from(result: StopResult) -> Self {
        Self {
            result,
            error: None,
        }
    }
}

/// What a CDN says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disconnect {
    /// Why the call ends.
    pub result: CallResult,
    /// What was wrong, and a text for a reader.
    pub error: Option<(ErrorCode, String)>,
    /// What the telephone network said.
    pub cause: Option<CauseCode>,
}

impl From<CallResult> for Disconnect {
    fn from(result: CallResult) -> Self {
        Self {
            result,
            error: None,
            cause: None,
        }
    }
}

/// Q.931 Cause Code AVP (RFC 2661 section 4.4.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CauseCode {
    /// The Q.931 cause.
    pub cause: u16,
    /// The Q.931 message that carried it.
    pub message: u8,
    /// Text for a reader, any bytes.
    pub advisory: Vec<u8>,
}

impl CauseCode {
    pub(crate) fn read(message: &Message) -> Option<Self> {
        let value = message.bytes(AvpType::Q931_CAUSE_CODE)?;
        let ([high, low, kind], advisory) = value.split_first_chunk::<3>()?;
        Some(Self {
            cause: u16::from_be_bytes([*high, *low]),
            message: *kind,
            advisory: advisory.to_vec(),
        })
    }

    pub(crate) fn write(&self, message: &mut Builder<'_>) {
        let mut value = self.cause.to_be_bytes().to_vec();
        value.push(self.message);
        value.extend(&self.advisory);
        message.bytes(AvpType::Q931_CAUSE_CODE, &value);
    }
}

/// The Result Code AVP.
pub(crate) fn write_result(
    message: &mut Builder<'_>,
    result: u16,
    error: Option<&(ErrorCode, String)>,
) {
    let mut value = result.to_be_bytes().to_vec();
    if let Some((code, text)) = error {
        value.extend(code.0.to_be_bytes());
        value.extend(text.as_bytes());
    }
    message.bytes(AvpType::RESULT_CODE, &value);
}

/// Why a tunnel or a call has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// Our owner asked for it.
    Local,
    /// The peer sent StopCCN, which ends the tunnel and its calls, or CDN.
    Peer {
        /// [`StopResult`] or [`CallResult`].
        result: u16,
        /// [`ErrorCode`]; 0 if absent.
        error: u16,
        /// What the peer said, made printable.
        message: String,
        /// What the telephone network said, in a CDN.
        cause: Option<Box<CauseCode>>,
    },
    /// The peer does not acknowledge, or does not go on.
    Timeout,
    /// Tunnel authentication failed.
    AuthenticationFailed,
    /// The peer speaks another version of the protocol.
    BadVersion,
    /// The peer sent what the protocol forbids.
    ProtocolError(&'static str),
    /// The peer opened a tunnel at the same time, and its tie breaker won.
    TieBreaker,
    /// The call is one too many, or nobody answers calls here.
    NotAccepted,
    /// More was to be said than the peer acknowledges.
    QueueFull,
    /// The tunnel of the call has ended, though not by the peer's StopCCN.
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
            Self::BadVersion => "bad_version",
            Self::ProtocolError(_) => "protocol_error",
            Self::TieBreaker => "tie_breaker",
            Self::NotAccepted => "not_accepted",
            Self::QueueFull => "queue_full",
            Self::TunnelDown => "tunnel_down",
            Self::PathClosed => "path_closed",
        }
    }

    /// What a StopCCN or CDN says.
    pub(crate) fn of_peer(message: &Message) -> Self {
        let (result, error, text) = message.result().unwrap_or_default();
        let text = String::from_utf8_lossy(text);
        Self::Peer {
            result,
            error,
            message: text.chars().filter(|c| !c.is_control()).collect(),
            cause: CauseCode::read(message).map(Box::new),
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
                cause,
            } => {
                write!(f, "peer_closed (result {result}, error {error}")?;
                if let Some(cause) = cause {
                    write!(f, ", cause {}", cause.cause)?;
                }
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
