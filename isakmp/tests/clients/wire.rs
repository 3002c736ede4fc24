//! First messages as they stand on the wire, read by a parser of the test's own.

use crate::common::{self, Net, client_path, pair_of};
use crate::profiles::{Profile, profile, profiles, vid};
use isakmp::Event;
use simnet::{Link, corpus::unhex};
use std::time::Duration;

/// Payloads of a message in the clear: type and body.
fn payloads(message: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let (all, rest) = payloads_of(message[16], &message[28..]);
    assert!(rest.is_empty());
    all
}

/// Payloads, and what is behind them.
pub(crate) fn payloads_of(first: u8, bytes: &[u8]) -> (Vec<(u8, Vec<u8>)>, &[u8]) {
    let mut out = Vec::new();
    let (mut kind, mut rest) = (first, bytes);
    while kind != 0 {
        let length = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
        assert_eq!(rest[1], 0, "reserved");
        out.push((kind, rest[4..length].to_vec()));
        (kind, rest) = (rest[0], &rest[length..]);
    }
    (out, rest)
}

/// A proposal of an SA payload: number, protocol, transforms with their generic headers.
pub(crate) type Proposal = (u8, u8, Vec<Vec<u8>>);

/// Payloads of one kind behind one another: each with what is behind its generic header.
fn chain(mut rest: &[u8], kind: u8) -> Vec<&[u8]> {
    let mut out = Vec::new();
    while !rest.is_empty() {
        let length = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
        let more = if rest.len() == length { 0 } else { kind };
        assert_eq!(rest[..2], [more, 0]);
        out.push(&rest[..length]);
        rest = &rest[length..];
    }
    out
}

pub(crate) fn proposals(sa: &[u8]) -> Vec<Proposal> {
    assert_eq!(
        sa[..8],
        [0, 0, 0, 1, 0, 0, 0, 1],
        "IPsec DOI, identity only"
    );
    chain(&sa[8..], 2)
        .into_iter()
        .map(|p| {
            let (number, protocol, spi, count) = (p[4], p[5], usize::from(p[6]), usize::from(p[7]));
            let transforms = chain(&p[8 + spi..], 3);
            assert_eq!(transforms.len(), count);
            (
                number,
                protocol,
                transforms.into_iter().map(<[u8]>::to_vec).collect(),
            )
        })
        .collect()
}

/// The transforms of the only proposal of phase 1.
fn transforms(sa: &[u8]) -> Vec<Vec<u8>> {
    let mut all = proposals(sa);
    assert_eq!((all.len(), all[0].1), (1, 1), "one proposal, of ISAKMP");
    all.remove(0).2
}

fn first_message(profile: &Profile) -> Vec<u8> {
    let (config, peer) = profile.client();
    let server = profile.server(Net::Direct);
    let mut net = pair_of(config, server, Net::Direct, Link::PERFECT, 1);
    let path = client_path(&net.a);
    net.a.endpoint.connect(net.now, path, peer).unwrap();
    net.a.endpoint.poll_transmit().unwrap().payload
}

/// Attributes in words: `lifetype=1 life=3600 enc=7 ...`; `life4` has four bytes.
pub(crate) fn attributes(mut rest: &[u8], names: &[(u8, &str)]) -> String {
    let mut out = String::new();
    while let [a, b, c, d, after @ ..] = rest {
        let name = names
            .iter()
            .find(|(kind, _)| kind == b)
            .map_or("unknown", |n| n.1);
        if *a == 0x80 {
            out += &format!(" {name}={}", u16::from_be_bytes([*c, *d]));
            rest = after;
        } else {
            assert_eq!([*a, *c, *d], [0, 0, 4]);
            let value = u32::from_be_bytes(after[..4].try_into().unwrap());
            out += &format!(" {name}4={value}");
            rest = &after[4..];
        }
    }
    assert!(rest.is_empty());
    out
}

/// RFC 2409 appendix A.
const PHASE1: [(u8, &str); 7] = [
    (1, "enc"),
    (2, "hash"),
    (3, "auth"),
    (4, "group"),
    (11, "lifetype"),
    (12, "life"),
    (14, "keylen"),
];

/// A transform of phase 1 in words, after its number.
fn words(transform: &[u8]) -> String {
    assert_eq!(transform[5..8], [1, 0, 0], "KEY_IKE");
    transform[4].to_string() + &attributes(&transform[8..], &PHASE1)
}

fn offer(profile: &Profile) -> Vec<String> {
    let message = first_message(profile);
    transforms(&payloads(&message)[0].1)
        .iter()
        .map(|t| words(t))
        .collect()
}

/// Order of payloads, and each vendor ID.
#[test]
fn first_messages_have_the_vendor_ids_in_order() {
    for profile in profiles() {
        let message = first_message(&profile);
        assert_eq!(message[17..24], [0x10, 2, 0, 0, 0, 0, 0], "main mode");
        let payloads = payloads(&message);
        assert_eq!(payloads[0].0, 1, "{}", profile.name);
        let sent: Vec<_> = payloads[1..]
            .iter()
            .map(|(kind, body)| {
                assert_eq!(*kind, 13, "{}", profile.name);
                body.clone()
            })
            .collect();
        let expected: Vec<_> = profile.vendor_ids.iter().map(|v| unhex(v)).collect();
        assert_eq!(sent, expected, "{}", profile.name);
    }
}

#[test]
fn windows_xp_offers_3des_and_des_with_lifetimes_in_four_bytes() {
    let profile = profile("Windows XP SP3");
    assert_eq!(
        offer(&profile),
        [
            "1 enc=5 hash=2 group=14 auth=1 lifetype=1 life4=28800",
            "2 enc=5 hash=2 group=2 auth=1 lifetype=1 life4=28800",
            "3 enc=5 hash=1 group=2 auth=1 lifetype=1 life4=28800",
            "4 enc=1 hash=2 group=1 auth=1 lifetype=1 life4=28800",
            "5 enc=1 hash=1 group=1 auth=1 lifetype=1 life4=28800",
        ]
    );
    let life = unhex("000c000400007080");
    assert!(first_message(&profile).windows(8).any(|w| w == life));
    // No RFC 3947, no DPD.
    for absent in [vid::RFC_3947, vid::DPD] {
        assert!(!profile.vendor_ids.contains(&absent));
    }
}

#[test]
fn windows_vista_and_later_offer_curves_first() {
    for name in ["Windows 7", "Windows 10 and 11"] {
        assert_eq!(
            offer(&profile(name)),
            [
                "1 enc=7 keylen=256 hash=2 group=20 auth=1 lifetype=1 life4=28800",
                "2 enc=7 keylen=128 hash=2 group=19 auth=1 lifetype=1 life4=28800",
                "3 enc=7 keylen=256 hash=2 group=14 auth=1 lifetype=1 life4=28800",
                "4 enc=5 hash=2 group=14 auth=1 lifetype=1 life4=28800",
                "5 enc=5 hash=2 group=2 auth=1 lifetype=1 life4=28800",
            ]
        );
    }
    assert_eq!(profile("Windows 7").vendor_ids.len(), 7);
    let message = first_message(&profile("Windows 10 and 11"));
    assert_eq!(message.len(), 408);
    let Some(text) = simnet::corpus::read("isakmp/windows10-mm1.hex") else {
        return;
    };
    let text = String::from_utf8(text).unwrap();
    let digits: String = text.lines().filter(|l| !l.starts_with('#')).collect();
    assert_eq!(message[8..], unhex(&digits)[8..], "all but the cookie");
}

#[test]
fn apple_offers_fourteen_transforms_for_an_hour() {
    let profile = profile("macOS and iOS");
    let offer = offer(&profile);
    assert_eq!(offer.len(), 14);
    let expected = |number, enc, hash, group| {
        format!("{number} lifetype=1 life=3600 {enc} auth=1 hash={hash} group={group}")
    };
    let (aes, aes128, des3) = ("enc=7 keylen=256", "enc=7 keylen=128", "enc=5");
    let all = [
        (aes, 4, 14),
        (aes, 2, 14),
        (aes, 1, 14),
        (aes, 6, 14),
        (aes, 4, 5),
        (aes, 2, 5),
        (aes, 1, 5),
        (aes, 4, 2),
        (aes, 2, 2),
        (aes, 1, 2),
        (aes128, 2, 2),
        (aes128, 1, 2),
        (des3, 2, 2),
        (des3, 1, 2),
    ];
    for (index, (enc, hash, group)) in all.into_iter().enumerate() {
        assert_eq!(offer[index], expected(index + 1, enc, hash, group));
    }
    let length = first_message(&profile).len();
    assert!((700..=850).contains(&length), "{length}");
}

/// The capture is of an Android with XAUTH: but for the authentication method its transforms are
/// the same.
#[test]
fn android_offers_what_was_captured_of_it() {
    let profile = profile("Android 11");
    let offer = offer(&profile);
    assert_eq!(offer.len(), 12);
    assert_eq!(
        offer[0],
        "1 lifetype=1 life=28800 enc=7 keylen=256 auth=1 hash=4 group=2"
    );
    assert_eq!(
        offer[11],
        "12 lifetype=1 life=28800 enc=1 auth=1 hash=1 group=2"
    );
    let Some(file) = simnet::corpus::read("isakmp/wireshark-mm-xauth-qm.pcapng") else {
        return;
    };
    let sa = &payloads(&first_message(&profile))[0].1;
    for transform in transforms(sa) {
        let mut captured = transform.clone();
        let at = captured
            .windows(4)
            .position(|w| w == [0x80, 3, 0, 1])
            .unwrap();
        captured[at + 2..at + 4].copy_from_slice(&65_001_u16.to_be_bytes());
        assert!(file.windows(captured.len()).any(|w| w == captured));
    }
}

#[test]
fn router_os_offers_a_day_which_takes_four_bytes() {
    assert_eq!(
        offer(&profile("RouterOS")),
        [
            "1 lifetype=1 life4=86400 enc=7 keylen=128 auth=1 hash=2 group=14",
            "2 lifetype=1 life4=86400 enc=7 keylen=128 auth=1 hash=2 group=2",
            "3 lifetype=1 life4=86400 enc=5 auth=1 hash=2 group=14",
            "4 lifetype=1 life4=86400 enc=5 auth=1 hash=2 group=2",
        ]
    );
}

#[test]
fn strongswan_counts_its_proposal_from_0_and_has_short_lifetimes() {
    let offer_of = |name| offer(&profile(name));
    let chrome = offer_of("ChromeOS");
    assert_eq!(
        chrome,
        [
            "1 enc=7 keylen=128 hash=4 group=15 auth=1 lifetype=1 life=10800",
            "2 enc=7 keylen=128 hash=2 group=14 auth=1 lifetype=1 life=10800",
            "3 enc=5 hash=2 group=5 auth=1 lifetype=1 life=10800",
            "4 enc=5 hash=2 group=2 auth=1 lifetype=1 life=10800",
        ]
    );
    assert_eq!(offer_of("NetworkManager-l2tp with strongSwan").len(), 11);
    // With the proposal of the captured one, all of its first message.
    let Some(file) = simnet::corpus::read("isakmp/rub-mm-psk-complete.pcapng") else {
        return;
    };
    let mut captured = profile("ChromeOS");
    captured.phase1 = &["aes128-sha1-modp1024"];
    captured.phase1_seconds = 3600;
    let message = first_message(&captured);
    assert!(
        file.windows(message.len() - 16)
            .any(|w| w == &message[16..])
    );
}

#[test]
fn libreswan_puts_the_key_length_last_and_counts_from_0() {
    let offer = offer(&profile("NetworkManager-l2tp with Libreswan"));
    assert_eq!(
        offer[0],
        "0 lifetype=1 life=28800 enc=7 hash=4 auth=1 group=14 keylen=256"
    );
    assert_eq!(
        offer[6],
        "6 lifetype=1 life=28800 enc=5 hash=2 auth=1 group=14"
    );
    assert!(
        offer
            .iter()
            .all(|t| !t.contains("group=2 ") && !t.ends_with("group=2"))
    );
}

/// Message 5 of those that say INITIAL-CONTACT is longer by its notification of 28 bytes, in whole blocks.
#[test]
fn initial_contact_is_said_by_all_but_windows() {
    for profile in profiles() {
        let length_with = |initial_contact| {
            let (mut config, peer) = profile.client();
            config.habits.initial_contact = initial_contact;
            let server = profile.server(Net::Direct);
            let mut net = pair_of(config, server, Net::Direct, Link::PERFECT, 2);
            let path = client_path(&net.a);
            net.a.endpoint.connect(net.now, path, peer).unwrap();
            assert!(common::established(&mut net, 1));
            net.a.sent[2].2.len()
        };
        let (with, without) = (length_with(true), length_with(false));
        assert!((16..=32).contains(&(with - without)), "{}", profile.name);
        let own = length_with(profile.initial_contact);
        assert_eq!(own == without, profile.name.contains("Windows"));
    }
}

/// Windows counts its quick modes; two of them behind one NAT have the same message IDs.
#[test]
fn windows_counts_its_quick_modes() {
    for (name, counted) in [("Windows 10 and 11", true), ("macOS and iOS", false)] {
        let profile = profile(name);
        let (config, peer) = profile.client();
        let server = profile.server(Net::ClientNat);
        let mut net = pair_of(config, server, Net::ClientNat, Link::PERFECT, 3);
        let path = client_path(&net.a);
        net.a.endpoint.connect(net.now, path, peer).unwrap();
        assert!(common::established(&mut net, 1));
        let is_child = |e: &Event| match e {
            Event::ChildEstablished(child) => Some(child.sa),
            _ => None,
        };
        let sa = net.a.events.iter().find_map(is_child).unwrap();
        let now = net.now;
        let request = isakmp::ChildRequest::l2tp();
        net.a.endpoint.open_child(now, sa, request).unwrap();
        net.run_for(Duration::from_secs(1));
        let ids: Vec<_> = net
            .a
            .sent
            .iter()
            .map(|p| p.2.strip_prefix(&[0; 4]).unwrap_or(&p.2))
            .filter(|m| m.get(18) == Some(&32))
            .map(|m| u32::from_be_bytes(m[20..24].try_into().unwrap()))
            .collect();
        assert_eq!(ids == [1, 1, 2, 2], counted, "{ids:?}");
    }
}

/// The vendor IDs of message 2.
fn answered(profile: &Profile, vendor_ids: isakmp::VendorIds) -> Vec<Vec<u8>> {
    let (config, peer) = profile.client();
    let mut server = profile.server(Net::Direct);
    server.vendor_ids = vendor_ids;
    let mut net = pair_of(config, server, Net::Direct, Link::PERFECT, 5);
    let path = client_path(&net.a);
    net.a.endpoint.connect(net.now, path, peer).unwrap();
    net.run_until(Duration::from_secs(1), |_, b| !b.sent.is_empty());
    let mut payloads = payloads(&net.b.sent[0].2);
    assert_eq!(payloads.remove(0).0, 1, "SA");
    assert!(payloads.iter().all(|p| p.0 == 13), "{}", profile.name);
    payloads.into_iter().map(|p| p.1).collect()
}

/// Vendor IDs broke Windows for a week (KB5009543): a responder names what it has chosen, nothing
/// that says who it is, and never two dialects.
#[test]
fn a_responder_answers_what_it_has_chosen_and_no_more() {
    use isakmp::VendorIds;
    for profile in profiles() {
        let offered = |id: &str| profile.vendor_ids.contains(&id);
        let dialect = profile.dialects.iter().min().unwrap();
        let mut minimal = vec![dialect.vendor_id().to_vec()];
        minimal.extend(offered(vid::DPD).then(|| unhex(vid::DPD)));
        for fragmentation in [vid::FRAGMENTATION, vid::FRAGMENTATION_8] {
            minimal.extend(offered(fragmentation).then(|| unhex(fragmentation)));
        }
        let context = profile.name;
        assert_eq!(answered(&profile, VendorIds::Minimal), minimal, "{context}");
        assert!(answered(&profile, VendorIds::None).is_empty(), "{context}");
        let full = answered(&profile, VendorIds::Full);
        assert_eq!(full.len(), 3, "{context}");
        assert!(minimal.iter().all(|id| full.contains(id)), "{context}");
    }
}
