use crate::{Found, OpenError, SealError};
use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};

/// What went through a [`Sadb`](crate::Sadb) and what was dropped. A read never waits.
#[derive(Debug, Default)]
pub struct Counters {
    packets_in: AtomicU64,
    bytes_in: AtomicU64,
    packets_out: AtomicU64,
    bytes_out: AtomicU64,
    dropped_in: [AtomicU64; OpenError::ALL.len()],
    dropped_out: [AtomicU64; SealError::ALL.len()],
}

/// Packets and bytes at one moment, ESP's own included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Packets opened.
    pub packets_in: u64,
    /// Their bytes.
    pub bytes_in: u64,
    /// Packets sealed.
    pub packets_out: u64,
    /// Their bytes.
    pub bytes_out: u64,
}

impl Counters {
    /// What went through.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            packets_in: read(&self.packets_in),
            bytes_in: read(&self.bytes_in),
            packets_out: read(&self.packets_out),
            bytes_out: read(&self.bytes_out),
        }
    }

    /// Packets that were not opened, for each reason.
    pub fn dropped_in(&self) -> impl Iterator<Item = (OpenError, u64)> {
        let counts = self.dropped_in.iter().map(|c| c.load(Ordering::Relaxed));
        OpenError::ALL.into_iter().zip(counts)
    }

    /// Payloads that were not sealed, for each reason.
    pub fn dropped_out(&self) -> impl Iterator<Item = (SealError, u64)> {
        let counts = self.dropped_out.iter().map(|c| c.load(Ordering::Relaxed));
        SealError::ALL.into_iter().zip(counts)
    }

    pub(crate) fn opened(&self, length: usize, result: &Result<Found, OpenError>) {
        match result {
            Ok(_) => {
                add(&self.packets_in, 1);
                add(&self.bytes_in, length as u64);
            }
            Err(e) => add(&self.dropped_in[*e as usize], 1),
        }
    }

    pub(crate) fn sealed(&self, result: &Result<Range<usize>, SealError>) {
        match result {
            Ok(packet) => {
                add(&self.packets_out, 1);
                add(&self.bytes_out, packet.len() as u64);
            }
            Err(e) => add(&self.dropped_out[*e as usize], 1),
        }
    }
}

/// Only the database writes, so load and store do, which are cheaper than a locked addition.
fn add(counter: &AtomicU64, more: u64) {
    let sum = counter.load(Ordering::Relaxed).wrapping_add(more);
    counter.store(sum, Ordering::Relaxed);
}
