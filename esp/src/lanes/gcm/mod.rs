//! AES-GCM (NIST SP 800-38D) with VAES and VPCLMULQDQ. Without them the `aes-gcm` crate does the
//! work.
//!
//! GHASH is computed as POLYVAL of reversed bytes (RFC 8452 appendix A): products of several
//! blocks and powers of the hash key are summed before one reduction.

mod avx512;
mod vaes;

use super::aes::keys::{RoundKeys, expand};
use super::x86::has_vaes;
use cipher::consts::U16;
use cipher::{BlockCipherEncrypt, BlockSizeUser, KeyInit};
use fearless_simd::prelude::*;
use fearless_simd::{Avx512, Level};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Powers of the hash key: for what is authenticated besides, 32 blocks, and that of the lengths.
const POWERS: usize = 34;
/// With what meets only the zeros behind the last block.
const PADDED: usize = POWERS + 3;
/// Bytes of text whose key stream is kept until the ICV has been verified.
const KEPT: usize = 1536;

/// An AES key with powers of its hash key, the highest first.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct Key {
    #[zeroize(skip)]
    unit: Unit,
    keys: RoundKeys,
    powers: [[u8; 16]; PADDED],
}

#[derive(Clone, Copy)]
enum Unit {
    Avx512(Avx512),
    Vaes,
}

/// What AES-GCM authenticates besides the text, at most 16 bytes.
#[derive(Clone, Copy)]
pub(crate) struct Input<'a> {
    pub(crate) nonce: [u8; 12],
    pub(crate) aad: &'a [u8],
}

impl Key {
    /// None where this machine can't.
    pub(crate) fn new<C>(level: Level, key: &[u8]) -> Option<Self>
    where
        C: KeyInit + BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>,
    {
        let unit = match level.as_avx512() {
            Some(avx512) => Unit::Avx512(avx512),
            None => has_vaes(level).then_some(Unit::Vaes)?,
        };
        let mut hash_key = [0; 16];
        C::new_from_slice(key)
            .ok()?
            .encrypt_block((&mut hash_key).into());
        // POLYVAL's key is GHASH's times x.
        let reversed = u128::from_be_bytes(hash_key);
        let carry = (reversed >> 127) * 0xc200_0000_0000_0000_0000_0000_0000_0001;
        let first = reversed << 1 ^ carry;
        hash_key.zeroize();
        let mut powers = [first.to_le_bytes(); PADDED];
        let mut power = first;
        for to in powers[..POWERS - 1].iter_mut().rev() {
            power = dot(power, first);
            *to = power.to_le_bytes();
        }
        Some(Self {
            unit,
            keys: expand(key)?,
            powers,
        })
    }

    /// Encrypts `text`; gives the tag.
    pub(crate) fn seal(&self, input: Input<'_>, text: &mut [u8]) -> Option<[u8; 16]> {
        self.crypt(input, text, None)
    }

    /// Decrypts `text` if `verify` likes its tag.
    pub(crate) fn open(
        &self,
        input: Input<'_>,
        text: &mut [u8],
        verify: impl FnOnce(&[u8; 16]) -> bool,
    ) -> bool {
        let mut stream = [[0; 64]; KEPT / 64];
        let tag = self.crypt(input, text, Some(&mut stream));
        if !tag.is_some_and(|tag| verify(&tag)) {
            return false;
        }
        if text.len() > KEPT {
            return self.crypt(input, text, None).is_some();
        }
        match self.unit {
            Unit::Avx512(avx512) => avx512.vectorize(
                #[inline(always)]
                || add(text, &stream),
            ),
            Unit::Vaes => add(text, &stream),
        }
        true
    }

    /// Encrypts `text`, or, given where to put the key stream, leaves it as the ciphertext that
    /// it is. Gives the ciphertext's tag.
    fn crypt(
        &self,
        input: Input<'_>,
        text: &mut [u8],
        stream: Option<&mut [[u8; 64]; KEPT / 64]>,
    ) -> Option<[u8; 16]> {
        match self.unit {
            Unit::Avx512(avx512) => Some(avx512::crypt(avx512, self, input, text, stream)),
            Unit::Vaes => vaes::crypt(self, input, text, stream),
        }
    }
}

/// Adds a key stream to `text`.
#[inline(always)]
fn add(text: &mut [u8], stream: &[[u8; 64]; KEPT / 64]) {
    let (whole, rest) = text.as_chunks_mut::<64>();
    for (block, stream) in whole.iter_mut().zip(stream) {
        for (to, from) in block.iter_mut().zip(stream) {
            *to ^= from;
        }
    }
    if let Some(stream) = stream.get(whole.len()) {
        for (to, from) in rest.iter_mut().zip(stream) {
            *to ^= from;
        }
    }
}

/// Reverses the bytes of each block.
const REVERSE: [[u8; 32]; 2] = {
    let mut reverse = [[0; 32]; 2];
    let mut i = 0;
    while i < 64 {
        reverse[i / 32][i % 32] = (15 - i % 16) as u8;
        i += 1;
    }
    reverse
};

/// POLYVAL's product of two elements (RFC 8452 section 3), in constant time.
fn dot(a: u128, b: u128) -> u128 {
    let mut sum = 0;
    for i in 0..128 {
        sum ^= (a >> i & 1).wrapping_neg() & b;
        // Divided by x.
        sum = sum >> 1 ^ (sum & 1).wrapping_neg() & 0xe1 << 120;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanes::levels;
    use aes_gcm::aead::AeadInOut;
    use aes_gcm::{Aes128Gcm, aes::Aes128};

    #[test]
    fn every_level_agrees_with_the_plain_one() {
        let (key, aad) = ([5; 16], [1, 2, 3, 4, 5, 6, 7, 8]);
        let plain = Aes128Gcm::new_from_slice(&key).unwrap();
        let input = Input {
            nonce: [9; 12],
            aad: &aad,
        };
        for ours in levels()
            .into_iter()
            .filter_map(|l| Key::new::<Aes128>(l, &key))
        {
            for length in (0..600).chain([1404, KEPT - 1, KEPT, KEPT + 1, 4000]) {
                let text: Vec<u8> = (0..length).map(|i| (i * 3) as u8).collect();
                let (mut one, mut two) = (text.clone(), text.clone());
                let tag = ours.seal(input, &mut one).unwrap();
                let expected =
                    plain.encrypt_inout_detached(&[9; 12].into(), &aad, two.as_mut_slice().into());
                assert_eq!(expected.unwrap(), tag, "{length}");
                assert_eq!(one, two);
                assert!(!ours.open(input, &mut one, |_| false));
                assert_eq!(one, two);
                assert!(ours.open(input, &mut one, |t| *t == tag));
                assert_eq!(one, text);
            }
        }
    }
}
