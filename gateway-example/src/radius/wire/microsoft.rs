use ppp::wire::MsChapFailure;

/// Microsoft's vendor types (RFC 2548).
#[allow(missing_docs, reason = "they are the RFC's names")]
pub mod ms {
    /// The SMI enterprise code.
    pub const VENDOR: u32 = 311;
    pub const CHAP_ERROR: u8 = 2;
    pub const CHAP_CHALLENGE: u8 = 11;
    pub const CHAP2_RESPONSE: u8 = 25;
    pub const CHAP2_SUCCESS: u8 = 26;
    pub const PRIMARY_DNS_SERVER: u8 = 28;
    pub const SECONDARY_DNS_SERVER: u8 = 29;
    pub const PRIMARY_NBNS_SERVER: u8 = 30;
    pub const SECONDARY_NBNS_SERVER: u8 = 31;
}

/// MS-CHAP-Error (RFC 2548 section 2.1.5): why, and whether the client may try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MsChapError {
    /// Such as 691, or 648 for a password that has expired (RFC 2759 section 6).
    pub code: u16,
    /// Whether another try is welcome.
    pub retry: bool,
}

impl MsChapError {
    /// Reads the attribute's value: an identifier and the text of a Failure packet. Some servers
    /// leave the identifier out.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let text = if value.starts_with(b"E=") {
            value
        } else {
            value.get(1..)?
        };
        let failure = MsChapFailure::parse(text)?;
        Some(Self {
            code: failure.code,
            retry: failure.retry,
        })
    }
}
