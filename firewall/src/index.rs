//! A hash index of places in an [`Arena`](crate::arena::Arena): buckets of a cache line each, so
//! that one miss finds the place and the next the thing itself.

use crate::buckets::{self, Buckets};

/// In a bucket.
const ENTRIES: usize = 12;
/// The tag of an entry that is none.
const VACANT: u8 = 0;

#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Bucket {
    /// Bits of each entry's hash.
    tags: [u8; ENTRIES],
    places: [u32; ENTRIES],
}

#[derive(Debug, Default)]
pub(crate) struct Index {
    buckets: Buckets<Bucket>,
}

impl Index {
    /// The place with this hash that `same` recognizes.
    pub(crate) fn find(&self, hash: u64, same: impl Fn(u32) -> bool) -> Option<u32> {
        let (bucket, slot) = self.buckets.find(hash, |b| b.matching(tag(hash), &same))?;
        bucket.places.get(slot).copied()
    }

    /// Adds a place. `hash_of` tells the hash of a place, to move it.
    pub(crate) fn insert(&mut self, hash: u64, place: u32, hash_of: impl Fn(u32) -> u64) {
        self.buckets.insert(hash, place, hash_of);
    }

    pub(crate) fn remove(&mut self, hash: u64, place: u32) {
        self.buckets
            .remove(hash, |b| b.matching(tag(hash), |other| other == place));
    }

    /// Another place stands for this hash now.
    pub(crate) fn replace(&mut self, hash: u64, place: u32, by: u32) {
        let found = self
            .buckets
            .find_mut(hash, |b| b.matching(tag(hash), |other| other == place));
        if let Some(entry) = found.and_then(|(bucket, slot)| bucket.places.get_mut(slot)) {
            *entry = by;
        }
    }
}

impl buckets::Bucket for Bucket {
    type Entry = u32;
    const VACANT: Self = Self {
        tags: [VACANT; ENTRIES],
        places: [0; ENTRIES],
    };
    const SLOTS: usize = ENTRIES;
    const LOAD: usize = 90;
    // To move an entry is to ask for its hash, which is a miss.
    const GROWTH: usize = 1;
    const STEPS: usize = 1;

    fn entry(&self, slot: usize, _: bool) -> Option<u32> {
        let live = *self.tags.get(slot)? != VACANT;
        self.places.get(slot).copied().filter(|_| live)
    }

    fn vacancy(&self) -> Option<usize> {
        self.matching(VACANT, |_| true)
    }

    fn put(&mut self, slot: usize, hash: u64, place: u32, _: bool) {
        if let (Some(space), Some(entry)) = (self.tags.get_mut(slot), self.places.get_mut(slot)) {
            (*space, *entry) = (tag(hash), place);
        }
    }

    fn vacate(&mut self, slot: usize) {
        if let Some(tag) = self.tags.get_mut(slot) {
            *tag = VACANT;
        }
    }
}

impl Bucket {
    /// The first slot with this tag whose place `fits`.
    fn matching(&self, tag: u8, fits: impl Fn(u32) -> bool) -> Option<usize> {
        let [t0, t1, t2, t3, t4, t5, t6, t7, t8, t9, ta, tb] = self.tags;
        let first = u64::from_le_bytes([t0, t1, t2, t3, t4, t5, t6, t7]);
        let rest = u64::from(u32::from_le_bytes([t8, t9, ta, tb]));
        let pattern = u64::from(tag) * LOW_BITS;
        // Byte by byte: the lowest bit for one of the first eight, the next for one of the rest.
        let mut hits = zeros(first ^ pattern) >> 7 | (zeros(rest ^ pattern) & 0xffff_ffff) >> 6;
        while hits != 0 {
            let bit = hits.trailing_zeros();
            hits &= hits - 1;
            let slot = usize::try_from(bit / 8 + bit % 2 * 8).ok()?;
            if fits(*self.places.get(slot)?) {
                return Some(slot);
            }
        }
        None
    }
}

const LOW_BITS: u64 = 0x0101_0101_0101_0101;
const NOT_HIGH: u64 = 0x7f7f_7f7f_7f7f_7f7f;

/// The high bit of each byte that is zero.
fn zeros(word: u64) -> u64 {
    !((word & NOT_HIGH).wrapping_add(NOT_HIGH) | word | NOT_HIGH)
}

/// Bits of the hash that do not choose its bucket.
fn tag(hash: u64) -> u8 {
    let [low, ..] = hash.to_le_bytes();
    low.max(1)
}

#[cfg(test)]
mod tests {
    use super::Index;
    use proptest::prelude::*;
    use std::collections::HashMap;

    /// Hashes that fall together often.
    fn hash(place: u32) -> u64 {
        u64::from(place.wrapping_mul(2_654_435_761) % 97) << 57 | u64::from(place % 5)
    }

    proptest! {
        /// It finds what a map finds, while it grows as well.
        #[test]
        fn agrees_with_a_map(steps in prop::collection::vec((any::<bool>(), 0..600_u32), 0..2000)) {
            let mut index = Index::default();
            let mut model = HashMap::new();
            for (add, place) in steps {
                if add && !model.contains_key(&place) {
                    index.insert(hash(place), place, hash);
                    model.insert(place, ());
                } else if !add && model.remove(&place).is_some() {
                    index.remove(hash(place), place);
                }
            }
            for place in 0..600 {
                let found = index.find(hash(place), |p| p == place);
                prop_assert_eq!(found, model.contains_key(&place).then_some(place));
            }
            for place in model.into_keys() {
                index.remove(hash(place), place);
            }
            prop_assert!(index.buckets.is_empty());
        }
    }

    #[test]
    fn a_million_are_found() {
        let mut index = Index::default();
        let hash = |p: u32| {
            u64::from(p)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .rotate_left(29)
        };
        for place in 0..1_000_000 {
            index.insert(hash(place), place, hash);
        }
        assert!((0..1_000_000).all(|place| index.find(hash(place), |p| p == place) == Some(place)));
        assert!(index.buckets.bytes() <= 10 * 1_000_000);
    }
}
