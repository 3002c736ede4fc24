//! SHA-1 (FIPS 180-4 section 6.1) over the blocks of sixteen messages.

#[cfg(target_arch = "x86_64")]
use super::hash::{self, Job, Tag};
use super::hash::{Data, Hash, State, Wide};
#[cfg(target_arch = "x86_64")]
use super::sha_ni::{self, SHA1_LANES};
use super::{Endian, LANES, Ops, Rounds, Words, compress_at, sixteen};
use fearless_simd::prelude::*;
use fearless_simd::{Level, Simd};

pub(crate) struct Sha1;

impl Hash for Sha1 {
    const INITIAL: State = [
        0x6745_2301,
        0xefcd_ab89,
        0x98ba_dcfe,
        0x1032_5476,
        0xc3d2_e1f0,
        0,
        0,
        0,
    ];
    const WORDS: usize = 5;
    const BIG_ENDIAN: bool = true;

    fn compress_one(state: &mut State, blocks: &[[u8; 64]]) {
        if let Some(state) = state.first_chunk_mut() {
            sha1::block_api::compress(state, blocks);
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn mac(job: &Job<'_>, tag: &mut Tag) {
        if sha_ni::sha1_mac(job, tag).is_none() {
            hash::mac::<Self>(job, tag);
        }
    }
}

impl Wide<LANES> for Sha1 {
    const WORTHWHILE: usize = 5;

    fn compress(level: Level, states: &mut [State; LANES], data: &Data<'_>, blocks: usize) {
        compress_at::<Self, _>(level, states, data, blocks);
    }
}

#[cfg(target_arch = "x86_64")]
impl Wide<SHA1_LANES> for Sha1 {
    const WORTHWHILE: usize = 2;
    const FEWER: bool = true;

    fn compress(
        _: Level,
        states: &mut [State; SHA1_LANES],
        data: &Data<'_, SHA1_LANES>,
        blocks: usize,
    ) {
        sha_ni::sha1(states, data, blocks);
    }

    fn macs(_: Level, jobs: &[Job<'_>], tags: &mut [Tag]) {
        sha_ni::sha1_macs(jobs, tags);
    }
}

impl Rounds<5> for Sha1 {
    const ENDIAN: Endian = Endian::Big;

    #[inline(always)]
    fn rounds<S: Simd, O: Ops<S>>(
        simd: S,
        state: [Words<S>; 5],
        mut w: [Words<S>; 16],
    ) -> [Words<S>; 5] {
        let [mut a, mut b, mut c, mut d, mut e] = state;
        macro_rules! rotate {
            ($f:expr, $w:expr, $k:expr) => {
                let t = O::rotate_left::<5>(a) + $f + (e + ($w + $k));
                (e, d, c, b, a) = (d, c, O::rotate_left::<30>(b), a, t);
            };
        }
        macro_rules! schedule {
            ($i:literal) => {{
                let x = O::xor3(w[($i + 13) & 15], w[($i + 8) & 15], w[($i + 2) & 15]) ^ w[$i];
                w[$i] = O::rotate_left::<1>(x);
                w[$i]
            }};
        }
        let k: [Words<S>; 4] = [0x5a82_7999, 0x6ed9_eba1, 0x8f1b_bcdc, 0xca62_c1d6]
            .map(|k: u32| Words::splat(simd, k));
        macro_rules! round_0 {
            ($i:literal) => {
                rotate!(O::select(b, c, d), w[$i], k[0]);
            };
        }
        macro_rules! round_16 {
            ($i:literal) => {
                let x = schedule!($i);
                if $i < 4 {
                    rotate!(O::select(b, c, d), x, k[0]);
                } else {
                    rotate!(O::xor3(b, c, d), x, k[1]);
                }
            };
        }
        macro_rules! round_32 {
            ($i:literal) => {
                let x = schedule!($i);
                if $i < 8 {
                    rotate!(O::xor3(b, c, d), x, k[1]);
                } else {
                    rotate!(O::majority(b, c, d), x, k[2]);
                }
            };
        }
        macro_rules! round_48 {
            ($i:literal) => {
                let x = schedule!($i);
                if $i < 12 {
                    rotate!(O::majority(b, c, d), x, k[2]);
                } else {
                    rotate!(O::xor3(b, c, d), x, k[3]);
                }
            };
        }
        macro_rules! round_64 {
            ($i:literal) => {
                let x = schedule!($i);
                rotate!(O::xor3(b, c, d), x, k[3]);
            };
        }
        sixteen!(round_0);
        sixteen!(round_16);
        sixteen!(round_32);
        sixteen!(round_48);
        sixteen!(round_64);
        [a, b, c, d, e]
    }
}
