use crate::core::{Datagram, Path};
use arrayvec::ArrayVec;
use nix::sys::socket::sockopt::ReceiveTimestampns;
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// A UDP socket that knows which of its addresses a datagram came to.
#[derive(Debug)]
pub struct UdpPort {
    socket: UdpSocket,
    state: UdpSocketState,
    local: SocketAddr,
    /// Messages that are read next at most.
    messages: AtomicUsize,
}

/// Messages that are read before any is dealt with, at most; each may be of many datagrams. If each
/// is of one, these are still more than fill a packet of 64 KiB for the other side.
const MESSAGES: usize = 64;

/// As many at least.
const FEWEST: usize = 4;

/// Bytes that are read before any is dealt with, or not many more: what stays in the cache.
const ENOUGH: usize = 256 << 10;

/// The MTU of most links.
const LINK: usize = 1500;

/// From one message to the next, each of which may be of 65,535 bytes, after receive offload. Not
/// near a power of two: short ones would then all share a few lines of the cache.
pub(super) const STRIDE: usize = (64 << 10) + 33 * 64;

/// Room for what is read at once.
pub(super) const READ: usize = MESSAGES * STRIDE;

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
        // When a datagram came, and its type of service: costs at each, and nobody asks.
        nix::sys::socket::setsockopt(&socket, ReceiveTimestampns, &false)?;
        match address {
            SocketAddr::V4(_) => rustix::net::sockopt::set_ip_recvtos(&socket, false)?,
            SocketAddr::V6(_) => rustix::net::sockopt::set_ipv6_recvtclass(&socket, false)?,
        }
        set_buffers((&socket).into());
        let local = socket.local_addr()?;
        Ok(Self {
            socket: UdpSocket::from_std(socket)?,
            state,
            local,
            messages: AtomicUsize::new(MESSAGES),
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
        let most = self.messages.load(Ordering::Relaxed);
        let mut count = 0;
        while count < most {
            let asked = (most - count).min(BATCH_SIZE);
            let space = buffer.chunks_mut(STRIDE).skip(count).take(asked);
            let rest = metas.get_mut(count..).unwrap_or_default();
            match self.read(space, rest) {
                Ok(read) => {
                    count += read;
                    if read < asked {
                        self.emptied();
                        break;
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                // What an ICMP error left behind; the next read is fine.
                Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => {}
                // What has been read is dealt with first; it comes again.
                Err(_) if count > 0 => break,
                Err(e) => return Err(e),
            }
        }
        if count > 0 {
            let bytes: usize = metas.iter().take(count).map(|meta| meta.len).sum();
            let fit = (ENOUGH * count / bytes.max(1)).clamp(FEWEST, MESSAGES);
            self.messages.store(fit, Ordering::Relaxed);
        }
        let own = self.local;
        let messages = buffer.chunks_mut(STRIDE).zip(metas).take(count);
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

    /// Reads a message into each space, one system call for all; gives how many.
    fn read<'b>(
        &self,
        space: impl Iterator<Item = &'b mut [u8]>,
        metas: &mut [RecvMeta],
    ) -> io::Result<usize> {
        let mut slices: ArrayVec<_, BATCH_SIZE> = space.map(IoSliceMut::new).collect();
        self.socket.try_io(Interest::READABLE, || {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Reads until so many datagrams were there.
    async fn read_all(port: &UdpPort, count: usize) -> Vec<Vec<u8>> {
        let mut buffer = vec![0; READ];
        let mut all = Vec::new();
        while all.len() < count {
            port.readable().await.unwrap();
            all.extend(
                port.receive(&mut buffer)
                    .unwrap()
                    .map(|d| d.outer().to_vec()),
            );
        }
        all
    }

    /// More than are read at once, of all lengths, after which fewer are.
    #[tokio::test]
    async fn every_datagram_is_read_whole_and_in_order() {
        let [from, to] = [(); 2].map(|()| UdpPort::bind(([127, 0, 0, 1], 0).into()).unwrap());
        let path = Path {
            local: from.local(),
            remote: to.local(),
        };
        let many = 3 * MESSAGES / 2;
        // Not more than what fits a socket's buffer without privileges.
        for (count, lengths) in [(many, [1, 100, 1400]), (4, [50_000; 3]), (many, [9, 8, 7])] {
            let lengths = lengths.into_iter().cycle().take(count);
            let sent: Vec<_> = (0..)
                .zip(lengths)
                .map(|(n, length)| vec![n; length])
                .collect();
            for datagram in &sent {
                from.socket.writable().await.unwrap();
                from.send(path, datagram, datagram.len()).unwrap();
            }
            let read = tokio::time::timeout(Duration::from_secs(60), read_all(&to, count));
            assert_eq!(read.await.unwrap(), sent);
        }
    }
}
