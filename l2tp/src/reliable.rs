//! Reliable delivery of control messages (RFC 2661 section 5.8 and appendix A).

use crate::Config;
use crate::wire::Header;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Messages that wait for the window at most; a tunnel never has as many to say.
const QUEUE: usize = 64;

/// One direction each way of a control connection.
#[derive(Debug)]
pub(crate) struct Channel {
    /// The tunnel id that the peer has assigned; 0 until known.
    pub(crate) peer_tunnel: u16,
    pub(crate) peer_window: u16,
    next_send: u16,
    next_receive: u16,
    /// Sent and not acknowledged, the oldest first.
    unacknowledged: VecDeque<Stored>,
    waiting: VecDeque<Stored>,
    window: u16,
    threshold: u16,
    /// Acknowledgements since the window last grew.
    credit: u16,
    retransmits: u32,
    timeout: Duration,
    pub(crate) deadline: Option<Instant>,
    owes_ack: bool,
}

#[derive(Debug)]
struct Stored {
    ns: u16,
    session: u16,
    body: Vec<u8>,
}

/// What a received control message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// The next one: process it.
    Next,
    /// Seen before; it has been acknowledged again.
    Duplicate,
    /// One before it is missing.
    Early,
}

impl Channel {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            peer_tunnel: 0,
            peer_window: 4,
            next_send: 0,
            next_receive: 0,
            unacknowledged: VecDeque::new(),
            waiting: VecDeque::new(),
            window: 1,
            threshold: u16::MAX,
            credit: 0,
            retransmits: 0,
            timeout: config.retransmit_timeout,
            deadline: None,
            owes_ack: false,
        }
    }

    /// Queues a message; [`pump`](Self::pump) sends it when the window allows.
    pub(crate) fn send(&mut self, session: u16, body: Vec<u8>) {
        if self.waiting.len() < QUEUE {
            self.waiting.push_back(Stored {
                ns: 0,
                session,
                body,
            });
        }
    }

    /// Whether all that was sent has been acknowledged.
    pub(crate) fn is_idle(&self) -> bool {
        self.unacknowledged.is_empty() && self.waiting.is_empty()
    }

    /// Forgets what has not been sent yet.
    pub(crate) fn clear_waiting(&mut self) {
        self.waiting.clear();
    }

    /// Takes note of the sequence numbers of a received message; `empty` is a ZLB.
    pub(crate) fn receive(
        &mut self,
        now: Instant,
        ns: u16,
        nr: u16,
        empty: bool,
        config: &Config,
    ) -> Order {
        self.acknowledge(now, nr, config);
        if empty {
            return Order::Duplicate;
        }
        let distance = ns.wrapping_sub(self.next_receive);
        if distance == 0 {
            self.next_receive = self.next_receive.wrapping_add(1);
            self.owes_ack = true;
            Order::Next
        } else if distance < 0x8000 {
            Order::Early
        } else {
            self.owes_ack = true;
            Order::Duplicate
        }
    }

    fn acknowledge(&mut self, now: Instant, nr: u16, config: &Config) {
        // What was never sent cannot be acknowledged.
        if nr.wrapping_sub(self.next_send) < 0x8000 && nr != self.next_send {
            return;
        }
        let mut progress = false;
        while let Some(oldest) = self.unacknowledged.front()
            && oldest.ns.wrapping_sub(nr) >= 0x8000
        {
            self.unacknowledged.pop_front();
            progress = true;
            self.grow();
        }
        if progress {
            self.retransmits = 0;
            self.timeout = config.retransmit_timeout;
            let pending = !self.unacknowledged.is_empty();
            self.deadline = pending.then(|| now + self.timeout);
        }
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
    pub(crate) fn pump(&mut self, now: Instant, out: &mut Vec<Vec<u8>>) {
        let window = usize::from(self.window.min(self.peer_window).max(1));
        while self.unacknowledged.len() < window {
            let Some(mut message) = self.waiting.pop_front() else {
                break;
            };
            message.ns = self.next_send;
            self.next_send = self.next_send.wrapping_add(1);
            self.emit(&message, out);
            self.unacknowledged.push_back(message);
            if self.deadline.is_none() {
                self.deadline = Some(now + self.timeout);
            }
        }
        if self.owes_ack {
            // A zero-length body: it takes no sequence number (section 5.8).
            self.owes_ack = false;
            let ack =
                Header::emit_control(self.peer_tunnel, 0, self.next_send, self.next_receive, &[]);
            out.extend(ack);
        }
    }

    /// Repeats what is overdue; false when the peer counts as dead.
    pub(crate) fn handle_timeout(
        &mut self,
        now: Instant,
        config: &Config,
        out: &mut Vec<Vec<u8>>,
    ) -> bool {
        if self.deadline.is_none_or(|at| at > now) {
            return true;
        }
        if self.unacknowledged.is_empty() {
            self.deadline = None;
            return true;
        }
        if self.retransmits >= config.max_retransmits {
            self.deadline = None;
            return false;
        }
        self.retransmits += 1;
        self.threshold = (self.window / 2).max(1);
        self.window = 1;
        self.credit = 0;
        self.timeout = (self.timeout * 2).min(config.retransmit_cap);
        self.deadline = Some(now + self.timeout);
        self.repeat(out);
        true
    }

    /// Sends the oldest unacknowledged message again.
    pub(crate) fn repeat(&mut self, out: &mut Vec<Vec<u8>>) {
        if let Some(message) = self.unacknowledged.pop_front() {
            self.emit(&message, out);
            self.unacknowledged.push_front(message);
        }
    }

    fn emit(&mut self, message: &Stored, out: &mut Vec<Vec<u8>>) {
        self.owes_ack = false;
        out.extend(Header::emit_control(
            self.peer_tunnel,
            message.session,
            message.ns,
            self.next_receive,
            &message.body,
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(messages: &[Vec<u8>]) -> Vec<(u16, u16, usize)> {
        messages
            .iter()
            .map(|m| {
                let header = Header::parse(m, 0..m.len()).unwrap();
                let (ns, nr) = header.sequence.unwrap();
                (ns, nr, header.payload.len())
            })
            .collect()
    }

    #[test]
    #[allow(
        clippy::disallowed_methods,
        reason = "any start will do for virtual time"
    )]
    fn the_window_opens_with_acknowledgements() {
        let (now, config) = (Instant::now(), Config::default());
        let mut channel = Channel::new(&config);
        for n in 0..4 {
            channel.send(0, vec![n]);
        }
        let mut out = Vec::new();
        channel.pump(now, &mut out);
        assert_eq!(numbers(&out), [(0, 0, 1)]);
        out.clear();
        channel.receive(now, 0, 1, true, &config);
        channel.pump(now, &mut out);
        assert_eq!(numbers(&out), [(1, 0, 1), (2, 0, 1)]);
        // An acknowledgement of what was never sent does nothing.
        channel.receive(now, 0, 9, true, &config);
        assert!(!channel.is_idle());
    }

    #[test]
    #[allow(
        clippy::disallowed_methods,
        reason = "any start will do for virtual time"
    )]
    fn a_message_is_acknowledged_even_with_nothing_to_say() {
        let (now, config) = (Instant::now(), Config::default());
        let mut channel = Channel::new(&config);
        let mut out = Vec::new();
        assert_eq!(channel.receive(now, 0, 0, false, &config), Order::Next);
        channel.pump(now, &mut out);
        assert_eq!(channel.receive(now, 0, 0, false, &config), Order::Duplicate);
        channel.pump(now, &mut out);
        assert_eq!(channel.receive(now, 2, 0, false, &config), Order::Early);
        channel.pump(now, &mut out);
        assert_eq!(numbers(&out), [(0, 1, 0), (0, 1, 0)]);
    }

    #[test]
    #[allow(
        clippy::disallowed_methods,
        reason = "any start will do for virtual time"
    )]
    fn a_silent_peer_is_given_up() {
        let (mut now, config) = (Instant::now(), Config::default());
        let mut channel = Channel::new(&config);
        let mut out = Vec::new();
        channel.send(0, vec![1]);
        channel.pump(now, &mut out);
        let mut alive = true;
        while let Some(at) = channel.deadline {
            now = at;
            alive = channel.handle_timeout(now, &config, &mut out);
        }
        assert!(!alive);
        assert_eq!(out.len(), 6);
    }
}
