#![no_main]
//! Two ends of an SA: each packet is opened at most once, in whatever order packets come.
use chacha20::{ChaCha20Rng, rand_core::SeedableRng};
use esp::{Cipher, InboundSa, Integrity, OutboundSa, SaConfig, Suite};
use libfuzzer_sys::fuzz_target;
use std::collections::HashSet;
use std::time::Instant;

fuzz_target!(|order: Vec<u8>| {
    let now = Instant::now();
    let suite = Suite::new(Cipher::NullTestOnly, Some(Integrity::HmacMd5_96)).unwrap();
    let mut config = SaConfig::new(0x1111_1111, suite, &[], &[1; 16]);
    config.replay_window = 64;
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut outbound = OutboundSa::new(now, &config, &mut rng).unwrap();
    let mut inbound = InboundSa::new(now, &config).unwrap();
    let mut packets = Vec::new();
    let (mut opened, mut top) = (HashSet::new(), 0);
    for step in order {
        if step & 1 == 0 {
            let mut buf = [0; 64];
            let packet = outbound.seal(now, &mut buf, 16..20, 17).unwrap();
            packets.push(buf[packet].to_vec());
        }
        let back = usize::from(step >> 1);
        let Some(index) = packets.len().checked_sub(back + 1) else {
            continue;
        };
        let mut packet = packets[index].clone();
        let length = packet.len();
        let fresh = !opened.contains(&index) && index + 64 >= top;
        assert_eq!(inbound.open(now, &mut packet, 0..length).is_ok(), fresh);
        if fresh {
            opened.insert(index);
            top = top.max(index + 1);
        }
    }
});
