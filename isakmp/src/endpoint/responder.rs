//! Main mode as responder (RFC 2409 section 5.4).

use super::crumbs::Opening;
use super::dispatch::Incoming;
use super::main_mode::NONCE_LEN;
use super::state::{Answered, Lost, Sa, State};
use super::{Endpoint, digest, source_of};
use crate::config::Path;
use crate::error::Error;
use crate::event::{RefusedReason, Role, SaId};
use crate::job::{Derived, JobResult, Purpose, Work};
use crate::keys::Cookies;
use crate::policy::Policy;
use crate::select;
use crate::vendor::Capabilities;
use crate::wire::{
    Chain, ExchangeType, Flags, Header, Message, Notify, PROTO_ISAKMP, SaPayload, notify_payload,
    payload,
};
use std::time::Instant;

/// Bytes of an initiator's SA payload at most, as it is kept until main mode is over; the longest
/// lists of real clients have about 3000.
const MAX_SA_BODY: usize = 8192;

impl Endpoint {
    /// SA, vendor IDs: the first message of a peer.
    pub(super) fn handle_first(
        &mut self,
        now: Instant,
        incoming: &Incoming<'_>,
    ) -> Result<(), Error> {
        let most = self.config.limits.first_messages;
        if !self.admission.admit(now, most, incoming) {
            return Err(Error::Limit("isakmp_rate_limited"));
        }
        let opening = self.read_opening(now, incoming)?;
        let stateless = self.half_open_total >= self.config.limits.stateless_from;
        let cookies = Cookies {
            initiator: incoming.header.initiator_cookie,
            responder: match stateless {
                true => self.crumbs.cookie(now, incoming, &opening),
                false => self.random_cookie(),
            },
        };
        let mut chain = Chain::default().with(payload::SA, opening.answer.clone());
        for body in opening.capabilities.answer(&self.config) {
            chain.push(payload::VENDOR_ID, body);
        }
        let header = Header {
            initiator_cookie: cookies.initiator,
            responder_cookie: cookies.responder,
            next_payload: chain.first(),
            exchange: ExchangeType::Main,
            flags: Flags::NONE,
            message_id: 0,
        };
        let reply = header.encode(&chain.encode());
        if stateless {
            self.stats.cookie_challenges += 1;
            self.send(incoming.path, &reply, false);
            return Ok(());
        }
        let mut sa = self.admit(now, incoming.path, cookies, &opening)?;
        self.send(incoming.path, &reply, false);
        sa.answered = Some(Answered::new(digest(incoming.bytes), Some(reply)));
        self.by_first
            .insert((sa.path.remote, cookies.initiator), sa.id);
        self.put(sa);
        Ok(())
    }

    /// Message 3 of a peer whose first message has left no state, only a cookie.
    pub(super) fn handle_stateless(
        &mut self,
        now: Instant,
        incoming: &Incoming<'_>,
    ) -> Result<(), Error> {
        if incoming.header.flags.encrypted() {
            return Err(Error::UnknownCookies);
        }
        let opening = self
            .crumbs
            .redeem(now, incoming)
            .ok_or(Error::UnknownCookies)?;
        let cookies = Cookies {
            initiator: incoming.header.initiator_cookie,
            responder: incoming.header.responder_cookie,
        };
        let sa = self.admit(now, incoming.path, cookies, &opening)?;
        let id = sa.id;
        self.put(sa);
        self.in_sa(id, |endpoint, sa| endpoint.handle_main(now, sa, incoming))
    }

    /// Reads a first message and chooses; says no if there is nothing to choose.
    fn read_opening(&mut self, now: Instant, incoming: &Incoming<'_>) -> Result<Opening, Error> {
        if incoming.header.flags.encrypted() {
            return Err(Error::Unexpected("isakmp_encryption_flag"));
        }
        let message = Message::parse(incoming.header.next_payload, incoming.body)?;
        if message.first().is_none_or(|p| p.kind != payload::SA) {
            return Err(Error::Unexpected("isakmp_sa_is_not_first"));
        }
        let sa_body = message
            .only(payload::SA)
            .ok_or(Error::Unexpected("isakmp_no_sa"))?;
        if sa_body.len() > MAX_SA_BODY {
            return Err(Error::Limit("isakmp_sa_too_long"));
        }
        let offer = SaPayload::parse(sa_body)?;
        let source = incoming.path.remote.ip();
        if self.psks.of(source).is_none() {
            self.refuse_first(now, incoming, RefusedReason::NoPresharedKey, |_| {
                let hint = format!("no pre-shared key is configured for {source}");
                (String::new(), hint)
            });
            return Err(Error::Refused("no_preshared_key"));
        }
        let offers = select::phase1_offers(&offer);
        let Some(chosen) = select::choose_phase1(&offers, &self.config.policy.phase1) else {
            self.refuse_first(now, incoming, RefusedReason::NoProposalChosen, |policy| {
                select::explain_phase1(&offer, policy)
            });
            return Err(Error::Refused("no_proposal_chosen"));
        };
        let own = u64::from(self.config.policy.phase1_seconds());
        Ok(Opening {
            sa_body: sa_body.to_vec(),
            answer: chosen.answer(),
            suite: chosen.suite,
            seconds: chosen.seconds.map_or(own, |s| s.min(own)),
            capabilities: Capabilities::read(message.all(payload::VENDOR_ID), &self.config),
        })
    }

    /// Makes the SA of a peer that has begun main mode.
    fn admit(
        &mut self,
        now: Instant,
        path: Path,
        cookies: Cookies,
        opening: &Opening,
    ) -> Result<Box<Sa>, Error> {
        let source = path.remote.ip();
        self.check_half_open(source)?;
        let psk = self.psks.of(source).cloned();
        let psk = psk.ok_or(Error::Refused("no_preshared_key"))?;
        let id = SaId(self.next_serial());
        let mut sa = Box::new(Sa::new(
            id,
            Role::Responder,
            path,
            cookies,
            psk,
            opening.suite,
        ));
        sa.half_open_until = Some(now + self.config.limits.half_open_time);
        sa.started = Some(now);
        sa.seconds = opening.seconds;
        sa.handshake().sa_body.clone_from(&opening.sa_body);
        sa.adopt(&opening.capabilities);
        self.half_open_total += 1;
        *self.half_open.entry(source_of(source)).or_default() += 1;
        self.by_cookies.insert(cookies, id);
        Ok(sa)
    }

    fn check_half_open(&self, source: std::net::IpAddr) -> Result<(), Error> {
        let limits = &self.config.limits;
        if self.half_open_total >= limits.half_open || self.sas.len() >= limits.sas {
            return Err(Error::Limit("isakmp_half_open_limit"));
        }
        let here = self.half_open.get(&source_of(source)).copied().unwrap_or(0);
        if here >= limits.half_open_per_source {
            return Err(Error::Limit("isakmp_half_open_per_source_limit"));
        }
        Ok(())
    }

    /// Says no to a first message; keeps nothing. `explain` gives offer and hint.
    fn refuse_first(
        &mut self,
        now: Instant,
        incoming: &Incoming<'_>,
        reason: RefusedReason,
        explain: impl FnOnce(&Policy) -> (String, String),
    ) {
        if self.may_report(now) {
            let (offer, hint) = explain(&self.config.policy);
            self.refused(incoming.path, None, reason, offer, hint);
        }
        let spi = incoming.header.initiator_cookie;
        let notify = Notify {
            protocol: PROTO_ISAKMP,
            kind: Notify::NO_PROPOSAL_CHOSEN,
            spi: &spi,
            data: &[],
        };
        let chain = Chain::default().with(payload::NOTIFICATION, notify_payload(&notify));
        let header = Header {
            initiator_cookie: incoming.header.initiator_cookie,
            responder_cookie: self.random_cookie(),
            next_payload: chain.first(),
            exchange: ExchangeType::Informational,
            flags: Flags::NONE,
            message_id: u32::from_be_bytes(self.random()),
        };
        self.send(incoming.path, &header.encode(&chain.encode()), false);
    }

    /// KE, nonce, NAT-D. The peer knows our cookie, so it is where it says it is.
    pub(super) fn handle_message_3(
        &mut self,
        now: Instant,
        sa: &mut Sa,
        incoming: &Incoming<'_>,
        digest: Vec<u8>,
    ) -> Result<(), Error> {
        let (public, nonce) = self.read_exchange(sa, incoming)?;
        let handshake = sa
            .handshake
            .as_mut()
            .ok_or(Error::Unexpected("isakmp_state"))?;
        handshake.initiator_public.clone_from(&public);
        handshake.initiator_nonce = nonce;
        handshake.responder_nonce = self.random::<NONCE_LEN>().to_vec();
        sa.answered = Some(Answered::new(digest, None));
        sa.half_open_until = Some(now + self.config.limits.half_open_time * 2);
        sa.state = State::Computing;
        let work = Work {
            exchange: Some(self.new_exchange(sa.suite.group, Some(public))),
            derivation: Self::derivation(sa),
        };
        self.compute(now, sa, Purpose::Main, work);
        Ok(())
    }

    pub(super) fn main_responder_computed(
        &mut self,
        _now: Instant,
        sa: &mut Sa,
        result: JobResult,
    ) -> Result<(), Error> {
        let output = result.output.ok_or(Error::InvalidKeyExchange)?;
        let Derived::Main(keys) = output.keys else {
            return Err(Error::Unexpected("isakmp_state"));
        };
        let nonce = sa.handshake().responder_nonce.clone();
        let chain = self.exchange_chain(sa, &output.public, &nonce);
        sa.handshake().responder_public = output.public;
        self.adopt_keys(sa, *keys);
        let reply = sa.plain(&chain);
        self.send(sa.path, &reply, sa.fragmentation);
        if let Some(answered) = &mut sa.answered {
            answered.reply = Some(reply);
        }
        sa.state = State::AwaitMessage5;
        Ok(())
    }

    /// ID, HASH, perhaps INITIAL-CONTACT.
    pub(super) fn handle_message_5(
        &mut self,
        now: Instant,
        sa: &mut Sa,
        incoming: &Incoming<'_>,
        digest: Vec<u8>,
    ) -> Result<(), Error> {
        let (identity, notifies) = match self.read_authentication(sa, incoming) {
            Ok(read) => read,
            Err(error) => {
                self.report_authentication(sa, incoming.path);
                return Err(error);
            }
        };
        let id = self.own_id(sa);
        let hash = Self::main_hash(sa, Role::Responder, &id)?;
        let chain = Chain::default()
            .with(payload::IDENTIFICATION, id)
            .with(payload::HASH, hash.as_bytes());
        let iv = sa.keys.as_ref().map(|k| k.iv(0)).unwrap_or_default();
        let (reply, iv) = self.seal(incoming.path, sa, ExchangeType::Main, 0, &iv, &chain)?;
        if let Some(keys) = &mut sa.keys {
            keys.set_iv(iv);
        }
        self.send(incoming.path, &reply, sa.fragmentation);
        sa.answered = Some(Answered::new(digest, Some(reply)));
        sa.stranger = Some(if notifies.contains(&Notify::INITIAL_CONTACT) {
            Lost::All
        } else if sa.first_contact {
            Lost::Isakmp
        } else {
            Lost::Nothing
        });
        self.establish(now, sa, incoming.path, identity);
        Ok(())
    }

    /// Once for each SA: anybody can send garbage, so the SA stays.
    fn report_authentication(&mut self, sa: &mut Sa, path: Path) {
        let Some(handshake) = &mut sa.handshake else {
            return;
        };
        if !std::mem::replace(&mut handshake.reported, true) {
            let hint = "the message does not decrypt or verify: the pre-shared key (PSK) differs from the peer's";
            self.refused(
                path,
                Some(sa.id),
                RefusedReason::AuthenticationFailed,
                sa.suite.to_string(),
                hint.to_owned(),
            );
        }
    }
}
