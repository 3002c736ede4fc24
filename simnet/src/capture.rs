//! Capture files, as far as tests read them: pcap, pcapng, and Microsoft's Network Monitor 2.

use std::path::{Path, PathBuf};

/// Where `name` lies in the corpus beside the checkout, if it is there; a test without it is
/// skipped, and says so. `crate_folder` is the test's own `CARGO_MANIFEST_DIR`.
#[must_use]
pub fn corpus(crate_folder: &str, name: &str) -> Option<PathBuf> {
    let path = Path::new(crate_folder)
        .join("../../shared/corpus")
        .join(name);
    if path.exists() {
        return Some(path);
    }
    #[allow(clippy::print_stderr, reason = "a skipped test says so")]
    {
        eprintln!("skipped: no corpus");
    }
    None
}

/// A captured frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The link layer, by the numbers of pcap: 1 is Ethernet.
    pub link_type: u16,
    /// The frame, from its link-layer header.
    pub bytes: &'a [u8],
}

/// The frames of a capture, up to where it cannot be read any more. What is none has none.
#[must_use]
pub fn frames(file: &[u8]) -> Vec<Frame<'_>> {
    let mut frames = Vec::new();
    let read = match file.first_chunk::<4>() {
        Some([0xd4, 0xc3, 0xb2, 0xa1] | [0x4d, 0x3c, 0xb2, 0xa1]) => {
            pcap(Words { file, big: false }, &mut frames)
        }
        Some([0xa1, 0xb2, 0xc3, 0xd4] | [0xa1, 0xb2, 0x3c, 0x4d]) => {
            pcap(Words { file, big: true }, &mut frames)
        }
        Some([0x0a, 0x0d, 0x0d, 0x0a]) => {
            let big = file.get(8) == Some(&0x1a);
            pcapng(Words { file, big }, &mut frames)
        }
        Some(b"GMBU") => network_monitor(Words { file, big: false }, &mut frames),
        _ => None,
    };
    // Every reader ends where the file does.
    debug_assert!(read.is_none());
    frames
}

struct Words<'a> {
    file: &'a [u8],
    big: bool,
}

impl<'a> Words<'a> {
    fn long(&self, at: usize) -> Option<usize> {
        let bytes = *self.file.get(at..)?.first_chunk::<4>()?;
        let value = if self.big {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        };
        usize::try_from(value).ok()
    }

    fn word(&self, at: usize) -> Option<u16> {
        let bytes = *self.file.get(at..)?.first_chunk::<2>()?;
        Some(if self.big {
            u16::from_be_bytes(bytes)
        } else {
            u16::from_le_bytes(bytes)
        })
    }

    fn bytes(&self, at: usize, length: usize) -> Option<&'a [u8]> {
        self.file.get(at..)?.get(..length)
    }
}

fn pcap<'a>(words: Words<'a>, frames: &mut Vec<Frame<'a>>) -> Option<()> {
    // The higher bits may say how long a check sequence is.
    let link_type = words.word(if words.big { 22 } else { 20 })?;
    let mut at = 24;
    loop {
        let length = words.long(at + 8)?;
        let bytes = words.bytes(at + 16, length)?;
        frames.push(Frame { link_type, bytes });
        at += 16 + length;
    }
}

fn pcapng<'a>(words: Words<'a>, frames: &mut Vec<Frame<'a>>) -> Option<()> {
    const INTERFACE: usize = 1;
    const ENHANCED_PACKET: usize = 6;
    let mut link_types = Vec::new();
    let mut at = 0;
    loop {
        match words.long(at)? {
            INTERFACE => link_types.push(words.word(at + 8)?),
            ENHANCED_PACKET => {
                let link_type = *link_types.get(words.long(at + 8)?)?;
                let bytes = words.bytes(at + 28, words.long(at + 20)?)?;
                frames.push(Frame { link_type, bytes });
            }
            _ => {}
        }
        // A block has 12 bytes at least.
        at += words.long(at + 4)?.max(12);
    }
}

fn network_monitor<'a>(words: Words<'a>, frames: &mut Vec<Frame<'a>>) -> Option<()> {
    let link_type = words.word(6)?;
    let (table, size) = (words.long(24)?, words.long(28)?);
    for entry in (0..size).step_by(4) {
        let at = words.long(table + entry)?;
        let bytes = words.bytes(at + 16, words.long(at + 12)?)?;
        frames.push(Frame { link_type, bytes });
    }
    None
}
