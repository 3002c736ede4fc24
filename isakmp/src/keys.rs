use crate::crypto::{decrypt, encrypt, hash, prf};
use crate::secret::Secret;
use crate::suite::{Cipher, Hash, Phase1Suite};

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
        let (i, r) = (&x.cookies.initiator[..], &x.cookies.responder[..]);
        let skeyid = prf(h, psk, &[x.initiator_nonce, x.responder_nonce]);
        let next =
            |previous: &[u8], n: u8| prf(h, skeyid.as_bytes(), &[previous, shared, i, r, &[n]]);
        let skeyid_d = next(&[], 0);
        let skeyid_a = next(skeyid_d.as_bytes(), 1);
        let skeyid_e = next(skeyid_a.as_bytes(), 2);
        let mut iv = hash(h, &[x.initiator_public, x.responder_public]);
        iv.truncate(cipher.block_len());
        Self {
            hash: h,
            cipher,
            encryption: stretch(h, &skeyid_e, cipher.key_len()),
            skeyid,
            skeyid_d,
            skeyid_a,
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

    /// KEYMAT of one ESP SA (RFC 2409 section 5.5), `length` bytes.
    pub(crate) fn keymat(
        &self,
        shared: Option<&Secret>,
        protocol: u8,
        spi: u32,
        nonces: [&[u8]; 2],
        length: usize,
    ) -> Secret {
        let shared = shared.map_or(&[][..], Secret::as_bytes);
        let spi = spi.to_be_bytes();
        let [ni, nr] = nonces;
        let mut out = Vec::new();
        let mut block = Secret::new(Vec::new());
        while out.len() < length {
            block = prf(
                self.hash,
                self.skeyid_d.as_bytes(),
                &[block.as_bytes(), shared, &[protocol], &spi, ni, nr],
            );
            out.extend_from_slice(block.as_bytes());
        }
        out.truncate(length);
        Secret::new(out)
    }
}

/// `Ka` of RFC 2409 appendix B: `SKEYID_e` cut to length, or stretched when it is too short.
fn stretch(h: Hash, skeyid_e: &Secret, length: usize) -> Secret {
    let mut out = skeyid_e.as_bytes().to_vec();
    if out.len() < length {
        let mut block = prf(h, skeyid_e.as_bytes(), &[&[0]]);
        out = block.as_bytes().to_vec();
        while out.len() < length {
            block = prf(h, skeyid_e.as_bytes(), &[block.as_bytes()]);
            out.extend_from_slice(block.as_bytes());
        }
    }
    out.truncate(length);
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
