//! AES-CBC and the hash of one packet in one pass, as each leaves units idle that the other uses.

use super::aes::keys::RoundKeys;
use super::hash::State;
use super::sha_ni::{SHA1_ORDER, SHA256_ORDER, gather, scatter, sha1_four, sha256_four};
use super::sha256::K;
use super::x86::{load_words, sha, sha_entry, store_words};
use core::arch::x86_64::{
    _mm_add_epi32, _mm_aesenc_si128, _mm_aesenclast_si128, _mm_alignr_epi8, _mm_set_epi32,
    _mm_setzero_si128, _mm_sha1msg1_epu32, _mm_sha1msg2_epu32, _mm_sha1nexte_epu32,
    _mm_sha1rnds4_epu32, _mm_sha256msg1_epu32, _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32,
    _mm_shuffle_epi8, _mm_shuffle_epi32, _mm_xor_si128,
};

/// Where the IV and the text begin in a packet.
const IV: usize = crate::HEADER;
const TEXT: usize = IV + 16;

sha_entry! {
    /// Encrypts the text of `packet`, whole blocks; gives how many blocks of the packet have been
    /// hashed into `state`.
    pub(super) fn sha1(keys: &RoundKeys, packet: &mut [u8], state: &mut State) -> usize = any_sha1
}

sha_entry! {
    /// The same with SHA-256.
    pub(super) fn sha256(keys: &RoundKeys, packet: &mut [u8], state: &mut State) -> usize = any_sha256
}

/// The hash's groups of rounds, each followed by its part of the next 64 bytes' encryption: in
/// `$groups` of them a block of AES.
macro_rules! stitched {
    ($name:ident, $groups:literal, $order:ident, $a:ident $a_words:expr, $b:ident $b_words:expr, $four:ident, $add:ident, $($g:literal $($f:literal)?),*) => { sha! {
        #[allow(unused_assignments, reason = "the last rounds make no words, which is not seen")]
        fn $name<const ROUNDS: usize>(keys: &RoundKeys, packet: &mut [u8], state: &mut State) -> usize {
            let order = load_words(&$order);
            let mut $a = gather(state, $a_words);
            let mut $b = gather(state, $b_words);
            let block = |packet: &[u8], at: usize| -> [u8; 16] {
                *packet.get(at..).and_then(<[u8]>::first_chunk).unwrap_or(&[0; 16])
            };
            let mut x = load_words(&block(packet, IV));
            macro_rules! encrypt {
                ($n:literal, $at:expr) => {
                    let at = $at + $n / $groups * 16;
                    let steps = ROUNDS.div_ceil($groups);
                    if $n % $groups == 0 {
                        x = _mm_xor_si128(x, load_words(&keys.keys[0]));
                        x = _mm_xor_si128(x, load_words(&block(packet, at)));
                    }
                    for step in 1..=steps {
                        let round = $n % $groups * steps + step;
                        if round < ROUNDS {
                            x = _mm_aesenc_si128(x, load_words(&keys.keys[round]));
                        } else if round == ROUNDS {
                            x = _mm_aesenclast_si128(x, load_words(&keys.keys[round]));
                            if let Some(to) = packet.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
                                store_words(x, to);
                            }
                        }
                    }
                };
            }
            let chunks = packet.len().saturating_sub(TEXT) / 64;
            if chunks > 0 {
                $(encrypt!($g, TEXT);)*
            }
            let words = |packet: &[u8], chunk: usize| {
                let mut w = [_mm_setzero_si128(); 4];
                for (i, w) in w.iter_mut().enumerate() {
                    let bytes = block(packet, 64 * chunk + 16 * i);
                    *w = _mm_shuffle_epi8(load_words(&bytes), order);
                }
                w
            };
            for chunk in 1..chunks {
                let (a_before, b_before) = ($a, $b);
                let mut w = words(packet, chunk - 1);
                $(
                    $four!(w, $a, $b, $g $(, $f)?);
                    encrypt!($g, TEXT + 64 * chunk);
                )*
                $a = _mm_add_epi32($a, a_before);
                $b = $add($b, b_before);
            }
            // Few enough steps for the processor to have them and a hash's under way together.
            let rest = packet.get_mut(TEXT + 64 * chunks..).unwrap_or_default();
            for text in rest.as_chunks_mut().0 {
                x = _mm_xor_si128(x, load_words(&keys.keys[0]));
                x = _mm_xor_si128(x, load_words(text));
                for key in &keys.keys[1..ROUNDS] {
                    x = _mm_aesenc_si128(x, load_words(key));
                }
                x = _mm_aesenclast_si128(x, load_words(&keys.keys[ROUNDS]));
                store_words(x, text);
            }
            if let Some(chunk) = chunks.checked_sub(1) {
                let (a_before, b_before) = ($a, $b);
                let mut w = words(packet, chunk);
                $($four!(w, $a, $b, $g $(, $f)?);)*
                $a = _mm_add_epi32($a, a_before);
                $b = $add($b, b_before);
            }
            scatter($a, state, $a_words);
            scatter($b, state, $b_words);
            chunks
        }
    } };
}

stitched!(
    with_sha1, 5, SHA1_ORDER, abcd [0, 1, 2, 3], e [4, 5, 6, 7], sha1_four, _mm_sha1nexte_epu32,
    0 0, 1 0, 2 0, 3 0, 4 0, 5 1, 6 1, 7 1, 8 1, 9 1,
    10 2, 11 2, 12 2, 13 2, 14 2, 15 3, 16 3, 17 3, 18 3, 19 3
);
stitched!(
    with_sha256, 4, SHA256_ORDER, abef [0, 1, 4, 5], cdgh [2, 3, 6, 7], sha256_four, _mm_add_epi32,
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
);

sha! {
    fn any_sha1(keys: &RoundKeys, packet: &mut [u8], state: &mut State) -> usize {
        match keys.rounds {
            10 => with_sha1::<10>(keys, packet, state),
            12 => with_sha1::<12>(keys, packet, state),
            _ => with_sha1::<14>(keys, packet, state),
        }
    }

    fn any_sha256(keys: &RoundKeys, packet: &mut [u8], state: &mut State) -> usize {
        match keys.rounds {
            10 => with_sha256::<10>(keys, packet, state),
            12 => with_sha256::<12>(keys, packet, state),
            _ => with_sha256::<14>(keys, packet, state),
        }
    }
}
