//! One message: its words two at a time in vectors, which leaves the rounds to the other units.

use super::{Block, K, State};
use core::arch::x86_64::{
    __m128i, _mm_add_epi64, _mm_alignr_epi8, _mm_set_epi8, _mm_setzero_si128, _mm_shuffle_epi8,
    _mm_slli_epi64, _mm_srli_epi64, _mm_xor_si128,
};
use fearless_simd::prelude::*;
use fearless_simd::{Avx2, u8x16, u64x2};

/// A round; the majority is of what the one before has left in `$bc`.
macro_rules! round {
    ($bc:ident $a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident $kw:expr) => {
        let s1 = $e.rotate_right(14) ^ $e.rotate_right(18) ^ $e.rotate_right(41);
        let choice = ($e & $f).wrapping_add(!$e & $g);
        let t1 = $h.wrapping_add($kw).wrapping_add(choice).wrapping_add(s1);
        let s0 = $a.rotate_right(28) ^ $a.rotate_right(34) ^ $a.rotate_right(39);
        let ab = $a ^ $b;
        let most = (ab & $bc) ^ $b;
        $bc = ab;
        $d = $d.wrapping_add(t1);
        $h = t1.wrapping_add(s0).wrapping_add(most);
    };
}

/// Eight rounds from `$at` on, with `$words` after each two.
macro_rules! eight {
    ($bc:ident $a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident $kw:expr, $at:literal, $words:ident) => {
        round!($bc $a $b $c $d $e $f $g $h $kw[$at]);
        round!($bc $h $a $b $c $d $e $f $g $kw[$at + 1]);
        $words!($at / 2);
        round!($bc $g $h $a $b $c $d $e $f $kw[$at + 2]);
        round!($bc $f $g $h $a $b $c $d $e $kw[$at + 3]);
        $words!($at / 2 + 1);
        round!($bc $e $f $g $h $a $b $c $d $kw[$at + 4]);
        round!($bc $d $e $f $g $h $a $b $c $kw[$at + 5]);
        $words!($at / 2 + 2);
        round!($bc $c $d $e $f $g $h $a $b $kw[$at + 6]);
        round!($bc $b $c $d $e $f $g $h $a $kw[$at + 7]);
        $words!($at / 2 + 3);
    };
}

macro_rules! rotate {
    ($x:expr, $n:literal) => {
        _mm_xor_si128(_mm_srli_epi64::<$n>($x), _mm_slli_epi64::<{ 64 - $n }>($x))
    };
}

macro_rules! xor3 {
    ($a:expr, $b:expr, $c:expr) => {
        _mm_xor_si128(_mm_xor_si128($a, $b), $c)
    };
}

fearless_simd::kernel!(
    pub(super) fn compress(avx2: Avx2, state: &mut State, blocks: &[Block]) {
        let order = _mm_set_epi8(8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
        let (ks, _) = K.as_chunks::<16>();
        for block in blocks {
            // Constants and words of each sixteen rounds.
            let mut kw = [[0; 16]; 5];
            let mut w = [_mm_setzero_si128(); 8];
            for (at, bytes) in block.as_chunks::<16>().0.iter().enumerate() {
                w[at] = _mm_shuffle_epi8(u8x16::from_slice(avx2, bytes).into(), order);
                put(avx2, w[at], &ks[0], &mut kw[0], at);
            }
            let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *state;
            let mut bc = b ^ c;
            for (at, k) in ks.iter().enumerate().skip(1) {
                let (now, next) = kw.split_at_mut(at);
                let (now, next) = (&now[at - 1], &mut next[0]);
                macro_rules! words {
                    ($i:expr) => {
                        let x = _mm_alignr_epi8::<8>(w[($i + 1) & 7], w[$i]);
                        let y = w[($i + 7) & 7];
                        let s0 = xor3!(rotate!(x, 1), rotate!(x, 8), _mm_srli_epi64::<7>(x));
                        let s1 = xor3!(rotate!(y, 19), rotate!(y, 61), _mm_srli_epi64::<6>(y));
                        let nine = _mm_alignr_epi8::<8>(w[($i + 5) & 7], w[($i + 4) & 7]);
                        w[$i] = _mm_add_epi64(_mm_add_epi64(w[$i], nine), _mm_add_epi64(s0, s1));
                        put(avx2, w[$i], k, next, $i);
                    };
                }
                eight!(bc a b c d e f g h now, 0, words);
                eight!(bc a b c d e f g h now, 8, words);
            }
            macro_rules! none {
                ($i:expr) => {};
            }
            eight!(bc a b c d e f g h kw[4], 0, none);
            eight!(bc a b c d e f g h kw[4], 8, none);
            let _ = bc;
            for (state, new) in state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
                *state = state.wrapping_add(new);
            }
        }
    }
);

fearless_simd::kernel!(
    /// Words number `at` and their constants.
    #[inline(always)]
    fn put(avx2: Avx2, words: __m128i, k: &[u64; 16], to: &mut [u64; 16], at: usize) {
        let k: __m128i = u64x2::from_slice(avx2, &k[2 * at..2 * at + 2]).into();
        let sum: u64x2<Avx2> = _mm_add_epi64(words, k).simd_into(avx2);
        sum.store_slice(&mut to[2 * at..2 * at + 2]);
    }
);
