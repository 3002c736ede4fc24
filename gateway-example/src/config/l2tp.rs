//! `[l2tp]`: tunnels.

use super::check::{Checker, SecretSource};
use super::{ConfigError, Secret, shown};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use toml::Spanned;

/// Tunnels.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct L2tp {
    /// Secret for tunnel authentication (RFC 2661 section 5.1.1).
    pub tunnel_secret: Option<Secret>,
    /// Sends AVPs hidden (RFC 2661 section 4.3); needs `tunnel_secret`.
    pub hide_avps: bool,
    /// Outer addresses whose calls are taken; all when empty.
    #[serde(serialize_with = "shown::debug")]
    pub peers: Vec<RangeInclusive<Ipv4Addr>>,
}

impl L2tp {
    /// Whether calls from this outer address are taken.
    #[must_use]
    pub fn takes(&self, peer: IpAddr) -> bool {
        let listed = |v4| self.peers.iter().any(|range| range.contains(&v4));
        self.peers.is_empty() || matches!(peer.to_canonical(), IpAddr::V4(v4) if listed(v4))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawL2tp {
    tunnel_secret: Option<String>,
    tunnel_secret_file: Option<Spanned<PathBuf>>,
    tunnel_secret_credential: Option<Spanned<String>>,
    hide_avps: Spanned<bool>,
    peers: Vec<Spanned<String>>,
}

impl Default for RawL2tp {
    fn default() -> Self {
        Self {
            tunnel_secret: None,
            tunnel_secret_file: None,
            tunnel_secret_credential: None,
            hide_avps: Spanned::new(0..0, false),
            peers: Vec::new(),
        }
    }
}

impl RawL2tp {
    pub(super) fn check(self, check: &Checker<'_>) -> Result<L2tp, ConfigError> {
        let source = SecretSource {
            key: "tunnel_secret",
            inline: self.tunnel_secret,
            file: self.tunnel_secret_file,
            credential: self.tunnel_secret_credential,
        };
        let tunnel_secret = check.secret(&self.hide_avps, source)?;
        if *self.hide_avps.get_ref() && tunnel_secret.is_none() {
            return Err(check.wrong(
                &self.hide_avps,
                "hidden AVPs need a tunnel secret",
                "set l2tp.tunnel_secret, or leave hide_avps out",
            ));
        }
        Ok(L2tp {
            tunnel_secret,
            hide_avps: self.hide_avps.into_inner(),
            peers: self
                .peers
                .iter()
                .map(|range| check.ipv4_range(range))
                .collect::<Result<_, _>>()?,
        })
    }
}
