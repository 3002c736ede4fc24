//! Somebody at an exchange point of the internet, who sees and sends what he likes, but stops
//! nothing.

use chacha20::ChaCha20Rng;
use rand_core::Rng as _;
use simnet::{Datagram, seeded};
use std::collections::VecDeque;
use std::net::SocketAddr;

/// Some of what was seen, to come back to.
const MEMORY: usize = 64;

pub(super) struct Attacker {
    rng: ChaCha20Rng,
    /// Of a hundred datagrams seen, how many lead to something.
    rate: u32,
    /// How much he does at most.
    budget: u32,
    memory: VecDeque<Datagram>,
    pub(super) active: bool,
    /// How much of the world's log he has seen.
    pub(super) seen: usize,
}

impl Attacker {
    pub(super) fn new(seed: u64, rate: u32) -> Self {
        Self {
            rng: seeded(!seed),
            rate,
            budget: 600,
            memory: VecDeque::new(),
            active: rate > 0,
            seen: 0,
        }
    }

    /// What he sends upon seeing `datagram`.
    pub(super) fn attack(&mut self, datagram: &Datagram) -> Vec<Datagram> {
        if !self.active || self.budget == 0 {
            return Vec::new();
        }
        if self.memory.len() == MEMORY {
            self.memory.pop_front();
        }
        self.memory.push_back(datagram.clone());
        if self.draw(100) >= self.rate {
            return Vec::new();
        }
        let count = 1 + self.draw(3);
        (0..count).map(|_| self.one(datagram)).collect()
    }

    fn one(&mut self, seen: &Datagram) -> Datagram {
        self.budget = self.budget.saturating_sub(1);
        let mut evil = if self.draw(3) == 0 {
            let index = self.draw(self.memory.len() as u32) as usize;
            self.memory[index].clone()
        } else {
            seen.clone()
        };
        match self.draw(8) {
            // As it was.
            0..3 => {}
            3..6 => self.mutate(&mut evil.payload),
            6 => {
                // The head of one and the tail of another.
                let at = self.draw(evil.payload.len() as u32 + 1) as usize;
                evil.payload.truncate(at);
                evil.payload.extend(seen.payload.iter().skip(at));
            }
            _ => {
                let length = self.draw(200) as usize;
                evil.payload = vec![0; length];
                self.rng.fill_bytes(&mut evil.payload);
            }
        }
        match self.draw(8) {
            // From and to the right addresses.
            0..5 => {}
            // From elsewhere.
            5 => evil.source = SocketAddr::from(([192, 0, 2, 66], evil.source.port())),
            6 => {
                let port = if evil.source.port() == 0 {
                    0
                } else {
                    1 + self.draw(65_535) as u16
                };
                evil.source.set_port(port);
            }
            // Back to where it came from.
            _ => std::mem::swap(&mut evil.source, &mut evil.destination),
        }
        evil
    }

    fn mutate(&mut self, payload: &mut Vec<u8>) {
        match self.draw(4) {
            0 if !payload.is_empty() => {
                let length = self.draw(payload.len() as u32) as usize;
                payload.truncate(length);
            }
            1 => payload.extend([0; 7]),
            _ => {
                for _ in 0..=self.draw(3) {
                    let at = self.draw(payload.len().max(1) as u32) as usize;
                    let bit = self.draw(8);
                    if let Some(byte) = payload.get_mut(at) {
                        *byte ^= 1 << bit;
                    }
                }
            }
        }
    }

    fn draw(&mut self, below: u32) -> u32 {
        self.rng.next_u32() % below.max(1)
    }
}
