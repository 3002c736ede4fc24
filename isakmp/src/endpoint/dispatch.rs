//! From a datagram to the exchange it belongs to.

use super::state::{Sa, State};
use super::{Endpoint, digest};
use crate::config::Path;
use crate::error::Error;
use crate::event::{RefusedReason, SaId};
use crate::keys::Cookies;
use crate::wire::{ExchangeType, Header, payload};
use natt::{Datagram, PortKind};
use std::time::Instant;

/// A message that has arrived, still encrypted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Incoming<'a> {
    pub(super) path: Path,
    pub(super) header: Header,
    pub(super) body: &'a [u8],
    /// The whole message.
    pub(super) bytes: &'a [u8],
}

impl Endpoint {
    /// Takes a datagram that arrived on `path`; on the NAT traversal port with its marker.
    ///
    /// # Errors
    /// Why the datagram was dropped; the endpoint is as before, but for events.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        path: Path,
        datagram: &mut [u8],
    ) -> Result<(), Error> {
        let natt_port = path.local.port() == self.config.natt_port;
        let port = if natt_port {
            PortKind::Natt
        } else {
            PortKind::Ike
        };
        let range = match natt::classify(port, datagram, 0..datagram.len()) {
            Ok(Datagram::Ike(range)) => range,
            Ok(Datagram::Keepalive) => return Ok(()),
            Ok(Datagram::Esp(_)) => return Err(Error::Malformed("isakmp_no_marker")),
            Err(error) => return Err(Error::Malformed(error.reason())),
        };
        let message = datagram
            .get(range)
            .ok_or(Error::Malformed("isakmp_truncated"))?;
        let (header, body) = Header::parse(message)?;
        let incoming = Incoming {
            path,
            header,
            body,
            bytes: message,
        };
        if header.next_payload != payload::FRAGMENT {
            return self.dispatch(now, incoming);
        }
        let Some(whole) = self.reassemble(now, &incoming)? else {
            return Ok(());
        };
        let (header, body) = Header::parse(&whole)?;
        if header.next_payload == payload::FRAGMENT {
            return Err(Error::Malformed("isakmp_nested_fragment"));
        }
        let incoming = Incoming {
            path,
            header,
            body,
            bytes: &whole,
        };
        self.dispatch(now, incoming)
    }

    fn dispatch(&mut self, now: Instant, incoming: Incoming<'_>) -> Result<(), Error> {
        let header = &incoming.header;
        self.stats.received.count(header.exchange);
        if incoming.path.local == incoming.path.remote {
            return Err(Error::Unexpected("isakmp_from_ourselves"));
        }
        if header.initiator_cookie == [0; 8] {
            return Err(Error::Malformed("isakmp_zero_cookie"));
        }
        match header.exchange {
            ExchangeType::Main => {}
            ExchangeType::Informational | ExchangeType::Quick => {
                let Some(id) = self.find(&incoming) else {
                    return Err(Error::UnknownCookies);
                };
                let quick = header.exchange == ExchangeType::Quick;
                return self.in_sa(id, |endpoint, sa| match quick {
                    true => endpoint.handle_quick(now, sa, &incoming),
                    false => endpoint.handle_informational(now, sa, &incoming),
                });
            }
            ExchangeType::Aggressive => {
                if self.may_report(now) {
                    self.refuse_aggressive(incoming.path);
                }
                return Err(Error::ExchangeType(4));
            }
            ExchangeType::Other(other) => return Err(Error::ExchangeType(other)),
        }
        if header.message_id != 0 {
            return Err(Error::Unexpected("isakmp_message_id"));
        }
        match self.find(&incoming) {
            Some(id) => self.in_sa(id, |endpoint, sa| endpoint.handle_main(now, sa, &incoming)),
            None if header.responder_cookie == [0; 8] => self.handle_first(now, &incoming),
            None => self.handle_stateless(now, &incoming),
        }
    }

    pub(super) fn in_sa(
        &mut self,
        id: SaId,
        work: impl FnOnce(&mut Self, &mut Sa) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.with_sa(id, work).unwrap_or(Err(Error::UnknownCookies))
    }

    pub(super) fn find(&self, incoming: &Incoming<'_>) -> Option<SaId> {
        let cookies = Cookies {
            initiator: incoming.header.initiator_cookie,
            responder: incoming.header.responder_cookie,
        };
        let first = || {
            let key = (incoming.path.remote, cookies.initiator);
            let id = self.by_first.get(&key)?;
            // Our own first message is answered with a cookie, a peer's comes again without.
            let sa = self.sas.get(id)?;
            let awaited = sa.state == State::AwaitMessage2;
            (awaited || cookies.responder == [0; 8]).then_some(*id)
        };
        self.by_cookies.get(&cookies).copied().or_else(first)
    }

    pub(super) fn handle_main(
        &mut self,
        now: Instant,
        sa: &mut Sa,
        incoming: &Incoming<'_>,
    ) -> Result<(), Error> {
        let digest = digest(incoming.bytes);
        if let Some(reply) = sa.answered.as_mut().and_then(|a| a.repeat(&digest)) {
            self.repeat(sa, incoming.path, reply);
            return Ok(());
        }
        if sa.established() {
            return Err(Error::Unexpected("isakmp_main_mode_is_over"));
        }
        let encrypted = matches!(sa.state, State::AwaitMessage5 | State::AwaitMessage6);
        if encrypted != incoming.header.flags.encrypted() {
            return Err(Error::Unexpected("isakmp_encryption_flag"));
        }
        match sa.state {
            State::AwaitMessage2 => self.handle_message_2(now, sa, incoming),
            State::AwaitMessage3 => self.handle_message_3(now, sa, incoming, digest),
            State::AwaitMessage4 => self.handle_message_4(now, sa, incoming),
            State::AwaitMessage5 => self.handle_message_5(now, sa, incoming, digest),
            State::AwaitMessage6 => self.handle_message_6(now, sa, incoming),
            // The answer follows when the computation is done.
            State::Computing => Ok(()),
            State::Established | State::Closed => Err(Error::Unexpected("isakmp_state")),
        }
    }

    /// Answers a duplicate, where it came from: its sender may have another mapping by now.
    pub(super) fn repeat(&mut self, sa: &Sa, path: Path, reply: Option<Vec<u8>>) {
        self.stats.duplicates += 1;
        if let Some(reply) = reply {
            self.send(path, &reply, sa.fragmentation);
        }
    }

    fn refuse_aggressive(&mut self, path: Path) {
        let hint = "main mode only: remove the group name or IPsec identifier from the client";
        self.refused(
            path,
            None,
            RefusedReason::AggressiveMode,
            String::new(),
            hint.to_owned(),
        );
    }
}
