use crate::core::{HEADROOM, Path};
use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// A buffer takes what the kernel's receive offload may coalesce, behind room for headers.
const BUFFER: usize = HEADROOM + 65_535;

/// A UDP socket that knows which of its addresses a datagram came to.
#[derive(Debug)]
pub struct UdpPort {
    socket: UdpSocket,
    state: UdpSocketState,
    local: SocketAddr,
    buffer: Vec<u8>,
}

/// One datagram in the port's buffer.
#[derive(Debug)]
pub struct Received<'a> {
    /// Where it came from and to.
    pub path: Path,
    /// The buffer, with [`HEADROOM`] before the first datagram.
    pub buffer: &'a mut [u8],
    /// The datagram.
    pub datagram: Range<usize>,
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
            buffer: vec![0; BUFFER],
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

    /// Gives each datagram of the next read to `each`; false when there was none.
    ///
    /// # Errors
    /// What the system gave.
    pub fn receive(&mut self, mut each: impl FnMut(&Self, Received<'_>)) -> io::Result<bool> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let read = self.read(buffer.get_mut(HEADROOM..).unwrap_or_default());
        let found = match read {
            Ok((meta, path)) => {
                let stride = meta.stride.max(1);
                for start in (0..meta.len).step_by(stride) {
                    let end = (start + stride).min(meta.len);
                    each(
                        self,
                        Received {
                            path,
                            buffer: &mut buffer,
                            datagram: HEADROOM + start..HEADROOM + end,
                        },
                    );
                }
                Ok(true)
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(false),
            // What an ICMP error left behind; the next read is fine.
            Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => Ok(true),
            Err(e) => Err(e),
        };
        self.buffer = buffer;
        found
    }

    fn read(&self, buffer: &mut [u8]) -> io::Result<(RecvMeta, Path)> {
        let mut meta = [RecvMeta::default()];
        self.socket.try_io(Interest::READABLE, || {
            let mut slices = [IoSliceMut::new(buffer)];
            self.state
                .recv((&self.socket).into(), &mut slices, &mut meta)
        })?;
        let [meta] = meta;
        let ip = meta.dst_ip.unwrap_or(self.local.ip());
        let local = SocketAddr::new(ip, self.local.port());
        Ok((
            meta,
            Path {
                local,
                remote: meta.addr,
            },
        ))
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
