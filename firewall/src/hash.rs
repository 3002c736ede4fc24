//! SipHash-1-3 with a random key: who chooses addresses and ports does not choose buckets.

use rand_core::Rng;
use std::hash::{BuildHasher, Hasher};

/// The key.
#[derive(Clone, Copy)]
pub(crate) struct Key(u64, u64);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(16 bytes)")
    }
}

impl Key {
    pub(crate) fn new(rng: &mut dyn Rng) -> Self {
        Self(rng.next_u64(), rng.next_u64())
    }

    /// Of a message that ends with the low 56 bits of the last word, which leaves room for its
    /// length and saves a round.
    pub(crate) fn hash<const N: usize>(self, words: [u64; N]) -> u64 {
        let mut state = State::new(self);
        let (last, full) = words.split_last().unwrap_or((&0, &[]));
        for word in full {
            state.absorb(*word);
        }
        let length = 8 * full.len() as u64 + 7;
        state.finish(*last | length << 56)
    }
}

impl BuildHasher for Key {
    type Hasher = Keyed;

    fn build_hasher(&self) -> Keyed {
        Keyed {
            state: State::new(*self),
            pending: 0,
            length: 0,
        }
    }
}

/// For std's collections.
#[derive(Debug)]
pub(crate) struct Keyed {
    state: State,
    pending: u64,
    length: u64,
}

impl Hasher for Keyed {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.pending |= u64::from(*byte) << (8 * (self.length % 8));
            self.length += 1;
            if self.length.is_multiple_of(8) {
                self.state.absorb(self.pending);
                self.pending = 0;
            }
        }
    }

    fn finish(&self) -> u64 {
        self.state.finish(self.pending | self.length << 56)
    }
}

#[derive(Debug, Clone, Copy)]
struct State([u64; 4]);

impl State {
    fn new(Key(k0, k1): Key) -> Self {
        Self([
            k0 ^ 0x736f_6d65_7073_6575,
            k1 ^ 0x646f_7261_6e64_6f6d,
            k0 ^ 0x6c79_6765_6e65_7261,
            k1 ^ 0x7465_6462_7974_6573,
        ])
    }

    fn absorb(&mut self, word: u64) {
        self.0[3] ^= word;
        self.round();
        self.0[0] ^= word;
    }

    fn finish(mut self, last: u64) -> u64 {
        self.absorb(last);
        self.0[2] ^= 0xff;
        for _ in 0..3 {
            self.round();
        }
        self.0.into_iter().fold(0, |sum, word| sum ^ word)
    }

    fn round(&mut self) {
        let [mut a, mut b, mut c, mut d] = self.0;
        a = a.wrapping_add(b);
        c = c.wrapping_add(d);
        b = b.rotate_left(13) ^ a;
        d = d.rotate_left(16) ^ c;
        a = a.rotate_left(32).wrapping_add(d);
        c = c.wrapping_add(b);
        b = b.rotate_left(17) ^ c;
        d = d.rotate_left(21) ^ a;
        c = c.rotate_left(32);
        self.0 = [a, b, c, d];
    }
}

#[cfg(test)]
mod tests {
    use super::Key;
    use std::hash::{BuildHasher, DefaultHasher, Hasher};

    /// The standard library's hasher is SipHash-1-3 with a key of zeros.
    #[test]
    fn agrees_with_the_standard_library() {
        for length in 0..40_u8 {
            let bytes: Vec<u8> = (0..length).collect();
            let mut theirs = DefaultHasher::new();
            theirs.write(&bytes);
            let mut ours = Key(0, 0).build_hasher();
            ours.write(&bytes);
            assert_eq!(ours.finish(), theirs.finish());
        }
        let mut theirs = DefaultHasher::new();
        let bytes = [7_u64.to_le_bytes(), 9_u64.to_le_bytes()].concat();
        theirs.write(bytes.split_last().unwrap().1);
        assert_eq!(Key(0, 0).hash([7, 9]), theirs.finish());
    }
}
