//! A hash table of buckets that are some cache lines each: what is looked for is in the bucket that
//! its hash says, or, if that was full, in one behind it.
//!
//! When the table grows, entries go to the larger one bucket by bucket, a few for each insertion.

/// Of the first table.
const BUCKETS: usize = 8;

/// Some entries side by side, each in a slot.
pub(crate) trait Bucket: Copy {
    type Entry: Copy;
    const VACANT: Self;
    const SLOTS: usize;
    /// Entries a bucket on average, in tenths, above which the table grows: with more, too many
    /// entries are not where they belong.
    const LOAD: usize;
    /// Which part of its size it grows by.
    const GROWTH: usize;
    /// Buckets that go to the larger table for each insertion; so many that the smaller one does
    /// not fill up meanwhile.
    const STEPS: usize;

    /// What is in a slot, if that can be an entry that is in the bucket it belongs to, or one that
    /// is `displaced`.
    fn entry(&self, slot: usize, displaced: bool) -> Option<Self::Entry>;
    fn vacancy(&self) -> Option<usize>;
    fn put(&mut self, slot: usize, hash: u64, entry: Self::Entry, displaced: bool);
    fn vacate(&mut self, slot: usize);
}

#[derive(Debug)]
pub(crate) struct Buckets<B> {
    table: Table<B>,
    /// The smaller one of before, and the first bucket whose entries are still there.
    old: Option<(Table<B>, usize)>,
}

impl<B: Bucket> Default for Buckets<B> {
    fn default() -> Self {
        Self {
            table: Table::new(BUCKETS),
            old: None,
        }
    }
}

impl<B: Bucket> Buckets<B> {
    fn table(&self, hash: u64) -> &Table<B> {
        match &self.old {
            Some((old, next)) if old.home(hash) >= *next => old,
            _ => &self.table,
        }
    }

    #[inline(always)]
    fn table_mut(&mut self, hash: u64) -> &mut Table<B> {
        match &mut self.old {
            Some((old, next)) if old.home(hash) >= *next => old,
            _ => &mut self.table,
        }
    }

    /// The first bucket of this hash in which `slot` finds something, and where.
    #[inline(always)]
    pub(crate) fn find(
        &self,
        hash: u64,
        slot: impl Fn(&B) -> Option<usize>,
    ) -> Option<(&B, usize)> {
        let table = self.table(hash);
        let (at, slot) = table.find(hash, slot)?;
        Some((table.buckets.get(at)?, slot))
    }

    #[inline(always)]
    pub(crate) fn find_mut(
        &mut self,
        hash: u64,
        slot: impl Fn(&B) -> Option<usize>,
    ) -> Option<(&mut B, usize)> {
        let table = self.table_mut(hash);
        let (at, slot) = table.find(hash, slot)?;
        Some((table.buckets.get_mut(at)?, slot))
    }

    /// The bucket that a hash belongs to.
    pub(crate) fn home(&self, hash: u64) -> Option<&B> {
        let table = self.table(hash);
        table.buckets.get(table.home(hash))
    }

    /// `hash_of` tells the hash of an entry, to move it.
    pub(crate) fn insert(&mut self, hash: u64, entry: B::Entry, hash_of: impl Fn(B::Entry) -> u64) {
        let size = self.table.size;
        if self.old.is_none() && self.table.len * 10 >= size * B::LOAD {
            let grown = Table::new(size + size / B::GROWTH);
            self.old = Some((std::mem::replace(&mut self.table, grown), 0));
        }
        self.table_mut(hash).insert(hash, entry);
        for _ in 0..B::STEPS {
            self.migrate(&hash_of);
        }
    }

    /// Moves what belongs to one bucket of the old table.
    fn migrate(&mut self, hash_of: impl Fn(B::Entry) -> u64) {
        let Some((old, next)) = &mut self.old else {
            return;
        };
        let home = *next;
        for at in old.walk(home) {
            let Some(bucket) = old.buckets.get(at).copied() else {
                break;
            };
            for slot in 0..B::SLOTS {
                let Some(entry) = bucket.entry(slot, at != home) else {
                    continue;
                };
                let hash = hash_of(entry);
                if old.home(hash) == home {
                    old.vacate(hash, at, slot);
                    self.table.insert(hash, entry);
                }
            }
            // What passed by is of this bucket: what belongs to those before has moved.
            if !old.is_passed(home) || !old.is_passed(at) {
                break;
            }
        }
        *next += 1;
        if *next == old.size {
            self.old = None;
        }
    }

    /// Takes out what `slot` finds, if anything.
    pub(crate) fn remove(&mut self, hash: u64, slot: impl Fn(&B) -> Option<usize>) {
        let table = self.table_mut(hash);
        if let Some((at, slot)) = table.find(hash, slot) {
            table.vacate(hash, at, slot);
        }
    }
}

#[derive(Debug)]
struct Table<B> {
    /// As many as there were entries for so far.
    buckets: Vec<B>,
    /// How many entries belonged to each bucket or one before, found it full and went on.
    passed: Vec<u32>,
    /// How many buckets there will be.
    size: usize,
    len: usize,
}

impl<B: Bucket> Table<B> {
    fn new(size: usize) -> Self {
        Self {
            buckets: Vec::with_capacity(size),
            passed: Vec::with_capacity(size),
            size,
            len: 0,
        }
    }

    /// The bucket that a hash belongs to: by its high half, so that those that follow each other in
    /// one table do so in the next.
    fn home(&self, hash: u64) -> usize {
        let scaled = ((hash >> 32) * self.size as u64) >> 32;
        usize::try_from(scaled).unwrap_or(0)
    }

    /// The buckets that entries of one may be in, most likely first.
    fn walk(&self, home: usize) -> impl Iterator<Item = usize> + use<B> {
        (home..self.size).chain(0..home)
    }

    fn is_passed(&self, at: usize) -> bool {
        self.passed.get(at).is_some_and(|passed| *passed > 0)
    }

    #[inline(always)]
    fn find(&self, hash: u64, slot: impl Fn(&B) -> Option<usize>) -> Option<(usize, usize)> {
        let mut at = self.home(hash);
        for _ in 0..self.size {
            if let Some(slot) = slot(self.buckets.get(at)?) {
                return Some((at, slot));
            }
            if !self.is_passed(at) {
                return None;
            }
            at = if at + 1 < self.size { at + 1 } else { 0 };
        }
        None
    }

    fn insert(&mut self, hash: u64, entry: B::Entry) {
        let home = self.home(hash);
        for at in self.walk(home) {
            if at >= self.buckets.len() {
                self.buckets.resize(at + 1, B::VACANT);
                self.passed.resize(at + 1, 0);
            }
            let Some(bucket) = self.buckets.get_mut(at) else {
                return;
            };
            if let Some(slot) = bucket.vacancy() {
                bucket.put(slot, hash, entry, at != home);
                self.len += 1;
                return;
            }
            if let Some(passed) = self.passed.get_mut(at) {
                *passed += 1;
            }
        }
    }

    fn vacate(&mut self, hash: u64, at: usize, slot: usize) {
        if let Some(bucket) = self.buckets.get_mut(at) {
            bucket.vacate(slot);
            self.len -= 1;
        }
        let before = self.walk(self.home(hash)).take_while(|other| *other != at);
        for passed in before {
            if let Some(passed) = self.passed.get_mut(passed) {
                *passed -= 1;
            }
        }
    }
}

#[cfg(test)]
impl<B: Bucket> Buckets<B> {
    /// Of the table that will be all there is.
    pub(crate) fn bytes(&self) -> usize {
        self.table.size * (size_of::<B>() + size_of::<u32>())
    }

    /// Whether nothing is in it, nor was left behind.
    pub(crate) fn is_empty(&self) -> bool {
        let mut tables = self.old.iter().map(|(old, _)| old).chain([&self.table]);
        tables.all(|table| table.len == 0 && table.passed.iter().all(|passed| *passed == 0))
    }
}
