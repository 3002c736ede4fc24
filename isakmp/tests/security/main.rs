//! Published vulnerabilities of IKEv1 implementations: what anybody can send.
//!
//! Each test is named after its CVE. What needs the keys of an SA is in `src/endpoint/tests`, what
//! needs a captured packet in `tests/corpus.rs`, memory in `tests/memory.rs`. Where one test stands
//! for several, and what cannot apply here:
//!
//! | published | test, or why there is none |
//! |---|---|
//! | CVE-2004-0183, -0221 | `cve_2004_0183_delete_whose_spi_count_lies` |
//! | CVE-2004-0218, CVE-2003-0989, CVE-2017-12990 | `cve_2003_0108_zero_length_payloads_do_not_loop` |
//! | CVE-2004-0403 | `memory.rs`: a header's length is never allocated |
//! | CVE-2013-4564 | and every major version but 1 |
//! | CVE-2017-12896, -12990, -13039, -13689, -13690, CVE-2018-14469 | `corpus.rs`: `cve_2017_13039_...` |
//! | CVE-2018-0159, CVE-2012-0381, CVE-2005-3669 (PROTOS c09-isakmp) | `protos_every_field_with_extreme_values` |
//! | CVE-2022-34722, CVE-2022-21843, -21848, -21883, -21889, -21890, CVE-2023-21547, -21677, -21683, -21758, CVE-2026-35424 | `cve_2022_34721_...`, `cve_2004_0222_...` and `memory.rs` |
//! | CVE-2020-1763, CVE-2022-23094 | both, by name |
//! | CVE-2008-3651, CVE-2008-3652, CVE-2009-1632 | `cve_2008_3652_half_open_sas_expire` |
//! | CVE-2016-6381, CVE-2016-1287, CVE-2016-10396, CVE-2009-1574, CVE-2013-6076 | `fragments.rs` |
//! | CVE-2022-40735 | `cve_2002_20001_...`: exponents are short by construction, see `vectors::groups` |
//! | CVE-2009-0790 | `cve_2009_0790_...` with keys, `cve_2007_1841_...` in every state without |
//! | CVE-2015-4000 | and a warning in the log for each SA |
//! | draft-simpson-danger-isakmp | `draft_simpson_no_state_and_no_work_before_the_cookie_returns` |
//! | CVE-2005-0688 | `cve_1999_0016_a_packet_from_ourselves` |
//! | CVE-2005-0039 | `cve_2024_3652_esp_without_encryption_or_integrity_is_skipped` |
//! | CVE-2023-23009, -38710, CVE-2013-6467, CVE-2016-5391, -3071 | `cve_2023_23009_missing_payloads_of_quick_mode` |
//! | CVE-2018-5389 | `strength.rs`: `cve_2018_5389_weak_keys_are_told_from_strong_ones` |
//! | CVE-2018-0131, CVE-2017-17305, CVE-2018-8753, CVE-2018-9129 | `cve_2018_0131_other_authentication_methods_are_never_chosen` |
//! | CVE-2023-41913, CVE-2015-3240 | `cve_2015_3240_...`, here and in `main_mode.rs` |
//! | CVE-2018-16151, -16152, -15836, CVE-2012-2388, CVE-2013-2944, CVE-2018-17540, CVE-2026-50721, -50722 | signatures are not implemented |
//! | CVE-2017-9023, CVE-2026-35328, CVE-2021-41991's cache | no ASN.1 is parsed; the only cache is tested by `cve_2021_41991_...` |
//! | CVE-2018-10811, CVE-2014-9221 | no pluggable PRF; unknown groups by name |
//! | CVE-2026-12413, CVE-2026-33824, CVE-2024-7595, CVE-2021-45079 | IKEv2, tunnels, EAP: not spoken |
//! | CVE-2006-4436, CVE-2017-7184, CVE-2022-27666, CVE-2022-34718, CVE-2018-5390, -5391 | the data path: `roadwarrior-esp`, `roadwarrior-firewall` |
//! | CVE-2013-5018, CVE-2015-8023, CVE-2025-62291, CVE-2002-0872, CVE-2026-23072 | users, tunnels, sessions: `roadwarrior-ppp`, `roadwarrior-l2tp` |
//! | Kernel races, CLIs, RADIUS, resolvers | not of this crate |

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "../common/mod.rs"]
mod common;

mod crypto;
mod exhaustion;
mod fragments;
mod parsers;
mod states;

use common::{Net, pair, peer, server_config};
use isakmp::{Endpoint, Path, Policy};
use simnet::{Link, seeded};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn path() -> Path {
    Path {
        local: "198.51.100.1:500".parse().unwrap(),
        remote: "192.0.2.2:500".parse().unwrap(),
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "a test starts its virtual clock somewhere"
)]
fn now() -> Instant {
    Instant::now()
}

fn server() -> Endpoint {
    let mut config = server_config();
    config.policy = Policy::legacy_xp();
    Endpoint::new(Arc::new(config), Box::new(seeded(7))).unwrap()
}

/// All messages of a whole handshake: the client's, the server's.
fn handshake() -> [Vec<Vec<u8>>; 2] {
    let mut net = pair(server_config(), peer(), Net::Direct, Link::PERFECT, 60);
    assert!(common::established(&mut net, 1));
    [&net.a.sent, &net.b.sent].map(|sent| sent.iter().map(|p| p.2.clone()).collect())
}

/// A chain of payloads behind a header with `exchange`; lengths are right unless `lengths` says.
fn message(exchange: u8, payloads: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut out = vec![9; 8];
    out.extend([0; 8]);
    out.extend([
        payloads.first().map_or(0, |p| p.0),
        0x10,
        exchange,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
    ]);
    for (index, (_, body)) in payloads.iter().enumerate() {
        out.extend([payloads.get(index + 1).map_or(0, |p| p.0), 0]);
        out.extend(u16::try_from(body.len() + 4).unwrap().to_be_bytes());
        out.extend(body);
    }
    let length = u32::try_from(out.len()).unwrap();
    out[24..28].copy_from_slice(&length.to_be_bytes());
    out
}

/// An SA payload with one transform of these attributes.
fn sa(attributes: &[u8]) -> (u8, Vec<u8>) {
    let t = u16::try_from(attributes.len() + 8).unwrap().to_be_bytes();
    let p = u16::try_from(attributes.len() + 16).unwrap().to_be_bytes();
    let mut body = vec![
        0, 0, 0, 1, 0, 0, 0, 1, 0, 0, p[0], p[1], 1, 1, 0, 1, 0, 0, t[0], t[1], 1, 1, 0, 0,
    ];
    body.extend(attributes);
    (1, body)
}

fn tv(kind: u8, value: u16) -> Vec<u8> {
    [&[0x80, kind][..], &value.to_be_bytes()].concat()
}

/// AES-128, SHA-1, PSK, MODP-1024, with more attributes.
fn attributes(cipher: u16, group: u16, more: &[Vec<u8>]) -> Vec<u8> {
    let mut out = [tv(1, cipher), tv(2, 2), tv(3, 1), tv(4, group)].concat();
    out.extend(more.concat());
    out
}

/// Neither state nor an answer.
fn refused_silently(bytes: &[u8], context: &str) {
    let mut server = server();
    let result = server.handle_datagram(now(), path(), &mut bytes.to_vec());
    assert!(result.is_err(), "{context}");
    assert_eq!(server.sa_count(), 0, "{context}");
    assert!(server.poll_transmit().is_none(), "{context}");
    assert!(server.poll_timeout().is_none(), "{context}");
}

/// The next answer, or nothing.
fn answer(server: &mut Endpoint) -> Vec<u8> {
    server
        .poll_transmit()
        .map(|t| t.payload)
        .unwrap_or_default()
}

/// `message` with the cookies of `of`.
fn with_cookies(mut message: Vec<u8>, of: &[u8]) -> Vec<u8> {
    message[..16].copy_from_slice(&of[..16]);
    message
}

/// A responder that has answered `first`, and its answer.
fn half_open(first: &[u8]) -> (Endpoint, Vec<u8>) {
    let mut server = server();
    let _ = server.handle_datagram(now(), path(), &mut first.to_vec());
    let reply = answer(&mut server);
    assert!(!reply.is_empty());
    (server, reply)
}
