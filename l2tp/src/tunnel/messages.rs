//! What each control message does (RFC 2661 section 6).

use super::{
    CallState, ERROR_UNKNOWN_MANDATORY, FRAMING_SYNC, Session, State, TX_SPEED, Tunnel, secret,
};
use crate::auth::challenge_response;
use crate::event::{CallResult, CloseReason, Event, PeerInfo, SessionId, StopResult, TunnelId};
use crate::wire::{AvpType, Builder, Message, MessageType};
use crate::{Config, Error};
use rand_core::CryptoRng;
use std::collections::BTreeMap;
use std::time::Instant;
use subtle::ConstantTimeEq as _;

impl Tunnel {
    /// A mandatory AVP or message that we do not know ends the call or the tunnel (section 4.1).
    pub(super) fn not_understood(
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
    pub(super) fn on_request(
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
    pub(super) fn on_reply(
        &mut self,
        now: Instant,
        message: &Message,
        config: &Config,
    ) -> Result<(), Error> {
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
    pub(super) fn on_connected(
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

    pub(super) fn established(&mut self) {
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
    pub(super) fn learn(&mut self, message: &Message) -> Result<(), Error> {
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
    pub(super) fn proven(&self, kind: MessageType, message: &Message, config: &Config) -> bool {
        let (Some(challenge), Some(secret)) = (&self.challenge, secret(config)) else {
            return true;
        };
        let expected = challenge_response(kind, secret, challenge);
        message
            .bytes(AvpType::CHALLENGE_RESPONSE)
            .is_some_and(|response| expected.as_slice().ct_eq(response).into())
    }

    /// As LNS: the peer has a call for us.
    pub(super) fn on_call(
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
    pub(super) fn on_call_reply(
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
    pub(super) fn on_call_connected(&mut self, id: u16, message: &Message) -> Result<(), Error> {
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

    pub(super) fn on_disconnect(&mut self, session: u16, message: &Message) -> Result<(), Error> {
        let id = self
            .find_session(session, message)
            .ok_or(Error::UnknownSession)?;
        self.sessions.remove(&id);
        self.session_down(id, peer_reason(message));
        Ok(())
    }

    /// The call a message is about: by our id in the header, else by the peer's in the message,
    /// which is all that a peer has who has not heard our id yet.
    pub(super) fn find_session(&self, header: u16, message: &Message) -> Option<u16> {
        if self.sessions.contains_key(&header) {
            return Some(header);
        }
        let theirs = message.word(AvpType::ASSIGNED_SESSION_ID).ok()??;
        self.sessions
            .iter()
            .find(|(_, s)| s.peer_id == theirs && theirs != 0)
            .map(|(id, _)| *id)
    }

    pub(super) fn session_up(&mut self, id: u16) {
        self.events.push(Event::SessionUp {
            session: self.session_id(id),
            path: self.path,
        });
    }

    pub(super) fn session_id(&self, session: u16) -> SessionId {
        SessionId {
            tunnel: self.id,
            session,
        }
    }
}

pub(super) fn peer_reason(message: &Message) -> CloseReason {
    let (result, error, text) = message.result().unwrap_or_default();
    let text = String::from_utf8_lossy(text);
    CloseReason::Peer {
        result,
        error,
        message: text.chars().filter(|c| !c.is_control()).collect(),
    }
}
