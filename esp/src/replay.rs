//! The anti-replay window (RFC 4303 section 3.4.3 and appendix A).

use alloc::boxed::Box;
use alloc::vec;

/// Which of the latest sequence numbers have been seen.
#[derive(Debug)]
pub(crate) struct ReplayWindow {
    /// A ring of bits, one for each number modulo its size, which is a power of two.
    seen: Box<[u64]>,
    /// How many numbers up to the top are told apart.
    size: u64,
    /// The highest number that has been marked.
    top: u64,
}

impl ReplayWindow {
    /// `size` is a multiple of 64.
    pub(crate) fn new(size: u32) -> Self {
        Self {
            seen: vec![0; (size / 64).next_power_of_two() as usize].into_boxed_slice(),
            size: u64::from(size),
            top: 0,
        }
    }

    /// The whole number behind the low 32 bits of an extended one (RFC 4303 appendix A2.2).
    pub(crate) fn extend(&self, low: u32) -> u64 {
        let (top_high, top_low) = (self.top >> 32, self.top & 0xffff_ffff);
        let bottom = self.top.saturating_sub(self.size - 1);
        let low = u64::from(low);
        let high = if top_low >= self.size - 1 {
            // The window lies in one subspace.
            if low >= bottom & 0xffff_ffff {
                top_high
            } else {
                top_high + 1
            }
        } else if top_high > 0 && low >= bottom & 0xffff_ffff {
            top_high - 1
        } else {
            top_high
        };
        high << 32 | low
    }

    /// Whether `sequence` is new and not too old.
    pub(crate) fn check(&self, sequence: u64) -> bool {
        if sequence == 0 {
            return false;
        }
        if sequence > self.top {
            return true;
        }
        self.top - sequence < self.size && !self.bit(sequence)
    }

    /// Marks a number that has been checked and whose packet has been authenticated. True if it is
    /// the highest so far.
    pub(crate) fn mark(&mut self, sequence: u64) -> bool {
        let newest = sequence > self.top;
        if newest {
            let ahead = sequence - self.top;
            if ahead >= self.size {
                self.seen.fill(0);
            } else {
                for skipped in self.top + 1..=sequence {
                    self.set(skipped, false);
                }
            }
            self.top = sequence;
        }
        self.set(sequence, true);
        newest
    }

    fn place(&self, sequence: u64) -> (usize, u64) {
        let word = (sequence / 64) as usize & (self.seen.len() - 1);
        (word, 1 << (sequence % 64))
    }

    fn bit(&self, sequence: u64) -> bool {
        let (word, mask) = self.place(sequence);
        self.seen.get(word).is_some_and(|w| w & mask != 0)
    }

    fn set(&mut self, sequence: u64, seen: bool) {
        let (word, mask) = self.place(sequence);
        if let Some(word) = self.seen.get_mut(word) {
            if seen {
                *word |= mask;
            } else {
                *word &= !mask;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ReplayWindow;
    use proptest::prelude::*;
    use std::collections::HashSet;

    proptest! {
        /// Against a set of all that was marked.
        #[test]
        fn equals_a_naive_model(size in 1_u32..5, steps in prop::collection::vec(0_u64..700, 1..300)) {
            let mut window = ReplayWindow::new(size * 64);
            let (mut seen, mut top) = (HashSet::new(), 0);
            for step in steps {
                // Around the window's edges.
                let sequence = (top + 350_u64).saturating_sub(step);
                let too_old = top >= sequence && top - sequence >= u64::from(size) * 64;
                let fresh = sequence != 0 && !too_old && !seen.contains(&sequence);
                prop_assert_eq!(window.check(sequence), fresh);
                if fresh {
                    prop_assert_eq!(window.mark(sequence), sequence > top);
                    seen.insert(sequence);
                    top = top.max(sequence);
                }
            }
        }

        /// A number within half the space of the top is told from its low bits.
        #[test]
        fn extends_around_the_top(top in 1_u64 << 20..1 << 40, back in 0_u64..1000, ahead in 1_u64..1 << 30) {
            let mut window = ReplayWindow::new(1024);
            window.mark(top);
            for sequence in [top - back, top + ahead] {
                prop_assert_eq!(window.extend(sequence as u32), sequence);
            }
        }
    }

    #[test]
    fn the_subspace_rolls_over() {
        let mut window = ReplayWindow::new(64);
        window.mark(0xffff_fff0);
        assert_eq!(window.extend(3), 0x1_0000_0003);
        assert!(window.check(0x1_0000_0003));
        window.mark(0x1_0000_0003);
        assert_eq!(window.extend(0xffff_fff1), 0xffff_fff1);
        assert!(!window.check(0xffff_fff0));
    }
}
