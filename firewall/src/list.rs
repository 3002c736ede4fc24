//! Doubly linked lists that run through the flows' own records.

use crate::flow::NONE;
use crate::record::Records;

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
pub(crate) struct Link {
    pub(crate) before: u32,
    pub(crate) behind: u32,
}

pub(crate) const UNLINKED: Link = Link {
    before: NONE,
    behind: NONE,
};

fn link(records: &mut Records, kind: Kind, index: u32) -> Option<&mut Link> {
    let [due, unreplied, host] = &mut records.get_mut(index)?.links;
    Some(match kind {
        Kind::Due => due,
        Kind::Unreplied => unreplied,
        Kind::Host => host,
    })
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

    pub(crate) fn push(&mut self, records: &mut Records, kind: Kind, index: u32) {
        let before = self.tail;
        if let Some(link) = link(records, kind, index) {
            *link = Link {
                before,
                behind: NONE,
            };
        }
        match link(records, kind, before) {
            Some(last) => last.behind = index,
            None => self.head = index,
        }
        self.tail = index;
    }

    /// Takes out a flow that is on this list; nothing if it is on none of the kind.
    pub(crate) fn remove(&mut self, records: &mut Records, kind: Kind, index: u32) {
        let Some(own) = link(records, kind, index) else {
            return;
        };
        let Link { before, behind } = *own;
        if before == NONE && self.head != index {
            return;
        }
        unlink(records, kind, index);
        if before == NONE {
            self.head = behind;
        }
        if behind == NONE {
            self.tail = before;
        }
    }
}

/// Puts a flow behind another.
pub(crate) fn insert_behind(records: &mut Records, kind: Kind, before: u32, index: u32) {
    let Some(first) = link(records, kind, before) else {
        return;
    };
    let behind = std::mem::replace(&mut first.behind, index);
    if let Some(link) = link(records, kind, index) {
        *link = Link { before, behind };
    }
    if let Some(link) = link(records, kind, behind) {
        link.before = index;
    }
}

/// Closes the gap that a flow leaves, and gives its neighbours.
pub(crate) fn unlink(records: &mut Records, kind: Kind, index: u32) -> Link {
    let own = link(records, kind, index);
    let gap = own.map_or(UNLINKED, |link| std::mem::replace(link, UNLINKED));
    if let Some(link) = link(records, kind, gap.before) {
        link.behind = gap.behind;
    }
    if let Some(link) = link(records, kind, gap.behind) {
        link.before = gap.before;
    }
    gap
}
