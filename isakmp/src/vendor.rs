use crate::config::{Config, VendorIds};
use natt::Dialect;

/// MD5 of `FRAGMENTATION`; a capability word may follow.
const FRAGMENTATION: u128 = 0x4048b7d5_6ebce885_25e7de7f_00d6c2d3;
/// The capability word for main mode and above.
const FRAGMENTATION_CAPABILITY: [u8; 4] = [0x80, 0, 0, 0];
/// With its capability word.
const FRAGMENTATION_LEN: usize = 20;
/// RFC 3706 section 5.1, version 1.0.
const DPD: u128 = 0xafcad713_68a1f1c9_6b8696fc_77570100;
const MICROSOFT: u128 = 0x1e2b5169_05991c7d_7c96fcbf_b587e461;
const MICROSOFT_8: u128 = 0x01528bbb_c0069612_1849ab9a_1c5b2a51;
/// `Vid-Initial-Contact`: Windows has no ISAKMP SA with us (any more).
const INITIAL_CONTACT: u128 = 0x26244d38_eddb61b3_172a36e3_d0cfb819;
const CISCO_UNITY: u128 = 0x12f5f28c_457168a9_702d9fe2_74cc0100;
const DRAFT_00: u128 = 0x4485152d_18b6bbcd_0be8a846_9579ddcc;
/// Its first eight bytes; the rest is a version.
const XAUTH: u64 = 0x0900_2689_dfd6_b712;

/// What a peer probably runs, guessed from its vendor IDs: for logs, never for decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PeerSoftware {
    /// Windows.
    Windows,
    /// macOS, iOS or iPadOS.
    Apple,
    /// Android up to 11.
    Android,
    /// Cisco, or what speaks its dialect.
    Cisco,
    /// strongSwan: `ChromeOS` or Linux.
    StrongSwan,
    /// Anything else.
    Unknown,
}

impl std::fmt::Display for PeerSoftware {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Windows => "Windows",
            Self::Apple => "Apple",
            Self::Android => "Android",
            Self::Cisco => "Cisco",
            Self::StrongSwan => "strongSwan",
            Self::Unknown => "unknown",
        })
    }
}

/// What a peer's vendor IDs have told.
#[derive(Debug, Clone)]
pub(crate) struct Capabilities {
    pub(crate) dialect: Option<Dialect>,
    pub(crate) dpd: bool,
    /// The body that announced fragmentation: answered in kind.
    pub(crate) fragmentation: Option<Vec<u8>>,
    /// The peer says that it has no other ISAKMP SA with us.
    pub(crate) first_contact: bool,
    pub(crate) software: PeerSoftware,
}

impl Capabilities {
    /// Reads the bodies of all vendor ID payloads.
    pub(crate) fn read<'a>(bodies: impl Iterator<Item = &'a [u8]>, config: &Config) -> Self {
        let mut found = Self {
            dialect: None,
            dpd: false,
            fragmentation: None,
            first_contact: false,
            software: PeerSoftware::Unknown,
        };
        for body in bodies {
            if let Some(dialect) = Dialect::from_vendor_id(body) {
                if dialect == Dialect::Apple {
                    found.software = PeerSoftware::Apple;
                }
                // Dialects are ordered from best to worst.
                if config.dialects.contains(&dialect) && found.dialect.is_none_or(|d| dialect < d) {
                    found.dialect = Some(dialect);
                }
                continue;
            }
            if body.first_chunk() == Some(&XAUTH.to_be_bytes())
                && found.software == PeerSoftware::Unknown
            {
                found.software = PeerSoftware::StrongSwan;
            }
            match body.first_chunk().map(|b| u128::from_be_bytes(*b)) {
                Some(FRAGMENTATION) => {
                    let capability = body.get(..FRAGMENTATION_LEN).unwrap_or(body);
                    found.fragmentation = Some(capability.to_vec());
                }
                Some(DPD) => found.dpd = true,
                Some(INITIAL_CONTACT) => found.first_contact = true,
                Some(MICROSOFT | MICROSOFT_8) => found.software = PeerSoftware::Windows,
                Some(CISCO_UNITY) => found.software = PeerSoftware::Cisco,
                Some(DRAFT_00) => found.software = PeerSoftware::Android,
                _ => {}
            }
        }
        if config.vendor_ids == VendorIds::None {
            // It takes two to announce.
            (found.dialect, found.dpd, found.fragmentation) = (None, false, None);
        }
        found
    }

    /// What a responder sends: exactly one NAT traversal dialect, so that the initiator cannot
    /// pick another.
    pub(crate) fn answer(&self, config: &Config) -> Vec<Vec<u8>> {
        let full = match config.vendor_ids {
            VendorIds::None => return Vec::new(),
            VendorIds::Minimal => false,
            VendorIds::Full => true,
        };
        let mut out: Vec<Vec<u8>> = self
            .dialect
            .iter()
            .map(|d| d.vendor_id().to_vec())
            .collect();
        if self.dpd || full {
            out.push(DPD.to_be_bytes().to_vec());
        }
        match &self.fragmentation {
            Some(body) => out.push(body.clone()),
            None if full => out.push(fragmentation()),
            None => {}
        }
        out
    }

    /// What an initiator sends.
    pub(crate) fn announce(config: &Config) -> Vec<Vec<u8>> {
        if config.vendor_ids == VendorIds::None {
            return Vec::new();
        }
        if let Some(all) = &config.habits.vendor_ids {
            return all.clone();
        }
        // A list of one's own is announced as it is, in its order.
        let own = config.dialects != Dialect::ALL;
        let dialects = if own {
            &config.dialects[..]
        } else {
            &Dialect::ANNOUNCED
        };
        let mut out: Vec<Vec<u8>> = dialects.iter().map(|d| d.vendor_id().to_vec()).collect();
        out.push(DPD.to_be_bytes().to_vec());
        if config.fragment_size.is_some() {
            out.push(fragmentation());
        }
        out
    }
}

fn fragmentation() -> Vec<u8> {
    [&FRAGMENTATION.to_be_bytes()[..], &FRAGMENTATION_CAPABILITY].concat()
}
