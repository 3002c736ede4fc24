use crate::{Lifetime, SaError, Suite};
use alloc::vec::Vec;
use core::fmt;
use zeroize::Zeroizing;

/// One direction's SA: algorithms, keys and limits.
#[derive(Clone)]
#[non_exhaustive]
pub struct SaConfig {
    /// Security Parameters Index, chosen by the receiver.
    pub spi: u32,
    /// The algorithms.
    pub suite: Suite,
    /// Replay window in packets: a multiple of 64 from 64 to 4096. Default 1024.
    pub replay_window: u32,
    /// Extended sequence numbers of 64 bits (RFC 4304). Default false, as IKEv1 negotiates.
    pub esn: bool,
    /// Limits on use. Default none, but for ciphers with blocks of 64 bits 4 GiB soft and
    /// 32 GiB hard (SWEET32).
    pub lifetime: Lifetime,
    encryption_key: Zeroizing<Vec<u8>>,
    integrity_key: Zeroizing<Vec<u8>>,
}

impl SaConfig {
    /// With default limits; keys are checked when the SA is made.
    #[must_use]
    pub fn new(spi: u32, suite: Suite, encryption_key: &[u8], integrity_key: &[u8]) -> Self {
        let lifetime = if suite.cipher().has_short_blocks() {
            Lifetime::SHORT_BLOCKS
        } else {
            Lifetime::default()
        };
        Self {
            spi,
            suite,
            replay_window: 1024,
            esn: false,
            lifetime,
            encryption_key: Zeroizing::new(encryption_key.to_vec()),
            integrity_key: Zeroizing::new(integrity_key.to_vec()),
        }
    }

    pub(crate) fn encryption_key(&self) -> &[u8] {
        &self.encryption_key
    }

    pub(crate) fn integrity_key(&self) -> &[u8] {
        &self.integrity_key
    }

    pub(crate) fn check(&self) -> Result<(), SaError> {
        if self.spi < 256 {
            return Err(SaError::ReservedSpi(self.spi));
        }
        let window = self.replay_window;
        if !(64..=4096).contains(&window) || !window.is_multiple_of(64) {
            return Err(SaError::BadWindow(window));
        }
        self.suite.cipher().check_key(&self.encryption_key)?;
        match self.suite.integrity() {
            Some(integrity) => integrity.check_key(&self.integrity_key),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for SaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SaConfig")
            .field("spi", &format_args!("{:08x}", self.spi))
            .field("suite", &self.suite)
            .finish_non_exhaustive()
    }
}
