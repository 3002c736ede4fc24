#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod auth;
mod config;
mod data;
mod endpoint;
mod error;
mod event;
mod reliable;
mod tunnel;
pub mod wire;

pub use config::{Config, Secret};
pub use data::MAX_DATA_HEADER;
pub use endpoint::{Endpoint, TunnelInfo};
pub use error::{ConfigError, Error};
pub use event::{
    CallResult, CloseReason, Event, PathId, PeerInfo, Received, SessionId, StopResult, Transmit,
    TunnelId,
};
pub use rand_core;
