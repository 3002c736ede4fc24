//! TCP seen from the middle: RFC 7857 section 2's state machine, and which segments can belong to
//! the connection by their sequence numbers.
//!
//! Each side has sent up to `end`, may send up to `max_end` (what the other has acknowledged plus
//! the window it offered), and has offered at most `window`. A segment is plausible if it begins
//! before what its sender may send, does not lie more than a window before what it has sent, and
//! acknowledges nothing that the other side has not sent.

use crate::config::Timeouts;
use crate::event::Phase;
use crate::flow::Way;
use crate::wire::{Segment, TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN};
use std::time::Duration;

/// An old acknowledgment may lag behind this much at least.
const MAX_ACK_LAG: u32 = 66_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    /// A SYN.
    #[default]
    Init,
    /// The server's SYN.
    Answered,
    Established,
    /// A FIN of the client, or of the server.
    Fin(Way),
    /// Both.
    BothFin,
    /// After a RST.
    Transitory,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Side {
    end: u32,
    max_end: u32,
    /// 0: this side has not been seen yet.
    window: u32,
}

/// As it is worked with; a flow keeps what [`store`](Self::store) makes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tcp {
    sides: [Side; 2],
    scales: [u8; 2],
    state: State,
    /// Joined in mid-connection: nothing is known about windows.
    loose: bool,
    /// The end and the scale of a SYN that came for a connection that is up: its host may have
    /// restarted.
    reopening: Option<(u32, u8)>,
}

/// A SYN without the window scale option; one that has it says 14 at most.
const NO_SCALE: u8 = 15;

fn reopening(syn: &Segment) -> (u32, u8) {
    (syn.end(), syn.scale.unwrap_or(NO_SCALE))
}

fn after(a: u32, b: u32) -> bool {
    a != b && a.wrapping_sub(b) < 1 << 31
}

fn later(a: u32, b: u32) -> u32 {
    if after(a, b) { a } else { b }
}

impl Side {
    fn start(segment: &Segment) -> Self {
        Self {
            end: segment.end(),
            max_end: segment.end(),
            window: u32::from(segment.window).max(1),
        }
    }

    fn is_known(&self) -> bool {
        self.window != 0
    }
}

/// Bits of what a flow keeps next to the sides, above the two scales.
const STATE_SHIFT: u16 = 8;
const LOOSE: u16 = 1 << 11;
const REOPENING: u16 = 1 << 12;

impl State {
    fn number(self) -> u16 {
        match self {
            Self::Init => 0,
            Self::Answered => 1,
            Self::Established => 2,
            Self::Fin(Way::Original) => 3,
            Self::Fin(Way::Reply) => 4,
            Self::BothFin => 5,
            Self::Transitory => 6,
        }
    }

    fn of(number: u16) -> Self {
        match number & 7 {
            0 => Self::Init,
            1 => Self::Answered,
            2 => Self::Established,
            3 => Self::Fin(Way::Original),
            4 => Self::Fin(Way::Reply),
            5 => Self::BothFin,
            _ => Self::Transitory,
        }
    }
}

/// What [`Tcp::accept`] does, of a segment that opens and ends nothing, of a connection that is up
/// and stays so; false if it is not that, and nothing has changed.
pub(crate) fn goes_on(sides: &mut [Side; 2], marks: u16, way: Way, segment: &Segment) -> bool {
    let flags = segment.flags & (TCP_SYN | TCP_FIN | TCP_RST | TCP_ACK);
    let state = State::of(marks >> STATE_SHIFT);
    let up = matches!(state, State::Established | State::Fin(_)) && marks & LOOSE == 0;
    let (sender, receiver) = way.of(sides.each_mut());
    if flags != TCP_ACK || !up || !fits(sender, receiver, segment) {
        return false;
    }
    let [scales, _] = marks.to_le_bytes();
    let scale = match way {
        Way::Original => scales & 15,
        Way::Reply => scales >> 4,
    };
    note(sender, receiver, scale, segment);
    true
}

/// Whether a segment lies where its sender's can, and acknowledges what its receiver has sent.
fn fits(sender: &Side, receiver: &Side, segment: &Segment) -> bool {
    let lag = sender.window.max(MAX_ACK_LAG);
    !after(segment.seq, sender.max_end)
        && !after(sender.end.wrapping_sub(receiver.window), segment.end())
        && !after(segment.ack, receiver.end)
        && !after(receiver.end.wrapping_sub(lag), segment.ack)
}

fn note(sender: &mut Side, receiver: &mut Side, scale: u8, segment: &Segment) {
    let window = u32::from(segment.window) << scale.min(14);
    sender.end = later(segment.end(), sender.end);
    sender.window = sender.window.max(window);
    // A closed window is still probed with one byte (RFC 9293 section 3.8.6.1).
    let offered = segment.ack.wrapping_add(window.max(1));
    receiver.max_end = later(offered, receiver.max_end);
}

impl Tcp {
    /// From what a flow keeps; `reopening` is seldom asked for.
    pub(crate) fn load(sides: [Side; 2], marks: u16, reopening: impl Fn() -> (u32, u8)) -> Self {
        let [scales, _] = marks.to_le_bytes();
        Self {
            sides,
            scales: [scales & 15, scales >> 4],
            state: State::of(marks >> STATE_SHIFT),
            loose: marks & LOOSE != 0,
            reopening: (marks & REOPENING != 0).then(reopening),
        }
    }

    /// What a flow keeps.
    pub(crate) fn store(&self) -> ([Side; 2], u16, Option<(u32, u8)>) {
        let [original, reply] = self.scales.map(u16::from);
        let marks = original | reply << 4 | self.state.number() << STATE_SHIFT;
        let loose = if self.loose { LOOSE } else { 0 };
        let reopening = self.reopening.map_or(0, |_| REOPENING);
        (self.sides, marks | loose | reopening, self.reopening)
    }

    /// A connection that begins with this segment; none if it cannot be a first one.
    pub(crate) fn open(segment: &Segment, midway: bool) -> Option<Self> {
        let flags = segment.flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN);
        if flags == TCP_SYN {
            return Some(Self::from_syn(segment));
        }
        let joins = midway && flags & TCP_ACK != 0 && flags & (TCP_SYN | TCP_RST) == 0;
        joins.then(|| Self {
            loose: true,
            state: State::Established,
            ..Self::default()
        })
    }

    fn from_syn(segment: &Segment) -> Self {
        let mut client = Side::start(segment);
        // The server may leave the data behind a SYN (RFC 7413 section 3.1).
        client.max_end = segment.seq.wrapping_add(1);
        Self {
            sides: [client, Side::default()],
            scales: [segment.scale.unwrap_or(NO_SCALE), 0],
            ..Self::default()
        }
    }

    /// Whether a segment can belong to the connection; takes note of it if so.
    pub(crate) fn accept(&mut self, way: Way, segment: &Segment) -> bool {
        if segment.has(TCP_RST) {
            self.reset(way, segment)
        } else if segment.has(TCP_SYN) {
            if segment.has(TCP_FIN) {
                false
            } else if segment.has(TCP_ACK) {
                self.syn_ack(way, segment)
            } else {
                self.syn(way, segment)
            }
        } else {
            segment.has(TCP_ACK) && self.data(way, segment)
        }
    }

    fn side(&self, way: Way) -> Side {
        way.of(self.sides).0
    }

    fn set(&mut self, way: Way, side: Side) {
        *way.of(self.sides.each_mut()).0 = side;
    }

    fn syn(&mut self, way: Way, segment: &Segment) -> bool {
        match (self.state, way) {
            // Again, or its host has restarted; or both open at once (RFC 9293 section 3.5).
            (State::Init, Way::Original) if !self.side(Way::Reply).is_known() => {
                *self = Self::from_syn(segment);
                true
            }
            (State::Init | State::Answered, _) => {
                let known = self.side(way);
                if known.is_known() && segment.end() != known.end && way == Way::Original {
                    self.reopening = Some(reopening(segment));
                }
                if known.is_known() {
                    return way == Way::Original || segment.end() == known.end;
                }
                self.set(way, Side::start(segment));
                self.agree_scales(segment);
                self.state = State::Answered;
                true
            }
            // The ports are used again (RFC 9293 section 3.6.1).
            (State::BothFin | State::Transitory, Way::Original) => {
                *self = Self::from_syn(segment);
                true
            }
            // The other end will ask whether this is meant (RFC 5961 section 4); what it answers
            // shows whether the connection begins anew.
            (_, Way::Original) => {
                self.reopening = Some(reopening(segment));
                true
            }
            // The other side cannot open by a flow that the private side made.
            (_, Way::Reply) => false,
        }
    }

    fn syn_ack(&mut self, way: Way, segment: &Segment) -> bool {
        if self.loose {
            return true;
        }
        if let Some((end, scale)) = self.reopening
            && way == Way::Reply
            && segment.ack == end
        {
            let syn = Segment {
                flags: TCP_SYN,
                seq: end.wrapping_sub(1),
                ack: 0,
                window: u16::MAX,
                length: 1,
                scale: Some(scale).filter(|scale| *scale != NO_SCALE),
            };
            *self = Self::from_syn(&syn);
        }
        let (sender, receiver) = (self.side(way), self.side(way.other()));
        if !receiver.is_known() || after(segment.ack, receiver.end) {
            return false;
        }
        if sender.is_known() {
            return self.data(way, segment);
        }
        if after(receiver.max_end, segment.ack) {
            return false;
        }
        let mut started = Side::start(segment);
        started.max_end = segment.end().wrapping_add(receiver.window);
        self.set(way, started);
        let mut other = receiver;
        other.max_end = later(
            other.max_end,
            segment.ack.wrapping_add(u32::from(segment.window).max(1)),
        );
        self.set(way.other(), other);
        self.agree_scales(segment);
        self.state = State::Answered;
        true
    }

    /// Both must have sent the option (RFC 7323 section 2.2).
    fn agree_scales(&mut self, answer: &Segment) {
        let [offered, _] = self.scales;
        self.scales = match (offered, answer.scale) {
            (NO_SCALE, _) | (_, None) => [0, 0],
            (ours, Some(theirs)) => [ours, theirs],
        };
    }

    fn reset(&mut self, way: Way, segment: &Segment) -> bool {
        let (sender, receiver) = (self.side(way), self.side(way.other()));
        let plausible = match (sender.is_known(), receiver.is_known()) {
            _ if self.loose => true,
            // The answer to a SYN (RFC 9293 section 3.10.7.3).
            (false, true) => segment.has(TCP_ACK) && segment.ack == receiver.end,
            // The opener's answer to a segment of an older connection.
            (true, false) => true,
            _ => {
                let reopened = self.reopening.is_some() && way == Way::Original;
                (reopened && segment.seq == receiver.end)
                    || (!after(segment.seq, sender.max_end)
                        && !after(sender.end.wrapping_sub(receiver.window), segment.end()))
            }
        };
        if plausible {
            self.state = State::Transitory;
        }
        plausible
    }

    fn data(&mut self, way: Way, segment: &Segment) -> bool {
        if !self.loose {
            let (sender, receiver) = (self.side(way), self.side(way.other()));
            if !sender.is_known() || !receiver.is_known() {
                // A bare acknowledgment of an older connection that the SYN hit.
                return way == Way::Reply
                    && self.state == State::Init
                    && segment.flags & !0xc0 == TCP_ACK
                    && segment.length == 0;
            }
            let [original, reply] = self.scales;
            let scale = match (segment.has(TCP_SYN), way) {
                (true, _) => 0,
                (false, Way::Original) => original,
                (false, Way::Reply) => reply,
            };
            let (sender, receiver) = way.of(self.sides.each_mut());
            if !fits(sender, receiver, segment) {
                return false;
            }
            note(sender, receiver, scale, segment);
        }
        self.advance(way, segment);
        true
    }

    fn advance(&mut self, way: Way, segment: &Segment) {
        if segment.has(TCP_SYN) {
            return;
        }
        self.state = match self.state {
            State::Answered => State::Established,
            State::Transitory => State::Established,
            state => state,
        };
        if segment.has(TCP_FIN) {
            self.state = match self.state {
                State::Fin(first) if first != way => State::BothFin,
                State::BothFin => State::BothFin,
                _ => State::Fin(way),
            };
        }
    }

    /// Whether an ICMP error may quote this sequence number, sent this way (RFC 5927 section 4).
    pub(crate) fn has_sent(&self, way: Way, seq: u32) -> bool {
        let (sender, receiver) = (self.side(way), self.side(way.other()));
        if self.loose || !sender.is_known() {
            return self.loose;
        }
        let window = receiver.window.max(MAX_ACK_LAG);
        !after(seq, sender.end) && !after(sender.end.wrapping_sub(window), seq)
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.state {
            State::Init | State::Answered => Phase::Opening,
            State::Established | State::Fin(_) => Phase::Established,
            State::BothFin | State::Transitory => Phase::Closing,
        }
    }

    pub(crate) fn timeout(&self, timeouts: &Timeouts) -> Duration {
        match self.phase() {
            Phase::Opening => timeouts.tcp_opening,
            Phase::Established => timeouts.tcp_established,
            Phase::Closing => timeouts.tcp_transitory,
        }
    }
}
