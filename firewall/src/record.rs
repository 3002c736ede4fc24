//! What of a flow its packets seldom need, in places that never move.

use crate::arena::Arena;
use crate::clock::Instant8;
use crate::flow::{Flow, NONE, Way};
use crate::list::{Link, UNLINKED};
use crate::tcp::{self, Side, Tcp};
use crate::wire::{Protocol, Segment};

const LIVE: u8 = 1;
const V6: u8 = 2;
const INBOUND: u8 = 4;

const NO_RULE: u16 = u16::MAX;

/// Of any flow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record {
    /// The high halves of both ways' hashes.
    hashes: [u32; 2],
    pub(crate) links: [Link; 3],
    pub(crate) mapping: u32,
    /// Of its user, in the first of the user's flows.
    pub(crate) of_host: u32,
    pub(crate) opened: Instant8,
    /// The timer wheel's list that it waits on.
    pub(crate) armed: u16,
    rule: u16,
    marks: u8,
}

impl Default for Record {
    fn default() -> Self {
        Self {
            hashes: [0; 2],
            links: [UNLINKED; 3],
            mapping: NONE,
            of_host: 0,
            opened: 0,
            armed: 0,
            rule: NO_RULE,
            marks: 0,
        }
    }
}

impl Record {
    fn new(flow: &Flow) -> Self {
        let original = flow.tuple(Way::Original);
        let mark = |set: bool, mark: u8| if set { mark } else { 0 };
        let v6 = mark(original.source.0.is_ipv6(), V6);
        Self {
            mapping: flow.mapping,
            opened: flow.opened,
            rule: flow.rule.unwrap_or(NO_RULE),
            marks: LIVE | v6 | mark(flow.inbound, INBOUND),
            ..Self::default()
        }
    }

    pub(crate) fn is_live(&self) -> bool {
        self.marks & LIVE != 0
    }

    pub(crate) fn is_v6(&self) -> bool {
        self.marks & V6 != 0
    }

    pub(crate) fn is_inbound(&self) -> bool {
        self.marks & INBOUND != 0
    }

    pub(crate) fn rule(&self) -> Option<u16> {
        (self.rule != NO_RULE).then_some(self.rule)
    }

    pub(crate) fn hash(&self, way: Way) -> u64 {
        u64::from(way.of(self.hashes).0) << 32
    }

    #[allow(clippy::cast_possible_truncation, reason = "the high halves")]
    pub(crate) fn set_hashes(&mut self, hashes: [u64; 2]) {
        self.hashes = hashes.map(|hash| (hash >> 32) as u32);
    }
}

/// Of a TCP connection.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Connection {
    sides: [Side; 2],
    marks: u16,
    reopening: (u32, u8),
    record: Record,
}

impl Connection {
    pub(crate) fn tcp(&self) -> Tcp {
        Tcp::load(self.sides, self.marks, || self.reopening)
    }

    pub(crate) fn set_tcp(&mut self, tcp: &Tcp) {
        let (sides, marks, reopening) = tcp.store();
        (self.sides, self.marks) = (sides, marks);
        if let Some(reopening) = reopening {
            self.reopening = reopening;
        }
    }

    /// Whether a segment goes on in a connection that is up, as most do; takes note of it if so.
    pub(crate) fn goes_on(&mut self, way: Way, segment: &Segment) -> bool {
        tcp::goes_on(&mut self.sides, self.marks, way, segment)
    }
}

/// The records of all flows.
#[derive(Debug, Default)]
pub(crate) struct Records {
    plain: Arena<Record>,
    /// Their places have [`CONNECTION`].
    connections: Arena<Connection>,
}

const CONNECTION: u32 = 1 << 31;

impl Records {
    pub(crate) fn len(&self) -> usize {
        self.plain.len() + self.connections.len()
    }

    pub(crate) fn get(&self, place: u32) -> Option<&Record> {
        match self.connection(place) {
            Some(connection) => Some(&connection.record),
            None => self.plain.get(place),
        }
    }

    pub(crate) fn get_mut(&mut self, place: u32) -> Option<&mut Record> {
        if place & CONNECTION != 0 {
            Some(&mut self.connection_mut(place)?.record)
        } else {
            self.plain.get_mut(place)
        }
    }

    /// None if it is no connection's place.
    pub(crate) fn connection(&self, place: u32) -> Option<&Connection> {
        self.connections.get(place ^ CONNECTION)
    }

    pub(crate) fn connection_mut(&mut self, place: u32) -> Option<&mut Connection> {
        self.connections.get_mut(place ^ CONNECTION)
    }

    pub(crate) fn insert(&mut self, flow: &Flow) -> u32 {
        let record = Record::new(flow);
        if flow.tuple(Way::Original).protocol != Protocol::TCP {
            return self.plain.insert(record);
        }
        let mut connection = Connection {
            record,
            ..Connection::default()
        };
        connection.set_tcp(&flow.tcp);
        self.connections.insert(connection) | CONNECTION
    }

    /// Takes out what is in a place, which must be in use.
    pub(crate) fn remove(&mut self, place: u32) {
        if place & CONNECTION != 0 {
            self.connections.remove(place ^ CONNECTION);
        } else {
            self.plain.remove(place);
        }
    }

    /// All that are in use.
    pub(crate) fn places(&self) -> impl Iterator<Item = u32> {
        let plain = (0..).zip(self.plain.iter());
        let connections = (CONNECTION..).zip(self.connections.iter());
        let connections = connections.map(|(place, connection)| (place, &connection.record));
        let all = plain.chain(connections);
        all.filter(|(_, record)| record.is_live())
            .map(|(place, _)| place)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use crate::flow::{Flow, NONE, Tuple};
    use crate::interface::InterfaceId;
    use crate::policy::Kind;
    use crate::tcp::Tcp;
    use crate::wire::Protocol;
    use std::net::IpAddr;

    /// From one of many hosts.
    pub(crate) fn flow(host: u32) -> Flow {
        let original = Tuple {
            protocol: Protocol::UDP,
            source: (IpAddr::V4(host.into()), 5000),
            destination: ([203, 0, 113, 5].into(), 53),
        };
        Flow {
            tuples: [original, original.reversed()],
            interfaces: [InterfaceId::LOCAL; 2],
            sides: [Kind::Private, Kind::Public],
            expires: 0,
            opened: 0,
            tcp: Tcp::default(),
            replied: false,
            ipsec_only: false,
            inbound: false,
            mapping: NONE,
            rule: None,
        }
    }
}
