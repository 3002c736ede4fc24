//! The primitives of IKEv1, each chosen by the negotiated suite.

mod cbc;
mod dh;
mod hash;
mod primes;

pub(crate) use cbc::{decrypt, encrypt};
#[cfg(test)]
pub(crate) use dh::{modular, prime};
pub(crate) use dh::{private_key, public, shared};
pub(crate) use hash::{equal, hash, prf};
