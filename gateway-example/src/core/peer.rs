use super::Path;
use super::stack::OutboundId;
use std::time::Instant;

/// One peer of the stack: whoever is behind one outer address and port.
///
/// It outlives rekeys of both phases; L2TP tunnels belong to it, never to an inner address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub(super) u64);

impl PeerId {
    /// As in the log's `conn`.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }
}

impl std::fmt::Display for PeerId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What the stack knows of a peer.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) path: Path,
    /// Who made its ISAKMP SAs, once that is known.
    pub(super) party: Option<u64>,
    pub(super) isakmp: Vec<isakmp::SaId>,
    /// ESP SA pairs by serial number, the newest last.
    pub(super) children: Vec<u64>,
    /// The newest of them that it has sent on, by which alone it shows where it is.
    pub(super) heard: u64,
    /// L2TP over this peer: one path for each UDP port pair inside ESP.
    pub(super) l2tp: Vec<L2tpPath>,
    /// When to give up on a peer that has deleted its last ESP SA: Windows deletes and remakes.
    pub(super) grace: Option<Instant>,
    /// How often it has named a call that is not its own.
    pub(super) strays: u8,
}

/// A UDP port pair inside a peer's ESP.
#[derive(Debug, Clone, Copy)]
pub(super) struct L2tpPath {
    pub(super) id: l2tp::PathId,
    pub(super) local_port: u16,
    pub(super) remote_port: u16,
}

/// A pair of ESP SAs.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) id: isakmp::ChildId,
    pub(super) peer: PeerId,
    pub(super) inbound_spi: u32,
    pub(super) outbound: OutboundId,
    pub(super) encapsulated: bool,
    pub(super) suite: String,
}
