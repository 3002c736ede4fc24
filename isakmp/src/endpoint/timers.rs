//! What is due.

use super::state::{Quick, QuickState, Retransmit, Sa};
use super::{Endpoint, Owner, State};
use crate::config::Timers;
use crate::event::{ChildId, CloseReason, RefusedReason, Role};
use std::time::Instant;

/// What becomes of a request that is due.
enum Repeat {
    NotDue,
    Again(Vec<u8>),
    GiveUp,
}

impl Retransmit {
    fn handle_timeout(&mut self, now: Instant, timers: &Timers) -> Repeat {
        if self.due > now {
            return Repeat::NotDue;
        }
        if self.attempts >= timers.retries {
            return Repeat::GiveUp;
        }
        self.attempts += 1;
        let wait = timers.retransmit.saturating_mul(1 << self.attempts.min(16));
        self.due = now + wait.min(timers.retransmit_cap.max(timers.retransmit));
        Repeat::Again(self.message.clone())
    }
}

impl Endpoint {
    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.admission.age(now);
        self.fragments.handle_timeout(now);
        while let Some((at, owner)) = self.deadlines.first().copied() {
            if at > now {
                break;
            }
            self.deadlines.remove(&(at, owner));
            match owner {
                Owner::Sa(id) => {
                    self.with_sa(id, |endpoint, sa| {
                        sa.deadline = None;
                        endpoint.sa_timeout(now, sa);
                    });
                }
                Owner::Child(id) => self.child_timeout(now, id),
            }
        }
    }

    fn sa_timeout(&mut self, now: Instant, sa: &mut Sa) {
        if sa.half_open_until.is_some_and(|at| at <= now) {
            let quiet = sa.handshake.as_ref().is_none_or(|h| h.reported);
            if sa.state == State::AwaitMessage5 && !quiet {
                let hint = "the peer sent no message 5: its pre-shared key may differ, or UDP port 4500 is blocked";
                self.fail_sa(now, sa, RefusedReason::Timeout, hint);
            }
            sa.state = State::Closed;
            return;
        }
        if sa.expires.is_some_and(|at| at <= now) {
            let reason = match sa.replaced {
                true => CloseReason::Replaced,
                false => CloseReason::Expired,
            };
            self.end_sa(now, sa, reason);
            return;
        }
        self.retransmit_main(now, sa);
        if sa.state == State::Closed {
            return;
        }
        if sa.rekey_at.is_some_and(|at| at <= now) {
            sa.rekey_at = None;
            if let Some(peer) = sa.peer.clone().filter(|_| !sa.renewing) {
                sa.renewing = true;
                // An error means that there are too many SAs; this one then just expires.
                let _ = self.start_main(
                    now,
                    sa.path,
                    peer,
                    std::collections::VecDeque::new(),
                    Some(sa.id),
                );
            }
        }
        if sa.dpd.as_ref().is_some_and(|d| d.due <= now) && !self.ask(now, sa) {
            self.peer_is_dead(now, sa);
            return;
        }
        if sa.keepalive.as_mut().is_some_and(|k| k.handle_timeout(now)) {
            self.transmit(sa.path, natt::KEEPALIVE.to_vec());
        }
        let due: Vec<u32> = sa
            .quicks
            .iter()
            .filter(|(_, q)| q.due(now))
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            self.quick_timeout(now, sa, id);
        }
        self.start_wanted(now, sa);
    }

    fn retransmit_main(&mut self, now: Instant, sa: &mut Sa) {
        let Some(retransmit) = &mut sa.retransmit else {
            return;
        };
        let repeat = retransmit.handle_timeout(now, &self.config.timers);
        if matches!(repeat, Repeat::NotDue) {
            return;
        }
        if let Some(kind) = sa.handshake.as_ref().and_then(|h| h.peer_error) {
            let name = super::informational::error_name(kind);
            let (reason, hint) = match sa.state {
                State::AwaitMessage2 => (
                    RefusedReason::NoProposalChosen,
                    format!("the peer answered {name}: offer it other algorithms"),
                ),
                State::AwaitMessage6 => (
                    RefusedReason::AuthenticationFailed,
                    format!("the peer answered {name}: the pre-shared key (PSK) may differ"),
                ),
                _ => (
                    RefusedReason::PeerRefused,
                    format!("the peer answered {name}"),
                ),
            };
            self.fail_sa(now, sa, reason, &hint);
            return;
        }
        match repeat {
            Repeat::Again(message) => {
                self.stats.retransmits += 1;
                self.send(sa.path, &message, sa.fragmentation);
            }
            Repeat::GiveUp => {
                let (reason, hint) = match sa.state {
                    State::AwaitMessage2 => (
                        RefusedReason::Timeout,
                        "the peer does not answer at all: is its address right, is UDP port 500 open?",
                    ),
                    State::AwaitMessage6 => (
                        RefusedReason::Timeout,
                        "the peer does not answer message 5: the pre-shared key (PSK) may differ, or UDP port 4500 is blocked",
                    ),
                    _ => (RefusedReason::Timeout, "the peer has stopped answering"),
                };
                self.fail_sa(now, sa, reason, hint);
            }
            Repeat::NotDue => {}
        }
    }

    pub(super) fn quick_timeout(&mut self, now: Instant, sa: &mut Sa, id: u32) {
        let Some(quick) = sa.quicks.get_mut(&id) else {
            return;
        };
        let repeat = match &mut quick.retransmit {
            Some(retransmit) => retransmit.handle_timeout(now, &self.config.timers),
            None => Repeat::NotDue,
        };
        let over = quick.until <= now;
        match repeat {
            Repeat::Again(message) if !over => {
                self.stats.retransmits += 1;
                let path = if quick.role == Role::Initiator {
                    sa.path
                } else {
                    quick.path
                };
                self.send(path, &message, sa.fragmentation);
            }
            Repeat::NotDue if !over => {}
            _ => {
                if let Some(quick) = sa.quicks.remove(&id) {
                    self.end_quick(now, sa, &quick);
                }
            }
        }
    }

    fn end_quick(&mut self, now: Instant, sa: &Sa, quick: &Quick) {
        match (&quick.state, quick.role) {
            (QuickState::Done, _) => {}
            (_, Role::Initiator) => {
                self.fail_quick(
                    now,
                    sa,
                    quick,
                    RefusedReason::Timeout,
                    "the peer does not answer quick mode",
                );
            }
            (_, Role::Responder) => {
                self.inbound_spis.remove(&quick.inbound_spi);
            }
        }
    }

    /// If there is another SA with the peer, perhaps only this one's delete was lost.
    fn peer_is_dead(&mut self, now: Instant, sa: &mut Sa) {
        self.stats.dpd_dead += 1;
        if self.heir(sa).is_none() {
            let own = self.children_of(sa).map(|(id, _)| id);
            for child in own.collect::<Vec<_>>() {
                self.drop_child(child, CloseReason::DpdTimeout);
            }
        }
        self.close_sa(now, sa, CloseReason::DpdTimeout);
    }

    fn child_timeout(&mut self, now: Instant, id: ChildId) {
        let Some(child) = self.children.get(&id) else {
            return;
        };
        // It is put back by what follows, or gone.
        let (over, retired) = (child.expires <= now, child.retire_at);
        if retired.is_some_and(|at| over || at <= now) {
            self.end_child(now, id, CloseReason::Replaced);
        } else if over {
            self.end_child(now, id, CloseReason::Expired);
        } else {
            self.renew_child(now, id);
        }
    }
}

impl Quick {
    fn due(&self, now: Instant) -> bool {
        self.until <= now || self.retransmit.as_ref().is_some_and(|r| r.due <= now)
    }
}
