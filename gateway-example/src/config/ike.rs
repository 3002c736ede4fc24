//! `[ike]` and `[[psk]]`: phase 1.

use super::check::{Checker, SecretSource};
use super::{ConfigError, Secret, shown};
use isakmp::PeerMatch;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::path::PathBuf;
use toml::Spanned;

/// Named sets of algorithms, see [`isakmp::Policy`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Policy {
    /// What is sound today.
    Modern,
    /// All current clients.
    Compat,
    /// Adds DES, MD5, MODP-768 and MODP-1024 for Windows XP.
    LegacyXp,
}

/// Phase 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Ike {
    /// What is accepted instead of the policy's suites, in order of preference; the policy's if
    /// empty.
    #[serde(serialize_with = "shown::each")]
    pub proposals: Vec<isakmp::Phase1Suite>,
    /// Whether peers are told when an SA ends.
    pub send_deletes: bool,
    /// Whether clients behind a NAT are served (RFC 3947).
    pub nat_traversal: bool,
}

/// A pre-shared key, and whose it is; the longest match counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Psk {
    /// Whose.
    #[serde(serialize_with = "shown::text")]
    pub peer: PeerMatch,
    /// The key.
    pub secret: Secret,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawIke {
    proposals: Vec<Spanned<String>>,
    send_deletes: bool,
    nat_traversal: bool,
}

impl Default for RawIke {
    fn default() -> Self {
        Self {
            proposals: Vec::new(),
            send_deletes: true,
            nat_traversal: true,
        }
    }
}

impl RawIke {
    pub(super) fn check(self, check: &Checker<'_>) -> Result<Ike, ConfigError> {
        let right = "write cipher, hash and group, such as \"aes256-sha1-modp2048\"";
        let proposals = self.proposals.iter();
        let proposals = proposals.map(|p| check.value(p, "a phase 1 proposal", right));
        Ok(Ike {
            proposals: proposals.collect::<Result<_, _>>()?,
            send_deletes: self.send_deletes,
            nat_traversal: self.nat_traversal,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPsk {
    peer: Spanned<String>,
    secret: Option<String>,
    secret_file: Option<Spanned<PathBuf>>,
    secret_credential: Option<Spanned<String>>,
}

pub(super) fn psks(check: &Checker<'_>, raw: Vec<RawPsk>) -> Result<Vec<Psk>, ConfigError> {
    if raw.is_empty() {
        return Err(check.missing(
            "no pre-shared key",
            "add [[psk]] with peer = \"any\" and secret = \"...\" or secret_file = \"...\"",
        ));
    }
    raw.into_iter().map(|psk| psk.check(check)).collect()
}

impl RawPsk {
    fn check(self, check: &Checker<'_>) -> Result<Psk, ConfigError> {
        let source = SecretSource {
            key: "secret",
            inline: self.secret,
            file: self.secret_file,
            credential: self.secret_credential,
        };
        let secret = check.needed_secret(&self.peer, "a pre-shared key", source)?;
        if secret.expose().is_empty() {
            return Err(check.wrong(
                &self.peer,
                "the pre-shared key is empty",
                "choose at least 20 random letters and digits",
            ));
        }
        let peer = peer_match(check, &self.peer)?;
        Ok(Psk { peer, secret })
    }
}

pub(super) fn peer_match(
    check: &Checker<'_>,
    peer: &Spanned<String>,
) -> Result<PeerMatch, ConfigError> {
    let text = peer.get_ref();
    if text == "any" {
        return Ok(PeerMatch::Any);
    }
    let parsed = match text.split_once('/') {
        None => text.parse().map(PeerMatch::Addr).ok(),
        Some((address, prefix)) => address.parse::<IpAddr>().ok().and_then(|address| {
            let bits = if address.is_ipv4() { 32 } else { 128 };
            let prefix = prefix.parse::<u8>().ok().filter(|p| *p <= bits)?;
            Some(PeerMatch::Prefix(address, prefix))
        }),
    };
    parsed.ok_or_else(|| {
        check.wrong(
            peer,
            format!("`{text}` is not a peer"),
            "write \"any\", an address, or a network such as \"203.0.113.0/24\"",
        )
    })
}
