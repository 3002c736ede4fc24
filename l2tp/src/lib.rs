#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod auth;
mod call;
mod config;
mod context;
mod data;
mod endpoint;
mod error;
mod event;
mod ids;
mod reliable;
mod result;
mod session;
mod tunnel;
pub mod wire;

pub use call::{Accm, Call, CallConnected, CallErrors, CallRequest, Direction, ProxyAuthen, Role};
pub use config::{Config, Reorder, Secret};
pub use endpoint::{Endpoint, TunnelInfo};
pub use error::{ConfigError, Error};
pub use event::{Event, Frame, PathId, PeerInfo, Received, SessionId, Transmit, TunnelId};
pub use rand_core;
pub use result::{CallResult, CauseCode, CloseReason, Disconnect, ErrorCode, Stop, StopResult};
pub use wire::MAX_DATA_HEADER;
