//! What TCP sends through a call fits a link of 1500 bytes, however long the suite's ICV is.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod common;

use common::{Joined, tcp, with_room};
use gateway_example::core::{Core, Forward, Path};
use std::net::Ipv4Addr;
use std::time::Instant;

const OFFICE: Ipv4Addr = Ipv4Addr::new(192, 168, 8, 10);
/// IPv4's header and UDP's.
const OUTSIDE: usize = 28;

fn sealed(core: &mut dyn Core, now: Instant, packet: &[u8]) -> (Path, Vec<u8>) {
    let (mut buf, range) = with_room(packet);
    match core.handle_inner(now, &mut buf, range) {
        Forward::Udp { path, payload } => (path, buf[payload].to_vec()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn full_segments_are_one_packet_with_every_suite() {
    #[allow(clippy::disallowed_methods, reason = "any start will do")]
    let now = Instant::now();
    for suite in [
        "aes256-sha512",
        "aes192-sha384",
        "aes128-sha256",
        "3des-sha1",
        "aes128gcm16",
    ] {
        let mut joined = Joined::new(now, &[suite], true, 3);
        let (now, client) = (joined.now, joined.addresses[0]);
        let mut syn = tcp((OFFICE, 443), (client, 5000), 1, 0);
        syn[33] = 0x02;
        syn[40..52].copy_from_slice(&[2, 4, 0x05, 0xb4, 1, 1, 1, 1, 1, 1, 1, 1]);
        let (path, datagram) = sealed(&mut joined.gateway, now, &syn);
        let path = joined.across(path);
        let (mut buf, range) = with_room(&datagram);
        let Forward::Inner(range) = joined.clients[0].handle_udp(now, path, &mut buf, range) else {
            panic!("the client dropped it");
        };
        let packet = &buf[range];
        let size = usize::from(u16::from_be_bytes([packet[42], packet[43]]));
        // Timestamps take twelve bytes of it.
        let full = tcp((OFFICE, 443), (client, 5001), 2, size - 12);
        let (_, datagram) = sealed(&mut joined.gateway, now, &full);
        let length = datagram.len() + OUTSIDE;
        assert!(
            (1440..=1500).contains(&length),
            "{suite}: {length} with segments of {size}"
        );
    }
}
