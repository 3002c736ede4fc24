use crate::ConfigError;
use std::fmt;
use std::time::Duration;
use zeroize::Zeroizing;

/// How an [`Endpoint`](crate::Endpoint) behaves.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// Host Name AVP (RFC 2661 section 4.4.3). Default `roadwarrior`.
    pub host_name: Vec<u8>,
    /// Vendor Name AVP; empty for none.
    pub vendor_name: Vec<u8>,
    /// Receive Window Size AVP: messages the peer may send without an acknowledgement. Default 8.
    pub receive_window: u16,
    /// Silence after which a Hello is sent; none for never. Default 60 s.
    pub hello_interval: Option<Duration>,
    /// First retransmission; doubles each time (RFC 2661 section 5.8). Default 1 s.
    pub retransmit_timeout: Duration,
    /// What the doubling stops at. Default 8 s.
    pub retransmit_cap: Duration,
    /// Retransmissions until the peer counts as dead. Default 5.
    pub max_retransmits: u32,
    /// How long a tunnel or call may take to come up. Default 60 s.
    pub setup_timeout: Duration,
    /// Shared secret for tunnel authentication (RFC 2661 section 5.1.1) and hidden AVPs. With a
    /// secret, a peer that cannot prove it is refused. Default none.
    pub secret: Option<Secret>,
    /// Sends AVPs hidden (RFC 2661 section 4.3). Needs a secret.
    pub hide_avps: bool,
    /// Whether to answer tunnels and calls, as an LNS. Default true.
    pub accept: bool,
    /// Puts the Length field into data messages. Default false.
    pub data_length: bool,
    /// Asks that data messages be numbered (RFC 2661 section 5.4). Default false.
    pub data_sequencing: bool,
    /// Tunnels for each path at most. Default 4.
    pub max_tunnels_per_path: usize,
    /// Tunnels in all at most. Default 60,000.
    pub max_tunnels: usize,
    /// Calls for each tunnel at most. Default 8.
    pub max_sessions_per_tunnel: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            host_name: b"roadwarrior".to_vec(),
            vendor_name: Vec::new(),
            receive_window: 8,
            hello_interval: Some(Duration::from_secs(60)),
            retransmit_timeout: Duration::from_secs(1),
            retransmit_cap: Duration::from_secs(8),
            max_retransmits: 5,
            setup_timeout: Duration::from_secs(60),
            secret: None,
            hide_avps: false,
            accept: true,
            data_length: false,
            data_sequencing: false,
            max_tunnels_per_path: 4,
            max_tunnels: 60_000,
            max_sessions_per_tunnel: 8,
        }
    }
}

impl Config {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.receive_window == 0 {
            return Err(ConfigError::NoWindow);
        }
        if self.retransmit_timeout.is_zero() {
            return Err(ConfigError::NoRetransmission);
        }
        if self.hide_avps && self.secret.is_none() {
            return Err(ConfigError::HidingWithoutSecret);
        }
        if self.host_name.is_empty() || self.host_name.len() > 255 || self.vendor_name.len() > 255 {
            return Err(ConfigError::BadName);
        }
        Ok(())
    }
}

/// A shared secret: wiped on drop, never shown.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Keeps `bytes`.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self(Zeroizing::new(bytes.to_vec()))
    }

    pub(crate) fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.0.len())
    }
}
