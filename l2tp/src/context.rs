//! What every step of a tunnel needs from its endpoint.

use crate::Config;
use crate::event::{Event, Frame, PathId, SessionId, Transmit};
use crate::wire::{Builder, MessageType};
use rand_core::CryptoRng;
use std::collections::VecDeque;
use std::time::Instant;

/// Messages, events and frames that wait at most; an owner who drains never has as many.
const QUEUE: usize = 65_536;

#[derive(Debug, Default)]
pub(crate) struct Output {
    pub(crate) transmits: VecDeque<Transmit>,
    pub(crate) events: VecDeque<Event>,
    pub(crate) frames: VecDeque<Frame>,
    /// Control messages that were repeated.
    pub(crate) retransmits: u64,
}

impl Output {
    pub(crate) fn transmit(&mut self, path: PathId, payload: Vec<u8>) {
        push(&mut self.transmits, Transmit { path, payload });
    }

    pub(crate) fn event(&mut self, event: Event) {
        push(&mut self.events, event);
    }

    pub(crate) fn frame(&mut self, session: SessionId, payload: Vec<u8>) {
        push(&mut self.frames, Frame { session, payload });
    }
}

fn push<T>(queue: &mut VecDeque<T>, item: T) {
    if queue.len() < QUEUE {
        queue.push_back(item);
    }
}

pub(crate) struct Context<'a> {
    pub(crate) now: Instant,
    pub(crate) config: &'a Config,
    pub(crate) rng: &'a mut dyn CryptoRng,
    pub(crate) out: &'a mut Output,
}

impl Context<'_> {
    /// A message to be, hidden if the configuration says so: those by which the ends come to know
    /// each other are not. They say nothing secret, and xl2tpd knows its secret only once it has
    /// been challenged.
    pub(crate) fn message(&mut self, kind: MessageType) -> Builder<'_> {
        let message = Builder::new(kind);
        let first = matches!(
            kind,
            MessageType::SCCRQ | MessageType::SCCRP | MessageType::STOPCCN
        );
        let hide = self.config.hide_avps && !first;
        match self.config.secret().filter(|_| hide) {
            Some(secret) => message.hiding(secret, self.rng),
            None => message,
        }
    }

    pub(crate) fn random<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }

    /// An id that is neither 0 nor taken. The search begins where nobody can guess; tables are
    /// never full.
    pub(crate) fn free_id(&mut self, taken: impl Fn(u16) -> bool) -> u16 {
        let mut id = u16::from_be_bytes(self.random());
        while id == 0 || taken(id) {
            id = id.wrapping_add(1);
        }
        id
    }
}
