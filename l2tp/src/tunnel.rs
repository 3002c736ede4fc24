//! One control connection and its calls (RFC 2661 sections 5 and 7).

use crate::auth::challenge_response;
use crate::event::{
    CallResult, CloseReason, Event, PathId, PeerInfo, SessionId, StopResult, TunnelId,
};
use crate::reliable::{Channel, Order};
use crate::wire::{AvpType, Builder, Message, MessageType, hide};
use crate::{Config, Error};
use rand_core::CryptoRng;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use subtle::ConstantTimeEq as _;

/// How long a closed tunnel stays to acknowledge a repeated StopCCN (RFC 2661 section 5.7).
const LINGER: Duration = Duration::from_secs(31);
const FRAMING_BOTH: u32 = 3;
const FRAMING_SYNC: u32 = 1;
const PROTOCOL_VERSION: u16 = 0x0100;
const TX_SPEED: u32 = 100_000_000;
/// Error code "vendor specific": a mandatory AVP was not understood is 8 (section 4.4.2).
const ERROR_UNKNOWN_MANDATORY: u16 = 8;

#[derive(Debug)]
pub(crate) struct Tunnel {
    pub(crate) id: u16,
    pub(crate) path: PathId,
    pub(crate) peer: PeerInfo,
    pub(crate) state: State,
    channel: Channel,
    pub(crate) sessions: BTreeMap<u16, Session>,
    /// How many of them the endpoint has counted.
    pub(crate) counted: usize,
    challenge: Option<[u8; 16]>,
    setup_deadline: Option<Instant>,
    linger: Option<Instant>,
    last_heard: Instant,
    serial: u32,
    pub(crate) out: Vec<Vec<u8>>,
    pub(crate) events: Vec<Event>,
}

/// RFC 2661 section 7.2.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// SCCRQ is out.
    WaitReply,
    /// SCCRP is out.
    WaitConnected,
    Established,
    /// StopCCN was sent or received; only acknowledgements are left.
    Closed,
}

#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) peer_id: u16,
    pub(crate) state: CallState,
    deadline: Option<Instant>,
    /// Numbers of data messages: next to send if they are wanted, next expected.
    pub(crate) data_ns: Option<u16>,
    pub(crate) data_nr: u16,
}

/// RFC 2661 sections 7.4 and 7.5.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallState {
    WaitTunnel,
    /// ICRQ is out.
    WaitReply,
    /// ICRP is out.
    WaitConnect,
    Established,
}

/// A control message for a tunnel.
#[derive(Debug)]
pub(crate) struct Incoming<'a> {
    /// Ns and Nr.
    pub(crate) sequence: (u16, u16),
    /// Session ID of its header.
    pub(crate) session: u16,
    /// Its AVPs; none in a ZLB.
    pub(crate) body: &'a [u8],
}

impl Tunnel {
    pub(crate) fn new(now: Instant, id: u16, path: PathId, state: State, config: &Config) -> Self {
        Self {
            id,
            path,
            peer: PeerInfo::default(),
            state,
            channel: Channel::new(config),
            sessions: BTreeMap::new(),
            counted: 0,
            challenge: None,
            setup_deadline: Some(now + config.setup_timeout),
            linger: None,
            last_heard: now,
            serial: 0,
            out: Vec::new(),
            events: Vec::new(),
        }
    }

    // --- as the one who calls ---

    /// Sends SCCRQ.
    pub(crate) fn start(&mut self, now: Instant, config: &Config, rng: &mut dyn CryptoRng) {
        let mut message = self.about_us(MessageType::SCCRQ, config, rng);
        self.add_challenge(&mut message, config, rng);
        self.channel.send(0, message.finish());
        self.channel.pump(now, &mut self.out);
    }

    /// Adds a call; ICRQ is sent as soon as the tunnel is up.
    pub(crate) fn call(&mut self, now: Instant, id: u16, config: &Config) {
        self.sessions.insert(
            id,
            Session {
                peer_id: 0,
                state: CallState::WaitTunnel,
                deadline: Some(now + config.setup_timeout),
                data_ns: config.data_sequencing.then_some(0),
                data_nr: 0,
            },
        );
        if self.state == State::Established {
            self.send_waiting_calls();
        }
        self.channel.pump(now, &mut self.out);
    }

    fn send_waiting_calls(&mut self) {
        for (id, session) in &mut self.sessions {
            if session.state == CallState::WaitTunnel {
                session.state = CallState::WaitReply;
                self.serial += 1;
                let mut message = Builder::new(MessageType::ICRQ);
                message
                    .word(AvpType::ASSIGNED_SESSION_ID, *id)
                    .long(AvpType::CALL_SERIAL_NUMBER, self.serial);
                self.channel.send(0, message.finish());
            }
        }
    }

    // --- ends ---

    pub(crate) fn close(&mut self, now: Instant, result: StopResult, reason: CloseReason) {
        if self.state == State::Closed {
            return;
        }
        self.send_stop(result, None);
        self.closed(now, reason);
        self.channel.pump(now, &mut self.out);
    }

    fn send_stop(&mut self, result: StopResult, error: Option<(u16, &str)>) {
        self.channel.clear_waiting();
        let mut value = result.0.to_be_bytes().to_vec();
        if let Some((code, text)) = error {
            value.extend(code.to_be_bytes());
            value.extend(text.as_bytes());
        }
        let mut message = Builder::new(MessageType::STOPCCN);
        message
            .word(AvpType::ASSIGNED_TUNNEL_ID, self.id)
            .bytes(AvpType::RESULT_CODE, &value);
        self.channel.send(0, message.finish());
    }

    pub(crate) fn close_session(
        &mut self,
        now: Instant,
        id: u16,
        result: CallResult,
        reason: CloseReason,
    ) {
        let Some(session) = self.sessions.remove(&id) else {
            return;
        };
        if session.state != CallState::WaitTunnel && self.state == State::Established {
            let mut message = Builder::new(MessageType::CDN);
            message
                .bytes(AvpType::RESULT_CODE, &result.0.to_be_bytes())
                .word(AvpType::ASSIGNED_SESSION_ID, id);
            self.channel.send(session.peer_id, message.finish());
        }
        self.session_down(id, reason);
        self.channel.pump(now, &mut self.out);
    }

    /// All calls end, and the tunnel lingers to acknowledge what is repeated.
    pub(crate) fn closed(&mut self, now: Instant, reason: CloseReason) {
        let why = match &reason {
            CloseReason::PathClosed => CloseReason::PathClosed,
            _ => CloseReason::TunnelDown,
        };
        for id in self.sessions.keys().copied().collect::<Vec<_>>() {
            self.sessions.remove(&id);
            self.session_down(id, why.clone());
        }
        self.state = State::Closed;
        self.setup_deadline = None;
        self.linger = Some(now + LINGER);
        self.events.push(Event::TunnelDown {
            tunnel: TunnelId(self.id),
            path: self.path,
            reason,
        });
    }

    fn session_down(&mut self, id: u16, reason: CloseReason) {
        self.events.push(Event::SessionDown {
            session: self.session_id(id),
            path: self.path,
            reason,
        });
    }

    // --- input ---

    /// Takes a control message.
    pub(crate) fn handle(
        &mut self,
        now: Instant,
        incoming: &Incoming<'_>,
        config: &Config,
        rng: &mut dyn CryptoRng,
        new_session: &mut dyn FnMut(&BTreeMap<u16, Session>) -> u16,
    ) -> Result<(), Error> {
        let Incoming {
            sequence: (ns, nr),
            session,
            body,
        } = *incoming;
        let parsed = if body.is_empty() {
            None
        } else {
            // A message that cannot be read must not be acknowledged as if it had been.
            Some(Message::parse(body, secret(config))?)
        };
        let order = self.channel.receive(now, ns, nr, body.is_empty(), config);
        self.last_heard = now;
        let result = match (order, parsed) {
            (Order::Next, Some(message)) if self.state != State::Closed => {
                self.process(now, session, &message, config, rng, new_session)
            }
            (Order::Early, _) => Err(Error::OutOfSequence),
            _ => Ok(()),
        };
        if self.state == State::Closed && self.channel.is_idle() && self.linger.is_none() {
            self.linger = Some(now);
        }
        self.channel.pump(now, &mut self.out);
        result
    }

    /// A repeated SCCRQ: the reply has been lost, or is late.
    pub(crate) fn repeat_reply(&mut self) {
        self.channel.repeat(&mut self.out);
    }

    fn process(
        &mut self,
        now: Instant,
        session: u16,
        message: &Message,
        config: &Config,
        rng: &mut dyn CryptoRng,
        new_session: &mut dyn FnMut(&BTreeMap<u16, Session>) -> u16,
    ) -> Result<(), Error> {
        if message.unknown_mandatory.is_some()
            && !matches!(message.kind, MessageType::STOPCCN | MessageType::CDN)
        {
            return self.not_understood(now, session, message);
        }
        match message.kind {
            MessageType::SCCRQ => self.on_request(now, message, config, rng),
            MessageType::SCCRP => self.on_reply(now, message, config),
            MessageType::SCCCN => self.on_connected(now, message, config),
            MessageType::STOPCCN => {
                self.closed(now, peer_reason(message));
                Ok(())
            }
            MessageType::HELLO | MessageType::WEN | MessageType::SLI => Ok(()),
            MessageType::ICRQ => self.on_call(now, message, config, new_session),
            MessageType::ICRP => self.on_call_reply(now, session, message, config),
            MessageType::ICCN => self.on_call_connected(session, message),
            MessageType::CDN => self.on_disconnect(session, message),
            _ if message.mandatory => self.not_understood(now, session, message),
            _ => Ok(()),
        }
    }

    /// A mandatory AVP or message that we do not know ends the call or the tunnel (section 4.1).
    fn not_understood(
        &mut self,
        now: Instant,
        session: u16,
        message: &Message,
    ) -> Result<(), Error> {
        let what = "mandatory attribute or message not understood";
        let of_call = matches!(
            message.kind,
            MessageType::ICRQ | MessageType::ICRP | MessageType::ICCN
        );
        if of_call && let Some(id) = self.find_session(session, message) {
            let reason = CloseReason::ProtocolError(what);
            self.close_session(now, id, CallResult::GENERAL_ERROR, reason);
        } else if !of_call {
            let error = Some((ERROR_UNKNOWN_MANDATORY, what));
            self.send_stop(StopResult::GENERAL_ERROR, error);
            self.closed(now, CloseReason::ProtocolError(what));
        }
        Ok(())
    }

    /// As LNS: the peer wants a tunnel.
    fn on_request(
        &mut self,
        now: Instant,
        message: &Message,
        config: &Config,
        rng: &mut dyn CryptoRng,
    ) -> Result<(), Error> {
        self.learn(message)?;
        let mut reply = self.about_us(MessageType::SCCRP, config, rng);
        if let Some(challenge) = message.bytes(AvpType::CHALLENGE) {
            let Some(secret) = secret(config) else {
                // We cannot prove what we do not know.
                self.send_stop(StopResult::NOT_AUTHORIZED, None);
                self.closed(now, CloseReason::AuthenticationFailed);
                return Ok(());
            };
            let response = challenge_response(MessageType::SCCRP, secret, challenge);
            reply.bytes(AvpType::CHALLENGE_RESPONSE, &response);
        }
        self.add_challenge(&mut reply, config, rng);
        self.channel.send(0, reply.finish());
        Ok(())
    }

    /// As LAC: the peer answers.
    fn on_reply(&mut self, now: Instant, message: &Message, config: &Config) -> Result<(), Error> {
        if self.state != State::WaitReply {
            return Ok(());
        }
        self.learn(message)?;
        if !self.proven(MessageType::SCCRP, message, config) {
            self.send_stop(StopResult::NOT_AUTHORIZED, None);
            self.closed(now, CloseReason::AuthenticationFailed);
            return Ok(());
        }
        let mut connected = Builder::new(MessageType::SCCCN);
        if let (Some(challenge), Some(secret)) = (message.bytes(AvpType::CHALLENGE), secret(config))
        {
            let response = challenge_response(MessageType::SCCCN, secret, challenge);
            connected.bytes(AvpType::CHALLENGE_RESPONSE, &response);
        }
        self.channel.send(0, connected.finish());
        self.established();
        self.send_waiting_calls();
        Ok(())
    }

    /// As LNS: the tunnel is up.
    fn on_connected(
        &mut self,
        now: Instant,
        message: &Message,
        config: &Config,
    ) -> Result<(), Error> {
        if self.state != State::WaitConnected {
            return Ok(());
        }
        if !self.proven(MessageType::SCCCN, message, config) {
            self.send_stop(StopResult::NOT_AUTHORIZED, None);
            self.closed(now, CloseReason::AuthenticationFailed);
            return Ok(());
        }
        self.established();
        self.send_waiting_calls();
        Ok(())
    }

    fn established(&mut self) {
        self.state = State::Established;
        self.setup_deadline = None;
        self.challenge = None;
        self.events.push(Event::TunnelUp {
            tunnel: TunnelId(self.id),
            path: self.path,
            peer: self.peer.clone(),
        });
    }

    /// What SCCRQ and SCCRP say of the peer.
    fn learn(&mut self, message: &Message) -> Result<(), Error> {
        let tunnel_id = message
            .word(AvpType::ASSIGNED_TUNNEL_ID)?
            .filter(|id| *id != 0)
            .ok_or(Error::MissingAvp("assigned tunnel id"))?;
        let bytes = |kind| message.bytes(kind).unwrap_or_default().to_vec();
        self.peer = PeerInfo {
            host_name: bytes(AvpType::HOST_NAME),
            vendor_name: bytes(AvpType::VENDOR_NAME),
            firmware: message.word(AvpType::FIRMWARE_REVISION).unwrap_or(None),
            receive_window: message
                .word(AvpType::RECEIVE_WINDOW_SIZE)?
                .unwrap_or(4)
                .max(1),
            tunnel_id,
        };
        self.channel.peer_tunnel = tunnel_id;
        self.channel.peer_window = self.peer.receive_window;
        Ok(())
    }

    /// Whether the peer has answered our challenge, if we sent one.
    fn proven(&self, kind: MessageType, message: &Message, config: &Config) -> bool {
        let (Some(challenge), Some(secret)) = (&self.challenge, secret(config)) else {
            return true;
        };
        let expected = challenge_response(kind, secret, challenge);
        message
            .bytes(AvpType::CHALLENGE_RESPONSE)
            .is_some_and(|response| expected.as_slice().ct_eq(response).into())
    }

    /// As LNS: the peer has a call for us.
    fn on_call(
        &mut self,
        now: Instant,
        message: &Message,
        config: &Config,
        new_session: &mut dyn FnMut(&BTreeMap<u16, Session>) -> u16,
    ) -> Result<(), Error> {
        let peer_id = message
            .word(AvpType::ASSIGNED_SESSION_ID)?
            .filter(|id| *id != 0)
            .ok_or(Error::MissingAvp("assigned session id"))?;
        let full = self.sessions.len() >= config.max_sessions_per_tunnel;
        if full || !config.accept || self.state != State::Established {
            let mut refusal = Builder::new(MessageType::CDN);
            refusal
                .bytes(
                    AvpType::RESULT_CODE,
                    &CallResult::NO_FACILITIES.0.to_be_bytes(),
                )
                .word(AvpType::ASSIGNED_SESSION_ID, 0);
            self.channel.send(peer_id, refusal.finish());
            return Err(Error::Limit("sessions per tunnel"));
        }
        let id = new_session(&self.sessions);
        self.sessions.insert(
            id,
            Session {
                peer_id,
                state: CallState::WaitConnect,
                deadline: Some(now + config.setup_timeout),
                data_ns: None,
                data_nr: 0,
            },
        );
        let mut reply = Builder::new(MessageType::ICRP);
        reply.word(AvpType::ASSIGNED_SESSION_ID, id);
        self.channel.send(peer_id, reply.finish());
        Ok(())
    }

    /// As LAC: the peer takes the call.
    fn on_call_reply(
        &mut self,
        now: Instant,
        id: u16,
        message: &Message,
        config: &Config,
    ) -> Result<(), Error> {
        let peer_id = message
            .word(AvpType::ASSIGNED_SESSION_ID)?
            .filter(|id| *id != 0)
            .ok_or(Error::MissingAvp("assigned session id"))?;
        let waiting = |s: &&mut Session| s.state == CallState::WaitReply;
        let Some(session) = self.sessions.get_mut(&id).filter(waiting) else {
            return Err(Error::UnknownSession);
        };
        session.peer_id = peer_id;
        session.state = CallState::Established;
        session.deadline = None;
        let mut connected = Builder::new(MessageType::ICCN);
        connected
            .long(AvpType::TX_CONNECT_SPEED, TX_SPEED)
            .long(AvpType::FRAMING_TYPE, FRAMING_SYNC);
        if config.data_sequencing {
            connected.bytes(AvpType::SEQUENCING_REQUIRED, &[]);
        }
        self.channel.send(peer_id, connected.finish());
        self.channel.pump(now, &mut self.out);
        self.session_up(id);
        Ok(())
    }

    /// As LNS: the call is up.
    fn on_call_connected(&mut self, id: u16, message: &Message) -> Result<(), Error> {
        let waiting = |s: &&mut Session| s.state == CallState::WaitConnect;
        let Some(session) = self.sessions.get_mut(&id).filter(waiting) else {
            return Err(Error::UnknownSession);
        };
        session.state = CallState::Established;
        session.deadline = None;
        if message.bytes(AvpType::SEQUENCING_REQUIRED).is_some() {
            session.data_ns = Some(0);
        }
        self.session_up(id);
        Ok(())
    }

    fn on_disconnect(&mut self, session: u16, message: &Message) -> Result<(), Error> {
        let id = self
            .find_session(session, message)
            .ok_or(Error::UnknownSession)?;
        self.sessions.remove(&id);
        self.session_down(id, peer_reason(message));
        Ok(())
    }

    /// The call a message is about: by our id in the header, else by the peer's in the message,
    /// which is all that a peer has who has not heard our id yet.
    fn find_session(&self, header: u16, message: &Message) -> Option<u16> {
        if self.sessions.contains_key(&header) {
            return Some(header);
        }
        let theirs = message.word(AvpType::ASSIGNED_SESSION_ID).ok()??;
        self.sessions
            .iter()
            .find(|(_, s)| s.peer_id == theirs && theirs != 0)
            .map(|(id, _)| *id)
    }

    fn session_up(&mut self, id: u16) {
        self.events.push(Event::SessionUp {
            session: self.session_id(id),
            path: self.path,
        });
    }

    fn session_id(&self, session: u16) -> SessionId {
        SessionId {
            tunnel: self.id,
            session,
        }
    }

    // --- time ---

    /// Does what is due; false when nothing is left to wait for.
    pub(crate) fn handle_timeout(&mut self, now: Instant, config: &Config) -> bool {
        if !self.channel.handle_timeout(now, config, &mut self.out) {
            if self.state == State::Closed {
                return false;
            }
            self.closed(now, CloseReason::Timeout);
            return false;
        }
        if self.linger.is_some_and(|at| at <= now) {
            return false;
        }
        if self.setup_deadline.is_some_and(|at| at <= now) {
            self.close(now, StopResult::GENERAL, CloseReason::Timeout);
            return true;
        }
        let overdue = |s: &Session| s.deadline.is_some_and(|at| at <= now);
        let late: Vec<_> = self
            .sessions
            .iter()
            .filter(|(_, s)| overdue(s))
            .map(|(id, _)| *id)
            .collect();
        for id in late {
            self.close_session(now, id, CallResult::TIMEOUT, CloseReason::Timeout);
        }
        if self.hello_at(config).is_some_and(|at| at <= now) {
            self.last_heard = now;
            self.channel
                .send(0, Builder::new(MessageType::HELLO).finish());
            self.channel.pump(now, &mut self.out);
        }
        true
    }

    fn hello_at(&self, config: &Config) -> Option<Instant> {
        let quiet = self.state == State::Established && self.channel.is_idle();
        config
            .hello_interval
            .filter(|_| quiet)
            .map(|interval| self.last_heard + interval)
    }

    pub(crate) fn poll_timeout(&self, config: &Config) -> Option<Instant> {
        [
            self.channel.deadline,
            self.linger,
            self.setup_deadline,
            self.hello_at(config),
            self.sessions.values().filter_map(|s| s.deadline).min(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    // --- messages ---

    /// What SCCRQ and SCCRP have in common.
    fn about_us(&self, kind: MessageType, config: &Config, rng: &mut dyn CryptoRng) -> Builder {
        let mut message = Builder::new(kind);
        message
            .word(AvpType::PROTOCOL_VERSION, PROTOCOL_VERSION)
            .long(AvpType::FRAMING_CAPABILITIES, FRAMING_BOTH);
        let id = self.id.to_be_bytes();
        match secret(config).filter(|_| config.hide_avps) {
            Some(secret) => {
                let mut vector = [0; 16];
                rng.fill_bytes(&mut vector);
                message.bytes(AvpType::RANDOM_VECTOR, &vector);
                message.bytes(AvpType::HOST_NAME, &config.host_name);
                let hidden = hide(AvpType::ASSIGNED_TUNNEL_ID, &id, secret, &vector, &[0; 12]);
                message.hidden(AvpType::ASSIGNED_TUNNEL_ID, &hidden);
            }
            None => {
                message.bytes(AvpType::HOST_NAME, &config.host_name);
                message.bytes(AvpType::ASSIGNED_TUNNEL_ID, &id);
            }
        }
        if !config.vendor_name.is_empty() {
            message.bytes(AvpType::VENDOR_NAME, &config.vendor_name);
        }
        message.word(AvpType::RECEIVE_WINDOW_SIZE, config.receive_window);
        message
    }

    fn add_challenge(&mut self, message: &mut Builder, config: &Config, rng: &mut dyn CryptoRng) {
        if config.secret.is_some() {
            let mut challenge = [0; 16];
            rng.fill_bytes(&mut challenge);
            message.bytes(AvpType::CHALLENGE, &challenge);
            self.challenge = Some(challenge);
        }
    }
}

fn secret(config: &Config) -> Option<&[u8]> {
    config.secret.as_ref().map(crate::Secret::expose)
}

fn peer_reason(message: &Message) -> CloseReason {
    let (result, error, text) = message.result().unwrap_or_default();
    let text = String::from_utf8_lossy(text);
    CloseReason::Peer {
        result,
        error,
        message: text.chars().filter(|c| !c.is_control()).collect(),
    }
}
