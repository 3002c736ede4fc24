/// How an initiator writes its offer of phase 1: the order of attributes, how lifetimes are
/// encoded, from where proposals and transforms are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Style {
    /// Windows: algorithms first, lifetimes always in four bytes.
    #[default]
    Windows,
    /// strongSwan: as Windows, but lifetimes in two bytes if they fit, and proposal 0.
    StrongSwan,
    /// racoon (Apple, Android, `RouterOS`): lifetime first, in two bytes if it fits.
    Racoon,
    /// pluto (Libreswan): lifetime first, key length last, all counted from 0.
    Pluto,
}

/// What an initiator does that no standard says: for imitating a client.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Habits {
    /// How the offer of phase 1 is written.
    pub style: Style,
    /// The vendor IDs of message 1, all and in order; what negotiates something if none.
    pub vendor_ids: Option<Vec<Vec<u8>>>,
    /// INITIAL-CONTACT comes with message 5; Windows sends a vendor ID instead.
    pub initial_contact: bool,
    /// Quick modes have the message IDs 1, 2, 3, as those of Windows.
    pub counted_message_ids: bool,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            style: Style::default(),
            vendor_ids: None,
            initial_contact: true,
            counted_message_ids: false,
        }
    }
}
