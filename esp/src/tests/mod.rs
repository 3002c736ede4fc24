//! Published vectors of the primitives, and what needs an SA that has been used for long.

mod edges;
mod vectors;
