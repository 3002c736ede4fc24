//! Batches equal one packet after the other, to the bit.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use common::{Joined, SERVER, Threads, sum, tcp, udp, with_room};
use gateway_example::core::offload::{Offload, Segments, coalesce};
use gateway_example::core::{BATCH, Core, Datagram, Destination, Forward, Outbox, Path};
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

const OFFICE: Ipv4Addr = Ipv4Addr::new(192, 168, 8, 10);

type Sent = (Destination, Vec<u8>);

#[allow(
    clippy::disallowed_methods,
    reason = "any start will do for virtual time"
)]
fn twins(suites: &[&str], nat: bool, shards: usize) -> [Joined; 2] {
    let now = Instant::now();
    [(); 2].map(|()| Joined::spread(now, suites, nat, 40, shards, Arc::<Threads>::default()))
}

fn sent(forward: Forward, buf: &[u8]) -> Option<Sent> {
    match forward {
        Forward::Nothing => None,
        Forward::Inner(range) => Some((Destination::Inner, buf[range].to_vec())),
        Forward::Udp { path, payload } => Some((Destination::Udp(path), buf[payload].to_vec())),
        Forward::Esp {
            local,
            remote,
            payload,
        } => Some((Destination::Esp { local, remote }, buf[payload].to_vec())),
    }
}

/// What a run is of, and how many runs there were.
fn emptied(outbox: &mut Outbox) -> (Vec<Sent>, usize) {
    let runs: Vec<_> = outbox.runs().collect();
    let all = runs.iter().flat_map(|run| {
        let packets = run.bytes.chunks(run.length);
        packets.map(|packet| (run.destination, packet.to_vec()))
    });
    let result = (all.collect(), runs.len());
    outbox.clear();
    result
}

fn one_by_one(core: &mut dyn Core, now: Instant, packets: &[Vec<u8>]) -> Vec<Sent> {
    let each = packets.iter().filter_map(|packet| {
        let (mut buf, range) = with_room(packet);
        let forward = core.handle_inner(now, &mut buf, range);
        sent(forward, &buf)
    });
    each.collect()
}

fn together(core: &mut dyn Core, now: Instant, packets: &[Vec<u8>]) -> (Vec<Sent>, usize) {
    let mut outbox = Outbox::default();
    for packet in packets {
        core.push_inner(now, packet, Offload::default(), &mut outbox);
    }
    core.seal(now, &mut outbox);
    emptied(&mut outbox)
}

/// Datagrams to the gateway; those of `native` paths are IP protocol 50.
fn arrived(core: &mut dyn Core, now: Instant, datagrams: &[Sent]) -> Vec<Sent> {
    let each = datagrams.iter().filter_map(|(from, bytes)| {
        let (mut buf, range) = with_room(bytes);
        let forward = match *from {
            Destination::Udp(path) => core.handle_udp(now, path, &mut buf, range),
            Destination::Esp { local, remote } => {
                core.handle_esp(now, local, remote, &mut buf, range)
            }
            Destination::Inner => Forward::Nothing,
        };
        sent(forward, &buf)
    });
    each.collect()
}

fn arrived_together(core: &mut dyn Core, now: Instant, datagrams: &[Sent]) -> Vec<Sent> {
    let mut bufs: Vec<_> = datagrams.to_vec();
    let mut batch: Vec<_> = bufs
        .iter_mut()
        .map(|(from, bytes)| match *from {
            Destination::Esp { local, remote } => {
                let range = 0..bytes.len();
                Datagram::esp([local, remote], bytes, range)
            }
            Destination::Udp(path) => Datagram::udp(path, bytes),
            Destination::Inner => Datagram::default(),
        })
        .collect();
    let mut outbox = Outbox::default();
    let mut all = Vec::new();
    for batch in batch.chunks_mut(BATCH) {
        core.push_datagrams(now, batch, &mut outbox);
        let inner = batch.iter().filter_map(Datagram::inner);
        all.extend(inner.map(|packet| (Destination::Inner, packet.to_vec())));
    }
    all.extend(emptied(&mut outbox).0);
    all
}

/// Packets as the other side gets them.
fn crossed(joined: &Joined, packets: Vec<Sent>) -> Vec<Sent> {
    let each = packets.into_iter().map(|(to, bytes)| match to {
        Destination::Udp(path) => (Destination::Udp(joined.across(path)), bytes),
        Destination::Esp { local, remote } => {
            let turned = Destination::Esp {
                local: remote,
                remote: local,
            };
            (turned, bytes)
        }
        Destination::Inner => (to, bytes),
    });
    each.collect()
}

fn drops(joined: &Joined) -> String {
    format!("{:?}", joined.gateway.status(joined.now).drops)
}

const SUITES: [[&str; 2]; 3] = [
    ["aes128-sha1", "3des-md5"],
    ["aes256-sha256", "aes128-sha1"],
    ["aes128gcm16", "des-sha1"],
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_batch_is_one_packet_after_the_other(
        suites in proptest::sample::select(&SUITES[..]),
        nat in any::<bool>(),
        shards in 1..4_usize,
        plan in proptest::collection::vec((0..12_u8, 0..1300_usize), 1..150),
    ) {
        let [mut a, mut b] = twins(&suites, nat, shards);
        let (now, clients) = (a.now, a.addresses.clone());
        // The office speaks first, so that the clients may answer.
        let packets: Vec<_> = plan.iter().map(|(kind, size)| match kind {
            0..5 => udp((OFFICE, 80), (clients[0], 7), *size),
            5..9 => udp((OFFICE, 81), (clients[1], 7), *size),
            9 => udp((OFFICE, 81), (Ipv4Addr::new(10, 1, 2, 3), 9), *size),
            10 => vec![0x45; *size],
            _ => udp((OFFICE, 7), (OFFICE, 8), *size),
        }).collect();
        let outward = one_by_one(&mut a.gateway, now, &packets);
        let (batch, _) = together(&mut b.gateway, now, &packets);
        prop_assert_eq!(&outward, &batch);
        prop_assert_eq!(drops(&a), drops(&b));

        // What each client sends, with noise, twice, broken, and to one another.
        let mut datagrams = Vec::new();
        for (index, [this, that]) in [[0, 1], [1, 0]].into_iter().enumerate() {
            let packets: Vec<_> = plan.iter().map(|(kind, size)| match kind {
                0..6 => udp((clients[this], 7), (OFFICE, 80 + index as u16), *size),
                6..10 => udp((clients[this], 9), (clients[that], 9), *size),
                _ => udp((clients[that], 7), (OFFICE, 80), *size),
            }).collect();
            let single = one_by_one(&mut a.clients[index], now, &packets);
            let (batch, _) = together(&mut b.clients[index], now, &packets);
            prop_assert_eq!(&single, &batch);
            datagrams.extend(crossed(&a, single));
        }
        let stranger = Path {
            local: SocketAddr::from((SERVER, 4500)),
            remote: SocketAddr::from(([203, 0, 113, 99], 4500)),
        };
        for (index, (kind, size)) in plan.iter().enumerate() {
            let at = (index * 7 + size) % datagrams.len();
            let mut copy = datagrams[at].clone();
            match kind {
                0 => copy = (Destination::Udp(stranger), vec![0xff]),
                1 => copy = (Destination::Udp(stranger), vec![0; *size]),
                2 => copy = (Destination::Udp(stranger), vec![7; *size]),
                3 => {
                    let at = size % copy.1.len().max(1);
                    if let Some(byte) = copy.1.get_mut(at) {
                        *byte ^= 1;
                    }
                }
                4 => {}
                _ => continue,
            }
            datagrams.insert((index * 13) % datagrams.len(), copy);
        }
        let single = arrived(&mut a.gateway, now, &datagrams);
        let batch = arrived_together(&mut b.gateway, now, &datagrams);
        let inner = |sent: &Vec<Sent>, wanted| -> Vec<Sent> {
            let of = sent.iter().filter(|(to, _)| (*to == Destination::Inner) == wanted);
            of.cloned().collect()
        };
        // From 10 on they say they are somebody else.
        prop_assert!(plan.iter().all(|(kind, _)| *kind >= 10) || !single.is_empty());
        prop_assert_eq!(inner(&single, true), inner(&batch, true));
        prop_assert_eq!(inner(&single, false), inner(&batch, false));
        prop_assert_eq!(drops(&a), drops(&b));

        // And what the gateway sent arrives at the clients.
        for index in 0..2 {
            let address = IpAddr::from([192, 168, 77, 2 + index as u8]);
            let all = crossed(&a, [&outward[..], &inner(&single, false)].concat());
            let own: Vec<_> = all.into_iter().filter(|(to, _)| match to {
                Destination::Udp(path) => path.local.ip() == address,
                Destination::Esp { local, .. } => *local == address,
                Destination::Inner => false,
            }).collect();
            let single = arrived(&mut a.clients[index], now, &own);
            let batch = arrived_together(&mut b.clients[index], now, &own);
            prop_assert_eq!(single.len(), own.len());
            prop_assert_eq!(single, batch);
        }
    }

    #[test]
    fn what_is_cut_is_whole_and_can_be_joined_again(
        count in 1..64_usize,
        size in 1..1400_usize,
        last in 1..1400_usize,
        sequence in any::<u32>(),
    ) {
        let payload = ((count - 1) * size + last.min(size)).min(65_535 - 52);
        let (long, offload) = super_packet(sequence, payload, size);
        let segments = Segments::new(&long, offload).unwrap();
        prop_assert_eq!(segments.count(), payload.div_ceil(size));
        let packets: Vec<_> = (0..segments.count()).map(|index| {
            let mut packet = vec![0; segments.length(index)];
            segments.write(index, &mut packet);
            packet
        }).collect();
        for (index, packet) in packets.iter().enumerate() {
            let from = index * size;
            let mut plain = tcp(ends().0, ends().1, sequence.wrapping_add(from as u32),
                size.min(payload - from));
            let own = 52 + from..from + plain.len();
            plain[52..].copy_from_slice(&long[own]);
            plain[4..6].copy_from_slice(&(9 + index as u16).to_be_bytes());
            plain[10..12].fill(0);
            let header = !sum(&plain[..20]);
            plain[10..12].copy_from_slice(&header.to_be_bytes());
            plain[36..38].fill(0);
            let length = (plain.len() - 20) as u16;
            let pseudo = [&plain[12..20], &[0, 6], &length.to_be_bytes()].concat();
            let checksum = !sum(&[&pseudo[..], &plain[20..]].concat());
            plain[36..38].copy_from_slice(&checksum.to_be_bytes());
            prop_assert_eq!(packet, &plain);
        }
        let slices: Vec<_> = packets.iter().map(Vec::as_slice).collect();
        let mut joined = Vec::new();
        for part in slices.chunks(64) {
            coalesce(part, &mut |merged| {
                joined.push([merged.headers(), &merged.payloads().concat()].concat());
                if merged.payloads().len() > 1 {
                    assert_eq!(merged.offload.segment as usize, size);
                }
            });
        }
        let bytes: Vec<_> = joined.iter().flat_map(|packet| packet[52..].to_vec()).collect();
        prop_assert_eq!(&bytes, &long[52..]);
        if packets.len() <= 64 && packets.len() > 1 {
            prop_assert_eq!(joined.len(), 1);
            prop_assert_eq!(&joined[0], &long);
        }
    }
}

fn ends() -> ((Ipv4Addr, u16), (Ipv4Addr, u16)) {
    ((OFFICE, 80), (Ipv4Addr::new(192, 168, 200, 10), 4000))
}

/// As the system hands it out: the checksum is the pseudo-header's part.
fn super_packet(sequence: u32, payload: usize, size: usize) -> (Vec<u8>, Offload) {
    let mut long = tcp(ends().0, ends().1, sequence, payload);
    let length = (long.len() - 20) as u16;
    let pseudo = [&long[12..20], &[0, 6], &length.to_be_bytes()].concat();
    let partial = sum(&pseudo);
    long[36..38].copy_from_slice(&partial.to_be_bytes());
    let offload = Offload {
        segment: size as u16,
        checksum: Some((20, 16)),
    };
    (long, offload)
}

#[test]
fn a_long_packet_is_its_segments_and_leaves_in_two_calls() {
    let [mut a, mut b] = twins(&["aes128-sha1"], true, 1);
    let now = a.now;
    let to = (a.addresses[0], 4000);
    // The client has opened the connection.
    let mut open = tcp(to, (OFFICE, 80), 100, 0);
    open[33] = 2;
    let fix = |packet: &mut Vec<u8>| {
        packet[36..38].fill(0);
        let length = (packet.len() - 20) as u16;
        let pseudo = [&packet[12..20], &[0, 6], &length.to_be_bytes()].concat();
        let checksum = !sum(&[&pseudo[..], &packet[20..]].concat());
        packet[36..38].copy_from_slice(&checksum.to_be_bytes());
    };
    fix(&mut open);
    let mut accept = tcp((OFFICE, 80), to, 0, 0);
    accept[33] = 0x12;
    accept[28..32].copy_from_slice(&101_u32.to_be_bytes());
    fix(&mut accept);
    for joined in [&mut a, &mut b] {
        let sent = one_by_one(&mut joined.clients[0], now, &[open.clone()]);
        let sent = crossed(joined, sent);
        assert_eq!(arrived(&mut joined.gateway, now, &sent).len(), 1);
        let answer = one_by_one(&mut joined.gateway, now, &[accept.clone()]);
        assert_eq!(answer.len(), 1);
    }
    let (mut long, offload) = super_packet(1, 60_000, 1300);
    long[16..20].copy_from_slice(&to.0.octets());
    long[28..32].copy_from_slice(&101_u32.to_be_bytes());
    let segments = Segments::new(&long, offload).unwrap();
    let packets: Vec<_> = (0..segments.count())
        .map(|index| {
            let mut packet = vec![0; segments.length(index)];
            segments.write(index, &mut packet);
            packet
        })
        .collect();
    let single = one_by_one(&mut a.gateway, now, &packets);
    assert_eq!(single.len(), 47);
    let mut outbox = Outbox::default();
    b.gateway.push_inner(now, &long, offload, &mut outbox);
    b.gateway.seal(now, &mut outbox);
    let (batch, runs) = emptied(&mut outbox);
    assert_eq!(single, batch);
    // 64 KiB is the most that a system takes at once.
    assert_eq!(runs, 2);
}

/// Each client's packets stay in order, whichever is done first.
#[test]
#[allow(
    clippy::disallowed_methods,
    reason = "any start will do for virtual time"
)]
fn packets_of_different_sas_are_worked_on_at_the_same_time() {
    let (start, shards) = (Instant::now(), 3);
    let mut apart = 0;
    for seed in 50..60 {
        let threads = Arc::new(Threads::default());
        let suites = ["aes128-sha1"; 2];
        let mut joined = Joined::spread(start, &suites, true, seed, shards, threads.clone());
        let (now, clients) = (joined.now, joined.addresses.clone());
        // Different lengths, so that they can be told apart; by turns, as on a wire.
        let outward: Vec<_> = (0..100)
            .map(|i| udp((OFFICE, 80), (clients[i % 2], 7), 400 + i))
            .collect();
        let (sent, _) = together(&mut joined.gateway, now, &outward);
        let inward: Vec<Vec<_>> = (0..2)
            .map(|index| {
                let packets: Vec<_> = (0..50)
                    .map(|i| udp((clients[index], 7), (OFFICE, 80), 400 + 2 * i + index))
                    .collect();
                let (sent, _) = together(&mut joined.clients[index], now, &packets);
                crossed(&joined, sent)
            })
            .collect();
        let by_turns = inward[0].iter().zip(&inward[1]);
        let by_turns: Vec<_> = by_turns.flat_map(|(a, b)| [a.clone(), b.clone()]).collect();
        let came = arrived_together(&mut joined.gateway, now, &by_turns);
        let lengths: Vec<_> = came.iter().map(|(_, packet)| packet.len()).collect();
        assert_eq!(lengths, (428..528).collect::<Vec<_>>());
        for index in 0..2 {
            let address = IpAddr::from([192, 168, 77, 2 + index as u8]);
            let mut own = crossed(&joined, sent.clone());
            own.retain(
                |(to, _)| matches!(to, Destination::Udp(path) if path.local.ip() == address),
            );
            let came = arrived_together(&mut joined.clients[index], now, &own);
            let lengths: Vec<_> = came.iter().map(|(_, packet)| packet.len()).collect();
            let mine = (428..528).skip(index).step_by(2);
            assert_eq!(lengths, mine.collect::<Vec<_>>());
        }
        let pieces = threads.pieces.lock().unwrap().clone();
        assert!(pieces.is_empty() || pieces == [2, 2], "{pieces:?}");
        apart += usize::from(!pieces.is_empty());
    }
    // Two of three shards are the same now and then.
    assert!((3..10).contains(&apart), "{apart} of ten");
}

#[test]
fn segments_that_differ_in_more_are_not_joined() {
    let (from, to) = ends();
    let one = |sequence: u32| tcp(from, to, sequence, 1000);
    let pieces = |packets: &[Vec<u8>]| {
        let slices: Vec<_> = packets.iter().map(Vec::as_slice).collect();
        let mut counts = Vec::new();
        coalesce(&slices, &mut |merged| counts.push(merged.payloads().len()));
        counts
    };
    let changed = |at: usize| {
        let mut second = one(1000);
        second[at] ^= 1;
        vec![one(0), second, one(2000)]
    };
    assert_eq!(pieces(&[one(0), one(1000), one(2000)]), [3]);
    assert_eq!(pieces(&[one(0), one(2000), one(3000)]), [1, 2]);
    // TOS, TTL, port, acknowledgement, FIN, window, options, and a payload that is broken.
    for at in [1, 8, 21, 31, 33, 35, 47, 60] {
        assert_eq!(pieces(&changed(at)).len(), 3, "byte {at}");
    }
    // The connections are joined each for itself, and nothing overtakes within one.
    let other = |sequence| tcp((OFFICE, 81), to, sequence, 500);
    let mixed = [
        one(0),
        other(0),
        one(1000),
        other(500),
        tcp(from, to, 2000, 10),
        one(2010),
    ];
    assert_eq!(pieces(&mixed), [3, 2, 1]);
    assert_eq!(pieces(&[tcp(from, to, 0, 0), tcp(from, to, 0, 0)]), [1, 1]);
}
