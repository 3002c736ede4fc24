//! IPv6, which both filter by flows and neither translates: packets come out as they went in.

use crate::worlds::{Packets, Pair, Side, World};
use crate::{Dice, ICMP, Payload, TCP, Talk, UDP, common::*, payload};
use simnet::seeded;
use std::net::{Ipv4Addr, Ipv6Addr};

const ICMPV6: u8 = 58;
const DESTINATION_OPTIONS: u8 = 60;

/// The IPv6 address of a host of the IPv4 tests.
fn of(v4: Ipv4Addr) -> Ipv6Addr {
    let [a, b, c, d] = v4.octets().map(u16::from);
    let site = if v4.is_private() {
        [0x2001, 0xdb8]
    } else {
        [0x2400, 0x77]
    };
    Ipv6Addr::new(site[0], site[1], 0, 0, 0, 0, a << 8 | b, c << 8 | d)
}

/// A packet around what an IPv4 one carries; its checksum is made right.
fn carrying(v4: &[u8], options: bool) -> Vec<u8> {
    let address = |at: usize| of(Ipv4Addr::new(v4[at], v4[at + 1], v4[at + 2], v4[at + 3]));
    let mut body = v4[20..].to_vec();
    let (next, sum_at) = match v4[9] {
        ICMP => {
            body[0] = if body[0] == 8 { 128 } else { 129 };
            (ICMPV6, 2)
        }
        TCP => (TCP, 16),
        _ => (UDP, 6),
    };
    packet(address(12), address(16), (next, sum_at), body, options)
}

fn packet(
    from: Ipv6Addr,
    to: Ipv6Addr,
    (next, sum_at): (u8, usize),
    mut body: Vec<u8>,
    options: bool,
) -> Vec<u8> {
    body[sum_at..sum_at + 2].fill(0);
    let mut summed = [from.octets(), to.octets()].concat();
    summed.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
    summed.extend([0, 0, 0, next]);
    summed.extend(&body);
    let sum = checksum(&summed);
    body[sum_at..sum_at + 2].copy_from_slice(&sum.to_be_bytes());
    if options {
        // PadN over the whole of it.
        body.splice(0..0, [next, 0, 1, 4, 0, 0, 0, 0]);
    }
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    packet.extend([if options { DESTINATION_OPTIONS } else { next }, 64]);
    packet.extend(from.octets());
    packet.extend(to.octets());
    packet.extend(body);
    packet
}

fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2);
    let sum: u32 = words
        .map(|w| u32::from(w[0]) << 8 | w.get(1).copied().map_or(0, u32::from))
        .sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap()
}

/// Port unreachable, from a router on the way.
fn unreachable(quoted: &[u8]) -> Vec<u8> {
    let router = Ipv6Addr::new(0x2400, 0x77, 9, 9, 0, 0, 0, 1);
    let to = Ipv6Addr::from(*quoted[8..].first_chunk::<16>().unwrap());
    let body = [&[1, 4, 0, 0, 0, 0, 0, 0], quoted].concat();
    packet(router, to, (ICMPV6, 2), body, false)
}

/// What came out of both, whatever the hop limit.
fn both(pair: &mut Pair, side: Side, packet: &[u8]) -> [Packets; 2] {
    [World::Crate, World::Kernel].map(|world| {
        let mut out = pair.run(world, side, &[packet.to_vec()]);
        for (_, packet) in &mut out {
            packet[7] = 0;
        }
        out
    })
}

#[test]
fn random_ipv6_packets_fare_alike() {
    let Some(mut pair) = Pair::new() else {
        return;
    };
    let mut dice = Dice(Box::new(seeded(1)));
    let mut talks: Vec<Talk> = Vec::new();
    let (mut passed, mut dropped) = (0, 0);
    for _ in 0..2500 {
        if talks.is_empty() || (talks.len() < 60 && dice.below(6) == 0) {
            let private = (dice.pick(&[ALICE, BOB]), dice.pick(&[1024, 5000, 40_000]));
            let remote = (dice.pick(&[SERVER, STRANGER]), dice.pick(&[53, 443]));
            let protocol = dice.pick(&[UDP, TCP, ICMP]);
            let known =
                |t: &Talk| (t.protocol, t.private, t.remote.0) == (protocol, private, remote.0);
            if !talks.iter().any(known) {
                talks.push(Talk::new(protocol, private, remote));
            }
        }
        let at = dice.below(u32::try_from(talks.len()).unwrap());
        let talk = &mut talks[usize::try_from(at).unwrap()];
        let options = dice.below(8) == 0;
        let (side, packet) = match dice.below(20) {
            0..=8 => {
                let payload = payload(talk, false, &mut dice);
                (Side::Lan, carrying(&talk.outward(&payload), options))
            }
            9..=14 => {
                let payload = payload(talk, true, &mut dice);
                let inward = talk.between(talk.remote, talk.private, &payload);
                (Side::Wan, carrying(&inward, options))
            }
            15 | 16 => {
                // Somebody whom nobody has asked, by every kind of segment.
                let stranger = (Ipv4Addr::new(203, 0, 113, 200), dice.pick(&[53, 999]));
                let payload = match talk.protocol {
                    TCP => Payload::Segment(Tcp::new(dice.pick(&[SYN, ACK, RST, FIN | ACK]), 1, 1)),
                    ICMP => dice.pick(&[Payload::None, Payload::Answer]),
                    _ => Payload::Bytes(vec![1, 2, 3]),
                };
                let inward = talk.between(stranger, talk.private, &payload);
                (Side::Wan, carrying(&inward, options))
            }
            _ if talk.protocol == UDP => {
                let outward = talk.outward(&Payload::Bytes(vec![7; 12]));
                (Side::Wan, unreachable(&carrying(&outward, false)))
            }
            _ => continue,
        };
        // Whose errors tell of the router's own address.
        if packet.len() > 1500 {
            continue;
        }
        let [ours, theirs] = both(&mut pair, side, &packet);
        assert_eq!(ours, theirs, "from {side:?}: {packet:02x?}");
        *(if ours.is_empty() {
            &mut dropped
        } else {
            &mut passed
        }) += 1;
    }
    assert!(passed > 800 && dropped > 200, "{passed} and {dropped}");
}
