//! SHA-1 and SHA-256 with the SHA instructions: their latency leaves time for a second and a third
//! message.

use super::hash::{Data, State};
use super::sha256::K;
use super::x86::{load_words, sha, sha_entry, store_words};
use core::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_set_epi32, _mm_setzero_si128, _mm_sha1msg1_epu32,
    _mm_sha1msg2_epu32, _mm_sha1nexte_epu32, _mm_sha1rnds4_epu32, _mm_sha256msg1_epu32,
    _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32, _mm_shuffle_epi8, _mm_shuffle_epi32,
    _mm_xor_si128,
};

/// Messages side by side: with more, registers run out.
pub(super) const SHA1_LANES: usize = 3;
/// Here two keep the unit busy.
pub(super) const SHA256_LANES: usize = 2;

sha_entry! {
    pub(super) fn sha1(
        states: &mut [State; SHA1_LANES],
        data: &Data<'_, SHA1_LANES>,
        blocks: usize,
    ) -> () = sha1_blocks
}

sha_entry! {
    pub(super) fn sha256(
        states: &mut [State; SHA256_LANES],
        data: &Data<'_, SHA256_LANES>,
        blocks: usize,
    ) -> () = sha256_blocks
}

/// Four rounds of SHA-1, number `$g` of twenty, with function `$f`; and the words of the message
/// that sixteen rounds later need.
macro_rules! sha1_four {
    ($w:expr, $abcd:expr, $e:expr, $g:literal, $f:literal) => {
        let add = if $g == 0 {
            _mm_add_epi32($e, $w[0])
        } else {
            _mm_sha1nexte_epu32($e, $w[$g % 4])
        };
        $e = $abcd;
        $abcd = _mm_sha1rnds4_epu32::<$f>($abcd, add);
        if $g < 16 {
            let x = _mm_sha1msg1_epu32($w[$g % 4], $w[($g + 1) % 4]);
            let x = _mm_xor_si128(x, $w[($g + 2) % 4]);
            $w[$g % 4] = _mm_sha1msg2_epu32(x, $w[($g + 3) % 4]);
        }
    };
}

/// Four rounds of SHA-256, number `$g` of sixteen; and the words of the message that sixteen
/// rounds later need.
macro_rules! sha256_four {
    ($w:expr, $abef:expr, $cdgh:expr, $g:literal) => {
        let k = |i: usize| K[4 * $g + i].cast_signed();
        let add = _mm_add_epi32($w[$g % 4], _mm_set_epi32(k(3), k(2), k(1), k(0)));
        $cdgh = _mm_sha256rnds2_epu32($cdgh, $abef, add);
        $abef = _mm_sha256rnds2_epu32($abef, $cdgh, _mm_shuffle_epi32::<0x0e>(add));
        if $g < 12 {
            let x = _mm_sha256msg1_epu32($w[$g % 4], $w[($g + 1) % 4]);
            let y = _mm_alignr_epi8::<4>($w[($g + 3) % 4], $w[($g + 2) % 4]);
            $w[$g % 4] = _mm_sha256msg2_epu32(_mm_add_epi32(x, y), $w[($g + 3) % 4]);
        }
    };
}

pub(super) use {sha1_four, sha256_four};

/// For `_mm_shuffle_epi8`: the order in which the instructions want a block's bytes.
pub(super) const SHA1_ORDER: [u8; 16] = [15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0];
pub(super) const SHA256_ORDER: [u8; 16] = [3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12];

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
    /// Words of a state, the highest first.
    pub(super) fn gather(state: &State, words: [usize; 4]) -> __m128i {
        let [a, b, c, d] = words;
        let word = |word: usize| state[word].cast_signed();
        _mm_set_epi32(word(a), word(b), word(c), word(d))
    }

    /// The opposite of [`gather`].
    pub(super) fn scatter(v: __m128i, state: &mut State, words: [usize; 4]) {
        let mut bytes = [0; 16];
        store_words(v, &mut bytes);
        for (word, bytes) in words.iter().rev().zip(bytes.as_chunks().0) {
            state[*word] = u32::from_le_bytes(*bytes);
        }
    }

    #[allow(unused_assignments, reason = "the last rounds make no words, which is not seen")]
    fn sha1_blocks(states: &mut [State; SHA1_LANES], data: &Data<'_, SHA1_LANES>, blocks: usize) {
        let order = load_words(&SHA1_ORDER);
        let zero = _mm_setzero_si128();
        let mut abcd = [zero; SHA1_LANES];
        let mut e = [zero; SHA1_LANES];
        for lane in 0..SHA1_LANES {
            abcd[lane] = gather(&states[lane], [0, 1, 2, 3]);
            // The instructions want it in the highest word.
            e[lane] = gather(&states[lane], [4, 5, 6, 7]);
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
                    sha1_four!(w[$lane], abcd[$lane], e[$lane], $g, $f);
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
            scatter(abcd[lane], &mut states[lane], [0, 1, 2, 3]);
            scatter(e[lane], &mut states[lane], [4, 5, 6, 7]);
        }
    }

    #[allow(unused_assignments, reason = "the last rounds make no words, which is not seen")]
    fn sha256_blocks(states: &mut [State; SHA256_LANES], data: &Data<'_, SHA256_LANES>, blocks: usize) {
        let order = load_words(&SHA256_ORDER);
        let zero = _mm_setzero_si128();
        let mut abef = [zero; SHA256_LANES];
        let mut cdgh = [zero; SHA256_LANES];
        for lane in 0..SHA256_LANES {
            abef[lane] = gather(&states[lane], [0, 1, 4, 5]);
            cdgh[lane] = gather(&states[lane], [2, 3, 6, 7]);
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
                    sha256_four!(w[$lane], abef[$lane], cdgh[$lane], $g);
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
            scatter(abef[lane], &mut states[lane], [0, 1, 4, 5]);
            scatter(cdgh[lane], &mut states[lane], [2, 3, 6, 7]);
        }
    }
}
