use std::time::{Duration, Instant};

/// When to send a keepalive so that a NAT does not forget us (RFC 3948 section 4).
#[derive(Debug, Clone)]
pub struct Keepalive {
    interval: Duration,
    due: Instant,
}

impl Keepalive {
    /// The interval of RFC 3948: 20 seconds.
    pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(20);

    /// The first is due one `interval` from `now`.
    #[must_use]
    pub fn new(now: Instant, interval: Duration) -> Self {
        Self {
            interval,
            due: now + interval,
        }
    }

    /// Other traffic has gone out: it keeps the mapping alive as well.
    pub fn outbound(&mut self, now: Instant) {
        self.due = now + self.interval;
    }

    /// True if a keepalive is to be sent now.
    #[must_use]
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        let due = now >= self.due;
        if due {
            self.outbound(now);
        }
        due
    }

    /// When `handle_timeout` is due.
    #[must_use]
    pub const fn poll_timeout(&self) -> Instant {
        self.due
    }
}
