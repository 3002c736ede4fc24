//! HMAC (RFC 2104) of many messages, whose blocks go through a hash function side by side.

mod lanes;

use super::md5::Md5;
#[cfg(target_arch = "x86_64")]
use super::sha_ni::{SHA1_LANES, SHA256_LANES};
use super::sha1::Sha1;
use super::sha256::Sha256;
#[cfg(target_arch = "x86_64")]
use super::x86::has_sha;
use super::{LANES, put};
#[cfg(target_arch = "x86_64")]
use super::{aes::keys::RoundKeys, stitch};
use fearless_simd::Level;
use lanes::Lanes;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Chaining value; a hash function uses as many words as it has.
pub(crate) type State = [u32; 8];
/// The blocks of each lane.
pub(crate) type Data<'a, const N: usize = LANES> = [&'a [[u8; 64]]; N];

/// A hash function of 32-bit words and 64-byte blocks.
pub(crate) trait Hash {
    const INITIAL: State;
    const WORDS: usize;
    const BIG_ENDIAN: bool;

    fn compress_one(state: &mut State, blocks: &[[u8; 64]]);

    /// The MAC of one message.
    fn mac(job: &Job<'_>, tag: &mut Tag)
    where
        Self: Sized,
    {
        mac::<Self>(job, tag);
    }
}

/// A hash function over `N` messages side by side.
pub(crate) trait Wide<const N: usize>: Hash {
    /// Messages from which on lanes beat one message after the other.
    const WORTHWHILE: usize;
    /// Whether [`macs`](Self::macs) takes fewer messages too.
    const FEWER: bool = false;

    /// `blocks` of each lane, which has at least as many.
    fn compress(level: Level, states: &mut [State; N], data: &Data<'_, N>, blocks: usize);

    /// The MACs of `N` messages that are all as long: none waits for another.
    fn macs(level: Level, jobs: &[Job<'_>], tags: &mut [Tag])
    where
        Self: Sized,
    {
        let Some(jobs) = jobs.first_chunk::<N>() else {
            return;
        };
        let messages = jobs.each_ref().map(Message::new::<Self>);
        let mut states = messages.each_ref().map(|m| m.state);
        let body = messages.each_ref().map(|m| m.body);
        if !body[0].is_empty() {
            Self::compress(level, &mut states, &body, body[0].len());
        }
        let tails = messages.each_ref().map(|m| m.tail.as_slice());
        Self::compress(level, &mut states, &tails, messages[0].tails);
        let outer = states.map(|state| [outer_block::<Self>(&state)]);
        states = messages.each_ref().map(|m| *m.outer);
        let outer = outer.each_ref().map(|block| block.as_slice());
        Self::compress(level, &mut states, &outer, 1);
        for (job, state) in jobs.iter().zip(&states) {
            tags[job.place] = bytes::<Self>(state);
        }
    }
}

/// Which hash function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Md5,
    Sha1,
    Sha256,
}

/// An HMAC key: the states behind its inner and its outer block.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct Key {
    #[zeroize(skip)]
    pub(crate) kind: Kind,
    pub(super) inner: State,
    pub(super) outer: State,
}

/// A message in blocks.
pub(crate) struct Message<'a> {
    pub(super) state: State,
    pub(super) outer: &'a State,
    pub(super) body: &'a [[u8; 64]],
    /// The message's end with its padding.
    pub(super) tail: [[u8; 64]; 2],
    pub(super) tails: usize,
}

impl<'a> Message<'a> {
    #[inline(always)]
    pub(super) fn new<H: Hash>(job: &Job<'a>) -> Self {
        let (body, rest) = job.message.as_chunks();
        let mut tail = [[0; 64]; 2];
        let tails = self::tail::<H>(&mut tail, rest, job.suffix, job.message.len());
        Self {
            state: job.key.inner,
            outer: &job.key.outer,
            body,
            tail,
            tails,
        }
    }
}

/// One message to authenticate.
#[derive(Clone, Copy)]
pub(crate) struct Job<'a, K = Key> {
    /// Where in the tags its own belongs.
    pub(crate) place: usize,
    pub(crate) key: &'a K,
    pub(crate) message: &'a [u8],
    /// Goes behind the message.
    pub(crate) suffix: Option<[u8; 4]>,
}

impl Job<'_> {
    fn is_as_long_as(&self, other: &Self) -> bool {
        self.message.len() == other.message.len() && self.suffix.is_some() == other.suffix.is_some()
    }
}

/// A key as HMAC's inner or outer hash begins with it (RFC 2104 section 2). It is no longer than a
/// block.
pub(super) fn padded<const N: usize>(key: &[u8], pad: u8) -> Zeroizing<[u8; N]> {
    let mut block = Zeroizing::new([pad; N]);
    for (byte, key) in block.iter_mut().zip(key) {
        *byte ^= key;
    }
    block
}

/// A MAC before truncation; the rest is zero.
pub(crate) type Tag = [u8; 32];

impl Key {
    /// `key` is at most 64 bytes.
    pub(crate) fn new(kind: Kind, key: &[u8]) -> Self {
        match kind {
            Kind::Md5 => Self::of::<Md5>(kind, key),
            Kind::Sha1 => Self::of::<Sha1>(kind, key),
            Kind::Sha256 => Self::of::<Sha256>(kind, key),
        }
    }

    fn of<H: Hash>(kind: Kind, key: &[u8]) -> Self {
        let state = |pad: u8| {
            let mut state = H::INITIAL;
            H::compress_one(&mut state, core::slice::from_ref(&*padded(key, pad)));
            state
        };
        Self {
            kind,
            inner: state(0x36),
            outer: state(0x5c),
        }
    }

    /// The MAC of `message` and the suffix behind it.
    #[inline]
    pub(crate) fn mac(&self, message: &[u8], suffix: Option<[u8; 4]>) -> Tag {
        let job = Job {
            place: 0,
            key: self,
            message,
            suffix,
        };
        let mut tag = [0; 32];
        match self.kind {
            Kind::Md5 => Md5::mac(&job, &mut tag),
            Kind::Sha1 => Sha1::mac(&job, &mut tag),
            Kind::Sha256 => Sha256::mac(&job, &mut tag),
        }
        tag
    }

    /// AES-CBC of `packet`, which is header, IV and four blocks of text or more, and its MAC. None
    /// where this machine can't.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn encrypt_and_mac(
        &self,
        keys: &RoundKeys,
        packet: &mut [u8],
        suffix: Option<[u8; 4]>,
    ) -> Option<Tag> {
        match self.kind {
            Kind::Md5 => None,
            Kind::Sha1 => stitch::sha1(keys, self, packet, suffix),
            Kind::Sha256 => stitch::sha256(keys, self, packet, suffix),
        }
    }
}

/// The MACs of `jobs`, whose keys are all of `kind`.
pub(crate) fn mac_many(level: Level, kind: Kind, jobs: &[Job<'_>], tags: &mut [Tag]) {
    match (kind, Units::new(level)) {
        (Kind::Md5, Units::None) => mac_each::<Md5>(jobs, tags),
        (Kind::Md5, _) => Lanes::<Md5, LANES>::run(level, jobs, tags),
        (Kind::Sha1, Units::None) => mac_each::<Sha1>(jobs, tags),
        (Kind::Sha1, Units::Lanes) => Lanes::<Sha1, LANES>::run(level, jobs, tags),
        (Kind::Sha256, Units::None) => mac_each::<Sha256>(jobs, tags),
        (Kind::Sha256, Units::Lanes) => Lanes::<Sha256, LANES>::run(level, jobs, tags),
        #[cfg(target_arch = "x86_64")]
        (Kind::Sha1, Units::Sha) => Lanes::<Sha1, SHA1_LANES>::run(level, jobs, tags),
        #[cfg(target_arch = "x86_64")]
        (Kind::Sha256, Units::Sha) => Lanes::<Sha256, SHA256_LANES>::run(level, jobs, tags),
    }
}

/// What hashes several messages fastest.
enum Units {
    /// Nothing: one message after the other.
    None,
    /// Vectors.
    Lanes,
    /// The SHA instructions, but for MD5.
    #[cfg(target_arch = "x86_64")]
    Sha,
}

impl Units {
    #[cfg(target_arch = "x86_64")]
    fn new(level: Level) -> Self {
        match (level.as_avx512(), level.as_avx2()) {
            (Some(_), _) => Self::Lanes,
            (None, Some(_)) if has_sha(level) => Self::Sha,
            (None, Some(_)) => Self::Lanes,
            (None, None) => Self::None,
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn new(_: Level) -> Self {
        Self::None
    }
}

fn mac_each<H: Hash>(jobs: &[Job<'_>], tags: &mut [Tag]) {
    for job in jobs {
        H::mac(job, &mut tags[job.place]);
    }
}

/// The MAC of one message by a hash function of one block at a time.
pub(super) fn mac<H: Hash>(job: &Job<'_>, tag: &mut Tag) {
    let message = Message::new::<H>(job);
    let mut state = message.state;
    H::compress_one(&mut state, message.body);
    H::compress_one(&mut state, message.tail.split_at(message.tails).0);
    let outer = outer_block::<H>(&state);
    state = *message.outer;
    H::compress_one(&mut state, &[outer]);
    *tag = bytes::<H>(&state);
}

/// The last one or two blocks of a hash: what is left, the suffix, and the hash's padding. Gives
/// how many. `tail` is zeros.
fn tail<H: Hash>(
    tail: &mut [[u8; 64]; 2],
    rest: &[u8],
    suffix: Option<[u8; 4]>,
    length: usize,
) -> usize {
    let flat = tail.as_flattened_mut();
    put(rest, flat);
    let mut end = rest.len();
    if let Some(suffix) = suffix {
        flat[end..end + 4].copy_from_slice(&suffix);
        end += 4;
    }
    flat[end] = 0x80;
    let blocks = if end + 9 > 64 { 2 } else { 1 };
    // The key's block counts too.
    let bits = (64 + length + end - rest.len()) as u64 * 8;
    let bits = if H::BIG_ENDIAN {
        bits.to_be_bytes()
    } else {
        bits.to_le_bytes()
    };
    flat[blocks * 64 - 8..blocks * 64].copy_from_slice(&bits);
    blocks
}

/// The block of the outer hash: the inner one's result.
fn outer_block<H: Hash>(inner: &State) -> [u8; 64] {
    let mut blocks = [[0; 64]; 2];
    let digest = bytes::<H>(inner);
    tail::<H>(&mut blocks, &digest[..H::WORDS * 4], None, H::WORDS * 4);
    blocks[0]
}

fn bytes<H: Hash>(state: &State) -> Tag {
    let mut tag = [0; 32];
    for (to, word) in tag.as_chunks_mut().0.iter_mut().zip(state).take(H::WORDS) {
        *to = if H::BIG_ENDIAN {
            word.to_be_bytes()
        } else {
            word.to_le_bytes()
        };
    }
    tag
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanes::levels;
    use hmac::{Hmac, KeyInit, Mac};

    const KEY: [u8; 20] = [0x0b; 20];

    /// Of some messages all as long, of others each as long as it likes.
    fn messages() -> Vec<Vec<u8>> {
        let lengths = (0..300).step_by(7).chain([1400; 20]).chain([64, 119, 120]);
        lengths
            .map(|length| (0..length).map(|i| (i * 7 + length) as u8).collect())
            .collect()
    }

    fn expected<M: Mac + KeyInit>(message: &[u8]) -> Tag {
        let mut mac = <M as KeyInit>::new_from_slice(&KEY).unwrap();
        mac.update(message);
        mac.update(&[1, 2, 3, 4]);
        let mut tag = [0; 32];
        let bytes = mac.finalize().into_bytes();
        tag[..bytes.len()].copy_from_slice(&bytes);
        tag
    }

    fn agree<M: Mac + KeyInit>(kind: Kind, run: impl Fn(&[Job<'_>], &mut [Tag])) {
        let key = Key::new(kind, &KEY);
        let messages = messages();
        let jobs: Vec<Job<'_>> = messages
            .iter()
            .enumerate()
            .map(|(place, message)| Job {
                place,
                key: &key,
                message,
                suffix: Some([1, 2, 3, 4]),
            })
            .collect();
        for count in [1, 2, 3, 15, 16, jobs.len()] {
            let mut tags = vec![[0; 32]; count];
            run(&jobs[..count], &mut tags);
            for (tag, message) in tags.iter().zip(&messages) {
                assert_eq!(*tag, expected::<M>(message), "{kind:?} {}", message.len());
            }
        }
    }

    #[test]
    fn every_level_agrees_with_the_plain_one() {
        for level in levels() {
            agree::<Hmac<md5::Md5>>(Kind::Md5, |j, t| mac_many(level, Kind::Md5, j, t));
            agree::<Hmac<sha1::Sha1>>(Kind::Sha1, |j, t| mac_many(level, Kind::Sha1, j, t));
            agree::<Hmac<sha2::Sha256>>(Kind::Sha256, |j, t| mac_many(level, Kind::Sha256, j, t));
        }
    }

    /// Where there are SHA instructions too, they are preferred.
    #[test]
    fn vectors_agree_with_the_plain_one() {
        for level in levels() {
            agree::<Hmac<sha1::Sha1>>(Kind::Sha1, |j, t| {
                Lanes::<Sha1, LANES>::run(level, j, t);
            });
            agree::<Hmac<sha2::Sha256>>(Kind::Sha256, |j, t| {
                Lanes::<Sha256, LANES>::run(level, j, t);
            });
        }
    }
}
