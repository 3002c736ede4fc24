#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![cfg_attr(not(any(feature = "std", test)), no_std)]

extern crate alloc;

mod batch;
mod cipher;
mod config;
mod counters;
mod error;
mod inbound;
mod integrity;
mod lanes;
mod lifetime;
mod outbound;
mod replay;
mod sadb;
mod suite;
#[cfg(test)]
mod tests;

pub use batch::{Open, Seal};
pub use config::SaConfig;
pub use counters::{Counters, Stats};
pub use error::{OpenError, SaError, SealError};
pub use inbound::{InboundSa, Opened};
pub use lifetime::{Lifetime, Moment};
pub use outbound::{OutboundSa, Overhead};
pub use rand_core;
pub use sadb::{Event, Found, OutboundId, Sadb};
pub use suite::{Cipher, Integrity, Suite};

/// SPI and sequence number (RFC 4303 section 2).
pub const HEADER: usize = 8;
/// Bytes before a payload at most: header and IV.
pub const MAX_HEAD: usize = HEADER + 16;
/// Bytes behind a payload at most: padding, trailer and ICV.
pub const MAX_TAIL: usize = 15 + 2 + 32;
