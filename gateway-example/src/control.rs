//! What commands ask of a running gateway and what it answers: one line of JSON each.
//!
//! `{"request":"session","id":3}` is answered by an object with `schema_version` and what was
//! asked for, or by one with `schema_version` and `error`.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;

/// Bytes of a request at most, its line feed included.
pub const MAX_REQUEST: usize = 4096;

/// Of every answer's form; grows when a name changes its meaning or goes away.
pub const SCHEMA_VERSION: u32 = 1;

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Request {
    /// A summary: [`Status`](crate::core::Status).
    Status,
    /// A line for each connection: [`Sessions`](crate::core::Sessions).
    Sessions,
    /// All about one connection: [`SessionDetail`](crate::core::SessionDetail).
    Session {
        /// Its number, as in the log's `conn`.
        id: u64,
    },
    /// Each ISAKMP SA and each pair of ESP SAs: [`Sas`](crate::core::Sas).
    Sas,
    /// What the firewall follows: [`Flows`](crate::core::Flows).
    Flows {
        /// Only this user's.
        user: Option<String>,
    },
    /// Who may connect, and who is connected: [`Users`](crate::core::Users).
    Users,
    /// Why the last attempts of an address or a user failed, and what to change:
    /// [`Explanation`](crate::core::Explanation).
    Explain {
        /// An IP address or a user's name.
        who: String,
    },
    /// Ends connections: [`Kicked`](crate::core::Kicked).
    Kick {
        /// A connection's number or a user's name.
        who: String,
    },
    /// Every reason for which something was dropped or refused, and how often:
    /// [`Counters`](crate::core::Counters).
    Counters,
    /// Begins to capture packets: [`CaptureStatus`](crate::core::CaptureStatus).
    CaptureStart {
        /// A file that does not exist yet; one in the gateway's state folder if left out.
        path: Option<PathBuf>,
        /// Bytes of the file at most.
        max_bytes: Option<u64>,
    },
    /// Ends the capture: [`CaptureStatus`](crate::core::CaptureStatus).
    CaptureStop,
    /// Begins to write session keys for Wireshark: [`KeylogStatus`](crate::core::KeylogStatus).
    KeylogOn {
        /// The folder; `key_log_dir` or one in the gateway's state folder if left out.
        folder: Option<PathBuf>,
    },
    /// Ends writing session keys: [`KeylogStatus`](crate::core::KeylogStatus).
    KeylogOff,
    /// Takes the configuration file anew: [`Changes`](crate::config::Changes).
    Reload,
    /// What another configuration file would change: [`Changes`](crate::config::Changes).
    Diff {
        /// The file, as the gateway finds it.
        path: PathBuf,
    },
    /// What Prometheus reads: [`Metrics`](crate::core::Metrics).
    Metrics,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// For programs.
    pub code: Code,
    /// For people.
    pub message: String,
}

/// What kind of a [`Refusal`] it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Code {
    /// The request is no JSON, too long, or not one of ours.
    BadRequest,
    /// There is no such session, user or address.
    NoSuch,
    /// It was tried and did not work.
    Failed,
}

impl Refusal {
    /// Nothing goes by that name.
    #[must_use]
    pub fn no_such(what: &(impl fmt::Display + ?Sized)) -> Self {
        Self {
            code: Code::NoSuch,
            message: format!("no such {what}"),
        }
    }

    /// It was tried and did not work.
    #[must_use]
    pub fn failed(why: &(impl fmt::Display + ?Sized)) -> Self {
        Self {
            code: Code::Failed,
            message: why.to_string(),
        }
    }

    /// The request cannot be understood.
    #[must_use]
    pub fn bad_request(why: &(impl fmt::Display + ?Sized)) -> Self {
        Self {
            code: Code::BadRequest,
            message: format!("bad request: {why}"),
        }
    }
}

/// An answer as it goes over the socket, without line feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer(String);

#[derive(Serialize)]
struct Versioned<'a, T> {
    schema_version: u32,
    #[serde(flatten)]
    body: &'a T,
}

#[derive(Serialize)]
struct Refused<'a> {
    error: &'a Refusal,
}

impl Answer {
    /// `body` must be a struct.
    #[must_use]
    pub fn of<T: Serialize>(body: &T) -> Self {
        let schema_version = SCHEMA_VERSION;
        let versioned = Versioned {
            schema_version,
            body,
        };
        match serde_json::to_string(&versioned) {
            Ok(text) => Self(text),
            Err(e) => Self::refuse(&Refusal::failed(&e)),
        }
    }

    /// No, and why.
    #[must_use]
    pub fn refuse(refusal: &Refusal) -> Self {
        Self::of(&Refused { error: refusal })
    }

    /// What went over the socket.
    #[must_use]
    pub fn from_line(line: String) -> Self {
        Self(line)
    }

    /// As JSON.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.0
    }

    /// What was asked for.
    ///
    /// # Errors
    /// The gateway's refusal, or that it speaks another version.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        #[derive(Deserialize)]
        struct Head {
            schema_version: u32,
            error: Option<Refusal>,
        }
        let foreign =
            |e: serde_json::Error| Refusal::failed(&format!("answer not understood: {e}"));
        let head: Head = serde_json::from_str(&self.0).map_err(foreign)?;
        if let Some(refusal) = head.error {
            return Err(refusal);
        }
        if head.schema_version != SCHEMA_VERSION {
            return Err(Refusal::failed(&format!(
                "the gateway answers in version {}, this command reads version {SCHEMA_VERSION}",
                head.schema_version
            )));
        }
        serde_json::from_str(&self.0).map_err(foreign)
    }
}

impl<T: Serialize> From<Result<T, Refusal>> for Answer {
    fn from(result: Result<T, Refusal>) -> Self {
        match result {
            Ok(body) => Self::of(&body),
            Err(refusal) => Self::refuse(&refusal),
        }
    }
}

/// Reads a request as it came over the socket.
///
/// # Errors
/// Why it is none.
pub fn parse(line: &[u8]) -> Result<Request, Refusal> {
    serde_json::from_slice(line).map_err(|e| Refusal::bad_request(&e))
}
