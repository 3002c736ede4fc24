//! How SAs and their children end, and how they are renewed.

use super::state::Sa;
use super::{Endpoint, Owner, State};
use crate::event::{ChildId, CloseReason, Event, SaId};
use crate::wire::{PROTO_ESP, PROTO_ISAKMP};
use std::time::Instant;

impl Endpoint {
    /// Ends an SA and tells the peer.
    pub(super) fn end_sa(&mut self, _now: Instant, sa: &mut Sa, reason: CloseReason) {
        if sa.established() {
            let spi = [sa.cookies.initiator, sa.cookies.responder].concat();
            self.send_delete(sa, PROTO_ISAKMP, &spi);
        }
        self.close_sa(sa, reason);
    }

    /// Ends an SA without a word.
    pub(super) fn close_sa(&mut self, sa: &mut Sa, reason: CloseReason) {
        if sa.state != State::Closed {
            sa.state = State::Closed;
            self.event(Event::Closed {
                sa: sa.id,
                path: sa.path,
                reason,
            });
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
        sa: &Sa,
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

    pub(super) fn peer_deleted_child(&mut self, sa: &Sa, outbound_spi: u32) {
        let found = self
            .children_of(sa)
            .find(|(_, c)| c.outbound_spi == outbound_spi);
        if let Some(id) = found.map(|(id, _)| id) {
            self.drop_child(id, CloseReason::PeerDeleted);
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
            others.find(|sa| child.belongs_to(sa)).map(|sa| sa.id)
        })
    }

    /// Makes a successor of a child; with a new SA first if there is none with its peer.
    pub(super) fn renew_child(&mut self, now: Instant, id: ChildId) {
        let carrier = self.carrier(id);
        let Some(child) = self.children.get_mut(&id) else {
            return;
        };
        self.deadlines
            .remove(&(child.next_deadline(), Owner::Child(id)));
        child.rekey_at = None;
        self.deadlines
            .insert((child.next_deadline(), Owner::Child(id)));
        let mut wanted = child.wanted.clone();
        wanted.replaces = Some(id);
        match (carrier, child.peer.clone(), child.path) {
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
        let Some(sa) = self.sas.get_mut(&id).filter(|sa| sa.established()) else {
            return;
        };
        sa.rekey_at = None;
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

    /// A new SA takes over from `old`.
    pub(super) fn adopt_children(&mut self, now: Instant, old: SaId, sa: &Sa) {
        let own: Vec<_> = self.children_of(sa).map(|(id, _)| id).collect();
        for id in own {
            if let Some(child) = self.children.get_mut(&id).filter(|c| c.sa == old) {
                child.sa = sa.id;
            }
        }
        self.with_sa(old, |endpoint, old| {
            endpoint.end_sa(now, old, CloseReason::Replaced);
        });
    }

    /// The peer has lost all it knew of us: only `sa` is left. Others behind the same NAT have
    /// other ports, and are left alone.
    pub(super) fn initial_contact(&mut self, _now: Instant, sa: &Sa) {
        let stale = self.children_of(sa).filter(|(_, c)| c.sa != sa.id);
        for id in stale.map(|(id, _)| id).collect::<Vec<_>>() {
            self.drop_child(id, CloseReason::InitialContact);
        }
        self.forget_siblings(sa);
    }

    /// The peer has no ISAKMP SA but `sa`. Its ESP SAs may live on: those of Windows do.
    pub(super) fn forget_siblings(&mut self, sa: &Sa) {
        for id in self.siblings(sa) {
            self.with_sa(id, |endpoint, other| {
                endpoint.close_sa(other, CloseReason::InitialContact);
            });
        }
    }

    /// A peer that negotiates ever more children loses its oldest.
    pub(super) fn limit_children(&mut self, now: Instant, sa: &Sa) {
        let mut own = self
            .children_of(sa)
            .filter(|(_, c)| c.sa == sa.id)
            .map(|(id, _)| id);
        let oldest = own.next();
        let count = own.count() + 1;
        if let Some(oldest) = oldest.filter(|_| count > self.config.limits.children_per_sa) {
            self.end_child_of(now, sa, oldest, CloseReason::Replaced);
        }
    }
}
