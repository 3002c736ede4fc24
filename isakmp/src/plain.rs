//! Messages as they were before encryption, for captures.

use crate::config::Path;
use crate::secret::Secret;

/// An ISAKMP message that goes encrypted, in the clear: header without the encryption flag, and
/// payloads. Told once, when it is made or has been verified; repetitions are not told.
///
/// It has identities, addresses, nonces and SPIs, but no key and nothing that a key can be computed
/// from by somebody who lacks the pre-shared key and the Diffie-Hellman secret. Zeroed on drop.
#[derive(Clone)]
pub struct PlainMessage {
    path: Path,
    outgoing: bool,
    message: Secret,
}

impl PlainMessage {
    pub(crate) const fn new(path: Path, outgoing: bool, message: Vec<u8>) -> Self {
        Self {
            path,
            outgoing,
            message: Secret::new(message),
        }
    }

    /// Our end and the peer's.
    #[must_use]
    pub const fn path(&self) -> Path {
        self.path
    }

    /// Whether it is ours.
    #[must_use]
    pub const fn is_outgoing(&self) -> bool {
        self.outgoing
    }

    /// The message, as RFC 2408 section 3.1 has it.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.message.as_bytes()
    }
}

impl std::fmt::Debug for PlainMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PlainMessage({} bytes)", self.as_bytes().len())
    }
}
