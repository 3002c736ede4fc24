use super::super::Error;
use super::{HEADER, Packet};
use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::{Digest as _, Md5};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// Bytes of a User-Password at most (RFC 2865 section 5.2).
const MAX_PASSWORD: usize = 128;

/// The User-Password attribute's value (RFC 2865 section 5.2); none if it is too long.
#[must_use]
pub fn hide_password(
    secret: &[u8],
    authenticator: &[u8; 16],
    password: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    if password.len() > MAX_PASSWORD {
        return None;
    }
    let mut hidden = Zeroizing::new(password.to_vec());
    hidden.resize(password.len().max(1).next_multiple_of(16), 0);
    let mut before = *authenticator;
    for block in hidden.chunks_exact_mut(16) {
        let mask = md5(&[secret, &before]);
        for (byte, mask) in block.iter_mut().zip(mask) {
            *byte ^= mask;
        }
        before.copy_from_slice(block);
    }
    Some(hidden)
}

/// Checks a reply to a request that had `authenticator` (RFC 2865 section 3, RFC 3579 section 3.2).
///
/// A Message-Authenticator must be there if `required`, and right in any case. Without it a reply
/// can be forged by who sees the request (CVE-2024-3596).
///
/// # Errors
/// What is wrong with it.
pub fn verify_reply(
    reply: &Packet<'_>,
    authenticator: &[u8; 16],
    secret: &[u8],
    required: bool,
) -> Result<(), Error> {
    check_message_authenticator(reply, authenticator, secret, required)?;
    check_authenticator(reply, authenticator, secret)
}

/// Checks an Accounting-Request, Disconnect-Request or CoA-Request (RFC 2866 section 3, RFC 5176
/// section 2.3), and its Message-Authenticator if it has one.
///
/// # Errors
/// What is wrong with it.
pub fn verify_request(request: &Packet<'_>, secret: &[u8]) -> Result<(), Error> {
    check_authenticator(request, &[0; 16], secret)?;
    check_message_authenticator(request, &[0; 16], secret, false)
}

fn check_authenticator(
    packet: &Packet<'_>,
    authenticator: &[u8; 16],
    secret: &[u8],
) -> Result<(), Error> {
    let expected = packet_md5(packet.bytes(), authenticator, secret);
    if bool::from(expected.ct_eq(&packet.authenticator)) {
        Ok(())
    } else {
        Err(Error::BadAuthenticator)
    }
}

fn check_message_authenticator(
    packet: &Packet<'_>,
    authenticator: &[u8; 16],
    secret: &[u8],
    required: bool,
) -> Result<(), Error> {
    let Some(at) = packet.attributes.message_authenticator()? else {
        return if required {
            Err(Error::NoMessageAuthenticator)
        } else {
            Ok(())
        };
    };
    let at = at.saturating_add(HEADER);
    let (Some(head), Some(sent), Some(tail)) = (
        packet.bytes().get(HEADER..at),
        packet.bytes().get(at..at.saturating_add(16)),
        packet.bytes().get(at.saturating_add(16)..),
    ) else {
        return Err(Error::BadMessageAuthenticator);
    };
    let start = packet.bytes().get(..4).unwrap_or_default();
    let expected = hmac_md5(secret, &[start, authenticator, head, &[0; 16], tail]);
    if bool::from(expected.as_slice().ct_eq(sent)) {
        Ok(())
    } else {
        Err(Error::BadMessageAuthenticator)
    }
}

/// MD5 over a packet with `authenticator` in its place, and the secret.
pub(super) fn packet_md5(bytes: &[u8], authenticator: &[u8; 16], secret: &[u8]) -> [u8; 16] {
    let start = bytes.get(..4).unwrap_or_default();
    let attributes = bytes.get(HEADER..).unwrap_or_default();
    md5(&[start, authenticator, attributes, secret])
}

fn md5(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Md5::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

pub(super) fn hmac_md5(secret: &[u8], parts: &[&[u8]]) -> [u8; 16] {
    // HMAC takes a key of any length.
    let Ok(mut mac) = Hmac::<Md5>::new_from_slice(secret) else {
        return [0; 16];
    };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}
