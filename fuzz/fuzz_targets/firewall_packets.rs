#![no_main]
//! Any packets from either side: never a panic; what was sent out and is answered comes back to
//! its sender; header checksums that were right stay right.
use arbitrary::Arbitrary;
use chacha20::{ChaCha20Rng, rand_core::SeedableRng};
use firewall::{Config, Firewall, Ingress, Interface, Nat, Verdict};
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[derive(Arbitrary, Debug)]
struct Step {
    from_lan: bool,
    wait: u8,
    packet: Vec<u8>,
}

fn sum(header: &[u8]) -> u16 {
    let mut sum: u32 = header
        .chunks(2)
        .map(|p| u32::from(u16::from_be_bytes([p[0], p[1]])))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

fuzz_target!(|steps: Vec<Step>| {
    let mut now = Instant::now();
    let mut config = Config::default();
    config.nat = vec![Nat::new([198, 51, 100, 2].into())];
    config.limits.flows = 16;
    let rng = Box::new(ChaCha20Rng::seed_from_u64(1));
    let mut firewall = Firewall::new(Arc::new(config), rng).unwrap();
    let lan = firewall.add_interface(Interface::private());
    let wan = firewall.add_interface(Interface::public());
    for mut step in steps {
        now += Duration::from_secs(u64::from(step.wait));
        firewall.handle_timeout(now);
        let good =
            step.packet.len() >= 20 && step.packet[0] == 0x45 && sum(&step.packet[..20]) == 0xffff;
        let interface = if step.from_lan { lan } else { wan };
        let ingress = Ingress {
            interface,
            ipsec: false,
        };
        let length = step.packet.len();
        let to = if step.from_lan { wan } else { lan };
        let verdict = firewall.process(now, ingress, &mut step.packet, 0..length, &|_| Some(to));
        if let (Verdict::Forward { packet, .. }, true) = (&verdict, good) {
            assert_eq!(sum(&step.packet[packet.clone()][..20]), 0xffff);
        }
        assert!(firewall.flows() <= 16);
    }
});
