//! An IKE responder on UDP, with whatever clients of a pre-shared key come:
//! `cargo run -p roadwarrior-isakmp --example responder -- KEY ADDRESS [PORT NATT-PORT]`
#![allow(clippy::print_stdout, reason = "its output is for people")]

use isakmp::{Config, Endpoint, Event, Path, PeerMatch, PresharedKey};
use rand_core::UnwrapErr;
use std::net::{IpAddr, UdpSocket};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

#[allow(clippy::disallowed_methods, reason = "here is where time comes from")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [key, address, ports @ ..] = arguments.as_slice() else {
        return Err("usage: responder KEY ADDRESS [PORT NATT-PORT]".into());
    };
    let address: IpAddr = address.parse()?;
    let mut config = Config::new(vec![(PeerMatch::Any, PresharedKey::new(key))]);
    if let [ike, natt] = ports {
        (config.ike_port, config.natt_port) = (ike.parse()?, natt.parse()?);
    }
    // Each socket has a thread that waits; the endpoint has this one.
    let (sender, datagrams) = mpsc::channel();
    let mut sockets = Vec::new();
    for port in [config.ike_port, config.natt_port] {
        let socket = UdpSocket::bind((address, port))?;
        let (local, reader, sender) = (socket.local_addr()?, socket.try_clone()?, sender.clone());
        std::thread::spawn(move || {
            let mut buffer = [0; 65_536];
            while let Ok((length, remote)) = reader.recv_from(&mut buffer) {
                let _ = sender.send((Path { local, remote }, buffer[..length].to_vec()));
            }
        });
        sockets.push((local, socket));
    }
    let random = Box::new(UnwrapErr(getrandom::SysRng));
    let mut endpoint = Endpoint::new(Arc::new(config), random)?;
    loop {
        let due = endpoint.poll_timeout();
        let wait = due.map_or(Duration::MAX, |at| at - Instant::now());
        if let Ok((path, mut datagram)) = datagrams.recv_timeout(wait)
            && let Err(error) = endpoint.handle_datagram(Instant::now(), path, &mut datagram)
        {
            println!("{}: dropped reason={}", path.remote, error.reason());
        }
        endpoint.handle_timeout(Instant::now());
        while let Some(transmit) = endpoint.poll_transmit() {
            let from = |(local, _): &&(_, UdpSocket)| *local == transmit.path.local;
            if let Some((_, socket)) = sockets.iter().find(from) {
                // What cannot be sent is lost, as on the way: anybody can name a place nobody can reach.
                let _ = socket.send_to(&transmit.payload, transmit.path.remote);
            }
        }
        while let Some(event) = endpoint.poll_event() {
            match event {
                Event::ChildEstablished(sa) => println!("ESP SAs for your data path: {sa:?}"),
                other => println!("{other:?}"),
            }
        }
    }
}
