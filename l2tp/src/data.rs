//! Order of data messages (RFC 2661 section 5.4).

use crate::Error;
use crate::Reorder;
use crate::Role;
use crate::session::{Numbering, Session};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Frames of a call that wait for those before them.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// By their numbers.
    frames: BTreeMap<u16, Vec<u8>>,
    /// Until when the gap may close.
    deadline: Option<Instant>,
}

/// What to do with a data message. Frames in `freed` have waited long enough.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It is the next; those in `freed` follow it.
    Deliver { freed: Vec<Vec<u8>> },
    /// It is kept, or, if a gap was given up for it, among those in `freed`.
    Held { freed: Vec<Vec<u8>> },
}

impl Held {
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Takes out what follows `next` without a gap, and moves `next` past it.
    fn follow(&mut self, next: &mut u16, freed: &mut Vec<Vec<u8>>) {
        while let Some(frame) = self.frames.remove(next) {
            freed.push(frame);
            *next = next.wrapping_add(1);
        }
    }

    /// Gives up waiting for what is missing before the first frame.
    fn skip_gap(&mut self, next: &mut u16, freed: &mut Vec<Vec<u8>>) {
        let numbers = self.frames.keys().copied();
        if let Some(first) = numbers.min_by_key(|ns| ns.wrapping_sub(*next)) {
            *next = first;
            self.follow(next, freed);
        }
    }
}

impl Session {
    /// Judges a data message by its number.
    pub(crate) fn judge(
        &mut self,
        now: Instant,
        ns: Option<u16>,
        frame: &[u8],
        reorder: Reorder,
    ) -> Result<Turn, Error> {
        let Some(ns) = ns else {
            return match (self.numbering, self.role) {
                (Numbering::Required, _) => Err(Error::NotNumbered),
                (numbering, role) => {
                    // The LNS decides.
                    if numbering == Numbering::On && role == Role::Lac {
                        self.numbering = Numbering::Off;
                    }
                    Ok(Turn::Deliver { freed: Vec::new() })
                }
            };
        };
        if self.numbering == Numbering::Off && self.role == Role::Lac {
            self.numbering = Numbering::On;
        }
        let ahead = ns.wrapping_sub(self.data_nr);
        if ahead >= 0x8000 {
            return Err(Error::OutOfSequence);
        }
        let (Reorder::Queue { timeout, depth }, 1..) = (reorder, ahead) else {
            self.data_nr = ns.wrapping_add(1);
            let freed = self.release();
            return Ok(Turn::Deliver { freed });
        };
        self.hold(now, ns, frame, timeout, depth)
    }

    fn hold(
        &mut self,
        now: Instant,
        ns: u16,
        frame: &[u8],
        timeout: Duration,
        depth: u16,
    ) -> Result<Turn, Error> {
        let held = self.held.get_or_insert_default();
        if held.frames.contains_key(&ns) {
            return Err(Error::OutOfSequence);
        }
        held.frames.insert(ns, frame.to_vec());
        let mut freed = Vec::new();
        // Too many wait, or too large a gap: the oldest gaps are given up.
        let beyond = |next: u16| (depth + 1..0x8000).contains(&ns.wrapping_sub(next));
        while held.frames.len() > usize::from(depth) || beyond(self.data_nr) {
            held.skip_gap(&mut self.data_nr, &mut freed);
        }
        if freed.is_empty() {
            held.deadline.get_or_insert(now + timeout);
        } else {
            held.deadline = Some(now + timeout);
        }
        self.settle();
        Ok(Turn::Held { freed })
    }

    /// What can follow now that the gap before it has closed.
    fn release(&mut self) -> Vec<Vec<u8>> {
        let mut freed = Vec::new();
        if let Some(held) = &mut self.held {
            held.follow(&mut self.data_nr, &mut freed);
            self.settle();
        }
        freed
    }

    /// Gives up the first gap if it has been open for too long.
    pub(crate) fn give_up(&mut self, now: Instant, reorder: Reorder) -> Vec<Vec<u8>> {
        let mut freed = Vec::new();
        let Some(held) = &mut self.held else {
            return freed;
        };
        if held.deadline.is_some_and(|at| at <= now) {
            held.skip_gap(&mut self.data_nr, &mut freed);
            if let Reorder::Queue { timeout, .. } = reorder {
                held.deadline = Some(now + timeout);
            }
            self.settle();
        }
        freed
    }

    fn settle(&mut self) {
        if self.held.as_ref().is_some_and(|h| h.frames.is_empty()) {
            self.held = None;
        }
    }
}
