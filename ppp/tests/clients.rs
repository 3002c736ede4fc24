//! What known clients put on the wire, in their order, with their habits: as our client, and as
//! the server our client meets.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod common;

use common::*;
use md5::{Digest as _, Md5};
use ppp::{AuthMethod, Config, Event, NetworkProtocol, Proof, Received, wire::ChapValue};
use std::time::Duration;

const MRU_1400: (u8, &[u8]) = (1, &[0x05, 0x78]);
const ASYNC_MAP: (u8, &[u8]) = (2, &[0; 4]);
const MAGIC: (u8, &[u8]) = (5, &[0x51, 0x7a, 0x00, 0x9c]);
const PFC: (u8, &[u8]) = (7, &[]);
const ACFC: (u8, &[u8]) = (8, &[]);
const CALLBACK: (u8, &[u8]) = (13, &[6]);
const MRRU: (u8, &[u8]) = (17, &[0x06, 0x4e]);
const ENDPOINT: (u8, &[u8]) = (19, &[3, 2, 0, 0, 0, 0, 1]);
const ZERO: &[u8] = &[0; 4];
const ADDRESS: (u8, &[u8]) = (3, ZERO);
const DNS_1: (u8, &[u8]) = (129, ZERO);
const WINS_1: (u8, &[u8]) = (130, ZERO);
const DNS_2: (u8, &[u8]) = (131, ZERO);
const WINS_2: (u8, &[u8]) = (132, ZERO);
const VJ: (u8, &[u8]) = (2, &[0x00, 0x2d, 0x0f, 0x01]);

type Option = (u8, &'static [u8]);

struct Client {
    /// Identifier of its first Configure-Request.
    first_id: u8,
    lcp: &'static [Option],
    /// What it declines the server's first offer with, if it does.
    wants: &'static [u8],
    user: &'static [u8],
    identifications: &'static [&'static [u8]],
    /// Network protocols it tries besides IPCP, and with what.
    others: &'static [(u16, Option)],
    ipcp: &'static [Option],
}

const CCP_MPPE: (u16, Option) = (CCP, (18, &[1, 0, 0, 1]));
const IPV6: (u16, Option) = (IPV6CP, (1, &[2, 0, 0, 0, 0, 0, 0, 1]));

const XP: Client = Client {
    first_id: 0,
    lcp: &[MRU_1400, MAGIC, PFC, ACFC, CALLBACK],
    wants: MSCHAPV2,
    user: b"OFFICE\\alice",
    identifications: &[b"\x51\x7a\x00\x9cMSRASV5.10", b"\x51\x7a\x00\x9cMSRAS-0-PC"],
    others: &[CCP_MPPE],
    ipcp: &[VJ, ADDRESS, DNS_1, WINS_1, DNS_2, WINS_2],
};
const WINDOWS_7: Client = Client {
    lcp: &[MRU_1400, MAGIC, PFC, ACFC, CALLBACK, MRRU, ENDPOINT],
    others: &[IPV6, CCP_MPPE],
    ipcp: &[ADDRESS, DNS_1, WINS_1, DNS_2, WINS_2],
    ..XP
};
const WINDOWS_10: Client = Client {
    lcp: &[MRU_1400, MAGIC, PFC, ACFC, CALLBACK],
    identifications: &[
        b"\x51\x7a\x00\x9cMSRASV5.20",
        b"\x51\x7a\x00\x9cMSRAS-0-HOST",
        &[
            0x51, 0x7a, 0, 0x9c, 0xfe, 0x80, 0xff, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13,
        ],
    ],
    ..WINDOWS_7
};
const APPLE: Client = Client {
    first_id: 1,
    lcp: &[ASYNC_MAP, MAGIC, PFC, ACFC],
    wants: MSCHAPV2,
    user: b"alice",
    identifications: &[],
    others: &[IPV6, (ACSP, (1, &[0, 0, 0, 0]))],
    ipcp: &[ADDRESS, DNS_1, DNS_2],
};
/// pppd as each of its front ends starts it.
const ANDROID: Client = Client {
    first_id: 1,
    lcp: &[MRU_1400, ASYNC_MAP, MAGIC, PFC, ACFC],
    wants: CHAP_MD5,
    user: b"alice",
    identifications: &[],
    others: &[(CCP, (26, &[0x78, 0, 0x18, 4]))],
    ipcp: &[VJ, ADDRESS, DNS_1, DNS_2],
};
const CHROME_OS: Client = Client {
    lcp: &[(1, &[0x05, 0x82]), ASYNC_MAP, MAGIC, PFC, ACFC],
    others: &[],
    ..ANDROID
};
const NETWORK_MANAGER: Client = Client {
    lcp: &[MRU_1400, ASYNC_MAP, MAGIC, PFC, ACFC, MRRU, ENDPOINT],
    wants: MSCHAPV2,
    ..ANDROID
};
const MIKROTIK: Client = Client {
    lcp: &[(1, &[0x05, 0xaa]), MAGIC, MRRU],
    others: &[CCP_MPPE, IPV6],
    ipcp: &[ADDRESS, DNS_1, DNS_2],
    wants: MSCHAPV2,
    ..ANDROID
};
const OPENWRT: Client = Client {
    lcp: &[ASYNC_MAP, MAGIC, PFC, ACFC],
    wants: &[0xc0, 0x23],
    ..ANDROID
};

fn kinds(list: &[Option], wanted: impl Fn(u8) -> bool) -> Vec<Option> {
    list.iter()
        .copied()
        .filter(|(kind, _)| wanted(*kind))
        .collect()
}

fn known_to_lcp(kind: u8) -> bool {
    matches!(kind, 1 | 2 | 5 | 7 | 8)
}

/// The peer asks for all it wants at once; what we do not know comes back in one Configure-Reject.
fn request_lcp(b: &mut Bench, id: u8, list: &[Option]) {
    let unknown = kinds(list, |kind| !known_to_lcp(kind) && kind != 3);
    let known = kinds(list, |kind| known_to_lcp(kind) || kind == 3);
    b.say(LCP, REQUEST, id, &options(list)).unwrap();
    if unknown.is_empty() {
        assert_eq!(b.expect(LCP, ACK).data, options(&known));
        return;
    }
    let reject = b.expect(LCP, REJECT);
    assert_eq!((reject.id, reject.data), (id, options(&unknown)));
    b.say(LCP, REQUEST, id + 1, &options(&known)).unwrap();
    let ack = b.expect(LCP, ACK);
    assert_eq!((ack.id, ack.data), (id + 1, options(&known)));
}

/// What else it tries is rejected once for each packet, and its words are heard out in silence.
fn others(b: &mut Bench, client: &Client) {
    for (protocol, option) in client.others {
        let request = options(&[*option]);
        assert!(b.say(*protocol, REQUEST, 1, &request).is_err());
        let rejected = b.expect(LCP, PROTOCOL_REJECT).data;
        assert_eq!(rejected[..2], protocol.to_be_bytes());
        assert_eq!(rejected[2..], packet(REQUEST, 1, &request));
    }
    b.expect_silence();
}

/// A whole connection of `client` to our server.
fn as_server(client: &Client, preference: &[AuthMethod]) -> Bench {
    let mut config = Config::default();
    config.auth = preference.to_vec();
    let mut b = Bench::server(config);
    request_lcp(&mut b, client.first_id, client.lcp);
    let mut ours = b.expect(LCP, REQUEST);
    assert_eq!(ours.option(1).unwrap(), [0x05, 0x78]);
    if ours.option(3).unwrap() != client.wants {
        let nak = options(&[(3, client.wants)]);
        b.say(LCP, NAK, ours.id, &nak).unwrap();
        ours = b.expect(LCP, REQUEST);
    }
    assert_eq!(ours.option(3).unwrap(), client.wants);
    b.say(LCP, ACK, ours.id, &ours.data).unwrap();
    for (id, text) in (2..).zip(client.identifications) {
        assert_eq!(b.say(LCP, 12, id, text), Ok(Received::Control));
    }
    // An echo is answered before authentication, and addresses are not.
    b.say(LCP, ECHO, 9, b"\x51\x7a\x00\x9chello").unwrap();
    assert_eq!(b.expect(LCP, ECHO_REPLY).data[4..], *b"hello");
    assert!(b.say(IPCP, REQUEST, 1, &options(client.ipcp)).is_err());

    match client.wants {
        MSCHAPV2 => {
            let (_, nt, peer, challenge) = b.answer_mschapv2(client.user, PASSWORD);
            let hash = ppp::mschapv2::nt_password_hash(PASSWORD);
            let proof =
                ppp::mschapv2::authenticator_response(&hash, &nt, &peer, &challenge, b"alice");
            assert!(b.expect(CHAP, 3).data.starts_with(proof.as_bytes()));
        }
        CHAP_MD5 => {
            let asked = b.expect(CHAP, 1);
            let challenge = ChapValue::parse(&asked.data).unwrap().value;
            let mut hash = Md5::new();
            hash.update([asked.id]);
            hash.update(PASSWORD);
            hash.update(challenge);
            let value = &hash.finalize();
            let data = ChapValue {
                value,
                name: client.user,
            }
            .emit();
            b.say(CHAP, 2, asked.id, &data).unwrap();
            b.expect(CHAP, 3);
        }
        _ => {
            b.say(PAP, 1, 1, &pap_request(client.user, PASSWORD.as_bytes()))
                .unwrap();
            b.expect(PAP, 2);
        }
    }
    let ours = b.expect(IPCP, REQUEST);
    assert_eq!(ours.data, options(&[(3, &LOCAL.octets())]));
    others(&mut b, client);

    // Rejected at once: what we do not have, here VJ and WINS. Then each gets its value.
    let lacking = |kind| matches!(kind, 2 | 130 | 132);
    let mut id = 1;
    b.say(IPCP, REQUEST, id, &options(client.ipcp)).unwrap();
    let rejected = kinds(client.ipcp, lacking);
    let asked = kinds(client.ipcp, |kind| !lacking(kind));
    if !rejected.is_empty() {
        assert_eq!(b.expect(IPCP, REJECT).data, options(&rejected));
        id += 1;
        b.say(IPCP, REQUEST, id, &options(&asked)).unwrap();
    }
    let nak = b.expect(IPCP, NAK);
    assert_eq!(
        nak.data,
        options(&[
            (3, &PEER.octets()),
            (129, &DNS[0].octets()),
            (131, &DNS[1].octets())
        ])
    );
    b.say(IPCP, REQUEST, id + 1, &nak.data).unwrap();
    assert_eq!(b.expect(IPCP, ACK).data, nak.data);
    b.say(IPCP, ACK, ours.id, &ours.data).unwrap();
    assert_eq!(b.ipv4_up(), Some((LOCAL, PEER)));

    // Packets, as short as it asked for.
    let compressed = client.lcp.contains(&PFC);
    let mut buf = [0x45; 64];
    let frame = b
        .link
        .encapsulate(&mut buf, 24..64, NetworkProtocol::Ipv4)
        .unwrap();
    assert_eq!(frame.start, if compressed { 23 } else { 20 });
    assert_eq!(
        b.feed(&buf[frame]),
        Ok(Received::Ipv4(if compressed { 1..41 } else { 4..44 }))
    );
    b.expect_silence();
    b
}

fn hang_up(b: &mut Bench) {
    b.say(LCP, TERMINATE, 7, b"\x51\x7a\x00\x9c\0<\xcdt\0\0\0\0")
        .unwrap();
    assert_eq!(b.expect(LCP, TERMINATE_ACK).id, 7);
    b.wait(Duration::from_secs(10));
    assert!(b.closed().unwrap().starts_with("peer_terminated"));
    assert_eq!(b.link.poll_timeout(), None);
    b.expect_silence();
}

/// A whole connection of our client to a server with the habits of `peer`.
fn as_client(peer: &Client) -> Bench {
    let mut config = client_config();
    config.auth.push(AuthMethod::Pap);
    let mut b = Bench::client(config);
    let ours = b.expect(LCP, REQUEST);
    assert_eq!(
        (ours.option(1).unwrap(), ours.option(3)),
        (vec![0x05, 0x78], None)
    );
    // Servers add what they want proved, before the magic number.
    let mut asked = peer.lcp.to_vec();
    let at = asked.iter().position(|(kind, _)| *kind == 5).unwrap_or(0);
    asked.insert(at, (3, peer.wants));
    request_lcp(&mut b, peer.first_id, &asked);
    b.say(LCP, ACK, ours.id, &ours.data).unwrap();
    for (id, text) in (2..).zip(peer.identifications) {
        assert_eq!(b.say(LCP, 12, id, text), Ok(Received::Control));
    }
    match peer.wants {
        MSCHAPV2 => {
            let proof = b.challenge_mschapv2(0, [0x5b; 16], PASSWORD);
            b.say(CHAP, 3, 0, proof.as_bytes()).unwrap();
        }
        CHAP_MD5 => {
            let data = ChapValue {
                value: &[0x77; 23],
                name: b"server",
            }
            .emit();
            b.say(CHAP, 1, 0, &data).unwrap();
            let response = b.expect(CHAP, 2);
            let response = ChapValue::parse(&response.data).unwrap();
            let mut hash = Md5::new();
            hash.update([0]);
            hash.update(PASSWORD);
            hash.update([0x77; 23]);
            assert_eq!(response.value, hash.finalize().as_slice());
            assert_eq!(response.name, b"OFFICE\\alice");
            b.say(CHAP, 3, 0, b"").unwrap();
        }
        _ => {
            let request = b.expect(PAP, 1);
            assert_eq!(
                request.data,
                pap_request(b"OFFICE\\alice", PASSWORD.as_bytes())
            );
            b.say(PAP, 2, request.id, &[0]).unwrap();
        }
    }
    assert!(b.authenticated());
    let ours = b.expect(IPCP, REQUEST);
    assert_eq!(ours.data, options(&[ADDRESS, DNS_1, DNS_2]));
    others(&mut b, peer);

    // The server's own address, and whatever else it asks of a client.
    let local = LOCAL.octets();
    let address = options(&[(3, &local)]);
    let extra = kinds(peer.ipcp, |kind| kind != 3);
    let mut all = address.clone();
    all.extend(options(&extra));
    b.say(IPCP, REQUEST, 1, &all).unwrap();
    assert_eq!(b.expect(IPCP, REJECT).data, options(&extra));
    b.say(IPCP, REQUEST, 2, &address).unwrap();
    assert_eq!(b.expect(IPCP, ACK).data, address);
    let given = options(&[(3, &PEER.octets()), (129, &DNS[0].octets())]);
    b.say(IPCP, REJECT, ours.id, &options(&[DNS_2])).unwrap();
    let ours = b.expect(IPCP, REQUEST);
    assert_eq!(ours.data, options(&[ADDRESS, DNS_1]));
    b.say(IPCP, NAK, ours.id, &given).unwrap();
    let ours = b.expect(IPCP, REQUEST);
    assert_eq!(ours.data, given);
    b.say(IPCP, ACK, ours.id, &ours.data).unwrap();
    let up = b.events.iter().find_map(|event| match event {
        Event::Ipv4Up {
            local,
            peer,
            dns,
            wins,
        } => Some((*local, *peer, *dns, *wins)),
        _ => None,
    });
    assert_eq!(up, Some((PEER, LOCAL, [Some(DNS[0]), None], [None; 2])));
    b.expect_silence();
    b
}

const DEFAULT: &[AuthMethod] = &[AuthMethod::MsChapV2, AuthMethod::ChapMd5];
const MD5_FIRST: &[AuthMethod] = &[AuthMethod::ChapMd5, AuthMethod::MsChapV2];
const WITH_PAP: &[AuthMethod] = &[AuthMethod::MsChapV2, AuthMethod::ChapMd5, AuthMethod::Pap];

/// Clients section 2.1: identifier 0, CBCP, VJ, a domain before the name.
#[test]
fn windows_xp() {
    hang_up(&mut as_server(&XP, DEFAULT));
    hang_up(&mut as_client(&XP));
}

/// Section 2.2: multilink ticked, IPV6CP first.
#[test]
fn windows_7() {
    hang_up(&mut as_server(&WINDOWS_7, DEFAULT));
    hang_up(&mut as_client(&WINDOWS_7));
}

/// Sections 2.3 and 2.5: three Identifications, one of them binary; declines plain CHAP.
#[test]
fn windows_10() {
    hang_up(&mut as_server(&WINDOWS_10, MD5_FIRST));
    hang_up(&mut as_client(&WINDOWS_10));
}

/// Section 2.5: it starts before us, and hears what we asked first only afterwards.
#[test]
fn windows_speaks_first() {
    let mut b = Bench::server(Config::default());
    let first = b.expect(LCP, REQUEST);
    b.say(LCP, REQUEST, 0, &options(&[MRU_1400, MAGIC, PFC, ACFC]))
        .unwrap();
    b.expect(LCP, ACK);
    // Ours was lost: it is repeated with a new identifier, and the old one no longer counts.
    b.wait(Duration::from_secs(3));
    let second = b.expect(LCP, REQUEST);
    assert_ne!(first.id, second.id);
    assert!(b.say(LCP, ACK, first.id, &first.data).is_err());
    b.say(LCP, ACK, second.id, &second.data).unwrap();
    b.expect(CHAP, 1);
}

/// Section 3: asyncmap, no MRU, DNS as 129 and 131, ACSP.
#[test]
fn apple() {
    hang_up(&mut as_server(&APPLE, MD5_FIRST));
    hang_up(&mut as_client(&APPLE));
}

/// Section 3: it declines EAP in favour of MS-CHAPv2; so do we.
#[test]
fn eap_is_declined() {
    let mut b = Bench::client(client_config());
    for id in 1..=2 {
        b.say(LCP, REQUEST, id, &options(&[(3, &[0xc2, 0x27]), MAGIC]))
            .unwrap();
        assert_eq!(b.expect(LCP, NAK).data, options(&[(3, MSCHAPV2)]));
    }
    b.say(LCP, REQUEST, 3, &options(&[(3, CHAP_MD5), MAGIC]))
        .unwrap();
    b.expect(LCP, ACK);
    // A server that a client asks for EAP offers what it has, once each.
    let mut b = Bench::server(Config::default());
    let eap = options(&[(3, &[0xc2, 0x27])]);
    for offered in [MSCHAPV2, CHAP_MD5] {
        let ours = b.expect(LCP, REQUEST);
        assert_eq!(ours.option(3).unwrap(), offered);
        b.say(LCP, NAK, ours.id, &eap).unwrap();
    }
    b.wait(Duration::from_secs(30));
    assert_eq!(b.closed().unwrap(), "no_common_authentication");
}

/// Section 4: pppd with `mru 1400`, CCP, and CHAP-MD5 as the server has nothing else.
#[test]
fn android() {
    hang_up(&mut as_server(&ANDROID, &[AuthMethod::ChapMd5]));
    hang_up(&mut as_client(&ANDROID));
}

/// Section 4: Android 10 and 11 say 1270.
#[test]
fn android_11_takes_no_more_than_1270() {
    let mut b = Bench::server(Config::default());
    b.open_lcp(&options(&[(1, &1270_u16.to_be_bytes()), ASYNC_MAP, MAGIC]));
    assert_eq!(b.link.peer_mru(), 1270);
    assert_eq!(b.link.peer_async_map(), 0);
    b.answer_mschapv2(b"alice", PASSWORD);
    b.open_ipcp_as_client();
    let mut buf = [0; 1400];
    assert!(
        b.link
            .encapsulate(&mut buf, 8..1279, NetworkProtocol::Ipv4)
            .is_err()
    );
    assert!(
        b.link
            .encapsulate(&mut buf, 8..1278, NetworkProtocol::Ipv4)
            .is_ok()
    );
}

/// Section 5: no CCP, echo requests of its own every 30 s.
#[test]
fn chrome_os() {
    let mut b = as_server(&CHROME_OS, MD5_FIRST);
    for id in 0..4 {
        b.wait(Duration::from_secs(29));
        b.say(LCP, ECHO, id, &[0x51, 0x7a, 0, 0x9c]).unwrap();
        assert_eq!(b.expect(LCP, ECHO_REPLY).id, id);
        b.wait(Duration::from_secs(1));
        // Ours is answered, too.
        if let Some(echo) = b.heard.pop_front() {
            assert_eq!(echo.code, ECHO);
            b.say(LCP, ECHO_REPLY, echo.id, &[0x51, 0x7a, 0, 0x9c])
                .unwrap();
        }
    }
    assert_eq!(b.closed(), None);
    hang_up(&mut b);
    hang_up(&mut as_client(&CHROME_OS));
}

/// Section 6: `multilink` and `mrru`.
#[test]
fn network_manager() {
    hang_up(&mut as_server(&NETWORK_MANAGER, DEFAULT));
    hang_up(&mut as_client(&NETWORK_MANAGER));
}

/// Section 7: MRRU, MPPE wanted on top, no compression of fields.
#[test]
fn mikrotik() {
    hang_up(&mut as_server(&MIKROTIK, MD5_FIRST));
    hang_up(&mut as_client(&MIKROTIK));
}

/// Section 8: pppd as it is, here with PAP alone.
#[test]
fn openwrt() {
    hang_up(&mut as_server(&OPENWRT, WITH_PAP));
    hang_up(&mut as_client(&OPENWRT));
}

/// RFC 1334 section 2.2.1: a request that is repeated has another identifier each time, and gets
/// the answer that the first one got.
#[test]
fn pap_repeats_with_another_identifier() {
    let alice = pap_request(b"alice", PASSWORD.as_bytes());
    let mut b = Bench::asking_server(pap_server());
    b.password = None;
    // The owner is slow: one request.
    b.say(PAP, 1, 1, &alice).unwrap();
    b.say(PAP, 1, 2, &alice).unwrap();
    let asked = |e: &Event| matches!(e, Event::Authenticate(_));
    assert_eq!(b.events.iter().filter(|e| asked(e)).count(), 1);
    b.link
        .authenticate(b.now, accept(Proof::default()))
        .unwrap();
    b.drain();
    assert_eq!(b.expect(PAP, 2).id, 2);
    // And the answer was lost.
    b.say(PAP, 1, 3, &alice).unwrap();
    assert_eq!(b.expect(PAP, 2).id, 3);
    assert_eq!(b.events.iter().filter(|e| asked(e)).count(), 1);
}

/// Section 9: its client does not speak L2TP. Its server asks with MRU, authentication, magic.
#[test]
fn soft_ether_server() {
    let server = Client {
        lcp: &[(1, &[0x05, 0xdc]), MAGIC],
        others: &[],
        ipcp: &[ADDRESS, DNS_1],
        ..APPLE
    };
    hang_up(&mut as_client(&server));
}

/// Section 10, rule 13: no loop of rejects, and an echo reply no larger than the peer takes.
#[test]
fn stubborn_clients_are_given_up() {
    let mut b = Bench::server(Config::default());
    let mut answers = 0;
    for id in 0..=255 {
        let _ = b.say(LCP, REQUEST, id, &options(&[MAGIC, CALLBACK]));
        answers += b.heard.iter().filter(|h| h.code == REJECT).count();
        b.heard.clear();
    }
    assert_eq!(answers, 20);
    b.wait(Duration::from_secs(30));
    assert_eq!(b.closed().unwrap(), "negotiation_failed (lcp)");

    let mut b = Bench::asking_server(Config::default());
    b.say(LCP, REQUEST, 2, &options(&[(1, &[0, 200]), MAGIC]))
        .unwrap();
    let ours = b.expect(LCP, REQUEST);
    b.say(LCP, ACK, ours.id, &ours.data).unwrap();
    b.say(LCP, ECHO, 1, &[0; 1000]).unwrap();
    assert_eq!(b.expect(LCP, ECHO_REPLY).data.len(), 196);
}
