//! `[esp]`: phase 2.

use super::check::Checker;
use super::ike::peer_match;
use super::{ConfigError, shown};
use serde::{Deserialize, Serialize};
use toml::Spanned;

/// Phase 2.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Esp {
    /// What is accepted instead of the policy's suites, in order of preference; the policy's if
    /// empty.
    #[serde(serialize_with = "shown::each")]
    pub proposals: Vec<isakmp::ChildSuite>,
    /// Peers whose SHA-256 is cut to 96 bits: old Android and old Linux kernels.
    #[serde(serialize_with = "shown::each")]
    pub sha256_96: Vec<isakmp::PeerMatch>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawEsp {
    proposals: Vec<Spanned<String>>,
    sha256_96: Vec<Spanned<String>>,
}

impl RawEsp {
    pub(super) fn check(self, check: &Checker<'_>) -> Result<Esp, ConfigError> {
        let right = "write cipher and hash, such as \"aes256-sha1\", or \"aes128gcm16\"";
        let proposals = self.proposals.iter();
        let proposals = proposals.map(|p| check.value(p, "an ESP proposal", right));
        let peers = self.sha256_96.iter().map(|p| peer_match(check, p));
        Ok(Esp {
            proposals: proposals.collect::<Result<_, _>>()?,
            sha256_96: peers.collect::<Result<_, _>>()?,
        })
    }
}
