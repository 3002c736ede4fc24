//! Which first messages are looked at when more come than can be answered.
//!
//! Up to a rate all are. Beyond it a first message is only noted, and one that comes again is
//! looked at: a peer repeats what nobody has answered, a flood in made-up names does not. Those that
//! do come again have a rate of their own, and no network of senders gets more than a part of either.

use super::dispatch::Incoming;
use rand_core::Rng;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::IpAddr;
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);

/// A network of senders gets this part of what is looked at.
const SHARE: u32 = 8;
/// Networks are counted in as many places.
const PLACES: usize = 4096;

/// How long a first message is remembered at least: clients repeat it after one to ten seconds.
const MEMORY: Duration = Duration::from_secs(12);
/// Words of a filter, and of the block of it that one message touches: a line of the cache.
const WORDS: usize = 1 << 17;
const BLOCK: usize = 8;
/// Messages in a filter at most: one in a hundred strangers is then taken for a known one.
const MESSAGES: usize = 600_000;

/// How many were looked at within a second.
#[derive(Default)]
struct Rate {
    since: Option<Instant>,
    all: u32,
    by_network: Vec<u16>,
}

impl Rate {
    fn admit(&mut self, now: Instant, most: u32, place: usize) -> bool {
        let fresh = |since: &Instant| now.saturating_duration_since(*since) < SECOND;
        if !self.since.as_ref().is_some_and(fresh) {
            self.since = Some(now);
            self.all = 0;
            self.by_network.clear();
            self.by_network.resize(PLACES, 0);
        }
        let Some(here) = self.by_network.get_mut(place) else {
            return false;
        };
        let admitted = self.all < most && u32::from(*here) < most.div_ceil(SHARE);
        if admitted {
            self.all += 1;
            *here = here.saturating_add(1);
        }
        admitted
    }
}

/// A Bloom filter.
#[derive(Default)]
struct Filter {
    words: Vec<u64>,
    messages: usize,
}

impl Filter {
    /// The words and bits that stand for a message.
    fn bits(hash: u64) -> impl Iterator<Item = (usize, u64)> {
        let [a, b, c, d, e, f, ..] = hash.to_le_bytes();
        let block = usize::from_le_bytes([a, b, c, 0, 0, 0, 0, 0]) * BLOCK % WORDS;
        let rest = u64::from(u32::from_le_bytes([d, e, f, 0])) | (hash >> 48) << 24;
        (0..4_u32).map(move |i| {
            let nine = rest >> (9 * i);
            let word = usize::try_from(nine & 7).unwrap_or(0);
            (block + word, 1 << (nine >> 3 & 63))
        })
    }

    fn has(&self, hash: u64) -> bool {
        let mut bits = Self::bits(hash);
        bits.all(|(at, bit)| self.words.get(at).is_some_and(|word| word & bit != 0))
    }

    fn add(&mut self, hash: u64) {
        self.words.resize(WORDS, 0);
        self.messages += 1;
        for (at, bit) in Self::bits(hash) {
            if let Some(word) = self.words.get_mut(at) {
                *word |= bit;
            }
        }
    }
}

/// The rates, and what was not looked at lately.
pub(super) struct Admission {
    key: [u64; 2],
    first: Rate,
    again: Rate,
    /// Since when the newer of the filters is filled.
    since: Option<Instant>,
    newer: Filter,
    older: Filter,
}

impl Admission {
    pub(super) fn new(rng: &mut dyn Rng) -> Self {
        Self {
            key: [rng.next_u64(), rng.next_u64()],
            first: Rate::default(),
            again: Rate::default(),
            since: None,
            newer: Filter::default(),
            older: Filter::default(),
        }
    }

    /// Whether a first message is looked at, if `most` of them are in a second.
    pub(super) fn admit(&mut self, now: Instant, most: u32, incoming: &Incoming<'_>) -> bool {
        let network = network_of(incoming.path.remote.ip());
        let place = usize::try_from(self.hash(&network)).unwrap_or(0) % PLACES;
        if self.first.admit(now, most, place) {
            return true;
        }
        self.age(now);
        let hash = self.hash(&(incoming.path.remote.ip(), incoming.header.initiator_cookie));
        if self.newer.has(hash) || self.older.has(hash) {
            return self.again.admit(now, most, place);
        }
        self.newer.add(hash);
        false
    }

    /// Forgets what was long ago.
    pub(super) fn age(&mut self, now: Instant) {
        let since = *self.since.get_or_insert(now);
        let old = now.saturating_duration_since(since);
        if old >= 2 * MEMORY {
            self.newer = Filter::default();
            self.older = Filter::default();
        }
        if old >= MEMORY || self.newer.messages >= MESSAGES {
            self.since = Some(now);
            self.older = std::mem::take(&mut self.newer);
        }
    }

    /// Nobody can choose where it falls.
    fn hash(&self, what: &impl std::hash::Hash) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.key.hash(&mut hasher);
        what.hash(&mut hasher);
        hasher.finish()
    }
}

/// What a sender of spoofed packets may have for itself: a /24, with IPv6 a /48.
fn network_of(address: IpAddr) -> [u16; 3] {
    match address.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            [u16::from_be_bytes([a, b]), c.into(), 0]
        }
        IpAddr::V6(ip) => {
            let [a, b, c, ..] = ip.segments();
            [a, b, c]
        }
    }
}
