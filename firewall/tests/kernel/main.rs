//! The same packets through this crate and through Linux's own connection tracking and NAT: the
//! same go through, translated alike up to the choice of ports. What differs on purpose is at the
//! end, with its reason.
//!
//! Needs root, a network namespace, TUN, `nft` and Python; skipped without, unless `KERNEL_NAT` is
//! set.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test that cannot go on has failed"
)]

#[path = "../common/mod.rs"]
mod common;
mod ipv6;
mod worlds;

use common::*;
use rand_core::Rng;
use simnet::seeded;
use std::net::Ipv4Addr;
use worlds::{Packets, Pair, Side, World};

const WEB: End = (BOB, 8080);
const UDP: u8 = 17;
const TCP: u8 = 6;
const ICMP: u8 = 1;

/// A conversation between a private host and a remote one.
#[derive(Debug, Clone)]
struct Talk {
    protocol: u8,
    private: End,
    remote: End,
    /// In this crate's world and in the kernel's: the private end as the remote one sees it.
    global: [Option<u16>; 2],
    /// Next sequence numbers, of the private end and of the remote one.
    next: [u32; 2],
    /// What the other end has acknowledged.
    acked: [u32; 2],
    step: u8,
}

impl Talk {
    fn new(protocol: u8, private: End, remote: End) -> Self {
        Self {
            protocol,
            private,
            remote,
            global: [None; 2],
            next: [1000, 5000],
            acked: [1000, 5000],
            step: 0,
        }
    }

    fn between(&self, from: End, to: End, payload: &Payload) -> Vec<u8> {
        match (self.protocol, payload) {
            (TCP, Payload::Segment(segment)) => tcp(from, to, *segment),
            (ICMP, Payload::Answer) => pong(from.0, to.0, to.1),
            (ICMP, _) => ping(from.0, to.0, from.1),
            (_, Payload::Bytes(bytes)) => udp_with(from, to, bytes),
            _ => udp(from, to),
        }
    }

    fn outward(&self, payload: &Payload) -> Vec<u8> {
        self.between(self.private, self.remote, payload)
    }

    /// From the remote end, in one of the worlds.
    fn inward(&self, world: World, payload: &Payload) -> Option<Vec<u8>> {
        let global = (PUBLIC, self.global[world.index()]?);
        Some(self.between(self.remote, global, payload))
    }

    /// As it travels outside.
    fn outside(&self, world: World, payload: &Payload) -> Option<Vec<u8>> {
        let global = (PUBLIC, self.global[world.index()]?);
        Some(self.between(global, self.remote, payload))
    }

    /// Takes note of the port that it got.
    fn learn(&mut self, world: World, out: &Packets) {
        for (side, packet) in out {
            if *side == Side::Wan && packet[12..16] == PUBLIC.octets() && packet[6] & 0x1f == 0 {
                let at = if self.protocol == ICMP { 24 } else { 20 };
                let port = u16::from_be_bytes([packet[at], packet[at + 1]]);
                let known = self.global[world.index()].replace(port);
                assert!(
                    known.is_none_or(|known| known == port),
                    "the mapping has moved"
                );
            }
        }
    }
}

#[derive(Debug, Clone)]
enum Payload {
    None,
    Answer,
    Bytes(Vec<u8>),
    Segment(Tcp),
}

struct Dice(Box<dyn rand_core::CryptoRng + Send>);

impl Dice {
    fn below(&mut self, n: u32) -> u32 {
        self.0.next_u32() % n
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        let at = self.below(u32::try_from(from.len()).unwrap());
        from[usize::try_from(at).unwrap()].clone()
    }
}

/// More than this is not under way, of a window of 65,535.
const IN_FLIGHT: u32 = 40_000;

/// What an end of a connection may send next, and rarely what it must not.
fn segment(talk: &mut Talk, inward: bool, dice: &mut Dice) -> Tcp {
    let (own, other) = (usize::from(inward), usize::from(!inward));
    let (seq, ack) = (talk.next[own], talk.next[other]);
    let full = seq.wrapping_sub(talk.acked[own]) > IN_FLIGHT;
    let nothing = (talk.step, Tcp::new(ACK, seq, ack), 0);
    let (step, segment, length) = match (talk.step, inward) {
        (0, false) => (1, Tcp::new(SYN, seq, 0), 1),
        (1, true) => (2, Tcp::new(SYN | ACK, seq, ack), 1),
        (2, false) => (3, Tcp::new(ACK, seq, ack), 0),
        (3 | 4, _) => match dice.below(12) {
            // Never acknowledged, not in its window, from far away.
            1 => (
                talk.step,
                Tcp::new(ACK, seq.wrapping_add(400_000), ack).data(5),
                0,
            ),
            2 => (
                talk.step,
                Tcp::new(ACK, seq, ack.wrapping_add(400_000)).data(5),
                0,
            ),
            _ if full => nothing,
            0 if talk.step == 3 => (4 + u8::from(inward), Tcp::new(FIN | ACK, seq, ack), 1),
            3 | 4 => nothing,
            _ => {
                let length = 1 + dice.below(1400);
                let segment = Tcp::new(ACK, seq, ack).data(usize::try_from(length).unwrap());
                (talk.step, segment, length)
            }
        },
        _ => nothing,
    };
    if segment.flags & ACK != 0 && segment.ack == ack && segment.seq == seq {
        talk.acked[other] = ack;
    }
    talk.step = step;
    talk.next[own] = seq.wrapping_add(length);
    segment.window(u16::MAX)
}

fn payload(talk: &mut Talk, inward: bool, dice: &mut Dice) -> Payload {
    match talk.protocol {
        TCP => Payload::Segment(segment(talk, inward, dice)),
        ICMP if inward => Payload::Answer,
        ICMP => Payload::None,
        _ => {
            let length = dice.pick(&[0, 1, 12, 500, 1472]);
            Payload::Bytes(vec![7; length])
        }
    }
}

fn shuffled(mut packets: Vec<Vec<u8>>, dice: &mut Dice) -> Vec<Vec<u8>> {
    for n in (1..packets.len()).rev() {
        let other = dice.below(u32::try_from(n + 1).unwrap());
        packets.swap(n, usize::try_from(other).unwrap());
    }
    packets
}

/// One random thing happens in both worlds.
fn act(pair: &mut Pair, talks: &mut Vec<Talk>, dice: &mut Dice, round: u16) {
    if talks.is_empty() || (talks.len() < 60 && dice.below(6) == 0) {
        let private = (
            dice.pick(&[ALICE, BOB]),
            dice.pick(&[1024, 5000, 5001, 40_000]),
        );
        let remote = (dice.pick(&[SERVER, STRANGER]), dice.pick(&[53, 443, 4500]));
        let protocol = dice.pick(&[UDP, TCP, ICMP]);
        let known = |t: &Talk| (t.protocol, t.private, t.remote.0) == (protocol, private, remote.0);
        if !talks.iter().any(known) {
            talks.push(Talk::new(protocol, private, remote));
        }
    }
    let at = usize::try_from(dice.below(u32::try_from(talks.len()).unwrap())).unwrap();
    let talk = &mut talks[at];
    match dice.below(20) {
        0..=7 => {
            let payload = payload(talk, false, dice);
            let packet = talk.outward(&payload);
            pair.same(Side::Lan, |_| Some(vec![packet.clone()]), Some(talk));
        }
        8..=13 if talk.global[0].is_some() => {
            let payload = payload(talk, true, dice);
            let talk = talk.clone();
            pair.same(
                Side::Wan,
                |world| Some(vec![talk.inward(world, &payload)?]),
                None,
            );
        }
        14 => {
            // Somebody else, and another port.
            let stranger = (Ipv4Addr::new(203, 0, 113, 200), dice.pick(&[53, 999]));
            let other = Talk {
                remote: stranger,
                ..talk.clone()
            };
            let payload = match other.protocol {
                TCP => Payload::Segment(Tcp::new(dice.pick(&[SYN, ACK, RST, FIN | ACK]), 1, 1)),
                ICMP => Payload::Answer,
                _ => Payload::None,
            };
            pair.same(
                Side::Wan,
                |world| Some(vec![other.inward(world, &payload)?]),
                None,
            );
        }
        15 if talk.step != 1 => {
            // A router outside about a packet of this conversation, or of one that is none.
            let kind = dice.pick(&[[3, 0], [3, 1], [3, 3], [3, 4], [11, 0], [12, 0]]);
            let mut talk = talk.clone();
            if dice.below(4) == 0 {
                talk.remote.0 = Ipv4Addr::new(203, 0, 113, 201);
            }
            let [seq, ack] = talk.next;
            let quoted = match talk.protocol {
                TCP => Payload::Segment(Tcp::new(ACK, seq, ack).data(60)),
                _ => Payload::None,
            };
            let word = if kind == [3, 4] {
                [0, 0, 5, 120]
            } else {
                [0; 4]
            };
            let error = |quoted: &[u8]| icmp_error(ROUTER, PUBLIC, kind, word, quoted);
            pair.same(
                Side::Wan,
                |world| Some(vec![error(&talk.outside(world, &quoted)?)]),
                None,
            );
        }
        16 if talk.protocol == UDP && talk.global[0].is_some() => {
            // A host inside about a packet that came to it.
            let talk = talk.clone();
            let came = talk.between(talk.remote, talk.private, &Payload::None);
            let refused = icmp_error(talk.private.0, talk.remote.0, [3, 3], [0; 4], &came);
            pair.same(Side::Lan, |_| Some(vec![refused.clone()]), None);
        }
        17 if talk.protocol == UDP => {
            let packet = talk.outward(&Payload::Bytes(vec![9; 3000]));
            let pieces = shuffled(cut(&packet, dice.pick(&[512, 1000, 1480]), round), dice);
            pair.same(Side::Lan, |_| Some(pieces.clone()), Some(talk));
        }
        18 if talk.protocol == UDP && talk.global[0].is_some() => {
            let (talk, size) = (talk.clone(), dice.pick(&[512, 1000, 1480]));
            let order = dice.0.next_u64();
            pair.same(
                Side::Wan,
                |world| {
                    let packet = talk.inward(world, &Payload::Bytes(vec![9; 3000]))?;
                    let mut dice = Dice(Box::new(seeded(order)));
                    Some(shuffled(cut(&packet, size, round), &mut dice))
                },
                None,
            );
        }
        _ => pinhole(pair, dice),
    }
}

/// From outside or from inside to the forwarded port: a whole short connection.
fn pinhole(pair: &mut Pair, dice: &mut Dice) {
    let port = 1024 + u16::try_from(dice.below(60_000)).unwrap();
    let seq = dice.0.next_u32();
    let web = (PUBLIC, dice.pick(&[80, 80, 80, 81]));
    let client = ((dice.pick(&[STRANGER, ALICE])), port);
    let side = if client.0 == ALICE {
        Side::Lan
    } else {
        Side::Wan
    };
    let syn = tcp(client, web, Tcp::new(SYN, seq, 0));
    let came = pair.same(side, |_| Some(vec![syn.clone()]), None);
    let seen = came.map(|packets| Some(ends(&packets.first()?.1).0));
    let answer = Tcp::new(SYN | ACK, 77, seq.wrapping_add(1));
    pair.same(
        Side::Lan,
        |world| Some(vec![tcp(WEB, seen[world.index()]?, answer)]),
        None,
    );
    let ack = tcp(client, web, Tcp::new(ACK, seq.wrapping_add(1), 78).data(9));
    pair.same(side, |_| Some(vec![ack.clone()]), None);
}

#[test]
fn random_packets_fare_alike() {
    let Some(mut pair) = Pair::new() else {
        return;
    };
    let seed = std::env::var("SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(1);
    let mut dice = Dice(Box::new(seeded(seed)));
    let mut talks = Vec::new();
    for round in 0..3000 {
        act(&mut pair, &mut talks, &mut dice, round);
    }
    let mapped = talks.iter().filter(|talk| talk.global[0].is_some());
    assert!(mapped.count() > 20);
    assert!(
        pair.passed > 800 && pair.dropped > 200,
        "{} and {}",
        pair.passed,
        pair.dropped
    );
}

// --- what differs on purpose ---

/// What came out in this crate's world and in the kernel's: did anything?
fn fates(pair: &mut Pair, side: Side, packet: &[u8]) -> (bool, bool) {
    let of = |pair: &mut Pair, world| !pair.run(world, side, &[packet.to_vec()]).is_empty();
    (of(pair, World::Crate), of(pair, World::Kernel))
}

fn connected(pair: &mut Pair) -> Talk {
    let mut talk = Talk::new(TCP, (ALICE, 1024), (SERVER, 443));
    let segments = [
        (false, Tcp::new(SYN, 1000, 0)),
        (true, Tcp::new(SYN | ACK, 5000, 1001)),
        (false, Tcp::new(ACK, 1001, 5001)),
        (false, Tcp::new(ACK, 1001, 5001).data(1000)),
        (true, Tcp::new(ACK, 5001, 2001)),
    ];
    for (inward, segment) in segments {
        let payload = Payload::Segment(segment);
        if inward {
            let talk = talk.clone();
            pair.same(
                Side::Wan,
                |world| Some(vec![talk.inward(world, &payload)?]),
                None,
            );
        } else {
            let packet = talk.outward(&payload);
            pair.same(Side::Lan, |_| Some(vec![packet.clone()]), Some(&mut talk));
        }
    }
    talk
}

/// A segment from long before the window: the kernel passes it since 6.1, for the receiver to
/// answer; here it is dropped, as whoever guesses a sequence number is more likely to send it.
#[test]
fn old_segments_are_dropped() {
    let Some(mut pair) = Pair::new() else {
        return;
    };
    let talk = connected(&mut pair);
    let old = Tcp::new(ACK, 1001_u32.wrapping_sub(200_000), 5001).data(5);
    let old = talk.outward(&Payload::Segment(old));
    assert_eq!(fates(&mut pair, Side::Lan, &old), (false, true));
}

/// Somewhat more than the receiver has offered: the kernel lets a window more pass; here nothing
/// that the receiver would not take (RFC 9293 section 3.10.7.4).
#[test]
fn the_window_is_kept_to() {
    let Some(mut pair) = Pair::new() else {
        return;
    };
    let talk = connected(&mut pair);
    for (beyond, kernel) in [(100, true), (9000, false)] {
        let more = Tcp::new(ACK, 2001 + 4000 + beyond, 5001).data(5);
        let more = talk.outward(&Payload::Segment(more));
        assert_eq!(fates(&mut pair, Side::Lan, &more), (false, kernel));
    }
}

/// A neighbour by the port that its packets outside come from: RFC 4787 REQ-9 wants it to be
/// reached; the kernel hairpins only what a rule forwards.
#[test]
fn mapped_ports_are_reached_from_inside() {
    let Some(mut pair) = Pair::new() else {
        return;
    };
    let open = udp((BOB, 5000), (SERVER, 53));
    assert_eq!(fates(&mut pair, Side::Lan, &open), (true, true));
    // Filtering is by address and port there and here: the neighbour's own answers come first.
    let hairpin = udp((ALICE, 5000), (PUBLIC, 5000));
    assert_eq!(fates(&mut pair, Side::Lan, &hairpin), (true, false));
}

/// Wrong checksums: the kernel drops them; here they stay wrong and the receiver drops them, as
/// translation only adds what it changes (RFC 1624) and does not read what it need not.
#[test]
fn wrong_checksums_stay_wrong() {
    let Some(mut pair) = Pair::new() else {
        return;
    };
    for at in [10, 26] {
        let mut packet = udp((ALICE, 5000), (SERVER, 53));
        packet[at] ^= 0x55;
        assert_eq!(fates(&mut pair, Side::Lan, &packet), (true, false));
        let sent = pair.run(World::Crate, Side::Lan, &[packet]);
        let whole = etherparse::SlicedPacket::from_ip(&sent[0].1).unwrap();
        let etherparse::NetSlice::Ipv4(ip) = whole.net.unwrap() else {
            panic!("not IPv4")
        };
        let header = ip.header().to_header();
        let right = header.header_checksum == header.calc_header_checksum();
        assert_eq!(right, at != 10);
    }
}

/// Tiny and overlapping fragments, and what belongs to a datagram with one, never reach a host
/// here (RFC 1858, RFC 5722); the kernel reassembles first, and drops overlaps alone.
#[test]
fn hostile_fragments_are_dropped() {
    let Some(mut pair) = Pair::new() else {
        return;
    };
    let packet = tcp((ALICE, 5000), (SERVER, 80), Tcp::new(SYN, 1, 0).data(64));
    let tiny = cut(&packet, 8, 7);
    let ours = pair.run(World::Crate, Side::Lan, &tiny);
    let theirs = pair.run(World::Kernel, Side::Lan, &tiny);
    assert_eq!((ours.len(), theirs.len()), (0, 1));
}

/// A mapping is one for all destinations, and so two hosts never share a global port; the kernel
/// shares one as long as the remote ends differ (RFC 4787 REQ-1, REQ-3).
#[test]
fn ports_are_not_shared() {
    let Some(mut pair) = Pair::new() else {
        return;
    };
    let mut ports = [Vec::new(), Vec::new()];
    for (host, server) in [(ALICE, SERVER), (BOB, STRANGER)] {
        let packet = udp((host, 5000), (server, 53));
        for world in [World::Crate, World::Kernel] {
            let sent = pair.run(world, Side::Lan, std::slice::from_ref(&packet));
            ports[world.index()].push(ends(&sent[0].1).0.1);
        }
    }
    let [ours, theirs] = ports;
    assert_ne!(ours[0], ours[1]);
    assert_eq!(theirs[0], theirs[1]);
}
