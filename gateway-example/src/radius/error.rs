/// Why a datagram was dropped; nothing has changed by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It ends before its length.
    #[error("the packet is cut short")]
    Short,
    /// Its length is below 20 or above 4096 bytes.
    #[error("the packet's length is out of range")]
    BadLength,
    /// An attribute's length is below 2 or leads out of the packet.
    #[error("an attribute's length is wrong")]
    BadAttributeLength,
    /// An attribute's value has another length than its type.
    #[error("attribute {0} has the wrong length")]
    BadAttribute(u8),
    /// The authenticator is wrong: forged, or the secrets differ.
    #[error("the authenticator is wrong; the shared secrets may differ")]
    BadAuthenticator,
    /// The Message-Authenticator is missing where it is required (CVE-2024-3596).
    #[error("the Message-Authenticator is missing")]
    NoMessageAuthenticator,
    /// The Message-Authenticator is wrong, or there are several.
    #[error("the Message-Authenticator is wrong; the shared secrets may differ")]
    BadMessageAuthenticator,
    /// Not from a configured server's address and port.
    #[error("the sender is not a configured server")]
    UnknownServer,
    /// No request with this identifier waits for a reply.
    #[error("no request waits for this reply")]
    UnknownIdentifier,
    /// Not a reply to what was asked, or not a request that is taken here.
    #[error("the code does not fit")]
    UnexpectedCode,
    /// The Event-Timestamp is too old, too new, or missing where replay would do harm.
    #[error("the Event-Timestamp is not current")]
    Stale,
    /// Too many requests within the time in which they could be replayed.
    #[error("too many requests")]
    Flood,
}

impl Error {
    /// A stable word for logs and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Short => "radius_short",
            Self::BadLength => "radius_bad_length",
            Self::BadAttributeLength => "radius_bad_attribute_length",
            Self::BadAttribute(_) => "radius_bad_attribute",
            Self::BadAuthenticator => "radius_bad_authenticator",
            Self::NoMessageAuthenticator => "radius_no_message_authenticator",
            Self::BadMessageAuthenticator => "radius_bad_message_authenticator",
            Self::UnknownServer => "radius_unknown_server",
            Self::UnknownIdentifier => "radius_unknown_identifier",
            Self::UnexpectedCode => "radius_unexpected_code",
            Self::Stale => "radius_stale",
            Self::Flood => "radius_flood",
        }
    }
}
