#![forbid(unsafe_code)]
#![doc = include_str!("../README.md")]

#[cfg(feature = "bench")]
#[doc(hidden)]
pub mod bench;
mod config;
mod crypto;
mod doi;
mod endpoint;
mod error;
mod event;
mod habits;
mod job;
mod keylog;
mod keys;
mod offer;
mod plain;
mod policy;
mod secret;
mod select;
mod strength;
mod suite;
#[cfg(test)]
mod vectors;
mod vendor;
mod wire;

pub use config::{
    ChildRequest, Config, Dpd, Limits, Mode, Path, Peer, PeerMatch, Selector, Timers, Transmit,
    VendorIds,
};
#[cfg(fuzzing)]
pub use endpoint::fuzzing;
pub use endpoint::{Endpoint, Messages, Stats};
pub use error::{ConfigError, Error};
pub use event::{ChildId, ChildSa, CloseReason, Event, RefusedReason, Role, SaId};
pub use habits::{Habits, Style};
pub use job::{Job, JobResult};
pub use keylog::{EspKeyLogLine, KeyLogLine};
pub use plain::PlainMessage;
pub use policy::{Lifetime, Policy};
pub use rand_core;
pub use secret::{ChildKeys, PresharedKey};
pub use strength::KeyGrade;
pub use suite::{
    AesKeySize, ChildProposal, ChildSuite, Cipher, EspCipher, EspIntegrity, Group, Hash,
    ParseProposalError, Phase1Proposal, Phase1Suite,
};
pub use vendor::PeerSoftware;
pub use wire::Identity;
