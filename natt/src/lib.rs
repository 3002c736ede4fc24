#![forbid(unsafe_code)]
#![cfg_attr(not(feature = "std"), no_std)]
#![doc = include_str!("../README.md")]

extern crate alloc;

mod checksum;
mod classify;
mod detection;
mod dialect;
mod error;
mod keepalive;
mod mapping;

pub use checksum::{clear_udp_checksum, repair_checksum};
pub use classify::{Datagram, KEEPALIVE, NON_ESP_MARKER, PortKind, classify, prepend_marker};
pub use detection::{Detection, NatD, nat_d_hash};
pub use dialect::Dialect;
pub use error::Error;
pub use keepalive::{KEEPALIVE_INTERVAL, Keepalive};
pub use mapping::Mapping;
