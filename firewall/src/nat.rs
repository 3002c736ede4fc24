//! Which public port stands for which private address and port.

use crate::config::Nat;
use crate::firewall::has_ports;
use crate::flow::{Flow, Tuple};
use crate::wire::Protocol;
use rand_core::CryptoRng;
use std::collections::HashMap;
use std::net::Ipv4Addr;

type Private = (Ipv4Addr, u16);

/// Endpoint-independent mappings (RFC 4787 REQ-1), each as long as a flow uses it.
#[derive(Debug, Default)]
pub(crate) struct Mappings {
    public: HashMap<(Protocol, Private), Mapping>,
    private: HashMap<(Protocol, u16), Private>,
}

#[derive(Debug)]
struct Mapping {
    port: u16,
    flows: usize,
}

impl Mappings {
    /// The public port for a new flow; none if all are taken.
    pub(crate) fn public(
        &mut self,
        nat: &Nat,
        flow: &Tuple,
        rng: &mut dyn CryptoRng,
    ) -> Option<u16> {
        let (protocol, private) = (flow.protocol, flow.source);
        if !has_ports(protocol) {
            return Some(0);
        }
        if let Some(mapping) = self.public.get_mut(&(protocol, private)) {
            mapping.flows += 1;
            return Some(mapping.port);
        }
        let port = self.free_port(nat, protocol, private.1, rng)?;
        self.public
            .insert((protocol, private), Mapping { port, flows: 1 });
        self.private.insert((protocol, port), private);
        Some(port)
    }

    /// The private host behind a public port.
    pub(crate) fn private(&self, protocol: Protocol, port: u16) -> Option<Private> {
        self.private.get(&(protocol, port)).copied()
    }

    /// A flow is over.
    pub(crate) fn release(&mut self, flow: &Flow) {
        let (original, target) = (flow.original, flow.reply.reversed());
        if original.source == target.source {
            return;
        }
        let key = (original.protocol, original.source);
        if let Some(mapping) = self.public.get_mut(&key) {
            mapping.flows -= 1;
            if mapping.flows == 0 {
                self.private.remove(&(original.protocol, mapping.port));
                self.public.remove(&key);
            }
        }
    }

    /// The host's own port if it is free, else one of the same parity (RFC 4787 REQ-3 and REQ-4),
    /// else any; from a random place, so that ports cannot be guessed (RFC 6056).
    fn free_port(
        &self,
        nat: &Nat,
        protocol: Protocol,
        wanted: u16,
        rng: &mut dyn CryptoRng,
    ) -> Option<u16> {
        let (first, last) = nat.ports;
        let free = |port: &u16| !self.private.contains_key(&(protocol, *port));
        if (first..=last).contains(&wanted) && free(&wanted) {
            return Some(wanted);
        }
        let size = u32::from(last - first) + 1;
        let start = rng.next_u32() % size;
        let ports =
            || (0..size).filter_map(|n| u16::try_from(u32::from(first) + (start + n) % size).ok());
        ports()
            .find(|port| port % 2 == wanted % 2 && free(port))
            .or_else(|| ports().find(free))
    }
}
