//! Writing an initiator's proposals of both phases, in the manner of its family.

use crate::doi::{KEY_IKE, LIFE_KILOBYTES, LIFE_SECONDS, PRE_SHARED_KEY, child, phase1};
use crate::habits::Style;
use crate::policy::Lifetime;
use crate::suite::{ChildSuite, Cipher, EspIntegrity, Group, Phase1Suite};
use crate::wire::{PROTO_AH, PROTO_ESP, PROTO_ISAKMP, ProposalOut, sa_payload, tlv, transform, tv};

/// Transforms that only unsupported offers need (RFC 2407 sections 4.4.3 and 4.4.4).
const AH_SHA: u8 = 3;
const ESP_NULL: u8 = 11;

impl Style {
    const fn order(self) -> [u16; 7] {
        use phase1::{ENCRYPTION, GROUP, HASH, KEY_LENGTH, LIFE_DURATION, LIFE_TYPE};
        const PSK: u16 = phase1::AUTHENTICATION;
        match self {
            Self::Windows | Self::WindowsXp | Self::StrongSwan => [
                ENCRYPTION,
                KEY_LENGTH,
                HASH,
                GROUP,
                PSK,
                LIFE_TYPE,
                LIFE_DURATION,
            ],
            Self::Racoon => [
                LIFE_TYPE,
                LIFE_DURATION,
                ENCRYPTION,
                KEY_LENGTH,
                PSK,
                HASH,
                GROUP,
            ],
            Self::Pluto => [
                LIFE_TYPE,
                LIFE_DURATION,
                ENCRYPTION,
                HASH,
                PSK,
                GROUP,
                KEY_LENGTH,
            ],
        }
    }

    /// `LIFE_TYPE` stands for types and durations of both lifetimes.
    const fn child_order(self) -> [u16; 5] {
        use child::{AUTHENTICATION, GROUP, KEY_LENGTH, LIFE_TYPE as LIVES, MODE};
        match self {
            Self::Windows => [MODE, KEY_LENGTH, AUTHENTICATION, LIVES, GROUP],
            Self::WindowsXp | Self::Racoon => [LIVES, MODE, KEY_LENGTH, AUTHENTICATION, GROUP],
            Self::StrongSwan => [KEY_LENGTH, AUTHENTICATION, GROUP, MODE, LIVES],
            Self::Pluto => [GROUP, MODE, LIVES, AUTHENTICATION, KEY_LENGTH],
        }
    }

    /// The numbers of the first proposal and of its first transform.
    const fn first_numbers(self) -> (u8, usize) {
        match self {
            Self::Windows | Self::WindowsXp | Self::Racoon => (1, 1),
            Self::StrongSwan => (0, 1),
            Self::Pluto => (0, 0),
        }
    }

    const fn is_windows(self) -> bool {
        matches!(self, Self::Windows | Self::WindowsXp)
    }

    /// A lifetime; Windows takes four bytes for any.
    fn duration(self, out: &mut Vec<u8>, kind: u16, value: u32) {
        match u16::try_from(value) {
            Ok(short) if !self.is_windows() => tv(out, kind, short),
            _ => tlv(out, kind, value),
        }
    }

    fn attributes(self, suite: &Phase1Suite, seconds: u32) -> Vec<u8> {
        let mut a = Vec::new();
        for kind in self.order() {
            let value = match (kind, suite.cipher) {
                (phase1::ENCRYPTION, cipher) => cipher.id(),
                (phase1::KEY_LENGTH, Cipher::AesCbc(size)) => size.bits(),
                (phase1::KEY_LENGTH, _) => continue,
                (phase1::HASH, _) => suite.hash.id(),
                (phase1::GROUP, _) => suite.group.id(),
                (phase1::AUTHENTICATION, _) => PRE_SHARED_KEY,
                (phase1::LIFE_TYPE, _) => LIFE_SECONDS,
                _ => {
                    self.duration(&mut a, kind, seconds);
                    continue;
                }
            };
            tv(&mut a, kind, value);
        }
        a
    }
}

/// The SA payload that offers `suites` for phase 1.
pub(crate) fn offer_phase1(suites: &[Phase1Suite], seconds: u32, style: Style) -> Vec<u8> {
    let (number, first) = style.first_numbers();
    let transforms = suites.iter().enumerate().map(|(index, suite)| {
        let attributes = style.attributes(suite, seconds);
        transform(first + index, KEY_IKE, &attributes)
    });
    sa_payload(&[ProposalOut {
        number,
        protocol: PROTO_ISAKMP,
        spi: Vec::new(),
        transforms: transforms.collect(),
    }])
}

/// What an initiator offers for phase 2.
#[derive(Debug)]
pub(crate) struct ChildOffer<'a> {
    pub(crate) suites: &'a [ChildSuite],
    /// The encapsulation mode attribute.
    pub(crate) mode: u16,
    pub(crate) pfs: Option<Group>,
    pub(crate) lifetime: Lifetime,
    pub(crate) spi: u32,
    pub(crate) style: Style,
    /// AH, both at once and NULL are offered too.
    pub(crate) unsupported: bool,
}

impl ChildOffer<'_> {
    pub(crate) fn payload(&self) -> Vec<u8> {
        let (number, first) = self.style.first_numbers();
        let transforms = self.suites.iter().map(|suite| {
            let bits = suite.cipher.aes_key_size().map(|size| size.bits());
            let attributes = self.attributes(bits, suite.integrity);
            (suite.cipher.id(), attributes)
        });
        let mut proposals = Vec::new();
        if self.style.is_windows() {
            // A proposal for each suite.
            for ((id, attributes), number) in transforms.zip(number..) {
                proposals.push(self.proposal(
                    number,
                    PROTO_ESP,
                    &[transform(first, id, &attributes)],
                ));
            }
        } else {
            let transforms: Vec<_> = transforms
                .zip(first..)
                .map(|((id, attributes), number)| transform(number, id, &attributes))
                .collect();
            proposals.push(self.proposal(number, PROTO_ESP, &transforms));
        }
        if self.unsupported {
            self.push_unsupported(&mut proposals);
        }
        sa_payload(&proposals)
    }

    /// AH and ESP under one number, AH alone, ESP without encryption.
    fn push_unsupported(&self, proposals: &mut Vec<ProposalOut>) {
        let sha1 = self.attributes(None, Some(EspIntegrity::HmacSha1_96));
        let ah = transform(1, AH_SHA, &sha1);
        let null = transform(1, ESP_NULL, &sha1);
        let next = proposals.last().map_or(1, |p| p.number.saturating_add(1));
        if let Some(suite) = self.suites.first() {
            let bits = suite.cipher.aes_key_size().map(|size| size.bits());
            let esp = transform(
                1,
                suite.cipher.id(),
                &self.attributes(bits, suite.integrity),
            );
            proposals.push(self.proposal(next, PROTO_AH, std::slice::from_ref(&ah)));
            proposals.push(self.proposal(next, PROTO_ESP, &[esp]));
        }
        proposals.push(self.proposal(next.saturating_add(1), PROTO_AH, &[ah]));
        proposals.push(self.proposal(next.saturating_add(2), PROTO_ESP, &[null]));
    }

    fn proposal(&self, number: u8, protocol: u8, transforms: &[Vec<u8>]) -> ProposalOut {
        ProposalOut {
            number,
            protocol,
            spi: self.spi.to_be_bytes().to_vec(),
            transforms: transforms.to_vec(),
        }
    }

    fn attributes(&self, key_bits: Option<u16>, integrity: Option<EspIntegrity>) -> Vec<u8> {
        let mut a = Vec::new();
        for kind in self.style.child_order() {
            let value = match kind {
                child::MODE => Some(self.mode),
                child::GROUP => self.pfs.map(Group::id),
                child::KEY_LENGTH => key_bits,
                child::AUTHENTICATION => integrity.map(EspIntegrity::id),
                _ => {
                    let units = [
                        (LIFE_SECONDS, Some(self.lifetime.seconds)),
                        (LIFE_KILOBYTES, self.lifetime.kilobytes),
                    ];
                    for (unit, limit) in units {
                        if let Some(limit) = limit {
                            tv(&mut a, child::LIFE_TYPE, unit);
                            self.style.duration(&mut a, child::LIFE_DURATION, limit);
                        }
                    }
                    continue;
                }
            };
            if let Some(value) = value {
                tv(&mut a, kind, value);
            }
        }
        a
    }
}
