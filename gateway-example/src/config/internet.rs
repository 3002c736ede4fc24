//! `[internet]`: access to the internet, translated (NAPT).

use super::check::Checker;
use super::{ConfigError, shown};
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use toml::Spanned;

/// Access to the internet through the gateway, by its global address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Internet {
    /// The interface towards it.
    pub interface: String,
    /// The global address that all packets bear outside; the interface's own if none.
    pub address: Option<Ipv4Addr>,
    /// Whether clients get there.
    pub clients: bool,
    /// Whether the LAN gets there through the same translation.
    pub lan: bool,
    /// Ports that translated packets bear. With an address of the gateway's own any will do; the
    /// interface's address is shared with this machine's own sockets.
    #[serde(serialize_with = "shown::debug")]
    pub ports: RangeInclusive<u16>,
    /// Whether `address` is also the system's own, found out when the gateway starts.
    #[serde(skip)]
    pub shared: bool,
}

/// Above what Linux gives to sockets that ask for no port (32768 to 60999).
const PORTS: RangeInclusive<u16> = 61_000..=LAST_PORT;

/// Linux's routing rules take no port beyond it.
const LAST_PORT: u16 = 65_534;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawInternet {
    interface: Spanned<String>,
    address: Option<Spanned<String>>,
    #[serde(default = "yes")]
    clients: bool,
    lan: Option<Spanned<bool>>,
    ports: Option<Spanned<String>>,
}

fn yes() -> bool {
    true
}

impl RawInternet {
    pub(super) fn check(
        self,
        check: &Checker<'_>,
        lan: &super::Lan,
    ) -> Result<Internet, ConfigError> {
        if lan.networks.is_empty() {
            return Err(check.wrong(
                &self.interface,
                "without lan.networks the internet cannot be told from the office",
                "add the office's networks as lan.networks",
            ));
        }
        if let Some(through) = &self.lan
            && *through.get_ref()
            && lan.interface.is_none()
        {
            return Err(check.wrong(
                through,
                "the LAN's packets come in by no known interface",
                "add its name as lan.interface",
            ));
        }
        let ports = match &self.ports {
            Some(written) => {
                let ports = check.ports(written)?;
                if *ports.end() > LAST_PORT {
                    return Err(check.wrong(
                        written,
                        "port 65535 cannot be routed by itself",
                        "write a range up to 65534",
                    ));
                }
                ports
            }
            None => PORTS,
        };
        Ok(Internet {
            interface: check.device(&self.interface)?,
            address: self.address.as_ref().map(|a| check.ipv4(a)).transpose()?,
            clients: self.clients,
            lan: self.lan.is_some_and(Spanned::into_inner),
            ports,
            shared: false,
        })
    }
}
