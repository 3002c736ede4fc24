//! `[pool]`: addresses for users who have none of their own.

use super::ConfigError;
use super::check::Checker;
use crate::pool::Pool;
use serde::Deserialize;
use toml::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPool {
    range: Spanned<String>,
}

impl RawPool {
    pub(super) fn check(self, check: &Checker<'_>) -> Result<Pool, ConfigError> {
        check.value(
            &self.range,
            "a range of addresses",
            "write the first and the last, such as \"192.168.200.10-192.168.200.99\"",
        )
    }
}
