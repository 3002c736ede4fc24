use super::dynamic::{Dynamic, DynamicRequest, Handled};
use super::group::{Context, Group, Happened};
use super::wire::{Code, Packet};
use super::{Accept, Config, Error, ErrorCause, Port, QueueFull, Reject, Request, Transmit};
use crate::metrics::Histogram;
use rand_core::CryptoRng;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Asks servers, sends them records, and hears what they want changed.
pub struct Client {
    config: Config,
    pub(super) access: Group,
    pub(super) accounting: Group,
    pub(super) round_trips: Histogram,
    dynamic: Dynamic,
    rng: Box<dyn CryptoRng + Send>,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
    drops: BTreeMap<&'static str, u64>,
    timeout: Option<Instant>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("access", &self.access.waiting())
            .field("accounting", &self.accounting.waiting())
            .finish_non_exhaustive()
    }
}

/// What a [`Client`] tells its owner.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// What came of an Access-Request.
    Access {
        /// The request's key.
        key: u64,
        /// What came of it.
        outcome: Outcome,
    },
    /// A server wants something changed: answer with [`Client::answer`].
    Dynamic(Box<DynamicRequest>),
    /// A server is silent and passed over for a while.
    ServerDown {
        /// Which.
        server: SocketAddr,
    },
    /// A server answers again.
    ServerUp {
        /// Which.
        server: SocketAddr,
    },
}

/// What came of an Access-Request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The user may come in.
    Accept(Box<Accept>),
    /// The user may not.
    Reject(Reject),
    /// The server accepts, but says what cannot be followed; no user comes in by half.
    Unusable(Error),
    /// No server replied in time.
    NoReply,
}

/// How a [`Client`] fares.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Status {
    /// Each server's address and port, and whether it is in use.
    pub servers: Vec<(SocketAddr, bool)>,
    /// Logins that wait for a reply.
    pub logins: usize,
    /// Accounting records that wait for a reply.
    pub records: usize,
    /// Requests repeated.
    pub repeated: u64,
    /// Accounting records given up.
    pub records_lost: u64,
}

impl Client {
    /// A client that has asked nothing yet.
    #[must_use]
    pub fn new(config: Config, rng: Box<dyn CryptoRng + Send>) -> Self {
        Self {
            access: Group::new(Port::Access, &config),
            accounting: Group::new(Port::Accounting, &config),
            round_trips: Histogram::default(),
            dynamic: Dynamic::default(),
            config,
            rng,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            drops: BTreeMap::new(),
            timeout: None,
        }
    }

    /// Other servers, secrets and times from now on. Nothing that waits is lost: what a server has
    /// been sent that stays is awaited still, the rest is sent to the new ones.
    pub fn reconfigure(&mut self, now: Instant, config: Config) {
        let old = std::mem::replace(&mut self.config, config);
        self.with(|access, accounting, context| {
            access.reconfigure(now, &old, context);
            accounting.reconfigure(now, &old, context);
        });
    }

    /// Whether a server authenticates.
    #[must_use]
    pub fn authenticates(&self) -> bool {
        self.access.is_used()
    }

    /// Whether a server takes accounting records.
    #[must_use]
    pub fn accounts(&self) -> bool {
        self.accounting.is_used()
    }

    /// Sends an Access-Request; [`Event::Access`] tells what came of it.
    ///
    /// # Errors
    /// Too many wait already.
    pub fn access(&mut self, now: Instant, request: Request) -> Result<(), QueueFull> {
        self.with(|access, _, context| access.submit(now, request, context))
    }

    /// Sends an Accounting-Request until a server has confirmed it.
    ///
    /// # Errors
    /// Too many wait already: the record is lost, and counted.
    pub fn account(&mut self, now: Instant, record: Request) -> Result<(), QueueFull> {
        self.with(|_, accounting, context| accounting.submit(now, record, context))
    }

    /// Answers [`Event::Dynamic`].
    pub fn answer(&mut self, request: &DynamicRequest, answer: Result<(), ErrorCause>) {
        let transmit = self.dynamic.answer(&self.config, request, answer);
        self.transmits.extend(transmit);
    }

    /// A datagram came to `port`; `wall` is the time since 1970, if known.
    ///
    /// # Errors
    /// Why it was dropped; it is counted too.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        wall: Option<Duration>,
        port: Port,
        from: SocketAddr,
        datagram: &[u8],
    ) -> Result<(), Error> {
        let result = Packet::parse(datagram).and_then(|packet| match port {
            Port::Dynamic => self.handle_dynamic(now, wall, from, &packet),
            Port::Accounting => self.with(|_, accounting, context| {
                accounting.handle(now, from, &packet, context).map(drop)
            }),
            Port::Access => self.handle_access(now, from, &packet),
        });
        if let Err(error) = result {
            *self.drops.entry(error.reason()).or_default() += 1;
        }
        result
    }

    fn handle_dynamic(
        &mut self,
        now: Instant,
        wall: Option<Duration>,
        from: SocketAddr,
        packet: &Packet<'_>,
    ) -> Result<(), Error> {
        match self.dynamic.handle(now, wall, &self.config, from, packet)? {
            Handled::Ask(request) => {
                self.events.push_back(Event::Dynamic(Box::new(request)));
            }
            Handled::Again(transmit) => self.transmits.push_back(transmit),
            Handled::Waits => {}
        }
        Ok(())
    }

    fn handle_access(
        &mut self,
        now: Instant,
        from: SocketAddr,
        packet: &Packet<'_>,
    ) -> Result<(), Error> {
        let key = self.with(|access, _, context| access.handle(now, from, packet, context))?;
        let outcome = match packet.code {
            Code::ACCESS_ACCEPT => match Accept::parse(&packet.attributes) {
                Ok(accept) => Outcome::Accept(Box::new(accept)),
                Err(error) => Outcome::Unusable(error),
            },
            // PPP has no way to ask the user once more.
            _ => Outcome::Reject(Reject::parse(&packet.attributes)),
        };
        self.events.push_back(Event::Access { key, outcome });
        Ok(())
    }

    /// Repeats what is due, and gives up on the silent.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.with(|access, accounting, context| {
            access.handle_timeout(now, context);
            accounting.handle_timeout(now, context);
        });
    }

    /// Lets a group act, and says what happened.
    fn with<T>(&mut self, act: impl FnOnce(&mut Group, &mut Group, &mut Context<'_>) -> T) -> T {
        let mut context = Context {
            config: &self.config,
            rng: &mut *self.rng,
            transmits: &mut self.transmits,
            round_trips: &mut self.round_trips,
        };
        let result = act(&mut self.access, &mut self.accounting, &mut context);
        for group in [&mut self.access, &mut self.accounting] {
            while let Some(happened) = group.happened.pop_front() {
                let event = match happened {
                    Happened::NoReply { key } => Event::Access {
                        key,
                        outcome: Outcome::NoReply,
                    },
                    Happened::Down { server } => Event::ServerDown { server },
                    Happened::Up { server } => Event::ServerUp { server },
                };
                self.events.push_back(event);
            }
        }
        let timeouts = [self.access.poll_timeout(), self.accounting.poll_timeout()];
        self.timeout = timeouts.into_iter().flatten().min();
        result
    }

    /// The next datagram to send.
    #[must_use]
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// What happened next.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When `handle_timeout` is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timeout
    }

    /// Whether every record has arrived.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.accounting.waiting() == 0
    }

    /// How it fares.
    #[must_use]
    pub fn status(&self) -> Status {
        let servers = self.access.servers().chain(self.accounting.servers());
        Status {
            servers: servers.collect(),
            logins: self.access.waiting(),
            records: self.accounting.waiting(),
            repeated: self.access.repeated + self.accounting.repeated,
            records_lost: self.accounting.lost,
        }
    }

    /// Dropped datagrams by reason.
    #[must_use]
    pub fn drops(&self) -> &BTreeMap<&'static str, u64> {
        &self.drops
    }
}
