//! Disconnect-Request and CoA-Request (RFC 5176).

use super::wire::{Code, Encoder, MAX_PACKET, Packet, kind, verify_request};
use super::{Config, Error, Port, Transmit};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

/// How far an Event-Timestamp may be off, and how long requests are remembered: a request cannot
/// be replayed while it is current (RFC 5176 section 6.3).
const WINDOW: Duration = Duration::from_secs(300);
/// Requests within twice the window at most.
const REMEMBERED: usize = 1024;

/// Why a Disconnect-Request or CoA-Request is refused (RFC 5176 section 3.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorCause {
    /// It asks for what cannot be changed.
    UnsupportedAttribute,
    /// It does not say whom it concerns.
    MissingAttribute,
    /// It is meant for another gateway.
    NasIdentificationMismatch,
    /// An attribute has the wrong length.
    InvalidAttributeValue,
    /// Nobody is as it says.
    SessionContextNotFound,
    /// It asks to authorize by another request.
    UnsupportedService,
}

impl ErrorCause {
    fn value(self) -> u32 {
        match self {
            Self::UnsupportedAttribute => 401,
            Self::MissingAttribute => 402,
            Self::NasIdentificationMismatch => 403,
            Self::UnsupportedService => 405,
            Self::InvalidAttributeValue => 407,
            Self::SessionContextNotFound => 503,
        }
    }
}

/// Whom a request concerns: all that is named must fit (RFC 5176 section 3).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Selector {
    /// User-Name.
    pub user: Option<Vec<u8>>,
    /// Acct-Session-Id.
    pub session_id: Option<Vec<u8>>,
    /// Framed-IP-Address.
    pub address: Option<Ipv4Addr>,
    /// NAS-Port.
    pub port: Option<u32>,
    /// Calling-Station-Id.
    pub calling_station: Option<Vec<u8>>,
    /// NAS-IP-Address.
    pub nas_address: Option<Ipv4Addr>,
    /// NAS-Identifier.
    pub nas_identifier: Option<Vec<u8>>,
}

/// What a request wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// The calls to end.
    Disconnect,
    /// Other times for the calls; what is not named stays.
    Times {
        /// From the call's start.
        session_timeout: Option<Duration>,
        /// Of silence.
        idle_timeout: Option<Duration>,
        /// Between interim records.
        interim_interval: Option<Duration>,
    },
    /// What we cannot do; to be refused.
    Unsupported(ErrorCause),
}

/// A request that is authentic and new.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DynamicRequest {
    /// From whom.
    pub from: SocketAddr,
    /// Whom it concerns.
    pub selector: Selector,
    /// What it wants.
    pub change: Change,
    code: Code,
    id: u8,
    authenticator: [u8; 16],
    proxy_state: Vec<Vec<u8>>,
}

/// What came of a datagram.
#[derive(Debug)]
pub(super) enum Handled {
    Ask(DynamicRequest),
    /// The same request again gets the same answer (RFC 5176 section 2.3).
    Again(Transmit),
    /// The same request again before it is answered.
    Waits,
}

#[derive(Debug)]
struct Seen {
    at: Instant,
    from: IpAddr,
    id: u8,
    authenticator: [u8; 16],
    answer: Option<Vec<u8>>,
}

/// Authenticates requests and remembers them.
#[derive(Debug, Default)]
pub(super) struct Dynamic {
    seen: VecDeque<Seen>,
}

impl Dynamic {
    pub(super) fn handle(
        &mut self,
        now: Instant,
        wall: Option<Duration>,
        config: &Config,
        from: SocketAddr,
        packet: &Packet<'_>,
    ) -> Result<Handled, Error> {
        let server = config.servers.iter().find(|s| s.address == from.ip());
        let server = server.ok_or(Error::UnknownServer)?;
        if ![Code::DISCONNECT_REQUEST, Code::COA_REQUEST].contains(&packet.code) {
            return Err(Error::UnexpectedCode);
        }
        verify_request(packet, server.secret.expose().as_bytes())?;
        current(packet, wall)?;
        // Twice the window: a timestamp may lie as far in the future as in the past.
        while self.seen.front().is_some_and(|s| s.at + 2 * WINDOW < now) {
            self.seen.pop_front();
        }
        let same = self.seen.iter().find(|s| {
            s.from == from.ip() && s.id == packet.id && s.authenticator == packet.authenticator
        });
        if let Some(seen) = same {
            return Ok(match &seen.answer {
                Some(answer) => Handled::Again(Transmit {
                    port: Port::Dynamic,
                    to: from,
                    payload: answer.clone(),
                }),
                None => Handled::Waits,
            });
        }
        if self.seen.len() >= REMEMBERED {
            return Err(Error::Flood);
        }
        self.seen.push_back(Seen {
            at: now,
            from: from.ip(),
            id: packet.id,
            authenticator: packet.authenticator,
            answer: None,
        });
        Ok(Handled::Ask(DynamicRequest::read(from, packet)))
    }

    pub(super) fn answer(
        &mut self,
        config: &Config,
        request: &DynamicRequest,
        answer: Result<(), ErrorCause>,
    ) -> Option<Transmit> {
        let server = config
            .servers
            .iter()
            .find(|s| s.address == request.from.ip())?;
        let (ack, nak) = if request.code == Code::DISCONNECT_REQUEST {
            (Code::DISCONNECT_ACK, Code::DISCONNECT_NAK)
        } else {
            (Code::COA_ACK, Code::COA_NAK)
        };
        let mut reply = Encoder::new();
        let code = match answer {
            Ok(()) => ack,
            Err(cause) => {
                reply.integer(kind::ERROR_CAUSE, cause.value());
                nak
            }
        };
        for state in &request.proxy_state {
            reply.bytes(kind::PROXY_STATE, state);
        }
        let secret = server.secret.expose().as_bytes();
        let payload = reply.reply(code, request.id, &request.authenticator, secret);
        debug_assert!(payload.len() <= MAX_PACKET);
        let seen = self
            .seen
            .iter_mut()
            .find(|s| s.id == request.id && s.authenticator == request.authenticator);
        if let Some(seen) = seen {
            seen.answer = Some(payload.clone());
        }
        Some(Transmit {
            port: Port::Dynamic,
            to: request.from,
            payload,
        })
    }
}

/// Whether a request is of now. Without a timestamp it may be a replay, which does no harm when it
/// names one call by its Acct-Session-Id: that is never used again.
fn current(packet: &Packet<'_>, wall: Option<Duration>) -> Result<(), Error> {
    let attributes = &packet.attributes;
    match attributes.integer(kind::EVENT_TIMESTAMP)? {
        Some(stamp) => {
            let wall = wall.ok_or(Error::Stale)?;
            let off = wall.abs_diff(Duration::from_secs(stamp.into()));
            if off <= WINDOW {
                Ok(())
            } else {
                Err(Error::Stale)
            }
        }
        None if packet.code == Code::DISCONNECT_REQUEST
            && attributes.get(kind::ACCT_SESSION_ID).is_some() =>
        {
            Ok(())
        }
        None => Err(Error::Stale),
    }
}

impl DynamicRequest {
    fn read(from: SocketAddr, packet: &Packet<'_>) -> Self {
        let mut this = Self {
            from,
            selector: Selector::default(),
            change: Change::Disconnect,
            code: packet.code,
            id: packet.id,
            authenticator: packet.authenticator,
            proxy_state: packet
                .attributes
                .all(kind::PROXY_STATE)
                .map(<[u8]>::to_vec)
                .collect(),
        };
        if let Err(cause) = this.fill(packet) {
            this.change = Change::Unsupported(cause);
        }
        this
    }

    fn fill(&mut self, packet: &Packet<'_>) -> Result<(), ErrorCause> {
        let mut times = [None; 3];
        let [session, idle, interim] = &mut times;
        for (kind, value) in packet.attributes.iter() {
            let integer = || {
                let octets: [u8; 4] = value
                    .try_into()
                    .map_err(|_| ErrorCause::InvalidAttributeValue)?;
                Ok(u32::from_be_bytes(octets))
            };
            let seconds = || Ok(Some(Duration::from_secs(integer()?.into())));
            let of_coa = packet.code == Code::COA_REQUEST;
            match kind {
                kind::USER_NAME => self.selector.user = Some(value.to_vec()),
                kind::ACCT_SESSION_ID => self.selector.session_id = Some(value.to_vec()),
                kind::FRAMED_IP_ADDRESS => self.selector.address = Some(integer()?.into()),
                kind::NAS_PORT => self.selector.port = Some(integer()?),
                kind::CALLING_STATION_ID => self.selector.calling_station = Some(value.to_vec()),
                kind::NAS_IP_ADDRESS => self.selector.nas_address = Some(integer()?.into()),
                kind::NAS_IDENTIFIER => self.selector.nas_identifier = Some(value.to_vec()),
                kind::SESSION_TIMEOUT if of_coa => *session = seconds()?,
                kind::IDLE_TIMEOUT if of_coa => *idle = seconds()?,
                kind::ACCT_INTERIM_INTERVAL if of_coa => *interim = seconds()?,
                kind::EVENT_TIMESTAMP
                | kind::MESSAGE_AUTHENTICATOR
                | kind::PROXY_STATE
                | kind::NAS_PORT_TYPE
                | kind::CALLED_STATION_ID
                | kind::ACCT_TERMINATE_CAUSE
                | kind::CLASS
                | kind::REPLY_MESSAGE => {}
                // "Authorize Only" would be another protocol.
                kind::SERVICE_TYPE => return Err(ErrorCause::UnsupportedService),
                _ => return Err(ErrorCause::UnsupportedAttribute),
            }
        }
        let named = &self.selector;
        if named.user.is_none() && named.session_id.is_none() && named.address.is_none() {
            return Err(ErrorCause::MissingAttribute);
        }
        if packet.code == Code::COA_REQUEST {
            let [session_timeout, idle_timeout, interim_interval] = times;
            if times.iter().all(Option::is_none) {
                return Err(ErrorCause::MissingAttribute);
            }
            self.change = Change::Times {
                session_timeout,
                idle_timeout,
                interim_interval,
            };
        }
        Ok(())
    }
}
