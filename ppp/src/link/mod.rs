mod control;
mod phases;

use crate::auth::{ClientAuth, ServerAuth, Step};
use crate::ipcp::Ipcp;
use crate::ipv6cp::Ipv6cp;
use crate::lcp::{DEFAULT_MRU, Lcp};
use crate::negotiate::Negotiation;
use crate::wire::{FrameHeader, MAX_HEADER, Protocol};
use crate::{
    Assignment, CloseReason, Config, ConfigError, Credentials, Error, Event, NetworkProtocol,
    Received, Role, State, Verdict,
};
use rand_core::CryptoRng;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

/// Frames and events that wait at most; an owner who drains never has as many.
const QUEUE: usize = 256;
/// Configure-Requests with our own magic number that make a loop.
const LOOPBACKS: u32 = 3;

/// One PPP link, as server or as client.
///
/// Commands: [`open`](Self::open), [`close`](Self::close), [`lower_down`](Self::lower_down),
/// [`authenticate`](Self::authenticate). Input: [`handle_frame`](Self::handle_frame),
/// [`handle_timeout`](Self::handle_timeout). Output: [`poll_transmit`](Self::poll_transmit),
/// [`poll_event`](Self::poll_event), [`poll_timeout`](Self::poll_timeout).
pub struct Link {
    config: Arc<Config>,
    role: Role,
    rng: Box<dyn CryptoRng + Send>,
    phase: Phase,
    lcp: Negotiation<Lcp>,
    auth: Auth,
    ipcp: Option<Negotiation<Ipcp>>,
    ipv6cp: Option<Negotiation<Ipv6cp>>,
    assignment: Option<Assignment>,
    /// Client: given by [`Link::retry`] in place of the configured ones.
    retried: Option<Box<Credentials>>,
    echo: Echo,
    reject_id: u8,
    auth_id: u8,
    /// What LCP's end will be told as.
    reason: Option<CloseReason>,
    transmits: VecDeque<Vec<u8>>,
    events: VecDeque<Event>,
}

/// RFC 1661 section 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Dead,
    Establish,
    Authenticate,
    Network,
    Terminate,
    Closed,
}

#[derive(Debug)]
enum Auth {
    None,
    Server(Box<ServerAuth>),
    Client(Box<ClientAuth>),
}

#[derive(Debug, Default)]
struct Echo {
    next: Option<Instant>,
    unanswered: u32,
    id: u8,
    /// Whether a packet of the network has come since the last look.
    heard: bool,
    /// Whether what comes back is what we have sent.
    looped: bool,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("role", &self.role)
            .field("phase", &self.phase)
            .field("lcp", &self.lcp.state())
            .finish_non_exhaustive()
    }
}

impl Link {
    /// A link that is not open yet.
    ///
    /// # Errors
    /// What of `config` cannot work.
    pub fn new(
        config: Arc<Config>,
        role: Role,
        mut rng: Box<dyn CryptoRng + Send>,
    ) -> Result<Self, ConfigError> {
        config.check(role)?;
        let lcp = Lcp::new(&config, role, &mut *rng);
        let assignment = config.assignment.filter(|_| config.auth.is_empty());
        let [auth_id, ..] = rng.next_u32().to_be_bytes();
        Ok(Self {
            config,
            role,
            rng,
            phase: Phase::Dead,
            lcp: Negotiation::new(lcp),
            auth: Auth::None,
            ipcp: None,
            ipv6cp: None,
            assignment,
            retried: None,
            echo: Echo::default(),
            reject_id: 0,
            auth_id,
            reason: None,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        })
    }

    // --- commands ---

    /// The lower layer is up: start LCP.
    pub fn open(&mut self, now: Instant) {
        if self.phase == Phase::Dead {
            self.phase = Phase::Establish;
            self.lcp.start(now, &self.config);
            self.settle(now);
        }
    }

    /// Says goodbye; [`Event::Closed`] follows when the peer has answered, or has not for long.
    pub fn close(&mut self, now: Instant, text: &str) {
        self.terminate(now, CloseReason::Administrative, text);
        self.settle(now);
    }

    /// The lower layer is gone: everything ends at once, without a word.
    pub fn lower_down(&mut self, now: Instant) {
        if self.phase != Phase::Closed {
            self.lcp.lower_down(now, &self.config);
            self.settle(now);
            self.finish(CloseReason::LowerLayerDown);
        }
    }

    /// Server: answers [`Event::Authenticate`].
    ///
    /// # Errors
    /// [`Error::NotNow`] if nothing was asked.
    pub fn authenticate(&mut self, now: Instant, verdict: Verdict) -> Result<(), Error> {
        let Auth::Server(auth) = &mut self.auth else {
            return Err(Error::NotNow);
        };
        let mut out = Vec::new();
        let step = auth.judge(now, &verdict, &self.config, &mut *self.rng, &mut out)?;
        let method = auth.method;
        self.send_all(method.protocol(), out);
        match step {
            Step::Accepted(user) => {
                if let Verdict::Accept { assignment, .. } = verdict {
                    self.assignment = Some(assignment);
                }
                self.event(Event::Authenticated { user, method });
                self.start_network(now);
            }
            Step::Refused => {
                let text = "authentication failed";
                self.terminate(now, CloseReason::AuthenticationFailed, text);
            }
            Step::Nothing | Step::Ask(_) => {}
        }
        self.settle(now);
        Ok(())
    }

    /// Client: another name or password after [`Event::AuthenticationFailed`] that allows one.
    ///
    /// # Errors
    /// [`Error::NotNow`] if no other try is allowed, [`Error::BadLength`] above 255 bytes.
    pub fn retry(&mut self, now: Instant, credentials: Credentials) -> Result<(), Error> {
        if credentials.too_long() {
            return Err(Error::BadLength("credentials"));
        }
        let Auth::Client(auth) = &mut self.auth else {
            return Err(Error::NotNow);
        };
        let mut out = Vec::new();
        auth.retry(now, &self.config, &credentials, &mut *self.rng, &mut out)?;
        let protocol = auth.method.protocol();
        self.retried = Some(Box::new(credentials));
        self.send_all(protocol, out);
        Ok(())
    }

    // --- input ---

    /// Takes the frame at `frame` in `buf`: from the address field, or from the protocol field if
    /// the lower layer leaves the former out.
    ///
    /// # Errors
    /// Why the frame was dropped.
    pub fn handle_frame(
        &mut self,
        now: Instant,
        buf: &mut [u8],
        frame: Range<usize>,
    ) -> Result<Received, Error> {
        let (header, range) = FrameHeader::parse(buf, frame)?;
        match header.protocol {
            Protocol::IPV4 if self.ipcp.as_ref().is_some_and(Negotiation::is_open) => {
                self.echo.heard = true;
                return Ok(Received::Ipv4(range));
            }
            Protocol::IPV6 if self.ipv6cp.as_ref().is_some_and(Negotiation::is_open) => {
                self.echo.heard = true;
                return Ok(Received::Ipv6(range));
            }
            _ => {}
        }
        if matches!(self.phase, Phase::Dead | Phase::Closed) {
            return Err(Error::UnexpectedPhase);
        }
        let data = buf.get(range).ok_or(Error::Short("frame"))?;
        // Answers repeat what they answer: what is larger than we take gets none.
        if data.len() > usize::from(self.config.mru.max(DEFAULT_MRU)) {
            return Err(Error::BadLength("control packet"));
        }
        let result = self.control(now, header.protocol, data);
        if result.is_ok() && !self.echo.looped {
            self.echo.unanswered = 0;
        }
        self.settle(now);
        result.map(|()| Received::Control)
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.lcp.handle_timeout(now, &self.config);
        if let Some(ipcp) = &mut self.ipcp {
            ipcp.handle_timeout(now, &self.config);
        }
        if let Some(ipv6cp) = &mut self.ipv6cp {
            ipv6cp.handle_timeout(now, &self.config);
        }
        self.auth_timeout(now);
        self.echo_timeout(now);
        self.settle(now);
    }

    // --- output ---

    /// The next frame to send, from its address field, or from its protocol field without
    /// [`Config::address_field`](crate::Config::address_field).
    #[must_use]
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        pop(&mut self.transmits)
    }

    /// What happened next.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        pop(&mut self.events)
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.phase == Phase::Closed {
            return None;
        }
        let auth = match &self.auth {
            Auth::None => None,
            Auth::Server(auth) => auth.poll_timeout(),
            Auth::Client(auth) => auth.poll_timeout(),
        };
        [
            self.lcp.poll_timeout(),
            self.ipcp.as_ref().and_then(Negotiation::poll_timeout),
            self.ipv6cp.as_ref().and_then(Negotiation::poll_timeout),
            auth,
            self.echo.next,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Puts a PPP header before the packet at `packet` in `buf`; needs [`MAX_HEADER`](crate::MAX_HEADER)
    /// bytes of headroom.
    ///
    /// # Errors
    /// [`Error::NotNow`] if the protocol is not open, [`Error::TooLong`] above the peer's MRU,
    /// [`Error::NoHeadroom`].
    pub fn encapsulate(
        &mut self,
        buf: &mut [u8],
        packet: Range<usize>,
        protocol: NetworkProtocol,
    ) -> Result<Range<usize>, Error> {
        let (open, protocol) = match protocol {
            NetworkProtocol::Ipv4 => (
                self.ipcp.as_ref().is_some_and(Negotiation::is_open),
                Protocol::IPV4,
            ),
            NetworkProtocol::Ipv6 => (
                self.ipv6cp.as_ref().is_some_and(Negotiation::is_open),
                Protocol::IPV6,
            ),
        };
        if !open {
            return Err(Error::NotNow);
        }
        let peer = self.lcp.policy.peer;
        if packet.len() > usize::from(peer.mru) {
            return Err(Error::TooLong);
        }
        let header = FrameHeader {
            protocol,
            compress_address: peer.address_compression || !self.config.address_field,
            compress_protocol: peer.protocol_compression,
        };
        header.prepend(buf, packet)
    }

    /// The state of LCP's automaton.
    #[must_use]
    pub fn state(&self) -> State {
        self.lcp.state()
    }

    /// Largest packet the peer takes, in bytes.
    #[must_use]
    pub fn peer_mru(&self) -> u16 {
        self.lcp.policy.peer.mru
    }

    /// Control characters the peer wants escaped on a serial line (RFC 1662 section 7.1); all of
    /// them until it has said otherwise. LCP packets of codes 1 to 7 escape all in any case.
    #[must_use]
    pub fn peer_async_map(&self) -> u32 {
        self.lcp.policy.peer.async_map
    }

    // --- queues ---

    fn send_all(&mut self, protocol: Protocol, packets: Vec<Vec<u8>>) {
        for packet in packets {
            self.send(protocol, &packet);
        }
    }

    fn send(&mut self, protocol: Protocol, packet: &[u8]) {
        if self.transmits.len() < QUEUE {
            let mut frame = vec![0; MAX_HEADER];
            frame.extend(packet);
            let information = MAX_HEADER..frame.len();
            // Not compressed, whatever was agreed: every peer takes that.
            let header = FrameHeader {
                protocol,
                compress_address: !self.config.address_field,
                compress_protocol: false,
            };
            if let Ok(whole) = header.prepend(&mut frame, information) {
                frame.drain(..whole.start);
                self.transmits.push_back(frame);
            }
        }
    }

    fn event(&mut self, event: Event) {
        if self.events.len() < QUEUE {
            self.events.push_back(event);
        }
    }
}

/// The next of `queue`; an idle link holds no memory for it.
fn pop<T>(queue: &mut VecDeque<T>) -> Option<T> {
    let next = queue.pop_front();
    if next.is_none() && queue.capacity() > 0 {
        *queue = VecDeque::new();
    }
    next
}
