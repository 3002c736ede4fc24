use core::fmt::Debug;
use core::ops::Add;
use core::time::Duration;

/// A point in time: `std::time::Instant`, or where there is no `std` anything that counts up, such
/// as the [`Duration`] since a start.
pub trait Moment: Copy + Ord + Debug + Add<Duration, Output = Self> {}

impl<T: Copy + Ord + Debug + Add<Duration, Output = Self>> Moment for T {}

/// Limits on the use of an SA (RFC 4301 section 4.4.2.1); none where not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Lifetime {
    /// Bytes until it should be replaced.
    pub soft_bytes: Option<u64>,
    /// Bytes until it stops.
    pub hard_bytes: Option<u64>,
    /// Packets until it should be replaced.
    pub soft_packets: Option<u64>,
    /// Packets until it stops.
    pub hard_packets: Option<u64>,
    /// Age at which it should be replaced.
    pub soft_time: Option<Duration>,
    /// Age at which it stops.
    pub hard_time: Option<Duration>,
}

impl Lifetime {
    /// What ciphers with blocks of 64 bits get (SWEET32, CVE-2016-2183).
    pub const SHORT_BLOCKS: Self = Self {
        soft_bytes: Some(4 << 30),
        hard_bytes: Some(32 << 30),
        soft_packets: None,
        hard_packets: None,
        soft_time: None,
        hard_time: None,
    };
}

/// More than any clock counts on to may be meant as "never".
const NEVER: Duration = Duration::from_secs(100 * 365 * 86_400);

/// What an SA has been used for, against its limits.
#[derive(Debug)]
pub(crate) struct Usage<T> {
    limits: Lifetime,
    pub(crate) bytes: u64,
    pub(crate) packets: u64,
    soft_at: Option<T>,
    hard_at: Option<T>,
    soft_reported: bool,
    hard_reported: bool,
}

/// A limit that has been reached for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expiry {
    Soft,
    Hard,
}

impl<T: Moment> Usage<T> {
    pub(crate) fn new(now: T, limits: Lifetime) -> Self {
        let end = |age: Duration| now + age.min(NEVER);
        Self {
            limits,
            bytes: 0,
            packets: 0,
            soft_at: limits.soft_time.map(end),
            hard_at: limits.hard_time.map(end),
            soft_reported: false,
            hard_reported: false,
        }
    }

    pub(crate) fn is_over(&self, now: T) -> bool {
        self.reached(
            now,
            self.hard_at,
            self.limits.hard_bytes,
            self.limits.hard_packets,
        )
    }

    pub(crate) fn add(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes as u64);
        self.packets = self.packets.saturating_add(1);
    }

    /// Whether there is something new to tell the owner.
    pub(crate) fn report(&mut self, now: T) -> Option<Expiry> {
        if !self.hard_reported && self.is_over(now) {
            self.hard_reported = true;
            self.soft_reported = true;
            return Some(Expiry::Hard);
        }
        let soft = self.reached(
            now,
            self.soft_at,
            self.limits.soft_bytes,
            self.limits.soft_packets,
        );
        if !self.soft_reported && soft {
            self.soft_reported = true;
            return Some(Expiry::Soft);
        }
        None
    }

    /// The next age limit to look at.
    pub(crate) fn deadline(&self) -> Option<T> {
        let soft = self.soft_at.filter(|_| !self.soft_reported);
        let hard = self.hard_at.filter(|_| !self.hard_reported);
        [soft, hard].into_iter().flatten().min()
    }

    fn reached(&self, now: T, at: Option<T>, bytes: Option<u64>, packets: Option<u64>) -> bool {
        at.is_some_and(|at| at <= now)
            || bytes.is_some_and(|limit| self.bytes >= limit)
            || packets.is_some_and(|limit| self.packets >= limit)
    }
}
