use crate::ConfigError;
use std::fmt;
use std::time::Duration;
use subtle::ConstantTimeEq as _;
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
    /// Sends every AVP hidden that may be (RFC 2661 section 4.3), from SCCCN on. Needs a secret.
    pub hide_avps: bool,
    /// Whether to answer tunnels and calls. Default true.
    pub accept: bool,
    /// Whether each call of a peer is put to the owner as
    /// [`Event::CallRequested`](crate::Event::CallRequested). Default false: all are taken.
    pub ask: bool,
    /// Bearer Capabilities AVP (RFC 2661 section 4.4.3). Default none, and then the peer may not
    /// ask for outgoing calls.
    pub bearer_capabilities: Option<u32>,
    /// Firmware Revision AVP. Default none.
    pub firmware: Option<u16>,
    /// Sends a Tie Breaker AVP, so that two ends that call each other at once get one tunnel.
    /// Default false: they get two.
    pub tie_breaker: bool,
    /// Puts the Length field into data messages. Default false.
    pub data_length: bool,
    /// Numbers data messages, and as LAC requires that the peer does (RFC 2661 section 5.4).
    /// Default false.
    pub data_sequencing: bool,
    /// What to do with numbered data messages that come out of order. Default
    /// [`Reorder::DropOld`].
    pub reorder: Reorder,
    /// Tunnels for each path at most, and as many again that are closed and still acknowledge.
    /// Default 4.
    pub max_tunnels_per_path: usize,
    /// Tunnels in all at most, 65,000 or less. Default 60,000.
    pub max_tunnels: usize,
    /// Calls for each tunnel at most, 65,000 or less. Default 8.
    pub max_sessions_per_tunnel: usize,
    /// Control messages of a tunnel that wait for acknowledgement at most, 8 or more. Default 64.
    pub max_queue: usize,
}

/// What to do with numbered data messages that come out of order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reorder {
    /// Those older than the newest are dropped; nothing waits.
    DropOld,
    /// Those that come too early wait for the ones before them.
    Queue {
        /// How long they wait.
        timeout: Duration,
        /// How many of a call wait at most, 1 to 1,024.
        depth: u16,
    },
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
            ask: false,
            bearer_capabilities: None,
            firmware: None,
            tie_breaker: false,
            data_length: false,
            data_sequencing: false,
            reorder: Reorder::DropOld,
            max_tunnels_per_path: 4,
            max_tunnels: 60_000,
            max_sessions_per_tunnel: 8,
            max_queue: 64,
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
        // Some ids must stay free, and a dialogue must fit the queue.
        let limits = [self.max_tunnels, self.max_sessions_per_tunnel];
        let most = limits.into_iter().max().unwrap_or(0);
        let empty = limits.contains(&0) || self.max_tunnels_per_path == 0;
        if empty || most > 65_000 || self.max_queue < 8 {
            return Err(ConfigError::BadLimit);
        }
        if let Reorder::Queue { timeout, depth } = self.reorder
            && (timeout.is_zero() || depth == 0 || depth > 1024)
        {
            return Err(ConfigError::BadReorder);
        }
        Ok(())
    }

    pub(crate) fn secret(&self) -> Option<&[u8]> {
        self.secret.as_ref().map(Secret::expose)
    }

    /// How long a peer may go on repeating a message (RFC 2661 section 5.8): 31 s by default.
    pub(crate) fn retransmission_cycle(&self) -> Duration {
        let mut interval = self.retransmit_timeout;
        let mut cycle = Duration::ZERO;
        for _ in 0..=self.max_retransmits.min(100) {
            cycle = cycle.saturating_add(interval);
            interval = interval.saturating_mul(2).min(self.retransmit_cap);
        }
        cycle
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

    /// The secret itself.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.0.len())
    }
}
