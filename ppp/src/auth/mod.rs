//! Who the peer is: PAP, CHAP-MD5 and MS-CHAPv2.

pub mod mschapv2;

mod client;
mod server;

pub(crate) use client::{ClientAuth, Outcome};
pub(crate) use server::{ServerAuth, Step};

use crate::wire::{Code, Packet, Protocol};
use md5::{Digest as _, Md5};
use std::fmt;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// An authentication method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthMethod {
    /// Password Authentication Protocol (RFC 1334): the password in clear.
    Pap,
    /// CHAP with MD5 (RFC 1994).
    ChapMd5,
    /// MS-CHAPv2 (RFC 2759).
    MsChapV2,
}

const ALGORITHM_MD5: u8 = 5;
const ALGORITHM_MSCHAPV2: u8 = 0x81;

impl AuthMethod {
    /// The data of LCP's Authentication-Protocol option (RFC 1661 section 6.2).
    pub(crate) fn option(self) -> Vec<u8> {
        let (protocol, algorithm) = match self {
            Self::Pap => (Protocol::PAP, None),
            Self::ChapMd5 => (Protocol::CHAP, Some(ALGORITHM_MD5)),
            Self::MsChapV2 => (Protocol::CHAP, Some(ALGORITHM_MSCHAPV2)),
        };
        let mut data = protocol.0.to_be_bytes().to_vec();
        data.extend(algorithm);
        data
    }

    pub(crate) fn from_option(data: &[u8]) -> Option<Self> {
        [Self::Pap, Self::ChapMd5, Self::MsChapV2]
            .into_iter()
            .find(|method| method.option() == data)
    }

    pub(crate) fn protocol(self) -> Protocol {
        match self {
            Self::Pap => Protocol::PAP,
            Self::ChapMd5 | Self::MsChapV2 => Protocol::CHAP,
        }
    }

    /// The method's usual short name, for logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pap => "pap",
            Self::ChapMd5 => "chap",
            Self::MsChapV2 => "mschapv2",
        }
    }
}

/// A peer's claim to be somebody, and its proof.
#[derive(Clone)]
pub struct AuthRequest {
    user: Vec<u8>,
    claim: Claim,
}

/// What was sent as proof, for a RADIUS server to check.
#[derive(Clone)]
#[non_exhaustive]
pub enum Claim {
    /// The password itself.
    Pap {
        /// As sent.
        password: Zeroizing<Vec<u8>>,
    },
    /// A response to our challenge (RFC 1994).
    ChapMd5 {
        /// Identifier of the challenge.
        id: u8,
        /// Our challenge.
        challenge: Vec<u8>,
        /// MD5 over identifier, password and challenge.
        response: Vec<u8>,
    },
    /// A response to our challenge (RFC 2759).
    MsChapV2 {
        /// Identifier of the challenge.
        id: u8,
        /// Our challenge.
        challenge: [u8; 16],
        /// The peer's challenge.
        peer_challenge: [u8; 16],
        /// The response to both.
        nt_response: [u8; 24],
    },
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Pap { .. } => "Pap",
            Self::ChapMd5 { .. } => "ChapMd5",
            Self::MsChapV2 { .. } => "MsChapV2",
        };
        f.debug_struct(name).finish_non_exhaustive()
    }
}

impl AuthRequest {
    /// The claim of `user`.
    #[must_use]
    pub fn new(user: &[u8], claim: Claim) -> Self {
        Self {
            user: user.to_vec(),
            claim,
        }
    }

    /// Who the peer says it is, as sent: may have a `DOMAIN\` in front, may be any bytes.
    #[must_use]
    pub fn user(&self) -> &[u8] {
        &self.user
    }

    /// By which method.
    #[must_use]
    pub fn method(&self) -> AuthMethod {
        match self.claim {
            Claim::Pap { .. } => AuthMethod::Pap,
            Claim::ChapMd5 { .. } => AuthMethod::ChapMd5,
            Claim::MsChapV2 { .. } => AuthMethod::MsChapV2,
        }
    }

    /// The proof itself.
    #[must_use]
    pub fn claim(&self) -> &Claim {
        &self.claim
    }

    /// Whether `password` is the one the peer used, compared in constant time.
    #[must_use]
    pub fn verify(&self, password: &str) -> Option<Proof> {
        match &self.claim {
            Claim::Pap { password: sent } => {
                let equal: bool = sent.as_slice().ct_eq(password.as_bytes()).into();
                equal.then(Proof::default)
            }
            Claim::ChapMd5 {
                id,
                challenge,
                response,
            } => {
                let expected = chap_md5(*id, password.as_bytes(), challenge);
                let equal: bool = expected.as_slice().ct_eq(response).into();
                equal.then(Proof::default)
            }
            Claim::MsChapV2 {
                challenge,
                peer_challenge,
                nt_response,
                ..
            } => {
                let hash = mschapv2::nt_password_hash(password);
                let user = mschapv2::without_domain(&self.user);
                let expected = mschapv2::nt_response(challenge, peer_challenge, user, &hash);
                let equal: bool = expected.ct_eq(nt_response).into();
                equal.then(|| {
                    let text = mschapv2::authenticator_response(
                        &hash,
                        nt_response,
                        peer_challenge,
                        challenge,
                        user,
                    );
                    Proof {
                        success: text.into_bytes(),
                    }
                })
            }
        }
    }
}

impl fmt::Debug for AuthRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthRequest")
            .field("user", &String::from_utf8_lossy(&self.user))
            .field("method", &self.method())
            .finish_non_exhaustive()
    }
}

/// A verified claim, and what proves our own knowledge of the password to the peer.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Proof {
    success: Vec<u8>,
}

impl Proof {
    /// From the text of RADIUS's MS-CHAP2-Success (`S=...`), or empty for other methods.
    #[must_use]
    pub fn from_radius(success: &[u8]) -> Self {
        Self {
            success: success.to_vec(),
        }
    }

    pub(crate) fn success(&self) -> &[u8] {
        &self.success
    }
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proof({} bytes)", self.success.len())
    }
}

/// The response of CHAP with MD5 (RFC 1994 section 4.1).
pub(crate) fn chap_md5(id: u8, password: &[u8], challenge: &[u8]) -> [u8; 16] {
    let mut hash = Md5::new();
    hash.update([id]);
    hash.update(password);
    hash.update(challenge);
    hash.finalize().into()
}

fn packet(code: Code, id: u8, data: &[u8]) -> Vec<u8> {
    Packet { code, id, data }.emit()
}
