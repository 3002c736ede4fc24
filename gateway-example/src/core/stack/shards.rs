//! ESP SAs in shards, so that packets of different SAs are worked on at the same time.

use esp::{Found, Open, OpenError, Seal, SealError};
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

/// Does several pieces of work that have nothing in common, at the same time if that is faster, and
/// comes back when all are done.
pub trait Spread: std::fmt::Debug + Send + Sync {
    /// Calls each of `pieces` once, which are of one kind and of so many bytes.
    fn each(&self, work: Work, bytes: usize, pieces: &mut [&mut (dyn FnMut() + Send)]);
}

/// What packets are to go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// To be verified and decrypted.
    Open,
    /// To be encrypted and signed.
    Seal,
    /// To leave for peers.
    Send,
    /// To leave for the unencrypted side.
    Write,
}

/// Packets that are worth another thread's waking: what waking costs is about as much.
const WORTH: usize = 16;

/// An outbound SA of one of the shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::core) struct OutboundId {
    shard: usize,
    pub(super) id: esp::OutboundId,
}

/// What ESP has counted, in all shards.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EspCounts {
    /// Packets opened, and their bytes.
    pub opened: [u64; 2],
    /// Packets sealed, and their bytes.
    pub sealed: [u64; 2],
    /// Packets that were not opened, for each reason.
    pub dropped_in: Vec<(&'static str, u64)>,
    /// Payloads that were not sealed, for each reason.
    pub dropped_out: Vec<(&'static str, u64)>,
}

/// A database for each shard. A pair of SAs is in that of its inbound SPI, which is drawn at random,
/// but for what is sealed with DES.
pub(in crate::core) struct Shards {
    sadbs: Vec<esp::Sadb>,
    spread: Option<Arc<dyn Spread>>,
}

impl Shards {
    pub(super) fn new(sadbs: Vec<esp::Sadb>, spread: Option<Arc<dyn Spread>>) -> Self {
        Self { sadbs, spread }
    }

    fn of(&self, spi: u32) -> usize {
        place(spi, self.sadbs.len())
    }

    /// Adds both SAs of a pair.
    pub(super) fn insert(
        &mut self,
        now: Instant,
        inbound: &esp::SaConfig,
        outbound: &esp::SaConfig,
        owner: u64,
    ) -> Result<OutboundId, esp::SaError> {
        let shard = match outbound.suite.cipher() {
            // Packets of all these SAs fill the same lanes, where they are sealed together.
            esp::Cipher::DesCbc | esp::Cipher::TripleDesCbc => 0,
            _ => self.of(inbound.spi),
        };
        let none = esp::SaError::DuplicateSpi(inbound.spi);
        let sadb = self.sadbs.get_mut(shard).ok_or(none)?;
        let id = sadb.insert_outbound(now, outbound, owner)?;
        let outbound = OutboundId { shard, id };
        let shard = self.of(inbound.spi);
        let inserted = match self.sadbs.get_mut(shard) {
            Some(sadb) => sadb.insert_inbound(now, inbound, owner),
            None => Err(none),
        };
        if let Err(e) = inserted {
            self.remove_outbound(outbound);
            return Err(e);
        }
        Ok(outbound)
    }

    /// Removes both SAs of a pair.
    pub(super) fn remove(&mut self, inbound_spi: u32, outbound: OutboundId) {
        let shard = self.of(inbound_spi);
        if let Some(sadb) = self.sadbs.get_mut(shard) {
            sadb.remove_inbound(inbound_spi);
        }
        self.remove_outbound(outbound);
    }

    fn remove_outbound(&mut self, outbound: OutboundId) {
        if let Some(sadb) = self.sadbs.get_mut(outbound.shard) {
            sadb.remove_outbound(outbound.id);
        }
    }

    pub(super) fn open(
        &mut self,
        now: Instant,
        buf: &mut [u8],
        packet: Range<usize>,
    ) -> Result<Found, OpenError> {
        let shard = self.of(spi(buf, &packet));
        let sadb = self.sadbs.get_mut(shard).ok_or(OpenError::NoSa)?;
        sadb.open(now, buf, packet)
    }

    pub(super) fn seal(
        &mut self,
        now: Instant,
        outbound: OutboundId,
        buf: &mut [u8],
        payload: Range<usize>,
        next_header: u8,
    ) -> Result<Range<usize>, SealError> {
        let sadb = self.sadbs.get_mut(outbound.shard).ok_or(SealError::NoSa)?;
        sadb.seal(now, outbound.id, buf, payload, next_header)
    }

    pub(super) fn layout(
        &self,
        outbound: OutboundId,
        room: usize,
        payload: &Range<usize>,
    ) -> Result<Range<usize>, SealError> {
        let sadb = self.sadbs.get(outbound.shard).ok_or(SealError::NoSa)?;
        sadb.layout(outbound.id, room, payload)
    }

    /// Opens each of `jobs`, those of one SA in order.
    pub(super) fn open_batch(&mut self, now: Instant, jobs: &mut [Open<'_, Found>]) {
        let count = self.sadbs.len();
        self.spread(
            Work::Open,
            jobs,
            |job| job.packet.len(),
            |_, job| place(spi(job.buf, &job.packet), count),
            |job| std::mem::replace(job, Open::new(&mut [], 0..0)),
            |sadb, jobs| sadb.open_batch(now, jobs),
        );
    }

    /// Seals each of `jobs`, those of one SA in order.
    pub(super) fn seal_batch(
        &mut self,
        now: Instant,
        ids: &[OutboundId],
        jobs: &mut [(esp::OutboundId, Seal<'_>)],
    ) {
        self.spread(
            Work::Seal,
            jobs,
            |(_, job)| job.payload.len(),
            |index, _| ids.get(index).map_or(0, |id| id.shard),
            |(id, job)| (*id, std::mem::replace(job, Seal::new(&mut [], 0..0, 0))),
            |sadb, jobs| sadb.seal_batch(now, jobs),
        );
    }

    /// Has each shard do its jobs, at the same time if that is worth it. `shard_of` tells whose a job
    /// is, by its index or itself.
    fn spread<J: Send>(
        &mut self,
        work: Work,
        jobs: &mut [J],
        size: impl Fn(&J) -> usize,
        shard_of: impl Fn(usize, &J) -> usize,
        take: impl Fn(&mut J) -> J,
        does: impl Fn(&mut esp::Sadb, &mut [J]) + Sync,
    ) {
        let shards = jobs.iter().enumerate();
        let shards = shards.map(|(index, job)| shard_of(index, job));
        if let Some(shard) = one(shards.clone()) {
            // Most often: then nothing is moved or allocated.
            if let Some(sadb) = self.sadbs.get_mut(shard) {
                does(sadb, jobs);
            }
            return;
        }
        let bytes = jobs.iter().map(size).sum();
        let shards: Vec<_> = shards.collect();
        let mut parts: Vec<Vec<J>> = self.sadbs.iter().map(|_| Vec::new()).collect();
        for (job, shard) in jobs.iter_mut().zip(&shards) {
            if let Some(part) = parts.get_mut(*shard) {
                part.push(take(job));
            }
        }
        let most = parts.iter().map(Vec::len).max().unwrap_or(0);
        let mut pieces: Vec<_> = self.sadbs.iter_mut().zip(&mut parts).collect();
        pieces.retain(|(_, part)| !part.is_empty());
        match &self.spread {
            Some(spread) if jobs.len() - most >= WORTH => {
                let does = &does;
                let pieces = pieces.into_iter();
                let mut pieces: Vec<_> = pieces
                    .map(|(sadb, part)| move || does(sadb, part))
                    .collect();
                let pieces = pieces.iter_mut().map(|piece| piece as _);
                let mut pieces: Vec<&mut (dyn FnMut() + Send)> = pieces.collect();
                spread.each(work, bytes, &mut pieces);
            }
            _ => pieces.into_iter().for_each(|(sadb, part)| does(sadb, part)),
        }
        let mut parts: Vec<_> = parts.into_iter().map(Vec::into_iter).collect();
        for (job, shard) in jobs.iter_mut().zip(&shards) {
            if let Some(done) = parts.get_mut(*shard).and_then(Iterator::next) {
                *job = done;
            }
        }
    }

    pub(super) fn poll_event(&mut self) -> Option<esp::Event> {
        self.sadbs.iter_mut().find_map(esp::Sadb::poll_event)
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let each = self.sadbs.iter();
        each.filter_map(esp::Sadb::poll_timeout).min()
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        for sadb in &mut self.sadbs {
            if sadb.poll_timeout().is_some_and(|at| at <= now) {
                sadb.handle_timeout(now);
            }
        }
    }

    pub(super) fn counts(&self) -> EspCounts {
        let mut counts = EspCounts::default();
        for counters in self.sadbs.iter().map(esp::Sadb::counters) {
            let stats = counters.stats();
            counts.opened[0] += stats.packets_in;
            counts.opened[1] += stats.bytes_in;
            counts.sealed[0] += stats.packets_out;
            counts.sealed[1] += stats.bytes_out;
            let dropped = counters.dropped_in().map(|(e, n)| (e.reason(), n));
            add(&mut counts.dropped_in, dropped);
            let dropped = counters.dropped_out().map(|(e, n)| (e.reason(), n));
            add(&mut counts.dropped_out, dropped);
        }
        counts
    }
}

/// Which of so many shards an inbound SPI is of.
fn place(spi: u32, shards: usize) -> usize {
    usize::try_from(spi).unwrap_or(0) % shards.max(1)
}

/// The shard that all are of, if they are of one.
fn one(mut shards: impl Iterator<Item = usize>) -> Option<usize> {
    let first = shards.next()?;
    shards.all(|shard| shard == first).then_some(first)
}

/// Adds counts, which come in the same order every time.
fn add(sums: &mut Vec<(&'static str, u64)>, counts: impl Iterator<Item = (&'static str, u64)>) {
    for (index, (reason, count)) in counts.enumerate() {
        match sums.get_mut(index) {
            Some((_, sum)) => *sum += count,
            None => sums.push((reason, count)),
        }
    }
}

/// Of an ESP packet; zero, which is nobody's, if there is none.
fn spi(buf: &[u8], packet: &Range<usize>) -> u32 {
    let bytes = buf.get(packet.clone()).unwrap_or_default();
    bytes
        .first_chunk()
        .map_or(0, |spi| u32::from_be_bytes(*spi))
}
