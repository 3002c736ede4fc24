//! The office's configuration: one TOML file, checked as a whole before anything starts.

mod error;
mod raw;
#[cfg(test)]
mod tests;

pub use error::ConfigError;

use crate::pool::Pool;
use ppp::AuthMethod;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Everything `gateway run` needs to know.
#[derive(Debug)]
#[non_exhaustive]
pub struct Config {
    /// Addresses to listen on; 0.0.0.0 for all.
    pub listen: IpAddr,
    /// UDP port of IKE (RFC 2409), normally 500.
    pub ike_port: u16,
    /// UDP port of NAT traversal (RFC 3947), normally 4500.
    pub natt_port: u16,
    /// Whether to take ESP as IP protocol 50 from peers that are not behind a NAT.
    pub native_esp: bool,
    /// Which algorithms peers may negotiate.
    pub policy: Policy,
    /// Pre-shared keys by peer, most specific first is not required: the longest prefix wins.
    pub psks: Vec<(isakmp::PeerMatch, Secret)>,
    /// Where `status` asks the running gateway.
    pub control_socket: PathBuf,
    /// Where to append Wireshark's `ikev1_decryption_table` and `esp_sa`; none unless set.
    pub key_log_dir: Option<PathBuf>,
    /// PPP settings.
    pub ppp: Ppp,
    /// Addresses for users without one of their own.
    pub pool: Pool,
    /// Destinations that clients may reach; all when empty.
    pub networks: Vec<Network>,
    /// The TUN device.
    pub tun: Tun,
    /// Users by name.
    pub users: BTreeMap<String, User>,
    /// Secret for L2TP tunnel authentication (RFC 2661 section 5.1.1).
    pub tunnel_secret: Option<Secret>,
    /// Sends AVPs hidden (RFC 2661 section 4.3); needs `tunnel_secret`.
    pub hide_avps: bool,
}

/// Named sets of algorithms, see [`isakmp::Policy`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
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

/// What PPP tells clients.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Ppp {
    /// The gateway's own address on every link.
    pub local: Ipv4Addr,
    /// DNS servers given to clients (RFC 1877).
    pub dns: Vec<Ipv4Addr>,
    /// WINS servers given to clients (RFC 1877).
    pub wins: Vec<Ipv4Addr>,
    /// Authentication methods in order of preference.
    pub auth: Vec<AuthMethod>,
    /// Maximum receive unit in bytes.
    pub mru: u16,
    /// Seconds between LCP echo requests; 0 for none.
    pub echo_seconds: u64,
    /// Whether to negotiate IPV6CP.
    pub ipv6: bool,
}

/// The device that joins the clients to the office.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Tun {
    /// Its name.
    pub name: String,
    /// Its MTU in bytes.
    pub mtu: u16,
    /// The LAN's interface, for answering ARP for clients whose address lies in the LAN.
    pub proxy_arp: Option<String>,
}

/// Somebody who may connect.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct User {
    /// What proves it.
    pub password: Secret,
    /// An address of the user's own; takes precedence over the pool.
    pub address: Option<Ipv4Addr>,
}

/// An IPv4 network in CIDR notation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// Any address of it.
    pub address: Ipv4Addr,
    /// Length of the prefix in bits, 0 to 32.
    pub prefix: u8,
}

impl Network {
    /// Whether `address` lies in this network.
    #[must_use]
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        let mask = u32::MAX
            .checked_shl(32 - u32::from(self.prefix))
            .unwrap_or(0);
        u32::from(address) & mask == u32::from(self.address) & mask
    }
}

impl std::str::FromStr for Network {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (address, prefix) = text.split_once('/').unwrap_or((text, "32"));
        let network = Self {
            address: address.parse().map_err(|_| ())?,
            prefix: prefix.parse().map_err(|_| ())?,
        };
        if network.prefix <= 32 {
            Ok(network)
        } else {
            Err(())
        }
    }
}

/// A secret text: wiped on drop, never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Keeps `text`.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself, to hand to what needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secret({} bytes)", self.0.len())
    }
}

impl Config {
    /// Reads and checks the file at `path`; paths inside it are relative to its folder.
    ///
    /// # Errors
    /// What is wrong, at which line and column, and what would be right.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|e| ConfigError::unreadable(path, &e))?;
        Self::parse(path, &text)
    }

    /// Checks `text` as if read from `path`.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        raw::parse(path, text)
    }
}
