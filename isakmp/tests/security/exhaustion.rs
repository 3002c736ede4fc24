//! State, memory and work that an unauthenticated peer can cause.

use super::*;
use isakmp::Config;

#[test]
fn cve_2004_0222_a_million_malformed_messages_leave_nothing() {
    let count: u32 = std::env::var("ROADWARRIOR_SEEDS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(20_000);
    let [client, _] = handshake();
    let mut server = server();
    let start = now();
    let mut rng = seeded(5);
    use isakmp::rand_core::Rng;
    for index in 0..count {
        let mut bad = client[index as usize % client.len()].clone();
        for _ in 0..3 {
            let at = rng.next_u32() as usize % bad.len();
            bad[at] = rng.next_u32().to_le_bytes()[0];
        }
        let _ = server.handle_datagram(start, path(), &mut bad);
        while server.poll_transmit().is_some() {}
        while server.poll_event().is_some() {}
    }
    server.handle_timeout(start + Duration::from_secs(61));
    assert_eq!((server.sa_count(), server.half_open_count()), (0, 0));
    assert!(server.poll_timeout().is_none());
}

fn server_with(change: impl FnOnce(&mut Config)) -> Endpoint {
    let mut config = server_config();
    config.policy = Policy::legacy_xp();
    change(&mut config);
    Endpoint::new(Arc::new(config), Box::new(seeded(7))).unwrap()
}

fn from(index: u32) -> Path {
    let [_, a, b, c] = index.to_be_bytes();
    Path {
        remote: ([10, a, b, c], 500).into(),
        ..path()
    }
}

#[test]
fn cve_2008_3652_half_open_sas_expire() {
    let mut server = server_with(|c| c.limits.first_messages = 8000);
    let start = now();
    let mut first = message(2, &[sa(&attributes(5, 2, &[]))]);
    for index in 1..=400_u32 {
        first[4..8].copy_from_slice(&index.to_be_bytes());
        server
            .handle_datagram(start, from(index), &mut first)
            .unwrap();
        let reply = answer(&mut server);
        if index % 3 == 0 {
            // Some go on to the point where we have computed.
            let third = message(2, &[(4, vec![5; 128]), (10, vec![6; 16])]);
            let mut third = with_cookies(third, &reply);
            server
                .handle_datagram(start, from(index), &mut third)
                .unwrap();
            assert!(!answer(&mut server).is_empty());
        }
    }
    assert_eq!((server.sa_count(), server.half_open_count()), (400, 400));
    server.handle_timeout(start + Duration::from_secs(31));
    assert_eq!(server.half_open_count(), 133);
    server.handle_timeout(start + Duration::from_secs(61));
    assert_eq!((server.sa_count(), server.half_open_count()), (0, 0));
    assert!(server.poll_timeout().is_none());
}

#[test]
fn draft_simpson_no_state_and_no_work_before_the_cookie_returns() {
    let mut server = server_with(|c| {
        c.limits.stateless_from = 0;
        c.limits.first_messages = 100_000;
    });
    let mut first = message(2, &[sa(&attributes(5, 2, &[]))]);
    for index in 1..=5000_u32 {
        first[4..8].copy_from_slice(&index.to_be_bytes());
        let given = first.len();
        server
            .handle_datagram(now(), from(index), &mut first)
            .unwrap();
        let reply = answer(&mut server);
        assert!((1..=given).contains(&reply.len()));
        // A third message with a guessed cookie.
        let third = message(2, &[(4, vec![5; 128]), (10, vec![6; 16])]);
        let mut third = with_cookies(third, &reply);
        third[10] ^= 0x55;
        assert!(
            server
                .handle_datagram(now(), from(index), &mut third)
                .is_err()
        );
    }
    assert_eq!((server.sa_count(), server.half_open_count()), (0, 0));
    assert_eq!(server.stats().exchanges, 0);
    assert!(server.poll_timeout().is_none());
}

/// D(HE)at: what one source can have us compute is bounded, and only for who gets our answers.
#[test]
fn cve_2002_20001_diffie_hellman_is_bounded_for_each_source() {
    let mut server = server_with(|c| c.limits.half_open_per_source = 10);
    let start = now();
    let mut first = message(2, &[sa(&attributes(5, 2, &[]))]);
    for index in 1..=500_u32 {
        first[4..8].copy_from_slice(&index.to_be_bytes());
        let mut here = path();
        here.remote.set_port(u16::try_from(1000 + index).unwrap());
        let _ = server.handle_datagram(start, here, &mut first);
        let reply = answer(&mut server);
        if reply.is_empty() {
            continue;
        }
        for nonce in 0..5 {
            // Different third messages of one SA: only the first is computed.
            let third = message(2, &[(4, vec![5; 128]), (10, vec![nonce; 16])]);
            let mut third = with_cookies(third, &reply);
            let _ = server.handle_datagram(start, here, &mut third);
        }
    }
    assert_eq!(server.stats().exchanges, 10);
}

/// The only thing that many peers share is the table of openings: a flood of made-up ones does not
/// push out what real peers use.
#[test]
fn cve_2021_41991_a_flood_of_variants_does_not_push_out_a_proven_one() {
    let mut server = server_with(|c| {
        c.limits.stateless_from = 0;
        c.limits.first_messages = 100_000;
    });
    let real = message(2, &[sa(&attributes(5, 2, &[]))]);
    let third = |reply: &[u8]| {
        let third = message(2, &[(4, vec![5; 128]), (10, vec![6; 16])]);
        with_cookies(third, reply)
    };
    let begin = |server: &mut Endpoint, index| {
        let mut first = real.clone();
        server
            .handle_datagram(now(), from(index), &mut first)
            .unwrap();
        answer(server)
    };
    // One real peer has come through: its kind is proven.
    let reply = begin(&mut server, 1);
    server
        .handle_datagram(now(), from(1), &mut third(&reply))
        .unwrap();
    assert!(!answer(&mut server).is_empty());
    // Another has begun when the flood comes.
    let reply = begin(&mut server, 2);
    for index in 0..5000_u32 {
        let life = [vec![0, 12, 0, 4], index.to_be_bytes().to_vec()].concat();
        let variant = attributes(5, 2, &[tv(11, 1), life]);
        let mut first = message(2, &[sa(&variant)]);
        server
            .handle_datagram(now(), from(100 + index), &mut first)
            .unwrap();
        let _ = answer(&mut server);
    }
    server
        .handle_datagram(now(), from(2), &mut third(&reply))
        .unwrap();
    assert_eq!(server.sa_count(), 2);
}

#[test]
fn an_endless_list_of_proposals_is_not_kept() {
    let long = attributes(5, 2, &vec![tv(0x7f, 0); 2100]);
    let (kind, body) = sa(&long);
    assert!(body.len() > 8192);
    refused_silently(&message(2, &[(kind, body)]), "too long");
}

/// Who has a /64 has more addresses than there are SAs.
#[test]
fn addresses_of_one_ipv6_network_are_one_source() {
    let mut server = server_with(|c| c.limits.half_open_per_source = 10);
    let mut first = message(2, &[sa(&attributes(5, 2, &[]))]);
    for index in 1..=300_u16 {
        first[6..8].copy_from_slice(&index.to_be_bytes());
        let here = Path {
            local: "[2001:db8::1]:500".parse().unwrap(),
            remote: ([0x2001, 0xdb8, 1, 1, index, 0, 0, index], 500).into(),
        };
        let _ = server.handle_datagram(now(), here, &mut first);
    }
    assert_eq!(server.half_open_count(), 10);
    server.handle_timeout(now() + Duration::from_secs(31));
    assert_eq!(server.half_open_count(), 0);
}

/// Epochs are counted in a byte of the cookie, which comes round after two hours.
#[test]
fn a_cookie_is_no_good_when_its_epoch_byte_comes_round() {
    let start = now();
    for (late, good) in [
        (0, true),
        (31, true),
        (64, false),
        (256 * 32, false),
        (256 * 32 + 16, false),
    ] {
        let mut server = server_with(|c| c.limits.stateless_from = 0);
        let mut first = message(2, &[sa(&attributes(5, 2, &[]))]);
        server.handle_datagram(start, path(), &mut first).unwrap();
        let third = message(2, &[(4, vec![5; 128]), (10, vec![6; 16])]);
        let mut third = with_cookies(third, &answer(&mut server));
        let then = start + Duration::from_secs(late);
        assert_eq!(
            server.handle_datagram(then, path(), &mut third).is_ok(),
            good,
            "{late}"
        );
    }
}

#[test]
fn an_owner_that_takes_nothing_does_not_fill_memory() {
    let mut server = server_with(|c| c.limits.events = 16);
    let mut first = message(2, &[sa(&attributes(5, 2, &[]))]);
    for index in 1..=100_u32 {
        first[4..8].copy_from_slice(&index.to_be_bytes());
        let _ = server.handle_datagram(now(), from(index), &mut first);
    }
    assert_eq!(std::iter::from_fn(|| server.poll_transmit()).count(), 16);
}

/// A flood of refusals fills neither the owner's log nor its time.
#[test]
fn refusals_that_anybody_can_cause_are_reported_a_number_of_times() {
    let mut server = server_with(|c| c.limits.refusals = 5);
    let start = now();
    let nothing = message(2, &[sa(&attributes(99, 2, &[]))]);
    let mut aggressive = message(4, &[sa(&attributes(5, 2, &[]))]);
    for (late, reported) in [(0, 5), (5, 0), (11, 5)] {
        let then = start + Duration::from_secs(late);
        for index in 0..50 {
            let mut bad = nothing.clone();
            let bad = if index % 2 == 0 {
                &mut bad
            } else {
                &mut aggressive
            };
            assert!(server.handle_datagram(then, from(index), bad).is_err());
            let _ = server.poll_transmit();
        }
        let events = std::iter::from_fn(|| server.poll_event());
        assert_eq!(events.count(), reported, "after {late} s");
    }
    assert_eq!(server.stats().refused, 150);
}
