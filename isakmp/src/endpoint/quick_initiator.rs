//! Quick mode as initiator.

use super::Endpoint;
use super::dispatch::Incoming;
use super::main_mode::NONCE_LEN;
use super::state::{Answered, PendingChild, Pfs, Quick, QuickState, Retransmit, Sa, Wanted};
use crate::config::Mode;
use crate::error::Error;
use crate::event::{RefusedReason, Role};
use crate::job::{Derivation, Purpose, Work};
use crate::offer::ChildOffer;
use crate::policy::Lifetime;
use crate::select;
use crate::wire::{Chain, ExchangeType, Notify, SaPayload, payload};
use std::time::Instant;

impl Endpoint {
    pub(super) fn start_quick(&mut self, now: Instant, sa: &mut Sa, wanted: Wanted) {
        let id = self.quick_message_id(sa);
        let iv = sa.keys.as_ref().map(|k| k.iv(id)).unwrap_or_default();
        let group = wanted.request.pfs;
        let mut quick = Box::new(Quick {
            state: QuickState::Computing,
            role: Role::Initiator,
            iv,
            initiator_nonce: self.random::<NONCE_LEN>().to_vec(),
            responder_nonce: Vec::new(),
            pfs: group.map(|group| Pfs {
                group,
                private: None,
                public: None,
            }),
            wanted: Some(wanted),
            child: None,
            inbound_spi: self.new_spi(),
            path: sa.path,
            one_path: true,
            retransmit: None,
            answered: None,
            job: None,
            // Retransmission gives up earlier.
            until: now + self.config.limits.half_open_time * 4,
        });
        if let Some(group) = group {
            sa.quicks.insert(id, quick);
            let work = Work {
                exchange: Some(self.new_exchange(group, None)),
                derivation: Derivation::None,
            };
            self.compute(now, sa, Purpose::Quick(id), work);
        } else if self.send_quick_1(now, sa, id, &mut quick).is_ok() {
            sa.quicks.insert(id, quick);
        } else {
            self.inbound_spis.remove(&quick.inbound_spi);
        }
    }

    /// HASH, SA, nonce, KE, IDs, NAT-OA.
    pub(super) fn send_quick_1(
        &mut self,
        now: Instant,
        sa: &mut Sa,
        id: u32,
        quick: &mut Quick,
    ) -> Result<(), Error> {
        let wanted = quick
            .wanted
            .as_ref()
            .ok_or(Error::Unexpected("isakmp_state"))?;
        let udp = sa.nat.any();
        let mode = match (wanted.request.mode, sa.dialect.filter(|_| udp)) {
            (Mode::Tunnel, None) => 1,
            (Mode::Transport, None) => 2,
            (Mode::Tunnel, Some(dialect)) => dialect.tunnel_mode(),
            (Mode::Transport, Some(dialect)) => dialect.transport_mode(),
        };
        let offer = ChildOffer {
            suites: &wanted.suites,
            mode,
            pfs: wanted.request.pfs,
            lifetime: self.config.policy.child_lifetime,
            spi: quick.inbound_spi,
            style: self.config.habits.style,
            unsupported: self.config.habits.unsupported_offers,
        };
        let mut chain = Chain::default()
            .with(payload::SA, offer.payload())
            .with(payload::NONCE, quick.initiator_nonce.clone());
        if let Some(public) = quick.pfs.as_ref().and_then(|pfs| pfs.public.as_ref()) {
            chain.push(payload::KEY_EXCHANGE, public.clone());
        }
        for selector in Self::wanted_selectors(sa, wanted) {
            let body = selector.id.payload(selector.protocol, selector.port);
            chain.push(payload::IDENTIFICATION, body);
        }
        if wanted.request.mode == Mode::Transport {
            for (kind, body) in Self::nat_oa_payloads(sa, Role::Initiator) {
                chain.push(kind, body);
            }
        }
        let chain = Self::authentic(sa, id, &[], chain)?;
        let (message, iv) = self.seal(sa.path, sa, ExchangeType::Quick, id, &quick.iv, &chain)?;
        self.send(sa.path, &message, sa.fragmentation);
        quick.iv = iv;
        quick.state = QuickState::AwaitMessage2;
        let due = now + self.config.timers.retransmit;
        quick.retransmit = Some(Retransmit {
            message,
            attempts: 0,
            due,
        });
        Ok(())
    }

    /// HASH, SA, nonce, KE, IDs, NAT-OA.
    pub(super) fn handle_quick_2(
        &mut self,
        sa: &mut Sa,
        quick: &mut Quick,
        incoming: &Incoming<'_>,
        digest: Vec<u8>,
    ) -> Result<(), Error> {
        let keys = sa.keys.as_ref().ok_or(Error::Unexpected("isakmp_state"))?;
        let mut plain = Vec::new();
        let (message, iv) = self.open_phase2(
            keys,
            incoming,
            &quick.iv,
            &quick.initiator_nonce,
            &mut plain,
        )?;
        let wanted = quick
            .wanted
            .as_ref()
            .ok_or(Error::Unexpected("isakmp_state"))?;
        let body = message
            .only(payload::SA)
            .ok_or(Error::Unexpected("isakmp_no_sa"))?;
        let nonce = message
            .only(payload::NONCE)
            .ok_or(Error::Unexpected("isakmp_no_nonce"))?;
        let answer = SaPayload::parse(body)?;
        let chosen = select::child_offers(&answer);
        let [chosen] = &chosen[..] else {
            return Err(Error::Unexpected("isakmp_not_one_transform"));
        };
        let suite = wanted
            .suites
            .iter()
            .find(|s| select::same_suite(**s, chosen.suite));
        // An answer in another dialect's number is the same mode.
        let same = chosen.mode == wanted.request.mode
            && chosen.udp == sa.nat.any()
            && chosen.pfs == wanted.request.pfs;
        let (Some(suite), true) = (suite, same) else {
            return Err(Error::Unexpected("isakmp_not_offered"));
        };
        let public = message.only(payload::KEY_EXCHANGE);
        if public.map(<[u8]>::len) != chosen.pfs.map(crate::suite::Group::public_length) {
            return Err(Error::InvalidKeyExchange);
        }
        let mut lifetime = self.config.policy.child_lifetime;
        for notify in message
            .all(payload::NOTIFICATION)
            .filter_map(|n| Notify::parse(n).ok())
        {
            if notify.kind == Notify::RESPONDER_LIFETIME {
                let (seconds, kilobytes) = select::read_lifetime(notify.data);
                let narrow = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
                lifetime = lifetime.min(Lifetime {
                    seconds: seconds.map_or(u32::MAX, narrow),
                    kilobytes: kilobytes.map(narrow),
                });
            }
        }
        lifetime = lifetime.bounded(chosen.suite.cipher);
        let child = PendingChild {
            suite: self.truncate(sa, chosen.suite, Some(*suite)),
            mode: chosen.mode,
            udp: chosen.udp,
            lifetime,
            outbound_spi: chosen.spi,
            selectors: Self::wanted_selectors(sa, wanted),
            nat_oa: Self::nat_oa(sa, Role::Initiator, &message),
            peer_public: public.map(<[u8]>::to_vec),
            answer: Vec::new(),
            keys: None,
        };
        quick.responder_nonce = nonce.to_vec();
        quick.iv = iv;
        quick.retransmit = None;
        quick.answered = Some(Answered::new(digest, None));
        quick.child = Some(Box::new(child));
        quick.state = QuickState::Computing;
        Ok(())
    }

    /// HASH.
    pub(super) fn send_quick_3(
        &mut self,
        now: Instant,
        sa: &mut Sa,
        id: u32,
        quick: &mut Quick,
    ) -> Result<(), Error> {
        let keys = sa.keys.as_ref().ok_or(Error::Unexpected("isakmp_state"))?;
        let nonces = [&quick.initiator_nonce[..], &quick.responder_nonce];
        let hash = keys.phase2_hash(&[&[0], &id.to_be_bytes(), nonces[0], nonces[1]]);
        let chain = Chain::default().with(payload::HASH, hash.as_bytes());
        let (message, _) = self.seal(sa.path, sa, ExchangeType::Quick, id, &quick.iv, &chain)?;
        self.send(sa.path, &message, sa.fragmentation);
        if let Some(answered) = &mut quick.answered {
            answered.reply = Some(message);
        }
        quick.state = QuickState::Done;
        quick.until = now + self.config.timers.remember;
        self.establish_child(now, sa, quick, sa.path);
        self.ask_soon(now, sa);
        Ok(())
    }

    /// A quick mode of ours has failed.
    pub(super) fn fail_quick(
        &mut self,
        now: Instant,
        sa: &Sa,
        quick: &Quick,
        reason: RefusedReason,
        hint: &str,
    ) {
        self.inbound_spis.remove(&quick.inbound_spi);
        if let Some(old) = quick.wanted.as_ref().and_then(|w| w.replaces) {
            self.renew_again(now, old);
        }
        let offer = quick
            .wanted
            .iter()
            .flat_map(|w| &w.suites)
            .map(ToString::to_string);
        let offer = offer.collect::<Vec<_>>().join(", ");
        self.refused(sa.path, Some(sa.id), reason, offer, hint.to_owned());
    }
}
