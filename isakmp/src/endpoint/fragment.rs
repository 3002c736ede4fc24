//! IKE fragmentation below the exchange (payload 132), as Cisco, Microsoft and racoon do it.

use super::dispatch::Incoming;
use super::{Endpoint, State};
use crate::config::Path;
use crate::error::Error;
use crate::wire::{Chain, HEADER_LEN, Header, Message, payload};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long a message may stay incomplete.
const PATIENCE: Duration = Duration::from_secs(10);
/// Parts of one message at most.
const MAX_PARTS: u8 = 32;
/// Bytes of one message at most.
const MAX_MESSAGE: usize = 16_384;
const LAST: u8 = 1;

/// Messages of one ISAKMP SA that may be incomplete at once.
const MAX_OF_ONE_SA: usize = 4;

/// Which message a fragment belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    path: Path,
    cookies: [[u8; 8]; 2],
    id: u16,
}

impl Key {
    pub(super) const fn new(path: Path, cookies: [[u8; 8]; 2], id: u16) -> Self {
        Self { path, cookies, id }
    }

    /// All messages of the same SA.
    fn siblings(self) -> std::ops::RangeInclusive<Self> {
        Self { id: 0, ..self }..=Self {
            id: u16::MAX,
            ..self
        }
    }
}

/// Messages being put together.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    messages: BTreeMap<Key, Parts>,
}

#[derive(Debug)]
struct Parts {
    until: Instant,
    /// The number of the last part, once it has come.
    last: Option<u8>,
    bytes: usize,
    parts: BTreeMap<u8, Vec<u8>>,
}

impl Fragments {
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.messages.values().map(|m| m.until).min()
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.messages.retain(|_, m| m.until > now);
    }

    /// How many messages are incomplete.
    #[cfg(fuzzing)]
    pub(super) fn messages(&self) -> usize {
        self.messages.len()
    }

    /// The oldest has waited longest for a part that is probably lost: of the same SA, or of all.
    fn make_room(&mut self, key: Key, limit: usize) {
        let own = self.messages.range(key.siblings());
        let oldest = if own.clone().count() >= MAX_OF_ONE_SA {
            own.min_by_key(|(_, m)| m.until).map(|(key, _)| *key)
        } else if self.messages.len() >= limit {
            let all = self.messages.iter();
            all.min_by_key(|(_, m)| m.until).map(|(key, _)| *key)
        } else {
            None
        };
        if let Some(oldest) = oldest {
            self.messages.remove(&oldest);
        }
    }

    /// Adds a part; the message if it is complete now.
    pub(super) fn add(
        &mut self,
        now: Instant,
        key: Key,
        number: u8,
        last: bool,
        data: &[u8],
        limit: usize,
    ) -> Result<Option<Vec<u8>>, Error> {
        if number == 0 || number > MAX_PARTS {
            return Err(Error::Malformed("isakmp_fragment_number"));
        }
        if !self.messages.contains_key(&key) {
            self.make_room(key, limit);
        }
        let message = self.messages.entry(key).or_insert_with(|| Parts {
            until: now + PATIENCE,
            last: None,
            bytes: 0,
            parts: BTreeMap::new(),
        });
        if last && message.last.is_some_and(|l| l != number)
            || message.bytes + data.len() > MAX_MESSAGE
        {
            self.messages.remove(&key);
            return Err(Error::Malformed("isakmp_fragment_conflict"));
        }
        if last {
            message.last = Some(number);
        }
        if let std::collections::btree_map::Entry::Vacant(vacant) = message.parts.entry(number) {
            vacant.insert(data.to_vec());
            message.bytes += data.len();
        }
        let whole = message
            .last
            .is_some_and(|l| (1..=l).all(|n| message.parts.contains_key(&n)));
        if !whole {
            return Ok(None);
        }
        let count = usize::from(message.last.unwrap_or(0));
        let whole = self.messages.remove(&key);
        Ok(whole.map(|m| m.parts.into_values().take(count).flatten().collect()))
    }
}

impl Endpoint {
    pub(super) fn reassemble(
        &mut self,
        now: Instant,
        incoming: &Incoming<'_>,
    ) -> Result<Option<Vec<u8>>, Error> {
        if !self.may_fragment(now, incoming) {
            return Err(Error::Unexpected("isakmp_fragment_unannounced"));
        }
        let header = &incoming.header;
        let message = Message::parse(header.next_payload, incoming.body)?;
        let content = message
            .only(payload::FRAGMENT)
            .ok_or(Error::Malformed("isakmp_fragment"))?;
        let Some(([id0, id1, number, flags], data)) = content.split_first_chunk::<4>() else {
            return Err(Error::Malformed("isakmp_fragment"));
        };
        let cookies = [header.initiator_cookie, header.responder_cookie];
        let id = u16::from_be_bytes([*id0, *id1]);
        let key = Key::new(incoming.path, cookies, id);
        let limit = self.config.limits.fragmented_messages;
        self.fragments
            .add(now, key, *number, flags & LAST != 0, data, limit)
    }

    /// Fragments are for those who know that we can, after our vendor ID: a sender whose address
    /// is made up cannot fill the table.
    fn may_fragment(&mut self, now: Instant, incoming: &Incoming<'_>) -> bool {
        match self.find(incoming) {
            Some(id) => self.sas.get(&id).is_some_and(|sa| {
                // As initiator we have announced it; whether the peer has is in this message.
                sa.fragmentation || sa.state == State::AwaitMessage2
            }),
            None => self.crumbs.may_fragment(now, incoming),
        }
    }
}

/// The fragments of a message: each is a message of its own with a part in payload 132.
pub(super) fn split(message: &[u8], size: usize) -> Vec<Vec<u8>> {
    // Header, generic payload header, fragment header.
    let room = size.saturating_sub(HEADER_LEN + 8).max(128);
    let Ok((header, _)) = Header::parse(message) else {
        return vec![message.to_vec()];
    };
    let chunks = message.chunks(room);
    let count = chunks.len();
    let part = |(index, chunk): (usize, &[u8])| {
        let number = u8::try_from(index + 1).unwrap_or(u8::MAX);
        let last = if index + 1 == count { LAST } else { 0 };
        let body = [&[0, 1, number, last][..], chunk].concat();
        let header = Header {
            next_payload: payload::FRAGMENT,
            flags: crate::wire::Flags::NONE,
            message_id: 0,
            ..header
        };
        header.encode(&Chain::default().with(payload::FRAGMENT, body).encode())
    };
    chunks.enumerate().map(part).collect()
}
