//! A tunnel between two gateways (RFC 4303), its ESP in UDP (RFC 3948), with keys given by hand:
//! `cargo run -p roadwarrior-esp --example tunnel`
#![allow(clippy::print_stdout, reason = "its output is for people")]

use esp::{Cipher, InboundSa, OutboundSa, SaConfig, Suite};
use rand_core::UnwrapErr;
use std::net::UdpSocket;
use std::time::Instant;

/// What a tunnel carries: IP packets (RFC 4303 section 2.6).
const IPV4: u8 = 4;
const HEADROOM: usize = 64;

#[allow(clippy::disallowed_methods, reason = "here is where time comes from")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let suite = Suite::new(Cipher::AesGcm256, None)?;
    // 32 bytes of key and 4 of salt, from IKE in earnest.
    let config = SaConfig::new(0x1234_5678, suite, &[7; 36], &[]);
    let mut outbound = OutboundSa::new(Instant::now(), &config, &mut UnwrapErr(getrandom::SysRng))?;
    let mut inbound = InboundSa::new(Instant::now(), &config)?;
    let (here, there) = (
        UdpSocket::bind("127.0.0.1:0")?,
        UdpSocket::bind("127.0.0.1:0")?,
    );

    // An IP packet with room for what goes around it.
    let packet = [
        0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 1, 0, 2, 10, 2, 0, 2, 0, 7, 0, 7, 0, 8, 0, 0,
    ];
    let mut buffer = [0; 2048];
    let inner = HEADROOM..HEADROOM + packet.len();
    buffer[inner.clone()].copy_from_slice(&packet);
    let sealed = outbound.seal(Instant::now(), &mut buffer, inner, IPV4)?;
    here.send_to(&buffer[sealed], there.local_addr()?)?;

    let (length, from) = there.recv_from(&mut buffer)?;
    let opened = inbound.open(Instant::now(), &mut buffer, 0..length)?;
    println!(
        "{length} bytes of ESP from {from}, sequence {}",
        opened.sequence
    );
    assert_eq!(
        (opened.next_header, &buffer[opened.payload]),
        (IPV4, &packet[..])
    );
    Ok(())
}
