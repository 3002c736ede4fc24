//! SHA-1 and SHA-256 with the SHA instructions: their latency leaves time for a second and a third
//! message.

use super::hash::{Data, Message, State, Tag};
use super::sha256::K;
use super::x86::{load_words, sha, sha_entry, store_words};
use core::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_set_epi32, _mm_setzero_si128, _mm_sha1msg1_epu32,
    _mm_sha1msg2_epu32, _mm_sha1nexte_epu32, _mm_sha1rnds4_epu32, _mm_sha256msg1_epu32,
    _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32, _mm_shuffle_epi8, _mm_shuffle_epi32,
    _mm_unpackhi_epi64, _mm_unpacklo_epi64, _mm_xor_si128,
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

sha_entry! {
    /// The MACs of up to as many messages as there are lanes, all as long.
    pub(super) fn sha1_macs(messages: &[Message<'_>], tags: &mut [Tag]) -> () = sha1_any
}

sha_entry! {
    /// The same with SHA-256.
    pub(super) fn sha256_macs(messages: &[Message<'_>], tags: &mut [Tag]) -> () = sha256_any
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

/// A block of each of `$lanes`, whose words are in `$w`.
macro_rules! sha1_block {
    ($w:ident, $abcd:ident, $e:ident, $lanes:tt) => {
        let (abcd_before, e_before) = ($abcd, $e);
        sha1_block!(@five $w, $abcd, $e, $lanes, 0, 0 1 2 3 4);
        sha1_block!(@five $w, $abcd, $e, $lanes, 1, 5 6 7 8 9);
        sha1_block!(@five $w, $abcd, $e, $lanes, 2, 10 11 12 13 14);
        sha1_block!(@five $w, $abcd, $e, $lanes, 3, 15 16 17 18 19);
        sha1_block!(@add $abcd, abcd_before, $e, e_before, $lanes);
    };
    (@five $w:ident, $abcd:ident, $e:ident, $lanes:tt, $f:literal, $($g:literal)*) => {
        $(sha1_block!(@four $w, $abcd, $e, $lanes, $f, $g);)*
    };
    (@four $w:ident, $abcd:ident, $e:ident, [$($lane:literal)*], $f:literal, $g:literal) => {
        $(sha1_four!($w[$lane], $abcd[$lane], $e[$lane], $g, $f);)*
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
        sha256_block!(@all $w, $abef, $cdgh, $lanes, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
        sha256_block!(@add $abef, abef_before, $cdgh, cdgh_before, $lanes);
    };
    (@all $w:ident, $abef:ident, $cdgh:ident, $lanes:tt, $($g:literal)*) => {
        $(sha256_block!(@four $w, $abef, $cdgh, $lanes, $g);)*
    };
    (@four $w:ident, $abef:ident, $cdgh:ident, [$($lane:literal)*], $g:literal) => {
        $(sha256_four!($w[$lane], $abef[$lane], $cdgh[$lane], $g);)*
    };
    (@add $abef:ident, $abef_before:ident, $cdgh:ident, $cdgh_before:ident, [$($lane:literal)*]) => {
        $(
            $abef[$lane] = _mm_add_epi32($abef[$lane], $abef_before[$lane]);
            $cdgh[$lane] = _mm_add_epi32($cdgh[$lane], $cdgh_before[$lane]);
        )*
    };
}

/// HMAC-SHA-1 of as many messages as `$lanes`.
macro_rules! sha1_macs {
    ($name:ident, $n:literal, [$($lane:literal)*]) => { sha! {
        #[allow(unused_assignments, reason = "the last rounds make no words, which is not seen")]
        fn $name(messages: &[Message<'_>; $n], tags: &mut [Tag]) {
            let order = load_words(&SHA1_ORDER);
            let zero = _mm_setzero_si128();
            let mut abcd = [$(gather(&messages[$lane].state, [0, 1, 2, 3])),*];
            let mut e = [$(gather(&messages[$lane].state, [4, 5, 6, 7])),*];
            let blocks = messages[0].blocks();
            for block in 0..=blocks {
                let mut w = [[zero; 4]; $n];
                if block < blocks {
                    $(w[$lane] = words(messages[$lane].block(block), order);)*
                } else {
                    $(
                        w[$lane] = [
                            abcd[$lane],
                            // The bit behind the digest has the place of the next word.
                            _mm_add_epi32(e[$lane], _mm_set_epi32(0, i32::MIN, 0, 0)),
                            zero,
                            _mm_set_epi32(0, 0, 0, (64 + 20) * 8),
                        ];
                        abcd[$lane] = gather(messages[$lane].outer, [0, 1, 2, 3]);
                        e[$lane] = gather(messages[$lane].outer, [4, 5, 6, 7]);
                    )*
                }
                sha1_block!(w, abcd, e, [$($lane)*]);
            }
            let tags = tags.iter_mut();
            let states = [$((_mm_shuffle_epi8(abcd[$lane], order), _mm_shuffle_epi8(e[$lane], order))),*];
            for (tag, (first, rest)) in tags.zip(states) {
                let mut all = [[0; 16]; 2];
                store_words(first, &mut all[0]);
                store_words(rest, &mut all[1]);
                tag.copy_from_slice(all.as_flattened());
            }
        }
    } };
}

/// The same with SHA-256.
macro_rules! sha256_macs {
    ($name:ident, $n:literal, [$($lane:literal)*]) => { sha! {
        #[allow(unused_assignments, reason = "the last rounds make no words, which is not seen")]
        fn $name(messages: &[Message<'_>; $n], tags: &mut [Tag]) {
            let order = load_words(&SHA256_ORDER);
            let zero = _mm_setzero_si128();
            let mut abef = [$(gather(&messages[$lane].state, [0, 1, 4, 5])),*];
            let mut cdgh = [$(gather(&messages[$lane].state, [2, 3, 6, 7])),*];
            let blocks = messages[0].blocks();
            for block in 0..=blocks {
                let mut w = [[zero; 4]; $n];
                if block < blocks {
                    $(w[$lane] = words(messages[$lane].block(block), order);)*
                } else {
                    $(
                        let [first, rest] = in_order(abef[$lane], cdgh[$lane]);
                        w[$lane] = [
                            first,
                            rest,
                            _mm_set_epi32(0, 0, 0, i32::MIN),
                            _mm_set_epi32((64 + 32) * 8, 0, 0, 0),
                        ];
                        abef[$lane] = gather(messages[$lane].outer, [0, 1, 4, 5]);
                        cdgh[$lane] = gather(messages[$lane].outer, [2, 3, 6, 7]);
                    )*
                }
                sha256_block!(w, abef, cdgh, [$($lane)*]);
            }
            let states = [$(in_order(abef[$lane], cdgh[$lane])),*];
            for (tag, state) in tags.iter_mut().zip(states) {
                for (to, words) in tag.as_chunks_mut().0.iter_mut().zip(state) {
                    store_words(_mm_shuffle_epi8(words, order), to);
                }
            }
        }
    } };
}

sha1_macs!(sha1_one, 1, [0]);
sha1_macs!(sha1_two, 2, [0 1]);
sha1_macs!(sha1_three, 3, [0 1 2]);
sha256_macs!(sha256_one, 1, [0]);
sha256_macs!(sha256_two, 2, [0 1]);

sha! {
    fn sha1_any(messages: &[Message<'_>], tags: &mut [Tag]) {
        if let Some(three) = messages.first_chunk() {
            sha1_three(three, tags);
        } else if let Some(two) = messages.first_chunk() {
            sha1_two(two, tags);
        } else if let Some(one) = messages.first_chunk() {
            sha1_one(one, tags);
        }
    }

    fn sha256_any(messages: &[Message<'_>], tags: &mut [Tag]) {
        if let Some(two) = messages.first_chunk() {
            sha256_two(two, tags);
        } else if let Some(one) = messages.first_chunk() {
            sha256_one(one, tags);
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
            let mut w = data.map(|lane| words(&lane[block], order));
            sha1_block!(w, abcd, e, [0 1 2]);
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
            let mut w = data.map(|lane| words(&lane[block], order));
            sha256_block!(w, abef, cdgh, [0 1]);
        }
        for lane in 0..SHA256_LANES {
            scatter(abef[lane], &mut states[lane], [0, 1, 4, 5]);
            scatter(cdgh[lane], &mut states[lane], [2, 3, 6, 7]);
        }
    }
}
