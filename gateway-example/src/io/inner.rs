use super::netlink;
use crate::core::HEADROOM;
use std::io;
use std::net::Ipv4Addr;
use std::ops::Range;
use tokio::sync::mpsc;
use tun_rs::{AsyncDevice, DeviceBuilder};

/// Packets that wait in a channel at most, as in a device's queue.
const CHANNEL: usize = 512;

/// The unencrypted side: a TUN device, or a channel to a host in this process.
pub enum Inner {
    /// A TUN device.
    Tun(Box<AsyncDevice>),
    /// Packets to and from this process.
    Channel {
        /// From the host.
        receiver: mpsc::Receiver<Vec<u8>>,
        /// To the host.
        sender: mpsc::Sender<Vec<u8>>,
        /// A packet that waits to be read.
        waiting: Option<Vec<u8>>,
    },
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tun(_) => "Tun",
            Self::Channel { .. } => "Channel",
        })
    }
}

/// How a TUN device is set up.
#[derive(Debug)]
pub struct TunSetup<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its MTU in bytes.
    pub mtu: u16,
    /// Its address, with prefix length 32.
    pub address: Option<Ipv4Addr>,
    /// Networks routed into it.
    pub routes: &'a [(Ipv4Addr, u8)],
    /// Addresses for which `proxy_arp` answers ARP.
    pub proxied: &'a [Ipv4Addr],
    /// The interface that answers.
    pub proxy_arp: Option<&'a str>,
}

impl Inner {
    /// Makes a TUN device and sets its address and routes by netlink. Needs `CAP_NET_ADMIN`.
    ///
    /// # Errors
    /// What the system gave and what can be done.
    pub async fn tun(setup: &TunSetup<'_>) -> io::Result<Self> {
        let device = DeviceBuilder::new()
            .name(setup.name)
            .inherit_enable_state()
            .build_async()
            .map_err(|e| {
                let text = format!(
                    "TUN device {}: {e}: run as root or with CAP_NET_ADMIN, and see that /dev/net/tun exists",
                    setup.name
                );
                io::Error::new(e.kind(), text)
            })?;
        let index = device.if_index()?;
        netlink::bring_up(index, setup).await?;
        Ok(Self::Tun(Box::new(device)))
    }

    /// A channel; the other two ends are the host's receiver and sender.
    #[must_use]
    pub fn channel() -> (Self, mpsc::Receiver<Vec<u8>>, mpsc::Sender<Vec<u8>>) {
        let (to_host, from_gateway) = mpsc::channel(CHANNEL);
        let (to_gateway, from_host) = mpsc::channel(CHANNEL);
        let inner = Self::Channel {
            receiver: from_host,
            sender: to_host,
            waiting: None,
        };
        (inner, from_gateway, to_gateway)
    }

    /// Waits until a packet is there.
    ///
    /// # Errors
    /// What the system gave.
    pub async fn readable(&mut self) -> io::Result<()> {
        match self {
            Self::Tun(device) => device.readable().await,
            Self::Channel {
                receiver, waiting, ..
            } => {
                if waiting.is_none() {
                    *waiting = receiver.recv().await;
                }
                if waiting.is_none() {
                    std::future::pending::<()>().await;
                }
                Ok(())
            }
        }
    }

    /// Reads the next packet into `buffer`, behind [`HEADROOM`]; gives where it lies, or none when
    /// there was nothing.
    ///
    /// # Errors
    /// What the system gave.
    pub fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<Range<usize>>> {
        let space = buffer.get_mut(HEADROOM..).unwrap_or_default();
        let length = match self {
            Self::Tun(device) => match device.try_recv(space) {
                Ok(length) => length,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(e) => return Err(e),
            },
            Self::Channel {
                receiver, waiting, ..
            } => {
                let Some(packet) = waiting.take().or_else(|| receiver.try_recv().ok()) else {
                    return Ok(None);
                };
                let length = packet.len().min(space.len());
                if let (Some(to), Some(from)) = (space.get_mut(..length), packet.get(..length)) {
                    to.copy_from_slice(from);
                }
                length
            }
        };
        Ok(Some(HEADROOM..HEADROOM + length))
    }

    /// Hands one packet to the unencrypted side.
    ///
    /// # Errors
    /// What the system gave; a full queue too.
    pub fn send(&self, packet: &[u8]) -> io::Result<()> {
        match self {
            Self::Tun(device) => device.try_send(packet).map(drop),
            Self::Channel { sender, .. } => sender
                .try_send(packet.to_vec())
                .map_err(|_| io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Adds routes into the device after it was made; nothing for a channel.
    ///
    /// # Errors
    /// What the system gave.
    pub async fn add_address_and_routes(&self, setup: &TunSetup<'_>) -> io::Result<()> {
        match self {
            Self::Tun(device) => netlink::bring_up(device.if_index()?, setup).await,
            Self::Channel { .. } => Ok(()),
        }
    }
}
