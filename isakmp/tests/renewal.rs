//! Renewals and deletes whose messages are lost or overtake each other.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::{
    Host, Net, children, client_config, client_path, established, has, pair, pair_of, peer,
    server_config,
};
use isakmp::{CloseReason, Config, Event, RefusedReason, Role, SaId};
use simnet::{Link, Pair};
use std::time::Duration;

fn connected_as(client: Config, server: Config, seed: u64) -> Pair<Host, Host> {
    let mut net = pair_of(client, server, Net::ClientNat, Link::PERFECT, seed);
    let path = client_path(&net.a);
    net.a.endpoint.connect(net.now, path, peer()).unwrap();
    assert!(established(&mut net, 1));
    net
}

fn connected(seed: u64) -> Pair<Host, Host> {
    let mut net = connected_as(client_config(), server_config(), seed);
    net.run_for(Duration::from_secs(1));
    net
}

fn open_child(net: &mut Pair<Host, Host>, sa: SaId) {
    let wanted = isakmp::ChildRequest::l2tp();
    net.a.endpoint.open_child(net.now, sa, wanted).unwrap();
}

fn counts(net: &Pair<Host, Host>) -> [usize; 2] {
    [&net.a, &net.b].map(|host| host.endpoint.child_count())
}

/// Nothing of the client arrives until it has sent the message after which `done` holds.
fn lose_until(net: &mut Pair<Host, Host>, done: impl FnMut(&mut Host, &mut Host) -> bool) {
    net.a_to_b.loss = 1.0;
    assert!(net.run_until(Duration::from_secs(5), done));
}

#[test]
fn the_old_pair_stays_until_the_new_one_is_used() {
    let mut net = connected(1);
    let [client, _] = children(&mut net);
    let now = net.now;
    net.a.endpoint.rekey_child(now, client[0].child);
    net.a.endpoint.rekey_child(now, client[0].child);
    net.run_for(Duration::from_secs(5));
    assert_eq!(counts(&net), [2, 2], "once, however often it is asked for");
    let [client, _] = children(&mut net);
    let now = net.now;
    let (child, path) = (client[1].child, client[1].path);
    net.a.endpoint.note_traffic(now, child, path);
    net.run_for(Duration::from_secs(1));
    assert_eq!(counts(&net), [1, 1]);
    let replaced = |e: &Event| matches!(e, Event::ChildDeleted { child, reason: CloseReason::Replaced, .. } if *child == client[0].child);
    assert!(net.a.events.iter().any(replaced));
    // Without traffic it is a matter of time.
    let now = net.now;
    net.a.endpoint.rekey_child(now, child);
    net.run_for(Duration::from_secs(20));
    assert_eq!(counts(&net), [2, 2]);
    net.run_for(Duration::from_secs(20));
    assert_eq!(counts(&net), [1, 1]);
}

/// The last message of quick mode is lost, and ESP comes on SAs that the responder has not yet.
#[test]
fn esp_before_message_3_asks_for_it_at_once() {
    let mut net = connected(2);
    let [client, _] = children(&mut net);
    let now = net.now;
    net.a.endpoint.rekey_child(now, client[0].child);
    assert!(
        net.run_until(Duration::from_secs(1), |_, b| b.sent.len() > 4
            && b.endpoint.child_count() == 1)
    );
    lose_until(&mut net, |a, _| a.endpoint.child_count() == 2);
    net.a_to_b = Link::PERFECT;
    assert_eq!(counts(&net), [2, 1]);
    let [client, server] = children(&mut net);
    let now = net.now;
    let unknown = client[1].outbound_spi;
    for _ in 0..100 {
        net.b
            .endpoint
            .note_unknown_spi(now, server[0].path, unknown);
    }
    let sent = net.b.sent.len();
    net.run_for(Duration::from_millis(500));
    assert_eq!(counts(&net)[1], 2);
    assert_eq!(net.b.sent.len() - sent, 1, "asked once");
}

#[test]
fn a_lost_delete_is_repeated_when_esp_comes() {
    let mut net = connected(3);
    let [client, server] = children(&mut net);
    net.a_to_b.loss = 1.0;
    let now = net.now;
    net.a.endpoint.close_child(now, client[0].child);
    net.run_for(Duration::from_secs(1));
    net.a_to_b = Link::PERFECT;
    assert_eq!(counts(&net), [0, 1]);
    let (now, path) = (net.now, client[0].path);
    let spi = server[0].outbound_spi;
    let mut elsewhere = path;
    elsewhere.remote.set_port(9);
    net.a.endpoint.note_unknown_spi(now, elsewhere, spi);
    net.run_for(Duration::from_secs(1));
    assert_eq!(counts(&net), [0, 1], "from a stranger it means nothing");
    let sent = net.a.sent.len();
    for _ in 0..100 {
        net.a.endpoint.note_unknown_spi(now, path, spi);
    }
    net.run_for(Duration::from_secs(1));
    assert_eq!(counts(&net), [0, 0]);
    assert_eq!(net.a.sent.len() - sent, 1, "told once");
}

/// A pair that its initiator has ended already must not come up at the responder.
#[test]
fn a_delete_that_overtakes_message_3_ends_the_quick_mode() {
    let mut net = connected(4);
    let [client, _] = children(&mut net);
    open_child(&mut net, client[0].sa);
    assert!(net.run_until(Duration::from_secs(1), |_, b| {
        b.endpoint.is_negotiating(
            b.events
                .iter()
                .find_map(|e| match e {
                    Event::Established { sa, .. } => Some(*sa),
                    _ => None,
                })
                .unwrap(),
        )
    }));
    lose_until(&mut net, |a, _| a.endpoint.child_count() == 2);
    net.a_to_b = Link::PERFECT;
    let [client, _] = children(&mut net);
    let now = net.now;
    net.a.endpoint.close_child(now, client[1].child);
    net.run_for(Duration::from_secs(60));
    assert_eq!(counts(&net), [1, 1]);
    assert_eq!(children(&mut net)[1].len(), 1, "never came up");
    // And if that delete is lost as well, the question for message 3 is answered with another.
    open_child(&mut net, client[0].sa);
    let before = net.b.sent.len();
    assert!(net.run_until(Duration::from_secs(1), |_, b| b.sent.len() > before));
    lose_until(&mut net, |a, _| a.endpoint.child_count() == 2);
    let [client, _] = children(&mut net);
    let now = net.now;
    net.a.endpoint.close_child(now, client[2].child);
    net.run_for(Duration::from_millis(500));
    net.a_to_b = Link::PERFECT;
    net.run_for(Duration::from_secs(60));
    assert_eq!(counts(&net), [1, 1]);
    assert_eq!(children(&mut net)[1].len(), 1, "never came up");
}

/// Both phases at once: the quick mode is over the ISAKMP SA that is being replaced.
#[test]
fn a_quick_mode_outlives_the_replacement_of_its_isakmp_sa() {
    for lost in [false, true] {
        let mut net = connected(5);
        let [client, _] = children(&mut net);
        let now = net.now;
        net.a.endpoint.close_child(now, client[0].child);
        net.a.endpoint.rekey(now, client[0].sa);
        net.a.endpoint.rekey(now, client[0].sa);
        net.run_for(Duration::from_millis(30));
        open_child(&mut net, client[0].sa);
        if lost {
            // Both get to where the quick mode has half a chance, then the network fails.
            net.run_for(Duration::from_millis(15));
            net.b_to_a.loss = 1.0;
            net.run_for(Duration::from_secs(3));
            net.b_to_a = Link::PERFECT;
        }
        net.run_for(Duration::from_secs(20));
        assert_eq!(counts(&net), [1, 1], "lost: {lost}");
        net.run_for(Duration::from_secs(40));
        assert_eq!(counts(&net), [1, 1], "lost: {lost}");
        assert_eq!(
            [&net.a, &net.b].map(|host| host.endpoint.sa_count()),
            [1, 1]
        );
    }
}

/// The delete of a replaced ISAKMP SA is lost: that nobody answers there is no reason to end what
/// its successor carries.
#[test]
fn an_isakmp_sa_with_a_successor_dies_alone() {
    let mut net = connected(6);
    let [client, _] = children(&mut net);
    let now = net.now;
    net.a.endpoint.rekey(now, client[0].sa);
    net.run_for(Duration::from_secs(28));
    net.a_to_b.loss = 1.0;
    let replaced = |e: &Event| {
        matches!(
            e,
            Event::Closed {
                reason: CloseReason::Replaced,
                ..
            }
        )
    };
    lose_until(&mut net, |a, _| a.events.iter().any(replaced));
    net.a_to_b = Link::PERFECT;
    assert_eq!(net.b.endpoint.sa_count(), 2);
    net.run_for(Duration::from_secs(180));
    assert_eq!(net.b.endpoint.sa_count(), 1);
    assert_eq!(counts(&net), [1, 1]);
}

#[test]
fn a_renewal_that_fails_is_tried_again() {
    let mut config = client_config();
    config.policy.child_lifetime.seconds = 600;
    let mut server = server_config();
    server.dpd = None;
    let mut net = connected_as(config, server, 8);
    let [client, _] = children(&mut net);
    let now = net.now;
    net.b_to_a.loss = 1.0;
    net.a.endpoint.rekey_child(now, client[0].child);
    let refused = |e: &Event| {
        matches!(
            e,
            Event::Refused {
                reason: RefusedReason::Timeout,
                ..
            }
        )
    };
    // Dead peer detection is quicker, unless the peer is heard from otherwise.
    let mut heard = 0;
    while !net.a.events.iter().any(refused) {
        heard += 1;
        assert!(heard < 30);
        let now = net.now;
        net.a
            .endpoint
            .note_traffic(now, client[0].child, client[0].path);
        net.run_for(Duration::from_secs(5));
    }
    net.b_to_a = Link::PERFECT;
    assert_eq!(net.a.endpoint.child_count(), 1);
    net.run_for(Duration::from_secs(120));
    assert!(children(&mut net)[0].len() >= 2);
    assert_eq!(counts(&net), [1, 1]);
}

#[test]
fn what_we_said_ourselves_ends_nothing_when_it_is_sent_back() {
    let mut net = pair(server_config(), peer(), Net::Direct, Link::PERFECT, 94);
    assert!(established(&mut net, 1));
    let [_, server] = children(&mut net);
    let (path, now) = (server[0].path, net.now);
    // ESP to the client is sent back to us: its SPI is none of ours, and we say so.
    let sent = net.b.sent.len();
    net.b
        .endpoint
        .note_unknown_spi(now, path, server[0].outbound_spi);
    net.run_for(Duration::from_millis(1));
    let mut told = net.b.sent[sent].2.clone();
    // That, too, is sent back, with a right HASH: it reads as if the client had ended its SA.
    let again = net.b.endpoint.handle_datagram(now, path, &mut told);
    assert!(again.is_err(), "{again:?}");
    assert_eq!(net.b.endpoint.child_count(), 1);
}

#[test]
fn both_phases_are_renewed_by_the_initiator() {
    let mut config = client_config();
    config.policy.phase1_lifetime = Duration::from_secs(600);
    config.policy.child_lifetime.seconds = 200;
    let mut net = connected_as(config, server_config(), 25);
    net.run_for(Duration::from_secs(3600));
    for node in [&net.a, &net.b] {
        assert_eq!(
            (node.endpoint.sa_count(), node.endpoint.child_count()),
            (1, 1)
        );
    }
    let [client, server] = children(&mut net);
    assert!(client.len() >= 18, "{}", client.len());
    assert_eq!(client.len(), server.len());
    for (a, b) in client.iter().zip(&server).skip(1) {
        assert!(a.replaces.is_some() && b.replaces.is_some());
        common::assert_matching(a, b, "renewed");
    }
    assert!(has(&net.a.events, "replaced") && !has(&net.a.events, "expired"));
}

#[test]
fn both_phases_are_renewed_by_the_responder_of_the_first() {
    let mut net = connected_as(client_config(), server_config(), 26);
    let [_, server] = children(&mut net);
    let now = net.now;
    net.b.endpoint.rekey_child(now, server[0].child);
    net.run_for(Duration::from_secs(5));
    let [client, server] = children(&mut net);
    assert_eq!((client.len(), server.len()), (2, 2));
    assert_eq!(
        (client[1].role, server[1].role),
        (Role::Responder, Role::Initiator)
    );
    common::assert_matching(&client[1], &server[1], "renewed");
    assert_eq!(counts(&net), [2, 2], "until the new pair is used");
    let now = net.now;
    net.b
        .endpoint
        .note_traffic(now, server[1].child, server[1].path);
    net.run_for(Duration::from_secs(1));
    assert_eq!(counts(&net), [1, 1]);
}

#[test]
fn an_isakmp_sa_is_renewed_by_its_responder() {
    let mut client = client_config();
    client.psks = server_config().psks;
    let mut net = connected_as(client, server_config(), 27);
    let [_, server] = children(&mut net);
    let now = net.now;
    net.b.endpoint.rekey(now, server[0].sa);
    net.run_for(Duration::from_secs(5));
    assert_eq!(
        net.a.endpoint.sa_count(),
        2,
        "what is on its way may arrive"
    );
    net.run_for(Duration::from_secs(35));
    assert!(has(&net.b.events, "replaced"));
    for node in [&net.a, &net.b] {
        assert_eq!(
            (node.endpoint.sa_count(), node.endpoint.child_count()),
            (1, 1)
        );
    }
    // The new SA carries what the old one made.
    let now = net.now;
    net.b.endpoint.close_child(now, server[0].child);
    net.run_for(Duration::from_secs(1));
    assert_eq!(net.a.endpoint.child_count(), 0);
}

#[test]
fn a_shorter_lifetime_of_the_responder_is_told_and_kept() {
    let mut config = server_config();
    config.policy.child_lifetime.seconds = 120;
    let mut net = connected_as(client_config(), config, 28);
    let [client, server] = children(&mut net);
    assert_eq!(
        (client[0].lifetime.seconds, server[0].lifetime.seconds),
        (120, 120)
    );
}

/// The owner ends an SA while its successor is being negotiated: it does not come back.
#[test]
fn an_sa_that_is_ended_while_it_is_renewed_has_no_successor() {
    let mut net = connected(29);
    let [client, _] = children(&mut net);
    let now = net.now;
    net.a.endpoint.rekey(now, client[0].sa);
    net.a.endpoint.close_child(now, client[0].child);
    net.a.endpoint.close(now, client[0].sa);
    net.run_for(Duration::from_secs(120));
    assert_eq!(net.a.endpoint.sa_count(), 0);
    assert_eq!(net.b.endpoint.sa_count(), 0);
}

/// Pairs outlive their ISAKMP SA, also one that is ended while it renews them: that is tried again.
#[test]
fn a_renewal_is_not_lost_with_the_sa_that_it_was_under_way_on() {
    let mut net = connected(30);
    let [client, _] = children(&mut net);
    let now = net.now;
    net.a_to_b.loss = 1.0;
    net.a.endpoint.rekey_child(now, client[0].child);
    net.a.endpoint.close(now, client[0].sa);
    net.run_for(Duration::from_secs(5));
    net.a_to_b = Link::PERFECT;
    assert_eq!(net.a.endpoint.child_count(), 1);
    net.run_for(Duration::from_secs(40));
    assert_eq!(children(&mut net)[0].len(), 2);
}
