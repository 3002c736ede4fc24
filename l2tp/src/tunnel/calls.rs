//! Calls come up, go down, and say things in between (RFC 2661 sections 7.4 and 7.5).

use super::{State, Tunnel};
use crate::context::Context;
use crate::event::{Event, SessionId};
use crate::result::write_result;
use crate::session::{CallState, Numbering, Session};
use crate::wire::{AvpType, Message, MessageType};
use crate::{
    Accm, Call, CallConnected, CallErrors, CallRequest, CallResult, CloseReason, Direction,
    Disconnect, Error, ErrorCode, Role,
};

impl Tunnel {
    // --- calls of ours ---

    /// Adds a call; its request is sent as soon as the tunnel is up.
    pub(crate) fn call(
        &mut self,
        ctx: &mut Context<'_>,
        direction: Direction,
        call: Box<Call>,
    ) -> Result<u16, Error> {
        let established = self.state == State::Established;
        if established && !self.peer_takes_calls && direction == Direction::Outgoing {
            return Err(Error::NoBearer);
        }
        if self.sessions.len() >= ctx.config.max_sessions_per_tunnel {
            return Err(Error::Limit("sessions per tunnel"));
        }
        // A request, or all requests once the tunnel is up, and a little of what calls need.
        let waiting = self.sessions.ids(|s| s.state == CallState::WaitTunnel);
        if !self.channel.has_room(ctx.config, waiting.len() + 4) {
            return Err(Error::Limit("control messages"));
        }
        let id = ctx.free_id(|id| self.sessions.contains(id));
        let role = match direction {
            Direction::Incoming => Role::Lac,
            Direction::Outgoing => Role::Lns,
        };
        let mut session = Session::new(id, 0, CallState::WaitTunnel, role);
        session.deadline = Some(ctx.now + ctx.config.setup_timeout);
        session.call = Some(call);
        self.sessions.insert(session);
        if established {
            self.send_waiting_calls(ctx);
        }
        self.pump(ctx);
        Ok(id)
    }

    pub(super) fn send_waiting_calls(&mut self, ctx: &mut Context<'_>) {
        for id in self.sessions.ids(|s| s.state == CallState::WaitTunnel) {
            let Some(session) = self.sessions.get_mut(id) else {
                continue;
            };
            let (kind, direction) = match session.role {
                Role::Lac => (MessageType::ICRQ, Direction::Incoming),
                Role::Lns => (MessageType::OCRQ, Direction::Outgoing),
            };
            if direction == Direction::Outgoing && !self.peer_takes_calls {
                self.sessions.remove(id);
                self.session_down(ctx, id, CloseReason::NotAccepted);
                continue;
            }
            session.state = CallState::WaitReply;
            self.serial = self.serial.wrapping_add(1);
            let mut message = ctx.message(kind);
            message.word(AvpType::ASSIGNED_SESSION_ID, id);
            if let Some(call) = &mut session.call {
                if call.request.serial == 0 {
                    call.request.serial = self.serial;
                }
                call.request.write(direction, &mut message);
            }
            let body = message.finish();
            self.channel.send(ctx.config, 0, body);
        }
    }

    // --- messages ---

    /// Takes a message of a call, in an established tunnel.
    pub(super) fn on_call_message(
        &mut self,
        ctx: &mut Context<'_>,
        header: u16,
        message: &Message,
    ) {
        let direction = match message.kind {
            MessageType::ICRQ => Some(Direction::Incoming),
            MessageType::OCRQ => Some(Direction::Outgoing),
            _ => None,
        };
        if let Some(direction) = direction {
            return self.on_call(ctx, direction, message);
        }
        // Of a call that has just ended here, and the peer has not heard of it.
        let Some(id) = self.find_session(header, message) else {
            return;
        };
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        let (state, role) = (session.state, session.role);
        match (message.kind, state, role) {
            (MessageType::CDN, ..) => {
                self.sessions.remove(id);
                self.session_down(ctx, id, CloseReason::of_peer(message));
            }
            (MessageType::ICRP, CallState::WaitReply, Role::Lac)
            | (MessageType::OCRP, CallState::WaitReply, Role::Lns) => {
                self.on_call_reply(ctx, id, message);
            }
            (MessageType::ICCN, CallState::WaitConnect, Role::Lns)
            | (MessageType::OCCN, CallState::WaitConnect, Role::Lns) => {
                let connected = CallConnected::read(message);
                session.call.get_or_insert_default().connected = connected;
                self.session_up(ctx, id);
            }
            (MessageType::WEN, _, Role::Lns) => {
                if let Some(errors) = CallErrors::read(message) {
                    let session = self.session_id(id);
                    ctx.out.event(Event::CallErrors { session, errors });
                }
            }
            (MessageType::SLI, _, Role::Lac) => {
                if let Some(accm) = Accm::read(message) {
                    let session = self.session_id(id);
                    ctx.out.event(Event::LinkInfo { session, accm });
                }
            }
            (MessageType::WEN | MessageType::SLI, ..) => {}
            _ => self.fail(ctx, id, "message out of order"),
        }
    }

    /// The peer has a call for us, or wants one made.
    fn on_call(&mut self, ctx: &mut Context<'_>, direction: Direction, message: &Message) {
        let Some(peer_id) = message
            .word(AvpType::ASSIGNED_SESSION_ID)
            .filter(|id| *id != 0)
        else {
            // Nobody to tell.
            return;
        };
        if let Some(id) = self.find_session(0, message) {
            return self.fail(ctx, id, "session id used twice");
        }
        let config = ctx.config;
        let role = match direction {
            Direction::Incoming => Role::Lns,
            Direction::Outgoing => Role::Lac,
        };
        let full = self.sessions.len() >= config.max_sessions_per_tunnel;
        let able = role == Role::Lns || config.bearer_capabilities.is_some();
        if full || !able || !config.accept {
            let result = if full {
                CallResult::NO_FACILITIES
            } else {
                CallResult::NO_FACILITIES_EVER
            };
            return self.send_disconnect(ctx, 0, peer_id, &result.into());
        }
        let id = ctx.free_id(|id| self.sessions.contains(id));
        let mut session = Session::new(id, peer_id, CallState::WaitOwner, role);
        session.deadline = Some(ctx.now + config.setup_timeout);
        let request = CallRequest::read(message);
        if config.ask {
            ctx.out.event(Event::CallRequested {
                session: self.session_id(id),
                path: self.path,
                direction,
                request: Box::new(request.clone()),
            });
        }
        session.call.get_or_insert_default().request = request;
        self.sessions.insert(session);
        if !config.ask {
            self.reply(ctx, id);
            if role == Role::Lac {
                self.connect_call(ctx, id);
            }
        }
    }

    /// Our request has been taken.
    fn on_call_reply(&mut self, ctx: &mut Context<'_>, id: u16, message: &Message) {
        let peer_id = message.word(AvpType::ASSIGNED_SESSION_ID).unwrap_or(0);
        let Some(session) = self.sessions.get_mut(id).filter(|_| peer_id != 0) else {
            return self.fail(ctx, id, "no session id");
        };
        session.peer_id = peer_id;
        match session.role {
            Role::Lac => self.connect_call(ctx, id),
            Role::Lns => session.state = CallState::WaitConnect,
        }
    }

    /// Takes a call of the peer: ICRP or OCRP.
    fn reply(&mut self, ctx: &mut Context<'_>, id: u16) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        let (kind, state) = match session.role {
            Role::Lns => (MessageType::ICRP, CallState::WaitConnect),
            Role::Lac => (MessageType::OCRP, CallState::WaitAnswer),
        };
        session.state = state;
        let peer_id = session.peer_id;
        let mut message = ctx.message(kind);
        message.word(AvpType::ASSIGNED_SESSION_ID, id);
        let body = message.finish();
        self.channel.send(ctx.config, peer_id, body);
    }

    /// As LAC: the call is through (ICCN or OCCN).
    fn connect_call(&mut self, ctx: &mut Context<'_>, id: u16) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        let kind = match session.state {
            CallState::WaitReply => MessageType::ICCN,
            _ => MessageType::OCCN,
        };
        let call = session.call.get_or_insert_default();
        call.connected.sequencing_required |= ctx.config.data_sequencing;
        let mut message = ctx.message(kind);
        call.connected.write(&mut message);
        let body = message.finish();
        let peer_id = session.peer_id;
        self.channel.send(ctx.config, peer_id, body);
        self.session_up(ctx, id);
    }

    fn session_up(&mut self, ctx: &mut Context<'_>, id: u16) {
        let name = self.session_id(id);
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        session.state = CallState::Established;
        session.deadline = None;
        let call = session.call.take().unwrap_or_default();
        session.numbering = match session.role {
            _ if call.connected.sequencing_required => Numbering::Required,
            Role::Lns if ctx.config.data_sequencing => Numbering::On,
            _ => Numbering::Off,
        };
        ctx.out.event(Event::SessionUp {
            session: name,
            path: self.path,
            role: session.role,
            call,
        });
    }

    // --- commands ---

    /// Our owner takes a call.
    pub(crate) fn accept(&mut self, ctx: &mut Context<'_>, id: u16) -> Result<(), Error> {
        let session = self.sessions.get_mut(id).ok_or(Error::UnknownSession)?;
        if session.state != CallState::WaitOwner {
            return Err(Error::WrongState);
        }
        self.reply(ctx, id);
        self.pump(ctx);
        Ok(())
    }

    /// Our owner has made a call.
    pub(crate) fn answered(
        &mut self,
        ctx: &mut Context<'_>,
        id: u16,
        connected: CallConnected,
    ) -> Result<(), Error> {
        let session = self.sessions.get_mut(id).ok_or(Error::UnknownSession)?;
        if session.state != CallState::WaitAnswer {
            return Err(Error::WrongState);
        }
        session.call.get_or_insert_default().connected = connected;
        self.connect_call(ctx, id);
        self.pump(ctx);
        Ok(())
    }

    /// Sends WEN or SLI, which only one end of a call may.
    pub(crate) fn tell(
        &mut self,
        ctx: &mut Context<'_>,
        id: u16,
        role: Role,
        write: impl FnOnce(&mut crate::wire::Builder<'_>),
    ) -> Result<(), Error> {
        let session = self.sessions.established(id);
        let session = session.ok_or(Error::UnknownSession)?;
        if session.role != role {
            return Err(Error::WrongState);
        }
        if !self.channel.has_room(ctx.config, 4) {
            return Err(Error::Limit("control messages"));
        }
        let mut message = ctx.message(match role {
            Role::Lac => MessageType::WEN,
            Role::Lns => MessageType::SLI,
        });
        write(&mut message);
        let body = message.finish();
        self.channel.send(ctx.config, session.peer_id, body);
        self.pump(ctx);
        Ok(())
    }

    // --- ends ---

    /// Ends a call with a CDN.
    pub(crate) fn close_session(
        &mut self,
        ctx: &mut Context<'_>,
        id: u16,
        disconnect: &Disconnect,
        reason: CloseReason,
    ) {
        let Some(session) = self.sessions.remove(id) else {
            return;
        };
        if session.state != CallState::WaitTunnel {
            self.send_disconnect(ctx, id, session.peer_id, disconnect);
        }
        self.session_down(ctx, id, reason);
        self.pump(ctx);
    }

    /// The peer has said what it must not of a call.
    fn fail(&mut self, ctx: &mut Context<'_>, id: u16, what: &'static str) {
        let disconnect = Disconnect {
            result: CallResult::GENERAL_ERROR,
            error: Some((ErrorCode::VALUE, what.to_owned())),
            cause: None,
        };
        self.close_session(ctx, id, &disconnect, CloseReason::ProtocolError(what));
    }

    /// Sends CDN; `id` is 0 for a call that has never had an id here.
    pub(super) fn send_disconnect(
        &mut self,
        ctx: &mut Context<'_>,
        id: u16,
        peer_id: u16,
        disconnect: &Disconnect,
    ) {
        let mut message = ctx.message(MessageType::CDN);
        write_result(&mut message, disconnect.result.0, disconnect.error.as_ref());
        message.word(AvpType::ASSIGNED_SESSION_ID, id);
        if let Some(cause) = &disconnect.cause {
            cause.write(&mut message);
        }
        let body = message.finish();
        self.channel.send(ctx.config, peer_id, body);
    }

    pub(super) fn session_down(&self, ctx: &mut Context<'_>, id: u16, reason: CloseReason) {
        ctx.out.event(Event::SessionDown {
            session: self.session_id(id),
            path: self.path,
            reason,
        });
    }

    /// The call a message is about: by our id in the header, else by the peer's in the message,
    /// which is all that a peer has who has not heard our id yet.
    pub(super) fn find_session(&self, header: u16, message: &Message) -> Option<u16> {
        if self.sessions.contains(header) {
            return Some(header);
        }
        let theirs = message.word(AvpType::ASSIGNED_SESSION_ID)?;
        let mut sessions = self.sessions.iter();
        sessions
            .find(|s| s.peer_id == theirs && theirs != 0)
            .map(|s| s.id)
    }

    fn session_id(&self, session: u16) -> SessionId {
        SessionId::new(self.id, session)
    }
}
