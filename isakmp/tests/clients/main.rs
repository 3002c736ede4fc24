//! The clients people have: their proposals, vendor IDs, NAT traversal dialect, identities and
//! habits, each from four places; and what they put on the wire, byte by byte.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "../common/mod.rs"]
mod common;

mod profiles;
mod quick;
mod wire;

use common::{Net, children, client_path, pair_of};
use isakmp::{ChildRequest, Event};
use profiles::{Profile, profile, profiles};
use simnet::Link;
use std::time::Duration;

impl Profile {
    fn server(&self, place: Net) -> isakmp::Config {
        let mut config = common::server_config();
        config.policy = (self.policy)();
        config.nat_d_mirror = place.server();
        config
    }
}

const PLACES: [Net; 4] = [Net::Direct, Net::ClientNat, Net::ServerNat, Net::BothNat];

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
            // Unlimited is too much for blocks of 64 bits.
            let short = profile.chosen.1.contains("des").then_some(4 << 20);
            let kilobytes = profile.child_lifetime.kilobytes.or(short);
            assert_eq!(server[0].lifetime.kilobytes, kilobytes, "{context}");
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
    let mut net = connected(&profile("Windows 10 and 11"), 900);
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
    let mut profile = profile("Android 11");
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
