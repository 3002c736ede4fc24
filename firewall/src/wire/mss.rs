//! TCP's maximum segment size option (RFC 9293 section 3.7.1).

use super::rewrite::mend;
use super::transport::option;
use super::{Body, Packet, TCP_SYN, put, word};

/// Lowers the option to `most` on SYNs; never raises it.
pub(crate) fn clamp_mss(bytes: &mut [u8], view: &Packet, most: u16) {
    let Body::Tcp(segment) = view.body else {
        return;
    };
    if !segment.has(TCP_SYN) {
        return;
    }
    let start = view.transport;
    let field = |at: usize| start.saturating_add(at);
    let size = bytes.get(field(12)).map_or(0, |b| b >> 4);
    let end = field(usize::from(size).saturating_mul(4));
    let found = bytes
        .get(field(20)..end)
        .and_then(|options| option(options, 2));
    let Some((at, 4)) = found else { return };
    let at = field(22).saturating_add(at);
    if let Some(old) = word(bytes, at).filter(|old| *old > most) {
        put(bytes, at, most);
        // The option may stand on an odd byte, where checksum words straddle it.
        let (old, new) = if at.saturating_sub(start).is_multiple_of(2) {
            (old, most)
        } else {
            (old.swap_bytes(), most.swap_bytes())
        };
        mend(bytes, field(16), &[old], &[new]);
    }
}
