//! The clients people have: their proposals, vendor IDs, NAT traversal dialect, identities and
//! habits, each from five places.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{Net, children, client_path, pair_of, server_config};
use isakmp::{
    ChildRequest, Config, Event, Identity, Lifetime, Peer, PeerSoftware, Policy, PresharedKey,
};
use natt::Dialect;
use simnet::Link;
use std::time::Duration;

const PLACES: [Net; 4] = [Net::Direct, Net::ClientNat, Net::ServerNat, Net::BothNat];

/// How a client differs from ours.
struct Profile {
    name: &'static str,
    phase1: &'static [&'static str],
    child: &'static [&'static str],
    dialects: &'static [Dialect],
    vendor_ids: &'static [&'static str],
    dpd_and_fragmentation: bool,
    phase1_seconds: u64,
    child_lifetime: Lifetime,
    local_port: u16,
    pfs: Option<isakmp::Group>,
    identity: Option<&'static str>,
    policy: fn() -> Policy,
    /// What is chosen of its offers.
    chosen: (&'static str, &'static str),
    software: PeerSoftware,
}

const BASE: Profile = Profile {
    name: "",
    phase1: &[],
    child: &["aes256-sha1", "aes128-sha1", "3des-sha1"],
    dialects: &[Dialect::Rfc3947, Dialect::Draft02Newline],
    vendor_ids: &[],
    dpd_and_fragmentation: true,
    phase1_seconds: 28_800,
    child_lifetime: Lifetime {
        seconds: 3600,
        kilobytes: None,
    },
    local_port: 1701,
    pfs: None,
    identity: None,
    policy: Policy::compat,
    chosen: ("", "aes256-sha1"),
    software: PeerSoftware::Unknown,
};

const MICROSOFT: [&str; 4] = [
    "26244d38eddb61b3172a36e3d0cfb819",
    "fb1de3cdf341b7ea16b7e5be0855f120",
    "e3a5966a76379fe707228231e5ce8652",
    "4048b7d56ebce88525e7de7f00d6c2d3",
];

fn profiles() -> Vec<Profile> {
    let windows = Lifetime {
        seconds: 3600,
        kilobytes: Some(250_000),
    };
    let vista = &[
        "aes256-sha1-ecp384",
        "aes128-sha1-ecp256",
        "aes256-sha1-modp2048",
        "3des-sha1-modp2048",
        "3des-sha1-modp1024",
    ];
    vec![
        Profile {
            name: "Windows XP SP3",
            phase1: &[
                "3des-sha1-modp2048",
                "3des-sha1-modp1024",
                "3des-md5-modp1024",
                "des-sha1-modp768",
                "des-md5-modp768",
            ],
            child: &["3des-md5", "3des-sha1", "des-md5", "des-sha1"],
            dialects: &[Dialect::Draft02Newline],
            vendor_ids: &[
                "1e2b516905991c7d7c96fcbfb587e46100000004",
                "26244d38eddb61b3172a36e3d0cfb819",
            ],
            dpd_and_fragmentation: false,
            child_lifetime: windows,
            policy: Policy::legacy_xp,
            chosen: ("3des-sha1-modp2048", "3des-sha1"),
            software: PeerSoftware::Windows,
            ..BASE
        },
        Profile {
            name: "Windows XP, only what it had at first",
            phase1: &["des-md5-modp768"],
            child: &["des-md5"],
            dialects: &[Dialect::Draft02Newline],
            vendor_ids: &["1e2b516905991c7d7c96fcbfb587e46100000003"],
            dpd_and_fragmentation: false,
            child_lifetime: windows,
            identity: Some("xp-laptop"),
            policy: Policy::legacy_xp,
            chosen: ("des-md5-modp768", "des-md5"),
            software: PeerSoftware::Windows,
            ..BASE
        },
        Profile {
            name: "Windows 7",
            phase1: vista,
            vendor_ids: &[
                "1e2b516905991c7d7c96fcbfb587e46100000008",
                MICROSOFT[3],
                MICROSOFT[1],
                MICROSOFT[0],
                MICROSOFT[2],
            ],
            dpd_and_fragmentation: false,
            child_lifetime: windows,
            chosen: ("aes256-sha1-ecp384", "aes256-sha1"),
            software: PeerSoftware::Windows,
            ..BASE
        },
        Profile {
            name: "Windows 10 and 11",
            phase1: vista,
            vendor_ids: &[
                "01528bbbc00696121849ab9a1c5b2a5100000001",
                "1e2b516905991c7d7c96fcbfb587e46100000009",
                MICROSOFT[3],
                MICROSOFT[1],
                MICROSOFT[0],
                MICROSOFT[2],
            ],
            dpd_and_fragmentation: false,
            child_lifetime: windows,
            chosen: ("aes256-sha1-ecp384", "aes256-sha1"),
            software: PeerSoftware::Windows,
            ..BASE
        },
        Profile {
            name: "macOS and iOS",
            phase1: &[
                "aes256-sha256-modp2048",
                "aes256-sha1-modp2048",
                "aes256-md5-modp2048",
                "aes256-sha512-modp2048",
                "aes256-sha256-modp1536",
                "aes256-sha1-modp1536",
                "aes256-md5-modp1536",
                "aes256-sha256-modp1024",
                "aes256-sha1-modp1024",
                "aes256-md5-modp1024",
                "aes128-sha1-modp1024",
                "aes128-md5-modp1024",
                "3des-sha1-modp1024",
                "3des-md5-modp1024",
            ],
            child: &[
                "aes256-sha256",
                "aes256-sha1",
                "aes256-md5",
                "aes128-sha256",
                "aes128-sha1",
                "aes128-md5",
                "3des-sha256",
                "3des-sha1",
                "3des-md5",
            ],
            dialects: &[
                Dialect::Rfc3947,
                Dialect::Apple,
                Dialect::Draft08,
                Dialect::Draft07,
                Dialect::Draft06,
                Dialect::Draft05,
                Dialect::Draft04,
                Dialect::Draft03,
                Dialect::Draft02,
                Dialect::Draft02Newline,
            ],
            phase1_seconds: 3600,
            local_port: 54_321,
            chosen: ("aes256-sha256-modp2048", "aes256-sha1"),
            software: PeerSoftware::Apple,
            ..BASE
        },
        Profile {
            name: "old Apple, drafts 04 to 08 only",
            phase1: &["aes256-sha1-modp1024"],
            dialects: &[Dialect::Apple, Dialect::Draft08, Dialect::Draft04],
            local_port: 50_000,
            chosen: ("aes256-sha1-modp1024", "aes256-sha1"),
            software: PeerSoftware::Apple,
            ..BASE
        },
        Profile {
            name: "Android 11",
            phase1: &[
                "aes256-sha256-modp1024",
                "aes256-sha1-modp1024",
                "aes256-md5-modp1024",
                "aes128-sha256-modp1024",
                "aes128-sha1-modp1024",
                "aes128-md5-modp1024",
                "3des-sha256-modp1024",
                "3des-sha1-modp1024",
                "3des-md5-modp1024",
                "des-sha256-modp1024",
                "des-sha1-modp1024",
                "des-md5-modp1024",
            ],
            child: &[
                "aes256-sha256",
                "aes256-sha1",
                "aes256-md5",
                "aes128-sha256",
                "aes128-sha1",
                "3des-sha1",
                "des-sha1",
            ],
            dialects: &[Dialect::Rfc3947, Dialect::Draft02, Dialect::Draft02Newline],
            vendor_ids: &["4485152d18b6bbcd0be8a8469579ddcc"],
            child_lifetime: Lifetime {
                seconds: 28_800,
                kilobytes: None,
            },
            local_port: 0,
            chosen: ("aes256-sha256-modp1024", "aes256-sha1"),
            software: PeerSoftware::Android,
            ..BASE
        },
        Profile {
            name: "ChromeOS",
            phase1: &[
                "aes128-sha256-modp3072",
                "aes128-sha1-modp2048",
                "3des-sha1-modp1536",
                "3des-sha1-modp1024",
            ],
            child: &[
                "aes128gcm16",
                "aes128-sha256",
                "aes128-sha1",
                "3des-sha1",
                "3des-md5",
            ],
            vendor_ids: &["09002689dfd6b712"],
            chosen: ("aes128-sha1-modp2048", "aes128gcm16"),
            software: PeerSoftware::StrongSwan,
            ..BASE
        },
        Profile {
            name: "NetworkManager-l2tp",
            phase1: &[
                "aes256-sha256-modp2048",
                "aes256-sha256-modp1536",
                "aes256-sha256-modp1024",
                "aes256-sha1-modp2048",
                "aes256-sha1-modp1536",
                "aes256-sha1-modp1024",
                "aes256-sha1-ecp384",
                "aes128-sha1-modp1024",
                "aes128-sha1-ecp256",
                "3des-sha1-modp2048",
                "3des-sha1-modp1024",
            ],
            vendor_ids: &["09002689dfd6b712"],
            phase1_seconds: 10_800,
            local_port: 0,
            chosen: ("aes256-sha1-ecp384", "aes256-sha1"),
            software: PeerSoftware::StrongSwan,
            ..BASE
        },
        Profile {
            name: "RouterOS",
            phase1: &[
                "aes128-sha1-modp2048",
                "aes128-sha1-modp1024",
                "3des-sha1-modp2048",
                "3des-sha1-modp1024",
            ],
            child: &["aes256-sha1", "aes192-sha1", "aes128-sha1"],
            vendor_ids: &["12f5f28c457168a9702d9fe274cc0100"],
            phase1_seconds: 86_400,
            child_lifetime: Lifetime {
                seconds: 1800,
                kilobytes: None,
            },
            pfs: Some(isakmp::Group::Modp1024),
            chosen: ("aes128-sha1-modp2048", "aes256-sha1"),
            software: PeerSoftware::Cisco,
            ..BASE
        },
        Profile {
            name: "consumer router with AES-192 and draft-03",
            phase1: &["aes192-sha1-modp1536"],
            child: &["aes192-sha1"],
            dialects: &[Dialect::Draft03],
            chosen: ("aes192-sha1-modp1536", "aes192-sha1"),
            ..BASE
        },
        Profile {
            name: "SoftEther",
            phase1: &[
                "aes256-sha1-modp1024",
                "3des-sha1-modp1024",
                "des-md5-modp768",
            ],
            child: &["aes256-sha1", "3des-sha1", "des-md5"],
            dialects: &[
                Dialect::Rfc3947,
                Dialect::Draft03,
                Dialect::Draft02,
                Dialect::Draft02Newline,
            ],
            chosen: ("aes256-sha1-modp1024", "aes256-sha1"),
            ..BASE
        },
    ]
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap())
        .collect()
}

impl Profile {
    fn client(&self) -> (Config, Peer) {
        let mut config = Config::default();
        config.policy = Policy::legacy_xp();
        config.policy.phase1_lifetime = Duration::from_secs(self.phase1_seconds);
        config.policy.child_lifetime = self.child_lifetime;
        config.dialects = self.dialects.to_vec();
        config.more_vendor_ids = self.vendor_ids.iter().map(|v| unhex(v)).collect();
        if !self.dpd_and_fragmentation {
            config.dpd = None;
            config.fragment_size = None;
        }
        let mut peer = Peer::new(PresharedKey::new(common::PSK));
        peer.proposals = self.phase1.iter().map(|p| p.parse().unwrap()).collect();
        peer.child_proposals = self.child.iter().map(|p| p.parse().unwrap()).collect();
        peer.identity = self.identity.map(|name| Identity::Fqdn(name.into()));
        let mut request = ChildRequest::l2tp();
        request.local_port = self.local_port;
        request.pfs = self.pfs;
        request.local = self.identity.map(|name| Identity::Fqdn(name.into()));
        peer.children = vec![request];
        (config, peer)
    }

    fn server(&self, place: Net) -> Config {
        let mut config = server_config();
        config.policy = (self.policy)();
        config.nat_d_mirror = place.server();
        config
    }
}

#[test]
fn every_client_from_every_place() {
    for (seed, profile) in (100..).zip(profiles()) {
        for place in PLACES {
            let (config, peer) = profile.client();
            let mut net = pair_of(config, profile.server(place), place, Link::PERFECT, seed);
            let path = client_path(&net.a);
            net.a.endpoint.connect(net.now, path, peer).unwrap();
            let context = format!("{} {place:?}", profile.name);
            assert!(common::established(&mut net, 1), "{context}");
            let [client, server] = children(&mut net);
            common::assert_matching(&client[0], &server[0], &context);
            assert_eq!(
                server[0].suite,
                profile.chosen.1.parse().unwrap(),
                "{context}"
            );
            assert_eq!(
                server[0].udp_encapsulation,
                place != Net::Direct,
                "{context}"
            );
            assert_eq!(
                server[0].remote_selector.port, profile.local_port,
                "{context}"
            );
            assert_eq!(server[0].local_selector.port, 1701, "{context}");
            let seconds = profile.child_lifetime.seconds.min(3600);
            assert_eq!(server[0].lifetime.seconds, seconds, "{context}");
            assert_eq!(
                server[0].lifetime.kilobytes, profile.child_lifetime.kilobytes,
                "{context}"
            );
            let event = net.b.events.iter().find_map(|e| match e {
                Event::Established {
                    suite,
                    software,
                    dialect,
                    ..
                } => Some((*suite, *software, *dialect)),
                _ => None,
            });
            let (suite, software, dialect) = event.unwrap();
            assert_eq!(suite, profile.chosen.0.parse().unwrap(), "{context}");
            assert_eq!(software, profile.software, "{context}");
            let best = profile.dialects.iter().min().copied();
            assert_eq!(dialect, best, "{context}");
            assert_eq!(
                server[0].nat_oa.is_some(),
                place != Net::Direct && best.unwrap().nat_oa_count() > 0,
                "{context}"
            );
        }
    }
}

#[test]
fn two_of_each_client_with_the_same_address_behind_the_same_nat() {
    for (seed, profile) in (300..).zip(profiles()) {
        let mut first = connected(&profile, seed);
        let mut second = start(&profile, seed + 500);
        second.a.shift += 5000;
        std::mem::swap(&mut first.b, &mut second.b);
        let up = second.run_until(Duration::from_secs(30), |a, b| {
            a.endpoint.child_count() == 1 && b.endpoint.child_count() == 2
        });
        assert!(up, "{}", profile.name);
        second.run_for(Duration::from_secs(2));
        assert_eq!(
            (
                second.b.endpoint.sa_count(),
                second.b.endpoint.child_count()
            ),
            (2, 2),
            "{}",
            profile.name
        );
        let [_, server] = children(&mut second);
        assert_ne!(server[0].path, server[1].path);
        assert_ne!(server[0].inbound_spi, server[1].inbound_spi);
        assert_eq!(server[0].remote_selector, server[1].remote_selector);
        // One leaves, the other stays.
        let [client, _] = children(&mut second);
        let now = second.now;
        second.a.endpoint.close_child(now, client[0].child);
        second.a.endpoint.close(now, client[0].sa);
        second.run_for(Duration::from_secs(1));
        assert_eq!(
            (
                second.b.endpoint.sa_count(),
                second.b.endpoint.child_count()
            ),
            (1, 1),
            "{}",
            profile.name
        );
    }
}

fn start(profile: &Profile, seed: u64) -> simnet::Pair<common::Host, common::Host> {
    let (config, peer) = profile.client();
    let mut net = pair_of(
        config,
        profile.server(Net::ClientNat),
        Net::ClientNat,
        Link::PERFECT,
        seed,
    );
    let path = client_path(&net.a);
    net.a.endpoint.connect(net.now, path, peer).unwrap();
    net
}

fn connected(profile: &Profile, seed: u64) -> simnet::Pair<common::Host, common::Host> {
    let mut net = start(profile, seed);
    assert!(common::established(&mut net, 1), "{}", profile.name);
    net
}

#[test]
fn windows_idle_delete_and_new_quick_mode() {
    let profiles = profiles();
    let mut net = connected(&profiles[3], 900);
    let [client, _] = children(&mut net);
    let now = net.now;
    net.a.endpoint.close_child(now, client[0].child);
    net.run_for(Duration::from_secs(1));
    assert_eq!(net.b.endpoint.child_count(), 0);
    let now = net.now;
    net.a
        .endpoint
        .open_child(now, client[0].sa, ChildRequest::l2tp())
        .unwrap();
    assert!(common::established(&mut net, 1));
}

#[test]
fn old_android_truncates_sha_256_to_96_bits() {
    let mut profile = profiles().remove(6);
    profile.child = &["aes256-sha256"];
    let (config, peer) = profile.client();
    let mut server = profile.server(Net::ClientNat);
    server.sha256_96 = vec![isakmp::PeerMatch::Prefix("192.0.2.0".parse().unwrap(), 24)];
    let mut net = pair_of(config, server, Net::ClientNat, Link::PERFECT, 901);
    let path = client_path(&net.a);
    net.a.endpoint.connect(net.now, path, peer).unwrap();
    assert!(common::established(&mut net, 1));
    let [_, server] = children(&mut net);
    assert_eq!(server[0].suite, "aes256-sha256_96".parse().unwrap());
}
