//! MD5 (RFC 1321) over the blocks of sixteen messages.

use super::hash::{Data, Hash, State, Wide};
use super::{Endian, LANES, Ops, Rounds, Words, compress_at};
use fearless_simd::prelude::*;
use fearless_simd::{Level, Simd};

pub(crate) struct Md5;

impl Hash for Md5 {
    const INITIAL: State = [
        0x6745_2301,
        0xefcd_ab89,
        0x98ba_dcfe,
        0x1032_5476,
        0,
        0,
        0,
        0,
    ];
    const WORDS: usize = 4;
    const BIG_ENDIAN: bool = false;

    fn compress_one(state: &mut State, blocks: &[[u8; 64]]) {
        if let Some(state) = state.first_chunk_mut() {
            md5::block_api::compress(state, blocks);
        }
    }
}

impl Wide<LANES> for Md5 {
    const WORTHWHILE: usize = 3;

    fn compress(level: Level, states: &mut [State; LANES], data: &Data<'_>, blocks: usize) {
        compress_at::<Self, _>(level, states, data, blocks);
    }
}

#[rustfmt::skip]
const K: [u32; 64] = [
    0xd76a_a478, 0xe8c7_b756, 0x2420_70db, 0xc1bd_ceee, 0xf57c_0faf, 0x4787_c62a, 0xa830_4613, 0xfd46_9501,
    0x6980_98d8, 0x8b44_f7af, 0xffff_5bb1, 0x895c_d7be, 0x6b90_1122, 0xfd98_7193, 0xa679_438e, 0x49b4_0821,
    0xf61e_2562, 0xc040_b340, 0x265e_5a51, 0xe9b6_c7aa, 0xd62f_105d, 0x0244_1453, 0xd8a1_e681, 0xe7d3_fbc8,
    0x21e1_cde6, 0xc337_07d6, 0xf4d5_0d87, 0x455a_14ed, 0xa9e3_e905, 0xfcef_a3f8, 0x676f_02d9, 0x8d2a_4c8a,
    0xfffa_3942, 0x8771_f681, 0x6d9d_6122, 0xfde5_380c, 0xa4be_ea44, 0x4bde_cfa9, 0xf6bb_4b60, 0xbebf_bc70,
    0x289b_7ec6, 0xeaa1_27fa, 0xd4ef_3085, 0x0488_1d05, 0xd9d4_d039, 0xe6db_99e5, 0x1fa2_7cf8, 0xc4ac_5665,
    0xf429_2244, 0x432a_ff97, 0xab94_23a7, 0xfc93_a039, 0x655b_59c3, 0x8f0c_cc92, 0xffef_f47d, 0x8584_5dd1,
    0x6fa8_7e4f, 0xfe2c_e6e0, 0xa301_4314, 0x4e08_11a1, 0xf753_7e82, 0xbd3a_f235, 0x2ad7_d2bb, 0xeb86_d391,
];

impl Rounds<4> for Md5 {
    const ENDIAN: Endian = Endian::Little;

    #[inline(always)]
    fn rounds<S: Simd, O: Ops<S>>(
        simd: S,
        state: [Words<S>; 4],
        w: [Words<S>; 16],
    ) -> [Words<S>; 4] {
        let [mut a, mut b, mut c, mut d] = state;
        // Four steps of a round: their function, first step, first word and stride between
        // words, and shifts.
        macro_rules! steps {
            ($f:expr, $i:literal, $w:literal, $stride:literal, $s0:literal $s1:literal $s2:literal $s3:literal) => {
                steps!(@ $f, $i, $w, $s0);
                steps!(@ $f, ($i + 1), ($w + $stride), $s1);
                steps!(@ $f, ($i + 2), ($w + 2 * $stride), $s2);
                steps!(@ $f, ($i + 3), ($w + 3 * $stride), $s3);
            };
            (@ $f:expr, $i:expr, $w:expr, $s:literal) => {
                let t = $f(b, c, d) + (a + (w[$w & 15] + Words::splat(simd, K[$i])));
                (a, d, c, b) = (d, c, b, b + O::rotate_left::<$s>(t));
            };
        }
        macro_rules! round {
            ($f:expr, $i:literal $j:literal $k:literal $l:literal, $stride:literal, $w0:literal $w1:literal $w2:literal $w3:literal, $($s:literal)*) => {
                steps!($f, $i, $w0, $stride, $($s)*);
                steps!($f, $j, $w1, $stride, $($s)*);
                steps!($f, $k, $w2, $stride, $($s)*);
                steps!($f, $l, $w3, $stride, $($s)*);
            };
        }
        round!(O::select, 0 4 8 12, 1, 0 4 8 12, 7 12 17 22);
        round!(by_last::<S, O>, 16 20 24 28, 5, 1 5 9 13, 5 9 14 20);
        round!(O::xor3, 32 36 40 44, 3, 5 1 13 9, 4 11 16 23);
        round!(mixed::<S, O>, 48 52 56 60, 7, 0 12 8 4, 6 10 15 21);
        [a, b, c, d]
    }
}

/// RFC 1321's G.
#[inline(always)]
fn by_last<S: Simd, O: Ops<S>>(b: Words<S>, c: Words<S>, d: Words<S>) -> Words<S> {
    O::select(d, b, c)
}

/// RFC 1321's I.
#[inline(always)]
fn mixed<S: Simd, O: Ops<S>>(b: Words<S>, c: Words<S>, d: Words<S>) -> Words<S> {
    O::xor_or_not(b, c, d)
}
