//! Several messages side by side, one in each word of a vector.

use super::{Block, Job, K, Message, State, Tag, tag};
use crate::lanes::sixteen;
use arrayvec::ArrayVec;
use fearless_simd::Simd;
use fearless_simd::prelude::*;

/// The MACs of as many jobs as fill vectors of `N`; gives the rest.
pub(super) fn macs<'a, 'b, S: Simd, V: SimdInt<S, Element = u64>, const N: usize>(
    simd: S,
    jobs: &'a [Job<'b>],
    tags: &mut [Tag],
) -> &'a [Job<'b>] {
    let (groups, rest) = jobs.as_chunks();
    for group in groups {
        simd.vectorize(
            #[inline(always)]
            || vector_of_macs::<S, V, N>(simd, group, tags),
        );
    }
    rest
}

/// Messages of any lengths; those that end early idle.
#[inline(always)]
fn vector_of_macs<S: Simd, V: SimdInt<S, Element = u64>, const N: usize>(
    simd: S,
    jobs: &[Job<'_>; N],
    tags: &mut [Tag],
) {
    let mut messages = ArrayVec::<Message<'_>, N>::new();
    for job in jobs {
        messages.push(Message::new(job.key, job.message, job.suffix));
    }
    let mut key = [&[0; 8]; N];
    let mut blocks = [&[0; 128]; N];
    for (key, message) in key.iter_mut().zip(&messages) {
        *key = &message.key.inner;
    }
    let mut state: [V; 8] = gather(simd, key);
    let longest = messages.iter().map(Message::blocks).max().unwrap_or(0);
    for at in 0..longest {
        for (block, message) in blocks.iter_mut().zip(&messages) {
            *block = message.block(at);
        }
        let before = state;
        state = compress(simd, state, words(simd, blocks));
        if messages.iter().any(|message| at >= message.blocks()) {
            let mut going = [0; N];
            for (going, message) in going.iter_mut().zip(&messages) {
                *going = if at < message.blocks() { u64::MAX } else { 0 };
            }
            let going = V::from_slice(simd, &going);
            for (state, before) in state.iter_mut().zip(before) {
                *state = (*state & going) | (before & !going);
            }
        }
    }
    let inner: [State; N] = scatter(state);
    let mut outer = [[0; 128]; N];
    let places = outer.iter_mut().zip(&mut key);
    for ((outer, key), (inner, message)) in places.zip(inner.iter().zip(&messages)) {
        *outer = message.key.outer_block(inner);
        *key = &message.key.outer;
    }
    let state: [V; 8] = compress(simd, gather(simd, key), words(simd, outer.each_ref()));
    for (job, state) in jobs.iter().zip(scatter::<_, _, N>(state)) {
        tags[job.place] = tag(&state);
    }
}

#[inline(always)]
fn gather<S: Simd, V: SimdInt<S, Element = u64>, const N: usize>(
    simd: S,
    states: [&State; N],
) -> [V; 8] {
    let mut words = [V::splat(simd, 0); 8];
    for (at, word) in words.iter_mut().enumerate() {
        let mut lanes = [0; N];
        for (lane, state) in lanes.iter_mut().zip(states) {
            *lane = state[at];
        }
        *word = V::from_slice(simd, &lanes);
    }
    words
}

#[inline(always)]
fn scatter<S: Simd, V: SimdInt<S, Element = u64>, const N: usize>(words: [V; 8]) -> [State; N] {
    let mut states = [[0; 8]; N];
    for (at, word) in words.iter().enumerate() {
        for (state, lane) in states.iter_mut().zip(word.as_slice()) {
            state[at] = *lane;
        }
    }
    states
}

/// Words of a block in each lane.
#[inline(always)]
fn words<S: Simd, V: SimdInt<S, Element = u64>, const N: usize>(
    simd: S,
    blocks: [&Block; N],
) -> [V; 16] {
    let order = [7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8];
    let order = V::ByteVector::block_splat(SimdBase::from_slice(simd, &order));
    let mut all = [V::splat(simd, 0); 16];
    for (at, to) in all.chunks_exact_mut(N).enumerate() {
        let mut rows = [V::splat(simd, 0); N];
        for (row, block) in rows.iter_mut().zip(blocks) {
            let bytes = V::ByteVector::from_slice(simd, &block[at * 8 * N..][..8 * N]);
            *row = bytes.swizzle_dyn_within_blocks(order).bitcast();
        }
        // Perfect shuffles, as many as N has bits, are a transposition.
        for _ in 0..N.ilog2() {
            let before = rows;
            for (i, pair) in rows.chunks_exact_mut(2).enumerate() {
                let (a, b) = (before[i], before[i + N / 2]);
                (pair[0], pair[1]) = (a.zip_low(b), a.zip_high(b));
            }
        }
        to.copy_from_slice(&rows);
    }
    all
}

/// As one instruction, where there is one.
macro_rules! rotate {
    ($x:expr, $n:literal) => {
        ($x >> $n) | ($x << (64 - $n))
    };
}

#[inline(always)]
fn compress<S: Simd, V: SimdInt<S, Element = u64>>(
    simd: S,
    before: [V; 8],
    mut w: [V; 16],
) -> [V; 8] {
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = before;
    macro_rules! round {
        ($i:literal, $k:expr) => {
            let s1 = rotate!(e, 14) ^ rotate!(e, 18) ^ rotate!(e, 41);
            let choice = g ^ (e & (f ^ g));
            let t1 = h + (w[$i] + V::splat(simd, $k[$i])) + (choice + s1);
            let s0 = rotate!(a, 28) ^ rotate!(a, 34) ^ rotate!(a, 39);
            let most = (a & b) | (c & (a | b));
            (h, g, f, e, d, c, b, a) = (g, f, e, d + t1, c, b, a, t1 + (s0 + most));
        };
    }
    macro_rules! schedule {
        ($i:literal) => {
            let (x, y) = (w[($i + 1) & 15], w[($i + 14) & 15]);
            let s0 = rotate!(x, 1) ^ rotate!(x, 8) ^ (x >> 7);
            let s1 = rotate!(y, 19) ^ rotate!(y, 61) ^ (y >> 6);
            w[$i] = w[$i] + s0 + (w[($i + 9) & 15] + s1);
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
        *after += before;
    }
    after
}
