/// Why a datagram or a packet was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Shorter than the shortest ESP or ISAKMP packet, and not a keepalive.
    #[error("datagram is too short")]
    TooShort,
    /// The range lies outside the buffer, or there is no room before it.
    #[error("range is outside the buffer")]
    Range,
    /// The transport header is cut off.
    #[error("transport header is cut off")]
    Truncated,
    /// Old and new address are of different families.
    #[error("address families differ")]
    AddressFamily,
}

impl Error {
    /// A stable word for counters and logs.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::TooShort => "natt_too_short",
            Self::Range => "natt_range",
            Self::Truncated => "natt_truncated",
            Self::AddressFamily => "natt_address_family",
        }
    }
}
