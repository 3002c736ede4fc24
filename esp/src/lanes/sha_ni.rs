//! SHA-1 and SHA-256 with the SHA instructions: their latency leaves time for a second and a third
//! message.

use super::hash::Data;
use super::sha256::K;
use super::x86::{load_words, sha, sha_entry, store_words};
use core::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_set_epi32, _mm_set_epi64x, _mm_setzero_si128,
    _mm_sha1msg1_epu32, _mm_sha1msg2_epu32, _mm_sha1nexte_epu32, _mm_sha1rnds4_epu32,
    _mm_sha256msg1_epu32, _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32, _mm_shuffle_epi8,
    _mm_shuffle_epi32, _mm_xor_si128,
};

/// Messages side by side: with more, registers run out.
pub(super) const SHA1_LANES: usize = 3;
/// Here two keep the unit busy.
pub(super) const SHA256_LANES: usize = 2;

sha_entry! {
    pub(super) fn sha1(
        state: &mut [[u32; SHA1_LANES]; 8],
        data: &Data<'_, SHA1_LANES>,
        blocks: usize,
    ) -> () = sha1_blocks
}

sha_entry! {
    pub(super) fn sha256(
        state: &mut [[u32; SHA256_LANES]; 8],
        data: &Data<'_, SHA256_LANES>,
        blocks: usize,
    ) -> () = sha256_blocks
}

// Loops over the lanes that the compiler has to unroll leave everything in memory.
macro_rules! sha1_lanes {
    ($f:ident $(, $i:tt)*) => {
        $f!(0 $(, $i)*);
        $f!(1 $(, $i)*);
        $f!(2 $(, $i)*);
    };
}

macro_rules! sha256_lanes {
    ($f:ident $(, $i:tt)*) => {
        $f!(0 $(, $i)*);
        $f!(1 $(, $i)*);
    };
}

sha! {
    /// Words of a lane's state, the highest first.
    fn gather<const N: usize>(state: &[[u32; N]; 8], lane: usize, words: [usize; 4]) -> __m128i {
        let [a, b, c, d] = words;
        let word = |word: usize| state[word][lane].cast_signed();
        _mm_set_epi32(word(a), word(b), word(c), word(d))
    }

    /// The opposite of [`gather`].
    fn scatter<const N: usize>(v: __m128i, state: &mut [[u32; N]; 8], lane: usize, words: [usize; 4]) {
        let mut bytes = [0; 16];
        store_words(v, &mut bytes);
        for (word, bytes) in words.iter().rev().zip(bytes.as_chunks().0) {
            state[*word][lane] = u32::from_le_bytes(*bytes);
        }
    }

    fn sha1_blocks(state: &mut [[u32; SHA1_LANES]; 8], data: &Data<'_, SHA1_LANES>, blocks: usize) {
        let order = _mm_set_epi64x(0x0001_0203_0405_0607, 0x0809_0a0b_0c0d_0e0f);
        let zero = _mm_setzero_si128();
        let mut abcd = [zero; SHA1_LANES];
        let mut e = [zero; SHA1_LANES];
        for lane in 0..SHA1_LANES {
            abcd[lane] = gather(state, lane, [0, 1, 2, 3]);
            // The instructions want it in the highest word.
            e[lane] = gather(state, lane, [4, 5, 6, 7]);
        }
        let mut data = *data;
        for lane in &mut data {
            *lane = lane.split_at(blocks).0;
        }
        for block in 0..blocks {
            let (abcd_before, e_before) = (abcd, e);
            let mut w = [[zero; 4]; SHA1_LANES];
            for (w, lane) in w.iter_mut().zip(&data) {
                for (w, bytes) in w.iter_mut().zip(lane[block].as_chunks().0) {
                    *w = _mm_shuffle_epi8(load_words(bytes), order);
                }
            }
            macro_rules! four {
                ($lane:literal, $g:literal, $f:literal) => {
                    let w = &mut w[$lane];
                    let add = if $g == 0 {
                        _mm_add_epi32(e[$lane], w[0])
                    } else {
                        _mm_sha1nexte_epu32(e[$lane], w[$g % 4])
                    };
                    e[$lane] = abcd[$lane];
                    abcd[$lane] = _mm_sha1rnds4_epu32::<$f>(abcd[$lane], add);
                    if $g < 16 {
                        let x = _mm_sha1msg1_epu32(w[$g % 4], w[($g + 1) % 4]);
                        let x = _mm_xor_si128(x, w[($g + 2) % 4]);
                        w[$g % 4] = _mm_sha1msg2_epu32(x, w[($g + 3) % 4]);
                    }
                };
            }
            macro_rules! five {
                ($f:literal, $($g:literal)*) => {
                    $(sha1_lanes!(four, $g, $f);)*
                };
            }
            five!(0, 0 1 2 3 4);
            five!(1, 5 6 7 8 9);
            five!(2, 10 11 12 13 14);
            five!(3, 15 16 17 18 19);
            for lane in 0..SHA1_LANES {
                e[lane] = _mm_sha1nexte_epu32(e[lane], e_before[lane]);
                abcd[lane] = _mm_add_epi32(abcd[lane], abcd_before[lane]);
            }
        }
        for lane in 0..SHA1_LANES {
            scatter(abcd[lane], state, lane, [0, 1, 2, 3]);
            scatter(e[lane], state, lane, [4, 5, 6, 7]);
        }
    }

    fn sha256_blocks(state: &mut [[u32; SHA256_LANES]; 8], data: &Data<'_, SHA256_LANES>, blocks: usize) {
        let order = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
        let zero = _mm_setzero_si128();
        let mut abef = [zero; SHA256_LANES];
        let mut cdgh = [zero; SHA256_LANES];
        for lane in 0..SHA256_LANES {
            abef[lane] = gather(state, lane, [0, 1, 4, 5]);
            cdgh[lane] = gather(state, lane, [2, 3, 6, 7]);
        }
        let mut data = *data;
        for lane in &mut data {
            *lane = lane.split_at(blocks).0;
        }
        for block in 0..blocks {
            let (abef_before, cdgh_before) = (abef, cdgh);
            let mut w = [[zero; 4]; SHA256_LANES];
            for (w, lane) in w.iter_mut().zip(&data) {
                for (w, bytes) in w.iter_mut().zip(lane[block].as_chunks().0) {
                    *w = _mm_shuffle_epi8(load_words(bytes), order);
                }
            }
            macro_rules! four {
                ($lane:literal, $g:literal) => {
                    let w = &mut w[$lane];
                    let k = |i: usize| K[4 * $g + i].cast_signed();
                    let add = _mm_add_epi32(w[$g % 4], _mm_set_epi32(k(3), k(2), k(1), k(0)));
                    cdgh[$lane] = _mm_sha256rnds2_epu32(cdgh[$lane], abef[$lane], add);
                    let add = _mm_shuffle_epi32::<0x0e>(add);
                    abef[$lane] = _mm_sha256rnds2_epu32(abef[$lane], cdgh[$lane], add);
                    if $g < 12 {
                        let x = _mm_sha256msg1_epu32(w[$g % 4], w[($g + 1) % 4]);
                        let y = _mm_alignr_epi8::<4>(w[($g + 3) % 4], w[($g + 2) % 4]);
                        w[$g % 4] = _mm_sha256msg2_epu32(_mm_add_epi32(x, y), w[($g + 3) % 4]);
                    }
                };
            }
            macro_rules! all {
                ($($g:literal)*) => {
                    $(sha256_lanes!(four, $g);)*
                };
            }
            all!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
            for lane in 0..SHA256_LANES {
                abef[lane] = _mm_add_epi32(abef[lane], abef_before[lane]);
                cdgh[lane] = _mm_add_epi32(cdgh[lane], cdgh_before[lane]);
            }
        }
        for lane in 0..SHA256_LANES {
            scatter(abef[lane], state, lane, [0, 1, 4, 5]);
            scatter(cdgh[lane], state, lane, [2, 3, 6, 7]);
        }
    }
}
