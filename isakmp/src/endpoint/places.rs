//! Which SAs and children there are at an address: so that one peer's business does not look at
//! all others.

use super::Endpoint;
use super::state::{Child, Party, Sa};
use crate::config::Path;
use crate::event::{ChildId, Event, SaId};
use crate::wire::Identity;
use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// By then a peer that somebody has made appear elsewhere has been heard where it is.
const SETTLED: Duration = Duration::from_secs(60);

/// Established SAs and children by the peer's address.
#[derive(Debug, Default)]
pub(super) struct Places {
    sas: Index<SaId>,
    children: Index<ChildId>,
}

#[derive(Debug)]
struct Index<T>(HashMap<SocketAddr, BTreeSet<T>>);

impl<T> Default for Index<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T: Ord + Copy> Index<T> {
    fn add(&mut self, at: SocketAddr, item: T) {
        self.0.entry(at).or_default().insert(item);
    }

    fn remove(&mut self, at: SocketAddr, item: T) {
        if let Some(items) = self.0.get_mut(&at) {
            items.remove(&item);
            if items.is_empty() {
                self.0.remove(&at);
            }
        }
    }

    fn at(&self, at: SocketAddr) -> impl DoubleEndedIterator<Item = T> + '_ {
        self.0.get(&at).into_iter().flatten().copied()
    }
}

impl Endpoint {
    pub(super) fn place_sa(&mut self, sa: &Sa) {
        self.places.sas.add(sa.path.remote, sa.id);
    }

    pub(super) fn unplace_sa(&mut self, sa: &Sa) {
        self.places.sas.remove(sa.path.remote, sa.id);
    }

    pub(super) fn place_child(&mut self, id: ChildId, child: Box<Child>) {
        self.places.children.add(child.path.remote, id);
        self.children.insert(id, child);
    }

    pub(super) fn take_child(&mut self, id: ChildId) -> Option<Box<Child>> {
        let child = self.children.remove(&id)?;
        self.places.children.remove(child.path.remote, id);
        Some(child)
    }

    /// The peer of a child is at another address.
    pub(super) fn move_child(&mut self, id: ChildId, path: Path, unproven: Option<Instant>) {
        if let Some(mut child) = self.take_child(id) {
            (child.path, child.moved) = (path, unproven);
            self.place_child(id, child);
        }
    }

    /// Children that the peer of `sa` has made, the oldest first.
    pub(super) fn children_of<'a>(
        &'a self,
        sa: &'a Sa,
    ) -> impl DoubleEndedIterator<Item = (ChildId, &'a Child)> {
        let all = self.places.children.at(sa.path.remote);
        let all = all.filter_map(|id| Some((id, &**self.children.get(&id)?)));
        all.filter(|(_, child)| child.party == sa.party)
    }

    /// Other established SAs with the peer of `sa`, which is out of the table.
    pub(super) fn siblings(&self, sa: &Sa) -> Vec<SaId> {
        let all = self
            .places
            .sas
            .at(sa.path.remote)
            .filter_map(|id| self.sas.get(&id));
        all.filter(|other| other.party == sa.party)
            .map(|other| other.id)
            .collect()
    }

    /// The newest of them that no other has replaced.
    pub(super) fn heir(&self, sa: &Sa) -> Option<SaId> {
        let mut siblings = self.siblings(sa).into_iter().rev();
        siblings.find(|id| self.sas.get(id).is_some_and(|sa| !sa.replaced))
    }

    /// Established SAs at an address, the newest first.
    pub(super) fn sas_at(&self, at: SocketAddr) -> impl Iterator<Item = &Sa> {
        self.places
            .sas
            .at(at)
            .rev()
            .filter_map(|id| self.sas.get(&id).map(|sa| &**sa))
    }

    /// Who it is that has completed main mode at `at` and says it is `peer_id`: the one that is known
    /// there, or somebody new.
    ///
    /// Nobody is known there who has come by one packet just now: anybody who saw that packet can
    /// have sent it from this address first.
    pub(super) fn party_at(
        &mut self,
        now: Instant,
        at: SocketAddr,
        peer_id: Option<&Identity>,
    ) -> Party {
        let fits = |id: &Option<Identity>, moved: Option<Instant>| {
            id.as_ref() == peer_id && moved.is_none_or(|since| now >= since + SETTLED)
        };
        let sa = self.sas_at(at).find(|sa| fits(&sa.peer_id, sa.moved));
        let child = || {
            let children = self.places.children.at(at).rev();
            let mut children = children.filter_map(|id| self.children.get(&id));
            children.find(|child| fits(&child.peer_id, child.moved))
        };
        let party = sa.map(|sa| sa.party);
        let party = party.or_else(|| Some(child()?.party));
        party.unwrap_or_else(|| Party(self.next_serial()))
    }

    /// The peer has proved that it is at `path`, and all SAs with it go there, if it is behind a NAT:
    /// nobody else's address changes (RFC 3947 section 7). `unproven` is the time if all that has
    /// come from there is one packet.
    pub(super) fn move_peer(&mut self, sa: &mut Sa, path: Path, unproven: Option<Instant>) {
        if sa.path != path && sa.nat.remote_behind_nat {
            for id in self.siblings(sa) {
                self.with_sa(id, |endpoint, sibling| {
                    endpoint.move_sa(sibling, path, unproven);
                });
            }
            self.move_sa(sa, path, unproven);
        }
    }

    /// The peer has proved that it is at `path`.
    pub(super) fn move_sa(&mut self, sa: &mut Sa, path: Path, unproven: Option<Instant>) {
        if sa.path == path {
            return;
        }
        sa.moved = unproven;
        let own = self.children_of(sa).filter(|(_, c)| c.sa == sa.id);
        let own: Vec<_> = own.map(|(id, _)| id).collect();
        if sa.established() {
            self.unplace_sa(sa);
        }
        let old = std::mem::replace(&mut sa.path, path);
        if sa.established() {
            self.place_sa(sa);
        }
        for child in own {
            self.move_child(child, path, unproven);
        }
        self.event(Event::PathChanged {
            sa: sa.id,
            old,
            new: path,
        });
    }
}
