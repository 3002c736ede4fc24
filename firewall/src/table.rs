//! Flows by either tuple, and their ends without scanning.

use crate::flow::{Flow, Tuple, Way};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::Ipv4Addr;
use std::time::Instant;

/// All flows of a firewall.
///
/// An expiry entry is not moved when its flow is used: it fires early, sees the flow's new end,
/// and is put back.
#[derive(Debug, Default)]
pub(crate) struct Table {
    slots: Vec<Option<Flow>>,
    free: Vec<usize>,
    by_tuple: HashMap<Tuple, (usize, Way)>,
    per_host: HashMap<Ipv4Addr, usize>,
    expiry: BinaryHeap<Reverse<(Instant, usize)>>,
}

impl Table {
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(crate) fn of_host(&self, host: Ipv4Addr) -> usize {
        self.per_host.get(&host).copied().unwrap_or(0)
    }

    pub(crate) fn find(&mut self, now: Instant, tuple: &Tuple) -> Option<(&mut Flow, Way)> {
        let (index, way) = *self.by_tuple.get(tuple)?;
        let flow = self.slots.get_mut(index)?.as_mut()?;
        // It may be over before its expiry entry fires.
        (flow.expires > now).then_some((flow, way))
    }

    pub(crate) fn insert(&mut self, flow: Flow, mut replaced: impl FnMut(&Flow)) {
        for tuple in [flow.original, flow.reply] {
            // Only a flow that is over can be in the way.
            if let Some((index, _)) = self.by_tuple.get(&tuple).copied()
                && let Some(old) = self.remove(index)
            {
                replaced(&old);
            }
        }
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.by_tuple.insert(flow.original, (index, Way::Original));
        self.by_tuple.insert(flow.reply, (index, Way::Reply));
        *self.per_host.entry(flow.original.source.0).or_default() += 1;
        self.expiry.push(Reverse((flow.expires, index)));
        if let Some(slot) = self.slots.get_mut(index) {
            *slot = Some(flow);
        }
    }

    fn remove(&mut self, index: usize) -> Option<Flow> {
        let flow = self.slots.get_mut(index)?.take()?;
        self.by_tuple.remove(&flow.original);
        self.by_tuple.remove(&flow.reply);
        if let Some(count) = self.per_host.get_mut(&flow.original.source.0) {
            *count -= 1;
            if *count == 0 {
                self.per_host.remove(&flow.original.source.0);
            }
        }
        self.free.push(index);
        Some(flow)
    }

    /// Removes the flow that ends soonest of those that had no answer; false if all had one.
    pub(crate) fn evict_unreplied(&mut self, mut removed: impl FnMut(&Flow)) -> bool {
        let unreplied = self.slots.iter().enumerate().filter_map(|(index, slot)| {
            let flow = slot.as_ref().filter(|flow| !flow.replied)?;
            Some((flow.expires, index))
        });
        let soonest = unreplied.min();
        let evicted = soonest.and_then(|(_, index)| self.remove(index));
        evicted.as_ref().map(&mut removed).is_some()
    }

    /// Removes all flows of a host, as when its call has ended.
    pub(crate) fn remove_host(&mut self, host: Ipv4Addr, mut removed: impl FnMut(&Flow)) {
        let of_host = |flow: &Flow| {
            [
                flow.original.source.0,
                flow.original.destination.0,
                flow.reply.source.0,
            ]
            .contains(&host)
        };
        let indices: Vec<_> = self
            .slots
            .iter()
            .enumerate()
            .filter(|(_, slot)| slot.as_ref().is_some_and(of_host))
            .map(|(index, _)| index)
            .collect();
        for index in indices {
            if let Some(flow) = self.remove(index) {
                removed(&flow);
            }
        }
    }

    pub(crate) fn expire(&mut self, now: Instant, mut removed: impl FnMut(&Flow)) {
        while let Some(Reverse((at, index))) = self.expiry.peek().copied() {
            if at > now {
                break;
            }
            self.expiry.pop();
            match self
                .slots
                .get(index)
                .and_then(Option::as_ref)
                .map(|flow| flow.expires)
            {
                Some(expires) if expires > now => self.expiry.push(Reverse((expires, index))),
                Some(_) => {
                    if let Some(flow) = self.remove(index) {
                        removed(&flow);
                    }
                }
                None => {}
            }
        }
    }

    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.expiry.peek().map(|Reverse((at, _))| *at)
    }
}
