//! Makes seeds for the fuzz targets: `fuzz_seeds OUT FILE-OR-FOLDER...` reads captures, raw
//! datagrams (`.bin`) and routers' scripts (`.cfg`), and writes `OUT/TARGET/HASH`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a tool that stops where it cannot go on"
)]

use etherparse::{LaxSlicedPacket, TransportSlice};
use simnet::{Frame, frames};
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

const ETHERNET: u16 = 1;
const PPP_LINKS: [u16; 2] = [9, 50];
const PPP_WITH_DIRECTION: u16 = 204;
const RAW_IP: [u16; 3] = [12, 101, 228];
const NULL: u16 = 0;

/// Longer ones slow a fuzzer down more than they teach it.
const LONGEST: usize = 4096;

#[derive(Default)]
struct Seeds(BTreeMap<&'static str, BTreeSet<Vec<u8>>>);

impl Seeds {
    fn add(&mut self, target: &'static str, seed: &[u8]) {
        if seed.len() <= LONGEST {
            self.0.entry(target).or_default().insert(seed.to_vec());
        }
    }
}

fn main() {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let out = arguments.next().unwrap();
    let mut seeds = Seeds::default();
    for path in arguments {
        walk(&path, &mut seeds);
    }
    sequences(&mut seeds);
    for (target, of_target) in &seeds.0 {
        let folder = out.join(target);
        std::fs::create_dir_all(&folder).unwrap();
        for seed in of_target {
            let mut hasher = DefaultHasher::new();
            seed.hash(&mut hasher);
            let name = format!("{:016x}", hasher.finish());
            std::fs::write(folder.join(name), seed).unwrap();
        }
        println!("{target:<22} {:>5} seeds", of_target.len());
    }
}

fn walk(path: &Path, seeds: &mut Seeds) {
    if path.is_dir() {
        let entries = std::fs::read_dir(path).unwrap();
        let mut entries: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        entries.iter().for_each(|entry| walk(entry, seeds));
        return;
    }
    let bytes = std::fs::read(path).unwrap();
    match path.extension().and_then(|e| e.to_str()) {
        Some("bin") => datagram(500, &bytes, seeds),
        Some("cfg") => seeds.add("alliedware", &bytes),
        Some("hex") => {
            let text = String::from_utf8(bytes).unwrap();
            let lines = text.lines().filter(|line| !line.starts_with('#'));
            let digits: String = lines.collect();
            datagram(500, &simnet::corpus::unhex(&digits), seeds);
        }
        _ => capture(&bytes, seeds),
    }
}

fn capture(bytes: &[u8], seeds: &mut Seeds) {
    let (mut packets, mut ppp) = (Vec::new(), Vec::new());
    for Frame { link_type, bytes } in frames(bytes) {
        match link_type {
            ETHERNET => match bytes.get(12..14) {
                Some([0x88, 0x64]) => ppp.extend(bytes.get(20..)),
                _ => packets.extend(LaxSlicedPacket::from_ethernet(bytes)),
            },
            NULL => packets.extend(LaxSlicedPacket::from_ip(bytes.get(4..).unwrap_or_default())),
            link if RAW_IP.contains(&link) => packets.extend(LaxSlicedPacket::from_ip(bytes)),
            link if PPP_LINKS.contains(&link) => ppp.push(bytes),
            PPP_WITH_DIRECTION => ppp.extend(bytes.get(1..)),
            _ => {}
        }
    }
    for packet in packets {
        let ip = packet.net.as_ref().and_then(|net| net.ip_payload_ref());
        let Some(ip) = ip else { continue };
        if let Some(etherparse::LaxNetSlice::Ipv4(v4)) = &packet.net {
            let whole = [v4.header().slice(), ip.payload].concat();
            let step = [&[1, 0][..], &variant(0, 2), &list(&whole)].concat();
            seeds.add("firewall_packets", &list_of(&[step]));
        }
        match (ip.ip_number.0, &packet.transport) {
            (50, _) => esp(ip.payload, seeds),
            (47, _) => ppp.extend(ip.payload.get(12..)),
            (_, Some(TransportSlice::Udp(udp))) => {
                let ports = [udp.source_port(), udp.destination_port()];
                for port in ports {
                    datagram(port, udp.payload(), seeds);
                }
                if ports.contains(&1701) {
                    ppp.extend(over_l2tp(udp.payload()));
                }
            }
            _ => {}
        }
    }
    for frame in ppp {
        seeds.add("ppp_frame", frame);
        let information = frame.strip_prefix(&[0xff, 3]).unwrap_or(frame);
        // A packet alone, as the target looks at it too.
        seeds.add("ppp_frame", information.get(2..).unwrap_or_default());
        seeds.add(
            "ppp_hdlc",
            &[&list(frame)[..], &[0, 0, 0, 0, 64, 0]].concat(),
        );
        let step = [&variant(4, 10)[..], &list(frame)].concat();
        seeds.add("ppp_link", &list_of(&[step]));
    }
}

/// The frame of a data message with no more than a length.
fn over_l2tp(message: &[u8]) -> Option<&[u8]> {
    match message {
        [0, 2, ..] => message.get(6..),
        [0x40, 2, ..] => message.get(8..),
        _ => None,
    }
}

fn esp(packet: &[u8], seeds: &mut Seeds) {
    // The target has an SPI of its own.
    seeds.add("esp_open", packet.get(4..).unwrap_or_default());
}

fn datagram(port: u16, bytes: &[u8], seeds: &mut Seeds) {
    match port {
        500 => isakmp(bytes, seeds),
        4500 => {
            seeds.add("natt_classify", bytes);
            match bytes.strip_prefix(&[0; 4]) {
                Some(message) => isakmp(message, seeds),
                None => esp(bytes, seeds),
            }
        }
        1701 => {
            seeds.add("l2tp_message", bytes);
            if bytes.first().is_some_and(|b| b & 0x80 != 0) {
                seeds.add("l2tp_avps", bytes.get(12..).unwrap_or_default());
                let inject = [&[0][..], &variant(16, 18), &list(bytes)].concat();
                let step = list_of(&[inject]);
                seeds.add("l2tp_endpoint", &[&[0, 0, 0, 0, 8][..], &step].concat());
            }
        }
        1645 | 1646 | 1812 | 1813 | 3799 => {
            seeds.add("radius", &[&list(bytes)[..], &[0]].concat());
        }
        _ => {}
    }
}

fn isakmp(message: &[u8], seeds: &mut Seeds) {
    seeds.add("natt_classify", message);
    seeds.add("isakmp_message", message);
    seeds.add("isakmp_chain", message);
    let inject = [&variant(0, 4)[..], &[0], &list(message)].concat();
    seeds.add("isakmp_responder", &list_of(&[inject]));
    // Version 1, not encrypted.
    let (Some([kind, 0x10, _, 0]), Some(mut rest)) = (message.get(16..20), message.get(28..))
    else {
        return;
    };
    let mut kind = *kind;
    seeds.add("isakmp_nat_payloads", &[&[kind][..], rest].concat());
    while let Some([next, _, high, low]) = rest.get(..4) {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let Some(body) = rest.get(4..length) else {
            return;
        };
        let target = match kind {
            1 => "isakmp_sa",
            5 => "isakmp_identity",
            11 => "isakmp_notify",
            12 => "isakmp_delete",
            13 => "isakmp_vendor_ids",
            132 => "isakmp_fragments",
            _ => "",
        };
        if !target.is_empty() {
            seeds.add(target, body);
        }
        kind = *next;
        rest = rest.get(length..).unwrap_or_default();
    }
}

/// Steps that bring a state machine where chance does not.
fn sequences(seeds: &mut Seeds) {
    let [to_server, to_client] = [0, 1].map(|step| variant(step, 10).to_vec());
    let link: Vec<_> = (0..40)
        .map(|n| [&to_server, &to_client][n % 2].clone())
        .collect();
    seeds.add("ppp_link", &list_of(&link));

    let of_l2tp = |second: u8, step| [&[second][..], &variant(step, 18)].concat();
    let (connect, open, outgoing, accept, answered, all) = (0, 1, 2, 3, 4, 12);
    for call in [open, outgoing] {
        for flags in 0..16 {
            let mut steps = vec![of_l2tp(0, connect)];
            let exchange = [of_l2tp(0, all), of_l2tp(1, all)];
            let repeat = |steps: &mut Vec<_>| (0..3).for_each(|_| steps.extend(exchange.clone()));
            repeat(&mut steps);
            steps.push(of_l2tp(0, call));
            repeat(&mut steps);
            steps.extend([of_l2tp(1, accept), of_l2tp(1, answered)]);
            repeat(&mut steps);
            for second in [0, 1] {
                // Data, and a second of waiting.
                steps.push([&of_l2tp(second, 7)[..], &[second]].concat());
                steps.push([&of_l2tp(second, 17)[..], &[10, 0]].concat());
            }
            let case = [1, 2, 4, 8].map(|bit| u8::from(flags & bit != 0));
            seeds.add(
                "l2tp_endpoint",
                &[&case[..], &[4], &list_of(&steps)].concat(),
            );
        }
    }

    // Quick modes with AES and SHA-1, with and without a group, and their end.
    for (id, encapsulation) in [(1, 2), (2, 4)] {
        let attributes: [(u8, u16); 5] = [(1, 1), (2, 3600), (4, encapsulation), (5, 2), (6, 256)];
        let attributes = attributes.map(|(kind, value)| {
            let [low, high] = value.to_le_bytes();
            vec![kind, low, high]
        });
        let quick = [
            &variant(1, 4)[..],
            &[id],
            &[1, 2, 3, 4, 12],
            &list_of(&attributes),
            &[0],
        ]
        .concat();
        let delete = [&variant(2, 4)[..], &[9, 3], &list(&[4, 3, 2, 1]), &[1, 0]].concat();
        let wait = [&variant(3, 4)[..], &[60, 0]].concat();
        seeds.add("isakmp_connected", &list_of(&[quick, delete, wait]));
    }

    let [seal, deliver] = [variant(0, 5).to_vec(), [&variant(1, 5)[..], &[0]].concat()];
    let steps: Vec<_> = (0..20)
        .map(|n| [&[n % 2][..], [&seal, &deliver][usize::from(n / 2 % 2)]].concat())
        .collect();
    for esn in [0, 1] {
        seeds.add("esp_window", &[&[0, esn, 0][..], &list_of(&steps)].concat());
    }
}

// What the `arbitrary` crate reads: before each element of a list a byte that says there is one,
// and a variant's number as that part of 2^32.

fn list_of(elements: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes: Vec<u8> = elements
        .iter()
        .flat_map(|e| std::iter::once(1).chain(e.iter().copied()))
        .collect();
    bytes.push(0);
    bytes
}

fn list(bytes: &[u8]) -> Vec<u8> {
    let elements: Vec<_> = bytes.iter().map(|byte| vec![*byte]).collect();
    list_of(&elements)
}

fn variant(index: u64, of: u64) -> [u8; 4] {
    u32::try_from((index << 32).div_ceil(of))
        .unwrap()
        .to_le_bytes()
}
