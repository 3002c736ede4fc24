mod commands;

use crate::context::{Context, Output};
use crate::data::Turn;
use crate::event::{Event, Frame, PathId, Received, SessionId, Transmit, TunnelId};
use crate::ids::IdMap;
use crate::session::{CallState, Session};
use crate::tunnel::{Incoming, State, Tunnel};
use crate::wire::{AvpType, DataHeader, Header, Message, MessageType};
use crate::{Config, ConfigError, Error};
use rand_core::CryptoRng;
use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

/// Tunnels and calls with any number of peers, as LNS and as LAC.
///
/// Commands: [`connect`](Self::connect), [`open`](Self::open), [`open_incoming`](Self::open_incoming),
/// [`open_outgoing`](Self::open_outgoing), [`accept`](Self::accept), [`answered`](Self::answered),
/// [`report_errors`](Self::report_errors), [`set_link_info`](Self::set_link_info),
/// [`close_session`](Self::close_session), [`close_tunnel`](Self::close_tunnel),
/// [`close_path`](Self::close_path). Input: [`handle_datagram`](Self::handle_datagram),
/// [`handle_timeout`](Self::handle_timeout). Output: [`poll_transmit`](Self::poll_transmit),
/// [`poll_event`](Self::poll_event), [`poll_frame`](Self::poll_frame),
/// [`poll_timeout`](Self::poll_timeout).
pub struct Endpoint {
    config: Arc<Config>,
    rng: Box<dyn CryptoRng + Send>,
    tunnels: IdMap<Box<Tunnel>>,
    by_path: HashMap<PathId, Vec<u16>>,
    deadlines: BTreeSet<(Instant, u16)>,
    sessions: usize,
    out: Output,
}

/// A live tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TunnelInfo {
    /// Which.
    pub tunnel: TunnelId,
    /// With whom.
    pub path: PathId,
    /// Calls in it.
    pub sessions: usize,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint")
            .field("tunnels", &self.tunnels.len())
            .field("sessions", &self.sessions)
            .finish_non_exhaustive()
    }
}

impl Endpoint {
    /// An endpoint without tunnels.
    ///
    /// # Errors
    /// What of `config` cannot work.
    pub fn new(config: Arc<Config>, rng: Box<dyn CryptoRng + Send>) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self {
            config,
            rng,
            tunnels: IdMap::default(),
            by_path: HashMap::new(),
            deadlines: BTreeSet::new(),
            sessions: 0,
            out: Output::default(),
        })
    }

    // --- input ---

    /// Takes the message at `datagram` in `buf`, from its L2TP header.
    ///
    /// # Errors
    /// Why the message was dropped.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        path: PathId,
        buf: &mut [u8],
        datagram: Range<usize>,
    ) -> Result<Received, Error> {
        let header = Header::parse(buf, datagram)?;
        let body = buf
            .get(header.payload.clone())
            .ok_or(Error::Short("message"))?;
        if !header.control {
            return self.handle_data(now, path, &header, body);
        }
        let sequence = header.sequence.ok_or(Error::BadFlags)?;
        let incoming = Incoming {
            sequence,
            session: header.session,
            body,
        };
        if header.tunnel == 0 {
            return self.handle_stranger(now, path, &incoming);
        }
        self.tunnel_of(path, header.tunnel)?;
        self.with(now, header.tunnel, |tunnel, ctx| {
            tunnel.handle(ctx, &incoming)
        })??;
        Ok(Received::Control)
    }

    fn tunnel_of(&mut self, path: PathId, id: u16) -> Result<&mut Tunnel, Error> {
        let tunnel = self.tunnels.get_mut(&id).filter(|t| t.path == path);
        tunnel.map(|t| &mut **t).ok_or(Error::UnknownTunnel)
    }

    /// A message to tunnel 0, of a peer that has not heard our Tunnel ID.
    fn handle_stranger(
        &mut self,
        now: Instant,
        path: PathId,
        incoming: &Incoming<'_>,
    ) -> Result<Received, Error> {
        let message = Message::parse(incoming.body, self.config.secret())?;
        let peer_id = message
            .word(AvpType::ASSIGNED_TUNNEL_ID)
            .filter(|id| *id != 0)
            .ok_or(Error::MissingAvp("assigned tunnel id"))?;
        let known = self.tunnels_at(path, |t| t.is_live() && t.peer_id() == peer_id);
        let known = known.first().copied();
        match (message.kind, known) {
            // It gives up.
            (MessageType::STOPCCN, Some(id)) => {
                self.with(now, id, |tunnel, ctx| tunnel.handle(ctx, incoming))??;
            }
            // Windows repeats SCCRQ in a new datagram: the same tunnel, not a second one.
            (MessageType::SCCRQ, Some(id)) => {
                self.with(now, id, |tunnel, ctx| tunnel.repeat_reply(ctx))?;
            }
            (MessageType::SCCRQ, None) => self.handle_request(now, path, incoming, &message)?,
            _ => return Err(Error::UnknownTunnel),
        }
        Ok(Received::Control)
    }

    /// A new SCCRQ.
    fn handle_request(
        &mut self,
        now: Instant,
        path: PathId,
        incoming: &Incoming<'_>,
        message: &Message,
    ) -> Result<(), Error> {
        if !self.config.accept {
            return Err(Error::NotAccepting);
        }
        if incoming.sequence.0 != 0 {
            return Err(Error::OutOfSequence);
        }
        let host_name = &self.config.host_name;
        let echoes = |t: &Tunnel| t.state == State::WaitReply && t.is_echoed_by(message, host_name);
        if !self.tunnels_at(path, echoes).is_empty() {
            return Err(Error::Reflected);
        }
        self.break_tie(now, path, message.bytes(AvpType::TIE_BREAKER))?;
        let id = self.insert(now, path, State::WaitConnected)?;
        let handled = self.with(now, id, |tunnel, ctx| tunnel.handle(ctx, incoming))?;
        if handled.is_err() {
            self.remove(id);
        }
        handled
    }

    /// Both ends have called each other at once (RFC 2661 section 4.4.3, Tie Breaker).
    fn break_tie(
        &mut self,
        now: Instant,
        path: PathId,
        theirs: Option<&[u8]>,
    ) -> Result<(), Error> {
        let mut lost = Ok(());
        for id in self.tunnels_at(path, |t| t.state == State::WaitReply) {
            let tie = self.tunnels.get(&id).and_then(|t| t.tie(theirs));
            match tie {
                None => continue,
                Some(Ordering::Less) => return Err(Error::TieBreaker),
                // Neither goes on.
                Some(Ordering::Equal) => lost = Err(Error::TieBreaker),
                Some(Ordering::Greater) => {}
            }
            self.drop_tunnel(now, id, Tunnel::lose_tie);
        }
        lost
    }

    fn handle_data(
        &mut self,
        now: Instant,
        path: PathId,
        header: &Header,
        frame: &[u8],
    ) -> Result<Received, Error> {
        let reorder = self.config.reorder;
        let tunnel = self.tunnel_of(path, header.tunnel)?;
        let session = tunnel.sessions.established(header.session);
        let session = session.ok_or(Error::UnknownSession)?;
        let ns = header.sequence.map(|(ns, _)| ns);
        let waited = session.held.is_some();
        let turn = session.judge(now, ns, frame, reorder)?;
        let waits = session.held.is_some();
        tunnel.heard(now);
        let id = SessionId::new(header.tunnel, header.session);
        let (freed, received) = match turn {
            Turn::Deliver { freed } => {
                let frame = header.payload.clone();
                (freed, Received::Data { session: id, frame })
            }
            Turn::Held { freed } => (freed, Received::Held),
        };
        for frame in freed {
            self.out.frame(id, frame);
        }
        if waits || waited {
            self.settle(now, header.tunnel);
        }
        Ok(received)
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((at, id)) = self.deadlines.first().copied() {
            if at > now {
                break;
            }
            let waits = self.with(now, id, |tunnel, ctx| tunnel.handle_timeout(ctx));
            if waits != Ok(true) {
                self.remove(id);
                self.deadlines.remove(&(at, id));
            } else if self.deadlines.contains(&(at, id)) {
                // Nothing moved; look again when time has.
                break;
            }
        }
    }

    // --- output ---

    /// The next control message to send.
    #[must_use]
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.out.transmits.pop_front()
    }

    /// What happened next.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.out.events.pop_front()
    }

    /// The next frame whose turn has come after it had to wait; only with
    /// [`Reorder::Queue`](crate::Reorder::Queue). Frames of [`Received::Data`] come before it.
    #[must_use]
    pub fn poll_frame(&mut self) -> Option<Frame> {
        self.out.frames.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Puts a data message's header before the PPP frame at `frame` in `buf`; needs
    /// [`MAX_DATA_HEADER`](crate::MAX_DATA_HEADER) bytes of headroom.
    ///
    /// # Errors
    /// [`Error::UnknownSession`] if the call is not up, [`Error::NoHeadroom`], [`Error::TooLong`].
    pub fn encapsulate(
        &mut self,
        session: SessionId,
        buf: &mut [u8],
        frame: Range<usize>,
    ) -> Result<Range<usize>, Error> {
        let tunnel = self.tunnels.get_mut(&session.tunnel);
        let tunnel = tunnel.ok_or(Error::UnknownSession)?;
        let peer_tunnel = tunnel.peer_id();
        let call = tunnel.sessions.established(session.session);
        let call = call.ok_or(Error::UnknownSession)?;
        let numbered = call.is_numbered();
        let header = DataHeader {
            tunnel: peer_tunnel,
            session: call.peer_id,
            length: self.config.data_length,
            sequence: numbered.then_some((call.data_ns, 0)),
            ..DataHeader::default()
        };
        let message = header.prepend(buf, frame)?;
        if numbered {
            call.data_ns = call.data_ns.wrapping_add(1);
        }
        Ok(message)
    }

    // --- what is there ---

    /// Tunnels that are up or coming up.
    pub fn tunnels(&self) -> impl Iterator<Item = TunnelInfo> + '_ {
        let live = self.tunnels.values().filter(|t| t.is_live());
        live.map(|t| TunnelInfo {
            tunnel: TunnelId(t.id),
            path: t.path,
            sessions: t.sessions.len(),
        })
    }

    /// Tunnels of one path that are up or coming up.
    pub fn tunnels_of(&self, path: PathId) -> impl Iterator<Item = TunnelId> + '_ {
        self.tunnels_at(path, Tunnel::is_live)
            .into_iter()
            .map(TunnelId)
    }

    /// Calls that are up or coming up.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.sessions
    }

    /// Tunnels that are closed and still acknowledge.
    #[must_use]
    pub fn lingering_count(&self) -> usize {
        self.tunnels.values().filter(|t| !t.is_live()).count()
    }

    /// The path of a call.
    #[must_use]
    pub fn session_path(&self, session: SessionId) -> Option<PathId> {
        let tunnel = self.tunnels.get(&session.tunnel)?;
        let there = tunnel.sessions.contains(session.session);
        there.then_some(tunnel.path)
    }

    /// The path of the call, and up it must be, that a data message names by both of its ids.
    ///
    /// We drew them at random. Where paths are encrypted, only who has the call knows them, so that
    /// its owner can tell a peer that comes back on another path; let nobody guess often.
    #[must_use]
    pub fn path_named(&self, buf: &[u8], datagram: Range<usize>) -> Option<PathId> {
        let header = Header::parse(buf, datagram).ok().filter(|h| !h.control)?;
        let tunnel = self.tunnels.get(&header.tunnel).filter(|t| t.is_live())?;
        let up = |s: &Session| s.id == header.session && s.state == CallState::Established;
        tunnel.sessions.iter().any(up).then_some(tunnel.path)
    }

    /// Control messages that were repeated, since the endpoint was made.
    #[must_use]
    pub fn retransmits(&self) -> u64 {
        self.out.retransmits
    }

    // --- inside ---

    /// Lets a tunnel do something, and takes note of what has changed.
    fn with<T>(
        &mut self,
        now: Instant,
        id: u16,
        step: impl FnOnce(&mut Tunnel, &mut Context<'_>) -> T,
    ) -> Result<T, Error> {
        let tunnel = self.tunnels.get_mut(&id).ok_or(Error::UnknownTunnel)?;
        let mut ctx = Context {
            now,
            config: &self.config,
            rng: &mut *self.rng,
            out: &mut self.out,
        };
        let result = step(tunnel, &mut ctx);
        self.settle(now, id);
        Ok(result)
    }

    fn with_session(
        &mut self,
        now: Instant,
        session: SessionId,
        step: impl FnOnce(&mut Tunnel, &mut Context<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.with(now, session.tunnel, step)
            .map_err(|_| Error::UnknownSession)?
    }

    /// Counts a tunnel's calls, and files it under its deadline.
    fn settle(&mut self, now: Instant, id: u16) {
        let Some(tunnel) = self.tunnels.get_mut(&id) else {
            return;
        };
        let sessions = tunnel.sessions.len();
        self.sessions = self.sessions + sessions - tunnel.counted;
        tunnel.counted = sessions;
        let ctx = Context {
            now,
            config: &self.config,
            rng: &mut *self.rng,
            out: &mut self.out,
        };
        let deadline = tunnel.poll_timeout(&ctx);
        if tunnel.filed != deadline {
            if let Some(at) = tunnel.filed {
                self.deadlines.remove(&(at, id));
            }
            if let Some(at) = deadline {
                self.deadlines.insert((at, id));
            }
            tunnel.filed = deadline;
        }
    }

    /// A new tunnel, if the limits allow.
    fn insert(&mut self, now: Instant, path: PathId, state: State) -> Result<u16, Error> {
        let limit = self.config.max_tunnels_per_path;
        if self.tunnels_at(path, Tunnel::is_live).len() >= limit {
            return Err(Error::Limit("tunnels per path"));
        }
        // A peer that opens and closes without end keeps none waiting but its own.
        let closed = self.tunnels_at(path, |t| !t.is_live());
        for id in closed.iter().take((closed.len() + 1).saturating_sub(limit)) {
            self.remove(*id);
        }
        if self.tunnels.len() >= self.config.max_tunnels {
            return Err(Error::Limit("tunnels"));
        }
        let mut ctx = Context {
            now,
            config: &self.config,
            rng: &mut *self.rng,
            out: &mut self.out,
        };
        let id = ctx.free_id(|id| self.tunnels.contains_key(&id));
        let tunnel = Box::new(Tunnel::new(&ctx, id, path, state));
        self.tunnels.insert(id, tunnel);
        self.by_path.entry(path).or_default().push(id);
        Ok(id)
    }

    /// Tunnels of a path, in the order they were made.
    fn tunnels_at(&self, path: PathId, wanted: impl Fn(&Tunnel) -> bool) -> Vec<u16> {
        let ids = self.by_path.get(&path).into_iter().flatten().copied();
        ids.filter(|id| self.tunnels.get(id).is_some_and(|t| wanted(t)))
            .collect()
    }

    /// Forgets a tunnel at once, after `last` if it is alive.
    fn drop_tunnel(
        &mut self,
        now: Instant,
        id: u16,
        last: impl FnOnce(&mut Tunnel, &mut Context<'_>),
    ) {
        let _ = self.with(now, id, |tunnel, ctx| {
            if tunnel.is_live() {
                last(tunnel, ctx);
            }
        });
        self.remove(id);
    }

    fn remove(&mut self, id: u16) {
        let Some(tunnel) = self.tunnels.remove(&id) else {
            return;
        };
        if let Some(at) = tunnel.filed {
            self.deadlines.remove(&(at, id));
        }
        self.sessions -= tunnel.counted;
        if let Some(ids) = self.by_path.get_mut(&tunnel.path) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.by_path.remove(&tunnel.path);
            }
        }
    }
}
