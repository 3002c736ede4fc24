//! Bit slices: each bit of many blocks in a vector of its own, so that permutations cost nothing
//! and S-boxes are circuits (Biham, "A Fast New DES Implementation in Software").

use super::boxes::{COMPLEMENTED, s1, s2, s3, s4, s5, s6, s7, s8};
use super::{BLOCKS, Key, P, padded};
use arrayvec::ArrayVec;
use fearless_simd::prelude::*;
use fearless_simd::{Level, Simd, u64x4};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// The same bit of 64 blocks or a multiple.
pub(super) trait Bits: Copy {
    fn xor(self, other: Self) -> Self;
    fn and(self, other: Self) -> Self;
    fn or(self, other: Self) -> Self;
    /// `self & !other`
    fn and_not(self, other: Self) -> Self;
    fn left(self, by: u32) -> Self;
    fn right(self, by: u32) -> Self;
    /// `word` in every 64 bits.
    fn repeat(self, word: u64) -> Self;
}

macro_rules! bits {
    ($($generic:ident)?, $type:ty, $x:ident, $word:ident => $repeat:expr) => {
        impl$(<$generic: Simd>)? Bits for $type {
            #[inline(always)]
            fn xor(self, other: Self) -> Self {
                self ^ other
            }

            #[inline(always)]
            fn and(self, other: Self) -> Self {
                self & other
            }

            #[inline(always)]
            fn or(self, other: Self) -> Self {
                self | other
            }

            #[inline(always)]
            fn and_not(self, other: Self) -> Self {
                self & !other
            }

            #[inline(always)]
            fn left(self, by: u32) -> Self {
                self << by
            }

            #[inline(always)]
            fn right(self, by: u32) -> Self {
                self >> by
            }

            #[inline(always)]
            fn repeat(self, $word: u64) -> Self {
                let $x = self;
                $repeat
            }
        }
    };
}

bits!(, u64, _x, word => word);
bits!(S, u64x4<S>, x, word => Self::splat(x.simd, word));

/// For each bit of the eight sixes all ones or all zeros.
pub(super) type RoundKey = [u64; 48];

/// What [`crypt_blocks`] wants of a round key of one or three DES.
pub(super) fn round_key(round: usize, key: &super::RoundKey) -> RoundKey {
    core::array::from_fn(|i| {
        let (six, bit) = (i / 6, i % 6);
        let key = key[six] >> (5 - bit) & 1;
        // The complements of S-box outputs gather in a half, which gets every other one.
        let came_from = usize::from(P[EXPAND[six][bit]]) - 1;
        let complemented = COMPLEMENTED[came_from / 4] >> (3 - came_from % 4) & 1;
        let updates = (round % 16).div_ceil(2) as u64;
        (key ^ (u64::from(complemented) & updates)).wrapping_neg()
    })
}

/// The bits of a round key as each block is to have them.
trait KeyBits<B> {
    /// Bit `i`; `like` is any other vector.
    fn bit(&self, i: usize, like: B) -> B;
}

impl<B: Bits> KeyBits<B> for RoundKey {
    #[inline(always)]
    fn bit(&self, i: usize, like: B) -> B {
        like.repeat(self[i])
    }
}

/// A round key of each of `64 * W` blocks.
type RoundKeys<const W: usize> = [[u64; W]; 48];

impl KeyBits<u64> for RoundKeys<1> {
    #[inline(always)]
    fn bit(&self, i: usize, _: u64) -> u64 {
        self[i][0]
    }
}

impl<S: Simd> KeyBits<u64x4<S>> for RoundKeys<4> {
    #[inline(always)]
    fn bit(&self, i: usize, like: u64x4<S>) -> u64x4<S> {
        u64x4::simd_from(like.simd, self[i])
    }
}

/// Encryption of up to `64 * W` blocks, each with its own key.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct Each<const W: usize> {
    rounds: [RoundKeys<W>; 48],
    #[zeroize(skip)]
    used: usize,
}

impl<const W: usize> Each<W> {
    pub(super) const BLOCKS: usize = 64 * W;

    /// For each block its key, all of DES or all of 3DES.
    pub(super) fn of<C>(keys: &[&Key<C>]) -> Self {
        let mut each = Self {
            rounds: [[[0; W]; 48]; 48],
            used: 0,
        };
        let mut order = ArrayVec::<_, BLOCKS>::new();
        order.extend(keys.iter().copied().zip(0..Self::BLOCKS));
        order.sort_unstable_by_key(|(key, _)| core::ptr::from_ref(*key).addr());
        for same in order.chunk_by(|(a, _), (b, _)| core::ptr::eq(*a, *b)) {
            let mut blocks = [0; W];
            for (_, block) in same {
                // As they lie in vectors.
                blocks[block % W] |= 1 << (block / W);
            }
            if let Some((key, _)) = same.first() {
                each.add(blocks, key);
            }
        }
        each
    }

    /// Gives these blocks this key.
    fn add<C>(&mut self, blocks: [u64; W], key: &Key<C>) {
        let mut rounds = self.rounds.iter_mut();
        self.used = 0;
        key.unit.slices(|key| {
            self.used += 1;
            let bits = rounds.next().into_iter().flatten();
            for (bits, key) in bits.zip(key) {
                for (bits, blocks) in bits.iter_mut().zip(blocks) {
                    *bits |= key & blocks;
                }
            }
        });
    }

    fn rounds(&self) -> impl Iterator<Item = &RoundKeys<W>> {
        self.rounds.iter().take(self.used)
    }
}

impl Each<1> {
    pub(super) fn encrypt(&self, blocks: &mut [[u8; 8]]) {
        padded(blocks, |blocks| crypt_64(self.rounds(), blocks));
    }
}

#[cfg(target_arch = "x86_64")]
impl Each<4> {
    pub(super) fn encrypt(&self, avx2: fearless_simd::Avx2, blocks: &mut [[u8; 8]]) {
        padded(blocks, |blocks| crypt_256(avx2, self.rounds(), blocks));
    }
}

/// Runs the rounds of `keys`, sixteen for each DES, over each of `blocks`.
pub(super) fn crypt_blocks<'k>(
    level: Level,
    keys: impl Iterator<Item = &'k RoundKey> + Clone,
    blocks: &mut [[u8; 8]],
) {
    #[cfg(target_arch = "x86_64")]
    if let Some(avx2) = level.as_avx2()
        && blocks.len() > 64
    {
        let (whole, rest) = blocks.as_chunks_mut();
        for blocks in whole {
            crypt_256(avx2, keys.clone(), blocks);
        }
        if rest.len() > 64 {
            padded(rest, |blocks| crypt_256(avx2, keys, blocks));
        } else if !rest.is_empty() {
            padded(rest, |blocks| crypt_64(keys, blocks));
        }
        return;
    }
    let _ = level;
    let (whole, rest) = blocks.as_chunks_mut();
    for blocks in whole {
        crypt_64(keys.clone(), blocks);
    }
    padded(rest, |blocks| crypt_64(keys, blocks));
}

#[cfg(target_arch = "x86_64")]
fn crypt_256<'k, K: KeyBits<u64x4<fearless_simd::Avx2>> + 'k>(
    avx2: fearless_simd::Avx2,
    keys: impl Iterator<Item = &'k K>,
    blocks: &mut [[u8; 8]; 256],
) {
    avx2.vectorize(
        #[inline(always)]
        || {
            let mut slices = [u64x4::splat(avx2, 0); 64];
            for (slice, blocks) in slices.iter_mut().zip(blocks.as_chunks().0) {
                *slice = u64x4::simd_from(avx2, blocks.map(u64::from_le_bytes));
            }
            crypt(keys, &mut slices);
            for (slice, blocks) in slices.iter().zip(blocks.as_chunks_mut::<4>().0) {
                *blocks = <[u64; 4]>::from(*slice).map(u64::to_le_bytes);
            }
        },
    );
}

fn crypt_64<'k, K: KeyBits<u64> + 'k>(
    keys: impl Iterator<Item = &'k K>,
    blocks: &mut [[u8; 8]; 64],
) {
    let mut slices = blocks.map(u64::from_le_bytes);
    crypt(keys, &mut slices);
    *blocks = slices.map(u64::to_le_bytes);
}

/// `slices` are blocks in little-endian order, 64 for each 64 bits of a vector.
#[inline(always)]
fn crypt<'k, B: Bits, K: KeyBits<B> + 'k>(
    mut keys: impl Iterator<Item = &'k K>,
    slices: &mut [B; 64],
) {
    transpose(slices);
    let (mut left, mut right) = ([slices[0]; 32], [slices[0]; 32]);
    for (i, (left, right)) in left.iter_mut().zip(&mut right).enumerate() {
        (*left, *right) = (slices[INITIAL[i]], slices[INITIAL[32 + i]]);
    }
    let mut rounds = 0;
    while let (Some(one), Some(two)) = (keys.next(), keys.next()) {
        round(&mut left, &right, one);
        round(&mut right, &left, two);
        rounds += 2;
        if rounds % 16 == 0 {
            // The halves of the last round are not exchanged; IP and its inverse between two DES
            // cancel out.
            (left, right) = (right, left);
        }
    }
    for (i, (left, right)) in left.iter().zip(&right).enumerate() {
        (slices[INITIAL[i]], slices[INITIAL[32 + i]]) = (*left, *right);
    }
    transpose(slices);
}

/// `left ^= f(right, key)`
#[inline(always)]
fn round<B: Bits>(left: &mut [B; 32], right: &[B; 32], key: &impl KeyBits<B>) {
    macro_rules! boxes {
        ($($i:literal $s:ident)*) => {
            $(
                let mut input = [right[0]; 6];
                input[0] = right[EXPAND[$i][0]].xor(key.bit(6 * $i, right[0]));
                input[1] = right[EXPAND[$i][1]].xor(key.bit(6 * $i + 1, right[0]));
                input[2] = right[EXPAND[$i][2]].xor(key.bit(6 * $i + 2, right[0]));
                input[3] = right[EXPAND[$i][3]].xor(key.bit(6 * $i + 3, right[0]));
                input[4] = right[EXPAND[$i][4]].xor(key.bit(6 * $i + 4, right[0]));
                input[5] = right[EXPAND[$i][5]].xor(key.bit(6 * $i + 5, right[0]));
                let [a, b, c, d] = $s(input);
                left[P_INVERSE[4 * $i]] = left[P_INVERSE[4 * $i]].xor(a);
                left[P_INVERSE[4 * $i + 1]] = left[P_INVERSE[4 * $i + 1]].xor(b);
                left[P_INVERSE[4 * $i + 2]] = left[P_INVERSE[4 * $i + 2]].xor(c);
                left[P_INVERSE[4 * $i + 3]] = left[P_INVERSE[4 * $i + 3]].xor(d);
            )*
        };
    }
    boxes!(0 s1 1 s2 2 s3 3 s4 4 s5 5 s6 6 s7 7 s8);
}

/// Bit `i` of word `j` becomes bit `j` of word `i`.
#[inline(always)]
fn transpose<B: Bits>(words: &mut [B; 64]) {
    let mut mask = u64::MAX;
    for by in [32, 16, 8, 4, 2, 1] {
        mask ^= mask << by;
        let low = words[0].repeat(mask);
        for words in words.chunks_exact_mut(2 * by) {
            let (upper, lower) = words.split_at_mut(by);
            for (a, b) in upper.iter_mut().zip(lower) {
                let exchange = a.right(by as u32).xor(*b).and(low);
                *b = b.xor(exchange);
                *a = a.xor(exchange.left(by as u32));
            }
        }
    }
}

/// Where the initial permutation takes each bit of L and R from, in a block in little-endian
/// order.
const INITIAL: [usize; 64] = {
    let mut initial = [0; 64];
    let mut i = 0;
    while i < 64 {
        // Counted from 1, each row of IP falls by 8 from one of these.
        let bit = [58, 60, 62, 64, 57, 59, 61, 63][i / 8] - 8 * (i % 8) - 1;
        initial[i] = bit / 8 * 8 + 7 - bit % 8;
        i += 1;
    }
    initial
};

/// Where the expansion E takes each bit of each six from.
const EXPAND: [[usize; 6]; 8] = {
    let mut expand = [[0; 6]; 8];
    let mut i = 0;
    while i < 48 {
        expand[i / 6][i % 6] = (i / 6 * 4 + i % 6 + 31) % 32;
        i += 1;
    }
    expand
};

/// Where the permutation P takes each output of the S-boxes to.
const P_INVERSE: [usize; 32] = {
    let mut inverse = [0; 32];
    let mut i = 0;
    while i < 32 {
        inverse[P[i] as usize - 1] = i;
        i += 1;
    }
    inverse
};
