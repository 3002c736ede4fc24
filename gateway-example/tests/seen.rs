//! What people see of a gateway: its log, its captures, its metrics, and its firewall's answers.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod common;
mod office;

use common::office as configuration;
use gateway_example::core::Core as _;
use gateway_example::metrics::Exposition;
use office::{OFFICE, Office, udp};
use simnet::{HostId, Link};
use std::net::Ipv4Addr;
use std::time::Duration;

const ANN: ([u8; 4], (&str, &str)) = ([203, 0, 113, 9], ("ann", "secret"));

fn connected(more: &str, mru: u16, seed: u64) -> (Office, HostId) {
    let mut office = Office::with(configuration(more), Link::PERFECT, seed);
    let (address, user) = ANN;
    let ann = office.warrior(address, None, user, |config| config.mru = mru);
    office.connected(ann);
    (office, ann)
}

fn lines(office: &mut Office, pattern: &str) -> Vec<String> {
    let gateway = office.gateway;
    let log = office.world.host(gateway).log.iter();
    let lines = log.map(|(_, text)| text);
    lines
        .filter(|text| text.contains(pattern))
        .cloned()
        .collect()
}

#[test]
fn each_sa_with_weak_algorithms_is_one_warning() {
    let cases = [
        (
            "des-md5-modp768",
            "des-md5",
            "weak=DES,MD5,MODP-768",
            "weak=DES,MD5",
        ),
        (
            "aes128-sha1-modp1024",
            "3des-md5",
            "weak=MODP-1024",
            "weak=MD5",
        ),
        (
            "3des-sha1-modp2048",
            "3des-sha1",
            "dated=3DES",
            "dated=3DES",
        ),
        ("aes256-sha1-modp2048", "aes256-sha1", "", ""),
    ];
    for (seed, (ike, esp, of_ike, of_esp)) in (60..).zip(cases) {
        let mut office = Office::new(Link::PERFECT, seed);
        let (address, user) = ANN;
        let ann = office.warrior(address, None, user, |config| {
            config.ike = vec![ike.into()];
            config.esp = vec![esp.into()];
        });
        office.connected(ann);
        let said = lines(&mut office, "algorithms suite=");
        let expected = [of_ike, of_esp].into_iter().filter(|text| !text.is_empty());
        let expected: Vec<_> = expected.collect();
        assert_eq!(said.len(), expected.len(), "{said:?}");
        for (said, expected) in said.iter().zip(expected) {
            assert!(said.ends_with(expected), "{said}");
        }
    }
}

#[test]
fn a_capture_gets_every_encrypted_ike_message_in_the_clear() {
    let mut office = Office::new(Link::PERFECT, 70);
    let gateway = office.gateway;
    office
        .world
        .host(gateway)
        .gateway()
        .set_plain_messages(true);
    let (address, user) = ANN;
    let ann = office.warrior(address, None, user, |_| {});
    office.connected(ann);
    let plain = std::mem::take(&mut office.world.host(gateway).plain);
    // Exchange type and first payload (RFC 2408 3.1, 3.4): message 5 and 6 of main mode begin with
    // the identity, quick mode with its hash.
    let kinds: Vec<_> = plain.iter().map(|(out, m)| (*out, m[18], m[16])).collect();
    let expected = [
        (false, 2, 5),
        (true, 2, 5),
        (false, 32, 8),
        (true, 32, 8),
        (false, 32, 8),
    ];
    assert_eq!(kinds, expected);
    for (_, message) in &plain {
        assert_eq!(message[19], 0, "the encryption flag");
        let length = u32::from_be_bytes(*message[24..].first_chunk().unwrap());
        assert_eq!(usize::try_from(length).unwrap(), message.len());
    }
    // The identity: an address, and it is the client's.
    let (_, fifth) = &plain[0];
    assert_eq!(fifth[28 + 4], 1);
    assert_eq!(fifth[28 + 8..28 + 12], address);
    office
        .world
        .host(gateway)
        .gateway()
        .set_plain_messages(false);
    let now = office.world.now;
    office.world.host(ann).client().shutdown(now);
    office.world.run_for(Duration::from_secs(5));
    assert!(office.world.host(gateway).plain.is_empty());
}

#[test]
fn who_may_not_or_cannot_reach_a_host_is_told() {
    let rules = "[[firewall.rule]]\naction = \"deny\"\nfrom = \"clients\"\nprotocol = \"udp\"\nports = \"7\"\ndestination = \"192.168.8.66\"";
    let (mut office, ann) = connected(rules, 1400, 71);
    let address = office.world.host(ann).address.unwrap();
    for (to, code) in [([10, 9, 9, 9], 0), ([192, 168, 8, 66], 13)] {
        let now = office.world.now;
        let packet = udp(address, to.into(), b"hello?");
        office.world.host(ann).send(now, &packet);
        office.world.run_for(Duration::from_secs(1));
        let answers = std::mem::take(&mut office.world.host(ann).inner);
        let [answer] = &answers[..] else {
            panic!("{answers:?}")
        };
        // ICMP from the gateway, destination unreachable, quoting the packet.
        assert_eq!((answer[9], answer[20], answer[21]), (1, 3, code));
        assert_eq!(answer[12..16], [192, 168, 8, 1]);
        assert_eq!(answer[16..20], address.octets());
        assert_eq!(answer[28..48], packet[..20]);
    }
    let gateway = office.gateway;
    assert!(office.world.host(gateway).inner.is_empty());
    let mut metrics = Exposition::default();
    office.world.host(gateway).gateway().expose(&mut metrics);
    let text = metrics.into_text();
    let counted = "gateway_fw_packets_total{rule=\"1\",action=\"deny\"} 1\n";
    assert!(text.contains(counted), "{text}");
}

#[test]
fn a_packet_too_long_for_a_client_is_refused_or_cut() {
    let (mut office, ann) = connected("", 1000, 72);
    let address = office.world.host(ann).address.unwrap();
    let mut packet = udp(OFFICE, address, &[7; 1200]);
    let gateway = office.gateway;
    for whole_only in [true, false] {
        packet[6] = if whole_only { 0x40 } else { 0 };
        packet[10..12].fill(0);
        let sum = packet[..20]
            .chunks(2)
            .map(|c| u32::from(u16::from_be_bytes([c[0], c[1]])));
        let sum: u32 = sum.sum();
        let sum = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        let now = office.world.now;
        office.world.host(gateway).send(now, &packet);
        office.world.run_for(Duration::from_secs(1));
        let told = std::mem::take(&mut office.world.host(gateway).inner);
        let arrived = std::mem::take(&mut office.world.host(ann).inner);
        if whole_only {
            let [told] = &told[..] else {
                panic!("{told:?}")
            };
            // Fragmentation needed, to 1000 bytes (RFC 1191 section 4).
            assert_eq!((told[9], told[20], told[21]), (1, 3, 4));
            assert_eq!(told[26..28], 1000_u16.to_be_bytes());
            assert_eq!(told[16..20], OFFICE.octets());
            assert!(arrived.is_empty());
        } else {
            assert!(told.is_empty());
            assert_eq!(arrived.len(), 2);
            assert!(arrived.iter().all(|piece| piece.len() <= 1000));
            let data: usize = arrived.iter().map(|piece| piece.len() - 20).sum();
            assert_eq!(data, packet.len() - 20);
        }
    }
}

#[test]
fn flows_are_logged_if_that_is_asked_for() {
    for asked in [false, true] {
        let more = format!("[firewall]\nlog_flows = {asked}");
        let (mut office, ann) = connected(&more, 1400, 73);
        office.ping(ann);
        office.world.run_for(Duration::from_secs(600));
        let said = lines(&mut office, "flow ");
        if !asked {
            assert!(said.is_empty(), "{said:?}");
            continue;
        }
        let address: Ipv4Addr = [192, 168, 8, 50].into();
        let ends = format!("protocol=udp source={address}:7 destination={OFFICE}:7");
        assert_eq!(said[0], format!("flow opened {ends}"));
        assert_eq!(said[1], format!("flow closed {ends} reason=expired"));
        assert_eq!(said.len(), 2);
    }
}

#[test]
fn metrics_follow_a_connection() {
    let mut office = Office::new(Link::PERFECT, 74);
    let bob = office.warrior([203, 0, 113, 9], None, ("bob", "builder"), |_| {});
    office.connected(bob);
    let gateway = office.gateway;
    office.world.run_for(Duration::from_secs(300));
    let expose = |office: &mut Office| {
        let mut metrics = Exposition::default();
        office.world.host(gateway).gateway().expose(&mut metrics);
        metrics.into_text()
    };
    let text = expose(&mut office);
    let value = |name: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("{name} in {text}"))
            .trim()
            .parse()
            .unwrap()
    };
    assert_eq!(
        value("gateway_pool_addresses{pool=\"default\",state=\"used\"}"),
        1.0
    );
    assert_eq!(
        value("gateway_pool_addresses{pool=\"default\",state=\"free\"}"),
        89.0
    );
    assert_eq!(value("gateway_ike_handshake_duration_seconds_count"), 1.0);
    // Three messages to us, two to the client, 10 ms each way: 40 ms from the first to the last.
    let took = value("gateway_ike_handshake_duration_seconds_sum");
    assert!((0.03..0.06).contains(&took), "{took}");
    assert_eq!(
        value("gateway_ike_messages_total{dir=\"in\",exchange=\"main\"}"),
        3.0
    );
    assert_eq!(
        value("gateway_ike_messages_total{dir=\"out\",exchange=\"main\"}"),
        3.0
    );
    assert_eq!(
        value("gateway_ike_messages_total{dir=\"in\",exchange=\"quick\"}"),
        2.0
    );
    assert_eq!(value("gateway_ike_dpd_total{result=\"dead\"}"), 0.0);
    assert_eq!(value("gateway_ike_cookie_challenges_total"), 0.0);
    assert_eq!(value("gateway_l2tp_control_retransmits_total"), 0.0);
    // Without a word it is gone.
    office.world.host(bob).asleep = true;
    office.world.run_for(Duration::from_secs(600));
    let text = expose(&mut office);
    assert!(
        text.contains("gateway_ike_dpd_total{result=\"dead\"} 1\n"),
        "{text}"
    );
    let asked = "gateway_ike_dpd_total{result=\"asked\"} 10\n";
    assert!(text.contains(asked), "{text}");
    assert!(text.contains("state=\"free\"} 90\n"), "{text}");
    let repeated = "gateway_l2tp_control_retransmits_total ";
    let repeated = text.lines().find_map(|line| line.strip_prefix(repeated));
    assert!(repeated.unwrap().parse::<u64>().unwrap() > 0);
}
