//! What the RADIUS servers are told of calls (RFC 2866, RFC 2869).

use super::{Aaa, CallId, Timer};
use crate::radius::wire::{Encoder, kind};
use crate::radius::{Request, Urgency};
use std::net::IpAddr;
use std::time::Instant;

/// NAS-Port-Type: no physical port (RFC 2865 section 5.41).
const PORT_VIRTUAL: u32 = 5;
/// Service-Type (RFC 2865 section 5.6).
const SERVICE_FRAMED: u32 = 2;
/// Framed-Protocol (RFC 2865 section 5.7).
const PROTOCOL_PPP: u32 = 1;
/// Tunnel-Type, untagged (RFC 2868 section 3.1).
const TUNNEL_L2TP: u32 = 3;
/// Tunnel-Medium-Type, untagged (RFC 2868 section 3.2).
const MEDIUM_IPV4: u32 = 1;
const MEDIUM_IPV6: u32 = 2;
/// Acct-Authentic (RFC 2866 section 5.6).
const AUTHENTIC_RADIUS: u32 = 1;
const AUTHENTIC_LOCAL: u32 = 2;

/// Acct-Status-Type (RFC 2866 section 5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Start,
    Stop,
    Interim,
    /// The gateway has started.
    On,
    /// The gateway stops.
    Off,
}

impl Status {
    fn value(self) -> u32 {
        match self {
            Self::Start => 1,
            Self::Stop => 2,
            Self::Interim => 3,
            Self::On => 7,
            Self::Off => 8,
        }
    }
}

/// Why a call has ended: Acct-Terminate-Cause (RFC 2866 section 5.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "they are the RFC's names")]
#[non_exhaustive]
pub enum Cause {
    UserRequest,
    LostCarrier,
    IdleTimeout,
    SessionTimeout,
    AdminReset,
    AdminReboot,
    NasError,
    NasRequest,
    PortPreempted,
}

impl Cause {
    /// From the reason that PPP or L2TP gave.
    #[must_use]
    pub fn of(reason: &str) -> Self {
        let begins = |words: &[&str]| words.iter().any(|w| reason.starts_with(w));
        if begins(&["peer_terminated", "peer_closed"]) {
            Self::UserRequest
        } else if begins(&[
            "echo_timeout",
            "lower_layer_down",
            "timeout",
            "tunnel_down",
            "path_closed",
        ]) {
            Self::LostCarrier
        } else if begins(&["administrative", "local"]) {
            Self::AdminReset
        } else {
            Self::NasError
        }
    }

    /// The RFC's name, for logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::UserRequest => "User-Request",
            Self::LostCarrier => "Lost-Carrier",
            Self::IdleTimeout => "Idle-Timeout",
            Self::SessionTimeout => "Session-Timeout",
            Self::AdminReset => "Admin-Reset",
            Self::AdminReboot => "Admin-Reboot",
            Self::NasError => "NAS-Error",
            Self::NasRequest => "NAS-Request",
            Self::PortPreempted => "Port-Preempted",
        }
    }

    fn value(self) -> u32 {
        match self {
            Self::UserRequest => 1,
            Self::LostCarrier => 2,
            Self::IdleTimeout => 4,
            Self::SessionTimeout => 5,
            Self::AdminReset => 6,
            Self::AdminReboot => 7,
            Self::NasError => 9,
            Self::NasRequest => 10,
            Self::PortPreempted => 13,
        }
    }
}

/// What a call has carried: IP packets, without anything around them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes from the client.
    pub bytes_in: u64,
    /// Bytes to the client.
    pub bytes_out: u64,
    /// Packets from the client.
    pub packets_in: u64,
    /// Packets to the client.
    pub packets_out: u64,
}

/// The low and the high half, as attributes carry them (RFC 2869 section 5.1).
fn halves(n: u64) -> (u32, u32) {
    let low = u32::try_from(n & u64::from(u32::MAX)).unwrap_or(0);
    (low, u32::try_from(n >> 32).unwrap_or(u32::MAX))
}

impl Aaa {
    /// Who we are, in every request.
    fn identity(&self) -> Encoder {
        let mut attributes = Encoder::new();
        if let Some(settings) = &self.config.radius {
            attributes.text(kind::NAS_IDENTIFIER, &settings.nas_identifier);
            if let Some(address) = settings.nas_address {
                attributes.address(kind::NAS_IP_ADDRESS, address);
            }
        }
        attributes
    }

    /// Which call it is, in every request about one.
    pub(super) fn common(&self, id: CallId) -> Encoder {
        let mut attributes = self.identity();
        attributes
            .integer(kind::NAS_PORT, halves(id.0).0)
            .integer(kind::NAS_PORT_TYPE, PORT_VIRTUAL)
            .integer(kind::SERVICE_TYPE, SERVICE_FRAMED)
            .integer(kind::FRAMED_PROTOCOL, PROTOCOL_PPP)
            .text(kind::ACCT_SESSION_ID, &self.session_id(id));
        if let Some(call) = self.calls.get(&id) {
            let [peer, local] = [call.caller.peer.ip(), call.caller.local.ip()];
            let medium = if matches!(peer, IpAddr::V4(_)) {
                MEDIUM_IPV4
            } else {
                MEDIUM_IPV6
            };
            let [peer, local] = [peer.to_string(), local.to_string()];
            attributes
                .text(kind::CALLING_STATION_ID, &peer)
                .text(kind::CALLED_STATION_ID, &local)
                .integer(kind::TUNNEL_TYPE, TUNNEL_L2TP)
                .integer(kind::TUNNEL_MEDIUM_TYPE, medium)
                .text(kind::TUNNEL_CLIENT_ENDPOINT, &peer)
                .text(kind::TUNNEL_SERVER_ENDPOINT, &local);
        }
        attributes
    }

    fn stamp(&self, now: Instant, attributes: &mut Encoder) {
        // Instead of Acct-Delay-Time, which would change with each repetition.
        let seconds = self.wall(now).map(|wall| wall.as_secs());
        if let Some(seconds) = seconds.and_then(|s| u32::try_from(s).ok()) {
            attributes.integer(kind::EVENT_TIMESTAMP, seconds);
        }
    }

    /// Sends a record of a call whose packets flow, or have flowed.
    pub(super) fn account(
        &mut self,
        now: Instant,
        id: CallId,
        status: Status,
        traffic: Traffic,
        cause: Option<Cause>,
    ) {
        let login = self.calls.get(&id).and_then(|c| c.login.as_ref());
        let Some((login, opened)) = login.and_then(|l| Some((l, l.opened?))) else {
            return;
        };
        let seconds = now.saturating_duration_since(opened).as_secs();
        let note = cause.map(|cause| {
            format!(
                "logout user={:?} address={} session={} dur={seconds} in={} out={} cause={}",
                login.user,
                login.address,
                self.session_id(id),
                traffic.bytes_in,
                traffic.bytes_out,
                cause.name()
            )
        });
        let mut attributes = self.common(id);
        let authentic = if login.grant.remote {
            AUTHENTIC_RADIUS
        } else {
            AUTHENTIC_LOCAL
        };
        attributes
            .integer(kind::ACCT_STATUS_TYPE, status.value())
            .bytes(kind::USER_NAME, &login.raw_user)
            .address(kind::FRAMED_IP_ADDRESS, login.address)
            .integer(kind::ACCT_AUTHENTIC, authentic);
        for class in &login.grant.class {
            attributes.bytes(kind::CLASS, class);
        }
        if status != Status::Start {
            let (input, input_high) = halves(traffic.bytes_in);
            let (output, output_high) = halves(traffic.bytes_out);
            attributes
                .integer(kind::ACCT_SESSION_TIME, halves(seconds).0)
                .integer(kind::ACCT_INPUT_OCTETS, input)
                .integer(kind::ACCT_OUTPUT_OCTETS, output)
                .integer(kind::ACCT_INPUT_GIGAWORDS, input_high)
                .integer(kind::ACCT_OUTPUT_GIGAWORDS, output_high)
                .integer(kind::ACCT_INPUT_PACKETS, halves(traffic.packets_in).0)
                .integer(kind::ACCT_OUTPUT_PACKETS, halves(traffic.packets_out).0);
        }
        if let Some(cause) = cause {
            attributes.integer(kind::ACCT_TERMINATE_CAUSE, cause.value());
        }
        self.stamp(now, &mut attributes);
        let urgency = if status == Status::Interim {
            Urgency::Interim
        } else {
            Urgency::Record
        };
        self.record(now, Request::new(id.0, urgency, attributes));
        if let Some(note) = note {
            self.note(Some(id), true, note);
        }
    }

    pub(super) fn interim(&mut self, now: Instant, id: CallId, traffic: Traffic) {
        self.account(now, id, Status::Interim, traffic, None);
        let login = self.calls.get(&id).and_then(|c| c.login.as_ref());
        let every = login.and_then(|l| l.grant.interim_interval);
        self.set_timer(id, Timer::Interim, every.map(|t| now + t));
    }

    /// Sends a record of the gateway itself.
    pub(super) fn account_gateway(&mut self, now: Instant, status: Status) {
        let mut attributes = self.identity();
        attributes
            .integer(kind::ACCT_STATUS_TYPE, status.value())
            .text(kind::ACCT_SESSION_ID, &self.session_id(CallId(0)));
        self.stamp(now, &mut attributes);
        self.record(now, Request::new(0, Urgency::Record, attributes));
    }

    fn record(&mut self, now: Instant, record: Request) {
        let Some(radius) = self.radius.as_mut().filter(|r| r.accounts()) else {
            return;
        };
        if radius.account(now, record).is_err() {
            self.note(
                None,
                false,
                "accounting record lost reason=queue_full".into(),
            );
        }
        self.drain_radius(now);
    }
}
