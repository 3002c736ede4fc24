//! `[radius]`: servers that know users, count their time, and may end their calls.

use super::aaa::seconds;
use super::check::{Checker, SecretSource};
use super::{ConfigError, Network, Secret, shown};
use crate::radius;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;
use toml::Spanned;

/// RADIUS servers and how to speak to them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Radius {
    /// In order of preference.
    #[serde(rename = "server")]
    pub servers: Vec<RadiusServer>,
    /// Our name for the servers: NAS-Identifier.
    pub nas_identifier: String,
    /// Our address for the servers: NAS-IP-Address.
    pub nas_address: Option<Ipv4Addr>,
    /// How long to wait for a first reply.
    #[serde(rename = "timeout_seconds", serialize_with = "shown::seconds")]
    pub timeout: Duration,
    /// How often to send a request to one server.
    pub tries: u32,
    /// How long a silent server is passed over.
    #[serde(rename = "dead_seconds", serialize_with = "shown::seconds")]
    pub dead_time: Duration,
    /// How often to report a call's traffic, unless the server says.
    #[serde(rename = "interim_seconds", serialize_with = "shown::seconds")]
    pub interim_interval: Option<Duration>,
    /// Where Disconnect-Request and CoA-Request are heard (RFC 5176); none unless set.
    pub dynamic_port: Option<u16>,
    /// Addresses outside of the pools that the servers may give to clients; they are routed here.
    pub addresses: Vec<Network>,
}

/// One RADIUS server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RadiusServer {
    /// Where it is.
    pub address: IpAddr,
    /// The secret shared with it.
    pub secret: Secret,
    /// Its authentication port; none if it does not authenticate.
    pub auth_port: Option<u16>,
    /// Its accounting port; none if it does not account.
    pub acct_port: Option<u16>,
    /// Whether replies without a Message-Authenticator are dropped (CVE-2024-3596).
    pub require_message_authenticator: bool,
}

impl Radius {
    /// As the RADIUS client takes it.
    #[must_use]
    pub fn client(&self) -> radius::Config {
        let mut client = radius::Config {
            timeout: self.timeout,
            tries: self.tries,
            dead_time: self.dead_time,
            ..radius::Config::default()
        };
        for server in &self.servers {
            let mut to = radius::ServerConfig::new(server.address, server.secret.clone());
            to.auth_port = server.auth_port;
            to.acct_port = server.acct_port;
            to.require_message_authenticator = server.require_message_authenticator;
            client.servers.push(to);
        }
        client
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRadius {
    server: Vec<RawServer>,
    #[serde(default = "nas_identifier")]
    nas_identifier: Spanned<String>,
    nas_address: Option<Spanned<String>>,
    #[serde(default = "one")]
    timeout_seconds: Spanned<u64>,
    #[serde(default = "three")]
    tries: Spanned<u32>,
    #[serde(default = "minute")]
    dead_seconds: u64,
    #[serde(default)]
    interim_seconds: u64,
    dynamic_port: Option<u16>,
    #[serde(default)]
    addresses: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawServer {
    address: Spanned<String>,
    secret: Option<String>,
    secret_file: Option<Spanned<PathBuf>>,
    secret_credential: Option<Spanned<String>>,
    #[serde(default = "auth_port")]
    auth_port: u16,
    #[serde(default = "acct_port")]
    acct_port: u16,
    #[serde(default = "yes")]
    require_message_authenticator: bool,
}

fn nas_identifier() -> Spanned<String> {
    Spanned::new(0..0, "roadwarrior".into())
}
fn one() -> Spanned<u64> {
    Spanned::new(0..0, 1)
}
fn three() -> Spanned<u32> {
    Spanned::new(0..0, 3)
}
fn minute() -> u64 {
    60
}
fn auth_port() -> u16 {
    1812
}
fn acct_port() -> u16 {
    1813
}
fn yes() -> bool {
    true
}

impl RawRadius {
    pub(super) fn check(self, check: &Checker<'_>) -> Result<Radius, ConfigError> {
        let name = &self.nas_identifier;
        if name.get_ref().is_empty() || name.get_ref().len() > radius::wire::MAX_VALUE {
            return Err(check.wrong(
                name,
                "a NAS-Identifier has 1 to 253 bytes",
                "write the name by which the RADIUS server knows this gateway",
            ));
        }
        if !(1..=10).contains(self.timeout_seconds.get_ref()) {
            return Err(check.wrong(
                &self.timeout_seconds,
                "the timeout is out of range",
                "choose 1 to 10 seconds; it doubles with each repetition",
            ));
        }
        if !(1..=5).contains(self.tries.get_ref()) {
            return Err(check.wrong(
                &self.tries,
                "the number of tries is out of range",
                "choose 1 to 5; then it is the next server's turn",
            ));
        }
        if self.server.is_empty() || self.server.len() > 16 {
            return Err(check.missing(
                "[radius] has no server, or more than 16",
                "add [[radius.server]] with address = \"192.168.8.5\" and secret = \"...\"",
            ));
        }
        let mut servers: Vec<RadiusServer> = Vec::new();
        for raw in self.server {
            let server = raw.check(check, &servers)?;
            servers.push(server);
        }
        let nas_address = self.nas_address.as_ref().map(|a| check.ipv4(a));
        Ok(Radius {
            servers,
            nas_identifier: self.nas_identifier.into_inner(),
            nas_address: nas_address.transpose()?,
            timeout: Duration::from_secs(self.timeout_seconds.into_inner()),
            tries: self.tries.into_inner(),
            dead_time: Duration::from_secs(self.dead_seconds.clamp(1, 86_400)),
            interim_interval: seconds(self.interim_seconds).map(|t| t.max(Duration::from_secs(60))),
            dynamic_port: self.dynamic_port,
            addresses: check.networks(&self.addresses)?,
        })
    }
}

impl RawServer {
    fn check(
        self,
        check: &Checker<'_>,
        others: &[RadiusServer],
    ) -> Result<RadiusServer, ConfigError> {
        let address: IpAddr = check.value(
            &self.address,
            "an IP address",
            "write the server's address, such as \"192.168.8.5\"; names are not looked up",
        )?;
        if others.iter().any(|other| other.address == address) {
            return Err(check.wrong(
                &self.address,
                format!("server `{address}` stands here twice"),
                "keep one of the two",
            ));
        }
        let source = SecretSource {
            key: "secret",
            inline: self.secret,
            file: self.secret_file,
            credential: self.secret_credential,
        };
        let secret = check.needed_secret(&self.address, "a RADIUS server", source)?;
        if secret.expose().is_empty() {
            return Err(check.wrong(
                &self.address,
                "the secret is empty",
                "choose at least 16 random letters and digits, the same in the server",
            ));
        }
        let port = |port: u16| (port > 0).then_some(port);
        Ok(RadiusServer {
            address,
            secret,
            auth_port: port(self.auth_port),
            acct_port: port(self.acct_port),
            require_message_authenticator: self.require_message_authenticator,
        })
    }
}
