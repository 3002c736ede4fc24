//! `[lan]` and `[tun]`: the office's side.

use super::check::Checker;
use super::{ConfigError, Network};
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;
use toml::Spanned;

/// The office's network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Lan {
    /// Destinations that clients may reach; all when empty.
    pub networks: Vec<Network>,
    /// Its interface, for answering ARP for clients whose address lies in the LAN.
    pub interface: Option<String>,
}

/// The device that joins the clients to the office.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Tun {
    /// Its name.
    pub name: String,
    /// Its MTU in bytes.
    pub mtu: u16,
}

impl Lan {
    /// Whether `address` lies in one of its networks.
    #[must_use]
    pub fn has(&self, address: Ipv4Addr) -> bool {
        self.networks
            .iter()
            .any(|network| network.contains(address))
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawLan {
    networks: Vec<Spanned<String>>,
    interface: Option<Spanned<String>>,
}

impl RawLan {
    pub(super) fn check(self, check: &Checker<'_>) -> Result<Lan, ConfigError> {
        Ok(Lan {
            networks: check.networks(&self.networks)?,
            interface: self
                .interface
                .as_ref()
                .map(|name| check.device(name))
                .transpose()?,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawTun {
    name: Spanned<String>,
    mtu: Spanned<u16>,
}

impl Default for RawTun {
    fn default() -> Self {
        Self {
            name: Spanned::new(0..0, "rw0".into()),
            mtu: Spanned::new(0..0, 1400),
        }
    }
}

impl RawTun {
    pub(super) fn check(self, check: &Checker<'_>) -> Result<Tun, ConfigError> {
        let mtu = *self.mtu.get_ref();
        if !(576..=9000).contains(&mtu) {
            return Err(check.wrong(
                &self.mtu,
                format!("an MTU of {mtu} bytes is out of range"),
                "choose 576 to 9000; 1400 suits most paths",
            ));
        }
        Ok(Tun {
            name: check.device(&self.name)?,
            mtu,
        })
    }
}
