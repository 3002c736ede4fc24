//! Which SAs and children there are at an address: so that one peer's business does not look at
//! all others.

use super::Endpoint;
use super::state::{Child, Lost, Party, Sa};
use crate::config::Path;
use crate::event::{ChildId, CloseReason, Event, Role, SaId};
use crate::wire::Identity;
use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// By then a peer that somebody has made appear elsewhere has been heard where it is.
const SETTLED: Duration = Duration::from_secs(60);

/// SAs at one place whose peers have not proved that they are there.
const STRANGERS: usize = 4;

/// SAs that one peer has made.
const OF_ONE_PEER: usize = 8;

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

    /// Who is known at `at` and says it is `peer_id`: first of all who has proved that it is there.
    ///
    /// Nobody is known there who has come by one packet just now: anybody who saw that packet can
    /// have sent it from this address first.
    fn party_at(&self, now: Instant, at: SocketAddr, peer_id: Option<&Identity>) -> Option<Party> {
        let proven = |moved: Option<Instant>| moved.is_none();
        let settled = |moved: Option<Instant>| moved.is_none_or(|since| now >= since + SETTLED);
        self.party_that(at, peer_id, proven)
            .or_else(|| self.party_that(at, peer_id, settled))
    }

    fn party_that(
        &self,
        at: SocketAddr,
        peer_id: Option<&Identity>,
        known: impl Fn(Option<Instant>) -> bool,
    ) -> Option<Party> {
        let fits = |id: &Option<Identity>, moved| id.as_ref() == peer_id && known(moved);
        let mut sas = self.sas_at(at).filter(|sa| sa.stranger.is_none());
        let sa = sas.find(|sa| fits(&sa.peer_id, sa.moved));
        let child = || {
            let children = self.places.children.at(at).rev();
            let mut children = children.filter_map(|id| self.children.get(&id));
            children.find(|child| fits(&child.peer_id, child.moved))
        };
        let party = sa.map(|sa| sa.party);
        party.or_else(|| Some(child()?.party))
    }

    /// The peer has answered, from where it is, what went there and nowhere else. So it is there,
    /// and the one that was known there before; what it has lost ends.
    pub(super) fn proved(&mut self, now: Instant, sa: &mut Sa) {
        sa.moved = None;
        let own: Vec<_> = self.children_of(sa).map(|(id, _)| id).collect();
        for id in own {
            if let Some(child) = self.children.get_mut(&id) {
                child.moved = None;
            }
        }
        if let Some(lost) = self.recognize(now, sa) {
            self.alive(now, sa);
            self.event(Event::Recognized {
                sa: sa.id,
                path: sa.path,
                party: sa.party.0,
            });
            self.end_lost(now, sa, lost);
            self.limit_sas(now, sa);
        }
    }

    /// A stranger that has proved where it is becomes who is known there, or stays the somebody new
    /// that it was. What it has lost, if it was a stranger.
    pub(super) fn recognize(&mut self, now: Instant, sa: &mut Sa) -> Option<Lost> {
        let lost = sa.stranger.take()?;
        if let Some(known) = self.party_at(now, sa.path.remote, sa.peer_id.as_ref()) {
            let own: Vec<_> = self.children_of(sa).map(|(id, _)| id).collect();
            for id in own {
                if let Some(child) = self.children.get_mut(&id) {
                    child.party = known;
                }
            }
            sa.party = known;
        }
        Some(lost)
    }

    /// A peer that completes main mode again and again loses its oldest SA, the sooner if that is all
    /// it does.
    pub(super) fn limit_sas(&mut self, now: Instant, sa: &Sa) {
        let stranger = sa.stranger.is_some();
        let alike = |other: &&Sa| {
            if stranger {
                other.stranger.is_some()
            } else {
                other.party == sa.party && other.role == Role::Responder
            }
        };
        let most = if stranger { STRANGERS } else { OF_ONE_PEER };
        let alike = self.sas_at(sa.path.remote).filter(alike);
        let surplus = alike.map(|other| other.id).skip(most - 1);
        for id in surplus.collect::<Vec<_>>() {
            self.with_sa(id, |endpoint, other| {
                endpoint.end_sa(now, other, CloseReason::Replaced);
            });
        }
    }

    /// The peer is at `path`, and all SAs with it go there, if it is behind a NAT: nobody else's
    /// address changes (RFC 3947 section 7), but where a stranger is, only proof tells. `unproven` is
    /// the time if all that has come from there is one packet.
    pub(super) fn move_peer(&mut self, sa: &mut Sa, path: Path, unproven: Option<Instant>) {
        let may = sa.nat.remote_behind_nat || (sa.stranger.is_some() && unproven.is_none());
        if sa.path != path && may {
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
