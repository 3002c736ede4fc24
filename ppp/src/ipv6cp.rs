//! The option of IPV6CP: interface identifiers (RFC 5072 section 4.1).

use crate::answer::{Answer, Objections};
use crate::negotiate::Policy;
use crate::wire::ConfigOption;
use rand_core::CryptoRng;

const INTERFACE_IDENTIFIER: u8 = 1;

#[derive(Debug)]
pub(crate) struct Ipv6cp {
    pub(crate) local: [u8; 8],
    pub(crate) peer: [u8; 8],
    send: bool,
}

impl Ipv6cp {
    pub(crate) fn new(rng: &mut dyn CryptoRng) -> Self {
        Self {
            local: identifier(rng),
            peer: [0; 8],
            send: true,
        }
    }
}

/// A random identifier; the universal/local bit is zero (RFC 5072 section 4.1).
fn identifier(rng: &mut dyn CryptoRng) -> [u8; 8] {
    let mut id = (rng.next_u64() | 1).to_be_bytes();
    if let Some(first) = id.first_mut() {
        *first &= !0x02;
    }
    id
}

impl Policy for Ipv6cp {
    fn request(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if self.send {
            let data = &self.local;
            ConfigOption {
                kind: INTERFACE_IDENTIFIER,
                data,
            }
            .emit(&mut out);
        }
        out
    }

    fn consider(&mut self, options: &[ConfigOption<'_>], rng: &mut dyn CryptoRng) -> Answer {
        let mut objections = Objections::default();
        let mut peer = self.peer;
        for option in options {
            match (option.kind, <[u8; 8]>::try_from(option.data)) {
                (INTERFACE_IDENTIFIER, Ok(theirs)) if theirs == [0; 8] || theirs == self.local => {
                    objections.prefer(INTERFACE_IDENTIFIER, &identifier(rng));
                }
                (INTERFACE_IDENTIFIER, Ok(theirs)) => peer = theirs,
                _ => objections.reject(option),
            }
        }
        let answer = objections.answer();
        if answer == Answer::Ack {
            self.peer = peer;
        }
        answer
    }

    fn naked(&mut self, option: &ConfigOption<'_>, rng: &mut dyn CryptoRng) {
        if option.kind == INTERFACE_IDENTIFIER {
            let wanted = <[u8; 8]>::try_from(option.data)
                .ok()
                .filter(|id| *id != [0; 8]);
            self.local = wanted.unwrap_or_else(|| identifier(rng));
        }
    }

    fn rejected(&mut self, option: &ConfigOption<'_>) {
        if option.kind == INTERFACE_IDENTIFIER {
            self.send = false;
        }
    }
}
