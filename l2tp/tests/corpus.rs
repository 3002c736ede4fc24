//! Real captures, read in place: parsed and written as the same bytes, refused where they must be.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod common;

use common::{PATH, endpoint, start};
use l2tp::wire::{Avps, Header, Message, MessageType};
use l2tp::{Config, Error};
use std::path::{Path, PathBuf};

fn corpus() -> Option<PathBuf> {
    simnet::corpus(env!("CARGO_MANIFEST_DIR"), "l2tp")
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at + 2)?;
    Some(u16::from_be_bytes(bytes.try_into().unwrap()))
}

const UDP: u8 = 17;
/// L2TPv3 without UDP.
const L2TP: u8 = 115;

/// What UDP port 1701 carries in an Ethernet frame with IPv4, if it is not a fragment; or a
/// control message of L2TPv3 over IP.
fn l2tp(frame: &[u8]) -> Option<&[u8]> {
    let mut at = 12;
    while word(frame, at)? == 0x8100 {
        at += 4;
    }
    let ip = match word(frame, at)? {
        0x0800 => frame.get(at + 2..)?,
        // PPPoE with IPv4 in PPP.
        0x8864 if word(frame, at + 8)? == 0x0021 => frame.get(at + 10..)?,
        _ => return None,
    };
    let header = usize::from(ip.first()? & 0x0f) * 4;
    let protocol = *ip.get(9)?;
    if protocol == L2TP && ip.get(header..header + 4)? == [0; 4] {
        return ip.get(header + 4..usize::from(word(ip, 2)?));
    }
    if protocol != UDP || word(ip, 6)? & 0x3fff != 0 {
        return None;
    }
    let udp = ip.get(header..usize::from(word(ip, 2)?))?;
    if word(udp, 0)? != 1701 && word(udp, 2)? != 1701 {
        return None;
    }
    udp.get(8..usize::from(word(udp, 4)?))
}

fn messages(path: &Path) -> Vec<Vec<u8>> {
    let file = std::fs::read(path).unwrap();
    let frames = simnet::frames(&file).into_iter();
    let messages = frames.filter_map(|frame| l2tp(frame.bytes));
    messages.map(<[u8]>::to_vec).collect()
}

/// Reads a message and writes it again.
fn again(bytes: &[u8]) -> Vec<u8> {
    let header = Header::parse(bytes, 0..bytes.len()).unwrap();
    let payload = &bytes[header.payload.clone()];
    if header.control {
        let mut body = Vec::new();
        for avp in Avps::new(payload) {
            avp.unwrap().emit(&mut body);
        }
        if !body.is_empty() {
            let message = Message::parse(&body, None).unwrap();
            assert_eq!(message.fault, None, "{message:?}");
            assert!(MessageType::ALL.contains(&message.kind));
        }
        let (ns, nr) = header.sequence.unwrap();
        return Header::emit_control(header.tunnel, header.session, ns, nr, &body).unwrap();
    }
    let mut buf = vec![0; header.data().size()];
    buf.extend(payload);
    let frame = header.data().size()..buf.len();
    let message = header.data().prepend(&mut buf, frame).unwrap();
    buf[message].to_vec()
}

#[test]
fn captures_are_read_and_written_as_the_same_bytes() {
    let Some(corpus) = corpus() else { return };
    for (name, messages_in, control_in) in [
        ("huawei-lac-lns-chap.pcap", 43, None),
        ("h3c-data.pcap", 8, Some(0)),
        ("h3c-inode-client-data.pcapng", 6, Some(0)),
        ("neufbox-startup.pcap", 86, Some(12)),
        ("neufbox-telephone.pcap", 6, Some(0)),
        ("packetnet-single.pcap", 1, Some(0)),
    ] {
        let messages = messages(&corpus.join(name));
        assert_eq!(messages.len(), messages_in, "{name}");
        let mut control = 0;
        for message in &messages {
            control += usize::from(message[0] & 0x80 != 0);
            assert_eq!(again(message), *message, "{name}");
        }
        assert!(control_in.is_none_or(|n| n == control), "{name}: {control}");
    }
}

#[test]
fn other_versions_and_broken_messages_are_refused() {
    let Some(corpus) = corpus() else { return };
    let mut refused = 0;
    for name in [
        "v3-cisco-auth-4byte.pcapng",
        "v3-cisco-basic.pcapng",
        "v3-cisco-fail-auth.pcapng",
        "v3-cisco-udp.pcapng",
    ] {
        for mut message in messages(&corpus.join(name)) {
            let mut lns = endpoint(Config::default(), 1);
            let length = message.len();
            let result = lns.handle_datagram(start(), PATH, &mut message, 0..length);
            assert_eq!(result, Err(Error::BadVersion(message[1] & 15)), "{name}");
            assert!(lns.poll_transmit().is_none() && lns.tunnels().count() == 0);
            refused += 1;
        }
    }
    assert!(refused > 20, "{refused}");
    // Captured messages cut short: refused, and nothing kept.
    for message in messages(&corpus.join("neufbox-startup.pcap")) {
        if message[0] & 0x80 != 0 {
            for end in 0..message.len() {
                let mut lns = endpoint(Config::default(), 1);
                let mut cut = message[..end].to_vec();
                assert!(
                    lns.handle_datagram(start(), PATH, &mut cut, 0..end)
                        .is_err()
                );
                assert_eq!(lns.tunnels().count(), 0);
            }
        }
    }
}

#[test]
fn a_captured_lac_gets_its_tunnel() {
    let Some(corpus) = corpus() else { return };
    for name in ["huawei-lac-lns-chap.pcap", "neufbox-startup.pcap"] {
        let sccrq = messages(&corpus.join(name)).into_iter().find(|m| {
            let header = Header::parse(m, 0..m.len()).unwrap();
            header.control && header.tunnel == 0
        });
        let mut sccrq = sccrq.unwrap();
        let body = Header::parse(&sccrq, 0..sccrq.len()).unwrap().payload;
        let challenged = Message::parse(&sccrq[body], None)
            .unwrap()
            .bytes(l2tp::wire::AvpType::CHALLENGE)
            .is_some();
        let config = if challenged {
            common::with_secret("not known", false)
        } else {
            Config::default()
        };
        let mut lns = endpoint(config, 1);
        let length = sccrq.len();
        lns.handle_datagram(start(), PATH, &mut sccrq, 0..length)
            .unwrap();
        let reply = common::Said::new(lns.poll_transmit().unwrap().payload, None);
        assert_eq!(reply.kind(), Some(MessageType::SCCRP), "{name}");
    }
}
