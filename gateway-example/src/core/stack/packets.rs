//! The data path: from datagrams to IP packets and back, in place.

use super::{L2TP_PORT, PROTOCOL_UDP, Packet, Stack};
use crate::core::peer::L2tpPath;
use crate::core::{Forward, Path};
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
        let kind = if natt_port {
            natt::PortKind::Natt
        } else {
            natt::PortKind::Ike
        };
        match natt::classify(kind, buf, datagram.clone()) {
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
        let opened = match self.sadb.open(now, buf, packet) {
            Ok(opened) => opened,
            Err(e) => {
                self.count(e.reason());
                return None;
            }
        };
        let child = self.children.get(&opened.owner)?;
        let (id, peer, encapsulated) = (child.id, child.peer, child.encapsulated);
        if opened.newest {
            self.note_path(now, id, peer, encapsulated, path);
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
        match self.l2tp.handle_datagram(now, l2tp_path, buf, payload) {
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
            Ok(ppp::Received::Control) => {}
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
        let protocol = match buf.get(packet.start).map(|b| b >> 4) {
            Some(6) => ppp::NetworkProtocol::Ipv6,
            _ => ppp::NetworkProtocol::Ipv4,
        };
        let Some(call) = self.calls.get_mut(&session) else {
            self.count("no_session");
            return Forward::Nothing;
        };
        let frame = match call.link.encapsulate(buf, packet, protocol) {
            Ok(frame) => frame,
            Err(e) => {
                self.count(e.reason());
                return Forward::Nothing;
            }
        };
        self.send_frame(now, session, buf, frame)
    }

    pub(super) fn send_frame(
        &mut self,
        now: Instant,
        session: SessionId,
        buf: &mut [u8],
        frame: Range<usize>,
    ) -> Forward {
        let Some(path) = self.l2tp.session_path(session) else {
            self.count("no_session");
            return Forward::Nothing;
        };
        match self.l2tp.encapsulate(session, buf, frame) {
            Ok(message) => self.send_l2tp(now, path, buf, message),
            Err(e) => {
                self.count(e.reason());
                Forward::Nothing
            }
        }
    }

    pub(super) fn send_l2tp(
        &mut self,
        now: Instant,
        l2tp_path: PathId,
        buf: &mut [u8],
        message: Range<usize>,
    ) -> Forward {
        let Some(peer) = self
            .peer_of_path
            .get(&l2tp_path)
            .and_then(|p| self.peers.get(p))
        else {
            self.count("no_peer");
            return Forward::Nothing;
        };
        let ports = peer.l2tp.iter().find(|p| p.id == l2tp_path);
        let child = peer.children.last().and_then(|c| self.children.get(c));
        let (Some(ports), Some(child)) = (ports, child) else {
            self.count("no_sa");
            return Forward::Nothing;
        };
        let path = peer.path;
        let Some(datagram) = prepend_udp(buf, message, ports, path) else {
            self.count("too_long");
            return Forward::Nothing;
        };
        let encapsulated = child.encapsulated;
        match self
            .sadb
            .seal(now, child.outbound, buf, datagram, PROTOCOL_UDP)
        {
            Ok(payload) if encapsulated => Forward::Udp { path, payload },
            Ok(payload) => Forward::Esp {
                local: path.local.ip(),
                remote: path.remote.ip(),
                payload,
            },
            Err(e) => {
                self.count(e.reason());
                Forward::Nothing
            }
        }
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
        let sum = crate::capture::pseudo_header_sum(local, remote, PROTOCOL_UDP, segment);
        let sum = if sum == 0 { 0xffff } else { sum };
        let header = buf
            .get_mut(datagram.clone())?
            .first_chunk_mut::<UDP_HEADER>()?;
        [header[6], header[7]] = sum.to_be_bytes();
    }
    Some(datagram)
}
