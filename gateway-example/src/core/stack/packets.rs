//! The data path: from datagrams to IP packets and back, in place.

use super::{L2TP_PORT, OutboundId, PROTOCOL_UDP, Packet, Stack};
use crate::core::peer::L2tpPath;
use crate::core::{Destination, Forward, Path};
use l2tp::{PathId, SessionId};
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::time::Instant;

const UDP_HEADER: usize = 8;

impl Stack {
    /// Takes a UDP datagram from port 500 or 4500; gives the IP packet it carried, if any.
    pub fn handle_udp(
        &mut self,
        now: Instant,
        path: Path,
        natt_port: bool,
        buf: &mut [u8],
        datagram: Range<usize>,
    ) -> Option<Packet> {
        match natt::classify(port_kind(natt_port), buf, datagram.clone()) {
            Ok(natt::Datagram::Keepalive) => None,
            Ok(natt::Datagram::Ike(_)) => {
                let result = self
                    .isakmp
                    .handle_datagram(now, path, buf.get_mut(datagram)?);
                if let Err(e) = result {
                    self.count(e.reason());
                    tracing::debug!(peer = %path.remote, reason = e.reason(), "IKE message dropped");
                }
                self.drain(now);
                None
            }
            Ok(natt::Datagram::Esp(packet)) => self.handle_esp(now, path, buf, packet),
            Err(e) => {
                self.count(e.reason());
                None
            }
        }
    }

    /// Takes an ESP packet that came as IP protocol 50; gives the IP packet it carried, if any.
    pub fn handle_native_esp(
        &mut self,
        now: Instant,
        local: IpAddr,
        remote: IpAddr,
        buf: &mut [u8],
        packet: Range<usize>,
    ) -> Option<Packet> {
        let [local, remote] = [local, remote].map(|ip| SocketAddr::new(ip, 0));
        self.handle_esp(now, Path { local, remote }, buf, packet)
    }

    /// Takes an ESP packet, from UDP or from IP; gives the IP packet it carried, if any.
    fn handle_esp(
        &mut self,
        now: Instant,
        path: Path,
        buf: &mut [u8],
        packet: Range<usize>,
    ) -> Option<Packet> {
        let start = packet.start;
        let found = self.sadb.open(now, buf, packet);
        self.handle_found(now, path, buf, start, found)
    }

    /// Takes what was in the ESP packet at `start`; gives the IP packet it carried, if any.
    pub(super) fn handle_found(
        &mut self,
        now: Instant,
        path: Path,
        buf: &mut [u8],
        start: usize,
        found: Result<esp::Found, esp::OpenError>,
    ) -> Option<Packet> {
        if matches!(found, Err(esp::OpenError::NoSa)) {
            let spi = buf.get(start..).and_then(|packet| packet.first_chunk());
            self.note_unknown_spi(now, path, u32::from_be_bytes(*spi?));
        }
        let opened = found.ok()?;
        let child = self.children.get(&opened.owner)?;
        let (id, peer, encapsulated) = (child.id, child.peer, child.encapsulated);
        if opened.newest {
            self.note_path(now, (opened.owner, id), peer, encapsulated, path);
        }
        if opened.next_header != PROTOCOL_UDP {
            self.count("not_udp");
            return None;
        }
        let Some((remote_port, local_port, payload)) = udp_payload(buf, opened.payload) else {
            self.count("udp_header");
            return None;
        };
        if local_port != L2TP_PORT && self.role == ppp::Role::Server {
            self.count("not_l2tp_port");
            return None;
        }
        let l2tp_path = self.l2tp_path(now, peer, local_port, remote_port);
        let mut received = self
            .l2tp
            .handle_datagram(now, l2tp_path, buf, payload.clone());
        if matches!(received, Err(l2tp::Error::UnknownTunnel))
            && self.role == ppp::Role::Server
            && let Some(path) = self.reunite(peer, (local_port, remote_port), buf, payload.clone())
        {
            received = self.l2tp.handle_datagram(now, path, buf, payload);
        }
        match received {
            Ok(l2tp::Received::Data { session, frame }) => {
                self.handle_frame(now, session, buf, frame)
            }
            Ok(_) => {
                self.drain(now);
                None
            }
            Err(e) => {
                self.count(e.reason());
                tracing::debug!(conn = %peer, reason = e.reason(), "L2TP message dropped");
                self.drain(now);
                None
            }
        }
    }

    fn handle_frame(
        &mut self,
        now: Instant,
        session: SessionId,
        buf: &mut [u8],
        frame: Range<usize>,
    ) -> Option<Packet> {
        let call = self.calls.get_mut(&session)?;
        match call.link.handle_frame(now, buf, frame) {
            Ok(ppp::Received::Ipv4(range) | ppp::Received::Ipv6(range)) => {
                return Some(Packet { session, range });
            }
            Ok(_) => {}
            Err(e) => self.count(e.reason()),
        }
        self.drain_link(now, session);
        self.drain(now);
        None
    }

    /// Wraps an IP packet for a call: PPP, L2TP, UDP and ESP around it, in place.
    pub fn send(
        &mut self,
        now: Instant,
        session: SessionId,
        buf: &mut [u8],
        packet: Range<usize>,
    ) -> Forward {
        let wrapped = self.wrap(session, buf, packet);
        self.sealed(now, wrapped, buf)
    }

    /// Sends an IP packet on a call, as a transmit.
    pub fn send_packet(&mut self, now: Instant, session: SessionId, packet: &[u8]) {
        let wrap = |stack: &mut Self, buf: &mut [u8], range| stack.send(now, session, buf, range);
        self.transmit_inside(wrap, packet);
    }

    pub(super) fn send_frame(
        &mut self,
        now: Instant,
        session: SessionId,
        buf: &mut [u8],
        frame: Range<usize>,
    ) -> Forward {
        let wrapped = self.wrap_frame(session, buf, frame);
        self.sealed(now, wrapped, buf)
    }

    pub(super) fn send_l2tp(
        &mut self,
        now: Instant,
        path: PathId,
        buf: &mut [u8],
        message: Range<usize>,
    ) -> Forward {
        let wrapped = self.wrap_l2tp(path, buf, message);
        self.sealed(now, wrapped, buf)
    }

    /// PPP, L2TP and UDP around an IP packet.
    pub(super) fn wrap(
        &mut self,
        session: SessionId,
        buf: &mut [u8],
        packet: Range<usize>,
    ) -> Result<Wrapped, &'static str> {
        let protocol = match buf.get(packet.start).map(|b| b >> 4) {
            Some(6) => ppp::NetworkProtocol::Ipv6,
            _ => ppp::NetworkProtocol::Ipv4,
        };
        let call = self.calls.get_mut(&session).ok_or("no_session")?;
        let frame = call.link.encapsulate(buf, packet, protocol);
        self.wrap_frame(session, buf, frame.map_err(|e| e.reason())?)
    }

    fn wrap_frame(
        &mut self,
        session: SessionId,
        buf: &mut [u8],
        frame: Range<usize>,
    ) -> Result<Wrapped, &'static str> {
        let path = self.l2tp.session_path(session).ok_or("no_session")?;
        let message = self.l2tp.encapsulate(session, buf, frame);
        self.wrap_l2tp(path, buf, message.map_err(|e| e.reason())?)
    }

    fn wrap_l2tp(
        &mut self,
        l2tp_path: PathId,
        buf: &mut [u8],
        message: Range<usize>,
    ) -> Result<Wrapped, &'static str> {
        let peer = self.peer_of_path.get(&l2tp_path);
        let peer = peer.and_then(|p| self.peers.get(p)).ok_or("no_peer")?;
        let ports = peer.l2tp.iter().find(|p| p.id == l2tp_path);
        let child = peer.children.last().and_then(|c| self.children.get(c));
        let (Some(ports), Some(child)) = (ports, child) else {
            return Err("no_sa");
        };
        let path = peer.path;
        let datagram = prepend_udp(buf, message, ports, path).ok_or("too_long")?;
        let destination = if child.encapsulated {
            Destination::Udp(path)
        } else {
            Destination::Esp {
                local: path.local.ip(),
                remote: path.remote.ip(),
            }
        };
        Ok(Wrapped {
            destination,
            outbound: child.outbound,
            datagram,
        })
    }

    /// Seals what was wrapped, at once.
    fn sealed(
        &mut self,
        now: Instant,
        wrapped: Result<Wrapped, &'static str>,
        buf: &mut [u8],
    ) -> Forward {
        // What ESP drops it counts itself.
        let sealed = wrapped.map_err(Some).and_then(|wrapped| {
            let Wrapped {
                outbound, datagram, ..
            } = wrapped;
            let payload = self.sadb.seal(now, outbound, buf, datagram, PROTOCOL_UDP);
            Ok((wrapped.destination, payload.map_err(|_| None)?))
        });
        match sealed {
            Ok((Destination::Udp(path), payload)) => Forward::Udp { path, payload },
            Ok((Destination::Esp { local, remote }, payload)) => Forward::Esp {
                local,
                remote,
                payload,
            },
            Ok((Destination::Inner, _)) => Forward::Nothing,
            Err(reason) => {
                if let Some(reason) = reason {
                    self.count(reason);
                }
                Forward::Nothing
            }
        }
    }
}

/// An IP packet with everything around it but ESP.
pub(super) struct Wrapped {
    pub(super) destination: Destination,
    pub(super) outbound: OutboundId,
    pub(super) datagram: Range<usize>,
}

pub(super) fn port_kind(natt_port: bool) -> natt::PortKind {
    if natt_port {
        natt::PortKind::Natt
    } else {
        natt::PortKind::Ike
    }
}

/// Source port, destination port and payload of a UDP datagram (RFC 768).
///
/// The checksum is not looked at: a NAT on the way made it wrong, and ESP's ICV has covered the
/// bytes (RFC 3948 section 3.1.2).
fn udp_payload(buf: &[u8], datagram: Range<usize>) -> Option<(u16, u16, Range<usize>)> {
    let header = buf.get(datagram.clone())?.first_chunk::<UDP_HEADER>()?;
    let [s0, s1, d0, d1, l0, l1, _, _] = *header;
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    if length < UDP_HEADER || length > datagram.len() {
        return None;
    }
    Some((
        u16::from_be_bytes([s0, s1]),
        u16::from_be_bytes([d0, d1]),
        datagram.start + UDP_HEADER..datagram.start + length,
    ))
}

/// Puts a UDP header before `payload`.
///
/// IPv4 allows no checksum, and the peer's NAT would have made it wrong; IPv6 needs one.
fn prepend_udp(
    buf: &mut [u8],
    payload: Range<usize>,
    ports: &L2tpPath,
    path: Path,
) -> Option<Range<usize>> {
    let start = payload.start.checked_sub(UDP_HEADER)?;
    let length = u16::try_from(payload.end - start).ok()?;
    let datagram = start..payload.end;
    let header = buf
        .get_mut(datagram.clone())?
        .first_chunk_mut::<UDP_HEADER>()?;
    let [s0, s1] = ports.local_port.to_be_bytes();
    let [d0, d1] = ports.remote_port.to_be_bytes();
    let [l0, l1] = length.to_be_bytes();
    *header = [s0, s1, d0, d1, l0, l1, 0, 0];
    if let (local @ IpAddr::V6(_), remote @ IpAddr::V6(_)) = (path.local.ip(), path.remote.ip()) {
        let segment = buf.get(datagram.clone())?;
        let sum = crate::checksum::transport(local, remote, PROTOCOL_UDP, segment);
        let sum = if sum == 0 { 0xffff } else { sum };
        let header = buf
            .get_mut(datagram.clone())?
            .first_chunk_mut::<UDP_HEADER>()?;
        [header[6], header[7]] = sum.to_be_bytes();
    }
    Some(datagram)
}
