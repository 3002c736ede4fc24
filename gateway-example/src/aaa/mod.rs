//! Who may log in, with which address, for how long, and who is told of it: authentication,
//! authorization and accounting, sans-IO.
//!
//! Users of the configuration come first; others are for the RADIUS servers to know. Reply
//! datagrams and time go in, verdicts and hang-ups come out.

mod accounting;
mod dynamic;
mod guard;
mod login;
#[cfg(test)]
mod tests;

pub use accounting::{Cause, Traffic};

use crate::config::Config;
use crate::pool::{Leases, Pool, Remembered};
use crate::radius::{self, Port, Transmit};
use guard::Guard;
use login::{Login, Pending};
use rand_core::CryptoRng;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One call, for as long as it lasts; never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(u64);

/// Between whom a call is, outside the tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// The client's address and port, as we see them.
    pub peer: SocketAddr,
    /// The gateway's.
    pub local: SocketAddr,
}

/// What the owner of an [`Aaa`] has to do or may want to record.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The answer to a login.
    Verdict {
        /// Of which call.
        call: CallId,
        /// For [`ppp::Link::authenticate`].
        verdict: ppp::Verdict,
    },
    /// A call has to end; say [`Aaa::end`] when it has.
    HangUp {
        /// Which.
        call: CallId,
        /// Why, in words for the client.
        reason: &'static str,
        /// Its user has another call already, so that nobody may be there to answer.
        replaced: bool,
    },
    /// A login was refused; the line for the log comes as well.
    Denied {
        /// Of which call.
        call: CallId,
        /// Who it said it was.
        user: String,
        /// A stable word.
        reason: &'static str,
    },
    /// A line for the log.
    Note {
        /// Whom it concerns.
        call: Option<CallId>,
        /// False if it is a refusal or a loss.
        good: bool,
        /// What happened.
        text: String,
    },
}

/// Authentication, authorization and accounting for all calls.
pub struct Aaa {
    config: Arc<Config>,
    radius: Option<radius::Client>,
    /// For a RADIUS client, until there is one.
    rng: Option<Box<dyn CryptoRng + Send>>,
    leases: Leases<CallId>,
    calls: BTreeMap<CallId, Call>,
    /// Calls of each user who is in.
    of_user: HashMap<String, BTreeSet<CallId>>,
    /// Logins that a RADIUS server decides.
    asked: HashMap<u64, CallId>,
    guard: Guard,
    deadlines: BTreeSet<(Instant, CallId, Timer)>,
    events: VecDeque<Event>,
    serial: u64,
    /// Tells the sessions of one run from those of the next.
    boot: u32,
    /// An instant, and the time since 1970 it was.
    clock: Option<(Instant, Duration)>,
    closing: bool,
    complained: Option<Instant>,
}

/// Between two log lines about packets that do not verify.
const COMPLAINT: Duration = Duration::from_secs(60);

#[derive(Debug)]
struct Call {
    caller: Caller,
    pending: Option<Pending>,
    login: Option<Login>,
    /// We have hung up, and why.
    ended: Option<Cause>,
    timers: BTreeMap<Timer, Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// A login that had to wait for an earlier one's answer.
    Begin,
    /// A refusal that is held back.
    Answer,
    Session,
    Idle,
    Interim,
}

impl std::fmt::Debug for Aaa {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Aaa")
            .field("calls", &self.calls.len())
            .field("addresses", &self.leases.in_use())
            .field("radius", &self.radius)
            .finish_non_exhaustive()
    }
}

/// All pools; the one for users for whom none is named has the empty name.
fn pools(config: &Config) -> BTreeMap<String, Pool> {
    let mut pools = config.pool.named.clone();
    pools.insert(String::new(), config.pool.range);
    pools
}

fn owned(config: &Config) -> impl Iterator<Item = Ipv4Addr> {
    let users = config.users.values().filter_map(|u| u.address);
    users.chain([config.ppp.local])
}

impl Aaa {
    /// Nobody is in yet.
    #[must_use]
    pub fn new(config: Arc<Config>, mut rng: Box<dyn CryptoRng + Send>) -> Self {
        let boot = rng.next_u32();
        let mut rng = Some(rng);
        let settings = config.radius.as_ref();
        let client = settings.zip(rng.take_if(|_| settings.is_some()));
        Self {
            radius: client.map(|(r, rng)| radius::Client::new(r.client(), rng)),
            rng,
            leases: Leases::new(pools(&config), owned(&config)),
            config,
            calls: BTreeMap::new(),
            of_user: HashMap::new(),
            asked: HashMap::new(),
            guard: Guard::default(),
            deadlines: BTreeSet::new(),
            events: VecDeque::new(),
            serial: 0,
            boot,
            clock: None,
            closing: false,
            complained: None,
        }
    }

    /// Other users, pools, limits and RADIUS servers for logins from now on; who is in stays, and
    /// is accounted for.
    pub fn reconfigure(&mut self, now: Instant, config: Arc<Config>) {
        self.leases.reconfigure(pools(&config), owned(&config));
        if self.config.radius != config.radius {
            let settings = config.radius.as_ref();
            let servers = settings.map_or_else(radius::Config::default, |r| r.client());
            match (&mut self.radius, settings.and(self.rng.take())) {
                (Some(client), _) => client.reconfigure(now, servers),
                (none, rng) => *none = rng.map(|rng| radius::Client::new(servers, rng)),
            }
        }
        self.config = config;
        self.drain_radius(now);
    }

    /// Tells the time since 1970, for accounting; at first also that this gateway has started.
    pub fn set_clock(&mut self, now: Instant, wall: Duration) {
        let started = self.clock.replace((now, wall)).is_none();
        if started {
            self.account_gateway(now, accounting::Status::On);
        }
    }

    fn wall(&self, now: Instant) -> Option<Duration> {
        let (at, wall) = self.clock?;
        Some(wall + now.saturating_duration_since(at))
    }

    // --- calls ---

    /// A call is up.
    pub fn begin(&mut self, caller: Caller) -> CallId {
        self.serial += 1;
        let id = CallId(self.serial);
        let call = Call {
            caller,
            pending: None,
            login: None,
            ended: None,
            timers: BTreeMap::new(),
        };
        self.calls.insert(id, call);
        id
    }

    /// Packets flow: the user's time runs.
    pub fn opened(&mut self, now: Instant, id: CallId) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let Some(login) = call.login.as_mut().filter(|l| l.opened.is_none()) else {
            return;
        };
        login.opened = Some(now);
        login.idle_since = Some((Traffic::default(), now));
        let (session, idle, interim) = (
            login.grant.session_timeout,
            login.grant.idle_timeout,
            login.grant.interim_interval,
        );
        self.account(now, id, accounting::Status::Start, Traffic::default(), None);
        self.set_timer(id, Timer::Session, session.map(|t| now + t));
        self.set_timer(id, Timer::Idle, idle.map(|t| now + idle_check(t)));
        self.set_timer(id, Timer::Interim, interim.map(|t| now + t));
    }

    /// A call has ended, for the reason that PPP or L2TP gave, after `traffic`.
    pub fn end(&mut self, now: Instant, id: CallId, reason: &str, traffic: Traffic) {
        let Some(call) = self.calls.get(&id) else {
            return;
        };
        let ours = call
            .ended
            .or_else(|| self.closing.then_some(Cause::AdminReboot));
        let cause = ours.unwrap_or_else(|| Cause::of(reason));
        let timers: Vec<_> = call.timers.keys().copied().collect();
        for timer in timers {
            self.set_timer(id, timer, None);
        }
        self.account(now, id, accounting::Status::Stop, traffic, Some(cause));
        self.give_back(id);
        self.calls.remove(&id);
    }

    /// The gateway stops: what ends now ends by that.
    pub fn closing(&mut self) {
        self.closing = true;
    }

    /// All calls have ended: tells the servers so.
    pub fn close(&mut self, now: Instant) {
        self.account_gateway(now, accounting::Status::Off);
    }

    /// Hangs up, for a reason of our own.
    fn hang_up(&mut self, id: CallId, cause: Cause, reason: &'static str) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        if call.ended.replace(cause).is_some() {
            return;
        }
        self.give_back(id);
        let replaced = cause == Cause::PortPreempted;
        self.events.push_back(Event::HangUp {
            call: id,
            reason,
            replaced,
        });
    }

    /// Takes a call's address back, so that it can be given again at once.
    fn give_back(&mut self, id: CallId) {
        let Some(login) = self.calls.get_mut(&id).and_then(|c| c.login.as_mut()) else {
            return;
        };
        if std::mem::replace(&mut login.holds, false) {
            self.leases.release(login.address);
        }
        if let Some(calls) = self.of_user.get_mut(&login.user) {
            calls.remove(&id);
            if calls.is_empty() {
                self.of_user.remove(&login.user);
            }
        }
    }

    // --- RADIUS ---

    /// A datagram came from a RADIUS server, or as if from one.
    ///
    /// # Errors
    /// Why it was dropped; it is counted too.
    pub fn handle_radius(
        &mut self,
        now: Instant,
        port: Port,
        from: SocketAddr,
        datagram: &[u8],
    ) -> Result<(), radius::Error> {
        let wall = self.wall(now);
        let Some(radius) = &mut self.radius else {
            return Err(radius::Error::UnknownServer);
        };
        let handled = radius.handle_datagram(now, wall, port, from, datagram);
        self.drain_radius(now);
        if let Err(error) = handled {
            self.complain(now, from, error);
        }
        handled
    }

    /// Says what is wrong with a server's replies, now and then: an administrator can mend it, and
    /// a forger cannot fill the log.
    fn complain(&mut self, now: Instant, from: SocketAddr, error: radius::Error) {
        use radius::Error::{BadAuthenticator, BadMessageAuthenticator, NoMessageAuthenticator};
        let mendable = matches!(
            error,
            BadAuthenticator | BadMessageAuthenticator | NoMessageAuthenticator
        );
        if mendable && self.complained.is_none_or(|at| at + COMPLAINT <= now) {
            self.complained = Some(now);
            let reason = error.reason();
            let text =
                format!("RADIUS packet dropped from={from} reason={reason} hint=\"{error}\"");
            self.note(None, false, text);
        }
    }

    fn drain_radius(&mut self, now: Instant) {
        while let Some(event) = self.radius.as_mut().and_then(radius::Client::poll_event) {
            match event {
                radius::Event::Access { key, outcome } => self.on_outcome(now, key, outcome),
                radius::Event::Dynamic(request) => self.on_dynamic(now, &request),
                radius::Event::ServerDown { server } => {
                    self.note(None, false, format!("RADIUS server {server} is silent"));
                }
                radius::Event::ServerUp { server } => {
                    self.note(None, true, format!("RADIUS server {server} answers again"));
                }
            }
        }
    }

    /// The next datagram for a RADIUS server.
    #[must_use]
    pub fn poll_radius(&mut self) -> Option<Transmit> {
        self.radius.as_mut()?.poll_transmit()
    }

    /// How the RADIUS client fares, if there is one.
    #[must_use]
    pub fn radius(&self) -> Option<&radius::Client> {
        self.radius.as_ref()
    }

    /// Whether every accounting record has arrived.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.radius.as_ref().is_none_or(radius::Client::is_idle)
    }

    // --- time and output ---

    /// Does what is due; `meter` knows the traffic of each call.
    pub fn handle_timeout(&mut self, now: Instant, meter: &dyn Fn(CallId) -> Traffic) {
        while let Some((at, id, timer)) = self.deadlines.first().copied() {
            if at > now {
                break;
            }
            self.set_timer(id, timer, None);
            match timer {
                Timer::Begin => self.judge(now, id),
                Timer::Answer => self.answer_now(id),
                Timer::Session => self.hang_up(id, Cause::SessionTimeout, "session timeout"),
                Timer::Idle => self.check_idle(now, id, meter(id)),
                Timer::Interim => self.interim(now, id, meter(id)),
            }
        }
        if let Some(radius) = &mut self.radius
            && radius.poll_timeout().is_some_and(|at| at <= now)
        {
            radius.handle_timeout(now);
        }
        self.drain_radius(now);
    }

    fn check_idle(&mut self, now: Instant, id: CallId, traffic: Traffic) {
        let Some(login) = self.calls.get_mut(&id).and_then(|c| c.login.as_mut()) else {
            return;
        };
        let Some(timeout) = login.grant.idle_timeout else {
            return;
        };
        let since = match login.idle_since {
            Some((seen, since)) if seen == traffic => since,
            _ => now,
        };
        login.idle_since = Some((traffic, since));
        if now.saturating_duration_since(since) >= timeout {
            self.hang_up(id, Cause::IdleTimeout, "idle timeout");
        } else {
            let next = (since + timeout).min(now + idle_check(timeout));
            self.set_timer(id, Timer::Idle, Some(next));
        }
    }

    /// When `handle_timeout` is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let calls = self.deadlines.first().map(|(at, ..)| *at);
        let radius = self.radius.as_ref().and_then(radius::Client::poll_timeout);
        calls.into_iter().chain(radius).min()
    }

    /// What happened next.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn set_timer(&mut self, id: CallId, timer: Timer, at: Option<Instant>) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let before = match at {
            Some(at) => call.timers.insert(timer, at),
            None => call.timers.remove(&timer),
        };
        if let Some(before) = before {
            self.deadlines.remove(&(before, id, timer));
        }
        if let Some(at) = at {
            self.deadlines.insert((at, id, timer));
        }
    }

    fn note(&mut self, call: Option<CallId>, good: bool, text: String) {
        self.events.push_back(Event::Note { call, good, text });
    }

    // --- what outlives a restart ---

    /// Grows when [`remembered`](Self::remembered) gives something else.
    #[must_use]
    pub fn leases_revision(&self) -> u64 {
        self.leases.revision()
    }

    /// Whose addresses are kept.
    #[must_use]
    pub fn remembered(&self) -> Vec<Remembered> {
        self.leases.remembered()
    }

    /// Keeps addresses for those who had them before; how many.
    pub fn remember(&mut self, leases: &[Remembered]) -> usize {
        let kept = leases.iter().filter(|lease| self.leases.remember(lease));
        kept.count()
    }

    // --- what is there ---

    /// Addresses in use.
    #[must_use]
    pub fn addresses_in_use(&self) -> usize {
        self.leases.in_use()
    }

    /// What RADIUS has dropped or lost, by reason.
    pub fn drops(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.radius.iter().flat_map(|radius| {
            let lost = radius.status().records_lost;
            let lost = (lost > 0).then_some(("radius_record_lost", lost));
            radius.drops().iter().map(|(r, n)| (*r, *n)).chain(lost)
        })
    }

    /// Calls, with a user or still without.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    /// Who has logged in on a call, and the address given.
    #[must_use]
    pub fn user(&self, id: CallId) -> Option<(&str, Ipv4Addr)> {
        let login = self.calls.get(&id)?.login.as_ref()?;
        Some((&login.user, login.address))
    }

    /// Acct-Session-Id of a call: one id from login to accounting.
    #[must_use]
    pub fn session_id(&self, id: CallId) -> String {
        format!("{:08x}-{:08x}", self.boot, id.0)
    }
}

/// How often to look whether packets flow: often enough that an idle timeout is off by no more
/// than an eighth.
fn idle_check(timeout: Duration) -> Duration {
    (timeout / 8).max(Duration::from_secs(1))
}
