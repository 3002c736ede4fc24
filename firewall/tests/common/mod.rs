//! A firewall with a LAN and a WAN, packets by etherparse, and every checksum verified.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "each test uses a part of it; one that cannot go on has failed"
)]

use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice};
use firewall::{
    Config, DropReason, Filtering, Firewall, Ingress, Interface, InterfaceId, Nat, Verdict,
};
use simnet::seeded;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub type End = (Ipv4Addr, u16);

pub const PUBLIC: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
pub const SERVER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 5);
pub const STRANGER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 66);
pub const ROUTER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
pub const ALICE: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 10);
pub const BOB: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 11);

pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const RST: u8 = 4;
pub const ACK: u8 = 16;

pub struct Net {
    pub firewall: Firewall,
    pub lan: InterfaceId,
    pub wan: InterfaceId,
    pub now: Instant,
    pub ipsec: bool,
}

pub fn nat() -> Config {
    let mut config = Config::default();
    config.nat = vec![Nat::new(PUBLIC)];
    config
}

pub fn nat_with(filtering: Filtering) -> Config {
    let mut config = nat();
    config.nat[0].filtering = filtering;
    config
}

pub fn net(config: Config) -> Net {
    net_of(config, Interface::private(), Interface::public())
}

pub fn net_of(config: Config, lan: Interface, wan: Interface) -> Net {
    let mut firewall = Firewall::new(Arc::new(config), Box::new(seeded(1))).unwrap();
    let lan = firewall.add_interface(lan);
    let wan = firewall.add_interface(wan);
    #[allow(
        clippy::disallowed_methods,
        reason = "any start will do for virtual time"
    )]
    let now = Instant::now();
    Net {
        firewall,
        lan,
        wan,
        now,
        ipsec: false,
    }
}

impl Net {
    pub fn process(&mut self, from: InterfaceId, packet: &mut [u8]) -> Verdict {
        let (lan, wan) = (self.lan, self.wan);
        let route = move |to: IpAddr| Some(if is_private(to) { lan } else { wan });
        let ingress = Ingress {
            interface: from,
            ipsec: self.ipsec,
        };
        let range = 0..packet.len();
        let before = packet.to_vec();
        let verdict = self
            .firewall
            .process(self.now, ingress, packet, range, &route);
        if matches!(verdict, Verdict::Drop(_) | Verdict::TooBig { .. }) {
            assert_eq!(packet, before, "a dropped packet is left as it was");
        }
        verdict
    }

    /// Sends from the LAN, and gives the packet as it left.
    pub fn out(&mut self, mut packet: Vec<u8>) -> Result<Vec<u8>, Verdict> {
        match self.process(self.lan, &mut packet) {
            Verdict::Forward { egress, .. } if egress == self.wan => Ok(packet),
            other => Err(other),
        }
    }

    /// Sends from the WAN, and gives the packet as it came in.
    pub fn back(&mut self, mut packet: Vec<u8>) -> Result<Vec<u8>, Verdict> {
        match self.process(self.wan, &mut packet) {
            Verdict::Forward { egress, .. } if egress == self.lan => Ok(packet),
            other => Err(other),
        }
    }

    /// Sends a UDP datagram from the LAN; gives the endpoint it left from.
    pub fn map(&mut self, from: End, to: End) -> End {
        let sent = self.out(udp(from, to)).unwrap();
        let (source, destination) = ends(&sent);
        assert_eq!(destination, to);
        source
    }

    pub fn answer(&mut self, from: End, to: End) -> Result<End, Verdict> {
        self.back(udp(from, to)).map(|packet| ends(&packet).1)
    }

    /// A segment of a TCP connection from the LAN.
    pub fn tcp_out(&mut self, from: End, to: End, segment: Tcp) -> Result<End, Verdict> {
        self.out(tcp(from, to, segment))
            .map(|packet| ends(&packet).0)
    }

    pub fn tcp_back(&mut self, from: End, to: End, segment: Tcp) -> Result<End, Verdict> {
        self.back(tcp(from, to, segment))
            .map(|packet| ends(&packet).1)
    }

    /// Shakes hands: the client's sequence numbers begin with 1000, the server's with 5000.
    pub fn connect(&mut self, from: End, to: End) -> End {
        let public = self.tcp_out(from, to, Tcp::new(SYN, 1000, 0)).unwrap();
        let answer = Tcp::new(SYN | ACK, 5000, 1001);
        assert_eq!(self.tcp_back(to, public, answer), Ok(from));
        self.tcp_out(from, to, Tcp::new(ACK, 1001, 5001)).unwrap();
        public
    }

    pub fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.firewall.drops().get(&reason).copied().unwrap_or(0)
    }
}

pub fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => matches!(v4.octets(), [192, 168, ..] | [10, ..]),
        IpAddr::V6(v6) => v6.segments()[0] == 0x2001 && v6.segments()[1] == 0xdb8,
    }
}

pub fn udp(from: End, to: End) -> Vec<u8> {
    udp_with(from, to, b"hello, world")
}

pub fn udp_with(from: End, to: End, payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    PacketBuilder::ipv4(from.0.octets(), to.0.octets(), 64)
        .udp(from.1, to.1)
        .write(&mut packet, payload)
        .unwrap();
    packet
}

/// What of a TCP segment matters.
#[derive(Debug, Clone, Copy)]
pub struct Tcp {
    pub flags: u8,
    pub seq: u32,
    pub ack: u32,
    pub window: u16,
    pub scale: Option<u8>,
    pub length: usize,
}

impl Tcp {
    pub fn new(flags: u8, seq: u32, ack: u32) -> Self {
        Self {
            flags,
            seq,
            ack,
            window: 4000,
            scale: None,
            length: 0,
        }
    }

    pub fn data(self, length: usize) -> Self {
        Self { length, ..self }
    }

    pub fn window(self, window: u16) -> Self {
        Self { window, ..self }
    }

    pub fn scale(self, scale: u8) -> Self {
        Self {
            scale: Some(scale),
            ..self
        }
    }
}

pub fn tcp(from: End, to: End, segment: Tcp) -> Vec<u8> {
    use etherparse::TcpOptionElement::{MaximumSegmentSize, WindowScale};
    let mut builder = PacketBuilder::ipv4(from.0.octets(), to.0.octets(), 64).tcp(
        from.1,
        to.1,
        segment.seq,
        segment.window,
    );
    if segment.flags & SYN != 0 {
        let scale = segment.scale.map(WindowScale);
        let options: Vec<_> = scale
            .into_iter()
            .chain([MaximumSegmentSize(1460)])
            .collect();
        builder = builder.syn().options(&options).unwrap();
    }
    if segment.flags & FIN != 0 {
        builder = builder.fin();
    }
    if segment.flags & RST != 0 {
        builder = builder.rst();
    }
    if segment.flags & ACK != 0 {
        builder = builder.ack(segment.ack);
    }
    let mut packet = Vec::new();
    builder
        .write(&mut packet, &vec![7; segment.length])
        .unwrap();
    packet
}

pub fn ping(from: Ipv4Addr, to: Ipv4Addr, id: u16) -> Vec<u8> {
    let mut packet = Vec::new();
    PacketBuilder::ipv4(from.octets(), to.octets(), 64)
        .icmpv4_echo_request(id, 1)
        .write(&mut packet, b"abc")
        .unwrap();
    packet
}

pub fn pong(from: Ipv4Addr, to: Ipv4Addr, id: u16) -> Vec<u8> {
    let mut packet = Vec::new();
    PacketBuilder::ipv4(from.octets(), to.octets(), 64)
        .icmpv4_echo_reply(id, 1)
        .write(&mut packet, b"abc")
        .unwrap();
    packet
}

pub fn echo_id(packet: &[u8]) -> u16 {
    u16::from_be_bytes([packet[24], packet[25]])
}

/// An ICMP error of any type and code, with its second word, about `quoted`.
pub fn icmp_error(
    from: Ipv4Addr,
    to: Ipv4Addr,
    kind: [u8; 2],
    word: [u8; 4],
    quoted: &[u8],
) -> Vec<u8> {
    let quoted = &quoted[..quoted.len().min(20 + 8)];
    let mut packet = Vec::new();
    PacketBuilder::ipv4(from.octets(), to.octets(), 64)
        .icmpv4_raw(kind[0], kind[1], word)
        .write(&mut packet, quoted)
        .unwrap();
    packet
}

pub fn unreachable(from: Ipv4Addr, to: Ipv4Addr, quoted: &[u8]) -> Vec<u8> {
    icmp_error(from, to, [3, 1], [0; 4], quoted)
}

/// Addresses and ports as etherparse sees them, every checksum verified.
pub fn ends(packet: &[u8]) -> (End, End) {
    let sliced = SlicedPacket::from_ip(packet).unwrap();
    let Some(NetSlice::Ipv4(ip)) = &sliced.net else {
        panic!("not IPv4")
    };
    let header = ip.header().to_header();
    assert_eq!(header.header_checksum, header.calc_header_checksum());
    let (source, destination) = (header.source, header.destination);
    let (from, to) = match &sliced.transport {
        Some(TransportSlice::Udp(udp)) => {
            let sum = udp
                .to_header()
                .calc_checksum_ipv4_raw(source, destination, udp.payload());
            assert_eq!(udp.checksum(), sum.unwrap());
            (udp.source_port(), udp.destination_port())
        }
        Some(TransportSlice::Tcp(tcp)) => {
            let sum = tcp
                .to_header()
                .calc_checksum_ipv4_raw(source, destination, tcp.payload());
            assert_eq!(tcp.checksum(), sum.unwrap());
            (tcp.source_port(), tcp.destination_port())
        }
        Some(TransportSlice::Icmpv4(icmp)) => {
            // Its typed form forgets words that a type does not use.
            assert_eq!(icmp_sum(icmp.slice()), 0);
            (0, 0)
        }
        _ => (0, 0),
    };
    ((source.into(), from), (destination.into(), to))
}

/// Addresses and ports of a packet that an error quotes.
pub fn quoted_ends(error: &[u8]) -> (End, End) {
    let inner = &error[28..];
    let address = |at: usize| Ipv4Addr::new(inner[at], inner[at + 1], inner[at + 2], inner[at + 3]);
    let port = |at: usize| u16::from_be_bytes([inner[at], inner[at + 1]]);
    let header = etherparse::Ipv4Header::from_slice(inner).unwrap().0;
    assert_eq!(header.header_checksum, header.calc_header_checksum());
    ((address(12), port(20)), (address(16), port(22)))
}

pub fn dropped<T>(result: Result<T, Verdict>) -> Option<DropReason> {
    match result {
        Err(Verdict::Drop(reason)) => Some(reason),
        _ => None,
    }
}

/// Cuts an IPv4 packet into fragments of `size` bytes of payload.
pub fn cut(packet: &[u8], size: usize, id: u16) -> Vec<Vec<u8>> {
    let (header, data) = packet.split_at(20);
    let count = data.len().div_ceil(size);
    let pieces = data.chunks(size).enumerate().map(|(n, piece)| {
        let mut fragment = header.to_vec();
        fragment.extend(piece);
        let length = u16::try_from(fragment.len()).unwrap();
        fragment[2..4].copy_from_slice(&length.to_be_bytes());
        fragment[4..6].copy_from_slice(&id.to_be_bytes());
        let more = if n + 1 == count { 0 } else { 0x2000 };
        let offset = u16::try_from(n * size / 8).unwrap() | more;
        fragment[6..8].copy_from_slice(&offset.to_be_bytes());
        set_header_checksum(&mut fragment);
        fragment
    });
    pieces.collect()
}

pub fn set_header_checksum(packet: &mut [u8]) {
    let sum = etherparse::Ipv4Header::from_slice(packet)
        .unwrap()
        .0
        .calc_header_checksum();
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
}

/// Puts fragments together, which must be whole and have the same identification.
pub fn reassemble(pieces: &[Vec<u8>]) -> Vec<u8> {
    let field = |p: &[u8], at: usize| u16::from_be_bytes([p[at], p[at + 1]]);
    let mut pieces = pieces.to_vec();
    pieces.sort_by_key(|p| field(p, 6) & 0x1fff);
    let mut whole = pieces[0][..20].to_vec();
    for (n, piece) in pieces.iter().enumerate() {
        assert_eq!(field(piece, 4), field(&pieces[0], 4));
        assert_eq!(usize::from(field(piece, 6) & 0x1fff) * 8, whole.len() - 20);
        assert_eq!(field(piece, 6) & 0x2000 == 0, n + 1 == pieces.len());
        let header = etherparse::Ipv4Header::from_slice(piece).unwrap().0;
        assert_eq!(header.header_checksum, header.calc_header_checksum());
        whole.extend(&piece[20..]);
    }
    let length = u16::try_from(whole.len()).unwrap();
    whole[2..4].copy_from_slice(&length.to_be_bytes());
    whole[6..8].copy_from_slice(&[0, 0]);
    set_header_checksum(&mut whole);
    whole
}

/// The internet checksum (RFC 1071); 0 over bytes that carry a right one.
pub fn icmp_sum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = 0;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap()
}

pub fn mend_icmp(packet: &mut [u8]) {
    packet[22..24].copy_from_slice(&[0, 0]);
    let sum = icmp_sum(&packet[20..]);
    packet[22..24].copy_from_slice(&sum.to_be_bytes());
}
