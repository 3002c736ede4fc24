use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

/// How a NAT chooses the public port of a flow (RFC 4787 section 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mapping {
    /// One public port for an inner address and port.
    EndpointIndependent,
    /// Another public port for each remote address.
    AddressDependent,
    /// Another public port for each remote address and port ("symmetric").
    AddressAndPortDependent,
}

/// Whose packets a NAT lets in (RFC 4787 section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filtering {
    /// Anybody's.
    EndpointIndependent,
    /// Those of addresses that the inner host sent to.
    AddressDependent,
    /// Those of addresses and ports that the inner host sent to.
    AddressAndPortDependent,
}

/// A NAT box for UDP.
#[derive(Debug)]
pub struct Nat {
    /// Its public address.
    pub public: IpAddr,
    /// How it maps.
    pub mapping: Mapping,
    /// How it filters.
    pub filtering: Filtering,
    /// How long a silent mapping lives.
    pub lifetime: Duration,
    /// Keeps the inner port when it is free.
    pub preserve_ports: bool,
    /// Its public ports. Who finds none free is not let out.
    pub ports: RangeInclusive<u16>,
    next_port: u16,
    by_inner: HashMap<Key, u16>,
    by_port: HashMap<u16, Entry>,
}

/// From where, and to where as far as it matters.
type Key = (SocketAddr, Option<SocketAddr>);

#[derive(Debug)]
struct Entry {
    key: Key,
    remotes: Vec<SocketAddr>,
    last_used: Instant,
}

impl Nat {
    /// A NAPT as most homes have: endpoint-independent mapping, port-restricted, 2 minutes.
    #[must_use]
    pub fn new(public: IpAddr) -> Self {
        Self {
            public,
            mapping: Mapping::EndpointIndependent,
            filtering: Filtering::AddressAndPortDependent,
            lifetime: Duration::from_secs(120),
            preserve_ports: false,
            ports: 40_000..=u16::MAX,
            next_port: 40_000,
            by_inner: HashMap::new(),
            by_port: HashMap::new(),
        }
    }

    /// Forgets every mapping, as a reboot does; flows get other ports afterwards.
    pub fn rebind(&mut self) {
        self.by_inner.clear();
        self.by_port.clear();
    }

    /// The source a packet from `inner` to `remote` leaves with; none if no port is free.
    pub fn outbound(
        &mut self,
        now: Instant,
        inner: SocketAddr,
        remote: SocketAddr,
    ) -> Option<SocketAddr> {
        let key = match self.mapping {
            Mapping::EndpointIndependent => (inner, None),
            Mapping::AddressDependent => (inner, Some(SocketAddr::new(remote.ip(), 0))),
            Mapping::AddressAndPortDependent => (inner, Some(remote)),
        };
        if let Some(&port) = self.by_inner.get(&key)
            && let Some(entry) = self.by_port.get_mut(&port)
            // Silent for too long, the port may be another's by now.
            && entry.key == key
            && now.duration_since(entry.last_used) < self.lifetime
        {
            entry.last_used = now;
            if !entry.remotes.contains(&remote) {
                entry.remotes.push(remote);
            }
            return Some(SocketAddr::new(self.public, port));
        }
        let port = self.free_port(now, inner.port())?;
        self.by_inner.insert(key, port);
        self.by_port.insert(
            port,
            Entry {
                key,
                remotes: vec![remote],
                last_used: now,
            },
        );
        Some(SocketAddr::new(self.public, port))
    }

    /// The inner host that a packet from `remote` to public `port` is for, if it may pass.
    pub fn inbound(&mut self, now: Instant, remote: SocketAddr, port: u16) -> Option<SocketAddr> {
        let lifetime = self.lifetime;
        let entry = self.by_port.get_mut(&port)?;
        if now.duration_since(entry.last_used) >= lifetime {
            return None;
        }
        let known = |of: &SocketAddr| match self.filtering {
            Filtering::EndpointIndependent => true,
            Filtering::AddressDependent => of.ip() == remote.ip(),
            Filtering::AddressAndPortDependent => *of == remote,
        };
        if !entry.remotes.iter().any(known) {
            return None;
        }
        entry.last_used = now;
        Some(entry.key.0)
    }

    fn free_port(&mut self, now: Instant, wanted: u16) -> Option<u16> {
        let lifetime = self.lifetime;
        self.by_port
            .retain(|_, entry| now.duration_since(entry.last_used) < lifetime);
        if self.preserve_ports && !self.by_port.contains_key(&wanted) {
            return Some(wanted);
        }
        for _ in self.ports.clone() {
            let port = self.next_port;
            let port = if self.ports.contains(&port) {
                port
            } else {
                *self.ports.start()
            };
            self.next_port = port.wrapping_add(1);
            if !self.by_port.contains_key(&port) {
                return Some(port);
            }
        }
        None
    }
}
