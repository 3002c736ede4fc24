use super::{Malformed, finish};
use nom::Parser;
use nom::bytes::complete::take;
use nom::number::complete::be_u16;

/// Data attributes (RFC 2408 section 3.3).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attributes<'a>(pub(crate) &'a [u8]);

impl<'a> Attributes<'a> {
    /// Type and value of each; a value too large for 64 bits is the largest.
    pub(crate) fn iter(self) -> impl Iterator<Item = Result<(u16, u64), Malformed>> + 'a {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            match attribute(rest) {
                Ok((after, item)) => {
                    rest = after;
                    Some(Ok(item))
                }
                Err(e) => {
                    rest = &[];
                    Some(Err(e))
                }
            }
        })
    }
}

fn attribute(input: &[u8]) -> Result<(&[u8], (u16, u64)), Malformed> {
    let (rest, (kind, second)) = finish((be_u16, be_u16).parse(input))?;
    if kind & 0x8000 != 0 {
        return Ok((rest, (kind & 0x7fff, u64::from(second))));
    }
    let (rest, value) = finish(take(second).parse(rest))?;
    let number = value.iter().try_fold(0_u64, |n, byte| {
        n.checked_mul(256)
            .and_then(|n| n.checked_add(u64::from(*byte)))
    });
    Ok((rest, (kind, number.unwrap_or(u64::MAX))))
}

/// Appends an attribute in the short form.
pub(crate) fn tv(out: &mut Vec<u8>, kind: u16, value: u16) {
    out.extend_from_slice(&(kind | 0x8000).to_be_bytes());
    out.extend_from_slice(&value.to_be_bytes());
}

/// Appends a 32-bit attribute in the long form.
pub(crate) fn tlv(out: &mut Vec<u8>, kind: u16, value: u32) {
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&4_u16.to_be_bytes());
    out.extend_from_slice(&value.to_be_bytes());
}
