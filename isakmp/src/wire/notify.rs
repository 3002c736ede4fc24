use super::sa::DOI_IPSEC;
use super::{Malformed, finish};
use nom::Parser;
use nom::bytes::complete::take;
use nom::number::complete::{be_u8, be_u16, be_u32};

/// A notification payload (RFC 2408 section 3.14).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Notify<'a> {
    pub(crate) protocol: u8,
    pub(crate) kind: u16,
    pub(crate) spi: &'a [u8],
    pub(crate) data: &'a [u8],
}

impl Notify<'_> {
    pub(crate) const NO_PROPOSAL_CHOSEN: u16 = 14;
    pub(crate) const INVALID_ID_INFORMATION: u16 = 18;
    pub(crate) const AUTHENTICATION_FAILED: u16 = 24;
    /// Types below are errors (RFC 2408 section 3.14.1).
    pub(crate) const FIRST_STATUS: u16 = 16384;
    pub(crate) const RESPONDER_LIFETIME: u16 = 24576;
    pub(crate) const INITIAL_CONTACT: u16 = 24578;
    pub(crate) const R_U_THERE: u16 = 36136;
    pub(crate) const R_U_THERE_ACK: u16 = 36137;
}

impl<'a> Notify<'a> {
    pub(crate) fn parse(body: &'a [u8]) -> Result<Self, Malformed> {
        let (rest, (_doi, protocol, spi_len, kind)) =
            finish((be_u32, be_u8, be_u8, be_u16).parse(body))?;
        let (data, spi) = finish(take(spi_len).parse(rest))?;
        Ok(Self {
            protocol,
            kind,
            spi,
            data,
        })
    }
}

/// The body of a notification payload.
pub(crate) fn notify_payload(notify: &Notify<'_>) -> Vec<u8> {
    let spi_len = u8::try_from(notify.spi.len()).unwrap_or(u8::MAX);
    let mut out = DOI_IPSEC.to_be_bytes().to_vec();
    out.extend_from_slice(&[notify.protocol, spi_len]);
    out.extend_from_slice(&notify.kind.to_be_bytes());
    out.extend_from_slice(notify.spi);
    out.extend_from_slice(notify.data);
    out
}

/// A delete payload (RFC 2408 section 3.15).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delete<'a> {
    pub(crate) protocol: u8,
    pub(crate) spis: Vec<&'a [u8]>,
}

impl<'a> Delete<'a> {
    pub(crate) fn parse(body: &'a [u8]) -> Result<Self, Malformed> {
        let (rest, (_doi, protocol, spi_len, count)) =
            finish((be_u32, be_u8, be_u8, be_u16).parse(body))?;
        let spi_len = usize::from(spi_len);
        if spi_len == 0 || rest.len() != spi_len.saturating_mul(usize::from(count)) {
            return Err(Malformed::Length);
        }
        Ok(Self {
            protocol,
            spis: rest.chunks_exact(spi_len).collect(),
        })
    }
}

/// The body of a delete payload with one SPI.
pub(crate) fn delete_payload(protocol: u8, spi: &[u8]) -> Vec<u8> {
    let mut out = DOI_IPSEC.to_be_bytes().to_vec();
    out.extend_from_slice(&[protocol, u8::try_from(spi.len()).unwrap_or(u8::MAX), 0, 1]);
    out.extend_from_slice(spi);
    out
}
