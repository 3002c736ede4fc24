//! `[ppp]`: what clients are told and asked.

use super::check::Checker;
use super::{ConfigError, shown};
use ppp::AuthMethod;
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;
use toml::Spanned;

/// What PPP tells clients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Ppp {
    /// The gateway's own address on every link.
    pub local: Ipv4Addr,
    /// DNS servers given to clients (RFC 1877).
    pub dns: Vec<Ipv4Addr>,
    /// WINS servers given to clients (RFC 1877).
    pub wins: Vec<Ipv4Addr>,
    /// Authentication methods in order of preference.
    #[serde(serialize_with = "shown::debug")]
    pub auth: Vec<AuthMethod>,
    /// Maximum receive unit in bytes.
    pub mru: u16,
    /// Seconds between LCP echo requests; 0 for none.
    pub echo_seconds: u64,
    /// Whether to negotiate IPV6CP.
    pub ipv6: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPpp {
    local: Spanned<String>,
    #[serde(default)]
    dns: Vec<Spanned<String>>,
    #[serde(default)]
    wins: Vec<Spanned<String>>,
    auth: Option<Spanned<Vec<Spanned<String>>>>,
    #[serde(default = "mru")]
    mru: Spanned<u16>,
    #[serde(default = "echo_seconds")]
    echo_seconds: Spanned<u64>,
    #[serde(default)]
    ipv6: bool,
}

fn mru() -> Spanned<u16> {
    Spanned::new(0..0, 1400)
}
fn echo_seconds() -> Spanned<u64> {
    Spanned::new(0..0, 30)
}

impl RawPpp {
    pub(super) fn check(self, check: &Checker<'_>) -> Result<Ppp, ConfigError> {
        let auth = match &self.auth {
            None => vec![AuthMethod::MsChapV2, AuthMethod::ChapMd5],
            Some(list) if list.get_ref().is_empty() => {
                return Err(check.wrong(
                    list,
                    "nobody could log in",
                    "list at least one of \"mschapv2\", \"chap\" and \"pap\"",
                ));
            }
            Some(list) => {
                let methods = list.get_ref().iter();
                methods
                    .map(|m| auth_method(check, m))
                    .collect::<Result<_, _>>()?
            }
        };
        if !(576..=1500).contains(self.mru.get_ref()) {
            return Err(check.wrong(
                &self.mru,
                format!("an MRU of {} bytes is out of range", self.mru.get_ref()),
                "choose 576 to 1500; 1400 suits most paths",
            ));
        }
        if *self.echo_seconds.get_ref() > 86_400 {
            return Err(check.wrong(
                &self.echo_seconds,
                "a client that has gone would be noticed too late",
                "choose 0 to 86400 seconds; 30 suits most, and 0 asks never",
            ));
        }
        Ok(Ppp {
            local: check.ipv4(&self.local)?,
            dns: check.ipv4s(&self.dns)?,
            wins: check.ipv4s(&self.wins)?,
            auth,
            mru: self.mru.into_inner(),
            echo_seconds: self.echo_seconds.into_inner(),
            ipv6: self.ipv6,
        })
    }
}

fn auth_method(check: &Checker<'_>, method: &Spanned<String>) -> Result<AuthMethod, ConfigError> {
    match method.get_ref().as_str() {
        "mschapv2" => Ok(AuthMethod::MsChapV2),
        "chap" => Ok(AuthMethod::ChapMd5),
        "pap" => Ok(AuthMethod::Pap),
        other => Err(check.wrong(
            method,
            format!("`{other}` is not an authentication method"),
            "choose from \"mschapv2\", \"chap\" and \"pap\"",
        )),
    }
}
