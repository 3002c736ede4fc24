//! One control connection and its calls (RFC 2661 sections 5 and 7).

mod messages;

use crate::event::{CallResult, CloseReason, Event, PathId, PeerInfo, StopResult, TunnelId};
use crate::reliable::{Channel, Order};
use crate::wire::{AvpType, Builder, Message, MessageType, hide};
use crate::{Config, Error};
use messages::peer_reason;
use rand_core::CryptoRng;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long a closed tunnel stays to acknowledge a repeated StopCCN (RFC 2661 section 5.7).
const LINGER: Duration = Duration::from_secs(31);
const FRAMING_BOTH: u32 = 3;
const FRAMING_SYNC: u32 = 1;
const PROTOCOL_VERSION: u16 = 0x0100;
const TX_SPEED: u32 = 100_000_000;
/// Error code: a mandatory AVP was not known (section 4.4.2).
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
