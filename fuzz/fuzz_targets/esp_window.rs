#![no_main]
//! Two ends of an SA each way, against a model of the replay window: whatever order packets come
//! in, each is opened at most once, and only if it is not too old; with and without extended
//! sequence numbers, around 2^32 too. Packets with numbers that no sender would reach are made
//! here, with an HMAC of the target's own.
use arbitrary::Arbitrary;
use chacha20::{ChaCha20Rng, rand_core::SeedableRng};
use esp::{Cipher, InboundSa, Integrity, OpenError, OutboundSa, SaConfig, Suite};
use hmac::{Hmac, KeyInit, Mac};
use libfuzzer_sys::fuzz_target;
use std::collections::HashSet;
use std::time::Instant;

const KEY: [u8; 16] = [1; 16];

#[derive(Arbitrary, Debug)]
enum Step {
    /// The sender seals one.
    Seal,
    /// A packet of the sender, so many before its last, comes.
    Deliver(u8),
    /// One with this distance from the highest number seen comes.
    Near(i16),
    /// One with this number comes.
    Far(u64),
    /// As `Near`, with a wrong ICV.
    Forged(i16),
}

#[derive(Arbitrary, Debug)]
struct Run {
    window: u8,
    esn: bool,
    /// The first number to come, if not 1.
    start: Option<u64>,
    /// True is the other direction.
    steps: Vec<(bool, Step)>,
}

/// A packet of NULL with HMAC-MD5-96 and no payload.
fn packet(config: &SaConfig, sequence: u64) -> Vec<u8> {
    let mut packet = config.spi.to_be_bytes().to_vec();
    packet.extend((sequence as u32).to_be_bytes());
    packet.extend([1, 2, 2, 6]);
    let mut mac = Hmac::<md5::Md5>::new_from_slice(&KEY).unwrap();
    mac.update(&packet);
    if config.esn {
        mac.update(&((sequence >> 32) as u32).to_be_bytes());
    }
    packet.extend(&mac.finalize().into_bytes()[..12]);
    packet
}

struct Direction {
    config: SaConfig,
    sender: OutboundSa,
    receiver: InboundSa,
    sent: Vec<Vec<u8>>,
    seen: HashSet<u64>,
    top: u64,
}

impl Direction {
    fn new(now: Instant, run: &Run, spi: u32) -> Self {
        let suite = Suite::new(Cipher::NullTestOnly, Some(Integrity::HmacMd5_96)).unwrap();
        let mut config = SaConfig::new(spi, suite, &[], &KEY);
        config.replay_window = 64 * (1 + u32::from(run.window % 64));
        config.esn = run.esn;
        Self {
            sender: OutboundSa::new(now, &config, &mut ChaCha20Rng::seed_from_u64(1)).unwrap(),
            receiver: InboundSa::new(now, &config).unwrap(),
            config,
            sent: Vec::new(),
            seen: HashSet::new(),
            top: 0,
        }
    }

    /// What a receiver takes the low half of a number for: the nearest to its window that is not
    /// before it (RFC 4303 appendix A2.2).
    fn taken_for(&self, sequence: u64) -> u64 {
        let low = sequence & 0xffff_ffff;
        if !self.config.esn {
            return low;
        }
        let window = u64::from(self.config.replay_window);
        let bottom = self.top.saturating_sub(window - 1);
        let high = bottom >> 32;
        let same = high << 32 | low;
        if same >= bottom {
            same
        } else {
            same + (1 << 32)
        }
    }

    fn come(&mut self, now: Instant, sequence: u64, mut packet: Vec<u8>, genuine: bool) {
        let taken = self.taken_for(sequence);
        let window = u64::from(self.config.replay_window);
        let old = self.top >= taken && self.top - taken >= window;
        let expected = if taken == 0 || old || self.seen.contains(&taken) {
            Err(OpenError::Replay)
        } else if !genuine || (self.config.esn && taken != sequence) {
            Err(OpenError::Icv)
        } else {
            Ok((taken, taken > self.top))
        };
        let range = 0..packet.len();
        let opened = self.receiver.open(now, &mut packet, range);
        assert_eq!(opened.map(|o| (o.sequence, o.newest)), expected);
        if expected.is_ok() {
            self.seen.insert(taken);
            self.top = self.top.max(taken);
        }
    }
}

fuzz_target!(|run: Run| {
    let now = Instant::now();
    let mut both = [0x1111, 0x2222].map(|spi| Direction::new(now, &run, spi));
    // Numbers whose high half would wrap are no receiver's.
    let bound = |n: u64| {
        if run.esn {
            n.min(u64::MAX >> 1)
        } else {
            n & 0xffff_ffff
        }
    };
    if let Some(start) = run.start.map(bound).filter(|n| *n < 1 << 32) {
        for direction in &mut both {
            let packet = packet(&direction.config, start);
            direction.come(now, start, packet, true);
        }
    }
    for (other, step) in run.steps.iter().take(2000) {
        let direction = &mut both[usize::from(*other)];
        let top = direction.top;
        let near = |by: i16| bound(top.saturating_add_signed(by.into()));
        match step {
            Step::Seal => {
                let mut buf = [0; 64];
                let range = direction.sender.seal(now, &mut buf, 16..16, 6).unwrap();
                direction.sent.push(buf[range].to_vec());
            }
            Step::Deliver(back) => {
                let index = direction.sent.len().checked_sub(usize::from(*back) + 1);
                if let Some(index) = index {
                    let packet = direction.sent[index].clone();
                    direction.come(now, index as u64 + 1, packet, true);
                }
            }
            Step::Near(by) => {
                let packet = packet(&direction.config, near(*by));
                direction.come(now, near(*by), packet, true);
            }
            Step::Far(number) => {
                let packet = packet(&direction.config, bound(*number));
                direction.come(now, bound(*number), packet, true);
            }
            Step::Forged(by) => {
                let mut packet = packet(&direction.config, near(*by));
                *packet.last_mut().unwrap() ^= 1;
                direction.come(now, near(*by), packet, false);
            }
        }
    }
});
