use super::{Inner, NativeEsp, Received, UdpPort, now};
use crate::core::{Core, Forward, Path, Transmit};
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

/// Reads in a row before timers and the other devices get their turn.
const BURST: usize = 64;

/// How long an orderly goodbye may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// Moves packets and time between a [`Core`] and the system.
#[derive(Debug)]
pub struct Driver<C> {
    /// The protocol.
    pub core: C,
    /// UDP port 500.
    pub ike: UdpPort,
    /// UDP port 4500.
    pub natt: UdpPort,
    /// IP protocol 50.
    pub esp: Option<NativeEsp>,
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
    Ike,
    Natt,
    Esp,
    Inner,
    Timeout,
}

impl<C: Core> Driver<C> {
    /// Joins `core` to its devices.
    pub fn new(core: C, ike: UdpPort, natt: UdpPort, esp: Option<NativeEsp>, inner: Inner) -> Self {
        Self {
            core,
            ike,
            natt,
            esp,
            inner,
            tap: None,
            lost: 0,
        }
    }

    /// Waits for packets or for time and deals with them. May be dropped at any wait.
    ///
    /// # Errors
    /// What a device gave that will not mend itself.
    pub async fn turn(&mut self) -> io::Result<()> {
        self.flush();
        match self.ready().await? {
            Ready::Ike | Ready::Natt | Ready::Esp | Ready::Inner => {
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
        self.lost
    }

    async fn ready(&mut self) -> io::Result<Ready> {
        let deadline = self.core.poll_timeout();
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
            r = self.natt.readable() => r.map(|()| Ready::Natt),
            r = self.inner.readable() => r.map(|()| Ready::Inner),
            r = self.ike.readable() => r.map(|()| Ready::Ike),
            r = esp => r.map(|()| Ready::Esp),
            () = timeout => Ok(Ready::Timeout),
        }
    }

    fn receive_udp(&mut self, natt: bool) -> io::Result<()> {
        let Self {
            core,
            ike,
            natt: natt_port,
            esp,
            inner,
            tap,
            lost,
        } = self;
        let (port, other) = if natt {
            (natt_port, &*ike)
        } else {
            (ike, &*natt_port)
        };
        for _ in 0..BURST {
            let found = port.receive(|port, received| {
                let Received {
                    path,
                    buffer,
                    datagram,
                } = received;
                if let Some(Tap(tap)) = tap
                    && let Some(payload) = buffer.get(datagram.clone())
                {
                    tap(path.remote, path.local, payload, false);
                }
                let forward = core.handle_udp(now(), path, buffer, datagram);
                let out = Out {
                    port,
                    other,
                    esp: esp.as_ref(),
                    inner,
                    tap,
                };
                out.forward(forward, buffer, lost);
            })?;
            if !found {
                break;
            }
        }
        Ok(())
    }

    fn receive_esp(&mut self) -> io::Result<()> {
        let Self {
            core,
            ike,
            natt,
            esp,
            inner,
            tap,
            lost,
        } = self;
        let Some(esp) = esp else { return Ok(()) };
        for _ in 0..BURST {
            let found = esp.receive(|esp, source, destination, buffer, packet| {
                if let Some(Tap(tap)) = tap
                    && let Some(payload) = buffer.get(packet.clone())
                {
                    let [from, to] = [source, destination].map(|ip| SocketAddr::new(ip, 0));
                    tap(from, to, payload, true);
                }
                let forward = core.handle_esp(now(), destination, source, buffer, packet);
                let out = Out {
                    port: natt,
                    other: ike,
                    esp: Some(esp),
                    inner,
                    tap,
                };
                out.forward(forward, buffer, lost);
            })?;
            if !found {
                break;
            }
        }
        Ok(())
    }

    fn receive_inner(&mut self) -> io::Result<()> {
        let Self {
            core,
            ike,
            natt,
            esp,
            inner,
            tap,
            lost,
        } = self;
        for _ in 0..BURST {
            let found = inner.receive(|inner, buffer, packet| {
                let forward = core.handle_inner(now(), buffer, packet);
                let out = Out {
                    port: natt,
                    other: ike,
                    esp: esp.as_ref(),
                    inner,
                    tap,
                };
                out.forward(forward, buffer, lost);
            })?;
            if !found {
                break;
            }
        }
        Ok(())
    }

    fn flush(&mut self) {
        while let Some(transmit) = self.core.poll_transmit() {
            let Self {
                ike,
                natt,
                esp,
                inner,
                tap,
                lost,
                ..
            } = self;
            let out = Out {
                port: natt,
                other: ike,
                esp: esp.as_ref(),
                inner,
                tap,
            };
            match transmit {
                Transmit::Udp { path, payload } => {
                    let range = 0..payload.len();
                    let forward = Forward::Udp {
                        path,
                        payload: range,
                    };
                    out.forward(forward, &payload, lost);
                }
                Transmit::Esp {
                    local,
                    remote,
                    payload,
                } => {
                    let range = 0..payload.len();
                    let forward = Forward::Esp {
                        local,
                        remote,
                        payload: range,
                    };
                    out.forward(forward, &payload, lost);
                }
            }
        }
    }
}

/// Where packets can go.
struct Out<'a> {
    port: &'a UdpPort,
    other: &'a UdpPort,
    esp: Option<&'a NativeEsp>,
    inner: &'a Inner,
    tap: &'a mut Option<Tap>,
}

impl Out<'_> {
    fn forward(self, forward: Forward, buffer: &[u8], lost: &mut u64) {
        let bytes = |range: Range<usize>| buffer.get(range).unwrap_or_default();
        let sent = match forward {
            Forward::Nothing => return,
            Forward::Inner(packet) => self.inner.send(bytes(packet)),
            Forward::Udp { path, payload } => {
                if let Some(Tap(tap)) = self.tap {
                    tap(path.local, path.remote, bytes(payload.clone()), false);
                }
                self.port_of(path).send(path, bytes(payload))
            }
            Forward::Esp {
                local,
                remote,
                payload,
            } => match self.esp {
                Some(esp) => {
                    if let Some(Tap(tap)) = self.tap {
                        let [from, to] = [local, remote].map(|ip| SocketAddr::new(ip, 0));
                        tap(from, to, bytes(payload.clone()), true);
                    }
                    esp.send(remote, bytes(payload))
                }
                None => Err(io::ErrorKind::Unsupported.into()),
            },
        };
        if let Err(e) = sent {
            *lost += 1;
            tracing::trace!(error = %e, "packet not sent");
        }
    }

    fn port_of(&self, path: Path) -> &UdpPort {
        if self.other.local().port() == path.local.port() {
            self.other
        } else {
            self.port
        }
    }
}
