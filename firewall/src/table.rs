//! Flows by either tuple, by user, and by their ends.

use crate::flow::{Flow, Tuple, Way};
use crate::hash::Key;
use crate::slab::{Kind, List, Slab};
use crate::wheel::Wheel;
use hashbrown::HashTable;
use std::collections::HashMap;
use std::net::IpAddr;

/// All flows of a firewall.
#[derive(Debug)]
pub(crate) struct Table {
    slab: Slab,
    /// Both tuples of each flow: its place, and the way in the lowest bit.
    index: HashTable<u32>,
    hosts: HashMap<IpAddr, Host, Key>,
    unreplied: List,
    wheel: Wheel,
    key: Key,
}

#[derive(Debug, Default)]
struct Host {
    flows: usize,
    list: List,
}

fn entry(index: u32, way: Way) -> u32 {
    index << 1 | u32::from(way == Way::Reply)
}

fn tuple(slab: &Slab, entry: u32) -> Option<Tuple> {
    let way = if entry & 1 == 0 {
        Way::Original
    } else {
        Way::Reply
    };
    slab.get(entry >> 1).map(|flow| flow.tuple(way))
}

impl Table {
    pub(crate) fn new(key: Key) -> Self {
        Self {
            slab: Slab::default(),
            index: HashTable::new(),
            hosts: HashMap::with_hasher(key),
            unreplied: List::default(),
            wheel: Wheel::default(),
            key,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }

    pub(crate) fn of_host(&self, host: IpAddr) -> usize {
        self.hosts.get(&host).map_or(0, |host| host.flows)
    }

    pub(crate) fn get(&self, index: u32) -> Option<&Flow> {
        self.slab.get(index)
    }

    pub(crate) fn get_mut(&mut self, index: u32) -> Option<&mut Flow> {
        self.slab.get_mut(index)
    }

    /// The flow that a packet belongs to, which may be over already.
    pub(crate) fn find(&self, wanted: &Tuple) -> Option<(u32, Way)> {
        let slab = &self.slab;
        let same = |entry: &u32| tuple(slab, *entry).is_some_and(|tuple| tuple == *wanted);
        let found = *self.index.find(wanted.hash(self.key), same)?;
        let way = if found & 1 == 0 {
            Way::Original
        } else {
            Way::Reply
        };
        Some((found >> 1, way))
    }

    /// Adds a flow of which neither tuple is in the table.
    pub(crate) fn insert(&mut self, flow: Flow, host: IpAddr) -> u32 {
        let index = self.slab.insert(flow);
        let key = self.key;
        for way in [Way::Original, Way::Reply] {
            let Some(tuple) = self.slab.get(index).map(|flow| flow.tuple(way)) else {
                continue;
            };
            let slab = &self.slab;
            let rehash = |entry: &u32| self::tuple(slab, *entry).map_or(0, |t| t.hash(key));
            self.index
                .insert_unique(tuple.hash(key), entry(index, way), rehash);
        }
        let user = self.hosts.entry(host).or_default();
        user.flows += 1;
        user.list.push(&mut self.slab, Kind::Host, index);
        self.unreplied.push(&mut self.slab, Kind::Unreplied, index);
        self.wheel.arm(&mut self.slab, index);
        index
    }

    /// Takes a flow out; `host` tells its user.
    pub(crate) fn remove(&mut self, index: u32, host: impl Fn(&Flow) -> IpAddr) -> Option<Flow> {
        let flow = self.slab.get(index)?;
        let host = host(flow);
        let hashes = [Way::Original, Way::Reply]
            .map(|way| (flow.tuple(way).hash(self.key), entry(index, way)));
        for (hash, entry) in hashes {
            if let Ok(found) = self.index.find_entry(hash, |other| *other == entry) {
                found.remove();
            }
        }
        if let Some(user) = self.hosts.get_mut(&host) {
            user.list.remove(&mut self.slab, Kind::Host, index);
            user.flows -= 1;
            if user.flows == 0 {
                self.hosts.remove(&host);
            }
        }
        self.unreplied
            .remove(&mut self.slab, Kind::Unreplied, index);
        self.wheel.disarm(&mut self.slab, index);
        self.slab.remove(index)
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

    /// One of a user's flows.
    pub(crate) fn first_of_host(&self, host: IpAddr) -> Option<u32> {
        self.hosts.get(&host)?.list.first()
    }

    /// A flow that is over.
    pub(crate) fn expired(&mut self, now: u64) -> Option<u32> {
        loop {
            let index = self.wheel.due(&mut self.slab, now)?;
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
