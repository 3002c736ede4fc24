//! The same computation for many packets at once, each in a lane of a vector.
//!
//! CBC encryption and hashing are serial within a packet: only other packets keep a vector unit busy.

pub(crate) mod aes;
pub(crate) mod des;
#[cfg(target_arch = "x86_64")]
pub(crate) mod gcm;
pub(crate) mod hash;
mod md5;
mod sha1;
mod sha256;
pub(crate) mod sha512;
#[cfg(target_arch = "x86_64")]
mod sha_ni;
#[cfg(target_arch = "x86_64")]
mod stitch;
#[cfg(target_arch = "x86_64")]
mod x86;

use fearless_simd::prelude::*;
use fearless_simd::{Level, Simd, u8x16, u8x64, u32x16};

/// The best vector unit there is. Without `std` it is the one that the build assumes.
pub(crate) fn level() -> Level {
    Level::try_detect().unwrap_or(Level::baseline())
}

/// Lanes of a vector of 32-bit words.
pub(crate) const LANES: usize = 16;

/// A word of each lane.
type Words<S> = u32x16<S>;

/// What vector units do differently.
trait Ops<S: Simd> {
    fn rotate_left<const N: i32>(x: Words<S>) -> Words<S>;
    /// `a ^ b ^ c`
    fn xor3(a: Words<S>, b: Words<S>, c: Words<S>) -> Words<S>;
    /// The bits of `b` where `a` is one, those of `c` where it is zero.
    fn select(a: Words<S>, b: Words<S>, c: Words<S>) -> Words<S>;
    fn majority(a: Words<S>, b: Words<S>, c: Words<S>) -> Words<S>;
    /// `b ^ (a | !c)`
    fn xor_or_not(a: Words<S>, b: Words<S>, c: Words<S>) -> Words<S>;
}

/// Shifts and two-operand logic, which every vector unit has.
struct Plain;

impl<S: Simd> Ops<S> for Plain {
    #[inline(always)]
    fn rotate_left<const N: i32>(x: Words<S>) -> Words<S> {
        (x << N.cast_unsigned()) | (x >> (32 - N).cast_unsigned())
    }

    #[inline(always)]
    fn xor3(a: Words<S>, b: Words<S>, c: Words<S>) -> Words<S> {
        a ^ b ^ c
    }

    #[inline(always)]
    fn select(a: Words<S>, b: Words<S>, c: Words<S>) -> Words<S> {
        c ^ (a & (b ^ c))
    }

    #[inline(always)]
    fn majority(a: Words<S>, b: Words<S>, c: Words<S>) -> Words<S> {
        (a & b) | (c & (a | b))
    }

    #[inline(always)]
    fn xor_or_not(a: Words<S>, b: Words<S>, c: Words<S>) -> Words<S> {
        b ^ (a | !c)
    }
}

/// AVX-512: rotation and logic of three operands are one instruction each.
#[cfg(target_arch = "x86_64")]
mod avx512 {
    use super::{Ops, Words};
    use core::arch::x86_64::{__m512i, _mm512_rol_epi32, _mm512_ternarylogic_epi32};
    use fearless_simd::Avx512;
    use fearless_simd::prelude::*;

    pub(super) struct Wide;

    macro_rules! ternary {
        ($name:ident, $table:literal) => {
            #[inline(always)]
            fn $name(a: Words<Avx512>, b: Words<Avx512>, c: Words<Avx512>) -> Words<Avx512> {
                fearless_simd::kernel!(
                    #[inline(always)]
                    fn logic(avx512: Avx512, a: __m512i, b: __m512i, c: __m512i) -> __m512i {
                        let _ = avx512;
                        _mm512_ternarylogic_epi32::<$table>(a, b, c)
                    }
                );
                logic(a.simd, a.into(), b.into(), c.into()).simd_into(a.simd)
            }
        };
    }

    macro_rules! rotations {
        ($x:ident, $n:ident, $($by:literal)*) => {
            match $n {
                $($by => {
                    fearless_simd::kernel!(
                        #[inline(always)]
                        fn rotate(avx512: Avx512, x: __m512i) -> __m512i {
                            let _ = avx512;
                            _mm512_rol_epi32::<$by>(x)
                        }
                    );
                    rotate($x.simd, $x.into()).simd_into($x.simd)
                })*
                _ => <super::Plain as Ops<Avx512>>::rotate_left::<$n>($x),
            }
        };
    }

    impl Ops<Avx512> for Wide {
        #[inline(always)]
        fn rotate_left<const N: i32>(x: Words<Avx512>) -> Words<Avx512> {
            rotations!(x, N, 1 4 5 6 7 9 10 11 12 13 14 15 16 17 19 20 21 22 23 25 26 30)
        }

        // The tables have a bit for each of 111, 110, 101 ... 000.
        ternary!(xor3, 0x96);
        ternary!(select, 0xca);
        ternary!(majority, 0xe8);
        ternary!(xor_or_not, 0x39);
    }
}

/// Order of the bytes of a block's words.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Endian {
    Big,
    Little,
}

/// Copies a few bytes to the beginning of `to`, without a call where it can: as two halves, which
/// may overlap.
#[inline(always)]
fn put(from: &[u8], to: &mut [u8]) {
    let to = &mut to[..from.len()];
    macro_rules! halves {
        ($($half:literal)*) => { $(
            if from.len() <= 2 * $half
                && let (Some(first), Some(last)) = (from.first_chunk(), from.last_chunk())
            {
                if let Some(to) = to.first_chunk_mut::<$half>() {
                    *to = *first;
                }
                if let Some(to) = to.last_chunk_mut::<$half>() {
                    *to = *last;
                }
                return;
            }
        )* };
    }
    halves!(32 16 8 4);
    to.copy_from_slice(from);
}

/// Reads a byte of each lane's block, so that it is on its way from the cache when it is needed.
#[inline(always)]
fn touch(data: &hash::Data<'_>, block: usize) {
    let mut sum = 0;
    for lane in data {
        if let Some(block) = lane.get(block) {
            sum ^= block[63];
        }
    }
    core::hint::black_box(sum);
}

/// Words of a block in each lane: word `w` of lane `l` comes out at `[w][l]`.
#[inline(always)]
fn transpose<S: Simd>(simd: S, blocks: [&[u8; 64]; LANES], endian: Endian) -> [Words<S>; 16] {
    let order = match endian {
        Endian::Big => [3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12],
        Endian::Little => [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    };
    let order = u8x64::block_splat(u8x16::from_slice(simd, &order));
    // A loop: what is mapped over an array may become a function for no vector unit.
    let mut rows = [Words::splat(simd, 0); LANES];
    for (row, block) in rows.iter_mut().zip(blocks) {
        let bytes = u8x64::from_slice(simd, block);
        let bytes = match endian {
            Endian::Big => simd.swizzle_dyn_within_blocks_u8x64(bytes, order),
            Endian::Little => bytes,
        };
        *row = bytes.bitcast();
    }
    // Four perfect shuffles of sixteen rows are a transposition.
    for _ in 0..4 {
        rows = core::array::from_fn(|i| {
            let (a, b) = (rows[i / 2], rows[i / 2 + 8]);
            if i % 2 == 0 {
                simd.zip_low_u32x16(a, b)
            } else {
                simd.zip_high_u32x16(a, b)
            }
        });
    }
    rows
}

/// What a hash function with `N` words of state does with a block of each lane.
trait Rounds<const N: usize>: hash::Hash {
    const ENDIAN: Endian;

    /// What is to be added to `state`.
    fn rounds<S: Simd, O: Ops<S>>(
        simd: S,
        state: [Words<S>; N],
        words: [Words<S>; 16],
    ) -> [Words<S>; N];
}

/// Adds `blocks` of each lane to its state.
#[inline(always)]
fn compress<S: Simd, O: Ops<S>, H: Rounds<N>, const N: usize>(
    simd: S,
    states: &mut [hash::State; LANES],
    data: &hash::Data<'_>,
    blocks: usize,
) {
    let data: hash::Data<'_> = data.map(|lane| lane.split_at(blocks).0);
    let mut sum: [Words<S>; N] = core::array::from_fn(|word| {
        let row: [u32; LANES] = core::array::from_fn(|lane| states[lane][word]);
        row.simd_into(simd)
    });
    for block in 0..blocks {
        touch(&data, block + 1);
        let words = transpose(simd, data.map(|lane| &lane[block]), H::ENDIAN);
        let new = H::rounds::<S, O>(simd, sum, words);
        for (sum, new) in sum.iter_mut().zip(new) {
            *sum += new;
        }
    }
    for (word, row) in sum.into_iter().enumerate() {
        let row: [u32; LANES] = row.into();
        for (state, new) in states.iter_mut().zip(row) {
            state[word] = new;
        }
    }
}

/// [`compress`] at the best level there is. The rounds are a trait's and not a closure's, as a
/// closure's code would not be made for that level.
fn compress_at<H: Rounds<N>, const N: usize>(
    level: Level,
    states: &mut [hash::State; LANES],
    data: &hash::Data<'_>,
    blocks: usize,
) {
    #[cfg(target_arch = "x86_64")]
    if let Some(avx512) = level.as_avx512() {
        return avx512.vectorize(
            #[inline(always)]
            || compress::<_, avx512::Wide, H, N>(avx512, states, data, blocks),
        );
    }
    #[cfg(target_arch = "x86_64")]
    if let Some(avx2) = level.as_avx2() {
        return avx2.vectorize(
            #[inline(always)]
            || compress::<_, Plain, H, N>(avx2, states, data, blocks),
        );
    }
    let _ = level;
    for (state, lane) in states.iter_mut().zip(data) {
        H::compress_one(state, lane.split_at(blocks).0);
    }
}

/// Repeats a macro's call for each of sixteen numbers, so that each has its own code.
macro_rules! sixteen {
    ($round:ident $(, $argument:tt)*) => {
        $round!(0 $(, $argument)*); $round!(1 $(, $argument)*); $round!(2 $(, $argument)*); $round!(3 $(, $argument)*);
        $round!(4 $(, $argument)*); $round!(5 $(, $argument)*); $round!(6 $(, $argument)*); $round!(7 $(, $argument)*);
        $round!(8 $(, $argument)*); $round!(9 $(, $argument)*); $round!(10 $(, $argument)*); $round!(11 $(, $argument)*);
        $round!(12 $(, $argument)*); $round!(13 $(, $argument)*); $round!(14 $(, $argument)*); $round!(15 $(, $argument)*);
    };
}
use sixteen;

/// The levels that this machine has, the best first.
#[cfg(test)]
fn levels() -> Vec<Level> {
    let level = Level::new();
    #[cfg(target_arch = "x86_64")]
    let below = [
        level.as_avx2().map(Level::Avx2),
        level.as_sse4_2().map(Level::Sse4_2),
        level.as_sse2().map(Level::Sse2),
    ];
    #[cfg(not(target_arch = "x86_64"))]
    let below = [None];
    core::iter::once(level)
        .chain(below.into_iter().flatten())
        .collect()
}
