//! Four messages side by side.

use super::{Block, Job, K, LANES, Message, State, Tag, tag};
use crate::lanes::sixteen;
use arrayvec::ArrayVec;
use core::arch::x86_64::{
    __m256i, _mm256_add_epi64, _mm256_and_si256, _mm256_andnot_si256, _mm256_or_si256,
    _mm256_permute2x128_si256, _mm256_set_epi8, _mm256_set1_epi64x, _mm256_setzero_si256,
    _mm256_shuffle_epi8, _mm256_slli_epi64, _mm256_srli_epi64, _mm256_unpackhi_epi64,
    _mm256_unpacklo_epi64, _mm256_xor_si256,
};
use fearless_simd::prelude::*;
use fearless_simd::{Avx2, u8x32};

fearless_simd::kernel!(
    /// Four messages of any lengths; those that end early idle.
    pub(super) fn macs(avx2: Avx2, jobs: &[Job<'_>; LANES], tags: &mut [Tag]) {
        let mut messages = ArrayVec::<Message<'_>, LANES>::new();
        for job in jobs {
            messages.push(Message::new(job.key, job.message, job.suffix));
        }
        let Some(messages) = messages.first_chunk::<LANES>() else {
            return;
        };
        let mut state = gather(avx2, &messages.each_ref().map(|m| m.key.inner));
        let blocks = messages.each_ref().map(Message::blocks);
        let longest = blocks.into_iter().max().unwrap_or(0);
        for at in 0..longest {
            let before = state;
            let words = words(avx2, messages.each_ref().map(|m| m.block(at)));
            state = compress(avx2, state, words);
            if blocks.iter().any(|blocks| at >= *blocks) {
                let going = blocks.map(|blocks| if at < blocks { u64::MAX } else { 0 });
                let going = vector(avx2, going);
                for (state, before) in state.iter_mut().zip(before) {
                    let new = _mm256_and_si256(going, *state);
                    *state = _mm256_or_si256(new, _mm256_andnot_si256(going, before));
                }
            }
        }
        let inner = scatter(avx2, state);
        let mut outer = [[0; 128]; LANES];
        for ((outer, inner), message) in outer.iter_mut().zip(&inner).zip(messages) {
            *outer = message.key.outer_block(inner);
        }
        let state = gather(avx2, &messages.each_ref().map(|m| m.key.outer));
        let state = compress(avx2, state, words(avx2, outer.each_ref()));
        for (job, state) in jobs.iter().zip(scatter(avx2, state)) {
            tags[job.place] = tag(&state);
        }
    }
);

fearless_simd::kernel!(
    #[inline(always)]
    fn vector(avx2: Avx2, lanes: [u64; LANES]) -> __m256i {
        let bytes = lanes.map(u64::to_le_bytes);
        u8x32::from_slice(avx2, bytes.as_flattened()).into()
    }
);

fearless_simd::kernel!(
    #[inline(always)]
    fn gather(avx2: Avx2, states: &[State; LANES]) -> [__m256i; 8] {
        let mut words = [_mm256_setzero_si256(); 8];
        for (at, word) in words.iter_mut().enumerate() {
            *word = vector(avx2, states.each_ref().map(|state| state[at]));
        }
        words
    }
);

fearless_simd::kernel!(
    #[inline(always)]
    fn scatter(avx2: Avx2, words: [__m256i; 8]) -> [State; LANES] {
        let mut states = [[0; 8]; LANES];
        for (at, word) in words.into_iter().enumerate() {
            let bytes: u8x32<Avx2> = word.simd_into(avx2);
            let bytes: [u8; 32] = bytes.into();
            for (state, bytes) in states.iter_mut().zip(bytes.as_chunks().0) {
                state[at] = u64::from_le_bytes(*bytes);
            }
        }
        states
    }
);

fearless_simd::kernel!(
    /// Words of a block in each lane.
    #[inline(always)]
    fn words(avx2: Avx2, blocks: [&Block; LANES]) -> [__m256i; 16] {
        #[rustfmt::skip]
        let order = _mm256_set_epi8(
            8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7,
            8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7,
        );
        let mut all = [_mm256_setzero_si256(); 16];
        for (at, to) in all.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            let mut rows = [_mm256_setzero_si256(); LANES];
            for (row, block) in rows.iter_mut().zip(blocks) {
                let bytes: __m256i = u8x32::from_slice(avx2, &block.as_chunks::<32>().0[at]).into();
                *row = _mm256_shuffle_epi8(bytes, order);
            }
            let [a, b, c, d] = rows;
            let (ab, cd) = (_mm256_unpacklo_epi64(a, b), _mm256_unpacklo_epi64(c, d));
            let (ef, gh) = (_mm256_unpackhi_epi64(a, b), _mm256_unpackhi_epi64(c, d));
            *to = [
                _mm256_permute2x128_si256::<0x20>(ab, cd),
                _mm256_permute2x128_si256::<0x20>(ef, gh),
                _mm256_permute2x128_si256::<0x31>(ab, cd),
                _mm256_permute2x128_si256::<0x31>(ef, gh),
            ];
        }
        all
    }
);

macro_rules! rotate {
    ($x:expr, $n:literal) => {
        _mm256_or_si256(
            _mm256_srli_epi64::<$n>($x),
            _mm256_slli_epi64::<{ 64 - $n }>($x),
        )
    };
}

macro_rules! xor3 {
    ($a:expr, $b:expr, $c:expr) => {
        _mm256_xor_si256(_mm256_xor_si256($a, $b), $c)
    };
}

macro_rules! sum {
    ($a:expr, $b:expr) => { _mm256_add_epi64($a, $b) };
    ($a:expr, $($b:expr),+) => { _mm256_add_epi64($a, sum!($($b),+)) };
}

fearless_simd::kernel!(
    #[inline(always)]
    fn compress(avx2: Avx2, before: [__m256i; 8], w: [__m256i; 16]) -> [__m256i; 8] {
        let _ = avx2;
        let mut w = w;
        let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = before;
        macro_rules! round {
            ($i:literal, $k:expr) => {
                let s1 = xor3!(rotate!(e, 14), rotate!(e, 18), rotate!(e, 41));
                let choice = _mm256_xor_si256(g, _mm256_and_si256(e, _mm256_xor_si256(f, g)));
                let k = _mm256_set1_epi64x($k[$i].cast_signed());
                let t1 = sum!(sum!(h, _mm256_add_epi64(w[$i], k)), choice, s1);
                let s0 = xor3!(rotate!(a, 28), rotate!(a, 34), rotate!(a, 39));
                let most = _mm256_or_si256(
                    _mm256_and_si256(a, b),
                    _mm256_and_si256(c, _mm256_or_si256(a, b)),
                );
                (h, g, f, e, d, c, b, a) = (g, f, e, sum!(d, t1), c, b, a, sum!(t1, s0, most));
            };
        }
        macro_rules! schedule {
            ($i:literal) => {
                let (x, y) = (w[($i + 1) & 15], w[($i + 14) & 15]);
                let s0 = xor3!(rotate!(x, 1), rotate!(x, 8), _mm256_srli_epi64::<7>(x));
                let s1 = xor3!(rotate!(y, 19), rotate!(y, 61), _mm256_srli_epi64::<6>(y));
                w[$i] = sum!(sum!(w[$i], s0), w[($i + 9) & 15], s1);
            };
        }
        for (sixteen_at, k) in K.as_chunks::<16>().0.iter().enumerate() {
            if sixteen_at > 0 {
                sixteen!(schedule);
            }
            sixteen!(round, k);
        }
        let mut after = [a, b, c, d, e, f, g, h];
        for (after, before) in after.iter_mut().zip(before) {
            *after = _mm256_add_epi64(*after, before);
        }
        after
    }
);
