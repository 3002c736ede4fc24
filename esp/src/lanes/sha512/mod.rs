//! HMAC with SHA-384 and SHA-512 (FIPS 180-4 sections 6.4 and 6.5), of four or eight messages side by side.

#[cfg(target_arch = "x86_64")]
mod lanes;
#[cfg(target_arch = "x86_64")]
mod one;

use super::hash::{Tag, padded};
use super::put;
use fearless_simd::Level;
#[cfg(target_arch = "x86_64")]
use fearless_simd::{u64x4, u64x8};
use sha2::block_api::compress512;
use zeroize::{Zeroize, ZeroizeOnDrop};

type State = [u64; 8];
type Block = [u8; 128];

/// Which hash function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Sha384,
    Sha512,
}

impl Kind {
    fn initial(self) -> State {
        match self {
            Self::Sha384 => SHA384,
            Self::Sha512 => SHA512,
        }
    }

    /// Bytes of a digest.
    fn digest(self) -> usize {
        match self {
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// An HMAC key: the states behind its inner and its outer block.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct Key {
    #[zeroize(skip)]
    kind: Kind,
    #[zeroize(skip)]
    level: Level,
    inner: State,
    outer: State,
}

type Job<'a> = super::hash::Job<'a, Key>;

impl Key {
    /// `key` is at most 128 bytes.
    pub(crate) fn new(level: Level, kind: Kind, key: &[u8]) -> Self {
        let state = |pad: u8| {
            let mut state = kind.initial();
            compress(level, &mut state, core::slice::from_ref(&*padded(key, pad)));
            state
        };
        Self {
            kind,
            level,
            inner: state(0x36),
            outer: state(0x5c),
        }
    }

    pub(crate) fn mac(&self, message: &[u8], suffix: Option<[u8; 4]>) -> Tag {
        let message = Message::new(self, message, suffix);
        let mut state = self.inner;
        compress(self.level, &mut state, message.body);
        compress(
            self.level,
            &mut state,
            message.tail.split_at(message.tails).0,
        );
        let outer = self.outer_block(&state);
        state = self.outer;
        compress(self.level, &mut state, &[outer]);
        tag(&state)
    }

    /// The block of the outer hash: the inner one's result.
    fn outer_block(&self, inner: &State) -> Block {
        let mut blocks = [[0; 128]; 2];
        let digest: [[u8; 8]; 8] = inner.map(u64::to_be_bytes);
        let digest = &digest.as_flattened()[..self.kind.digest()];
        tail(&mut blocks, digest, None, digest.len());
        blocks[0]
    }
}

/// Adds `blocks` to `state`.
fn compress(level: Level, state: &mut State, blocks: &[Block]) {
    #[cfg(target_arch = "x86_64")]
    if let Some(avx2) = level.as_avx2() {
        return one::compress(avx2, state, blocks);
    }
    let _ = level;
    compress512(state, blocks);
}

/// A message in blocks, the last of them with its padding.
struct Message<'a> {
    key: &'a Key,
    body: &'a [Block],
    tail: [Block; 2],
    tails: usize,
}

impl<'a> Message<'a> {
    fn new(key: &'a Key, message: &'a [u8], suffix: Option<[u8; 4]>) -> Self {
        let (body, rest) = message.as_chunks();
        let mut tail = [[0; 128]; 2];
        let tails = self::tail(&mut tail, rest, suffix, message.len());
        Self {
            key,
            body,
            tail,
            tails,
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn blocks(&self) -> usize {
        self.body.len() + self.tails
    }

    /// Behind the last one, any.
    #[cfg(target_arch = "x86_64")]
    fn block(&self, at: usize) -> &Block {
        let tail = |at: usize| &self.tail[at & 1];
        self.body
            .get(at)
            .unwrap_or_else(|| tail(at - self.body.len()))
    }
}

/// Fills in the last one or two blocks of a hash: what is left, the suffix, and the hash's padding.
/// Gives how many. `tail` is zeros.
fn tail(tail: &mut [Block; 2], rest: &[u8], suffix: Option<[u8; 4]>, length: usize) -> usize {
    let flat = tail.as_flattened_mut();
    let suffix = suffix.as_ref().map_or(&[][..], |s| s.as_slice());
    let end = rest.len() + suffix.len();
    put(rest, flat);
    flat[rest.len()..end].copy_from_slice(suffix);
    flat[end] = 0x80;
    let blocks = if end + 17 > 128 { 2 } else { 1 };
    // The key's block counts too.
    let bits = (128 + length + suffix.len()) as u64 * 8;
    flat[blocks * 128 - 8..blocks * 128].copy_from_slice(&bits.to_be_bytes());
    blocks
}

/// The beginning of a MAC.
fn tag(state: &State) -> Tag {
    let mut tag = [0; 32];
    for (to, word) in tag.as_chunks_mut().0.iter_mut().zip(state) {
        *to = word.to_be_bytes();
    }
    tag
}

/// The MACs of `jobs`.
pub(crate) fn mac_many(level: Level, jobs: &[Job<'_>], tags: &mut [Tag]) {
    #[cfg(target_arch = "x86_64")]
    let jobs = match level.as_avx512() {
        Some(avx512) => lanes::macs::<_, u64x8<_>, 8>(avx512, jobs, tags),
        None => jobs,
    };
    #[cfg(target_arch = "x86_64")]
    let jobs = match level.as_avx2() {
        Some(avx2) => lanes::macs::<_, u64x4<_>, 4>(avx2, jobs, tags),
        None => jobs,
    };
    let _ = level;
    mac_each(jobs, tags);
}

fn mac_each(jobs: &[Job<'_>], tags: &mut [Tag]) {
    for job in jobs {
        tags[job.place] = job.key.mac(job.message, job.suffix);
    }
}

#[rustfmt::skip]
const SHA384: State = [
    0xcbbb_9d5d_c105_9ed8, 0x629a_292a_367c_d507, 0x9159_015a_3070_dd17, 0x152f_ecd8_f70e_5939,
    0x6733_2667_ffc0_0b31, 0x8eb4_4a87_6858_1511, 0xdb0c_2e0d_64f9_8fa7, 0x47b5_481d_befa_4fa4,
];

#[rustfmt::skip]
const SHA512: State = [
    0x6a09_e667_f3bc_c908, 0xbb67_ae85_84ca_a73b, 0x3c6e_f372_fe94_f82b, 0xa54f_f53a_5f1d_36f1,
    0x510e_527f_ade6_82d1, 0x9b05_688c_2b3e_6c1f, 0x1f83_d9ab_fb41_bd6b, 0x5be0_cd19_137e_2179,
];

#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const K: [u64; 80] = [
    0x428a_2f98_d728_ae22, 0x7137_4491_23ef_65cd, 0xb5c0_fbcf_ec4d_3b2f, 0xe9b5_dba5_8189_dbbc,
    0x3956_c25b_f348_b538, 0x59f1_11f1_b605_d019, 0x923f_82a4_af19_4f9b, 0xab1c_5ed5_da6d_8118,
    0xd807_aa98_a303_0242, 0x1283_5b01_4570_6fbe, 0x2431_85be_4ee4_b28c, 0x550c_7dc3_d5ff_b4e2,
    0x72be_5d74_f27b_896f, 0x80de_b1fe_3b16_96b1, 0x9bdc_06a7_25c7_1235, 0xc19b_f174_cf69_2694,
    0xe49b_69c1_9ef1_4ad2, 0xefbe_4786_384f_25e3, 0x0fc1_9dc6_8b8c_d5b5, 0x240c_a1cc_77ac_9c65,
    0x2de9_2c6f_592b_0275, 0x4a74_84aa_6ea6_e483, 0x5cb0_a9dc_bd41_fbd4, 0x76f9_88da_8311_53b5,
    0x983e_5152_ee66_dfab, 0xa831_c66d_2db4_3210, 0xb003_27c8_98fb_213f, 0xbf59_7fc7_beef_0ee4,
    0xc6e0_0bf3_3da8_8fc2, 0xd5a7_9147_930a_a725, 0x06ca_6351_e003_826f, 0x1429_2967_0a0e_6e70,
    0x27b7_0a85_46d2_2ffc, 0x2e1b_2138_5c26_c926, 0x4d2c_6dfc_5ac4_2aed, 0x5338_0d13_9d95_b3df,
    0x650a_7354_8baf_63de, 0x766a_0abb_3c77_b2a8, 0x81c2_c92e_47ed_aee6, 0x9272_2c85_1482_353b,
    0xa2bf_e8a1_4cf1_0364, 0xa81a_664b_bc42_3001, 0xc24b_8b70_d0f8_9791, 0xc76c_51a3_0654_be30,
    0xd192_e819_d6ef_5218, 0xd699_0624_5565_a910, 0xf40e_3585_5771_202a, 0x106a_a070_32bb_d1b8,
    0x19a4_c116_b8d2_d0c8, 0x1e37_6c08_5141_ab53, 0x2748_774c_df8e_eb99, 0x34b0_bcb5_e19b_48a8,
    0x391c_0cb3_c5c9_5a63, 0x4ed8_aa4a_e341_8acb, 0x5b9c_ca4f_7763_e373, 0x682e_6ff3_d6b2_b8a3,
    0x748f_82ee_5def_b2fc, 0x78a5_636f_4317_2f60, 0x84c8_7814_a1f0_ab72, 0x8cc7_0208_1a64_39ec,
    0x90be_fffa_2363_1e28, 0xa450_6ceb_de82_bde9, 0xbef9_a3f7_b2c6_7915, 0xc671_78f2_e372_532b,
    0xca27_3ece_ea26_619c, 0xd186_b8c7_21c0_c207, 0xeada_7dd6_cde0_eb1e, 0xf57d_4f7f_ee6e_d178,
    0x06f0_67aa_7217_6fba, 0x0a63_7dc5_a2c8_98a6, 0x113f_9804_bef9_0dae, 0x1b71_0b35_131c_471b,
    0x28db_77f5_2304_7d84, 0x32ca_ab7b_40c7_2493, 0x3c9e_be0a_15c9_bebc, 0x431d_67c4_9c10_0d4c,
    0x4cc5_d4be_cb3e_42b6, 0x597f_299c_fc65_7e2a, 0x5fcb_6fab_3ad6_faec, 0x6c44_198c_4a47_5817,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanes::levels;
    use hmac::{Hmac, KeyInit, Mac};

    const KEY: [u8; 48] = [0x0b; 48];

    fn expected<M: Mac + KeyInit>(message: &[u8]) -> Vec<u8> {
        let mut mac = <M as KeyInit>::new_from_slice(&KEY).unwrap();
        mac.update(message);
        mac.update(&[1, 2, 3, 4]);
        mac.finalize().into_bytes()[..32].to_vec()
    }

    #[test]
    fn every_level_agrees_with_the_plain_one() {
        let lengths = (0..300).step_by(7).chain([1400; 9]).chain([107, 108, 128]);
        let messages: Vec<Vec<u8>> = lengths
            .map(|n| (0..n).map(|i| (i * 7 + n) as u8).collect())
            .collect();
        for level in levels() {
            let kinds = [Kind::Sha384, Kind::Sha512];
            let keys = kinds.map(|kind| Key::new(level, kind, &KEY));
            let all = messages
                .iter()
                .flat_map(|m| keys.iter().map(move |key| (key, m)));
            let jobs: Vec<Job<'_>> = all
                .enumerate()
                .map(|(place, (key, message))| Job {
                    place,
                    key,
                    message,
                    suffix: Some([1, 2, 3, 4]),
                })
                .collect();
            for count in [1, 3, 4, 5, jobs.len()] {
                let mut tags = vec![[0; 32]; count];
                mac_many(level, &jobs[..count], &mut tags);
                for (tag, job) in tags.iter().zip(&jobs) {
                    let right = match job.key.kind {
                        Kind::Sha384 => expected::<Hmac<sha2::Sha384>>(job.message),
                        Kind::Sha512 => expected::<Hmac<sha2::Sha512>>(job.message),
                    };
                    assert_eq!(tag[..], right, "{:?} {}", job.key.kind, job.message.len());
                    assert_eq!(job.key.mac(job.message, job.suffix), *tag);
                }
            }
        }
    }
}
