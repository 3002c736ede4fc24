use super::primes::{MODP_768, MODP_1024, MODP_1536, MODP_2048, MODP_3072, MODP_4096};
use crate::secret::Secret;
use crate::suite::Group;
use crypto_bigint::modular::{FixedMontyForm, MontyParams};
use crypto_bigint::{Odd, U768, U1024, U1536, U2048, U3072, U4096, Uint};
use p256::elliptic_curve::point::PointCompression;
use p256::elliptic_curve::sec1::{FromSec1Point, ModulusSize, ToSec1Point};
use p256::elliptic_curve::{AffinePoint, CurveArithmetic, FieldBytesSize, PublicKey, SecretKey};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

/// Bits of a private exponent: twice the strength that RFC 3526 section 8 gives a group, in whole
/// 64-bit words.
const fn exponent_bytes(group: Group) -> usize {
    match group {
        Group::Modp768 | Group::Modp1024 | Group::Modp1536 | Group::Ecp256 => 32,
        Group::Modp2048 => 40,
        Group::Modp3072 | Group::Ecp384 => 48,
        Group::Modp4096 => 64,
        Group::Ecp521 => 66,
    }
}

/// Draws a private key.
pub(crate) fn private_key(group: Group, rng: &mut dyn CryptoRng) -> Secret {
    loop {
        let mut key = Zeroizing::new(vec![0; exponent_bytes(group)]);
        rng.fill_bytes(&mut key);
        if group == Group::Ecp521 {
            // 521 bits lie in 66 bytes.
            key[0] &= 1;
        }
        let valid = match group {
            Group::Ecp256 => p256::SecretKey::from_slice(&key).is_ok(),
            Group::Ecp384 => p384::SecretKey::from_slice(&key).is_ok(),
            Group::Ecp521 => p521::SecretKey::from_slice(&key).is_ok(),
            _ => key.iter().any(|b| *b != 0),
        };
        if valid {
            return Secret::new(std::mem::take(&mut *key));
        }
    }
}

/// Our public value as it goes into a KE payload.
pub(crate) fn public(group: Group, private: &Secret) -> Option<Vec<u8>> {
    compute(group, private, None)
}

/// g^xy.
///
/// `None` if the peer's value is of the wrong length, trivial, or not on the curve.
pub(crate) fn shared(group: Group, private: &Secret, peer: &[u8]) -> Option<Secret> {
    (peer.len() == group.public_length()).then_some(())?;
    compute(group, private, Some(peer)).map(Secret::new)
}

/// The shared secret with `peer`, or our public value.
fn compute(group: Group, private: &Secret, peer: Option<&[u8]>) -> Option<Vec<u8>> {
    let key = private.as_bytes();
    match group {
        Group::Modp768 => modp::<{ U768::LIMBS }>(MODP_768, key, peer),
        Group::Modp1024 => modp::<{ U1024::LIMBS }>(MODP_1024, key, peer),
        Group::Modp1536 => modp::<{ U1536::LIMBS }>(MODP_1536, key, peer),
        Group::Modp2048 => modp::<{ U2048::LIMBS }>(MODP_2048, key, peer),
        Group::Modp3072 => modp::<{ U3072::LIMBS }>(MODP_3072, key, peer),
        Group::Modp4096 => modp::<{ U4096::LIMBS }>(MODP_4096, key, peer),
        Group::Ecp256 => ecp::<p256::NistP256>(key, peer),
        Group::Ecp384 => ecp::<p384::NistP384>(key, peer),
        Group::Ecp521 => ecp::<p521::NistP521>(key, peer),
    }
}

fn modp<const L: usize>(prime: &str, key: &[u8], peer: Option<&[u8]>) -> Option<Vec<u8>> {
    modular_power::<L>(Uint::from_be_hex(prime), key, peer)
}

fn modular_power<const L: usize>(
    prime: Uint<L>,
    key: &[u8],
    peer: Option<&[u8]>,
) -> Option<Vec<u8>> {
    let params = MontyParams::new_vartime(Odd::new(prime).into_option()?);
    let mut bytes = Zeroizing::new(vec![0; Uint::<L>::BYTES]);
    let start = bytes.len().checked_sub(key.len())?;
    bytes[start..].copy_from_slice(key);
    let exponent = Zeroizing::new(Uint::<L>::from_be_slice(&bytes));
    let bits = u32::try_from(key.len() * 8).ok()?;
    let base = match peer {
        Some(peer) => {
            let peer = Uint::<L>::from_be_slice(peer);
            // 0, 1 and p-1 would make the secret known to all (RFC 6989 section 2.1).
            if peer <= Uint::ONE || peer >= prime.wrapping_sub(&Uint::ONE) {
                return None;
            }
            peer
        }
        None => Uint::from_u8(2),
    };
    let power = FixedMontyForm::new(&base, &params).pow_bounded_exp(&exponent, bits);
    Some(Zeroizing::new(power.retrieve()).to_be_limbs_bytes())
}

/// The secret in a group with another prime, as in test vectors.
#[cfg(test)]
pub(crate) fn modular(prime: &[u8], key: &[u8], peer: &[u8]) -> Option<Vec<u8>> {
    use crypto_bigint::{U256, U512};
    fn sized<const L: usize>(prime: &[u8], key: &[u8], peer: &[u8]) -> Option<Vec<u8>> {
        modular_power(Uint::<L>::from_be_slice(prime), key, Some(peer))
    }
    match prime.len() {
        32 => sized::<{ U256::LIMBS }>(prime, key, peer),
        64 => sized::<{ U512::LIMBS }>(prime, key, peer),
        128 => sized::<{ U1024::LIMBS }>(prime, key, peer),
        256 => sized::<{ U2048::LIMBS }>(prime, key, peer),
        _ => None,
    }
}

/// The prime of a MODP group.
#[cfg(test)]
pub(crate) fn prime(group: Group) -> Option<Vec<u8>> {
    Some(simnet::corpus::unhex(match group {
        Group::Modp768 => MODP_768,
        Group::Modp1024 => MODP_1024,
        Group::Modp1536 => MODP_1536,
        Group::Modp2048 => MODP_2048,
        Group::Modp3072 => MODP_3072,
        Group::Modp4096 => MODP_4096,
        _ => return None,
    }))
}

trait BigEndian {
    fn to_be_limbs_bytes(&self) -> Vec<u8>;
}

impl<const L: usize> BigEndian for Uint<L> {
    fn to_be_limbs_bytes(&self) -> Vec<u8> {
        self.as_words()
            .iter()
            .rev()
            .flat_map(|w| w.to_be_bytes())
            .collect()
    }
}

fn ecp<C>(key: &[u8], peer: Option<&[u8]>) -> Option<Vec<u8>>
where
    C: CurveArithmetic + PointCompression,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
    FieldBytesSize<C>: ModulusSize,
{
    let key = SecretKey::<C>::from_slice(key).ok()?;
    let Some(peer) = peer else {
        let point = key.public_key().to_sec1_point(false);
        return Some(point.as_bytes().get(1..)?.to_vec());
    };
    // RFC 5903 section 7: the KE payload is X and Y without SEC1's form byte.
    let mut point = vec![4];
    point.extend_from_slice(peer);
    let peer = PublicKey::<C>::from_sec1_bytes(&point).ok()?;
    Some(key.diffie_hellman(&peer).raw_secret_bytes().to_vec())
}
