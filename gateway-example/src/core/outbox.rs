use super::stack::OutboundId;
use super::{BATCH, HEADROOM, Path, TAILROOM};
use std::net::IpAddr;
use std::ops::Range;

/// Where a packet goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// The unencrypted side.
    Inner,
    /// Out in a UDP datagram.
    Udp(Path),
    /// Out as IP protocol 50.
    Esp {
        /// From.
        local: IpAddr,
        /// To.
        remote: IpAddr,
    },
}

/// Packets at most, and bytes; what does not fit is dropped.
const PACKETS: usize = 1024;
const BYTES: usize = 512 * 1024;

/// From here on it is to be sent first: what an offload gives still fits, and does not go beyond a
/// batch, which 3DES takes as long for as for one packet.
const ENOUGH: usize = 352 * 1024;
const ENOUGH_PACKETS: usize = BATCH - 48;

/// The system's limits on datagrams in one call.
const RUN_PACKETS: usize = 64;
const RUN_BYTES: usize = 65_000;

/// Packets on their way out, one right behind the other in one buffer, so that those of one peer
/// leave together.
///
/// A packet is put where its headers will just fit; how long they are is known from the one before.
pub struct Outbox {
    buf: Vec<u8>,
    /// Where the last packet ends.
    end: usize,
    /// Bytes of headers of the last packet.
    head: usize,
    packets: Vec<Outgoing>,
    /// How many of them are done.
    sealed: usize,
}

/// One packet of an [`Outbox`].
#[derive(Debug)]
pub(super) struct Outgoing {
    destination: Destination,
    /// What seals it; none if that has been done.
    pub(super) outbound: Option<OutboundId>,
    /// What is to be sealed.
    pub(super) payload: Range<usize>,
    /// All of it; empty if it was dropped.
    pub(super) packet: Range<usize>,
}

/// Packets to one destination that leave together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run<'a> {
    /// Where to.
    pub destination: Destination,
    /// One right behind the other.
    pub bytes: &'a [u8],
    /// Bytes of each but the last, which may be shorter.
    pub length: usize,
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbox")
            .field("packets", &self.packets.len())
            .field("bytes", &self.end)
            .finish_non_exhaustive()
    }
}

impl Default for Outbox {
    fn default() -> Self {
        Self {
            buf: vec![0; BYTES],
            end: 0,
            head: HEADROOM,
            packets: Vec::with_capacity(PACKETS),
            sealed: 0,
        }
    }
}

impl Outbox {
    /// Whether it should be sent before more is put in.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.end > ENOUGH || self.packets.len() > ENOUGH_PACKETS
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Forgets what has been sent.
    pub fn clear(&mut self) {
        self.packets.clear();
        self.end = 0;
        self.sealed = 0;
    }

    /// What is to be sent, in order.
    pub fn runs(&self) -> impl Iterator<Item = Run<'_>> {
        let mut rest = self.packets.get(..self.sealed).unwrap_or_default();
        std::iter::from_fn(move || {
            while let Some((first, others)) = rest.split_first() {
                rest = others;
                if first.packet.is_empty() {
                    continue;
                }
                let length = first.packet.len();
                let mut whole = first.packet.clone();
                let mut last = length;
                let joined = others.iter().take(RUN_PACKETS - 1).take_while(|next| {
                    let joins = next.destination == first.destination
                        && matches!(next.destination, Destination::Udp(_))
                        && next.packet.start == whole.end
                        && last == length
                        && (1..=length).contains(&next.packet.len())
                        && whole.len() + next.packet.len() <= RUN_BYTES;
                    if joins {
                        last = next.packet.len();
                        whole.end = next.packet.end;
                    }
                    joins
                });
                let joined = joined.count();
                rest = others.get(joined..).unwrap_or_default();
                return Some(Run {
                    destination: first.destination,
                    bytes: self.buf.get(whole).unwrap_or_default(),
                    length,
                });
            }
            None
        })
    }

    /// Where an IP packet of `length` bytes may be put in the [`space`](Self::space).
    pub(super) fn place(&self, length: usize) -> Option<Range<usize>> {
        let range = self.head..self.head + length;
        let room = self.buf.len() - self.end;
        (range.end + TAILROOM <= room && self.packets.len() < PACKETS).then_some(range)
    }

    /// What is free.
    pub(super) fn space(&mut self) -> &mut [u8] {
        self.buf.get_mut(self.end..).unwrap_or_default()
    }

    /// Moves a packet to where any headers fit.
    pub(super) fn move_back(&mut self, packet: Range<usize>) -> Option<Range<usize>> {
        let to = HEADROOM..HEADROOM + packet.len();
        let space = self.space();
        if packet.start >= to.start || to.end + TAILROOM > space.len() {
            return None;
        }
        space.copy_within(packet, to.start);
        Some(to)
    }

    /// Adds a packet that lies in the space: `payload` is what `outbound` has to seal, and will then
    /// be `packet`; the IP packet in it began at `inner`.
    pub(super) fn add(
        &mut self,
        destination: Destination,
        outbound: Option<OutboundId>,
        inner: usize,
        payload: Range<usize>,
        packet: Range<usize>,
    ) {
        let absolute = |range: Range<usize>| range.start + self.end..range.end + self.end;
        let outgoing = Outgoing {
            destination,
            outbound,
            payload: absolute(payload),
            packet: absolute(packet.clone()),
        };
        self.packets.push(outgoing);
        if outbound.is_some() {
            self.head = inner.saturating_sub(packet.start);
        }
        self.end += packet.end;
    }

    /// What has yet to be sealed, and the buffer; all of it counts as done.
    pub(super) fn unsealed(&mut self) -> (&mut [u8], &mut [Outgoing]) {
        let from = std::mem::replace(&mut self.sealed, self.packets.len());
        let packets = self.packets.get_mut(from..).unwrap_or_default();
        (&mut self.buf, packets)
    }
}
