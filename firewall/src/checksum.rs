//! Internet checksums, updated in place (RFC 1624).

/// HC' = ~(~HC + ~m + m') (RFC 1624 equation 3).
pub(crate) fn update(checksum: u16, old: &[u16], new: &[u16]) -> u16 {
    let old = old.iter().map(|word| u32::from(!*word));
    change(
        checksum,
        old.chain(new.iter().map(|word| u32::from(*word))).sum(),
    )
}

/// The same, of ~m and m' of a few words added up.
pub(crate) fn change(checksum: u16, words: u32) -> u16 {
    !fold(u32::from(!checksum) + words)
}

/// Of a whole run of bytes (RFC 1071).
pub(crate) fn compute(bytes: &[u8]) -> u16 {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let mut sum: u32 = pairs
        .iter()
        .map(|p| u32::from(u16::from_be_bytes(*p)))
        .sum();
    if let [last] = rest {
        sum += u32::from(*last) << 8;
    }
    !fold(sum)
}

#[allow(clippy::cast_possible_truncation, reason = "folded to 16 bits before")]
fn fold(mut sum: u32) -> u16 {
    // Twice is enough: the first leaves at most 0x1fffe.
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    sum as u16
}

#[cfg(test)]
mod tests {
    use super::{compute, update};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_update_equals_computing_anew(mut bytes in prop::collection::vec(any::<u8>(), 20..60), new in any::<[u8; 4]>()) {
            // A header is never all zeros, which has two checksums.
            bytes[0] = 0x45;
            let before = compute(&bytes);
            let words = |b: &[u8]| [u16::from_be_bytes([b[0], b[1]]), u16::from_be_bytes([b[2], b[3]])];
            let old = words(&bytes[12..16]);
            bytes[12..16].copy_from_slice(&new);
            prop_assert_eq!(update(before, &old, &words(&new)), compute(&bytes));
        }
    }
}
