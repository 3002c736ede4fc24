//! The flows of one address family by either tuple.
//!
//! What a packet of a known flow needs lies where the hash of its tuple says, each of a flow's two
//! ways by itself: one miss finds it and is all there is to wait for. A bucket is two cache lines
//! side by side.

use crate::buckets::{self, Buckets};
use crate::clock::Instant8;
use crate::flow::{Ends, Flow, Position, Tuple, Way};
use crate::hash::Key;
use crate::interface::InterfaceId;
use crate::policy::Kind;
use crate::wire::Protocol;

/// In a bucket.
const ENTRIES: usize = 4;

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
pub(crate) struct Ways<E: Ends> {
    buckets: Buckets<Bucket<E>>,
    key: Key,
}

impl<E: Ends> Ways<E> {
    pub(crate) fn new(key: Key) -> Self {
        Self {
            buckets: Buckets::default(),
            key,
        }
    }

    /// The way that packets with these ends go.
    pub(crate) fn find(&self, hash: u64, ends: E, protocol: Protocol) -> Option<&Entry<E>> {
        let (Bucket(entries), slot) = self.buckets.find(hash, of_ends(ends, protocol))?;
        entries.get(slot)
    }

    #[inline(always)]
    pub(crate) fn find_mut(
        &mut self,
        hash: u64,
        ends: E,
        protocol: Protocol,
    ) -> Option<&mut Entry<E>> {
        let (Bucket(entries), slot) = self.buckets.find_mut(hash, of_ends(ends, protocol))?;
        entries.get_mut(slot)
    }

    /// A way of the flow in this place.
    pub(crate) fn get(&self, hash: u64, place: u32, way: Way) -> Option<&Entry<E>> {
        let (Bucket(entries), slot) = self.buckets.find(hash, of_flow(place, way))?;
        entries.get(slot)
    }

    /// Takes over what of a flow may change.
    pub(crate) fn update(&mut self, hash: u64, place: u32, way: Way, flow: &Flow) {
        let found = self.buckets.find_mut(hash, of_flow(place, way));
        if let Some(entry) = found.and_then(|(bucket, slot)| bucket.0.get_mut(slot)) {
            entry.update(flow);
        }
    }

    /// Has a bucket on its way from memory, for a `find` soon.
    pub(crate) fn touch(&self, hash: u64) -> u32 {
        let bucket = self.buckets.home(hash);
        bucket.map_or(0, |Bucket([first, _, third, _])| first.place ^ third.place)
    }

    /// Adds both ways of a flow, and gives the hashes of their ends; none if it is of another
    /// family.
    pub(crate) fn insert(&mut self, flow: &Flow, place: u32) -> Option<[u64; 2]> {
        let [original, reply] = Way::BOTH.map(|way| Entry::new(flow, way, place));
        let entries: [Entry<E>; 2] = [original?, reply?];
        let key = self.key;
        Some(entries.map(|entry| {
            let hash = entry.hash(key);
            self.buckets.insert(hash, entry, |entry| entry.hash(key));
            hash
        }))
    }

    pub(crate) fn remove(&mut self, hash: u64, place: u32, way: Way) {
        self.buckets.remove(hash, of_flow(place, way));
    }
}

/// Finds the entry of packets with these ends.
fn of_ends<E: Ends>(ends: E, protocol: Protocol) -> impl Fn(&Bucket<E>) -> Option<usize> {
    let (addresses, wanted) = (ends.addresses(), wanted(ends.ports(), protocol));
    move |bucket| {
        bucket.first(|entry| (entry.addresses == addresses) & ((entry.word ^ wanted) & SAME == 0))
    }
}

/// Finds a way of the flow in this place.
fn of_flow<E: Ends>(place: u32, way: Way) -> impl Fn(&Bucket<E>) -> Option<usize> {
    move |bucket| {
        bucket.first(|entry| entry.has(LIVE) & (entry.place == place) & (entry.way() == way))
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

impl<E: Ends> buckets::Bucket for Bucket<E> {
    type Entry = Entry<E>;
    const VACANT: Self = Self([Entry::VACANT; ENTRIES]);
    const SLOTS: usize = ENTRIES;
    const LOAD: usize = 34;
    // What is vacant is a good part of what a flow weighs.
    const GROWTH: usize = 2;
    const STEPS: usize = 4;

    fn entry(&self, slot: usize, displaced: bool) -> Option<Entry<E>> {
        let entry = self.0.get(slot)?;
        (entry.has(LIVE) && entry.has(DISPLACED) == displaced).then_some(*entry)
    }

    fn vacancy(&self) -> Option<usize> {
        self.first(|entry| !entry.has(LIVE))
    }

    fn put(&mut self, slot: usize, _: u64, mut entry: Entry<E>, displaced: bool) {
        entry.word &= !DISPLACED;
        if displaced {
            entry.word |= DISPLACED;
        }
        if let Some(space) = self.0.get_mut(slot) {
            *space = entry;
        }
    }

    fn vacate(&mut self, slot: usize) {
        if let Some(entry) = self.0.get_mut(slot) {
            *entry = Entry::VACANT;
        }
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
            prop_assert!(ways.buckets.is_empty());
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
        assert!(ways.buckets.bytes() <= 57 * 1_000_000);
    }
}
