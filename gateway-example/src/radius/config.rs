use crate::config::Secret;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Which servers to ask, and how patiently.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// In order of preference.
    pub servers: Vec<ServerConfig>,
    /// How long to wait for the first reply; doubles with each repetition.
    pub timeout: Duration,
    /// How often a server is sent the same request before the next server's turn.
    pub tries: u32,
    /// How long a silent server is passed over.
    pub dead_time: Duration,
    /// How long a login may take over all servers.
    pub access_deadline: Duration,
    /// Logins that wait at most.
    pub access_queue: usize,
    /// Accounting records that wait at most.
    pub accounting_queue: usize,
}

/// One server.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServerConfig {
    /// Its address.
    pub address: IpAddr,
    /// Its authentication port, normally 1812; none if it does not authenticate.
    pub auth_port: Option<u16>,
    /// Its accounting port, normally 1813; none if it does not account.
    pub acct_port: Option<u16>,
    /// The secret shared with it.
    pub secret: Secret,
    /// Whether replies without a Message-Authenticator are dropped.
    pub require_message_authenticator: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            timeout: Duration::from_secs(1),
            tries: 3,
            dead_time: Duration::from_secs(60),
            // Below the minute that PPP waits.
            access_deadline: Duration::from_secs(30),
            access_queue: 1024,
            accounting_queue: 4096,
        }
    }
}

impl ServerConfig {
    /// A server on the standard ports.
    #[must_use]
    pub fn new(address: IpAddr, secret: Secret) -> Self {
        Self {
            address,
            auth_port: Some(1812),
            acct_port: Some(1813),
            secret,
            require_message_authenticator: true,
        }
    }

    pub(super) fn auth(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.address, self.auth_port?))
    }

    pub(super) fn acct(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.address, self.acct_port?))
    }
}
