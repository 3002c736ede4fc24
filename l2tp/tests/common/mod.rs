//! Two ends in one process, and a peer whose messages a test writes itself.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    dead_code,
    unreachable_pub,
    reason = "a test that cannot go on has failed; not every test file needs every helper"
)]

use l2tp::wire::{Avp, AvpType, Header, Message, MessageType};
use l2tp::{
    Call, CallErrors, CloseReason, Config, Endpoint, Event, PathId, PeerInfo, Received, Role,
    Secret, SessionId, TunnelId,
};
use simnet::{Link, Node, Pair, seeded};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub const PATH: PathId = PathId(7);

#[allow(
    clippy::disallowed_methods,
    reason = "any start will do for virtual time"
)]
pub fn start() -> Instant {
    Instant::now()
}

pub fn endpoint(config: Config, seed: u64) -> Endpoint {
    Endpoint::new(Arc::new(config), Box::new(seeded(seed))).unwrap()
}

/// The default configuration with some changes.
pub fn config(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::default();
    change(&mut config);
    config
}

pub fn with_secret(secret: &str, hide: bool) -> Config {
    config(|c| {
        c.secret = Some(Secret::new(secret.as_bytes()));
        c.hide_avps = hide;
    })
}

/// Seeds of a randomised test: ROADWARRIOR_SEEDS, or `default`.
pub fn seeds(default: u64) -> std::ops::Range<u64> {
    0..std::env::var("ROADWARRIOR_SEEDS").map_or(default, |s| s.parse().unwrap())
}

/// An endpoint and what its owner knows.
pub struct End {
    pub endpoint: Endpoint,
    pub tunnel: Option<TunnelId>,
    pub session: Option<SessionId>,
    pub role: Option<Role>,
    pub call: Option<Box<Call>>,
    pub peer: Option<PeerInfo>,
    pub down: Vec<CloseReason>,
    pub sessions_down: Vec<CloseReason>,
    pub tunnels_up: usize,
    pub asked: Option<SessionId>,
    pub errors: Option<CallErrors>,
    pub link_info: Option<l2tp::Accm>,
}

impl End {
    pub fn new(config: Config, seed: u64) -> Self {
        Self {
            endpoint: endpoint(config, seed),
            tunnel: None,
            session: None,
            role: None,
            call: None,
            peer: None,
            down: Vec::new(),
            sessions_down: Vec::new(),
            tunnels_up: 0,
            asked: None,
            errors: None,
            link_info: None,
        }
    }

    pub fn drain(&mut self) {
        while let Some(event) = self.endpoint.poll_event() {
            match event {
                Event::TunnelUp { tunnel, peer, .. } => {
                    self.tunnel = Some(tunnel);
                    self.peer = Some(peer);
                    self.tunnels_up += 1;
                }
                Event::TunnelDown { reason, .. } => {
                    self.tunnel = None;
                    self.down.push(reason);
                }
                Event::SessionUp {
                    session,
                    role,
                    call,
                    ..
                } => {
                    self.session = Some(session);
                    self.role = Some(role);
                    self.call = Some(call);
                }
                Event::SessionDown { reason, .. } => {
                    self.session = None;
                    self.sessions_down.push(reason);
                }
                Event::CallRequested { session, .. } => self.asked = Some(session),
                Event::CallErrors { errors, .. } => self.errors = Some(errors),
                Event::LinkInfo { accm, .. } => self.link_info = Some(accm),
                other => panic!("{other:?}"),
            }
        }
    }

    /// Nothing is up or coming up.
    pub fn empty(&self) -> bool {
        self.endpoint.tunnels().count() == 0 && self.endpoint.session_count() == 0
    }

    /// Nothing is left at all.
    pub fn gone(&self) -> bool {
        self.empty() && self.endpoint.lingering_count() == 0 && self.poll_timeout().is_none()
    }
}

impl Node for End {
    type Packet = Vec<u8>;
    fn handle(&mut self, now: Instant, mut message: Vec<u8>) {
        let range = 0..message.len();
        let _ = self
            .endpoint
            .handle_datagram(now, PATH, &mut message, range);
        self.drain();
    }
    fn handle_timeout(&mut self, now: Instant) {
        self.endpoint.handle_timeout(now);
        self.drain();
    }
    fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.endpoint.poll_transmit().map(|t| t.payload)
    }
    fn poll_timeout(&self) -> Option<Instant> {
        self.endpoint.poll_timeout()
    }
}

pub type Ends = Pair<End, End>;

/// Two ends; `a` has asked for a tunnel and a call.
pub fn pair(a: Config, b: Config, link: Link, seed: u64) -> Ends {
    let mut pair = idle_pair(a, b, link, seed);
    let now = pair.now;
    let tunnel = pair.a.endpoint.connect(now, PATH).unwrap();
    pair.a.endpoint.open(now, tunnel).unwrap();
    pair
}

/// Two ends that have done nothing yet.
pub fn idle_pair(a: Config, b: Config, link: Link, seed: u64) -> Ends {
    let (a, b) = (End::new(a, seed * 2), End::new(b, seed * 2 + 1));
    Pair::new(start(), a, b, link, seed)
}

pub fn connected(a: &mut End, b: &mut End) -> bool {
    a.session.is_some() && b.session.is_some()
}

/// Two ends with a call between them.
pub fn connected_pair(a: Config, b: Config) -> Ends {
    let mut pair = pair(a, b, Link::PERFECT, 1);
    assert!(pair.run_until(Duration::from_secs(5), connected));
    pair
}

/// The AVPs of a message, written one by one.
#[derive(Default, Clone)]
pub struct Avps(pub Vec<u8>);

impl Avps {
    pub fn new(kind: MessageType) -> Self {
        Self::default().word(AvpType::MESSAGE_TYPE, kind.0)
    }

    pub fn raw(mut self, mandatory: bool, vendor: u16, kind: u16, value: &[u8]) -> Self {
        let avp = Avp {
            mandatory,
            hidden: false,
            vendor,
            kind: AvpType(kind),
            value,
        };
        avp.emit(&mut self.0);
        self
    }

    pub fn bytes(self, kind: AvpType, value: &[u8]) -> Self {
        let mandatory = kind.definition().is_some_and(|d| d.mandatory);
        self.raw(mandatory, 0, kind.0, value)
    }

    pub fn word(self, kind: AvpType, value: u16) -> Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    pub fn long(self, kind: AvpType, value: u32) -> Self {
        self.bytes(kind, &value.to_be_bytes())
    }
}

/// The least of an SCCRQ or SCCRP.
pub fn about_us(kind: MessageType, tunnel: u16) -> Avps {
    Avps::new(kind)
        .word(AvpType::PROTOCOL_VERSION, 0x0100)
        .long(AvpType::FRAMING_CAPABILITIES, 3)
        .bytes(AvpType::HOST_NAME, b"peer")
        .word(AvpType::ASSIGNED_TUNNEL_ID, tunnel)
}

/// A message of an endpoint, taken apart.
#[derive(Debug)]
pub struct Said {
    pub ns: u16,
    pub nr: u16,
    pub tunnel: u16,
    pub session: u16,
    /// None for a ZLB.
    pub message: Option<Message>,
    pub bytes: Vec<u8>,
}

impl Said {
    pub fn new(bytes: Vec<u8>, secret: Option<&[u8]>) -> Self {
        let header = Header::parse(&bytes, 0..bytes.len()).unwrap();
        assert!(header.control);
        let (ns, nr) = header.sequence.unwrap();
        let body = &bytes[header.payload];
        let message = (!body.is_empty()).then(|| Message::parse(body, secret).unwrap());
        Self {
            ns,
            nr,
            tunnel: header.tunnel,
            session: header.session,
            message,
            bytes,
        }
    }

    pub fn kind(&self) -> Option<MessageType> {
        self.message.as_ref().map(|m| m.kind)
    }

    pub fn word(&self, kind: AvpType) -> u16 {
        self.message.as_ref().unwrap().word(kind).unwrap()
    }
}

/// A peer whose messages a test writes, against an endpoint.
pub struct Script {
    pub now: Instant,
    pub end: End,
    pub path: PathId,
    pub secret: Option<Vec<u8>>,
    /// The endpoint's Tunnel ID, once known.
    pub tunnel: u16,
    pub ns: u16,
    pub nr: u16,
}

impl Script {
    pub fn new(config: Config) -> Self {
        let secret = config.secret.as_ref().map(|s| s.expose().to_vec());
        Self {
            now: start(),
            end: End::new(config, 5),
            path: PATH,
            secret,
            tunnel: 0,
            ns: 0,
            nr: 0,
        }
    }

    /// What the endpoint has to say.
    pub fn heard(&mut self) -> Vec<Said> {
        self.end.drain();
        let mut said = Vec::new();
        while let Some(transmit) = self.end.endpoint.poll_transmit() {
            assert_eq!(transmit.path, self.path);
            let message = Said::new(transmit.payload, self.secret.as_deref());
            if message.kind().is_some() && message.ns == self.nr {
                self.nr = self.nr.wrapping_add(1);
            }
            said.push(message);
        }
        said
    }

    /// Kinds of the messages the endpoint has to say; None is a ZLB.
    pub fn kinds(&mut self) -> Vec<Option<MessageType>> {
        self.heard().iter().map(Said::kind).collect()
    }

    /// Gives the endpoint any bytes.
    pub fn give(&mut self, bytes: &[u8]) -> Result<Received, l2tp::Error> {
        let mut bytes = bytes.to_vec();
        let length = bytes.len();
        let result = self
            .end
            .endpoint
            .handle_datagram(self.now, self.path, &mut bytes, 0..length);
        self.end.drain();
        result
    }

    /// The bytes of the next message, and counts it as said.
    pub fn next(&mut self, session: u16, avps: &Avps) -> Vec<u8> {
        let bytes = Header::emit_control(self.tunnel, session, self.ns, self.nr, &avps.0);
        self.ns = self.ns.wrapping_add(1);
        bytes.unwrap()
    }

    /// Says the next message, and hears what the endpoint answers.
    pub fn say(&mut self, session: u16, avps: &Avps) -> Vec<Said> {
        let bytes = self.next(session, avps);
        self.give(&bytes).unwrap();
        self.heard()
    }

    /// Says a ZLB.
    pub fn acknowledge(&mut self) -> Vec<Said> {
        let bytes = Header::emit_control(self.tunnel, 0, self.ns, self.nr, &[]).unwrap();
        self.give(&bytes).unwrap();
        self.heard()
    }

    pub fn wait(&mut self, time: Duration) -> Vec<Said> {
        let until = self.now + time;
        let mut said = Vec::new();
        while let Some(at) = self.end.endpoint.poll_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.end.endpoint.handle_timeout(self.now);
            said.extend(self.heard());
        }
        self.now = until;
        said
    }

    /// As a peer that calls: SCCRQ, SCCCN.
    pub fn tunnel_up(&mut self) {
        let reply = self.say(0, &about_us(MessageType::SCCRQ, 1));
        self.tunnel = reply[0].word(AvpType::ASSIGNED_TUNNEL_ID);
        self.say(0, &Avps::new(MessageType::SCCCN));
        assert!(self.end.tunnel.is_some());
    }

    /// As a LAC with a call: ICRQ, ICCN. Gives the endpoint's Session ID.
    pub fn call_up(&mut self, session: u16, connected: &Avps) -> u16 {
        let request = Avps::new(MessageType::ICRQ)
            .word(AvpType::ASSIGNED_SESSION_ID, session)
            .long(AvpType::CALL_SERIAL_NUMBER, 1);
        let reply = self.say(0, &request);
        let id = reply[0].word(AvpType::ASSIGNED_SESSION_ID);
        self.say(id, connected);
        assert!(self.end.session.is_some());
        id
    }
}

/// The least of an ICCN or OCCN.
pub fn call_connected(kind: MessageType) -> Avps {
    Avps::new(kind)
        .long(AvpType::TX_CONNECT_SPEED, 1_000_000)
        .long(AvpType::FRAMING_TYPE, 3)
}
