//! The Internet checksum (RFC 1071).

use std::net::IpAddr;

/// The ones' complement sum of 16-bit words. Sums of parts may be added if all but the last have
/// an even length.
pub(crate) fn sum(bytes: &[u8]) -> u32 {
    // Words of the machine's own byte order: the sum does not care until it is folded.
    let mut lanes = [0_u64; 16];
    let mut add = |chunk: &[u8; 64]| {
        for (lane, word) in lanes.iter_mut().zip(chunk.as_chunks::<4>().0) {
            *lane += u64::from(u32::from_ne_bytes(*word));
        }
    };
    let (chunks, rest) = bytes.as_chunks::<64>();
    for chunk in chunks {
        add(chunk);
    }
    let mut last = [0; 64];
    if let Some(space) = last.get_mut(..rest.len()) {
        space.copy_from_slice(rest);
        add(&last);
    }
    let total: u64 = lanes
        .iter()
        .map(|lane| (lane >> 32) + (lane & 0xffff_ffff))
        .sum();
    let total = (total >> 32) + (total & 0xffff_ffff);
    let total = (total >> 32) + (total & 0xffff_ffff);
    let total = (total >> 16) + (total & 0xffff);
    let total = (total >> 16) + (total & 0xffff);
    u32::from(u16::from_be(u16::try_from(total).unwrap_or(0)))
}

/// Folds a sum of a few sums to 16 bits.
pub(crate) fn fold(sum: u32) -> u16 {
    let sum = (sum >> 16) + (sum & 0xffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    u16::try_from(sum).unwrap_or(u16::MAX)
}

/// The checksum of `bytes`, zero if one in them is right.
pub(crate) fn checksum(bytes: &[u8]) -> u16 {
    !fold(sum(bytes))
}

/// What the pseudo-header adds to a transport checksum (RFC 768, RFC 8200 section 8.1); `addresses`
/// are both, as they lie in the IP header.
pub(crate) fn pseudo(addresses: &[u8], protocol: u8, length: usize) -> u32 {
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    sum(addresses) + u32::from(protocol) + (length >> 16) + (length & 0xffff)
}

/// The transport checksum of `segment`, whose own field is zero.
pub(crate) fn transport(source: IpAddr, destination: IpAddr, protocol: u8, segment: &[u8]) -> u16 {
    let address = |address| match address {
        IpAddr::V4(v4) => sum(&v4.octets()),
        IpAddr::V6(v6) => sum(&v6.octets()),
    };
    let pseudo = address(source) + address(destination) + pseudo(&[], protocol, segment.len());
    !fold(pseudo + sum(segment))
}

#[cfg(test)]
mod tests {
    use super::{fold, sum};

    #[test]
    fn it_is_the_sum_of_words_at_every_length() {
        let bytes: Vec<u8> = (0..1501_u32)
            .map(|i| ((i * 7919) >> 3) as u8 | 0x81)
            .collect();
        for length in 0..bytes.len() {
            let bytes = &bytes[..length];
            let plain: u32 = bytes
                .chunks(2)
                .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |b| u32::from(*b)))
                .sum();
            assert_eq!(sum(bytes), u32::from(fold(plain)), "{length} bytes");
        }
    }
}
