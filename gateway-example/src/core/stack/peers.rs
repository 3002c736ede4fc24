//! Peers and their SAs: what ISAKMP and ESP say, and when a peer is over.

use super::{Deadline, GRACE, IKE_PORT, L2TP_PATHS, QUEUE, STRAYS, Stack};
use crate::core::event::{Event, KeyEvent};
use crate::core::peer::{Child, L2tpPath, Peer, PeerId};
use crate::core::{Path, convert};
use l2tp::PathId;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Instant;

impl Stack {
    pub(super) fn on_isakmp(&mut self, now: Instant, event: isakmp::Event) {
        match event {
            isakmp::Event::Established {
                sa,
                path,
                party,
                nat,
                suite,
                took,
                ..
            } => {
                let peer = self.peer_at(sa, path, party);
                // Wherever somebody has made it appear before.
                self.move_peer(peer, path);
                self.event(Event::IsakmpUp {
                    peer,
                    sa,
                    path,
                    nat,
                    suite: suite.to_string(),
                    weakness: convert::ike_weakness(suite),
                    took,
                });
                if self.closing {
                    self.isakmp.close(now, sa);
                }
            }
            isakmp::Event::Recognized { sa, path, party } => self.recognize(sa, path, party),
            isakmp::Event::PathChanged { sa, new, .. } => {
                if let Some(&peer) = self.peer_of_sa.get(&sa) {
                    self.move_peer(peer, new);
                }
            }
            isakmp::Event::ChildEstablished(child) => self.add_child(now, *child),
            isakmp::Event::ChildDeleted { child, reason, .. } => {
                self.remove_child(now, child, reason.reason());
            }
            isakmp::Event::Closed { sa, reason, .. } => {
                if let Some(peer) = self.peer_of_sa.remove(&sa) {
                    if let Some(entry) = self.peers.get_mut(&peer) {
                        entry.isakmp.retain(|known| *known != sa);
                    }
                    self.event(Event::IsakmpDown {
                        peer,
                        sa,
                        reason: reason.reason(),
                    });
                    self.settle(now, peer);
                }
            }
            isakmp::Event::Refused {
                path,
                sa,
                reason,
                offer,
                hint,
                ..
            } => {
                let peer = sa.and_then(|sa| self.peer_of_sa.get(&sa)).copied();
                self.event(Event::Refused {
                    path,
                    peer,
                    proven: sa.is_some(),
                    reason: reason.reason(),
                    offer,
                    hint,
                });
            }
            isakmp::Event::Job(job) => {
                if self.jobs.len() < QUEUE {
                    self.jobs.push_back(*job);
                } else {
                    self.count("job_queue_full");
                }
            }
            isakmp::Event::Plain(message) => self.event(Event::Plain(message)),
            isakmp::Event::KeyLog(line) => self.event(Event::Key(KeyEvent::Isakmp(line))),
            _ => {}
        }
    }

    fn move_peer(&mut self, peer: PeerId, path: Path) {
        if self.set_path(peer, path) {
            self.event(Event::PathChanged { peer, path });
        }
    }

    /// Notes where a peer is; false if it was there already.
    fn set_path(&mut self, peer: PeerId, path: Path) -> bool {
        let entry = self.peers.get_mut(&peer).filter(|p| p.path != path);
        let Some(entry) = entry else {
            return false;
        };
        self.places.remove(&(entry.path, peer));
        self.places.insert((path, peer));
        entry.path = path;
        true
    }

    /// Notes who a peer is, or that somebody else is that now.
    fn set_party(&mut self, peer: PeerId, party: Option<u64>) {
        let Some(entry) = self.peers.get_mut(&peer) else {
            return;
        };
        let before = std::mem::replace(&mut entry.party, party);
        self.forget_party(peer, before);
        if let Some(party) = party {
            self.parties.insert(party, peer);
        }
    }

    fn forget_party(&mut self, peer: PeerId, party: Option<u64>) {
        if let Some(party) = party
            && self.parties.get(&party) == Some(&peer)
        {
            self.parties.remove(&party);
        }
    }

    fn take_peer(&mut self, peer: PeerId) -> Option<Peer> {
        let gone = self.peers.remove(&peer)?;
        self.places.remove(&(gone.path, peer));
        self.forget_party(peer, gone.party);
        Some(gone)
    }

    /// Everybody at an address and port.
    fn peers_at(&self, path: Path) -> impl Iterator<Item = (PeerId, &Peer)> {
        let here = (path, PeerId(0))..=(path, PeerId(u64::MAX));
        let here = self.places.range(here);
        here.filter_map(|(_, id)| Some((*id, self.peers.get(id)?)))
    }

    /// Who is known as `party`, or has no SAs left and was at that very address and port.
    fn known(&self, path: Path, party: u64) -> Option<PeerId> {
        let bare = |p: &Peer| p.isakmp.is_empty() && p.children.is_empty();
        let known = self.parties.get(&party).copied();
        known.or_else(|| {
            let mut here = self.peers_at(path);
            here.find_map(|(id, p)| bare(p).then_some(id))
        })
    }

    /// The peer of a new ISAKMP SA: one that is known, or a new one.
    fn peer_at(&mut self, sa: isakmp::SaId, path: Path, party: Option<u64>) -> PeerId {
        let known = party.and_then(|party| self.known(path, party));
        let id = known.unwrap_or_else(|| {
            self.serial += 1;
            let id = PeerId(self.serial);
            self.peers.insert(
                id,
                Peer {
                    path,
                    party: None,
                    isakmp: Vec::new(),
                    children: Vec::new(),
                    l2tp: Vec::new(),
                    grace: None,
                    heard: 0,
                    strays: 0,
                },
            );
            self.places.insert((path, id));
            id
        });
        self.peer_of_sa.insert(sa, id);
        if let Some(peer) = self.peers.get_mut(&id)
            && !peer.isakmp.contains(&sa)
        {
            peer.isakmp.push(sa);
            self.set_party(id, party);
        }
        id
    }

    /// The peer of `sa` has proved where it is: it is the one known there, unless it has begun anew.
    fn recognize(&mut self, sa: isakmp::SaId, path: Path, party: u64) {
        let Some(&peer) = self.peer_of_sa.get(&sa) else {
            return;
        };
        let known = self.known(path, party).filter(|known| *known != peer);
        self.set_party(peer, Some(party));
        if let Some(known) = known {
            if self.has_tunnel(peer) {
                self.set_party(known, None);
            } else {
                self.absorb(peer, known);
            }
        }
    }

    fn add_child(&mut self, now: Instant, sa: isakmp::ChildSa) {
        let Some(&peer) = self.peer_of_sa.get(&sa.sa) else {
            // Its SA has ended in the same moment.
            self.isakmp.close_child(now, sa.child);
            return;
        };
        let suite = sa.suite.to_string();
        self.serial += 1;
        let serial = self.serial;
        let installed = convert::sa_configs(&sa)
            .and_then(|(inbound, outbound)| self.sadb.insert(now, &inbound, &outbound, serial));
        let outbound = match installed {
            Ok(outbound) => outbound,
            Err(e) => {
                tracing::warn!(conn = %peer, suite, error = %e, "ESP SA refused");
                self.isakmp.close_child(now, sa.child);
                return;
            }
        };
        self.children.insert(
            serial,
            Child {
                id: sa.child,
                peer,
                inbound_spi: sa.inbound_spi,
                outbound,
                encapsulated: sa.udp_encapsulation,
                suite: suite.clone(),
            },
        );
        self.child_serials.insert(sa.child, serial);
        if let Some(entry) = self.peers.get_mut(&peer) {
            entry.children.push(serial);
            if let Some(at) = entry.grace.take() {
                self.deadlines.remove(&(at, Deadline::Grace(peer)));
            }
        }
        self.event(Event::EspUp {
            peer,
            suite,
            weakness: convert::esp_weakness(sa.suite),
            encapsulated: sa.udp_encapsulation,
            inbound_spi: sa.inbound_spi,
            outbound_spi: sa.outbound_spi,
        });
        if self.key_log {
            let lines = Box::new(sa.key_log_lines());
            self.event(Event::Key(KeyEvent::Esp(lines)));
        }
    }

    fn remove_child(&mut self, now: Instant, id: isakmp::ChildId, reason: &'static str) {
        let Some(serial) = self.child_serials.remove(&id) else {
            return;
        };
        let Some(child) = self.children.remove(&serial) else {
            return;
        };
        self.sadb.remove(child.inbound_spi, child.outbound);
        if let Some(peer) = self.peers.get_mut(&child.peer) {
            peer.children.retain(|c| *c != serial);
        }
        self.event(Event::EspDown {
            peer: child.peer,
            inbound_spi: child.inbound_spi,
            reason,
        });
        self.settle(now, child.peer);
    }

    /// After something of a peer has ended: removes it, or gives it time to come back.
    pub(super) fn settle(&mut self, now: Instant, id: PeerId) {
        let Some(peer) = self.peers.get(&id) else {
            return;
        };
        let (isakmp, esp) = (!peer.isakmp.is_empty(), !peer.children.is_empty());
        match (isakmp, esp, self.has_tunnel(id)) {
            (false, false, false) => self.remove_peer(now, id),
            // ESP for which nobody can send a delete any more, or L2TP without ESP.
            (false, true, false) | (_, false, true) => self.begin_grace(now, id),
            _ => {}
        }
    }

    fn begin_grace(&mut self, now: Instant, id: PeerId) {
        if let Some(peer) = self.peers.get_mut(&id)
            && peer.grace.is_none()
        {
            peer.grace = Some(now + GRACE);
            self.deadlines.insert((now + GRACE, Deadline::Grace(id)));
        }
    }

    fn has_tunnel(&self, id: PeerId) -> bool {
        let mut paths = self.peers.get(&id).into_iter().flat_map(|p| &p.l2tp);
        paths.any(|p| self.l2tp.tunnels_of(p.id).next().is_some())
    }

    /// A peer's time to come back is over.
    pub(super) fn grace_over(&mut self, now: Instant, id: PeerId) {
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        peer.grace = None;
        let Some(peer) = self.peers.get(&id) else {
            return;
        };
        let (isakmp, esp) = (!peer.isakmp.is_empty(), !peer.children.is_empty());
        // Also over an SA of somebody at the same place, who may turn out to be this one.
        let negotiating = self
            .peers_at(peer.path)
            .flat_map(|(_, p)| &p.isakmp)
            .any(|sa| self.isakmp.is_negotiating(*sa));
        if !esp && negotiating {
            self.begin_grace(now, id);
        } else if !esp {
            self.remove_peer(now, id);
        } else if !isakmp && !self.has_tunnel(id) {
            // The deletes of these SAs were lost, as nobody acknowledges a delete.
            for child in self.sas_of(id).1 {
                self.isakmp.close_child(now, child);
            }
        }
    }

    pub(super) fn remove_peer(&mut self, now: Instant, id: PeerId) {
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        if let Some(at) = peer.grace.take() {
            self.deadlines.remove(&(at, Deadline::Grace(id)));
        }
        let paths: Vec<_> = peer.l2tp.drain(..).map(|p| p.id).collect();
        let keep = !peer.isakmp.is_empty() || !peer.children.is_empty();
        for path in paths {
            self.l2tp.close_path(now, path);
            // While it is known whose tunnels they were.
            while let Some(event) = self.l2tp.poll_event() {
                self.on_l2tp(now, event);
            }
            self.peer_of_path.remove(&path);
        }
        if !keep && self.take_peer(id).is_some() {
            self.event(Event::PeerDown { peer: id });
        }
    }

    pub(super) fn on_esp(&mut self, now: Instant, event: &esp::Event) {
        let (esp::Event::SoftExpired { owner, .. } | esp::Event::HardExpired { owner, .. }) = event
        else {
            return;
        };
        if let Some(id) = self.children.get(owner).map(|c| c.id) {
            if matches!(event, esp::Event::SoftExpired { .. }) {
                self.isakmp.rekey_child(now, id);
            } else {
                self.isakmp.close_child(now, id);
            }
        }
    }

    /// ESP with an unknown SPI came from `path`.
    pub(super) fn note_unknown_spi(&mut self, now: Instant, path: Path, spi: u32) {
        // IP protocol 50 has no ports: there is no NAT, and IKE has stayed on its own.
        let port = |address: SocketAddr| match address.port() {
            0 => SocketAddr::new(address.ip(), IKE_PORT),
            _ => address,
        };
        let path = Path {
            local: port(path.local),
            remote: port(path.remote),
        };
        self.isakmp.note_unknown_spi(now, path, spi);
        self.drain(now);
    }

    /// The L2TP path of a port pair inside a peer's ESP.
    pub(super) fn l2tp_path(
        &mut self,
        now: Instant,
        peer: PeerId,
        local_port: u16,
        remote_port: u16,
    ) -> PathId {
        let entry = self.peers.get_mut(&peer);
        let known = |p: &&L2tpPath| p.local_port == local_port && p.remote_port == remote_port;
        if let Some(path) = entry.as_ref().and_then(|e| e.l2tp.iter().find(known)) {
            return path.id;
        }
        self.serial += 1;
        let fresh = PathId(self.serial);
        let Some(entry) = entry else {
            return fresh;
        };
        // A client that keeps changing its port replaces its own oldest path, and loses what it had
        // there: nothing would reach it any more.
        if entry.l2tp.len() >= L2TP_PATHS {
            let oldest = entry.l2tp.remove(0).id;
            self.peer_of_path.remove(&oldest);
            self.l2tp.close_path(now, oldest);
        }
        entry.l2tp.push(L2tpPath {
            id: fresh,
            local_port,
            remote_port,
        });
        self.peer_of_path.insert(fresh, peer);
        fresh
    }

    /// Who has roamed and renewed its ISAKMP SA before it sent any ESP is somebody new to us, and its
    /// next ESP SAs are too. What tells is the first data message in them, for a call of the one it
    /// was: its ids, 32 random bits, have never been outside of ESP. Nobody gets to guess often.
    pub(super) fn reunite(
        &mut self,
        stray: PeerId,
        (local_port, remote_port): (u16, u16),
        buf: &[u8],
        message: Range<usize>,
    ) -> Option<PathId> {
        let entry = self.peers.get_mut(&stray)?;
        entry.strays = entry.strays.saturating_add(1);
        if entry.strays > STRAYS {
            return None;
        }
        let path = self.l2tp.path_named(buf, message)?;
        let known = *self.peer_of_path.get(&path)?;
        let mut paths = self.peers.get(&known)?.l2tp.iter();
        let same_ports = paths
            .any(|p| p.id == path && p.local_port == local_port && p.remote_port == remote_port);
        if known == stray || !same_ports || self.has_tunnel(stray) {
            return None;
        }
        self.absorb(stray, known);
        Some(path)
    }

    /// All that one peer has is another's.
    fn absorb(&mut self, stray: PeerId, known: PeerId) {
        let (Some(gone), Some(entry)) = (self.take_peer(stray), self.peers.get_mut(&known)) else {
            return;
        };
        let graces = [(stray, gone.grace), (known, entry.grace.take())];
        for (id, at) in graces {
            if let Some(at) = at {
                self.deadlines.remove(&(at, Deadline::Grace(id)));
            }
        }
        for sa in &gone.isakmp {
            self.peer_of_sa.insert(*sa, known);
        }
        for serial in &gone.children {
            if let Some(child) = self.children.get_mut(serial) {
                child.peer = known;
            }
        }
        for path in &gone.l2tp {
            self.peer_of_path.remove(&path.id);
        }
        let party = gone.party.or(entry.party);
        entry.isakmp.extend(gone.isakmp);
        entry.children.extend(gone.children);
        entry.heard = entry.heard.max(gone.heard);
        self.set_path(known, gone.path);
        self.set_party(known, party);
        self.event(Event::PeerKnown {
            peer: stray,
            known,
            path: gone.path,
        });
    }

    /// Follows a peer that authenticated ESP shows at another address or port (RFC 3947 5): by the
    /// newest pair that it uses, since of an older one anybody may have kept a packet that was lost.
    pub(super) fn note_path(
        &mut self,
        now: Instant,
        (serial, child): (u64, isakmp::ChildId),
        peer: PeerId,
        encapsulated: bool,
        path: Path,
    ) {
        let Some(entry) = self.peers.get_mut(&peer) else {
            return;
        };
        let shows = encapsulated && serial >= entry.heard;
        entry.heard = entry.heard.max(serial);
        let path = if shows { path } else { entry.path };
        if self.isakmp.note_traffic(now, child, path) {
            self.move_peer(peer, path);
        }
    }
}
