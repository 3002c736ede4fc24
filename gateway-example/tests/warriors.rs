//! What happens to road warriors on their way: they roam, sleep, and come back; gateways too.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod common;
mod office;

use common::{PSK, SERVER, entropy};
use gateway_example::config::Secret;
use gateway_example::control::Request;
use gateway_example::core::{
    Client, ClientConfig, Core as _, Gateway, Path, Protocols, Sas, Stage,
};
use office::{Node, OFFICE, Office, Peer, udp};
use simnet::{HostId, Link, Nat};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

impl Office {
    /// Says goodbye and leaves nothing, which must work whatever has happened before.
    fn leave(&mut self, warrior: HostId) {
        let now = self.world.now;
        self.world.host(warrior).client().shutdown(now);
        self.world.run_for(Duration::from_secs(60));
        self.assert_empty();
    }

    /// Packets each way every 50 ms; how many arrived at the office and at the warrior.
    fn transfer(&mut self, warrior: HostId, packets: u8) -> (usize, usize) {
        let address = self.world.host(warrior).address.unwrap();
        for n in 0..packets {
            let now = self.world.now;
            let up = udp(address, OFFICE, &[n; 100]);
            self.world.host(warrior).send(now, &up);
            let down = udp(OFFICE, address, &[n; 100]);
            let gateway = self.gateway;
            self.world.host(gateway).send(now, &down);
            self.world.run_for(Duration::from_millis(50));
        }
        self.world.run_for(Duration::from_secs(1));
        let gateway = self.gateway;
        let up = std::mem::take(&mut self.world.host(gateway).inner).len();
        let down = std::mem::take(&mut self.world.host(warrior).inner).len();
        (up, down)
    }
}

#[test]
fn a_warrior_roams_to_a_new_port_and_a_new_address_in_mid_transfer() {
    let mut office = Office::new(Link::PERFECT, 20);
    let nat = office.nat();
    let ann = office.warrior([192, 168, 77, 2], Some(nat), ("ann", "secret"), |_| {});
    office.connected(ann);
    assert_eq!(office.transfer(ann, 20), (20, 20));
    office.world.nat(nat).rebind();
    let (up, down) = office.transfer(ann, 20);
    // What was on its way to the old port is lost, and no more.
    assert_eq!(up, 20);
    assert!(down >= 18, "{down}");
    // From the hotel's network to the telephone's.
    office.world.nat(nat).rebind();
    office.world.nat(nat).public = Ipv4Addr::new(203, 0, 113, 77).into();
    let (up, down) = office.transfer(ann, 20);
    assert_eq!(up, 20);
    assert!(down >= 18, "{down}");
    office.ping(ann);
    office.leave(ann);
}

/// The first that the gateway hears from the new place is a main mode, then ESP SAs of what it
/// takes for somebody new.
#[test]
fn a_warrior_that_roams_and_renews_all_keys_before_it_says_anything_keeps_its_call() {
    let mut office = Office::new(Link::PERFECT, 23);
    let nat = office.nat();
    let ann = office.warrior([192, 168, 77, 2], Some(nat), ("ann", "secret"), |_| {});
    let path = Path {
        local: SocketAddr::from(([192, 168, 77, 2], 500)),
        remote: SocketAddr::from((SERVER, 500)),
    };
    let [psk, password] = [PSK, "secret"].map(|s| Secret::new(s.into()));
    let config = ClientConfig::new(path, psk, "ann".into(), password);
    let mut protocols = Protocols::new(&config).unwrap();
    protocols.isakmp.policy.phase1_lifetime = Duration::from_secs(100);
    let mut client = Client::with_protocols(config, protocols, entropy(77)).unwrap();
    client.connect(office.world.now).unwrap();
    *office.world.host(ann) = Peer::new(Node::Client(client));
    let begun = office.world.now;
    office.connected(ann);
    office.ping(ann);
    let renewal = begun + Duration::from_millis(89_900) - office.world.now;
    office.world.run_for(renewal);
    office.world.nat(nat).rebind();
    office.world.nat(nat).public = Ipv4Addr::new(203, 0, 113, 77).into();
    office.world.run_for(Duration::from_secs(3));
    let now = office.world.now;
    office.world.host(ann).client().renew_esp(now);
    office.world.run_for(Duration::from_secs(3));
    let gateway = office.gateway;
    let status = office.world.host(gateway).gateway().status(now);
    assert_eq!(status.peers, 2, "it is taken for somebody new");
    office.ping(ann);
    let status = office.world.host(gateway).gateway().status(now);
    assert_eq!((status.peers, status.l2tp_sessions), (1, 1));
    // All that it made as somebody new is listed as its own.
    let sas: Sas = office.ask(&Request::Sas).unwrap();
    let id = office.sessions()[0].id;
    assert!(sas.isakmp.iter().all(|sa| sa.id == id), "{sas:#?}");
    assert!(sas.esp.iter().all(|sa| sa.id == id), "{sas:#?}");
    assert_eq!(
        (sas.isakmp.len(), sas.esp.len()),
        (status.isakmp_sas, status.esp_sas)
    );
    assert_eq!(office.transfer(ann, 20), (20, 20));
    office.leave(ann);
}

#[test]
fn a_warrior_wakes_up_and_calls_again_while_the_old_call_stands() {
    for (user, more) in [
        // With an address of its own, and with one of the pool.
        (("ann", "secret"), ""),
        (("bob", "builder"), "[aaa]\nsessions = \"replace\""),
    ] {
        let mut office = Office::with(common::office(more), Link::PERFECT, 21);
        let nat = office.nat();
        let old = office.warrior([192, 168, 77, 2], Some(nat), user, |_| {});
        let address = office.connected(old);
        office.world.host(old).asleep = true;
        office.world.run_for(Duration::from_secs(20));
        let new = office.warrior([192, 168, 77, 2], Some(nat), user, |_| {});
        assert_eq!(office.connected(new), address);
        office.ping(new);
        let now = office.world.now;
        let gateway = office.gateway;
        let status = office.world.host(gateway).gateway().status(now);
        assert_eq!(status.l2tp_sessions, 1, "{}: {status:?}", user.0);
        assert_eq!(status.addresses_in_use, 1);
        let lines = office.sessions();
        let users = lines.iter().filter(|l| l.state == Stage::Connected);
        let users: Vec<_> = users.map(|line| line.user.as_deref()).collect();
        assert_eq!(users, [Some(user.0)], "{lines:#?}");
        // The old one wakes as well, and finds out.
        office.world.host(old).asleep = false;
        office.world.run_for(Duration::from_secs(600));
        assert!(office.world.host(old).gone.is_some());
        office.ping(new);
        office.leave(new);
    }
}

#[test]
fn a_warrior_sleeps_for_a_day_and_its_address_is_the_same_again() {
    let mut office = Office::new(Link::PERFECT, 22);
    let nat = office.nat();
    let bob = office.warrior([192, 168, 77, 2], Some(nat), ("bob", "builder"), |_| {});
    let address = office.connected(bob);
    office.world.host(bob).asleep = true;
    office.world.run_for(Duration::from_secs(24 * 3600));
    office.assert_empty();
    // Somebody else was here meanwhile, and did not take it.
    let other = office.warrior([192, 168, 77, 9], Some(nat), ("carol", "carol"), |_| {});
    office.world.run_for(Duration::from_secs(30));
    assert!(office.world.host(other).address.is_none());
    let bob = office.warrior([192, 168, 77, 2], Some(nat), ("bob", "builder"), |_| {});
    assert_eq!(office.connected(bob), address);
    office.leave(bob);
}

#[test]
fn rekeys_and_deletes_at_any_moment_lose_no_call() {
    let seeds = std::env::var("ROADWARRIOR_SEEDS").map_or(24, |s| s.parse().unwrap());
    for seed in 0..seeds {
        let mut office = Office::new(Link::PERFECT, 2000 + seed);
        let nat = office.nat();
        let ann = office.warrior([192, 168, 77, 2], Some(nat), ("ann", "secret"), |_| {});
        let address = office.connected(ann);
        office.world.link = Link {
            loss: [0.0, 0.05, 0.1, 0.2][usize::try_from(seed).unwrap() % 4],
            ..Link::TERRIBLE
        };
        for turn in 0..12 {
            let now = office.world.now;
            let client = office.world.host(ann).client();
            match (turn + seed) % 3 {
                0 => client.rekey(now),
                1 => client.renew_esp(now),
                _ => {
                    // Both at once.
                    client.rekey(now);
                    client.renew_esp(now);
                }
            }
            // Into the middle of the exchange, or well after.
            let pause = [37, 181, 950, 4000, 15_000][usize::try_from(turn * 7 + seed).unwrap() % 5];
            office.world.run_for(Duration::from_millis(pause));
            office.transfer(ann, 2);
        }
        office.world.run_for(Duration::from_secs(30));
        let gateway = office.gateway;
        let log = std::mem::take(&mut office.world.host(gateway).log);
        let ann_now = office.world.host(ann);
        let gone = ann_now.gone.as_ref();
        assert_eq!(gone, None, "seed {seed}: {:#?}\n{log:#?}", ann_now.log);
        office.world.link = Link::PERFECT;
        office.transfer(ann, 1);
        assert_eq!(office.world.host(ann).address, Some(address));
        office.ping(ann);
        office.leave(ann);
    }
}

#[test]
fn a_client_is_not_turned_away_by_its_own_words_sent_back() {
    let mut office = Office::new(Link::PERFECT, 25);
    let ann = office.warrior([203, 0, 113, 9], None, ("ann", "secret"), |_| {});
    while office.world.log().is_empty() {
        office.world.step();
    }
    // As if the gateway had begun a negotiation of its own.
    let mut first = office.world.log()[0].1.clone();
    std::mem::swap(&mut first.source, &mut first.destination);
    office.world.inject(first);
    office.connected(ann);
    assert_eq!(office.world.host(ann).gone, None);
    office.ping(ann);
    office.leave(ann);
}

#[test]
fn a_gateway_is_killed_and_its_warriors_come_back() {
    let mut office = Office::new(Link::PERFECT, 23);
    let nat = office.nat();
    let users = [("ann", "secret"), ("bob", "builder"), ("bob", "builder")];
    let old: Vec<_> = users
        .iter()
        .map(|user| office.warrior([192, 168, 77, 2], Some(nat), *user, |_| {}))
        .collect();
    for warrior in &old {
        office.connected(*warrior);
        office.ping(*warrior);
    }
    let killed = Gateway::new(Arc::new(common::office("")), entropy(777)).unwrap();
    let gateway = office.gateway;
    *office.world.host(gateway) = Peer::new(Node::Gateway(killed));
    // Each finds out by itself, in minutes, and its system calls again.
    let mut new = Vec::new();
    for (warrior, user) in old.iter().zip(users) {
        let gone = |world: &mut simnet::World<Peer>| world.host(*warrior).gone.is_some();
        assert!(office.world.run_until(Duration::from_secs(300), gone));
        new.push(office.warrior([192, 168, 77, 2], Some(nat), user, |_| {}));
    }
    for warrior in &new {
        office.connected(*warrior);
        office.ping(*warrior);
    }
    for warrior in &new {
        let now = office.world.now;
        office.world.host(*warrior).client().shutdown(now);
    }
    office.world.run_for(Duration::from_secs(60));
    office.assert_empty();
}

impl Office {
    fn restart(&mut self, seed: u64) {
        let fresh = Gateway::new(Arc::new(common::office("")), entropy(seed)).unwrap();
        let gateway = self.gateway;
        *self.world.host(gateway) = Peer::new(Node::Gateway(fresh));
    }
}

#[test]
fn a_dialer_comes_back_by_itself_after_a_gateway_that_was_killed() {
    for seed in 0..4 {
        let mut office = Office::new(Link::PERFECT, 40 + seed);
        let nat = office.nat();
        let users = [("ann", "secret"), ("bob", "builder")];
        let dialers = users.map(|user| office.dialer([192, 168, 77, 2], Some(nat), user));
        for dialer in dialers {
            office.connected(dialer);
            office.ping(dialer);
        }
        // Away for some time, or back at once.
        let gateway = office.gateway;
        office.world.host(gateway).asleep = true;
        office.world.run_for(Duration::from_secs(seed * 100));
        office.restart(900 + seed);
        for dialer in dialers {
            let back = |world: &mut simnet::World<Peer>| world.host(dialer).calls == 2;
            assert!(office.world.run_until(Duration::from_secs(150), back));
            assert!(office.world.host(dialer).gone.is_some());
        }
        for dialer in dialers {
            office.ping(dialer);
        }
        for dialer in dialers {
            let now = office.world.now;
            office.world.host(dialer).core().shutdown(now);
        }
        office.world.run_for(Duration::from_secs(60));
        office.assert_empty();
        for dialer in dialers {
            assert_eq!(office.world.host(dialer).calls, 2, "it has said goodbye");
        }
    }
}

#[test]
fn a_dialer_waits_longer_each_time_and_stops_for_a_wrong_password() {
    let mut office = Office::new(Link::PERFECT, 50);
    let gateway = office.gateway;
    let ann = office.dialer([203, 0, 113, 9], None, ("ann", "secret"));
    office.connected(ann);
    office.world.host(gateway).asleep = true;
    office.world.run_for(Duration::from_secs(3600));
    let waits = office.world.host(ann).waits.clone();
    assert!(waits.len() > 20, "{waits:?}");
    for (n, wait) in waits.iter().enumerate() {
        let expected = Duration::from_secs(1 << n.min(6)).min(Duration::from_secs(60));
        let spread = expected / 2..=expected * 3 / 2;
        assert!(spread.contains(wait), "{n}: {wait:?}");
    }
    office.restart(950);
    let back = |world: &mut simnet::World<Peer>| world.host(ann).calls == 2;
    assert!(office.world.run_until(Duration::from_secs(150), back));
    office.ping(ann);

    let bob = office.dialer([203, 0, 113, 10], None, ("bob", "wrong"));
    office.world.run_for(Duration::from_secs(300));
    let bob = office.world.host(bob);
    assert!(
        bob.gone.is_some() && bob.waits.is_empty(),
        "{:?}",
        bob.waits
    );
}

#[test]
fn a_gateway_behind_a_nat_is_reached_through_two_pinholes() {
    let mut office = Office::new(Link::PERFECT, 24);
    let outside = Ipv4Addr::new(198, 51, 100, 200);
    let adsl = office.world.add_nat(Nat::new(outside.into()));
    let gateway = Gateway::new(Arc::new(common::office("")), entropy(778)).unwrap();
    let inside = Ipv4Addr::new(10, 0, 0, 1);
    let peer = Peer::new(Node::Gateway(gateway));
    office.gateway = office.world.add_host(peer, inside.into(), Some(adsl));
    for port in [500, 4500] {
        let gateway = office.gateway;
        office.world.forward(adsl, port, gateway, port);
    }
    office.reached_at = outside;
    assert_ne!(office.reached_at, SERVER);
    let nat = office.nat();
    let ann = office.warrior([192, 168, 77, 2], Some(nat), ("ann", "secret"), |_| {});
    let bob = office.warrior([203, 0, 113, 9], None, ("bob", "builder"), |_| {});
    for warrior in [ann, bob] {
        office.connected(warrior);
        office.ping(warrior);
        assert_eq!(office.world.host(warrior).native, 0);
        // Windows would not talk to a gateway that it knows to be behind a NAT.
        let log = &office.world.host(warrior).log;
        let main_mode = log.iter().find(|(_, line)| line.contains("nat="));
        let (_, line) = main_mode.expect("main mode is told");
        assert!(line.contains("we are behind NAT"), "{line}");
    }
    let now = office.world.now;
    office.world.host(bob).client().shutdown(now);
    office.world.run_for(Duration::from_secs(10));
    office.world.nat(nat).rebind();
    office.ping(ann);
    office.leave(ann);
}
