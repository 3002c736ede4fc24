//! Published test vectors, read in place.

mod captures;
mod derivation;
mod groups;
