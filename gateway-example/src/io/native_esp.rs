use super::udp::set_buffers;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io::{self, Read as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

const PROTOCOL_ESP: i32 = 50;

/// ESP as IP protocol 50, for peers that are not behind a NAT. Needs `CAP_NET_RAW`.
#[derive(Debug)]
pub struct NativeEsp {
    socket: AsyncFd<Socket>,
}

impl NativeEsp {
    /// Opens the raw socket, for ESP to `address` or, if unspecified, to any of this machine's.
    ///
    /// # Errors
    /// What the system gave.
    pub fn open(address: IpAddr) -> io::Result<Self> {
        let open = || {
            let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(PROTOCOL_ESP)))?;
            socket.set_nonblocking(true)?;
            set_buffers((&socket).into());
            if address.is_ipv4() && !address.is_unspecified() {
                socket.bind(&SockAddr::from(SocketAddr::new(address, 0)))?;
            }
            Ok(socket)
        };
        let socket = open().map_err(|e: io::Error| {
            let text = format!(
                "raw socket for ESP: {e}: run as root or with CAP_NET_RAW, or set native_esp = false"
            );
            io::Error::new(e.kind(), text)
        })?;
        #[allow(
            deprecated,
            reason = "its successor is an unsafe function; a Socket owns its descriptor"
        )]
        let socket = AsyncFd::new(socket)?;
        Ok(Self { socket })
    }

    /// Waits until a packet is there.
    ///
    /// # Errors
    /// What the system gave.
    pub async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await?.retain_ready();
        Ok(())
    }

    /// Reads the next packet into `buffer`; none when there was nothing.
    ///
    /// # Errors
    /// What the system gave.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<EspPacket>> {
        loop {
            let read = self.socket.try_io(Interest::READABLE, |socket| {
                let mut socket: &Socket = socket;
                socket.read(buffer)
            });
            match read {
                Ok(length) => {
                    let packet = ipv4_payload(buffer, 0..length);
                    if packet.is_some() {
                        return Ok(packet);
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(e) => return Err(e),
            }
        }
    }

    /// Sends one ESP packet.
    ///
    /// # Errors
    /// What the system gave; a full socket buffer too.
    pub fn send(&self, remote: IpAddr, packet: &[u8]) -> io::Result<()> {
        self.socket
            .get_ref()
            .send_to(packet, &SockAddr::from(SocketAddr::new(remote, 0)))?;
        Ok(())
    }
}

/// An ESP packet without its IP header.
#[derive(Debug)]
pub struct EspPacket {
    /// From.
    pub source: IpAddr,
    /// To.
    pub destination: IpAddr,
    /// Where it lies in the buffer.
    pub payload: Range<usize>,
}

/// What a raw IPv4 socket reads: the packet with its header.
fn ipv4_payload(buffer: &[u8], packet: Range<usize>) -> Option<EspPacket> {
    let header = buffer.get(packet.clone())?.first_chunk::<20>()?;
    let length = usize::from(header[0] & 0x0f) * 4;
    let address = |at: usize| {
        let octets: [u8; 4] = header.get(at..at + 4)?.try_into().ok()?;
        Some(IpAddr::V4(Ipv4Addr::from(octets)))
    };
    let payload = packet.start + length..packet.end;
    if header[0] >> 4 != 4 || payload.start > payload.end {
        return None;
    }
    Some(EspPacket {
        source: address(12)?,
        destination: address(16)?,
        payload,
    })
}
