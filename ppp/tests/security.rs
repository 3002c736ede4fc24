//! Published vulnerabilities of PPP implementations: what would set each off does nothing here.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod common;

use common::*;
use ppp::wire::{ChapValue, MsChapFailure, Options, Packet, PapRequest};
use ppp::{AuthMethod, Config, Error, Event, Received};
use std::time::Duration;

const PROTOCOLS: [u16; 9] = [LCP, IPCP, IPV6CP, CCP, CHAP, PAP, EAP, 0xc029, ACSP];

fn chap_server() -> Config {
    let mut config = Config::default();
    config.auth = vec![AuthMethod::ChapMd5];
    config
}

/// CVE-2004-1002: pppd took a length below the header's for a huge one.
#[test]
fn cve_2004_1002_control_length_that_lies() {
    for bench in [Bench::server, Bench::client] {
        let mut b = bench(client_config());
        b.heard.clear();
        for protocol in PROTOCOLS {
            for code in 0..=16 {
                for length in [0_u16, 1, 2, 3, 9, 0xffff] {
                    let mut frame = protocol.to_be_bytes().to_vec();
                    frame.extend([code, 1]);
                    frame.extend(length.to_be_bytes());
                    frame.extend([1, 2, 3, 4]);
                    assert!(b.feed(&frame).is_err(), "{protocol:04x} {code} {length}");
                }
            }
        }
        b.expect_silence();
    }
    // The same where every protocol is open.
    let mut config = Config::default();
    config.ipv6 = true;
    let mut b = Bench::server_up(config);
    b.heard.clear();
    for protocol in [LCP, IPCP, IPV6CP, CHAP] {
        for length in [0_u8, 1, 2, 3, 200] {
            let [high, low] = protocol.to_be_bytes();
            assert!(b.feed(&[high, low, 1, 1, 0, length, 1, 2]).is_err());
        }
    }
    b.expect_silence();
    assert_eq!(b.closed(), None);
}

/// CVE-2020-8597: a name longer than its buffer. The EAP message itself is not understood at all.
#[test]
fn cve_2020_8597_names_of_any_length() {
    let mut b = Bench::asking_server(chap_server());
    let asked = b.expect(CHAP, 1);
    for length in [256, 1000, 1400] {
        let value = &[0; 16];
        let name = &vec![b'a'; length];
        let data = ChapValue { value, name }.emit();
        let got = b.say(CHAP, 2, asked.id, &data);
        assert_eq!(got, Err(Error::BadLength("CHAP name")));
    }
    // A value longer than the packet.
    for size in [17, 100, 255] {
        let mut data = vec![size];
        data.extend([0; 16]);
        let got = b.say(CHAP, 2, asked.id, &data);
        assert_eq!(got, Err(Error::BadLength("CHAP value")));
    }
    // EAP-MD5 with a value size beyond the packet: rejected as a protocol.
    assert!(b.say(EAP, 1, 1, &[4, 255, 1, 2]).is_err());
    assert_eq!(b.expect(LCP, PROTOCOL_REJECT).data[..2], EAP.to_be_bytes());
    assert!(ChapValue::parse(&vec![0xff; 65_531]).is_ok());
}

/// CVE-2013-5018: odd user names reached code that expected more of them.
#[test]
fn cve_2013_5018_odd_user_names() {
    let names: [&[u8]; 6] = [b"", b"a", b"0", b"\0", &[0xff; 255], b"\\"];
    for name in names {
        let mut b = Bench::asking_server(pap_server());
        b.password = None;
        b.say(PAP, 1, 1, &pap_request(name, b"")).unwrap();
        let Some(Event::Authenticate(request)) = b.events.pop() else {
            panic!("no request");
        };
        assert_eq!(request.user(), name);
        assert!(request.verify(PASSWORD).is_none());
        for config in [Config::default(), chap_server()] {
            let mut b = Bench::asking_server(config);
            let asked = b.expect(CHAP, 1);
            let data = ChapValue {
                value: &[7; 49],
                name,
            }
            .emit();
            b.say(CHAP, 2, asked.id, &data).unwrap();
            b.expect(CHAP, 4);
        }
    }
}

/// pppd's answer of EAP-PEAP outgrew its buffer. No answer of ours outgrows what it answers.
#[test]
fn cve_2026_75883_answers_never_outgrow_requests() {
    for bench in [Bench::server, Bench::client] {
        let mut b = bench(client_config());
        b.heard.clear();
        for option in [
            &[1, 4, 0, 1][..],
            &[5, 6, 0, 0, 0, 0],
            &[3, 4, 1, 1],
            &[9, 2],
        ] {
            let full = option.repeat(1496 / option.len());
            let _ = b.say(LCP, REQUEST, 1, &full);
            for answer in b.heard.drain(..).filter(|h| h.code != REQUEST) {
                assert!(answer.data.len() <= full.len());
            }
        }
    }
}

/// pppd appended an address to a Configure-Nak that was full.
#[test]
fn ppp_c82ddc5_ipcp_confreq_full_1500() {
    let mut b = Bench::asking_server(Config::default());
    b.answer_mschapv2(b"alice", PASSWORD);
    b.heard.clear();
    for option in [
        &[3, 6, 1, 2, 3, 4][..],
        &[129, 6, 0, 0, 0, 0],
        &[2, 2],
        &[3, 2],
    ] {
        let full = option.repeat(1496 / option.len());
        let _ = b.say(IPCP, REQUEST, 1, &full);
        for answer in b
            .heard
            .drain(..)
            .filter(|h| h.protocol == IPCP && h.code != REQUEST)
        {
            assert!(answer.data.len() <= full.len());
        }
    }
}

/// A server has a client ask for what only the server would: authentication.
#[test]
fn a_client_does_not_begin_to_ask_for_authentication() {
    let mut b = Bench::client(client_config());
    let ours = b.expect(LCP, REQUEST);
    assert_eq!(ours.option(3), None);
    b.say(LCP, NAK, ours.id, &options(&[(3, MSCHAPV2)]))
        .unwrap();
    assert_eq!(b.expect(LCP, REQUEST).option(3), None);
}

/// A peer that takes 65535 bytes does not make us send as many; who takes little gets little.
#[test]
fn ppp_c82ddc5_lcp_mru_65535_then_long_reply() {
    let mut b = Bench::server(Config::default());
    b.open_lcp(&options(&[(1, &[0xff, 0xff]), (5, &[1, 2, 3, 4])]));
    b.heard.clear();
    let got = b.say(LCP, ECHO, 1, &vec![0; 60_000]);
    assert_eq!(got, Err(Error::BadLength("control packet")));
    assert!(b.say(0xc281, 1, 1, &[0; 1400]).is_err());
    assert!(b.expect(LCP, PROTOCOL_REJECT).data.len() <= 114);
    b.say(LCP, 200, 1, &[0; 1400]).unwrap();
    assert!(b.expect(LCP, CODE_REJECT).data.len() <= 112);
    b.expect_silence();
}

/// CVE-2017-13029, CVE-2017-13038, CVE-2014-9140: option lengths of 0 and 1.
#[test]
fn cve_2017_13029_option_lengths_that_do_not_move_on() {
    for bytes in [
        &[1, 0][..],
        &[1, 1],
        &[1, 0, 1, 4, 5, 220],
        &[1],
        &[1, 5, 0, 0],
    ] {
        assert!(Options::new(bytes).take(10).last().unwrap().is_err());
        let mut b = Bench::server(Config::default());
        b.heard.clear();
        assert!(b.say(LCP, REQUEST, 1, bytes).is_err());
        b.expect_silence();
    }
}

/// Reads past the end: every prefix of a good packet is refused or understood, never misread.
#[test]
fn ppp_1371451_ce4629f_every_prefix_of_a_packet() {
    let request = options(&[(1, &[5, 120]), (5, &[1, 2, 3, 4]), (13, &[6])]);
    let whole = packet(REQUEST, 1, &request);
    for end in 0..whole.len() {
        assert!(Packet::parse(&whole[..end]).is_err());
    }
    let pap = pap_request(b"alice", b"secret");
    for end in 0..pap.len() {
        assert!(PapRequest::parse(&pap[..end]).is_err());
    }
    let chap = ChapValue {
        value: &[1; 16],
        name: b"",
    }
    .emit();
    for end in 0..chap.len() {
        assert!(ChapValue::parse(&chap[..end]).is_err());
    }
}

/// CVE-2025-62291: a short Failure made a negative length.
#[test]
fn cve_2025_62291_short_success_and_failure() {
    for text in [
        &b""[..],
        b"E",
        b"E=",
        b"E=691",
        b"E=691 R=1 C=",
        b"S=",
        b"M=",
    ] {
        for code in [3, 4] {
            let mut b = Bench::asked_client(client_config(), MSCHAPV2);
            b.challenge_mschapv2(1, [1; 16], PASSWORD);
            b.say(CHAP, code, 1, text).unwrap();
            assert!(!b.authenticated());
            b.wait(Duration::from_secs(30));
            assert_eq!(b.closed().unwrap(), "authentication_failed");
            let _ = MsChapFailure::parse(text);
        }
    }
}

/// CVE-2015-8023 and CVE-2021-45079: a Success that nothing was sent for lets nobody in.
#[test]
fn cve_2015_8023_unsolicited_success() {
    for method in [MSCHAPV2, CHAP_MD5] {
        let mut b = Bench::asked_client(client_config(), method);
        for id in 0..=255 {
            let got = b.say(CHAP, 3, id, b"S=0000000000000000000000000000000000000000");
            assert_eq!(got, Err(Error::UnknownIdentifier));
        }
        assert!(b.say(PAP, 2, 1, &[0]).is_err());
        assert!(b.say(EAP, 3, 1, &[]).is_err());
        assert!(!b.authenticated() && b.ipv4_up().is_none());
    }
}

/// CVE-2015-8023: a wrong proof, or one to another challenge, ends the link.
#[test]
fn cve_2015_8023_success_must_prove_the_password() {
    let mut b = Bench::asked_client(client_config(), MSCHAPV2);
    let proof = b.challenge_mschapv2(1, [1; 16], PASSWORD);
    assert!(b.say(CHAP, 3, 2, proof.as_bytes()).is_err());
    let wrong = proof.replace(&proof[2..4], if &proof[2..4] == "00" { "01" } else { "00" });
    b.say(CHAP, 3, 1, wrong.as_bytes()).unwrap();
    assert!(!b.authenticated());
    b.wait(Duration::from_secs(30));
    assert_eq!(b.closed().unwrap(), "authentication_failed");
}

/// A response counts for one challenge alone.
#[test]
fn cve_2015_8023_mschapv2_response_replay() {
    let mut b = Bench::asking_server(Config::default());
    let first = b.expect(CHAP, 1);
    let challenge = ChapValue::parse(&first.data)
        .unwrap()
        .value
        .try_into()
        .unwrap();
    b.respond_mschapv2(first.id.wrapping_add(1), challenge, b"alice", PASSWORD);
    assert!(!b.authenticated(), "wrong identifier");
    // LCP starts again: a new challenge with a new identifier, and the old response is stale.
    b.open_lcp(&magic());
    let second = b.expect(CHAP, 1);
    assert!(second.id != first.id && second.data != first.data);
    b.respond_mschapv2(first.id, challenge, b"alice", PASSWORD);
    assert!(!b.authenticated());
    b.respond_mschapv2(second.id, challenge, b"alice", PASSWORD);
    assert!(!b.authenticated());
    b.expect(CHAP, 4);
}

/// CVE-2021-45079: nothing of the network layer before authentication, at either end.
#[test]
fn cve_2021_45079_no_network_before_authentication() {
    let mut server = Bench::asking_server(Config::default());
    let mut client = Bench::asked_client(client_config(), MSCHAPV2);
    for b in [&mut server, &mut client] {
        b.heard.clear();
        for protocol in [IPCP, IPV6CP, CCP, ACSP] {
            let got = b.say(protocol, REQUEST, 1, &options(&[(3, &PEER.octets())]));
            assert_eq!(got, Err(Error::UnexpectedPhase));
        }
        for packet in [&[0x21, 0x45, 0][..], &[0x57, 0x60, 0]] {
            assert_eq!(b.feed(packet), Err(Error::UnexpectedPhase));
        }
        b.expect_silence();
        assert!(b.ipv4_up().is_none());
    }
}

/// Requests that are rejected again and again (ppp issue 558): the exchange ends.
#[test]
fn ppp_issue_558_conf_loop_cap() {
    let mut b = Bench::server_up(Config::default());
    for id in 2..200 {
        let _ = b.say(IPCP, REQUEST, id, &options(&[(2, &[0, 0x2d])]));
        let rejects = b.heard.iter().filter(|h| h.code == REJECT).count();
        assert!(rejects <= 20);
    }
    b.wait(Duration::from_secs(30));
    assert_eq!(b.closed().unwrap(), "negotiation_failed (ipcp)");
    assert_eq!(b.link.poll_timeout(), None);
}

/// Errors that answer errors: rejects and ends are never answered with another, and two servers
/// that ask each other for proof give up.
#[test]
fn cve_2024_2169_two_ends_face_to_face() {
    for protocol in [LCP, IPCP] {
        for code in [
            ACK,
            NAK,
            REJECT,
            TERMINATE_ACK,
            CODE_REJECT,
            PROTOCOL_REJECT,
        ] {
            let mut b = Bench::server_up(Config::default());
            b.heard.clear();
            let _ = b.say(protocol, code, 77, &[99, 1, 0, 4]);
            let answers = b.heard.iter().filter(|h| h.code != REQUEST);
            let answers: Vec<_> = answers.map(|h| (h.protocol, h.code)).collect();
            // Protocol-Reject is LCP's alone: IPCP does not know that code.
            let foreign = (protocol, code) == (IPCP, PROTOCOL_REJECT);
            let expected = [(IPCP, CODE_REJECT)];
            assert_eq!(
                answers,
                expected[..usize::from(foreign)],
                "{protocol:x} {code}"
            );
        }
    }

    let mut ends = [
        Bench::server(Config::default()),
        Bench::server(Config::default()),
    ];
    let mut said = 0;
    for _ in 0..100 {
        for (from, to) in [(0, 1), (1, 0)] {
            while let Some(heard) = ends[from].heard.pop_front() {
                let _ = ends[to].say(heard.protocol, heard.code, heard.id, &heard.data);
                said += 1;
            }
            ends[from].wait(Duration::from_secs(3));
        }
    }
    assert!(said < 60, "{said}");
    for b in &ends {
        assert!(b.closed().is_some());
        assert_eq!(b.link.poll_timeout(), None);
    }
}

/// What a peer says cannot forge a line of a log or a sequence for a terminal.
#[test]
fn log_injection_crlf_ansi() {
    let mut b = Bench::asking_server(Config::default());
    b.say(LCP, TERMINATE, 1, b"bye\r\nroot logged in\x1b[2J\x7f")
        .unwrap();
    b.wait(Duration::from_secs(10));
    let reason = b.closed().unwrap();
    assert!(!reason.chars().any(char::is_control));
}

/// A secret is shown by nothing that has a `Debug`.
#[test]
fn secrets_are_not_shown() {
    let config = client_config();
    assert!(!format!("{config:?}").contains(PASSWORD));
    let mut b = Bench::asking_server(pap_server());
    b.password = None;
    b.say(PAP, 1, 1, &pap_request(b"alice", PASSWORD.as_bytes()))
        .unwrap();
    assert!(!format!("{:?} {:?}", b.events, b.link).contains(PASSWORD));
}

/// The peer hears all error numbers, and may try again three times.
#[test]
fn mschapv2_error_codes_and_retries() {
    for code in [646, 647, 648, 649, 691, 709] {
        let mut b = Bench::asking_server(Config::default());
        b.password = None;
        b.answer_mschapv2(b"alice", "wrong");
        for tries in 0..=3 {
            let verdict = ppp::Verdict::Reject {
                code,
                retry: true,
                message: "no\r\n".into(),
            };
            b.link.authenticate(b.now, verdict).unwrap();
            b.drain();
            let failure = b.expect(CHAP, 4);
            let said = MsChapFailure::parse(&failure.data).unwrap();
            assert_eq!((said.code, said.retry), (code, tries < 3));
            assert_eq!((said.version, said.message), (Some(3), &b"no"[..]));
            let id = failure.id.wrapping_add(1);
            b.respond_mschapv2(id, said.challenge.unwrap(), b"alice", "wrong");
        }
        b.wait(Duration::from_secs(30));
        assert_eq!(b.closed().unwrap(), "authentication_failed");
    }
}

/// A client that may asks its user again, and answers the challenge of the Failure.
#[test]
fn a_client_tries_again() {
    let mut config = client_config();
    config.ask_again = true;
    let mut b = Bench::asked_client(config, MSCHAPV2);
    b.challenge_mschapv2(1, [1; 16], PASSWORD);
    let text = format!("E=691 R=1 C={} V=3 M=Try again", "AB".repeat(16));
    b.say(CHAP, 4, 1, text.as_bytes()).unwrap();
    let failure = b.events.iter().find_map(|event| match event {
        Event::AuthenticationFailed(failure) => Some(failure.clone()),
        _ => None,
    });
    let failure = failure.unwrap();
    assert_eq!((failure.code, failure.retry), (Some(691), true));
    assert_eq!(failure.message, "Try again");
    b.link
        .retry(b.now, ppp::Credentials::new("bob", "builder"))
        .unwrap();
    b.drain();
    let response = b.expect(CHAP, 2);
    assert_eq!(response.id, 2);
    let proof = prove(&response.data, [0xab; 16], "builder");
    b.say(CHAP, 3, 2, proof.as_bytes()).unwrap();
    assert!(b.authenticated());
    assert_eq!(b.say(LCP, ECHO, 1, &[0; 4]), Ok(Received::Control));
}
