//! A hash index of places in an [`Arena`](crate::arena::Arena): buckets of a cache line each, so
//! that one miss finds the place and the next the thing itself.
//!
//! It grows without a pause: entries move to the larger table bucket by bucket, one for each
//! insertion.

/// In a bucket.
const ENTRIES: usize = 15;
/// Entries a bucket on average, above which the table grows.
const LOAD: usize = 12;
const TAG_SHIFT: u32 = 24;
/// The number of a place has this many bits, 8 of the hash stand above them.
pub(crate) const MAX_PLACE: u32 = (1 << TAG_SHIFT) - 2;
const PLACE: u32 = (1 << TAG_SHIFT) - 1;
const VACANT: u32 = u32::MAX;

#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Bucket {
    entries: [u32; ENTRIES],
    /// How many entries wanted to be here, found it full and went on.
    passed: u32,
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
    pub(crate) fn find(&self, hash: u64, mut same: impl FnMut(u32) -> bool) -> Option<u32> {
        let found = self.table.find(hash, &mut same);
        match &self.old {
            Some((old, _)) if found.is_none() => old.find(hash, &mut same),
            _ => found,
        }
    }

    /// Adds a place. `hashes` tells all hashes of a place, to move it.
    pub(crate) fn insert<const N: usize>(
        &mut self,
        hash: u64,
        place: u32,
        hashes: impl Fn(u32) -> [u64; N],
    ) {
        let size = self.table.buckets.len();
        if self.old.is_none() && self.table.len >= size * LOAD {
            let grown = Table::new(size * 2);
            self.old = Some((std::mem::replace(&mut self.table, grown), 0));
        }
        self.table.insert(hash, place);
        self.migrate(hashes);
    }

    /// Moves one bucket of the old table.
    fn migrate<const N: usize>(&mut self, hashes: impl Fn(u32) -> [u64; N]) {
        let Some((old, next)) = &mut self.old else {
            return;
        };
        let Some(bucket) = old.buckets.get(*next).copied() else {
            self.old = None;
            return;
        };
        *next += 1;
        for entry in bucket.entries.into_iter().filter(|entry| *entry != VACANT) {
            let place = entry & PLACE;
            for hash in hashes(place) {
                if old.remove(hash, place) {
                    self.table.insert(hash, place);
                }
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

    /// Has a bucket on its way from memory, for a `find` soon.
    pub(crate) fn touch(&self, hash: u64) -> u32 {
        let bucket = self.table.buckets.get(self.table.home(hash));
        bucket.map_or(0, |bucket| bucket.passed)
    }

    /// The place that is most likely this hash's.
    pub(crate) fn guess(&self, hash: u64) -> Option<u32> {
        let bucket = self.table.buckets.get(self.table.home(hash))?;
        bucket.matching(tag(hash)).next()
    }
}

impl Table {
    fn new(buckets: usize) -> Self {
        let empty = Bucket {
            entries: [VACANT; ENTRIES],
            passed: 0,
        };
        Self {
            buckets: vec![empty; buckets],
            len: 0,
        }
    }

    fn home(&self, hash: u64) -> usize {
        // The size is a power of two.
        usize::try_from(hash & u64::from(u32::MAX)).unwrap_or(0) & (self.buckets.len() - 1)
    }

    /// The buckets that an entry may be in, most likely first.
    fn walk(&self, hash: u64) -> impl Iterator<Item = usize> + use<> {
        let (home, size) = (self.home(hash), self.buckets.len());
        (0..size).map(move |n| (home + n) & (size - 1))
    }

    fn find(&self, hash: u64, same: &mut impl FnMut(u32) -> bool) -> Option<u32> {
        for at in self.walk(hash) {
            let bucket = self.buckets.get(at)?;
            if let Some(place) = bucket.matching(tag(hash)).find(|place| same(*place)) {
                return Some(place);
            }
            if bucket.passed == 0 {
                return None;
            }
        }
        None
    }

    fn insert(&mut self, hash: u64, place: u32) {
        for at in self.walk(hash) {
            let Some(bucket) = self.buckets.get_mut(at) else {
                return;
            };
            if let Some(entry) = bucket.entries.iter_mut().find(|entry| **entry == VACANT) {
                *entry = tag(hash) << TAG_SHIFT | place;
                self.len += 1;
                return;
            }
            bucket.passed += 1;
        }
    }

    /// The bucket that has an entry.
    fn bucket_of(&self, hash: u64, entry: u32) -> Option<usize> {
        for at in self.walk(hash) {
            let bucket = self.buckets.get(at)?;
            if bucket.entries.contains(&entry) {
                return Some(at);
            }
            if bucket.passed == 0 {
                return None;
            }
        }
        None
    }

    fn replace(&mut self, hash: u64, place: u32, by: u32) -> bool {
        let (old, new) = (tag(hash) << TAG_SHIFT | place, tag(hash) << TAG_SHIFT | by);
        let bucket = self.bucket_of(hash, old);
        let bucket = bucket.and_then(|at| self.buckets.get_mut(at));
        let entry = bucket.and_then(|b| b.entries.iter_mut().find(|entry| **entry == old));
        entry.map(|entry| *entry = new).is_some()
    }

    fn remove(&mut self, hash: u64, place: u32) -> bool {
        let wanted = tag(hash) << TAG_SHIFT | place;
        let Some(found) = self.bucket_of(hash, wanted) else {
            return false;
        };
        for at in self.walk(hash) {
            let Some(bucket) = self.buckets.get_mut(at) else {
                return false;
            };
            if at == found {
                if let Some(entry) = bucket.entries.iter_mut().find(|entry| **entry == wanted) {
                    *entry = VACANT;
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
    fn matching(&self, tag: u32) -> impl Iterator<Item = u32> {
        // All at once, without a branch for each.
        let mut hits = 0_u32;
        for (n, entry) in self.entries.iter().enumerate() {
            hits |= u32::from(entry >> TAG_SHIFT == tag) << n;
        }
        std::iter::from_fn(move || {
            let entry = self
                .entries
                .get(usize::try_from(hits.trailing_zeros()).ok()?);
            hits &= hits.wrapping_sub(1);
            entry.map(|entry| entry & PLACE)
        })
        .filter(|place| *place != PLACE)
    }
}

/// Bits of the hash that do not choose its bucket.
fn tag(hash: u64) -> u32 {
    u32::try_from(hash >> 56).unwrap_or(0)
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
                    index.insert(hash(place), place, |p| [hash(p)]);
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
    fn a_million_are_found_in_buckets_of_fifteen() {
        let mut index = Index::default();
        let hash = |p: u32| {
            u64::from(p)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .rotate_left(29)
        };
        for place in 0..1_000_000 {
            index.insert(hash(place), place, |p| [hash(p)]);
        }
        assert!((0..1_000_000).all(|place| index.find(hash(place), |p| p == place) == Some(place)));
        let buckets = index.table.buckets.len();
        assert!(buckets * 64 <= 22 * 1_000_000);
    }
}
