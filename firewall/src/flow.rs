//! A flow's two ends and its state.

use crate::config::{Kind, Timeouts};
use crate::wire::{Body, Packet, Protocol, TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// A packet's addresses and ports in the direction it travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Tuple {
    pub(crate) protocol: Protocol,
    pub(crate) source: (Ipv4Addr, u16),
    pub(crate) destination: (Ipv4Addr, u16),
}

impl Tuple {
    pub(crate) fn of(packet: &Packet) -> Self {
        Self {
            protocol: packet.protocol,
            source: (packet.source, packet.source_port),
            destination: (packet.destination, packet.destination_port),
        }
    }

    pub(crate) fn reversed(self) -> Self {
        Self {
            protocol: self.protocol,
            source: self.destination,
            destination: self.source,
        }
    }
}

/// Which way a packet of a flow goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// As its first packet did.
    Original,
    Reply,
}

#[derive(Debug)]
pub(crate) struct Flow {
    /// As the first packet came.
    pub(crate) original: Tuple,
    /// As its answers come: the first packet as it left, turned round.
    pub(crate) reply: Tuple,
    /// The sides that the two directions come from.
    kinds: [Kind; 2],
    pub(crate) expires: Instant,
    /// Whether there was an answer.
    pub(crate) replied: bool,
    tcp: Tcp,
}

/// How far a TCP connection is (RFC 793, seen from the middle).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Tcp {
    established: bool,
    finished: [bool; 2],
    reset: bool,
}

impl Flow {
    pub(crate) fn new(original: Tuple, reply: Tuple, kinds: [Kind; 2], now: Instant) -> Self {
        Self {
            original,
            reply,
            kinds,
            expires: now,
            replied: false,
            tcp: Tcp::default(),
        }
    }

    /// The side that packets of this direction come from.
    pub(crate) fn kind(&self, way: Way) -> Kind {
        let [original, reply] = self.kinds;
        match way {
            Way::Original => original,
            Way::Reply => reply,
        }
    }

    /// How a packet of this direction leaves.
    pub(crate) fn target(&self, way: Way) -> Tuple {
        match way {
            Way::Original => self.reply.reversed(),
            Way::Reply => self.original.reversed(),
        }
    }

    /// Takes note of a packet: moves TCP's state on and puts off the flow's end.
    pub(crate) fn see(&mut self, now: Instant, packet: &Packet, way: Way, timeouts: &Timeouts) {
        if way == Way::Reply {
            self.replied = true;
        }
        if let Body::Tcp { flags } = packet.body {
            self.see_tcp(flags, way);
        }
        self.expires = now + self.timeout(packet, timeouts);
    }

    fn see_tcp(&mut self, flags: u8, way: Way) {
        if flags & TCP_RST != 0 {
            self.tcp.reset = true;
        } else if flags & TCP_SYN != 0 && flags & TCP_ACK == 0 && way == Way::Original {
            // The ports are used again.
            self.tcp = Tcp::default();
        } else if flags & TCP_ACK != 0 && self.replied && way == Way::Original {
            self.tcp.established = true;
        }
        if flags & TCP_FIN != 0 {
            let [original, reply] = &mut self.tcp.finished;
            *(if way == Way::Original {
                original
            } else {
                reply
            }) = true;
        }
    }

    fn timeout(&self, packet: &Packet, timeouts: &Timeouts) -> Duration {
        match packet.protocol {
            Protocol::UDP => timeouts.udp,
            Protocol::TCP => {
                let over = self.tcp.reset || self.tcp.finished == [true, true];
                if self.tcp.established && !over {
                    timeouts.tcp_established
                } else {
                    timeouts.tcp_transitory
                }
            }
            Protocol::ICMP => timeouts.icmp,
            _ => timeouts.other,
        }
    }
}
