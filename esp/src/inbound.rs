use crate::cipher::Engine;
use crate::integrity::Hasher;
use crate::lifetime::{Expiry, Usage};
use crate::outbound::{Aad, low32};
use crate::replay::ReplayWindow;
use crate::{HEADER, NO_NEXT_HEADER, OpenError, SaConfig, SaError, Suite};
use std::ops::Range;
use std::time::Instant;

/// The receiving end of an SA.
pub struct InboundSa {
    spi: u32,
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
        Ok(Self {
            spi: config.spi,
            suite: config.suite,
            esn: config.esn,
            engine: Engine::new(config.suite.cipher(), config.encryption_key())?,
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
        if self.usage.is_over(now) {
            return Err(OpenError::Expired);
        }
        let cipher = self.suite.cipher();
        let (iv_length, icv_length) = (cipher.iv_length(), self.suite.icv_length());
        let whole = buf.get_mut(packet.clone()).ok_or(OpenError::Short)?;
        let least = HEADER + iv_length + cipher.alignment().max(2) + icv_length;
        if whole.len() < least {
            return Err(OpenError::Short);
        }
        let length = whole.len();
        let (signed, icv) = whole.split_at_mut(length - icv_length);
        let sequence = self.sequence(signed)?;
        let esn_high = self.esn.then(|| low32(sequence >> 32));
        if let Some(hasher) = &self.hasher
            && !hasher.verify(signed, esn_high, icv)
        {
            return Err(OpenError::Icv);
        }
        let (head, text) = signed.split_at_mut(HEADER + iv_length);
        let iv = head.get(HEADER..).unwrap_or_default();
        if !text.len().is_multiple_of(cipher.alignment()) {
            return Err(OpenError::Short);
        }
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
        let start = packet.start + HEADER + iv_length;
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
