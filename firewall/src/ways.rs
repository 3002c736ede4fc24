//! The flows of one address family by either tuple.
//!
//! What a packet of a known flow needs lies where the hash of its tuple says, each of a flow's two
//! ways by itself: one miss finds it and is all there is to wait for. A bucket is two cache lines
//! side by side.
//!
//! When the table grows, the ways go to the larger one bucket by bucket, a few for each insertion.

use crate::clock::Instant8;
use crate::flow::{Ends, Flow, Position, Tuple, Way};
use crate::hash::Key;
use crate::interface::InterfaceId;
use crate::policy::Kind;
use crate::wire::Protocol;

/// In a bucket.
const ENTRIES: usize = 4;
/// Of the first table.
const BUCKETS: usize = 8;
/// Buckets that go to the larger table for each insertion.
const STEPS: usize = 4;

/// Of an entry's word: the ports of its ends, its protocol, marks, and the port that translation
/// puts in the place of one.
const PORTS: u32 = 32;
const PROTOCOL: u32 = 24;
const LIVE: u64 = 1 << 16;
const REPLY: u64 = 1 << 17;
const TO_PUBLIC: u64 = 1 << 18;
/// Translation changes the destination, not the source.
const DESTINATION: u64 = 1 << 19;
/// It changes both.
const BOTH: u64 = 1 << 20;
const IPSEC_ONLY: u64 = 1 << 21;
const UNANSWERED: u64 = 1 << 22;
/// It is not in the bucket that it belongs to.
const DISPLACED: u64 = 1 << 23;
/// What tells an entry from others, beside its addresses.
const SAME: u64 = u64::MAX << PROTOCOL | LIVE;

/// One way of a flow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<E: Ends> {
    /// As its packets come.
    addresses: E::Addresses,
    word: u64,
    /// What translation puts in the place of one address.
    address: E::Address,
    /// The flow's.
    pub(crate) place: u32,
    /// Where its packets come in.
    pub(crate) came: InterfaceId,
    /// When the flow is over, unless it has a later packet of the other way.
    pub(crate) expires: Instant8,
}

/// Two to a cache line.
const _: () = assert!(size_of::<Entry<crate::flow::EndsV4>>() == 32);

/// The word of what an entry must be to be found.
fn wanted(ports: u32, protocol: Protocol) -> u64 {
    u64::from(ports) << PORTS | u64::from(protocol.0) << PROTOCOL | LIVE
}

impl<E: Ends> Entry<E> {
    const VACANT: Self = Self {
        addresses: E::NOWHERE.0,
        word: 0,
        address: E::NOWHERE.1,
        place: 0,
        came: InterfaceId::LOCAL,
        expires: 0,
    };

    /// None if the flow is of another family.
    fn new(flow: &Flow, way: Way, place: u32) -> Option<Self> {
        let tuple = flow.tuple(way);
        let (ends, leaving) = (E::of(&tuple)?, E::of(&flow.target(way))?);
        let (address, port, translation) = match ends.change(leaving) {
            Some((Position::Source, address, port)) => (address, port, 0),
            Some((Position::Destination, address, port)) => (address, port, DESTINATION),
            None => (E::NOWHERE.1, 0, BOTH),
        };
        let way_mark = match way {
            Way::Original => 0,
            Way::Reply => REPLY,
        };
        let word = wanted(ends.ports(), tuple.protocol) | translation | way_mark | u64::from(port);
        let mut entry = Self {
            addresses: ends.addresses(),
            word,
            address,
            place,
            ..Self::VACANT
        };
        entry.update(flow);
        Some(entry)
    }

    fn update(&mut self, flow: &Flow) {
        let way = self.way();
        let lacks = match way {
            Way::Original if flow.ipsec_only => IPSEC_ONLY,
            Way::Reply if !flow.replied => UNANSWERED,
            _ => 0,
        };
        let to_public = match way.of(flow.sides) {
            (_, Kind::Public) => TO_PUBLIC,
            (_, Kind::Private) => 0,
        };
        self.word &= !(IPSEC_ONLY | UNANSWERED | TO_PUBLIC);
        self.word |= lacks | to_public;
        (self.came, _) = way.of(flow.interfaces);
        self.expires = flow.expires;
    }

    #[allow(clippy::cast_possible_truncation, reason = "the upper half")]
    fn ends(&self) -> E {
        E::new(self.addresses, (self.word >> PORTS) as u32)
    }

    #[allow(clippy::cast_possible_truncation, reason = "a byte of it")]
    fn protocol(&self) -> Protocol {
        Protocol((self.word >> PROTOCOL) as u8)
    }

    fn hash(&self, key: Key) -> u64 {
        self.ends().hash(key, self.protocol())
    }

    /// As its packets come.
    pub(crate) fn tuple(&self) -> Tuple {
        self.ends().tuple(self.protocol())
    }

    pub(crate) fn way(&self) -> Way {
        if self.has(REPLY) {
            Way::Reply
        } else {
            Way::Original
        }
    }

    /// On which side its packets leave.
    pub(crate) fn leads_to(&self) -> Kind {
        if self.has(TO_PUBLIC) {
            Kind::Public
        } else {
            Kind::Private
        }
    }

    /// Whether the flow goes on with any packet that comes this way, through IPsec or not.
    pub(crate) fn is_usual(&self, ipsec: bool) -> bool {
        let lacks = if ipsec {
            UNANSWERED
        } else {
            UNANSWERED | IPSEC_ONLY
        };
        !self.has(lacks)
    }

    pub(crate) fn is_ipsec_only(&self) -> bool {
        self.has(IPSEC_ONLY)
    }

    pub(crate) fn is_answered(&self) -> bool {
        !self.has(UNANSWERED)
    }

    /// Which end of its packets becomes what; none if both change.
    #[allow(clippy::cast_possible_truncation, reason = "the lowest half of one")]
    pub(crate) fn translation(&self) -> Option<(Position, E::Address, u16)> {
        let position = if self.has(DESTINATION) {
            Position::Destination
        } else {
            Position::Source
        };
        (!self.has(BOTH)).then_some((position, self.address, self.word as u16))
    }

    fn has(&self, marks: u64) -> bool {
        self.word & marks != 0
    }
}

#[derive(Debug, Clone, Copy)]
#[repr(align(128))]
struct Bucket<E: Ends>([Entry<E>; ENTRIES]);

#[derive(Debug)]
struct Table<E: Ends> {
    /// As many as there were entries for so far.
    buckets: Vec<Bucket<E>>,
    /// How many entries wanted to be in each bucket, found it full and went on.
    passed: Vec<u32>,
    /// How many buckets there will be.
    size: usize,
    len: usize,
}

#[derive(Debug)]
pub(crate) struct Ways<E: Ends> {
    table: Table<E>,
    /// The smaller one of before, and the first bucket whose entries are still there.
    old: Option<(Table<E>, usize)>,
    key: Key,
}

impl<E: Ends> Ways<E> {
    pub(crate) fn new(key: Key) -> Self {
        Self {
            table: Table::new(BUCKETS),
            old: None,
            key,
        }
    }

    fn table(&self, hash: u64) -> &Table<E> {
        match &self.old {
            Some((old, next)) if old.home(hash) >= *next => old,
            _ => &self.table,
        }
    }

    #[inline(always)]
    fn table_mut(&mut self, hash: u64) -> &mut Table<E> {
        match &mut self.old {
            Some((old, next)) if old.home(hash) >= *next => old,
            _ => &mut self.table,
        }
    }

    /// The way that packets with these ends go.
    pub(crate) fn find(&self, hash: u64, ends: E, protocol: Protocol) -> Option<&Entry<E>> {
        let table = self.table(hash);
        let (addresses, wanted) = (ends.addresses(), wanted(ends.ports(), protocol));
        let spot = table.find(hash, |entry| {
            (entry.addresses == addresses) & ((entry.word ^ wanted) & SAME == 0)
        })?;
        table.entry(spot)
    }

    #[inline(always)]
    pub(crate) fn find_mut(
        &mut self,
        hash: u64,
        ends: E,
        protocol: Protocol,
    ) -> Option<&mut Entry<E>> {
        let table = self.table_mut(hash);
        let (addresses, wanted) = (ends.addresses(), wanted(ends.ports(), protocol));
        let spot = table.find(hash, |entry| {
            (entry.addresses == addresses) & ((entry.word ^ wanted) & SAME == 0)
        })?;
        table.entry_mut(spot)
    }

    /// A way of the flow in this place.
    pub(crate) fn get(&self, hash: u64, place: u32, way: Way) -> Option<&Entry<E>> {
        let table = self.table(hash);
        table.entry(table.of_flow(hash, place, way)?)
    }

    /// Takes over what of a flow may change.
    pub(crate) fn update(&mut self, hash: u64, place: u32, way: Way, flow: &Flow) {
        let table = self.table_mut(hash);
        let spot = table.of_flow(hash, place, way);
        if let Some(entry) = spot.and_then(|spot| table.entry_mut(spot)) {
            entry.update(flow);
        }
    }

    /// Has a bucket on its way from memory, for a `find` soon.
    pub(crate) fn touch(&self, hash: u64) -> u32 {
        let table = self.table(hash);
        let bucket = table.buckets.get(table.home(hash));
        bucket.map_or(0, |Bucket([first, _, third, _])| first.place ^ third.place)
    }

    /// Adds both ways of a flow, and gives the hashes of their ends; none if it is of another
    /// family.
    pub(crate) fn insert(&mut self, flow: &Flow, place: u32) -> Option<[u64; 2]> {
        let [original, reply] = Way::BOTH.map(|way| Entry::new(flow, way, place));
        Some([self.insert_one(original?), self.insert_one(reply?)])
    }

    fn insert_one(&mut self, entry: Entry<E>) -> u64 {
        let hash = entry.hash(self.key);
        // More would be passed by too often.
        if self.old.is_none() && self.table.len * 20 >= self.table.size * ENTRIES * 17 {
            let grown = Table::new(self.table.size + self.table.size / 2);
            self.old = Some((std::mem::replace(&mut self.table, grown), 0));
        }
        self.table_mut(hash).insert(hash, entry);
        for _ in 0..STEPS {
            self.migrate();
        }
        hash
    }

    /// Moves what belongs to one bucket of the old table.
    fn migrate(&mut self) {
        let Some((old, next)) = &mut self.old else {
            return;
        };
        let home = *next;
        for at in old.walk(home) {
            let Some(Bucket(entries)) = old.buckets.get(at).copied() else {
                break;
            };
            for (slot, entry) in entries.iter().enumerate() {
                // It belongs here if it is not displaced here, or displaced elsewhere.
                if !entry.has(LIVE) || entry.has(DISPLACED) == (at == home) {
                    continue;
                }
                let hash = entry.hash(self.key);
                if at == home || old.home(hash) == home {
                    old.vacate(hash, Spot { at, slot });
                    self.table.insert(hash, *entry);
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

    pub(crate) fn remove(&mut self, hash: u64, place: u32, way: Way) {
        let table = self.table_mut(hash);
        if let Some(spot) = table.of_flow(hash, place, way) {
            table.vacate(hash, spot);
        }
    }
}

/// Where an entry is.
#[derive(Debug, Clone, Copy)]
struct Spot {
    at: usize,
    slot: usize,
}

impl<E: Ends> Table<E> {
    fn new(size: usize) -> Self {
        Self {
            buckets: Vec::with_capacity(size),
            passed: Vec::with_capacity(size),
            size,
            len: 0,
        }
    }

    /// The bucket that a hash belongs to: its high bits, so that those that follow each other in
    /// one table do so in the next.
    fn home(&self, hash: u64) -> usize {
        let scaled = ((hash >> 32) * self.size as u64) >> 32;
        usize::try_from(scaled).unwrap_or(0)
    }

    /// The buckets that entries of one may be in, most likely first.
    fn walk(&self, home: usize) -> impl Iterator<Item = usize> + use<E> {
        (home..self.size).chain(0..home)
    }

    fn entry(&self, spot: Spot) -> Option<&Entry<E>> {
        self.buckets.get(spot.at)?.0.get(spot.slot)
    }

    fn entry_mut(&mut self, spot: Spot) -> Option<&mut Entry<E>> {
        self.buckets.get_mut(spot.at)?.0.get_mut(spot.slot)
    }

    fn is_passed(&self, at: usize) -> bool {
        self.passed.get(at).is_some_and(|passed| *passed > 0)
    }

    #[inline(always)]
    fn find(&self, hash: u64, is: impl Fn(&Entry<E>) -> bool) -> Option<Spot> {
        let mut at = self.home(hash);
        for _ in 0..self.size {
            if let Some(slot) = self.buckets.get(at)?.first(&is) {
                return Some(Spot { at, slot });
            }
            if !self.is_passed(at) {
                return None;
            }
            at = if at + 1 < self.size { at + 1 } else { 0 };
        }
        None
    }

    fn of_flow(&self, hash: u64, place: u32, way: Way) -> Option<Spot> {
        self.find(hash, |entry| {
            entry.has(LIVE) & (entry.place == place) & (entry.way() == way)
        })
    }

    fn insert(&mut self, hash: u64, mut entry: Entry<E>) {
        entry.word &= !DISPLACED;
        for at in self.walk(self.home(hash)) {
            if at >= self.buckets.len() {
                let vacant = Bucket([Entry::VACANT; ENTRIES]);
                self.buckets.resize(at + 1, vacant);
                self.passed.resize(at + 1, 0);
            }
            let Some(bucket) = self.buckets.get_mut(at) else {
                return;
            };
            let vacant = bucket.first(|entry| !entry.has(LIVE));
            if let Some(space) = vacant.and_then(|slot| bucket.0.get_mut(slot)) {
                *space = entry;
                self.len += 1;
                return;
            }
            if let Some(passed) = self.passed.get_mut(at) {
                *passed += 1;
            }
            entry.word |= DISPLACED;
        }
    }

    /// Takes out an entry.
    fn vacate(&mut self, hash: u64, spot: Spot) {
        if let Some(entry) = self.entry_mut(spot) {
            *entry = Entry::VACANT;
            self.len -= 1;
        }
        for at in self.walk(self.home(hash)).take_while(|at| *at != spot.at) {
            if let Some(passed) = self.passed.get_mut(at) {
                *passed -= 1;
            }
        }
    }
}

impl<E: Ends> Bucket<E> {
    /// The first entry that `is`; looks at all at once, as where it is cannot be foretold.
    #[inline(always)]
    fn first(&self, is: impl Fn(&Entry<E>) -> bool) -> Option<usize> {
        let bits = (0_u32..)
            .zip(&self.0)
            .map(|(n, entry)| u32::from(is(entry)) << n);
        let found = bits.fold(0, |all, bit| all | bit);
        (found != 0).then(|| usize::try_from(found.trailing_zeros()).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::EndsV4;
    use crate::record::tests::flow;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn key() -> Key {
        Key::new(&mut simnet::seeded(1))
    }

    /// What packets of these ends find.
    fn find(ways: &Ways<EndsV4>, tuple: &Tuple) -> Option<(u32, Way)> {
        let ends = EndsV4::of(tuple).unwrap();
        let hash = ends.hash(ways.key, tuple.protocol);
        let found = ways.find(hash, ends, tuple.protocol)?;
        assert_eq!(found.tuple(), *tuple);
        Some((found.place, found.way()))
    }

    proptest! {
        /// It finds what a map finds, while it grows as well.
        #[test]
        fn agrees_with_a_map(steps in prop::collection::vec((any::<bool>(), 0..600_u32), 0..2000)) {
            let mut ways = Ways::<EndsV4>::new(key());
            let mut model = HashMap::new();
            for (add, place) in steps {
                if add {
                    let insert = || ways.insert(&flow(place), place).unwrap();
                    model.entry(place).or_insert_with(insert);
                } else {
                    for (hash, way) in model.remove(&place).into_iter().flatten().zip(Way::BOTH) {
                        ways.remove(hash, place, way);
                    }
                }
                for way in Way::BOTH {
                    let known = model.contains_key(&place).then_some((place, way));
                    let tuple = flow(place).tuple(way);
                    prop_assert_eq!(find(&ways, &tuple), known);
                    prop_assert_eq!(find(&ways, &Tuple { protocol: Protocol::TCP, ..tuple }), None);
                }
            }
            for place in 0..600 {
                for way in Way::BOTH {
                    let known = model.get(&place).map(|_| (place, way));
                    prop_assert_eq!(find(&ways, &flow(place).tuple(way)), known);
                }
            }
            for (place, hashes) in model {
                for (hash, way) in hashes.into_iter().zip(Way::BOTH) {
                    prop_assert!(ways.get(hash, place, way).is_some());
                    ways.remove(hash, place, way);
                }
            }
            let tables = ways.old.iter().map(|(old, _)| old).chain([&ways.table]);
            for table in tables {
                prop_assert_eq!(table.len, 0);
                prop_assert!(table.passed.iter().all(|passed| *passed == 0));
            }
        }
    }

    /// One end becomes another, or it is told that both do.
    #[test]
    fn an_entry_knows_one_translated_end() {
        let other = (std::net::IpAddr::V4([198, 51, 100, 2].into()), 4500);
        let translation = |source: bool, destination: bool| {
            let mut flow = flow(7);
            let [original, reply] = &mut flow.tuples;
            let target = Tuple {
                source: if source { other } else { original.source },
                destination: if destination {
                    other
                } else {
                    original.destination
                },
                ..*original
            };
            *reply = target.reversed();
            let ways = Way::BOTH.map(|way| Entry::<EndsV4>::new(&flow, way, 0).unwrap());
            ways.map(|entry| {
                entry
                    .translation()
                    .map(|(position, _, port)| (position, port))
            })
        };
        let (source, destination) = (Position::Source, Position::Destination);
        let answered = |port| Some((destination, port));
        assert_eq!(
            translation(true, false),
            [Some((source, 4500)), answered(5000)]
        );
        assert_eq!(
            translation(false, true),
            [answered(4500), Some((source, 53))]
        );
        assert_eq!(translation(true, true), [None; 2]);
    }

    /// A host that sends to its own public name and port: the answer looks like what it answers.
    #[test]
    fn of_two_alike_the_original_is_found() {
        let mut ways = Ways::<EndsV4>::new(key());
        let mut own = flow(7);
        let [original, reply] = &mut own.tuples;
        *reply = *original;
        ways.insert(&own, 7).unwrap();
        for place in 8..5000 {
            ways.insert(&flow(place), place).unwrap();
            assert_eq!(
                find(&ways, &own.tuple(Way::Original)),
                Some((7, Way::Original))
            );
        }
    }

    #[test]
    fn a_million_ways_are_found() {
        let mut ways = Ways::<EndsV4>::new(key());
        for place in 0..500_000 {
            ways.insert(&flow(place), place).unwrap();
        }
        for place in 0..500_000 {
            for way in Way::BOTH {
                assert_eq!(find(&ways, &flow(place).tuple(way)), Some((place, way)));
            }
        }
        assert!(ways.table.size * size_of::<Bucket<EndsV4>>() <= 57 * 1_000_000);
    }
}
