//! The firewall's time: milliseconds since its first packet, and for what there are millions of,
//! eighths of a second.

use std::time::Duration;

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
