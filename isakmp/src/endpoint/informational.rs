//! Informational exchanges: notifications, deletes, dead peer detection (RFC 2409 section 5.7,
//! RFC 3706).

use super::Endpoint;
use super::dispatch::Incoming;
use super::state::{DpdState, Lost, QuickState, Sa};
use crate::config::Path;
use crate::error::Error;
use crate::event::{CloseReason, RefusedReason, SaId};
use crate::wire::{
    Chain, Delete, ExchangeType, Message, Notify, PROTO_ESP, PROTO_ISAKMP, delete_payload,
    notify_payload, payload,
};
use std::time::{Duration, Instant};

/// After a quick mode of ours without a sign of life, or a main mode without proof of the path.
pub(super) const ASK_SOON: Duration = Duration::from_secs(3);

impl Endpoint {
    pub(super) fn handle_informational(
        &mut self,
        now: Instant,
        sa: &mut Sa,
        incoming: &Incoming<'_>,
    ) -> Result<(), Error> {
        if !sa.established() || !incoming.header.flags.encrypted() {
            return self.handle_unprotected(sa, incoming);
        }
        if sa.own_ids.contains(&incoming.header.message_id) {
            return Err(Error::Unexpected("isakmp_message_id_replayed"));
        }
        let keys = sa.keys.as_ref().ok_or(Error::Unexpected("isakmp_state"))?;
        let iv = keys.iv(incoming.header.message_id);
        let mut plain = Vec::new();
        let (message, _) = self.open_phase2(keys, incoming, &iv, &[], &mut plain)?;
        if message.all(payload::NOTIFICATION).any(once) {
            self.use_id(sa, incoming.header.message_id)?;
            self.alive(now, sa);
        }
        for part in message.iter() {
            match part.kind {
                payload::NOTIFICATION => {
                    self.handle_notify(now, sa, &Notify::parse(part.body)?, incoming.path);
                }
                payload::DELETE => self.handle_delete(now, sa, &Delete::parse(part.body)?),
                _ => {}
            }
        }
        Ok(())
    }

    /// Nobody vouches for it: an error is remembered for when no answer comes, nothing else.
    fn handle_unprotected(&mut self, sa: &mut Sa, incoming: &Incoming<'_>) -> Result<(), Error> {
        let not_authentic = Err(Error::NotAuthentic);
        if incoming.header.flags.encrypted() || sa.role == crate::event::Role::Responder {
            return not_authentic;
        }
        let Some(handshake) = &mut sa.handshake else {
            return not_authentic;
        };
        let message = Message::parse(incoming.header.next_payload, incoming.body)?;
        let notify = message
            .only(payload::NOTIFICATION)
            .ok_or(Error::NotAuthentic)?;
        let notify = Notify::parse(notify)?;
        if notify.kind < Notify::FIRST_STATUS {
            handshake.peer_error = Some(notify.kind);
        }
        Ok(())
    }

    fn handle_notify(&mut self, now: Instant, sa: &mut Sa, notify: &Notify<'_>, path: Path) {
        // A delete before it in the same message has ended the SA.
        if !sa.established() {
            return;
        }
        match notify.kind {
            Notify::R_U_THERE if sa.is_spi(notify.spi) => {
                self.follow(now, sa, notify.data, path);
                let spi = [sa.cookies.initiator, sa.cookies.responder].concat();
                self.notify(sa, Notify::R_U_THERE_ACK, PROTO_ISAKMP, &spi, notify.data);
            }
            Notify::R_U_THERE_ACK => {
                let number = <[u8; 4]>::try_from(notify.data).map(u32::from_be_bytes);
                let (Some(dpd), Ok(number)) = (&mut sa.dpd, number) else {
                    return;
                };
                // Each counts once, as anybody can send an answer again; not only the newest, as one
                // may take longer than the time between two questions (RFC 3706 section 6.2).
                let age = dpd.sequence.wrapping_sub(number);
                let news = age < dpd.unanswered;
                let there = age == 0 && dpd.asked.take_if(|asked| *asked == path).is_some();
                if !news && !there {
                    return;
                }
                self.stats.dpd_answered += 1;
                self.alive(now, sa);
                if there && sa.path == path {
                    self.proved(now, sa);
                }
            }
            Notify::INITIAL_CONTACT => match &mut sa.stranger {
                Some(lost) => *lost = Lost::All,
                None => self.initial_contact(now, sa),
            },
            kind if kind < Notify::FIRST_STATUS => self.peer_refused(now, sa, notify),
            _ => {}
        }
    }

    /// The peer does not like a quick mode of ours: the one it names, or the oldest.
    fn peer_refused(&mut self, now: Instant, sa: &mut Sa, notify: &Notify<'_>) {
        let open = |q: &super::state::Quick| matches!(q.state, QuickState::AwaitMessage2);
        let spi = <[u8; 4]>::try_from(notify.spi).ok().map(u32::from_be_bytes);
        let named = sa
            .quicks
            .iter()
            .find(|(id, q)| open(q) && (spi == Some(**id) || spi == Some(q.inbound_spi)));
        let id = named
            .or_else(|| sa.quicks.iter().find(|(_, q)| open(q)))
            .map(|(id, _)| *id);
        if let Some(quick) = id.and_then(|id| sa.quicks.remove(&id)) {
            let reason = match notify.kind {
                Notify::NO_PROPOSAL_CHOSEN => RefusedReason::NoProposalChosen,
                Notify::INVALID_ID_INFORMATION => RefusedReason::InvalidIdentity,
                _ => RefusedReason::PeerRefused,
            };
            let hint = format!(
                "the peer answered quick mode with {}",
                error_name(notify.kind)
            );
            self.fail_quick(now, sa, &quick, reason, &hint);
        }
    }

    fn handle_delete(&mut self, now: Instant, sa: &mut Sa, delete: &Delete<'_>) {
        for spi in &delete.spis {
            match (delete.protocol, <[u8; 4]>::try_from(*spi)) {
                // The peer names what it receives on: our outbound SPI.
                (PROTO_ESP, Ok(spi)) => self.peer_deleted_child(sa, u32::from_be_bytes(spi)),
                (PROTO_ISAKMP, _) if sa.is_spi(spi) => {
                    self.close_sa(now, sa, CloseReason::PeerDeleted);
                }
                (PROTO_ISAKMP, _) => self.peer_deleted_sibling(now, sa, spi),
                _ => {}
            }
        }
    }

    /// An SA may delete another of the same peer: strongSwan does after a rekey.
    fn peer_deleted_sibling(&mut self, now: Instant, sa: &Sa, spi: &[u8]) {
        let Some(cookies) = cookies(spi) else { return };
        let id = self.by_cookies.get(&cookies).copied();
        let same = |id: &SaId| {
            self.sas
                .get(id)
                .is_some_and(|other| other.established() && other.party == sa.party)
        };
        if let Some(id) = id.filter(same) {
            self.with_sa(id, |endpoint, other| {
                endpoint.close_sa(now, other, CloseReason::PeerDeleted);
            });
        }
    }

    /// A question with a sequence number above all before it shows where the peer is; an old one
    /// may have been sent again by anybody.
    fn follow(&mut self, now: Instant, sa: &mut Sa, sequence: &[u8], path: Path) {
        let Ok(sequence) = <[u8; 4]>::try_from(sequence).map(u32::from_be_bytes) else {
            return;
        };
        if sa.peer_sequence.is_none_or(|highest| sequence > highest) {
            sa.peer_sequence = Some(sequence);
            self.alive(now, sa);
            if !sa.nat.remote_behind_nat {
                return;
            }
            self.move_peer(sa, path, Some(now));
            for quick in sa.quicks.values_mut() {
                quick.one_path &= path == quick.path;
                quick.path = path;
            }
        }
    }

    /// Asks soon: message 3 of quick mode is not answered, and the peer may have missed it.
    pub(super) fn ask_soon(&self, now: Instant, sa: &mut Sa) {
        if let Some(state) = &mut sa.dpd {
            state.due = state.due.min(now + ASK_SOON);
        }
    }

    /// Sends a protected notification.
    pub(super) fn notify(&mut self, sa: &mut Sa, kind: u16, protocol: u8, spi: &[u8], data: &[u8]) {
        let notify = Notify {
            protocol,
            kind,
            spi,
            data,
        };
        self.inform(
            sa,
            Chain::default().with(payload::NOTIFICATION, notify_payload(&notify)),
        );
    }

    /// Tells the peer that an SA is gone.
    pub(super) fn send_delete(&mut self, sa: &mut Sa, protocol: u8, spi: &[u8]) {
        if self.config.send_deletes {
            self.inform(
                sa,
                Chain::default().with(payload::DELETE, delete_payload(protocol, spi)),
            );
        }
    }

    fn inform(&mut self, sa: &mut Sa, chain: Chain) {
        let id = self.new_message_id(sa);
        let iv = sa.keys.as_ref().map(|k| k.iv(id)).unwrap_or_default();
        let kind = ExchangeType::Informational;
        let sealed = Self::authentic(sa, id, &[], chain)
            .and_then(|chain| self.seal(sa.path, sa, kind, id, &iv, &chain));
        if let Ok((message, _)) = sealed {
            self.send(sa.path, &message, sa.fragmentation);
        }
    }

    /// The peer lives: there is time until it has to be asked.
    pub(super) fn alive(&mut self, now: Instant, sa: &mut Sa) {
        let Some(dpd) = self.config.dpd.filter(|_| sa.is_asked()) else {
            return;
        };
        if !sa.heard(now, dpd) {
            sa.dpd = Some(DpdState {
                due: sa.ask_at(now, dpd),
                sequence: u32::from_be_bytes(self.random()) & 0x7fff_ffff,
                asked: None,
                unanswered: 0,
            });
        }
    }

    /// Asks a silent peer; false if it has been asked often enough.
    pub(super) fn ask(&mut self, now: Instant, sa: &mut Sa) -> bool {
        let (Some(dpd), Some(state)) = (self.config.dpd, &mut sa.dpd) else {
            // Nobody is asked any more.
            sa.dpd = None;
            return true;
        };
        if state.unanswered >= dpd.retries {
            return false;
        }
        self.stats.dpd_asked += 1;
        state.unanswered += 1;
        state.sequence = state.sequence.wrapping_add(1);
        // The early question to a stranger does not have it given up earlier.
        let early = sa.stranger.is_some() && state.unanswered == 1;
        state.due = now + if early { dpd.interval } else { dpd.retry };
        state.asked = Some(sa.path);
        let sequence = state.sequence.to_be_bytes();
        let spi = [sa.cookies.initiator, sa.cookies.responder].concat();
        self.notify(sa, Notify::R_U_THERE, PROTO_ISAKMP, &spi, &sequence);
        true
    }
}

/// Whether a notification must not be taken twice: anybody can send a recorded one again. Dead
/// peer detection has sequence numbers of its own, and what a delete names is gone after the first.
fn once(body: &[u8]) -> bool {
    let dpd = [Notify::R_U_THERE, Notify::R_U_THERE_ACK];
    Notify::parse(body).is_ok_and(|notify| !dpd.contains(&notify.kind))
}

impl Sa {
    fn is_spi(&self, spi: &[u8]) -> bool {
        cookies(spi) == Some(self.cookies)
    }
}

fn cookies(spi: &[u8]) -> Option<crate::keys::Cookies> {
    let (initiator, responder) = spi.split_first_chunk::<8>()?;
    let responder = responder.try_into().ok()?;
    Some(crate::keys::Cookies {
        initiator: *initiator,
        responder,
    })
}

/// Names of errors that people meet (RFC 2408 section 3.14.1).
pub(super) fn error_name(kind: u16) -> String {
    match kind {
        Notify::NO_PROPOSAL_CHOSEN => "NO-PROPOSAL-CHOSEN".to_owned(),
        Notify::INVALID_ID_INFORMATION => "INVALID-ID-INFORMATION".to_owned(),
        Notify::AUTHENTICATION_FAILED => "AUTHENTICATION-FAILED".to_owned(),
        16 => "PAYLOAD-MALFORMED".to_owned(),
        kind => format!("error {kind}"),
    }
}
