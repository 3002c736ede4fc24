//! Flows by either tuple, by user, and by their ends.

use crate::clock::{self, Instant8};
use crate::firewall::user_of;
use crate::flow::{Ends, Flow, Tuple, Way};
use crate::hash::Key;
use crate::index::Index;
use crate::list::{self, Kind, Link, List, Slab};
use crate::wheel::Wheel;
use crate::wire::Protocol;
use std::net::IpAddr;

/// All flows of a firewall.
#[derive(Debug)]
pub(crate) struct Table {
    slab: Slab,
    /// Of both tuples of each flow.
    index: Index,
    /// Of each user, by the first of its flows.
    hosts: Index,
    unreplied: List,
    wheel: Wheel,
    key: Key,
}

impl Table {
    pub(crate) fn new(key: Key) -> Self {
        Self {
            slab: Slab::default(),
            index: Index::default(),
            hosts: Index::default(),
            unreplied: List::default(),
            wheel: Wheel::default(),
            key,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Flow> {
        self.slab.iter().filter(|flow| flow.is_live())
    }

    /// Of flows like these; looks at all.
    pub(crate) fn places_of(&self, like: impl Fn(&Flow) -> bool) -> Vec<u32> {
        let flows = (0..).zip(self.slab.iter());
        let found = flows.filter(|(_, flow)| flow.is_live() && like(flow));
        found.map(|(index, _)| index).collect()
    }

    pub(crate) fn get(&self, index: u32) -> Option<&Flow> {
        self.slab.get(index).filter(|flow| flow.is_live())
    }

    pub(crate) fn get_mut(&mut self, index: u32) -> Option<&mut Flow> {
        self.slab.get_mut(index).filter(|flow| flow.is_live())
    }

    pub(crate) fn hash(&self, tuple: &Tuple) -> u64 {
        tuple.hash(self.key)
    }

    pub(crate) fn hash_v4(&self, ends: Ends, protocol: Protocol) -> u64 {
        ends.hash(self.key, protocol)
    }

    /// The flow that a packet belongs to, which may be over already.
    pub(crate) fn find(&self, wanted: &Tuple, hash: u64) -> Option<(u32, Way)> {
        self.find_by(hash, |flow| flow.way_of(wanted))
    }

    /// The same of an IPv4 packet.
    pub(crate) fn find_v4(
        &mut self,
        ends: Ends,
        protocol: Protocol,
        hash: u64,
    ) -> Option<(&mut Flow, Way)> {
        let (index, way) = self.find_by(hash, |flow| flow.way_of_v4(ends, protocol))?;
        Some((self.slab.get_mut(index)?, way))
    }

    fn find_by(&self, hash: u64, way_of: impl Fn(&Flow) -> Option<Way>) -> Option<(u32, Way)> {
        let mut way = None;
        let index = self.index.find(hash, |index| {
            way = self.slab.get(index).and_then(&way_of);
            way.is_some()
        })?;
        Some((index, way?))
    }

    /// Has what `find` will read on its way from memory, for many packets at once.
    pub(crate) fn touch(&self, hashes: &[u64]) {
        // Loops that do nothing else, so that the processor has many loads under way.
        let buckets = hashes
            .iter()
            .fold(0, |sum, hash| sum ^ self.index.touch(*hash));
        std::hint::black_box(buckets);
        let places = hashes.iter().map(|hash| self.index.guess(*hash));
        let flows = places.flatten().filter_map(|place| self.slab.get(place));
        std::hint::black_box(flows.fold(0, |sum, flow| sum ^ flow.expires));
    }

    /// Adds a flow of which neither tuple is in the table.
    pub(crate) fn insert(&mut self, flow: Flow) -> u32 {
        let host = flow.host();
        let first = self.first_of_host(host);
        let index = self.slab.insert(flow);
        let (slab, key) = (&self.slab, self.key);
        let hashes = |at: u32| slab.get(at).map_or([0; 2], |flow| flow.hashes(key));
        for hash in flow.hashes(key) {
            self.index.insert(hash, index, hashes);
        }
        if first.is_none() {
            let hash_of = |at: u32| [slab.get(at).map_or(0, |flow| host_hash(key, flow.host()))];
            self.hosts.insert(host_hash(key, host), index, hash_of);
        }
        let first = first.inspect(|first| {
            list::insert_behind(&mut self.slab, Kind::Host, *first, index);
        });
        if let Some(first) = self.slab.get_mut(first.unwrap_or(index)) {
            first.of_host += 1;
        }
        self.unreplied.push(&mut self.slab, Kind::Unreplied, index);
        self.wheel.arm(&mut self.slab, index);
        index
    }

    pub(crate) fn remove(&mut self, index: u32) -> Option<Flow> {
        let flow = *self.get(index)?;
        for hash in flow.hashes(self.key) {
            self.index.remove(hash, index);
        }
        self.leave_host(index, flow.host());
        self.unreplied
            .remove(&mut self.slab, Kind::Unreplied, index);
        self.wheel.disarm(&mut self.slab, index);
        self.slab.remove(index)
    }

    /// Takes a flow from its user's, of which the first counts.
    fn leave_host(&mut self, index: u32, host: IpAddr) {
        let Some(first) = self.first_of_host(host) else {
            return;
        };
        let Link { behind, .. } = list::unlink(&mut self.slab, Kind::Host, index);
        let count = self.slab.get(first).map_or(0, |flow| flow.of_host);
        let hash = host_hash(self.key, host);
        let was_first = first == index;
        match self.slab.get_mut(if was_first { behind } else { first }) {
            Some(flow) => {
                flow.of_host = count.saturating_sub(1);
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
            .remove(&mut self.slab, Kind::Unreplied, index);
    }

    /// A flow ends sooner than it was to.
    pub(crate) fn rearm(&mut self, index: u32) {
        self.wheel.disarm(&mut self.slab, index);
        self.wheel.arm(&mut self.slab, index);
    }

    pub(crate) fn oldest_unreplied(&self) -> Option<u32> {
        self.unreplied.first()
    }

    /// One of a user's flows, which counts them.
    pub(crate) fn first_of_host(&self, host: IpAddr) -> Option<u32> {
        let same = |at: u32| self.get(at).is_some_and(|flow| flow.host() == host);
        self.hosts.find(host_hash(self.key, host), same)
    }

    pub(crate) fn of_host(&self, host: IpAddr) -> usize {
        let first = self.first_of_host(host).and_then(|first| self.get(first));
        first.map_or(0, |flow| {
            usize::try_from(flow.of_host).unwrap_or(usize::MAX)
        })
    }

    /// A flow that is over.
    pub(crate) fn expired(&mut self, ms: u64) -> Option<u32> {
        let now: Instant8 = clock::floor(ms);
        loop {
            let index = self.wheel.due(&mut self.slab, ms)?;
            let over = self.slab.get(index).is_none_or(|flow| flow.expires <= now);
            // It is used: it waits on.
            self.wheel.arm(&mut self.slab, index);
            if over {
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
