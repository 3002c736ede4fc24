//! SHA-1 and SHA-256 with the SHA instructions: their latency leaves time for other messages.

use super::hash::{Data, Job, State, Tag};
use super::sha256::K;
use super::x86::{load_words, sha, sha_entry, store_words};
use super::{put, sixteen};
use core::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_or_si128, _mm_set_epi32, _mm_set_epi64x,
    _mm_setzero_si128, _mm_sha1msg1_epu32, _mm_sha1msg2_epu32, _mm_sha1nexte_epu32,
    _mm_sha1rnds4_epu32, _mm_sha256msg1_epu32, _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32,
    _mm_shuffle_epi8, _mm_shuffle_epi32, _mm_unpackhi_epi64, _mm_unpacklo_epi64, _mm_xor_si128,
};
use fearless_simd::prelude::*;
use fearless_simd::{Sse4_2, u32x4};

/// Messages side by side: three would do for the latency, but leave the unit gaps.
pub(super) const SHA1_LANES: usize = 4;
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

sha_entry! {
    /// The MAC of one message.
    pub(super) fn sha1_mac(job: &Job<'_>, tag: &mut Tag) -> () = sha1_one
}

sha_entry! {
    /// The same with SHA-256.
    pub(super) fn sha256_mac(job: &Job<'_>, tag: &mut Tag) -> () = sha256_one
}

sha_entry! {
    /// The MACs of two messages or more, up to as many as there are lanes, all as long.
    pub(super) fn sha1_macs(jobs: &[Job<'_>], tags: &mut [Tag]) -> () = sha1_any
}

sha_entry! {
    /// The same with SHA-256.
    pub(super) fn sha256_macs(jobs: &[Job<'_>], tags: &mut [Tag]) -> () = sha256_any
}

/// Four rounds of SHA-1, number `$g` of twenty, with function `$g / 5`; and the words of the message
/// that sixteen rounds later need.
macro_rules! sha1_four {
    ($g:literal, $w:expr, $abcd:expr, $e:expr) => {
        let add = if $g == 0 {
            _mm_add_epi32($e, $w[0])
        } else {
            _mm_sha1nexte_epu32($e, $w[$g % 4])
        };
        $e = $abcd;
        $abcd = _mm_sha1rnds4_epu32::<{ $g / 5 }>($abcd, add);
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
    ($g:literal, $w:expr, $abef:expr, $cdgh:expr) => {
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

/// Repeats a macro's call for each of SHA-1's groups of rounds.
macro_rules! twenty {
    ($round:ident $(, $argument:tt)*) => {
        sixteen!($round $(, $argument)*);
        $round!(16 $(, $argument)*); $round!(17 $(, $argument)*); $round!(18 $(, $argument)*); $round!(19 $(, $argument)*);
    };
}

pub(super) use {sha1_four, sha256_four, twenty};

/// For `_mm_shuffle_epi8`: the order in which the instructions want a block's bytes.
pub(super) const SHA1_ORDER: [u8; 16] = [15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0];
pub(super) const SHA256_ORDER: [u8; 16] = [3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12];

/// For `_mm_shuffle_epi8`: from 16 on the order as it is, before and behind it zeros move in.
const SLIDE: [u8; 48] = {
    let mut slide = [0x80; 48];
    let mut i = 0;
    while i < 16 {
        slide[16 + i as usize] = i;
        i += 1;
    }
    slide
};

// Loops over the lanes that the compiler has to unroll leave everything in memory.

/// A block of each of `$lanes`, whose words are in `$w`.
macro_rules! sha1_block {
    ($w:ident, $abcd:ident, $e:ident, $lanes:tt) => {
        let (abcd_before, e_before) = ($abcd, $e);
        twenty!(each_lane, sha1_four, $lanes, $w, $abcd, $e);
        sha1_block!(@add $abcd, abcd_before, $e, e_before, $lanes);
    };
    (@add $abcd:ident, $abcd_before:ident, $e:ident, $e_before:ident, [$($lane:literal)*]) => {
        $(
            $e[$lane] = _mm_sha1nexte_epu32($e[$lane], $e_before[$lane]);
            $abcd[$lane] = _mm_add_epi32($abcd[$lane], $abcd_before[$lane]);
        )*
    };
}

/// The same of SHA-256.
macro_rules! sha256_block {
    ($w:ident, $abef:ident, $cdgh:ident, $lanes:tt) => {
        let (abef_before, cdgh_before) = ($abef, $cdgh);
        sixteen!(each_lane, sha256_four, $lanes, $w, $abef, $cdgh);
        sha256_block!(@add $abef, abef_before, $cdgh, cdgh_before, $lanes);
    };
    (@add $abef:ident, $abef_before:ident, $cdgh:ident, $cdgh_before:ident, [$($lane:literal)*]) => {
        $(
            $abef[$lane] = _mm_add_epi32($abef[$lane], $abef_before[$lane]);
            $cdgh[$lane] = _mm_add_epi32($cdgh[$lane], $cdgh_before[$lane]);
        )*
    };
}

/// Rounds number `$g` of each of `$lanes`.
macro_rules! each_lane {
    ($g:literal, $four:ident, [$($lane:literal)*], $w:ident, $a:ident, $b:ident) => {
        $($four!($g, $w[$lane], $a[$lane], $b[$lane]);)*
    };
}

/// HMAC-SHA-1 of as many messages as `$lanes`.
macro_rules! sha1_macs {
    ($name:ident, $n:literal, [$($lane:literal)*]) => { sha! {
        #[allow(unused_assignments, reason = "the last rounds make no words, which is not seen")]
        fn $name(jobs: &[Job<'_>; $n], tags: &mut [Tag]) {
            let order = load_words(&SHA1_ORDER);
            let zero = _mm_setzero_si128();
            let (mut abcd, mut e) = ([zero; $n], [zero; $n]);
            $([abcd[$lane], e[$lane]] = sha1_load(&jobs[$lane].key.inner);)*
            let bodies = [$(jobs[$lane].message.as_chunks().0),*];
            let blocks = bodies[0].len();
            for block in 0..blocks {
                let mut w = [$(words(&bodies[$lane][block], order)),*];
                sha1_block!(w, abcd, e, [$($lane)*]);
            }
            let ends = [$(end(&jobs[$lane], order, |bits| sha1_bits(bits))),*];
            let (_, blocks) = ends[0];
            for block in 0..=blocks {
                let mut w = [[zero; 4]; $n];
                if block < blocks {
                    $(w[$lane] = ends[$lane].0[block];)*
                } else {
                    $(
                        w[$lane] = sha1_outer(abcd[$lane], e[$lane]);
                        [abcd[$lane], e[$lane]] = sha1_load(&jobs[$lane].key.outer);
                    )*
                }
                sha1_block!(w, abcd, e, [$($lane)*]);
            }
            $(sha1_tag(abcd[$lane], e[$lane], order, &mut tags[jobs[$lane].place]);)*
        }
    } };
}

/// The same with SHA-256.
macro_rules! sha256_macs {
    ($name:ident, $n:literal, [$($lane:literal)*]) => { sha! {
        #[allow(unused_assignments, reason = "the last rounds make no words, which is not seen")]
        fn $name(jobs: &[Job<'_>; $n], tags: &mut [Tag]) {
            let order = load_words(&SHA256_ORDER);
            let zero = _mm_setzero_si128();
            let (mut abef, mut cdgh) = ([zero; $n], [zero; $n]);
            $([abef[$lane], cdgh[$lane]] = sha256_load(&jobs[$lane].key.inner);)*
            let bodies = [$(jobs[$lane].message.as_chunks().0),*];
            let ends = [$(end(&jobs[$lane], order, |bits| sha256_bits(bits))),*];
            let (body, (_, end)) = (bodies[0].len(), ends[0]);
            for block in 0..=body + end {
                let mut w = [[zero; 4]; $n];
                if block < body {
                    $(w[$lane] = words(&bodies[$lane][block], order);)*
                } else if block < body + end {
                    $(w[$lane] = ends[$lane].0[block - body];)*
                } else {
                    $(
                        w[$lane] = sha256_outer(abef[$lane], cdgh[$lane]);
                        [abef[$lane], cdgh[$lane]] = sha256_load(&jobs[$lane].key.outer);
                    )*
                }
                sha256_block!(w, abef, cdgh, [$($lane)*]);
            }
            $(sha256_tag(abef[$lane], cdgh[$lane], order, &mut tags[jobs[$lane].place]);)*
        }
    } };
}

/// `$make!` with what SHA-1 consists of, behind what is `$own` to it.
macro_rules! sha1_parts {
    ($make:ident, $($own:tt)*) => {
        $make!(
            $($own)*, SHA1_ORDER, sha1_load, abcd, e, sha1_four, _mm_sha1nexte_epu32, twenty, sha1_bits,
            sha1_outer, sha1_tag
        );
    };
}

/// The same of SHA-256.
macro_rules! sha256_parts {
    ($make:ident, $($own:tt)*) => {
        $make!(
            $($own)*, SHA256_ORDER, sha256_load, abef, cdgh, sha256_four, _mm_add_epi32, sixteen,
            sha256_bits, sha256_outer, sha256_tag
        );
    };
}
pub(super) use {sha1_parts, sha256_parts};

/// HMAC of one message.
macro_rules! one_mac {
    ($name:ident, $order:ident, $load:ident, $a:ident, $b:ident, $four:ident, $add:ident, $all:ident, $bits:ident, $outer:ident, $tag:ident) => { sha! {
        #[allow(unused_assignments, reason = "the last rounds make no words, which is not seen")]
        fn $name(job: &Job<'_>, tag: &mut Tag) {
            let order = load_words(&$order);
            let [mut $a, mut $b] = $load(&job.key.inner);
            macro_rules! block {
                ($w:expr) => {
                    let mut w = $w;
                    let (a_before, b_before) = ($a, $b);
                    $all!($four, w, $a, $b);
                    $a = _mm_add_epi32($a, a_before);
                    $b = $add($b, b_before);
                };
            }
            for bytes in job.message.as_chunks().0 {
                block!(words(bytes, order));
            }
            let (end, blocks) = end(job, order, |bits| $bits(bits));
            for words in &end[..blocks] {
                block!(*words);
            }
            let inner = $outer($a, $b);
            [$a, $b] = $load(&job.key.outer);
            block!(inner);
            $tag($a, $b, order, tag);
        }
    } };
}

sha1_parts!(one_mac, sha1_one);
sha1_macs!(sha1_two, 2, [0 1]);
sha1_macs!(sha1_three, 3, [0 1 2]);
sha1_macs!(sha1_quad, 4, [0 1 2 3]);
sha256_parts!(one_mac, sha256_one);
sha256_macs!(sha256_two, 2, [0 1]);

sha! {
    /// The block of the outer hash: the inner one's result.
    pub(super) fn sha1_outer(abcd: __m128i, e: __m128i) -> [__m128i; 4] {
        // The bit behind the digest has the place of the next word.
        let rest = _mm_add_epi32(e, _mm_set_epi32(0, i32::MIN, 0, 0));
        [abcd, rest, _mm_setzero_si128(), sha1_bits((64 + 20) * 8)]
    }

    /// The same of SHA-256.
    pub(super) fn sha256_outer(abef: __m128i, cdgh: __m128i) -> [__m128i; 4] {
        let [first, rest] = in_order(abef, cdgh);
        [first, rest, _mm_set_epi32(0, 0, 0, i32::MIN), sha256_bits((64 + 32) * 8)]
    }

    /// A message's length, at the end of a block.
    pub(super) fn sha1_bits(bits: usize) -> __m128i {
        _mm_set_epi64x(0, bits as i64)
    }

    /// The same of SHA-256.
    pub(super) fn sha256_bits(bits: usize) -> __m128i {
        _mm_shuffle_epi32::<0x1e>(_mm_set_epi64x(0, bits as i64))
    }

    /// What comes out at the end.
    pub(super) fn sha1_tag(abcd: __m128i, e: __m128i, order: __m128i, tag: &mut Tag) {
        if let [first, rest] = tag.as_chunks_mut().0 {
            store_words(_mm_shuffle_epi8(abcd, order), first);
            store_words(_mm_shuffle_epi8(e, order), rest);
        }
    }

    /// The same of SHA-256.
    pub(super) fn sha256_tag(abef: __m128i, cdgh: __m128i, order: __m128i, tag: &mut Tag) {
        let [low, high] = in_order(abef, cdgh);
        if let [first, rest] = tag.as_chunks_mut().0 {
            store_words(_mm_shuffle_epi8(low, order), first);
            store_words(_mm_shuffle_epi8(high, order), rest);
        }
    }

    /// The words of a message's last one or two blocks, and how many: what is left of it, the
    /// suffix, and the hash's padding with `bits` of a length. Made in registers, as a read of what
    /// has just been written in other pieces waits.
    fn end(job: &Job<'_>, order: __m128i, bits: impl Fn(usize) -> __m128i) -> ([[__m128i; 4]; 2], usize) {
        let slide = |by: usize| {
            let order = SLIDE.get(by..).and_then(<[u8]>::first_chunk);
            load_words(order.unwrap_or(&[0x80; 16]))
        };
        let (_, rest) = job.message.as_chunks::<64>();
        let (whole, part) = rest.as_chunks::<16>();
        let mut end = [[_mm_setzero_si128(); 4]; 2];
        let words = end.as_flattened_mut();
        for (to, from) in words.iter_mut().zip(whole) {
            *to = _mm_shuffle_epi8(load_words(from), order);
        }
        let last = match job.message.last_chunk() {
            Some(last) => _mm_shuffle_epi8(load_words(last), slide(32 - part.len())),
            None => {
                let mut last = [0; 16];
                put(part, &mut last);
                load_words(&last)
            }
        };
        let (suffix, behind) = match job.suffix {
            Some(suffix) => (0x80 << 32 | i64::from(u32::from_le_bytes(suffix)), 4),
            None => (0x80, 0),
        };
        let suffix = _mm_set_epi64x(0, suffix);
        if let Some([first, second, ..]) = words.get_mut(whole.len()..) {
            let here = _mm_or_si128(last, _mm_shuffle_epi8(suffix, slide(16 - part.len())));
            *first = _mm_shuffle_epi8(here, order);
            let there = _mm_shuffle_epi8(suffix, slide(32 - part.len()));
            *second = _mm_shuffle_epi8(there, order);
        }
        let blocks = if rest.len() + behind + 9 > 64 { 2 } else { 1 };
        // The key's block counts too.
        let bits = bits((64 + job.message.len() + behind) * 8);
        let last = &mut end[blocks - 1][3];
        *last = _mm_or_si128(*last, bits);
        (end, blocks)
    }

    fn sha1_any(jobs: &[Job<'_>], tags: &mut [Tag]) {
        if let Some(four) = jobs.first_chunk() {
            sha1_quad(four, tags);
        } else if let Some(three) = jobs.first_chunk() {
            sha1_three(three, tags);
        } else if let Some(two) = jobs.first_chunk() {
            sha1_two(two, tags);
        }
    }

    fn sha256_any(jobs: &[Job<'_>], tags: &mut [Tag]) {
        if let Some(two) = jobs.first_chunk() {
            sha256_two(two, tags);
        }
    }

    /// The words of a block.
    fn words(block: &[u8; 64], order: __m128i) -> [__m128i; 4] {
        let (bytes, _) = block.as_chunks();
        [
            _mm_shuffle_epi8(load_words(&bytes[0]), order),
            _mm_shuffle_epi8(load_words(&bytes[1]), order),
            _mm_shuffle_epi8(load_words(&bytes[2]), order),
            _mm_shuffle_epi8(load_words(&bytes[3]), order),
        ]
    }

    /// A state of SHA-256 as words of a message.
    fn in_order(abef: __m128i, cdgh: __m128i) -> [__m128i; 2] {
        [
            _mm_shuffle_epi32::<0xb1>(_mm_unpackhi_epi64(abef, cdgh)),
            _mm_shuffle_epi32::<0xb1>(_mm_unpacklo_epi64(abef, cdgh)),
        ]
    }

    /// A state of SHA-1 as the instructions want it: a to d, the first the highest, and e.
    pub(super) fn sha1_load(state: &State) -> [__m128i; 2] {
        halves(state).map(|half| _mm_shuffle_epi32::<0x1b>(half))
    }

    /// The opposite of [`sha1_load`].
    pub(super) fn sha1_store(abcd: __m128i, e: __m128i, state: &mut State) {
        set_halves([abcd, e].map(|half| _mm_shuffle_epi32::<0x1b>(half)), state);
    }

    /// A state of SHA-256 as the instructions want it: a, b, e, f and c, d, g, h, the first the
    /// highest.
    pub(super) fn sha256_load(state: &State) -> [__m128i; 2] {
        let [low, high] = halves(state);
        [
            _mm_shuffle_epi32::<0xb1>(_mm_unpacklo_epi64(high, low)),
            _mm_shuffle_epi32::<0xb1>(_mm_unpackhi_epi64(high, low)),
        ]
    }

    /// The opposite of [`sha256_load`].
    pub(super) fn sha256_store(abef: __m128i, cdgh: __m128i, state: &mut State) {
        set_halves(in_order(abef, cdgh), state);
    }

    fn halves(state: &State) -> [__m128i; 2] {
        let sse = Sse4_2::assume_supported();
        let (low, high) = state.split_at(4);
        [u32x4::from_slice(sse, low).into(), u32x4::from_slice(sse, high).into()]
    }

    fn set_halves(halves: [__m128i; 2], state: &mut State) {
        let sse = Sse4_2::assume_supported();
        for (to, half) in state.as_chunks_mut::<4>().0.iter_mut().zip(halves) {
            let half: u32x4<Sse4_2> = half.simd_into(sse);
            half.store_slice(to);
        }
    }

    #[allow(unused_assignments, reason = "the last rounds make no words, which is not seen")]
    fn sha1_blocks(states: &mut [State; SHA1_LANES], data: &Data<'_, SHA1_LANES>, blocks: usize) {
        let order = load_words(&SHA1_ORDER);
        let zero = _mm_setzero_si128();
        let mut abcd = [zero; SHA1_LANES];
        let mut e = [zero; SHA1_LANES];
        for lane in 0..SHA1_LANES {
            [abcd[lane], e[lane]] = sha1_load(&states[lane]);
        }
        let mut data = *data;
        for lane in &mut data {
            *lane = lane.split_at(blocks).0;
        }
        for block in 0..blocks {
            let mut w = data.map(|lane| words(&lane[block], order));
            sha1_block!(w, abcd, e, [0 1 2 3]);
        }
        for lane in 0..SHA1_LANES {
            sha1_store(abcd[lane], e[lane], &mut states[lane]);
        }
    }

    #[allow(unused_assignments, reason = "the last rounds make no words, which is not seen")]
    fn sha256_blocks(states: &mut [State; SHA256_LANES], data: &Data<'_, SHA256_LANES>, blocks: usize) {
        let order = load_words(&SHA256_ORDER);
        let zero = _mm_setzero_si128();
        let mut abef = [zero; SHA256_LANES];
        let mut cdgh = [zero; SHA256_LANES];
        for lane in 0..SHA256_LANES {
            [abef[lane], cdgh[lane]] = sha256_load(&states[lane]);
        }
        let mut data = *data;
        for lane in &mut data {
            *lane = lane.split_at(blocks).0;
        }
        for block in 0..blocks {
            let mut w = data.map(|lane| words(&lane[block], order));
            sha256_block!(w, abef, cdgh, [0 1]);
        }
        for lane in 0..SHA256_LANES {
            sha256_store(abef[lane], cdgh[lane], &mut states[lane]);
        }
    }
}
