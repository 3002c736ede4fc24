//! One control connection and its calls (RFC 2661 sections 5 and 7).

mod calls;
mod control;

use crate::Error;
use crate::context::Context;
use crate::event::{Event, PathId, SessionId, TunnelId};
use crate::reliable::{Channel, Order};
use crate::result::write_result;
use crate::session::{Session, Sessions};
use crate::wire::{AvpType, Fault, Message, MessageType};
use crate::{CallResult, CloseReason, Disconnect, ErrorCode, PeerInfo, Stop, StopResult};
use std::time::Instant;

#[derive(Debug)]
pub(crate) struct Tunnel {
    pub(crate) id: u16,
    pub(crate) path: PathId,
    pub(crate) state: State,
    /// Whether the peer has said that it takes outgoing calls.
    pub(crate) peer_takes_calls: bool,
    channel: Channel,
    pub(crate) sessions: Sessions,
    /// How many of them the endpoint has counted.
    pub(crate) counted: usize,
    /// What is needed until the tunnel is up.
    setup: Option<Box<Setup>>,
    /// By when it must be up; or, once closed, until when it acknowledges.
    until: Option<Instant>,
    last_heard: Instant,
    /// Under which deadline the endpoint has filed it.
    pub(crate) filed: Option<Instant>,
    /// The Call Serial Number of our last call.
    serial: u32,
}

/// RFC 2661 section 7.2.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// SCCRQ is out.
    WaitReply,
    /// SCCRQ has come; SCCRP is out.
    WaitConnected,
    Established,
    /// StopCCN was sent or received; only acknowledgements are left.
    Closed,
}

#[derive(Debug, Default)]
struct Setup {
    challenge: Option<[u8; 16]>,
    tie_breaker: Option<[u8; 8]>,
    peer: PeerInfo,
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
    pub(crate) fn new(ctx: &Context<'_>, id: u16, path: PathId, state: State) -> Self {
        Self {
            id,
            path,
            state,
            peer_takes_calls: false,
            channel: Channel::new(path, ctx.config),
            sessions: Sessions::default(),
            counted: 0,
            setup: Some(Box::default()),
            until: Some(ctx.now + ctx.config.setup_timeout),
            last_heard: ctx.now,
            filed: None,
            serial: 0,
        }
    }

    /// The Tunnel ID that the peer has assigned; 0 until known.
    pub(crate) fn peer_id(&self) -> u16 {
        self.channel.peer_tunnel
    }

    pub(crate) fn is_live(&self) -> bool {
        self.state != State::Closed
    }

    /// Something has come from the peer.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.last_heard = now;
    }

    // --- input ---

    /// Takes a control message.
    pub(crate) fn handle(
        &mut self,
        ctx: &mut Context<'_>,
        incoming: &Incoming<'_>,
    ) -> Result<(), Error> {
        let (ns, nr) = incoming.sequence;
        let order = self.channel.order(ns, incoming.body.is_empty());
        // A message that cannot be read must not be acknowledged as if it had been.
        let message = match order {
            Order::Next => Some(Message::parse(incoming.body, ctx.config.secret())?),
            Order::Duplicate | Order::Early => None,
        };
        self.channel.acknowledge(ctx.now, nr, ctx.config);
        self.last_heard = ctx.now;
        if let Some(message) = message {
            self.channel.accept();
            if self.is_live() {
                self.process(ctx, incoming.session, &message);
            }
        } else if order == Order::Duplicate && !incoming.body.is_empty() {
            self.channel.owe_acknowledgement();
        }
        self.pump(ctx);
        match order {
            Order::Early => Err(Error::OutOfSequence),
            Order::Next | Order::Duplicate => Ok(()),
        }
    }

    /// A repeated SCCRQ: the reply has been lost, or is late.
    pub(crate) fn repeat_reply(&mut self, ctx: &mut Context<'_>) {
        self.channel.repeat(ctx);
    }

    fn process(&mut self, ctx: &mut Context<'_>, session: u16, message: &Message) {
        let ends = matches!(message.kind, MessageType::STOPCCN | MessageType::CDN);
        if let Some(fault) = message.fault.filter(|_| !ends) {
            let (code, text) = match fault {
                Fault::Unknown { vendor, kind } => (
                    ErrorCode::UNKNOWN_MANDATORY,
                    format!("unknown mandatory AVP {} of vendor {vendor}", kind.0),
                ),
                Fault::BadSize(kind) => (ErrorCode::LENGTH, format!("wrong size of {kind:?}")),
                Fault::Unreadable(kind) => (ErrorCode::VALUE, format!("hidden {kind:?}")),
            };
            return self.refuse(ctx, session, message, code, text, "mandatory AVP");
        }
        match message.kind {
            MessageType::SCCRQ => self.on_request(ctx, message),
            MessageType::SCCRP => self.on_reply(ctx, message),
            MessageType::SCCCN => self.on_connected(ctx, message),
            MessageType::STOPCCN => self.closed(ctx, CloseReason::of_peer(message)),
            MessageType::HELLO => {}
            kind if kind.is_of_call() => {
                if self.state == State::Established {
                    self.on_call_message(ctx, session, message);
                } else {
                    self.out_of_order(ctx);
                }
            }
            _ if message.mandatory => {
                let text = format!("unknown {:?}", message.kind);
                let code = ErrorCode::UNKNOWN_MANDATORY;
                self.refuse(ctx, session, message, code, text, "mandatory message");
            }
            _ => {}
        }
    }

    /// What must be understood and is not ends the call or the tunnel (sections 4.1 and 7.1).
    fn refuse(
        &mut self,
        ctx: &mut Context<'_>,
        session: u16,
        message: &Message,
        code: ErrorCode,
        text: String,
        why: &'static str,
    ) {
        let error = Some((code, text));
        let reason = CloseReason::ProtocolError(why);
        if !message.kind.is_of_call() {
            if self.peer_id() == 0 {
                // It was to say where answers go.
                let theirs = message.word(AvpType::ASSIGNED_TUNNEL_ID);
                self.channel.peer_tunnel = theirs.unwrap_or(0);
            }
            let stop = Stop {
                result: StopResult::GENERAL_ERROR,
                error,
            };
            return self.close(ctx, &stop, reason);
        }
        let disconnect = Disconnect {
            result: CallResult::GENERAL_ERROR,
            error,
            cause: None,
        };
        if let Some(id) = self.find_session(session, message) {
            self.close_session(ctx, id, &disconnect, reason);
        } else if let Some(peer_id) = message.word(AvpType::ASSIGNED_SESSION_ID) {
            self.send_disconnect(ctx, 0, peer_id, &disconnect);
        }
    }

    /// A message in a state that has no place for it (section 7.2.1).
    fn out_of_order(&mut self, ctx: &mut Context<'_>) {
        let reason = CloseReason::ProtocolError("message out of order");
        self.close(ctx, &StopResult::STATE_MACHINE.into(), reason);
    }

    // --- ends ---

    /// Ends the tunnel with a StopCCN.
    pub(crate) fn close(&mut self, ctx: &mut Context<'_>, stop: &Stop, reason: CloseReason) {
        if !self.is_live() {
            return;
        }
        self.channel.clear_waiting();
        let id = self.id;
        let mut message = ctx.message(MessageType::STOPCCN);
        message.word(AvpType::ASSIGNED_TUNNEL_ID, id);
        write_result(&mut message, stop.result.0, stop.error.as_ref());
        let body = message.finish();
        self.channel.send(ctx.config, 0, body);
        self.closed(ctx, reason);
        self.channel.pump(ctx);
    }

    /// All calls end, and the tunnel lingers to acknowledge what is repeated (section 5.7).
    pub(crate) fn closed(&mut self, ctx: &mut Context<'_>, reason: CloseReason) {
        let why = match &reason {
            CloseReason::PathClosed | CloseReason::Peer { .. } => reason.clone(),
            _ => CloseReason::TunnelDown,
        };
        for session in self.sessions.take() {
            self.session_down(ctx, session.id, why.clone());
        }
        self.state = State::Closed;
        self.setup = None;
        self.until = Some(ctx.now + ctx.config.retransmission_cycle());
        ctx.out.event(Event::TunnelDown {
            tunnel: TunnelId(self.id),
            path: self.path,
            reason,
        });
    }

    /// Sends what can be sent; a peer that takes nothing has had its time.
    fn pump(&mut self, ctx: &mut Context<'_>) {
        if self.channel.overflow && self.is_live() {
            self.close(ctx, &StopResult::GENERAL.into(), CloseReason::QueueFull);
        }
        self.channel.pump(ctx);
    }

    // --- time ---

    /// Does what is due; false when nothing is left to wait for.
    pub(crate) fn handle_timeout(&mut self, ctx: &mut Context<'_>) -> bool {
        if !self.channel.handle_timeout(ctx) {
            if self.is_live() {
                self.closed(ctx, CloseReason::Timeout);
            }
            return false;
        }
        let due = |at: Option<Instant>, now| at.is_some_and(|at| at <= now);
        if due(self.until, ctx.now) {
            if !self.is_live() {
                return false;
            }
            self.close(ctx, &StopResult::GENERAL.into(), CloseReason::Timeout);
            return true;
        }
        for id in self.sessions.ids(|s| due(s.deadline, ctx.now)) {
            self.close_session(ctx, id, &CallResult::TIMEOUT.into(), CloseReason::Timeout);
        }
        for id in self.sessions.ids(|s| due(s.poll_timeout(), ctx.now)) {
            let reorder = ctx.config.reorder;
            let session = self.sessions.get_mut(id);
            for frame in session.map_or_else(Vec::new, |s| s.give_up(ctx.now, reorder)) {
                ctx.out.frame(SessionId::new(self.id, id), frame);
            }
        }
        if due(self.hello_at(ctx), ctx.now) {
            self.last_heard = ctx.now;
            let hello = ctx.message(MessageType::HELLO).finish();
            self.channel.send(ctx.config, 0, hello);
        }
        self.pump(ctx);
        true
    }

    fn hello_at(&self, ctx: &Context<'_>) -> Option<Instant> {
        let quiet = self.state == State::Established && self.channel.is_idle();
        let interval = ctx.config.hello_interval.filter(|_| quiet)?;
        Some(self.last_heard + interval)
    }

    pub(crate) fn poll_timeout(&self, ctx: &Context<'_>) -> Option<Instant> {
        [
            self.channel.deadline,
            self.until,
            self.hello_at(ctx),
            self.sessions.iter().filter_map(Session::poll_timeout).min(),
        ]
        .into_iter()
        .flatten()
        .min()
    }
}
