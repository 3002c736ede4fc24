//! Servers of one kind: which one is asked, how often, and when it is the next one's turn.

mod reconfigure;

use super::config::Config;
use super::tally::Tally;
use super::wire::{Code, Encoder, Packet, hide_password, kind, verify_reply};
use super::{Error, Port, Transmit};
use crate::metrics::Histogram;
use rand_core::CryptoRng;
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// Rounds over all servers in which a record got no reply although servers are alive: then the
/// record itself is what they do not take.
const ROUNDS: u8 = 3;

/// A request before it is addressed to one server.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Request {
    /// Whom it concerns: requests with the same key go out one after another.
    pub key: u64,
    /// What it says, but for what depends on the server.
    pub attributes: Encoder,
    /// Becomes User-Password, hidden for each server.
    pub password: Option<Zeroizing<Vec<u8>>>,
    urgency: Urgency,
    deadline: Option<Instant>,
    /// Servers that were silent, a bit for each.
    tried: u64,
    rounds: u8,
}

/// What may happen to a request that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// Somebody waits for the reply: it fails when time is up.
    Login,
    /// Must arrive, however late.
    Record,
    /// A later one says more: an interim record.
    Interim,
}

/// As many requests wait as may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the RADIUS queue is full")]
pub struct QueueFull;

impl Request {
    /// A request that no server has been sent yet.
    #[must_use]
    pub fn new(key: u64, urgency: Urgency, attributes: Encoder) -> Self {
        Self {
            key,
            attributes,
            password: None,
            urgency,
            deadline: None,
            tried: 0,
            rounds: 0,
        }
    }
}

/// What came of requests.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Happened {
    /// All servers were silent.
    NoReply { key: u64 },
    /// A server is passed over from now on.
    Down { server: SocketAddr },
    /// A server that was passed over answers again.
    Up { server: SocketAddr },
}

/// What every step needs.
pub(super) struct Context<'a> {
    pub(super) config: &'a Config,
    pub(super) rng: &'a mut (dyn CryptoRng + Send),
    pub(super) transmits: &'a mut VecDeque<Transmit>,
    pub(super) round_trips: &'a mut Histogram,
}

#[derive(Debug)]
pub(super) struct Group {
    pub(super) port: Port,
    lanes: Vec<Lane>,
    queue: VecDeque<Request>,
    limit: usize,
    /// Keys of what is in flight.
    busy: HashSet<u64>,
    /// All servers are silent: nothing is sent before.
    resume_at: Option<Instant>,
    pub(super) happened: VecDeque<Happened>,
    /// Requests repeated.
    pub(super) repeated: u64,
    /// Records given up.
    pub(super) lost: u64,
}

/// One server's address, and what it has not answered: at most one request for each identifier.
#[derive(Debug)]
struct Lane {
    /// Its place in the configuration.
    server: usize,
    address: SocketAddr,
    in_flight: BTreeMap<u8, Sent>,
    next_id: u8,
    state: State,
    heard: Option<Instant>,
    tally: Tally,
}

impl Lane {
    /// Whether an identifier is free.
    fn has_room(&self) -> bool {
        self.in_flight.len() <= usize::from(u8::MAX)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Alive,
    /// Passed over until then.
    Dead {
        until: Instant,
    },
    /// One request finds out whether it is back.
    Trial,
}

#[derive(Debug)]
struct Sent {
    request: Request,
    authenticator: [u8; 16],
    packet: Zeroizing<Vec<u8>>,
    first: Instant,
    times: u32,
    wait: Duration,
    again_at: Instant,
}

enum Choice {
    Lane(usize),
    /// All identifiers are taken.
    Busy,
    Exhausted,
}

impl Group {
    pub(super) fn new(port: Port, config: &Config) -> Self {
        let servers = config.servers.iter().enumerate();
        let lanes = servers.filter_map(|(server, c)| {
            let address = if port == Port::Access {
                c.auth()
            } else {
                c.acct()
            };
            Some(Lane {
                server,
                address: address?,
                in_flight: BTreeMap::new(),
                next_id: 0,
                state: State::Alive,
                heard: None,
                tally: Tally::default(),
            })
        });
        let limit = if port == Port::Access {
            config.access_queue
        } else {
            config.accounting_queue
        };
        Self {
            port,
            lanes: lanes.take(64).collect(),
            queue: VecDeque::new(),
            limit,
            busy: HashSet::new(),
            resume_at: None,
            happened: VecDeque::new(),
            repeated: 0,
            lost: 0,
        }
    }

    /// Whether there is anybody to ask.
    pub(super) fn is_used(&self) -> bool {
        !self.lanes.is_empty()
    }

    pub(super) fn waiting(&self) -> usize {
        self.queue.len() + self.in_flight()
    }

    pub(super) fn in_flight(&self) -> usize {
        self.lanes.iter().map(|lane| lane.in_flight.len()).sum()
    }

    pub(super) fn servers(&self) -> impl Iterator<Item = (SocketAddr, bool)> {
        let alive = |lane: &Lane| lane.state == State::Alive;
        self.lanes.iter().map(move |l| (l.address, alive(l)))
    }

    pub(super) fn tallies(&self) -> impl Iterator<Item = (SocketAddr, &Tally)> {
        self.lanes.iter().map(|lane| (lane.address, &lane.tally))
    }

    pub(super) fn submit(
        &mut self,
        now: Instant,
        mut request: Request,
        context: &mut Context<'_>,
    ) -> Result<(), QueueFull> {
        if request.urgency == Urgency::Login {
            request.deadline = Some(now + context.config.access_deadline);
        } else {
            // What is newer says all that an interim record says.
            self.queue
                .retain(|r| r.key != request.key || r.urgency != Urgency::Interim);
        }
        if self.queue.len() >= self.limit && !self.make_room(request.urgency) {
            self.lost += 1;
            return Err(QueueFull);
        }
        self.queue.push_back(request);
        self.pump(now, context);
        Ok(())
    }

    /// Drops the oldest interim record for a record that says more.
    fn make_room(&mut self, urgency: Urgency) -> bool {
        let interim = |r: &Request| r.urgency == Urgency::Interim;
        let oldest = self.queue.iter().position(interim);
        if urgency != Urgency::Record {
            return false;
        }
        let dropped = oldest.and_then(|at| self.queue.remove(at)).is_some();
        self.lost += u64::from(dropped);
        dropped
    }

    /// Sends what may be sent.
    fn pump(&mut self, now: Instant, context: &mut Context<'_>) {
        if self.resume_at.is_some_and(|at| now < at) {
            return;
        }
        self.resume_at = None;
        let mut index = 0;
        while let Some(request) = self.queue.get(index) {
            if self.busy.contains(&request.key) {
                index += 1;
                continue;
            }
            let choice = self.choose(now, request);
            if matches!(choice, Choice::Busy) {
                return;
            }
            let Some(request) = self.queue.remove(index) else {
                return;
            };
            match choice {
                Choice::Lane(lane) => self.send(now, lane, request, context),
                _ if request.urgency == Urgency::Login => {
                    self.happened
                        .push_back(Happened::NoReply { key: request.key });
                }
                _ => {
                    if !self.postpone(now, request, context.config.timeout) {
                        return;
                    }
                }
            }
        }
    }

    fn choose(&self, now: Instant, request: &Request) -> Choice {
        let untried = || {
            let lanes = self.lanes.iter().enumerate();
            lanes.filter(|(index, _)| request.tried & (1 << index) == 0)
        };
        for (index, lane) in untried() {
            match lane.state {
                State::Alive if lane.has_room() => return Choice::Lane(index),
                State::Alive => return Choice::Busy,
                State::Dead { until } if until <= now && lane.has_room() => {
                    return Choice::Lane(index);
                }
                State::Dead { .. } | State::Trial => {}
            }
        }
        if request.urgency != Urgency::Login {
            return Choice::Exhausted;
        }
        // Somebody waits: better one that was silent than none.
        let revival = |lane: &Lane| match lane.state {
            State::Dead { until } => Some(until),
            State::Alive | State::Trial => None,
        };
        match untried().min_by_key(|(_, lane)| revival(lane)) {
            None => Choice::Exhausted,
            Some((_, lane)) if !lane.has_room() => Choice::Busy,
            Some((index, _)) => Choice::Lane(index),
        }
    }

    /// A record that all servers left unanswered waits; false if all others have to wait as well.
    fn postpone(&mut self, now: Instant, mut request: Request, pause: Duration) -> bool {
        request.tried = 0;
        if self.lanes.iter().any(|lane| lane.state == State::Alive) {
            request.rounds += 1;
            if request.rounds >= ROUNDS {
                self.lost += 1;
                return true;
            }
            self.queue.push_back(request);
            self.resume_at = Some(now + pause);
            return false;
        }
        self.queue.push_front(request);
        // A trial's outcome is told by its reply or its timeout.
        let revival = self.lanes.iter().filter_map(|lane| match lane.state {
            State::Dead { until } => Some(until),
            State::Alive | State::Trial => None,
        });
        self.resume_at = revival.min();
        false
    }

    fn send(&mut self, now: Instant, index: usize, request: Request, context: &mut Context<'_>) {
        let Some(lane) = self.lanes.get_mut(index) else {
            return;
        };
        let Some(server) = context.config.servers.get(lane.server) else {
            return;
        };
        if matches!(lane.state, State::Dead { until } if until <= now) {
            lane.state = State::Trial;
        }
        // As late as possible is an identifier used again.
        while lane.in_flight.contains_key(&lane.next_id) {
            lane.next_id = lane.next_id.wrapping_add(1);
        }
        let id = lane.next_id;
        lane.next_id = lane.next_id.wrapping_add(1);
        let secret = server.secret.expose().as_bytes();
        let (packet, authenticator) = if self.port == Port::Access {
            let mut authenticator = [0; 16];
            context.rng.fill_bytes(&mut authenticator);
            let mut attributes = Encoder::new();
            let hidden = request.password.as_ref();
            if let Some(hidden) = hidden.and_then(|p| hide_password(secret, &authenticator, p)) {
                attributes.bytes(kind::USER_PASSWORD, &hidden);
            }
            attributes.append(&request.attributes);
            let packet = attributes.access_request(id, &authenticator, secret);
            (packet, authenticator)
        } else {
            let attributes = &request.attributes;
            let packet = attributes.signed_request(Code::ACCOUNTING_REQUEST, id, secret);
            let authenticator = packet.get(4..).and_then(|p| p.first_chunk()).copied();
            (packet, authenticator.unwrap_or_default())
        };
        context.transmits.push_back(Transmit {
            port: self.port,
            to: lane.address,
            payload: packet.clone(),
        });
        self.busy.insert(request.key);
        let wait = context.config.timeout;
        let sent = Sent {
            request,
            authenticator,
            packet: Zeroizing::new(packet),
            first: now,
            times: 1,
            wait,
            again_at: now + jitter(wait, context.rng),
        };
        lane.in_flight.insert(id, sent);
    }

    /// A datagram from `from`: whose request it answers.
    pub(super) fn handle(
        &mut self,
        now: Instant,
        from: SocketAddr,
        reply: &Packet<'_>,
        context: &mut Context<'_>,
    ) -> Result<u64, Error> {
        let lane = self.lanes.iter_mut().find(|lane| lane.address == from);
        let lane = lane.ok_or(Error::UnknownServer)?;
        let server = context.config.servers.get(lane.server);
        let server = server.ok_or(Error::UnknownServer)?;
        let sent = lane.in_flight.get(&reply.id);
        let sent = sent.ok_or(Error::UnknownIdentifier)?;
        let expected: &[Code] = if self.port == Port::Access {
            &[
                Code::ACCESS_ACCEPT,
                Code::ACCESS_REJECT,
                Code::ACCESS_CHALLENGE,
            ]
        } else {
            &[Code::ACCOUNTING_RESPONSE]
        };
        if !expected.contains(&reply.code) {
            return Err(Error::UnexpectedCode);
        }
        // Servers sign accounting replies with the authenticator alone, and nothing depends on them.
        let required = self.port == Port::Access && server.require_message_authenticator;
        let secret = server.secret.expose().as_bytes();
        verify_reply(reply, &sent.authenticator, secret, required)?;
        let sent = lane.in_flight.remove(&reply.id);
        let sent = sent.ok_or(Error::UnknownIdentifier)?;
        lane.heard = Some(now);
        lane.tally.note(reply.code);
        let took = now.saturating_duration_since(sent.first);
        context.round_trips.observe(took);
        if lane.state != State::Alive {
            lane.state = State::Alive;
            self.resume_at = None;
            self.happened.push_back(Happened::Up { server: from });
        }
        self.busy.remove(&sent.request.key);
        self.pump(now, context);
        Ok(sent.request.key)
    }

    pub(super) fn handle_timeout(&mut self, now: Instant, context: &mut Context<'_>) {
        // Those that went through a server already stand in front, so the first is the oldest.
        while let Some(first) = self.queue.front()
            && first.deadline.is_some_and(|at| at <= now)
        {
            let key = first.key;
            self.queue.pop_front();
            self.happened.push_back(Happened::NoReply { key });
        }
        for index in 0..self.lanes.len() {
            self.lane_timeout(now, index, context);
        }
        self.pump(now, context);
    }

    fn lane_timeout(&mut self, now: Instant, index: usize, context: &mut Context<'_>) {
        let Some(lane) = self.lanes.get_mut(index) else {
            return;
        };
        let tries = if lane.state == State::Trial {
            1
        } else {
            context.config.tries
        };
        let mut given_up = Vec::new();
        for (id, sent) in &mut lane.in_flight {
            let late = sent.request.deadline.is_some_and(|at| at <= now);
            if sent.again_at > now && !late {
                continue;
            }
            if sent.times >= tries || late {
                given_up.push(*id);
                continue;
            }
            sent.times += 1;
            sent.wait *= 2;
            sent.again_at = now + jitter(sent.wait, context.rng);
            self.repeated += 1;
            context.transmits.push_back(Transmit {
                port: self.port,
                to: lane.address,
                payload: sent.packet.to_vec(),
            });
        }
        let Some(oldest) = given_up
            .iter()
            .filter_map(|id| lane.in_flight.get(id))
            .map(|sent| sent.first)
            .min()
        else {
            return;
        };
        let address = lane.address;
        let heard_since = lane.heard.is_some_and(|at| at >= oldest);
        let was_alive = lane.state == State::Alive;
        if !heard_since {
            // What else waits for this server need not wait as long.
            given_up = lane.in_flight.keys().copied().collect();
            lane.state = State::Dead {
                until: now + context.config.dead_time,
            };
        }
        let requests = given_up.iter().filter_map(|id| lane.in_flight.remove(id));
        let mut back: Vec<_> = requests.collect();
        lane.tally.timeouts += u64::try_from(back.len()).unwrap_or(u64::MAX);
        back.sort_by_key(|sent| sent.first);
        if !heard_since && was_alive {
            let down = Happened::Down { server: address };
            self.happened.push_back(down);
        }
        for mut sent in back.into_iter().rev() {
            self.busy.remove(&sent.request.key);
            if sent.request.deadline.is_some_and(|at| at <= now) {
                let key = sent.request.key;
                self.happened.push_back(Happened::NoReply { key });
                continue;
            }
            sent.request.tried |= 1 << index;
            self.queue.push_front(sent.request);
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let sent = self.lanes.iter().flat_map(|l| l.in_flight.values());
        let sent = sent.map(|s| s.request.deadline.map_or(s.again_at, |d| d.min(s.again_at)));
        let queued = self.queue.front();
        let resume = self.resume_at.filter(|_| queued.is_some());
        sent.chain(queued.and_then(|r| r.deadline))
            .chain(resume)
            .min()
    }
}

/// A little more than `wait`, so that what was sent together is not repeated together (RFC 5080
/// section 2.2.1).
fn jitter(wait: Duration, rng: &mut (dyn CryptoRng + Send)) -> Duration {
    let mut byte = [0];
    rng.fill_bytes(&mut byte);
    wait + wait * u32::from(byte[0]) / 2048
}
