use crate::batch::Seal;
use crate::cipher::Engine;
use crate::integrity::{BATCH, Hasher, Signed, Work, macs};
use crate::lanes::des;
use crate::lanes::hash::Tag;
use crate::lifetime::{Expiry, Moment, Usage};
use crate::suite::Shape;
use crate::{HEADER, Lifetime, SaConfig, SaError, SealError, Suite};
use arrayvec::ArrayVec;
use chacha20::ChaCha12Rng;
use core::ops::Range;
use fearless_simd::Level;
use rand_core::{CryptoRng, Rng as _, SeedableRng as _};

/// The last sequence number that is not extended.
const LAST: u64 = u32::MAX as u64;

/// The sending end of an SA.
pub struct OutboundSa<
    #[cfg(feature = "std")] T = std::time::Instant,
    #[cfg(not(feature = "std"))] T,
> {
    spi: u32,
    level: Level,
    suite: Suite,
    shape: Shape,
    esn: bool,
    engine: Engine,
    hasher: Option<Hasher>,
    /// Sequence number of the last packet.
    sequence: u64,
    ivs: ChaCha12Rng,
    usage: Usage<T>,
}

/// Bytes that sealing needs around a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overhead {
    /// In front: header and IV.
    pub head: usize,
    /// Behind, at most: padding, trailer and ICV.
    pub tail: usize,
}

impl<T> core::fmt::Debug for OutboundSa<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("OutboundSa")
            .field("spi", &format_args!("{:08x}", self.spi))
            .field("suite", &self.suite)
            .field("sequence", &self.sequence)
            .finish_non_exhaustive()
    }
}

impl<T: Moment> OutboundSa<T> {
    /// An SA that has sent nothing. IVs come from a generator of its own, seeded from `rng`.
    ///
    /// # Errors
    /// What of `config` cannot be.
    pub fn new(now: T, config: &SaConfig, rng: &mut dyn CryptoRng) -> Result<Self, SaError> {
        config.check()?;
        let mut seed = [0; 32];
        rng.fill_bytes(&mut seed);
        let level = crate::lanes::level();
        let hasher = config
            .suite
            .integrity()
            .map(|i| Hasher::new(level, i, config.integrity_key()));
        Ok(Self {
            spi: config.spi,
            level,
            suite: config.suite,
            shape: Shape::new(config.suite),
            esn: config.esn,
            engine: Engine::new(level, config.suite.cipher(), config.encryption_key())?,
            hasher: hasher.transpose()?,
            sequence: 0,
            ivs: ChaCha12Rng::from_seed(seed),
            usage: Usage::new(now, limits(config)),
        })
    }

    /// The SPI that its packets carry.
    #[must_use]
    pub fn spi(&self) -> u32 {
        self.spi
    }

    /// Bytes that [`seal`](Self::seal) needs around a payload.
    #[must_use]
    pub fn overhead(&self) -> Overhead {
        let Shape {
            head,
            alignment,
            icv,
            ..
        } = self.shape;
        Overhead {
            head,
            tail: alignment - 1 + 2 + icv,
        }
    }

    /// Makes an ESP packet of the payload at `payload` in `buf`, in place; gives where it lies.
    /// `next_header` is the IP protocol of the payload: 17 for UDP in transport mode, 4 for a
    /// whole IPv4 packet in tunnel mode.
    ///
    /// # Errors
    /// Why not. Nothing has changed, and no sequence number is used up.
    pub fn seal(
        &mut self,
        now: T,
        buf: &mut [u8],
        payload: Range<usize>,
        next_header: u8,
    ) -> Result<Range<usize>, SealError> {
        let plan = self.prepare(now, buf, payload, next_header)?;
        if self.shape.aead {
            let (head, text, icv) = self.split(&plan, buf);
            let aad = Aad::new(self.spi, plan.sequence, self.esn);
            let tag = self.engine.gcm_seal(&head[HEADER..], aad.bytes(), text);
            icv.copy_from_slice(&tag.ok_or(SealError::TooLong)?);
            return Ok(plan.packet);
        }
        let Range { start, end } = plan.packet;
        let packet = &mut buf[start..end - self.shape.icv];
        if let Some(hasher) = &self.hasher {
            let iv_length = self.shape.head - HEADER;
            let suffix = self.esn_high(&plan).map(u32::to_be_bytes);
            let tag = self
                .engine
                .encrypt_and_mac(hasher, packet, iv_length, suffix);
            self.write_icv(&plan, buf, &tag);
        }
        Ok(plan.packet)
    }

    /// Like [`seal`](Self::seal) for each of `jobs`, in order, and faster.
    pub fn seal_batch(&mut self, now: T, jobs: &mut [Seal<'_>]) {
        if self.shape.aead {
            // A packet is work enough for the vector unit.
            for job in jobs {
                job.result = self.seal(now, job.buf, job.payload.clone(), job.next_header);
            }
            return;
        }
        for jobs in jobs.chunks_mut(SEAL_BATCH) {
            let mut plans = ArrayVec::<_, SEAL_BATCH>::new();
            for job in &mut *jobs {
                plans.push(self.plan(now, job));
            }
            let planned = jobs.iter_mut().zip(&plans);
            protect(
                planned.filter_map(|(job, plan)| Some((&*self, plan.as_ref()?, &mut *job.buf))),
            );
        }
    }

    /// The part of [`seal`](Self::seal) that changes the SA; AES-GCM is done entirely.
    pub(crate) fn plan(&mut self, now: T, job: &mut Seal<'_>) -> Option<Plan> {
        let payload = job.payload.clone();
        if self.shape.aead {
            job.result = self.seal(now, job.buf, payload, job.next_header);
            return None;
        }
        match self.prepare(now, job.buf, payload, job.next_header) {
            Ok(plan) => {
                job.result = Ok(plan.packet.clone());
                Some(plan)
            }
            Err(e) => {
                job.result = Err(e);
                None
            }
        }
    }

    /// Takes a sequence number; writes header, IV, padding and trailer.
    fn prepare(
        &mut self,
        now: T,
        buf: &mut [u8],
        payload: Range<usize>,
        next_header: u8,
    ) -> Result<Plan, SealError> {
        let sequence = self.next_sequence(now)?;
        let packet = self.layout(buf.len(), &payload)?;
        let plan = Plan { packet, sequence };
        let (head, text, _) = self.split(&plan, buf);
        let (header, iv) = head.split_at_mut(HEADER);
        if let Some((spi, low)) = header.split_first_chunk_mut::<4>() {
            *spi = self.spi.to_be_bytes();
            low.copy_from_slice(&low32(sequence).to_be_bytes());
        }
        pad(text, payload.len(), next_header);
        if self.shape.aead {
            // Unique is all that GCM asks of an IV, and a counter is (RFC 4106 section 3.1).
            iv.copy_from_slice(&sequence.to_be_bytes());
        } else {
            self.ivs.fill_bytes(iv);
        }
        self.sequence = sequence;
        self.usage.add(plan.packet.len());
        Ok(plan)
    }

    /// Header and IV, text, and ICV of a packet.
    fn split<'b>(
        &self,
        plan: &Plan,
        buf: &'b mut [u8],
    ) -> (&'b mut [u8], &'b mut [u8], &'b mut [u8]) {
        self.shape.split(&mut buf[plan.packet.clone()])
    }

    /// The IV of a packet, and what is encrypted with it.
    fn text<'b>(&self, plan: &Plan, buf: &'b mut [u8]) -> (&'b [u8], &'b mut [u8]) {
        let (head, text, _) = self.split(plan, buf);
        (&head[HEADER..], text)
    }

    fn signed<'s>(&'s self, plan: &Plan, buf: &'s [u8]) -> Option<(&'s Hasher, Signed<'s>)> {
        let Range { start, end } = plan.packet;
        let signed = Signed {
            packet: &buf[start..end - self.shape.icv],
            esn_high: self.esn_high(plan),
        };
        Some((self.hasher.as_ref()?, signed))
    }

    fn esn_high(&self, plan: &Plan) -> Option<u32> {
        self.esn.then(|| low32(plan.sequence >> 32))
    }

    fn write_icv(&self, plan: &Plan, buf: &mut [u8], tag: &Tag) {
        let (_, _, icv) = self.split(plan, buf);
        icv.copy_from_slice(&tag[..icv.len()]);
    }

    fn next_sequence(&self, now: T) -> Result<u64, SealError> {
        let last = if self.esn { u64::MAX } else { LAST };
        if self.sequence >= last {
            return Err(SealError::SequenceExhausted);
        }
        if self.usage.is_over(now) {
            return Err(SealError::Expired);
        }
        Ok(self.sequence + 1)
    }

    /// Where the packet around `payload` will lie in a buffer of `room` bytes.
    pub(crate) fn layout(
        &self,
        room: usize,
        payload: &Range<usize>,
    ) -> Result<Range<usize>, SealError> {
        let mask = self.shape.alignment - 1;
        let start = payload.start.checked_sub(self.shape.head);
        let start = start.ok_or(SealError::NoRoom)?;
        let length = payload
            .end
            .checked_sub(payload.start)
            .filter(|_| payload.end <= room)
            .ok_or(SealError::NoRoom)?;
        let text = (length + 2 + mask) & !mask;
        let end = payload.start + text + self.shape.icv;
        if end > room {
            return Err(SealError::NoRoom);
        }
        if end - start > usize::from(u16::MAX) {
            return Err(SealError::TooLong);
        }
        Ok(start..end)
    }

    pub(crate) fn usage(&self) -> &Usage<T> {
        &self.usage
    }

    pub(crate) fn report(&mut self, now: T) -> Option<Expiry> {
        self.usage.report(now)
    }

    /// As if so many packets had been sent.
    #[cfg(test)]
    pub(crate) fn skip_to(&mut self, sequence: u64) {
        self.sequence = sequence;
        self.usage.packets = sequence;
    }

    /// As if so many bytes had been sent.
    #[cfg(test)]
    pub(crate) fn have_used(&mut self, bytes: u64) {
        self.usage.bytes = bytes;
    }
}

/// The limits of an SA, which end before its sequence numbers do: another is to be made in time.
fn limits(config: &SaConfig) -> Lifetime {
    let mut limits = config.lifetime;
    if !config.esn {
        let least = |limit: Option<u64>, end| Some(limit.map_or(end, |n| n.min(end)));
        limits.soft_packets = least(limits.soft_packets, LAST / 4 * 3);
        limits.hard_packets = least(limits.hard_packets, LAST);
    }
    limits
}

/// A packet that has everything but encryption and ICV.
#[derive(Debug)]
pub(crate) struct Plan {
    packet: Range<usize>,
    sequence: u64,
}

/// Packets that are sealed side by side, at most: as many as fill the lanes of DES.
pub(crate) const SEAL_BATCH: usize = des::BLOCKS;

/// A packet to protect: its SA, what has been prepared, and where it lies.
type Item<'s, 'j, T> = (&'s OutboundSa<T>, &'s Plan, &'j mut [u8]);

/// Encrypts and signs what [`OutboundSa::plan`] has prepared, at most [`SEAL_BATCH`] packets.
pub(crate) fn protect<'s, 'j, T: Moment + 's>(work: impl Iterator<Item = Item<'s, 'j, T>>) {
    let mut all = ArrayVec::<_, SEAL_BATCH>::new();
    all.extend(work.take(SEAL_BATCH));
    // What can be encrypted side by side comes together; sequence numbers have been given.
    let address = |sa: &OutboundSa<T>| core::ptr::from_ref(sa).addr();
    all.sort_unstable_by_key(|(sa, ..)| (sa.engine.is_des(), address(sa)));
    for similar in all.chunk_by_mut(|(a, ..), (b, ..)| a.engine.is_des() == b.engine.is_des()) {
        if similar.first().is_some_and(|(sa, ..)| !sa.engine.is_des()) {
            // What has been encrypted is hashed soon, while it is near.
            for part in similar.chunks_mut(BATCH) {
                part.chunk_by_mut(of_one_sa).for_each(encrypt);
                sign(part);
            }
            continue;
        }
        if similar.chunk_by(of_one_sa).nth(1).is_some() {
            Engine::encrypt_each(similar.iter_mut().map(|(sa, plan, buf)| {
                let (iv, text) = sa.text(plan, buf);
                (&sa.engine, iv, text)
            }));
        } else {
            encrypt(similar);
        }
        similar.chunks_mut(BATCH).for_each(sign);
    }
}

fn of_one_sa<T: Moment>((a, ..): &Item<'_, '_, T>, (b, ..): &Item<'_, '_, T>) -> bool {
    core::ptr::eq(*a, *b)
}

/// Encrypts packets of one SA side by side.
fn encrypt<T: Moment>(work: &mut [Item<'_, '_, T>]) {
    if let Some(sa) = work.first().map(|(sa, ..)| *sa) {
        let texts = work.iter_mut().map(|(_, plan, buf)| sa.text(plan, buf));
        sa.engine.encrypt_many(texts);
    }
}

/// Writes the ICVs of at most [`BATCH`] packets.
fn sign<T: Moment>(work: &mut [Item<'_, '_, T>]) {
    let Some(level) = work.first().map(|(sa, ..)| sa.level) else {
        return;
    };
    let mut tags = [[0; 32]; BATCH];
    {
        let mut signed = Work::new();
        signed.extend(work.iter().map(|(sa, plan, buf)| sa.signed(plan, buf)));
        macs(level, &signed, &mut tags);
    }
    for ((sa, plan, buf), tag) in work.iter_mut().zip(&tags) {
        sa.write_icv(plan, buf, tag);
    }
}

/// What padding is made of.
pub(crate) const PADDING: [u8; 255] = {
    let mut padding = [0; 255];
    let mut i = 0;
    while i < 255 {
        padding[i as usize] = i + 1;
        i += 1;
    }
    padding
};

/// Padding 1, 2, 3 ..., its length and the next header (RFC 4303 section 2.4).
fn pad(text: &mut [u8], payload: usize, next_header: u8) {
    let Some(behind) = text.get_mut(payload..) else {
        return;
    };
    let padding = behind.len().saturating_sub(2);
    if let (Some(to), Some(from)) = (behind.get_mut(..padding), PADDING.get(..padding)) {
        to.copy_from_slice(from);
    }
    let padding = u8::try_from(padding).unwrap_or(u8::MAX);
    if let Some(trailer) = behind.last_chunk_mut::<2>() {
        *trailer = [padding, next_header];
    }
}

/// What AES-GCM authenticates besides the text (RFC 4106 section 5).
pub(crate) struct Aad {
    bytes: [u8; 12],
    length: usize,
}

impl Aad {
    pub(crate) fn new(spi: u32, sequence: u64, esn: bool) -> Self {
        let mut bytes = [0; 12];
        let (spi, sequence) = (spi.to_be_bytes(), sequence.to_be_bytes());
        let sequence = if esn {
            sequence.as_slice()
        } else {
            &sequence[4..]
        };
        for (to, from) in bytes.iter_mut().zip(spi.iter().chain(sequence)) {
            *to = *from;
        }
        let length = 4 + sequence.len();
        Self { bytes, length }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or(&self.bytes)
    }
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "the low half is what is wanted"
)]
pub(crate) fn low32(value: u64) -> u32 {
    value as u32
}
