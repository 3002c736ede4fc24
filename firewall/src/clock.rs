//! The firewall's time: milliseconds since its first packet, and for what there are millions of,
//! eighths of a second.

use crate::config::Timeouts;
use std::time::{Duration, Instant};

/// In eighths of a second; enough for 17 years.
pub(crate) type Instant8 = u32;

const EIGHTH_MS: u64 = 125;

/// The last eighth that has begun.
pub(crate) fn floor(ms: u64) -> Instant8 {
    u32::try_from(ms / EIGHTH_MS).unwrap_or(u32::MAX)
}

/// The end of a time that begins now, never early.
pub(crate) fn end(ms: u64, timeout: Duration) -> Instant8 {
    let nanos = u64::from(timeout.subsec_nanos());
    let span = timeout.as_secs().saturating_mul(1000) + nanos.div_ceil(1_000_000);
    u32::try_from(ms.saturating_add(span).div_ceil(EIGHTH_MS)).unwrap_or(u32::MAX)
}

pub(crate) fn milliseconds(at: Instant8) -> u64 {
    u64::from(at) * EIGHTH_MS
}

/// What all packets of one moment have in common.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Moment {
    /// None: nothing is known yet.
    at: Option<Instant>,
    pub(crate) ms: u64,
    pub(crate) floor: Instant8,
    /// When flows end that have their last packet now: UDP, and TCP that is up.
    pub(crate) udp_end: Instant8,
    pub(crate) tcp_end: Instant8,
}

impl Moment {
    /// `ms` since the start.
    pub(crate) fn new(at: Instant, ms: u64, timeouts: &Timeouts) -> Self {
        Self {
            at: Some(at),
            ms,
            floor: floor(ms),
            udp_end: end(ms, timeouts.udp),
            tcp_end: end(ms, timeouts.tcp_established),
        }
    }

    pub(crate) fn is(&self, now: Instant) -> bool {
        self.at == Some(now)
    }
}
