use core::ops::Add;
use core::time::Duration;

/// How long silence may last (RFC 3948 section 4): 20 seconds.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);

/// When to send a keepalive so that a NAT does not forget us (RFC 3948 section 4).
///
/// Time is `std::time::Instant`, or where there is no `std` anything that counts up, such as the
/// [`Duration`] since a start.
#[derive(Debug, Clone)]
pub struct Keepalive<#[cfg(feature = "std")] T = std::time::Instant, #[cfg(not(feature = "std"))] T>
{
    interval: Duration,
    due: T,
}

impl<T: Copy + Ord + Add<Duration, Output = T>> Keepalive<T> {
    /// The first is due one `interval` from `now`.
    #[must_use]
    pub fn new(now: T, interval: Duration) -> Self {
        Self {
            interval,
            due: now + interval,
        }
    }

    /// Other traffic has gone out: it keeps the mapping alive as well.
    pub fn outbound(&mut self, now: T) {
        self.due = now + self.interval;
    }

    /// True if a keepalive is to be sent now.
    #[must_use]
    pub fn handle_timeout(&mut self, now: T) -> bool {
        let due = now >= self.due;
        if due {
            self.outbound(now);
        }
        due
    }

    /// When `handle_timeout` is due.
    #[must_use]
    pub const fn poll_timeout(&self) -> T {
        self.due
    }
}
