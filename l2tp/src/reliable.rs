//! Reliable delivery of control messages (RFC 2661 section 5.8 and appendix A).

use crate::Config;
use crate::context::Context;
use crate::event::PathId;
use crate::wire::Header;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What a peer's window is if it does not say (RFC 2661 section 4.4.3).
pub(crate) const DEFAULT_WINDOW: u16 = 4;

/// One direction each way of a control connection.
#[derive(Debug)]
pub(crate) struct Channel {
    path: PathId,
    /// The tunnel id that the peer has assigned; 0 until known.
    pub(crate) peer_tunnel: u16,
    pub(crate) peer_window: u16,
    next_receive: u16,
    /// Ns of the first in the queue.
    first: u16,
    /// Not acknowledged or not sent yet, the oldest first.
    queue: VecDeque<Stored>,
    /// How many of the queue count as under way.
    under_way: u16,
    /// How many of the queue have ever been sent, and so may be acknowledged.
    sent: u16,
    window: u16,
    threshold: u16,
    /// Acknowledgements since the window last grew.
    credit: u16,
    retransmits: u32,
    timeout: Duration,
    pub(crate) deadline: Option<Instant>,
    owes_ack: bool,
    /// More was to be said than may wait.
    pub(crate) overflow: bool,
}

#[derive(Debug)]
struct Stored {
    session: u16,
    body: Vec<u8>,
}

/// What a received control message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// The next one: process it.
    Next,
    /// Seen before, or a ZLB.
    Duplicate,
    /// One before it is missing.
    Early,
}

impl Channel {
    pub(crate) fn new(path: PathId, config: &Config) -> Self {
        Self {
            path,
            peer_tunnel: 0,
            peer_window: DEFAULT_WINDOW,
            next_receive: 0,
            first: 0,
            queue: VecDeque::new(),
            under_way: 0,
            sent: 0,
            window: 1,
            threshold: u16::MAX,
            credit: 0,
            retransmits: 0,
            timeout: config.retransmit_timeout,
            deadline: None,
            owes_ack: false,
            overflow: false,
        }
    }

    /// Queues a message; [`pump`](Self::pump) sends it when the window allows.
    pub(crate) fn send(&mut self, config: &Config, session: u16, body: Vec<u8>) {
        if self.queue.len() < config.max_queue {
            self.queue.push_back(Stored { session, body });
        } else {
            self.overflow = true;
        }
    }

    /// Whether `more` messages would fit.
    pub(crate) fn has_room(&self, config: &Config, more: usize) -> bool {
        self.queue.len().saturating_add(more) <= config.max_queue
    }

    /// Whether all that was sent has been acknowledged.
    pub(crate) fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }

    /// Forgets what has not been sent yet.
    pub(crate) fn clear_waiting(&mut self) {
        self.queue.truncate(usize::from(self.sent));
    }

    /// What a message with this Ns is.
    pub(crate) fn order(&self, ns: u16, empty: bool) -> Order {
        match ns.wrapping_sub(self.next_receive) {
            _ if empty => Order::Duplicate,
            0 => Order::Next,
            distance if distance < 0x8000 => Order::Early,
            _ => Order::Duplicate,
        }
    }

    /// Takes note of the next message in order.
    pub(crate) fn accept(&mut self) {
        self.next_receive = self.next_receive.wrapping_add(1);
        self.owes_ack = true;
    }

    /// The peer repeats what it has sent, for want of an acknowledgement.
    pub(crate) fn owe_acknowledgement(&mut self) {
        self.owes_ack = true;
    }

    /// Takes note of an Nr; all messages before it have arrived.
    pub(crate) fn acknowledge(&mut self, now: Instant, nr: u16, config: &Config) {
        // What was never sent cannot be acknowledged; what is old says nothing.
        let arrived = nr.wrapping_sub(self.first);
        if arrived == 0 || arrived > self.sent {
            return;
        }
        self.queue.drain(..usize::from(arrived));
        if self.queue.is_empty() {
            // Most tunnels have nothing to say most of the time.
            self.queue = VecDeque::new();
        }
        self.first = nr;
        self.sent -= arrived;
        self.under_way = self.under_way.saturating_sub(arrived);
        for _ in 0..arrived {
            self.grow();
        }
        self.retransmits = 0;
        self.timeout = config.retransmit_timeout;
        self.deadline = (self.sent > 0).then(|| now + self.timeout);
    }

    /// Slow start below the threshold, then one more for each full window (appendix A).
    fn grow(&mut self) {
        if self.window >= self.peer_window {
            return;
        }
        if self.window < self.threshold {
            self.window += 1;
        } else {
            self.credit += 1;
            if self.credit >= self.window {
                self.credit = 0;
                self.window += 1;
            }
        }
    }

    /// Sends what the window allows, and an acknowledgement if nothing else carries it.
    pub(crate) fn pump(&mut self, ctx: &mut Context<'_>) {
        let window = self.window.min(self.peer_window).max(1);
        while self.under_way < window && self.emit(ctx, self.under_way) {
            self.under_way += 1;
            self.sent = self.sent.max(self.under_way);
            if self.deadline.is_none() {
                self.deadline = Some(ctx.now + self.timeout);
            }
        }
        if self.owes_ack {
            // A zero-length body: it takes no sequence number (section 5.8).
            self.owes_ack = false;
            let ns = self.first.wrapping_add(self.sent);
            let ack = Header::emit_control(self.peer_tunnel, 0, ns, self.next_receive, &[]);
            if let Some(ack) = ack {
                ctx.out.transmit(self.path, ack);
            }
        }
    }

    /// Repeats what is overdue; false when the peer counts as dead.
    pub(crate) fn handle_timeout(&mut self, ctx: &mut Context<'_>) -> bool {
        if self.deadline.is_none_or(|at| at > ctx.now) {
            return true;
        }
        self.deadline = None;
        if self.sent == 0 {
            return true;
        }
        if self.retransmits >= ctx.config.max_retransmits {
            return false;
        }
        self.retransmits += 1;
        ctx.out.retransmits += 1;
        self.threshold = (self.window / 2).max(1);
        self.window = 1;
        self.credit = 0;
        // Whoever discards what comes early needs all of them again.
        self.under_way = 0;
        self.timeout = (self.timeout * 2).min(ctx.config.retransmit_cap);
        self.pump(ctx);
        true
    }

    /// Sends the oldest unacknowledged message again, or an acknowledgement if there is none.
    pub(crate) fn repeat(&mut self, ctx: &mut Context<'_>) {
        self.owes_ack = true;
        if self.sent > 0 {
            self.emit(ctx, 0);
        }
        self.pump(ctx);
    }

    /// Sends the message at `index` of the queue; false if there is none.
    fn emit(&mut self, ctx: &mut Context<'_>, index: u16) -> bool {
        let Some(message) = self.queue.get(usize::from(index)) else {
            return false;
        };
        let ns = self.first.wrapping_add(index);
        let (peer, nr) = (self.peer_tunnel, self.next_receive);
        self.owes_ack = false;
        if let Some(bytes) = Header::emit_control(peer, message.session, ns, nr, &message.body) {
            ctx.out.transmit(self.path, bytes);
        }
        true
    }
}

#[cfg(test)]
mod tests;
