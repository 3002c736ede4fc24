//! The ports of one global address and protocol, a bit each.

use std::ops::RangeInclusive;

const EVEN: u64 = 0x5555_5555_5555_5555;

/// Which ports will do.
#[derive(Debug, Clone)]
pub(crate) struct Class {
    range: RangeInclusive<u16>,
    parity: u64,
}

impl Class {
    pub(crate) fn any(range: RangeInclusive<u16>) -> Self {
        Self {
            range,
            parity: u64::MAX,
        }
    }

    /// Even ports for an even one, odd for an odd one (RFC 4787 section 4.2.2).
    pub(crate) fn same_parity(range: RangeInclusive<u16>, port: u16) -> Self {
        let parity = if port.is_multiple_of(2) { EVEN } else { !EVEN };
        Self { range, parity }
    }

    /// Which of the 64 ports from `first` on belong to it.
    fn mask(&self, first: u32) -> u64 {
        let inside = |n: u32| {
            let port = u16::try_from(first + n).ok();
            port.is_some_and(|port| self.range.contains(&port))
        };
        let all = inside(0) && inside(63);
        let range = if all {
            u64::MAX
        } else {
            (0..64)
                .filter(|n| inside(*n))
                .fold(0, |mask, n| mask | 1 << n)
        };
        range & self.parity
    }
}

#[derive(Debug)]
pub(crate) struct Ports {
    taken: Vec<u64>,
}

impl Default for Ports {
    fn default() -> Self {
        Self {
            taken: vec![0; 1024],
        }
    }
}

impl Ports {
    /// Takes `wanted` if it is free and of one of the classes, else one of the first class that
    /// has a free one; the search begins at a place that `start` chooses.
    pub(crate) fn take(
        &mut self,
        wanted: u16,
        classes: &[Class],
        start: u32,
        reserved: &[RangeInclusive<u16>],
    ) -> Option<u16> {
        let is_reserved = |port: u16| reserved.iter().any(|range| range.contains(&port));
        let fits = classes.iter().any(|class| class.range.contains(&wanted));
        let free = self.word(wanted / 64) & 1 << (wanted % 64) == 0;
        if fits && free && !is_reserved(wanted) {
            self.set(wanted, true);
            return Some(wanted);
        }
        let found = classes
            .iter()
            .find_map(|class| self.find(class, start, is_reserved))?;
        self.set(found, true);
        Some(found)
    }

    fn find(&self, class: &Class, start: u32, is_reserved: impl Fn(u16) -> bool) -> Option<u16> {
        let (low, high) = (class.range.start() / 64, class.range.end() / 64);
        let words = u32::from(high - low) + 1;
        let rotate = start >> 16;
        (0..words).find_map(|n| {
            let word = low + u16::try_from((start % words + n) % words).ok()?;
            let first = u32::from(word) * 64;
            let free = !self.word(word) & class.mask(first);
            // Not always the lowest of a word.
            let mut bits = free.rotate_right(rotate);
            while bits != 0 {
                let bit = (bits.trailing_zeros() + rotate) % 64;
                let port = u16::try_from(first + bit).ok()?;
                if !is_reserved(port) {
                    return Some(port);
                }
                bits &= bits - 1;
            }
            None
        })
    }

    pub(crate) fn give_back(&mut self, port: u16) {
        self.set(port, false);
    }

    fn word(&self, at: u16) -> u64 {
        self.taken.get(usize::from(at)).copied().unwrap_or(u64::MAX)
    }

    fn set(&mut self, port: u16, taken: bool) {
        if let Some(word) = self.taken.get_mut(usize::from(port / 64)) {
            if taken {
                *word |= 1 << (port % 64);
            } else {
                *word &= !(1 << (port % 64));
            }
        }
    }
}
