#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod checksum;
mod config;
mod errors;
mod event;
mod firewall;
mod flow;
mod fragments;
mod hash;
mod interface;
mod nat;
mod policy;
mod ports;
mod process;
mod slab;
mod table;
mod tcp;
mod wheel;
mod wire;

pub use config::{Config, ConfigError, Filtering, Limits, Nat, Timeouts};
pub use event::{CloseReason, DropReason, Event, FlowInfo, Ingress, Transmit, Verdict};
pub use firewall::Firewall;
pub use interface::InterfaceId;
pub use policy::{Group, Interface, Kind, Prefix, Rule, RuleAction, Scope};
pub use rand_core;
pub use wire::{IcmpError, Protocol};
