//! Pre-shared keys by the peer's address, found without looking at all of them.

use crate::config::PeerMatch;
use crate::secret::PresharedKey;
use std::collections::HashMap;
use std::net::IpAddr;

/// A table for single addresses, a list for networks.
#[derive(Debug)]
pub(super) struct Psks {
    single: HashMap<IpAddr, PresharedKey>,
    networks: Vec<(PeerMatch, PresharedKey)>,
}

impl Psks {
    pub(super) fn new(keys: &[(PeerMatch, PresharedKey)]) -> Self {
        let mut all = Self {
            single: HashMap::new(),
            networks: Vec::new(),
        };
        for (peer, key) in keys {
            match peer {
                PeerMatch::Addr(address) => {
                    let place = all.single.entry(address.to_canonical());
                    place.or_insert_with(|| key.clone());
                }
                network => all.networks.push((*network, key.clone())),
            }
        }
        all
    }

    /// The key of the longest match, the first of equals.
    pub(super) fn of(&self, peer: IpAddr) -> Option<&PresharedKey> {
        self.single
            .get(&peer.to_canonical())
            .or_else(|| PeerMatch::best(&self.networks, peer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_match_counts_and_the_first_of_equals() {
        let key = |name: &str| PresharedKey::new(name);
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let keys = [
            (PeerMatch::Any, key("any")),
            (PeerMatch::Prefix(ip("192.0.2.0"), 24), key("net")),
            (PeerMatch::Addr(ip("192.0.2.7")), key("one")),
            (PeerMatch::Addr(ip("192.0.2.7")), key("late")),
            (PeerMatch::Prefix(ip("192.0.2.7"), 32), key("host")),
            (PeerMatch::Prefix(ip("2001:db8::"), 32), key("six")),
        ];
        let psks = Psks::new(&keys);
        for (peer, expected) in [
            ("192.0.2.7", "one"),
            ("::ffff:192.0.2.7", "one"),
            ("192.0.2.8", "net"),
            ("198.51.100.1", "any"),
            ("2001:db8::1", "six"),
        ] {
            assert_eq!(psks.of(ip(peer)).unwrap().as_bytes(), expected.as_bytes());
        }
        assert!(Psks::new(&keys[1..]).of(ip("198.51.100.1")).is_none());
    }
}
