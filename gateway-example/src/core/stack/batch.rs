//! Batches of the data path: equal to one packet after the other, and faster.

use super::packets::port_kind;
use super::{PROTOCOL_UDP, Packet, Stack};
use crate::core::offload::{Offload, Segments};
use crate::core::{Destination, Outbox, Path};
use arrayvec::ArrayVec;
use esp::{Found, Open, OpenError, Seal};
use l2tp::SessionId;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Instant;

/// Datagrams that are dealt with together at most: as many as ESP has lanes for 3DES.
pub const BATCH: usize = 256;

/// A datagram of a batch, and what came of it.
#[derive(Debug, Default)]
pub struct Datagram<'a> {
    path: Option<Path>,
    native: bool,
    /// Where it lies.
    pub buf: &'a mut [u8],
    range: Range<usize>,
    found: Option<Result<Found, OpenError>>,
    /// The IP packet in it for the unencrypted side, if any.
    pub inner: Option<Range<usize>>,
}

impl<'a> Datagram<'a> {
    /// A UDP datagram that is all of `buf`.
    #[must_use]
    pub fn udp(path: Path, buf: &'a mut [u8]) -> Self {
        Self {
            path: Some(path),
            range: 0..buf.len(),
            buf,
            ..Self::default()
        }
    }

    /// An ESP packet, at `packet` in `buf`, that came as IP protocol 50.
    #[must_use]
    pub fn esp(path: [std::net::IpAddr; 2], buf: &'a mut [u8], packet: Range<usize>) -> Self {
        let [local, remote] = path.map(|ip| SocketAddr::new(ip, 0));
        Self {
            path: Some(Path { local, remote }),
            native: true,
            range: packet,
            buf,
            ..Self::default()
        }
    }

    /// Where it came from, and whether as IP protocol 50.
    #[must_use]
    pub fn path(&self) -> Option<(Path, bool)> {
        Some((self.path?, self.native))
    }

    /// What came: the payload of UDP, or the ESP packet.
    #[must_use]
    pub fn outer(&self) -> &[u8] {
        self.buf.get(self.range.clone()).unwrap_or_default()
    }

    /// The IP packet in it for the unencrypted side, if any.
    #[must_use]
    pub fn inner(&self) -> Option<&[u8]> {
        self.buf.get(self.inner.clone()?)
    }

    /// The ESP packet in it, if it is one.
    fn esp_packet(&self, natt_port: u16) -> Option<Range<usize>> {
        if self.native {
            return Some(self.range.clone());
        }
        let kind = port_kind(self.path?.local.port() == natt_port);
        match natt::classify(kind, self.buf, self.range.clone()) {
            Ok(natt::Datagram::Esp(packet)) => Some(packet),
            _ => None,
        }
    }
}

impl Stack {
    /// Opens the ESP packets in front; gives how many they are.
    pub fn open_front(
        &mut self,
        now: Instant,
        natt_port: u16,
        datagrams: &mut [Datagram<'_>],
    ) -> usize {
        // Neither is moved, since that would move all the room in it.
        let mut results = ArrayVec::<Result<Found, OpenError>, BATCH>::new();
        {
            let mut jobs = ArrayVec::<Open<'_, Found>, BATCH>::new();
            for datagram in datagrams.iter_mut().take(BATCH) {
                let Some(packet) = datagram.esp_packet(natt_port) else {
                    break;
                };
                jobs.push(Open::new(&mut *datagram.buf, packet));
            }
            self.sadb.open_batch(now, &mut jobs);
            results.extend(jobs.drain(..).map(|job| job.result));
        }
        let count = results.len();
        for (datagram, result) in datagrams.iter_mut().zip(results.drain(..)) {
            datagram.found = Some(result);
        }
        count
    }

    /// Takes a datagram, opened or not; gives the IP packet it carried, if any.
    pub fn handle_opened(
        &mut self,
        now: Instant,
        natt_port: u16,
        datagram: &mut Datagram<'_>,
    ) -> Option<Packet> {
        let path = datagram.path?;
        match datagram.found.take() {
            Some(found) => self.handle_found(now, path, datagram.buf, datagram.range.start, found),
            None => {
                let natt = path.local.port() == natt_port;
                let range = datagram.range.clone();
                self.handle_udp(now, path, natt, datagram.buf, range)
            }
        }
    }

    /// Wraps an IP packet, at `packet` in the outbox's space, for a call.
    pub fn push(&mut self, session: SessionId, outbox: &mut Outbox, packet: Range<usize>) {
        let mut pushed = self.try_push(session, outbox, packet.clone());
        if pushed.is_err()
            && let Some(packet) = outbox.move_back(packet)
        {
            pushed = self.try_push(session, outbox, packet);
        }
        if let Err(reason) = pushed {
            self.count(reason);
        }
    }

    fn try_push(
        &mut self,
        session: SessionId,
        outbox: &mut Outbox,
        packet: Range<usize>,
    ) -> Result<(), &'static str> {
        let inner = packet.start;
        let space = outbox.space();
        let wrapped = self.wrap(session, space, packet)?;
        let (id, payload) = (wrapped.outbound, wrapped.datagram);
        let sealed = self.sadb.layout(id, space.len(), &payload);
        let sealed = sealed.map_err(|e| e.reason())?;
        outbox.add(wrapped.destination, Some(id), inner, payload, sealed);
        Ok(())
    }

    /// Makes ESP packets of what has been pushed.
    pub fn seal(&mut self, now: Instant, outbox: &mut Outbox) {
        let (mut buf, mut packets) = outbox.unsealed();
        let mut start = 0;
        while packets.iter().any(|p| p.outbound.is_some()) {
            let mut ids = ArrayVec::<_, BATCH>::new();
            let mut jobs = ArrayVec::<_, BATCH>::new();
            let (chunk, rest) = packets.split_at_mut(packets.len().min(BATCH));
            packets = rest;
            for (packet, id) in chunk.iter().filter_map(|p| Some((p, p.outbound?))) {
                let whole = packet.packet.start - start..packet.packet.end - start;
                let Some((own, behind)) = std::mem::take(&mut buf).split_at_mut_checked(whole.end)
                else {
                    break;
                };
                buf = behind;
                let own = own.get_mut(whole.start..).unwrap_or_default();
                let from = packet.packet.start;
                let payload = packet.payload.start - from..packet.payload.end - from;
                ids.push(id);
                jobs.push((id.id, Seal::new(own, payload, PROTOCOL_UDP)));
                start = packet.packet.end;
            }
            self.sadb.seal_batch(now, &ids, &mut jobs);
            let pushed = chunk.iter_mut().filter(|p| p.outbound.is_some());
            for (packet, (_, job)) in pushed.zip(jobs.drain(..)) {
                packet.outbound = None;
                if job.result.is_err() {
                    packet.packet.end = packet.packet.start;
                }
            }
        }
    }

    /// Puts a copy of an IP packet that goes out again into the outbox's space.
    pub fn copy(&mut self, packet: &[u8], outbox: &mut Outbox) -> Option<Range<usize>> {
        let segments = self.segments(packet, Offload::default())?;
        self.place(&segments, 0, outbox)
    }

    /// What a packet of the unencrypted side is to be cut into.
    pub fn segments<'p>(&mut self, packet: &'p [u8], offload: Offload) -> Option<Segments<'p>> {
        let segments = Segments::new(packet, offload);
        if segments.is_err() {
            self.count("bad_offload");
        }
        segments.ok()
    }

    /// Writes one of these segments into the outbox's space.
    pub fn place(
        &mut self,
        segments: &Segments<'_>,
        index: usize,
        outbox: &mut Outbox,
    ) -> Option<Range<usize>> {
        let Some(range) = outbox.place(segments.length(index)) else {
            self.count("outbox_full");
            return None;
        };
        if let Some(to) = outbox.space().get_mut(range.clone()) {
            segments.write(index, to);
        }
        Some(range)
    }

    /// Puts a packet for the unencrypted side that lies in the outbox's space among the others.
    pub fn push_inner(&mut self, outbox: &mut Outbox, packet: Range<usize>) {
        outbox.add(
            Destination::Inner,
            None,
            packet.start,
            packet.clone(),
            packet,
        );
    }
}
