//! Addresses for users that have none of their own.

mod remembered;

pub use remembered::{MOST_REMEMBERED, Recalled, Remembered};

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::Hash;
use std::net::Ipv4Addr;

/// A range of addresses; an empty one unless it is parsed from `first-last`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pool {
    range: Option<(u32, u32)>,
}

impl std::str::FromStr for Pool {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (first, last) = text.split_once('-').ok_or(())?;
        let parse = |s: &str| s.trim().parse::<Ipv4Addr>().map(u32::from).map_err(|_| ());
        let range = (parse(first)?, parse(last)?);
        if range.0 > range.1 {
            return Err(());
        }
        Ok(Self { range: Some(range) })
    }
}

impl std::fmt::Display for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.range {
            Some((first, last)) => {
                write!(f, "{}-{}", Ipv4Addr::from(first), Ipv4Addr::from(last))
            }
            None => f.write_str("empty"),
        }
    }
}

impl serde::Serialize for Pool {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Pool {
    /// Whether `address` lies in the range.
    #[must_use]
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        let address = u32::from(address);
        self.range
            .is_some_and(|(a, b)| a <= address && address <= b)
    }

    /// Whether the two have an address in common.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        match (self.range, other.range) {
            (Some((a, b)), Some((c, d))) => a <= d && c <= b,
            _ => false,
        }
    }

    /// Its addresses, the lowest first.
    pub fn addresses(&self) -> impl Iterator<Item = Ipv4Addr> + use<> {
        let range = self.range.into_iter();
        range.flat_map(|(first, last)| (first..=last).map(Ipv4Addr::from))
    }

    /// How many addresses there are.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.range.map_or(0, |(a, b)| u64::from(b - a) + 1)
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

/// Who has which address: pools by name, and addresses that belong to users.
///
/// A user gets the address of an earlier lease again, unless all others are taken: addresses that
/// nobody remembers go first, then those whose users have been away the longest.
#[derive(Debug)]
pub struct Leases<H> {
    pools: BTreeMap<String, Shelf>,
    /// On top of those of the pools.
    revisions: u64,
    /// They belong to users, and are in no pool.
    owned: HashSet<u32>,
    holders: HashMap<u32, H>,
}

/// Addresses remembered for users that are away at most, in each pool: then the longest away is
/// forgotten.
const REMEMBERED: usize = 4096;
/// Addresses remembered for one user at most: as many devices.
const EACH: usize = 4;

/// One pool and whom its addresses remember.
#[derive(Debug, Default)]
struct Shelf {
    pool: Pool,
    /// Addresses from here on were never leased.
    untouched: Option<u32>,
    /// Leased once, and remembered for nobody.
    free: BTreeSet<u32>,
    of_user: HashMap<String, Vec<u32>>,
    owners: HashMap<u32, String>,
    /// Remembered and not leased, the longest away first.
    away: BTreeMap<u64, u32>,
    since: HashMap<u32, u64>,
    clock: u64,
    /// Grows when an address is remembered or forgotten.
    revision: u64,
}

/// Why there is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    /// No pool has this name.
    #[error("no pool has this name")]
    UnknownPool,
    /// All addresses are taken.
    #[error("all addresses of the pool are taken")]
    Exhausted,
}

impl<H: Copy + Eq + Hash> Leases<H> {
    /// Nobody has an address yet. The pool for users for whom none is named has the empty name.
    #[must_use]
    pub fn new(pools: BTreeMap<String, Pool>, owned: impl IntoIterator<Item = Ipv4Addr>) -> Self {
        let mut this = Self {
            pools: BTreeMap::new(),
            revisions: 0,
            owned: HashSet::new(),
            holders: HashMap::new(),
        };
        this.reconfigure(pools, owned);
        this
    }

    /// Other pools, or other users with addresses of their own; leases stay until released.
    pub fn reconfigure(
        &mut self,
        pools: BTreeMap<String, Pool>,
        owned: impl IntoIterator<Item = Ipv4Addr>,
    ) {
        let before = self.revision();
        let mut old = std::mem::take(&mut self.pools);
        let owned = owned.into_iter().map(u32::from).collect();
        let owned_before = std::mem::replace(&mut self.owned, owned);
        for (name, pool) in pools {
            let kept = old.remove(&name).filter(|shelf| shelf.pool == pool);
            let mut shelf = kept.unwrap_or_else(|| Shelf {
                pool,
                untouched: pool.range.map(|(first, _)| first),
                ..Shelf::default()
            });
            for address in &self.owned {
                shelf.forget(*address);
                shelf.free.remove(address);
            }
            for address in owned_before.difference(&self.owned) {
                if !self.holders.contains_key(address) {
                    shelf.released(*address);
                }
            }
            self.pools.insert(name, shelf);
        }
        let kept = self.revision() - self.revisions;
        self.revisions = (before + 1).saturating_sub(kept);
    }

    /// An address of `pool` for one more call of `user`.
    ///
    /// # Errors
    /// Why there is none.
    pub fn lease(&mut self, pool: &str, user: &str, holder: H) -> Result<Ipv4Addr, LeaseError> {
        let shelf = self.pools.get_mut(pool).ok_or(LeaseError::UnknownPool)?;
        let (holders, owned) = (&self.holders, &self.owned);
        let before = shelf.of_user.get(user).into_iter().flatten();
        let address = before
            .copied()
            .find(|a| !holders.contains_key(a))
            .or_else(|| shelf.free.pop_first())
            .or_else(|| shelf.touch(|a| !holders.contains_key(a) && !owned.contains(a)))
            .or_else(|| shelf.forget_oldest())
            .ok_or(LeaseError::Exhausted)?;
        shelf.taken(address, user);
        self.holders.insert(address, holder);
        Ok(address.into())
    }

    /// Gives `address` itself; false if somebody has it.
    pub fn take(&mut self, address: Ipv4Addr, holder: H) -> bool {
        let key = u32::from(address);
        if self.holders.contains_key(&key) {
            return false;
        }
        for shelf in self.pools.values_mut() {
            shelf.forget(key);
            shelf.free.remove(&key);
        }
        self.holders.insert(key, holder);
        true
    }

    /// Who has `address`.
    #[must_use]
    pub fn holder(&self, address: Ipv4Addr) -> Option<H> {
        self.holders.get(&address.into()).copied()
    }

    /// Takes `address` back.
    pub fn release(&mut self, address: Ipv4Addr) {
        let key = u32::from(address);
        if self.holders.remove(&key).is_none() || self.owned.contains(&key) {
            return;
        }
        for shelf in self.pools.values_mut() {
            shelf.released(key);
        }
    }

    /// Addresses in use.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.holders.len()
    }
}

impl Shelf {
    /// The next address that was never leased and is `fit`.
    fn touch(&mut self, fit: impl Fn(&u32) -> bool) -> Option<u32> {
        let (_, last) = self.pool.range?;
        let mut next = self.untouched;
        let found = loop {
            let Some(address) = next.filter(|a| *a <= last) else {
                break None;
            };
            next = address.checked_add(1);
            if fit(&address) && !self.owners.contains_key(&address) {
                break Some(address);
            }
        };
        self.untouched = next.filter(|a| *a <= last);
        found
    }

    fn taken(&mut self, address: u32, user: &str) {
        if let Some(since) = self.since.remove(&address) {
            self.away.remove(&since);
        }
        let mine = self.of_user.entry(user.to_owned()).or_default();
        if !mine.contains(&address) && mine.len() < EACH {
            mine.push(address);
            self.owners.insert(address, user.to_owned());
            self.revision += 1;
        }
        if mine.is_empty() {
            self.of_user.remove(user);
        }
    }

    fn released(&mut self, address: u32) {
        if !self.pool.contains(address.into()) {
            return;
        }
        if !self.owners.contains_key(&address) {
            return self.set_free(address);
        }
        self.clock += 1;
        self.away.insert(self.clock, address);
        self.since.insert(address, self.clock);
        if self.away.len() > REMEMBERED
            && let Some(oldest) = self.forget_oldest()
        {
            self.set_free(oldest);
        }
    }

    /// What was given by name, or is remembered from before, may lie above those ever leased: then
    /// it is still untouched.
    fn set_free(&mut self, address: u32) {
        if self.untouched.is_none_or(|next| address < next) {
            self.free.insert(address);
        }
    }

    fn forget_oldest(&mut self) -> Option<u32> {
        let (_, address) = self.away.pop_first()?;
        self.since.remove(&address);
        self.forget(address);
        Some(address)
    }

    fn forget(&mut self, address: u32) {
        if let Some(since) = self.since.remove(&address) {
            self.away.remove(&since);
        }
        let Some(user) = self.owners.remove(&address) else {
            return;
        };
        self.revision += 1;
        if let Some(mine) = self.of_user.get_mut(&user) {
            mine.retain(|a| *a != address);
            if mine.is_empty() {
                self.of_user.remove(&user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LeaseError, Leases, Pool, REMEMBERED};
    use std::collections::{BTreeMap, HashMap};
    use std::net::Ipv4Addr;

    fn leases(range: &str) -> Leases<u32> {
        let pools = BTreeMap::from([(String::new(), range.parse().unwrap())]);
        Leases::new(pools, [])
    }

    #[test]
    fn leases_are_distinct_stable_and_finite() {
        let mut leases = leases("10.0.0.1-10.0.0.2");
        let ann = leases.lease("", "ann", 1).unwrap();
        let bob = leases.lease("", "bob", 2).unwrap();
        assert_ne!(ann, bob);
        assert_eq!(leases.lease("", "carol", 3), Err(LeaseError::Exhausted));
        leases.release(bob);
        leases.release(ann);
        assert_eq!(leases.lease("", "bob", 4), Ok(bob));
        assert_eq!(leases.in_use(), 1);
        assert_eq!(
            leases.lease("guests", "bob", 5),
            Err(LeaseError::UnknownPool)
        );
    }

    #[test]
    fn every_user_keeps_the_address_through_churn() {
        let mut leases = leases("10.0.0.0-10.0.0.99");
        let mut of_user = HashMap::new();
        let mut seed = 1_u32;
        let mut here: Vec<(u32, Ipv4Addr)> = Vec::new();
        for turn in 0..20_000 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let user = (seed >> 16) % 100;
            if let Some(at) = here.iter().position(|(u, _)| *u == user) {
                leases.release(here.swap_remove(at).1);
                continue;
            }
            let address = leases.lease("", &user.to_string(), turn).unwrap();
            assert_eq!(*of_user.entry(user).or_insert(address), address);
            here.push((user, address));
        }
        assert_eq!(of_user.len(), 100);
    }

    #[test]
    fn two_devices_of_a_user_keep_two_addresses() {
        let mut leases = leases("10.0.0.0-10.0.0.9");
        let [phone, laptop] = [1, 2].map(|n| leases.lease("", "ann", n).unwrap());
        leases.release(phone);
        leases.release(laptop);
        for _ in 0..4 {
            let bob = leases.lease("", "bob", 3).unwrap();
            assert!(![phone, laptop].contains(&bob));
        }
        let mut again = [4, 5].map(|n| leases.lease("", "ann", n).unwrap());
        again.sort();
        assert_eq!(again, [phone, laptop]);
    }

    #[test]
    fn a_full_pool_takes_from_whom_is_away_the_longest() {
        let mut leases = leases("10.0.0.1-10.0.0.2");
        for user in ["ann", "bob"] {
            let address = leases.lease("", user, 1).unwrap();
            leases.release(address);
        }
        let carol = leases.lease("", "carol", 2).unwrap();
        assert_eq!(carol, Ipv4Addr::new(10, 0, 0, 1));
        assert_eq!(leases.lease("", "bob", 3), Ok(Ipv4Addr::new(10, 0, 0, 2)));
    }

    #[test]
    fn an_address_of_a_users_own_is_never_lent() {
        let own = Ipv4Addr::new(10, 0, 0, 1);
        let pools = BTreeMap::from([(String::new(), "10.0.0.1-10.0.0.2".parse().unwrap())]);
        let mut leases = Leases::new(pools, [own]);
        let bob = leases.lease("", "bob", 1).unwrap();
        assert_ne!(bob, own);
        assert_eq!(leases.lease("", "carol", 2), Err(LeaseError::Exhausted));
        assert!(leases.take(own, 3));
        assert!(!leases.take(own, 4));
        leases.release(own);
        assert_eq!(leases.lease("", "carol", 5), Err(LeaseError::Exhausted));
        let pools = BTreeMap::from([(String::new(), "10.0.0.1-10.0.0.2".parse().unwrap())]);
        leases.reconfigure(pools, []);
        assert_eq!(leases.lease("", "carol", 5), Ok(own));
    }

    #[test]
    fn what_is_taken_by_name_is_not_lent_and_comes_back() {
        let mut leases = leases("10.0.0.1-10.0.0.3");
        let [first, second, third] = [1, 2, 3].map(|n| Ipv4Addr::new(10, 0, 0, n));
        assert!(leases.take(second, 1));
        assert_eq!(leases.lease("", "ann", 2), Ok(first));
        assert_eq!(leases.lease("", "bob", 3), Ok(third));
        leases.release(second);
        assert_eq!(leases.lease("", "carol", 4), Ok(second));
    }

    #[test]
    fn a_new_range_ends_no_lease() {
        let mut leases = leases("10.0.0.1-10.0.0.3");
        let ann = leases.lease("", "ann", 1).unwrap();
        let pools = BTreeMap::from([(String::new(), "10.0.0.1-10.0.0.2".parse().unwrap())]);
        leases.reconfigure(pools, []);
        assert_eq!(leases.holder(ann), Some(1));
        assert_ne!(leases.lease("", "bob", 2), Ok(ann));
        assert_eq!(leases.lease("", "carol", 3), Err(LeaseError::Exhausted));
        leases.release(ann);
        assert_eq!(leases.lease("", "carol", 3), Ok(ann));
    }

    #[test]
    fn memory_of_who_was_here_is_bounded() {
        let mut leases = leases("10.0.0.0-10.255.255.255");
        for user in 0..3 * REMEMBERED {
            let address = leases.lease("", &user.to_string(), 1).unwrap();
            leases.release(address);
        }
        let shelf = &leases.pools[""];
        let sizes = [
            shelf.away.len(),
            shelf.since.len(),
            shelf.owners.len(),
            shelf.of_user.len(),
            shelf.free.len(),
        ];
        assert!(sizes.iter().all(|n| *n <= REMEMBERED), "{sizes:?}");
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
        assert_eq!(total, pool.size());
        assert_eq!(blocks[0], ([192, 168, 200, 10].into(), 31));
        let all: Pool = "0.0.0.0-255.255.255.255".parse().unwrap();
        assert_eq!(all.blocks(), vec![([0, 0, 0, 0].into(), 0)]);
    }
}
