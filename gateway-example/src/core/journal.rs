//! The last attempts to connect, for `gateway explain`: bounded, and fair to those who are known.

use super::PeerId;
use super::advice::advise;
use super::status::{AttemptStatus, LastError, Stage};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Instant;

/// Attempts kept for each source.
const PER_SOURCE: usize = 8;

/// Sources kept of each [`Proof`].
const SOURCES: usize = 512;

/// Bytes kept of each text that a client has chosen.
const TEXT: usize = 200;

/// What a source has proved. One that has proved less never takes the place of one that has proved
/// more: a flood of spoofed first messages hides nothing but other first messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Proof {
    /// Nothing: its address may be spoofed.
    Nothing,
    /// It has answered with our cookie, so that it is where it says.
    Address,
    /// It has the pre-shared key.
    Key,
}

/// What became of an attempt.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    pub(super) conn: Option<PeerId>,
    pub(super) peer: SocketAddr,
    pub(super) user: Option<String>,
    pub(super) host: Option<String>,
    pub(super) stage: Stage,
    pub(super) reason: String,
    pub(super) detail: String,
    /// Better advice than the reason alone allows.
    pub(super) hint: String,
}

#[derive(Debug)]
struct Entry {
    attempt: Attempt,
    times: u32,
    first: Instant,
    last: Instant,
}

#[derive(Debug)]
struct Source {
    proof: Proof,
    serial: u64,
    /// The newest last.
    entries: VecDeque<Entry>,
}

/// The last attempts of each source.
#[derive(Debug, Default)]
pub(super) struct Journal {
    sources: HashMap<IpAddr, Source>,
    /// Sources by what they have proved and when they were last heard of.
    order: BTreeMap<(Proof, u64), IpAddr>,
    serial: u64,
}

/// An IPv6 host has a whole /64 to choose from.
fn source_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 => v4,
    }
}

fn cut(mut text: String) -> String {
    if let Some((at, _)) = text.char_indices().take_while(|(at, _)| *at <= TEXT).last()
        && text.len() > TEXT
    {
        text.truncate(at);
    }
    text
}

impl Journal {
    /// The source at `address` has proved something.
    pub(super) fn prove(&mut self, address: IpAddr, proof: Proof) {
        self.touch(source_of(address), proof);
    }

    /// Keeps an attempt; one like the last of its source is counted with it.
    pub(super) fn record(&mut self, now: Instant, proof: Proof, mut attempt: Attempt) {
        for text in [&mut attempt.detail, &mut attempt.hint, &mut attempt.reason] {
            *text = cut(std::mem::take(text));
        }
        for text in [&mut attempt.user, &mut attempt.host] {
            *text = text.take().map(cut);
        }
        let key = source_of(attempt.peer.ip());
        let Some(source) = self.touch(key, proof) else {
            return;
        };
        let alike = |a: &Attempt| {
            (a.stage, &a.reason, &a.user, &a.host)
                == (attempt.stage, &attempt.reason, &attempt.user, &attempt.host)
        };
        match source.entries.iter().position(|e| alike(&e.attempt)) {
            Some(at) if attempt.stage != Stage::Connected => {
                if let Some(mut entry) = source.entries.remove(at) {
                    entry.times = entry.times.saturating_add(1);
                    entry.last = now;
                    entry.attempt = attempt;
                    source.entries.push_back(entry);
                }
            }
            _ => {
                if source.entries.len() >= PER_SOURCE {
                    source.entries.pop_front();
                }
                source.entries.push_back(Entry {
                    attempt,
                    times: 1,
                    first: now,
                    last: now,
                });
            }
        }
    }

    /// The source, now the newest of those who have proved as much; it makes room among them.
    fn touch(&mut self, key: IpAddr, proof: Proof) -> Option<&mut Source> {
        self.serial += 1;
        let serial = self.serial;
        let source = self.sources.entry(key).or_insert_with(|| Source {
            proof,
            serial,
            entries: VecDeque::new(),
        });
        self.order.remove(&(source.proof, source.serial));
        source.proof = source.proof.max(proof);
        source.serial = serial;
        let proof = source.proof;
        self.order.insert((proof, serial), key);
        let mut same = self.order.range((proof, 0)..=(proof, u64::MAX));
        if same.clone().count() > SOURCES
            && let Some((&oldest, &evicted)) = same.next()
        {
            self.order.remove(&oldest);
            self.sources.remove(&evicted);
        }
        self.sources.get_mut(&key)
    }

    /// Attempts from `address`, the newest first.
    pub(super) fn of_address(&self, now: Instant, address: IpAddr) -> Vec<AttemptStatus> {
        let source = self.sources.get(&source_of(address));
        sorted(now, source.into_iter().flat_map(|s| &s.entries))
    }

    /// Attempts of `user`, the newest first.
    pub(super) fn of_user(&self, now: Instant, user: &str) -> Vec<AttemptStatus> {
        let entries = self.sources.values().flat_map(|s| &s.entries);
        sorted(
            now,
            entries.filter(|e| e.attempt.user.as_deref() == Some(user)),
        )
    }

    /// The last failure of each user.
    pub(super) fn failures(&self, now: Instant) -> HashMap<&str, LastError> {
        let mut newest: HashMap<&str, &Entry> = HashMap::new();
        for entry in self.sources.values().flat_map(|s| &s.entries) {
            if let Some(user) = &entry.attempt.user
                && entry.attempt.is_failure()
                && newest
                    .get(user.as_str())
                    .is_none_or(|e| e.last < entry.last)
            {
                newest.insert(user, entry);
            }
        }
        let error = |e: &Entry| e.error(now);
        newest.iter().map(|(user, e)| (*user, error(e))).collect()
    }

    /// The last failure from `address`.
    pub(super) fn failure_from(&self, now: Instant, address: IpAddr) -> Option<LastError> {
        let entries = &self.sources.get(&source_of(address))?.entries;
        let failures = entries.iter().filter(|e| e.attempt.is_failure());
        failures.max_by_key(|e| e.last).map(|e| e.error(now))
    }
}

impl Attempt {
    /// Whether it says that something is wrong.
    fn is_failure(&self) -> bool {
        const ENDINGS: [&str; 4] = ["peer_terminated", "peer_closed", "administrative", "local"];
        self.stage != Stage::Connected || !ENDINGS.contains(&self.reason.as_str())
    }
}

impl Entry {
    fn error(&self, now: Instant) -> LastError {
        LastError {
            reason: self.attempt.reason.clone(),
            seconds_ago: now.saturating_duration_since(self.last).as_secs(),
        }
    }

    fn status(&self, now: Instant) -> AttemptStatus {
        let attempt = &self.attempt;
        let advice = advise(attempt.stage, &attempt.reason);
        let text = |text: &str| Some(text.to_owned()).filter(|t| !t.is_empty());
        AttemptStatus {
            id: attempt.conn.map(PeerId::number),
            peer: attempt.peer.to_string(),
            user: attempt.user.clone(),
            host: attempt.host.clone(),
            connected: attempt.stage == Stage::Connected,
            stage: attempt.stage,
            reason: attempt.reason.clone(),
            explanation: advice.explanation.to_owned(),
            detail: text(&attempt.detail),
            advice: text(&attempt.hint).or_else(|| text(advice.advice)),
            windows_error: advice.windows,
            times: self.times,
            first_seconds_ago: now.saturating_duration_since(self.first).as_secs(),
            last_seconds_ago: now.saturating_duration_since(self.last).as_secs(),
        }
    }
}

fn sorted<'a>(now: Instant, entries: impl Iterator<Item = &'a Entry>) -> Vec<AttemptStatus> {
    let mut entries: Vec<_> = entries.collect();
    entries.sort_by_key(|e| std::cmp::Reverse(e.last));
    entries.into_iter().map(|e| e.status(now)).collect()
}

#[cfg(test)]
mod tests {
    use super::{Attempt, Journal, PER_SOURCE, Proof, SOURCES};
    use crate::core::status::Stage;
    use std::net::{IpAddr, Ipv4Addr, SocketAddr};
    use std::time::{Duration, Instant};

    #[allow(
        clippy::disallowed_methods,
        reason = "any start will do for virtual time"
    )]
    fn start() -> Instant {
        Instant::now()
    }

    fn attempt(address: u32, stage: Stage, reason: &str, user: Option<&str>) -> Attempt {
        Attempt {
            conn: None,
            peer: SocketAddr::new(Ipv4Addr::from(address).into(), 500),
            user: user.map(str::to_owned),
            host: None,
            stage,
            reason: reason.to_owned(),
            detail: String::new(),
            hint: String::new(),
        }
    }

    fn from(address: u32) -> IpAddr {
        Ipv4Addr::from(address).into()
    }

    #[test]
    fn spoofed_sources_take_no_place_from_those_who_proved_something() {
        let (mut journal, now) = (Journal::default(), start());
        let wrong = attempt(1, Stage::Authentication, "bad_password", Some("ann"));
        journal.record(now, Proof::Key, wrong);
        let wrong = attempt(2, Stage::MainMode, "authentication_failed", None);
        journal.record(now, Proof::Address, wrong);
        for address in 1000..1000 + 10 * u32::try_from(SOURCES).unwrap() {
            let spoofed = attempt(address, Stage::MainMode, "no_proposal_chosen", None);
            journal.record(now, Proof::Nothing, spoofed);
        }
        assert_eq!(journal.of_address(now, from(1)).len(), 1);
        assert_eq!(journal.of_user(now, "ann")[0].windows_error, Some(691));
        assert_eq!(
            journal.of_address(now, from(2))[0].reason,
            "authentication_failed"
        );
        assert!(journal.sources.len() <= 2 * SOURCES + 2);
        assert_eq!(journal.sources.len(), journal.order.len());
        // What was proved once holds for what comes later.
        journal.record(
            now,
            Proof::Nothing,
            attempt(1, Stage::MainMode, "timeout", None),
        );
        assert_eq!(journal.of_address(now, from(1)).len(), 2);
    }

    #[test]
    fn the_same_again_is_counted_and_each_source_has_few_lines() {
        let (mut journal, now) = (Journal::default(), start());
        for seconds in 0..30 {
            let at = now + Duration::from_secs(seconds);
            journal.record(
                at,
                Proof::Address,
                attempt(1, Stage::MainMode, "timeout", None),
            );
        }
        let end = now + Duration::from_secs(40);
        let lines = journal.of_address(end, from(1));
        assert_eq!((lines.len(), lines[0].times), (1, 30));
        assert_eq!(
            (lines[0].first_seconds_ago, lines[0].last_seconds_ago),
            (40, 11)
        );
        for user in 0..100 {
            let user = format!("user{user}").repeat(100);
            let wrong = attempt(1, Stage::Authentication, "unknown_user", Some(&user));
            journal.record(end, Proof::Key, wrong);
        }
        let lines = journal.of_address(end, from(1));
        assert_eq!(lines.len(), PER_SOURCE);
        assert!(
            lines
                .iter()
                .all(|l| l.user.as_ref().is_none_or(|u| u.len() <= 200))
        );
    }

    #[test]
    fn a_user_who_hung_up_has_no_error() {
        let (mut journal, now) = (Journal::default(), start());
        let end = attempt(1, Stage::Connected, "peer_terminated", Some("ann"));
        journal.record(now, Proof::Key, end);
        assert!(journal.failures(now).is_empty());
        let lost = attempt(1, Stage::Connected, "echo_timeout", Some("ann"));
        journal.record(now, Proof::Key, lost);
        assert_eq!(journal.failures(now)["ann"].reason, "echo_timeout");
        assert!(journal.failure_from(now, from(1)).is_some());
    }
}
