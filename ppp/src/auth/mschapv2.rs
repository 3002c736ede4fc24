//! The computations of MS-CHAPv2 (RFC 2759 section 8).

use des::Des;
use des::cipher::{BlockCipherEncrypt as _, KeyInit as _};
use md4::Md4;
use sha1::{Digest as _, Sha1};
use std::fmt::Write as _;
use zeroize::Zeroizing;

/// `NtPasswordHash`: MD4 of the password in UTF-16LE.
#[must_use]
pub fn nt_password_hash(password: &str) -> Zeroizing<[u8; 16]> {
    let unicode: Zeroizing<Vec<u8>> =
        Zeroizing::new(password.encode_utf16().flat_map(u16::to_le_bytes).collect());
    Zeroizing::new(Md4::digest(unicode.as_slice()).into())
}

/// The user name without a `DOMAIN\` in front, which is how it enters the hashes.
#[must_use]
pub fn without_domain(user: &[u8]) -> &[u8] {
    user.rsplit(|byte| *byte == b'\\').next().unwrap_or(user)
}

/// `ChallengeHash`.
#[must_use]
pub fn challenge_hash(
    peer_challenge: &[u8; 16],
    authenticator_challenge: &[u8; 16],
    user: &[u8],
) -> [u8; 8] {
    let mut hash = Sha1::new();
    hash.update(peer_challenge);
    hash.update(authenticator_challenge);
    hash.update(user);
    let digest: [u8; 20] = hash.finalize().into();
    digest.first_chunk().copied().unwrap_or_default()
}

/// `GenerateNTResponse`, from the password's hash.
#[must_use]
pub fn nt_response(
    authenticator_challenge: &[u8; 16],
    peer_challenge: &[u8; 16],
    user: &[u8],
    password_hash: &[u8; 16],
) -> [u8; 24] {
    let challenge = challenge_hash(peer_challenge, authenticator_challenge, user);
    // Three DES keys of 7 bytes from 16 bytes and 5 zeros.
    let mut keys = Zeroizing::new([0; 21]);
    if let Some(head) = keys.first_chunk_mut::<16>() {
        *head = *password_hash;
    }
    let mut response = [0; 24];
    let (blocks, _) = response.as_chunks_mut::<8>();
    for (block, key) in blocks.iter_mut().zip(keys.as_chunks::<7>().0) {
        *block = des(key, challenge);
    }
    response
}

/// `GenerateAuthenticatorResponse`: `S=` and 40 hexadecimal digits.
#[must_use]
pub fn authenticator_response(
    password_hash: &[u8; 16],
    nt_response: &[u8; 24],
    peer_challenge: &[u8; 16],
    authenticator_challenge: &[u8; 16],
    user: &[u8],
) -> String {
    const MAGIC_1: &[u8] = b"Magic server to client signing constant";
    const MAGIC_2: &[u8] = b"Pad to make it do more than one iteration";
    let hash_hash: Zeroizing<[u8; 16]> = Zeroizing::new(Md4::digest(password_hash).into());
    let mut hash = Sha1::new();
    hash.update(hash_hash.as_slice());
    hash.update(nt_response);
    hash.update(MAGIC_1);
    let first = hash.finalize();
    let mut hash = Sha1::new();
    hash.update(first);
    hash.update(challenge_hash(
        peer_challenge,
        authenticator_challenge,
        user,
    ));
    hash.update(MAGIC_2);
    let mut text = String::from("S=");
    for byte in hash.finalize() {
        let _ = write!(text, "{byte:02X}");
    }
    text
}

/// DES of one block, with a key of 7 bytes spread over 8 (parity is ignored).
fn des(key: &[u8; 7], block: [u8; 8]) -> [u8; 8] {
    let mut bits: u64 = key
        .iter()
        .fold(0, |bits, byte| bits << 8 | u64::from(*byte));
    let mut spread = Zeroizing::new([0_u8; 8]);
    for byte in spread.iter_mut().rev() {
        *byte = u8::try_from(bits & 0x7f).unwrap_or(0) << 1;
        bits >>= 7;
    }
    let cipher = Des::new((&*spread).into());
    let mut block = block.into();
    cipher.encrypt_block(&mut block);
    block.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    /// RFC 2759 section 9.2.
    #[test]
    fn rfc_2759_section_9() {
        let user = b"User";
        let authenticator = hex!("5B5D7C7D7B3F2F3E3C2C602132262628");
        let peer = hex!("21402324255E262A28295F2B3A337C7E");
        let hash = nt_password_hash("clientPass");
        assert_eq!(*hash, hex!("44EBBA8D5312B8D611474411F56989AE"));
        assert_eq!(
            challenge_hash(&peer, &authenticator, user),
            hex!("D02E4386BCE91226")
        );
        let response = nt_response(&authenticator, &peer, user, &hash);
        assert_eq!(
            response,
            hex!("82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF")
        );
        assert_eq!(
            authenticator_response(&hash, &response, &peer, &authenticator, user),
            "S=407A5589115FD0D6209F510FE9C04566932CDA56"
        );
    }

    #[test]
    fn the_domain_does_not_enter_the_hash() {
        assert_eq!(without_domain(b"OFFICE\\ann"), b"ann");
        assert_eq!(without_domain(b"ann"), b"ann");
        assert_eq!(without_domain(b""), b"");
    }
}
