//! Gateway and road warriors against each other in virtual time, behind NAT and without.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod common;
mod office;

use common::{SERVER, office};
use gateway_example::config::{Config, Secret};
use gateway_example::control::{Code, Request};
use gateway_example::core::{
    Core as _, Counters, Flows, Kicked, Nat as Natted, Sas, SessionDetail, Stage, Users,
};
use office::{OFFICE, Office, udp};
use simnet::{Datagram, Link};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

#[test]
fn a_warrior_behind_a_nat_works_and_leaves_nothing() {
    let mut office = Office::new(Link::PERFECT, 1);
    let nat = office.nat();
    let ann = office.warrior([192, 168, 77, 2], Some(nat), ("ann", "secret"), |_| {});
    assert_eq!(office.connected(ann), Ipv4Addr::new(192, 168, 8, 50));
    office.ping(ann);
    assert_eq!(office.world.host(ann).native, 0);
    let now = office.world.now;
    office.world.host(ann).client().shutdown(now);
    office.world.run_for(Duration::from_secs(40));
    office.assert_empty();
}

#[test]
fn without_a_nat_esp_is_native_and_ike_stays_on_port_500() {
    let mut office = Office::new(Link::PERFECT, 2);
    let ann = office.warrior([203, 0, 113, 9], None, ("ann", "secret"), |_| {});
    office.connected(ann);
    office.ping(ann);
    assert!(office.world.host(ann).native > 0);
    let ports = |d: &Datagram| [d.source.port(), d.destination.port()];
    assert!(
        office
            .world
            .log()
            .iter()
            .all(|(_, d)| [[500, 500], [0, 0]].contains(&ports(d)))
    );
    let now = office.world.now;
    office.world.host(ann).client().shutdown(now);
    office.world.run_for(Duration::from_secs(40));
    office.assert_empty();
}

#[test]
fn every_suite_of_the_scenarios_connects() {
    let suites = [
        ("aes256-sha1-modp2048", "aes256-sha1"),
        ("3des-sha1-modp1024", "3des-sha1"),
        ("des-md5-modp768", "des-md5"),
        ("aes256-sha256-ecp384", "aes128-sha256"),
        ("aes128-sha256-ecp256", "aes128gcm16"),
        ("aes192-sha384-modp1536", "aes192-sha512"),
    ];
    for (ike, esp) in suites {
        let mut office = Office::new(Link::PERFECT, 3);
        let nat = office.nat();
        let ann = office.warrior([192, 168, 77, 2], Some(nat), ("ann", "secret"), |config| {
            config.ike = vec![ike.into()];
            config.esp = vec![esp.into()];
        });
        office.connected(ann);
        office.ping(ann);
    }
}

#[test]
fn ten_warriors_with_one_private_address_behind_one_nat() {
    let mut office = Office::new(Link::PERFECT, 4);
    let nat = office.nat();
    let warriors: Vec<_> = (0..10)
        .map(|_| office.warrior([192, 168, 77, 2], Some(nat), ("bob", "builder"), |_| {}))
        .collect();
    let mut addresses: Vec<_> = warriors.iter().map(|w| office.connected(*w)).collect();
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), 10);
    for warrior in &warriors {
        office.ping(*warrior);
    }
    for warrior in &warriors {
        let now = office.world.now;
        office.world.host(*warrior).client().shutdown(now);
    }
    office.world.run_for(Duration::from_secs(40));
    office.assert_empty();
}

#[test]
fn a_wrong_password_is_refused_and_leaves_nothing() {
    let mut office = Office::new(Link::PERFECT, 5);
    let nat = office.nat();
    let ann = office.warrior([192, 168, 77, 2], Some(nat), ("ann", "guess"), |_| {});
    office.world.run_for(Duration::from_secs(60));
    assert_eq!(
        office.world.host(ann).gone.as_deref(),
        Some("authentication_failed")
    );
    assert!(office.world.host(ann).address.is_none());
    office.assert_empty();
}

#[test]
fn a_wrong_key_is_refused_and_leaves_nothing() {
    let mut office = Office::new(Link::PERFECT, 6);
    let nat = office.nat();
    let ann = office.warrior([192, 168, 77, 2], Some(nat), ("ann", "secret"), |config| {
        config.psk = Secret::new("not-the-key".into());
    });
    office.world.run_for(Duration::from_secs(120));
    assert!(office.world.host(ann).gone.is_some());
    office.assert_empty();
}

#[test]
fn a_warrior_that_moves_to_another_port_goes_on() {
    let mut office = Office::new(Link::PERFECT, 7);
    let nat = office.nat();
    let ann = office.warrior([192, 168, 77, 2], Some(nat), ("ann", "secret"), |_| {});
    office.connected(ann);
    office.ping(ann);
    office.world.nat(nat).rebind();
    office.ping(ann);
}

/// A packet that was lost, kept by somebody, and sent on from elsewhere after a new pair of SAs is
/// in use.
#[test]
fn a_packet_of_an_older_sa_moves_nobody() {
    let mut office = Office::new(Link::PERFECT, 28);
    let nat = office.nat();
    let ann = office.warrior([192, 168, 77, 2], Some(nat), ("ann", "secret"), |_| {});
    let address = office.connected(ann);
    office.ping(ann);
    let up = |office: &mut Office| {
        let now = office.world.now;
        let packet = udp(address, OFFICE, b"up");
        office.world.host(ann).send(now, &packet);
        office.world.run_for(Duration::from_millis(100));
        std::mem::take(&mut office.world.host(office.gateway).inner).len()
    };
    let pairs = |office: &mut Office| {
        let sas: Sas = office.ask(&Request::Sas).unwrap();
        sas.esp.len()
    };
    office.world.link.loss = 1.0;
    assert_eq!(up(&mut office), 0);
    office.world.link.loss = 0.0;
    let (_, mut kept) = office.world.log().last().unwrap().clone();
    let now = office.world.now;
    office.world.host(ann).client().rekey(now);
    while pairs(&mut office) == 1 {
        office.world.run_for(Duration::from_millis(1));
    }
    assert_eq!(up(&mut office), 1);
    // What the client says of the older pair's end is lost.
    office.world.link.loss = 1.0;
    office.world.run_for(Duration::from_secs(20));
    office.world.link.loss = 0.0;
    assert_eq!(pairs(&mut office), 2);

    kept.source.set_ip([192, 0, 2, 66].into());
    office.world.inject(kept);
    office.world.run_for(Duration::from_secs(1));
    let arrived = std::mem::take(&mut office.world.host(office.gateway).inner);
    assert_eq!(
        arrived.len(),
        1,
        "it is as good as any packet that comes late"
    );
    let down = udp(OFFICE, address, b"down");
    let now = office.world.now;
    office.world.host(office.gateway).send(now, &down);
    office.world.run_for(Duration::from_secs(1));
    assert_eq!(std::mem::take(&mut office.world.host(ann).inner), [down]);
}

#[test]
fn a_warrior_that_vanishes_is_forgotten() {
    let mut office = Office::new(Link::PERFECT, 8);
    let nat = office.nat();
    let ann = office.warrior([192, 168, 77, 2], Some(nat), ("ann", "secret"), |_| {});
    office.connected(ann);
    office.world.link.loss = 1.0;
    office.world.run_for(Duration::from_secs(3600 * 10));
    office.assert_empty();
    assert!(office.world.host(ann).gone.is_some());
}

#[test]
fn a_user_who_comes_back_replaces_the_old_session() {
    let mut office = Office::new(Link::PERFECT, 9);
    let nat = office.nat();
    let old = office.warrior([192, 168, 77, 2], Some(nat), ("ann", "secret"), |_| {});
    office.connected(old);
    let new = office.warrior([192, 168, 77, 3], Some(nat), ("ann", "secret"), |_| {});
    assert_eq!(office.connected(new), Ipv4Addr::new(192, 168, 8, 50));
    office.ping(new);
    assert!(office.world.host(old).gone.is_some());
}

#[test]
fn a_forged_source_is_dropped() {
    let mut office = Office::new(Link::PERFECT, 10);
    let nat = office.nat();
    let ann = office.warrior([192, 168, 77, 2], Some(nat), ("ann", "secret"), |_| {});
    office.connected(ann);
    let now = office.world.now;
    let forged = udp(Ipv4Addr::new(192, 168, 8, 77), OFFICE, b"let me in");
    office.world.host(ann).send(now, &forged);
    office.world.run_for(Duration::from_secs(2));
    assert!(office.world.host(office.gateway).inner.is_empty());
    let status = office.world.host(office.gateway).gateway().status(now);
    assert_eq!(status.drops.get("firewall_spoofed"), Some(&1));
}

#[test]
fn cleartext_l2tp_is_never_heard() {
    let mut office = Office::new(Link::PERFECT, 11);
    let sccrq = [0xc8, 2, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0];
    for port in [500, 4500, 1701] {
        office.world.inject(Datagram {
            source: SocketAddr::from(([203, 0, 113, 66], 1701)),
            destination: SocketAddr::from((SERVER, port)),
            payload: sccrq.to_vec(),
        });
    }
    office.world.run_for(Duration::from_secs(10));
    let now = office.world.now;
    let status = office.world.host(office.gateway).gateway().status(now);
    assert_eq!((status.l2tp_tunnels, status.isakmp_sas), (0, 0));
    assert_eq!(office.world.log().len(), 3);
}

#[test]
fn a_bad_network_connects_all_the_same() {
    let seeds = std::env::var("ROADWARRIOR_SEEDS").map_or(10, |s| s.parse().unwrap());
    for seed in 0..seeds {
        let mut link = Link::TERRIBLE;
        link.loss = 0.1;
        let mut office = Office::new(link, 1000 + seed);
        let nat = office.nat();
        let ann = office.warrior([192, 168, 77, 2], Some(nat), ("ann", "secret"), |_| {});
        office.connected(ann);
        let now = office.world.now;
        office.world.host(ann).client().shutdown(now);
        office.world.run_for(Duration::from_secs(3600 * 10));
        office.assert_empty();
    }
}

#[test]
fn a_day_with_rekeys_loses_no_packet() {
    let mut office = Office::new(Link::PERFECT, 12);
    let nat = office.nat();
    let ann = office.warrior([192, 168, 77, 2], Some(nat), ("ann", "secret"), |_| {});
    office.connected(ann);
    for _ in 0..24 * 6 {
        office.ping(ann);
        office.world.run_for(Duration::from_secs(596));
    }
    assert!(office.world.host(ann).gone.is_none());
    let now = office.world.now;
    let status = office.world.host(office.gateway).gateway().status(now);
    assert_eq!((status.peers, status.l2tp_sessions), (1, 1));
}

#[test]
fn one_line_joins_all_there_is_of_a_client() {
    let mut office = Office::new(Link::PERFECT, 13);
    let nat = office.nat();
    let ann = office.warrior([192, 168, 77, 2], Some(nat), ("ann", "secret"), |_| {});
    office.connected(ann);
    office.ping(ann);
    let lines = office.sessions();
    let line = &lines[0];
    assert_eq!((lines.len(), line.state), (1, Stage::Connected));
    assert!(line.peer.starts_with("198.51.100.2:"), "{line:?}");
    assert_eq!(line.nat, Natted::Client);
    assert!(line.ike_suite.contains("AES_CBC"), "{line:?}");
    assert!(line.esp_suite.contains("AES_CBC"), "{line:?}");
    assert_eq!(line.user.as_deref(), Some("ann"));
    assert_eq!(line.address.as_deref(), Some("192.168.8.50"));
    assert!(line.bytes_in >= 28 && line.bytes_out >= 28, "{line:?}");
    assert_eq!(line.last_error, None);
    let id = line.id;
    let detail: SessionDetail = office.ask(&Request::Session { id }).unwrap();
    assert_eq!(&detail.session, line);
    let sas: Sas = office.ask(&Request::Sas).unwrap();
    assert_eq!((sas.isakmp.len(), sas.esp.len()), (1, 1));
    assert!(sas.esp[0].udp_encapsulation && sas.esp[0].spi_in.len() == 8);
    assert_eq!(detail.sas, sas);
    let user = Some("ann".to_owned());
    let flows: Flows = office.ask(&Request::Flows { user: user.clone() }).unwrap();
    assert_eq!((flows.total, flows.flows[0].protocol.as_str()), (1, "udp"));
    assert_eq!(flows.flows[0].user, user);
    let other = Some("bob".to_owned());
    assert_eq!(
        office
            .ask::<Flows>(&Request::Flows { user: other })
            .unwrap()
            .total,
        0
    );
    let users: Users = office.ask(&Request::Users).unwrap();
    let [first, second] = &users.users[..] else {
        panic!("{users:?}");
    };
    assert_eq!(
        (first.name.as_str(), &first.connections[..]),
        ("ann", &[id][..])
    );
    assert_eq!(
        (second.name.as_str(), &second.connections[..]),
        ("bob", &[][..])
    );
    let none = office.ask::<SessionDetail>(&Request::Session { id: id + 1 });
    assert_eq!(none.unwrap_err().code, Code::NoSuch);
}

#[test]
fn a_wrong_key_and_a_wrong_password_are_explained() {
    let mut office = Office::new(Link::PERFECT, 14);
    let nat = office.nat();
    office.warrior([192, 168, 77, 2], Some(nat), ("ann", "secret"), |config| {
        config.psk = Secret::new("not-the-key".into());
    });
    office.world.run_for(Duration::from_secs(120));
    let told = office.explain("198.51.100.2");
    let attempt = &told.attempts[0];
    assert_eq!(
        (attempt.stage, attempt.reason.as_str()),
        (Stage::MainMode, "authentication_failed")
    );
    assert_eq!(attempt.windows_error, Some(789));
    assert!(attempt.advice.as_ref().unwrap().contains("pre-shared key"));

    office.warrior([192, 168, 77, 3], Some(nat), ("ann", "guess"), |_| {});
    office.world.run_for(Duration::from_secs(60));
    for who in ["ann", "198.51.100.2"] {
        let told = office.explain(who);
        let attempt = &told.attempts[0];
        assert_eq!(
            (attempt.stage, attempt.reason.as_str()),
            (Stage::Authentication, "bad_password")
        );
        assert_eq!((attempt.windows_error, attempt.times), (Some(691), 1));
        assert_eq!(attempt.user.as_deref(), Some("ann"));
    }
    let gateway = office.world.host(office.gateway);
    let line = "auth failed user=\"ann\" peer=198.51.100.2 method=mschapv2 reason=bad_password";
    assert!(
        gateway.log.iter().any(|(_, text)| text == line),
        "{:#?}",
        gateway.log
    );
    let counters: Counters = office.ask(&Request::Counters).unwrap();
    let counted = |layer: &str, reason: &str| {
        let mut all = counters.counters.iter();
        all.find(|c| c.layer == layer && c.reason == reason)
            .map(|c| c.count)
    };
    assert_eq!(counted("authentication", "bad_password"), Some(1));
    assert_eq!(counted("main_mode", "authentication_failed"), Some(1));
    let users: Users = office.ask(&Request::Users).unwrap();
    assert_eq!(
        users.users[0].last_error.as_ref().unwrap().reason,
        "bad_password"
    );
    let unknown = office.explain("203.0.113.250");
    assert!(unknown.attempts.is_empty() && unknown.connected.is_empty());
}

#[test]
fn one_id_from_main_mode_to_the_end_and_a_kick_ends_it() {
    let mut office = Office::new(Link::PERFECT, 15);
    let nat = office.nat();
    let ann = office.warrior([192, 168, 77, 2], Some(nat), ("ann", "secret"), |_| {});
    office.connected(ann);
    let id = office.sessions()[0].id;
    let who = "nobody".to_owned();
    assert_eq!(
        office
            .ask::<Kicked>(&Request::Kick { who })
            .unwrap_err()
            .code,
        Code::NoSuch
    );
    let who = "ann".to_owned();
    assert_eq!(
        office.ask::<Kicked>(&Request::Kick { who }).unwrap().kicked,
        [id]
    );
    office.world.run_for(Duration::from_secs(60));
    assert!(office.world.host(ann).gone.is_some());
    office.assert_empty();
    let log = &office.world.host(office.gateway).log;
    assert!(log.len() >= 8, "{log:#?}");
    assert!(log.iter().all(|(conn, _)| *conn == Some(id)), "{log:#?}");
    let told = office.explain("ann");
    assert!(
        told.connected.is_empty() && told.attempts[0].connected,
        "{told:#?}"
    );
    assert_eq!(told.attempts[0].reason, "administrative");
    assert_eq!(office.sessions(), []);
}

#[test]
fn a_new_configuration_comes_whole_or_not_at_all_and_connections_stay() {
    let mut office = Office::new(Link::PERFECT, 21);
    let nat = office.nat();
    let ann = office.warrior([192, 168, 77, 2], Some(nat), ("ann", "secret"), |_| {});
    let bob = office.warrior([192, 168, 77, 3], Some(nat), ("bob", "builder"), |_| {});
    office.connected(ann);
    office.connected(bob);
    let now = office.world.now;
    let changed = |change: fn(&mut Config)| {
        let mut config = common::office("");
        change(&mut config);
        Arc::new(config)
    };
    let gateway = office.gateway;
    let gateway = office.world.host(gateway).gateway();
    let refused = gateway.set_config(
        now,
        changed(|new| {
            new.gateway.ike_port = 501;
            new.users.clear();
        }),
    );
    let refused = refused.unwrap_err().to_string();
    assert!(
        refused.contains("only a restart changes gateway.ike_port"),
        "{refused}"
    );
    let changes = gateway.set_config(
        now,
        changed(|new| {
            new.users.get_mut("bob").unwrap().password = Secret::new("other".into());
            // From her next call on.
            new.users.get_mut("ann").unwrap().idle_timeout = Some(Duration::from_secs(60));
            new.ppp.echo_seconds = 29;
            new.pool.range = "192.168.201.1-192.168.201.9".parse().unwrap();
        }),
    );
    let changes: Vec<_> = changes.unwrap().iter().map(|c| c.key.clone()).collect();
    assert_eq!(
        changes,
        [
            "pool.range",
            "ppp.echo_seconds",
            "user.ann.idle_timeout_seconds",
            "user.bob.password"
        ]
    );
    office.world.run_for(Duration::from_secs(5));
    assert!(office.world.host(bob).gone.is_some());
    office.ping(ann);
    // The old password is none any more, and the new range is leased from.
    let bob = office.warrior([192, 168, 77, 4], Some(nat), ("bob", "builder"), |_| {});
    office.world.run_for(Duration::from_secs(30));
    assert_eq!(office.world.host(bob).address, None);
    let bob = office.warrior([192, 168, 77, 5], Some(nat), ("bob", "other"), |_| {});
    assert_eq!(office.connected(bob), Ipv4Addr::new(192, 168, 201, 1));
    office.ping(ann);
}

#[test]
fn calls_from_elsewhere_are_refused() {
    let config = office("[l2tp]\npeers = [\"198.51.100.1-198.51.100.9\"]");
    let mut office = Office::with(config, Link::PERFECT, 22);
    let nat = office.nat();
    let near = office.warrior([192, 168, 77, 2], Some(nat), ("ann", "secret"), |_| {});
    office.connected(near);
    let far = office.warrior([203, 0, 113, 9], None, ("bob", "builder"), |_| {});
    office.world.run_for(Duration::from_secs(30));
    assert_eq!(office.world.host(far).address, None);
    assert!(office.world.host(far).gone.is_some());
}

const INTERNET: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 80);
const GLOBAL: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 9);

/// The only packet that has come out of the gateway, and its source and destination.
fn came_out(office: &mut Office) -> Option<(Ipv4Addr, Ipv4Addr, Vec<u8>)> {
    let gateway = office.gateway;
    let packets = std::mem::take(&mut office.world.host(gateway).inner);
    assert!(packets.len() <= 1, "{packets:?}");
    let packet = packets.into_iter().next()?;
    let at = |i: usize| Ipv4Addr::from(*packet[i..].first_chunk::<4>().unwrap());
    Some((at(12), at(16), packet))
}

#[test]
fn clients_and_lan_reach_the_internet_by_one_address() {
    let mut config = office("[internet]\ninterface = \"eth0\"\naddress = \"198.51.100.9\"");
    config.internet.as_mut().unwrap().lan = true;
    let mut office = Office::with(config, Link::PERFECT, 23);
    let ann = office.warrior([203, 0, 113, 9], None, ("ann", "secret"), |_| {});
    let address = office.connected(ann);
    let gateway = office.gateway;
    let now = office.world.now;
    // There and back, from a client and from the LAN.
    office
        .world
        .host(ann)
        .send(now, &udp(address, INTERNET, b"hello"));
    office.world.run_for(Duration::from_secs(1));
    let (source, destination, packet) = came_out(&mut office).unwrap();
    assert_eq!((source, destination), (GLOBAL, INTERNET));
    let port = u16::from_be_bytes([packet[20], packet[21]]);
    let [from, to] = [(INTERNET, 7), (GLOBAL, port)].map(SocketAddr::from);
    let answer = gateway_example::capture::udp_packet(from, to, b"yes");
    let now = office.world.now;
    office.world.host(gateway).send(now, &answer);
    office.world.run_for(Duration::from_secs(1));
    let arrived = std::mem::take(&mut office.world.host(ann).inner);
    assert_eq!(arrived, [udp(INTERNET, address, b"yes")]);
    let now = office.world.now;
    office
        .world
        .host(gateway)
        .send(now, &udp(OFFICE, INTERNET, b"hello"));
    let (source, destination, _) = came_out(&mut office).unwrap();
    assert_eq!((source, destination), (GLOBAL, INTERNET));
    // Nobody out there gets in: not to the global address, nor to the office or clients.
    for inside in [GLOBAL, OFFICE, address] {
        office
            .world
            .host(gateway)
            .send(now, &udp(INTERNET, inside, b"let me in"));
        assert_eq!(came_out(&mut office), None);
    }
    office.ping(ann);
}

#[test]
fn without_access_nothing_gets_out() {
    let mut config =
        office("[internet]\ninterface = \"eth0\"\naddress = \"198.51.100.9\"\nclients = false");
    config.internet.as_mut().unwrap().lan = true;
    let mut office = Office::with(config, Link::PERFECT, 24);
    let ann = office.warrior([203, 0, 113, 9], None, ("ann", "secret"), |_| {});
    let address = office.connected(ann);
    let now = office.world.now;
    office
        .world
        .host(ann)
        .send(now, &udp(address, INTERNET, b"hello"));
    office.world.run_for(Duration::from_secs(1));
    assert_eq!(came_out(&mut office), None);
    // ICMP says so (RFC 1812 5.2.7.1).
    let told = std::mem::take(&mut office.world.host(ann).inner);
    assert_eq!(told.iter().map(|p| p[9]).collect::<Vec<_>>(), [1]);
    office.ping(ann);
}

/// The system sends its own multicast into the device, and what is for clients who are not there:
/// nothing of it may come back, or it would go round.
#[test]
fn what_no_client_is_to_have_does_not_come_back_to_the_device() {
    let mut office = Office::new(Link::PERFECT, 40);
    let bob = office.warrior([203, 0, 113, 9], None, ("bob", "builder"), |_| {});
    office.connected(bob);
    let now = office.world.now;
    let gateway = office.world.host(office.gateway);
    gateway.inner.clear();
    let groups = [[224, 0, 0, 251], [239, 255, 255, 250], [255; 4]];
    for group in groups {
        gateway.send(now, &udp(OFFICE, group.into(), b"who is there?"));
    }
    // Router Solicitation, as a kernel sends it when a device comes up.
    let mut solicitation = vec![0x60, 0, 0, 0, 0, 8, 58, 255];
    solicitation.extend([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    solicitation.extend([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    solicitation.extend([133, 0, 0x7b, 0xb8, 0, 0, 0, 0]);
    gateway.send(now, &solicitation);
    assert_eq!(gateway.inner, Vec::<Vec<u8>>::new());
    assert_eq!(gateway.gateway().status(now).drops["not_for_clients"], 4);
    // Of the pool, and Ann's own, which is in the LAN's network.
    for absent in [[192, 168, 200, 77], [192, 168, 8, 50]] {
        gateway.send(now, &udp(OFFICE, absent.into(), b"are you there?"));
        let said = gateway.inner.pop().unwrap();
        let (kind, to) = ([said[20], said[21]], &said[16..20]);
        assert_eq!((kind, to), ([3, 0], &OFFICE.octets()[..]), "unreachable");
        assert!(gateway.inner.is_empty());
    }
    // A client's broadcast is for the system, which may answer: DHCPINFORM of Windows.
    let address = office.world.host(bob).address.unwrap();
    let inform = udp(address, Ipv4Addr::BROADCAST, b"DHCPINFORM");
    office.world.host(bob).send(now, &inform);
    office.world.run_for(Duration::from_secs(1));
    assert_eq!(office.world.host(office.gateway).inner, [inform]);
}
