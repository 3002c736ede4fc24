//! Sealing and opening one packet at a time; and sealing batches of packets that take turns between SAs.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use esp::{Cipher, InboundSa, Integrity, OutboundSa, SaConfig, Sadb, Seal, Suite};
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

const BATCH: usize = 256;
const SIZE: usize = 1400;

/// As a gateway does with several clients.
fn batches(c: &mut Criterion) {
    let now = Instant::now();
    for (cipher, integrity) in SUITES {
        let suite = Suite::new(cipher, integrity).unwrap();
        let mut group = c.benchmark_group(format!("seal {BATCH} of {SIZE} {suite}"));
        group.throughput(Throughput::Bytes((BATCH * SIZE) as u64));
        for sas in [1_u32, 8, 64] {
            let mut sadb = Sadb::new(Box::new(seeded(1)));
            let ids: Vec<_> = (0..sas)
                .map(|n| {
                    let mut config = config(suite);
                    config.spi += n;
                    config.lifetime = esp::Lifetime::default();
                    sadb.insert_outbound(now, &config, 0).unwrap()
                })
                .collect();
            let mut bufs = vec![vec![0x55; SIZE + 128]; BATCH];
            group.bench_function(BenchmarkId::new("SAs", sas), |b| {
                b.iter(|| {
                    let bufs = bufs.iter_mut().zip(ids.iter().cycle());
                    let mut jobs: Vec<_> = bufs
                        .map(|(buf, id)| (*id, Seal::new(buf, 64..64 + SIZE, 17)))
                        .collect();
                    sadb.seal_batch(now, black_box(&mut jobs));
                    assert!(jobs.iter().all(|(_, job)| job.result.is_ok()));
                });
            });
        }
    }
}

criterion_group!(benches, packets, batches);
criterion_main!(benches);
