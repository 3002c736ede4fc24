use crate::crypto::{self, Exchange};
use crate::event::SaId;
use crate::secret::Secret;
use crate::suite::Group;

/// Which exchange of an SA waits for a computation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Main,
    Quick(u32),
}

/// A Diffie-Hellman computation: run it on any thread.
#[derive(Debug)]
pub struct Job {
    pub(crate) sa: SaId,
    pub(crate) serial: u64,
    pub(crate) purpose: Purpose,
    pub(crate) group: Group,
    pub(crate) private: Secret,
    pub(crate) peer: Option<Vec<u8>>,
}

/// What a [`Job`] gives.
#[derive(Debug)]
pub struct JobResult {
    pub(crate) sa: SaId,
    pub(crate) serial: u64,
    pub(crate) purpose: Purpose,
    /// `None` if the peer's value is invalid.
    pub(crate) exchange: Option<Exchange>,
    pub(crate) private: Secret,
}

impl Job {
    /// Does the work.
    #[must_use]
    pub fn run(self) -> JobResult {
        let exchange = crypto::run(self.group, &self.private, self.peer.as_deref());
        JobResult {
            sa: self.sa,
            serial: self.serial,
            purpose: self.purpose,
            exchange,
            private: self.private,
        }
    }
}
