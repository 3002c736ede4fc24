use super::payload::{PROPOSAL, TRANSFORM};
use super::sa::{DOI_IPSEC, SIT_IDENTITY_ONLY};

/// Payloads to be sent, linked when encoded.
#[derive(Debug, Clone, Default)]
pub(crate) struct Chain {
    payloads: Vec<(u8, Vec<u8>)>,
}

impl Chain {
    pub(crate) fn push(&mut self, kind: u8, body: impl Into<Vec<u8>>) {
        self.payloads.push((kind, body.into()));
    }

    pub(crate) fn with(mut self, kind: u8, body: impl Into<Vec<u8>>) -> Self {
        self.push(kind, body);
        self
    }

    /// Puts a payload before all others.
    pub(crate) fn prepend(&mut self, kind: u8, body: Vec<u8>) {
        self.payloads.insert(0, (kind, body));
    }

    pub(crate) fn first(&self) -> u8 {
        self.payloads.first().map_or(0, |(kind, _)| *kind)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let kinds = self
            .payloads
            .iter()
            .skip(1)
            .map(|(kind, _)| *kind)
            .chain([0]);
        for ((_, body), next) in self.payloads.iter().zip(kinds) {
            generic(&mut out, next, body);
        }
        out
    }
}

fn generic(out: &mut Vec<u8>, next: u8, body: &[u8]) {
    let length = u16::try_from(body.len().saturating_add(4)).unwrap_or(u16::MAX);
    out.extend_from_slice(&[next, 0]);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(body);
}

/// A proposal to be sent; transforms are what follows their generic header.
#[derive(Debug)]
pub(crate) struct ProposalOut {
    pub(crate) number: u8,
    pub(crate) protocol: u8,
    pub(crate) spi: Vec<u8>,
    pub(crate) transforms: Vec<Vec<u8>>,
}

/// The body of an SA payload.
pub(crate) fn sa_payload(proposals: &[ProposalOut]) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend_from_slice(&DOI_IPSEC.to_be_bytes());
    out.extend_from_slice(&SIT_IDENTITY_ONLY.to_be_bytes());
    for (index, proposal) in proposals.iter().enumerate() {
        let count = u8::try_from(proposal.transforms.len()).unwrap_or(u8::MAX);
        let spi_len = u8::try_from(proposal.spi.len()).unwrap_or(u8::MAX);
        let mut body = vec![proposal.number, proposal.protocol, spi_len, count];
        body.extend_from_slice(&proposal.spi);
        for (index, raw) in proposal.transforms.iter().enumerate() {
            let last = index.saturating_add(1) == proposal.transforms.len();
            generic(&mut body, if last { 0 } else { TRANSFORM }, raw);
        }
        let last = index.saturating_add(1) == proposals.len();
        generic(&mut out, if last { 0 } else { PROPOSAL }, &body);
    }
    out
}

/// What follows the generic header of a transform.
pub(crate) fn transform(number: usize, id: u8, attributes: &[u8]) -> Vec<u8> {
    let mut out = vec![u8::try_from(number).unwrap_or(u8::MAX), id, 0, 0];
    out.extend_from_slice(attributes);
    out
}
