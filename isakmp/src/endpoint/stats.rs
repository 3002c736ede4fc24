//! What is counted.

use crate::wire::ExchangeType;

/// Counts since the endpoint was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Main modes completed.
    pub established: u64,
    /// Quick modes completed.
    pub children: u64,
    /// Diffie-Hellman computations.
    pub exchanges: u64,
    /// Requests that came again and got the same answer.
    pub duplicates: u64,
    /// Messages that we repeated.
    pub retransmits: u64,
    /// First messages refused.
    pub refused: u64,
    /// First messages answered with a cookie that leaves no state.
    pub cookie_challenges: u64,
    /// Messages that have come, good or not.
    pub received: Messages,
    /// Messages that have gone, repetitions too.
    pub sent: Messages,
    /// Questions of dead peer detection asked.
    pub dpd_asked: u64,
    /// Answers to them.
    pub dpd_answered: u64,
    /// Peers that gave none.
    pub dpd_dead: u64,
    /// Events lost because the owner did not take them.
    pub events_lost: u64,
}

/// Messages by their exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Messages {
    /// Main mode.
    pub main: u64,
    /// Quick mode.
    pub quick: u64,
    /// Notifications and deletes.
    pub informational: u64,
    /// Aggressive mode and others that are not served.
    pub other: u64,
}

impl Messages {
    pub(super) fn count(&mut self, exchange: ExchangeType) {
        *match exchange {
            ExchangeType::Main => &mut self.main,
            ExchangeType::Quick => &mut self.quick,
            ExchangeType::Informational => &mut self.informational,
            _ => &mut self.other,
        } += 1;
    }
}
