use crate::core::{HEADROOM, Path};
use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// A UDP socket that knows which of its addresses a datagram came to.
#[derive(Debug)]
pub struct UdpPort {
    socket: UdpSocket,
    state: UdpSocketState,
    local: SocketAddr,
}

/// The datagrams of one read, which all took the same path.
#[derive(Debug)]
pub struct Received {
    /// Where they came from and to.
    pub path: Path,
    length: usize,
    stride: usize,
}

impl Received {
    /// Where each lies in the buffer; the kernel's receive offload may have coalesced them.
    pub fn datagrams(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (length, stride) = (self.length, self.stride.max(1));
        (0..length).step_by(stride).map(move |start| {
            let end = (start + stride).min(length);
            HEADROOM + start..HEADROOM + end
        })
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
        for bytes in [4 << 20, 1 << 20] {
            let send = state.set_send_buffer_size((&socket).into(), bytes);
            let receive = state.set_recv_buffer_size((&socket).into(), bytes);
            if send.is_ok() && receive.is_ok() {
                break;
            }
        }
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

    /// Reads into `buffer`, behind [`HEADROOM`]; none when there was nothing.
    ///
    /// # Errors
    /// What the system gave.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<Received>> {
        let space = buffer.get_mut(HEADROOM..).unwrap_or_default();
        loop {
            match self.read(space) {
                Ok(received) => return Ok(Some(received)),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                // What an ICMP error left behind; the next read is fine.
                Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(e) => return Err(e),
            }
        }
    }

    fn read(&self, buffer: &mut [u8]) -> io::Result<Received> {
        let mut meta = [RecvMeta::default()];
        self.socket.try_io(Interest::READABLE, || {
            let mut slices = [IoSliceMut::new(buffer)];
            self.state
                .recv((&self.socket).into(), &mut slices, &mut meta)
        })?;
        let [meta] = meta;
        let ip = meta.dst_ip.unwrap_or(self.local.ip());
        let local = SocketAddr::new(ip, self.local.port());
        Ok(Received {
            path: Path {
                local,
                remote: meta.addr,
            },
            length: meta.len,
            stride: meta.stride,
        })
    }

    /// Sends one datagram from the address that the peer knows.
    ///
    /// # Errors
    /// What the system gave; a full socket buffer too.
    pub fn send(&self, path: Path, payload: &[u8]) -> io::Result<()> {
        let source = Some(path.local.ip()).filter(|ip: &IpAddr| !ip.is_unspecified());
        self.socket.try_io(Interest::WRITABLE, || {
            self.state.try_send(
                (&self.socket).into(),
                &Transmit {
                    destination: path.remote,
                    ecn: None,
                    contents: payload,
                    segment_size: None,
                    src_ip: source,
                },
            )
        })
    }
}
