//! The primitives of IKEv1, each chosen by the negotiated suite.

mod cbc;
mod dh;
mod hash;
mod primes;

pub(crate) use cbc::{decrypt, encrypt};
#[cfg(test)]
pub(crate) use dh::prime;
pub(crate) use dh::{Exchange, private_key, run};
pub(crate) use hash::{equal, hash, prf};
