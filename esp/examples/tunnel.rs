//! A tunnel between two gateways (RFC 4303), its ESP in UDP (RFC 3948), with keys given by hand:
//! `cargo run -p roadwarrior-esp --example tunnel`
#![allow(clippy::print_stdout, reason = "its output is for people")]

use esp::{Cipher, InboundSa, OutboundSa, SaConfig, Suite};
use std::net::UdpSocket;
use std::time::Instant;

/// What a tunnel carries: IP packets (RFC 4303 section 2.6).
const IPV4: u8 = 4;
const HEADROOM: usize = 64;
const LOOPBACK: &str = "127.0.0.1:0";
/// A UDP datagram from 10.1.0.2 to 10.2.0.2.
const PACKET: [u8; 28] =
    *b"E\0\0\x1c\0\0\0\0\x40\x11\0\0\x0a\x01\0\x02\x0a\x02\0\x02\0\x07\0\x07\0\x08\0\0";

#[allow(clippy::disallowed_methods, reason = "here is where time comes from")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let now = Instant::now();
    let suite = Suite::new(Cipher::AesGcm256, None)?;
    // 32 bytes of key and 4 of salt, from IKE in earnest.
    let config = SaConfig::new(0x1234_5678, suite, &[7; 36], &[]);
    let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
    let mut outbound = OutboundSa::new(now, &config, &mut rng)?;
    let mut inbound = InboundSa::new(now, &config)?;
    let (here, there) = (UdpSocket::bind(LOOPBACK)?, UdpSocket::bind(LOOPBACK)?);

    // The packet, with room for what goes around it.
    let mut buf = [0; 2048];
    let inner = HEADROOM..HEADROOM + PACKET.len();
    buf[inner.clone()].copy_from_slice(&PACKET);
    let sealed = outbound.seal(Instant::now(), &mut buf, inner, IPV4)?;
    here.send_to(&buf[sealed], there.local_addr()?)?;

    let (length, from) = there.recv_from(&mut buf)?;
    let opened = inbound.open(Instant::now(), &mut buf, 0..length)?;
    println!("{length} bytes from {from}: number {}", opened.sequence);
    assert_eq!(buf[opened.payload], PACKET);
    Ok(())
}
