use super::{Offload, PROTOCOL_TCP, PROTOCOL_UDP, TCP_CHECKSUM, UDP_CHECKSUM};
use super::{addresses, flags, is_v6, long, put, set_length, word};
use crate::checksum::{checksum, fold, pseudo, sum};

/// A packet that is to be cut into ones that fit the link.
#[derive(Debug, Clone)]
pub struct Segments<'a> {
    packet: &'a [u8],
    /// Where the transport header begins.
    transport: usize,
    /// Bytes of all headers.
    headers: usize,
    /// Bytes of payload of each; of a packet that stays as it is, all.
    segment: usize,
    count: usize,
    protocol: u8,
    checksum: Option<usize>,
}

/// What the system said of a packet does not fit it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("segmentation offload does not fit the packet")]
pub struct BadOffload;

impl<'a> Segments<'a> {
    /// Reads `packet`, with what `offload` says of it.
    ///
    /// # Errors
    /// [`BadOffload`].
    pub fn new(packet: &'a [u8], offload: Offload) -> Result<Self, BadOffload> {
        let checksum = offload
            .checksum
            .map(|(start, at)| usize::from(start) + usize::from(at));
        if checksum.is_some_and(|at| at + 2 > packet.len()) {
            return Err(BadOffload);
        }
        let transport = offload.checksum.map_or(0, |(start, _)| usize::from(start));
        let whole = Self {
            packet,
            transport,
            headers: 0,
            segment: packet.len(),
            count: 1,
            protocol: 0,
            checksum,
        };
        if offload.segment == 0 {
            return Ok(whole);
        }
        let Some((_, field)) = offload.checksum else {
            return Err(BadOffload);
        };
        let (protocol, header) = match field {
            TCP_CHECKSUM => {
                let words = packet.get(transport + 12).map(|byte| byte >> 4);
                let words = words.filter(|words| *words >= 5).ok_or(BadOffload)?;
                (PROTOCOL_TCP, usize::from(words) * 4)
            }
            UDP_CHECKSUM => (PROTOCOL_UDP, 8),
            _ => return Err(BadOffload),
        };
        let headers = transport + header;
        let payload = packet.len().checked_sub(headers).ok_or(BadOffload)?;
        let before = if is_v6(packet) { 40 } else { 20 };
        if transport < before || payload == 0 {
            return Err(BadOffload);
        }
        let segment = usize::from(offload.segment);
        Ok(Self {
            headers,
            segment,
            count: payload.div_ceil(segment),
            protocol,
            ..whole
        })
    }

    /// How many packets there will be.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Bytes of packet number `index`.
    #[must_use]
    pub fn length(&self, index: usize) -> usize {
        self.headers + self.payload(index).len()
    }

    fn payload(&self, index: usize) -> &'a [u8] {
        let start = (self.headers + index * self.segment).min(self.packet.len());
        let end = (start + self.segment).min(self.packet.len());
        self.packet.get(start..end).unwrap_or_default()
    }

    /// Writes packet number `index` into `to`, which has just its length.
    pub fn write(&self, index: usize, to: &mut [u8]) {
        if let Some((head, rest)) = to.split_at_mut_checked(self.headers) {
            head.copy_from_slice(self.packet.get(..self.headers).unwrap_or_default());
            let payload = self.payload(index);
            if let Some(to) = rest.get_mut(..payload.len()) {
                to.copy_from_slice(payload);
            }
        }
        if self.headers == 0 {
            // What is in the field is the pseudo-header's part already.
            if let Some(at) = self.checksum {
                let sum = checksum(to.get(self.transport..).unwrap_or_default());
                self.put_checksum(to, at, sum);
            }
            return;
        }
        let (length, transport) = (to.len(), self.transport);
        set_length(to, length, u16::try_from(index).unwrap_or(0));
        if self.protocol == PROTOCOL_TCP {
            let offset = u32::try_from(index * self.segment).unwrap_or(0);
            let sequence = long(to, transport + 4).unwrap_or(0).wrapping_add(offset);
            put(to, transport + 4, sequence.to_be_bytes());
            if let Some(bits) = to.get_mut(transport + 13) {
                if index > 0 {
                    *bits &= !flags::CWR;
                }
                if index + 1 < self.count {
                    *bits &= !(flags::FIN | flags::PSH);
                }
            }
        } else {
            let length = u16::try_from(length - transport).unwrap_or(u16::MAX);
            put(to, transport + 4, length.to_be_bytes());
        }
        let Some(at) = self.checksum else { return };
        put(to, at, [0, 0]);
        let segment = to.get(transport..).unwrap_or_default();
        let pseudo = pseudo(addresses(to), self.protocol, segment.len());
        let sum = !fold(pseudo + sum(segment));
        self.put_checksum(to, at, sum);
    }

    fn put_checksum(&self, to: &mut [u8], at: usize, sum: u16) {
        let udp = at == self.transport + usize::from(UDP_CHECKSUM);
        // Zero would mean that there is none (RFC 768).
        let sum = if sum == 0 && udp { 0xffff } else { sum };
        put(to, at, sum.to_be_bytes());
    }
}

/// The checksum of a transport header, over everything, is right.
pub(super) fn is_intact(packet: &[u8], transport: usize, protocol: u8) -> bool {
    let segment = packet.get(transport..).unwrap_or_default();
    let pseudo = pseudo(addresses(packet), protocol, segment.len());
    word(packet, transport).is_some() && fold(pseudo + sum(segment)) == 0xffff
}
