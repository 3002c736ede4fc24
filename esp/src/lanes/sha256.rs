//! SHA-256 (FIPS 180-4 section 6.2) over the blocks of sixteen messages.

#[cfg(target_arch = "x86_64")]
use super::hash::{self, Job, Tag};
use super::hash::{Data, Hash, State, Wide};
#[cfg(target_arch = "x86_64")]
use super::sha_ni::{self, SHA256_LANES};
use super::{Endian, LANES, Ops, Rounds, Words, compress_at, sixteen};
use fearless_simd::prelude::*;
use fearless_simd::{Level, Simd};

pub(crate) struct Sha256;

impl Hash for Sha256 {
    const INITIAL: State = [
        0x6a09_e667,
        0xbb67_ae85,
        0x3c6e_f372,
        0xa54f_f53a,
        0x510e_527f,
        0x9b05_688c,
        0x1f83_d9ab,
        0x5be0_cd19,
    ];
    const WORDS: usize = 8;
    const BIG_ENDIAN: bool = true;

    fn compress_one(state: &mut State, blocks: &[[u8; 64]]) {
        sha2::block_api::compress256(state, blocks);
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn mac(job: &Job<'_>, tag: &mut Tag) {
        if sha_ni::sha256_mac(job, tag).is_none() {
            hash::mac::<Self>(job, tag);
        }
    }
}

impl Wide<LANES> for Sha256 {
    const WORTHWHILE: usize = 7;

    fn compress(level: Level, states: &mut [State; LANES], data: &Data<'_>, blocks: usize) {
        compress_at::<Self, _>(level, states, data, blocks);
    }
}

#[cfg(target_arch = "x86_64")]
impl Wide<SHA256_LANES> for Sha256 {
    const WORTHWHILE: usize = 2;
    const FEWER: bool = true;

    fn compress(
        _: Level,
        states: &mut [State; SHA256_LANES],
        data: &Data<'_, SHA256_LANES>,
        blocks: usize,
    ) {
        sha_ni::sha256(states, data, blocks);
    }

    fn macs(_: Level, jobs: &[Job<'_>], tags: &mut [Tag]) {
        sha_ni::sha256_macs(jobs, tags);
    }
}

#[rustfmt::skip]
pub(super) const K: [u32; 64] = [
    0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
    0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
    0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
    0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
    0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
    0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
    0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
    0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
];

impl Rounds<8> for Sha256 {
    const ENDIAN: Endian = Endian::Big;

    #[inline(always)]
    fn rounds<S: Simd, O: Ops<S>>(
        simd: S,
        state: [Words<S>; 8],
        mut w: [Words<S>; 16],
    ) -> [Words<S>; 8] {
        let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = state;
        macro_rules! rotate {
            ($w:expr, $k:expr) => {
                let s1 = O::xor3(
                    O::rotate_left::<26>(e),
                    O::rotate_left::<21>(e),
                    O::rotate_left::<7>(e),
                );
                let t1 = (h + ($w + Words::splat(simd, $k))) + O::select(e, f, g) + s1;
                let s0 = O::xor3(
                    O::rotate_left::<30>(a),
                    O::rotate_left::<19>(a),
                    O::rotate_left::<10>(a),
                );
                let t2 = s0 + O::majority(a, b, c);
                (h, g, f, e, d, c, b, a) = (g, f, e, d + t1, c, b, a, t1 + t2);
            };
        }
        macro_rules! first {
            ($i:literal) => {
                rotate!(w[$i], K[$i]);
            };
        }
        macro_rules! later {
            ($i:literal, $k:expr) => {
                let (x, y) = (w[($i + 1) & 15], w[($i + 14) & 15]);
                let s0 = O::xor3(O::rotate_left::<25>(x), O::rotate_left::<14>(x), x >> 3);
                let s1 = O::xor3(O::rotate_left::<15>(y), O::rotate_left::<13>(y), y >> 10);
                w[$i] = (w[$i] + s0) + (w[($i + 9) & 15] + s1);
                rotate!(w[$i], $k[$i]);
            };
        }
        sixteen!(first);
        for k in K.as_chunks::<16>().0.iter().skip(1) {
            sixteen!(later, k);
        }
        [a, b, c, d, e, f, g, h]
    }
}
