#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod answer;
mod auth;
mod config;
mod error;
mod event;
mod fsm;
#[cfg(feature = "hdlc")]
pub mod hdlc;
mod ipcp;
mod ipv6cp;
mod lcp;
mod link;
mod negotiate;
pub mod wire;

pub use auth::{AuthMethod, AuthRequest, Claim, Proof, mschapv2};
pub use config::{Config, Credentials, Password, Role};
pub use error::{ConfigError, Error};
pub use event::{Assignment, AuthFailure, CloseReason, Event, NetworkProtocol, Received, Verdict};
pub use fsm::{Action, Event as AutomatonEvent, State, transition};
pub use link::Link;
pub use rand_core;
pub use wire::MAX_HEADER;
