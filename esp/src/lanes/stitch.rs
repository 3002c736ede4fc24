//! AES-CBC and the MAC of one packet in one pass, as each leaves units idle that the other uses.

use super::aes::keys::RoundKeys;
use super::hash::{Key, Tag};
use super::sha_ni::{
    SHA1_ORDER, SHA256_ORDER, sha1_bits, sha1_four, sha1_load, sha1_outer, sha1_parts, sha1_tag,
    sha256_bits, sha256_four, sha256_load, sha256_outer, sha256_parts, sha256_tag, twenty,
};
use super::sha256::K;
use super::sixteen;
use super::x86::{load_words, sha, sha_entry, store_words};
use core::arch::x86_64::{
    _mm_add_epi32, _mm_aesenc_si128, _mm_aesenclast_si128, _mm_alignr_epi8, _mm_or_si128,
    _mm_set_epi32, _mm_setzero_si128, _mm_sha1msg1_epu32, _mm_sha1msg2_epu32, _mm_sha1nexte_epu32,
    _mm_sha1rnds4_epu32, _mm_sha256msg1_epu32, _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32,
    _mm_shuffle_epi8, _mm_shuffle_epi32, _mm_slli_si128, _mm_xor_si128,
};

/// Where the IV and the text begin in a packet.
const IV: usize = crate::HEADER;
const TEXT: usize = IV + 16;

sha_entry! {
    /// Encrypts the text of `packet`, whole blocks, at least four; gives the MAC with `key`.
    pub(super) fn sha1(keys: &RoundKeys, key: &Key, packet: &mut [u8], suffix: Option<[u8; 4]>) -> Tag = any_sha1
}

sha_entry! {
    /// The same with SHA-256.
    pub(super) fn sha256(keys: &RoundKeys, key: &Key, packet: &mut [u8], suffix: Option<[u8; 4]>) -> Tag = any_sha256
}

/// The hash's groups of rounds, each followed by its part of the encryption of the blocks that the
/// next 64 bytes have: in `$groups` of them a block of AES. What is hashed comes from registers, as
/// a read of what has just been written in other pieces waits.
macro_rules! stitched {
    ($name:ident, $groups:literal, $order:ident, $load:ident, $a:ident, $b:ident, $four:ident, $add:ident, $all:ident, $bits:ident, $outer:ident, $tag:ident) => { sha! {
        #[allow(unused_assignments, reason = "the last rounds make no words, which is not seen")]
        fn $name<const ROUNDS: usize>(keys: &RoundKeys, key: &Key, packet: &mut [u8], suffix: Option<[u8; 4]>) -> Tag {
            let mut tag = [0; 32];
            let length = packet.len();
            let Some((head, text)) = packet.split_first_chunk_mut::<TEXT>() else {
                return tag;
            };
            let (Some(start), Some(iv)) = (head.first_chunk(), head.last_chunk()) else {
                return tag;
            };
            let Some((first, rest)) = text.as_chunks_mut().0.split_first_chunk_mut::<4>() else {
                return tag;
            };
            let order = load_words(&$order);
            let [mut $a, mut $b] = $load(&key.inner);
            let mut x = load_words(iv);
            // The IV and the last blocks, behind what the header is the end of. The very last one is
            // not yet in the next 64 bytes, so that the hash need not wait for it.
            let mut last = [_mm_slli_si128::<8>(load_words(start)), x, x, x, x, x];
            macro_rules! encrypt {
                ($text:expr) => {
                    x = _mm_xor_si128(x, load_words(&keys.keys[0]));
                    x = _mm_xor_si128(x, load_words($text));
                    for key in &keys.keys[1..ROUNDS] {
                        x = _mm_aesenc_si128(x, load_words(key));
                    }
                    x = _mm_aesenclast_si128(x, load_words(&keys.keys[ROUNDS]));
                    store_words(x, $text);
                };
                // Part `$n` of four blocks.
                ($texts:expr, $n:literal) => {
                    let steps = ROUNDS.div_ceil($groups);
                    let text = &mut $texts[$n / $groups];
                    if $n % $groups == 0 {
                        x = _mm_xor_si128(x, load_words(&keys.keys[0]));
                        x = _mm_xor_si128(x, load_words(text));
                    }
                    for step in 1..=steps {
                        let round = $n % $groups * steps + step;
                        if round < ROUNDS {
                            x = _mm_aesenc_si128(x, load_words(&keys.keys[round]));
                        } else if round == ROUNDS {
                            x = _mm_aesenclast_si128(x, load_words(&keys.keys[round]));
                            store_words(x, text);
                            last[2 + $n / $groups] = x;
                        }
                    }
                };
            }
            macro_rules! words {
                ($from:ident, $at:literal) => {
                    [
                        _mm_shuffle_epi8(_mm_alignr_epi8::<8>($from[$at + 1], $from[$at]), order),
                        _mm_shuffle_epi8(_mm_alignr_epi8::<8>($from[$at + 2], $from[$at + 1]), order),
                        _mm_shuffle_epi8(_mm_alignr_epi8::<8>($from[$at + 3], $from[$at + 2]), order),
                        _mm_shuffle_epi8(_mm_alignr_epi8::<8>($from[$at + 4], $from[$at + 3]), order),
                    ]
                };
            }
            macro_rules! block {
                ($w:ident) => {
                    let (a_before, b_before) = ($a, $b);
                    $all!($four, $w, $a, $b);
                    $a = _mm_add_epi32($a, a_before);
                    $b = $add($b, b_before);
                };
            }
            for (text, last) in first.iter_mut().zip(&mut last[2..]) {
                encrypt!(text);
                *last = x;
            }
            let (fours, rest) = rest.as_chunks_mut::<4>();
            for texts in fours {
                let (a_before, b_before) = ($a, $b);
                let mut w = words!(last, 0);
                (last[0], last[1]) = (last[4], last[5]);
                macro_rules! both {
                    ($g:literal) => {
                        $four!($g, w, $a, $b);
                        encrypt!(texts, $g);
                    };
                }
                $all!(both);
                $a = _mm_add_epi32($a, a_before);
                $b = $add($b, b_before);
            }
            let mut w = words!(last, 0);
            // The message's end: up to three blocks, the suffix, the hash's padding.
            let mut end = [0; 16];
            let behind = match suffix {
                Some(suffix) => {
                    end[..4].copy_from_slice(&suffix);
                    end[4] = 0x80;
                    4
                }
                None => {
                    end[0] = 0x80;
                    0
                }
            };
            let end = load_words(&end);
            let zero = _mm_setzero_si128();
            let mut tail = [last[4], last[5], end, zero, zero, zero, zero, zero, zero];
            let two = rest.len() >= 2;
            // Few enough steps for the processor to have them and a hash's under way together.
            for (at, text) in rest.iter_mut().take(3).enumerate() {
                encrypt!(text);
                (tail[at + 2], tail[at + 3]) = (x, end);
            }
            block!(w);
            w = words!(tail, 0);
            if two {
                block!(w);
                w = words!(tail, 4);
            }
            // The key's block counts too.
            w[3] = _mm_or_si128(w[3], $bits((64 + length + behind) * 8));
            block!(w);
            w = $outer($a, $b);
            [$a, $b] = $load(&key.outer);
            block!(w);
            $tag($a, $b, order, &mut tag);
            tag
        }
    } };
}

sha1_parts!(stitched, with_sha1, 5);
sha256_parts!(stitched, with_sha256, 4);

sha! {
    fn any_sha1(keys: &RoundKeys, key: &Key, packet: &mut [u8], suffix: Option<[u8; 4]>) -> Tag {
        match keys.rounds {
            10 => with_sha1::<10>(keys, key, packet, suffix),
            12 => with_sha1::<12>(keys, key, packet, suffix),
            _ => with_sha1::<14>(keys, key, packet, suffix),
        }
    }

    fn any_sha256(keys: &RoundKeys, key: &Key, packet: &mut [u8], suffix: Option<[u8; 4]>) -> Tag {
        match keys.rounds {
            10 => with_sha256::<10>(keys, key, packet, suffix),
            12 => with_sha256::<12>(keys, key, packet, suffix),
            _ => with_sha256::<14>(keys, key, packet, suffix),
        }
    }
}
