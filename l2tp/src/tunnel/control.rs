//! The control connection comes up (RFC 2661 section 7.2).

use super::{State, Tunnel};
use crate::auth::challenge_response;
use crate::context::Context;
use crate::event::{Event, TunnelId};
use crate::reliable::DEFAULT_WINDOW;
use crate::wire::{AvpType, Builder, Message, MessageType};
use crate::{CloseReason, ErrorCode, PeerInfo, Stop, StopResult};
use std::cmp::Ordering;
use subtle::ConstantTimeEq as _;

const FRAMING_BOTH: u32 = 3;
/// Version 1, revision 0.
const PROTOCOL_VERSION: u16 = 0x0100;

impl Tunnel {
    /// Sends SCCRQ.
    pub(crate) fn start(&mut self, ctx: &mut Context<'_>) {
        let tie_breaker = ctx.config.tie_breaker.then(|| ctx.random());
        if let Some(setup) = &mut self.setup {
            setup.tie_breaker = tie_breaker;
        }
        self.send_about_us(ctx, MessageType::SCCRQ, None);
        self.channel.pump(ctx);
    }

    /// How our tie breaker compares with that of a peer's SCCRQ: the lower one wins, and any wins
    /// against none. None if neither has one.
    pub(crate) fn tie(&self, theirs: Option<&[u8]>) -> Option<Ordering> {
        let ours = self.setup.as_ref().and_then(|s| s.tie_breaker);
        match (ours, theirs) {
            (None, None) => None,
            (Some(_), None) => Some(Ordering::Less),
            (None, Some(_)) => Some(Ordering::Greater),
            (Some(ours), Some(theirs)) => Some(ours.as_slice().cmp(theirs)),
        }
    }

    /// Whether an SCCRQ is our own that has come back, or tries to have its challenge answered by
    /// ourselves.
    pub(crate) fn is_echoed_by(&self, message: &Message, host_name: &[u8]) -> bool {
        let ours = self.setup.as_ref().and_then(|s| s.challenge);
        let theirs = message.bytes(AvpType::CHALLENGE);
        let challenge = ours.is_some_and(|ours| theirs == Some(&ours));
        challenge
            || message.word(AvpType::ASSIGNED_TUNNEL_ID) == Some(self.id)
                && message.bytes(AvpType::HOST_NAME) == Some(host_name)
    }

    /// The peer's tunnel goes on instead of this one.
    pub(crate) fn lose_tie(&mut self, ctx: &mut Context<'_>) {
        self.closed(ctx, CloseReason::TieBreaker);
    }

    /// The peer wants a tunnel.
    pub(super) fn on_request(&mut self, ctx: &mut Context<'_>, message: &Message) {
        if self.state != State::WaitConnected || self.peer_id() != 0 {
            return self.out_of_order(ctx);
        }
        if !self.learn(ctx, message) {
            return;
        }
        let response = match (message.bytes(AvpType::CHALLENGE), ctx.config.secret()) {
            (Some(challenge), Some(secret)) => {
                Some(challenge_response(MessageType::SCCRP, secret, challenge))
            }
            // We cannot prove what we do not know.
            (Some(_), None) => return self.not_authorized(ctx),
            (None, _) => None,
        };
        self.send_about_us(ctx, MessageType::SCCRP, response);
    }

    /// The peer answers our SCCRQ.
    pub(super) fn on_reply(&mut self, ctx: &mut Context<'_>, message: &Message) {
        if self.state != State::WaitReply {
            return self.out_of_order(ctx);
        }
        if !self.learn(ctx, message) {
            return;
        }
        if !self.proven(ctx, MessageType::SCCRP, message) {
            return self.not_authorized(ctx);
        }
        let response = match (message.bytes(AvpType::CHALLENGE), ctx.config.secret()) {
            (Some(challenge), Some(secret)) => {
                Some(challenge_response(MessageType::SCCCN, secret, challenge))
            }
            (Some(_), None) => return self.not_authorized(ctx),
            (None, _) => None,
        };
        let mut connected = ctx.message(MessageType::SCCCN);
        connected.maybe_bytes(
            AvpType::CHALLENGE_RESPONSE,
            response.as_ref().map(<[u8; 16]>::as_slice),
        );
        let body = connected.finish();
        self.channel.send(ctx.config, 0, body);
        self.established(ctx);
    }

    /// The peer has our SCCRP.
    pub(super) fn on_connected(&mut self, ctx: &mut Context<'_>, message: &Message) {
        if self.state != State::WaitConnected {
            return self.out_of_order(ctx);
        }
        if !self.proven(ctx, MessageType::SCCCN, message) {
            return self.not_authorized(ctx);
        }
        self.established(ctx);
    }

    fn established(&mut self, ctx: &mut Context<'_>) {
        self.state = State::Established;
        self.until = None;
        let setup = self.setup.take().unwrap_or_default();
        ctx.out.event(Event::TunnelUp {
            tunnel: TunnelId(self.id),
            path: self.path,
            peer: setup.peer,
        });
        self.send_waiting_calls(ctx);
    }

    fn not_authorized(&mut self, ctx: &mut Context<'_>) {
        let reason = CloseReason::AuthenticationFailed;
        self.close(ctx, &StopResult::NOT_AUTHORIZED.into(), reason);
    }

    /// What SCCRQ and SCCRP say of the peer; false if that ends the tunnel.
    fn learn(&mut self, ctx: &mut Context<'_>, message: &Message) -> bool {
        let tunnel_id = message.word(AvpType::ASSIGNED_TUNNEL_ID).unwrap_or(0);
        self.channel.peer_tunnel = tunnel_id;
        let window = message.word(AvpType::RECEIVE_WINDOW_SIZE);
        if tunnel_id == 0 || window == Some(0) {
            let stop = Stop {
                result: StopResult::GENERAL_ERROR,
                error: Some((ErrorCode::VALUE, "tunnel id or window of 0".to_owned())),
            };
            let reason = CloseReason::ProtocolError("tunnel id or window of 0");
            self.close(ctx, &stop, reason);
            return false;
        }
        let version = message.word(AvpType::PROTOCOL_VERSION);
        if version.is_some_and(|v| v.to_be_bytes()[0] != PROTOCOL_VERSION.to_be_bytes()[0]) {
            // The error code says which version we have (section 4.4.2).
            let stop = Stop {
                result: StopResult::BAD_VERSION,
                error: Some((ErrorCode(PROTOCOL_VERSION), String::new())),
            };
            self.close(ctx, &stop, CloseReason::BadVersion);
            return false;
        }
        let bytes = |kind| message.bytes(kind).unwrap_or_default().to_vec();
        let peer = PeerInfo {
            host_name: bytes(AvpType::HOST_NAME),
            vendor_name: bytes(AvpType::VENDOR_NAME),
            firmware: message.word(AvpType::FIRMWARE_REVISION),
            framing_capabilities: message.long(AvpType::FRAMING_CAPABILITIES),
            bearer_capabilities: message.long(AvpType::BEARER_CAPABILITIES),
            receive_window: window.unwrap_or(DEFAULT_WINDOW),
            tunnel_id,
        };
        self.channel.peer_window = peer.receive_window;
        self.peer_takes_calls = peer.bearer_capabilities.is_some();
        if let Some(setup) = &mut self.setup {
            setup.peer = peer;
        }
        true
    }

    /// Whether the peer has answered our challenge, if we sent one.
    fn proven(&self, ctx: &Context<'_>, kind: MessageType, message: &Message) -> bool {
        let challenge = self.setup.as_ref().and_then(|s| s.challenge);
        let (Some(challenge), Some(secret)) = (challenge, ctx.config.secret()) else {
            return true;
        };
        let expected = challenge_response(kind, secret, &challenge);
        message
            .bytes(AvpType::CHALLENGE_RESPONSE)
            .is_some_and(|response| expected.as_slice().ct_eq(response).into())
    }

    /// SCCRQ or SCCRP, with a challenge if there is a secret.
    fn send_about_us(
        &mut self,
        ctx: &mut Context<'_>,
        kind: MessageType,
        response: Option<[u8; 16]>,
    ) {
        let challenge = ctx.config.secret.is_some().then(|| ctx.random::<16>());
        if let Some(setup) = &mut self.setup {
            setup.challenge = challenge;
        }
        let tie_breaker = self.setup.as_ref().and_then(|s| s.tie_breaker);
        let config = ctx.config;
        let mut message: Builder<'_> = ctx.message(kind);
        message
            .word(AvpType::PROTOCOL_VERSION, PROTOCOL_VERSION)
            .long(AvpType::FRAMING_CAPABILITIES, FRAMING_BOTH)
            .maybe_long(AvpType::BEARER_CAPABILITIES, config.bearer_capabilities)
            .maybe_bytes(
                AvpType::TIE_BREAKER,
                tie_breaker.as_ref().map(<[u8; 8]>::as_slice),
            );
        if let Some(firmware) = config.firmware {
            message.word(AvpType::FIRMWARE_REVISION, firmware);
        }
        message.bytes(AvpType::HOST_NAME, &config.host_name);
        if !config.vendor_name.is_empty() {
            message.bytes(AvpType::VENDOR_NAME, &config.vendor_name);
        }
        message
            .word(AvpType::ASSIGNED_TUNNEL_ID, self.id)
            .word(AvpType::RECEIVE_WINDOW_SIZE, config.receive_window)
            .maybe_bytes(
                AvpType::CHALLENGE_RESPONSE,
                response.as_ref().map(<[u8; 16]>::as_slice),
            )
            .maybe_bytes(
                AvpType::CHALLENGE,
                challenge.as_ref().map(<[u8; 16]>::as_slice),
            );
        let body = message.finish();
        self.channel.send(ctx.config, 0, body);
    }
}
