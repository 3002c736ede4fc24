//! Main mode as initiator (RFC 2409 section 5.4).

use super::dispatch::Incoming;
use super::main_mode::NONCE_LEN;
use super::state::{Retransmit, Sa, State, Wanted};
use super::{Endpoint, SHORT_PHASE1, short_list};
use crate::config::{Path, Peer};
use crate::error::Error;
use crate::event::{RefusedReason, Role, SaId};
use crate::job::{Derivation, Derived, Exchange, JobResult, Purpose, Work};
use crate::keys::Cookies;
use crate::offer::offer_phase1;
use crate::select;
use crate::suite::Phase1Suite;
use crate::vendor::Capabilities;
use crate::wire::{
    Chain, ExchangeType, Message, Notify, PROTO_ISAKMP, SaPayload, notify_payload, payload,
};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

impl Endpoint {
    pub(super) fn start_main(
        &mut self,
        now: Instant,
        path: Path,
        peer: Arc<Peer>,
        wanted: VecDeque<Wanted>,
        replaces: Option<SaId>,
    ) -> Result<SaId, Error> {
        if self.sas.len() >= self.config.limits.sas {
            return Err(Error::Limit("isakmp_sa_limit"));
        }
        let id = SaId(self.next_serial());
        let cookies = Cookies {
            initiator: self.random_cookie(),
            responder: [0; 8],
        };
        let suites = self.proposals(&peer);
        let first = *suites
            .first()
            .ok_or(Error::Refused("isakmp_no_proposals"))?;
        let seconds = self.config.policy.phase1_seconds();
        let sa_body = offer_phase1(&suites, seconds, self.config.habits.style);
        let mut chain = Chain::default().with(payload::SA, sa_body.clone());
        for body in Capabilities::announce(&self.config) {
            chain.push(payload::VENDOR_ID, body);
        }
        let mut sa = Box::new(Sa::new(
            id,
            Role::Initiator,
            path,
            cookies,
            peer.psk.clone(),
            first,
        ));
        sa.started = Some(now);
        sa.peer = Some(peer);
        sa.seconds = seconds.into();
        sa.handshake().sa_body = sa_body;
        sa.wanted = wanted;
        sa.replaces = replaces;
        let message = sa.plain(&chain);
        self.request(now, &mut sa, message);
        self.by_first.insert((path.remote, cookies.initiator), id);
        self.put(sa);
        Ok(id)
    }

    fn proposals(&self, peer: &Peer) -> Vec<Phase1Suite> {
        match &peer.proposals {
            own if own.is_empty() => short_list(&self.config.policy.phase1, &SHORT_PHASE1),
            own => own.clone(),
        }
    }

    /// What we have offered to the peer of `sa`.
    pub(super) fn offered(&self, sa: &Sa) -> Vec<Phase1Suite> {
        sa.peer
            .as_ref()
            .map_or_else(Vec::new, |peer| self.proposals(peer))
    }

    /// Sends a message of main mode and repeats it until the next one comes.
    fn request(&mut self, now: Instant, sa: &mut Sa, message: Vec<u8>) {
        self.send(sa.path, &message, sa.fragmentation);
        let due = now + self.config.timers.retransmit;
        sa.retransmit = Some(Retransmit {
            message,
            attempts: 0,
            due,
        });
    }

    /// SA, vendor IDs.
    pub(super) fn handle_message_2(
        &mut self,
        now: Instant,
        sa: &mut Sa,
        incoming: &Incoming<'_>,
    ) -> Result<(), Error> {
        let message = Message::parse(incoming.header.next_payload, incoming.body)?;
        let body = message
            .only(payload::SA)
            .ok_or(Error::Unexpected("isakmp_no_sa"))?;
        let answer = SaPayload::parse(body)?;
        let chosen = select::phase1_offers(&answer);
        let offered = self.offered(sa);
        let [chosen] = &chosen[..] else {
            return Err(Error::Unexpected("isakmp_not_one_transform"));
        };
        if !offered.contains(&chosen.suite) {
            return Err(Error::Unexpected("isakmp_not_offered"));
        }
        if incoming.header.responder_cookie == [0; 8] {
            return Err(Error::Malformed("isakmp_zero_cookie"));
        }
        let capabilities = Capabilities::read(message.all(payload::VENDOR_ID), &self.config);
        sa.adopt(&capabilities);
        sa.suite = chosen.suite;
        sa.seconds = chosen.seconds.map_or(sa.seconds, |s| s.min(sa.seconds));
        self.forget_first(sa);
        sa.cookies.responder = incoming.header.responder_cookie;
        self.by_cookies.insert(sa.cookies, sa.id);
        sa.retransmit = None;
        sa.state = State::Computing;
        let work = Work {
            exchange: Some(self.new_exchange(chosen.suite.group, None)),
            derivation: Derivation::None,
        };
        self.compute(now, sa, Purpose::Main, work);
        Ok(())
    }

    /// Our public value is there: message 3. The shared secret is there: message 5.
    pub(super) fn main_initiator_computed(
        &mut self,
        now: Instant,
        sa: &mut Sa,
        result: JobResult,
    ) -> Result<(), Error> {
        let output = result.output.ok_or(Error::InvalidKeyExchange)?;
        if let Derived::Main(keys) = output.keys {
            self.adopt_keys(sa, *keys);
            return self.send_message_5(now, sa);
        }
        let nonce = self.random::<NONCE_LEN>();
        let chain = self.exchange_chain(sa, &output.public, &nonce);
        if let Some(handshake) = &mut sa.handshake {
            handshake.initiator_nonce = nonce.to_vec();
            handshake.initiator_public = output.public;
            handshake.private = output.private;
        }
        sa.state = State::AwaitMessage4;
        let message = sa.plain(&chain);
        self.request(now, sa, message);
        Ok(())
    }

    /// KE, nonce, NAT-D.
    pub(super) fn handle_message_4(
        &mut self,
        now: Instant,
        sa: &mut Sa,
        incoming: &Incoming<'_>,
    ) -> Result<(), Error> {
        let (public, nonce) = self.read_exchange(sa, incoming)?;
        if sa.dialect.is_some() && sa.peer.as_ref().is_some_and(|p| p.force_encapsulation) {
            sa.nat.local_behind_nat = true;
        }
        let handshake = sa
            .handshake
            .as_mut()
            .ok_or(Error::Unexpected("isakmp_state"))?;
        handshake.responder_public.clone_from(&public);
        handshake.responder_nonce = nonce;
        let exchange = Exchange {
            group: sa.suite.group,
            private: handshake
                .private
                .take()
                .ok_or(Error::Unexpected("isakmp_state"))?,
            public: Some(handshake.initiator_public.clone()),
            peer: Some(public),
        };
        sa.retransmit = None;
        sa.state = State::Computing;
        let work = Work {
            exchange: Some(exchange),
            derivation: Self::derivation(sa),
        };
        self.compute(now, sa, Purpose::Main, work);
        Ok(())
    }

    fn send_message_5(&mut self, now: Instant, sa: &mut Sa) -> Result<(), Error> {
        if let (true, Some(peer)) = (sa.nat.any(), sa.peer.clone())
            && sa.path.local.port() != self.config.natt_port
        {
            // RFC 3947 section 4: from here on everything is on the other port.
            let path = Path {
                local: SocketAddr::new(sa.path.local.ip(), self.config.natt_port),
                remote: SocketAddr::new(sa.path.remote.ip(), peer.remote_natt_port),
            };
            self.move_sa(sa, path, None);
        }
        let id = self.own_id(sa);
        let hash = Self::main_hash(sa, Role::Initiator, &id)?;
        let mut chain = Chain::default()
            .with(payload::IDENTIFICATION, id)
            .with(payload::HASH, hash.as_bytes());
        if sa.replaces.is_none() && self.config.habits.initial_contact {
            let spi = [sa.cookies.initiator, sa.cookies.responder].concat();
            chain.push(
                payload::NOTIFICATION,
                notify_payload(&Notify {
                    protocol: PROTO_ISAKMP,
                    kind: Notify::INITIAL_CONTACT,
                    spi: &spi,
                    data: &[],
                }),
            );
        }
        let iv = sa.keys.as_ref().map(|k| k.iv(0)).unwrap_or_default();
        let (message, iv) = self.seal(sa.path, sa, ExchangeType::Main, 0, &iv, &chain)?;
        if let Some(keys) = &mut sa.keys {
            keys.set_iv(iv);
        }
        sa.state = State::AwaitMessage6;
        self.request(now, sa, message);
        Ok(())
    }

    /// ID, HASH.
    pub(super) fn handle_message_6(
        &mut self,
        now: Instant,
        sa: &mut Sa,
        incoming: &Incoming<'_>,
    ) -> Result<(), Error> {
        let (identity, _) = self.read_authentication(sa, incoming)?;
        let expected = sa.peer.as_ref().and_then(|p| p.remote_identity.as_ref());
        if let Some(expected) = expected
            && *expected != identity
        {
            let hint = format!("the peer says it is {identity}, expected was {expected}");
            self.fail_sa(now, sa, RefusedReason::InvalidIdentity, &hint);
            return Err(Error::Refused("invalid_identity"));
        }
        // From elsewhere it has been sent on: the peer stays where message 5 found it.
        self.establish(now, sa, sa.path, identity);
        Ok(())
    }
}
