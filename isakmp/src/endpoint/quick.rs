//! What both roles of quick mode share (RFC 2409 section 5.5).

use super::dispatch::Incoming;
use super::quick_responder::MAX_USED_IDS;
use super::state::{Child, Quick, QuickState, Sa, Wanted};
use super::{Endpoint, digest, soft};
use crate::config::{PeerMatch, Selector};
use crate::crypto;
use crate::error::Error;
use crate::event::{ChildId, ChildSa, Event, RefusedReason, Role};
use crate::job::{ChildInput, Derivation, Derived, Exchange, JobResult, Purpose, Work};
use crate::keys::Keys;
use crate::suite::{ChildSuite, EspIntegrity};
use crate::wire::{Chain, Identity, Message, PROTO_ESP, payload};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// SPIs up to 255 are reserved (RFC 4303 section 2.1).
const FIRST_SPI: u32 = 256;

impl Endpoint {
    pub(super) fn handle_quick(
        &mut self,
        now: Instant,
        sa: &mut Sa,
        incoming: &Incoming<'_>,
    ) -> Result<(), Error> {
        let id = incoming.header.message_id;
        if !sa.established() || !incoming.header.flags.encrypted() || id == 0 {
            return Err(Error::Unexpected("isakmp_quick_mode_too_early"));
        }
        let digest = digest(incoming.bytes);
        let Some(mut quick) = sa.quicks.remove(&id) else {
            return self.handle_quick_1(now, sa, incoming, digest);
        };
        if let Some(reply) = quick.answered.as_mut().and_then(|a| a.repeat(&digest)) {
            let done = quick.role == Role::Initiator && matches!(quick.state, QuickState::Done);
            let spi = quick.inbound_spi;
            quick.one_path &= incoming.path == quick.path;
            // It may have been sent again by anybody: what goes out on a timer stays where it was.
            sa.quicks.insert(id, quick);
            if done && !self.inbound_spis.contains(&spi) {
                // The peer asks for message 3 of SAs that have ended meanwhile.
                self.stats.duplicates += 1;
                self.send_delete(sa, PROTO_ESP, &spi.to_be_bytes());
            } else {
                self.repeat(sa, incoming.path, reply);
            }
            return Ok(());
        }
        let awaited_2 = matches!(quick.state, QuickState::AwaitMessage2);
        let result = match quick.state {
            QuickState::AwaitMessage2 => self.handle_quick_2(sa, &mut quick, incoming, digest),
            QuickState::AwaitMessage3 => self.handle_quick_3(now, sa, &mut quick, incoming, digest),
            QuickState::Computing => Ok(()),
            // A fourth message (CONNECTED): Windows sends one although we never set the commit bit.
            QuickState::Done => Ok(()),
        };
        let agreed = result.is_ok() && quick.child.is_some();
        let compute = agreed && matches!(quick.state, QuickState::Computing) && awaited_2;
        sa.quicks.insert(id, quick);
        if compute {
            self.compute_child(now, sa, id);
        }
        result
    }

    /// Has the keys of a quick mode's child computed, with PFS after its own exchange.
    pub(super) fn compute_child(&mut self, now: Instant, sa: &mut Sa, id: u32) {
        let (Some(keys), Some(quick)) = (&sa.keys, sa.quicks.get_mut(&id)) else {
            return;
        };
        let Some(child) = &mut quick.child else {
            return;
        };
        let exchange = match (&mut quick.pfs, child.peer_public.take()) {
            (Some(pfs), Some(peer)) => pfs.private.take().map(|private| Exchange {
                group: pfs.group,
                private,
                public: pfs.public.take(),
                peer: Some(peer),
            }),
            _ => None,
        };
        let suite = child.suite;
        let input = ChildInput {
            keymat: keys.keymat(),
            nonces: [quick.initiator_nonce.clone(), quick.responder_nonce.clone()],
            spis: [quick.inbound_spi, child.outbound_spi],
            lengths: [
                suite.cipher.key_length(),
                suite.integrity.map_or(0, EspIntegrity::key_length),
            ],
        };
        let work = Work {
            exchange,
            derivation: Derivation::Child(Box::new(input)),
        };
        self.compute(now, sa, Purpose::Quick(id), work);
    }

    /// A computation of a quick mode is done.
    pub(super) fn quick_computed(
        &mut self,
        now: Instant,
        sa: &mut Sa,
        id: u32,
        result: JobResult,
    ) -> Result<(), Error> {
        let Some(mut quick) = sa.quicks.remove(&id) else {
            return Err(Error::Unexpected("isakmp_state"));
        };
        let Some(output) = result.output else {
            let hint = "the peer's Diffie-Hellman value is invalid";
            self.fail_quick(now, sa, &quick, RefusedReason::PeerRefused, hint);
            return Err(Error::InvalidKeyExchange);
        };
        let derived = match (output.keys, &mut quick.child) {
            (Derived::Child(keys), Some(child)) => {
                child.keys = Some(keys);
                true
            }
            _ => false,
        };
        let done = match (quick.role, derived) {
            (Role::Responder, _) => self.send_quick_2(now, sa, id, &mut quick, output.public),
            (Role::Initiator, false) => {
                if let Some(pfs) = &mut quick.pfs {
                    pfs.private = output.private;
                    pfs.public = Some(output.public);
                }
                self.send_quick_1(now, sa, id, &mut quick)
            }
            (Role::Initiator, true) => self.send_quick_3(now, sa, id, &mut quick),
        };
        sa.quicks.insert(id, quick);
        done
    }

    /// Decrypts a phase 2 message and verifies its HASH payload over `prefix` and the rest.
    pub(super) fn open_phase2<'p>(
        &mut self,
        keys: &Keys,
        incoming: &Incoming<'_>,
        iv: &[u8],
        nonce: &[u8],
        plain: &'p mut Vec<u8>,
    ) -> Result<(Message<'p>, Vec<u8>), Error> {
        let (bytes, next) = keys
            .decrypt(iv, incoming.body)
            .ok_or(Error::Undecryptable)?;
        *plain = bytes;
        let message = Message::parse(incoming.header.next_payload, plain)
            .map_err(|_| Error::Undecryptable)?;
        let first = message
            .first()
            .filter(|p| p.kind == payload::HASH)
            .ok_or(Error::NotAuthentic)?;
        let rest = plain
            .get(first.end..message.len())
            .ok_or(Error::NotAuthentic)?;
        let id = incoming.header.message_id.to_be_bytes();
        let expected = keys.phase2_hash(&[&id, nonce, rest]);
        if !crypto::equal(first.body, expected.as_bytes()) {
            return Err(Error::NotAuthentic);
        }
        self.opened(incoming, plain);
        Ok((message, next))
    }

    /// A phase 2 message with its HASH payload in front.
    pub(super) fn authentic(
        sa: &Sa,
        id: u32,
        nonce: &[u8],
        mut chain: Chain,
    ) -> Result<Chain, Error> {
        let keys = sa.keys.as_ref().ok_or(Error::Unexpected("isakmp_state"))?;
        let rest = chain.encode();
        let hash = keys.phase2_hash(&[&id.to_be_bytes(), nonce, &rest]);
        chain.prepend(payload::HASH, hash.as_bytes().to_vec());
        Ok(chain)
    }

    /// An SPI that no other SA of ours has.
    pub(super) fn new_spi(&mut self) -> u32 {
        loop {
            let spi = u32::from_be_bytes(self.random());
            if spi >= FIRST_SPI && self.inbound_spis.insert(spi) {
                return spi;
            }
        }
    }

    /// Truncation to 96 bits cannot be negotiated: it is known of a peer or not.
    pub(super) fn truncate(
        &self,
        sa: &Sa,
        suite: ChildSuite,
        wanted: Option<ChildSuite>,
    ) -> ChildSuite {
        let old = wanted.is_some_and(|w| w.integrity == Some(EspIntegrity::HmacSha256_96));
        let peer = sa.path.remote.ip();
        let listed = self
            .config
            .sha256_96
            .iter()
            .any(|m: &PeerMatch| m.length(peer).is_some());
        match suite.integrity {
            Some(EspIntegrity::HmacSha256_128) if old || listed => ChildSuite {
                integrity: Some(EspIntegrity::HmacSha256_96),
                ..suite
            },
            _ => suite,
        }
    }

    /// Our address as the peer knows it, and the peer's own, from its NAT-OA payloads.
    pub(super) fn nat_oa(sa: &Sa, role: Role, message: &Message<'_>) -> Option<(IpAddr, IpAddr)> {
        let dialect = sa.dialect?;
        let addresses = message.all(dialect.nat_oa_payload());
        let mut addresses = addresses.filter_map(|body| Identity::parse(body).ok()?.0.address());
        let first = addresses.next()?;
        // Two: initiator's, responder's. One: the sender's own.
        Some(match (addresses.next(), role) {
            (None, _) => (sa.path.local.ip(), first),
            (Some(second), Role::Initiator) => (first, second),
            (Some(second), Role::Responder) => (second, first),
        })
    }

    /// Our NAT-OA payloads.
    pub(super) fn nat_oa_payloads(sa: &Sa, role: Role) -> Vec<(u8, Vec<u8>)> {
        let Some(dialect) = sa.dialect.filter(|_| sa.nat.any()) else {
            return Vec::new();
        };
        let [own, peer] = [sa.path.local, sa.path.remote]
            .map(|a| Identity::Address(a.ip().to_canonical()).payload(0, 0));
        let bodies = match (dialect.nat_oa_count(), role) {
            (0, _) => Vec::new(),
            (1, _) => vec![own],
            (_, Role::Initiator) => vec![own, peer],
            (_, Role::Responder) => vec![peer, own],
        };
        bodies
            .into_iter()
            .map(|body| (dialect.nat_oa_payload(), body))
            .collect()
    }

    /// Quick mode is complete.
    pub(super) fn establish_child(
        &mut self,
        now: Instant,
        sa: &mut Sa,
        quick: &mut Quick,
        path: crate::config::Path,
    ) {
        let Some(child) = quick.child.take() else {
            return;
        };
        let Some([inbound_keys, outbound_keys]) = child.keys else {
            return;
        };
        let id = ChildId(self.next_serial());
        let wanted = quick.wanted.take();
        let [local, remote] = child.selectors;
        let known = wanted.as_ref().and_then(|w| w.replaces);
        let replaces = known.or_else(|| self.predecessor(sa, &local, &remote));
        let established = ChildSa {
            child: id,
            sa: sa.id,
            role: quick.role,
            path,
            replaces,
            inbound_spi: quick.inbound_spi,
            outbound_spi: child.outbound_spi,
            inbound_keys,
            outbound_keys,
            suite: child.suite,
            mode: child.mode,
            udp_encapsulation: child.udp,
            local_selector: local.clone(),
            remote_selector: remote.clone(),
            nat_oa: child.nat_oa,
            lifetime: child.lifetime,
        };
        let seconds = u64::from(child.lifetime.seconds);
        let entry = Box::new(Child {
            sa: sa.id,
            path,
            peer_id: sa.peer_id.clone(),
            party: sa.party,
            moved: sa.moved,
            behind_nat: sa.nat.remote_behind_nat,
            peer: sa.peer.clone(),
            inbound_spi: quick.inbound_spi,
            outbound_spi: child.outbound_spi,
            wanted: Child::wanted(
                &established,
                wanted,
                quick.pfs.as_ref().map(|pfs| pfs.group),
            ),
            selectors: [local, remote],
            rekey_at: (quick.role == Role::Initiator).then(|| now + soft(seconds)),
            renewing: false,
            retires: None,
            retire_at: None,
            expires: now + Duration::from_secs(seconds),
        });
        self.deadlines
            .insert((entry.next_deadline(), super::Owner::Child(id)));
        self.place_child(id, entry);
        self.stats.children += 1;
        self.event(Event::ChildEstablished(Box::new(established)));
        if let (Role::Initiator, Some(old)) = (quick.role, known) {
            self.retire(now, old, id);
        }
        self.limit_children(now, sa);
    }

    /// The pair that carries the same between the same peers.
    fn predecessor(&self, sa: &Sa, local: &Selector, remote: &Selector) -> Option<ChildId> {
        let same = |c: &Child| c.selectors[0] == *local && c.selectors[1] == *remote;
        let mut own = self.children_of(sa).rev();
        own.find(|(_, c)| same(c)).map(|(id, _)| id)
    }

    /// A quick mode for each child that is wanted.
    pub(super) fn start_wanted(&mut self, now: Instant, sa: &mut Sa) {
        while sa.established()
            && sa.quicks.len() < self.config.limits.quick_modes_per_sa
            && let Some(wanted) = sa.wanted.pop_front()
        {
            self.start_quick(now, sa, wanted);
        }
    }

    /// The message ID of a quick mode of ours.
    pub(super) fn quick_message_id(&mut self, sa: &mut Sa) -> u32 {
        if !self.config.habits.counted_message_ids {
            return self.new_message_id(sa);
        }
        sa.counted = sa.counted.wrapping_add(1).max(1);
        sa.counted
    }

    /// Message IDs are random and not in use. Ours begin no exchange of the peer's: what we have
    /// said has a right HASH when it is sent back to us.
    pub(super) fn new_message_id(&mut self, sa: &mut Sa) -> u32 {
        loop {
            let id = u32::from_be_bytes(self.random());
            if id != 0 && !sa.quicks.contains_key(&id) && !sa.used_ids.contains(&id) {
                if sa.own_ids.len() < MAX_USED_IDS {
                    sa.own_ids.insert(id);
                }
                return id;
            }
        }
    }

    pub(super) fn selector_id(request: Option<&Identity>, address: IpAddr) -> Identity {
        request
            .cloned()
            .unwrap_or(Identity::Address(address.to_canonical()))
    }

    pub(super) fn wanted_selectors(sa: &Sa, wanted: &Wanted) -> [Selector; 2] {
        let request = &wanted.request;
        let protocol = request.protocol;
        [
            Selector {
                id: Self::selector_id(request.local.as_ref(), sa.path.local.ip()),
                protocol,
                port: request.local_port,
            },
            Selector {
                id: Self::selector_id(request.remote.as_ref(), sa.path.remote.ip()),
                protocol,
                port: request.remote_port,
            },
        ]
    }
}
