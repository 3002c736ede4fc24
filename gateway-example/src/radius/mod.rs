//! A RADIUS client (RFC 2865, 2866, 2548, 2869, 3579) and a Dynamic Authorization Server
//! (RFC 5176), sans-IO.
//!
//! [`Client`] asks servers in their order, repeats, and goes on to the next when one is silent.
//! Message-Authenticator comes first in every request and is required in replies, since without
//! it a reply can be forged (CVE-2024-3596).

mod client;
mod config;
mod dynamic;
mod error;
mod group;
mod reply;
mod tally;
#[cfg(test)]
pub(crate) mod tests;
pub mod wire;

pub use client::{Client, Event, Outcome, Status};
pub use config::{Config, ServerConfig};
pub use dynamic::{Change, DynamicRequest, ErrorCause, Selector};
pub use error::Error;
pub use group::{QueueFull, Request, Urgency};
pub use reply::{Accept, FramedAddress, Reject};

use std::net::SocketAddr;

/// Which of the sockets a datagram belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Port {
    /// Ours towards the servers' authentication port.
    Access,
    /// Ours towards the servers' accounting port.
    Accounting,
    /// Where servers send Disconnect-Request and CoA-Request, normally 3799.
    Dynamic,
}

/// A datagram to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// From which socket.
    pub port: Port,
    /// To whom.
    pub to: SocketAddr,
    /// UDP payload.
    pub payload: Vec<u8>,
}
