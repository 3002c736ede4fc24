//! Datagrams as they look on the wire, for captures and the demo's network.

use crate::checksum::{checksum, transport};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;

const PROTOCOL_UDP: u8 = 17;
const PROTOCOL_ESP: u8 = 50;

/// A UDP datagram with its IP header, or nothing if the two addresses are of different families.
#[must_use]
pub fn udp_packet(source: SocketAddr, destination: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len() + 8).unwrap_or(u16::MAX);
    let mut udp = Vec::with_capacity(payload.len() + 8);
    udp.extend(source.port().to_be_bytes());
    udp.extend(destination.port().to_be_bytes());
    udp.extend(length.to_be_bytes());
    udp.extend([0, 0]);
    udp.extend(payload);
    if source.is_ipv6() {
        let sum = transport(source.ip(), destination.ip(), PROTOCOL_UDP, &udp);
        udp.splice(6..8, if sum == 0 { 0xffff } else { sum }.to_be_bytes());
    }
    ip_packet(source.ip(), destination.ip(), PROTOCOL_UDP, &udp)
}

/// An ESP packet with its IP header.
#[must_use]
pub fn esp_packet(source: IpAddr, destination: IpAddr, payload: &[u8]) -> Vec<u8> {
    ip_packet(source, destination, PROTOCOL_ESP, payload)
}

/// Source, destination and payload of an IPv4 UDP datagram without options or fragments.
#[must_use]
pub fn parse_udp(packet: &[u8]) -> Option<(SocketAddr, SocketAddr, Range<usize>)> {
    let header = packet.first_chunk::<28>()?;
    if header[0] != 0x45 || header[9] != PROTOCOL_UDP {
        return None;
    }
    let word = |at: usize| Some(u16::from_be_bytes([*header.get(at)?, *header.get(at + 1)?]));
    let address = |at: usize| Some(Ipv4Addr::from(*header.get(at..)?.first_chunk::<4>()?));
    let end = 20 + usize::from(word(24)?);
    if end < 28 || end > packet.len() {
        return None;
    }
    let source = SocketAddr::from((address(12)?, word(20)?));
    let destination = SocketAddr::from((address(16)?, word(22)?));
    Some((source, destination, 28..end))
}

fn ip_packet(source: IpAddr, destination: IpAddr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::with_capacity(40 + payload.len());
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let length = u16::try_from(20 + payload.len()).unwrap_or(u16::MAX);
            packet.extend([0x45, 0]);
            packet.extend(length.to_be_bytes());
            packet.extend([0, 0, 0, 0, 64, protocol, 0, 0]);
            packet.extend(source.octets());
            packet.extend(destination.octets());
            let sum = checksum(&packet);
            packet.splice(10..12, sum.to_be_bytes());
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let length = u16::try_from(payload.len()).unwrap_or(u16::MAX);
            packet.extend([0x60, 0, 0, 0]);
            packet.extend(length.to_be_bytes());
            packet.extend([protocol, 64]);
            packet.extend(source.octets());
            packet.extend(destination.octets());
        }
        _ => return packet,
    }
    packet.extend(payload);
    packet
}

#[cfg(test)]
mod tests {
    use super::{checksum, udp_packet};

    #[test]
    fn an_ipv4_header_sums_to_zero() {
        let packet = udp_packet(
            "192.168.77.2:500".parse().unwrap(),
            "198.51.100.1:500".parse().unwrap(),
            b"hello",
        );
        assert_eq!(packet.len(), 33);
        assert_eq!(checksum(&packet[..20]), 0);
        let (source, destination, payload) = super::parse_udp(&packet).unwrap();
        assert_eq!(source.to_string(), "192.168.77.2:500");
        assert_eq!(destination.to_string(), "198.51.100.1:500");
        assert_eq!(&packet[payload], b"hello");
    }
}
