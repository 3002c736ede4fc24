mod calls;
mod flows;
mod reload;
mod users;

pub use reload::{ReloadError, needs_restart};

use super::book::Book;
use super::event::{KeyEvent, Severity};
use super::limiter::Limiter;
use super::offload::Offload;
use super::sides::{self, Sides};
use super::stack::StackError;
use super::{
    BATCH, Core, Datagram, Entropy, Forward, Outbox, Packet, Path, PeerId, Spread, Stack, Transmit,
    convert,
};
use crate::aaa::{Aaa, CallId, Traffic};
use crate::config::Config;
use arrayvec::ArrayVec;
use firewall::{Firewall, IcmpError, Ingress, InterfaceId, Job, Verdict};
use foldhash::HashMap;
use l2tp::SessionId;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

/// The office's side: users and a firewall between the calls and the LAN.
#[derive(Debug)]
pub struct Gateway {
    pub(super) config: Arc<Config>,
    pub(super) stack: Stack,
    pub(super) firewall: Firewall,
    sides: Sides,
    pub(super) aaa: Aaa,
    pub(super) sessions: BTreeMap<SessionId, Session>,
    pub(super) by_address: HashMap<Ipv4Addr, SessionId>,
    pub(super) book: Book,
    limiter: Limiter,
    by_interface: HashMap<InterfaceId, SessionId>,
    by_call: HashMap<CallId, SessionId>,
    events: VecDeque<GatewayEvent>,
    /// IP packets of the firewall's own for the unencrypted side.
    inner: VecDeque<Vec<u8>>,
}

/// What the owner of a [`Gateway`] may want to record.
#[derive(Debug)]
#[non_exhaustive]
pub enum GatewayEvent {
    /// A line for the log or a timeline.
    Step {
        /// The protocol: `ike`, `esp`, `l2tp`, `ppp`.
        layer: &'static str,
        /// Whom it concerns.
        peer: Option<PeerId>,
        /// How grave it is.
        severity: Severity,
        /// What happened.
        text: String,
    },
    /// A key for Wireshark; only if key logging is on.
    Key(KeyEvent),
    /// An encrypted IKE message in the clear; only if that was asked for.
    Plain(Box<isakmp::PlainMessage>),
}

/// Where a packet goes.
enum Way {
    Nowhere,
    Inner(Range<usize>),
    Call(SessionId, Range<usize>),
}

#[derive(Debug)]
pub(super) struct Session {
    pub(super) peer: PeerId,
    call: CallId,
    pub(super) user: String,
    pub(super) leased: Option<Ipv4Addr>,
    interface: Option<InterfaceId>,
    /// The longest packet that the client takes, in bytes.
    mru: u16,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    packets_in: u64,
    packets_out: u64,
}

impl Session {
    fn traffic(&self) -> Traffic {
        Traffic {
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            packets_in: self.packets_in,
            packets_out: self.packets_out,
        }
    }
}

/// A part's configuration was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// By one of the protocols.
    #[error(transparent)]
    Stack(#[from] StackError),
    /// By the firewall.
    #[error("firewall: {0}")]
    Firewall(#[from] firewall::ConfigError),
}

impl Gateway {
    /// A gateway without clients.
    ///
    /// # Errors
    /// Which part refused its configuration, and why.
    pub fn new(config: Arc<Config>, entropy: Entropy) -> Result<Self, GatewayError> {
        Self::build(config, entropy, false)
    }

    /// Like [`new`](Self::new), but Diffie-Hellman is done elsewhere:
    /// [`poll_job`](Core::poll_job) gives it, [`finish`](Core::finish) takes what came of it.
    ///
    /// # Errors
    /// Which part refused its configuration, and why.
    pub fn with_jobs(config: Arc<Config>, entropy: Entropy) -> Result<Self, GatewayError> {
        Self::build(config, entropy, true)
    }

    fn build(
        config: Arc<Config>,
        mut entropy: Entropy,
        deferred_jobs: bool,
    ) -> Result<Self, GatewayError> {
        let (firewall_rng, aaa_rng) = (entropy(), entropy());
        let mut stack = convert::stack_server(&config);
        stack.isakmp.deferred_jobs = deferred_jobs;
        let stack = Stack::new(stack, entropy)?;
        let mut firewall = Firewall::new(Arc::new(sides::firewall_config(&config)), firewall_rng)?;
        let sides = Sides::new(&mut firewall, &config);
        Ok(Self {
            aaa: Aaa::new(Arc::clone(&config), aaa_rng),
            config,
            stack,
            firewall,
            sides,
            sessions: BTreeMap::new(),
            by_address: HashMap::default(),
            book: Book::default(),
            limiter: Limiter::default(),
            by_interface: HashMap::default(),
            by_call: HashMap::default(),
            events: VecDeque::new(),
            inner: VecDeque::new(),
        })
    }

    /// Has ESP packets of different SAs worked on at the same time by `spread`, in so many shards.
    /// Before the first SA.
    pub fn spread(&mut self, shards: NonZeroUsize, spread: Arc<dyn Spread>) {
        self.stack.spread(shards, spread);
    }

    #[cfg(test)]
    pub(super) fn stack(&mut self) -> &mut Stack {
        &mut self.stack
    }

    /// What happened next.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<GatewayEvent> {
        self.events.pop_front()
    }

    /// Where a packet that came out of a call goes.
    fn receive(&mut self, now: Instant, packet: Option<Packet>, buf: &mut [u8]) -> Way {
        let Some(packet) = packet else {
            self.drain(now);
            return Way::Nowhere;
        };
        match self.call_ingress(&packet) {
            Some(ingress) => self.route(now, ingress, buf, packet.range),
            None => Way::Nowhere,
        }
    }

    /// Which interface a packet that came out of a call comes from; it is counted.
    fn call_ingress(&mut self, packet: &Packet) -> Option<Ingress> {
        let entry = self.sessions.get_mut(&packet.session)?;
        entry.bytes_in += u64::try_from(packet.range.len()).unwrap_or(0);
        entry.packets_in += 1;
        let interface = entry.interface?;
        Some(Ingress {
            interface,
            ipsec: true,
        })
    }

    /// Firewall and routing for a packet of either side.
    fn route(
        &mut self,
        now: Instant,
        ingress: Ingress,
        buf: &mut [u8],
        packet: Range<usize>,
    ) -> Way {
        let mut job = Job::new(ingress, buf, packet);
        self.judge(now, std::slice::from_mut(&mut job));
        self.way(now, &job)
    }

    /// Shows packets that came from the same side to the firewall, in order.
    fn judge(&mut self, now: Instant, jobs: &mut [Job<'_>]) {
        let Some(from) = jobs.first().map(|job| job.ingress.interface) else {
            return;
        };
        let (by_address, sessions) = (&self.by_address, &self.sessions);
        let (sides, config) = (&self.sides, &self.config);
        // The same for all calls.
        let route = |destination: IpAddr| match destination {
            IpAddr::V4(v4) => match by_address.get(&v4).and_then(|s| sessions.get(s)) {
                Some(session) => session.interface,
                None => sides.towards(config, from, v4),
            },
            IpAddr::V6(_) => None,
        };
        self.firewall.process_batch(now, jobs, &route);
    }

    /// Where a packet goes that the firewall has seen.
    fn way(&mut self, now: Instant, job: &Job<'_>) -> Way {
        let (sides, config) = (&self.sides, &self.config);
        let way = match job.verdict.clone() {
            Verdict::Forward { egress, packet } if sides.has(egress) => Way::Inner(packet),
            Verdict::Forward { egress, packet } => match self.by_interface.get(&egress) {
                Some(&session) => {
                    if let Some(entry) = self.sessions.get_mut(&session) {
                        entry.bytes_out += u64::try_from(packet.len()).unwrap_or(0);
                        entry.packets_out += 1;
                    }
                    Way::Call(session, packet)
                }
                None => Way::Nowhere,
            },
            Verdict::Local { packet } => {
                let bytes = job.buf.get(packet.clone()).unwrap_or_default();
                // There is no client that it is for, and the system has it already.
                if sides.has(job.ingress.interface) && sides::is_for_all(bytes) {
                    self.stack.count("not_for_clients");
                    Way::Nowhere
                } else {
                    Way::Inner(packet)
                }
            }
            Verdict::Drop(reason) => {
                let bytes = job.buf.get(job.packet.clone()).unwrap_or_default();
                if sides.is_systems(config, job.ingress.interface, bytes) {
                    Way::Inner(job.packet.clone())
                } else {
                    self.refuse(now, job.ingress.interface, bytes, reason);
                    Way::Nowhere
                }
            }
            Verdict::TooBig { mtu } => {
                let bytes = job.buf.get(job.packet.clone()).unwrap_or_default();
                let error = IcmpError::TooBig(mtu);
                self.firewall
                    .send_error(now, job.ingress.interface, bytes, error);
                Way::Nowhere
            }
            _ => Way::Nowhere,
        };
        self.drain_firewall(now);
        way
    }

    /// Sends packets that came out of calls on, to where the firewall lets them.
    fn forward<'b>(
        &mut self,
        now: Instant,
        jobs: &mut ArrayVec<Job<'b>, BATCH>,
        inner: &mut ArrayVec<&'b mut Option<Range<usize>>, BATCH>,
        outbox: &mut Outbox,
    ) {
        self.judge(now, jobs);
        for (job, inner) in jobs.drain(..).zip(inner.drain(..)) {
            match self.way(now, &job) {
                Way::Nowhere => {}
                Way::Inner(packet) => *inner = Some(packet),
                Way::Call(session, packet) => {
                    let bytes = job.buf.get(packet).unwrap_or_default();
                    if let Some(packet) = self.stack.copy(bytes, outbox) {
                        self.stack.push(session, outbox, packet);
                    }
                }
            }
        }
    }

    fn send(&mut self, now: Instant, way: Way, buf: &mut [u8]) -> Forward {
        match way {
            Way::Nowhere => Forward::Nothing,
            Way::Inner(packet) => Forward::Inner(packet),
            Way::Call(session, packet) => self.stack.send(now, session, buf, packet),
        }
    }

    /// Where a packet of the unencrypted device comes from.
    fn inner_ingress(&self, buf: &[u8], packet: &Range<usize>) -> Ingress {
        let bytes = buf.get(packet.clone()).unwrap_or_default();
        self.sides.ingress(&self.config, bytes)
    }

    pub(super) fn drain(&mut self, now: Instant) {
        while let Some(event) = self.stack.poll_event() {
            // What an event ends is still known before it is noted, what it begins only after.
            let source = self.book.source(&event);
            self.book.note(now, &event);
            let source = source.or_else(|| self.book.source(&event));
            if let Some(step) = super::event::describe(&event) {
                self.say(now, source, step);
            }
            if let Some(step) = super::event::warn_of_weakness(&event) {
                self.say(now, source, step);
            }
            self.on_event(now, event);
        }
    }

    /// Passes a line on, unless its source has said too much.
    fn say(&mut self, now: Instant, source: Option<IpAddr>, mut step: GatewayEvent) {
        if let GatewayEvent::Step { severity, text, .. } = &mut step {
            match self
                .limiter
                .admit(now, source, *severity, std::mem::take(text))
            {
                Some(admitted) => *text = admitted,
                None => return,
            }
        }
        self.step(step);
    }

    fn step(&mut self, step: GatewayEvent) {
        if self.events.len() < 10_000 {
            self.events.push_back(step);
        }
    }
}

impl Core for Gateway {
    fn handle_udp(
        &mut self,
        now: Instant,
        path: Path,
        buf: &mut [u8],
        datagram: Range<usize>,
    ) -> Forward {
        let natt = path.local.port() == self.config.gateway.natt_port;
        let packet = self.stack.handle_udp(now, path, natt, buf, datagram);
        let way = self.receive(now, packet, buf);
        self.send(now, way, buf)
    }

    fn handle_esp(
        &mut self,
        now: Instant,
        local: IpAddr,
        remote: IpAddr,
        buf: &mut [u8],
        packet: Range<usize>,
    ) -> Forward {
        let packet = self
            .stack
            .handle_native_esp(now, local, remote, buf, packet);
        let way = self.receive(now, packet, buf);
        self.send(now, way, buf)
    }

    fn handle_inner(&mut self, now: Instant, buf: &mut [u8], packet: Range<usize>) -> Forward {
        let ingress = self.inner_ingress(buf, &packet);
        let way = self.route(now, ingress, buf, packet);
        self.send(now, way, buf)
    }

    fn push_datagrams(
        &mut self,
        now: Instant,
        datagrams: &mut [Datagram<'_>],
        outbox: &mut Outbox,
    ) {
        let port = self.config.gateway.natt_port;
        let mut rest = datagrams;
        while !rest.is_empty() {
            let opened = self.stack.open_front(now, port, rest);
            if opened == 0 {
                // What it does to SAs must not touch packets that came before.
                self.stack.seal(now, outbox);
            }
            let (front, behind) = rest.split_at_mut(opened.max(1));
            let mut jobs = ArrayVec::new();
            let mut inner = ArrayVec::new();
            for datagram in front {
                let Some(packet) = self.stack.handle_opened(now, port, datagram) else {
                    // What came before goes by what held then.
                    self.forward(now, &mut jobs, &mut inner, outbox);
                    self.drain(now);
                    continue;
                };
                if let Some(ingress) = self.call_ingress(&packet) {
                    jobs.push(Job::new(ingress, datagram.buf, packet.range));
                    inner.push(&mut datagram.inner);
                }
            }
            self.forward(now, &mut jobs, &mut inner, outbox);
            rest = behind;
        }
        self.stack.seal(now, outbox);
    }

    fn push_inner(&mut self, now: Instant, packet: &[u8], offload: Offload, outbox: &mut Outbox) {
        let Some(segments) = self.stack.segments(packet, offload) else {
            return;
        };
        for index in 0..segments.count() {
            let Some(range) = self.stack.place(&segments, index, outbox) else {
                return;
            };
            let ingress = self.inner_ingress(outbox.space(), &range);
            match self.route(now, ingress, outbox.space(), range) {
                Way::Nowhere => {}
                Way::Inner(packet) => self.stack.push_inner(outbox, packet),
                Way::Call(session, packet) => self.stack.push(session, outbox, packet),
            }
        }
    }

    fn seal(&mut self, now: Instant, outbox: &mut Outbox) {
        self.stack.seal(now, outbox);
    }

    fn poll_job(&mut self) -> Option<isakmp::Job> {
        self.stack.poll_job()
    }

    fn finish(&mut self, now: Instant, result: isakmp::JobResult) {
        self.stack.finish(now, result);
        self.drain(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.stack.handle_timeout(now);
        if self.firewall.poll_timeout().is_some_and(|at| at <= now) {
            self.firewall.handle_timeout(now);
            self.drain_firewall(now);
        }
        if self.aaa.poll_timeout().is_some_and(|at| at <= now) {
            let (by_call, sessions) = (&self.by_call, &self.sessions);
            self.aaa.handle_timeout(now, &|call| {
                let session = by_call.get(&call).and_then(|s| sessions.get(s));
                session.map_or_else(Traffic::default, Session::traffic)
            });
        }
        self.drain_aaa(now);
        self.drain(now);
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        let packet = self.inner.pop_front().map(Transmit::Inner);
        packet.or_else(|| self.stack.poll_transmit())
    }

    fn poll_timeout(&self) -> Option<Instant> {
        [
            self.stack.poll_timeout(),
            self.firewall.poll_timeout(),
            self.aaa.poll_timeout(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn shutdown(&mut self, now: Instant) {
        self.aaa.closing();
        self.stack.shutdown(now);
        self.drain(now);
        self.aaa.close(now);
    }

    fn is_idle(&self) -> bool {
        self.stack.peers() == 0
    }
}
