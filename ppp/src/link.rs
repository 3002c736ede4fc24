use crate::auth::{ClientAuth, Outcome, ServerAuth, Step};
use crate::frame;
use crate::ipcp::Ipcp;
use crate::ipv6cp::Ipv6cp;
use crate::lcp::Lcp;
use crate::negotiate::{Negotiation, Policy, Signal};
use crate::wire::{Code, Packet, Protocol};
use crate::{
    Assignment, AuthMethod, CloseReason, Config, ConfigError, Error, Event, NetworkProtocol,
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
/// Bytes of a rejected frame that go back with a Protocol-Reject at most.
const REJECTED_BYTES: usize = 256;

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
    echo: Echo,
    reject_id: u8,
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
        Ok(Self {
            config,
            role,
            rng,
            phase: Phase::Dead,
            lcp: Negotiation::new(lcp),
            auth: Auth::None,
            ipcp: None,
            ipv6cp: None,
            assignment: None,
            echo: Echo::default(),
            reject_id: 0,
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
        let (protocol, range) = frame::parse(buf, frame)?;
        match protocol {
            Protocol::IPV4 if self.ipcp.as_ref().is_some_and(Negotiation::is_open) => {
                self.echo.unanswered = 0;
                return Ok(Received::Ipv4(range));
            }
            Protocol::IPV6 if self.ipv6cp.as_ref().is_some_and(Negotiation::is_open) => {
                self.echo.unanswered = 0;
                return Ok(Received::Ipv6(range));
            }
            _ => {}
        }
        if matches!(self.phase, Phase::Dead | Phase::Closed) {
            return Err(Error::UnexpectedPhase);
        }
        let data = buf.get(range).ok_or(Error::Short("frame"))?;
        self.echo.unanswered = 0;
        let result = self.control(now, protocol, data);
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

    /// The next frame to send, from its address field.
    #[must_use]
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.transmits.pop_front()
    }

    /// What happened next.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
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
        frame::prepend(
            buf,
            packet,
            protocol,
            peer.address_compression,
            peer.protocol_compression,
        )
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

    // --- control packets ---

    fn control(&mut self, now: Instant, protocol: Protocol, data: &[u8]) -> Result<(), Error> {
        if protocol == Protocol::LCP {
            return self.handle_lcp(now, &Packet::parse(data)?);
        }
        // Nothing but LCP before LCP is open (RFC 1661 section 3.4).
        if !self.lcp.is_open() {
            return Err(Error::UnexpectedPhase);
        }
        match protocol {
            Protocol::PAP | Protocol::CHAP => self.handle_auth(now, protocol, data),
            Protocol::IPCP | Protocol::IPV6CP | Protocol::IPV4 | Protocol::IPV6
                if self.phase == Phase::Authenticate =>
            {
                Err(Error::UnexpectedPhase)
            }
            Protocol::IPCP => match &mut self.ipcp {
                Some(ipcp) => ipcp.handle(now, &Packet::parse(data)?, &self.config, &mut *self.rng),
                None => Err(Error::UnexpectedPhase),
            },
            Protocol::IPV6CP if self.ipv6cp.is_some() => {
                let packet = Packet::parse(data)?;
                match &mut self.ipv6cp {
                    Some(ncp) => ncp.handle(now, &packet, &self.config, &mut *self.rng),
                    None => Err(Error::UnexpectedPhase),
                }
            }
            // A straggler from before its protocol went down.
            Protocol::IPV4 => Err(Error::UnexpectedPhase),
            _ => {
                self.reject_protocol(protocol, data);
                Err(Error::UnsupportedProtocol(protocol.0))
            }
        }
    }

    fn handle_lcp(&mut self, now: Instant, packet: &Packet<'_>) -> Result<(), Error> {
        match packet.code {
            Code::PROTOCOL_REJECT => {
                let rejected = packet
                    .data
                    .first_chunk::<2>()
                    .ok_or(Error::Short("rejected protocol"))?;
                self.protocol_rejected(now, Protocol(u16::from_be_bytes(*rejected)))
            }
            Code::ECHO_REQUEST => self.answer_echo(packet),
            Code::ECHO_REPLY => {
                // Our own number back is a loop, not an answer.
                let theirs = packet
                    .data
                    .first_chunk::<4>()
                    .copied()
                    .map(u32::from_be_bytes);
                if theirs.is_some() && theirs == self.lcp.policy.magic {
                    self.terminate(now, CloseReason::Loopback, "loopback");
                }
                Ok(())
            }
            Code::DISCARD_REQUEST | Code::IDENTIFICATION | Code::TIME_REMAINING => Ok(()),
            Code::TERMINATE_REQUEST => {
                if self.reason.is_none() {
                    let text = String::from_utf8_lossy(packet.data);
                    let text = text.chars().filter(|c| !c.is_control()).collect();
                    self.reason = Some(CloseReason::PeerTerminated(text));
                }
                self.lcp.handle(now, packet, &self.config, &mut *self.rng)
            }
            _ => {
                self.lcp.handle(now, packet, &self.config, &mut *self.rng)?;
                if self.lcp.policy.no_common_auth {
                    let text = "no common authentication method";
                    self.terminate(now, CloseReason::NoCommonAuthentication, text);
                }
                if self.lcp.policy.loopbacks >= LOOPBACKS {
                    self.terminate(now, CloseReason::Loopback, "loopback");
                }
                Ok(())
            }
        }
    }

    fn answer_echo(&mut self, packet: &Packet<'_>) -> Result<(), Error> {
        let (_, rest) = packet
            .data
            .split_first_chunk::<4>()
            .ok_or(Error::Short("echo magic number"))?;
        if self.lcp.is_open() {
            let mut data = self.lcp.policy.magic.unwrap_or(0).to_be_bytes().to_vec();
            // The reply must fit what the peer takes: header, magic, data.
            let room = usize::from(self.lcp.policy.peer.mru).saturating_sub(8);
            data.extend(rest.get(..room).unwrap_or(rest));
            let reply = Packet {
                code: Code::ECHO_REPLY,
                id: packet.id,
                data: &data,
            };
            self.send(Protocol::LCP, &reply.emit());
        }
        Ok(())
    }

    fn protocol_rejected(&mut self, now: Instant, protocol: Protocol) -> Result<(), Error> {
        match protocol {
            Protocol::IPCP => {
                if let Some(ipcp) = &mut self.ipcp {
                    ipcp.protocol_rejected(now, &self.config);
                }
            }
            Protocol::IPV6CP => self.ipv6cp = None,
            Protocol::LCP | Protocol::PAP | Protocol::CHAP => {
                let reason = CloseReason::NegotiationFailed("protocol rejected");
                self.terminate(now, reason, "cannot go on without");
            }
            _ => {}
        }
        Ok(())
    }

    fn reject_protocol(&mut self, protocol: Protocol, data: &[u8]) {
        self.reject_id = self.reject_id.wrapping_add(1);
        let mut rejected = protocol.0.to_be_bytes().to_vec();
        rejected.extend(data.get(..REJECTED_BYTES).unwrap_or(data));
        let id = self.reject_id;
        let packet = Packet {
            code: Code::PROTOCOL_REJECT,
            id,
            data: &rejected,
        };
        self.send(Protocol::LCP, &packet.emit());
    }

    fn handle_auth(&mut self, now: Instant, protocol: Protocol, data: &[u8]) -> Result<(), Error> {
        let packet = Packet::parse(data)?;
        let mut out = Vec::new();
        match &mut self.auth {
            Auth::Server(auth) if auth.method.protocol() == protocol => {
                if let Step::Ask(request) = auth.handle(&packet, &mut out)? {
                    self.event(Event::Authenticate(request));
                }
            }
            Auth::Client(auth) if auth.method.protocol() == protocol => {
                let method = auth.method;
                let Some(credentials) = &self.config.credentials else {
                    return Err(Error::NotNow);
                };
                let first = self.phase == Phase::Authenticate;
                let outcome = auth.handle(
                    now,
                    &packet,
                    &self.config,
                    credentials,
                    &mut *self.rng,
                    &mut out,
                )?;
                match outcome {
                    Outcome::Accepted if first => {
                        let user = credentials.user.clone();
                        self.event(Event::Authenticated { user, method });
                        self.start_network(now);
                    }
                    Outcome::Refused => {
                        self.terminate(now, CloseReason::AuthenticationFailed, "refused");
                    }
                    Outcome::Accepted | Outcome::Pending => {}
                }
            }
            _ => return Err(Error::UnexpectedPhase),
        }
        self.send_all(protocol, out);
        Ok(())
    }

    // --- phases ---

    /// Acts on what the automata have signalled and sends what they have made.
    fn settle(&mut self, now: Instant) {
        loop {
            let out = std::mem::take(&mut self.lcp.out);
            self.send_all(Protocol::LCP, out);
            if let Some(ipcp) = &mut self.ipcp {
                let out = std::mem::take(&mut ipcp.out);
                self.send_all(Protocol::IPCP, out);
            }
            if let Some(ipv6cp) = &mut self.ipv6cp {
                let out = std::mem::take(&mut ipv6cp.out);
                self.send_all(Protocol::IPV6CP, out);
            }
            let lcp = std::mem::take(&mut self.lcp.signals);
            let ipcp = signals(&mut self.ipcp);
            let ipv6cp = signals(&mut self.ipv6cp);
            if lcp.is_empty() && ipcp.is_empty() && ipv6cp.is_empty() {
                return;
            }
            for signal in ipcp {
                self.on_ipcp(now, signal);
            }
            for signal in ipv6cp {
                self.on_ipv6cp(signal);
            }
            for signal in lcp {
                self.on_lcp(now, signal);
            }
        }
    }

    fn on_lcp(&mut self, now: Instant, signal: Signal) {
        match signal {
            Signal::Up => self.lcp_up(now),
            Signal::Down => {
                self.auth = Auth::None;
                if let Some(mut ipcp) = self.ipcp.take()
                    && ipcp.is_open()
                {
                    ipcp.lower_down(now, &self.config);
                    self.event(Event::Ipv4Down);
                }
                if let Some(ipv6cp) = self.ipv6cp.take()
                    && ipv6cp.is_open()
                {
                    self.event(Event::Ipv6Down);
                }
                self.echo = Echo::default();
                if self.phase != Phase::Terminate {
                    self.phase = Phase::Establish;
                }
            }
            Signal::Finished => {
                let silent = CloseReason::NegotiationTimeout;
                let reason = self.reason.take().unwrap_or(silent);
                self.finish(reason);
            }
            Signal::Hopeless => {
                let reason = CloseReason::NegotiationFailed("lcp");
                self.terminate(now, reason, "no agreement on options");
            }
        }
    }

    fn lcp_up(&mut self, now: Instant) {
        if self.phase == Phase::Terminate {
            return;
        }
        let (asked, peer) = (self.lcp.policy.asked, self.lcp.policy.peer);
        self.event(Event::LcpUp {
            peer_mru: peer.mru,
            auth: asked.or(peer.auth),
        });
        self.echo.next = self.config.echo_interval.map(|interval| now + interval);
        let mut out = Vec::new();
        match (self.role, asked, peer.auth) {
            (Role::Server, Some(method), _) => {
                self.phase = Phase::Authenticate;
                let auth = ServerAuth::new(now, method, &self.config, &mut *self.rng, &mut out);
                self.auth = Auth::Server(Box::new(auth));
                self.send_all(method.protocol(), out);
            }
            (Role::Client, _, Some(method)) => {
                self.phase = Phase::Authenticate;
                self.start_client_auth(now, method);
            }
            _ => self.start_network(now),
        }
    }

    fn start_client_auth(&mut self, now: Instant, method: AuthMethod) {
        let mut out = Vec::new();
        if let Some(credentials) = &self.config.credentials {
            let auth = ClientAuth::new(now, method, &self.config, credentials, &mut out);
            self.auth = Auth::Client(Box::new(auth));
        }
        self.send_all(method.protocol(), out);
    }

    fn start_network(&mut self, now: Instant) {
        self.phase = Phase::Network;
        let ipcp = match (self.role, &self.assignment) {
            (Role::Server, Some(assignment)) => Some(Ipcp::server(assignment)),
            (Role::Server, None) => None,
            (Role::Client, _) => Some(Ipcp::client(&self.config)),
        };
        self.ipcp = ipcp.map(|policy| {
            let mut ipcp = Negotiation::new(policy);
            ipcp.start(now, &self.config);
            ipcp
        });
        if self.config.ipv6 {
            let mut ipv6cp = Negotiation::new(Ipv6cp::new(&mut *self.rng));
            ipv6cp.start(now, &self.config);
            self.ipv6cp = Some(ipv6cp);
        }
    }

    fn on_ipcp(&mut self, now: Instant, signal: Signal) {
        match signal {
            Signal::Up => {
                if let Some(ipcp) = &self.ipcp {
                    let given = |address: Option<std::net::Ipv4Addr>| {
                        address.filter(|address| !address.is_unspecified())
                    };
                    let event = Event::Ipv4Up {
                        local: ipcp.policy.local,
                        peer: ipcp.policy.peer,
                        dns: ipcp.policy.dns.map(given),
                        wins: ipcp.policy.wins.map(given),
                    };
                    self.event(event);
                }
            }
            Signal::Down => self.event(Event::Ipv4Down),
            Signal::Finished => {
                // A link without IPv4 is of no use to anybody here.
                let reason = self.reason.take();
                let reason = reason.unwrap_or(CloseReason::NegotiationFailed("ipcp"));
                self.terminate(now, reason, "IPCP has ended");
            }
            Signal::Hopeless => {
                let reason = CloseReason::NegotiationFailed("ipcp");
                self.terminate(now, reason, "no agreement on addresses");
            }
        }
    }

    fn on_ipv6cp(&mut self, signal: Signal) {
        match signal {
            Signal::Up => {
                if let Some(ipv6cp) = &self.ipv6cp {
                    let (local, peer) = (ipv6cp.policy.local, ipv6cp.policy.peer);
                    self.event(Event::Ipv6Up { local, peer });
                }
            }
            Signal::Down => self.event(Event::Ipv6Down),
            // IPv4 goes on without it.
            Signal::Finished | Signal::Hopeless => self.ipv6cp = None,
        }
    }

    fn terminate(&mut self, now: Instant, reason: CloseReason, text: &str) {
        match self.phase {
            Phase::Closed | Phase::Terminate => {}
            Phase::Dead => self.finish(reason),
            Phase::Establish | Phase::Authenticate | Phase::Network => {
                self.phase = Phase::Terminate;
                self.reason = Some(reason);
                self.lcp.close(now, text, &self.config);
            }
        }
    }

    fn finish(&mut self, reason: CloseReason) {
        if self.phase != Phase::Closed {
            self.phase = Phase::Closed;
            self.auth = Auth::None;
            self.ipcp = None;
            self.ipv6cp = None;
            self.event(Event::Closed { reason });
        }
    }

    // --- timers ---

    fn auth_timeout(&mut self, now: Instant) {
        let mut out = Vec::new();
        let (in_time, method) = match &mut self.auth {
            Auth::Server(auth) => (
                auth.handle_timeout(now, &self.config, &mut out),
                auth.method,
            ),
            Auth::Client(auth) => (
                auth.handle_timeout(now, &self.config, &mut out),
                auth.method,
            ),
            Auth::None => return,
        };
        let protocol = method.protocol();
        self.send_all(protocol, out);
        if !in_time {
            self.auth = Auth::None;
            self.terminate(now, CloseReason::AuthenticationTimeout, "too slow");
        }
    }

    fn echo_timeout(&mut self, now: Instant) {
        let (Some(at), Some(interval)) = (self.echo.next, self.config.echo_interval) else {
            return;
        };
        if at > now || !self.lcp.is_open() {
            return;
        }
        if self.echo.unanswered >= self.config.echo_failures {
            self.echo.next = None;
            self.terminate(now, CloseReason::EchoTimeout, "no answer to echo");
            return;
        }
        self.echo.unanswered += 1;
        self.echo.id = self.echo.id.wrapping_add(1);
        self.echo.next = Some(now + interval);
        let magic = self.lcp.policy.magic.unwrap_or(0).to_be_bytes();
        let id = self.echo.id;
        let packet = Packet {
            code: Code::ECHO_REQUEST,
            id,
            data: &magic,
        };
        self.send(Protocol::LCP, &packet.emit());
    }

    // --- queues ---

    fn send_all(&mut self, protocol: Protocol, packets: Vec<Vec<u8>>) {
        for packet in packets {
            self.send(protocol, &packet);
        }
    }

    fn send(&mut self, protocol: Protocol, packet: &[u8]) {
        if self.transmits.len() < QUEUE {
            let mut frame = vec![0; crate::MAX_HEADER];
            frame.extend(packet);
            let range = crate::MAX_HEADER..frame.len();
            // Control frames go out in full: every peer takes them.
            if frame::prepend(&mut frame, range, protocol, false, false).is_ok() {
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

fn signals<P: Policy>(negotiation: &mut Option<Negotiation<P>>) -> Vec<Signal> {
    negotiation
        .as_mut()
        .map(|n| std::mem::take(&mut n.signals))
        .unwrap_or_default()
}
