//! How SAs and their children end, and how they are renewed.

use super::state::{Child, Lost, Quick, QuickState, Sa};
use super::{Endpoint, Owner, State};
use crate::config::Path;
use crate::event::{ChildId, CloseReason, Event, Role, SaId};
use crate::wire::{PROTO_ESP, PROTO_ISAKMP};
use std::time::{Duration, Instant};

/// How long what has a successor stays, if the peer does not use the successor.
const LINGER: Duration = Duration::from_secs(30);

/// After a renewal that failed.
pub(super) const RENEW_AGAIN: Duration = Duration::from_secs(30);

impl Endpoint {
    /// Ends an SA and tells the peer.
    pub(super) fn end_sa(&mut self, now: Instant, sa: &mut Sa, reason: CloseReason) {
        if sa.established() {
            let spi = [sa.cookies.initiator, sa.cookies.responder].concat();
            self.send_delete(sa, PROTO_ISAKMP, &spi);
        }
        self.close_sa(now, sa, reason);
    }

    /// Ends an SA without a word.
    pub(super) fn close_sa(&mut self, now: Instant, sa: &mut Sa, reason: CloseReason) {
        if sa.state != State::Closed {
            self.inherit(now, sa, reason);
            sa.state = State::Closed;
            self.event(Event::Closed {
                sa: sa.id,
                path: sa.path,
                reason,
            });
        }
    }

    /// Leaves to another SA with the same peer what an SA that ends was good for.
    fn inherit(&mut self, now: Instant, sa: &mut Sa, reason: CloseReason) {
        let heir = self.heir(sa);
        let own = self.children_of(sa).filter(|(_, c)| c.sa == sa.id);
        for id in own.map(|(id, _)| id).collect::<Vec<_>>() {
            if let (Some(heir), Some(child)) = (heir, self.children.get_mut(&id)) {
                child.sa = heir;
            }
        }
        let mut wanted = std::mem::take(&mut sa.wanted);
        let open = sa.quicks.iter().filter(|(_, q)| q.unfinished().is_some());
        for id in open.map(|(id, _)| *id).collect::<Vec<_>>() {
            if let Some(quick) = sa.quicks.remove(&id) {
                self.inbound_spis.remove(&quick.inbound_spi);
                wanted.extend(quick.wanted);
            }
        }
        // What the owner ends goes on nowhere else; what was to be renewed is again, in time.
        match heir.filter(|_| reason != CloseReason::Local) {
            Some(heir) => {
                self.with_sa(heir, |endpoint, heir| {
                    heir.wanted.append(&mut wanted);
                    endpoint.start_wanted(now, heir);
                });
            }
            None => {
                for old in wanted.into_iter().filter_map(|w| w.replaces) {
                    self.renew_again(now, old);
                }
            }
        }
    }

    /// A successor could not be made: tries again later, while there is what is to be succeeded.
    pub(super) fn renew_again(&mut self, now: Instant, id: ChildId) {
        self.with_deadline(id, |child| {
            child.renewing = false;
            child.rekey_at = Some(now + RENEW_AGAIN);
        });
    }

    /// Changes when something is due for a child.
    fn with_deadline(&mut self, id: ChildId, change: impl FnOnce(&mut Child)) {
        let Some(child) = self.children.get_mut(&id) else {
            return;
        };
        self.deadlines
            .remove(&(child.next_deadline(), Owner::Child(id)));
        change(child);
        self.deadlines
            .insert((child.next_deadline(), Owner::Child(id)));
    }

    /// A child has a successor. The peer may not know yet: message 3, which told it, may be lost.
    /// So the old pair stays until the peer has used the new one, or for some time.
    pub(super) fn retire(&mut self, now: Instant, old: ChildId, successor: ChildId) {
        self.with_deadline(old, |child| {
            child.rekey_at = None;
            child.retire_at = Some(now + LINGER);
        });
        if let Some(child) = self.children.get_mut(&successor) {
            child.retires = Some(old);
        }
    }

    /// Ends a child; the peer is told over an SA with it, if there is one.
    pub(super) fn end_child(&mut self, now: Instant, id: ChildId, reason: CloseReason) {
        let Some(carrier) = self.carrier(id) else {
            self.drop_child(id, reason);
            return;
        };
        self.with_sa(carrier, |endpoint, sa| {
            endpoint.end_child_of(now, sa, id, reason);
        });
    }

    /// Ends a child of `sa`, which is out of the table.
    pub(super) fn end_child_of(
        &mut self,
        _now: Instant,
        sa: &mut Sa,
        id: ChildId,
        reason: CloseReason,
    ) {
        if let Some(spi) = self.drop_child(id, reason) {
            self.send_delete(sa, PROTO_ESP, &spi.to_be_bytes());
        }
    }

    /// Forgets a child; the SPI that it received on.
    pub(super) fn drop_child(&mut self, id: ChildId, reason: CloseReason) -> Option<u32> {
        let child = self.take_child(id)?;
        self.deadlines
            .remove(&(child.next_deadline(), Owner::Child(id)));
        self.inbound_spis.remove(&child.inbound_spi);
        self.event(Event::ChildDeleted {
            child: id,
            sa: child.sa,
            reason,
        });
        Some(child.inbound_spi)
    }

    pub(super) fn peer_deleted_child(&mut self, sa: &mut Sa, outbound_spi: u32) {
        self.peer_deleted_quick(sa, outbound_spi);
        for id in self.siblings(sa) {
            self.with_sa(id, |endpoint, sibling| {
                endpoint.peer_deleted_quick(sibling, outbound_spi);
            });
        }
        let found = self
            .children_of(sa)
            .find(|(_, c)| c.outbound_spi == outbound_spi);
        if let Some(id) = found.map(|(id, _)| id) {
            self.drop_child(id, CloseReason::PeerDeleted);
        }
    }

    /// The peer has completed a quick mode and deleted what came of it, before its message 3 came
    /// here, if that comes at all.
    fn peer_deleted_quick(&mut self, sa: &mut Sa, outbound_spi: u32) {
        let named = |q: &Quick| {
            let child = q.child.as_ref();
            q.role == Role::Responder && child.is_some_and(|c| c.outbound_spi == outbound_spi)
        };
        let id = sa.quicks.iter().find(|(_, q)| named(q)).map(|(id, _)| *id);
        if let Some(quick) = id.and_then(|id| sa.quicks.remove(&id)) {
            self.inbound_spis.remove(&quick.inbound_spi);
        }
    }

    /// ESP with an unknown SPI has come from `path`: the peer has missed a delete, or the peer has
    /// completed a quick mode whose message 3 is lost. A peer with an ISAKMP SA is told, now and
    /// then; from anybody else it means nothing.
    pub fn note_unknown_spi(&mut self, now: Instant, path: Path, spi: u32) {
        let at = |sa: &&Sa| sa.path == path;
        let sas: Vec<_> = self
            .sas_at(path.remote)
            .filter(at)
            .map(|sa| sa.id)
            .collect();
        if self.inbound_spis.contains(&spi) {
            for id in sas {
                self.with_sa(id, |endpoint, sa| endpoint.ask_message_3(now, sa, spi));
            }
        } else if let Some(newest) = sas.first() {
            self.with_sa(*newest, |endpoint, sa| {
                if sa.quiet_until.is_none_or(|at| at <= now) {
                    sa.quiet_until = Some(now + Duration::from_secs(1));
                    endpoint.send_delete(sa, PROTO_ESP, &spi.to_be_bytes());
                }
            });
        }
    }

    fn ask_message_3(&mut self, now: Instant, sa: &mut Sa, spi: u32) {
        let awaited = |q: &Quick| matches!(q.state, QuickState::AwaitMessage3);
        let mut quicks = sa.quicks.iter_mut();
        let found = quicks.find(|(_, q)| q.inbound_spi == spi && awaited(q));
        if let Some((&id, quick)) = found
            && let Some(retransmit) = &mut quick.retransmit
            && sa.quiet_until.is_none_or(|at| at <= now)
        {
            retransmit.due = now;
            sa.quiet_until = Some(now + Duration::from_millis(250));
            self.quick_timeout(now, sa, id);
        }
    }

    /// An established SA with the peer of a child.
    pub(super) fn carrier(&self, id: ChildId) -> Option<SaId> {
        let child = self.children.get(&id)?;
        let own = self
            .sas
            .get(&child.sa)
            .filter(|sa| sa.established())
            .map(|sa| sa.id);
        own.or_else(|| {
            let mut others = self.sas_at(child.path.remote);
            others.find(|sa| sa.party == child.party).map(|sa| sa.id)
        })
    }

    /// Makes a successor of a child; with a new SA first if there is none with its peer.
    pub(super) fn renew_child(&mut self, now: Instant, id: ChildId) {
        let carrier = self.carrier(id);
        let Some(child) = self.children.get_mut(&id) else {
            return;
        };
        let due = child.rekey_at.take();
        let (mut wanted, peer, path) = (child.wanted.clone(), child.peer.clone(), child.path);
        let busy = std::mem::replace(&mut child.renewing, true) || child.retire_at.is_some();
        let deadline = child.next_deadline();
        if let Some(at) = due {
            self.deadlines.remove(&(at, Owner::Child(id)));
        }
        self.deadlines.insert((deadline, Owner::Child(id)));
        if busy {
            return;
        }
        wanted.replaces = Some(id);
        match (carrier, peer, path) {
            (Some(sa), _, _) => {
                self.with_sa(sa, |endpoint, sa| {
                    sa.wanted.push_back(wanted);
                    endpoint.start_wanted(now, sa);
                });
            }
            (None, Some(peer), path) => {
                // An error here means that there are too many SAs; the child then just expires.
                let _ = self.start_main(now, path, peer, [wanted].into(), None);
            }
            (None, None, _) => {}
        }
    }

    /// Makes a successor of an SA.
    pub(super) fn rekey_sa(&mut self, now: Instant, id: SaId) {
        let fit = |sa: &&mut Box<Sa>| sa.established() && !sa.replaced && !sa.renewing;
        let Some(sa) = self.sas.get_mut(&id).filter(fit) else {
            return;
        };
        sa.rekey_at = None;
        sa.renewing = true;
        let (path, psk) = (sa.path, sa.psk.clone());
        let peer = sa.peer.clone().unwrap_or_else(|| {
            let mut peer = crate::config::Peer::new(psk);
            peer.children.clear();
            peer.proposals = vec![sa.suite];
            std::sync::Arc::new(peer)
        });
        let _ = self.with_sa(id, |_, _| ());
        let _ = self.start_main(now, path, peer, std::collections::VecDeque::new(), Some(id));
    }

    /// A new SA takes over from `old`, which stays for a while: messages over it may be on the way,
    /// or lost and to be repeated.
    pub(super) fn adopt_children(&mut self, now: Instant, old: SaId, sa: &mut Sa) {
        let own: Vec<_> = self.children_of(sa).map(|(id, _)| id).collect();
        for id in own {
            if let Some(child) = self.children.get_mut(&id).filter(|c| c.sa == old) {
                child.sa = sa.id;
            }
        }
        self.with_sa(old, |_, old| {
            old.replaced = true;
            (old.rekey_at, old.dpd, old.keepalive) = (None, None, None);
            old.expires = Some(old.expires.unwrap_or(now).min(now + LINGER));
            sa.wanted.append(&mut old.wanted);
        });
    }

    /// The peer has lost all it knew of us: only `sa` is left, and what came after it. Others behind
    /// the same NAT have other ports, and are left alone.
    pub(super) fn initial_contact(&mut self, now: Instant, sa: &Sa) {
        let stale = self.children_of(sa).filter(|(id, _)| id.0 < sa.id.0);
        for id in stale.map(|(id, _)| id).collect::<Vec<_>>() {
            self.drop_child(id, CloseReason::InitialContact);
        }
        self.forget_siblings(now, sa);
    }

    /// Ends what the peer of `sa`, which is known now, has lost. What else has no SA is `sa`'s.
    pub(super) fn end_lost(&mut self, now: Instant, sa: &Sa, lost: Lost) {
        match lost {
            Lost::Nothing => {}
            Lost::Isakmp => self.forget_siblings(now, sa),
            Lost::All => self.initial_contact(now, sa),
        }
        let orphans = self.children_of(sa);
        let orphans = orphans.filter(|(_, c)| !self.sas.contains_key(&c.sa));
        for id in orphans.map(|(id, _)| id).collect::<Vec<_>>() {
            if let Some(child) = self.children.get_mut(&id) {
                child.sa = sa.id;
            }
        }
    }

    /// The peer had no ISAKMP SA before `sa`. Its ESP SAs may live on: those of Windows do.
    fn forget_siblings(&mut self, now: Instant, sa: &Sa) {
        let older = self.siblings(sa).into_iter().filter(|id| *id < sa.id);
        for id in older {
            self.with_sa(id, |endpoint, other| {
                endpoint.close_sa(now, other, CloseReason::InitialContact);
            });
        }
    }

    /// A peer that negotiates ever more children loses its oldest, whichever of its SAs made them.
    pub(super) fn limit_children(&mut self, now: Instant, sa: &mut Sa) {
        let counts = |c: &Child| c.sa == sa.id || (c.peer.is_none() && sa.peer.is_none());
        let own = self.children_of(sa).filter(|(_, c)| counts(c));
        let mut own = own.map(|(id, _)| id);
        let oldest = own.next();
        let count = own.count() + 1;
        if let Some(oldest) = oldest.filter(|_| count > self.config.limits.children_per_sa) {
            self.end_child_of(now, sa, oldest, CloseReason::Replaced);
        }
    }
}
