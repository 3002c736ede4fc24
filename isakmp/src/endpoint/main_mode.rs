//! What both roles of main mode share (RFC 2409 section 5).

use super::dispatch::Incoming;
use super::state::{Handshake, Party, Sa, State};
use super::{Endpoint, soft};
use crate::config::Path;
use crate::crypto;
use crate::error::Error;
use crate::event::{CloseReason, Event, RefusedReason, Role};
use crate::job::{Derivation, MainInput};
use crate::keylog::KeyLogLine;
use crate::keys::Keys;
use crate::secret::Secret;
use crate::wire::{Chain, ExchangeType, Flags, Header, Identity, Message, payload};
use natt::{Detection, NatD, nat_d_hash};
use std::net::SocketAddr;
use std::time::Instant;

/// RFC 2409 section 5.
const NONCE_LENGTHS: std::ops::RangeInclusive<usize> = 8..=256;
pub(super) const NONCE_LEN: usize = 32;

impl Sa {
    pub(super) fn header(
        &self,
        exchange: ExchangeType,
        message_id: u32,
        flags: Flags,
        first: u8,
    ) -> Header {
        Header {
            initiator_cookie: self.cookies.initiator,
            responder_cookie: self.cookies.responder,
            next_payload: first,
            exchange,
            flags,
            message_id,
        }
    }

    /// A main mode message in the clear.
    pub(super) fn plain(&self, chain: &Chain) -> Vec<u8> {
        self.header(ExchangeType::Main, 0, Flags::NONE, chain.first())
            .encode(&chain.encode())
    }

    /// An encrypted message and the IV after it.
    pub(super) fn encrypted(
        &self,
        exchange: ExchangeType,
        message_id: u32,
        iv: &[u8],
        chain: &Chain,
    ) -> Option<(Vec<u8>, Vec<u8>)> {
        let (body, next) = self.keys.as_ref()?.encrypt(iv, chain.encode())?;
        let header = self.header(exchange, message_id, Flags::ENCRYPTED, chain.first());
        Some((header.encode(&body), next))
    }

    fn nat_d(&self, address: SocketAddr) -> Vec<u8> {
        let hash = |input: &[u8]| crypto::hash(self.suite.hash, &[input]);
        nat_d_hash(
            hash,
            self.cookies.initiator,
            self.cookies.responder,
            address,
        )
    }

    pub(super) fn handshake(&mut self) -> &mut Handshake {
        self.handshake.get_or_insert_default()
    }
}

impl Endpoint {
    /// KE, nonce and NAT-D of messages 3 and 4 from the peer.
    pub(super) fn read_exchange(
        &self,
        sa: &mut Sa,
        incoming: &Incoming<'_>,
    ) -> Result<(Vec<u8>, Vec<u8>), Error> {
        let message = Message::parse(incoming.header.next_payload, incoming.body)?;
        let public = message
            .only(payload::KEY_EXCHANGE)
            .ok_or(Error::Unexpected("isakmp_no_key_exchange"))?;
        let nonce = message
            .only(payload::NONCE)
            .ok_or(Error::Unexpected("isakmp_no_nonce"))?;
        if !NONCE_LENGTHS.contains(&nonce.len()) {
            return Err(Error::Malformed("isakmp_nonce_length"));
        }
        if public.len() != sa.suite.group.public_length() {
            return Err(Error::InvalidKeyExchange);
        }
        if let Some(dialect) = sa.dialect {
            let nat_d: Vec<_> = message
                .all(dialect.nat_d_payload())
                .map(<[u8]>::to_vec)
                .collect();
            let received: Vec<_> = nat_d.iter().map(Vec::as_slice).collect();
            let (local, remote) = (
                sa.nat_d(incoming.path.local),
                sa.nat_d(incoming.path.remote),
            );
            match Detection::compare(&received, &local, &remote) {
                Some(detection) => sa.nat = detection,
                // It announced NAT traversal and does not do it.
                None => sa.dialect = None,
            }
            sa.handshake().nat_d = nat_d;
        }
        Ok((public.to_vec(), nonce.to_vec()))
    }

    /// Our message 3 or 4.
    pub(super) fn exchange_chain(&mut self, sa: &Sa, public: &[u8], nonce: &[u8]) -> Chain {
        let mut chain = Chain::default()
            .with(payload::KEY_EXCHANGE, public)
            .with(payload::NONCE, nonce);
        let Some(dialect) = sa.dialect else {
            return chain;
        };
        let spoiled = || sa.nat_d(SocketAddr::from(([0, 0, 0, 0], 0)));
        let mut nat_d = NatD {
            destination: sa.nat_d(sa.path.remote),
            source: sa.nat_d(sa.path.local),
        };
        if sa.peer.as_ref().is_some_and(|p| p.force_encapsulation) {
            nat_d.source = spoiled();
        }
        let about_us = sa.handshake.as_ref().and_then(|h| h.nat_d.first());
        if let (true, Role::Responder, Some(about_us)) =
            (self.config.nat_d_mirror, sa.role, about_us)
        {
            nat_d = nat_d.mirrored(about_us.clone(), sa.nat, spoiled());
        }
        for body in [nat_d.destination, nat_d.source] {
            chain.push(dialect.nat_d_payload(), body);
        }
        chain
    }

    /// What the keys are made of, once both nonces and the peer's public value are there.
    pub(super) fn derivation(sa: &Sa) -> Derivation {
        let Some(handshake) = &sa.handshake else {
            return Derivation::None;
        };
        Derivation::Main(Box::new(MainInput {
            role: sa.role,
            suite: sa.suite,
            psk: sa.psk.clone(),
            cookies: sa.cookies,
            nonces: [
                handshake.initiator_nonce.clone(),
                handshake.responder_nonce.clone(),
            ],
        }))
    }

    pub(super) fn adopt_keys(&mut self, sa: &mut Sa, keys: Keys) {
        if self.key_log {
            let line = KeyLogLine::new(sa.cookies.initiator, keys.encryption().clone());
            self.event(Event::KeyLog(line));
        }
        sa.keys = Some(keys);
    }

    /// `HASH_I` or `HASH_R` of the side `role`.
    pub(super) fn main_hash(sa: &Sa, role: Role, id_body: &[u8]) -> Result<Secret, Error> {
        let wrong = Error::Unexpected("isakmp_state");
        let (Some(handshake), Some(keys)) = (&sa.handshake, &sa.keys) else {
            return Err(wrong);
        };
        let publics = [&handshake.initiator_public[..], &handshake.responder_public];
        let cookies = [&sa.cookies.initiator, &sa.cookies.responder];
        let (publics, cookies) = match role {
            Role::Initiator => (publics, cookies),
            Role::Responder => ([publics[1], publics[0]], [cookies[1], cookies[0]]),
        };
        Ok(keys.main_hash(publics, cookies, &handshake.sa_body, id_body))
    }

    /// Our ID payload; protocol and port stay zero, as a NAT may change the port.
    pub(super) fn own_id(&self, sa: &Sa) -> Vec<u8> {
        let own = sa.peer.as_ref().and_then(|p| p.identity.as_ref());
        let id = own.or(self.config.identity.as_ref()).cloned();
        id.unwrap_or_else(|| Identity::Address(sa.path.local.ip().to_canonical()))
            .payload(0, 0)
    }

    /// Decrypts and verifies message 5 or 6; the peer's identity, the IV after it, and the types
    /// of notifications in it.
    pub(super) fn read_authentication(
        &mut self,
        sa: &mut Sa,
        incoming: &Incoming<'_>,
    ) -> Result<(Identity, Vec<u16>), Error> {
        let peer_role = match sa.role {
            Role::Initiator => Role::Responder,
            Role::Responder => Role::Initiator,
        };
        let keys = sa.keys.as_ref().ok_or(Error::Unexpected("isakmp_state"))?;
        let (plain, iv) = keys
            .decrypt(&keys.iv(0), incoming.body)
            .ok_or(Error::Undecryptable)?;
        let message = Message::parse(incoming.header.next_payload, &plain)
            .map_err(|_| Error::Undecryptable)?;
        let id_body = message
            .only(payload::IDENTIFICATION)
            .ok_or(Error::Undecryptable)?;
        let hash = message.only(payload::HASH).ok_or(Error::Undecryptable)?;
        let expected = Self::main_hash(sa, peer_role, id_body)?;
        if !crypto::equal(hash, expected.as_bytes()) {
            return Err(Error::NotAuthentic);
        }
        let (identity, _, _) = Identity::parse(id_body)?;
        self.opened(incoming, &plain);
        let notifies = message.all(payload::NOTIFICATION);
        let kinds = notifies
            .filter_map(|n| crate::wire::Notify::parse(n).ok())
            .map(|n| n.kind)
            .collect();
        if let Some(keys) = &mut sa.keys {
            keys.set_iv(iv);
        }
        Ok((identity, kinds))
    }

    /// Main mode is complete.
    pub(super) fn establish(&mut self, now: Instant, sa: &mut Sa, path: Path, peer_id: Identity) {
        if sa.half_open_until.take().is_some() && sa.role == Role::Responder {
            self.no_longer_half_open(sa.path.remote.ip());
        }
        self.forget_first(sa);
        // The message answers ours: from where that went, it proves that the peer is there. With a
        // change of port it never does.
        let proof = path == sa.path;
        self.move_sa(sa, path, (!proof).then_some(now));
        sa.state = State::Established;
        self.place_sa(sa);
        sa.handshake = None;
        sa.retransmit = None;
        sa.peer_id = Some(peer_id.clone());
        match sa.replaces.and_then(|old| self.sas.get(&old)) {
            Some(old) => (sa.party, sa.stranger) = (old.party, old.stranger),
            None => sa.party = Party(self.next_serial()),
        }
        let lost = if proof { self.recognize(now, sa) } else { None };
        self.stats.established += 1;
        let lifetime = std::time::Duration::from_secs(sa.seconds);
        sa.expires = Some(now + lifetime);
        if sa.role == Role::Initiator {
            sa.rekey_at = Some(now + soft(sa.seconds));
        }
        self.alive(now, sa);
        if sa.nat.local_behind_nat {
            sa.keepalive = Some(natt::Keepalive::new(now, self.config.timers.keepalive));
        }
        self.event(Event::Established {
            sa: sa.id,
            path,
            role: sa.role,
            peer_id,
            party: sa.stranger.is_none().then_some(sa.party.0),
            nat: sa.nat,
            dialect: sa.dialect,
            suite: sa.suite,
            software: sa.software,
            took: sa.started.map_or(std::time::Duration::ZERO, |at| {
                now.saturating_duration_since(at)
            }),
        });
        if let Some(lost) = lost {
            self.end_lost(now, sa, lost);
        }
        self.limit_sas(now, sa);
        if let Some(old) = sa.replaces.take() {
            self.adopt_children(now, old, sa);
        }
        self.start_wanted(now, sa);
    }

    /// Gives up on an SA that did not come up.
    pub(super) fn fail_sa(&mut self, now: Instant, sa: &mut Sa, reason: RefusedReason, hint: &str) {
        if let Some(old) = sa.replaces {
            self.with_sa(old, |_, old| {
                old.renewing = false;
                old.rekey_at = Some(now + super::children::RENEW_AGAIN);
            });
        }
        for old in sa.wanted.drain(..).filter_map(|w| w.replaces) {
            self.renew_again(now, old);
        }
        let offer = match sa.role {
            Role::Initiator => self
                .offered(sa)
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", "),
            Role::Responder => sa.suite.to_string(),
        };
        self.refused(sa.path, Some(sa.id), reason, offer, hint.to_owned());
        if sa.role == Role::Initiator {
            self.event(Event::Closed {
                sa: sa.id,
                path: sa.path,
                reason: CloseReason::Failed,
            });
        }
        sa.state = State::Closed;
    }
}
