//! Hot paths, run so many times under a tool that counts instructions: `counts NAME TIMES`, or
//! `counts` for the names. See `.ci/instruction-counts`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a tool that stops where it cannot go on"
)]

use esp::{Cipher, InboundSa, Integrity, Open, OutboundSa, SaConfig, Seal, Suite};
use firewall::{Config, Firewall, Ingress, Interface, InterfaceId, Nat};
use ppp::NetworkProtocol;
use roadwarrior_benches::{PATH, l2tp_call, l2tp_endpoint, ppp_link};
use simnet::seeded;
use std::hint::black_box;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One of them, and what it does so many times.
type Path = (&'static str, fn(Instant, u32));

const PATHS: [Path; 15] = [
    ("esp_cbc_sha1_seal", |now, n| seal(now, n, CBC_SHA1)),
    ("esp_cbc_sha1_seal_open", |now, n| {
        seal_open(now, n, CBC_SHA1)
    }),
    ("esp_cbc_sha1_seal_open_batch", |now, n| {
        batch(now, n, CBC_SHA1)
    }),
    ("esp_3des_sha1_seal_open_batch", |now, n| {
        batch(now, n, TRIPLE_DES)
    }),
    ("esp_gcm_seal", |now, n| seal(now, n, GCM)),
    ("esp_gcm_seal_open", |now, n| seal_open(now, n, GCM)),
    ("natt_classify", |_, n| classify(n)),
    ("l2tp_data_out", |now, n| l2tp_out(now, n)),
    ("l2tp_data_in", |now, n| l2tp_in(now, n)),
    ("ppp_out", |now, n| ppp_out(now, n)),
    ("ppp_in", |now, n| ppp_in(now, n)),
    ("firewall_known_flow", |now, n| firewall(now, n, Some(1))),
    ("firewall_thousand_flows", |now, n| {
        firewall(now, n, Some(1000))
    }),
    ("firewall_new_flow", |now, n| firewall(now, n, None)),
    ("isakmp_first_message", |now, n| first_message(now, n)),
];

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [name, times] = arguments.as_slice() else {
        PATHS.iter().for_each(|(name, _)| println!("{name}"));
        return;
    };
    let (_, run) = PATHS.iter().find(|(n, _)| n == name).unwrap();
    run(Instant::now(), times.parse().unwrap());
}

const SIZE: usize = 1400;
const BATCH: usize = 32;

type Algorithms = (Cipher, Option<Integrity>);
const CBC_SHA1: Algorithms = (Cipher::AesCbc256, Some(Integrity::HmacSha1_96));
const TRIPLE_DES: Algorithms = (Cipher::TripleDesCbc, Some(Integrity::HmacSha1_96));
const GCM: Algorithms = (Cipher::AesGcm128, None);

fn pair(now: Instant, (cipher, integrity): Algorithms) -> (OutboundSa, InboundSa) {
    let suite = Suite::new(cipher, integrity).unwrap();
    let key: Vec<_> = (1..=cipher.key_length()).map(|n| n as u8 * 3).collect();
    let integrity = vec![9; integrity.map_or(0, Integrity::key_length)];
    let config = SaConfig::new(0x1234_5678, suite, &key, &integrity);
    let outbound = OutboundSa::new(now, &config, &mut seeded(1)).unwrap();
    (outbound, InboundSa::new(now, &config).unwrap())
}

fn seal(now: Instant, times: u32, algorithms: Algorithms) {
    let (mut outbound, _) = pair(now, algorithms);
    let mut buf = vec![0x55; SIZE + 128];
    for _ in 0..times {
        outbound
            .seal(now, black_box(&mut buf), 64..64 + SIZE, 17)
            .unwrap();
    }
}

fn seal_open(now: Instant, times: u32, algorithms: Algorithms) {
    let (mut outbound, mut inbound) = pair(now, algorithms);
    let mut buf = vec![0x55; SIZE + 128];
    for _ in 0..times {
        let packet = outbound
            .seal(now, black_box(&mut buf), 64..64 + SIZE, 17)
            .unwrap();
        inbound.open(now, black_box(&mut buf), packet).unwrap();
    }
}

/// A time is a whole batch.
fn batch(now: Instant, times: u32, algorithms: Algorithms) {
    let (mut outbound, mut inbound) = pair(now, algorithms);
    let mut bufs = vec![vec![0x55; SIZE + 128]; BATCH];
    for _ in 0..times {
        let mut all = bufs.iter_mut();
        let mut jobs: [Seal<'_>; BATCH] =
            std::array::from_fn(|_| Seal::new(all.next().unwrap(), 64..64 + SIZE, 17));
        outbound.seal_batch(now, black_box(&mut jobs));
        let packets: [Range<usize>; BATCH] = jobs.map(|job| job.result.unwrap());
        let mut all = bufs.iter_mut().zip(packets);
        let mut jobs: [Open<'_>; BATCH] = std::array::from_fn(|_| {
            let (buf, packet) = all.next().unwrap();
            Open::new(buf, packet)
        });
        inbound.open_batch(now, black_box(&mut jobs));
        assert!(jobs.iter().all(|job| job.result.is_ok()));
    }
}

fn classify(times: u32) {
    let datagram = [7; 100];
    for _ in 0..times {
        let range = black_box(0..datagram.len());
        let _ = black_box(natt::classify(
            natt::PortKind::Natt,
            black_box(&datagram),
            range,
        ));
    }
}

fn call(now: Instant) -> (l2tp::Endpoint, l2tp::Endpoint, l2tp::SessionId) {
    let (mut lac, mut lns) = (l2tp_endpoint(1), l2tp_endpoint(2));
    let session = l2tp_call(now, &mut lac, &mut lns);
    (lac, lns, session)
}

fn l2tp_out(now: Instant, times: u32) {
    let (mut lac, _, session) = call(now);
    let mut buf = vec![0x55; SIZE + 128];
    for _ in 0..times {
        let message = lac.encapsulate(session, black_box(&mut buf), 64..64 + SIZE);
        black_box(message).unwrap();
    }
}

fn l2tp_in(now: Instant, times: u32) {
    let (mut lac, mut lns, session) = call(now);
    let mut buf = vec![0x55; SIZE + 128];
    let message = lac.encapsulate(session, &mut buf, 64..64 + SIZE).unwrap();
    for _ in 0..times {
        let payload = lns.handle_datagram(now, PATH, black_box(&mut buf), message.clone());
        black_box(payload).unwrap();
    }
}

fn ppp_out(now: Instant, times: u32) {
    let (mut client, _) = ppp_link(now);
    let mut buf = vec![0x45; SIZE + 128];
    for _ in 0..times {
        let range = 64..64 + SIZE;
        let frame = client.encapsulate(black_box(&mut buf), range, NetworkProtocol::Ipv4);
        black_box(frame).unwrap();
    }
}

fn ppp_in(now: Instant, times: u32) {
    let (mut client, mut server) = ppp_link(now);
    let mut buf = vec![0x45; SIZE + 128];
    let frame = client
        .encapsulate(&mut buf, 64..64 + SIZE, NetworkProtocol::Ipv4)
        .unwrap();
    for _ in 0..times {
        let packet = server.handle_frame(now, black_box(&mut buf), frame.clone());
        black_box(packet).unwrap();
    }
}

/// Packets of so many known flows in turn, or each of a new one.
fn firewall(now: Instant, times: u32, known: Option<u32>) {
    let mut config = Config::default();
    config.nat = vec![Nat::new([198, 51, 100, 2].into())];
    let mut firewall = Firewall::new(Arc::new(config), Box::new(seeded(1))).unwrap();
    let lan: InterfaceId = firewall.add_interface(Interface::private());
    let wan = firewall.add_interface(Interface::public());
    let ingress = Ingress {
        interface: lan,
        ipsec: false,
    };
    let mut send = |n: u32| {
        let [_, _, high, low] = n.to_be_bytes();
        let mut packet = [
            0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, high, low, 203, 0, 113, 5, 4, 0, 0,
            53, 0, 8, 0, 0,
        ];
        let verdict = firewall.process(now, ingress, black_box(&mut packet), 0..28, &|_| Some(wan));
        let _ = black_box(verdict);
    };
    match known {
        Some(flows) => {
            (0..flows).for_each(&mut send);
            (0..times).for_each(|n| send(n % flows));
        }
        None => (0..times).for_each(send),
    }
}

/// A responder answers first messages of as many peers.
fn first_message(now: Instant, times: u32) {
    use isakmp::{Endpoint, Path, Peer, PeerMatch, PresharedKey};
    let path = Path {
        local: ([192, 0, 2, 1], 500).into(),
        remote: ([198, 51, 100, 1], 500).into(),
    };
    let psk = || PresharedKey::new("counted");
    let config = isakmp::Config::new(vec![(PeerMatch::Any, psk())]);
    let mut responder = Endpoint::new(Arc::new(config), Box::new(seeded(1))).unwrap();
    let mut initiator =
        Endpoint::new(Arc::new(isakmp::Config::default()), Box::new(seeded(2))).unwrap();
    initiator.connect(now, path, Peer::new(psk())).unwrap();
    let first = initiator.poll_transmit().unwrap().payload;
    for n in 0..times {
        let [_, a, b, c] = n.to_be_bytes();
        let path = Path {
            local: path.remote,
            remote: ([10, a, b, c], 500).into(),
        };
        let mut message = first.clone();
        message[..4].copy_from_slice(&(n + 1).to_be_bytes());
        let now = now + Duration::from_millis(n.into());
        responder.handle_datagram(now, path, &mut message).unwrap();
        black_box(responder.poll_transmit());
    }
}
