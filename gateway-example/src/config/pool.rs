//! `[pool]`: addresses for users who have none of their own.

use super::ConfigError;
use super::check::Checker;
use crate::pool::Pool;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use toml::Spanned;

/// Addresses for users who have none of their own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Pools {
    /// For users for whom no pool is named.
    pub range: Pool,
    /// For users and RADIUS servers that name one.
    pub named: BTreeMap<String, Pool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPool {
    range: Spanned<String>,
    #[serde(default)]
    named: BTreeMap<String, Spanned<String>>,
}

impl Pools {
    /// Each pool, the usual one first.
    pub fn iter(&self) -> impl Iterator<Item = &Pool> {
        std::iter::once(&self.range).chain(self.named.values())
    }

    /// All addresses as CIDR blocks (address, prefix length), for routes.
    #[must_use]
    pub fn blocks(&self) -> Vec<(Ipv4Addr, u8)> {
        self.iter().flat_map(Pool::blocks).collect()
    }
}

impl RawPool {
    pub(super) fn check(self, check: &Checker<'_>) -> Result<Pools, ConfigError> {
        let parse = |range: &Spanned<String>| {
            check.value::<Pool>(
                range,
                "a range of addresses",
                "write the first and the last, such as \"192.168.200.10-192.168.200.99\"",
            )
        };
        let mut pools = Pools {
            range: parse(&self.range)?,
            named: BTreeMap::new(),
        };
        for (name, range) in self.named {
            let pool = parse(&range)?;
            if pools.iter().any(|other| other.overlaps(&pool)) {
                return Err(check.wrong(
                    &range,
                    format!("pool `{name}` shares addresses with another"),
                    "give each pool addresses of its own",
                ));
            }
            pools.named.insert(name, pool);
        }
        Ok(pools)
    }
}
