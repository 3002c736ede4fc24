//! Flows in numbered places, each on up to three doubly linked lists that run through the places
//! themselves.

use crate::flow::{Flow, NONE};

/// What a list is for; each flow is on at most one of a kind.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// That wait for one tick of the timer wheel.
    Due,
    /// That had no answer, oldest first.
    Unreplied,
    /// Of one user.
    Host,
}

#[derive(Debug, Clone, Copy)]
struct Link {
    before: u32,
    behind: u32,
}

const UNLINKED: Link = Link {
    before: NONE,
    behind: NONE,
};

#[derive(Debug)]
struct Slot {
    links: [Link; 3],
    flow: Option<Flow>,
}

#[derive(Debug, Default)]
pub(crate) struct Slab {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

impl Slab {
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(crate) fn get(&self, index: u32) -> Option<&Flow> {
        self.slots.get(at(index))?.flow.as_ref()
    }

    pub(crate) fn get_mut(&mut self, index: u32) -> Option<&mut Flow> {
        self.slots.get_mut(at(index))?.flow.as_mut()
    }

    pub(crate) fn insert(&mut self, flow: Flow) -> u32 {
        let slot = Slot {
            links: [UNLINKED; 3],
            flow: Some(flow),
        };
        if let Some(index) = self.free.pop()
            && let Some(place) = self.slots.get_mut(at(index))
        {
            *place = slot;
            return index;
        }
        self.slots.push(slot);
        u32::try_from(self.slots.len() - 1).unwrap_or(NONE)
    }

    /// Takes a flow out, which must be on no list any more.
    pub(crate) fn remove(&mut self, index: u32) -> Option<Flow> {
        let flow = self.slots.get_mut(at(index))?.flow.take()?;
        self.free.push(index);
        Some(flow)
    }

    fn link(&mut self, kind: Kind, index: u32) -> Option<&mut Link> {
        let [due, unreplied, host] = &mut self.slots.get_mut(at(index))?.links;
        Some(match kind {
            Kind::Due => due,
            Kind::Unreplied => unreplied,
            Kind::Host => host,
        })
    }
}

fn at(index: u32) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
}

/// The ends of a list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct List {
    head: u32,
    tail: u32,
}

impl Default for List {
    fn default() -> Self {
        Self {
            head: NONE,
            tail: NONE,
        }
    }
}

impl List {
    pub(crate) fn first(&self) -> Option<u32> {
        (self.head != NONE).then_some(self.head)
    }

    pub(crate) fn push(&mut self, slab: &mut Slab, kind: Kind, index: u32) {
        let before = self.tail;
        if let Some(link) = slab.link(kind, index) {
            *link = Link {
                before,
                behind: NONE,
            };
        }
        match slab.link(kind, before) {
            Some(last) => last.behind = index,
            None => self.head = index,
        }
        self.tail = index;
    }

    /// Takes out a flow that is on this list; nothing if it is on none of the kind.
    pub(crate) fn remove(&mut self, slab: &mut Slab, kind: Kind, index: u32) {
        let Some(link) = slab.link(kind, index) else {
            return;
        };
        let Link { before, behind } = std::mem::replace(link, UNLINKED);
        if before == NONE && self.head != index {
            return;
        }
        match slab.link(kind, before) {
            Some(link) => link.behind = behind,
            None => self.head = behind,
        }
        match slab.link(kind, behind) {
            Some(link) => link.before = before,
            None => self.tail = before,
        }
    }
}
