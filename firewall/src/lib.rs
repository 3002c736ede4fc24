#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod checksum;
mod config;
mod firewall;
mod flow;
mod nat;
mod table;
mod wire;

pub use config::{Config, ConfigError, Interface, Kind, Limits, Nat, Rule, RuleAction, Timeouts};
pub use firewall::{DropReason, Firewall, Ingress, InterfaceId, Verdict};
pub use rand_core;
pub use wire::Protocol;
