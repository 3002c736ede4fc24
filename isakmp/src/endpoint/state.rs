use super::informational::ASK_SOON;
use crate::config::{ChildRequest, Dpd, Path, Peer};
use crate::event::{ChildId, ChildSa, Role, SaId};
use crate::keys::{Cookies, Keys};
use crate::policy::Lifetime;
use crate::secret::{PresharedKey, Secret};
use crate::suite::{ChildSuite, Group, Phase1Suite};
use crate::vendor::{Capabilities, PeerSoftware};
use crate::wire::Identity;
use natt::{Detection, Dialect};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

/// Where main mode stands: which message is awaited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// As initiator, awaiting message 2, 4 or 6.
    AwaitMessage2,
    AwaitMessage4,
    AwaitMessage6,
    /// As responder, awaiting message 3 or 5.
    AwaitMessage3,
    AwaitMessage5,
    /// A Diffie-Hellman computation is under way.
    Computing,
    Established,
    Closed,
}

/// A request that is repeated until it is answered.
#[derive(Debug)]
pub(super) struct Retransmit {
    pub(super) message: Vec<u8>,
    pub(super) attempts: u32,
    pub(super) due: Instant,
}

/// What only phase 1 needs.
#[derive(Debug, Default)]
pub(super) struct Handshake {
    /// The body of the initiator's SA payload.
    pub(super) sa_body: Vec<u8>,
    pub(super) initiator_nonce: Vec<u8>,
    pub(super) responder_nonce: Vec<u8>,
    pub(super) initiator_public: Vec<u8>,
    pub(super) responder_public: Vec<u8>,
    pub(super) private: Option<Secret>,
    /// Bodies of the peer's NAT-D payloads.
    pub(super) nat_d: Vec<Vec<u8>>,
    /// The peer has sent an error that nobody can vouch for.
    pub(super) peer_error: Option<u16>,
    /// A refusal has been reported already.
    pub(super) reported: bool,
}

/// Answers to one message at most; more duplicates than that are an attack or a loop.
const MAX_REPEATS: u8 = 64;

/// A message that was processed, and what we answered: the same again gets the same answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answered {
    pub(super) digest: Vec<u8>,
    pub(super) reply: Option<Vec<u8>>,
    /// How often it may still be sent.
    pub(super) left: u8,
}

impl Answered {
    pub(super) const fn new(digest: Vec<u8>, reply: Option<Vec<u8>>) -> Self {
        Self {
            digest,
            reply,
            left: MAX_REPEATS,
        }
    }

    /// The reply, if `digest` is that of the message it was for.
    #[expect(
        clippy::option_option,
        reason = "outer: it is the message, inner: there is a reply"
    )]
    pub(super) fn repeat(&mut self, digest: &[u8]) -> Option<Option<Vec<u8>>> {
        if self.digest != digest {
            return None;
        }
        let left = self.left;
        self.left = left.saturating_sub(1);
        Some(self.reply.clone().filter(|_| left > 0))
    }
}

/// What a peer says it has lost of what it had with us before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    Nothing,
    /// Its ISAKMP SAs: the vendor ID of Windows. Its ESP SAs may live on.
    Isakmp,
    /// All: INITIAL-CONTACT.
    All,
}

/// Dead peer detection of one SA.
#[derive(Debug)]
pub(super) struct DpdState {
    /// When to ask (again).
    pub(super) due: Instant,
    pub(super) sequence: u32,
    /// Where the question with that number went.
    pub(super) asked: Option<Path>,
    pub(super) unanswered: u32,
}

/// Which peer: the same for all that one peer has made.
///
/// Neither an address nor an identity tells: ten clients behind one NAT say that they are the same
/// private address, and who sends one's newest packet from another's address makes them meet there.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Party(pub(super) u64);

/// An ISAKMP SA.
#[derive(Debug)]
pub(super) struct Sa {
    pub(super) id: SaId,
    pub(super) role: Role,
    pub(super) path: Path,
    pub(super) cookies: Cookies,
    pub(super) state: State,
    /// When main mode began here.
    pub(super) started: Option<Instant>,
    pub(super) half_open_until: Option<Instant>,
    pub(super) peer: Option<Arc<Peer>>,
    pub(super) psk: PresharedKey,
    pub(super) dialect: Option<Dialect>,
    pub(super) dpd_capable: bool,
    pub(super) fragmentation: bool,
    pub(super) first_contact: bool,
    pub(super) software: PeerSoftware,
    pub(super) nat: Detection,
    pub(super) suite: Phase1Suite,
    pub(super) seconds: u64,
    pub(super) peer_id: Option<Identity>,
    pub(super) party: Party,
    /// While the peer has not proved where it is, it is nobody known, and what it says it has lost
    /// waits.
    pub(super) stranger: Option<Lost>,
    /// Since when the peer is where it is, if nothing has come back from there yet.
    pub(super) moved: Option<Instant>,
    pub(super) handshake: Option<Box<Handshake>>,
    pub(super) keys: Option<Keys>,
    pub(super) retransmit: Option<Retransmit>,
    pub(super) answered: Option<Answered>,
    /// Boxed, as a map has room for eleven at once.
    pub(super) quicks: BTreeMap<u32, Box<Quick>>,
    /// Message IDs of quick modes that the peer has started: none may come again.
    pub(super) used_ids: BTreeSet<u32>,
    /// Message IDs of exchanges that we have begun.
    pub(super) own_ids: BTreeSet<u32>,
    pub(super) wanted: VecDeque<Wanted>,
    /// The last message ID, if they are counted.
    pub(super) counted: u32,
    pub(super) dpd: Option<DpdState>,
    /// The highest sequence number of the peer's questions.
    pub(super) peer_sequence: Option<u32>,
    pub(super) keepalive: Option<natt::Keepalive>,
    pub(super) rekey_at: Option<Instant>,
    pub(super) expires: Option<Instant>,
    /// The SA that this one takes over from.
    pub(super) replaces: Option<SaId>,
    /// A successor is being negotiated.
    pub(super) renewing: bool,
    /// A successor has taken over; what is under way may come to its end here.
    pub(super) replaced: bool,
    /// Packets of unknown SAs are answered from then on.
    pub(super) quiet_until: Option<Instant>,
    /// The computation that is awaited.
    pub(super) job: Option<u64>,
    /// As it stands in the endpoint's list.
    pub(super) deadline: Option<Instant>,
}

impl Sa {
    /// An SA at its start.
    pub(super) fn new(
        id: SaId,
        role: Role,
        path: Path,
        cookies: Cookies,
        psk: PresharedKey,
        suite: Phase1Suite,
    ) -> Self {
        Self {
            id,
            role,
            path,
            cookies,
            state: match role {
                Role::Initiator => State::AwaitMessage2,
                Role::Responder => State::AwaitMessage3,
            },
            started: None,
            half_open_until: None,
            peer: None,
            psk,
            dialect: None,
            dpd_capable: false,
            fragmentation: false,
            first_contact: false,
            software: PeerSoftware::Unknown,
            nat: Detection::default(),
            suite,
            seconds: 0,
            peer_id: None,
            party: Party::default(),
            stranger: Some(Lost::Nothing),
            moved: None,
            handshake: Some(Box::default()),
            keys: None,
            retransmit: None,
            answered: None,
            quicks: BTreeMap::new(),
            used_ids: BTreeSet::new(),
            own_ids: BTreeSet::new(),
            wanted: VecDeque::new(),
            counted: 0,
            dpd: None,
            peer_sequence: None,
            keepalive: None,
            rekey_at: None,
            expires: None,
            replaces: None,
            renewing: false,
            replaced: false,
            quiet_until: None,
            job: None,
            deadline: None,
        }
    }

    pub(super) fn adopt(&mut self, capabilities: &Capabilities) {
        self.dialect = capabilities.dialect;
        self.dpd_capable = capabilities.dpd;
        self.fragmentation = capabilities.fragmentation.is_some();
        self.first_contact = capabilities.first_contact;
        self.software = capabilities.software;
    }

    pub(super) fn established(&self) -> bool {
        self.state == State::Established
    }

    /// Whether the peer is asked when it is silent.
    pub(super) fn is_asked(&self) -> bool {
        self.dpd_capable && self.established() && !self.replaced
    }

    /// When to ask the peer that has been heard now. A stranger soon, whatever comes from it: the
    /// answer proves where it is.
    pub(super) fn ask_at(&self, now: Instant, dpd: Dpd) -> Instant {
        if self.stranger.is_none() {
            return now + dpd.interval;
        }
        let soon = now + ASK_SOON;
        self.dpd.as_ref().map_or(soon, |state| state.due.min(soon))
    }

    /// Puts off when the peer is to be asked, if there is such a time.
    pub(super) fn heard(&mut self, now: Instant, dpd: Dpd) -> bool {
        let (asked, due) = (self.is_asked(), self.ask_at(now, dpd));
        match &mut self.dpd {
            Some(state) if asked => {
                state.due = due;
                state.unanswered = 0;
                true
            }
            _ => false,
        }
    }

    /// When something is due next.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        [
            self.half_open_until,
            self.retransmit.as_ref().map(|r| r.due),
            self.dpd.as_ref().map(|d| d.due),
            self.keepalive.as_ref().map(natt::Keepalive::poll_timeout),
            self.rekey_at,
            self.expires,
            self.quicks.values().map(|q| q.next_deadline()).min(),
        ]
        .into_iter()
        .flatten()
        .min()
    }
}

/// A child that is to be negotiated.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) request: ChildRequest,
    pub(super) suites: Vec<ChildSuite>,
    pub(super) replaces: Option<ChildId>,
}

/// Where a quick mode stands.
#[derive(Debug)]
pub(super) enum QuickState {
    /// As initiator, awaiting message 2.
    AwaitMessage2,
    /// As responder, awaiting message 3.
    AwaitMessage3,
    Computing,
    /// Only answers duplicates.
    Done,
}

/// A quick mode exchange.
#[derive(Debug)]
pub(super) struct Quick {
    pub(super) state: QuickState,
    pub(super) role: Role,
    /// The IV of the next message.
    pub(super) iv: Vec<u8>,
    pub(super) initiator_nonce: Vec<u8>,
    pub(super) responder_nonce: Vec<u8>,
    pub(super) pfs: Option<Pfs>,
    pub(super) wanted: Option<Wanted>,
    /// As responder, what was chosen; as initiator, after message 2.
    pub(super) child: Option<Box<PendingChild>>,
    pub(super) inbound_spi: u32,
    /// Where the last message that belongs to it came from.
    pub(super) path: Path,
    /// Message 2 has gone nowhere but there: who answers it is there.
    pub(super) one_path: bool,
    pub(super) retransmit: Option<Retransmit>,
    pub(super) answered: Option<Answered>,
    pub(super) job: Option<u64>,
    /// Given up or forgotten then.
    pub(super) until: Instant,
}

impl Quick {
    /// What is to be negotiated, if that is not done yet.
    pub(super) fn unfinished(&self) -> Option<&Wanted> {
        let open = !matches!(self.state, QuickState::Done);
        self.wanted.as_ref().filter(|_| open)
    }

    fn next_deadline(&self) -> Instant {
        self.retransmit
            .as_ref()
            .map_or(self.until, |r| r.due.min(self.until))
    }
}

/// Our side of a quick mode's own Diffie-Hellman exchange.
#[derive(Debug)]
pub(super) struct Pfs {
    pub(super) group: Group,
    pub(super) private: Option<Secret>,
    pub(super) public: Option<Vec<u8>>,
}

/// A child before its keys are known.
#[derive(Debug)]
pub(super) struct PendingChild {
    pub(super) suite: ChildSuite,
    pub(super) mode: crate::config::Mode,
    pub(super) udp: bool,
    pub(super) lifetime: Lifetime,
    pub(super) outbound_spi: u32,
    pub(super) selectors: [crate::config::Selector; 2],
    pub(super) nat_oa: Option<(std::net::IpAddr, std::net::IpAddr)>,
    pub(super) peer_public: Option<Vec<u8>>,
    /// As responder: payloads of message 2 but KE and HASH; as initiator unused.
    pub(super) answer: Vec<(u8, Vec<u8>)>,
    /// The keys, once they are known: inbound, outbound.
    pub(super) keys: Option<[crate::secret::ChildKeys; 2]>,
}

/// A pair of ESP SAs.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) sa: SaId,
    pub(super) path: Path,
    pub(super) peer_id: Option<Identity>,
    pub(super) party: Party,
    pub(super) moved: Option<Instant>,
    /// The peer is behind a NAT, which may give it another address at any time.
    pub(super) behind_nat: bool,
    pub(super) peer: Option<Arc<Peer>>,
    pub(super) inbound_spi: u32,
    pub(super) outbound_spi: u32,
    pub(super) wanted: Wanted,
    pub(super) selectors: [crate::config::Selector; 2],
    pub(super) rekey_at: Option<Instant>,
    /// A successor is being negotiated.
    pub(super) renewing: bool,
    /// The pair that it takes over from, until the peer has used this one.
    pub(super) retires: Option<ChildId>,
    /// When a pair with a successor goes at the latest.
    pub(super) retire_at: Option<Instant>,
    pub(super) expires: Instant,
}

impl Child {
    pub(super) fn next_deadline(&self) -> Instant {
        let dates = [self.rekey_at, self.retire_at, Some(self.expires)];
        dates.into_iter().flatten().min().unwrap_or(self.expires)
    }

    /// The request that would negotiate the same again.
    pub(super) fn wanted(sa: &ChildSa, wanted: Option<Wanted>, pfs: Option<Group>) -> Wanted {
        wanted.unwrap_or_else(|| Wanted {
            request: ChildRequest {
                mode: sa.mode,
                local: Some(sa.local_selector.id.clone()),
                remote: Some(sa.remote_selector.id.clone()),
                protocol: sa.local_selector.protocol,
                local_port: sa.local_selector.port,
                remote_port: sa.remote_selector.port,
                pfs,
            },
            suites: vec![sa.suite],
            replaces: None,
        })
    }
}
