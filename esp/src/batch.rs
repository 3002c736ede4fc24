use crate::{OpenError, Opened, SealError};
use core::ops::Range;

/// A payload to seal in a batch, and what became of it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Seal<'a> {
    /// Where the payload lies, with room around it.
    pub buf: &'a mut [u8],
    /// Which part of `buf` it is.
    pub payload: Range<usize>,
    /// IP protocol of the payload.
    pub next_header: u8,
    /// Which part of `buf` the packet is, when it has been sealed; [`SealError::NoSa`] before.
    pub result: Result<Range<usize>, SealError>,
}

impl<'a> Seal<'a> {
    /// Something to seal.
    #[must_use]
    pub fn new(buf: &'a mut [u8], payload: Range<usize>, next_header: u8) -> Self {
        Self {
            buf,
            payload,
            next_header,
            result: Err(SealError::NoSa),
        }
    }
}

/// A packet to open in a batch, and what was in it: [`Opened`] with one SA,
/// [`Found`](crate::Found) with a database.
#[derive(Debug)]
#[non_exhaustive]
pub struct Open<'a, T = Opened> {
    /// Where the packet lies.
    pub buf: &'a mut [u8],
    /// Which part of `buf` it is.
    pub packet: Range<usize>,
    /// What was in it, when it has been opened; [`OpenError::NoSa`] before.
    pub result: Result<T, OpenError>,
}

impl<'a, T> Open<'a, T> {
    /// Something to open.
    #[must_use]
    pub fn new(buf: &'a mut [u8], packet: Range<usize>) -> Self {
        Self {
            buf,
            packet,
            result: Err(OpenError::NoSa),
        }
    }
}
