use core::net::SocketAddr;

/// Where a peer is, as authenticated traffic last proved.
///
/// An attacker can send an old, genuine packet again from elsewhere: only a packet that is newer
/// than all before it moves the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mapping {
    remote: SocketAddr,
}

impl Mapping {
    /// The peer is at `remote`.
    #[must_use]
    pub const fn new(remote: SocketAddr) -> Self {
        Self { remote }
    }

    /// Where the peer is.
    #[must_use]
    pub const fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// An authenticated packet came from `from`; `newest` if no sequence number seen before is
    /// higher. The old address if the peer has moved.
    pub fn observe(&mut self, from: SocketAddr, newest: bool) -> Option<SocketAddr> {
        (newest && from != self.remote).then(|| core::mem::replace(&mut self.remote, from))
    }
}
