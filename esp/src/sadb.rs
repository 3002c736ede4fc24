use crate::batch::{Open, Seal};
use crate::counters::Counters;
use crate::integrity::{BATCH, Work, macs};
use crate::lifetime::{Expiry, Moment};
use crate::outbound::{SEAL_BATCH, protect};
use crate::{InboundSa, OpenError, Opened, OutboundSa, SaConfig, SaError, SealError};
use alloc::boxed::Box;
#[cfg(not(feature = "std"))]
use alloc::collections::BTreeMap as Map;
use alloc::collections::{BTreeSet, VecDeque};
use alloc::sync::Arc;
use arrayvec::ArrayVec;
use core::ops::Range;
use fearless_simd::Level;
use rand_core::CryptoRng;
#[cfg(feature = "std")]
type Map<K, V> = std::collections::HashMap<K, V, core::hash::BuildHasherDefault<Spread>>;

/// For SPIs, which we drew at random, and for handles: nobody else chooses them.
#[cfg(feature = "std")]
#[derive(Debug, Default)]
struct Spread(u64);

#[cfg(feature = "std")]
impl core::hash::Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u32(&mut self, n: u32) {
        self.write_u64(u64::from(n));
    }

    fn write_u64(&mut self, n: u64) {
        self.0 = (self.0 ^ n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        // The high bits are the well mixed ones, the table takes its place from the low ones.
        self.0.rotate_left(26)
    }
}

/// Events that wait at most.
const QUEUE: usize = 65_536;

/// An outbound SA of a [`Sadb`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutboundId(u64);

/// Many SAs: inbound ones by SPI, outbound ones by a handle.
///
/// Each has an owner, a number that means something to the caller alone. An old and a new pair
/// live side by side until the old one is removed: make before break.
pub struct Sadb<#[cfg(feature = "std")] T = std::time::Instant, #[cfg(not(feature = "std"))] T> {
    inbound: Map<u32, Inbound<T>>,
    outbound: Map<OutboundId, Outbound<T>>,
    rng: Box<dyn CryptoRng + Send>,
    deadlines: BTreeSet<(T, Side)>,
    events: VecDeque<Event>,
    counters: Arc<Counters>,
    level: Level,
    serial: u64,
}

struct Inbound<T> {
    sa: InboundSa<T>,
    owner: u64,
}

struct Outbound<T> {
    sa: OutboundSa<T>,
    owner: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    In(u32),
    Out(OutboundId),
}

/// What a [`Sadb`] tells its owner, once for each SA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// An SA should be replaced.
    SoftExpired {
        /// Whose.
        owner: u64,
        /// Its SPI.
        spi: u32,
    },
    /// An SA has stopped.
    HardExpired {
        /// Whose.
        owner: u64,
        /// Its SPI.
        spi: u32,
    },
}

/// What was found in a packet, and whose SA it came through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Whose SA.
    pub owner: u64,
    /// Its SPI.
    pub spi: u32,
    /// Where the payload lies in the buffer.
    pub payload: Range<usize>,
    /// IP protocol of the payload.
    pub next_header: u8,
    /// Sequence number.
    pub sequence: u64,
    /// Whether no later packet has come before.
    pub newest: bool,
}

impl<T> core::fmt::Debug for Sadb<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Sadb")
            .field("inbound", &self.inbound.len())
            .field("outbound", &self.outbound.len())
            .finish_non_exhaustive()
    }
}

impl<T: Moment> Sadb<T> {
    /// An empty database; `rng` seeds the IV generators.
    #[must_use]
    pub fn new(rng: Box<dyn CryptoRng + Send>) -> Self {
        Self {
            inbound: Map::default(),
            outbound: Map::default(),
            rng,
            deadlines: BTreeSet::new(),
            events: VecDeque::new(),
            counters: Arc::default(),
            level: crate::lanes::level(),
            serial: 0,
        }
    }

    /// Adds a receiving SA.
    ///
    /// # Errors
    /// [`SaError::DuplicateSpi`], or what of `config` cannot be.
    pub fn insert_inbound(&mut self, now: T, config: &SaConfig, owner: u64) -> Result<(), SaError> {
        if self.inbound.contains_key(&config.spi) {
            return Err(SaError::DuplicateSpi(config.spi));
        }
        let sa = InboundSa::new(now, config)?;
        if let Some(at) = sa.usage().deadline() {
            self.deadlines.insert((at, Side::In(config.spi)));
        }
        self.inbound.insert(config.spi, Inbound { sa, owner });
        Ok(())
    }

    /// Adds a sending SA.
    ///
    /// # Errors
    /// What of `config` cannot be.
    pub fn insert_outbound(
        &mut self,
        now: T,
        config: &SaConfig,
        owner: u64,
    ) -> Result<OutboundId, SaError> {
        let sa = OutboundSa::new(now, config, &mut *self.rng)?;
        self.serial += 1;
        let id = OutboundId(self.serial);
        if let Some(at) = sa.usage().deadline() {
            self.deadlines.insert((at, Side::Out(id)));
        }
        self.outbound.insert(id, Outbound { sa, owner });
        Ok(id)
    }

    /// Removes a receiving SA; true if it was there.
    pub fn remove_inbound(&mut self, spi: u32) -> bool {
        let removed = self.inbound.remove(&spi);
        if let Some(at) = removed.as_ref().and_then(|i| i.sa.usage().deadline()) {
            self.deadlines.remove(&(at, Side::In(spi)));
        }
        removed.is_some()
    }

    /// Removes a sending SA; true if it was there.
    pub fn remove_outbound(&mut self, id: OutboundId) -> bool {
        let removed = self.outbound.remove(&id);
        if let Some(at) = removed.as_ref().and_then(|o| o.sa.usage().deadline()) {
            self.deadlines.remove(&(at, Side::Out(id)));
        }
        removed.is_some()
    }

    /// Receiving SAs.
    #[must_use]
    pub fn inbound_count(&self) -> usize {
        self.inbound.len()
    }

    /// Sending SAs.
    #[must_use]
    pub fn outbound_count(&self) -> usize {
        self.outbound.len()
    }

    /// Packets, bytes and drops so far. A clone of this can be read at any time from anywhere.
    #[must_use]
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Finds the SA of the packet at `packet` in `buf` and opens it, in place.
    ///
    /// # Errors
    /// Why the packet was dropped.
    pub fn open(
        &mut self,
        now: T,
        buf: &mut [u8],
        packet: Range<usize>,
    ) -> Result<Found, OpenError> {
        let length = packet.len();
        let result = match find(&mut self.inbound, buf, &packet) {
            Ok((spi, entry)) => {
                let result = entry.sa.open(now, buf, packet);
                opened(&mut self.events, now, spi, entry, result)
            }
            Err(e) => Err(e),
        };
        self.counters.opened(length, &result);
        result
    }

    /// Like [`open`](Self::open) for each of `jobs`, in order, and faster.
    pub fn open_batch(&mut self, now: T, jobs: &mut [Open<'_, Found>]) {
        for jobs in jobs.chunks_mut(BATCH) {
            let mut tags = [[0; 32]; BATCH];
            let mut plans = ArrayVec::<_, BATCH>::new();
            {
                let mut work = Work::new();
                for job in &*jobs {
                    let entry = spi(job.buf, &job.packet).ok();
                    let entry = entry.and_then(|spi| self.inbound.get(&spi));
                    let planned = entry.map(|entry| entry.sa.plan(now, job.buf, &job.packet));
                    let (sequence, signed) = planned.unwrap_or_default();
                    plans.push(sequence);
                    work.push(signed);
                }
                macs(self.level, &work, &mut tags);
            }
            let mut admitted = ArrayVec::<_, BATCH>::new();
            for ((job, plan), tag) in jobs.iter_mut().zip(&plans).zip(&tags) {
                let planned = plan.map(|n| (n, tag));
                let found = find(&mut self.inbound, job.buf, &job.packet);
                admitted.push(match found {
                    Ok((spi, entry)) => {
                        let sa = &mut entry.sa;
                        (spi, sa.admit(now, job.buf, &job.packet, planned))
                    }
                    Err(e) => (0, Err(e)),
                });
            }
            // Packets of one SA that follow one another are decrypted side by side.
            let mut rest = jobs.iter_mut().zip(&admitted).peekable();
            while let Some((_, (spi, _))) = rest.peek() {
                let spi = *spi;
                let run = core::iter::from_fn(|| rest.next_if(|(_, (of, _))| *of == spi));
                let good = run.filter(|(_, (_, admitted))| admitted.is_ok());
                let mut good = good.map(|(job, _)| (&mut *job.buf, &job.packet));
                if let Some(entry) = self.inbound.get(&spi) {
                    entry.sa.decrypt(good.by_ref());
                }
                // What there was nothing to do for.
                good.for_each(drop);
            }
            for (job, (spi, admitted)) in jobs.iter_mut().zip(&admitted) {
                job.result = match self.inbound.get_mut(spi) {
                    Some(entry) => {
                        let contents = |a| entry.sa.contents(job.buf, &job.packet, a);
                        let result = admitted.and_then(contents);
                        opened(&mut self.events, now, *spi, entry, result)
                    }
                    None => Err(admitted.err().unwrap_or(OpenError::NoSa)),
                };
                self.counters.opened(job.packet.len(), &job.result);
            }
        }
    }

    /// Where in a buffer of `room` bytes the packet around `payload` would lie: the next one can be
    /// put right behind it, before it is sealed.
    ///
    /// # Errors
    /// Why it cannot be.
    pub fn layout(
        &self,
        id: OutboundId,
        room: usize,
        payload: &Range<usize>,
    ) -> Result<Range<usize>, SealError> {
        let entry = self.outbound.get(&id).ok_or(SealError::NoSa)?;
        entry.sa.layout(room, payload)
    }

    /// Seals the payload at `payload` in `buf`, in place.
    ///
    /// # Errors
    /// Why not.
    pub fn seal(
        &mut self,
        now: T,
        id: OutboundId,
        buf: &mut [u8],
        payload: Range<usize>,
        next_header: u8,
    ) -> Result<Range<usize>, SealError> {
        let result = match self.outbound.get_mut(&id) {
            Some(entry) => {
                let result = entry.sa.seal(now, buf, payload, next_header);
                report(&mut self.events, now, entry);
                result
            }
            None => Err(SealError::NoSa),
        };
        self.counters.sealed(&result);
        result
    }

    /// Like [`seal`](Self::seal) for each of `jobs`, in order, and faster. With AES-CBC it gains most
    /// where several packets are of one SA, with DES and 3DES where there are many, of any SAs.
    pub fn seal_batch(&mut self, now: T, jobs: &mut [(OutboundId, Seal<'_>)]) {
        for jobs in jobs.chunks_mut(SEAL_BATCH) {
            let mut plans = ArrayVec::<_, SEAL_BATCH>::new();
            for (id, job) in &mut *jobs {
                let mut plan = None;
                match self.outbound.get_mut(id) {
                    Some(entry) => {
                        plan = entry.sa.plan(now, job);
                        report(&mut self.events, now, entry);
                    }
                    None => job.result = Err(SealError::NoSa),
                }
                plans.push(plan);
                self.counters.sealed(&job.result);
            }
            let planned = jobs.iter_mut().zip(&plans);
            protect(planned.filter_map(|((id, job), plan)| {
                let plan = plan.as_ref()?;
                Some((&self.outbound.get(id)?.sa, plan, &mut *job.buf))
            }));
        }
    }

    /// Finds SAs that have grown too old.
    pub fn handle_timeout(&mut self, now: T) {
        while let Some((at, side)) = self.deadlines.first().copied() {
            if at > now {
                break;
            }
            self.deadlines.remove(&(at, side));
            let (report, deadline) = match side {
                Side::In(spi) => match self.inbound.get_mut(&spi) {
                    Some(entry) => (
                        entry.sa.report(now).map(|e| expired(e, entry.owner, spi)),
                        entry.sa.usage().deadline(),
                    ),
                    None => continue,
                },
                Side::Out(id) => match self.outbound.get_mut(&id) {
                    Some(entry) => (
                        entry
                            .sa
                            .report(now)
                            .map(|e| expired(e, entry.owner, entry.sa.spi())),
                        entry.sa.usage().deadline(),
                    ),
                    None => continue,
                },
            };
            if let Some(event) = report {
                push(&mut self.events, event);
            }
            if let Some(at) = deadline {
                self.deadlines.insert((at, side));
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<T> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    #[cfg(test)]
    pub(crate) fn skip_to(&mut self, id: OutboundId, sequence: u64) {
        if let Some(entry) = self.outbound.get_mut(&id) {
            entry.sa.skip_to(sequence);
        }
    }

    #[cfg(test)]
    pub(crate) fn have_used(&mut self, id: OutboundId, bytes: u64) {
        if let Some(entry) = self.outbound.get_mut(&id) {
            entry.sa.have_used(bytes);
        }
    }

    /// What happened next.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}

fn spi(buf: &[u8], packet: &Range<usize>) -> Result<u32, OpenError> {
    let bytes = buf.get(packet.clone()).ok_or(OpenError::Short)?;
    let spi = bytes.first_chunk().ok_or(OpenError::Short)?;
    Ok(u32::from_be_bytes(*spi))
}

fn find<'d, T>(
    inbound: &'d mut Map<u32, Inbound<T>>,
    buf: &[u8],
    packet: &Range<usize>,
) -> Result<(u32, &'d mut Inbound<T>), OpenError> {
    let spi = spi(buf, packet)?;
    let entry = inbound.get_mut(&spi).ok_or(OpenError::NoSa)?;
    Ok((spi, entry))
}

/// Adds whose packet it was, and tells of an SA's end.
fn opened<T: Moment>(
    events: &mut VecDeque<Event>,
    now: T,
    spi: u32,
    entry: &mut Inbound<T>,
    result: Result<Opened, OpenError>,
) -> Result<Found, OpenError> {
    if matches!(result, Ok(_) | Err(OpenError::Expired))
        && let Some(expiry) = entry.sa.report(now)
    {
        push(events, expired(expiry, entry.owner, spi));
    }
    let Opened {
        payload,
        next_header,
        sequence,
        newest,
    } = result?;
    Ok(Found {
        owner: entry.owner,
        spi,
        payload,
        next_header,
        sequence,
        newest,
    })
}

fn report<T: Moment>(events: &mut VecDeque<Event>, now: T, entry: &mut Outbound<T>) {
    if let Some(expiry) = entry.sa.report(now) {
        push(events, expired(expiry, entry.owner, entry.sa.spi()));
    }
}

fn push(events: &mut VecDeque<Event>, event: Event) {
    if events.len() < QUEUE {
        events.push_back(event);
    }
}

fn expired(expiry: Expiry, owner: u64, spi: u32) -> Event {
    match expiry {
        Expiry::Soft => Event::SoftExpired { owner, spi },
        Expiry::Hard => Event::HardExpired { owner, spi },
    }
}
