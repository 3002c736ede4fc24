//! Who a peer is, where it is, and whether it lives.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{
    Host, Net, children, client_config, client_path, established, has, host, pair, pair_of, peer,
    server_config,
};
use isakmp::{Dpd, Event, Path, SaId};
use simnet::{Link, Node, Pair};
use std::sync::Arc;
use std::time::Duration;

#[test]
fn a_dead_peer_is_noticed_by_both_roles() {
    for dead in [true, false] {
        let mut net = pair(server_config(), peer(), Net::ClientNat, Link::PERFECT, 29);
        assert!(established(&mut net, 1));
        if dead {
            net.a_to_b.loss = 1.0;
        }
        net.run_for(Duration::from_secs(180));
        assert_eq!(has(&net.b.events, "dpd_timeout"), dead);
        assert_eq!(net.b.endpoint.child_count(), usize::from(!dead));
        assert_eq!(has(&net.a.events, "dpd_timeout"), dead);
        let stats = net.a.endpoint.stats();
        assert!(stats.dpd_asked > 0);
        assert_eq!(stats.dpd_answered == stats.dpd_asked, !dead);
        assert_eq!(stats.dpd_dead, u64::from(dead));
    }
}

#[test]
fn the_end_of_what_a_client_had_is_not_the_end_of_its_next_call() {
    // Without INITIAL-CONTACT, or with one that went astray.
    let mut config = client_config();
    config.habits.initial_contact = false;
    let place = Net::ClientNat;
    let mut net = pair_of(config.clone(), server_config(), place, Link::PERFECT, 34);
    let path = client_path(&net.a);
    net.a.endpoint.connect(net.now, path, peer()).unwrap();
    assert!(established(&mut net, 1));
    // It crashes, and calls again from where it was.
    net.a.endpoint = host(config, 99, true, place, net.now).endpoint;
    net.a.endpoint.connect(net.now, path, peer()).unwrap();
    assert!(net.run_until(Duration::from_secs(30), |a, b| {
        a.endpoint.child_count() == 1 && b.endpoint.child_count() == 2
    }));
    let [_, server] = children(&mut net);
    net.run_for(Duration::from_secs(180));
    assert!(has(&net.b.events, "dpd_timeout"));
    let gone =
        |e: &Event| matches!(e, Event::ChildDeleted { child, .. } if *child == server[1].child);
    assert!(!net.b.events.iter().any(gone));
    // And when it is dead for good, all goes.
    net.a_to_b.loss = 1.0;
    net.run_for(Duration::from_secs(180));
    assert_eq!(net.b.endpoint.child_count(), 0);
}

#[test]
fn traffic_is_a_sign_of_life_and_moves_the_peer() {
    let mut config = server_config();
    config.dpd = Some(Dpd {
        interval: Duration::from_secs(10),
        ..Dpd::default()
    });
    let mut net = pair(config, peer(), Net::ClientNat, Link::PERFECT, 30);
    assert!(established(&mut net, 1));
    net.run_for(Duration::from_secs(5));
    let [_, server] = children(&mut net);
    let sent = net.b.sent.len();
    let mut moved = server[0].path;
    moved.remote.set_port(31_000);
    for _ in 0..10 {
        let now = net.now;
        net.b.endpoint.note_traffic(now, server[0].child, moved);
        net.run_for(Duration::from_secs(9));
    }
    let asked = net.b.sent[sent..]
        .iter()
        .filter(|p| p.2.get(22) == Some(&5))
        .count();
    // Answers to the client's questions only, of which none comes in this time but each 30 s.
    assert!(asked <= 4, "{asked}");
    let change = |e: &Event| matches!(e, Event::PathChanged { new, .. } if *new == moved);
    // The client's own questions move it back now and then.
    assert!(net.b.events.iter().any(change));
}

#[test]
fn initial_contact_spares_siblings_behind_the_same_nat() {
    let mut net = pair(server_config(), peer(), Net::ClientNat, Link::PERFECT, 31);
    assert!(established(&mut net, 1));
    // The same private address behind the same public one: another port is another client.
    let mut twin = pair(server_config(), peer(), Net::ClientNat, Link::PERFECT, 32);
    std::mem::swap(&mut twin.b, &mut net.b);
    twin.a.shift += 7000;
    assert!(
        twin.run_until(Duration::from_secs(30), |a, b| a.endpoint.child_count()
            == 1
            && b.endpoint.child_count() == 2)
    );
    assert!(!has(&twin.b.events, "initial_contact"));
    // The same client once more, from its old port: what is left of it goes.
    let mut again = pair(server_config(), peer(), Net::ClientNat, Link::PERFECT, 33);
    std::mem::swap(&mut again.b, &mut twin.b);
    again.now = again.now.max(twin.now);
    assert!(
        again.run_until(Duration::from_secs(30), |a, _| a.endpoint.child_count()
            == 1)
    );
    again.run_for(Duration::from_secs(1));
    assert!(has(&again.b.events, "initial_contact"));
    assert_eq!(
        (again.b.endpoint.sa_count(), again.b.endpoint.child_count()),
        (2, 2)
    );
}

#[test]
fn a_server_behind_nat_is_mirrored_to_windows() {
    for (net_kind, mirror) in [
        (Net::ServerNat, true),
        (Net::BothNat, true),
        (Net::ServerNat, false),
    ] {
        let mut config = server_config();
        config.nat_d_mirror = mirror;
        let mut net = pair(config, peer(), net_kind, Link::PERFECT, 35);
        assert!(established(&mut net, 1));
        let detection = net.a.events.iter().find_map(|e| match e {
            Event::Established { nat, .. } => Some(*nat),
            _ => None,
        });
        let detection = detection.unwrap();
        assert_eq!(
            detection.remote_behind_nat, !mirror,
            "the client finds the server where it looked"
        );
        assert!(detection.any(), "and encapsulates all the same");
        let [client, server] = children(&mut net);
        assert!(client[0].udp_encapsulation && server[0].udp_encapsulation);
    }
}

#[test]
fn keepalives_are_sent_from_behind_a_nat_only() {
    let mut net = pair(server_config(), peer(), Net::ClientNat, Link::PERFECT, 36);
    assert!(established(&mut net, 1));
    net.run_for(Duration::from_secs(100));
    let count = |sent: &[common::Packet]| sent.iter().filter(|p| p.2 == [0xff]).count();
    assert!((4..=5).contains(&count(&net.a.sent)));
    assert_eq!(count(&net.b.sent), 0);
}

/// A peer that roams takes all its SAs along, not only the one that carried the packet.
#[test]
fn roaming_after_a_renewal_moves_every_sa() {
    let mut net = connected(Net::ClientNat, 7);
    let [client, server] = children(&mut net);
    let now = net.now;
    net.a.endpoint.rekey(now, client[0].sa);
    net.run_for(Duration::from_secs(40));
    let mut moved = server[0].path;
    moved.remote.set_port(31_000);
    let now = net.now;
    net.b.endpoint.note_traffic(now, server[0].child, moved);
    net.b.endpoint.close_child(now, server[0].child);
    let mut to = Vec::new();
    while let Some(transmit) = net.b.endpoint.poll_transmit() {
        to.push(transmit.path.remote);
    }
    assert_eq!(to, [moved.remote], "told over the new SA, at the new place");
}

fn connected(place: Net, seed: u64) -> Pair<Host, Host> {
    let mut net = pair(server_config(), peer(), place, Link::PERFECT, seed);
    assert!(established(&mut net, 1));
    net.run_for(Duration::from_secs(1));
    net
}

/// Another client with the same private address behind the same NAT, at the same server.
fn twin_of(net: &mut Pair<Host, Host>, seed: u64) -> Pair<Host, Host> {
    let mut twin = pair(server_config(), peer(), Net::ClientNat, Link::PERFECT, seed);
    std::mem::swap(&mut twin.b, &mut net.b);
    twin.now = twin.now.max(net.now);
    twin.a.shift += 7000;
    let both =
        |a: &mut Host, b: &mut Host| a.endpoint.child_count() == 1 && b.endpoint.child_count() == 2;
    assert!(twin.run_until(Duration::from_secs(30), both));
    twin
}

/// Somebody on the way sends one client's newest ESP packet from the other's address, before it
/// arrives itself. For a moment the server takes them to be at one place; they stay two.
#[test]
fn twins_that_are_made_to_meet_stay_two() {
    let mut net = connected(Net::ClientNat, 37);
    let mut twin = twin_of(&mut net, 38);
    let server = children(&mut twin)[1].clone();
    let (first, second) = (&server[0], &server[1]);
    let now = twin.now;
    assert!(twin.b.endpoint.note_traffic(now, first.child, second.path));
    // What the server has for the first comes to the second, who knows no such SA and says so.
    let path = children(&mut twin)[0][0].path;
    twin.a
        .endpoint
        .note_unknown_spi(now, path, first.outbound_spi);
    twin.run_for(Duration::from_secs(1));
    assert_eq!(twin.b.endpoint.child_count(), 2, "it is not the second's");
    // The second moves, without the first.
    let mut moved = second.path;
    moved.remote.set_port(31_000);
    let before = twin.b.events.len();
    let now = twin.now;
    twin.b.endpoint.note_traffic(now, second.child, moved);
    twin.run_for(Duration::from_millis(1));
    let count = |events: &[Event]| {
        let moves = |e: &&Event| matches!(e, Event::PathChanged { .. });
        events.iter().filter(moves).count()
    };
    assert_eq!(count(&twin.b.events[before..]), 1);
    // The first is heard where it is.
    let now = twin.now;
    assert!(twin.b.endpoint.note_traffic(now, first.child, first.path));
    twin.run_for(Duration::from_millis(1));
    assert_eq!(count(&twin.b.events[before..]), 2);
}

/// What of a client's messages after the change of port somebody sends on, from elsewhere and before
/// they arrive themselves.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Forged {
    Message5,
    Quick1,
    Quick3,
}

/// One of two clients behind a NAT, with the same private address, calls again from where it was.
/// Somebody on the way sends messages of it on from the other's address. Whatever he sends, the
/// other's SAs stay; and what the client had before ends, as it says, once it has proved where it is.
#[test]
fn a_twins_sas_are_not_ended_by_messages_from_its_address() {
    use Forged::{Message5, Quick1, Quick3};
    let all: [&[Forged]; 8] = [
        &[],
        &[Message5],
        &[Quick1],
        &[Quick3],
        &[Message5, Quick1],
        &[Message5, Quick3],
        &[Quick1, Quick3],
        &[Message5, Quick1, Quick3],
    ];
    for (windows, forged) in [false, true].into_iter().flat_map(|w| all.map(|f| (w, f))) {
        let what = format!("{forged:?}, Windows: {windows}");
        let mut net = connected(Net::ClientNat, 42);
        let first = children(&mut net)[1][0].clone();
        let mut twin = twin_of(&mut net, 43);
        let second = children(&mut twin)[1][1].clone();
        let mut config = client_config();
        if windows {
            config.habits.initial_contact = false;
            let mut all = vec![natt::Dialect::Rfc3947.vendor_id().to_vec()];
            // DPD, which Windows has not, and "Vid-Initial-Contact".
            for id in [
                0xafca_d713_68a1_f1c9_6b86_96fc_7757_0100_u128,
                0x2624_4d38_eddb_61b3_172a_36e3_d0cf_b819,
            ] {
                all.push(id.to_be_bytes().to_vec());
            }
            config.habits.vendor_ids = Some(all);
        }
        let mut again = pair_of(config, server_config(), Net::ClientNat, Link::PERFECT, 44);
        std::mem::swap(&mut again.b, &mut twin.b);
        again.now = twin.now;
        let (path, now) = (client_path(&again.a), again.now);
        again.a.endpoint.connect(now, path, peer()).unwrap();
        let (mut seen, mut quick) = (0, 0);
        let up = again.run_until(Duration::from_secs(30), |a, b| {
            for (_, to, payload) in a.sent[seen..].iter().filter(|p| p.1.port() == 4500) {
                let kind = match payload.get(4 + 18) {
                    Some(2) => Message5,
                    Some(32) if quick == 0 => Quick1,
                    Some(32) => Quick3,
                    _ => continue,
                };
                quick += usize::from(kind != Message5);
                if forged.contains(&kind) {
                    b.handle(a.now, (second.path.remote, *to, payload.clone()));
                }
            }
            seen = a.sent.len();
            a.endpoint.child_count() == 1 && b.endpoint.child_count() >= 2 && quick >= 2
        });
        assert!(up, "{what}");
        again.run_for(Duration::from_secs(20));
        let ended = |events: &[Event], of: &isakmp::ChildSa| {
            let ends = |e: &Event| match e {
                Event::ChildDeleted { child, .. } => *child == of.child,
                Event::Closed { sa, .. } => *sa == of.sa,
                _ => false,
            };
            events.iter().filter(|e| ends(e)).count()
        };
        let events = &again.b.events;
        assert_eq!(ended(events, &second), 0, "{what}");
        assert_eq!(ended(events, &first), if windows { 1 } else { 2 }, "{what}");
        // And the new call is up, at its own address.
        let now = again.now;
        let third = children(&mut again)[1].last().unwrap().clone();
        let there = again.b.endpoint.note_traffic(now, third.child, first.path);
        assert!(there, "{what}");
        assert_eq!(ended(&again.b.events, &third), 0, "{what}");
    }
}

/// A client that never gets further than main mode does not fill the server.
#[test]
fn of_main_modes_without_proof_of_the_path_few_stay() {
    let mut config = server_config();
    config.dpd = None;
    let mut net = pair_of(client_config(), config, Net::ClientNat, Link::PERFECT, 45);
    let mut main_only = peer();
    main_only.children.clear();
    for count in 1..=10 {
        let (now, path) = (net.now, client_path(&net.a));
        net.a
            .endpoint
            .connect(now, path, main_only.clone())
            .unwrap();
        net.run_for(Duration::from_secs(2));
        assert_eq!(net.b.endpoint.sa_count(), count.min(4));
    }
}

/// Nor does one that proves where it is, and says of no SA that it has lost it. What is negotiated over
/// an SA stays when that goes.
#[test]
fn of_main_modes_of_one_peer_few_stay() {
    for place in [Net::Direct, Net::ClientNat] {
        let mut config = server_config();
        config.dpd = None;
        let mut client = client_config();
        client.habits.initial_contact = false;
        let mut net = pair_of(client, config, place, Link::PERFECT, 51);
        for count in 1..=40 {
            let (now, path) = (net.now, client_path(&net.a));
            net.a.endpoint.connect(now, path, peer()).unwrap();
            net.run_for(Duration::from_secs(2));
            assert_eq!(net.b.endpoint.sa_count(), count.min(8), "{place:?}");
            assert_eq!(net.b.endpoint.child_count(), count.min(32), "{place:?}");
        }
    }
}

/// Who completes main mode where another has been made to appear is not that other.
#[test]
fn who_connects_where_another_was_made_to_appear_is_somebody_else() {
    let party = |net: &Pair<Host, Host>| {
        let party = |e: &Event| match e {
            Event::Established { party, .. } => *party,
            Event::Recognized { party, .. } => Some(*party),
            _ => None,
        };
        net.b.events.iter().filter_map(party).collect::<Vec<_>>()
    };
    for (wait, same) in [(5, false), (70, true)] {
        let mut config = server_config();
        config.dpd = None;
        let mut net = pair(config, peer(), Net::ClientNat, Link::PERFECT, 39);
        assert!(established(&mut net, 1));
        let first = children(&mut net)[1][0].clone();
        let mut there = first.path;
        there.remote.set_port(4500 + net.a.shift + 7000);
        let now = net.now;
        assert!(net.b.endpoint.note_traffic(now, first.child, there));
        // Nothing more is heard of the first.
        net.a_to_b.loss = 1.0;
        net.run_for(Duration::from_secs(wait));
        let mut twin = pair(server_config(), peer(), Net::ClientNat, Link::PERFECT, 40);
        std::mem::swap(&mut twin.b, &mut net.b);
        twin.now = twin.now.max(net.now);
        twin.a.shift += 7000;
        let up = |a: &mut Host, _: &mut Host| a.endpoint.child_count() == 1;
        assert!(twin.run_until(Duration::from_secs(30), up));
        twin.run_for(Duration::from_secs(1));
        let [old, new] = party(&twin)[..] else {
            panic!("two SAs");
        };
        assert_eq!(old == new, same, "after {wait} s");
    }
}

/// Behind a NAT, the client follows nobody who is not: an address that does not change needs no
/// following, and who sends the gateway's newest packet from elsewhere would cut them off (RFC 3947
/// section 7).
#[test]
fn a_peer_that_is_not_behind_a_nat_is_not_followed() {
    for (place, client_follows) in [(Net::ClientNat, false), (Net::BothNat, true)] {
        let mut config = server_config();
        config.nat_d_mirror = false;
        let mut net = pair(config, peer(), place, Link::PERFECT, 41);
        assert!(established(&mut net, 1));
        let [client, server] = children(&mut net);
        let mut elsewhere: Path = client[0].path;
        elsewhere.remote.set_port(33_559);
        let now = net.now;
        let followed = net.a.endpoint.note_traffic(now, client[0].child, elsewhere);
        assert_eq!(followed, client_follows, "{place:?}");
        assert!(
            net.a
                .endpoint
                .note_traffic(now, client[0].child, client[0].path)
        );
        let mut elsewhere: Path = server[0].path;
        elsewhere.remote.set_port(33_559);
        assert!(net.b.endpoint.note_traffic(now, server[0].child, elsewhere));
    }
}

/// The owner turns dead peer detection off while SAs are up that were to be asked.
#[test]
fn dead_peer_detection_can_be_turned_off() {
    let mut net = pair(server_config(), peer(), Net::ClientNat, Link::PERFECT, 46);
    assert!(established(&mut net, 1));
    let mut config = server_config();
    config.dpd = None;
    net.b.endpoint.set_config(Arc::new(config)).unwrap();
    let asked = net.b.endpoint.stats().dpd_asked;
    net.run_for(Duration::from_secs(180));
    assert_eq!(net.b.endpoint.stats().dpd_asked, asked);
    assert_eq!(net.b.endpoint.child_count(), 1);
}

/// An answer that takes longer than the time between two questions is one (RFC 3706 section 6.2).
#[test]
fn a_slow_peer_is_not_dead() {
    let mut config = client_config();
    config.dpd = None;
    let slow = Link {
        latency: Duration::from_millis(1600),
        ..Link::PERFECT
    };
    let mut net = pair_of(config, server_config(), Net::ClientNat, slow, 47);
    let path = client_path(&net.a);
    net.a.endpoint.connect(net.now, path, peer()).unwrap();
    assert!(established(&mut net, 1));
    net.run_for(Duration::from_secs(180));
    assert!(!has(&net.b.events, "dpd_timeout"));
    assert!(net.b.endpoint.stats().dpd_answered > 0);
}

/// Somebody has a call of its own, under the identity of another, and sends its ESP from `place`, where
/// the other is, for as long as it likes.
fn pretend(net: &mut Pair<Host, Host>, seed: u64, place: Path) -> isakmp::ChildSa {
    let mut config = client_config();
    config.dpd = None;
    let mut other = pair_of(config, server_config(), Net::ClientNat, Link::PERFECT, seed);
    std::mem::swap(&mut other.b, &mut net.b);
    other.now = net.now;
    other.a.shift += 7000;
    let path = client_path(&other.a);
    other.a.endpoint.connect(other.now, path, peer()).unwrap();
    let both =
        |a: &mut Host, b: &mut Host| a.endpoint.child_count() == 1 && b.endpoint.child_count() == 2;
    assert!(other.run_until(Duration::from_secs(30), both));
    let pretender = children(&mut other)[1].last().unwrap().clone();
    std::mem::swap(&mut other.b, &mut net.b);
    net.now = other.now;
    for _ in 0..14 {
        let now = net.now;
        assert!(net.b.endpoint.note_traffic(now, pretender.child, place));
        net.run_for(Duration::from_secs(5));
    }
    pretender
}

/// The newest SA is of the peer that has `own`, and not of who has `other`.
fn assert_newest_is_of(net: &Pair<Host, Host>, own: SaId, other: SaId) {
    let party = |e: &Event| match e {
        Event::Established { party, sa, .. } => Some((*sa, *party)),
        Event::Recognized { party, sa, .. } => Some((*sa, Some(*party))),
        _ => None,
    };
    let parties: Vec<_> = net.b.events.iter().filter_map(party).collect();
    let of = |sa| parties.iter().rev().find(|(id, _)| *id == sa).unwrap().1;
    let newest = parties.last().unwrap().0;
    assert!(newest != own && newest != other);
    assert_ne!(of(newest), of(other));
    assert_eq!(of(newest), of(own));
}

#[test]
fn who_pretends_to_be_at_anothers_address_is_not_taken_for_it() {
    let mut net = connected(Net::ClientNat, 48);
    let [client, server] = children(&mut net);
    let pretender = pretend(&mut net, 49, server[0].path);
    let now = net.now;
    net.a.endpoint.rekey(now, client[0].sa);
    net.run_for(Duration::from_secs(1));
    assert_newest_is_of(&net, server[0].sa, pretender.sa);
}

/// Nor if of the other only ESP SAs are left, which have moved along when it did.
#[test]
fn what_outlives_its_isakmp_sa_has_proved_where_it_is_as_well() {
    let mut config = client_config();
    config.dpd = None;
    config.habits.initial_contact = false;
    let mut net = pair_of(config, server_config(), Net::ClientNat, Link::PERFECT, 52);
    let (now, path) = (net.now, client_path(&net.a));
    net.a.endpoint.connect(now, path, peer()).unwrap();
    assert!(established(&mut net, 1));
    net.run_for(Duration::from_secs(1));
    let [client, server] = children(&mut net);
    let mut place = server[0].path;
    net.a.shift += 1000;
    place.remote.set_port(4500 + net.a.shift);
    let now = net.now;
    assert!(net.b.endpoint.note_traffic(now, server[0].child, place));
    let answered = net.b.endpoint.stats().dpd_answered;
    net.run_for(Duration::from_secs(40));
    assert!(net.b.endpoint.stats().dpd_answered > answered);
    let pretender = pretend(&mut net, 53, place);
    let now = net.now;
    net.a.endpoint.close(now, client[0].sa);
    net.a.endpoint.connect(now, path, peer()).unwrap();
    net.run_for(Duration::from_secs(2));
    assert_newest_is_of(&net, server[0].sa, pretender.sa);
}

/// Who has seen the last message of main mode sends it from elsewhere first: the client stays with
/// the address that it has asked.
#[test]
fn the_answer_to_message_5_from_elsewhere_moves_no_client() {
    let mut net = pair(server_config(), peer(), Net::Direct, Link::PERFECT, 50);
    let elsewhere = "203.0.113.66:500".parse().unwrap();
    let mut seen = 0;
    let up = net.run_until(Duration::from_secs(30), |a, b| {
        for (_, to, payload) in &b.sent[seen..] {
            let main_6 = payload.get(18..20) == Some(&[2, 1]);
            if main_6 {
                a.handle(b.now, (elsewhere, *to, payload.clone()));
            }
        }
        seen = b.sent.len();
        a.endpoint.child_count() == 1 && b.endpoint.child_count() == 1
    });
    assert!(up);
    let moved = |e: &Event| matches!(e, Event::PathChanged { .. });
    assert!(!net.a.events.iter().any(moved));
}
