//! Classification, dialects, detection, keepalives, mappings, checksums.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use natt::{
    Datagram, Detection, Dialect, Error, KEEPALIVE_INTERVAL, Keepalive, Mapping, NatD, PortKind,
    classify, clear_udp_checksum, nat_d_hash, prepend_marker, repair_checksum,
};
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

#[test]
fn every_length_is_classified() {
    for length in 0..40 {
        let zeros = vec![0; length];
        let ones = vec![1; length];
        let natt = |data: &[u8]| classify(PortKind::Natt, data, 0..data.len());
        let ike = |data: &[u8]| classify(PortKind::Ike, data, 0..data.len());
        assert_eq!(natt(&zeros).is_ok(), length >= 32, "{length}");
        assert_eq!(
            natt(&ones),
            if length >= 8 {
                Ok(Datagram::Esp(0..length))
            } else {
                Err(Error::TooShort)
            }
        );
        assert_eq!(
            ike(&zeros),
            if length >= 28 {
                Ok(Datagram::Ike(0..length))
            } else {
                Err(Error::TooShort)
            }
        );
    }
    assert_eq!(
        classify(PortKind::Natt, &[0xff], 0..1),
        Ok(Datagram::Keepalive)
    );
    assert_eq!(
        classify(PortKind::Natt, &[0xff, 0xff], 0..2),
        Err(Error::TooShort)
    );
    assert_eq!(classify(PortKind::Natt, &[0xff], 0..2), Err(Error::Range));
}

#[test]
fn marker_and_back() {
    let mut buf = vec![7; 40];
    let range = prepend_marker(&mut buf, 10..40).unwrap();
    assert_eq!(range, 6..40);
    assert_eq!(
        classify(PortKind::Natt, &buf, range),
        Ok(Datagram::Ike(10..40))
    );
    assert_eq!(prepend_marker(&mut buf, 3..40), Err(Error::Range));
}

#[test]
fn dialects_are_told_by_vendor_id_and_numbered_as_published() {
    for dialect in Dialect::ALL {
        assert_eq!(Dialect::from_vendor_id(&dialect.vendor_id()), Some(dialect));
    }
    assert_eq!(Dialect::from_vendor_id(&[1; 16]), None);
    assert_eq!(
        Dialect::from_vendor_id(&Dialect::Draft02.vendor_id()[..15]),
        None
    );
    let numbers = |d: Dialect| {
        (
            d.nat_d_payload(),
            d.nat_oa_payload(),
            d.tunnel_mode(),
            d.transport_mode(),
            d.nat_oa_count(),
        )
    };
    assert_eq!(numbers(Dialect::Rfc3947), (20, 21, 3, 4, 2));
    assert_eq!(numbers(Dialect::Draft04), (15, 16, 3, 4, 1));
    assert_eq!(numbers(Dialect::Apple), (15, 16, 3, 4, 0));
    assert_eq!(
        numbers(Dialect::Draft02Newline),
        (130, 131, 61443, 61444, 1)
    );
}

fn plain(address: &str) -> Vec<u8> {
    nat_d_hash(<[u8]>::to_vec, [1; 8], [2; 8], address.parse().unwrap())
}

#[test]
fn hashes_cover_cookies_address_and_port() {
    assert_eq!(
        plain("192.0.2.1:500"),
        [&[1; 8][..], &[2; 8], &[192, 0, 2, 1, 1, 0xf4]].concat()
    );
    assert_eq!(plain("[::ffff:192.0.2.1]:500"), plain("192.0.2.1:500"));
    assert_eq!(plain("[2001:db8::1]:4500").len(), 34);
}

#[test]
fn detection_in_all_four_places_and_with_many_addresses() {
    let (us, peer, other) = (
        plain("192.0.2.1:500"),
        plain("192.0.2.2:500"),
        plain("10.0.0.1:500"),
    );
    let compare = |received: &[&[u8]]| Detection::compare(received, &us, &peer);
    let found = |local, remote| {
        Some(Detection {
            local_behind_nat: local,
            remote_behind_nat: remote,
        })
    };
    assert_eq!(compare(&[&us, &peer]), found(false, false));
    assert_eq!(compare(&[&us, &other]), found(false, true));
    assert_eq!(compare(&[&other, &peer]), found(true, false));
    assert_eq!(compare(&[&other, &other]), found(true, true));
    assert_eq!(
        compare(&[&us, &other, &other, &peer]),
        found(false, false),
        "one of its addresses"
    );
    assert_eq!(compare(&[&us]), None);
    assert_eq!(compare(&[]), None);
}

#[test]
fn a_mirror_shows_windows_the_server_where_it_looked() {
    let own = NatD {
        destination: 1,
        source: 2,
    };
    let nat = |local, remote| Detection {
        local_behind_nat: local,
        remote_behind_nat: remote,
    };
    assert_eq!(own.clone().mirrored(9, nat(false, true), 0), own);
    assert_eq!(
        own.clone().mirrored(9, nat(true, true), 0),
        NatD {
            destination: 1,
            source: 9
        }
    );
    assert_eq!(
        own.mirrored(9, nat(true, false), 0),
        NatD {
            destination: 0,
            source: 9
        }
    );
}

#[test]
#[allow(
    clippy::disallowed_methods,
    reason = "a test starts its virtual clock somewhere"
)]
fn keepalives_wait_for_silence() {
    let start = Instant::now();
    let at = |s| start + Duration::from_secs(s);
    let mut keepalive = Keepalive::new(start, KEEPALIVE_INTERVAL);
    assert_eq!(keepalive.poll_timeout(), at(20));
    assert!(!keepalive.handle_timeout(at(19)));
    keepalive.outbound(at(19));
    assert!(!keepalive.handle_timeout(at(20)));
    assert!(keepalive.handle_timeout(at(39)));
    assert_eq!(keepalive.poll_timeout(), at(59));
}

#[test]
fn only_the_newest_packet_moves_a_peer() {
    let [a, b]: [SocketAddr; 2] = ["192.0.2.1:4500", "192.0.2.1:4501"].map(|a| a.parse().unwrap());
    let mut mapping = Mapping::new(a);
    assert_eq!(mapping.observe(b, false), None);
    assert_eq!(mapping.observe(a, true), None);
    assert_eq!(mapping.observe(b, true), Some(a));
    assert_eq!(mapping.remote(), b);
}

fn sum(source: Ipv4Addr, destination: Ipv4Addr, protocol: u8, segment: &[u8]) -> u16 {
    let mut bytes = [source.octets(), destination.octets()].concat();
    bytes.extend([0, protocol]);
    bytes.extend(u16::try_from(segment.len()).unwrap().to_be_bytes());
    bytes.extend(segment);
    bytes.resize(bytes.len().next_multiple_of(2), 0);
    let mut sum: u32 = bytes
        .chunks_exact(2)
        .map(|w| u32::from(u16::from_be_bytes([w[0], w[1]])))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).unwrap()
}

proptest! {
    #[test]
    fn repaired_checksums_are_right(addresses: [u32; 4], mut segment in prop::collection::vec(any::<u8>(), 20..64), tcp: bool) {
        let [s, d, s2, d2] = addresses.map(Ipv4Addr::from);
        let (protocol, offset) = if tcp { (6, 16) } else { (17, 6) };
        segment[offset..offset + 2].fill(0);
        let checksum = !sum(s, d, protocol, &segment);
        let checksum = if checksum == 0 && !tcp { 0xffff } else { checksum };
        segment[offset..offset + 2].copy_from_slice(&checksum.to_be_bytes());
        prop_assert_eq!(sum(s, d, protocol, &segment), 0xffff);
        let v4 = IpAddr::V4;
        repair_checksum(&mut segment, protocol, (v4(s), v4(d)), (v4(s2), v4(d2))).unwrap();
        let after = sum(s2, d2, protocol, &segment);
        prop_assert!(after == 0xffff || after == 0);
        prop_assert!(tcp || segment[6..8] != [0, 0]);
    }

    #[test]
    fn nothing_panics(data: Vec<u8>, start in 0..64_usize, length in 0..64_usize, protocol: u8, mut segment: Vec<u8>) {
        for port in [PortKind::Ike, PortKind::Natt] {
            if let Ok(Datagram::Ike(r) | Datagram::Esp(r)) = classify(port, &data, start..start + length) {
                prop_assert!(r.start >= start && r.end == start + length && r.end <= data.len());
            }
        }
        let (a, b): (IpAddr, IpAddr) = ([1, 2, 3, 4].into(), [5, 6, 7, 8].into());
        let _ = repair_checksum(&mut segment, protocol, (a, b), (b, a));
        let _ = clear_udp_checksum(&mut segment);
    }
}

#[test]
fn checksums_that_are_absent_or_cut_off() {
    let (a, b): (IpAddr, IpAddr) = ([1, 2, 3, 4].into(), [5, 6, 7, 8].into());
    let mut none = [0; 8];
    repair_checksum(&mut none, 17, (a, a), (b, b)).unwrap();
    assert_eq!(none, [0; 8], "UDP without a checksum stays so");
    assert_eq!(
        repair_checksum(&mut none, 6, (a, a), (b, b)),
        Err(Error::Truncated)
    );
    let v6: IpAddr = [0_u16; 8].into();
    assert_eq!(
        repair_checksum(&mut none, 17, (a, a), (v6, b)),
        Err(Error::AddressFamily)
    );
    let mut udp = [9; 8];
    clear_udp_checksum(&mut udp).unwrap();
    assert_eq!(udp, [9, 9, 9, 9, 9, 9, 0, 0]);
    assert_eq!(clear_udp_checksum(&mut udp[..7]), Err(Error::Truncated));
}
