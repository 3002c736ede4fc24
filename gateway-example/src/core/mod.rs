//! The crates composed: sans-IO, so that whole connections also run in tests in virtual time.
//!
//! [`Stack`] joins ISAKMP, ESP, L2TP and PPP for any number of peers in either role;
//! [`Gateway`] is the office's side of it and [`Client`] the road warrior's.

mod advice;
mod answer;
mod book;
mod client;
mod convert;
mod dialer;
mod event;
mod gateway;
mod journal;
mod limiter;
mod metrics;
pub mod offload;
mod outbox;
mod peer;
mod sides;
mod stack;
mod status;

pub use client::{Client, ClientConfig, ClientEvent, ConnectError, Protocols};
pub use dialer::Dialer;
pub use event::{Event, KeyEvent, Severity, Weakness};
pub use gateway::{Gateway, GatewayError, GatewayEvent, ReloadError, needs_restart};
pub use isakmp::Path;
pub use outbox::{Destination, Outbox, Run};
pub use peer::PeerId;
pub use stack::{BATCH, Datagram, EspCounts, Packet, Spread, Stack, StackConfig, StackError, Work};
pub use status::*;

use offload::Offload;
use rand_core::CryptoRng;
use std::net::IpAddr;
use std::ops::Range;
use std::time::Instant;

/// Bytes to leave free before a packet: ESP header and IV, UDP, L2TP and PPP in front of it.
pub const HEADROOM: usize = 128;

/// Bytes to leave free behind a packet: ESP padding and ICV.
pub const TAILROOM: usize = 64;

/// Makes the random source of one part; each part has its own.
pub type Entropy = Box<dyn FnMut() -> Box<dyn CryptoRng + Send> + Send>;

/// A control message to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transmit {
    /// In a UDP datagram.
    Udp {
        /// From and to.
        path: Path,
        /// UDP payload.
        payload: Vec<u8>,
    },
    /// As IP protocol 50.
    Esp {
        /// From.
        local: IpAddr,
        /// To.
        remote: IpAddr,
        /// The ESP packet.
        payload: Vec<u8>,
    },
    /// Hand this IP packet to the unencrypted side.
    Inner(Vec<u8>),
}

/// What to do with the packet that a `handle_` call was given; it is in the same buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Forward {
    /// Nothing: it was a control message, or it was dropped and counted.
    Nothing,
    /// Hand this IP packet to the unencrypted side.
    Inner(Range<usize>),
    /// Send this in a UDP datagram.
    Udp {
        /// From and to.
        path: Path,
        /// UDP payload.
        payload: Range<usize>,
    },
    /// Send this as IP protocol 50.
    Esp {
        /// From.
        local: IpAddr,
        /// To.
        remote: IpAddr,
        /// The ESP packet.
        payload: Range<usize>,
    },
}

/// What the I/O layer drives: the suite's verbs.
///
/// After each call: `poll_transmit` until none, then the owner's events, then `poll_timeout`.
pub trait Core {
    /// A UDP datagram came on port 500 or 4500.
    fn handle_udp(
        &mut self,
        now: Instant,
        path: Path,
        buf: &mut [u8],
        datagram: Range<usize>,
    ) -> Forward;

    /// An ESP packet came as IP protocol 50.
    fn handle_esp(
        &mut self,
        now: Instant,
        local: IpAddr,
        remote: IpAddr,
        buf: &mut [u8],
        packet: Range<usize>,
    ) -> Forward;

    /// An IP packet came from the unencrypted side.
    fn handle_inner(&mut self, now: Instant, buf: &mut [u8], packet: Range<usize>) -> Forward;

    /// Like [`handle_udp`](Self::handle_udp) and [`handle_esp`](Self::handle_esp) for each of
    /// `datagrams`, in order, and faster. What is for the unencrypted side is left where it lies;
    /// what is to go out again goes to `outbox`, and is to be sealed.
    fn push_datagrams(&mut self, now: Instant, datagrams: &mut [Datagram<'_>], outbox: &mut Outbox);

    /// Like [`handle_inner`](Self::handle_inner) for a packet that `offload` says more of, and
    /// faster. What comes of it goes to `outbox`, and is to be sealed.
    fn push_inner(&mut self, now: Instant, packet: &[u8], offload: Offload, outbox: &mut Outbox);

    /// Makes ESP packets of what has been pushed: then it can be sent.
    fn seal(&mut self, now: Instant, outbox: &mut Outbox);

    /// The next computation to have done elsewhere, if that is how it was made.
    #[must_use]
    fn poll_job(&mut self) -> Option<isakmp::Job> {
        None
    }

    /// Takes what came of it.
    fn finish(&mut self, _now: Instant, _result: isakmp::JobResult) {}

    /// The time that `poll_timeout` named has come.
    fn handle_timeout(&mut self, now: Instant);

    /// The next control message to send.
    #[must_use]
    fn poll_transmit(&mut self) -> Option<Transmit>;

    /// When `handle_timeout` is due.
    #[must_use]
    fn poll_timeout(&self) -> Option<Instant>;

    /// Ends every connection in an orderly way.
    fn shutdown(&mut self, now: Instant);

    /// Whether nothing is left of any connection.
    #[must_use]
    fn is_idle(&self) -> bool;
}
