use crate::data::DataHeader;
use crate::event::{
    CallResult, CloseReason, Event, PathId, Received, SessionId, StopResult, Transmit, TunnelId,
};
use crate::tunnel::{CallState, Incoming, Session, State, Tunnel};
use crate::wire::{AvpType, Header, Message, MessageType};
use crate::{Config, ConfigError, Error};
use rand_core::CryptoRng;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

/// Messages and events that wait at most; an owner who drains never has as many.
const QUEUE: usize = 65_536;

/// Tunnels and calls with any number of peers, as LNS and as LAC.
///
/// Commands: [`connect`](Self::connect), [`open`](Self::open), [`close_session`](Self::close_session),
/// [`close_tunnel`](Self::close_tunnel), [`close_path`](Self::close_path). Input:
/// [`handle_datagram`](Self::handle_datagram), [`handle_timeout`](Self::handle_timeout). Output:
/// [`poll_transmit`](Self::poll_transmit), [`poll_event`](Self::poll_event),
/// [`poll_timeout`](Self::poll_timeout).
pub struct Endpoint {
    config: Arc<Config>,
    rng: Box<dyn CryptoRng + Send>,
    tunnels: HashMap<u16, Tunnel>,
    by_path: HashMap<PathId, Vec<u16>>,
    deadlines: BTreeSet<(Instant, u16)>,
    deadline_of: HashMap<u16, Instant>,
    sessions: usize,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
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
            tunnels: HashMap::new(),
            by_path: HashMap::new(),
            deadlines: BTreeSet::new(),
            deadline_of: HashMap::new(),
            sessions: 0,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        })
    }

    // --- commands ---

    /// Opens a control connection (SCCRQ).
    ///
    /// # Errors
    /// [`Error::Limit`].
    pub fn connect(&mut self, now: Instant, path: PathId) -> Result<TunnelId, Error> {
        let id = self.free_tunnel(path)?;
        let mut tunnel = Tunnel::new(now, id, path, State::WaitReply, &self.config);
        tunnel.start(now, &self.config, &mut *self.rng);
        self.insert(tunnel);
        self.settle(id);
        Ok(TunnelId(id))
    }

    /// Places an incoming call (ICRQ) in a tunnel, as soon as that is up.
    ///
    /// # Errors
    /// [`Error::UnknownTunnel`] or [`Error::Limit`].
    pub fn open(&mut self, now: Instant, tunnel: TunnelId) -> Result<SessionId, Error> {
        let live = |t: &&mut Tunnel| t.state != State::Closed;
        let entry = self.tunnels.get_mut(&tunnel.0).filter(live);
        let entry = entry.ok_or(Error::UnknownTunnel)?;
        if entry.sessions.len() >= self.config.max_sessions_per_tunnel {
            return Err(Error::Limit("sessions per tunnel"));
        }
        let session = free_session(&mut *self.rng, &entry.sessions);
        entry.call(now, session, &self.config);
        self.settle(tunnel.0);
        Ok(SessionId {
            tunnel: tunnel.0,
            session,
        })
    }

    /// Ends a call (CDN).
    pub fn close_session(&mut self, now: Instant, session: SessionId, result: CallResult) {
        if let Some(tunnel) = self.tunnels.get_mut(&session.tunnel) {
            tunnel.close_session(now, session.session, result, CloseReason::Local);
            self.settle(session.tunnel);
        }
    }

    /// Ends a tunnel and all its calls (StopCCN).
    pub fn close_tunnel(&mut self, now: Instant, tunnel: TunnelId, result: StopResult) {
        if let Some(entry) = self.tunnels.get_mut(&tunnel.0) {
            entry.close(now, result, CloseReason::Local);
            self.settle(tunnel.0);
        }
    }

    /// What carried the messages is gone: its tunnels end without a word.
    pub fn close_path(&mut self, now: Instant, path: PathId) {
        for id in self.by_path.get(&path).cloned().unwrap_or_default() {
            if let Some(tunnel) = self.tunnels.get_mut(&id) {
                if tunnel.state != State::Closed {
                    tunnel.closed(now, CloseReason::PathClosed);
                }
                tunnel.out.clear();
            }
            self.settle(id);
            self.remove(id);
        }
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
        if !header.control {
            return self.handle_data(path, &header);
        }
        let body = buf
            .get(header.payload.clone())
            .ok_or(Error::Short("message"))?;
        let id = if header.tunnel == 0 {
            match self.request(now, path, body)? {
                Some(id) => id,
                None => return Ok(Received::Control),
            }
        } else {
            header.tunnel
        };
        let on_path = |t: &&mut Tunnel| t.path == path;
        let tunnel = self.tunnels.get_mut(&id).filter(on_path);
        let tunnel = tunnel.ok_or(Error::UnknownTunnel)?;
        let sequence = header.sequence.ok_or(Error::BadFlags)?;
        let mut ids = seed(&mut *self.rng);
        let mut new_session = |taken: &BTreeMap<u16, Session>| next_id(&mut ids, taken);
        let config = &self.config;
        let rng = &mut *self.rng;
        let incoming = Incoming {
            sequence,
            session: header.session,
            body,
        };
        let result = tunnel.handle(now, &incoming, config, rng, &mut new_session);
        self.settle(id);
        result.map(|()| Received::Control)
    }

    /// A message to tunnel 0: the tunnel that its SCCRQ makes, or none if it has made one already.
    fn request(&mut self, now: Instant, path: PathId, body: &[u8]) -> Result<Option<u16>, Error> {
        let secret = self.config.secret.as_ref().map(crate::Secret::expose);
        let message = Message::parse(body, secret)?;
        let peer_id = message
            .word(AvpType::ASSIGNED_TUNNEL_ID)?
            .filter(|id| *id != 0)
            .ok_or(Error::MissingAvp("assigned tunnel id"))?;
        let known = self.by_path.get(&path).into_iter().flatten().copied();
        let known = known.filter(|id| {
            self.tunnels
                .get(id)
                .is_some_and(|t| t.peer.tunnel_id == peer_id && t.state != State::Closed)
        });
        let known = known.min();
        if message.kind == MessageType::STOPCCN {
            // The peer gives up before it has heard our tunnel id.
            return known.map(Some).ok_or(Error::UnknownTunnel);
        }
        if message.kind != MessageType::SCCRQ {
            return Err(Error::UnknownTunnel);
        }
        if let Some(id) = known {
            // Windows repeats SCCRQ in a new datagram: the same tunnel, not a second one.
            if let Some(tunnel) = self.tunnels.get_mut(&id) {
                tunnel.repeat_reply();
            }
            self.settle(id);
            return Ok(None);
        }
        if !self.config.accept {
            return Err(Error::NotAccepting);
        }
        let id = self.free_tunnel(path)?;
        self.insert(Tunnel::new(
            now,
            id,
            path,
            State::WaitConnected,
            &self.config,
        ));
        Ok(Some(id))
    }

    fn handle_data(&mut self, path: PathId, header: &Header) -> Result<Received, Error> {
        let on_path = |t: &&mut Tunnel| t.path == path;
        let tunnel = self.tunnels.get_mut(&header.tunnel).filter(on_path);
        let tunnel = tunnel.ok_or(Error::UnknownTunnel)?;
        let up = |s: &&mut Session| s.state == CallState::Established;
        let session = tunnel.sessions.get_mut(&header.session).filter(up);
        let session = session.ok_or(Error::UnknownSession)?;
        if let Some((ns, _)) = header.sequence {
            // Late ones are dropped: IP reorders anyway, and PPP must not see a packet twice.
            if ns.wrapping_sub(session.data_nr) >= 0x8000 {
                return Err(Error::OutOfSequence);
            }
            session.data_nr = ns.wrapping_add(1);
        }
        Ok(Received::Data {
            session: SessionId {
                tunnel: header.tunnel,
                session: header.session,
            },
            frame: header.payload.clone(),
        })
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((at, id)) = self.deadlines.first().copied() {
            if at > now {
                break;
            }
            let Some(tunnel) = self.tunnels.get_mut(&id) else {
                self.deadlines.remove(&(at, id));
                continue;
            };
            let waits = tunnel.handle_timeout(now, &self.config);
            self.settle(id);
            if !waits {
                self.remove(id);
            } else if self.deadline_of.get(&id) == Some(&at) {
                // Nothing moved; look again when time has.
                break;
            }
        }
    }

    // --- output ---

    /// The next control message to send.
    #[must_use]
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
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
        let up = |s: &&mut Session| s.state == CallState::Established;
        let call = tunnel.sessions.get_mut(&session.session).filter(up);
        let call = call.ok_or(Error::UnknownSession)?;
        let header = DataHeader {
            tunnel: tunnel.peer.tunnel_id,
            session: call.peer_id,
            length: self.config.data_length,
            ns: call.data_ns,
        };
        let message = header.prepend(buf, frame)?;
        call.data_ns = call.data_ns.map(|ns| ns.wrapping_add(1));
        Ok(message)
    }

    // --- what is there ---

    /// Tunnels that are up or coming up.
    pub fn tunnels(&self) -> impl Iterator<Item = TunnelInfo> + '_ {
        let live = self.tunnels.values().filter(|t| t.state != State::Closed);
        live.map(|t| TunnelInfo {
            tunnel: TunnelId(t.id),
            path: t.path,
            sessions: t.sessions.len(),
        })
    }

    /// Tunnels of one path that are up or coming up.
    pub fn tunnels_of(&self, path: PathId) -> impl Iterator<Item = TunnelId> + '_ {
        let ids = self.by_path.get(&path).into_iter().flatten();
        ids.filter(|id| {
            self.tunnels
                .get(id)
                .is_some_and(|t| t.state != State::Closed)
        })
        .map(|id| TunnelId(*id))
    }

    /// Calls that are up or coming up.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.sessions
    }

    /// The path of a call.
    #[must_use]
    pub fn session_path(&self, session: SessionId) -> Option<PathId> {
        let tunnel = self.tunnels.get(&session.tunnel)?;
        tunnel
            .sessions
            .contains_key(&session.session)
            .then_some(tunnel.path)
    }

    // --- inside ---

    fn insert(&mut self, tunnel: Tunnel) {
        self.by_path.entry(tunnel.path).or_default().push(tunnel.id);
        self.tunnels.insert(tunnel.id, tunnel);
    }

    fn remove(&mut self, id: u16) {
        if let Some(at) = self.deadline_of.remove(&id) {
            self.deadlines.remove(&(at, id));
        }
        if let Some(tunnel) = self.tunnels.remove(&id)
            && let Some(ids) = self.by_path.get_mut(&tunnel.path)
        {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.by_path.remove(&tunnel.path);
            }
        }
    }

    /// Takes over what a tunnel has to say, and when it wants to be woken.
    fn settle(&mut self, id: u16) {
        let Some(tunnel) = self.tunnels.get_mut(&id) else {
            return;
        };
        let path = tunnel.path;
        let sessions = tunnel.sessions.len();
        self.sessions = self.sessions + sessions - tunnel.counted;
        tunnel.counted = sessions;
        for payload in tunnel.out.drain(..) {
            if self.transmits.len() < QUEUE {
                self.transmits.push_back(Transmit { path, payload });
            }
        }
        for event in tunnel.events.drain(..) {
            if self.events.len() < QUEUE {
                self.events.push_back(event);
            }
        }
        let deadline = tunnel.poll_timeout(&self.config);
        let old = match deadline {
            Some(at) => self.deadline_of.insert(id, at),
            None => self.deadline_of.remove(&id),
        };
        if let Some(at) = old {
            self.deadlines.remove(&(at, id));
        }
        if let Some(at) = deadline {
            self.deadlines.insert((at, id));
        }
    }

    /// A Tunnel ID that is not in use, if `path` may have another tunnel.
    fn free_tunnel(&mut self, path: PathId) -> Result<u16, Error> {
        if self.tunnels.len() >= self.config.max_tunnels {
            return Err(Error::Limit("tunnels"));
        }
        if self.tunnels_of(path).count() >= self.config.max_tunnels_per_path {
            return Err(Error::Limit("tunnels per path"));
        }
        let mut ids = seed(&mut *self.rng);
        Ok(next_id(&mut ids, &self.tunnels))
    }
}

/// Where the search for a free id begins: ids must not be guessable.
fn seed(rng: &mut dyn CryptoRng) -> u16 {
    let [high, low, ..] = rng.next_u32().to_be_bytes();
    u16::from_be_bytes([high, low])
}

/// A table with ids as keys.
trait Taken {
    fn taken(&self, id: u16) -> bool;
}

impl<V> Taken for HashMap<u16, V> {
    fn taken(&self, id: u16) -> bool {
        self.contains_key(&id)
    }
}

impl<V> Taken for BTreeMap<u16, V> {
    fn taken(&self, id: u16) -> bool {
        self.contains_key(&id)
    }
}

/// The next id from `from` on that is neither 0 nor taken; tables are never full.
fn next_id(from: &mut u16, table: &impl Taken) -> u16 {
    loop {
        *from = from.wrapping_add(1);
        if *from != 0 && !table.taken(*from) {
            return *from;
        }
    }
}

fn free_session(rng: &mut dyn CryptoRng, taken: &BTreeMap<u16, Session>) -> u16 {
    next_id(&mut seed(rng), taken)
}
