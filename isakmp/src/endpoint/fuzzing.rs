//! Doors for fuzz targets, which cannot make a right HASH by chance.

mod parsers;

pub use parsers::*;

use super::outgoing::seal_phase2;
use super::{Endpoint, State};
use crate::config::{Config, Path, Peer, PeerMatch};
use crate::event::Event;
use crate::secret::PresharedKey;
use crate::wire::{Chain, ExchangeType};
use rand_core::CryptoRng;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A client that is connected to a server, and may send it whatever it likes.
#[derive(Debug)]
pub struct Connected {
    client: Endpoint,
    /// The server.
    pub server: Endpoint,
    path: Path,
    now: Instant,
}

impl Connected {
    /// Connects both.
    ///
    /// # Panics
    /// If they do not connect.
    pub fn new(now: Instant, rng: impl Fn(u64) -> Box<dyn CryptoRng + Send>) -> Self {
        let config = Config::new(vec![(PeerMatch::Any, PresharedKey::new("fuzz"))]);
        let config = Arc::new(config);
        let endpoint = |seed| Endpoint::new(Arc::clone(&config), rng(seed));
        let (Ok(client), Ok(server)) = (endpoint(1), endpoint(2)) else {
            panic!("configuration")
        };
        let path = Path {
            local: ([192, 0, 2, 1], 500).into(),
            remote: ([192, 0, 2, 2], 500).into(),
        };
        let mut both = Self {
            client,
            server,
            path,
            now,
        };
        let mut peer = Peer::new(PresharedKey::new("fuzz"));
        peer.proposals = "aes128-sha1-ecp256".parse().into_iter().collect();
        let connected = both.client.connect(now, path, peer);
        both.run();
        assert!(connected.is_ok() && both.server.child_count() == 1);
        // From here on nobody is established any more.
        while both.server.poll_event().is_some() {}
        both
    }

    fn back(&self) -> Path {
        Path {
            local: self.path.remote,
            remote: self.path.local,
        }
    }

    fn run(&mut self) {
        loop {
            let (a, b) = (self.client.poll_transmit(), self.server.poll_transmit());
            if a.is_none() && b.is_none() {
                break;
            }
            if let Some(mut t) = a {
                let _ = self
                    .server
                    .handle_datagram(self.now, self.back(), &mut t.payload);
            }
            if let Some(mut t) = b {
                let _ = self
                    .client
                    .handle_datagram(self.now, self.path, &mut t.payload);
            }
        }
    }

    /// The server gets a phase 2 message with these payloads and a right HASH.
    pub fn protected(&mut self, quick: bool, id: u32, payloads: &[(u8, &[u8])]) {
        let Some(sa) = self
            .client
            .sas
            .values()
            .find(|sa| sa.state == State::Established)
        else {
            return;
        };
        let mut chain = Chain::default();
        for (kind, body) in payloads {
            chain.push(*kind, *body);
        }
        let exchange = if quick {
            ExchangeType::Quick
        } else {
            ExchangeType::Informational
        };
        let iv = sa.keys.as_ref().map(|k| k.iv(id)).unwrap_or_default();
        if let Ok((mut message, _)) = seal_phase2(sa, exchange, id, &iv, &[], chain) {
            let _ = self
                .server
                .handle_datagram(self.now, self.back(), &mut message);
        }
        while self.server.poll_transmit().is_some() {}
        while let Some(event) = self.server.poll_event() {
            assert!(!matches!(event, Event::Established { .. }));
        }
    }

    /// Lets time pass for the server.
    pub fn wait(&mut self, time: Duration) {
        self.now += time;
        self.server.handle_timeout(self.now);
        while self.server.poll_transmit().is_some() {}
    }
}
