//! An L2TP/IPsec gateway and client, composed of the suite's crates.
//!
//! [`core`] is sans-IO and runs in virtual time; [`io`] owns sockets and devices. The binary
//! `gateway` puts them together.

pub mod aaa;
pub mod alliedware;
pub mod capture;
mod checksum;
pub mod config;
pub mod control;
pub mod core;
#[cfg(feature = "host")]
pub mod demo;
#[cfg(feature = "host")]
pub mod io;
pub mod metrics;
pub mod pool;
pub mod radius;
#[cfg(feature = "host")]
pub mod view;
