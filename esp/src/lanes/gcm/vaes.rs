//! Two blocks in a vector; up to sixteen before one reduction.

use super::{Input, KEPT, Key, POWERS, REVERSE};
use crate::lanes::aes::keys::RoundKeys;
use crate::lanes::x86::{load, load_block, load_twice, store, store_block, vaes, vaes_entry};
use core::arch::x86_64::{
    __m128i, __m256i, _mm_clmulepi64_si128, _mm_set_epi64x, _mm_shuffle_epi32, _mm_xor_si128,
    _mm256_add_epi32, _mm256_aesenc_epi128, _mm256_aesenclast_epi128, _mm256_bslli_epi128,
    _mm256_bsrli_epi128, _mm256_castsi256_si128, _mm256_clmulepi64_epi128,
    _mm256_extracti128_si256, _mm256_set_epi32, _mm256_setzero_si256, _mm256_shuffle_epi8,
    _mm256_xor_si256, _mm256_zextsi128_si256,
};

vaes_entry! {
    /// See [`Key::crypt`].
    pub(super) fn crypt(
        key: &Key,
        input: Input<'_>,
        text: &mut [u8],
        stream: Option<&mut [[u8; 64]; KEPT / 64]>,
    ) -> [u8; 16] = crypt_in
}

/// Vectors between two reductions.
const CHUNK: usize = 8;

/// Products not yet reduced: their low, middle and high parts.
type Products = [__m256i; 3];

vaes! {
    fn crypt_in(
        key: &Key,
        input: Input<'_>,
        text: &mut [u8],
        stream: Option<&mut [[u8; 64]; KEPT / 64]>,
    ) -> [u8; 16] {
        let sealing = stream.is_none();
        let mut stream = match stream {
            Some(stream) => stream.as_flattened_mut().as_chunks_mut::<32>().0,
            None => &mut [][..],
        };
        let length = text.len();
        let swap = load(&REVERSE[0]);

        // Counters in their own order, so that they can be added to; block 1 makes the tag's mask.
        let mut first = [0; 16];
        first[..12].copy_from_slice(&input.nonce);
        first.reverse();
        let first = load_twice(&first);
        let mut counter = _mm256_add_epi32(first, _mm256_set_epi32(0, 0, 0, 2, 0, 0, 0, 1));
        let mut mask = [_mm256_setzero_si256()];
        key_stream(&key.keys, &mut counter, &mut mask);
        // The mask takes the first block of a vector, the text begins at the second.
        counter = _mm256_add_epi32(first, _mm256_set_epi32(0, 0, 0, 3, 0, 0, 0, 2));

        let mut aad = [0; 16];
        aad[..input.aad.len()].copy_from_slice(input.aad);
        aad.reverse();
        let one = load_block(&key.powers[POWERS - 1]);
        let mut products = [_mm256_setzero_si256(); 3];
        multiply(
            &mut products,
            _mm256_zextsi128_si256(load_block(&aad)),
            _mm256_zextsi128_si256(one),
        );
        let mut sum = reduce(&products);

        let (chunks, rest) = text.as_chunks_mut::<{ CHUNK * 32 }>();
        let powers = key.powers[POWERS - 2 * CHUNK..].as_flattened().as_chunks::<32>().0;
        for chunk in chunks {
            let mut blocks = [_mm256_setzero_si256(); CHUNK];
            key_stream(&key.keys, &mut counter, &mut blocks);
            if !sealing {
                let (here, later) = stream.split_at_mut(stream.len().min(CHUNK));
                for (to, from) in here.iter_mut().zip(blocks) {
                    store(from, to);
                }
                stream = later;
            }
            let mut products = [_mm256_setzero_si256(); 3];
            let mut carried = _mm256_zextsi128_si256(sum);
            let texts = chunk.as_chunks_mut::<32>().0;
            for ((text, block), power) in texts.iter_mut().zip(blocks).zip(powers) {
                let mut encrypted = load(text);
                if sealing {
                    encrypted = _mm256_xor_si256(encrypted, block);
                    store(encrypted, text);
                }
                let element = _mm256_xor_si256(_mm256_shuffle_epi8(encrypted, swap), carried);
                carried = _mm256_setzero_si256();
                multiply(&mut products, element, load(power));
            }
            sum = reduce(&products);
        }

        // What is left, zeros up to a whole block, and the lengths.
        let left = rest.len();
        let end = left.next_multiple_of(16);
        let mut last = [[0; 32]; CHUNK + 1];
        last.as_flattened_mut()[..left].copy_from_slice(rest);
        let mut blocks = [_mm256_setzero_si256(); CHUNK];
        if left > CHUNK * 16 {
            key_stream(&key.keys, &mut counter, &mut blocks);
        } else if let Some(blocks) = blocks.first_chunk_mut::<{ CHUNK / 2 }>() {
            key_stream(&key.keys, &mut counter, blocks);
        }
        if sealing {
            for (text, block) in last.iter_mut().zip(blocks) {
                store(_mm256_xor_si256(load(text), block), text);
            }
            let flat = last.as_flattened_mut();
            rest.copy_from_slice(&flat[..left]);
            flat[left..].fill(0);
        } else {
            for (to, from) in stream.iter_mut().zip(blocks) {
                store(from, to);
            }
        }
        let flat = last.as_flattened_mut();
        flat[end..end + 8].copy_from_slice(&(input.aad.len() as u64 * 8).to_be_bytes());
        flat[end + 8..end + 16].copy_from_slice(&(length as u64 * 8).to_be_bytes());
        let count = end / 16 + 1;
        let powers = key.powers[POWERS - count..].as_flattened().as_chunks::<32>().0;
        let mut products = [_mm256_setzero_si256(); 3];
        let mut carried = _mm256_zextsi128_si256(sum);
        for (block, power) in last[..count.div_ceil(2)].iter().zip(powers) {
            let element = _mm256_xor_si256(_mm256_shuffle_epi8(load(block), swap), carried);
            carried = _mm256_setzero_si256();
            multiply(&mut products, element, load(power));
        }
        let sum = _mm256_shuffle_epi8(_mm256_zextsi128_si256(reduce(&products)), swap);
        let mut tag = [0; 16];
        store_block(_mm256_castsi256_si128(_mm256_xor_si256(sum, mask[0])), &mut tag);
        tag
    }

    /// Encrypts the next counters.
    fn key_stream<const V: usize>(keys: &RoundKeys, counter: &mut __m256i, blocks: &mut [__m256i; V]) {
        let swap = load(&REVERSE[0]);
        let two = _mm256_set_epi32(0, 0, 0, 2, 0, 0, 0, 2);
        let key = load_twice(&keys.keys[0]);
        for block in &mut *blocks {
            *block = _mm256_xor_si256(_mm256_shuffle_epi8(*counter, swap), key);
            *counter = _mm256_add_epi32(*counter, two);
        }
        for key in &keys.keys[1..keys.rounds] {
            let key = load_twice(key);
            for block in &mut *blocks {
                *block = _mm256_aesenc_epi128(*block, key);
            }
        }
        let key = load_twice(&keys.keys[keys.rounds]);
        for block in blocks {
            *block = _mm256_aesenclast_epi128(*block, key);
        }
    }

    /// Adds the products of each block of `a` and `b`.
    fn multiply(sum: &mut Products, a: __m256i, b: __m256i) {
        let [low, middle, high] = sum;
        *low = _mm256_xor_si256(*low, _mm256_clmulepi64_epi128::<0x00>(a, b));
        *middle = _mm256_xor_si256(*middle, _mm256_clmulepi64_epi128::<0x01>(a, b));
        *middle = _mm256_xor_si256(*middle, _mm256_clmulepi64_epi128::<0x10>(a, b));
        *high = _mm256_xor_si256(*high, _mm256_clmulepi64_epi128::<0x11>(a, b));
    }

    /// The sum over both blocks, modulo POLYVAL's polynomial.
    fn reduce(products: &Products) -> __m128i {
        let [low, middle, high] = products;
        let low = fold(_mm256_xor_si256(*low, _mm256_bslli_epi128::<8>(*middle)));
        let high = fold(_mm256_xor_si256(*high, _mm256_bsrli_epi128::<8>(*middle)));
        let polynomial = _mm_set_epi64x(0, 0xc200_0000_0000_0000_u64.cast_signed());
        let folded = _mm_clmulepi64_si128::<0x00>(low, polynomial);
        let low = _mm_xor_si128(_mm_shuffle_epi32::<0b01_00_11_10>(low), folded);
        let folded = _mm_clmulepi64_si128::<0x00>(low, polynomial);
        let low = _mm_xor_si128(_mm_shuffle_epi32::<0b01_00_11_10>(low), folded);
        _mm_xor_si128(low, high)
    }

    fn fold(v: __m256i) -> __m128i {
        _mm_xor_si128(_mm256_castsi256_si128(v), _mm256_extracti128_si256::<1>(v))
    }
}
