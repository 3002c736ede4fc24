//! Real captures, read in place: parsed and written as the same bytes, refused where they must be,
//! and heard out by links of both roles.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod common;

use common::*;
use ppp::wire::{
    ChapValue, FrameHeader, MsChapFailure, MsChapV2Response, Options, Packet, PapRequest,
};
use ppp::{AuthMethod, Config, mschapv2};
use std::path::PathBuf;

fn corpus() -> Option<PathBuf> {
    simnet::corpus(env!("CARGO_MANIFEST_DIR"), ".")
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at + 2)?;
    Some(u16::from_be_bytes(bytes.try_into().unwrap()))
}

/// What a frame of Ethernet carries of PPP: PPPoE, PPTP's GRE or L2TP in IPv4, or a packet of
/// Windows' NDISWAN, which puts the protocol's number where the type is.
fn over_ethernet(frame: &[u8]) -> Option<&[u8]> {
    const GRE: u8 = 47;
    const UDP: u8 = 17;
    let mut at = 12;
    while word(frame, at)? == 0x8100 {
        at += 4;
    }
    match word(frame, at)? {
        // Session data; the length counts the protocol field.
        0x8864 => {
            let session = frame.get(at + 2..)?;
            session.get(6..)?.get(..usize::from(word(session, 4)?))
        }
        0x0800 => {
            let ip = frame.get(at + 2..)?;
            let header = usize::from(ip.first()? & 0x0f) * 4;
            let inner = ip.get(header..usize::from(word(ip, 2)?))?;
            match *ip.get(9)? {
                GRE if word(inner, 2)? == 0x880b => {
                    let flags = word(inner, 0)?;
                    let size = 8 + [0x1000, 0x0080]
                        .map(|bit| if flags & bit != 0 { 4 } else { 0 })
                        .iter()
                        .sum::<usize>();
                    inner.get(size..)?.get(..usize::from(word(inner, 4)?))
                }
                UDP if word(inner, 0)? == 1701 || word(inner, 2)? == 1701 => {
                    over_l2tp(inner.get(8..)?)
                }
                _ => None,
            }
        }
        LCP | PAP | CHAP | IPCP | IPV6CP | CCP => frame.get(at..),
        _ => None,
    }
    .filter(|frame| !frame.is_empty())
}

/// The frame of a data message.
fn over_l2tp(message: &[u8]) -> Option<&[u8]> {
    let flags = word(message, 0)?;
    let mut at = if flags & 0x4000 != 0 { 8 } else { 6 };
    at += if flags & 0x0800 != 0 { 4 } else { 0 };
    if flags & 0x0200 != 0 {
        at += 2 + usize::from(word(message, at)?);
    }
    message.get(at..).filter(|_| flags & 0x8000 == 0)
}

/// The PPP frames of a capture.
fn ppp(name: &str, file: &[u8]) -> Vec<Vec<u8>> {
    const ETHERNET: u16 = 1;
    const PPP: u16 = 9;
    const PPP_SERIAL: u16 = 50;
    const PPP_WITH_DIRECTION: u16 = 204;
    let frames = simnet::frames(file).into_iter();
    let frames = frames.filter_map(|frame| match frame.link_type {
        ETHERNET => over_ethernet(frame.bytes),
        PPP | PPP_SERIAL => Some(frame.bytes),
        // What a modem is told has neither address field nor check sequence.
        PPP_WITH_DIRECTION => frame.bytes.get(1..).filter(|b| !b.starts_with(b"AT")),
        other => panic!("{name}: link type {other}"),
    });
    frames.map(<[u8]>::to_vec).collect()
}

/// Reads a frame and writes it again, layer by layer. Gives its protocol.
#[track_caller]
fn again(frame: &[u8], what: &str) -> u16 {
    let (header, information) = FrameHeader::parse(frame, 0..frame.len()).unwrap();
    let mut copy = vec![0; frame.len()];
    copy[information.clone()].copy_from_slice(&frame[information.clone()]);
    let whole = header.prepend(&mut copy, information.clone()).unwrap();
    assert_eq!(copy[whole], *frame, "{what}");
    let (protocol, data) = (header.protocol.0, &frame[information]);
    if !matches!(protocol, LCP | PAP | CHAP | EAP | IPCP | IPV6CP | CCP) {
        return protocol;
    }
    let packet = Packet::parse(data).unwrap_or_else(|e| panic!("{what}: {e}"));
    let written = packet.emit();
    // Behind it there is padding, or a check sequence that the capture has kept.
    assert_eq!(written, data[..written.len()], "{what}");
    assert!(data.len() - written.len() <= 46, "{what}");
    let part = match (protocol, packet.code.0) {
        (LCP | IPCP | IPV6CP | CCP, REQUEST..=REJECT) => {
            let mut list = Vec::new();
            for option in Options::new(packet.data) {
                option
                    .unwrap_or_else(|e| panic!("{what}: {e}"))
                    .emit(&mut list);
            }
            list
        }
        (CHAP, 1 | 2) => ChapValue::parse(packet.data).unwrap().emit(),
        (PAP, 1) => PapRequest::parse(packet.data).unwrap().emit(),
        _ => return protocol,
    };
    assert_eq!(part, packet.data, "{what}");
    protocol
}

/// Captures with the number of their PPP frames.
const CAPTURES: [(&str, usize); 31] = [
    ("ppp/cisco-chap-refuse.pcapng", 18),
    ("ppp/cisco-chap-success.pcapng", 21),
    ("ppp/cisco-noauth.pcapng", 18),
    ("ppp/cisco-pap-failure.pcapng", 8),
    ("ppp/cisco-pap-success.pcapng", 24),
    ("ppp/cisco-pfc-confrej.pcapng", 13),
    ("ppp/cisco-pppoe-basic.pcapng", 18),
    ("ppp/huawei-ipcp-nak.pcapng", 30),
    ("ppp/huawei-ipv6cp.pcapng", 36),
    ("ppp/huawei-multilink.pcapng", 57),
    ("ppp/huawei-ppp-chap.pcap", 40),
    ("ppp/huawei-ppp-chap-three.pcap", 3),
    ("ppp/huawei-ppp-noauth.pcap", 35),
    ("ppp/huawei-ppp-no-credentials.pcap", 20),
    ("ppp/huawei-ppp-pap.pcap", 43),
    ("ppp/huawei-ppp-pap-wrong.pcap", 62),
    ("ppp/packetlife-ppp-chap.pcap", 63),
    ("ppp/packetlife-ppp-eap.pcap", 52),
    ("ppp/packetlife-ppp.pcap", 50),
    ("ppp/packetlife-ppp-vjc.pcap", 43),
    ("ppp/packetlife-pptp-pap.pcap", 15),
    // And one line to the modem.
    ("ppp/ppp-lcp-ipcp.pcap", 22),
    ("ppp/pptp-mschapv2-lulu.pcap", 56),
    ("ppp/telecomitalia-pppoe.pcap", 24),
    ("ppp/windows-mschap-failures.pcap", 20),
    ("ppp/windows-ppp-config.pcap", 14),
    ("l2tp/huawei-lac-lns-chap.pcap", 36),
    ("l2tp/neufbox-startup.pcap", 266),
    ("l2tp/packetnet-single.pcap", 1),
    ("mixed/cisco-bng-pppoe-radius.pcapng", 64),
    ("pcap/pppoes.pcap", 2),
];

fn captures() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let Some(corpus) = corpus() else {
        return Vec::new();
    };
    let read = |name| ppp(name, &std::fs::read(corpus.join(name)).unwrap());
    CAPTURES.map(|(name, _)| (name, read(name))).to_vec()
}

#[test]
fn captures_are_read_and_written_as_the_same_bytes() {
    for ((name, frames), (_, count)) in captures().into_iter().zip(CAPTURES) {
        assert_eq!(frames.len(), count, "{name}");
        for (number, frame) in frames.iter().enumerate() {
            again(frame, &format!("{name} {number}"));
        }
    }
}

/// Whatever a capture says, in whatever state: each Configure-Request that is taken gets one
/// answer with its identifier, no answer is longer than 64 bytes more than what it answers, and the
/// link can be ended.
#[test]
fn captures_are_heard_out_by_both_roles() {
    for (name, frames) in captures() {
        for bench in [Bench::server, Bench::client] {
            let mut b = bench(client_config());
            for frame in &frames {
                b.heard.clear();
                let taken = b.feed(frame).is_ok();
                let (header, information) = FrameHeader::parse(frame, 0..frame.len()).unwrap();
                if let Ok(packet) = Packet::parse(&frame[information])
                    && (header.protocol.0, packet.code.0, taken) == (LCP, REQUEST, true)
                {
                    let mut answers = b
                        .heard
                        .iter()
                        .filter(|h| h.protocol == LCP && matches!(h.code, ACK | NAK | REJECT));
                    assert!(answers.all(|h| h.id == packet.id), "{name}");
                }
                assert!(b.heard.len() <= 4, "{name}: {:?}", b.heard);
                assert!(
                    b.heard.iter().all(|h| h.data.len() <= frame.len() + 64),
                    "{name}"
                );
            }
            b.link.lower_down(b.now);
            b.drain();
            assert!(b.closed().is_some(), "{name}");
            assert_eq!(b.link.poll_timeout(), None, "{name}");
        }
    }
}

fn frames_of(name: &str) -> Option<Vec<Vec<u8>>> {
    Some(ppp(name, &std::fs::read(corpus()?.join(name)).unwrap()))
}

/// The first control packet of a protocol and code.
fn first(
    frames: &[Vec<u8>],
    protocol: u16,
    code: u8,
    wanted: impl Fn(&[u8]) -> bool,
) -> (u8, Vec<u8>) {
    let mut packets = frames.iter().filter_map(|frame| {
        let (header, information) = FrameHeader::parse(frame, 0..frame.len()).ok()?;
        let packet = Packet::parse(&frame[information]).ok()?;
        let here = (header.protocol.0, packet.code.0) == (protocol, code) && wanted(packet.data);
        here.then(|| (packet.id, packet.data.to_vec()))
    });
    packets.next().unwrap()
}

#[test]
fn multilink_of_a_router_is_rejected_in_one_go() {
    let Some(frames) = frames_of("ppp/huawei-multilink.pcapng") else {
        return;
    };
    let multilink = |data: &[u8]| Options::new(data).flatten().any(|o| o.kind == 17);
    let (id, asked) = first(&frames, LCP, REQUEST, multilink);
    let mut b = Bench::server(Config::default());
    b.say(LCP, REQUEST, id, &asked).unwrap();
    let rejected = b.expect(LCP, REJECT);
    let kinds: Vec<u8> = Options::new(&rejected.data)
        .map(|o| o.unwrap().kind)
        .collect();
    assert_eq!((rejected.id, kinds), (id, vec![17, 19]));
}

#[test]
fn a_router_that_asks_for_eap_gets_what_we_have() {
    let Some(frames) = frames_of("ppp/packetlife-ppp-eap.pcap") else {
        return;
    };
    let (id, asked) = first(&frames, LCP, REQUEST, |_| true);
    let mut config = client_config();
    config.auth = vec![AuthMethod::ChapMd5];
    let mut b = Bench::client(config);
    b.say(LCP, REQUEST, id, &asked).unwrap();
    assert_eq!(b.expect(LCP, NAK).data, options(&[(3, CHAP_MD5)]));
}

#[test]
fn compressed_tcp_that_was_never_agreed_on_is_rejected_as_a_protocol() {
    let Some(frames) = frames_of("ppp/packetlife-ppp-vjc.pcap") else {
        return;
    };
    let mut b = Bench::server_up(Config::default());
    b.heard.clear();
    let mut rejected = Vec::new();
    for frame in &frames {
        let _ = b.feed(frame);
        for heard in b.heard.drain(..) {
            match heard.code {
                PROTOCOL_REJECT => rejected.push(word(&heard.data, 0).unwrap()),
                other => assert_eq!(other, ECHO_REPLY),
            }
        }
    }
    for compressed in [0x002d, 0x002f] {
        assert!(rejected.contains(&compressed), "{rejected:x?}");
    }
    assert_eq!(b.closed(), None);
}

/// `E=691 R=1 C=... V=3`, and `E=691 R=0 ` with its blank.
#[test]
fn failures_as_windows_words_them() {
    let Some(frames) = frames_of("ppp/windows-mschap-failures.pcap") else {
        return;
    };
    let mut said = Vec::new();
    for frame in &frames {
        let (header, information) = FrameHeader::parse(frame, 0..frame.len()).unwrap();
        let packet = Packet::parse(&frame[information]).unwrap();
        if (header.protocol.0, packet.code.0) == (CHAP, 4) {
            let failure = MsChapFailure::parse(packet.data).unwrap();
            assert_eq!(MsChapFailure::parse(&failure.emit()), Some(failure));
            said.push((failure.code, failure.retry, failure.challenge.is_some()));
        }
    }
    let again = said.iter().filter(|s| **s == (691, true, true)).count();
    let over = said.iter().filter(|s| **s == (691, false, false)).count();
    assert_eq!((again, over, said.len()), (10, 2, 12));
}

/// User lulu, password "password": both responses verify.
#[test]
fn a_captured_mschapv2_verifies() {
    let Some(frames) = frames_of("ppp/pptp-mschapv2-lulu.pcap") else {
        return;
    };
    let asked = first(&frames, CHAP, 1, |_| true).1;
    let response = first(&frames, CHAP, 2, |_| true).1;
    let success = first(&frames, CHAP, 3, |_| true).1;
    let challenge = ChapValue::parse(&asked).unwrap().value.try_into().unwrap();
    let response = ChapValue::parse(&response).unwrap();
    let value = MsChapV2Response::parse(response.value).unwrap();
    assert_eq!(value.emit(), response.value);
    let hash = mschapv2::nt_password_hash("password");
    let proof = mschapv2::authenticator_response(
        &hash,
        &value.nt_response,
        &value.peer_challenge,
        &challenge,
        b"lulu",
    );
    let expected = mschapv2::nt_response(&challenge, &value.peer_challenge, b"lulu", &hash);
    assert_eq!((response.name, value.nt_response), (&b"lulu"[..], expected));
    assert!(success.starts_with(proof.as_bytes()));
    assert_eq!(proof, "S=460874E1CADF35FBD9F6E80C01A1ADC5746F0B6A");
}

/// What a fuzzer found to break others: refused, unanswered but for a Protocol-Reject.
#[test]
fn malformed_frames_are_refused() {
    let Some(corpus) = corpus() else { return };
    for name in [
        "ppp/malformed-tcpdump-truncated-aack.pcap",
        "pcap/ppp_error_hexdump.pcap",
        "pcap/ppp-invalid-lengths.pcap",
        "pcap/mlppp-oobr.pcap",
        "pcap/ppp_ccp_config_deflate_option_asan.pcap",
        "pcap/heapoverflow-ppp_hdlc_if_print.pcap",
    ] {
        let file = std::fs::read(corpus.join(name)).unwrap();
        let frames = simnet::frames(&file);
        assert_eq!(frames.len(), 1, "{name}");
        for frame in frames {
            // Whatever the link layer is, from each byte on.
            for start in 0..frame.bytes.len().min(60) {
                let mut config = client_config();
                config.auth = vec![AuthMethod::Pap];
                let mut b = Bench::client(config);
                b.heard.clear();
                let got = b.feed(&frame.bytes[start..]);
                if start == 0 {
                    assert!(got.is_err(), "{name}: {got:?}");
                    assert!(b.heard.is_empty(), "{name}: {:?}", b.heard);
                }
            }
        }
    }
}
