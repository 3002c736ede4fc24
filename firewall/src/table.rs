//! Flows by either tuple, by user, and by their ends.

use crate::clock::{self, Instant8};
use crate::express::{Glance, Plain};
use crate::firewall::user_of;
use crate::flow::{Ends, EndsV4, EndsV6, Flow, Tuple, Way, host_way};
use crate::hash::Key;
use crate::index::Index;
use crate::interface::InterfaceId;
use crate::list::{self, Kind, Link, List};
use crate::policy;
use crate::record::{Record, Records};
use crate::tcp::Tcp;
use crate::ways::{Entry, Ways};
use crate::wheel::Wheel;
use crate::wire::Protocol;
use std::net::IpAddr;

/// All flows of a firewall.
#[derive(Debug)]
pub(crate) struct Table {
    pieces: Pieces,
    /// Of each user, by the first of its flows.
    hosts: Index,
    unreplied: List,
    wheel: Wheel,
    key: Key,
}

/// Each flow is a record, and an entry for each of its ways.
#[derive(Debug)]
struct Pieces {
    records: Records,
    v4: Ways<EndsV4>,
    v6: Ways<EndsV6>,
}

/// One way of a flow of either family.
struct Course {
    tuple: Tuple,
    came: InterfaceId,
    leads_to: policy::Kind,
    expires: Instant8,
    ipsec_only: bool,
    answered: bool,
}

impl Course {
    fn of<E: Ends>(entry: &Entry<E>) -> Self {
        Self {
            tuple: entry.tuple(),
            came: entry.came,
            leads_to: entry.leads_to(),
            expires: entry.expires,
            ipsec_only: entry.is_ipsec_only(),
            answered: entry.is_answered(),
        }
    }
}

impl Pieces {
    fn record(&self, place: u32) -> Option<&Record> {
        self.records.get(place).filter(|record| record.is_live())
    }

    fn course(&self, place: u32, record: &Record, way: Way) -> Option<Course> {
        let hash = record.hash(way);
        if record.is_v6() {
            self.v6.get(hash, place, way).map(Course::of)
        } else {
            self.v4.get(hash, place, way).map(Course::of)
        }
    }

    /// Puts a flow together.
    fn get(&self, place: u32) -> Option<Flow> {
        let record = self.record(place)?;
        let original = self.course(place, record, Way::Original)?;
        let reply = self.course(place, record, Way::Reply)?;
        let connection = self.records.connection(place);
        Some(Flow {
            tuples: [original.tuple, reply.tuple],
            interfaces: [original.came, reply.came],
            sides: [reply.leads_to, original.leads_to],
            expires: original.expires.max(reply.expires),
            opened: record.opened,
            tcp: connection.map_or_else(Tcp::default, |connection| connection.tcp()),
            replied: reply.answered,
            ipsec_only: original.ipsec_only,
            inbound: record.is_inbound(),
            mapping: record.mapping,
            rule: record.rule(),
        })
    }

    /// Takes over what a packet has changed.
    fn update(&mut self, place: u32, flow: &Flow) {
        let Some(record) = self.record(place).copied() else {
            return;
        };
        for way in Way::BOTH {
            let hash = record.hash(way);
            if record.is_v6() {
                self.v6.update(hash, place, way, flow);
            } else {
                self.v4.update(hash, place, way, flow);
            }
        }
        if let Some(connection) = self.records.connection_mut(place) {
            connection.set_tcp(&flow.tcp);
        }
    }

    /// The user that a flow counts for.
    fn host_of(&self, place: u32) -> Option<IpAddr> {
        let record = self.record(place)?;
        let course = self.course(place, record, host_way(record.is_inbound()))?;
        Some(user_of(course.tuple.source.0))
    }

    /// When a flow is over.
    fn end_of(&self, place: u32) -> Option<Instant8> {
        let record = self.record(place)?;
        let ends = Way::BOTH.map(|way| self.course(place, record, way).map(|way| way.expires));
        ends.into_iter().flatten().max()
    }
}

impl Table {
    pub(crate) fn new(key: Key) -> Self {
        Self {
            pieces: Pieces {
                records: Records::default(),
                v4: Ways::new(key),
                v6: Ways::new(key),
            },
            hosts: Index::default(),
            unreplied: List::default(),
            wheel: Wheel::default(),
            key,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.pieces.records.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Flow> {
        self.pieces
            .records
            .places()
            .filter_map(|place| self.get(place))
    }

    /// Of flows like these; looks at all.
    pub(crate) fn places_of(&self, like: impl Fn(&Flow) -> bool) -> Vec<u32> {
        let is_like = |place: &u32| self.get(*place).is_some_and(|flow| like(&flow));
        self.pieces.records.places().filter(is_like).collect()
    }

    pub(crate) fn get(&self, place: u32) -> Option<Flow> {
        self.pieces.get(place)
    }

    /// Takes over what a packet has changed of a flow: neither its ends nor its origin.
    pub(crate) fn update(&mut self, place: u32, flow: &Flow) {
        self.pieces.update(place, flow);
    }

    pub(crate) fn hash(&self, tuple: &Tuple) -> u64 {
        tuple.hash(self.key).unwrap_or(0)
    }

    pub(crate) fn hash_of<E: Ends>(&self, ends: E, protocol: Protocol) -> u64 {
        ends.hash(self.key, protocol)
    }

    /// The flow that a packet belongs to, which may be over already.
    pub(crate) fn find(&self, wanted: &Tuple, hash: u64) -> Option<(u32, Way)> {
        fn found<E: Ends>(entry: &Entry<E>) -> (u32, Way) {
            (entry.place, entry.way())
        }
        let protocol = wanted.protocol;
        match EndsV4::of(wanted) {
            Some(ends) => self.pieces.v4.find(hash, ends, protocol).map(found),
            None => {
                let ends = EndsV6::of(wanted)?;
                self.pieces.v6.find(hash, ends, protocol).map(found)
            }
        }
    }

    /// The ways of IPv4 flows, and where their records are.
    pub(crate) fn v4(&mut self) -> (&mut Ways<EndsV4>, &mut Records) {
        (&mut self.pieces.v4, &mut self.pieces.records)
    }

    /// The same of IPv6.
    pub(crate) fn v6(&mut self) -> (&mut Ways<EndsV6>, &mut Records) {
        (&mut self.pieces.v6, &mut self.pieces.records)
    }

    /// Has what `find` will read on its way from memory, for many packets at once.
    pub(crate) fn touch(&self, hashes: &[u64]) {
        // A loop that does nothing else, so that the processor has many loads under way.
        let buckets = hashes.iter().fold(0, |sum, hash| {
            sum ^ self.pieces.v4.touch(*hash) ^ self.pieces.v6.touch(*hash)
        });
        std::hint::black_box(buckets);
    }

    /// The same of connections, in places that `find` gave.
    pub(crate) fn touch_records(&self, places: impl Iterator<Item = u32>) {
        let records = places.filter_map(|place| self.pieces.records.get(place));
        std::hint::black_box(records.fold(0, |sum, record| sum ^ record.opened));
    }

    /// The connection that a segment seems to be of.
    pub(crate) fn connection_of(&self, glance: &Glance) -> Option<u32> {
        fn place<E: Ends>(ways: &Ways<E>, plain: &Plain<E>) -> Option<u32> {
            let tcp = plain.protocol == Protocol::TCP;
            let entry = tcp.then(|| ways.find(plain.hash, plain.ends, plain.protocol))??;
            Some(entry.place)
        }
        match glance {
            Glance::V4(plain) => place(&self.pieces.v4, plain),
            Glance::V6(plain) => place(&self.pieces.v6, plain),
        }
    }

    /// Adds a flow of which neither tuple is in the table; none if it is of two families.
    pub(crate) fn insert(&mut self, flow: &Flow) -> Option<u32> {
        let host = flow.host();
        let first = self.first_of_host(host);
        let place = self.pieces.records.insert(flow);
        let hashes = self.pieces.v4.insert(flow, place);
        let hashes = hashes.or_else(|| self.pieces.v6.insert(flow, place));
        let Some(hashes) = hashes else {
            self.pieces.records.remove(place);
            return None;
        };
        if let Some(record) = self.pieces.records.get_mut(place) {
            record.set_hashes(hashes);
        }
        if first.is_none() {
            let (pieces, key) = (&self.pieces, self.key);
            let hash_of = |at| pieces.host_of(at).map_or(0, |host| host_hash(key, host));
            self.hosts.insert(host_hash(self.key, host), place, hash_of);
        }
        let first = first.inspect(|first| {
            list::insert_behind(&mut self.pieces.records, Kind::Host, *first, place);
        });
        if let Some(first) = self.pieces.records.get_mut(first.unwrap_or(place)) {
            first.of_host += 1;
        }
        self.unreplied
            .push(&mut self.pieces.records, Kind::Unreplied, place);
        self.wheel
            .arm(&mut self.pieces.records, place, flow.expires);
        Some(place)
    }

    pub(crate) fn remove(&mut self, place: u32) -> Option<Flow> {
        let flow = self.get(place)?;
        let record = self.pieces.record(place).copied()?;
        self.leave_host(place, flow.host());
        for way in Way::BOTH {
            let hash = record.hash(way);
            if record.is_v6() {
                self.pieces.v6.remove(hash, place, way);
            } else {
                self.pieces.v4.remove(hash, place, way);
            }
        }
        self.unreplied
            .remove(&mut self.pieces.records, Kind::Unreplied, place);
        self.wheel.disarm(&mut self.pieces.records, place);
        self.pieces.records.remove(place);
        Some(flow)
    }

    /// Takes a flow from its user's, of which the first counts.
    fn leave_host(&mut self, index: u32, host: IpAddr) {
        let Some(first) = self.first_of_host(host) else {
            return;
        };
        let Link { behind, .. } = list::unlink(&mut self.pieces.records, Kind::Host, index);
        let count = self
            .pieces
            .records
            .get(first)
            .map_or(0, |record| record.of_host);
        let hash = host_hash(self.key, host);
        let was_first = first == index;
        match self
            .pieces
            .records
            .get_mut(if was_first { behind } else { first })
        {
            Some(record) => {
                record.of_host = count.saturating_sub(1);
                if was_first {
                    self.hosts.replace(hash, index, behind);
                }
            }
            None => self.hosts.remove(hash, index),
        }
    }

    /// A flow had its first answer.
    pub(crate) fn replied(&mut self, index: u32) {
        self.unreplied
            .remove(&mut self.pieces.records, Kind::Unreplied, index);
    }

    /// A flow ends sooner than it was to.
    pub(crate) fn rearm(&mut self, index: u32, expires: Instant8) {
        self.wheel.disarm(&mut self.pieces.records, index);
        self.wheel.arm(&mut self.pieces.records, index, expires);
    }

    pub(crate) fn oldest_unreplied(&self) -> Option<u32> {
        self.unreplied.first()
    }

    /// One of a user's flows, which counts them.
    pub(crate) fn first_of_host(&self, host: IpAddr) -> Option<u32> {
        let same = |at: u32| self.pieces.host_of(at) == Some(host);
        self.hosts.find(host_hash(self.key, host), same)
    }

    pub(crate) fn of_host(&self, host: IpAddr) -> usize {
        let first = self
            .first_of_host(host)
            .and_then(|first| self.pieces.record(first));
        first.map_or(0, |record| {
            usize::try_from(record.of_host).unwrap_or(usize::MAX)
        })
    }

    /// A flow that is over.
    pub(crate) fn expired(&mut self, ms: u64) -> Option<u32> {
        let now: Instant8 = clock::floor(ms);
        loop {
            let index = self.wheel.due(&mut self.pieces.records, ms)?;
            let Some(expires) = self.pieces.end_of(index) else {
                continue;
            };
            // It is used: it waits on.
            self.wheel.arm(&mut self.pieces.records, index, expires);
            if expires <= now {
                return Some(index);
            }
        }
    }

    pub(crate) fn next_expiry(&self) -> Option<u64> {
        self.wheel.next_due()
    }
}

fn host_hash(key: Key, host: IpAddr) -> u64 {
    match user_of(host) {
        IpAddr::V4(v4) => key.hash([v4.to_bits().into()]),
        #[allow(clippy::cast_possible_truncation, reason = "a user is a /64")]
        IpAddr::V6(v6) => key.hash([(v6.to_bits() >> 64) as u64, 0]),
    }
}
