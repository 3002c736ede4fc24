//! The same packets through this suite's ESP, RustCrypto one packet at a time, OpenSSL and
//! IPsec-MB, in turns, on one core. Prints Gbit/s of payload and our batch's ratio to each.

use aes_gcm::{AeadInOut, Aes128Gcm};
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, InnerIvInit, KeyInit, array::Array};
use esp::{Cipher, InboundSa, Integrity, Open, OutboundSa, SaConfig, Seal, Suite};
use hmac::{Hmac, Mac};
use openssl::cipher::{Cipher as OpensslCipher, CipherRef};
use openssl::cipher_ctx::CipherCtx;
use openssl::sha::{Sha1, Sha256, Sha512};
use std::ffi::{CStr, c_char, c_int};
use std::ops::Range;
use std::time::{Duration, Instant};

unsafe extern "C" {
    fn mb_version() -> *const c_char;
    fn mb_init();
    fn mb_round(suite: c_int, seal: c_int, length: c_int);
    fn stitched_init();
    fn stitched_round(length: c_int) -> c_int;
}

const PACKETS: usize = 64;
const SUITES: [(Cipher, Option<Integrity>); 6] = [
    (Cipher::AesCbc128, Some(Integrity::HmacSha1_96)),
    (Cipher::AesCbc256, Some(Integrity::HmacSha256_128)),
    (Cipher::TripleDesCbc, Some(Integrity::HmacSha1_96)),
    (Cipher::DesCbc, Some(Integrity::HmacMd5_96)),
    (Cipher::AesGcm128, None),
    (Cipher::AesCbc256, Some(Integrity::HmacSha512_256)),
];

/// A pair of SAs and 64 packets.
struct Ours {
    config: SaConfig,
    outbound: OutboundSa,
    bufs: Vec<Vec<u8>>,
    size: usize,
}

impl Ours {
    fn new(suite: Suite, size: usize) -> Self {
        let key = |n: usize| (1..=n).map(|i| i as u8 * 3).collect::<Vec<_>>();
        let integrity = suite.integrity().map_or(0, Integrity::key_length);
        let config = SaConfig::new(0x1234_5678, suite, &key(suite.cipher().key_length()), &key(integrity));
        let outbound = OutboundSa::new(Instant::now(), &config, &mut simnet::seeded(1)).unwrap();
        Self { config, outbound, bufs: vec![vec![0x55; size + 128]; PACKETS], size }
    }

    fn seal_batch(&mut self) -> [Range<usize>; PACKETS] {
        let payload = 64..64 + self.size;
        let mut bufs = self.bufs.iter_mut();
        let mut jobs: [Seal<'_>; PACKETS] =
            std::array::from_fn(|_| Seal::new(bufs.next().unwrap(), payload.clone(), 17));
        self.outbound.seal_batch(Instant::now(), &mut jobs);
        jobs.map(|job| job.result.unwrap())
    }

    fn seal(&mut self) {
        let now = Instant::now();
        for buf in &mut self.bufs {
            self.outbound.seal(now, buf, 64..64 + self.size, 17).unwrap();
        }
    }

    fn open_batch(&mut self) -> Duration {
        let packets = self.seal_batch();
        let mut inbound = InboundSa::new(Instant::now(), &self.config).unwrap();
        let mut bufs = self.bufs.iter_mut().zip(packets);
        let start = Instant::now();
        let mut jobs: [Open<'_>; PACKETS] = std::array::from_fn(|_| {
            let (buf, packet) = bufs.next().unwrap();
            Open::new(buf, packet)
        });
        inbound.open_batch(Instant::now(), &mut jobs);
        let time = start.elapsed();
        assert!(jobs.iter().all(|job| job.result.is_ok()));
        time
    }

    fn open(&mut self) -> Duration {
        let packets = self.seal_batch();
        let mut inbound = InboundSa::new(Instant::now(), &self.config).unwrap();
        let start = Instant::now();
        for (buf, packet) in self.bufs.iter_mut().zip(packets) {
            inbound.open(start, buf, packet).unwrap();
        }
        start.elapsed()
    }
}

/// Cipher and MAC of a packet as one would write it with RustCrypto's crates.
struct Plain {
    suite: usize,
    bufs: Vec<Vec<u8>>,
    length: usize,
}

impl Plain {
    /// Keys are set up before the clock starts.
    fn round(&mut self, seal: bool) -> Duration {
        let key: Vec<u8> = (1..=64_u8).map(|i| i * 3).collect();
        match self.suite {
            0 => self.cbc(seal, aes::Aes128::new_from_slice(&key[..16]).unwrap(), Hmac::<sha1::Sha1>::new_from_slice(&key[..20]).unwrap()),
            1 => self.cbc(seal, aes::Aes256::new_from_slice(&key[..32]).unwrap(), Hmac::<sha2::Sha256>::new_from_slice(&key[..32]).unwrap()),
            2 => self.cbc(seal, des::TdesEde3::new_from_slice(&key[..24]).unwrap(), Hmac::<sha1::Sha1>::new_from_slice(&key[..20]).unwrap()),
            3 => self.cbc(seal, des::Des::new_from_slice(&key[..8]).unwrap(), Hmac::<md5::Md5>::new_from_slice(&key[..16]).unwrap()),
            5 => self.cbc(seal, aes::Aes256::new_from_slice(&key[..32]).unwrap(), Hmac::<sha2::Sha512>::new_from_slice(&key).unwrap()),
            _ => {
                let gcm = Aes128Gcm::new_from_slice(&key[..16]).unwrap();
                let start = Instant::now();
                for buf in &mut self.bufs {
                    let (aad, text) = buf.split_at_mut(16);
                    let text = &mut text[..self.length];
                    // Decryption computes the same, but that a wrong tag would stop it.
                    let tag = gcm.encrypt_inout_detached(&[7; 12].into(), &aad[..8], text.into());
                    std::hint::black_box(tag).unwrap();
                }
                start.elapsed()
            }
        }
    }

    fn cbc<C, M>(&mut self, seal: bool, cipher: C, mac: M) -> Duration
    where
        C: cbc::cipher::BlockCipherEncrypt + cbc::cipher::BlockCipherDecrypt,
        M: Mac + Clone,
    {
        let start = Instant::now();
        for buf in &mut self.bufs {
            let signed = 24 + self.length;
            let sign = |buf: &[u8]| {
                let mut mac = mac.clone();
                mac.update(&buf[..signed]);
                std::hint::black_box(mac.finalize());
            };
            if !seal {
                sign(buf);
            }
            let (iv, text) = buf[..signed].split_at_mut(24);
            let iv = Array::try_from(&iv[24 - C::block_size()..]).unwrap();
            let (blocks, _) = Array::slice_as_chunks_mut(text);
            if seal {
                cbc::Encryptor::<&C>::inner_iv_init(&cipher, &iv).encrypt_blocks(blocks);
                sign(buf);
            } else {
                cbc::Decryptor::<&C>::inner_iv_init(&cipher, &iv).decrypt_blocks(blocks);
            }
        }
        start.elapsed()
    }
}

/// The states behind an HMAC's inner and outer key.
enum Hash {
    None,
    Sha1([Sha1; 2]),
    Sha256([Sha256; 2]),
    Sha512([Sha512; 2]),
}

macro_rules! sign {
    ($keyed:ident, $data:ident) => {{
        let [mut inner, mut outer] = $keyed.clone();
        inner.update($data);
        outer.update(&inner.finish());
        std::hint::black_box(outer.finish());
    }};
}

impl Hash {
    fn sign(&self, data: &[u8]) {
        match self {
            Self::None => {}
            Self::Sha1(keyed) => sign!(keyed, data),
            Self::Sha256(keyed) => sign!(keyed, data),
            Self::Sha512(keyed) => sign!(keyed, data),
        }
    }
}

/// Cipher and MAC of a packet with OpenSSL's own functions.
struct Openssl {
    cipher: &'static CipherRef,
    context: CipherCtx,
    hash: Hash,
    bufs: Vec<Vec<u8>>,
    length: usize,
    tag: [u8; 16],
}

impl Openssl {
    /// None where OpenSSL has no such cipher: DES is in its legacy provider.
    fn new(suite: usize, length: usize) -> Option<Self> {
        let mut sha1 = [Sha1::new(), Sha1::new()];
        let mut sha256 = [Sha256::new(), Sha256::new()];
        let mut sha512 = [Sha512::new(), Sha512::new()];
        for (i, pad) in [0x36, 0x5c].into_iter().enumerate() {
            sha1[i].update(&[pad; 64]);
            sha256[i].update(&[pad; 64]);
            sha512[i].update(&[pad; 128]);
        }
        let (sha1, sha256, sha512) = (Hash::Sha1(sha1), Hash::Sha256(sha256), Hash::Sha512(sha512));
        let (cipher, hash) = match suite {
            0 => (OpensslCipher::aes_128_cbc(), sha1),
            1 => (OpensslCipher::aes_256_cbc(), sha256),
            2 => (OpensslCipher::des_ede3_cbc(), sha1),
            3 => return None,
            5 => (OpensslCipher::aes_256_cbc(), sha512),
            _ => (OpensslCipher::aes_128_gcm(), Hash::None),
        };
        let key: Vec<u8> = (1..=32_u8).map(|i| i * 3).collect();
        let mut context = CipherCtx::new().unwrap();
        let key = &key[..cipher.key_length()];
        context.encrypt_init(Some(cipher), Some(key), Some(&[7; 16][..cipher.iv_length()])).unwrap();
        let bufs = vec![vec![0x55; 2048]; PACKETS];
        Some(Self { cipher, context, hash, bufs, length, tag: [0; 16] })
    }

    fn round(&mut self, seal: bool) {
        let iv = &[7; 16][..self.cipher.iv_length()];
        for buf in &mut self.bufs {
            let text = 24..24 + self.length;
            // GCM's tag would be wrong in the second turn: decryption computes the same.
            let gcm = matches!(self.hash, Hash::None);
            if !seal {
                self.hash.sign(&buf[..text.end]);
            }
            if seal || gcm {
                self.context.encrypt_init(None, None, Some(iv)).unwrap();
            } else {
                self.context.decrypt_init(None, None, Some(iv)).unwrap();
            }
            self.context.set_padding(false);
            if gcm {
                self.context.cipher_update(&buf[..8], None).unwrap();
            }
            self.context.cipher_update_inplace(&mut buf[text.start..], self.length).unwrap();
            if gcm {
                self.context.cipher_final(&mut [0; 16]).unwrap();
                self.context.tag(&mut self.tag).unwrap();
            }
            if seal {
                self.hash.sign(&buf[..text.end]);
            }
        }
    }
}

fn timed(mut round: impl FnMut()) -> Duration {
    let start = Instant::now();
    round();
    start.elapsed()
}

fn main() {
    // SAFETY: the peers keep static state, and there is one thread.
    let version = unsafe {
        mb_init();
        stitched_init();
        CStr::from_ptr(mb_version()).to_string_lossy().into_owned()
    };
    let only = std::env::args().skip_while(|a| a != "--suite").nth(1);
    let quick = std::env::args().any(|a| a == "--quick");
    println!("IPsec-MB {version}, OpenSSL by its crate; Gbit/s of payload, best of turns; in brackets: our batch of 64 to it\n");
    println!("| suite | bytes | | batch of 64 | one packet | RustCrypto | OpenSSL | stitched | IPsec-MB |");
    println!("|---|---|---|---|---|---|---|---|---|");
    for (index, (cipher, integrity)) in SUITES.into_iter().enumerate() {
        let suite = Suite::new(cipher, integrity).unwrap();
        if only.as_ref().is_some_and(|only| !suite.to_string().contains(only)) {
            continue;
        }
        for size in [64_usize, 512, 1400] {
            if quick && size != 1400 {
                continue;
            }
            for seal in [true, false] {
                let length = if cipher.is_aead() { size + 4 } else { (size + 2).next_multiple_of(cipher.alignment()) };
                let mut ours = Ours::new(suite, size);
                let mut plain = Plain { suite: index, bufs: vec![vec![0x55; 2048]; PACKETS], length };
                let mut openssl = Openssl::new(index, length);
                let (s, d, l) = (index as c_int, c_int::from(seal), length as c_int);
                let mut contend = |contender| match (contender, seal) {
                    (0, true) => Some(timed(|| drop(ours.seal_batch()))),
                    (0, false) => Some(ours.open_batch()),
                    (1, true) => Some(timed(|| ours.seal())),
                    (1, false) => Some(ours.open()),
                    (2, _) => Some(plain.round(seal)),
                    (3, _) => openssl.as_mut().map(|o| timed(|| o.round(seal))),
                    // SAFETY: as above.
                    (4, true) if index == 0 => {
                        let mut there = 0;
                        let time = timed(|| there = unsafe { stitched_round(l) });
                        (there != 0).then_some(time)
                    }
                    (4, _) => None,
                    _ => Some(timed(|| unsafe { mb_round(s, d, l) })),
                };
                // In turns, so that all of them have the same machine; the slow ones have fewer.
                let budget = Duration::from_millis(if quick { 40 } else { 150 });
                let mut best = [Duration::MAX; 6];
                let mut spent = [Duration::ZERO; 6];
                while spent.iter().any(|spent| *spent < budget) {
                    for (contender, (best, spent)) in best.iter_mut().zip(&mut spent).enumerate() {
                        for _ in 0..4 {
                            if *spent < budget {
                                let time = contend(contender);
                                *best = time.unwrap_or(*best).min(*best);
                                *spent += time.unwrap_or(budget);
                            }
                        }
                    }
                }
                let rate = |time: Duration| (size * PACKETS * 8) as f64 / time.as_secs_f64() / 1e9;
                print!("| {suite} | {size} | {} ", if seal { "seal" } else { "open" });
                for (i, time) in best.into_iter().enumerate() {
                    if time == Duration::MAX {
                        print!("| – ");
                    } else if i == 0 {
                        print!("| **{:.2}** ", rate(time));
                    } else {
                        print!("| {:.2} ({:.2}) ", rate(time), rate(best[0]) / rate(time));
                    }
                }
                println!("|");
            }
        }
    }
}
