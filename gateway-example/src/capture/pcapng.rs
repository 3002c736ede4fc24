use std::io::{self, Write};
use std::time::Duration;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const ENHANCED_PACKET: u32 = 6;
const LINKTYPE_RAW: u16 = 101;
const OPTION_COMMENT: u16 = 1;
const OPTION_IF_NAME: u16 = 2;

/// Writes packets that begin with their IP header as a pcapng file (draft-ietf-opsawg-pcapng).
#[derive(Debug)]
pub struct PcapNg<W> {
    out: W,
    interfaces: u32,
    written: u64,
}

impl<W: Write> PcapNg<W> {
    /// Starts a capture.
    ///
    /// # Errors
    /// What writing to `out` gave.
    pub fn new(out: W) -> io::Result<Self> {
        let mut this = Self {
            out,
            interfaces: 0,
            written: 0,
        };
        let mut body = Vec::new();
        body.extend(0x1a2b_3c4d_u32.to_le_bytes());
        body.extend([1, 0, 0, 0]);
        body.extend([0xff; 8]);
        this.block(SECTION_HEADER, &body)?;
        Ok(this)
    }

    /// Adds an interface; its number is for [`PcapNg::packet`].
    ///
    /// # Errors
    /// What writing to the file gave.
    pub fn interface(&mut self, name: &str) -> io::Result<u32> {
        let mut body = Vec::new();
        body.extend(LINKTYPE_RAW.to_le_bytes());
        body.extend([0; 6]);
        option(&mut body, OPTION_IF_NAME, name);
        self.block(INTERFACE_DESCRIPTION, &body)?;
        self.interfaces += 1;
        Ok(self.interfaces - 1)
    }

    /// Adds a packet seen `since_epoch`.
    ///
    /// # Errors
    /// What writing to the file gave.
    pub fn packet(
        &mut self,
        interface: u32,
        since_epoch: Duration,
        packet: &[u8],
        comment: Option<&str>,
    ) -> io::Result<()> {
        let micros = u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX);
        let [high, low] = [micros >> 32, micros & 0xffff_ffff];
        let length = u32::try_from(packet.len()).unwrap_or(u32::MAX);
        let mut body = Vec::with_capacity(packet.len() + 64);
        body.extend(interface.to_le_bytes());
        body.extend(u32::try_from(high).unwrap_or(u32::MAX).to_le_bytes());
        body.extend(u32::try_from(low).unwrap_or(u32::MAX).to_le_bytes());
        body.extend(length.to_le_bytes());
        body.extend(length.to_le_bytes());
        body.extend(packet);
        pad(&mut body);
        if let Some(comment) = comment {
            option(&mut body, OPTION_COMMENT, comment);
        }
        self.block(ENHANCED_PACKET, &body)
    }

    /// Bytes that a packet of so many bytes takes, without a comment.
    #[must_use]
    pub fn packet_size(length: usize) -> u64 {
        u64::try_from(length.next_multiple_of(4) + 32).unwrap_or(u64::MAX)
    }

    /// Bytes written.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Writes out what is buffered.
    ///
    /// # Errors
    /// What writing to the file gave.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn block(&mut self, kind: u32, body: &[u8]) -> io::Result<()> {
        let length = u32::try_from(body.len() + 12)
            .map_err(|_| io::Error::other("block of more than 4 GiB"))?;
        self.out.write_all(&kind.to_le_bytes())?;
        self.out.write_all(&length.to_le_bytes())?;
        self.out.write_all(body)?;
        self.out.write_all(&length.to_le_bytes())?;
        self.written += u64::from(length);
        Ok(())
    }
}

/// An option and the end of options.
fn option(body: &mut Vec<u8>, code: u16, text: &str) {
    let length = text.len().min(usize::from(u16::MAX));
    body.extend(code.to_le_bytes());
    body.extend(u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes());
    body.extend(&text.as_bytes()[..length]);
    pad(body);
    body.extend([0; 4]);
}

fn pad(body: &mut Vec<u8>) {
    while !body.len().is_multiple_of(4) {
        body.push(0);
    }
}
