/// How an initiator writes its offers: the order of attributes, how lifetimes are encoded, from
/// where proposals and transforms are counted, which of both there is one of for each suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Style {
    /// Windows since Vista: algorithms first, lifetimes always in four bytes; in quick mode a
    /// proposal for each suite.
    #[default]
    Windows,
    /// Windows XP and 2000: as later ones, but in quick mode with lifetimes first.
    WindowsXp,
    /// strongSwan: as Windows, but lifetimes in two bytes if they fit, and proposal 0; in quick
    /// mode as transforms of one proposal, group before encapsulation mode.
    StrongSwan,
    /// racoon (Apple, Android, `RouterOS`): lifetime first, in two bytes if it fits; in quick mode
    /// the group last.
    Racoon,
    /// pluto (Libreswan): lifetime first, key length last, all counted from 0; in quick mode the
    /// group first.
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
    /// Quick modes also offer AH with ESP, AH, and ESP without encryption, as those of Windows. A
    /// responder that chooses one of them is not understood.
    pub unsupported_offers: bool,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            style: Style::default(),
            vendor_ids: None,
            initial_contact: true,
            counted_message_ids: false,
            unsupported_offers: false,
        }
    }
}
