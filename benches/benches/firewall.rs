//! A packet of a known flow, with few and with many others.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use firewall::{Config, Firewall, Ingress, Interface, Nat};
use simnet::seeded;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

fn udp(host: u32, port: u16) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0];
    packet.extend((0x0a00_0000 + host).to_be_bytes());
    packet.extend([203, 0, 113, 5]);
    packet.extend(port.to_be_bytes());
    packet.extend([0, 53, 0, 8, 0, 0]);
    packet
}

fn known_flow(c: &mut Criterion) {
    let now = Instant::now();
    let mut group = c.benchmark_group("firewall known flow");
    group.throughput(Throughput::Elements(1));
    for flows in [1_u32, 1000, 500_000] {
        let mut config = Config::default();
        let mut nat = Nat::new([198, 51, 100, 2].into());
        nat.addresses = (2..18).map(|n| [198, 51, 100, n].into()).collect();
        config.nat = vec![nat];
        config.limits.flows = 1 << 20;
        config.limits.queue = 0;
        let mut firewall = Firewall::new(Arc::new(config), Box::new(seeded(1))).unwrap();
        let lan = firewall.add_interface(Interface::private());
        let wan = firewall.add_interface(Interface::public());
        let ingress = Ingress {
            interface: lan,
            ipsec: false,
        };
        let mut hosts: Vec<Vec<u8>> = (0..flows).map(|h| udp(h, 5000)).collect();
        for packet in &mut hosts {
            let _ = firewall.process(now, ingress, &mut packet.clone(), 0..28, &|_| Some(wan));
        }
        let mut next = 0;
        group.bench_function(BenchmarkId::from_parameter(flows), |b| {
            b.iter(|| {
                next = (next + 1) % hosts.len();
                let mut packet = [0; 28];
                packet.copy_from_slice(&hosts[next]);
                firewall.process(now, ingress, black_box(&mut packet), 0..28, &|_| Some(wan))
            });
        });
    }
}

criterion_group!(benches, known_flow);
criterion_main!(benches);
