//! What an owner asks of an endpoint.

use super::Endpoint;
use crate::event::{PathId, SessionId, TunnelId};
use crate::tunnel::State;
use crate::{
    Accm, Call, CallConnected, CallErrors, CallRequest, CloseReason, Direction, Disconnect, Error,
    Role, Stop,
};
use std::time::Instant;

impl Endpoint {
    /// Opens a control connection (SCCRQ).
    ///
    /// # Errors
    /// [`Error::Limit`].
    pub fn connect(&mut self, now: Instant, path: PathId) -> Result<TunnelId, Error> {
        let id = self.insert(now, path, State::WaitReply)?;
        self.with(now, id, |tunnel, ctx| tunnel.start(ctx))?;
        Ok(TunnelId(id))
    }

    /// Places an incoming call (ICRQ) in a tunnel, as LAC, as soon as that is up.
    ///
    /// # Errors
    /// [`Error::UnknownTunnel`] or [`Error::Limit`].
    pub fn open(&mut self, now: Instant, tunnel: TunnelId) -> Result<SessionId, Error> {
        self.open_incoming(now, tunnel, Call::default())
    }

    /// Places an incoming call (ICRQ) of which more is known.
    ///
    /// # Errors
    /// [`Error::UnknownTunnel`], [`Error::Limit`], or [`Error::TooLong`] for a value that no AVP
    /// can hold.
    pub fn open_incoming(
        &mut self,
        now: Instant,
        tunnel: TunnelId,
        call: Call,
    ) -> Result<SessionId, Error> {
        self.call(now, tunnel, Direction::Incoming, call)
    }

    /// Asks the peer to make a call (OCRQ), as LNS, as soon as the tunnel is up.
    ///
    /// # Errors
    /// As [`open_incoming`](Self::open_incoming), and [`Error::NoBearer`] if the peer has not sent
    /// Bearer Capabilities (RFC 2661 section 6.9). If that shows only later, the call ends with
    /// [`CloseReason::NotAccepted`].
    pub fn open_outgoing(
        &mut self,
        now: Instant,
        tunnel: TunnelId,
        request: CallRequest,
    ) -> Result<SessionId, Error> {
        let call = Call {
            request,
            connected: CallConnected::default(),
        };
        self.call(now, tunnel, Direction::Outgoing, call)
    }

    fn call(
        &mut self,
        now: Instant,
        tunnel: TunnelId,
        direction: Direction,
        call: Call,
    ) -> Result<SessionId, Error> {
        call.check()?;
        let id = self.with(now, tunnel.0, |entry, ctx| {
            if entry.is_live() {
                entry.call(ctx, direction, Box::new(call))
            } else {
                Err(Error::UnknownTunnel)
            }
        })??;
        Ok(SessionId::new(tunnel.0, id))
    }

    /// Takes a call of the peer, after [`Event::CallRequested`](crate::Event::CallRequested): ICRP, or OCRP and then
    /// [`answered`](Self::answered). To refuse it, [`close_session`](Self::close_session).
    ///
    /// # Errors
    /// [`Error::UnknownSession`] or [`Error::WrongState`].
    pub fn accept(&mut self, now: Instant, session: SessionId) -> Result<(), Error> {
        self.with_session(now, session, |tunnel, ctx| {
            tunnel.accept(ctx, session.session)
        })
    }

    /// The outgoing call that was accepted is through (OCCN).
    ///
    /// # Errors
    /// [`Error::UnknownSession`], [`Error::WrongState`] or [`Error::TooLong`].
    pub fn answered(
        &mut self,
        now: Instant,
        session: SessionId,
        connected: CallConnected,
    ) -> Result<(), Error> {
        connected.check()?;
        self.with_session(now, session, |tunnel, ctx| {
            tunnel.answered(ctx, session.session, connected)
        })
    }

    /// Tells the LNS what went wrong on the wire (WEN); not more than once a minute, says RFC 2661
    /// section 6.13.
    ///
    /// # Errors
    /// [`Error::UnknownSession`], [`Error::WrongState`] if we are the LNS, [`Error::Limit`].
    pub fn report_errors(
        &mut self,
        now: Instant,
        session: SessionId,
        errors: CallErrors,
    ) -> Result<(), Error> {
        self.with_session(now, session, |tunnel, ctx| {
            tunnel.tell(ctx, session.session, Role::Lac, |m| errors.write(m))
        })
    }

    /// Tells the LAC which control characters to escape (SLI, RFC 2661 section 6.14).
    ///
    /// # Errors
    /// [`Error::UnknownSession`], [`Error::WrongState`] if we are the LAC, [`Error::Limit`].
    pub fn set_link_info(
        &mut self,
        now: Instant,
        session: SessionId,
        accm: Accm,
    ) -> Result<(), Error> {
        self.with_session(now, session, |tunnel, ctx| {
            tunnel.tell(ctx, session.session, Role::Lns, |m| accm.write(m))
        })
    }

    /// Ends a call (CDN), or refuses it.
    pub fn close_session(
        &mut self,
        now: Instant,
        session: SessionId,
        result: impl Into<Disconnect>,
    ) {
        let result = result.into();
        let _ = self.with(now, session.tunnel, |tunnel, ctx| {
            tunnel.close_session(ctx, session.session, &result, CloseReason::Local);
        });
    }

    /// Ends a tunnel and all its calls (StopCCN). It still acknowledges for a while.
    pub fn close_tunnel(&mut self, now: Instant, tunnel: TunnelId, result: impl Into<Stop>) {
        let result = result.into();
        let _ = self.with(now, tunnel.0, |tunnel, ctx| {
            tunnel.close(ctx, &result, CloseReason::Local);
        });
    }

    /// What carried the messages is gone: its tunnels end without a word.
    pub fn close_path(&mut self, now: Instant, path: PathId) {
        for id in self.by_path.get(&path).cloned().unwrap_or_default() {
            self.drop_tunnel(now, id, |tunnel, ctx| {
                tunnel.closed(ctx, CloseReason::PathClosed);
            });
        }
        self.out.transmits.retain(|t| t.path != path);
    }
}
