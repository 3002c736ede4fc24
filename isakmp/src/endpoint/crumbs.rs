//! Cookies that need no state: under load a first message leaves nothing behind but what many
//! peers share.
//!
//! Message 3 does not repeat the SA payload, which `HASH_I` covers. But clients of a kind all send
//! the same one: a small table holds what has been seen, and the cookie says which entry it was,
//! under a MAC over the peer's address and cookie.

use super::dispatch::Incoming;
use crate::crypto::{equal, hash, prf};
use crate::secret::Secret;
use crate::suite::{Hash, Phase1Suite};
use crate::vendor::Capabilities;
use std::time::Instant;

/// Entries; the first half is for those that a peer has come back with.
const SLOTS: usize = 256;
const PROVEN: usize = SLOTS / 2;
/// Seconds for which a cookie is good, at least; twice that at most.
const EPOCH: u64 = 32;

/// What a first message has asked for and what was chosen.
#[derive(Debug, Clone)]
pub(super) struct Opening {
    pub(super) sa_body: Vec<u8>,
    /// The body of our SA payload.
    pub(super) answer: Vec<u8>,
    pub(super) suite: Phase1Suite,
    pub(super) seconds: u64,
    pub(super) capabilities: Capabilities,
}

impl Opening {
    fn digest(&self) -> Vec<u8> {
        let c = &self.capabilities;
        let dialect = c.dialect.map(natt::Dialect::vendor_id).unwrap_or_default();
        let fragmentation = c.fragmentation.as_deref().unwrap_or_default();
        hash(
            Hash::Sha256,
            &[
                &[u8::from(c.dpd), u8::from(c.first_contact)],
                &dialect,
                &[u8::from(c.fragmentation.is_some())],
                fragmentation,
                &self.answer,
                &self.sa_body,
            ],
        )
    }
}

#[derive(Debug)]
struct Slot {
    digest: Vec<u8>,
    opening: Opening,
    used: u64,
}

const fn low_byte(epoch: u64) -> u8 {
    epoch.to_be_bytes()[7]
}

/// The table.
pub(super) struct Crumbs {
    key: Secret,
    start: Option<Instant>,
    slots: Vec<Option<Slot>>,
    clock: u64,
}

impl Crumbs {
    pub(super) fn new(key: [u8; 32]) -> Self {
        let slots = std::iter::repeat_with(|| None).take(SLOTS).collect();
        Self {
            key: Secret::new(key.to_vec()),
            start: None,
            slots,
            clock: 0,
        }
    }

    fn epoch(&mut self, now: Instant) -> u64 {
        let start = *self.start.get_or_insert(now);
        now.saturating_duration_since(start).as_secs() / EPOCH
    }

    fn mac(&self, incoming: &Incoming<'_>, index: u8, epoch: u64, digest: &[u8]) -> [u8; 8] {
        let address = format!("{:?}", incoming.path);
        let parts = [
            &[index][..],
            &epoch.to_be_bytes(),
            &incoming.header.initiator_cookie,
            digest,
            address.as_bytes(),
        ];
        let mac = prf(Hash::Sha256, self.key.as_bytes(), &parts);
        let mut cookie = [0; 8];
        cookie.copy_from_slice(mac.as_bytes().first_chunk::<8>().unwrap_or(&[0; 8]));
        cookie[0] = index;
        cookie[1] = low_byte(epoch);
        // Zero means that there is no cookie.
        cookie[7] |= 1;
        cookie
    }

    /// A responder's cookie for a first message.
    pub(super) fn cookie(
        &mut self,
        now: Instant,
        incoming: &Incoming<'_>,
        opening: &Opening,
    ) -> [u8; 8] {
        let epoch = self.epoch(now);
        let digest = opening.digest();
        let index = self.remember(opening, &digest);
        self.mac(incoming, u8::try_from(index).unwrap_or(0), epoch, &digest)
    }

    fn remember(&mut self, opening: &Opening, digest: &[u8]) -> usize {
        self.clock += 1;
        let clock = self.clock;
        let known = self
            .slots
            .iter()
            .position(|s| s.as_ref().is_some_and(|s| s.digest == digest));
        let index = known.unwrap_or_else(|| {
            // Empty ones first, then the least recently used.
            let unproven = PROVEN..SLOTS;
            let used = |i: &usize| self.slots.get(*i).and_then(|s| s.as_ref().map(|s| s.used));
            unproven.min_by_key(used).unwrap_or(PROVEN)
        });
        if let Some(slot) = self.slots.get_mut(index) {
            let fresh = || Slot {
                digest: digest.to_vec(),
                opening: opening.clone(),
                used: 0,
            };
            match slot {
                Some(slot) if slot.digest == digest => slot.used = clock,
                slot => slot.insert(fresh()).used = clock,
            }
        }
        index
    }

    /// Which entry the cookie of ours is for that a message carries.
    fn known(&mut self, now: Instant, incoming: &Incoming<'_>) -> Option<usize> {
        let cookie = incoming.header.responder_cookie;
        let [index, epoch, ..] = cookie;
        // The cookie has the last byte of its epoch: this one's, or that of the one before.
        let current = self.epoch(now);
        let mut recent = [Some(current), current.checked_sub(1)]
            .into_iter()
            .flatten();
        let epoch = recent.find(|e| low_byte(*e) == epoch)?;
        let slot = self.slots.get(usize::from(index))?.as_ref()?;
        let mac = self.mac(incoming, index, epoch, &slot.digest);
        equal(&mac, &cookie).then_some(index.into())
    }

    fn opening(&self, index: usize) -> Option<&Opening> {
        self.slots.get(index)?.as_ref().map(|slot| &slot.opening)
    }

    /// What the first message of the sender of a third was, if it carries a cookie of ours.
    pub(super) fn redeem(&mut self, now: Instant, incoming: &Incoming<'_>) -> Option<Opening> {
        let index = self.known(now, incoming)?;
        let opening = self.opening(index)?.clone();
        self.prove(index);
        Some(opening)
    }

    /// Whether the sender carries a cookie of ours, and has announced fragmentation before.
    pub(super) fn may_fragment(&mut self, now: Instant, incoming: &Incoming<'_>) -> bool {
        let index = self.known(now, incoming);
        let opening = index.and_then(|index| self.opening(index));
        opening.is_some_and(|o| o.capabilities.fragmentation.is_some())
    }

    /// A flood of made-up proposals cannot push out what real peers send: it is copied to the
    /// proven half. The old entry stays for those that hold a cookie for it.
    fn prove(&mut self, index: usize) {
        self.clock += 1;
        let clock = self.clock;
        if index < PROVEN {
            if let Some(Some(slot)) = self.slots.get_mut(index) {
                slot.used = clock;
            }
            return;
        }
        let Some(Some(slot)) = self.slots.get(index) else {
            return;
        };
        let proven = self.slots.iter().take(PROVEN);
        if proven.flatten().any(|s| s.digest == slot.digest) {
            return;
        }
        let copy = Slot {
            digest: slot.digest.clone(),
            opening: slot.opening.clone(),
            used: clock,
        };
        let oldest =
            (0..PROVEN).min_by_key(|i| self.slots.get(*i).and_then(|s| s.as_ref().map(|s| s.used)));
        if let Some(place) = oldest.and_then(|i| self.slots.get_mut(i)) {
            *place = Some(copy);
        }
    }
}
