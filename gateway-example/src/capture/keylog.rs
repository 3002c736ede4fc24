use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::net::IpAddr;
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
    pub fn isakmp(&mut self, initiator_cookie: &[u8], key: &[u8]) -> io::Result<()> {
        writeln!(self.ike, "{},{}", hex(initiator_cookie), hex(key))
    }

    /// Adds one direction of an ESP SA, by its outer addresses.
    ///
    /// # Errors
    /// What writing gave.
    pub fn esp(
        &mut self,
        source: IpAddr,
        destination: IpAddr,
        spi: u32,
        cipher: (&str, &[u8]),
        integrity: (&str, &[u8]),
    ) -> io::Result<()> {
        let family = if source.is_ipv4() { "IPv4" } else { "IPv6" };
        let integrity_key = if integrity.1.is_empty() {
            String::new()
        } else {
            format!("0x{}", hex(integrity.1))
        };
        writeln!(
            self.esp,
            "\"{family}\",\"{source}\",\"{destination}\",\"0x{spi:08x}\",\"{}\",\"0x{}\",\"{}\",\"{integrity_key}\"",
            cipher.0,
            hex(cipher.1),
            integrity.0,
        )
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
