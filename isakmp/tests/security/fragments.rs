//! Fragments (payload 132): CVE-2016-1287, CVE-2016-6381, CVE-2016-10396, CVE-2009-1574,
//! CVE-2013-6076.

use super::*;

const FRAGMENTATION: u128 = 0x4048b7d5_6ebce885_25e7de7f_00d6c2d3;

/// A peer that has announced fragmentation, and sends its third message in parts.
struct Peer {
    server: Endpoint,
    start: Instant,
    /// The third message.
    whole: Vec<u8>,
}

fn first() -> Vec<u8> {
    let announced = FRAGMENTATION.to_be_bytes().to_vec();
    message(2, &[sa(&attributes(5, 2, &[])), (13, announced)])
}

impl Peer {
    fn of(mut server: Endpoint, first: &[u8]) -> Self {
        let start = now();
        server
            .handle_datagram(start, path(), &mut first.to_vec())
            .unwrap();
        let reply = answer(&mut server);
        let third = message(2, &[(4, vec![5; 128]), (10, vec![6; 16])]);
        Self {
            server,
            start,
            whole: with_cookies(third, &reply),
        }
    }

    fn new() -> Self {
        Self::of(server(), &first())
    }

    fn part(&self, id: u16, number: u8, last: u8, data: &[u8]) -> Vec<u8> {
        let [a, b] = id.to_be_bytes();
        let body = [&[a, b, number, last][..], data].concat();
        with_cookies(message(2, &[(132, body)]), &self.whole)
    }

    fn send(&mut self, mut part: Vec<u8>) -> Result<(), isakmp::Error> {
        self.server.handle_datagram(self.start, path(), &mut part)
    }

    /// Whether the third message came through.
    fn answered(&mut self) -> bool {
        !answer(&mut self.server).is_empty()
    }

    fn halves(&self) -> [Vec<u8>; 2] {
        let (one, two) = self.whole.split_at(100);
        [one.to_vec(), two.to_vec()]
    }

    /// No part is kept.
    fn is_empty(&mut self) -> bool {
        let later = self.start + Duration::from_secs(11);
        self.server.handle_timeout(later);
        self.server.poll_timeout().is_some_and(|at| at > later)
    }
}

/// Parts as (ID, number, last flag, which half), and whether they make the message.
fn run(parts: &[(u16, u8, u8, usize)]) -> bool {
    let mut peer = Peer::new();
    let halves = peer.halves();
    for (id, number, last, half) in parts {
        let _ = peer.send(peer.part(*id, *number, *last, &halves[*half]));
    }
    peer.answered()
}

#[test]
fn parts_in_any_order_make_a_message() {
    assert!(run(&[(1, 1, 0, 0), (1, 2, 1, 1)]));
    assert!(run(&[(1, 2, 1, 1), (1, 1, 0, 0)]));
    assert!(run(&[(1, 2, 1, 1), (1, 2, 1, 1), (1, 1, 0, 0)]), "twice");
}

#[test]
fn cve_2016_1287_frag_index_0() {
    assert!(!run(&[(1, 0, 0, 0), (1, 1, 1, 1)]));
}

#[test]
fn cve_2016_1287_frag_last_twice() {
    assert!(!run(&[(1, 3, 1, 0), (1, 2, 1, 1), (1, 1, 0, 0)]));
}

#[test]
fn cve_2016_1287_frag_after_last_is_not_part_of_it() {
    let mut peer = Peer::new();
    let [one, two] = peer.halves();
    peer.send(peer.part(1, 3, 0, &[0xff; 100])).unwrap();
    peer.send(peer.part(1, 2, 1, &two)).unwrap();
    peer.send(peer.part(1, 1, 0, &one)).unwrap();
    assert!(peer.answered());
}

#[test]
fn cve_2016_1287_frag_dup_differs_the_first_counts() {
    let mut peer = Peer::new();
    let [one, two] = peer.halves();
    peer.send(peer.part(1, 1, 0, &one)).unwrap();
    peer.send(peer.part(1, 1, 0, &[0xff; 100])).unwrap();
    peer.send(peer.part(1, 2, 1, &two)).unwrap();
    assert!(peer.answered());
}

#[test]
fn cve_2016_1287_frag_len_lt_8() {
    for length in 0..4 {
        let mut peer = Peer::new();
        let short = message(2, &[(132, vec![1; length])]);
        let short = with_cookies(short, &peer.whole);
        assert!(peer.send(short).is_err(), "{length}");
        assert!(peer.is_empty());
    }
}

#[test]
fn cve_2009_1574_empty_fragments() {
    let mut peer = Peer::new();
    peer.send(peer.part(1, 1, 0, &[])).unwrap();
    // Together they are nothing: no message.
    assert!(peer.send(peer.part(1, 2, 1, &[])).is_err());
    assert!(peer.send(peer.part(2, 1, 1, &[])).is_err());
    assert!(!peer.answered() && peer.is_empty());
}

#[test]
fn cve_2016_6381_frag_total_gt_64k() {
    let mut peer = Peer::new();
    let refused = (1..=32).find(|n| peer.send(peer.part(1, *n, 0, &[7; 8000])).is_err());
    assert!(refused.is_some_and(|n| n <= 3), "{refused:?}");
    assert!(peer.is_empty());
}

#[test]
fn cve_2016_10396_frag_256th_and_worst_order() {
    let mut peer = Peer::new();
    for number in 33..=255 {
        assert!(peer.send(peer.part(1, number, 0, &[7; 10])).is_err());
    }
    // From the last to the first, again and again.
    for id in 0..=255 {
        for number in (2..=32).rev() {
            peer.send(peer.part(id, number, 0, &[7; 400])).unwrap();
        }
    }
    assert!(peer.is_empty());
}

#[test]
fn cve_2016_1287_frag_id_interleave() {
    assert!(!run(&[(1, 1, 0, 0), (2, 2, 1, 1)]));
    assert!(run(&[(1, 1, 0, 0), (2, 2, 1, 1), (2, 1, 0, 0)]));
}

#[test]
fn cve_2016_1287_frag_of_frag() {
    let mut peer = Peer::new();
    let whole = peer.whole.clone();
    let inner = peer.part(1, 1, 1, &whole);
    assert!(peer.send(peer.part(2, 1, 1, &inner)).is_err());
    assert!(!peer.answered());
}

#[test]
fn cve_2016_6381_frag_without_vid() {
    // Not announced.
    let mut peer = Peer::of(server(), &message(2, &[sa(&attributes(5, 2, &[]))]));
    let [one, _] = peer.halves();
    let error = peer.send(peer.part(1, 1, 0, &one)).unwrap_err();
    assert_eq!(error.reason(), "isakmp_fragment_unannounced");
    // From who has no SA, or has made up its address.
    let mut peer = Peer::new();
    for _ in 0..1000 {
        let mut part = peer.part(1, 1, 0, &one);
        part[8] ^= 1;
        assert!(peer.send(part).is_err());
    }
    assert!(peer.is_empty());
}

#[test]
fn fragments_of_a_peer_that_has_only_a_cookie() {
    let mut config = server_config();
    config.policy = Policy::legacy_xp();
    config.limits.stateless_from = 0;
    let server = Endpoint::new(Arc::new(config), Box::new(seeded(7))).unwrap();
    let mut peer = Peer::of(server, &first());
    assert_eq!(peer.server.sa_count(), 0);
    let [one, two] = peer.halves();
    let mut forged = peer.part(1, 1, 0, &one);
    forged[12] ^= 1;
    assert!(peer.send(forged).is_err());
    peer.send(peer.part(1, 1, 0, &one)).unwrap();
    peer.send(peer.part(1, 2, 1, &two)).unwrap();
    assert!(peer.answered());
}

#[test]
fn cve_2016_6381_frag_then_timeout() {
    let mut peer = Peer::new();
    let [one, two] = peer.halves();
    peer.send(peer.part(1, 1, 0, &one)).unwrap();
    assert!(peer.is_empty());
    peer.send(peer.part(1, 2, 1, &two)).unwrap();
    assert!(!peer.answered(), "the first part is gone");
}
