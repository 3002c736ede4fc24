//! Addresses leased to users that have none of their own.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

/// A range of addresses, each leased to at most one session at a time.
///
/// A user gets the address of its last lease again while that is free.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pool {
    range: Option<(u32, u32)>,
    leased: BTreeSet<u32>,
    last: BTreeMap<String, u32>,
}

/// Remembered past leases at most: enough for any office, too few to be worth filling.
const REMEMBERED: usize = 4096;

impl std::str::FromStr for Pool {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (first, last) = text.split_once('-').ok_or(())?;
        let parse = |s: &str| s.trim().parse::<Ipv4Addr>().map(u32::from).map_err(|_| ());
        let range = (parse(first)?, parse(last)?);
        if range.0 > range.1 {
            return Err(());
        }
        Ok(Self {
            range: Some(range),
            ..Self::default()
        })
    }
}

impl Pool {
    /// An address for `user`, or none when all are taken.
    pub fn lease(&mut self, user: &str) -> Option<Ipv4Addr> {
        let (first, last) = self.range?;
        let before = self.last.get(user).copied();
        let address = before
            .filter(|a| !self.leased.contains(a))
            .or_else(|| (first..=last).find(|a| !self.leased.contains(a)))?;
        self.leased.insert(address);
        if self.last.len() < REMEMBERED || before.is_some() {
            self.last.insert(user.to_owned(), address);
        }
        Some(address.into())
    }

    /// Leases from the range of `other` from now on; what is leased stays so.
    pub fn set_range(&mut self, other: &Self) {
        self.range = other.range;
        let within = |address: &u32| {
            other
                .range
                .is_some_and(|(first, last)| (first..=last).contains(address))
        };
        self.last.retain(|_, address| within(address));
    }

    /// Takes `address` out of circulation, for a user it belongs to; false if it is in use.
    pub fn reserve(&mut self, address: Ipv4Addr) -> bool {
        self.leased.insert(address.into())
    }

    /// Gives `address` back.
    pub fn release(&mut self, address: Ipv4Addr) {
        self.leased.remove(&address.into());
    }

    /// Addresses in use.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.leased.len()
    }

    /// The range as CIDR blocks (address, prefix length), for routes.
    #[must_use]
    pub fn blocks(&self) -> Vec<(Ipv4Addr, u8)> {
        let mut blocks = Vec::new();
        let Some((mut first, last)) = self.range else {
            return blocks;
        };
        loop {
            let room = u64::from(last - first) + 1;
            let aligned = if first == 0 {
                32
            } else {
                first.trailing_zeros()
            };
            let size = aligned.min(63 - room.leading_zeros());
            blocks.push((first.into(), u8::try_from(32 - size.min(32)).unwrap_or(0)));
            let Some(next) = 1_u32.checked_shl(size).and_then(|n| first.checked_add(n)) else {
                return blocks;
            };
            if next > last {
                return blocks;
            }
            first = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Pool;

    #[test]
    fn leases_are_distinct_stable_and_finite() {
        let mut pool: Pool = "10.0.0.1-10.0.0.2".parse().unwrap();
        let ann = pool.lease("ann").unwrap();
        let bob = pool.lease("bob").unwrap();
        assert_ne!(ann, bob);
        assert_eq!(pool.lease("carol"), None);
        pool.release(bob);
        pool.release(ann);
        assert_eq!(pool.lease("bob"), Some(bob));
        assert_eq!(pool.in_use(), 1);
    }

    #[test]
    fn a_range_backwards_is_refused() {
        assert!("10.0.0.2-10.0.0.1".parse::<Pool>().is_err());
    }

    #[test]
    fn blocks_cover_the_range_exactly() {
        let pool: Pool = "192.168.200.10-192.168.200.99".parse().unwrap();
        let blocks = pool.blocks();
        let total: u64 = blocks.iter().map(|(_, p)| 1_u64 << (32 - p)).sum();
        assert_eq!(total, 90);
        assert_eq!(blocks[0], ([192, 168, 200, 10].into(), 31));
        let all: Pool = "0.0.0.0-255.255.255.255".parse().unwrap();
        assert_eq!(all.blocks(), vec![([0, 0, 0, 0].into(), 0)]);
    }
}
