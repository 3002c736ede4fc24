//! Numbers of the IPsec DOI that proposals are made of.

pub(crate) const KEY_IKE: u8 = 1;
pub(crate) const PRE_SHARED_KEY: u16 = 1;
pub(crate) const LIFE_SECONDS: u16 = 1;
pub(crate) const LIFE_KILOBYTES: u16 = 2;

/// Attribute types of phase 1 (RFC 2409 appendix A).
pub(crate) mod phase1 {
    pub(crate) const ENCRYPTION: u16 = 1;
    pub(crate) const HASH: u16 = 2;
    pub(crate) const AUTHENTICATION: u16 = 3;
    pub(crate) const GROUP: u16 = 4;
    /// A group of the peer's own making, up to 10.
    pub(crate) const GROUP_TYPE: u16 = 5;
    pub(crate) const GROUP_CURVE_B: u16 = 10;
    pub(crate) const LIFE_TYPE: u16 = 11;
    pub(crate) const LIFE_DURATION: u16 = 12;
    pub(crate) const KEY_LENGTH: u16 = 14;
}

/// Attribute types of phase 2 (RFC 2407 section 4.5).
pub(crate) mod child {
    pub(crate) const LIFE_TYPE: u16 = 1;
    pub(crate) const LIFE_DURATION: u16 = 2;
    pub(crate) const GROUP: u16 = 3;
    pub(crate) const MODE: u16 = 4;
    pub(crate) const AUTHENTICATION: u16 = 5;
    pub(crate) const KEY_LENGTH: u16 = 6;
    /// RFC 4304.
    pub(crate) const EXTENDED_SEQUENCE_NUMBERS: u16 = 11;
}
