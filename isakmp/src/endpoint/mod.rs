//! The state machine: ISAKMP SAs, their exchanges, and the children they have made.

mod admission;
mod children;
mod crumbs;
mod dispatch;
mod fragment;
#[cfg(fuzzing)]
pub mod fuzzing;
mod informational;
mod initiator;
mod main_mode;
mod outgoing;
mod places;
mod psks;
mod quick;
mod quick_initiator;
mod quick_responder;
mod responder;
mod state;
mod stats;
#[cfg(test)]
mod tests;
mod timers;

use crate::config::{ChildRequest, Config, Path, Peer, Transmit};
use crate::crypto;
use crate::error::{ConfigError, Error};
use crate::event::{ChildId, CloseReason, Event, RefusedReason, SaId};
use crate::job::{Exchange, Job, JobResult, Purpose, Work};
use crate::keylog::KeyLogLine;
use crate::keys::Cookies;
use crate::suite::{Group, Hash};
use admission::Admission;
use crumbs::Crumbs;
use fragment::Fragments;
use places::Places;
use psks::Psks;
use rand_core::CryptoRng;
use state::{Child, Quick, QuickState, Sa, State, Wanted};
pub use stats::{Messages, Stats};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// All ISAKMP SAs of one host, in both roles.
///
/// It does no I/O and reads no clock: give it datagrams and the time, take transmits and events.
pub struct Endpoint {
    config: Arc<Config>,
    psks: Psks,
    rng: Box<dyn CryptoRng + Send>,
    sas: BTreeMap<SaId, Box<Sa>>,
    by_cookies: HashMap<Cookies, SaId>,
    /// First messages: of peers that do not know our cookie yet, and of ours.
    by_first: HashMap<(SocketAddr, [u8; 8]), SaId>,
    /// Unauthenticated SAs as responder, by source.
    half_open: HashMap<IpAddr, usize>,
    half_open_total: usize,
    children: BTreeMap<ChildId, Box<Child>>,
    inbound_spis: BTreeSet<u32>,
    fragments: Fragments,
    admission: Admission,
    crumbs: Crumbs,
    places: Places,
    deadlines: BTreeSet<(Instant, Owner)>,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
    /// Since when refusals are counted, and how many there were.
    refusals: Option<(Instant, u32)>,
    serial: u64,
    stats: Stats,
    key_log: bool,
    plain_messages: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Owner {
    Sa(SaId),
    Child(ChildId),
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint")
            .field("sas", &self.sas.len())
            .field("children", &self.children.len())
            .finish_non_exhaustive()
    }
}

impl Endpoint {
    /// An endpoint without SAs.
    ///
    /// # Errors
    /// What is wrong with the configuration.
    pub fn new(
        config: Arc<Config>,
        mut rng: Box<dyn CryptoRng + Send>,
    ) -> Result<Self, ConfigError> {
        config.check()?;
        let mut key = [0; 32];
        rng.fill_bytes(&mut key);
        let admission = Admission::new(&mut *rng);
        Ok(Self {
            psks: Psks::new(&config.psks),
            key_log: config.key_log,
            config,
            rng,
            sas: BTreeMap::new(),
            by_cookies: HashMap::new(),
            by_first: HashMap::new(),
            half_open: HashMap::new(),
            half_open_total: 0,
            children: BTreeMap::new(),
            inbound_spis: BTreeSet::new(),
            fragments: Fragments::default(),
            admission,
            crumbs: Crumbs::new(key),
            places: Places::default(),
            deadlines: BTreeSet::new(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            refusals: None,
            serial: 0,
            stats: Stats::default(),
            plain_messages: false,
        })
    }

    /// Takes a new configuration for exchanges that start from now on.
    ///
    /// # Errors
    /// What is wrong with the configuration; the old one stays.
    pub fn set_config(&mut self, config: Arc<Config>) -> Result<(), ConfigError> {
        config.check()?;
        self.psks = Psks::new(&config.psks);
        self.config = config;
        Ok(())
    }

    /// Turns [`Config::key_log`] on or off, whatever the configuration says; on, it tells the keys
    /// of SAs that are up as well.
    pub fn set_key_log(&mut self, on: bool) {
        self.key_log = on;
        if on {
            let keys =
                |sa: &Sa| Some((sa.cookies.initiator, sa.keys.as_ref()?.encryption().clone()));
            let lines: Vec<_> = self.sas.values().filter_map(|sa| keys(sa)).collect();
            for (cookie, key) in lines {
                self.event(Event::KeyLog(KeyLogLine::new(cookie, key)));
            }
        }
    }

    /// Tells encrypted messages in the clear, as [`Event::Plain`], from now on or no longer. Off at
    /// first: whoever has them knows who negotiates with whom.
    pub fn set_plain_messages(&mut self, on: bool) {
        self.plain_messages = on;
    }

    // --- commands ---

    /// Starts main mode with the peer at `path.remote`, then a quick mode for each of its children.
    ///
    /// # Errors
    /// [`Error::Limit`] if there are too many SAs.
    pub fn connect(&mut self, now: Instant, path: Path, peer: Peer) -> Result<SaId, Error> {
        let suites = &self.config.policy.child;
        let suites = match &peer.child_proposals {
            own if own.is_empty() => short_list(suites, &SHORT_CHILD),
            own => own.clone(),
        };
        let wanted = peer.children.iter().map(|request| Wanted {
            request: request.clone(),
            suites: suites.clone(),
            replaces: None,
        });
        let wanted = wanted.collect();
        self.start_main(now, path, Arc::new(peer), wanted, None)
    }

    /// Starts a quick mode; at once, or as soon as main mode is complete.
    ///
    /// # Errors
    /// [`Error::NoSuchSa`].
    pub fn open_child(
        &mut self,
        now: Instant,
        sa: SaId,
        request: ChildRequest,
    ) -> Result<(), Error> {
        let own = self
            .sas
            .get(&sa)
            .and_then(|s| s.peer.as_ref())
            .map(|p| p.child_proposals.clone());
        let suites = match own {
            Some(own) if !own.is_empty() => own,
            _ => short_list(&self.config.policy.child, &SHORT_CHILD),
        };
        self.with_sa(sa, |endpoint, sa| {
            sa.wanted.push_back(Wanted {
                request,
                suites,
                replaces: None,
            });
            endpoint.start_wanted(now, sa);
        })
        .ok_or(Error::NoSuchSa)
    }

    /// Ends an ISAKMP SA, and the successor that it is being replaced by; its children live on.
    pub fn close(&mut self, now: Instant, sa: SaId) {
        let renewing = self.sas.get(&sa).is_some_and(|sa| sa.renewing);
        // Few are being renewed: the others are ended without a look at all SAs.
        let successor = if renewing {
            let mut all = self.sas.values();
            all.find(|other| other.replaces == Some(sa)).map(|sa| sa.id)
        } else {
            None
        };
        for id in [successor, Some(sa)].into_iter().flatten() {
            self.with_sa(id, |endpoint, sa| {
                endpoint.end_sa(now, sa, CloseReason::Local);
            });
        }
    }

    /// Ends a pair of ESP SAs.
    pub fn close_child(&mut self, now: Instant, child: ChildId) {
        self.end_child(now, child, CloseReason::Local);
    }

    /// Replaces an ISAKMP SA by a new one with the same peer.
    ///
    /// Only the side that has a [`Peer`] for it can, or one whose configuration has its key.
    pub fn rekey(&mut self, now: Instant, sa: SaId) {
        self.rekey_sa(now, sa);
    }

    /// Negotiates a successor of a pair of ESP SAs.
    pub fn rekey_child(&mut self, now: Instant, child: ChildId) {
        self.renew_child(now, child);
    }

    /// The owner has received authentic ESP on `child` from `path`: the peer lives, and is there,
    /// if it is behind a NAT. The address of a peer that is not does not change, and another one is
    /// an attacker's (RFC 3947 section 7). True if packets for the peer go to `path` from now on.
    ///
    /// Call it for packets only that are newer than all before: with the highest sequence number so
    /// far, and with another path only on the newest pair that the peer uses.
    pub fn note_traffic(&mut self, now: Instant, child: ChildId, path: Path) -> bool {
        let Some(entry) = self.children.get_mut(&child) else {
            return false;
        };
        let (id, retires) = (entry.sa, entry.retires.take());
        let there = entry.path == path;
        let moves = !there && entry.behind_nat;
        // Most often only the time to ask the peer is put off.
        if retires.is_none()
            && !moves
            && let (Some(dpd), Some(sa)) = (self.config.dpd, self.sas.get_mut(&id))
            && sa.stranger.is_none()
            && sa.heard(now, dpd)
        {
            return there;
        }
        let known = self.with_sa(id, |endpoint, sa| {
            endpoint.alive(now, sa);
            if moves && path.local.port() == sa.path.local.port() {
                endpoint.move_peer(sa, path, Some(now));
            }
        });
        if let Some(old) = retires {
            self.end_child(now, old, CloseReason::Replaced);
        }
        if known.is_none() && moves {
            self.move_child(child, path, Some(now));
        }
        moves || there
    }

    /// Takes the result of a [`Job`].
    pub fn finish(&mut self, now: Instant, result: JobResult) {
        self.with_sa(result.sa, |endpoint, sa| {
            let awaited = match result.purpose {
                Purpose::Main => sa.job.take_if(|job| *job == result.serial),
                Purpose::Quick(id) => {
                    let quick = sa.quicks.get_mut(&id);
                    quick.and_then(|q| q.job.take_if(|job| *job == result.serial))
                }
            };
            if awaited.is_some() {
                endpoint.computed(now, sa, result);
            }
        });
    }

    /// Whether a quick mode is under way or to be started.
    #[must_use]
    pub fn is_negotiating(&self, sa: SaId) -> bool {
        let open = |q: &Quick| !matches!(q.state, QuickState::Done);
        let busy = |sa: &Sa| !sa.wanted.is_empty() || sa.quicks.values().any(|q| open(q));
        self.sas.get(&sa).is_some_and(|sa| busy(sa))
    }

    // --- output ---

    /// The next datagram to send.
    #[must_use]
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// What happened next.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When `handle_timeout` is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let first = self.deadlines.first().map(|(at, _)| *at);
        [first, self.fragments.poll_timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    /// ISAKMP SAs, half-open ones too.
    #[must_use]
    pub fn sa_count(&self) -> usize {
        self.sas.len()
    }

    /// ISAKMP SAs that a peer has begun and not authenticated yet.
    #[must_use]
    pub fn half_open_count(&self) -> usize {
        self.half_open_total
    }

    /// Pairs of ESP SAs.
    #[must_use]
    pub fn child_count(&self) -> usize {
        self.children.len()
    }

    /// Counts since the endpoint was made.
    #[must_use]
    pub const fn stats(&self) -> Stats {
        self.stats
    }

    // --- shared by all exchanges ---

    fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    fn random<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }

    /// A cookie, never zero: zero means that there is none yet.
    fn random_cookie(&mut self) -> [u8; 8] {
        let mut cookie = self.random::<8>();
        cookie[0] |= 1;
        cookie
    }

    fn event(&mut self, event: Event) {
        if self.events.len() < self.config.limits.events {
            self.events.push_back(event);
        } else {
            self.stats.events_lost += 1;
        }
    }

    /// Counts a refusal that anybody can cause; whether it should be reported.
    fn may_report(&mut self, now: Instant) -> bool {
        self.stats.refused += 1;
        let fresh =
            |(since, _): &(Instant, u32)| now.saturating_duration_since(*since) < REFUSALS_WITHIN;
        let (since, count) = self.refusals.filter(fresh).unwrap_or((now, 0));
        self.refusals = Some((since, count.saturating_add(1)));
        count < self.config.limits.refusals
    }

    fn refused(
        &mut self,
        path: Path,
        sa: Option<SaId>,
        reason: RefusedReason,
        offer: String,
        hint: String,
    ) {
        tracing::debug!(peer = %path.remote, reason = reason.reason(), offer, hint, "refused");
        self.event(Event::Refused {
            path,
            sa,
            reason,
            offer,
            hint,
        });
    }

    /// Works on an SA that is out of the table meanwhile.
    fn with_sa<T>(&mut self, id: SaId, work: impl FnOnce(&mut Self, &mut Sa) -> T) -> Option<T> {
        let mut sa = self.sas.remove(&id)?;
        let result = work(self, &mut sa);
        if sa.state == State::Closed {
            self.forget(&sa);
        } else {
            self.put(sa);
        }
        Some(result)
    }

    fn put(&mut self, mut sa: Box<Sa>) {
        let deadline = sa.next_deadline();
        // What has been put off is looked at when it would have been due, and is put off then: that is
        // less work than to do it with each packet.
        let both = sa.deadline.zip(deadline);
        if both.is_none_or(|(old, new)| new < old) {
            if let Some(at) = sa.deadline.take() {
                self.deadlines.remove(&(at, Owner::Sa(sa.id)));
            }
            if let Some(at) = deadline {
                self.deadlines.insert((at, Owner::Sa(sa.id)));
            }
            sa.deadline = deadline;
        }
        self.sas.insert(sa.id, sa);
    }

    fn forget(&mut self, sa: &Sa) {
        if let Some(at) = sa.deadline {
            self.deadlines.remove(&(at, Owner::Sa(sa.id)));
        }
        self.by_cookies.remove(&sa.cookies);
        self.unplace_sa(sa);
        self.forget_first(sa);
        for quick in sa.quicks.values() {
            if !matches!(quick.state, QuickState::Done) {
                self.inbound_spis.remove(&quick.inbound_spi);
            }
        }
        if sa.half_open_until.is_some() {
            self.no_longer_half_open(sa.path.remote.ip());
        }
    }

    fn forget_first(&mut self, sa: &Sa) {
        let key = (sa.path.remote, sa.cookies.initiator);
        if self.by_first.get(&key) == Some(&sa.id) {
            self.by_first.remove(&key);
        }
    }

    fn no_longer_half_open(&mut self, source: IpAddr) {
        self.half_open_total = self.half_open_total.saturating_sub(1);
        let source = source_of(source);
        if let Some(count) = self.half_open.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                self.half_open.remove(&source);
            }
        }
    }

    /// Has a computation done; `computed` follows, at once or later.
    fn compute(&mut self, now: Instant, sa: &mut Sa, purpose: Purpose, work: Work) {
        self.stats.exchanges += u64::from(work.exchange.is_some());
        let serial = self.next_serial();
        let job = Job {
            sa: sa.id,
            serial,
            purpose,
            work,
        };
        if !self.config.deferred_jobs {
            self.computed(now, sa, job.run());
            return;
        }
        match purpose {
            Purpose::Main => sa.job = Some(serial),
            Purpose::Quick(id) => {
                if let Some(quick) = sa.quicks.get_mut(&id) {
                    quick.job = Some(serial);
                }
            }
        }
        self.event(Event::Job(Box::new(job)));
    }

    fn new_exchange(&mut self, group: Group, peer: Option<Vec<u8>>) -> Exchange {
        Exchange {
            group,
            private: crypto::private_key(group, &mut *self.rng),
            public: None,
            peer,
        }
    }

    fn computed(&mut self, now: Instant, sa: &mut Sa, result: JobResult) {
        let outcome = match (result.purpose, sa.role) {
            (Purpose::Main, crate::event::Role::Initiator) => {
                self.main_initiator_computed(now, sa, result)
            }
            (Purpose::Main, crate::event::Role::Responder) => {
                self.main_responder_computed(now, sa, result)
            }
            (Purpose::Quick(id), _) => self.quick_computed(now, sa, id, result),
        };
        if let Err(error) = outcome {
            tracing::debug!(peer = %sa.path.remote, reason = error.reason(), "exchange failed");
            if sa.state == State::Computing {
                self.fail_sa(
                    now,
                    sa,
                    RefusedReason::PeerRefused,
                    "the peer's Diffie-Hellman value is invalid",
                );
            }
        }
    }
}

/// What counts as one source: an address, or with IPv6 what a customer usually gets, a /64.
fn source_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        v4 => v4,
    }
}

/// SHA-1 of a message as it came: tells a duplicate from a new message.
fn digest(message: &[u8]) -> Vec<u8> {
    crypto::hash(Hash::Sha1, &[message])
}

/// For [`Limits::refusals`](crate::Limits::refusals).
const REFUSALS_WITHIN: Duration = Duration::from_secs(10);

/// Phase 1 proposals of an initiator without a list of its own: few, as some responders choke on
/// many.
const SHORT_PHASE1: [&str; 8] = [
    "aes256-sha256-modp2048",
    "aes256-sha1-ecp384",
    "aes128-sha1-ecp256",
    "aes256-sha1-modp2048",
    "aes128-sha1-modp2048",
    "3des-sha1-modp2048",
    "aes256-sha1-modp1024",
    "3des-sha1-modp1024",
];

/// The same for phase 2.
const SHORT_CHILD: [&str; 4] = ["aes256-sha1", "aes128-sha1", "aes256-sha256", "3des-sha1"];

/// What of a short list a policy allows; all of the policy if nothing.
fn short_list<T: Clone + PartialEq + std::str::FromStr>(policy: &[T], words: &[&str]) -> Vec<T> {
    let known = words.iter().filter_map(|w| w.parse().ok());
    let short: Vec<T> = known.filter(|suite| policy.contains(suite)).collect();
    if short.is_empty() {
        policy.to_vec()
    } else {
        short
    }
}

/// How long a lifetime of `seconds` is good for before it should be renewed: all but a tenth.
fn soft(seconds: u64) -> Duration {
    Duration::from_secs(seconds.saturating_mul(9) / 10)
}
