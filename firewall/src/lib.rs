#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod arena;
mod batch;
mod buckets;
mod checksum;
mod clock;
mod config;
mod errors;
mod event;
mod express;
mod firewall;
mod flow;
mod fragments;
mod hash;
mod index;
mod interface;
mod list;
mod nat;
mod open;
mod policy;
mod ports;
mod process;
mod record;
mod table;
mod tcp;
mod ways;
mod wheel;
mod wire;

pub use batch::Job;
pub use config::{Config, ConfigError, Filtering, Limits, Nat, Timeouts};
pub use event::{
    CloseReason, DropReason, Event, FlowInfo, FlowStatus, Ingress, Phase, Transmit, Verdict,
};
pub use firewall::Firewall;
pub use interface::InterfaceId;
pub use policy::{Group, Interface, Kind, Prefix, Rule, RuleAction, Scope};
pub use rand_core;
pub use wire::{IcmpError, Protocol};
