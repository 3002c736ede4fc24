use crate::{Link, seeded};
use chacha20::ChaCha20Rng;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// One end of a [`Pair`]: a sans-IO state machine with the suite's verbs.
pub trait Node {
    /// What travels on the link.
    type Packet: Clone;
    /// A packet arrived.
    fn handle(&mut self, now: Instant, packet: Self::Packet);
    /// The time that `poll_timeout` named has come.
    fn handle_timeout(&mut self, now: Instant);
    /// The next packet to send.
    fn poll_transmit(&mut self) -> Option<Self::Packet>;
    /// When `handle_timeout` is due.
    fn poll_timeout(&self) -> Option<Instant>;
}

/// Two ends, a link each way, and a clock that jumps to the next thing that happens.
#[derive(Debug)]
pub struct Pair<A: Node, B: Node<Packet = A::Packet>> {
    /// Virtual time.
    pub now: Instant,
    /// One end.
    pub a: A,
    /// The other end.
    pub b: B,
    /// The link from `a` to `b`; may be changed while running.
    pub a_to_b: Link,
    /// The link from `b` to `a`.
    pub b_to_a: Link,
    rng: ChaCha20Rng,
    in_flight: BTreeMap<(Instant, u64), (End, A::Packet)>,
    sent: u64,
}

#[derive(Debug, Clone, Copy)]
enum End {
    A,
    B,
}

impl<A: Node, B: Node<Packet = A::Packet>> Pair<A, B> {
    /// Joins `a` and `b`; the same `seed` and inputs replay the same run.
    pub fn new(start: Instant, a: A, b: B, link: Link, seed: u64) -> Self {
        Self {
            now: start,
            a,
            b,
            a_to_b: link,
            b_to_a: link,
            rng: seeded(seed),
            in_flight: BTreeMap::new(),
            sent: 0,
        }
    }

    /// Sends what both ends have to say, then does the next thing due: a delivery or a timeout.
    /// False when nothing is left to happen.
    pub fn step(&mut self) -> bool {
        self.drain();
        let arrival = self.in_flight.keys().next().map(|(at, _)| *at);
        let timeouts = [self.a.poll_timeout(), self.b.poll_timeout()];
        let Some(next) = timeouts.into_iter().flatten().chain(arrival).min() else {
            return false;
        };
        self.now = self.now.max(next);
        if arrival.is_some_and(|at| at <= self.now)
            && let Some((_, (to, packet))) = self.in_flight.pop_first()
        {
            match to {
                End::A => self.a.handle(self.now, packet),
                End::B => self.b.handle(self.now, packet),
            }
        } else {
            if timeouts[0].is_some_and(|at| at <= self.now) {
                self.a.handle_timeout(self.now);
            }
            if timeouts[1].is_some_and(|at| at <= self.now) {
                self.b.handle_timeout(self.now);
            }
        }
        self.drain();
        true
    }

    /// Steps until `done` holds; false if it does not within `limit` of virtual time, or if a
    /// million steps pass (an end that never sleeps).
    pub fn run_until(
        &mut self,
        limit: Duration,
        mut done: impl FnMut(&mut A, &mut B) -> bool,
    ) -> bool {
        let end = self.now + limit;
        for _ in 0..1_000_000 {
            self.drain();
            if done(&mut self.a, &mut self.b) {
                return true;
            }
            if !self.step() || self.now > end {
                return done(&mut self.a, &mut self.b);
            }
        }
        false
    }

    /// Steps through all that happens in the next `span` of virtual time.
    pub fn run_for(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            self.drain();
            let next = [self.a.poll_timeout(), self.b.poll_timeout()]
                .into_iter()
                .flatten()
                .chain(self.in_flight.keys().next().map(|(at, _)| *at))
                .min();
            if next.is_none_or(|at| at > end) {
                break;
            }
            self.step();
        }
        self.now = self.now.max(end);
    }

    /// Packets on the way.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    fn drain(&mut self) {
        while let Some(packet) = self.a.poll_transmit() {
            self.send(End::B, packet);
        }
        while let Some(packet) = self.b.poll_transmit() {
            self.send(End::A, packet);
        }
    }

    fn send(&mut self, to: End, packet: A::Packet) {
        let link = match to {
            End::A => self.b_to_a,
            End::B => self.a_to_b,
        };
        for delay in link.deliveries(&mut self.rng) {
            self.sent += 1;
            self.in_flight
                .insert((self.now + delay, self.sent), (to, packet.clone()));
        }
    }
}
