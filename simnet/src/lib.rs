//! A network in virtual time, for tests: seeded lossy links between two ends ([`Pair`]) and
//! UDP hosts behind NAT boxes ([`World`]). Development only, never published.
//!
//! Published vectors ([`mod@corpus`]) and captures ([`frames`]) are read for tests that replay them.
//!
//! Nothing here reads a clock or a global random source: a seed replays a run exactly.

mod capture;
pub mod corpus;
mod link;
mod nat;
mod pair;
mod world;

pub use capture::{Frame, corpus, frames};
pub use link::{Link, seeded};
pub use nat::{Filtering, Mapping, Nat};
pub use pair::{Node, Pair};
pub use world::{Datagram, Host, HostId, NatId, World};
