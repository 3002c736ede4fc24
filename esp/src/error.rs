use thiserror::Error;

/// An SA that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SaError {
    /// A key has not the size that its algorithm needs.
    #[error("{algorithm} needs a key of {needed} bytes, not {given}")]
    KeyLength {
        /// Which algorithm.
        algorithm: &'static str,
        /// Bytes needed.
        needed: usize,
        /// Bytes given.
        given: usize,
    },
    /// SPIs 0 to 255 are reserved (RFC 4303 section 2.1).
    #[error("SPI {0} is reserved")]
    ReservedSpi(u32),
    /// Encryption without integrity, or an AEAD with a second integrity algorithm.
    #[error("cipher and integrity algorithm do not go together")]
    BadSuite,
    /// The replay window is not a multiple of 64 from 64 to 4096.
    #[error("a replay window of {0} packets is not a multiple of 64 from 64 to 4096")]
    BadWindow(u32),
    /// There is an inbound SA with this SPI already.
    #[error("SPI {0:08x} is in use")]
    DuplicateSpi(u32),
}

/// Why a packet was not sealed. Nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SealError {
    /// No such SA.
    #[error("no such SA")]
    NoSa,
    /// The SA's lifetime is over.
    #[error("SA has expired")]
    Expired,
    /// Every sequence number has been used (RFC 4303 section 3.3.3).
    #[error("sequence numbers are exhausted")]
    SequenceExhausted,
    /// The buffer has not enough room before or behind the payload.
    #[error("no room in the buffer")]
    NoRoom,
    /// The packet would not fit into an IP packet.
    #[error("packet too long")]
    TooLong,
}

impl SealError {
    /// Each of them.
    pub const ALL: [Self; 5] = [
        Self::NoSa,
        Self::Expired,
        Self::SequenceExhausted,
        Self::NoRoom,
        Self::TooLong,
    ];

    /// A stable word for logs and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoSa => "no_sa",
            Self::Expired => "expired",
            Self::SequenceExhausted => "sequence_exhausted",
            Self::NoRoom => "no_room",
            Self::TooLong => "too_long",
        }
    }
}

/// Why a packet was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// No SA with this SPI.
    #[error("no SA with this SPI")]
    NoSa,
    /// Shorter than header, IV, trailer and ICV, or not whole blocks.
    #[error("packet too short or not whole blocks")]
    Short,
    /// Seen before, or too old to tell.
    #[error("packet replayed or too old")]
    Replay,
    /// The ICV does not verify.
    #[error("integrity check failed")]
    Icv,
    /// The padding is not what RFC 4303 section 2.4 asks for.
    #[error("bad padding")]
    Padding,
    /// The SA's lifetime is over.
    #[error("SA has expired")]
    Expired,
    /// A dummy packet (RFC 4303 section 2.6): fine, and nothing inside.
    #[error("dummy packet")]
    Dummy,
    /// ESP, AH or a fragment inside ESP, which nobody who means well sends (CVE-2022-34718).
    #[error("payload is ESP, AH or a fragment")]
    NextHeader,
}

impl OpenError {
    /// Each of them.
    pub const ALL: [Self; 8] = [
        Self::NoSa,
        Self::Short,
        Self::Replay,
        Self::Icv,
        Self::Padding,
        Self::Expired,
        Self::Dummy,
        Self::NextHeader,
    ];

    /// A stable word for logs and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoSa => "no_sa",
            Self::Short => "short",
            Self::Replay => "replay",
            Self::Icv => "icv",
            Self::Padding => "padding",
            Self::Expired => "expired",
            Self::Dummy => "dummy",
            Self::NextHeader => "next_header",
        }
    }
}
