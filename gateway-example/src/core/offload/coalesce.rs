use super::segments::is_intact;
use super::{Offload, PROTOCOL_TCP, TCP_CHECKSUM};
use super::{addresses, flags, is_v6, long, put, set_length, word};
use crate::checksum::{fold, pseudo};

/// Packets that [`coalesce`] takes at once.
pub const MOST: usize = 64;

/// IP without extensions and TCP with all options.
const HEADERS: usize = 40 + 60;

/// The longest IPv4 packet.
const LONGEST: usize = 65_535;

/// Packets that follow one another in one TCP connection, as one; or a packet as it was.
#[derive(Debug)]
pub struct Merged<'p> {
    headers: [u8; HEADERS],
    length: usize,
    /// What the packet, if it is several, is to be cut into.
    pub offload: Offload,
    payloads: [&'p [u8]; MOST],
    count: usize,
}

impl<'p> Merged<'p> {
    /// The headers of all; none if it is a packet as it was.
    #[must_use]
    pub fn headers(&self) -> &[u8] {
        self.headers.get(..self.length).unwrap_or_default()
    }

    /// What follows the headers, in order.
    #[must_use]
    pub fn payloads(&self) -> &[&'p [u8]] {
        self.payloads.get(..self.count).unwrap_or_default()
    }

    /// Whether it is IPv6.
    #[must_use]
    pub fn is_v6(&self) -> bool {
        is_v6(self.headers())
    }
}

/// A TCP segment that others may be joined to.
#[derive(Debug, Clone, Copy)]
struct Segment {
    transport: usize,
    headers: usize,
    sequence: u32,
    /// Nothing but an acknowledgement with data.
    plain: bool,
    /// The sender had no more to say at the time.
    last: bool,
}

/// Segments that have been joined so far.
#[derive(Debug, Clone, Copy)]
struct Group {
    first: usize,
    last: usize,
    /// None: not TCP.
    segment: Option<Segment>,
    payload: usize,
    open: bool,
    intact: bool,
}

/// Joins TCP segments that follow one another, where only that tells that there were many, and
/// hands all packets to `emit`; those of one connection stay in order. Takes [`MOST`] at most.
///
/// What is joined has been verified, since the system takes its checksum for good. As Linux does,
/// it joins only what differs in sequence number and length alone.
pub fn coalesce<'p>(packets: &[&'p [u8]], emit: &mut dyn FnMut(&Merged<'p>)) {
    let mut groups: [Option<Group>; MOST] = [None; MOST];
    let mut next = [MOST; MOST];
    let mut count = 0;
    for (index, packet) in packets.iter().enumerate().take(MOST) {
        let segment = parse(packet);
        if let Some(segment) = &segment {
            let mut newest_first = groups.iter_mut().take(count).rev().flatten();
            let found = newest_first.find(|group| {
                let first = packets.get(group.first).copied().unwrap_or_default();
                group
                    .segment
                    .is_some_and(|of| same_flow((first, &of), (packet, segment)))
            });
            if let Some(group) = found
                && join(group, packets, packet, segment)
            {
                if let Some(link) = next.get_mut(group.last) {
                    *link = index;
                }
                group.last = index;
                continue;
            }
        }
        if let Some(place) = groups.get_mut(count) {
            *place = Some(Group {
                first: index,
                last: index,
                segment,
                payload: segment.map_or(0, |s| packet.len() - s.headers),
                open: segment.is_some_and(|s| s.plain && !s.last),
                intact: false,
            });
            count += 1;
        }
    }
    let mut merged = Merged {
        headers: [0; HEADERS],
        length: 0,
        offload: Offload::default(),
        payloads: [&[]; MOST],
        count: 0,
    };
    for group in groups.iter().take(count).flatten() {
        merge(group, packets, &next, &mut merged);
        emit(&merged);
    }
}

fn parse(packet: &[u8]) -> Option<Segment> {
    let (transport, protocol, length) = if is_v6(packet) {
        (40, *packet.get(6)?, 40 + usize::from(word(packet, 4)?))
    } else {
        // Without options, and neither a fragment nor to be followed by one.
        let whole = word(packet, 6)? & 0x3fff == 0 && *packet.first()? == 0x45;
        let protocol = if whole { *packet.get(9)? } else { 0 };
        (20, protocol, usize::from(word(packet, 2)?))
    };
    let header = usize::from(*packet.get(transport + 12)? >> 4) * 4;
    let headers = transport + header;
    if protocol != PROTOCOL_TCP || header < 20 || length != packet.len() || headers > length {
        return None;
    }
    let bits = *packet.get(transport + 13)?;
    Some(Segment {
        transport,
        headers,
        sequence: long(packet, transport + 4)?,
        plain: bits & !flags::PSH == flags::ACK && headers < length,
        last: bits & flags::PSH != 0,
    })
}

fn same_flow((a, first): (&[u8], &Segment), (b, segment): (&[u8], &Segment)) -> bool {
    let ports = |packet: &[u8], segment: &Segment| long(packet, segment.transport);
    first.transport == segment.transport
        && ports(a, first) == ports(b, segment)
        && addresses(a) == addresses(b)
}

/// Adds a packet to the group, if it can be; else nothing more can be added to the group.
fn join(group: &mut Group, packets: &[&[u8]], packet: &[u8], segment: &Segment) -> bool {
    let (Some(head), Some(first)) = (packets.get(group.first), group.segment) else {
        return false;
    };
    let size = first_payload(head, &first);
    let length = packet.len() - segment.headers;
    let offset = u32::try_from(group.payload).unwrap_or(0);
    let follows = group.open
        && segment.plain
        && segment.sequence == first.sequence.wrapping_add(offset)
        && length <= size
        && first.headers + group.payload + length <= LONGEST
        && alike(head, packet, &first, segment);
    let intact = |packet, segment: &Segment| is_intact(packet, segment.transport, PROTOCOL_TCP);
    if !follows || !intact(packet, segment) {
        group.open = false;
        return false;
    }
    group.intact = group.intact || intact(head, &first);
    group.open = group.intact && length == size && !segment.last;
    group.payload += if group.intact { length } else { 0 };
    group.intact
}

fn first_payload(packet: &[u8], segment: &Segment) -> usize {
    packet.len() - segment.headers
}

/// Whether two headers differ only in what joining restores.
fn alike(a: &[u8], b: &[u8], first: &Segment, segment: &Segment) -> bool {
    let same = |from: usize, to: usize| a.get(from..to) == b.get(from..to);
    let ip = if is_v6(a) {
        same(0, 4) && same(6, 8)
    } else {
        // Version, TOS; whether it may be fragmented; TTL and protocol.
        same(0, 2) && same(6, 10)
    };
    let tcp = first.transport;
    // Acknowledgement; window; options.
    ip && first.headers == segment.headers
        && same(tcp + 8, tcp + 12)
        && same(tcp + 14, tcp + 16)
        && same(tcp + 20, first.headers)
}

fn merge<'p>(group: &Group, packets: &[&'p [u8]], next: &[usize; MOST], to: &mut Merged<'p>) {
    let head = packets.get(group.first).copied().unwrap_or_default();
    let segment = group.segment.filter(|_| group.first != group.last);
    let Some(segment) = segment else {
        to.length = 0;
        to.offload = Offload::default();
        if let Some(first) = to.payloads.first_mut() {
            *first = head;
        }
        to.count = 1;
        return;
    };
    let headers = segment.headers.min(HEADERS);
    if let (Some(to), Some(from)) = (to.headers.get_mut(..headers), head.get(..headers)) {
        to.copy_from_slice(from);
    }
    to.length = headers;
    to.count = 0;
    let mut at = group.first;
    while let (Some(packet), Some(place)) = (packets.get(at), to.payloads.get_mut(to.count)) {
        *place = packet.get(headers..).unwrap_or_default();
        to.count += 1;
        at = next.get(at).copied().unwrap_or(MOST);
    }
    let last = packets.get(group.last).copied().unwrap_or_default();
    let bits = last.get(segment.transport + 13).copied().unwrap_or(0);
    let header = to.headers.get_mut(..headers).unwrap_or_default();
    set_length(header, headers + group.payload, 0);
    if let Some(first) = header.get_mut(segment.transport + 13) {
        *first |= bits & flags::PSH;
    }
    let length = headers - segment.transport + group.payload;
    let sum = fold(pseudo(addresses(header), PROTOCOL_TCP, length));
    let field = segment.transport + usize::from(TCP_CHECKSUM);
    put(header, field, sum.to_be_bytes());
    let start = u16::try_from(segment.transport).unwrap_or(0);
    to.offload = Offload {
        segment: u16::try_from(first_payload(head, &segment)).unwrap_or(0),
        checksum: Some((start, TCP_CHECKSUM)),
    };
}
