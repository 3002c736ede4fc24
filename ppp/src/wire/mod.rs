//! Frames and packets as bytes; no state.
//!
//! ```text
//!  address  control   protocol      information
//! +--------+--------+-------------+-----------------------------+
//! |  0xff  |  0x03  |  1 or 2 B   | code | id | length | data   |
//! +--------+--------+-------------+-----------------------------+
//! ```
#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects
)]

mod chap;
mod failure;
mod frame;
mod option;
mod packet;

pub use chap::{ChapValue, MsChapV2Response, PapRequest};
pub use failure::MsChapFailure;
pub use frame::{FrameHeader, MAX_HEADER};
pub use option::{ConfigOption, Options};
pub use packet::{Code, Packet};

/// The address field of every frame (RFC 1662 section 3.1).
pub const ALL_STATIONS: u8 = 0xff;
/// The control field of every frame (RFC 1662 section 3.1).
pub const UNNUMBERED_INFORMATION: u8 = 0x03;

/// A PPP protocol number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Protocol(pub u16);

#[allow(missing_docs, reason = "the registry's own names")]
impl Protocol {
    pub const IPV4: Self = Self(0x0021);
    pub const IPV6: Self = Self(0x0057);
    pub const IPCP: Self = Self(0x8021);
    pub const IPV6CP: Self = Self(0x8057);
    pub const LCP: Self = Self(0xc021);
    pub const PAP: Self = Self(0xc023);
    pub const CHAP: Self = Self(0xc223);
    /// Link Quality Report (RFC 1989).
    pub const LQR: Self = Self(0xc025);
    pub const EAP: Self = Self(0xc227);
}
