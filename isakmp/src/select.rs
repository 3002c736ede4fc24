//! Reading and choosing proposals of both phases, and answering them.

use crate::config::Mode;
use crate::doi::{KEY_IKE, LIFE_KILOBYTES, LIFE_SECONDS, PRE_SHARED_KEY, child, phase1};
use crate::policy::{Lifetime, Policy};
use crate::suite::{
    AesKeySize, ChildSuite, Cipher, EspCipher, EspIntegrity, Group, Hash, Phase1Suite,
};
use crate::wire::{
    Attributes, PROTO_ESP, PROTO_ISAKMP, Proposal, ProposalOut, SaPayload, Transform, sa_payload,
    tlv, tv,
};
use std::fmt::Write as _;

/// Seconds that count if a quick mode names none (RFC 2407 section 4.5.4).
const DEFAULT_CHILD_SECONDS: u32 = 28_800;
/// SPIs up to 255 are reserved (RFC 4303 section 2.1).
const FIRST_SPI: u32 = 256;
/// Transforms in a message to people: a peer may send hundreds.
const OFFER_TEXT: usize = 24;

/// A transform of phase 1 that we understand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Phase1Offer<'a> {
    pub(crate) suite: Phase1Suite,
    pub(crate) seconds: Option<u64>,
    number: u8,
    raw: &'a [u8],
}

impl Phase1Offer<'_> {
    /// The SA payload that chooses it, byte for byte.
    pub(crate) fn answer(&self) -> Vec<u8> {
        sa_payload(&[ProposalOut {
            number: self.number,
            protocol: PROTO_ISAKMP,
            spi: Vec::new(),
            transforms: vec![self.raw.to_vec()],
        }])
    }
}

/// All transforms of phase 1 that we understand, in the peer's order.
pub(crate) fn phase1_offers<'a>(sa: &SaPayload<'a>) -> Vec<Phase1Offer<'a>> {
    let proposals = sa.proposals.iter().filter(|p| p.protocol == PROTO_ISAKMP);
    proposals
        .flat_map(|p| {
            p.transforms
                .iter()
                .filter_map(|t| phase1_offer(p.number, t))
        })
        .collect()
}

fn phase1_offer<'a>(number: u8, t: &Transform<'a>) -> Option<Phase1Offer<'a>> {
    let (mut cipher, mut hash, mut group, mut psk, mut bits) = (None, None, None, false, None);
    let mut life = Life::default();
    for item in t.attributes.iter() {
        let (kind, value) = item.ok()?;
        match kind {
            phase1::ENCRYPTION => cipher = Some(value),
            phase1::HASH => hash = Some(Hash::from_id(value)?),
            phase1::AUTHENTICATION => psk = value == u64::from(PRE_SHARED_KEY),
            phase1::GROUP => group = Some(Group::from_id(value)?),
            phase1::GROUP_TYPE..=phase1::GROUP_CURVE_B => return None,
            phase1::LIFE_TYPE => life.kind = value,
            phase1::LIFE_DURATION => life.duration(value),
            phase1::KEY_LENGTH => bits = Some(value),
            _ => {}
        }
    }
    let cipher = match cipher? {
        1 => Cipher::Des,
        5 => Cipher::TripleDes,
        // A key length is required, but some peers mean 128.
        7 => Cipher::AesCbc(AesKeySize::from_bits(bits.unwrap_or(128))?),
        _ => return None,
    };
    let suite = Phase1Suite {
        cipher,
        hash: hash?,
        group: group?,
    };
    (t.id == KEY_IKE && psk).then_some(Phase1Offer {
        suite,
        seconds: life.seconds,
        number,
        raw: t.raw,
    })
}

#[derive(Debug, Default)]
struct Life {
    kind: u64,
    seconds: Option<u64>,
    kilobytes: Option<u64>,
}

impl Life {
    /// A duration counts for the type that came before it.
    fn duration(&mut self, value: u64) {
        if self.kind == u64::from(LIFE_SECONDS) {
            self.seconds = Some(value);
        } else if self.kind == u64::from(LIFE_KILOBYTES) {
            self.kilobytes = Some(value);
        }
    }
}

/// Our most preferred suite that the peer offers.
pub(crate) fn choose_phase1<'a>(
    offers: &[Phase1Offer<'a>],
    preferred: &[Phase1Suite],
) -> Option<Phase1Offer<'a>> {
    preferred
        .iter()
        .find_map(|suite| offers.iter().find(|o| o.suite == *suite))
        .copied()
}

/// What a peer offered and what to change, for a refusal.
pub(crate) fn explain_phase1(sa: &SaPayload<'_>, policy: &Policy) -> (String, String) {
    let offers = phase1_offers(sa);
    let total = sa.proposals.iter().map(|p| p.transforms.len()).sum();
    let offer = list(offers.iter().map(|o| o.suite), total);
    let accepts = |p: &Policy| choose_phase1(&offers, &p.phase1).is_some();
    let groups = list(distinct(offers.iter().map(|o| o.suite.group)), 0);
    (
        offer,
        hint(
            policy,
            &format!("only {groups} with these algorithms"),
            accepts,
        ),
    )
}

fn distinct<T: PartialEq>(items: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
    let mut seen = Vec::new();
    for item in items {
        if !seen.contains(&item) {
            seen.push(item);
        }
    }
    seen.into_iter()
}

fn hint(policy: &Policy, offer: &str, accepts: impl Fn(&Policy) -> bool) -> String {
    let others = Policy::accepting(accepts);
    if others.is_empty() {
        return "peer offers nothing that any policy accepts: change its proposals".to_owned();
    }
    let verb = if others.len() == 1 {
        "accepts"
    } else {
        "accept"
    };
    let (name, others) = (policy.name, others.join(" and "));
    format!("peer offers {offer}, policy {name} has none of it: policy {others} {verb} it")
}

fn list<T: std::fmt::Display>(known: impl Iterator<Item = T>, total: usize) -> String {
    let mut out = String::new();
    let mut count = 0;
    for item in known {
        if count < OFFER_TEXT {
            let comma = if count == 0 { "" } else { ", " };
            // Writing to a String cannot fail.
            let _ = write!(out, "{comma}{item}");
        }
        count += 1;
    }
    if count > OFFER_TEXT {
        let _ = write!(out, ", {} more", count - OFFER_TEXT);
    }
    if total > count {
        let _ = write!(out, " and {} unknown", total - count);
    }
    out
}

/// A transform of phase 2 that we understand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChildOffer<'a> {
    pub(crate) suite: ChildSuite,
    pub(crate) mode: Mode,
    pub(crate) udp: bool,
    pub(crate) pfs: Option<Group>,
    pub(crate) lifetime: Lifetime,
    pub(crate) spi: u32,
    number: u8,
    raw: &'a [u8],
}

impl ChildOffer<'_> {
    /// The SA payload that chooses it, byte for byte, with our SPI.
    pub(crate) fn answer(&self, spi: u32) -> Vec<u8> {
        sa_payload(&[ProposalOut {
            number: self.number,
            protocol: PROTO_ESP,
            spi: spi.to_be_bytes().to_vec(),
            transforms: vec![self.raw.to_vec()],
        }])
    }
}

/// All transforms of phase 2 that we understand, in the peer's order.
pub(crate) fn child_offers<'a>(sa: &SaPayload<'a>) -> Vec<ChildOffer<'a>> {
    // Proposals with the same number belong together: AH and ESP at once, which we do not do.
    let bundled =
        |p: &Proposal<'_>| sa.proposals.iter().filter(|q| q.number == p.number).count() > 1;
    let single = sa
        .proposals
        .iter()
        .filter(|p| p.protocol == PROTO_ESP && !bundled(p));
    single
        .filter_map(|p| Some((p, u32::from_be_bytes(p.spi.try_into().ok()?))))
        .filter(|(_, spi)| *spi >= FIRST_SPI)
        .flat_map(|(p, spi)| {
            p.transforms
                .iter()
                .filter_map(move |t| child_offer(p.number, spi, t))
        })
        .collect()
}

fn child_offer<'a>(number: u8, spi: u32, t: &Transform<'a>) -> Option<ChildOffer<'a>> {
    let (mut mode, mut integrity, mut pfs, mut bits) = (None, None, None, None);
    let mut life = Life::default();
    for item in t.attributes.iter() {
        let (kind, value) = item.ok()?;
        match kind {
            child::LIFE_TYPE => life.kind = value,
            child::LIFE_DURATION => life.duration(value),
            child::GROUP => pfs = Some(Group::from_id(value)?),
            child::MODE => mode = Some(read_mode(value)?),
            child::AUTHENTICATION => integrity = Some(EspIntegrity::from_id(value)?),
            child::KEY_LENGTH => bits = Some(value),
            child::EXTENDED_SEQUENCE_NUMBERS if value != 0 => return None,
            _ => {}
        }
    }
    let aes = || AesKeySize::from_bits(bits.unwrap_or(128));
    let cipher = match t.id {
        2 => EspCipher::Des,
        3 => EspCipher::TripleDes,
        12 => EspCipher::AesCbc(aes()?),
        20 => EspCipher::AesGcm16(aes()?),
        _ => return None,
    };
    // Encryption without integrity is refused; AES-GCM brings its own.
    let integrity = match cipher {
        EspCipher::AesGcm16(_) => None,
        _ => Some(integrity?),
    };
    let (mode, udp) = mode.unwrap_or((Mode::Transport, false));
    let narrow = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    let lifetime = Lifetime {
        seconds: life.seconds.map_or(DEFAULT_CHILD_SECONDS, narrow),
        kilobytes: life.kilobytes.map(narrow),
    };
    let suite = ChildSuite { cipher, integrity };
    Some(ChildOffer {
        suite,
        mode,
        udp,
        pfs,
        lifetime,
        spi,
        number,
        raw: t.raw,
    })
}

/// Encapsulation modes of RFC 2407, RFC 3947 and the drafts; true is in UDP.
const fn read_mode(value: u64) -> Option<(Mode, bool)> {
    match value {
        1 => Some((Mode::Tunnel, false)),
        2 => Some((Mode::Transport, false)),
        3 | 61_443 => Some((Mode::Tunnel, true)),
        4 | 61_444 => Some((Mode::Transport, true)),
        _ => None,
    }
}

/// What limits a choice besides the algorithms.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChildRules {
    /// There is a NAT: ESP has to go in UDP.
    pub(crate) nat: bool,
    /// We talk on the port where UDP encapsulation works.
    pub(crate) natt_port: bool,
    pub(crate) tunnel: bool,
    /// Length of the KE payload, if there is one.
    pub(crate) key_exchange: Option<usize>,
}

impl ChildRules {
    fn allow(&self, offer: &ChildOffer<'_>) -> bool {
        let carrier = if self.nat {
            offer.udp
        } else {
            !offer.udp || self.natt_port
        };
        let mode = offer.mode == Mode::Transport || self.tunnel;
        carrier && mode && offer.pfs.map(Group::public_length) == self.key_exchange
    }
}

/// Suites are the same if their proposals are: truncation is not negotiated.
pub(crate) fn same_suite(a: ChildSuite, b: ChildSuite) -> bool {
    a.cipher == b.cipher && a.integrity.map(EspIntegrity::id) == b.integrity.map(EspIntegrity::id)
}

/// Our most preferred suite that the peer offers in an acceptable way.
pub(crate) fn choose_child<'a>(
    offers: &[ChildOffer<'a>],
    preferred: &[ChildSuite],
    rules: &ChildRules,
) -> Option<ChildOffer<'a>> {
    let find = |suite: &ChildSuite| {
        let mut offers = offers.iter();
        offers
            .find(|o| same_suite(o.suite, *suite) && rules.allow(o))
            .copied()
    };
    preferred.iter().find_map(find)
}

/// What a peer offered and what to change, for a refusal.
pub(crate) fn explain_child(
    sa: &SaPayload<'_>,
    policy: &Policy,
    rules: &ChildRules,
) -> (String, String) {
    let offers = child_offers(sa);
    let total = sa.proposals.iter().map(|p| p.transforms.len()).sum();
    let offer = list(offers.iter().map(|o| o.suite), total);
    if choose_child(
        &offers,
        &policy.child,
        &ChildRules {
            tunnel: true,
            ..*rules
        },
    )
    .is_some()
    {
        return (
            offer,
            "peer offers tunnel mode only: set accept_tunnel".to_owned(),
        );
    }
    let suites: Vec<_> = offers.iter().map(|o| o.suite).collect();
    if suites
        .iter()
        .any(|s| policy.child.iter().any(|p| same_suite(*p, *s)))
    {
        let hint = if rules.nat {
            "the algorithms fit, the encapsulation mode does not: there is a NAT, and the peer does not offer ESP in UDP"
        } else {
            "the algorithms fit, the encapsulation mode or the PFS group does not"
        };
        return (offer, hint.to_owned());
    }
    let accepts = |p: &Policy| choose_child(&offers, &p.child, rules).is_some();
    let hint = hint(policy, &list(distinct(suites.into_iter()), 0), accepts);
    (offer, hint)
}

/// The attributes of a RESPONDER-LIFETIME notification (RFC 2407 section 4.6.3.1): what is not as
/// `offered`.
pub(crate) fn lifetime_attributes(lifetime: Lifetime, offered: Lifetime) -> Vec<u8> {
    let mut out = Vec::new();
    if lifetime.seconds != offered.seconds {
        tv(&mut out, child::LIFE_TYPE, LIFE_SECONDS);
        tlv(&mut out, child::LIFE_DURATION, lifetime.seconds);
    }
    if let Some(kilobytes) = lifetime.kilobytes
        && lifetime.kilobytes != offered.kilobytes
    {
        tv(&mut out, child::LIFE_TYPE, LIFE_KILOBYTES);
        tlv(&mut out, child::LIFE_DURATION, kilobytes);
    }
    out
}

/// Seconds and kilobytes of a RESPONDER-LIFETIME notification.
pub(crate) fn read_lifetime(data: &[u8]) -> (Option<u64>, Option<u64>) {
    let mut life = Life::default();
    for (kind, value) in Attributes(data).iter().map_while(Result::ok) {
        match kind {
            child::LIFE_TYPE => life.kind = value,
            child::LIFE_DURATION => life.duration(value),
            _ => {}
        }
    }
    (life.seconds, life.kilobytes)
}
