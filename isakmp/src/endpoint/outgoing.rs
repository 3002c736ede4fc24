//! How messages leave: encrypted, in fragments, with a marker.

use super::dispatch::Incoming;
use super::state::Sa;
use super::{Endpoint, fragment};
use crate::config::{Path, Transmit};
use crate::error::Error;
use crate::event::Event;
use crate::plain::PlainMessage;
use crate::wire::{Chain, ExchangeType, Flags, Header};

impl Endpoint {
    /// Encrypts a message: it, and the IV after it.
    pub(super) fn seal(
        &mut self,
        path: Path,
        sa: &Sa,
        exchange: ExchangeType,
        id: u32,
        iv: &[u8],
        chain: &Chain,
    ) -> Result<(Vec<u8>, Vec<u8>), Error> {
        if self.plain_messages {
            let header = sa.header(exchange, id, Flags::NONE, chain.first());
            let message = PlainMessage::new(path, true, header.encode(&chain.encode()));
            self.event(Event::Plain(Box::new(message)));
        }
        sa.encrypted(exchange, id, iv, chain)
            .ok_or(Error::Unexpected("isakmp_state"))
    }

    /// A message of a peer has been verified.
    pub(super) fn opened(&mut self, incoming: &Incoming<'_>, plain: &[u8]) {
        if self.plain_messages {
            let mut header = incoming.header;
            header.flags = Flags::NONE;
            let message = PlainMessage::new(incoming.path, false, header.encode(plain));
            self.event(Event::Plain(Box::new(message)));
        }
    }

    /// Sends an ISAKMP message, in fragments if it is long and the peer can.
    pub(super) fn send(&mut self, path: Path, message: &[u8], fragmentation: bool) {
        if let Ok((header, _)) = Header::parse(message) {
            self.stats.sent.count(header.exchange);
        }
        match self.config.fragment_size {
            Some(size) if fragmentation && message.len() > size => {
                for part in fragment::split(message, size) {
                    self.send_datagram(path, &part);
                }
            }
            _ => self.send_datagram(path, message),
        }
    }

    pub(super) fn send_datagram(&mut self, path: Path, message: &[u8]) {
        let marker: &[u8] = if path.local.port() == self.config.natt_port {
            &natt::NON_ESP_MARKER
        } else {
            &[]
        };
        self.transmit(path, [marker, message].concat());
    }

    /// An owner that takes nothing loses datagrams, as a network does.
    pub(super) fn transmit(&mut self, path: Path, payload: Vec<u8>) {
        if self.transmits.len() < self.config.limits.events {
            self.transmits.push_back(Transmit { path, payload });
        }
    }
}

/// A protected message of `sa`, for those who play the peer: it, and the IV after it.
#[cfg(any(test, fuzzing))]
pub(super) fn seal_phase2(
    sa: &Sa,
    exchange: ExchangeType,
    id: u32,
    iv: &[u8],
    nonce: &[u8],
    chain: Chain,
) -> Result<(Vec<u8>, Vec<u8>), Error> {
    let chain = Endpoint::authentic(sa, id, nonce, chain)?;
    sa.encrypted(exchange, id, iv, &chain)
        .ok_or(Error::Unexpected("isakmp_state"))
}
