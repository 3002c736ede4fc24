use crate::lifetime::Expiry;
use crate::{InboundSa, OpenError, Opened, OutboundSa, SaConfig, SaError, SealError};
use rand_core::CryptoRng;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::ops::Range;
use std::time::Instant;

/// Events that wait at most.
const QUEUE: usize = 65_536;

/// An outbound SA of a [`Sadb`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutboundId(u64);

/// Many SAs: inbound ones by SPI, outbound ones by a handle.
///
/// Each has an owner, a number that means something to the caller alone. An old and a new pair
/// live side by side until the old one is removed: make before break.
pub struct Sadb {
    inbound: HashMap<u32, Inbound>,
    outbound: HashMap<OutboundId, Outbound>,
    rng: Box<dyn CryptoRng + Send>,
    deadlines: BTreeSet<(Instant, Side)>,
    events: VecDeque<Event>,
    stats: Stats,
    serial: u64,
}

struct Inbound {
    sa: InboundSa,
    owner: u64,
}

struct Outbound {
    sa: OutboundSa,
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

/// Packets and bytes so far, ESP's own included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Packets opened.
    pub packets_in: u64,
    /// Their bytes.
    pub bytes_in: u64,
    /// Packets sealed.
    pub packets_out: u64,
    /// Their bytes.
    pub bytes_out: u64,
}

impl std::fmt::Debug for Sadb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sadb")
            .field("inbound", &self.inbound.len())
            .field("outbound", &self.outbound.len())
            .finish_non_exhaustive()
    }
}

impl Sadb {
    /// An empty database; `rng` seeds the IV generators.
    #[must_use]
    pub fn new(rng: Box<dyn CryptoRng + Send>) -> Self {
        Self {
            inbound: HashMap::new(),
            outbound: HashMap::new(),
            rng,
            deadlines: BTreeSet::new(),
            events: VecDeque::new(),
            stats: Stats::default(),
            serial: 0,
        }
    }

    /// Adds a receiving SA.
    ///
    /// # Errors
    /// [`SaError::DuplicateSpi`], or what of `config` cannot be.
    pub fn insert_inbound(
        &mut self,
        now: Instant,
        config: &SaConfig,
        owner: u64,
    ) -> Result<(), SaError> {
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
        now: Instant,
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
    pub fn inbound_len(&self) -> usize {
        self.inbound.len()
    }

    /// Sending SAs.
    #[must_use]
    pub fn outbound_len(&self) -> usize {
        self.outbound.len()
    }

    /// Packets and bytes so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Finds the SA of the packet at `packet` in `buf` and opens it, in place.
    ///
    /// # Errors
    /// Why the packet was dropped.
    pub fn open(
        &mut self,
        now: Instant,
        buf: &mut [u8],
        packet: Range<usize>,
    ) -> Result<Found, OpenError> {
        let bytes = buf.get(packet.clone()).ok_or(OpenError::Short)?;
        let spi = u32::from_be_bytes(*bytes.first_chunk().ok_or(OpenError::Short)?);
        let length = bytes.len();
        let entry = self.inbound.get_mut(&spi).ok_or(OpenError::NoSa)?;
        let result = entry.sa.open(now, buf, packet);
        if matches!(result, Ok(_) | Err(OpenError::Expired))
            && let Some(expiry) = entry.sa.report(now)
        {
            let event = expired(expiry, entry.owner, spi);
            push(&mut self.events, event);
        }
        let owner = entry.owner;
        let Opened {
            payload,
            next_header,
            sequence,
            newest,
        } = result?;
        self.stats.packets_in += 1;
        self.stats.bytes_in += length as u64;
        Ok(Found {
            owner,
            spi,
            payload,
            next_header,
            sequence,
            newest,
        })
    }

    /// Seals the payload at `payload` in `buf`, in place.
    ///
    /// # Errors
    /// Why not.
    pub fn seal(
        &mut self,
        now: Instant,
        id: OutboundId,
        buf: &mut [u8],
        payload: Range<usize>,
        next_header: u8,
    ) -> Result<Range<usize>, SealError> {
        let entry = self.outbound.get_mut(&id).ok_or(SealError::NoSa)?;
        let result = entry.sa.seal(now, buf, payload, next_header);
        if let Some(expiry) = entry.sa.report(now) {
            let event = expired(expiry, entry.owner, entry.sa.spi());
            push(&mut self.events, event);
        }
        let packet = result?;
        self.stats.packets_out += 1;
        self.stats.bytes_out += packet.len() as u64;
        Ok(packet)
    }

    /// Finds SAs that have grown too old.
    pub fn handle_timeout(&mut self, now: Instant) {
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
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// What happened next.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
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
