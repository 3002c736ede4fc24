use super::offload::Offload;
use super::{
    Client, ClientConfig, ClientEvent, ConnectError, Core, Datagram, Entropy, Forward, Outbox,
    Path, StackError, Transmit,
};
use rand_core::CryptoRng;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

/// A connection that ended sooner counts as another failure.
const LASTING: Duration = Duration::from_secs(60);

/// What another call does not mend, if none has ever succeeded.
const FINAL: [&str; 6] = [
    "no_proposal_chosen",
    "authentication_failed",
    "invalid_identity",
    "no_common_authentication",
    "negotiation_failed",
    "loopback",
];

/// A [`Client`] that calls again when its connection ends: after a second, then after twice the
/// time each, up to a minute, give or take a half.
///
/// A first call that is refused for good, such as for its password, is the last.
pub struct Dialer {
    config: ClientConfig,
    entropies: Box<dyn FnMut() -> Entropy + Send>,
    rng: Box<dyn CryptoRng + Send>,
    client: Client,
    /// Whether to call again.
    redial: bool,
    /// When to call again.
    due: Option<Instant>,
    failures: u32,
    /// When the last connection came up.
    up: Option<Instant>,
    ever: bool,
    over: bool,
    events: VecDeque<ClientEvent>,
}

impl std::fmt::Debug for Dialer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dialer")
            .field("client", &self.client)
            .field("failures", &self.failures)
            .finish_non_exhaustive()
    }
}

impl Dialer {
    /// The longest time between two calls, before chance is added.
    pub const LONGEST: Duration = Duration::from_secs(60);

    /// A dialer that has not called yet; each call draws from a random source of its own.
    ///
    /// # Errors
    /// Which part refused its configuration, and why.
    pub fn new(
        config: ClientConfig,
        mut entropies: Box<dyn FnMut() -> Entropy + Send>,
    ) -> Result<Self, StackError> {
        Ok(Self {
            rng: entropies()(),
            client: Client::new(config.clone(), entropies())?,
            config,
            entropies,
            redial: true,
            due: None,
            failures: 0,
            up: None,
            ever: false,
            over: false,
            events: VecDeque::new(),
        })
    }

    /// One call only.
    pub fn once(&mut self) {
        self.redial = false;
    }

    /// Calls.
    ///
    /// # Errors
    /// A proposal that is none, or what IKE refused.
    pub fn connect(&mut self, now: Instant) -> Result<(), ConnectError> {
        self.client.connect(now)?;
        self.note(now);
        Ok(())
    }

    /// Where calls go from now on, and our port for NAT traversal: we may be in another network.
    pub fn set_path(&mut self, path: Path, local_natt_port: u16) {
        self.config.path = path;
        self.config.local_natt_port = local_natt_port;
    }

    /// What happened next.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<ClientEvent> {
        self.events.pop_front()
    }

    /// Whether there will be no other call.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.over
    }

    fn note(&mut self, now: Instant) {
        while let Some(event) = self.client.poll_event() {
            let ended = match &event {
                ClientEvent::Connected { .. } => {
                    self.up = Some(now);
                    self.ever = true;
                    None
                }
                ClientEvent::Disconnected { reason } => Some(reason.clone()),
                _ => None,
            };
            self.events.push_back(event);
            if let Some(reason) = ended {
                self.ended(now, &reason);
            }
        }
    }

    fn ended(&mut self, now: Instant, reason: &str) {
        let lasted = self.up.take().map(|up| now.saturating_duration_since(up));
        if lasted.is_some_and(|lasted| lasted >= LASTING) {
            self.failures = 0;
        }
        if !self.redial || (!self.ever && FINAL.contains(&reason)) {
            self.over = true;
            return;
        }
        let wait = Duration::from_secs(1 << self.failures.min(6)).min(Self::LONGEST);
        self.failures += 1;
        // So that all clients of a gateway that was away do not come in the same moment.
        let after = wait / 2 + wait.mul_f64(f64::from(self.rng.next_u32()) / f64::from(u32::MAX));
        self.due = Some(now + after);
        self.events.push_back(ClientEvent::Redial { after });
    }

    fn redial(&mut self, now: Instant) {
        self.due = None;
        let called = Client::new(self.config.clone(), (self.entropies)())
            .map_err(|e| e.to_string())
            .and_then(|client| {
                self.client = client;
                self.client.connect(now).map_err(|e| e.to_string())
            });
        if let Err(reason) = called {
            // It was right the first time.
            self.over = true;
            self.events.push_back(ClientEvent::Disconnected { reason });
        }
    }
}

impl Core for Dialer {
    fn handle_udp(
        &mut self,
        now: Instant,
        path: Path,
        buf: &mut [u8],
        datagram: Range<usize>,
    ) -> Forward {
        let forward = self.client.handle_udp(now, path, buf, datagram);
        self.note(now);
        forward
    }

    fn handle_esp(
        &mut self,
        now: Instant,
        local: IpAddr,
        remote: IpAddr,
        buf: &mut [u8],
        packet: Range<usize>,
    ) -> Forward {
        let forward = self.client.handle_esp(now, local, remote, buf, packet);
        self.note(now);
        forward
    }

    fn handle_inner(&mut self, now: Instant, buf: &mut [u8], packet: Range<usize>) -> Forward {
        self.client.handle_inner(now, buf, packet)
    }

    fn push_datagrams(
        &mut self,
        now: Instant,
        datagrams: &mut [Datagram<'_>],
        outbox: &mut Outbox,
    ) {
        self.client.push_datagrams(now, datagrams, outbox);
        self.note(now);
    }

    fn push_inner(&mut self, now: Instant, packet: &[u8], offload: Offload, outbox: &mut Outbox) {
        self.client.push_inner(now, packet, offload, outbox);
    }

    fn seal(&mut self, now: Instant, outbox: &mut Outbox) {
        self.client.seal(now, outbox);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.client.handle_timeout(now);
        self.note(now);
        if self.due.is_some_and(|at| at <= now) {
            self.redial(now);
            self.note(now);
        }
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.client.poll_transmit()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        [self.client.poll_timeout(), self.due]
            .into_iter()
            .flatten()
            .min()
    }

    fn shutdown(&mut self, now: Instant) {
        self.redial = false;
        self.due = None;
        self.client.shutdown(now);
        self.note(now);
    }

    fn is_idle(&self) -> bool {
        self.client.is_idle()
    }
}
