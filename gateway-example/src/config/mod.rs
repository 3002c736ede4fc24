//! The office's configuration: one TOML file, checked as a whole before anything starts.
//!
//! Each section has a file of its own: what is written (`Raw...`), what comes of it, and `check`
//! between the two. A new section needs a line in [`Config`], one in `RawConfig` and one in
//! `parse`; what it derives shows it in `gateway check --diff`.

mod aaa;
mod check;
mod diff;
mod error;
mod esp;
mod firewall;
mod gateway;
mod ike;
mod internet;
mod l2tp;
mod lan;
mod network;
mod pool;
mod ppp;
mod radius;
mod remedy;
mod secret;
mod shown;
mod starting;
#[cfg(test)]
mod tests;
mod users;
mod warnings;

pub use self::aaa::{Aaa, Sessions};
pub use self::diff::{Change, Changes};
pub use self::error::ConfigError;
pub use self::esp::Esp;
pub use self::firewall::{FirewallAction, FirewallRule, FirewallRules, Side};
pub use self::gateway::{GATHER_MICROSECONDS, Listen};
pub use self::ike::{Ike, Policy, Psk};
pub use self::internet::Internet;
pub use self::l2tp::L2tp;
pub use self::lan::{Lan, Tun};
pub use self::network::Network;
pub use self::pool::Pools;
pub use self::ppp::Ppp;
pub use self::radius::{Radius, RadiusServer};
pub use self::secret::Secret;
pub use self::starting::{holds_secrets, starting_file};
pub use self::users::User;

use crate::alliedware;
use crate::pool::Pool;
use check::Checker;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;

/// Where the commands find the running gateway, unless told otherwise.
pub const DEFAULT_CONTROL_SOCKET: &str = "/run/roadwarrior/control.sock";

/// Everything `gateway run` needs to know.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Config {
    /// Where it listens and what it shows.
    pub gateway: Listen,
    /// Phase 1.
    pub ike: Ike,
    /// Pre-shared keys by peer.
    #[serde(rename = "psk")]
    pub psks: Vec<Psk>,
    /// Phase 2.
    pub esp: Esp,
    /// Tunnels.
    pub l2tp: L2tp,
    /// What clients are told and asked.
    pub ppp: Ppp,
    /// Addresses for users without one of their own.
    pub pool: Pools,
    /// What users may do.
    pub aaa: Aaa,
    /// Servers that know more users; none unless set.
    pub radius: Option<Radius>,
    /// The office's network.
    pub lan: Lan,
    /// The device that joins the clients to the office.
    pub tun: Tun,
    /// Access to the internet; none unless set.
    pub internet: Option<Internet>,
    /// What is let through.
    pub firewall: FirewallRules,
    /// Users by name.
    #[serde(rename = "user")]
    pub users: BTreeMap<String, User>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfig {
    #[serde(default)]
    gateway: gateway::RawGateway,
    #[serde(default)]
    ike: ike::RawIke,
    #[serde(default)]
    psk: Vec<ike::RawPsk>,
    #[serde(default)]
    esp: esp::RawEsp,
    #[serde(default)]
    l2tp: l2tp::RawL2tp,
    ppp: ppp::RawPpp,
    pool: Option<pool::RawPool>,
    #[serde(default)]
    aaa: aaa::RawAaa,
    radius: Option<radius::RawRadius>,
    #[serde(default)]
    lan: lan::RawLan,
    #[serde(default)]
    tun: lan::RawTun,
    internet: Option<internet::RawInternet>,
    #[serde(default)]
    firewall: firewall::RawFirewall,
    #[serde(default)]
    users: users::RawUsers,
    #[serde(default)]
    user: Vec<users::RawUser>,
}

impl Config {
    /// Reads and checks the file at `path`; what it names for secrets and users is looked for from
    /// its folder on. A file that ends in `.cfg` or `.scp` is a script of an AlliedWare router.
    ///
    /// # Errors
    /// What is wrong, at which line and column, and what would be right.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::load_with_notes(path).map(|(config, _)| config)
    }

    /// As [`load`](Self::load), with what became of each command of a script.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_with_notes(path: &Path) -> Result<(Self, Vec<alliedware::Note>), ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|e| ConfigError::unreadable(path, &e))?;
        if !is_script(path) {
            return Ok((Self::parse(path, &text)?, Vec::new()));
        }
        let alliedware::Conversion { toml, notes } = convert(path, &text)?;
        Ok((Self::parse(path, &toml)?, notes))
    }

    /// Addresses of users' own, and then those of the pools.
    pub fn client_addresses(&self) -> impl Iterator<Item = Ipv4Addr> {
        let own = self.users.values().filter_map(|user| user.address);
        own.chain(self.pool.iter().flat_map(Pool::addresses))
    }

    /// Checks `text` as if read from `path`.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let raw: RawConfig = toml::from_str(text).map_err(|e| toml_error(path, text, &e))?;
        let check = &Checker { file: path, text };
        let lan = raw.lan.check(check)?;
        let ppp = raw.ppp.check(check)?;
        let pool = match raw.pool {
            Some(pool) => pool.check(check)?,
            None => Pools::default(),
        };
        Ok(Self {
            gateway: raw.gateway.check(check)?,
            ike: raw.ike.check(check)?,
            psks: ike::psks(check, raw.psk)?,
            esp: raw.esp.check(check)?,
            l2tp: raw.l2tp.check(check)?,
            aaa: raw.aaa.check(check)?,
            radius: match raw.radius {
                Some(radius) => Some(radius.check(check)?),
                None => None,
            },
            internet: match raw.internet {
                Some(internet) => Some(internet.check(check, &lan)?),
                None => None,
            },
            firewall: raw.firewall.check(check)?,
            lan,
            tun: raw.tun.check(check)?,
            users: raw.users.check(check, raw.user, &pool, ppp.local)?,
            pool,
            ppp,
        })
    }
}

/// What a script of an AlliedWare router says, as TOML.
///
/// # Errors
/// All that is wrong with the script, with lines and columns.
pub fn convert(path: &Path, script: &str) -> Result<alliedware::Conversion, ConfigError> {
    alliedware::convert(script).map_err(|problems| {
        let problems = problems.into_iter();
        let errors = problems.map(|p| {
            let span = Some(p.span);
            ConfigError::at(path, script, span, p.problem, p.remedy)
        });
        ConfigError::all(errors.collect())
    })
}

fn is_script(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
    ["cfg", "scp"]
        .iter()
        .any(|e| extension.eq_ignore_ascii_case(e))
}

/// What the TOML reader found wrong, with what would be right.
fn toml_error(file: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let problem = error.message().trim().to_owned();
    let remedy = remedy::for_toml(&problem).to_owned();
    ConfigError::at(file, text, error.span(), problem, remedy)
}
