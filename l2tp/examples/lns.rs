//! An LNS on UDP that shows what its calls send:
//! `cargo run -p roadwarrior-l2tp --example lns -- ADDRESS:1701`. Without IPsec, so in a lab only.
#![allow(clippy::print_stdout, reason = "its output is for people")]

use l2tp::rand_core::UnwrapErr;
use l2tp::{Config, Endpoint, Event, PathId, Received};
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

#[allow(clippy::disallowed_methods, reason = "here is where time comes from")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).ok_or("usage: lns ADDRESS:PORT")?;
    let socket = UdpSocket::bind(address)?;
    let random = Box::new(UnwrapErr(getrandom::SysRng));
    let mut lns = Endpoint::new(Arc::new(Config::default()), random)?;
    // Tunnels belong to a path; here, that is an address.
    let mut peers: Vec<SocketAddr> = Vec::new();
    let mut buffer = [0; 65_536];
    loop {
        let due = lns.poll_timeout();
        let wait = due.map(|at| (at - Instant::now()).max(Duration::from_millis(1)));
        socket.set_read_timeout(wait)?;
        match socket.recv_from(&mut buffer) {
            Ok((length, from)) => {
                if !peers.contains(&from) && peers.len() < 100 {
                    peers.push(from);
                }
                let Some(path) = peers.iter().position(|peer| *peer == from) else {
                    continue;
                };
                let path = PathId(path as u64);
                match lns.handle_datagram(Instant::now(), path, &mut buffer, 0..length) {
                    Ok(Received::Data { session, frame }) => {
                        println!("{session:?}: PPP {:02x?}", &buffer[frame]);
                    }
                    Ok(_) => {}
                    Err(error) => println!("{from}: dropped reason={}", error.reason()),
                }
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(e) => return Err(e.into()),
        }
        lns.handle_timeout(Instant::now());
        while let Some(message) = lns.poll_transmit() {
            let PathId(path) = message.path;
            socket.send_to(&message.payload, peers[path as usize])?;
        }
        while let Some(event) = lns.poll_event() {
            match event {
                // Here a PPP link would begin, and send with Endpoint::encapsulate.
                Event::SessionUp { session, .. } => println!("{session:?}: up"),
                other => println!("{other:?}"),
            }
        }
    }
}
