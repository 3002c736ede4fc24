//! Quick mode as responder.

use super::Endpoint;
use super::dispatch::Incoming;
use super::main_mode::NONCE_LEN;
use super::state::{Answered, PendingChild, Pfs, Quick, QuickState, Retransmit, Sa};
use crate::config::{Mode, Selector};
use crate::crypto;
use crate::error::Error;
use crate::event::{RefusedReason, Role};
use crate::select::{self, ChildRules};
use crate::wire::{
    Chain, ExchangeType, Identity, Message, Notify, PROTO_ESP, SaPayload, notify_payload, payload,
};
use std::time::Instant;

/// Exchanges of a peer that one ISAKMP SA takes in its life, each with a message ID of its own.
pub(super) const MAX_USED_IDS: usize = 16_384;

impl Endpoint {
    /// HASH, SA, nonce, KE, IDs, NAT-OA.
    pub(super) fn handle_quick_1(
        &mut self,
        now: Instant,
        sa: &mut Sa,
        incoming: &Incoming<'_>,
        digest: Vec<u8>,
    ) -> Result<(), Error> {
        let id = incoming.header.message_id;
        let keys = sa.keys.as_ref().ok_or(Error::Unexpected("isakmp_state"))?;
        let mut plain = Vec::new();
        let (message, iv) = self.open_phase2(keys, incoming, &keys.iv(id), &[], &mut plain)?;
        self.use_id(sa, id)?;
        if sa.quicks.len() >= self.config.limits.quick_modes_per_sa && !self.forget_quick(sa) {
            return Err(Error::Limit("isakmp_quick_mode_limit"));
        }
        let sa_body = message
            .only(payload::SA)
            .ok_or(Error::Unexpected("isakmp_no_sa"))?;
        let nonce = message
            .only(payload::NONCE)
            .ok_or(Error::Unexpected("isakmp_no_nonce"))?;
        if !(8..=256).contains(&nonce.len()) {
            return Err(Error::Malformed("isakmp_nonce_length"));
        }
        let offer = SaPayload::parse(sa_body)?;
        let ids: Vec<_> = message.all(payload::IDENTIFICATION).collect();
        let selectors = Self::read_selectors(sa, &ids)?;
        let public = message.all(payload::KEY_EXCHANGE).next();
        let rules = ChildRules {
            nat: sa.nat.any(),
            natt_port: incoming.path.local.port() == self.config.natt_port,
            tunnel: self.config.accept_tunnel,
            key_exchange: public.map(<[u8]>::len),
        };
        let offers = select::child_offers(&offer);
        let Some(chosen) = select::choose_child(&offers, &self.config.policy.child, &rules) else {
            let (text, hint) = select::explain_child(&offer, &self.config.policy, &rules);
            self.refused(
                incoming.path,
                Some(sa.id),
                RefusedReason::NoProposalChosen,
                text,
                hint,
            );
            self.notify(
                sa,
                Notify::NO_PROPOSAL_CHOSEN,
                PROTO_ESP,
                &id.to_be_bytes(),
                &[],
            );
            return Err(Error::Refused("no_proposal_chosen"));
        };
        let own = self.config.policy.child_lifetime;
        let lifetime = chosen.lifetime.min(own).bounded(chosen.suite.cipher);
        let inbound_spi = self.new_spi();
        let mut answer: Vec<_> = ids
            .iter()
            .map(|body| (payload::IDENTIFICATION, body.to_vec()))
            .collect();
        let nat_oa = Self::nat_oa(sa, Role::Responder, &message);
        if chosen.mode == Mode::Transport && nat_oa.is_some() {
            answer.extend(Self::nat_oa_payloads(sa, Role::Responder));
        }
        if lifetime != chosen.lifetime {
            answer.push((
                payload::NOTIFICATION,
                notify_payload(&Notify {
                    protocol: PROTO_ESP,
                    kind: Notify::RESPONDER_LIFETIME,
                    spi: &inbound_spi.to_be_bytes(),
                    data: &select::lifetime_attributes(lifetime, chosen.lifetime),
                }),
            ));
        }
        answer.insert(0, (payload::SA, chosen.answer(inbound_spi)));
        let child = PendingChild {
            suite: self.truncate(sa, chosen.suite, None),
            mode: chosen.mode,
            udp: chosen.udp,
            lifetime,
            outbound_spi: chosen.spi,
            selectors,
            nat_oa,
            peer_public: public.map(<[u8]>::to_vec),
            answer,
            keys: None,
        };
        let quick = Quick {
            state: QuickState::Computing,
            role: Role::Responder,
            iv,
            initiator_nonce: nonce.to_vec(),
            responder_nonce: self.random::<NONCE_LEN>().to_vec(),
            pfs: chosen.pfs.map(|group| Pfs {
                group,
                private: Some(crypto::private_key(group, &mut *self.rng)),
                public: None,
            }),
            wanted: None,
            child: Some(Box::new(child)),
            inbound_spi,
            path: incoming.path,
            one_path: true,
            retransmit: None,
            answered: Some(Answered::new(digest, None)),
            job: None,
            until: now + self.config.limits.half_open_time * 2,
        };
        self.alive(now, sa);
        sa.quicks.insert(id, Box::new(quick));
        self.compute_child(now, sa, id);
        Ok(())
    }

    /// A message ID begins one exchange in the life of an SA, and no other.
    pub(super) fn use_id(&self, sa: &mut Sa, id: u32) -> Result<(), Error> {
        if sa.used_ids.len() >= MAX_USED_IDS {
            return Err(Error::Limit("isakmp_message_ids_limit"));
        }
        if sa.own_ids.contains(&id) || !sa.used_ids.insert(id) {
            return Err(Error::Unexpected("isakmp_message_id_replayed"));
        }
        Ok(())
    }

    /// The two ends: ours, the peer's.
    fn read_selectors(sa: &Sa, ids: &[&[u8]]) -> Result<[Selector; 2], Error> {
        let read = |body| {
            let (id, protocol, port) = Identity::parse(body)?;
            Ok::<_, Error>(Selector { id, protocol, port })
        };
        match ids {
            [remote, local] => Ok([read(local)?, read(remote)?]),
            // Without IDs they are the hosts themselves (RFC 2409 section 5.5).
            [] => Ok([sa.path.local, sa.path.remote].map(|address| Selector {
                id: Identity::Address(address.ip().to_canonical()),
                protocol: 0,
                port: 0,
            })),
            _ => Err(Error::Unexpected("isakmp_not_two_ids")),
        }
    }

    pub(super) fn send_quick_2(
        &mut self,
        now: Instant,
        sa: &mut Sa,
        id: u32,
        quick: &mut Quick,
        public: Vec<u8>,
    ) -> Result<(), Error> {
        let mut child = quick
            .child
            .take()
            .ok_or(Error::Unexpected("isakmp_state"))?;
        let mut chain = Chain::default();
        let mut answer = std::mem::take(&mut child.answer).into_iter();
        if let Some((kind, body)) = answer.next() {
            chain.push(kind, body);
        }
        chain.push(payload::NONCE, quick.responder_nonce.clone());
        if quick.pfs.is_some() {
            chain.push(payload::KEY_EXCHANGE, public);
        }
        for (kind, body) in answer {
            chain.push(kind, body);
        }
        quick.child = Some(child);
        let chain = Self::authentic(sa, id, &quick.initiator_nonce, chain)?;
        let (reply, iv) = self.seal(quick.path, sa, ExchangeType::Quick, id, &quick.iv, &chain)?;
        self.send(quick.path, &reply, sa.fragmentation);
        quick.iv = iv;
        quick.state = QuickState::AwaitMessage3;
        // Message 3 may be lost, and its sender considers itself done: without a repetition of
        // message 2 its ESP would meet no SA. RFC 2408 section 5.1 has both sides repeat; that a
        // made-up source could aim it at a victim (CVE-2016-5361) is why main mode does not. Here
        // the peer is authenticated, and the address is where its message 1 came from first.
        let due = now + self.config.timers.retransmit * 2;
        quick.retransmit = Some(Retransmit {
            message: reply.clone(),
            attempts: 0,
            due,
        });
        if let Some(answered) = &mut quick.answered {
            answered.reply = Some(reply);
        }
        Ok(())
    }

    /// HASH.
    pub(super) fn handle_quick_3(
        &mut self,
        now: Instant,
        sa: &mut Sa,
        quick: &mut Quick,
        incoming: &Incoming<'_>,
        digest: Vec<u8>,
    ) -> Result<(), Error> {
        let keys = sa.keys.as_ref().ok_or(Error::Unexpected("isakmp_state"))?;
        let (plain, _) = keys
            .decrypt(&quick.iv, incoming.body)
            .ok_or(Error::Undecryptable)?;
        let message = Message::parse(incoming.header.next_payload, &plain)
            .map_err(|_| Error::Undecryptable)?;
        let hash = message.only(payload::HASH).ok_or(Error::NotAuthentic)?;
        let id = incoming.header.message_id.to_be_bytes();
        let expected =
            keys.phase2_hash(&[&[0], &id, &quick.initiator_nonce, &quick.responder_nonce]);
        if !crypto::equal(hash, expected.as_bytes()) {
            return Err(Error::NotAuthentic);
        }
        self.opened(incoming, &plain);
        quick.retransmit = None;
        quick.answered = Some(Answered::new(digest, None));
        quick.state = QuickState::Done;
        quick.until = now + self.config.timers.remember;
        // It has received message 2 where that went; from elsewhere, this alone has come.
        let proof = quick.one_path && incoming.path == quick.path;
        self.move_peer(sa, incoming.path, (!proof).then_some(now));
        if proof && incoming.path == sa.path {
            self.proved(now, sa);
        }
        self.establish_child(now, sa, quick, sa.path);
        Ok(())
    }

    /// Makes room by forgetting a finished quick mode.
    fn forget_quick(&mut self, sa: &mut Sa) -> bool {
        let done = sa
            .quicks
            .iter()
            .filter(|(_, q)| matches!(q.state, QuickState::Done));
        let oldest = done.min_by_key(|(_, q)| q.until).map(|(id, _)| *id);
        oldest.is_some_and(|id| sa.quicks.remove(&id).is_some())
    }
}
