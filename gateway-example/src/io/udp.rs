use crate::core::{Datagram, Path};
use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// A UDP socket that knows which of its addresses a datagram came to.
#[derive(Debug)]
pub struct UdpPort {
    socket: UdpSocket,
    state: UdpSocketState,
    local: SocketAddr,
}

/// Messages of one read at most; each may be of many datagrams.
const MESSAGES: usize = 16;

/// The longest message that the kernel's receive offload makes.
pub(super) const LONGEST: usize = 65_535;

/// The MTU of most links.
const LINK: usize = 1500;

/// Room for what is read at once.
pub(super) const READ: usize = MESSAGES * LONGEST;

/// Room for a burst that comes while the other side is served, even above `net.core.rmem_max`.
pub(super) fn set_buffers(socket: socket2::SockRef<'_>) {
    use rustix::net::sockopt;
    let bytes = 4 << 20;
    if sockopt::set_socket_recv_buffer_size_force(&*socket, bytes).is_err() {
        let _ = socket.set_recv_buffer_size(bytes);
    }
    if sockopt::set_socket_send_buffer_size_force(&*socket, bytes).is_err() {
        let _ = socket.set_send_buffer_size(bytes);
    }
}

impl UdpPort {
    /// Binds `address`.
    ///
    /// # Errors
    /// What the system gave, with the address and what can be done.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let explain = |e: io::Error| {
            let help = match e.kind() {
                io::ErrorKind::PermissionDenied => {
                    ": run as root, or give the binary CAP_NET_BIND_SERVICE"
                }
                io::ErrorKind::AddrInUse => ": another IKE daemon is running; `ss -ulnp` names it",
                io::ErrorKind::AddrNotAvailable => ": this machine has no such address",
                _ => "",
            };
            io::Error::new(e.kind(), format!("UDP {address}: {e}{help}"))
        };
        #[allow(clippy::disallowed_methods, reason = "this is the socket layer")]
        let socket = std::net::UdpSocket::bind(address).map_err(explain)?;
        socket.set_nonblocking(true)?;
        let state = UdpSocketState::new((&socket).into())?;
        // What is too long for the link goes in fragments; the above asks for an error instead.
        if address.is_ipv4() {
            let may = rustix::net::sockopt::Ipv4PathMtuDiscovery::DONT;
            rustix::net::sockopt::set_ip_mtu_discover(&socket, may)?;
        }
        set_buffers((&socket).into());
        let local = socket.local_addr()?;
        Ok(Self {
            socket: UdpSocket::from_std(socket)?,
            state,
            local,
        })
    }

    /// The address it is bound to.
    #[must_use]
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Waits until a datagram is there.
    ///
    /// # Errors
    /// What the system gave.
    pub async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await
    }

    /// Reads what is there into `buffer`, which has room for `READ` bytes; gives none when there was
    /// nothing.
    ///
    /// # Errors
    /// What the system gave.
    pub fn receive<'b>(
        &self,
        buffer: &'b mut [u8],
    ) -> io::Result<impl Iterator<Item = Datagram<'b>> + use<'b>> {
        let mut metas = [RecvMeta::default(); MESSAGES];
        let count = loop {
            match self.read(buffer, &mut metas) {
                Ok(count) => {
                    if count < MESSAGES {
                        self.emptied();
                    }
                    break count;
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break 0,
                // What an ICMP error left behind; the next read is fine.
                Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(e) => return Err(e),
            }
        };
        let own = self.local;
        let messages = buffer.chunks_mut(LONGEST).zip(metas).take(count);
        Ok(messages.flat_map(move |(message, meta)| {
            let ip = meta.dst_ip.unwrap_or(own.ip());
            let path = Path {
                local: SocketAddr::new(ip, own.port()),
                remote: meta.addr,
            };
            let message = message.get_mut(..meta.len).unwrap_or_default();
            let datagrams = message.chunks_mut(meta.stride.max(1));
            datagrams.map(move |datagram| Datagram::udp(path, datagram))
        }))
    }

    fn read(&self, buffer: &mut [u8], metas: &mut [RecvMeta; MESSAGES]) -> io::Result<usize> {
        self.socket.try_io(Interest::READABLE, || {
            let mut chunks = buffer.chunks_mut(LONGEST);
            let mut slices: [_; MESSAGES] =
                std::array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()));
            self.state.recv((&self.socket).into(), &mut slices, metas)
        })
    }

    /// Notes that there is nothing more to read, which saves asking; whatever comes is told anew.
    fn emptied(&self) {
        let empty = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
        let _ = self.socket.try_io(Interest::READABLE, empty);
    }

    /// Sends the datagrams in `payload`, of `length` bytes each but the last, which may be shorter,
    /// from the address that the peer knows.
    ///
    /// # Errors
    /// What the system gave; a full socket buffer too.
    pub fn send(&self, path: Path, payload: &[u8], length: usize) -> io::Result<()> {
        let source = Some(path.local.ip()).filter(|ip: &IpAddr| !ip.is_unspecified());
        // Segments are not fragmented.
        let headers = 8 + if path.remote.is_ipv4() { 20 } else { 40 };
        let most = if length + headers > LINK {
            1
        } else {
            self.state.max_gso_segments()
        };
        let at_once = length.max(1) * most;
        for contents in payload.chunks(at_once) {
            let transmit = Transmit {
                destination: path.remote,
                ecn: None,
                contents,
                segment_size: (contents.len() > length).then_some(length),
                src_ip: source,
            };
            self.socket.try_io(Interest::WRITABLE, || {
                self.state.try_send((&self.socket).into(), &transmit)
            })?;
        }
        Ok(())
    }
}
