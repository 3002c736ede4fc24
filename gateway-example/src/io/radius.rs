use crate::config::Radius;
use crate::core::{Core as _, Gateway};
use crate::io::{now, wall_clock};
use crate::radius::Port;
use crate::radius::wire::MAX_PACKET;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::net::UdpSocket;

/// How long the last accounting records may take.
const FAREWELL: Duration = Duration::from_secs(3);

/// The sockets towards RADIUS servers. Nothing here waits for room to send: requests are repeated.
#[derive(Debug)]
pub struct RadiusPorts {
    sockets: Vec<Socket>,
    buffer: Box<[u8; MAX_PACKET]>,
}

#[derive(Debug)]
struct Socket {
    port: Port,
    /// As it was asked for.
    bound: SocketAddr,
    udp: UdpSocket,
}

/// Sockets for another configuration: those that are not there yet are open.
#[derive(Debug)]
pub struct NewRadiusPorts(Vec<(Port, SocketAddr, Option<UdpSocket>)>);

/// A datagram in the buffer of [`RadiusPorts`].
#[derive(Debug)]
pub struct RadiusReceived {
    port: Port,
    from: SocketAddr,
    length: usize,
}

impl RadiusPorts {
    /// Opens what `config` needs; without one there is nothing to receive.
    ///
    /// # Errors
    /// What the system gave, with the address.
    pub fn open(config: Option<&Radius>, listen: IpAddr) -> io::Result<Self> {
        let mut ports = Self {
            sockets: Vec::new(),
            buffer: Box::new([0; MAX_PACKET]),
        };
        let new = ports.prepare(config, listen)?;
        ports.replace(new);
        Ok(ports)
    }

    /// Opens what `config` needs besides what is open; [`replace`](Self::replace) takes it.
    ///
    /// # Errors
    /// What the system gave, with the address; nothing has changed then.
    pub fn prepare(&self, config: Option<&Radius>, listen: IpAddr) -> io::Result<NewRadiusPorts> {
        let open = |(port, at): (Port, SocketAddr)| {
            let known = |s: &Socket| s.port == port && s.bound == at;
            let there = self.sockets.iter().any(known);
            let socket = (!there).then(|| bind(at)).transpose()?;
            Ok((port, at, socket))
        };
        let needed = config.map(|config| needed(config, listen));
        let needed = needed.into_iter().flatten().map(open);
        Ok(NewRadiusPorts(needed.collect::<io::Result<_>>()?))
    }

    /// Takes other sockets, and closes those that are not among them.
    pub fn replace(&mut self, new: NewRadiusPorts) {
        let mut old = std::mem::take(&mut self.sockets);
        for (port, bound, udp) in new.0 {
            let known = |s: &Socket| s.port == port && s.bound == bound;
            let there = old.iter().position(known).map(|at| old.swap_remove(at));
            let fresh = udp.map(|udp| Socket { port, bound, udp });
            self.sockets.extend(fresh.or(there));
        }
    }

    /// Hands what was received to `core`, and sends what comes of it.
    pub fn handle(&mut self, received: &RadiusReceived, core: &mut Gateway) {
        core.set_clock(now(), wall_clock());
        let datagram = self.buffer.get(..received.length).unwrap_or_default();
        core.handle_radius(now(), received.port, received.from, datagram);
        self.flush(core);
    }

    /// Waits for a datagram. May be dropped while it waits.
    ///
    /// # Errors
    /// What the system gave that will not mend itself.
    pub async fn receive(&mut self) -> io::Result<RadiusReceived> {
        if self.sockets.is_empty() {
            return std::future::pending().await;
        }
        loop {
            let readable = self.sockets.iter().map(|s| Box::pin(s.udp.readable()));
            let (ready, index, _) = futures_util::future::select_all(readable).await;
            ready?;
            let Some(socket) = self.sockets.get(index) else {
                continue;
            };
            match socket.udp.try_recv_from(&mut self.buffer[..]) {
                Ok((length, from)) => {
                    return Ok(RadiusReceived {
                        port: socket.port,
                        from,
                        length,
                    });
                }
                // What an ICMP error left behind is for the timeout to find out.
                Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// Sends what `core` has for the servers.
    pub fn flush(&self, core: &mut Gateway) {
        while let Some(transmit) = core.poll_radius() {
            let fits =
                |s: &&Socket| s.port == transmit.port && s.bound.is_ipv4() == transmit.to.is_ipv4();
            if let Some(socket) = self.sockets.iter().find(fits)
                && let Err(e) = socket.udp.try_send_to(&transmit.payload, transmit.to)
            {
                tracing::debug!(error = %e, to = %transmit.to, "RADIUS packet not sent");
            }
        }
    }

    /// Waits a little until the servers have confirmed the last accounting records.
    pub async fn finish(&mut self, core: &mut Gateway) {
        let farewell = async {
            self.flush(core);
            while !core.is_accounted() {
                let due = core.poll_timeout();
                let timeout = async {
                    match due {
                        Some(at) => tokio::time::sleep_until(at.into()).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    received = self.receive() => match received {
                        Ok(received) => self.handle(&received, core),
                        Err(_) => return,
                    },
                    () = timeout => core.handle_timeout(now()),
                }
                self.flush(core);
            }
        };
        if tokio::time::timeout(FAREWELL, farewell).await.is_err() {
            tracing::warn!("accounting records are lost: no RADIUS server confirms them");
        }
    }
}

/// Towards servers of each family a socket of its own, and one for what they want.
fn needed(config: &Radius, listen: IpAddr) -> Vec<(Port, SocketAddr)> {
    let any: [IpAddr; 2] = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
    let used = |any: &IpAddr| {
        let mut servers = config.servers.iter();
        servers.any(|s| s.address.is_ipv4() == any.is_ipv4())
    };
    let families = any.into_iter().filter(used);
    let mut ports: Vec<_> = families
        .flat_map(|any| [Port::Access, Port::Accounting].map(|p| (p, SocketAddr::new(any, 0))))
        .collect();
    let dynamic = config.dynamic_port;
    ports.extend(dynamic.map(|port| (Port::Dynamic, SocketAddr::new(listen, port))));
    ports
}

fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let explain = |e: io::Error| io::Error::new(e.kind(), format!("RADIUS socket {address}: {e}"));
    #[allow(clippy::disallowed_methods, reason = "this is the socket layer")]
    let socket = std::net::UdpSocket::bind(address).map_err(explain)?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}
