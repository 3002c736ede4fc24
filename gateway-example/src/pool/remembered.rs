//! Whose addresses are remembered, as text that outlives the gateway.

use super::{EACH, Leases, Shelf};
use serde::{Deserialize, Serialize};
use std::hash::Hash;
use std::net::Ipv4Addr;

/// Addresses kept at most; those of who has been away the longest go first.
pub const MOST_REMEMBERED: usize = 16_384;

/// The first line.
const HEADING: &str = r#"{"leases":1}"#;

/// An address that is kept for a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// The address.
    pub address: Ipv4Addr,
    /// The pool's name; empty for the usual one.
    pub pool: String,
    /// The user's name.
    pub user: String,
}

/// What could be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recalled {
    /// In the order of [`Leases::remembered`].
    pub leases: Vec<Remembered>,
    /// Lines that say nothing.
    pub damaged: usize,
}

impl Remembered {
    /// One line of JSON each, after a first one that tells the form.
    #[must_use]
    pub fn to_text(leases: &[Self]) -> String {
        let lines = leases.iter().map(serde_json::to_string);
        // Names and addresses always are JSON.
        let lines = lines.filter_map(Result::ok);
        let mut text = String::from(HEADING);
        for line in lines {
            text.push('\n');
            text.push_str(&line);
        }
        text.push('\n');
        text
    }

    /// Reads what [`to_text`](Self::to_text) wrote; none if it is of another form. What is damaged
    /// is left out.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Recalled> {
        let mut lines = text.lines();
        if lines.next()? != HEADING {
            return None;
        }
        let mut recalled = Recalled::default();
        for line in lines.take(MOST_REMEMBERED) {
            match serde_json::from_str(line) {
                Ok(lease) => recalled.leases.push(lease),
                Err(_) => recalled.damaged += 1,
            }
        }
        Some(recalled)
    }
}

impl<H: Copy + Eq + Hash> Leases<H> {
    /// Grows whenever an address is remembered for somebody else than before.
    #[must_use]
    pub fn revision(&self) -> u64 {
        let shelves = self.pools.values().map(|shelf| shelf.revision);
        shelves.sum::<u64>() + self.revisions
    }

    /// Whose addresses are remembered: who has been away the longest first, who is here last.
    #[must_use]
    pub fn remembered(&self) -> Vec<Remembered> {
        let mut all: Vec<_> = self
            .pools
            .iter()
            .flat_map(|(name, shelf)| shelf.remembered(name))
            .collect();
        all.sort_by_key(|(since, lease)| (*since, lease.address));
        let surplus = all.len().saturating_sub(MOST_REMEMBERED);
        all.into_iter()
            .skip(surplus)
            .map(|(_, lease)| lease)
            .collect()
    }

    /// Remembers an address for a user who is away; false if it is nobody's to be kept, or kept
    /// for somebody already.
    pub fn remember(&mut self, lease: &Remembered) -> bool {
        let key = u32::from(lease.address);
        if self.holders.contains_key(&key) || self.owned.contains(&key) {
            return false;
        }
        let Some(shelf) = self.pools.get_mut(&lease.pool) else {
            return false;
        };
        let devices = shelf.of_user.get(&lease.user).map_or(0, Vec::len);
        if !shelf.pool.contains(lease.address) || shelf.owners.contains_key(&key) || devices >= EACH
        {
            return false;
        }
        shelf.free.remove(&key);
        shelf.taken(key, &lease.user);
        shelf.released(key);
        true
    }
}

impl Shelf {
    /// With when they left by this shelf's count; who is here has not.
    fn remembered<'a>(&'a self, pool: &'a str) -> impl Iterator<Item = (u64, Remembered)> + 'a {
        self.owners.iter().map(move |(address, user)| {
            let since = self.since.get(address).copied().unwrap_or(u64::MAX);
            let lease = Remembered {
                address: (*address).into(),
                pool: pool.to_owned(),
                user: user.clone(),
            };
            (since, lease)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn leases(range: &str) -> Leases<u32> {
        let pools = BTreeMap::from([
            (String::new(), range.parse().unwrap()),
            ("guests".to_owned(), "10.1.0.1-10.1.0.9".parse().unwrap()),
        ]);
        Leases::new(pools, [])
    }

    /// The same gateway after a restart.
    fn restarted(before: &Leases<u32>, range: &str) -> Leases<u32> {
        let text = Remembered::to_text(&before.remembered());
        let recalled = Remembered::from_text(&text).unwrap();
        assert_eq!(recalled.damaged, 0);
        let mut after = leases(range);
        for lease in &recalled.leases {
            after.remember(lease);
        }
        after
    }

    #[test]
    fn users_find_their_addresses_after_a_restart() {
        let mut before = leases("10.0.0.1-10.0.0.9");
        let users = ["ann", "bob", "c\u{e9}line \"\n\u{1b}"];
        let addresses = users.map(|user| before.lease("", user, 1).unwrap());
        let guest = before.lease("guests", "ann", 2).unwrap();
        before.release(addresses[1]);
        let mut after = restarted(&before, "10.0.0.1-10.0.0.9");
        // Who comes first takes nobody's.
        let dora = after.lease("", "dora", 3).unwrap();
        assert!(!addresses.contains(&dora));
        for (user, address) in users.iter().zip(addresses).rev() {
            assert_eq!(after.lease("", user, 4), Ok(address));
        }
        assert_eq!(after.lease("guests", "ann", 5), Ok(guest));
    }

    #[test]
    fn a_full_pool_still_takes_from_who_was_away_the_longest() {
        let mut before = leases("10.0.0.1-10.0.0.3");
        let [ann, bob, carol] = ["ann", "bob", "carol"].map(|u| before.lease("", u, 1).unwrap());
        before.release(bob);
        before.release(ann);
        let mut after = restarted(&before, "10.0.0.1-10.0.0.3");
        assert_eq!(after.lease("", "dora", 1), Ok(bob));
        assert_eq!(after.lease("", "erin", 2), Ok(ann));
        assert_eq!(after.lease("", "carol", 3), Ok(carol));
        assert!(after.lease("", "fred", 4).is_err());
    }

    #[test]
    fn no_address_is_lent_twice_whatever_is_remembered() {
        let mut seed = 1_u32;
        let mut draw = |below: u32| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 16) % below
        };
        let mut leases = leases("10.0.0.0-10.0.0.19");
        let mut here: Vec<Ipv4Addr> = Vec::new();
        for turn in 0..20_000 {
            if turn % 500 == 0 {
                let range = ["10.0.0.0-10.0.0.19", "10.0.0.5-10.0.0.24"][draw(2) as usize];
                leases = restarted(&leases, range);
                here.clear();
            }
            match draw(4) {
                0 if !here.is_empty() => {
                    let at = draw(u32::try_from(here.len()).unwrap()) as usize;
                    leases.release(here.swap_remove(at));
                }
                1 => {
                    let lease = Remembered {
                        address: (0x0a00_0000 + draw(30)).into(),
                        pool: String::new(),
                        user: draw(30).to_string(),
                    };
                    leases.remember(&lease);
                }
                2 => {
                    let address = (0x0a00_0000 + draw(30)).into();
                    if leases.take(address, turn) {
                        here.push(address);
                    }
                }
                _ => {
                    if let Ok(address) = leases.lease("", &draw(30).to_string(), turn) {
                        assert!(!here.contains(&address), "{address} twice at {turn}");
                        here.push(address);
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_no_longer_in_the_pool_is_not_kept() {
        let mut before = leases("10.0.0.1-10.0.0.9");
        let ann = before.lease("", "ann", 1).unwrap();
        assert_eq!(ann, Ipv4Addr::new(10, 0, 0, 1));
        let mut after = restarted(&before, "10.0.0.5-10.0.0.9");
        assert_eq!(after.lease("", "bob", 1), Ok(Ipv4Addr::new(10, 0, 0, 5)));
        assert_eq!(after.remembered().len(), 1);
        let mut own = leases("10.0.0.1-10.0.0.9");
        own.reconfigure(
            BTreeMap::from([(String::new(), "10.0.0.1-10.0.0.9".parse().unwrap())]),
            [ann],
        );
        assert!(!own.remember(&before.remembered()[0]));
    }

    #[test]
    fn a_change_grows_the_revision_and_nothing_else_does() {
        let mut leases = leases("10.0.0.1-10.0.0.2");
        let start = leases.revision();
        let ann = leases.lease("", "ann", 1).unwrap();
        let first = leases.revision();
        assert!(first > start);
        leases.release(ann);
        leases.lease("", "ann", 2).unwrap();
        assert_eq!(leases.revision(), first);
        leases.reconfigure(BTreeMap::new(), []);
        assert!(leases.revision() > first);
    }

    #[test]
    fn damage_costs_what_is_damaged_alone() {
        let mut before = leases("10.0.0.1-10.0.0.9");
        for user in ["ann", "bob", "carol"] {
            before.lease("", user, 1).unwrap();
        }
        let text = Remembered::to_text(&before.remembered());
        let torn = text.replace("\"bob", "\u{0}bob");
        let recalled = Remembered::from_text(&torn).unwrap();
        assert_eq!((recalled.leases.len(), recalled.damaged), (2, 1));
        let cut = text.get(..text.len() - 9).unwrap();
        let recalled = Remembered::from_text(cut).unwrap();
        assert_eq!((recalled.leases.len(), recalled.damaged), (2, 1));
        for other in ["", "\n", "{\"leases\":2}\n", "\u{0}\u{0}\u{0}"] {
            assert_eq!(Remembered::from_text(other), None, "{other:?}");
        }
        let many = format!("{HEADING}\n{}", "x\n".repeat(3 * MOST_REMEMBERED));
        let recalled = Remembered::from_text(&many).unwrap();
        assert_eq!(recalled.damaged, MOST_REMEMBERED);
    }
}
