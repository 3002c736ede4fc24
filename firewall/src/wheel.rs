//! A timer wheel of seconds: flows end without anybody looking through them.
//!
//! A packet only writes its flow's new end; the flow stays where it waits, fires early, and is
//! put where it now belongs.

use crate::clock::{self, Instant8};
use crate::flow::NONE;
use crate::list::{Kind, List};
use crate::record::Records;

/// Over an hour; what ends later waits for the last tick and goes round again.
const TICKS: u32 = 4096;
const WORDS: usize = 64;
const TICK_MS: u64 = 1000;

#[derive(Debug)]
pub(crate) struct Wheel {
    lists: Vec<List>,
    /// Which lists have flows, a bit each.
    occupied: [u64; WORDS],
    /// The tick that is due next.
    next: u32,
}

impl Default for Wheel {
    fn default() -> Self {
        let ticks = usize::try_from(TICKS).unwrap_or(0);
        Self {
            lists: vec![List::default(); ticks],
            occupied: [0; WORDS],
            next: 0,
        }
    }
}

impl Wheel {
    /// Lets a flow wait for its end.
    pub(crate) fn arm(&mut self, records: &mut Records, index: u32, expires: Instant8) {
        let Some(record) = records.get_mut(index) else {
            return;
        };
        let end = clock::milliseconds(expires).div_ceil(TICK_MS);
        let end = u32::try_from(end).unwrap_or(NONE);
        let tick = end.clamp(self.next, self.next + TICKS - 1);
        record.armed = u16::try_from(tick % TICKS).unwrap_or(0);
        if let Some(list) = self.lists.get_mut(place(tick)) {
            list.push(records, Kind::Due, index);
            self.mark(tick, true);
        }
    }

    pub(crate) fn disarm(&mut self, records: &mut Records, index: u32) {
        let Some(tick) = records.get(index).map(|record| u32::from(record.armed)) else {
            return;
        };
        if let Some(list) = self.lists.get_mut(place(tick)) {
            list.remove(records, Kind::Due, index);
            let empty = list.first().is_none();
            if empty {
                self.mark(tick, false);
            }
        }
    }

    /// The next flow whose tick has come, not waiting any more.
    pub(crate) fn due(&mut self, records: &mut Records, now: u64) -> Option<u32> {
        loop {
            let tick = self.first();
            if tick.is_none_or(|tick| u64::from(tick) * TICK_MS > now) {
                // All before now is over.
                let reached = u32::try_from(now / TICK_MS).unwrap_or(NONE - TICKS);
                self.next = self.next.max(reached);
                return None;
            }
            let tick = tick?;
            self.next = tick;
            let index = self.lists.get(place(tick)).and_then(List::first);
            match index {
                Some(index) => {
                    self.disarm(records, index);
                    return Some(index);
                }
                None => self.mark(tick, false),
            }
        }
    }

    /// When something is due, in milliseconds.
    pub(crate) fn next_due(&self) -> Option<u64> {
        self.first().map(|tick| u64::from(tick) * TICK_MS)
    }

    /// The first tick from `next` on that has flows.
    fn first(&self) -> Option<u32> {
        let start = place(self.next);
        let (word, bit) = (start / 64, start % 64);
        // The first word twice: what is before `next` in it comes last.
        for n in 0..=WORDS {
            let at = (word + n) % WORDS;
            let mut bits = self.occupied.get(at).copied().unwrap_or(0);
            if n == 0 {
                bits &= u64::MAX << bit;
            }
            if bits != 0 {
                let slot = u32::try_from(at * 64).unwrap_or(0) + bits.trailing_zeros();
                let ahead = (slot + TICKS - self.next % TICKS) % TICKS;
                return Some(self.next + ahead);
            }
        }
        None
    }

    fn mark(&mut self, tick: u32, occupied: bool) {
        let at = place(tick);
        if let Some(word) = self.occupied.get_mut(at / 64) {
            if occupied {
                *word |= 1 << (at % 64);
            } else {
                *word &= !(1 << (at % 64));
            }
        }
    }
}

fn place(tick: u32) -> usize {
    usize::try_from(tick % TICKS).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::flow;

    /// The flow that is over is given, and of ten thousand others none is looked at.
    #[test]
    fn only_what_is_due_is_looked_at() {
        let (mut wheel, mut records) = (Wheel::default(), Records::default());
        for n in 0..10_000 {
            let index = records.insert(&flow(n));
            // One after 10 s, the others after 20 s to 3 h.
            let expires = if n == 77 { 80 } else { 160 + n * 8 };
            wheel.arm(&mut records, index, expires);
        }
        assert_eq!(wheel.next_due(), Some(10_000));
        assert_eq!(wheel.due(&mut records, 9_999), None);
        assert_eq!(wheel.due(&mut records, 10_000), Some(77));
        assert_eq!(wheel.due(&mut records, 19_999), None);
        let due: Vec<u32> = std::iter::from_fn(|| wheel.due(&mut records, 25_000)).collect();
        assert_eq!(due, [0, 1, 2, 3, 4, 5]);
        assert_eq!(wheel.next_due(), Some(26_000));
    }
}
