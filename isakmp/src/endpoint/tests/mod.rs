//! What a peer that holds the keys can try, after the published vulnerabilities of others.

mod informational;
mod main_mode;
mod quick;

use super::outgoing::seal_phase2;
use super::*;
use crate::config::Selector;
use crate::event::ChildSa;
use crate::secret::PresharedKey;
use crate::wire::{
    Chain, ExchangeType, Flags, Header, Identity, Notify, ProposalOut, delete_payload,
    notify_payload, payload, sa_payload, tlv, transform, tv,
};
use crate::{PeerMatch, Policy};
use simnet::seeded;

const PSK: &str = "test";

/// A client and a server, established, without a network between them.
struct Pair {
    now: Instant,
    client: Endpoint,
    server: Endpoint,
    events: Vec<Event>,
    /// What the client has sent.
    sent: Vec<Vec<u8>>,
}

fn swap(path: Path) -> Path {
    Path {
        local: path.remote,
        remote: path.local,
    }
}

impl Pair {
    /// Not connected yet.
    fn idle() -> Self {
        let mut config = Config::new(vec![(PeerMatch::Any, PresharedKey::new(PSK))]);
        config.policy = Policy::legacy_xp();
        let endpoint =
            |seed| Endpoint::new(Arc::new(config.clone()), Box::new(seeded(seed))).unwrap();
        #[allow(
            clippy::disallowed_methods,
            reason = "a test starts its virtual clock somewhere"
        )]
        let now = Instant::now();
        Self {
            now,
            client: endpoint(1),
            server: endpoint(2),
            events: Vec::new(),
            sent: Vec::new(),
        }
    }

    fn connect(&mut self, children: usize) {
        let mut peer = Peer::new(PresharedKey::new(PSK));
        peer.proposals = vec!["aes128-sha1-ecp256".parse().unwrap()];
        peer.children.truncate(children);
        self.client.connect(self.now, Self::path(), peer).unwrap();
    }

    fn new(children: usize) -> Self {
        let mut pair = Self::idle();
        pair.connect(children);
        pair.run();
        assert_eq!(pair.server.sas.len(), 1);
        assert_eq!(pair.server.children.len(), children);
        pair
    }

    fn path() -> Path {
        Path {
            local: "192.0.2.1:500".parse().unwrap(),
            remote: "192.0.2.2:500".parse().unwrap(),
        }
    }

    fn run(&mut self) {
        self.run_by(|_, sent| swap(sent.path));
    }

    /// `way` tells which way each message of the client comes to the server.
    fn run_by(&mut self, mut way: impl FnMut(&mut Endpoint, &Transmit) -> Path) {
        loop {
            let mut idle = true;
            while let Some(mut t) = self.client.poll_transmit() {
                self.sent.push(t.payload.clone());
                let path = way(&mut self.server, &t);
                let _ = self.server.handle_datagram(self.now, path, &mut t.payload);
                idle = false;
            }
            while let Some(mut t) = self.server.poll_transmit() {
                let _ = self
                    .client
                    .handle_datagram(self.now, swap(t.path), &mut t.payload);
                idle = false;
            }
            while let Some(event) = self.server.poll_event() {
                self.events.push(event);
            }
            if idle {
                break;
            }
        }
    }

    /// The server gets a message with a right HASH over `chain`.
    fn protected(&mut self, exchange: ExchangeType, id: u32, chain: Chain) -> Result<(), Error> {
        let sa = self.client.sas.values().next().unwrap();
        let iv = sa.keys.as_ref().unwrap().iv(id);
        let (mut message, _) = seal_phase2(sa, exchange, id, &iv, &[], chain).unwrap();
        self.server
            .handle_datagram(self.now, swap(Self::path()), &mut message)
    }

    fn inform(&mut self, chain: Chain) -> Result<(), Error> {
        self.protected(ExchangeType::Informational, 77, chain)
    }

    fn cookies(&self) -> Vec<u8> {
        let sa = self.server.sas.values().next().unwrap();
        [sa.cookies.initiator, sa.cookies.responder].concat()
    }

    /// A message in the clear with the cookies of the SA.
    fn plain(&mut self, exchange: ExchangeType, chain: &Chain) -> Result<(), Error> {
        let sa = self.client.sas.values().next().unwrap();
        let header = sa.header(exchange, 99, Flags::NONE, chain.first());
        let mut message = header.encode(&chain.encode());
        self.server
            .handle_datagram(self.now, swap(Self::path()), &mut message)
    }

    fn child(&self) -> ChildSa {
        let child = |e: &Event| match e {
            Event::ChildEstablished(child) => Some(*child.clone()),
            _ => None,
        };
        self.events.iter().find_map(child).unwrap()
    }

    fn alive(&self) -> (usize, usize) {
        (self.server.sas.len(), self.server.children.len())
    }
}

fn delete(protocol: u8, spi: &[u8]) -> Chain {
    Chain::default().with(payload::DELETE, delete_payload(protocol, spi))
}
