use super::event::{EspKeys, Event, KeyEvent};
use super::peer::{Child, L2tpPath, Peer, PeerId};
use super::{Entropy, Forward, HEADROOM, Path, TAILROOM, Transmit, convert};
use l2tp::{PathId, SessionId};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The UDP port of L2TP, inside ESP only (RFC 3193).
pub(super) const L2TP_PORT: u16 = 1701;
const UDP_HEADER: usize = 8;
pub(super) const PROTOCOL_UDP: u8 = 17;

/// How long L2TP stays without an ESP SA: Windows deletes its last one and makes another.
const GRACE: Duration = Duration::from_secs(10);

/// UDP port pairs for each peer at most; a client uses one.
const L2TP_PATHS: usize = 4;

/// Control messages and events that wait at most.
const QUEUE: usize = 65_536;

/// ISAKMP, ESP, L2TP and PPP as one: what goes in as datagrams comes out as IP packets.
pub struct Stack {
    isakmp: isakmp::Endpoint,
    sadb: esp::Sadb,
    l2tp: l2tp::Endpoint,
    ppp: Arc<ppp::Config>,
    role: ppp::Role,
    entropy: Entropy,
    peers: BTreeMap<PeerId, Peer>,
    peer_of_sa: HashMap<isakmp::SaId, PeerId>,
    children: HashMap<u64, Child>,
    child_serials: HashMap<isakmp::ChildId, u64>,
    peer_of_path: HashMap<PathId, PeerId>,
    calls: HashMap<SessionId, Call>,
    /// Deadlines of links and of peers in their grace.
    deadlines: BTreeSet<(Instant, Deadline)>,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
    serial: u64,
    key_log: bool,
    drops: BTreeMap<&'static str, u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Deadline {
    Link(SessionId),
    Grace(PeerId),
}

struct Call {
    link: ppp::Link,
    peer: PeerId,
    deadline: Option<Instant>,
}

/// An IP packet that came out of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// Which call.
    pub session: SessionId,
    /// Where it lies in the buffer.
    pub range: Range<usize>,
}

impl std::fmt::Debug for Stack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stack")
            .field("peers", &self.peers.len())
            .field("children", &self.children.len())
            .field("calls", &self.calls.len())
            .finish_non_exhaustive()
    }
}

/// How each part of a [`Stack`] is configured.
#[derive(Debug)]
pub struct StackConfig {
    /// IKEv1.
    pub isakmp: isakmp::Config,
    /// L2TP.
    pub l2tp: l2tp::Config,
    /// PPP, the same for every call.
    pub ppp: ppp::Config,
    /// Our side of PPP.
    pub role: ppp::Role,
}

/// A part's configuration was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StackError {
    /// By IKEv1.
    #[error("IKE: {0}")]
    Isakmp(#[from] isakmp::ConfigError),
    /// By L2TP.
    #[error("L2TP: {0}")]
    L2tp(#[from] l2tp::ConfigError),
    /// By PPP.
    #[error("PPP: {0}")]
    Ppp(#[from] ppp::ConfigError),
}

impl Stack {
    /// A stack without peers; each part draws from a random source of its own.
    ///
    /// # Errors
    /// Which part refused its configuration, and why.
    pub fn new(config: StackConfig, mut entropy: Entropy) -> Result<Self, StackError> {
        let key_log = config.isakmp.key_log;
        let ppp = Arc::new(config.ppp);
        // Links are made when calls come up: find a bad configuration now.
        ppp::Link::new(Arc::clone(&ppp), config.role, entropy())?;
        Ok(Self {
            isakmp: isakmp::Endpoint::new(Arc::new(config.isakmp), entropy())?,
            sadb: esp::Sadb::new(entropy()),
            l2tp: l2tp::Endpoint::new(Arc::new(config.l2tp), entropy())?,
            ppp,
            role: config.role,
            entropy,
            peers: BTreeMap::new(),
            peer_of_sa: HashMap::new(),
            children: HashMap::new(),
            child_serials: HashMap::new(),
            peer_of_path: HashMap::new(),
            calls: HashMap::new(),
            deadlines: BTreeSet::new(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            serial: 0,
            key_log,
            drops: BTreeMap::new(),
        })
    }

    // --- commands ---

    /// Starts main mode, then quick mode, towards `path.remote`.
    ///
    /// # Errors
    /// What IKE refused.
    pub fn connect(
        &mut self,
        now: Instant,
        path: Path,
        peer: isakmp::Peer,
    ) -> Result<(), isakmp::Error> {
        self.isakmp.connect(now, path, peer)?;
        self.drain(now);
        Ok(())
    }

    /// Opens an L2TP control connection to `peer`, and a call in it.
    ///
    /// # Errors
    /// What L2TP refused.
    pub fn dial(&mut self, now: Instant, peer: PeerId) -> Result<SessionId, l2tp::Error> {
        let path = self.l2tp_path(peer, L2TP_PORT, L2TP_PORT);
        let tunnel = self.l2tp.connect(now, path)?;
        let session = self.l2tp.open(now, tunnel)?;
        self.drain(now);
        Ok(session)
    }

    /// Answers [`Event::Authenticate`].
    pub fn authenticate(&mut self, now: Instant, session: SessionId, verdict: ppp::Verdict) {
        if let Some(call) = self.calls.get_mut(&session)
            && call.link.authenticate(now, verdict).is_ok()
        {
            self.drain_link(now, session);
            self.drain(now);
        }
    }

    /// Ends a call: PPP and L2TP say goodbye.
    pub fn hang_up(&mut self, now: Instant, session: SessionId, text: &str) {
        if let Some(call) = self.calls.get_mut(&session) {
            call.link.close(now, text);
            self.drain_link(now, session);
            self.drain(now);
        }
    }

    /// Ends all there is of a peer, from the top down.
    pub fn disconnect(&mut self, now: Instant, peer: PeerId) {
        let Some(entry) = self.peers.get(&peer) else {
            return;
        };
        let sas = entry.isakmp.clone();
        let children: Vec<_> = entry
            .children
            .iter()
            .filter_map(|c| self.children.get(c))
            .map(|c| c.id)
            .collect();
        let paths: Vec<_> = entry.l2tp.iter().map(|p| p.id).collect();
        let tunnels = paths.iter().flat_map(|path| self.l2tp.tunnels_of(*path));
        for tunnel in tunnels.collect::<Vec<_>>() {
            self.l2tp
                .close_tunnel(now, tunnel, l2tp::StopResult::SHUTTING_DOWN);
        }
        // StopCCN must leave before its SA is deleted.
        self.drain(now);
        for child in children {
            self.isakmp.close_child(now, child);
        }
        for sa in sas {
            self.isakmp.close(now, sa);
        }
        self.drain(now);
    }

    /// Ends all there is.
    pub fn shutdown(&mut self, now: Instant) {
        for peer in self.peers.keys().copied().collect::<Vec<_>>() {
            self.disconnect(now, peer);
        }
    }

    // --- packets ---

    /// Takes a UDP datagram from port 500 or 4500; gives the IP packet it carried, if any.
    pub fn handle_udp(
        &mut self,
        now: Instant,
        path: Path,
        natt_port: bool,
        buf: &mut [u8],
        datagram: Range<usize>,
    ) -> Option<Packet> {
        let kind = if natt_port {
            natt::PortKind::Natt
        } else {
            natt::PortKind::Ike
        };
        match natt::classify(kind, buf, datagram.clone()) {
            Ok(natt::Datagram::Keepalive) => None,
            Ok(natt::Datagram::Ike(_)) => {
                let result = self
                    .isakmp
                    .handle_datagram(now, path, buf.get_mut(datagram)?);
                if let Err(e) = result {
                    self.count(e.reason());
                    tracing::debug!(peer = %path.remote, reason = e.reason(), "IKE message dropped");
                }
                self.drain(now);
                None
            }
            Ok(natt::Datagram::Esp(packet)) => self.handle_esp(now, path, buf, packet),
            Err(e) => {
                self.count(e.reason());
                None
            }
        }
    }

    /// Takes an ESP packet that came as IP protocol 50; gives the IP packet it carried, if any.
    pub fn handle_native_esp(
        &mut self,
        now: Instant,
        local: IpAddr,
        remote: IpAddr,
        buf: &mut [u8],
        packet: Range<usize>,
    ) -> Option<Packet> {
        let [local, remote] = [local, remote].map(|ip| SocketAddr::new(ip, 0));
        self.handle_esp(now, Path { local, remote }, buf, packet)
    }

    /// Takes an ESP packet, from UDP or from IP; gives the IP packet it carried, if any.
    fn handle_esp(
        &mut self,
        now: Instant,
        path: Path,
        buf: &mut [u8],
        packet: Range<usize>,
    ) -> Option<Packet> {
        let opened = match self.sadb.open(now, buf, packet) {
            Ok(opened) => opened,
            Err(e) => {
                self.count(e.reason());
                return None;
            }
        };
        let child = self.children.get(&opened.owner)?;
        let (id, peer, encapsulated) = (child.id, child.peer, child.encapsulated);
        if opened.newest {
            self.note_path(now, id, peer, encapsulated, path);
        }
        if opened.next_header != PROTOCOL_UDP {
            self.count("not_udp");
            return None;
        }
        let Some((remote_port, local_port, payload)) = udp_payload(buf, opened.payload) else {
            self.count("udp_header");
            return None;
        };
        if local_port != L2TP_PORT && self.role == ppp::Role::Server {
            self.count("not_l2tp_port");
            return None;
        }
        let l2tp_path = self.l2tp_path(peer, local_port, remote_port);
        match self.l2tp.handle_datagram(now, l2tp_path, buf, payload) {
            Ok(l2tp::Received::Data { session, frame }) => {
                self.handle_frame(now, session, buf, frame)
            }
            Ok(_) => {
                self.drain(now);
                None
            }
            Err(e) => {
                self.count(e.reason());
                tracing::debug!(conn = %peer, reason = e.reason(), "L2TP message dropped");
                self.drain(now);
                None
            }
        }
    }

    fn handle_frame(
        &mut self,
        now: Instant,
        session: SessionId,
        buf: &mut [u8],
        frame: Range<usize>,
    ) -> Option<Packet> {
        let call = self.calls.get_mut(&session)?;
        match call.link.handle_frame(now, buf, frame) {
            Ok(ppp::Received::Ipv4(range) | ppp::Received::Ipv6(range)) => {
                Some(Packet { session, range })
            }
            Ok(_) => {
                self.drain_link(now, session);
                self.drain(now);
                None
            }
            Err(e) => {
                self.count(e.reason());
                self.drain_link(now, session);
                self.drain(now);
                None
            }
        }
    }

    /// Wraps an IP packet for a call: PPP, L2TP, UDP and ESP around it, in place.
    pub fn send(
        &mut self,
        now: Instant,
        session: SessionId,
        buf: &mut [u8],
        packet: Range<usize>,
    ) -> Forward {
        let protocol = match buf.get(packet.start).map(|b| b >> 4) {
            Some(6) => ppp::NetworkProtocol::Ipv6,
            _ => ppp::NetworkProtocol::Ipv4,
        };
        let Some(call) = self.calls.get_mut(&session) else {
            self.count("no_session");
            return Forward::Nothing;
        };
        let frame = match call.link.encapsulate(buf, packet, protocol) {
            Ok(frame) => frame,
            Err(e) => {
                self.count(e.reason());
                return Forward::Nothing;
            }
        };
        self.send_frame(now, session, buf, frame)
    }

    fn send_frame(
        &mut self,
        now: Instant,
        session: SessionId,
        buf: &mut [u8],
        frame: Range<usize>,
    ) -> Forward {
        let Some(path) = self.l2tp.session_path(session) else {
            self.count("no_session");
            return Forward::Nothing;
        };
        match self.l2tp.encapsulate(session, buf, frame) {
            Ok(message) => self.send_l2tp(now, path, buf, message),
            Err(e) => {
                self.count(e.reason());
                Forward::Nothing
            }
        }
    }

    fn send_l2tp(
        &mut self,
        now: Instant,
        l2tp_path: PathId,
        buf: &mut [u8],
        message: Range<usize>,
    ) -> Forward {
        let Some(peer) = self
            .peer_of_path
            .get(&l2tp_path)
            .and_then(|p| self.peers.get(p))
        else {
            self.count("no_peer");
            return Forward::Nothing;
        };
        let ports = peer.l2tp.iter().find(|p| p.id == l2tp_path);
        let child = peer.children.last().and_then(|c| self.children.get(c));
        let (Some(ports), Some(child)) = (ports, child) else {
            self.count("no_sa");
            return Forward::Nothing;
        };
        let path = peer.path;
        let Some(datagram) = prepend_udp(buf, message, ports, path) else {
            self.count("too_long");
            return Forward::Nothing;
        };
        let encapsulated = child.encapsulated;
        match self
            .sadb
            .seal(now, child.outbound, buf, datagram, PROTOCOL_UDP)
        {
            Ok(payload) if encapsulated => Forward::Udp { path, payload },
            Ok(payload) => Forward::Esp {
                local: path.local.ip(),
                remote: path.remote.ip(),
                payload,
            },
            Err(e) => {
                self.count(e.reason());
                Forward::Nothing
            }
        }
    }

    // --- time and output ---

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.isakmp.poll_timeout().is_some_and(|at| at <= now) {
            self.isakmp.handle_timeout(now);
        }
        if self.sadb.poll_timeout().is_some_and(|at| at <= now) {
            self.sadb.handle_timeout(now);
        }
        if self.l2tp.poll_timeout().is_some_and(|at| at <= now) {
            self.l2tp.handle_timeout(now);
        }
        while let Some((at, deadline)) = self.deadlines.first().copied() {
            if at > now {
                break;
            }
            self.deadlines.remove(&(at, deadline));
            match deadline {
                Deadline::Link(session) => {
                    if let Some(call) = self.calls.get_mut(&session) {
                        call.deadline = None;
                        call.link.handle_timeout(now);
                    }
                    self.drain_link(now, session);
                }
                Deadline::Grace(peer) => self.remove_peer(now, peer),
            }
        }
        self.drain(now);
    }

    /// When `handle_timeout` is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        [
            self.isakmp.poll_timeout(),
            self.sadb.poll_timeout(),
            self.l2tp.poll_timeout(),
            self.deadlines.first().map(|(at, _)| *at),
        ]
        .into_iter()
        .flatten()
        .min()
    }

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

    // --- what is there ---

    /// Live ISAKMP SAs, half-open ones too.
    #[must_use]
    pub fn isakmp_sas(&self) -> usize {
        self.isakmp.sa_count()
    }

    /// Live pairs of ESP SAs.
    #[must_use]
    pub fn esp_sas(&self) -> usize {
        self.children.len()
    }

    /// L2TP control connections.
    #[must_use]
    pub fn l2tp_tunnels(&self) -> usize {
        self.l2tp.tunnels().count()
    }

    /// L2TP calls.
    #[must_use]
    pub fn l2tp_sessions(&self) -> usize {
        self.l2tp.session_count()
    }

    /// Peers with anything alive.
    #[must_use]
    pub fn peers(&self) -> usize {
        self.peers.len()
    }

    /// Dropped packets by reason.
    #[must_use]
    pub fn drops(&self) -> &BTreeMap<&'static str, u64> {
        &self.drops
    }

    /// The peer of a call, where it is, and its ESP algorithms.
    #[must_use]
    pub fn peer_of(&self, session: SessionId) -> Option<(PeerId, Path, &str)> {
        let id = self.calls.get(&session)?.peer;
        let peer = self.peers.get(&id)?;
        let child = peer.children.last().and_then(|c| self.children.get(c));
        Some((id, peer.path, child.map_or("", |c| c.suite.as_str())))
    }

    // --- inside ---

    fn count(&mut self, reason: &'static str) {
        *self.drops.entry(reason).or_default() += 1;
    }

    fn event(&mut self, event: Event) {
        if self.events.len() < QUEUE {
            self.events.push_back(event);
        } else {
            self.count("event_queue_full");
        }
    }

    fn transmit(&mut self, transmit: Transmit) {
        if self.transmits.len() < QUEUE {
            self.transmits.push_back(transmit);
        } else {
            self.count("transmit_queue_full");
        }
    }

    /// Lets every part say what it has to say, until none has.
    fn drain(&mut self, now: Instant) {
        loop {
            let mut busy = false;
            while let Some(t) = self.isakmp.poll_transmit() {
                self.transmit(Transmit::Udp {
                    path: t.path,
                    payload: t.payload,
                });
            }
            while let Some(event) = self.isakmp.poll_event() {
                busy = true;
                self.on_isakmp(now, event);
            }
            while let Some(event) = self.sadb.poll_event() {
                busy = true;
                self.on_esp(now, &event);
            }
            while let Some(t) = self.l2tp.poll_transmit() {
                self.transmit_inside(
                    now,
                    |stack, buf, message| stack.send_l2tp(now, t.path, buf, message),
                    &t.payload,
                );
            }
            while let Some(event) = self.l2tp.poll_event() {
                busy = true;
                self.on_l2tp(now, event);
            }
            if !busy {
                return;
            }
        }
    }

    /// Wraps a control message with `wrap` and queues what comes out.
    fn transmit_inside(
        &mut self,
        _now: Instant,
        wrap: impl FnOnce(&mut Self, &mut [u8], Range<usize>) -> Forward,
        message: &[u8],
    ) {
        let mut buf = vec![0; HEADROOM + message.len() + TAILROOM];
        let range = HEADROOM..HEADROOM + message.len();
        if let Some(space) = buf.get_mut(range.clone()) {
            space.copy_from_slice(message);
        }
        let cut = |buf: &mut Vec<u8>, range: Range<usize>| {
            buf.truncate(range.end);
            buf.drain(..range.start);
            std::mem::take(buf)
        };
        match wrap(self, &mut buf, range) {
            Forward::Nothing | Forward::Inner(_) => {}
            Forward::Udp { path, payload } => {
                let payload = cut(&mut buf, payload);
                self.transmit(Transmit::Udp { path, payload });
            }
            Forward::Esp {
                local,
                remote,
                payload,
            } => {
                let payload = cut(&mut buf, payload);
                self.transmit(Transmit::Esp {
                    local,
                    remote,
                    payload,
                });
            }
        }
    }

    fn on_isakmp(&mut self, now: Instant, event: isakmp::Event) {
        match event {
            isakmp::Event::Established {
                sa,
                path,
                nat,
                suite,
                ..
            } => {
                let peer = self.peer_at(sa, path);
                self.event(Event::IsakmpUp {
                    peer,
                    path,
                    nat,
                    suite: suite.to_string(),
                });
            }
            isakmp::Event::PathChanged { sa, new, .. } => {
                if let Some(&peer) = self.peer_of_sa.get(&sa)
                    && let Some(entry) = self.peers.get_mut(&peer)
                    && entry.path != new
                {
                    entry.path = new;
                    self.event(Event::PathChanged { peer, path: new });
                }
            }
            isakmp::Event::ChildEstablished(child) => self.add_child(now, *child),
            isakmp::Event::ChildDeleted { child, reason, .. } => {
                self.remove_child(now, child, reason.reason());
            }
            isakmp::Event::Closed { sa, reason, .. } => {
                if let Some(peer) = self.peer_of_sa.remove(&sa) {
                    if let Some(entry) = self.peers.get_mut(&peer) {
                        entry.isakmp.retain(|known| *known != sa);
                    }
                    self.event(Event::IsakmpDown {
                        peer,
                        reason: reason.reason(),
                    });
                    self.settle(now, peer);
                }
            }
            isakmp::Event::Refused {
                path,
                reason,
                offer,
                hint,
                ..
            } => {
                self.event(Event::Refused {
                    path,
                    reason: reason.reason(),
                    offer,
                    hint,
                });
            }
            isakmp::Event::KeyLog(line) => self.event(Event::Key(KeyEvent::Isakmp(line))),
            _ => {}
        }
    }

    /// The peer of a new ISAKMP SA: the one at that very address and port, or a new one.
    fn peer_at(&mut self, sa: isakmp::SaId, path: Path) -> PeerId {
        let known = self
            .peers
            .iter()
            .find(|(_, p)| p.path == path)
            .map(|(id, _)| *id);
        let id = known.unwrap_or_else(|| {
            self.serial += 1;
            let id = PeerId(self.serial);
            self.peers.insert(
                id,
                Peer {
                    path,
                    isakmp: Vec::new(),
                    children: Vec::new(),
                    l2tp: Vec::new(),
                    grace: None,
                },
            );
            id
        });
        self.peer_of_sa.insert(sa, id);
        if let Some(peer) = self.peers.get_mut(&id)
            && !peer.isakmp.contains(&sa)
        {
            peer.isakmp.push(sa);
        }
        id
    }

    fn add_child(&mut self, now: Instant, sa: isakmp::ChildSa) {
        let peer = match self.peer_of_sa.get(&sa.sa) {
            Some(&peer) => peer,
            None => self.peer_at(sa.sa, sa.path),
        };
        let suite = sa.suite.to_string();
        let (local, remote) = (sa.path.local.ip(), sa.path.remote.ip());
        self.serial += 1;
        let serial = self.serial;
        let installed = convert::sa_configs(&sa).and_then(|(inbound, outbound)| {
            let id = self.sadb.insert_outbound(now, &outbound, serial)?;
            if let Err(e) = self.sadb.insert_inbound(now, &inbound, serial) {
                self.sadb.remove_outbound(id);
                return Err(e);
            }
            Ok(id)
        });
        let outbound = match installed {
            Ok(outbound) => outbound,
            Err(e) => {
                tracing::warn!(conn = %peer, suite, error = %e, "ESP SA refused");
                self.isakmp.close_child(now, sa.child);
                return;
            }
        };
        self.children.insert(
            serial,
            Child {
                id: sa.child,
                peer,
                inbound_spi: sa.inbound_spi,
                outbound,
                encapsulated: sa.udp_encapsulation,
                suite: suite.clone(),
            },
        );
        self.child_serials.insert(sa.child, serial);
        if let Some(entry) = self.peers.get_mut(&peer) {
            entry.children.push(serial);
            if let Some(at) = entry.grace.take() {
                self.deadlines.remove(&(at, Deadline::Grace(peer)));
            }
        }
        self.event(Event::EspUp {
            peer,
            suite,
            encapsulated: sa.udp_encapsulation,
            inbound_spi: sa.inbound_spi,
            outbound_spi: sa.outbound_spi,
        });
        if self.key_log {
            self.event(Event::Key(KeyEvent::Esp(Box::new(EspKeys {
                local,
                remote,
                suite: sa.suite,
                inbound: (sa.inbound_spi, sa.inbound_keys),
                outbound: (sa.outbound_spi, sa.outbound_keys),
            }))));
        }
    }

    fn remove_child(&mut self, now: Instant, id: isakmp::ChildId, reason: &'static str) {
        let Some(serial) = self.child_serials.remove(&id) else {
            return;
        };
        let Some(child) = self.children.remove(&serial) else {
            return;
        };
        self.sadb.remove_inbound(child.inbound_spi);
        self.sadb.remove_outbound(child.outbound);
        if let Some(peer) = self.peers.get_mut(&child.peer) {
            peer.children.retain(|c| *c != serial);
        }
        self.event(Event::EspDown {
            peer: child.peer,
            inbound_spi: child.inbound_spi,
            reason,
        });
        self.settle(now, child.peer);
    }

    /// After something of a peer has ended: removes it, or gives it time to come back.
    fn settle(&mut self, now: Instant, id: PeerId) {
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        if !peer.children.is_empty() {
            return;
        }
        let has_tunnel = |p: &L2tpPath| self.l2tp.tunnels_of(p.id).next().is_some();
        if peer.l2tp.iter().any(has_tunnel) {
            if peer.grace.is_none() {
                peer.grace = Some(now + GRACE);
                self.deadlines.insert((now + GRACE, Deadline::Grace(id)));
            }
        } else if peer.isakmp.is_empty() {
            self.remove_peer(now, id);
        }
    }

    fn remove_peer(&mut self, now: Instant, id: PeerId) {
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        if let Some(at) = peer.grace.take() {
            self.deadlines.remove(&(at, Deadline::Grace(id)));
        }
        let paths: Vec<_> = peer.l2tp.drain(..).map(|p| p.id).collect();
        let keep = !peer.isakmp.is_empty() || !peer.children.is_empty();
        for path in paths {
            self.l2tp.close_path(now, path);
            self.peer_of_path.remove(&path);
        }
        if !keep {
            self.peers.remove(&id);
            self.event(Event::PeerDown { peer: id });
        }
    }

    fn on_esp(&mut self, now: Instant, event: &esp::Event) {
        let (esp::Event::SoftExpired { owner, .. } | esp::Event::HardExpired { owner, .. }) = event
        else {
            return;
        };
        if let Some(id) = self.children.get(owner).map(|c| c.id) {
            if matches!(event, esp::Event::SoftExpired { .. }) {
                self.isakmp.rekey_child(now, id);
            } else {
                self.isakmp.close_child(now, id);
            }
        }
    }

    fn on_l2tp(&mut self, now: Instant, event: l2tp::Event) {
        match event {
            l2tp::Event::TunnelUp {
                tunnel,
                path,
                peer: info,
                ..
            } => {
                if let Some(&peer) = self.peer_of_path.get(&path) {
                    let host = String::from_utf8_lossy(&info.host_name).into_owned();
                    self.event(Event::TunnelUp { peer, tunnel, host });
                }
            }
            l2tp::Event::TunnelDown {
                tunnel,
                path,
                reason,
                ..
            } => {
                self.event(Event::TunnelDown {
                    tunnel,
                    reason: reason.to_string(),
                });
                if let Some(&peer) = self.peer_of_path.get(&path) {
                    self.settle(now, peer);
                }
            }
            l2tp::Event::SessionUp { session, path, .. } => {
                if let Some(&peer) = self.peer_of_path.get(&path) {
                    self.start_ppp(now, session, peer);
                }
            }
            l2tp::Event::SessionDown {
                session, reason, ..
            } => {
                if let Some(mut call) = self.calls.remove(&session) {
                    call.link.lower_down(now);
                    if let Some(at) = call.deadline {
                        self.deadlines.remove(&(at, Deadline::Link(session)));
                    }
                    let mut why = reason.to_string();
                    while let Some(event) = call.link.poll_event() {
                        if let ppp::Event::Closed { reason } = event
                            && reason != ppp::CloseReason::LowerLayerDown
                        {
                            why = reason.reason().to_owned();
                        }
                    }
                    self.event(Event::SessionDown {
                        session,
                        reason: why,
                    });
                }
            }
            _ => {}
        }
    }

    fn start_ppp(&mut self, now: Instant, session: SessionId, peer: PeerId) {
        let rng = (self.entropy)();
        let Ok(mut link) = ppp::Link::new(Arc::clone(&self.ppp), self.role, rng) else {
            // Checked in `new`.
            return;
        };
        link.open(now);
        self.calls.insert(
            session,
            Call {
                link,
                peer,
                deadline: None,
            },
        );
        self.event(Event::SessionUp { peer, session });
        self.drain_link(now, session);
    }

    /// Lets a link say what it has to say, and notes when it wants to be woken.
    fn drain_link(&mut self, now: Instant, session: SessionId) {
        loop {
            let Some(call) = self.calls.get_mut(&session) else {
                return;
            };
            if let Some(frame) = call.link.poll_transmit() {
                self.transmit_inside(
                    now,
                    |stack, buf, range| stack.send_frame(now, session, buf, range),
                    &frame,
                );
                continue;
            }
            let Some(event) = call.link.poll_event() else {
                break;
            };
            self.on_ppp(now, session, event);
        }
        if let Some(call) = self.calls.get_mut(&session) {
            let deadline = call.link.poll_timeout();
            if deadline != call.deadline {
                if let Some(at) = call.deadline.take() {
                    self.deadlines.remove(&(at, Deadline::Link(session)));
                }
                if let Some(at) = deadline {
                    self.deadlines.insert((at, Deadline::Link(session)));
                }
                call.deadline = deadline;
            }
        }
    }

    fn on_ppp(&mut self, now: Instant, session: SessionId, event: ppp::Event) {
        match event {
            ppp::Event::LcpUp { peer_mru, auth } => {
                let auth = auth.map_or("none", ppp::AuthMethod::name);
                let detail = format!("peer_mru={peer_mru} auth={auth}");
                self.event(Event::LcpUp { session, detail });
            }
            ppp::Event::Authenticate(request) => {
                self.event(Event::Authenticate {
                    session,
                    request: Box::new(request),
                });
            }
            ppp::Event::Authenticated { user, .. } => {
                self.event(Event::Authenticated {
                    session,
                    user: convert::user_name(&user),
                });
            }
            ppp::Event::Ipv4Up {
                local, peer, dns, ..
            } => {
                let dns = dns.into_iter().flatten().collect();
                self.event(Event::Ipv4Up {
                    session,
                    local,
                    remote: peer,
                    dns,
                });
            }
            ppp::Event::Closed { reason } => {
                let Some(call) = self.calls.remove(&session) else {
                    return;
                };
                if let Some(at) = call.deadline {
                    self.deadlines.remove(&(at, Deadline::Link(session)));
                }
                self.l2tp
                    .close_session(now, session, convert::call_result(&reason));
                self.event(Event::SessionDown {
                    session,
                    reason: reason.reason().to_owned(),
                });
            }
            _ => {}
        }
    }

    /// The L2TP path of a port pair inside a peer's ESP.
    fn l2tp_path(&mut self, peer: PeerId, local_port: u16, remote_port: u16) -> PathId {
        self.serial += 1;
        let fresh = PathId(self.serial);
        let Some(entry) = self.peers.get_mut(&peer) else {
            return fresh;
        };
        let known = |p: &&L2tpPath| p.local_port == local_port && p.remote_port == remote_port;
        if let Some(path) = entry.l2tp.iter().find(known) {
            return path.id;
        }
        // A client that keeps changing its port replaces its own oldest path.
        if entry.l2tp.len() >= L2TP_PATHS {
            let oldest = entry.l2tp.remove(0).id;
            self.peer_of_path.remove(&oldest);
        }
        entry.l2tp.push(L2tpPath {
            id: fresh,
            local_port,
            remote_port,
        });
        self.peer_of_path.insert(fresh, peer);
        fresh
    }

    /// Follows a peer that authenticated ESP shows at another address or port (RFC 3947 5).
    fn note_path(
        &mut self,
        now: Instant,
        child: isakmp::ChildId,
        peer: PeerId,
        encapsulated: bool,
        path: Path,
    ) {
        let Some(entry) = self.peers.get_mut(&peer) else {
            return;
        };
        let path = if encapsulated { path } else { entry.path };
        self.isakmp.note_traffic(now, child, path);
        if entry.path != path {
            entry.path = path;
            self.event(Event::PathChanged { peer, path });
        }
    }
}

/// Source port, destination port and payload of a UDP datagram (RFC 768).
///
/// The checksum is not looked at: a NAT on the way made it wrong, and ESP's ICV has covered the
/// bytes (RFC 3948 section 3.1.2).
fn udp_payload(buf: &[u8], datagram: Range<usize>) -> Option<(u16, u16, Range<usize>)> {
    let header = buf.get(datagram.clone())?.first_chunk::<UDP_HEADER>()?;
    let [s0, s1, d0, d1, l0, l1, _, _] = *header;
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    if length < UDP_HEADER || length > datagram.len() {
        return None;
    }
    Some((
        u16::from_be_bytes([s0, s1]),
        u16::from_be_bytes([d0, d1]),
        datagram.start + UDP_HEADER..datagram.start + length,
    ))
}

/// Puts a UDP header before `payload`.
///
/// IPv4 allows no checksum, and the peer's NAT would have made it wrong; IPv6 needs one.
fn prepend_udp(
    buf: &mut [u8],
    payload: Range<usize>,
    ports: &L2tpPath,
    path: Path,
) -> Option<Range<usize>> {
    let start = payload.start.checked_sub(UDP_HEADER)?;
    let length = u16::try_from(payload.end - start).ok()?;
    let datagram = start..payload.end;
    let header = buf
        .get_mut(datagram.clone())?
        .first_chunk_mut::<UDP_HEADER>()?;
    let [s0, s1] = ports.local_port.to_be_bytes();
    let [d0, d1] = ports.remote_port.to_be_bytes();
    let [l0, l1] = length.to_be_bytes();
    *header = [s0, s1, d0, d1, l0, l1, 0, 0];
    if let (local @ IpAddr::V6(_), remote @ IpAddr::V6(_)) = (path.local.ip(), path.remote.ip()) {
        let segment = buf.get(datagram.clone())?;
        let sum = crate::capture::pseudo_header_sum(local, remote, PROTOCOL_UDP, segment);
        let sum = if sum == 0 { 0xffff } else { sum };
        let header = buf
            .get_mut(datagram.clone())?
            .first_chunk_mut::<UDP_HEADER>()?;
        [header[6], header[7]] = sum.to_be_bytes();
    }
    Some(datagram)
}
