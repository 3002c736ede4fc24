//! Real captures, read in place: parsed without harm, refused where they must be.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::server_config;
use isakmp::{Endpoint, Event, Path as Where, Policy};
use std::sync::Arc;

/// Everything in a capture that may be the payload of a UDP datagram on port 500 or 4500.
fn datagrams(file: &[u8]) -> Vec<(bool, Vec<u8>)> {
    let mut out = Vec::new();
    for at in 0..file.len().saturating_sub(8) {
        let port = |at: usize| u16::from_be_bytes([file[at], file[at + 1]]);
        let (source, destination) = (port(at), port(at + 2));
        let length = usize::from(port(at + 4));
        let natt = destination == 4500 || source == 4500;
        if (natt || destination == 500 || source == 500) && length > 8 {
            let end = file.len().min(at + length);
            out.push((natt, file[at + 8..end].to_vec()));
        }
    }
    out
}

fn server() -> Endpoint {
    let mut config = server_config();
    config.policy = Policy::legacy_xp();
    Endpoint::new(Arc::new(config), Box::new(simnet::seeded(3))).unwrap()
}

#[allow(
    clippy::disallowed_methods,
    reason = "a test starts its virtual clock somewhere"
)]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

fn path(natt: bool) -> Where {
    let port = if natt { 4500 } else { 500 };
    Where {
        local: ([198, 51, 100, 1], port).into(),
        remote: ([192, 0, 2, 2], port).into(),
    }
}

#[test]
fn no_capture_does_harm() {
    let Some(corpus) = simnet::corpus::path("") else {
        return;
    };
    let mut count = 0;
    for folder in ["isakmp", "mixed", "pcap", "esp"] {
        for entry in std::fs::read_dir(corpus.join(folder)).unwrap() {
            let file = std::fs::read(entry.unwrap().path()).unwrap();
            let mut server = server();
            let start = now();
            for (natt, datagram) in datagrams(&file) {
                let _ = server.handle_datagram(start, path(natt), &mut datagram.clone());
                let mut sent = 0;
                while let Some(t) = server.poll_transmit() {
                    sent += t.payload.len();
                }
                assert!(sent <= datagram.len().max(600), "little comes back");
                count += 1;
            }
            server.handle_timeout(start + std::time::Duration::from_secs(61));
            assert_eq!(server.sa_count(), 0);
        }
    }
    assert!(count > 300, "{count}");
}

#[test]
fn bare_messages_do_no_harm() {
    let Some(corpus) = simnet::corpus::path("") else {
        return;
    };
    let mut count = 0;
    for entry in std::fs::read_dir(corpus.join("isakmp")).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_some_and(|e| e == "bin") {
            let mut message = std::fs::read(&file).unwrap();
            let _ = server().handle_datagram(now(), path(false), &mut message);
            count += 1;
        }
    }
    assert!(count >= 10, "{count}");
}

#[test]
fn malformed_captures_are_rejected() {
    let Some(corpus) = simnet::corpus::path("") else {
        return;
    };
    for name in [
        "isakmp/zeek-bad-payload-length.pcap",
        "isakmp/zeek-zero-length.pcap",
        "pcap/isakmp-delete-segfault.pcap",
    ] {
        let file = std::fs::read(corpus.join(name)).unwrap();
        for (natt, mut datagram) in datagrams(&file) {
            assert!(
                server()
                    .handle_datagram(now(), path(natt), &mut datagram)
                    .is_err(),
                "{name}"
            );
        }
    }
}

#[test]
fn the_first_message_of_windows_10_is_answered() {
    let Some(corpus) = simnet::corpus::path("") else {
        return;
    };
    let text = std::fs::read_to_string(corpus.join("isakmp/windows10-mm1.hex")).unwrap();
    let digits: String = text.lines().filter(|l| !l.starts_with('#')).collect();
    let message: Vec<u8> = (0..digits.len() / 2)
        .map(|i| u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).unwrap())
        .collect();
    assert_eq!(message.len(), 408);
    let mut server = server();
    server
        .handle_datagram(now(), path(false), &mut message.clone())
        .unwrap();
    let reply = server.poll_transmit().unwrap().payload;
    let has = |bytes: &[u8]| reply.windows(bytes.len()).any(|w| w == bytes);
    // The first transform, byte for byte; RFC 3947 and nothing older; its fragmentation; no DPD.
    assert!(has(&message[52..88]), "AES-256, SHA-1, ECP-384");
    assert!(has(&natt::Dialect::Rfc3947.vendor_id()));
    assert!(!has(&natt::Dialect::Draft02Newline.vendor_id()));
    assert!(has(
        &0x4048b7d5_6ebce885_25e7de7f_00d6c2d3_u128.to_be_bytes()
    ));
    assert!(!has(
        &0xafcad713_68a1f1c9_6b8696fc_77570100_u128.to_be_bytes()
    ));
    assert!(reply.len() < message.len());
}

#[test]
fn ike_scan_is_answered_or_refused_with_a_hint() {
    let Some(corpus) = simnet::corpus::path("") else {
        return;
    };
    for name in ["default-proposal", "custom-proposal", "single-trans"] {
        let mut message =
            std::fs::read(corpus.join(format!("isakmp/ike-scan-{name}.bin"))).unwrap();
        let mut server = server();
        let result = server.handle_datagram(now(), path(false), &mut message);
        let refused =
            std::iter::from_fn(|| server.poll_event()).any(|e| matches!(e, Event::Refused { .. }));
        assert_ne!(result.is_ok(), refused, "{name}: {result:?}");
        assert!(server.poll_transmit().is_some(), "{name}");
    }
}

/// Also CVE-2017-12896, -12990, -13689, -13690 and CVE-2018-14469.
#[test]
fn cve_2017_13039_captures_that_crashed_tcpdump_are_refused() {
    let Some(corpus) = simnet::corpus::path("") else {
        return;
    };
    let mut count = 0;
    for name in [
        "isakmp-pointer-loop",
        "isakmp-identification-segfault",
        "isakmp-ikev1_n_print-oobr",
        "isakmp-3948-oobr-2",
        "ikev1_id_ipv6_addr_subnet-oobr",
        "isakmp-rfc3948-oobr",
        "isakmp-delete-segfault",
    ] {
        let file = std::fs::read(corpus.join(format!("pcap/{name}.pcap"))).unwrap();
        for (natt, datagram) in datagrams(&file) {
            let mut server = server();
            let result = server.handle_datagram(now(), path(natt), &mut datagram.clone());
            assert!(result.is_err(), "{name}");
            assert_eq!(server.sa_count(), 0, "{name}");
            assert!(server.poll_transmit().is_none(), "{name}");
            count += 1;
        }
    }
    assert!(count >= 7, "{count}");
}
