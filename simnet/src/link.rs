use chacha20::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use std::time::Duration;

/// What one direction of a link does to packets.
#[derive(Debug, Clone, Copy)]
pub struct Link {
    /// Time a packet takes at least.
    pub latency: Duration,
    /// Added at random from zero up to this; more than the spacing of packets reorders them.
    pub jitter: Duration,
    /// Probability, 0.0 to 1.0, that a packet is lost.
    pub loss: f64,
    /// Probability, 0.0 to 1.0, that a packet arrives twice.
    pub duplicate: f64,
}

impl Link {
    /// 10 ms each way, nothing lost.
    pub const PERFECT: Self = Self {
        latency: Duration::from_millis(10),
        jitter: Duration::ZERO,
        loss: 0.0,
        duplicate: 0.0,
    };

    /// 30 % loss, 10 % duplication, and enough jitter to reorder.
    pub const TERRIBLE: Self = Self {
        latency: Duration::from_millis(10),
        jitter: Duration::from_millis(80),
        loss: 0.3,
        duplicate: 0.1,
    };

    /// When copies of one packet arrive, counted from now: none, one or two delays.
    pub(crate) fn deliveries(&self, rng: &mut ChaCha20Rng) -> impl Iterator<Item = Duration> {
        let mut delays = [None, None];
        if !chance(rng, self.loss) {
            let copies = if chance(rng, self.duplicate) { 2 } else { 1 };
            for delay in delays.iter_mut().take(copies) {
                *delay = Some(self.latency + self.jitter.mul_f64(fraction(rng)));
            }
        }
        delays.into_iter().flatten()
    }
}

/// A generator for tests that replays from its seed; fits `Box<dyn CryptoRng + Send>`.
#[must_use]
pub fn seeded(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

pub(crate) fn fraction(rng: &mut ChaCha20Rng) -> f64 {
    f64::from(rng.next_u32()) / (f64::from(u32::MAX) + 1.0)
}

fn chance(rng: &mut ChaCha20Rng, probability: f64) -> bool {
    probability > 0.0 && fraction(rng) < probability
}
