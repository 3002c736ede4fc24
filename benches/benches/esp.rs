//! Sealing and opening one packet at a time.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use esp::{Cipher, InboundSa, Integrity, OutboundSa, SaConfig, Suite};
use simnet::seeded;
use std::hint::black_box;
use std::time::Instant;

const SUITES: [(Cipher, Option<Integrity>); 5] = [
    (Cipher::AesCbc128, Some(Integrity::HmacSha1_96)),
    (Cipher::AesCbc256, Some(Integrity::HmacSha256_128)),
    (Cipher::TripleDesCbc, Some(Integrity::HmacSha1_96)),
    (Cipher::DesCbc, Some(Integrity::HmacMd5_96)),
    (Cipher::AesGcm128, None),
];

fn config(suite: Suite) -> SaConfig {
    let integrity = suite.integrity().map_or(0, Integrity::key_length);
    SaConfig::new(
        0x1234_5678,
        suite,
        &vec![7; suite.cipher().key_length()],
        &vec![9; integrity],
    )
}

fn packets(c: &mut Criterion) {
    let now = Instant::now();
    for (cipher, integrity) in SUITES {
        let suite = Suite::new(cipher, integrity).unwrap();
        let config = config(suite);
        for direction in ["seal", "open"] {
            let mut group = c.benchmark_group(format!("{direction} {suite}"));
            for size in [64_usize, 512, 1400] {
                group.throughput(Throughput::Bytes(size as u64));
                let mut outbound = OutboundSa::new(now, &config, &mut seeded(1)).unwrap();
                let mut buf = vec![0x55; size + 128];
                if direction == "seal" {
                    group.bench_function(BenchmarkId::from_parameter(size), |b| {
                        b.iter(|| outbound.seal(now, black_box(&mut buf), 64..64 + size, 17));
                    });
                    continue;
                }
                group.bench_function(BenchmarkId::from_parameter(size), |b| {
                    // An SA opens a packet once: seal as many as will be opened.
                    b.iter_batched(
                        || {
                            let mut outbound =
                                OutboundSa::new(now, &config, &mut seeded(1)).unwrap();
                            let inbound = InboundSa::new(now, &config).unwrap();
                            let mut buf = vec![0x55; size + 128];
                            let packet = outbound.seal(now, &mut buf, 64..64 + size, 17).unwrap();
                            (inbound, buf, packet)
                        },
                        |(mut inbound, mut buf, packet)| {
                            (inbound.open(now, &mut buf, packet), inbound, buf)
                        },
                        criterion::BatchSize::SmallInput,
                    );
                });
            }
        }
    }
}

criterion_group!(benches, packets);
criterion_main!(benches);
