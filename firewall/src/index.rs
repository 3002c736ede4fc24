//! A hash index of places in an [`Arena`](crate::arena::Arena): buckets of a cache line each, so
//! that one miss finds the place and the next the thing itself.
//!
//! When it grows, entries go to the larger table bucket by bucket, one for each insertion.

/// In a bucket.
const ENTRIES: usize = 12;
/// Entries a bucket on average, above which the table grows.
const LOAD: usize = 9;
/// Of an entry that is none.
const VACANT: u8 = 0;

#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Bucket {
    /// Bits of each entry's hash.
    tags: [u8; ENTRIES],
    /// How many entries wanted to be here, found it full and went on.
    passed: u32,
    places: [u32; ENTRIES],
}

#[derive(Debug)]
struct Table {
    buckets: Vec<Bucket>,
    len: usize,
}

#[derive(Debug)]
pub(crate) struct Index {
    table: Table,
    /// The smaller one of before, and which of its buckets is to move next.
    old: Option<(Table, usize)>,
}

impl Default for Index {
    fn default() -> Self {
        Self {
            table: Table::new(16),
            old: None,
        }
    }
}

impl Index {
    /// The place with this hash that `same` recognizes.
    #[inline]
    pub(crate) fn find(&self, hash: u64, mut same: impl FnMut(u32) -> bool) -> Option<u32> {
        let found = self.table.find(hash, &mut same);
        match &self.old {
            Some((old, _)) if found.is_none() => old.find(hash, &mut same),
            _ => found,
        }
    }

    /// Adds a place. `hash_of` tells the hash of a place, to move it.
    pub(crate) fn insert(&mut self, hash: u64, place: u32, hash_of: impl Fn(u32) -> u64) {
        let size = self.table.buckets.len();
        if self.old.is_none() && self.table.len >= size * LOAD {
            let grown = Table::new(size * 2);
            self.old = Some((std::mem::replace(&mut self.table, grown), 0));
        }
        self.table.insert(hash, place);
        self.migrate(hash_of);
    }

    /// Moves one bucket of the old table.
    fn migrate(&mut self, hash_of: impl Fn(u32) -> u64) {
        let Some((old, next)) = &mut self.old else {
            return;
        };
        let Some(bucket) = old.buckets.get(*next).copied() else {
            self.old = None;
            return;
        };
        *next += 1;
        let entries = bucket.tags.into_iter().zip(bucket.places);
        for (_, place) in entries.filter(|(tag, _)| *tag != VACANT) {
            let hash = hash_of(place);
            if old.remove(hash, place) {
                self.table.insert(hash, place);
            }
        }
    }

    pub(crate) fn remove(&mut self, hash: u64, place: u32) {
        if !self.table.remove(hash, place)
            && let Some((old, _)) = &mut self.old
        {
            old.remove(hash, place);
        }
    }

    /// Another place stands for this hash now.
    pub(crate) fn replace(&mut self, hash: u64, place: u32, by: u32) {
        if !self.table.replace(hash, place, by)
            && let Some((old, _)) = &mut self.old
        {
            old.replace(hash, place, by);
        }
    }
}

impl Table {
    fn new(buckets: usize) -> Self {
        let empty = Bucket {
            tags: [VACANT; ENTRIES],
            passed: 0,
            places: [0; ENTRIES],
        };
        Self {
            buckets: vec![empty; buckets],
            len: 0,
        }
    }

    fn home(&self, hash: u64) -> usize {
        // The size is a power of two.
        usize::try_from(hash & (self.buckets.len() as u64 - 1)).unwrap_or(0)
    }

    /// The buckets that an entry may be in, most likely first.
    fn walk(&self, hash: u64) -> impl Iterator<Item = usize> + use<> {
        let (home, size) = (self.home(hash), self.buckets.len());
        (0..size).map(move |n| (home + n) & (size - 1))
    }

    #[inline(always)]
    fn find(&self, hash: u64, same: &mut impl FnMut(u32) -> bool) -> Option<u32> {
        let (tag, mut at) = (tag(hash), self.home(hash));
        for _ in 0..self.buckets.len() {
            let bucket = self.buckets.get(at)?;
            if let Some(place) = bucket.matching(tag).find(|place| same(*place)) {
                return Some(place);
            }
            if bucket.passed == 0 {
                return None;
            }
            at = (at + 1) & (self.buckets.len() - 1);
        }
        None
    }

    fn insert(&mut self, hash: u64, place: u32) {
        for at in self.walk(hash) {
            let Some(bucket) = self.buckets.get_mut(at) else {
                return;
            };
            if let Some((space, entry)) = bucket.entry(VACANT, |_| true) {
                (*space, *entry) = (tag(hash), place);
                self.len += 1;
                return;
            }
            bucket.passed += 1;
        }
    }

    /// The bucket that has an entry.
    fn bucket_of(&self, hash: u64, place: u32) -> Option<usize> {
        for at in self.walk(hash) {
            let bucket = self.buckets.get(at)?;
            let mut entries = bucket.tags.iter().zip(&bucket.places);
            if entries.any(|entry| entry == (&tag(hash), &place)) {
                return Some(at);
            }
            if bucket.passed == 0 {
                return None;
            }
        }
        None
    }

    fn replace(&mut self, hash: u64, place: u32, by: u32) -> bool {
        let bucket = self.bucket_of(hash, place);
        let bucket = bucket.and_then(|at| self.buckets.get_mut(at));
        let entry = bucket.and_then(|bucket| bucket.entry(tag(hash), |other| other == place));
        entry.map(|(_, entry)| *entry = by).is_some()
    }

    fn remove(&mut self, hash: u64, place: u32) -> bool {
        let Some(found) = self.bucket_of(hash, place) else {
            return false;
        };
        for at in self.walk(hash) {
            let Some(bucket) = self.buckets.get_mut(at) else {
                return false;
            };
            if at == found {
                if let Some((tag, _)) = bucket.entry(tag(hash), |other| other == place) {
                    *tag = VACANT;
                    self.len -= 1;
                }
                return true;
            }
            bucket.passed -= 1;
        }
        false
    }
}

impl Bucket {
    /// Places whose hash has this tag.
    fn matching(&self, tag: u8) -> impl Iterator<Item = u32> {
        let [t0, t1, t2, t3, t4, t5, t6, t7, t8, t9, ta, tb] = self.tags;
        let first = u64::from_le_bytes([t0, t1, t2, t3, t4, t5, t6, t7]);
        let rest = u64::from(u32::from_le_bytes([t8, t9, ta, tb]));
        let pattern = u64::from(tag) * LOW_BITS;
        // Byte by byte: the lowest bit for one of the first eight, the next for one of the rest.
        let mut hits = zeros(first ^ pattern) >> 7 | (zeros(rest ^ pattern) & 0xffff_ffff) >> 6;
        std::iter::from_fn(move || {
            if hits == 0 {
                return None;
            }
            let bit = hits.trailing_zeros();
            hits &= hits - 1;
            self.places
                .get(usize::try_from(bit / 8 + bit % 2 * 8).ok()?)
                .copied()
        })
    }

    /// The first entry with this tag that `fits`.
    fn entry(&mut self, tag: u8, fits: impl Fn(u32) -> bool) -> Option<(&mut u8, &mut u32)> {
        let mut entries = self.tags.iter_mut().zip(&mut self.places);
        entries.find(|(other, place)| **other == tag && fits(**place))
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
    let [.., high] = hash.to_le_bytes();
    high.max(1)
}

#[cfg(test)]
mod tests {
    use super::Index;
    use proptest::prelude::*;
    use std::collections::HashMap;

    /// Hashes that fall together often.
    fn hash(place: u32) -> u64 {
        u64::from(place % 5) << 56 | u64::from(place.wrapping_mul(2_654_435_761) % 97)
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
        let buckets = index.table.buckets.len();
        assert!(buckets * 64 <= 22 * 1_000_000);
    }
}
