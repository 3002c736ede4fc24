//! DES and 3DES (FIPS 46-3) of many blocks at once. No memory access depends on a secret.

#[cfg(target_arch = "x86_64")]
mod avx512;
mod boxes;
mod slice;

use super::aes::{Lane, cbc_encrypt, cbc_encrypt_in_order};
use alloc::boxed::Box;
use alloc::vec::Vec;
use arrayvec::ArrayVec;
use cipher::consts::U8;
use cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use des::{Des, TdesEde3};
use fearless_simd::Level;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Blocks that are worth giving to one call.
pub(crate) const BLOCKS: usize = 256;

/// Blocks from which on the `des` crate, which takes one at a time, is slower.
const WORTHWHILE: usize = 8;

/// A key's eight sixes for a round, each in all bytes of a word.
type RoundKey = [u64; 8];

/// DES or 3DES with its key schedule.
pub(crate) struct Key<C> {
    pub(crate) plain: C,
    unit: Unit,
}

/// What runs the rounds, with the key schedule as it wants it.
enum Unit {
    #[cfg(target_arch = "x86_64")]
    Avx512 {
        avx512: fearless_simd::Avx512,
        encrypt: Schedule<RoundKey>,
        decrypt: Schedule<RoundKey>,
    },
    Slices(Level, Schedule<slice::RoundKey>),
}

#[derive(Zeroize, ZeroizeOnDrop)]
struct Schedule<K: Zeroize>(Box<[K]>);

/// A cipher of the `des` crate.
pub(crate) trait Plain:
    KeyInit + BlockCipherEncrypt<BlockSize = U8> + BlockCipherDecrypt
{
}
impl Plain for Des {}
impl Plain for TdesEde3 {}

impl<C: Plain> Key<C> {
    /// `key` is 8 bytes for DES, 24 for 3DES.
    pub(crate) fn new(level: Level, key: &[u8]) -> Option<Self> {
        let plain = C::new_from_slice(key).ok()?;
        let mut rounds: Vec<RoundKey> = Vec::with_capacity(48);
        let (parts, _) = key.as_chunks::<8>();
        for (i, part) in parts.iter().enumerate() {
            // Encrypt, decrypt, encrypt (RFC 2451 section 2.2): decryption is encryption with the
            // round keys in reverse.
            let mut sixteen = round_keys(u64::from_be_bytes(*part));
            if i % 2 == 1 {
                sixteen.reverse();
            }
            rounds.extend(sixteen);
            sixteen.zeroize();
        }
        Some(Self {
            plain,
            unit: Unit::new(level, Schedule(rounds.into())),
        })
    }

    /// CBC of each of `lanes`.
    pub(crate) fn cbc_encrypt(&self, lanes: &mut [Lane<'_, 8>]) {
        cbc_encrypt::<8, BLOCKS>(lanes, |blocks| self.encrypt_blocks(blocks));
    }

    /// Each of `blocks` by itself.
    pub(crate) fn encrypt_blocks(&self, blocks: &mut [[u8; 8]]) {
        if blocks.len() < WORTHWHILE {
            let blocks = Array::cast_slice_from_core_mut(blocks);
            self.plain.encrypt_blocks(blocks);
        } else {
            self.unit.crypt_blocks(Direction::Encrypt, blocks);
        }
    }

    /// Each of `blocks` by itself.
    pub(crate) fn decrypt_blocks(&self, blocks: &mut [[u8; 8]]) {
        if blocks.len() < WORTHWHILE {
            let blocks = Array::cast_slice_from_core_mut(blocks);
            self.plain.decrypt_blocks(blocks);
        } else {
            self.unit.crypt_blocks(Direction::Decrypt, blocks);
        }
    }
}

/// CBC of each of `lanes` with its own key.
pub(crate) fn cbc_encrypt_each<C: Plain>(mut lanes: ArrayVec<(&Key<C>, Lane<'_, 8>), BLOCKS>) {
    // Those that go on longest are in front, so that each stays where its key is.
    lanes.sort_unstable_by_key(|(_, lane)| core::cmp::Reverse(lane.text.len()));
    let (keys, mut lanes): (ArrayVec<_, BLOCKS>, ArrayVec<_, BLOCKS>) = lanes.into_iter().unzip();
    #[cfg(target_arch = "x86_64")]
    if lanes.len() > slice::Each::<1>::BLOCKS
        && let Some(avx2) = keys.first().and_then(|key| key.unit.avx2())
    {
        let keys = slice::Each::<4>::of(&keys);
        cbc_encrypt_in_order::<8, BLOCKS>(&mut lanes, |blocks| keys.encrypt(avx2, blocks));
        return;
    }
    const SOME: usize = slice::Each::<1>::BLOCKS;
    for (keys, lanes) in keys.chunks(SOME).zip(lanes.chunks_mut(SOME)) {
        if lanes.len() < WORTHWHILE {
            for (key, lane) in keys.iter().zip(lanes) {
                key.cbc_encrypt(core::slice::from_mut(lane));
            }
        } else {
            let keys = slice::Each::<1>::of(keys);
            cbc_encrypt_in_order::<8, BLOCKS>(lanes, |blocks| keys.encrypt(blocks));
        }
    }
}

#[derive(Clone, Copy)]
enum Direction {
    Encrypt,
    Decrypt,
}

impl Unit {
    fn new(level: Level, keys: Schedule<RoundKey>) -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(avx512) = level.as_avx512() {
            let decrypt = Schedule(keys.0.iter().rev().copied().collect());
            return Self::Avx512 {
                avx512,
                encrypt: keys,
                decrypt,
            };
        }
        let rounds = keys.0.iter().enumerate();
        Self::Slices(
            level,
            Schedule(rounds.map(|(i, key)| slice::round_key(i, key)).collect()),
        )
    }

    #[cfg(target_arch = "x86_64")]
    fn avx2(&self) -> Option<fearless_simd::Avx2> {
        match self {
            Self::Avx512 { avx512, .. } => Level::Avx512(*avx512).as_avx2(),
            Self::Slices(level, _) => level.as_avx2(),
        }
    }

    /// Calls `each` with every round key for [`slice`], in the order of encryption.
    fn slices(&self, mut each: impl FnMut(&slice::RoundKey)) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 { encrypt, .. } => {
                for (round, key) in encrypt.0.iter().enumerate() {
                    let mut key = slice::round_key(round, key);
                    each(&key);
                    key.zeroize();
                }
            }
            Self::Slices(_, rounds) => rounds.0.iter().for_each(each),
        }
    }

    /// The two directions differ in the order of the round keys alone.
    fn crypt_blocks(&self, direction: Direction, blocks: &mut [[u8; 8]]) {
        match (self, direction) {
            #[cfg(target_arch = "x86_64")]
            (
                Self::Avx512 {
                    avx512,
                    encrypt: keys,
                    ..
                },
                Direction::Encrypt,
            )
            | (
                Self::Avx512 {
                    avx512,
                    decrypt: keys,
                    ..
                },
                Direction::Decrypt,
            ) => avx512::crypt_blocks(*avx512, &keys.0, blocks),
            (Self::Slices(level, keys), Direction::Encrypt) => {
                slice::crypt_blocks(*level, keys.0.iter(), blocks);
            }
            (Self::Slices(level, keys), Direction::Decrypt) => {
                slice::crypt_blocks(*level, keys.0.iter().rev(), blocks);
            }
        }
    }
}

/// Gives `crypt` what is left of `blocks` with zeros behind it.
fn padded<const N: usize>(blocks: &mut [[u8; 8]], crypt: impl FnOnce(&mut [[u8; 8]; N])) {
    if blocks.is_empty() {
        return;
    }
    let mut whole = [[0; 8]; N];
    whole[..blocks.len()].copy_from_slice(blocks);
    crypt(&mut whole);
    blocks.copy_from_slice(&whole[..blocks.len()]);
}

/// The sixteen round keys of FIPS 46-3's key schedule.
fn round_keys(key: u64) -> [RoundKey; 16] {
    let pick = |from: u64, width: u32, bits: &[u8]| {
        bits.iter().fold(0, |to: u64, bit| {
            to << 1 | from >> (width - u32::from(*bit)) & 1
        })
    };
    let halves = pick(key, 64, &PC1);
    let rotate = |half: u64, by: u32| (half << by | half >> (28 - by)) & 0x0fff_ffff;
    let (mut c, mut d) = (halves >> 28, halves & 0x0fff_ffff);
    let mut keys = [[0; 8]; 16];
    for (i, round) in keys.iter_mut().enumerate() {
        let by = if matches!(i, 0 | 1 | 8 | 15) { 1 } else { 2 };
        (c, d) = (rotate(c, by), rotate(d, by));
        let bits = pick(c << 28 | d, 56, &PC2);
        for (six, to) in round.iter_mut().enumerate() {
            *to = (bits >> (42 - 6 * six) & 63) * 0x0101_0101_0101_0101;
        }
    }
    keys
}

#[rustfmt::skip]
const PC1: [u8; 56] = [
    57, 49, 41, 33, 25, 17,  9,  1, 58, 50, 42, 34, 26, 18, 10,  2, 59, 51, 43, 35, 27, 19, 11,  3, 60, 52, 44, 36,
    63, 55, 47, 39, 31, 23, 15,  7, 62, 54, 46, 38, 30, 22, 14,  6, 61, 53, 45, 37, 29, 21, 13,  5, 28, 20, 12,  4,
];

#[rustfmt::skip]
const PC2: [u8; 48] = [
    14, 17, 11, 24,  1,  5,  3, 28, 15,  6, 21, 10, 23, 19, 12,  4, 26,  8, 16,  7, 27, 20, 13,  2,
    41, 52, 31, 37, 47, 55, 30, 40, 51, 45, 33, 48, 44, 49, 39, 56, 34, 53, 46, 42, 50, 36, 29, 32,
];

#[rustfmt::skip]
const P: [u8; 32] = [
    16,  7, 20, 21, 29, 12, 28, 17,  1, 15, 23, 26,  5, 18, 31, 10,
     2,  8, 24, 14, 32, 27,  3,  9, 19, 13, 30,  6, 22, 11,  4, 25,
];

#[rustfmt::skip]
const S: [[u8; 64]; 8] = [
    [14,  4, 13,  1,  2, 15, 11,  8,  3, 10,  6, 12,  5,  9,  0,  7,  0, 15,  7,  4, 14,  2, 13,  1, 10,  6, 12, 11,  9,  5,  3,  8,
      4,  1, 14,  8, 13,  6,  2, 11, 15, 12,  9,  7,  3, 10,  5,  0, 15, 12,  8,  2,  4,  9,  1,  7,  5, 11,  3, 14, 10,  0,  6, 13],
    [15,  1,  8, 14,  6, 11,  3,  4,  9,  7,  2, 13, 12,  0,  5, 10,  3, 13,  4,  7, 15,  2,  8, 14, 12,  0,  1, 10,  6,  9, 11,  5,
      0, 14,  7, 11, 10,  4, 13,  1,  5,  8, 12,  6,  9,  3,  2, 15, 13,  8, 10,  1,  3, 15,  4,  2, 11,  6,  7, 12,  0,  5, 14,  9],
    [10,  0,  9, 14,  6,  3, 15,  5,  1, 13, 12,  7, 11,  4,  2,  8, 13,  7,  0,  9,  3,  4,  6, 10,  2,  8,  5, 14, 12, 11, 15,  1,
     13,  6,  4,  9,  8, 15,  3,  0, 11,  1,  2, 12,  5, 10, 14,  7,  1, 10, 13,  0,  6,  9,  8,  7,  4, 15, 14,  3, 11,  5,  2, 12],
    [ 7, 13, 14,  3,  0,  6,  9, 10,  1,  2,  8,  5, 11, 12,  4, 15, 13,  8, 11,  5,  6, 15,  0,  3,  4,  7,  2, 12,  1, 10, 14,  9,
     10,  6,  9,  0, 12, 11,  7, 13, 15,  1,  3, 14,  5,  2,  8,  4,  3, 15,  0,  6, 10,  1, 13,  8,  9,  4,  5, 11, 12,  7,  2, 14],
    [ 2, 12,  4,  1,  7, 10, 11,  6,  8,  5,  3, 15, 13,  0, 14,  9, 14, 11,  2, 12,  4,  7, 13,  1,  5,  0, 15, 10,  3,  9,  8,  6,
      4,  2,  1, 11, 10, 13,  7,  8, 15,  9, 12,  5,  6,  3,  0, 14, 11,  8, 12,  7,  1, 14,  2, 13,  6, 15,  0,  9, 10,  4,  5,  3],
    [12,  1, 10, 15,  9,  2,  6,  8,  0, 13,  3,  4, 14,  7,  5, 11, 10, 15,  4,  2,  7, 12,  9,  5,  6,  1, 13, 14,  0, 11,  3,  8,
      9, 14, 15,  5,  2,  8, 12,  3,  7,  0,  4, 10,  1, 13, 11,  6,  4,  3,  2, 12,  9,  5, 15, 10, 11, 14,  1,  7,  6,  0,  8, 13],
    [ 4, 11,  2, 14, 15,  0,  8, 13,  3, 12,  9,  7,  5, 10,  6,  1, 13,  0, 11,  7,  4,  9,  1, 10, 14,  3,  5, 12,  2, 15,  8,  6,
      1,  4, 11, 13, 12,  3,  7, 14, 10, 15,  6,  8,  0,  5,  9,  2,  6, 11, 13,  8,  1,  4, 10,  7,  9,  5,  0, 15, 14,  2,  3, 12],
    [13,  2,  8,  4,  6, 15, 11,  1, 10,  9,  3, 14,  5,  0, 12,  7,  1, 15, 13,  8, 10,  3,  7,  4, 12,  5,  6, 11,  0, 14,  9,  2,
      7, 11,  4,  1,  9, 12, 14,  2,  0,  6, 10, 13, 15,  3,  5,  8,  2,  1, 14,  7,  4, 10,  8, 13, 15, 12,  9,  0,  3,  5,  6, 11],
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanes::levels;

    fn agrees<C: Plain>(level: Level, key: &[u8]) {
        let mut rng = simnet::seeded(1);
        for count in [2, 5, 63, 64, 65, 200, 256, 300, 600] {
            let mut plain = vec![[0; 8]; count];
            rand_core::Rng::fill_bytes(&mut rng, plain.as_flattened_mut());
            let ours = Key::<C>::new(level, key).unwrap();
            let mut one = plain.clone();
            ours.encrypt_blocks(&mut one);
            let mut two = plain.clone();
            ours.plain
                .encrypt_blocks(Array::cast_slice_from_core_mut(&mut two));
            assert_eq!(one, two);
            ours.decrypt_blocks(&mut one);
            assert_eq!(one, plain);
        }
    }

    #[test]
    fn des_agrees_with_the_plain_one() {
        for level in levels() {
            agrees::<Des>(level, &[0x13, 0x34, 0x57, 0x79, 0x9b, 0xbc, 0xdf, 0xf1]);
        }
    }

    #[test]
    fn triple_des_agrees_with_the_plain_one() {
        let key: Vec<u8> = (0..24_u8).map(|i| i.wrapping_mul(37) ^ 5).collect();
        for level in levels() {
            agrees::<TdesEde3>(level, &key);
        }
    }

    #[test]
    fn texts_may_have_keys_of_their_own() {
        for (level, count) in levels()
            .into_iter()
            .flat_map(|l| [3, 8, 64, 65, 256].map(|n| (l, n)))
        {
            let keys: Vec<_> = (0..10_u8)
                .map(|n| Key::<TdesEde3>::new(level, &[n.wrapping_mul(93); 24]).unwrap())
                .collect();
            let texts: Vec<_> = (0..count).map(|i| vec![i as u8; i * 7 % 30 * 8]).collect();
            let key = |i: usize| &keys[i * i % 10];
            let mut expected = texts.clone();
            for (i, text) in expected.iter_mut().enumerate() {
                key(i).cbc_encrypt(&mut [Lane::new(&[i as u8; 8], text)]);
            }
            let mut encrypted = texts;
            let lanes = encrypted.iter_mut().enumerate();
            cbc_encrypt_each(
                lanes
                    .map(|(i, t)| (key(i), Lane::new(&[i as u8; 8], t)))
                    .collect(),
            );
            assert_eq!(encrypted, expected);
        }
    }
}
