//! An answer to a Configure-Request, put together option by option.

use crate::wire::{ConfigOption, Options};

/// An answer to a Configure-Request, with the options it carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Ack,
    Nak(Vec<u8>),
    Reject(Vec<u8>),
}

/// Collects what is wrong with a Configure-Request.
#[derive(Debug, Default)]
pub(crate) struct Objections {
    nak: Vec<u8>,
    reject: Vec<u8>,
}

impl Objections {
    /// We would rather have `data`. Said once for each option, however often the request repeats
    /// it: an answer does not outgrow its request.
    pub(crate) fn prefer(&mut self, kind: u8, data: &[u8]) {
        if !Options::new(&self.nak).flatten().any(|o| o.kind == kind) {
            ConfigOption { kind, data }.emit(&mut self.nak);
        }
    }

    /// We do not know the option, or do not want it.
    pub(crate) fn reject(&mut self, option: &ConfigOption<'_>) {
        option.emit(&mut self.reject);
    }

    /// All that is unknown goes back at once, before anything is haggled over.
    pub(crate) fn answer(self) -> Answer {
        if !self.reject.is_empty() {
            Answer::Reject(self.reject)
        } else if !self.nak.is_empty() {
            Answer::Nak(self.nak)
        } else {
            Answer::Ack
        }
    }
}
