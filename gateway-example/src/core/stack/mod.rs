mod batch;
mod calls;
mod counts;
mod packets;
mod peers;
mod shards;
#[cfg(test)]
mod teardown;

pub use batch::{BATCH, Datagram};
pub(super) use shards::OutboundId;
pub use shards::{EspCounts, Spread, Work};

use crate::core::event::Event;
use crate::core::peer::{Child, Peer, PeerId};
use crate::core::{Entropy, Forward, HEADROOM, Path, TAILROOM, Transmit};
use foldhash::HashMap;
use l2tp::{PathId, SessionId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

const IKE_PORT: u16 = 500;

/// The UDP port of L2TP, inside ESP only (RFC 3193).
pub(super) const L2TP_PORT: u16 = 1701;
const PROTOCOL_UDP: u8 = 17;

/// How long L2TP stays without an ESP SA: Windows deletes its last one and makes another.
const GRACE: Duration = Duration::from_secs(10);

/// UDP port pairs for each peer at most; a client uses one.
const L2TP_PATHS: usize = 4;

/// How often a peer may name a call that is not its own: each costs it a share of a handshake.
const STRAYS: u8 = 16;

/// Control messages and events that wait at most.
const QUEUE: usize = 65_536;

/// ISAKMP, ESP, L2TP and PPP as one: what goes in as datagrams comes out as IP packets.
pub struct Stack {
    isakmp: isakmp::Endpoint,
    sadb: shards::Shards,
    l2tp: l2tp::Endpoint,
    ppp: Arc<ppp::Config>,
    role: ppp::Role,
    entropy: Entropy,
    peers: BTreeMap<PeerId, Peer>,
    /// Peers by who they are, as far as that is known.
    parties: HashMap<u64, PeerId>,
    /// Peers by where they are.
    places: BTreeSet<(Path, PeerId)>,
    peer_of_sa: HashMap<isakmp::SaId, PeerId>,
    children: HashMap<u64, Child>,
    child_serials: HashMap<isakmp::ChildId, u64>,
    peer_of_path: HashMap<PathId, PeerId>,
    calls: HashMap<SessionId, Call>,
    /// Calls of ours that are not up yet, and to whom.
    dialled: HashMap<SessionId, PeerId>,
    /// Deadlines of links and of peers in their grace.
    deadlines: BTreeSet<(Instant, Deadline)>,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
    /// What is too heavy to be done between packets, if the configuration asks for that.
    jobs: VecDeque<isakmp::Job>,
    serial: u64,
    key_log: bool,
    deferred_jobs: bool,
    /// All there is has been ended: who is on the way in is turned away.
    closing: bool,
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
        let deferred_jobs = config.isakmp.deferred_jobs;
        let ppp = Arc::new(config.ppp);
        // Links are made when calls come up: find a bad configuration now.
        ppp::Link::new(Arc::clone(&ppp), config.role, entropy())?;
        Ok(Self {
            isakmp: isakmp::Endpoint::new(Arc::new(config.isakmp), entropy())?,
            sadb: shards::Shards::new(vec![esp::Sadb::new(entropy())], None),
            l2tp: l2tp::Endpoint::new(Arc::new(config.l2tp), entropy())?,
            ppp,
            role: config.role,
            entropy,
            peers: BTreeMap::new(),
            parties: HashMap::default(),
            places: BTreeSet::new(),
            peer_of_sa: HashMap::default(),
            children: HashMap::default(),
            child_serials: HashMap::default(),
            peer_of_path: HashMap::default(),
            calls: HashMap::default(),
            dialled: HashMap::default(),
            deadlines: BTreeSet::new(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            jobs: VecDeque::new(),
            serial: 0,
            key_log,
            deferred_jobs,
            closing: false,
            drops: BTreeMap::new(),
        })
    }

    /// Puts ESP SAs in so many shards, and lets `spread` work on them at the same time; it does
    /// nothing once there are SAs.
    pub fn spread(&mut self, shards: NonZeroUsize, spread: Arc<dyn Spread>) {
        if self.children.is_empty() {
            let sadbs = (0..shards.get()).map(|_| esp::Sadb::new((self.entropy)()));
            self.sadb = shards::Shards::new(sadbs.collect(), Some(spread));
        }
    }

    // --- commands ---

    /// Takes new settings of IKEv1, for negotiations to come, and of PPP, for calls to come. Those
    /// of L2TP stay, and so does what [`set_key_log`](Self::set_key_log) has said.
    ///
    /// # Errors
    /// Which part refused its configuration, and why; nothing has changed then.
    pub fn set_config(&mut self, mut config: StackConfig) -> Result<(), StackError> {
        config.isakmp.deferred_jobs = self.deferred_jobs;
        let ppp = Arc::new(config.ppp);
        ppp::Link::new(Arc::clone(&ppp), self.role, (self.entropy)())?;
        self.isakmp.set_config(Arc::new(config.isakmp))?;
        self.ppp = ppp;
        Ok(())
    }

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

    /// Opens an L2TP control connection to `peer` from this port inside ESP, and a call in it.
    ///
    /// # Errors
    /// What L2TP refused.
    pub fn dial(
        &mut self,
        now: Instant,
        peer: PeerId,
        local_port: u16,
    ) -> Result<SessionId, l2tp::Error> {
        let path = self.l2tp_path(now, peer, local_port, L2TP_PORT);
        let tunnel = self.l2tp.connect(now, path)?;
        let session = self.l2tp.open(now, tunnel)?;
        self.dialled.insert(session, peer);
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

    /// Ends a call at once: PPP and L2TP say goodbye, and no answer is awaited.
    pub fn drop_call(&mut self, now: Instant, session: SessionId, text: &str) {
        self.hang_up(now, session, text);
        let Some(call) = self.remove_call(session) else {
            return;
        };
        self.l2tp
            .close_session(now, session, l2tp::CallResult::ADMINISTRATIVE);
        self.event(Event::SessionDown {
            peer: call.peer,
            session,
            reason: "local",
            detail: text.to_owned(),
        });
        self.drain(now);
    }

    /// Renews the keys of both phases.
    pub fn rekey(&mut self, now: Instant, peer: PeerId) {
        let (sas, children) = self.sas_of(peer);
        for child in children {
            self.isakmp.rekey_child(now, child);
        }
        for sa in sas {
            self.isakmp.rekey(now, sa);
        }
        self.drain(now);
    }

    /// Ends a peer's ESP SAs and asks for others, as Windows does after a silence.
    pub fn renew_esp(&mut self, now: Instant, peer: PeerId, request: &isakmp::ChildRequest) {
        let (sas, children) = self.sas_of(peer);
        for child in children {
            self.isakmp.close_child(now, child);
        }
        if let Some(sa) = sas.last() {
            // Without an ISAKMP SA there is none to ask over; the peer's grace will end.
            let _ = self.isakmp.open_child(now, *sa, request.clone());
        }
        self.drain(now);
    }

    /// Asks for ESP SAs if a peer has none and none are under way; false if there is no ISAKMP SA to
    /// ask over.
    pub fn reopen_esp(
        &mut self,
        now: Instant,
        peer: PeerId,
        request: &isakmp::ChildRequest,
    ) -> bool {
        let (sas, children) = self.sas_of(peer);
        let negotiating = |sa: &isakmp::SaId| self.isakmp.is_negotiating(*sa);
        if !children.is_empty() || sas.iter().any(negotiating) {
            return true;
        }
        let Some(sa) = sas.last() else { return false };
        let asked = self.isakmp.open_child(now, *sa, request.clone()).is_ok();
        self.drain(now);
        asked
    }

    fn sas_of(&self, peer: PeerId) -> (Vec<isakmp::SaId>, Vec<isakmp::ChildId>) {
        let Some(entry) = self.peers.get(&peer) else {
            return (Vec::new(), Vec::new());
        };
        let children = entry.children.iter();
        let children = children.filter_map(|c| self.children.get(c)).map(|c| c.id);
        (entry.isakmp.clone(), children.collect())
    }

    /// Whether a peer has neither an ISAKMP SA nor an ESP SA.
    #[must_use]
    pub fn is_cut_off(&self, peer: PeerId) -> bool {
        let bare = |p: &Peer| p.isakmp.is_empty() && p.children.is_empty();
        self.peers.get(&peer).is_none_or(bare)
    }

    /// Ends all there is of a peer, from the top down.
    pub fn disconnect(&mut self, now: Instant, peer: PeerId) {
        let Some(entry) = self.peers.get(&peer) else {
            return;
        };
        let (sas, children) = self.sas_of(peer);
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

    /// Ends all there is, and what comes up later at once.
    pub fn shutdown(&mut self, now: Instant) {
        self.closing = true;
        for peer in self.peers.keys().copied().collect::<Vec<_>>() {
            self.disconnect(now, peer);
        }
    }

    /// Tells keys of SAs from now on, or no longer.
    pub fn set_key_log(&mut self, now: Instant, on: bool) {
        self.key_log = on;
        self.isakmp.set_key_log(on);
        self.drain(now);
    }

    /// Tells encrypted IKE messages in the clear from now on, or no longer.
    pub fn set_plain_messages(&mut self, on: bool) {
        self.isakmp.set_plain_messages(on);
    }

    // --- time and output ---

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.isakmp.poll_timeout().is_some_and(|at| at <= now) {
            self.isakmp.handle_timeout(now);
        }
        self.sadb.handle_timeout(now);
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
                Deadline::Grace(peer) => self.grace_over(now, peer),
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

    /// The next computation to have done elsewhere; [`finish`](Self::finish) takes its result.
    #[must_use]
    pub fn poll_job(&mut self) -> Option<isakmp::Job> {
        self.jobs.pop_front()
    }

    /// Takes the result of a [`Job`](isakmp::Job).
    pub fn finish(&mut self, now: Instant, result: isakmp::JobResult) {
        self.isakmp.finish(now, result);
        self.drain(now);
    }

    /// What happened next.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    // --- inside ---

    pub(super) fn count(&mut self, reason: &'static str) {
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
    pub(super) fn transmit_inside(
        &mut self,
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
}
