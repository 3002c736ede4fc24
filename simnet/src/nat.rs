use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// How a NAT chooses the public port of a flow (RFC 4787 section 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mapping {
    /// One public port for an inner address and port.
    EndpointIndependent,
    /// Another public port for each remote address and port ("symmetric").
    EndpointDependent,
}

/// Whose packets a NAT lets in (RFC 4787 section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filtering {
    /// Anybody's.
    EndpointIndependent,
    /// Those of addresses and ports that the inner host sent to.
    AddressAndPort,
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
    next_port: u16,
    by_inner: HashMap<(SocketAddr, Option<SocketAddr>), u16>,
    by_port: HashMap<u16, Entry>,
}

#[derive(Debug)]
struct Entry {
    inner: SocketAddr,
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
            filtering: Filtering::AddressAndPort,
            lifetime: Duration::from_secs(120),
            preserve_ports: false,
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

    /// The source a packet from `inner` to `remote` leaves with.
    pub fn outbound(&mut self, now: Instant, inner: SocketAddr, remote: SocketAddr) -> SocketAddr {
        let key = match self.mapping {
            Mapping::EndpointIndependent => (inner, None),
            Mapping::EndpointDependent => (inner, Some(remote)),
        };
        if let Some(&port) = self.by_inner.get(&key)
            && let Some(entry) = self.by_port.get_mut(&port)
            && now.duration_since(entry.last_used) < self.lifetime
        {
            entry.last_used = now;
            if !entry.remotes.contains(&remote) {
                entry.remotes.push(remote);
            }
            return SocketAddr::new(self.public, port);
        }
        let port = self.free_port(now, inner.port());
        self.by_inner.insert(key, port);
        self.by_port.insert(
            port,
            Entry {
                inner,
                remotes: vec![remote],
                last_used: now,
            },
        );
        SocketAddr::new(self.public, port)
    }

    /// The inner host that a packet from `remote` to public `port` is for, if it may pass.
    pub fn inbound(&mut self, now: Instant, remote: SocketAddr, port: u16) -> Option<SocketAddr> {
        let lifetime = self.lifetime;
        let entry = self.by_port.get_mut(&port)?;
        if now.duration_since(entry.last_used) >= lifetime {
            return None;
        }
        if self.filtering == Filtering::AddressAndPort && !entry.remotes.contains(&remote) {
            return None;
        }
        entry.last_used = now;
        Some(entry.inner)
    }

    fn free_port(&mut self, now: Instant, wanted: u16) -> u16 {
        let lifetime = self.lifetime;
        self.by_port
            .retain(|_, entry| now.duration_since(entry.last_used) < lifetime);
        if self.preserve_ports && !self.by_port.contains_key(&wanted) {
            return wanted;
        }
        loop {
            let port = self.next_port;
            self.next_port = self.next_port.checked_add(1).unwrap_or(40_000);
            if !self.by_port.contains_key(&port) {
                return port;
            }
        }
    }
}
