use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Appends session keys to Wireshark's `ikev1_decryption_table` and `esp_sa`.
///
/// Put both files into Wireshark's profile folder, and set `esp.enable_encryption_decode`.
/// Whoever has them can read the traffic: they are made with mode 0600.
#[derive(Debug)]
pub struct KeyLog {
    ike: File,
    esp: File,
}

impl KeyLog {
    /// Opens or makes the two files in `folder`, which is made too if need be.
    ///
    /// # Errors
    /// What the file system gave.
    pub fn open(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let open = |name: &str| {
            OpenOptions::new()
                .create(true)
                .append(true)
                .mode(0o600)
                .open(folder.join(name))
        };
        Ok(Self {
            ike: open("ikev1_decryption_table")?,
            esp: open("esp_sa")?,
        })
    }

    /// Adds the cipher key of an ISAKMP SA.
    ///
    /// # Errors
    /// What writing gave.
    pub fn isakmp(&mut self, line: &isakmp::KeyLogLine) -> io::Result<()> {
        writeln!(self.ike, "{line}")
    }

    /// Adds one direction of a pair of ESP SAs.
    ///
    /// # Errors
    /// What writing gave.
    pub fn esp(&mut self, line: &isakmp::EspKeyLogLine) -> io::Result<()> {
        writeln!(self.esp, "{line}")
    }
}
