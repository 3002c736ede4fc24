//! What goes in and out of a gateway for its users: RADIUS, and addresses that are kept.

use super::Gateway;
use crate::aaa::Aaa;
use crate::pool::Remembered;
use crate::radius;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

impl Gateway {
    /// Tells the time since 1970, which RADIUS needs.
    pub fn set_clock(&mut self, now: Instant, wall: Duration) {
        self.aaa.set_clock(now, wall);
        self.drain_aaa(now);
    }

    /// A datagram came to one of the RADIUS sockets.
    pub fn handle_radius(
        &mut self,
        now: Instant,
        port: radius::Port,
        from: SocketAddr,
        datagram: &[u8],
    ) {
        // Why it was dropped is counted.
        let _ = self.aaa.handle_radius(now, port, from, datagram);
        self.drain_aaa(now);
        self.drain(now);
    }

    /// The next datagram for a RADIUS server.
    #[must_use]
    pub fn poll_radius(&mut self) -> Option<radius::Transmit> {
        self.aaa.poll_radius()
    }

    /// Whether every accounting record has arrived at a RADIUS server.
    #[must_use]
    pub fn is_accounted(&self) -> bool {
        self.aaa.is_idle()
    }

    /// Users, their addresses and what RADIUS servers say of them.
    #[must_use]
    pub fn aaa(&self) -> &Aaa {
        &self.aaa
    }

    /// Keeps addresses for users who had them before a restart; how many.
    pub fn remember(&mut self, leases: &[Remembered]) -> usize {
        self.aaa.remember(leases)
    }
}
