use crate::batch::Open;
use crate::cipher::Engine;
use crate::integrity::{BATCH, Hasher, Signed, Work, macs, verify};
use crate::lanes::hash::Tag;
use crate::lifetime::{Expiry, Moment, Usage};
use crate::outbound::{Aad, PADDING, low32};
use crate::replay::ReplayWindow;
use crate::suite::Shape;
use crate::{HEADER, OpenError, SaConfig, SaError, Suite};
use arrayvec::ArrayVec;
use core::ops::Range;
use fearless_simd::Level;

/// The receiving end of an SA.
pub struct InboundSa<#[cfg(feature = "std")] T = std::time::Instant, #[cfg(not(feature = "std"))] T>
{
    spi: u32,
    level: Level,
    suite: Suite,
    shape: Shape,
    esn: bool,
    engine: Engine,
    hasher: Option<Hasher>,
    window: ReplayWindow,
    usage: Usage<T>,
}

/// What was in an ESP packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Where the payload lies in the buffer.
    pub payload: Range<usize>,
    /// IP protocol of the payload.
    pub next_header: u8,
    /// Sequence number, extended if the SA's are.
    pub sequence: u64,
    /// Whether no later packet has come before: only then may it move the peer's address.
    pub newest: bool,
}

/// A packet that has been verified.
#[derive(Clone, Copy)]
pub(crate) struct Admitted {
    sequence: u64,
    /// Whether no later packet has come before.
    newest: bool,
}

impl<T> core::fmt::Debug for InboundSa<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("InboundSa")
            .field("spi", &format_args!("{:08x}", self.spi))
            .field("suite", &self.suite)
            .finish_non_exhaustive()
    }
}

impl<T: Moment> InboundSa<T> {
    /// An SA that has received nothing.
    ///
    /// # Errors
    /// What of `config` cannot be.
    pub fn new(now: T, config: &SaConfig) -> Result<Self, SaError> {
        config.check()?;
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
            window: ReplayWindow::new(config.replay_window),
            usage: Usage::new(now, config.lifetime),
        })
    }

    /// The SPI that its packets carry.
    #[must_use]
    pub fn spi(&self) -> u32 {
        self.spi
    }

    /// Verifies and decrypts the ESP packet at `packet` in `buf`, in place.
    ///
    /// Nothing is decrypted before the ICV has been verified, and no sequence number counts as
    /// seen before that (RFC 4303 section 3.4.3).
    ///
    /// # Errors
    /// Why the packet was dropped.
    pub fn open(
        &mut self,
        now: T,
        buf: &mut [u8],
        packet: Range<usize>,
    ) -> Result<Opened, OpenError> {
        let admitted = self.admit(now, buf, &packet, None)?;
        self.decrypt(core::iter::once((&mut *buf, &packet)));
        self.contents(buf, &packet, admitted)
    }

    /// Like [`open`](Self::open) for each of `jobs`, in order, and faster.
    pub fn open_batch(&mut self, now: T, jobs: &mut [Open<'_>]) {
        if self.is_aead() {
            // A packet is work enough for the vector unit.
            for job in jobs {
                job.result = self.open(now, job.buf, job.packet.clone());
            }
            return;
        }
        for jobs in jobs.chunks_mut(BATCH) {
            let mut tags = [[0; 32]; BATCH];
            let mut plans = ArrayVec::<_, BATCH>::new();
            {
                let mut work = Work::new();
                for job in &*jobs {
                    let (sequence, signed) = self.plan(now, job.buf, &job.packet);
                    plans.push(sequence);
                    work.push(signed);
                }
                macs(self.level, &work, &mut tags);
            }
            let mut admitted = ArrayVec::<_, BATCH>::new();
            for ((job, plan), tag) in jobs.iter_mut().zip(&plans).zip(&tags) {
                let planned = plan.map(|n| (n, tag));
                admitted.push(self.admit(now, job.buf, &job.packet, planned));
            }
            let good = jobs.iter_mut().zip(&admitted).filter(|(_, a)| a.is_ok());
            self.decrypt(good.map(|(job, _)| (&mut *job.buf, &job.packet)));
            for (job, admitted) in jobs.iter_mut().zip(&admitted) {
                job.result = admitted.and_then(|a| self.contents(job.buf, &job.packet, a));
            }
        }
    }

    /// Whether batches gain nothing: a packet is opened as soon as it is admitted.
    pub(crate) fn is_aead(&self) -> bool {
        self.shape.aead
    }

    /// The sequence number of a packet that may be good, and what its MAC is to be computed of.
    pub(crate) fn plan<'s>(
        &'s self,
        now: T,
        buf: &'s [u8],
        packet: &Range<usize>,
    ) -> (Option<u64>, Option<(&'s Hasher, Signed<'s>)>) {
        let sequence = self.examine(now, buf, packet).ok();
        let work = sequence.and_then(|sequence| self.signed(buf, packet, sequence));
        (sequence, work)
    }

    /// Verifies a packet, which from then on counts as seen; AES-GCM's is decrypted too. `planned`
    /// is what [`plan`](Self::plan) gave, and the MAC computed of it.
    pub(crate) fn admit(
        &mut self,
        now: T,
        buf: &mut [u8],
        packet: &Range<usize>,
        planned: Option<(u64, &Tag)>,
    ) -> Result<Admitted, OpenError> {
        // The packets before may have changed what can be said of this one.
        let sequence = self.examine(now, buf, packet)?;
        let verified = match (self.signed(buf, packet, sequence), planned) {
            (None, _) => {
                let aad = Aad::new(self.spi, sequence, self.esn);
                let (iv, text, icv) = self.split(buf, packet);
                self.engine.gcm_open(iv, aad.bytes(), text, icv)
            }
            (Some(_), Some((planned, tag))) if planned == sequence => {
                verify(tag, self.icv(buf, packet))
            }
            (Some((hasher, signed)), _) => {
                let tag = hasher.mac(signed.packet, signed.suffix());
                verify(&tag, self.icv(buf, packet))
            }
        };
        if !verified {
            return Err(OpenError::Icv);
        }
        self.usage.add(packet.len());
        Ok(Admitted {
            sequence,
            newest: self.window.mark(sequence),
        })
    }

    /// Decrypts packets that have been admitted.
    pub(crate) fn decrypt<'b>(
        &self,
        packets: impl Iterator<Item = (&'b mut [u8], &'b Range<usize>)>,
    ) {
        if self.shape.aead {
            return;
        }
        self.engine.decrypt(packets.map(|(buf, packet)| {
            let (iv, text, _) = self.split(buf, packet);
            (iv, text)
        }));
    }

    /// What is in a packet that has been decrypted.
    pub(crate) fn contents(
        &self,
        buf: &mut [u8],
        packet: &Range<usize>,
        admitted: Admitted,
    ) -> Result<Opened, OpenError> {
        let start = packet.start + self.shape.head;
        let (_, text, _) = self.split(buf, packet);
        let (payload, next_header) = strip(text).ok_or(OpenError::Padding)?;
        match next_header {
            protocol::NONE => return Err(OpenError::Dummy),
            protocol::FRAGMENT | protocol::ESP | protocol::AH => {
                return Err(OpenError::NextHeader);
            }
            _ => {}
        }
        let length = own_length(&text[..payload], next_header);
        Ok(Opened {
            payload: start..start + length,
            next_header,
            sequence: admitted.sequence,
            newest: admitted.newest,
        })
    }

    /// What can be said of a packet before its ICV; gives its sequence number.
    fn examine(&self, now: T, buf: &[u8], packet: &Range<usize>) -> Result<u64, OpenError> {
        if self.usage.is_over(now) {
            return Err(OpenError::Expired);
        }
        let Shape {
            head,
            icv,
            alignment,
            ..
        } = self.shape;
        let whole = buf.get(packet.clone()).ok_or(OpenError::Short)?;
        let text = whole.len().checked_sub(head + icv);
        let text = text.ok_or(OpenError::Short)?;
        if text < alignment.max(2) || text & (alignment - 1) != 0 {
            return Err(OpenError::Short);
        }
        self.sequence(whole)
    }

    fn signed<'s>(
        &'s self,
        buf: &'s [u8],
        packet: &Range<usize>,
        sequence: u64,
    ) -> Option<(&'s Hasher, Signed<'s>)> {
        let signed = Signed {
            packet: &buf[packet.start..packet.end - self.shape.icv],
            esn_high: self.esn.then(|| low32(sequence >> 32)),
        };
        Some((self.hasher.as_ref()?, signed))
    }

    fn icv<'b>(&self, buf: &'b [u8], packet: &Range<usize>) -> &'b [u8] {
        &buf[packet.end - self.shape.icv..packet.end]
    }

    /// IV, text and ICV of a packet that has been examined.
    fn split<'b>(
        &self,
        buf: &'b mut [u8],
        packet: &Range<usize>,
    ) -> (&'b [u8], &'b mut [u8], &'b [u8]) {
        let (head, text, icv) = self.shape.split(&mut buf[packet.clone()]);
        (&head[HEADER..], text, icv)
    }

    /// The packet's sequence number, if it is new.
    fn sequence(&self, packet: &[u8]) -> Result<u64, OpenError> {
        let (_, rest) = packet.split_first_chunk::<4>().ok_or(OpenError::Short)?;
        let low = u32::from_be_bytes(*rest.first_chunk().ok_or(OpenError::Short)?);
        let sequence = if self.esn {
            self.window.extend(low)
        } else {
            u64::from(low)
        };
        if self.window.check(sequence) {
            Ok(sequence)
        } else {
            Err(OpenError::Replay)
        }
    }

    pub(crate) fn usage(&self) -> &Usage<T> {
        &self.usage
    }

    pub(crate) fn report(&mut self, now: T) -> Option<Expiry> {
        self.usage.report(now)
    }

    /// As if a packet with this number had come.
    #[cfg(test)]
    pub(crate) fn skip_to(&mut self, sequence: u64) {
        self.window.mark(sequence);
    }
}

/// Length of the payload before padding and trailer, and the next header.
fn strip(text: &[u8]) -> Option<(usize, u8)> {
    let (before, [padding, next_header]) = text.split_last_chunk::<2>()?;
    let payload = before.len().checked_sub(usize::from(*padding))?;
    let good = before.get(payload..)? == PADDING.get(..usize::from(*padding))?;
    good.then_some((payload, *next_header))
}

/// IP protocol numbers.
mod protocol {
    pub(super) const IPV4: u8 = 4;
    pub(super) const UDP: u8 = 17;
    pub(super) const IPV6: u8 = 41;
    pub(super) const FRAGMENT: u8 = 44;
    pub(super) const ESP: u8 = 50;
    pub(super) const AH: u8 = 51;
    /// A dummy packet (RFC 4303 section 2.6).
    pub(super) const NONE: u8 = 59;
}

/// Length of a payload without the padding that hides it (TFC, RFC 4303 section 2.7), which only
/// one that says its own length can have. What says more than there is, is left as it is to who
/// reads it.
fn own_length(payload: &[u8], next_header: u8) -> usize {
    let (at, header, besides) = match next_header {
        protocol::IPV4 => (2, 20, 0),
        protocol::UDP => (4, 8, 0),
        protocol::IPV6 => (4, 40, 40),
        _ => return payload.len(),
    };
    let says = payload.get(at..).and_then(<[u8]>::first_chunk);
    let says = says.map(|bytes| usize::from(u16::from_be_bytes(*bytes)) + besides);
    says.filter(|n| (header..=payload.len()).contains(n))
        .unwrap_or(payload.len())
}
