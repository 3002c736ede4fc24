use crate::crypto::{decrypt, encrypt, hash, prf};
use crate::secret::Secret;
use crate::suite::{Cipher, Hash, Phase1Suite};
use crate::wire::PROTO_ESP;

/// Both cookies of an ISAKMP SA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Cookies {
    pub(crate) initiator: [u8; 8],
    pub(crate) responder: [u8; 8],
}

/// The values that both sides of main mode have exchanged.
#[derive(Debug)]
pub(crate) struct Exchanged<'a> {
    pub(crate) cookies: Cookies,
    pub(crate) initiator_nonce: &'a [u8],
    pub(crate) responder_nonce: &'a [u8],
    pub(crate) initiator_public: &'a [u8],
    pub(crate) responder_public: &'a [u8],
}

/// The keys of an ISAKMP SA (RFC 2409 section 5).
#[derive(Debug)]
pub(crate) struct Keys {
    hash: Hash,
    cipher: Cipher,
    skeyid: Secret,
    skeyid_d: Secret,
    skeyid_a: Secret,
    encryption: Secret,
    /// The last ciphertext block of main mode so far.
    iv: Vec<u8>,
}

impl Keys {
    pub(crate) fn derive(suite: Phase1Suite, psk: &[u8], shared: &[u8], x: &Exchanged<'_>) -> Self {
        let Phase1Suite {
            cipher, hash: h, ..
        } = suite;
        let skeyid = prf(h, psk, &[x.initiator_nonce, x.responder_nonce]);
        let next = |previous: &[u8], n| skeyid_step(h, &skeyid, previous, shared, &x.cookies, n);
        let skeyid_d = next(&[], 0);
        let skeyid_a = next(skeyid_d.as_bytes(), 1);
        let skeyid_e = next(skeyid_a.as_bytes(), 2);
        let mut iv = hash(h, &[x.initiator_public, x.responder_public]);
        iv.truncate(cipher.block_len());
        Self {
            hash: h,
            cipher,
            encryption: stretch(h, &skeyid_e, cipher.key_length()),
            skeyid,
            skeyid_d,
            skeyid_a,
            iv,
        }
    }

    /// Of an exchange that others had: it decrypts, no more.
    #[cfg(test)]
    pub(crate) fn of_capture(suite: Phase1Suite, ka: Vec<u8>, publics: [&[u8]; 2]) -> Self {
        let none = || Secret::new(Vec::new());
        let mut iv = hash(suite.hash, &publics);
        iv.truncate(suite.cipher.block_len());
        Self {
            hash: suite.hash,
            cipher: suite.cipher,
            skeyid: none(),
            skeyid_d: none(),
            skeyid_a: none(),
            encryption: Secret::new(ka),
            iv,
        }
    }

    /// SKEYID, `SKEYID_d`, `SKEYID_a`.
    #[cfg(test)]
    pub(crate) const fn secrets(&self) -> [&Secret; 3] {
        [&self.skeyid, &self.skeyid_d, &self.skeyid_a]
    }

    pub(crate) const fn encryption(&self) -> &Secret {
        &self.encryption
    }

    /// `HASH_I` or `HASH_R` (RFC 2409 section 5): that of the side whose values come first.
    pub(crate) fn main_hash(
        &self,
        publics: [&[u8]; 2],
        cookies: [&[u8; 8]; 2],
        sa_body: &[u8],
        id_body: &[u8],
    ) -> Secret {
        let [own, other] = publics;
        let [own_cookie, other_cookie] = cookies;
        prf(
            self.hash,
            self.skeyid.as_bytes(),
            &[own, other, own_cookie, other_cookie, sa_body, id_body],
        )
    }

    /// The HASH payload of phase 2 messages (RFC 2409 sections 5.5 and 5.7).
    pub(crate) fn phase2_hash(&self, parts: &[&[u8]]) -> Secret {
        prf(self.hash, self.skeyid_a.as_bytes(), parts)
    }

    /// The IV of main mode, or where a phase 2 exchange starts (RFC 2409 appendix B).
    pub(crate) fn iv(&self, message_id: u32) -> Vec<u8> {
        if message_id == 0 {
            return self.iv.clone();
        }
        let mut iv = hash(self.hash, &[&self.iv, &message_id.to_be_bytes()]);
        iv.truncate(self.cipher.block_len());
        iv
    }

    /// Moves main mode's IV to the last block of a message that was sent or proved authentic.
    pub(crate) fn set_iv(&mut self, iv: Vec<u8>) {
        self.iv = iv;
    }

    /// Pads with zeros and encrypts; the ciphertext and the next IV.
    pub(crate) fn encrypt(&self, iv: &[u8], mut body: Vec<u8>) -> Option<(Vec<u8>, Vec<u8>)> {
        let block = self.cipher.block_len();
        body.resize(body.len().next_multiple_of(block), 0);
        encrypt(self.cipher, self.encryption.as_bytes(), iv, &mut body)?;
        let next = body.last_chunk_vec(block)?;
        Some((body, next))
    }

    /// Decrypts; the plaintext and the next IV.
    pub(crate) fn decrypt(&self, iv: &[u8], body: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
        let next = body.last_chunk_vec(self.cipher.block_len())?;
        let mut plain = body.to_vec();
        decrypt(self.cipher, self.encryption.as_bytes(), iv, &mut plain)?;
        Some((plain, next))
    }

    /// What KEYMAT is derived from.
    pub(crate) fn keymat(&self) -> Keymat {
        Keymat {
            hash: self.hash,
            skeyid_d: self.skeyid_d.clone(),
        }
    }
}

/// Where the keys of ESP SAs come from.
#[derive(Debug)]
pub(crate) struct Keymat {
    hash: Hash,
    skeyid_d: Secret,
}

impl Keymat {
    /// KEYMAT of one ESP SA (RFC 2409 section 5.5), `length` bytes.
    pub(crate) fn derive(
        &self,
        shared: Option<&Secret>,
        spi: u32,
        nonces: [&[u8]; 2],
        length: usize,
    ) -> Secret {
        let shared = shared.map_or(&[][..], Secret::as_bytes);
        let spi = spi.to_be_bytes();
        let [ni, nr] = nonces;
        let seed = [shared, &[PROTO_ESP], &spi, ni, nr];
        expand(self.hash, &self.skeyid_d, &seed, length)
    }
}

/// `SKEYID_d`, `SKEYID_a`, `SKEYID_e` for `n` of 0, 1, 2, each made of the one before.
pub(crate) fn skeyid_step(
    h: Hash,
    skeyid: &Secret,
    previous: &[u8],
    shared: &[u8],
    cookies: &Cookies,
    n: u8,
) -> Secret {
    let (i, r) = (&cookies.initiator, &cookies.responder);
    prf(h, skeyid.as_bytes(), &[previous, shared, i, r, &[n]])
}

/// Blocks of PRF output, each fed by the one before and the seed (RFC 2409 section 5.5).
pub(crate) fn expand(h: Hash, key: &Secret, seed: &[&[u8]], length: usize) -> Secret {
    chain(Secret::new(Vec::new()), length, |block| {
        prf(h, key.as_bytes(), &[&[block.as_bytes()], seed].concat())
    })
}

/// `Ka` of RFC 2409 appendix B: `SKEYID_e` cut to length, or stretched when it is too short.
pub(crate) fn stretch(h: Hash, skeyid_e: &Secret, length: usize) -> Secret {
    let key = skeyid_e.as_bytes();
    match key.get(..length) {
        Some(enough) => Secret::new(enough.to_vec()),
        None => chain(Secret::new(vec![0]), length, |block| {
            prf(h, key, &[block.as_bytes()])
        }),
    }
}

/// Collects blocks until there are `length` bytes; without leaving copies behind.
fn chain(mut block: Secret, length: usize, next: impl Fn(&Secret) -> Secret) -> Secret {
    let mut out = Vec::with_capacity(length);
    while out.len() < length {
        block = next(&block);
        let part = block.as_bytes();
        out.extend_from_slice(&part[..part.len().min(length - out.len())]);
    }
    Secret::new(out)
}

trait LastChunk {
    fn last_chunk_vec(&self, length: usize) -> Option<Vec<u8>>;
}

impl LastChunk for [u8] {
    fn last_chunk_vec(&self, length: usize) -> Option<Vec<u8>> {
        self.get(self.len().checked_sub(length)?..)
            .map(<[u8]>::to_vec)
    }
}
