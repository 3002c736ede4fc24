use super::netlink;
use crate::core::offload::{MOST, Merged, Offload, coalesce};
use std::io::{self, IoSlice};
use std::net::Ipv4Addr;
use std::ops::Range;
use tokio::sync::mpsc;
use tun_rs::{
    AsyncDevice, DeviceBuilder, VIRTIO_NET_HDR_GSO_TCPV4, VIRTIO_NET_HDR_GSO_TCPV6,
    VIRTIO_NET_HDR_LEN, VirtioNetHdr,
};

/// The checksum has yet to be computed (linux/virtio_net.h).
const VIRTIO_NET_HDR_F_NEEDS_CSUM: u8 = 1;
/// One packet.
const VIRTIO_NET_HDR_GSO_NONE: u8 = 0;

/// Room for the longest packet, with what the kernel says of it.
pub(super) const READ: usize = VIRTIO_NET_HDR_LEN + 65_535;

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
            .with(|builder| {
                builder.offload(true);
            })
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

    /// Reads the next packet into `buffer`, which has room for `READ` bytes; gives where it lies, or
    /// none when there was nothing.
    ///
    /// # Errors
    /// What the system gave.
    pub fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<(Range<usize>, Offload)>> {
        match self {
            Self::Tun(device) => match device.try_recv(buffer) {
                Ok(length) => {
                    let header = VirtioNetHdr::decode(buffer)?;
                    Ok(Some((VIRTIO_NET_HDR_LEN..length, offload(&header))))
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(None),
                Err(e) => {
                    let text = format!("TUN device: {e}: has another program removed it?");
                    Err(io::Error::new(e.kind(), text))
                }
            },
            Self::Channel {
                receiver, waiting, ..
            } => {
                let Some(packet) = waiting.take().or_else(|| receiver.try_recv().ok()) else {
                    return Ok(None);
                };
                let length = packet.len().min(buffer.len());
                if let (Some(to), Some(from)) = (buffer.get_mut(..length), packet.get(..length)) {
                    to.copy_from_slice(from);
                }
                Ok(Some((0..length, Offload::default())))
            }
        }
    }

    /// Hands packets to the unencrypted side; gives how many of them it did not take.
    #[must_use]
    pub fn send(&self, packets: &[&[u8]]) -> u64 {
        let mut lost = 0;
        match self {
            Self::Tun(device) => {
                for packets in packets.chunks(MOST) {
                    coalesce(packets, &mut |merged| {
                        if let Err(e) = write(device, merged) {
                            lost += u64::try_from(merged.payloads().len()).unwrap_or(0);
                            tracing::trace!(error = %e, "packet not sent");
                        }
                    });
                }
            }
            Self::Channel { sender, .. } => {
                let refused = packets
                    .iter()
                    .filter(|p| sender.try_send(p.to_vec()).is_err());
                lost = u64::try_from(refused.count()).unwrap_or(0);
            }
        }
        lost
    }

    /// Takes an address from the device; nothing for a channel.
    ///
    /// # Errors
    /// What the system gave.
    pub async fn remove_address(&self, address: Ipv4Addr) -> io::Result<()> {
        match self {
            Self::Tun(device) => {
                netlink::remove_address(device.if_index()?, &device.name()?, address).await
            }
            Self::Channel { .. } => Ok(()),
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

    /// Removes routes into the device, and ARP's answers for addresses; nothing for a channel.
    ///
    /// # Errors
    /// What the system gave.
    pub async fn remove_routes(&self, setup: &TunSetup<'_>) -> io::Result<()> {
        match self {
            // One that is gone has taken its routes along.
            Self::Tun(device) => netlink::remove(device.if_index().ok(), setup).await,
            Self::Channel { .. } => Ok(()),
        }
    }
}

/// What the kernel says of a packet that it hands out.
fn offload(header: &VirtioNetHdr) -> Offload {
    let needed = header.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM != 0;
    let whole = header.gso_type == VIRTIO_NET_HDR_GSO_NONE;
    Offload {
        segment: if whole { 0 } else { header.gso_size },
        checksum: needed.then_some((header.csum_start, header.csum_offset)),
    }
}

fn write(device: &AsyncDevice, merged: &Merged<'_>) -> io::Result<()> {
    let mut header = VirtioNetHdr::default();
    if let Some((start, at)) = merged.offload.checksum {
        header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
        header.gso_type = if merged.is_v6() {
            VIRTIO_NET_HDR_GSO_TCPV6
        } else {
            VIRTIO_NET_HDR_GSO_TCPV4
        };
        header.gso_size = merged.offload.segment;
        header.hdr_len = u16::try_from(merged.headers().len()).unwrap_or(0);
        (header.csum_start, header.csum_offset) = (start, at);
    }
    let mut bytes = [0; VIRTIO_NET_HDR_LEN];
    header.encode(&mut bytes)?;
    let mut slices = [IoSlice::new(&[]); MOST + 2];
    let parts = [&bytes[..], merged.headers()].into_iter();
    let parts = parts.chain(merged.payloads().iter().copied());
    let mut count = 0;
    for (slice, part) in slices.iter_mut().zip(parts) {
        *slice = IoSlice::new(part);
        count += 1;
    }
    let slices = slices.get(..count).unwrap_or_default();
    device.try_send_vectored(slices).map(drop)
}
