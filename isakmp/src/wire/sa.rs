use super::attribute::Attributes;
use super::payload::{PROPOSAL, TRANSFORM, generic};
use super::{Malformed, finish};
use nom::Parser;
use nom::bytes::complete::take;
use nom::number::complete::{be_u8, be_u16, be_u32};

/// The IPsec DOI and the only situation that is used (RFC 2407 section 4.2).
pub(crate) const DOI_IPSEC: u32 = 1;
pub(crate) const SIT_IDENTITY_ONLY: u32 = 1;

const MAX_PROPOSALS: usize = 64;
const MAX_TRANSFORMS: usize = 256;

/// An SA payload (RFC 2408 section 3.4).
#[derive(Debug)]
pub(crate) struct SaPayload<'a> {
    pub(crate) proposals: Vec<Proposal<'a>>,
}

/// A proposal payload (RFC 2408 section 3.5).
#[derive(Debug)]
pub(crate) struct Proposal<'a> {
    pub(crate) number: u8,
    pub(crate) protocol: u8,
    pub(crate) spi: &'a [u8],
    pub(crate) transforms: Vec<Transform<'a>>,
}

/// A transform payload (RFC 2408 section 3.6).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Transform<'a> {
    pub(crate) id: u8,
    pub(crate) attributes: Attributes<'a>,
    /// What follows the generic header, for echoing it byte for byte.
    pub(crate) raw: &'a [u8],
}

impl<'a> SaPayload<'a> {
    pub(crate) fn parse(body: &'a [u8]) -> Result<Self, Malformed> {
        let (mut rest, (doi, situation)) = finish((be_u32, be_u32).parse(body))?;
        if doi != DOI_IPSEC || situation != SIT_IDENTITY_ONLY {
            return Err(Malformed::Doi);
        }
        let mut proposals = Vec::new();
        let mut kind = PROPOSAL;
        while kind == PROPOSAL {
            if proposals.len() >= MAX_PROPOSALS {
                return Err(Malformed::Payloads);
            }
            let (after, (next, content)) = generic(rest)?;
            proposals.push(Proposal::parse(content)?);
            rest = after;
            kind = next;
        }
        Ok(Self { proposals })
    }
}

impl<'a> Proposal<'a> {
    fn parse(body: &'a [u8]) -> Result<Self, Malformed> {
        let (rest, (number, protocol, spi_len, count)) =
            finish((be_u8, be_u8, be_u8, be_u8).parse(body))?;
        let (mut rest, spi) = finish(take(spi_len).parse(rest))?;
        let mut transforms = Vec::new();
        let mut kind = if count == 0 { 0 } else { TRANSFORM };
        while kind == TRANSFORM {
            if transforms.len() >= MAX_TRANSFORMS {
                return Err(Malformed::Payloads);
            }
            let (after, (next, raw)) = generic(rest)?;
            let (attributes, (_number, id, _reserved)) = finish((be_u8, be_u8, be_u16).parse(raw))?;
            transforms.push(Transform {
                id,
                attributes: Attributes(attributes),
                raw,
            });
            rest = after;
            kind = next;
        }
        Ok(Self {
            number,
            protocol,
            spi,
            transforms,
        })
    }
}
