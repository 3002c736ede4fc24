//! Tunnel authentication (RFC 2661 section 5.1.1).

use crate::wire::MessageType;
use md5::{Digest as _, Md5};

/// The response to a challenge; `message` is the one that carries the response.
pub(crate) fn challenge_response(
    message: MessageType,
    secret: &[u8],
    challenge: &[u8],
) -> [u8; 16] {
    let [_, id] = message.0.to_be_bytes();
    let mut hash = Md5::new();
    hash.update([id]);
    hash.update(secret);
    hash.update(challenge);
    hash.finalize().into()
}
