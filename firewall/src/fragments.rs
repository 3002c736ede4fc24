//! Virtual reassembly: later fragments go where their first one went (RFC 4787 REQ-14), and wait
//! for it if they come before. Bounded in datagrams, bytes and time.

use crate::config::Config;
use crate::hash::Key;
use crate::interface::InterfaceId;
use crate::wire::{Fragment, Packet, Protocol};
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

/// What fragments of one datagram have in common (RFC 791 section 3.2, RFC 8200 section 4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Id {
    interface: InterfaceId,
    source: IpAddr,
    destination: IpAddr,
    protocol: Protocol,
    identification: u32,
}

impl Id {
    pub(crate) fn new(interface: InterfaceId, view: &Packet, fragment: Fragment) -> Self {
        Self {
            interface,
            source: view.source,
            destination: view.destination,
            // In IPv6 only the first fragment knows.
            protocol: if view.is_v4() {
                view.protocol
            } else {
                Protocol(0)
            },
            identification: fragment.identification,
        }
    }
}

/// Where a datagram's first fragment went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) egress: Option<InterfaceId>,
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    /// Another identification, where datagrams of several hosts leave as one's.
    pub(crate) identification: Option<u16>,
}

#[derive(Debug)]
enum State {
    /// Only later fragments have come.
    Held(Vec<Vec<u8>>),
    Known(Way),
    /// All that belongs to it is dropped.
    Refused,
}

#[derive(Debug)]
struct Datagram {
    state: State,
    /// Parts that have come, as first and last byte.
    parts: Vec<(usize, usize)>,
    /// Its length, once the last fragment has come.
    length: Option<usize>,
    serial: u64,
}

/// What to do with a fragment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It is the first: judge it as a whole packet, and [`Fragments::settle`].
    Judge,
    /// Send it after the first.
    Follow(Way),
    /// Taken.
    Held,
    Drop,
}

/// A datagram of 65,535 bytes over links of 576.
const MAX_PARTS: usize = 128;

#[derive(Debug)]
pub(crate) struct Fragments {
    datagrams: HashMap<Id, Datagram, Key>,
    /// When they are forgotten (in milliseconds): those that wait for their first fragment, and the
    /// others. A serial number tells whether the datagram is still the same.
    ends: [VecDeque<(u64, Id, u64)>; 2],
    serial: u64,
    held_bytes: usize,
    held: usize,
}

const WAITING: usize = 0;
const SETTLED: usize = 1;

impl Fragments {
    pub(crate) fn new(key: Key) -> Self {
        Self {
            datagrams: HashMap::with_hasher(key),
            ends: Default::default(),
            serial: 0,
            held_bytes: 0,
            held: 0,
        }
    }

    /// Decides about a fragment. `bytes` is kept if it has to wait.
    pub(crate) fn see(
        &mut self,
        now: u64,
        id: Id,
        view: &Packet,
        fragment: Fragment,
        bytes: &[u8],
        config: &Config,
    ) -> Step {
        let length = view.payload_length();
        let end = fragment.offset + length;
        let shape = length > 0
            && (!fragment.more || length.is_multiple_of(8))
            // Ping of death, and a TCP header cut in two (RFC 1858, RFC 3128).
            && end <= usize::from(u16::MAX)
            && !(fragment.offset == 8 && view.is_v4() && view.protocol == Protocol::TCP);
        if !shape {
            self.refuse(now, id, config);
            return Step::Drop;
        }
        if !self.datagrams.contains_key(&id) && !self.begin(now, id, fragment, config) {
            return Step::Drop;
        }
        let Some(datagram) = self.datagrams.get_mut(&id) else {
            return Step::Drop;
        };
        let part = (fragment.offset, end - 1);
        match datagram.add(part, fragment.more) {
            Added::Again => return Step::Drop,
            Added::Never => {
                self.refuse(now, id, config);
                return Step::Drop;
            }
            Added::New => {}
        }
        let complete = datagram.is_complete();
        let step = match &mut datagram.state {
            State::Refused => Step::Drop,
            _ if fragment.offset == 0 => return Step::Judge,
            State::Known(way) => Step::Follow(*way),
            State::Held(packets) => {
                let packet = bytes.get(..view.length()).unwrap_or(bytes);
                if self.held_bytes + packet.len() > config.limits.fragment_bytes
                    || self.held >= config.limits.queue
                {
                    Step::Drop
                } else {
                    self.held_bytes += packet.len();
                    self.held += 1;
                    packets.push(packet.to_vec());
                    return Step::Held;
                }
            }
        };
        if complete {
            self.forget(&id);
        }
        step
    }

    /// Follows one more datagram; false if there are too many.
    fn begin(&mut self, now: u64, id: Id, fragment: Fragment, config: &Config) -> bool {
        let (limit, timeouts) = (config.limits.fragmented, &config.timeouts);
        let (queue, timeout) = if fragment.offset == 0 {
            (SETTLED, timeouts.fragment)
        } else {
            (WAITING, timeouts.fragment_held)
        };
        self.expire(now);
        if !self.make_room(queue, limit) {
            return false;
        }
        self.serial += 1;
        let datagram = Datagram {
            state: State::Held(Vec::new()),
            parts: Vec::new(),
            length: None,
            serial: self.serial,
        };
        self.datagrams.insert(id, datagram);
        self.enqueue(queue, now, timeout, id);
        true
    }

    fn enqueue(&mut self, queue: usize, now: u64, timeout: Duration, id: Id) {
        let until = now + u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX / 2);
        if let Some(ends) = self.ends.get_mut(queue) {
            ends.push_back((until, id, self.serial));
        }
    }

    /// Whoever floods with later fragments alone keeps nobody from sending in order: those do
    /// not push out others, in order the newest does.
    fn make_room(&mut self, queue: usize, limit: usize) -> bool {
        let most = if queue == WAITING { limit / 2 } else { limit };
        while let Some(ends) = self.ends.get_mut(queue) {
            if ends.len() < most {
                return true;
            }
            let Some(&(_, id, serial)) = ends.front() else {
                return false;
            };
            let live = self.datagrams.get(&id).is_some_and(|d| d.serial == serial);
            if live && queue == WAITING {
                return false;
            }
            ends.pop_front();
            self.forget_if(&id, serial);
        }
        false
    }

    /// The first fragment went this way: gives what has waited for it.
    pub(crate) fn settle(&mut self, now: u64, id: &Id, way: Way, config: &Config) -> Vec<Vec<u8>> {
        let Some(datagram) = self.datagrams.get_mut(id) else {
            return Vec::new();
        };
        let waited = !matches!(&datagram.state, State::Held(packets) if packets.is_empty());
        self.serial += 1;
        if waited {
            datagram.serial = self.serial;
        }
        let complete = datagram.is_complete();
        let held = match std::mem::replace(&mut datagram.state, State::Known(way)) {
            State::Held(packets) => packets,
            State::Known(_) | State::Refused => Vec::new(),
        };
        self.count_out(&held);
        if complete {
            self.forget(id);
        } else if waited && self.make_room(SETTLED, config.limits.fragmented) {
            self.enqueue(SETTLED, now, config.timeouts.fragment, *id);
        }
        held
    }

    /// What belongs to this datagram is dropped from now on.
    pub(crate) fn refuse(&mut self, now: u64, id: Id, config: &Config) {
        let first = Fragment {
            identification: 0,
            offset: 0,
            more: true,
        };
        if !self.datagrams.contains_key(&id) && !self.begin(now, id, first, config) {
            return;
        }
        if let Some(datagram) = self.datagrams.get_mut(&id)
            && let State::Held(packets) = std::mem::replace(&mut datagram.state, State::Refused)
        {
            self.count_out(&packets);
        }
    }

    pub(crate) fn expire(&mut self, now: u64) {
        for queue in [WAITING, SETTLED] {
            while let Some((until, id, serial)) =
                self.ends.get(queue).and_then(|ends| ends.front()).copied()
            {
                if until > now {
                    break;
                }
                if let Some(ends) = self.ends.get_mut(queue) {
                    ends.pop_front();
                }
                self.forget_if(&id, serial);
            }
        }
    }

    pub(crate) fn next_expiry(&self) -> Option<u64> {
        let ends = self.ends.iter().filter_map(VecDeque::front);
        ends.map(|(until, ..)| *until).min()
    }

    fn forget_if(&mut self, id: &Id, serial: u64) {
        if self.datagrams.get(id).is_some_and(|d| d.serial == serial) {
            self.forget(id);
        }
    }

    fn forget(&mut self, id: &Id) {
        if let Some(Datagram {
            state: State::Held(packets),
            ..
        }) = self.datagrams.remove(id)
        {
            self.count_out(&packets);
        }
    }

    fn count_out(&mut self, packets: &[Vec<u8>]) {
        self.held -= packets.len();
        self.held_bytes -= packets.iter().map(Vec::len).sum::<usize>();
    }
}

enum Added {
    New,
    /// It has come before.
    Again,
    /// Overlapping (RFC 5722, RFC 3128), behind the end, or one too many.
    Never,
}

impl Datagram {
    fn add(&mut self, part: (usize, usize), more: bool) -> Added {
        if self.parts.contains(&part) {
            return Added::Again;
        }
        let overlaps = |(first, last): &(usize, usize)| part.0 <= *last && *first <= part.1;
        let end = part.1 + 1;
        let beyond = self.length.is_some_and(|length| end > length || !more)
            || (!more && self.parts.iter().any(|(_, last)| *last >= end));
        if self.parts.len() >= MAX_PARTS || self.parts.iter().any(overlaps) || beyond {
            return Added::Never;
        }
        if !more {
            self.length = Some(end);
        }
        self.parts.push(part);
        Added::New
    }

    fn is_complete(&self) -> bool {
        let come: usize = self
            .parts
            .iter()
            .map(|(first, last)| last - first + 1)
            .sum();
        self.length == Some(come)
    }
}
