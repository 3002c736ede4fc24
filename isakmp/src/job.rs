use crate::crypto;
use crate::event::{Role, SaId};
use crate::keys::{Cookies, Exchanged, Keymat, Keys};
use crate::secret::{ChildKeys, PresharedKey, Secret};
use crate::suite::{Group, Phase1Suite};

/// Which exchange of an SA waits for a computation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Main,
    Quick(u32),
}

/// The heavy part of an exchange, Diffie-Hellman and the derivation of keys: run it on any thread.
#[derive(Debug)]
pub struct Job {
    pub(crate) sa: SaId,
    pub(crate) serial: u64,
    pub(crate) purpose: Purpose,
    pub(crate) work: Work,
}

/// What a [`Job`] gives.
#[derive(Debug)]
pub struct JobResult {
    pub(crate) sa: SaId,
    pub(crate) serial: u64,
    pub(crate) purpose: Purpose,
    /// `None` if the peer's value is invalid.
    pub(crate) output: Option<Output>,
}

#[derive(Debug)]
pub(crate) struct Work {
    /// None for a quick mode without PFS.
    pub(crate) exchange: Option<Exchange>,
    pub(crate) derivation: Derivation,
}

/// Our side of a Diffie-Hellman exchange.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) group: Group,
    pub(crate) private: Secret,
    /// Our public value, if it is known already.
    pub(crate) public: Option<Vec<u8>>,
    /// The peer's public value, if it is there.
    pub(crate) peer: Option<Vec<u8>>,
}

/// Which keys are wanted.
#[derive(Debug)]
pub(crate) enum Derivation {
    /// The peer's part is missing.
    None,
    Main(Box<MainInput>),
    Child(Box<ChildInput>),
}

/// What SKEYID and its children are made of, besides the exchange.
#[derive(Debug)]
pub(crate) struct MainInput {
    pub(crate) role: Role,
    pub(crate) suite: Phase1Suite,
    pub(crate) psk: PresharedKey,
    pub(crate) cookies: Cookies,
    /// Initiator's, responder's.
    pub(crate) nonces: [Vec<u8>; 2],
}

/// What KEYMAT is made of, besides the exchange.
#[derive(Debug)]
pub(crate) struct ChildInput {
    pub(crate) keymat: Keymat,
    /// Initiator's, responder's.
    pub(crate) nonces: [Vec<u8>; 2],
    /// Inbound, outbound.
    pub(crate) spis: [u32; 2],
    /// Bytes of the keys for encryption and integrity.
    pub(crate) lengths: [usize; 2],
}

#[derive(Debug)]
pub(crate) struct Output {
    /// Our public value; empty without an exchange.
    pub(crate) public: Vec<u8>,
    /// Our private value, for when the peer's public value comes.
    pub(crate) private: Option<Secret>,
    pub(crate) keys: Derived,
}

#[derive(Debug)]
pub(crate) enum Derived {
    None,
    Main(Box<Keys>),
    /// Inbound, outbound.
    Child([ChildKeys; 2]),
}

impl Job {
    /// Does the work.
    #[must_use]
    pub fn run(self) -> JobResult {
        JobResult {
            sa: self.sa,
            serial: self.serial,
            purpose: self.purpose,
            output: self.work.run(),
        }
    }
}

impl Work {
    fn run(self) -> Option<Output> {
        let (mut public, mut private, mut peer, mut shared) = (Vec::new(), None, Vec::new(), None);
        if let Some(x) = self.exchange {
            public = match x.public {
                Some(public) => public,
                None => crypto::public(x.group, &x.private)?,
            };
            peer = x.peer.unwrap_or_default();
            if peer.is_empty() {
                private = Some(x.private);
            } else {
                shared = Some(crypto::shared(x.group, &x.private, &peer)?);
            }
        }
        let keys = match self.derivation {
            Derivation::None => Derived::None,
            Derivation::Main(input) => Derived::Main(Box::new(input.run(&public, &peer, &shared?))),
            Derivation::Child(input) => Derived::Child(input.run(shared.as_ref())?),
        };
        Some(Output {
            public,
            private,
            keys,
        })
    }
}

impl MainInput {
    fn run(&self, own: &[u8], peer: &[u8], shared: &Secret) -> Keys {
        let (initiator_public, responder_public) = match self.role {
            Role::Initiator => (own, peer),
            Role::Responder => (peer, own),
        };
        let [initiator_nonce, responder_nonce] = &self.nonces;
        let exchanged = Exchanged {
            cookies: self.cookies,
            initiator_nonce,
            responder_nonce,
            initiator_public,
            responder_public,
        };
        Keys::derive(
            self.suite,
            self.psk.as_bytes(),
            shared.as_bytes(),
            &exchanged,
        )
    }
}

impl ChildInput {
    fn run(&self, shared: Option<&Secret>) -> Option<[ChildKeys; 2]> {
        let [encryption, integrity] = self.lengths;
        let nonces = [&self.nonces[0][..], &self.nonces[1]];
        let one = |spi| {
            let length = encryption.checked_add(integrity)?;
            let keymat = self.keymat.derive(shared, spi, nonces, length);
            let (e, a) = keymat.as_bytes().split_at_checked(encryption)?;
            Some(ChildKeys::new(e, a))
        };
        let [inbound, outbound] = self.spis;
        Some([one(inbound)?, one(outbound)?])
    }
}
