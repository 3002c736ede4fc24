//! What there is, and what it has done.

use super::{EspCounts, Stack};
use crate::core::peer::PeerId;
use crate::core::{HEADROOM, Path};
use l2tp::SessionId;
use std::collections::BTreeMap;

impl Stack {
    /// Live ISAKMP SAs, half-open ones too.
    #[must_use]
    pub fn isakmp_sas(&self) -> usize {
        self.isakmp.sa_count()
    }

    /// ISAKMP SAs that a peer has begun and not authenticated yet.
    #[must_use]
    pub fn half_open(&self) -> usize {
        self.isakmp.half_open_count()
    }

    /// What IKE has counted.
    #[must_use]
    pub fn isakmp_stats(&self) -> isakmp::Stats {
        self.isakmp.stats()
    }

    /// L2TP control messages that we repeated.
    #[must_use]
    pub fn l2tp_retransmits(&self) -> u64 {
        self.l2tp.retransmits()
    }

    /// What ESP has counted.
    #[must_use]
    pub fn esp_counts(&self) -> EspCounts {
        self.sadb.counts()
    }

    /// Live pairs of ESP SAs.
    #[must_use]
    pub fn esp_sas(&self) -> usize {
        self.children.len()
    }

    /// L2TP control connections.
    #[must_use]
    pub fn l2tp_tunnels(&self) -> usize {
        self.l2tp.tunnels().count()
    }

    /// L2TP calls.
    #[must_use]
    pub fn l2tp_sessions(&self) -> usize {
        self.l2tp.session_count()
    }

    /// Peers with anything alive.
    #[must_use]
    pub fn peers(&self) -> usize {
        self.peers.len()
    }

    /// Dropped packets by reason.
    #[must_use]
    pub fn drops(&self) -> BTreeMap<&'static str, u64> {
        let counts = self.sadb.counts();
        let esp = counts.dropped_in.into_iter().chain(counts.dropped_out);
        let mut drops = self.drops.clone();
        for (reason, count) in esp.filter(|(_, n)| *n > 0) {
            *drops.entry(reason).or_default() += count;
        }
        drops
    }

    /// The peer of a call, where it is, and its ESP algorithms.
    #[must_use]
    pub fn peer_of(&self, session: SessionId) -> Option<(PeerId, Path, &str)> {
        let id = self.calls.get(&session)?.peer;
        let peer = self.peers.get(&id)?;
        let child = peer.children.last().and_then(|c| self.children.get(c));
        Some((id, peer.path, child.map_or("", |c| c.suite.as_str())))
    }

    /// The longest IP packet of a call that goes out in one piece over a link of 1500 bytes: with a
    /// long ICV it is shorter than what PPP has agreed on.
    #[must_use]
    pub fn room_of(&self, session: SessionId) -> Option<u16> {
        const LINK: usize = 1500;
        /// PPP's address, control and protocol, L2TP's header with its length, UDP's.
        const AROUND: usize = 4 + 8 + 8;
        let peer = self.peers.get(&self.calls.get(&session)?.peer)?;
        let id = self.children.get(peer.children.last()?)?.outbound;
        let outside = 8 + if peer.path.remote.is_ipv4() { 20 } else { 40 };
        let fits = |payload: &usize| {
            let payload = HEADROOM..HEADROOM + payload;
            let packet = self.sadb.layout(id, HEADROOM + 2 * LINK, &payload);
            packet.is_ok_and(|packet| packet.len() <= LINK - outside)
        };
        let payload = (AROUND..LINK).rev().find(fits)?;
        u16::try_from(payload - AROUND).ok()
    }
}
