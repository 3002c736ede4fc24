//! The interfaces there are, and which addresses belong to them.

use crate::hash::Key;
use crate::policy::{Interface, Kind, Prefix};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::IpAddr;

/// An interface of a [`Firewall`](crate::Firewall).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceId(u32);

impl InterfaceId {
    /// The router itself.
    pub(crate) const LOCAL: Self = Self(u32::MAX);
}

const INDEX_BITS: u32 = 18;
/// Places wait before they are used again, so that an id of a removed interface means nothing.
const WAITING: usize = 1024;

#[derive(Debug)]
pub(crate) struct Interfaces {
    slots: Vec<(InterfaceId, Option<Interface>)>,
    /// Of each slot, for the short way: whose it is, on which side, and the longest packet for it,
    /// 0 if it is nobody's.
    brief: Vec<(InterfaceId, Kind, u16)>,
    free: VecDeque<usize>,
    /// With how many interfaces name them, so that no packet walks through all interfaces.
    own: HashMap<IpAddr, usize, Key>,
    /// A bit for each own address: most others are told from them without a hash.
    own_filter: u64,
    behind: HashMap<Prefix, usize, Key>,
    /// Of the prefixes behind interfaces, IPv4's and IPv6's.
    lengths: [BTreeMap<u8, usize>; 2],
    everybody: HashMap<IpAddr, usize, Key>,
}

impl Interfaces {
    pub(crate) fn new(key: Key) -> Self {
        Self {
            slots: Vec::new(),
            brief: Vec::new(),
            free: VecDeque::new(),
            own: HashMap::with_hasher(key),
            own_filter: 0,
            behind: HashMap::with_hasher(key),
            lengths: Default::default(),
            everybody: HashMap::with_hasher(key),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(crate) fn get(&self, id: InterfaceId) -> Option<&Interface> {
        let (current, interface) = self.slots.get(index(id))?;
        interface.as_ref().filter(|_| *current == id)
    }

    /// The longest packet that an interface carries; 0 if there is none of this name.
    pub(crate) fn longest(&self, id: InterfaceId) -> u16 {
        self.brief(id).map_or(0, |(_, most)| most)
    }

    /// The same, but 0 if it is on the other side.
    pub(crate) fn longest_on(&self, side: Kind, id: InterfaceId) -> u16 {
        let brief = self.brief(id).filter(|(kind, _)| *kind == side);
        brief.map_or(0, |(_, most)| most)
    }

    fn brief(&self, id: InterfaceId) -> Option<(Kind, u16)> {
        let (of, kind, most) = *self.brief.get(index(id))?;
        (of == id).then_some((kind, most))
    }

    fn note(&mut self, at: usize) {
        let Some((id, interface)) = self.slots.get(at) else {
            return;
        };
        let longest = |interface: &Interface| interface.mtu.unwrap_or(u16::MAX);
        let brief = match interface {
            Some(interface) => (*id, interface.kind, longest(interface)),
            None => (*id, Kind::Private, 0),
        };
        match self.brief.get_mut(at) {
            Some(place) => *place = brief,
            None => self.brief.push(brief),
        }
    }

    /// Which side an interface is on; the router itself is private.
    pub(crate) fn kind(&self, id: InterfaceId) -> Option<Kind> {
        if id == InterfaceId::LOCAL {
            return Some(Kind::Private);
        }
        self.get(id).map(|interface| interface.kind)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (InterfaceId, &Interface)> {
        let slots = self.slots.iter();
        slots.filter_map(|(id, interface)| Some((*id, interface.as_ref()?)))
    }

    pub(crate) fn add(&mut self, interface: Interface) -> InterfaceId {
        self.count(&interface, true);
        let full = self.slots.len() >= 1 << INDEX_BITS;
        let reuse = if self.free.len() > WAITING || full {
            self.free.pop_front()
        } else {
            None
        };
        let at = reuse.unwrap_or(self.slots.len());
        let id = match self.slots.get_mut(at) {
            Some((id, slot)) => {
                *id = InterfaceId(id.0.wrapping_add(1 << INDEX_BITS));
                if *id == InterfaceId::LOCAL {
                    *id = InterfaceId(id.0.wrapping_add(1 << INDEX_BITS));
                }
                *slot = Some(interface);
                *id
            }
            None => {
                let id = InterfaceId(u32::try_from(at).unwrap_or(0));
                self.slots.push((id, Some(interface)));
                id
            }
        };
        self.note(at);
        id
    }

    pub(crate) fn remove(&mut self, id: InterfaceId) -> Option<Interface> {
        self.get(id)?;
        let at = index(id);
        let interface = self.slots.get_mut(at)?.1.take()?;
        self.note(at);
        self.free.push_back(at);
        self.count(&interface, false);
        Some(interface)
    }

    /// Puts another in its place; gives the one of before.
    pub(crate) fn replace(&mut self, id: InterfaceId, interface: Interface) -> Option<Interface> {
        self.get(id)?;
        self.count(&interface, true);
        let old = self.slots.get_mut(index(id))?.1.replace(interface)?;
        self.note(index(id));
        self.count(&old, false);
        Some(old)
    }

    fn count(&mut self, interface: &Interface, up: bool) {
        for address in interface.own() {
            tally(&mut self.own, address, up);
        }
        let own = self.own.keys();
        self.own_filter = own.fold(0, |filter, address| filter | filter_bit(*address));
        for prefix in interface.behind() {
            tally(&mut self.behind, prefix, up);
            let lengths = family(&mut self.lengths, &prefix);
            let count = lengths.entry(prefix.length()).or_default();
            *count = if up {
                *count + 1
            } else {
                count.saturating_sub(1)
            };
            if *count == 0 {
                lengths.remove(&prefix.length());
            }
            for address in prefix.everybody().into_iter().flatten() {
                tally(&mut self.everybody, address.into(), up);
            }
        }
    }

    #[inline(always)]
    pub(crate) fn is_own(&self, address: IpAddr) -> bool {
        self.own_filter & filter_bit(address) != 0 && self.own.contains_key(&address)
    }

    /// Whether a packet to this address would reach everybody on a link.
    pub(crate) fn is_everybody(&self, address: IpAddr) -> bool {
        self.everybody.contains_key(&address)
    }

    /// Whether a packet from `source` may come in by `from`: from behind it if something is, and
    /// from behind nothing else.
    pub(crate) fn admits(&self, from: &Interface, source: IpAddr) -> bool {
        let mut limited = false;
        for prefix in from.behind() {
            if prefix.contains(source) {
                return true;
            }
            limited = true;
        }
        !limited && !self.is_behind_any(source)
    }

    pub(crate) fn is_behind_any(&self, address: IpAddr) -> bool {
        let [v4, v6] = &self.lengths;
        let mut lengths = if address.is_ipv4() { v4 } else { v6 }.keys();
        lengths.any(|length| self.behind.contains_key(&Prefix::new(address, *length)))
    }
}

fn filter_bit(address: IpAddr) -> u64 {
    let bits = match address {
        IpAddr::V4(v4) => v4.to_bits(),
        #[allow(clippy::cast_possible_truncation, reason = "the last bits differ most")]
        IpAddr::V6(v6) => v6.to_bits() as u32,
    };
    1 << ((bits ^ bits >> 6 ^ bits >> 12) % 64)
}

fn index(id: InterfaceId) -> usize {
    usize::try_from(id.0 & ((1 << INDEX_BITS) - 1)).unwrap_or(usize::MAX)
}

fn family<'a>(
    lengths: &'a mut [BTreeMap<u8, usize>; 2],
    prefix: &Prefix,
) -> &'a mut BTreeMap<u8, usize> {
    let [v4, v6] = lengths;
    if prefix.is_v4() { v4 } else { v6 }
}

/// One interface more or less names `key`.
fn tally<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, usize, Key>, key: K, up: bool) {
    if up {
        *counts.entry(key).or_default() += 1;
    } else if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}
