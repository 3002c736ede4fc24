use super::{Inner, NativeEsp, UdpPort, now};
use crate::core::{Core, Forward, HEADROOM, Path, Transmit};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::time::Duration;

/// Reads in a row before timers and the other devices get their turn.
const BURST: usize = 64;

/// Takes what the kernel's receive offload may coalesce, behind room for headers.
const BUFFER: usize = HEADROOM + 65_535;

/// How long an orderly goodbye may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// Moves packets and time between a [`Core`] and the system.
#[derive(Debug)]
pub struct Driver<C> {
    /// The protocol.
    pub core: C,
    /// What it speaks through.
    pub devices: Devices,
    /// Every packet is read into it, rewritten in it, and sent from it.
    buffer: Vec<u8>,
}

/// Where packets come from and go to.
#[derive(Debug)]
pub struct Devices {
    ike: UdpPort,
    natt: UdpPort,
    esp: Option<NativeEsp>,
    /// The unencrypted side.
    pub inner: Inner,
    /// Called with each packet on the outside.
    pub tap: Option<Tap>,
    lost: u64,
}

/// Sees every packet on the outside.
pub struct Tap(pub Box<Observer>);

/// From, to, payload, and whether it is native ESP.
type Observer = dyn FnMut(SocketAddr, SocketAddr, &[u8], bool) + Send;

impl std::fmt::Debug for Tap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tap")
    }
}

enum Ready {
    Packet,
    Timeout,
}

impl<C: Core> Driver<C> {
    /// Joins `core` to its devices.
    pub fn new(core: C, ike: UdpPort, natt: UdpPort, esp: Option<NativeEsp>, inner: Inner) -> Self {
        Self {
            core,
            devices: Devices {
                ike,
                natt,
                esp,
                inner,
                tap: None,
                lost: 0,
            },
            buffer: vec![0; BUFFER],
        }
    }

    /// Waits for packets or for time and deals with them. May be dropped at any wait.
    ///
    /// # Errors
    /// What a device gave that will not mend itself.
    pub async fn turn(&mut self) -> io::Result<()> {
        self.flush();
        match self.devices.ready(self.core.poll_timeout()).await? {
            Ready::Packet => {
                // The others may be ready as well, and waiting costs a system call each.
                self.receive_udp(true)?;
                self.receive_udp(false)?;
                self.receive_esp()?;
                self.receive_inner()?;
            }
            Ready::Timeout => self.core.handle_timeout(now()),
        }
        self.flush();
        Ok(())
    }

    /// Says goodbye to every peer and waits a little for their answers.
    pub async fn shutdown(&mut self) {
        self.core.shutdown(now());
        let goodbye = async { while !self.core.is_idle() && self.turn().await.is_ok() {} };
        let _ = tokio::time::timeout(GOODBYE, goodbye).await;
        self.flush();
    }

    /// Packets that the system did not take, for want of room.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.devices.lost
    }

    fn receive_udp(&mut self, natt: bool) -> io::Result<()> {
        let Self {
            core,
            devices,
            buffer,
        } = self;
        for _ in 0..BURST {
            let port = if natt { &devices.natt } else { &devices.ike };
            let Some(received) = port.receive(buffer)? else {
                break;
            };
            let path = received.path;
            for datagram in received.datagrams() {
                devices.observe(path.remote, path.local, bytes(buffer, &datagram), false);
                let forward = core.handle_udp(now(), path, buffer, datagram);
                devices.forward(forward, buffer);
            }
        }
        Ok(())
    }

    fn receive_esp(&mut self) -> io::Result<()> {
        let Self {
            core,
            devices,
            buffer,
        } = self;
        for _ in 0..BURST {
            let Some(esp) = &devices.esp else { break };
            let Some(packet) = esp.receive(buffer)? else {
                break;
            };
            let (from, to, payload) = (packet.source, packet.destination, packet.payload);
            devices.observe_native(from, to, bytes(buffer, &payload));
            let forward = core.handle_esp(now(), to, from, buffer, payload);
            devices.forward(forward, buffer);
        }
        Ok(())
    }

    fn receive_inner(&mut self) -> io::Result<()> {
        for _ in 0..BURST {
            let Some(packet) = self.devices.inner.receive(&mut self.buffer)? else {
                break;
            };
            let forward = self.core.handle_inner(now(), &mut self.buffer, packet);
            self.devices.forward(forward, &self.buffer);
        }
        Ok(())
    }

    fn flush(&mut self) {
        while let Some(transmit) = self.core.poll_transmit() {
            match transmit {
                Transmit::Udp { path, payload } => self.devices.send_udp(path, &payload),
                Transmit::Esp {
                    local,
                    remote,
                    payload,
                } => self.devices.send_esp(local, remote, &payload),
            }
        }
    }
}

impl Devices {
    async fn ready(&mut self, deadline: Option<std::time::Instant>) -> io::Result<Ready> {
        let timeout = async {
            match deadline {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        let esp = async {
            match &self.esp {
                Some(esp) => esp.readable().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            r = self.natt.readable() => r.map(|()| Ready::Packet),
            r = self.inner.readable() => r.map(|()| Ready::Packet),
            r = self.ike.readable() => r.map(|()| Ready::Packet),
            r = esp => r.map(|()| Ready::Packet),
            () = timeout => Ok(Ready::Timeout),
        }
    }

    fn forward(&mut self, forward: Forward, buffer: &[u8]) {
        match forward {
            Forward::Nothing => {}
            Forward::Inner(packet) => {
                let sent = self.inner.send(bytes(buffer, &packet));
                self.note(sent);
            }
            Forward::Udp { path, payload } => self.send_udp(path, bytes(buffer, &payload)),
            Forward::Esp {
                local,
                remote,
                payload,
            } => self.send_esp(local, remote, bytes(buffer, &payload)),
        }
    }

    fn send_udp(&mut self, path: Path, payload: &[u8]) {
        self.observe(path.local, path.remote, payload, false);
        let of_ike = self.ike.local().port() == path.local.port();
        let port = if of_ike { &self.ike } else { &self.natt };
        let sent = port.send(path, payload);
        self.note(sent);
    }

    fn send_esp(&mut self, local: IpAddr, remote: IpAddr, packet: &[u8]) {
        let sent = match &self.esp {
            Some(esp) => esp.send(remote, packet),
            None => Err(io::ErrorKind::Unsupported.into()),
        };
        if self.esp.is_some() {
            self.observe_native(local, remote, packet);
        }
        self.note(sent);
    }

    fn note(&mut self, sent: io::Result<()>) {
        if let Err(e) = sent {
            self.lost += 1;
            tracing::trace!(error = %e, "packet not sent");
        }
    }

    fn observe(&mut self, from: SocketAddr, to: SocketAddr, payload: &[u8], native: bool) {
        if let Some(Tap(tap)) = &mut self.tap {
            tap(from, to, payload, native);
        }
    }

    fn observe_native(&mut self, from: IpAddr, to: IpAddr, packet: &[u8]) {
        let [from, to] = [from, to].map(|ip| SocketAddr::new(ip, 0));
        self.observe(from, to, packet, true);
    }
}

fn bytes<'a>(buffer: &'a [u8], range: &Range<usize>) -> &'a [u8] {
    buffer.get(range.clone()).unwrap_or_default()
}
