//! HDLC-like framing for serial links (RFC 1662 sections 3 and 4): flags, escapes, and a frame
//! check sequence. Feature `hdlc`.
//!
//! ```text
//! +------+---------+---------+----------+-------------+-----------+------+
//! | 0x7e |  0xff   |  0x03   | protocol | information | FCS 2 / 4 | 0x7e |
//! +------+---------+---------+----------+-------------+-----------+------+
//! ```
//!
//! A link's frames go through [`encode`], and what the line brings through a [`Decoder`]:
//!
//! ```
//! use ppp::hdlc::{Decoder, Fcs, encode};
//!
//! let mut line = Vec::new();
//! encode(b"\xff\x03\xc0\x21\x09\x01\x00\x08\0\0\0\0", Fcs::Fcs16, u32::MAX, &mut line);
//! let mut decoder = Decoder::new(Fcs::Fcs16, 0, 1504);
//! for mut chunk in line.chunks(3) {
//!     while let Some(frame) = decoder.decode(&mut chunk) {
//!         assert_eq!(frame?.len(), 12);
//!     }
//! }
//! # Ok::<(), ppp::hdlc::FrameError>(())
//! ```
#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects
)]

use thiserror::Error;

/// Begins and ends a frame (RFC 1662 section 3.1).
pub const FLAG: u8 = 0x7e;
/// Announces a character with bit 6 inverted (RFC 1662 section 4.2).
pub const ESCAPE: u8 = 0x7d;
const BIT_6: u8 = 0x20;

/// Which frame check sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fcs {
    /// 16 bits (RFC 1662 appendix C.2), the default of a link.
    Fcs16,
    /// 32 bits (RFC 1662 appendix C.3), if both ends agree (RFC 1570 section 3).
    Fcs32,
}

impl Fcs {
    /// Bytes it takes.
    #[must_use]
    pub fn len(self) -> usize {
        match self {
            Self::Fcs16 => 2,
            Self::Fcs32 => 4,
        }
    }

    /// Always false: a frame check sequence has bytes.
    #[must_use]
    pub fn is_empty(self) -> bool {
        false
    }

    /// The sequence over `bytes` as a number; it travels least significant byte first.
    #[must_use]
    pub fn of(self, bytes: &[u8]) -> u32 {
        match self {
            Self::Fcs16 => self.over(bytes) ^ 0xffff,
            Self::Fcs32 => self.over(bytes) ^ 0xffff_ffff,
        }
    }

    /// Whether the sequence at the end of `bytes` fits what is before it.
    #[must_use]
    pub fn is_good(self, bytes: &[u8]) -> bool {
        // What is left over a good frame (RFC 1662 appendices C.2 and C.3).
        let good = match self {
            Self::Fcs16 => 0xf0b8,
            Self::Fcs32 => 0xdebb_20e3,
        };
        self.over(bytes) == good
    }

    fn over(self, bytes: &[u8]) -> u32 {
        let (initial, table) = match self {
            Self::Fcs16 => (0xffff, &TABLE_16),
            Self::Fcs32 => (0xffff_ffff, &TABLE_32),
        };
        bytes.iter().fold(initial, |fcs: u32, byte| {
            let [low, ..] = fcs.to_le_bytes();
            let entry = table.get(usize::from(low ^ byte)).copied().unwrap_or(0);
            fcs >> 8 ^ entry
        })
    }
}

/// The polynomials with their bits reversed.
const TABLE_16: [u32; 256] = table(0x8408);
const TABLE_32: [u32; 256] = table(0xedb8_8320);

#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "evaluated by the compiler"
)]
const fn table(polynomial: u32) -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < table.len() {
        let mut value = index as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 {
                value >> 1 ^ polynomial
            } else {
                value >> 1
            };
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
}

/// Appends `frame` to `line` as it goes over the wire, from flag to flag. Control characters are
/// escaped as `async_map` says (bit 0 for character 0); LCP packets need all of them.
pub fn encode(frame: &[u8], fcs: Fcs, async_map: u32, line: &mut Vec<u8>) {
    // At worst every byte is escaped.
    let whole = frame.len().saturating_add(fcs.len());
    line.reserve(whole.saturating_mul(2).saturating_add(2));
    line.push(FLAG);
    let sequence = fcs.of(frame).to_le_bytes();
    for byte in frame.iter().chain(sequence.iter().take(fcs.len())) {
        if is_mapped(*byte, async_map) || matches!(*byte, FLAG | ESCAPE) {
            line.extend([ESCAPE, byte ^ BIT_6]);
        } else {
            line.push(*byte);
        }
    }
    line.push(FLAG);
}

fn is_mapped(byte: u8, async_map: u32) -> bool {
    byte < 0x20 && async_map >> byte & 1 == 1
}

/// A frame that was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Fewer bytes than a protocol field and the check sequence (RFC 1662 section 4.3).
    #[error("frame too short")]
    Short,
    /// More bytes than the decoder was made for.
    #[error("frame too long")]
    Long,
    /// The check sequence does not fit.
    #[error("frame check sequence does not fit")]
    CheckSequence,
    /// The sender gave the frame up (RFC 1662 section 4.3).
    #[error("frame aborted")]
    Aborted,
}

impl FrameError {
    /// A stable word for logs and metrics.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Short => "hdlc_short",
            Self::Long => "hdlc_long",
            Self::CheckSequence => "hdlc_check_sequence",
            Self::Aborted => "hdlc_aborted",
        }
    }
}

/// Finds frames in what a serial line brings, in chunks of any size.
#[derive(Debug)]
pub struct Decoder {
    fcs: Fcs,
    async_map: u32,
    max_frame: usize,
    frame: Vec<u8>,
    /// Set from the first flag on: what comes before belongs to a frame whose start was missed.
    synchronized: bool,
    escaped: bool,
    too_long: bool,
    /// The frame in the buffer has been given out.
    done: bool,
}

impl Decoder {
    /// For frames of at most `max_frame` bytes without check sequence: the MRU and 4 for the
    /// header. Characters in `async_map` that come unescaped were put in by the line and are
    /// dropped (RFC 1662 section 4.2). This is the only allocation.
    #[must_use]
    pub fn new(fcs: Fcs, async_map: u32, max_frame: usize) -> Self {
        Self {
            fcs,
            async_map,
            max_frame,
            frame: Vec::with_capacity(max_frame.saturating_add(fcs.len())),
            synchronized: false,
            escaped: false,
            too_long: false,
            done: false,
        }
    }

    /// Sets what the line puts in, as far as LCP has found out.
    pub fn set_async_map(&mut self, async_map: u32) {
        self.async_map = async_map;
    }

    /// The next frame that `line` ends, without its check sequence, or what was wrong with it.
    /// Takes off `line` what it has seen; none when all of it has been.
    pub fn decode(&mut self, line: &mut &[u8]) -> Option<Result<&[u8], FrameError>> {
        if self.done {
            self.done = false;
            self.frame.clear();
        }
        while let Some((byte, rest)) = line.split_first() {
            *line = rest;
            if *byte == FLAG {
                match self.end() {
                    Some(Ok(())) => {
                        self.done = true;
                        let information = self.frame.len().saturating_sub(self.fcs.len());
                        return self.frame.get(..information).map(Ok);
                    }
                    Some(Err(error)) => {
                        self.frame.clear();
                        return Some(Err(error));
                    }
                    None => {}
                }
            } else if self.synchronized {
                self.byte(*byte);
            }
        }
        None
    }

    fn byte(&mut self, byte: u8) {
        if is_mapped(byte, self.async_map) {
            return;
        }
        let byte = if self.escaped {
            self.escaped = false;
            byte ^ BIT_6
        } else if byte == ESCAPE {
            self.escaped = true;
            return;
        } else {
            byte
        };
        if self.frame.len() < self.max_frame.saturating_add(self.fcs.len()) {
            self.frame.push(byte);
        } else {
            self.too_long = true;
        }
    }

    /// A flag: the end of one frame and the start of the next. None between frames.
    fn end(&mut self) -> Option<Result<(), FrameError>> {
        let started = std::mem::replace(&mut self.synchronized, true);
        let escaped = std::mem::take(&mut self.escaped);
        let too_long = std::mem::take(&mut self.too_long);
        if !started || (self.frame.is_empty() && !escaped) {
            return None;
        }
        Some(if escaped {
            Err(FrameError::Aborted)
        } else if too_long {
            Err(FrameError::Long)
        } else if self.frame.len() < self.fcs.len().saturating_add(2) {
            Err(FrameError::Short)
        } else if self.fcs.is_good(&self.frame) {
            Ok(())
        } else {
            Err(FrameError::CheckSequence)
        })
    }
}
