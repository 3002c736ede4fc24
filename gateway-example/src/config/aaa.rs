//! `[aaa]`: what a user may do, unless the user's own table says otherwise.

use super::check::Checker;
use super::{ConfigError, shown};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use toml::Spanned;

/// Limits for all users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Aaa {
    /// How many calls a user may have.
    pub sessions: Sessions,
    /// How long a call may last.
    #[serde(rename = "session_timeout_seconds", serialize_with = "shown::seconds")]
    pub session_timeout: Option<Duration>,
    /// How long a call may be silent.
    #[serde(rename = "idle_timeout_seconds", serialize_with = "shown::seconds")]
    pub idle_timeout: Option<Duration>,
    /// How late a wrong password is answered, against guessing.
    #[serde(
        rename = "wrong_password_delay_seconds",
        serialize_with = "shown::seconds"
    )]
    pub wrong_password_delay: Duration,
}

/// How many calls a user may have, and what happens to one more.
///
/// A user with an address of its own has one call, and a new one replaces it, unless this says
/// otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sessions {
    /// As many as there are addresses.
    Any,
    /// One: a new one ends the old one.
    Replace,
    /// One: a new one is refused.
    Deny,
    /// So many: one more is refused.
    AtMost(u32),
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawAaa {
    sessions: Option<Spanned<toml::Value>>,
    session_timeout_seconds: u64,
    idle_timeout_seconds: u64,
    wrong_password_delay_seconds: Option<Spanned<u64>>,
}

impl RawAaa {
    pub(super) fn check(self, check: &Checker<'_>) -> Result<Aaa, ConfigError> {
        let sessions = self.sessions.as_ref().map(|s| sessions(check, s));
        let delay = match &self.wrong_password_delay_seconds {
            Some(delay) if *delay.get_ref() > 10 => {
                return Err(check.wrong(
                    delay,
                    "clients do not wait that long for an answer",
                    "choose 0 to 10 seconds",
                ));
            }
            Some(delay) => *delay.get_ref(),
            None => 2,
        };
        Ok(Aaa {
            sessions: sessions.transpose()?.unwrap_or(Sessions::Any),
            session_timeout: seconds(self.session_timeout_seconds),
            idle_timeout: seconds(self.idle_timeout_seconds),
            wrong_password_delay: Duration::from_secs(delay),
        })
    }
}

/// Seconds as written, where 0 means none.
pub(super) fn seconds(seconds: u64) -> Option<Duration> {
    // A year: more would only overflow clocks.
    let limit = 365 * 24 * 3600;
    (seconds > 0).then(|| Duration::from_secs(seconds.min(limit)))
}

pub(super) fn sessions(
    check: &Checker<'_>,
    value: &Spanned<toml::Value>,
) -> Result<Sessions, ConfigError> {
    let known = match value.get_ref() {
        toml::Value::String(word) => match word.as_str() {
            "any" => Some(Sessions::Any),
            "replace" => Some(Sessions::Replace),
            "deny" => Some(Sessions::Deny),
            _ => None,
        },
        toml::Value::Integer(n) => u32::try_from(*n)
            .ok()
            .filter(|n| *n > 0)
            .map(Sessions::AtMost),
        _ => None,
    };
    known.ok_or_else(|| {
        check.wrong(
            value,
            format!("`{}` is not a session policy", value.get_ref()),
            "write \"any\", \"replace\", \"deny\", or how many calls a user may have",
        )
    })
}
