use std::fmt::Write as _;

/// The message of an MS-CHAPv2 Failure (RFC 2759 section 6).
///
/// ```text
/// E=691 R=1 C=00112233445566778899AABBCCDDEEFF V=3 M=Access denied
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MsChapFailure<'a> {
    /// Why.
    pub code: u16,
    /// Whether the peer may try again.
    pub retry: bool,
    /// What another try has to answer.
    pub challenge: Option<[u8; 16]>,
    /// Version of the password change packet that is understood; 3 is RFC 2759's.
    pub version: Option<u32>,
    /// Text for people.
    pub message: &'a [u8],
}

impl<'a> MsChapFailure<'a> {
    /// `ERROR_RESTRICTED_LOGON_HOURS`.
    pub const RESTRICTED_LOGON_HOURS: u16 = 646;
    /// `ERROR_ACCT_DISABLED`.
    pub const ACCOUNT_DISABLED: u16 = 647;
    /// `ERROR_PASSWD_EXPIRED`.
    pub const PASSWORD_EXPIRED: u16 = 648;
    /// `ERROR_NO_DIALIN_PERMISSION`.
    pub const NO_DIALIN_PERMISSION: u16 = 649;
    /// `ERROR_AUTHENTICATION_FAILURE`.
    pub const AUTHENTICATION_FAILURE: u16 = 691;
    /// `ERROR_CHANGING_PASSWORD`.
    pub const CHANGING_PASSWORD: u16 = 709;

    /// Reads a message; none if it names no error. Fields that cannot be read are left out: peers
    /// send anything from nothing at all to a missing `M=`.
    #[must_use]
    pub fn parse(message: &'a [u8]) -> Option<Self> {
        let mut failure = MsChapFailure {
            code: 0,
            retry: false,
            challenge: None,
            version: None,
            message: &[],
        };
        let mut code = None;
        let mut rest = message;
        while !rest.is_empty() {
            if let Some(text) = rest.strip_prefix(b"M=") {
                // The message may have blanks, and is the last.
                failure.message = text;
                break;
            }
            let (word, after) = match rest.iter().position(|byte| *byte == b' ') {
                Some(blank) => rest.split_at_checked(blank)?,
                None => (rest, [].as_slice()),
            };
            rest = after.strip_prefix(b" ").unwrap_or(after);
            match word {
                [b'E', b'=', number @ ..] => {
                    code = decimal(number).and_then(|n| u16::try_from(n).ok());
                }
                [b'R', b'=', flag @ ..] => failure.retry = flag == b"1",
                [b'C', b'=', digits @ ..] => failure.challenge = hexadecimal(digits),
                [b'V', b'=', number @ ..] => failure.version = decimal(number),
                _ => {}
            }
        }
        failure.code = code?;
        Some(failure)
    }

    /// The message as bytes.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let mut text = format!("E={} R={}", self.code, u8::from(self.retry));
        if let Some(challenge) = self.challenge {
            text.push_str(" C=");
            for byte in challenge {
                let _ = write!(text, "{byte:02X}");
            }
        }
        if let Some(version) = self.version {
            let _ = write!(text, " V={version}");
        }
        text.push_str(" M=");
        let mut bytes = text.into_bytes();
        bytes.extend(self.message);
        bytes
    }
}

fn decimal(digits: &[u8]) -> Option<u32> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn hexadecimal(digits: &[u8]) -> Option<[u8; 16]> {
    let (pairs, []) = digits.as_chunks::<2>() else {
        return None;
    };
    let mut bytes = [0; 16];
    if pairs.len() != bytes.len() {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        let digit = |d: u8| {
            char::from(d)
                .to_digit(16)
                .and_then(|d| u8::try_from(d).ok())
        };
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_peers_send() {
        let full = b"E=691 R=1 C=00112233445566778899aabbccddeeff V=3 M=Access denied, sorry";
        let parsed = MsChapFailure::parse(full).unwrap();
        assert_eq!(parsed.code, 691);
        assert!(parsed.retry);
        assert_eq!(parsed.challenge.unwrap()[..3], [0, 0x11, 0x22]);
        assert_eq!(parsed.version, Some(3));
        assert_eq!(parsed.message, b"Access denied, sorry");
        assert_eq!(
            parsed.emit().to_ascii_lowercase(),
            full.to_ascii_lowercase()
        );
        // Seen from Windows: no more than this, with the blank.
        let short = MsChapFailure::parse(b"E=691 R=0 ").unwrap();
        assert!(!short.retry && short.challenge.is_none() && short.message.is_empty());
        for nothing in [&b""[..], b"E=", b"E=70000", b"E", b"R=1", b"M=E=691", b"  "] {
            assert_eq!(MsChapFailure::parse(nothing), None);
        }
        // A challenge of the wrong length is none.
        let odd = MsChapFailure::parse(b"E=648 R=1 C=0011 V=3").unwrap();
        assert_eq!((odd.code, odd.challenge), (648, None));
    }
}
