use crate::batch::Open;
use crate::cipher::Engine;
use crate::integrity::{BATCH, Hasher, Signed, macs, verify};
use crate::lanes::hash::Tag;
use crate::lifetime::{Expiry, Usage};
use crate::outbound::{Aad, low32};
use crate::replay::ReplayWindow;
use crate::{HEADER, NO_NEXT_HEADER, OpenError, SaConfig, SaError, Suite};
use fearless_simd::Level;
use std::ops::Range;
use std::time::Instant;

/// The receiving end of an SA.
pub struct InboundSa {
    spi: u32,
    level: Level,
    suite: Suite,
    esn: bool,
    engine: Engine,
    hasher: Option<Hasher>,
    window: ReplayWindow,
    usage: Usage,
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

impl std::fmt::Debug for InboundSa {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InboundSa")
            .field("spi", &format_args!("{:08x}", self.spi))
            .field("suite", &self.suite)
            .finish_non_exhaustive()
    }
}

impl InboundSa {
    /// An SA that has received nothing.
    ///
    /// # Errors
    /// What of `config` cannot be.
    pub fn new(now: Instant, config: &SaConfig) -> Result<Self, SaError> {
        config.check()?;
        let hasher = config
            .suite
            .integrity()
            .map(|i| Hasher::new(i, config.integrity_key()));
        let level = Level::new();
        Ok(Self {
            spi: config.spi,
            level,
            suite: config.suite,
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
        now: Instant,
        buf: &mut [u8],
        packet: Range<usize>,
    ) -> Result<Opened, OpenError> {
        self.conclude(now, buf, packet, None)
    }

    /// Like [`open`](Self::open) for each of `jobs`, in order, and faster.
    pub fn open_batch(&mut self, now: Instant, jobs: &mut [Open<'_>]) {
        for jobs in jobs.chunks_mut(BATCH) {
            let mut tags = [[0; 32]; BATCH];
            let mut plans = [None; BATCH];
            let mut work = [const { None }; BATCH];
            for ((job, plan), work) in jobs.iter().zip(&mut plans).zip(&mut work) {
                (*plan, *work) = self.plan(now, job.buf, &job.packet);
            }
            macs(self.level, &work, &mut tags);
            for ((job, plan), tag) in jobs.iter_mut().zip(plans).zip(&tags) {
                job.result =
                    self.conclude(now, job.buf, job.packet.clone(), plan.map(|n| (n, tag)));
            }
        }
    }

    /// The sequence number of a packet that may be good, and what its MAC is to be computed of.
    pub(crate) fn plan<'s>(
        &'s self,
        now: Instant,
        buf: &'s [u8],
        packet: &Range<usize>,
    ) -> (Option<u64>, Option<(&'s Hasher, Signed<'s>)>) {
        let sequence = self.examine(now, buf, packet).ok();
        let work = sequence.and_then(|sequence| self.signed(buf, packet, sequence));
        (sequence, work)
    }

    /// Opens a packet. `planned` is what [`plan`](Self::plan) gave, and the MAC computed of it.
    pub(crate) fn conclude(
        &mut self,
        now: Instant,
        buf: &mut [u8],
        packet: Range<usize>,
        planned: Option<(u64, &Tag)>,
    ) -> Result<Opened, OpenError> {
        // The packets before may have changed what can be said of this one.
        let sequence = self.examine(now, buf, &packet)?;
        let verified = match (self.signed(buf, &packet, sequence), planned) {
            (None, _) => true,
            (Some(_), Some((planned, tag))) if planned == sequence => {
                verify(tag, self.icv(buf, &packet))
            }
            (Some((hasher, signed)), _) => verify(&hasher.mac(signed), self.icv(buf, &packet)),
        };
        self.finish(buf, packet, sequence, verified)
    }

    /// What can be said of a packet before its ICV; gives its sequence number.
    fn examine(&self, now: Instant, buf: &[u8], packet: &Range<usize>) -> Result<u64, OpenError> {
        if self.usage.is_over(now) {
            return Err(OpenError::Expired);
        }
        let cipher = self.suite.cipher();
        let whole = buf.get(packet.clone()).ok_or(OpenError::Short)?;
        let around = HEADER + cipher.iv_length() + self.suite.icv_length();
        let text = whole.len().checked_sub(around).ok_or(OpenError::Short)?;
        if text < cipher.alignment().max(2) || !text.is_multiple_of(cipher.alignment()) {
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
            packet: &buf[packet.start..packet.end - self.suite.icv_length()],
            esn_high: self.esn.then(|| low32(sequence >> 32)),
        };
        Some((self.hasher.as_ref()?, signed))
    }

    fn icv<'b>(&self, buf: &'b [u8], packet: &Range<usize>) -> &'b [u8] {
        &buf[packet.end - self.suite.icv_length()..packet.end]
    }

    /// Decrypts what has been examined and, but for AES-GCM, verified.
    fn finish(
        &mut self,
        buf: &mut [u8],
        packet: Range<usize>,
        sequence: u64,
        verified: bool,
    ) -> Result<Opened, OpenError> {
        if !verified {
            return Err(OpenError::Icv);
        }
        let cipher = self.suite.cipher();
        let length = packet.len();
        let start = packet.start + HEADER + cipher.iv_length();
        let (signed, icv) = buf[packet].split_at_mut(length - self.suite.icv_length());
        let (head, text) = signed.split_at_mut(HEADER + cipher.iv_length());
        let iv = &head[HEADER..];
        if cipher.is_aead() {
            let aad = Aad::new(self.spi, sequence, self.esn);
            if !self.engine.gcm_open(iv, aad.bytes(), text, icv) {
                return Err(OpenError::Icv);
            }
        } else {
            self.engine.decrypt(iv, text);
        }
        let newest = self.window.mark(sequence);
        self.usage.add(length);
        let (payload, next_header) = strip(text).ok_or(OpenError::Padding)?;
        if next_header == NO_NEXT_HEADER {
            return Err(OpenError::Dummy);
        }
        Ok(Opened {
            payload: start..start + payload,
            next_header,
            sequence,
            newest,
        })
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

    pub(crate) fn usage(&self) -> &Usage {
        &self.usage
    }

    pub(crate) fn report(&mut self, now: Instant) -> Option<Expiry> {
        self.usage.report(now)
    }
}

/// Length of the payload before padding and trailer, and the next header.
fn strip(text: &[u8]) -> Option<(usize, u8)> {
    let (before, [padding, next_header]) = text.split_last_chunk::<2>()?;
    let payload = before.len().checked_sub(usize::from(*padding))?;
    let good = before
        .get(payload..)?
        .iter()
        .zip(1..=u8::MAX)
        .all(|(byte, value)| *byte == value);
    good.then_some((payload, *next_header))
}
