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
    Tun {
        /// The device.
        device: Box<AsyncDevice>,
        /// One packet behind [`HEADROOM`].
        buffer: Vec<u8>,
    },
    /// Packets to and from this process.
    Channel {
        /// From the host.
        receiver: mpsc::Receiver<Vec<u8>>,
        /// To the host.
        sender: mpsc::Sender<Vec<u8>>,
        /// A packet that waits to be read.
        waiting: Option<Vec<u8>>,
        /// One packet behind [`HEADROOM`].
        buffer: Vec<u8>,
    },
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tun { .. } => "Tun",
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
        Ok(Self::Tun {
            device: Box::new(device),
            buffer: vec![0; HEADROOM + 65_535],
        })
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
            buffer: vec![0; HEADROOM + 65_535],
        };
        (inner, from_gateway, to_gateway)
    }

    /// Waits until a packet is there.
    ///
    /// # Errors
    /// What the system gave.
    pub async fn readable(&mut self) -> io::Result<()> {
        match self {
            Self::Tun { device, .. } => device.readable().await,
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

    /// Gives the next packet to `each`; false when there was none.
    ///
    /// # Errors
    /// What the system gave.
    pub fn receive(
        &mut self,
        each: impl FnOnce(&Self, &mut [u8], Range<usize>),
    ) -> io::Result<bool> {
        let (Self::Tun { buffer, .. } | Self::Channel { buffer, .. }) = &mut *self;
        let mut taken = std::mem::take(buffer);
        let space = taken.get_mut(HEADROOM..).unwrap_or_default();
        let read = match self {
            Self::Tun { device, .. } => device.try_recv(space),
            Self::Channel {
                receiver, waiting, ..
            } => match waiting.take().or_else(|| receiver.try_recv().ok()) {
                Some(packet) => {
                    let length = packet.len().min(space.len());
                    if let (Some(to), Some(from)) = (space.get_mut(..length), packet.get(..length))
                    {
                        to.copy_from_slice(from);
                    }
                    Ok(length)
                }
                None => Err(io::ErrorKind::WouldBlock.into()),
            },
        };
        let found = match read {
            Ok(length) => {
                each(self, &mut taken, HEADROOM..HEADROOM + length);
                Ok(true)
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(e) => Err(e),
        };
        let (Self::Tun { buffer, .. } | Self::Channel { buffer, .. }) = self;
        *buffer = taken;
        found
    }

    /// Hands one packet to the unencrypted side.
    ///
    /// # Errors
    /// What the system gave; a full queue too.
    pub fn send(&self, packet: &[u8]) -> io::Result<()> {
        match self {
            Self::Tun { device, .. } => device.try_send(packet).map(drop),
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
            Self::Tun { device, .. } => netlink::bring_up(device.if_index()?, setup).await,
            Self::Channel { .. } => Ok(()),
        }
    }
}
