//! The hotel's router: the `firewall` crate between cables on one side and real sockets on the other.

use super::timeline::Timeline;
use crate::capture::{parse_udp, udp_packet};
use crate::core::{HEADROOM, Severity};
use crate::io::now;
use firewall::{Firewall, Ingress, Interface, InterfaceId, Prefix, Verdict};
use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

/// The hotel's one public address.
pub(super) const PUBLIC: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const BUFFER: usize = 2048;

/// A datagram from the internet: from where, to which of our ports, and what.
type FromWan = (SocketAddr, SocketAddr, Vec<u8>);

pub(super) struct Nat {
    firewall: Firewall,
    lan: InterfaceId,
    wan: InterfaceId,
    cable: Arc<UdpSocket>,
    /// Whose cable a private address is on.
    cables: HashMap<IpAddr, SocketAddr>,
    /// One real socket for each mapped port.
    sockets: HashMap<u16, Arc<UdpSocket>>,
    from_wan: mpsc::Receiver<FromWan>,
    to_self: mpsc::Sender<FromWan>,
    seen: HashSet<(SocketAddr, SocketAddr)>,
    timeline: Timeline,
}

impl Nat {
    pub(super) async fn new(
        timeline: Timeline,
        rng: Box<dyn rand_core::CryptoRng + Send>,
    ) -> io::Result<Self> {
        let mut config = firewall::Config::default();
        config.nat = vec![firewall::Nat::new(PUBLIC)];
        let mut firewall = Firewall::new(Arc::new(config), rng).map_err(io::Error::other)?;
        let lan = firewall.add_interface(Interface::private());
        let mut internet = Interface::public();
        internet.networks = vec![Prefix::new(Ipv4Addr::LOCALHOST.into(), 8)];
        let wan = firewall.add_interface(internet);
        let (to_self, from_wan) = mpsc::channel(512);
        Ok(Self {
            firewall,
            lan,
            wan,
            cable: Arc::new(UdpSocket::bind(("127.0.0.1", 0)).await?),
            cables: HashMap::new(),
            sockets: HashMap::new(),
            from_wan,
            to_self,
            seen: HashSet::new(),
            timeline,
        })
    }

    /// Where to plug in.
    pub(super) fn cable(&self) -> io::Result<SocketAddr> {
        self.cable.local_addr()
    }

    pub(super) async fn run(mut self) -> io::Result<()> {
        let mut buffer = vec![0; HEADROOM + BUFFER];
        loop {
            let space = buffer.get_mut(HEADROOM..).unwrap_or_default();
            tokio::select! {
                read = self.cable.recv_from(space) => {
                    let (length, from) = read?;
                    self.outbound(&mut buffer, length, from).await?;
                }
                Some((from, to, payload)) = self.from_wan.recv() => {
                    self.inbound(&udp_packet(from, to, &payload)).await?;
                }
            }
        }
    }

    async fn outbound(
        &mut self,
        buffer: &mut [u8],
        length: usize,
        from: SocketAddr,
    ) -> io::Result<()> {
        let packet = HEADROOM..HEADROOM + length;
        let inner = buffer.get(packet.clone()).and_then(parse_udp);
        let Some((source, ..)) = inner else {
            return Ok(());
        };
        self.cables.insert(source.ip(), from);
        let (lan, wan) = (self.lan, self.wan);
        let ingress = Ingress {
            interface: lan,
            ipsec: false,
        };
        let verdict = self
            .firewall
            .process(now(), ingress, buffer, packet, &|_| Some(wan));
        let Verdict::Forward { packet, .. } = verdict else {
            let text = format!("packet from {source} dropped: {verdict:?}");
            self.timeline
                .step(now(), "hotel", "NAT", Severity::Failure, &text);
            return Ok(());
        };
        let Some(packet) = buffer.get(packet) else {
            return Ok(());
        };
        let Some((mapped, to, payload)) = parse_udp(packet) else {
            return Ok(());
        };
        if self.seen.insert((source, mapped)) {
            let text = format!("{source} leaves as {mapped}");
            self.timeline
                .step(now(), "hotel", "NAT", Severity::Info, &text);
        }
        let socket = self.socket(mapped).await?;
        socket
            .send_to(packet.get(payload).unwrap_or_default(), to)
            .await?;
        Ok(())
    }

    async fn inbound(&mut self, packet: &[u8]) -> io::Result<()> {
        let mut buffer = vec![0; HEADROOM];
        buffer.extend(packet);
        let range = HEADROOM..buffer.len();
        let lan = self.lan;
        let ingress = Ingress {
            interface: self.wan,
            ipsec: false,
        };
        let verdict = self
            .firewall
            .process(now(), ingress, &mut buffer, range, &|_| Some(lan));
        let Verdict::Forward { packet, .. } = verdict else {
            return Ok(());
        };
        let Some(packet) = buffer.get(packet) else {
            return Ok(());
        };
        let cable = parse_udp(packet).and_then(|(_, to, _)| self.cables.get(&to.ip()));
        if let Some(cable) = cable {
            self.cable.send_to(packet, cable).await?;
        }
        Ok(())
    }

    /// The real socket of a mapped port.
    async fn socket(&mut self, mapped: SocketAddr) -> io::Result<Arc<UdpSocket>> {
        if let Some(socket) = self.sockets.get(&mapped.port()) {
            return Ok(Arc::clone(socket));
        }
        let socket = Arc::new(UdpSocket::bind(mapped).await?);
        self.sockets.insert(mapped.port(), Arc::clone(&socket));
        let (reader, to_self) = (Arc::clone(&socket), self.to_self.clone());
        tokio::spawn(async move {
            let mut buffer = vec![0; BUFFER];
            while let Ok((length, from)) = reader.recv_from(&mut buffer).await {
                let payload = buffer.get(..length).unwrap_or_default().to_vec();
                if to_self.send((from, mapped, payload)).await.is_err() {
                    break;
                }
            }
        });
        Ok(socket)
    }
}
