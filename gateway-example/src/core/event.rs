use super::{GatewayEvent, Path, PeerId};
use crate::capture::KeyLog;
use std::net::Ipv4Addr;
use std::time::Duration;

/// What happens in a [`Stack`](super::Stack), for its owner to know or decide.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// Main mode is complete.
    IsakmpUp {
        /// With whom.
        peer: PeerId,
        /// The SA.
        sa: isakmp::SaId,
        /// Over which addresses.
        path: Path,
        /// Who is behind a NAT.
        nat: natt::Detection,
        /// The negotiated algorithms.
        suite: String,
        /// What is to be said of their age.
        weakness: Weakness,
        /// How long main mode took.
        took: Duration,
    },
    /// An ISAKMP SA has ended; its ESP SAs live on.
    IsakmpDown {
        /// With whom.
        peer: PeerId,
        /// The SA.
        sa: isakmp::SaId,
        /// Why.
        reason: &'static str,
    },
    /// The peer is now at another address or port.
    PathChanged {
        /// Who.
        peer: PeerId,
        /// Where.
        path: Path,
    },
    /// Quick mode is complete.
    EspUp {
        /// With whom.
        peer: PeerId,
        /// The negotiated algorithms.
        suite: String,
        /// What is to be said of their age.
        weakness: Weakness,
        /// In UDP, or as IP protocol 50.
        encapsulated: bool,
        /// SPI of packets to us.
        inbound_spi: u32,
        /// SPI of packets to the peer.
        outbound_spi: u32,
    },
    /// A pair of ESP SAs has ended.
    EspDown {
        /// With whom.
        peer: PeerId,
        /// SPI of packets to us.
        inbound_spi: u32,
        /// Why.
        reason: &'static str,
    },
    /// A negotiation was refused, by either side.
    Refused {
        /// With whom.
        path: Path,
        /// Who, if main mode was complete.
        peer: Option<PeerId>,
        /// Whether the peer has shown that it is where it says.
        proven: bool,
        /// A stable word.
        reason: &'static str,
        /// What the peer offered.
        offer: String,
        /// What to change.
        hint: String,
    },
    /// An L2TP control connection is up.
    TunnelUp {
        /// With whom.
        peer: PeerId,
        /// The tunnel.
        tunnel: l2tp::TunnelId,
        /// The peer's Host Name AVP.
        host: String,
    },
    /// An L2TP control connection has ended.
    TunnelDown {
        /// With whom.
        peer: Option<PeerId>,
        /// The tunnel.
        tunnel: l2tp::TunnelId,
        /// Why, as a stable word.
        reason: &'static str,
        /// What the peer said of it.
        detail: String,
    },
    /// An L2TP call is up; PPP starts.
    SessionUp {
        /// With whom.
        peer: PeerId,
        /// The call.
        session: l2tp::SessionId,
    },
    /// LCP is open.
    LcpUp {
        /// With whom.
        peer: PeerId,
        /// The call.
        session: l2tp::SessionId,
        /// The longest packet that the peer takes, in bytes.
        peer_mru: u16,
        /// What was negotiated.
        detail: String,
    },
    /// Somebody wants in: answer with [`Stack::authenticate`](super::Stack::authenticate).
    Authenticate {
        /// With whom.
        peer: PeerId,
        /// The call.
        session: l2tp::SessionId,
        /// Who, and the proof.
        request: Box<ppp::AuthRequest>,
    },
    /// PPP authentication has succeeded.
    Authenticated {
        /// With whom.
        peer: PeerId,
        /// The call.
        session: l2tp::SessionId,
        /// Who.
        user: String,
    },
    /// IPCP is open: packets flow.
    Ipv4Up {
        /// With whom.
        peer: PeerId,
        /// The call.
        session: l2tp::SessionId,
        /// Our address.
        local: Ipv4Addr,
        /// The peer's address.
        remote: Ipv4Addr,
        /// DNS servers.
        dns: Vec<Ipv4Addr>,
    },
    /// A call has ended.
    SessionDown {
        /// With whom.
        peer: PeerId,
        /// The call.
        session: l2tp::SessionId,
        /// Why, as a stable word.
        reason: &'static str,
        /// What the peer said of it.
        detail: String,
    },
    /// A peer has turned out to be another that was known before: what it has is that one's.
    PeerKnown {
        /// Who is no more.
        peer: PeerId,
        /// Who it is.
        known: PeerId,
        /// Where it is.
        path: Path,
    },
    /// Nothing is left of a peer.
    PeerDown {
        /// Who.
        peer: PeerId,
    },
    /// A key for Wireshark; only if key logging is on.
    Key(KeyEvent),
    /// An encrypted IKE message in the clear; only if that was asked for.
    Plain(Box<isakmp::PlainMessage>),
}

impl Event {
    /// Whom it is about.
    #[must_use]
    pub fn peer(&self) -> Option<PeerId> {
        match self {
            Self::IsakmpUp { peer, .. }
            | Self::IsakmpDown { peer, .. }
            | Self::PathChanged { peer, .. }
            | Self::EspUp { peer, .. }
            | Self::EspDown { peer, .. }
            | Self::TunnelUp { peer, .. }
            | Self::SessionUp { peer, .. }
            | Self::LcpUp { peer, .. }
            | Self::Authenticate { peer, .. }
            | Self::Authenticated { peer, .. }
            | Self::Ipv4Up { peer, .. }
            | Self::SessionDown { peer, .. }
            | Self::PeerKnown { peer, .. }
            | Self::PeerDown { peer } => Some(*peer),
            Self::Refused { peer, .. } | Self::TunnelDown { peer, .. } => *peer,
            Self::Key(_) | Self::Plain(_) => None,
        }
    }
}

/// How grave what a line tells is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// All is as it should be.
    Info,
    /// It works, but somebody ought to look at it.
    Warning,
    /// A refusal or a loss.
    Failure,
}

impl Severity {
    /// [`Info`](Self::Info) or [`Failure`](Self::Failure).
    #[must_use]
    pub const fn of(good: bool) -> Self {
        if good { Self::Info } else { Self::Failure }
    }
}

/// Algorithms of an SA that have had their day.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Weakness {
    /// Within reach of those who can pay for it: DES, MD5, 768 and 1024 bits of Diffie-Hellman.
    pub weak: Vec<&'static str>,
    /// Not to be chosen any more: 3DES.
    pub dated: Vec<&'static str>,
}

/// The line about an SA's weak algorithms, if it has any.
pub(super) fn warn_of_weakness(event: &Event) -> Option<GatewayEvent> {
    let (layer, peer, suite, weakness) = match event {
        Event::IsakmpUp {
            peer,
            suite,
            weakness,
            ..
        } => ("ike", peer, suite, weakness),
        Event::EspUp {
            peer,
            suite,
            weakness,
            ..
        } => ("esp", peer, suite, weakness),
        _ => return None,
    };
    let (severity, kind, algorithms) = match (&weakness.weak[..], &weakness.dated[..]) {
        ([], []) => return None,
        ([], dated) => (Severity::Info, "dated", dated),
        (weak, _) => (Severity::Warning, "weak", weak),
    };
    let text = format!(
        "SA with {kind} algorithms suite={suite} {kind}={}",
        algorithms.join(",")
    );
    Some(GatewayEvent::Step {
        layer,
        peer: Some(*peer),
        severity,
        text,
    })
}

/// A key for Wireshark.
#[derive(Debug)]
pub enum KeyEvent {
    /// Of an ISAKMP SA.
    Isakmp(isakmp::KeyLogLine),
    /// Of a pair of ESP SAs.
    Esp(Box<[isakmp::EspKeyLogLine; 2]>),
}

impl KeyEvent {
    /// Adds the key to Wireshark's files.
    ///
    /// # Errors
    /// What writing gave.
    pub fn write(&self, log: &mut KeyLog) -> std::io::Result<()> {
        match self {
            Self::Isakmp(line) => log.isakmp(line),
            Self::Esp(lines) => lines.iter().try_for_each(|line| log.esp(line)),
        }
    }
}

/// An event in words, if it is one that people follow a connection by.
pub(super) fn describe(event: &Event) -> Option<GatewayEvent> {
    let (layer, peer, severity, text) = match event {
        Event::IsakmpUp {
            peer,
            path,
            nat,
            suite,
            ..
        } => {
            let nat = match (nat.local_behind_nat, nat.remote_behind_nat) {
                (false, false) => "no NAT",
                (false, true) => "peer behind NAT",
                (true, false) => "we are behind NAT",
                (true, true) => "both behind NAT",
            };
            let text = format!(
                "main mode complete peer={} suite={suite} nat={nat:?}",
                path.remote
            );
            ("ike", Some(*peer), Severity::Info, text)
        }
        Event::IsakmpDown { peer, reason, .. } => (
            "ike",
            Some(*peer),
            Severity::Info,
            format!("ISAKMP SA closed reason={reason}"),
        ),
        Event::PathChanged { peer, path } => (
            "ike",
            Some(*peer),
            Severity::Info,
            format!("peer is now at {}", path.remote),
        ),
        Event::EspUp {
            peer,
            suite,
            encapsulated,
            inbound_spi,
            outbound_spi,
            ..
        } => {
            let carrier = if *encapsulated {
                "UDP"
            } else {
                "IP protocol 50"
            };
            let text = format!(
                "quick mode complete suite={suite} in={inbound_spi:08x} out={outbound_spi:08x} over {carrier}"
            );
            ("esp", Some(*peer), Severity::Info, text)
        }
        Event::EspDown {
            peer,
            inbound_spi,
            reason,
        } => {
            let text = format!("ESP SA {inbound_spi:08x} closed reason={reason}");
            ("esp", Some(*peer), Severity::Info, text)
        }
        Event::Refused {
            path,
            peer,
            reason,
            offer,
            hint,
            ..
        } => {
            let text = format!(
                "negotiation refused peer={} reason={reason} offer={offer:?} hint={hint:?}",
                path.remote
            );
            ("ike", *peer, Severity::Failure, text)
        }
        Event::TunnelUp { peer, host, .. } => (
            "l2tp",
            Some(*peer),
            Severity::Info,
            format!("tunnel up host={host:?}"),
        ),
        Event::TunnelDown {
            peer,
            reason,
            detail,
            ..
        } => (
            "l2tp",
            *peer,
            Severity::Info,
            format!("tunnel closed reason={reason}{}", said(reason, detail)),
        ),
        Event::SessionUp { peer, .. } => {
            ("l2tp", Some(*peer), Severity::Info, "call up".to_owned())
        }
        Event::LcpUp { peer, detail, .. } => (
            "ppp",
            Some(*peer),
            Severity::Info,
            format!("LCP open {detail}"),
        ),
        Event::Authenticated { peer, user, .. } => (
            "ppp",
            Some(*peer),
            Severity::Info,
            format!("authenticated user={user:?}"),
        ),
        Event::Ipv4Up {
            peer,
            local,
            remote,
            dns,
            ..
        } => {
            let text = format!("IPCP open local={local} remote={remote} dns={dns:?}");
            ("ppp", Some(*peer), Severity::Info, text)
        }
        Event::SessionDown {
            peer,
            reason,
            detail,
            ..
        } => (
            "ppp",
            Some(*peer),
            Severity::Info,
            format!("session closed reason={reason}{}", said(reason, detail)),
        ),
        Event::PeerKnown { peer, known, path } => (
            "ike",
            Some(*peer),
            Severity::Info,
            format!("peer is {known}, now at {}", path.remote),
        ),
        Event::PeerDown { peer } => ("ike", Some(*peer), Severity::Info, "peer gone".to_owned()),
        Event::Authenticate { .. } | Event::Key(_) | Event::Plain(_) => return None,
    };
    Some(GatewayEvent::Step {
        layer,
        peer,
        severity,
        text,
    })
}

/// What the peer said of an end, if it is more than the reason.
fn said(reason: &str, detail: &str) -> String {
    if detail.is_empty() || detail == reason {
        String::new()
    } else {
        format!(" detail={detail:?}")
    }
}
