//! First messages of quick mode as they stand on the wire, decrypted with what the server logs for
//! Wireshark and read by a parser of the test's own.
//!
//! Where the orders come from: racoon and strongSwan from captures that decrypt (`offer.rs` makes
//! the captured payloads byte for byte), pluto from its published source and logs. For Windows
//! there is neither: that each suite is a proposal of its own, followed by what nobody takes, is
//! in its documentation, the order of attributes is general knowledge.

use crate::common::{self, Net, client_path, pair_of};
use crate::profiles::{Profile, profile, profiles};
use crate::wire::{attributes, payloads_of, proposals};
use cbc::cipher::{BlockCipherDecrypt, BlockModeDecrypt, KeyInit, KeyIvInit, array::Array};
use isakmp::Event;
use sha1::Digest;
use simnet::Link;

/// RFC 2407 section 4.5.
const CHILD: [(u8, &str); 6] = [
    (1, "lifetype"),
    (2, "life"),
    (3, "group"),
    (4, "mode"),
    (5, "auth"),
    (6, "keylen"),
];

fn cbc<C: BlockCipherDecrypt + KeyInit>(key: &[u8], iv: &[u8], text: &mut [u8]) {
    let decryptor = cbc::Decryptor::<C>::new_from_slices(key, &iv[..C::block_size()]);
    let (blocks, rest) = Array::slice_as_chunks_mut(text);
    assert!(rest.is_empty());
    decryptor.unwrap().decrypt_blocks(blocks);
}

/// Payloads of the first quick mode message, without HASH.
fn first_quick(profile: &Profile, place: Net) -> Vec<(u8, Vec<u8>)> {
    let (config, peer) = profile.client();
    let mut server = profile.server(place);
    server.key_log = true;
    let mut net = pair_of(config, server, place, Link::PERFECT, 4);
    let path = client_path(&net.a);
    net.a.endpoint.connect(net.now, path, peer).unwrap();
    assert!(common::established(&mut net, 1), "{}", profile.name);
    let line = |e: &Event| match e {
        Event::KeyLog(line) => Some(line.encryption_key().to_vec()),
        _ => None,
    };
    let key = net.b.events.iter().find_map(line).unwrap();
    let bare = |p: &common::Packet| p.2.strip_prefix(&[0; 4]).unwrap_or(&p.2).to_vec();
    let last: Vec<_> = net.b.sent.iter().map(bare).filter(|m| m[18] == 2).collect();
    let quick: Vec<_> = net
        .a
        .sent
        .iter()
        .map(bare)
        .filter(|m| m[18] == 32)
        .collect();
    let (last, quick) = (last.last().unwrap(), &quick[0]);
    // RFC 2409 appendix B: the last block of phase 1 and the message ID.
    let (suite, mut text) = (profile.chosen.0, quick[28..].to_vec());
    let block = if suite.contains("des") { 8 } else { 16 };
    let input = [&last[last.len() - block..], &quick[20..24]].concat();
    let iv = match suite.split('-').nth(1) {
        Some("md5") => md5::Md5::digest(&input).to_vec(),
        Some("sha1") => sha1::Sha1::digest(&input).to_vec(),
        _ => sha2::Sha256::digest(&input).to_vec(),
    };
    match suite.split('-').next() {
        Some("des") => cbc::<des::Des>(&key, &iv, &mut text),
        Some("3des") => cbc::<des::TdesEde3>(&key, &iv, &mut text),
        Some("aes128") => cbc::<aes::Aes128>(&key, &iv, &mut text),
        Some("aes192") => cbc::<aes::Aes192>(&key, &iv, &mut text),
        _ => cbc::<aes::Aes256>(&key, &iv, &mut text),
    }
    let (mut payloads, padding) = payloads_of(quick[16], &text);
    assert!(padding.len() < 2 * block);
    assert_eq!(payloads.remove(0).0, 8, "HASH");
    payloads
}

/// Each transform in words: proposal, protocol, transform, algorithm, attributes.
fn offer(profile: &Profile, place: Net) -> Vec<String> {
    let all = first_quick(profile, place);
    assert_eq!(all[0].0, 1, "SA");
    let all = proposals(&all[0].1);
    let words = |number: u8, protocol, t: &Vec<u8>| {
        let protocol = if protocol == 3 { "ESP" } else { "AH" };
        let attributes = attributes(&t[8..], &CHILD);
        format!("{number} {protocol} {} id={}{attributes}", t[4], t[5])
    };
    all.iter()
        .flat_map(|(number, protocol, transforms)| {
            transforms.iter().map(move |t| words(*number, *protocol, t))
        })
        .collect()
}

#[test]
fn windows_xp_offers_each_suite_apart_then_what_nobody_takes() {
    let lives = "lifetype=1 life4=3600 lifetype=2 life4=250000 mode=61444";
    let offer = offer(&profile("Windows XP SP3"), Net::ClientNat);
    assert_eq!(
        offer,
        [
            format!("1 ESP 1 id=3 {lives} auth=1"),
            format!("2 ESP 1 id=3 {lives} auth=2"),
            format!("3 ESP 1 id=2 {lives} auth=1"),
            format!("4 ESP 1 id=2 {lives} auth=2"),
            format!("5 AH 1 id=3 {lives} auth=2"),
            format!("5 ESP 1 id=3 {lives} auth=1"),
            format!("6 AH 1 id=3 {lives} auth=2"),
            format!("7 ESP 1 id=11 {lives} auth=2"),
        ]
    );
}

#[test]
fn windows_vista_and_later_put_algorithms_before_lifetimes() {
    let lives = "lifetype=1 life4=3600 lifetype=2 life4=250000";
    for name in ["Windows 7", "Windows 10 and 11"] {
        for (place, mode) in [(Net::Direct, 2), (Net::ClientNat, 4)] {
            let offer = offer(&profile(name), place);
            assert_eq!(
                offer,
                [
                    format!("1 ESP 1 id=12 mode={mode} keylen=256 auth=2 {lives}"),
                    format!("2 ESP 1 id=12 mode={mode} keylen=128 auth=2 {lives}"),
                    format!("3 ESP 1 id=3 mode={mode} auth=2 {lives}"),
                    format!("4 ESP 1 id=2 mode={mode} auth=2 {lives}"),
                    format!("5 AH 1 id=3 mode={mode} auth=2 {lives}"),
                    format!("5 ESP 1 id=12 mode={mode} keylen=256 auth=2 {lives}"),
                    format!("6 AH 1 id=3 mode={mode} auth=2 {lives}"),
                    format!("7 ESP 1 id=11 mode={mode} auth=2 {lives}"),
                ]
            );
        }
    }
}

/// Lifetime, mode, key length, integrity; numbers as the captured ones of an Android.
#[test]
fn racoon_puts_lifetimes_first_and_the_group_last() {
    let ciphers: [(u8, &str); 4] = [(12, " keylen=256"), (12, " keylen=128"), (3, ""), (2, "")];
    for (name, count, seconds) in [("macOS and iOS", 3, 3600), ("Android 11", 4, 28_800)] {
        let mut expected = Vec::new();
        for (id, keylen) in &ciphers[..count] {
            for auth in [5, 2, 1] {
                let number = expected.len() + 1;
                expected.push(format!(
                    "1 ESP {number} id={id} lifetype=1 life={seconds} mode=4{keylen} auth={auth}"
                ));
            }
        }
        assert_eq!(offer(&profile(name), Net::ClientNat), expected, "{name}");
    }
    assert_eq!(
        offer(&profile("RouterOS"), Net::Direct),
        [
            "1 ESP 1 id=12 lifetype=1 life=1800 mode=2 keylen=256 auth=2 group=2",
            "1 ESP 2 id=12 lifetype=1 life=1800 mode=2 keylen=192 auth=2 group=2",
            "1 ESP 3 id=12 lifetype=1 life=1800 mode=2 keylen=128 auth=2 group=2",
        ]
    );
}

#[test]
fn strongswan_counts_its_quick_proposal_from_0_and_puts_lifetimes_last() {
    assert_eq!(
        offer(&profile("ChromeOS"), Net::ClientNat),
        [
            "0 ESP 1 id=20 keylen=128 mode=4 lifetype=1 life=3600",
            "0 ESP 2 id=12 keylen=128 auth=5 mode=4 lifetype=1 life=3600",
            "0 ESP 3 id=12 keylen=128 auth=2 mode=4 lifetype=1 life=3600",
            "0 ESP 4 id=3 auth=2 mode=4 lifetype=1 life=3600",
            "0 ESP 5 id=3 auth=1 mode=4 lifetype=1 life=3600",
        ]
    );
    let name = "NetworkManager-l2tp with strongSwan";
    assert_eq!(
        offer(&profile(name), Net::Direct),
        [
            "0 ESP 1 id=12 keylen=256 auth=2 mode=2 lifetype=1 life=3600",
            "0 ESP 2 id=12 keylen=128 auth=2 mode=2 lifetype=1 life=3600",
            "0 ESP 3 id=3 auth=2 mode=2 lifetype=1 life=3600",
        ]
    );
}

#[test]
fn libreswan_counts_from_0_and_puts_the_key_length_last() {
    let mut profile = profile("NetworkManager-l2tp with Libreswan");
    assert_eq!(
        offer(&profile, Net::ClientNat),
        [
            "0 ESP 0 id=12 mode=4 lifetype=1 life=3600 auth=2 keylen=256",
            "0 ESP 1 id=12 mode=4 lifetype=1 life=3600 auth=2 keylen=128",
            "0 ESP 2 id=3 mode=4 lifetype=1 life=3600 auth=2",
        ]
    );
    profile.pfs = Some(isakmp::Group::Modp1536);
    assert_eq!(
        offer(&profile, Net::Direct)[0],
        "0 ESP 0 id=12 group=5 mode=2 lifetype=1 life=3600 auth=2 keylen=256"
    );
}

/// SA, nonce, KE if there is PFS, IDs with protocol and port, as many NAT-OA as the dialect has.
#[test]
fn quick_modes_have_their_payloads_in_order() {
    for profile in profiles() {
        for place in [Net::Direct, Net::ClientNat] {
            let payloads = first_quick(&profile, place);
            let dialect = profile.dialects.iter().min().unwrap();
            let mut expected = vec![1, 10];
            expected.extend(profile.pfs.map(|_| 4));
            expected.extend([5, 5]);
            if place == Net::ClientNat {
                expected.extend(vec![dialect.nat_oa_payload(); dialect.nat_oa_count()]);
            }
            let kinds: Vec<_> = payloads.iter().map(|p| p.0).collect();
            assert_eq!(kinds, expected, "{} {place:?}", profile.name);
            let ids: Vec<_> = payloads.iter().filter(|p| p.0 == 5).map(|p| &p.1).collect();
            let port = |id: &[u8]| (id[1], u16::from_be_bytes([id[2], id[3]]));
            assert_eq!(port(ids[0]), (17, profile.local_port), "{}", profile.name);
            assert_eq!(port(ids[1]), (17, 1701), "{}", profile.name);
            let kind = if profile.identity.is_some() { 2 } else { 1 };
            assert_eq!((ids[0][0], ids[1][0]), (kind, 1), "{}", profile.name);
        }
    }
}
