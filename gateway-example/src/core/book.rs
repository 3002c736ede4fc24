//! Who is connected and how far everybody has come, read from the stack's events.

use super::event::Event;
use super::journal::{Attempt, Journal, Proof};
use super::status::{EspStatus, IsakmpStatus, Nat, Sas, Stage};
use super::{Path, PeerId};
use crate::metrics::Histogram;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

/// What is known of each live peer, and of those that have failed.
#[derive(Debug, Default)]
pub(super) struct Book {
    live: BTreeMap<PeerId, Live>,
    pub(super) journal: Journal,
    pub(super) tally: Tally,
}

/// Counts since the start, for `counters` and metrics.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Main and quick modes, by phase and outcome.
    pub(super) negotiations: BTreeMap<(Stage, &'static str), u64>,
    /// Authentications, by method and outcome.
    pub(super) authentications: BTreeMap<(&'static str, &'static str), u64>,
    /// Ends of connections that had been up, by reason.
    pub(super) terminations: BTreeMap<&'static str, u64>,
    /// ESP SAs that took over from others.
    pub(super) esp_rekeys: u64,
    /// Times that main mode took.
    pub(super) handshakes: Histogram,
    /// Times from the end of main mode to an address.
    pub(super) setups: Histogram,
}

/// A peer with an ISAKMP SA, or what is left of one.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) path: Path,
    pub(super) nat: Nat,
    pub(super) since: Instant,
    pub(super) stage: Stage,
    pub(super) host: Option<String>,
    pub(super) ike_suite: String,
    isakmp: Vec<(isakmp::SaId, String, Instant)>,
    esp: Vec<Esp>,
    /// Of the call that came last.
    user: Option<String>,
    method: &'static str,
    calls: usize,
    /// Whether the journal has the end of what came last.
    recorded: bool,
    /// The last call is being ended.
    closing: bool,
}

#[derive(Debug)]
struct Esp {
    spi_in: u32,
    spi_out: u32,
    suite: String,
    udp_encapsulation: bool,
    since: Instant,
}

impl Live {
    fn new(now: Instant, path: Path) -> Self {
        Self {
            path,
            nat: Nat::None,
            since: now,
            stage: Stage::QuickMode,
            host: None,
            ike_suite: String::new(),
            isakmp: Vec::new(),
            esp: Vec::new(),
            user: None,
            method: "none",
            calls: 0,
            recorded: false,
            closing: false,
        }
    }

    /// Takes what somebody has who has turned out to be this one.
    fn join(&mut self, other: Self, path: Path) {
        (self.path, self.nat, self.ike_suite) = (path, other.nat, other.ike_suite);
        self.isakmp.extend(other.isakmp);
        self.esp.extend(other.esp);
    }

    /// Algorithms of the ESP SA that is sent on.
    pub(super) fn esp_suite(&self) -> &str {
        self.esp.last().map_or("", |esp| esp.suite.as_str())
    }

    /// How far it is, for people.
    pub(super) fn state(&self) -> Stage {
        if self.closing {
            Stage::Closing
        } else {
            self.stage
        }
    }

    fn attempt(&self, id: PeerId, stage: Stage, reason: &str, detail: &str) -> Attempt {
        Attempt {
            conn: Some(id),
            peer: self.path.remote,
            user: self.user.clone(),
            host: self.host.clone(),
            stage,
            reason: reason.to_owned(),
            // Often it says the same word again.
            detail: if detail == reason { "" } else { detail }.to_owned(),
            hint: String::new(),
        }
    }
}

impl Book {
    /// Everybody with an ISAKMP SA, an ESP SA or a tunnel.
    pub(super) fn live(&self) -> impl Iterator<Item = (PeerId, &Live)> {
        self.live.iter().map(|(id, live)| (*id, live))
    }

    /// Where a peer is.
    pub(super) fn address(&self, peer: PeerId) -> Option<IpAddr> {
        self.live.get(&peer).map(|live| live.path.remote.ip())
    }

    /// Where the peer is that an event is about.
    pub(super) fn source(&self, event: &Event) -> Option<IpAddr> {
        match event {
            Event::Refused { path, .. } => Some(path.remote.ip()),
            other => self.address(other.peer()?),
        }
    }

    /// Notes what has happened.
    pub(super) fn note(&mut self, now: Instant, event: &Event) {
        match event {
            Event::IsakmpUp {
                peer,
                sa,
                path,
                nat,
                suite,
                took,
                ..
            } => {
                self.tally.handshakes.observe(*took);
                self.journal.prove(path.remote.ip(), Proof::Key);
                self.count(Stage::MainMode, "success");
                let live = self.live.entry(*peer);
                let live = live.or_insert_with(|| Live::new(now, *path));
                live.path = *path;
                live.nat = (*nat).into();
                live.ike_suite.clone_from(suite);
                live.isakmp.push((*sa, suite.clone(), now));
            }
            Event::IsakmpDown { peer, sa, .. } => self.with(*peer, |live| {
                live.isakmp.retain(|(known, ..)| known != sa);
            }),
            Event::PathChanged { peer, path } => self.with(*peer, |live| live.path = *path),
            Event::EspUp {
                peer,
                suite,
                encapsulated,
                inbound_spi,
                outbound_spi,
                ..
            } => {
                self.count(Stage::QuickMode, "success");
                let Some(live) = self.live.get_mut(peer) else {
                    return;
                };
                if !live.esp.is_empty() {
                    self.tally.esp_rekeys += 1;
                }
                live.stage = live.stage.max(Stage::L2tp);
                live.esp.push(Esp {
                    spi_in: *inbound_spi,
                    spi_out: *outbound_spi,
                    suite: suite.clone(),
                    udp_encapsulation: *encapsulated,
                    since: now,
                });
            }
            Event::EspDown {
                peer, inbound_spi, ..
            } => self.with(*peer, |live| {
                live.esp.retain(|esp| esp.spi_in != *inbound_spi);
            }),
            Event::Refused { .. } => self.note_refusal(now, event),
            Event::PeerKnown { peer, known, path } => {
                if let Some(gone) = self.live.remove(peer) {
                    self.with(*known, |live| live.join(gone, *path));
                }
            }
            Event::PeerDown { peer } => {
                let Some(live) = self.live.remove(peer) else {
                    return;
                };
                let reason = match live.stage {
                    Stage::QuickMode => "no_quick_mode",
                    _ => "no_l2tp",
                };
                if !live.recorded && live.stage <= Stage::L2tp {
                    let attempt = live.attempt(*peer, live.stage, reason, "");
                    self.journal.record(now, Proof::Key, attempt);
                }
            }
            _ => self.note_call(now, event),
        }
    }

    fn note_call(&mut self, now: Instant, event: &Event) {
        match event {
            Event::TunnelUp { peer, host, .. } => {
                self.with(*peer, |live| live.host = Some(host.clone()));
            }
            Event::TunnelDown {
                peer: Some(peer),
                reason,
                detail,
                ..
            } => self.fail(now, *peer, Stage::L2tp, reason, detail),
            Event::SessionUp { peer, .. } => self.with(*peer, |live| {
                live.calls += 1;
                live.recorded = false;
                live.closing = false;
                live.user = None;
                live.stage = Stage::Lcp;
            }),
            Event::LcpUp { peer, .. } => {
                self.with(*peer, |live| live.stage = Stage::Authentication);
            }
            Event::Authenticated { peer, user, .. } => {
                self.with(*peer, |live| {
                    live.stage = Stage::Ipcp;
                    live.user = Some(user.clone());
                });
                let method = self.live.get(peer).map_or("none", |live| live.method);
                *self.authentication(method, "success") += 1;
            }
            Event::Ipv4Up { peer, .. } => {
                let mut took = None;
                self.with(*peer, |live| {
                    // Later calls of the same peer say nothing about setting up.
                    if live.calls == 1 && live.stage == Stage::Ipcp {
                        took = Some(now.saturating_duration_since(live.since));
                    }
                    live.stage = Stage::Connected;
                });
                if let Some(took) = took {
                    self.tally.setups.observe(took);
                }
            }
            Event::SessionDown {
                peer,
                reason,
                detail,
                ..
            } => {
                let Some(stage) = self.live.get(peer).map(|live| live.stage) else {
                    return;
                };
                if stage == Stage::Connected {
                    *self.tally.terminations.entry(reason).or_default() += 1;
                }
                self.fail(now, *peer, stage, reason, detail);
                self.with(*peer, |live| {
                    live.calls = live.calls.saturating_sub(1);
                    live.user = None;
                    live.closing = false;
                    live.stage = Stage::L2tp;
                });
            }
            _ => {}
        }
    }

    /// A user has said who it is; what becomes of it comes later.
    pub(super) fn note_method(&mut self, peer: PeerId, method: &'static str) {
        self.with(peer, |live| live.method = method);
    }

    /// A call is being ended, which its peer may take its time to answer.
    pub(super) fn note_closing(&mut self, peer: PeerId) {
        self.with(peer, |live| live.closing = live.calls <= 1);
    }

    /// A user was not let in.
    pub(super) fn note_denial(
        &mut self,
        now: Instant,
        peer: PeerId,
        user: &str,
        reason: &'static str,
    ) {
        let Some(live) = self.live.get_mut(&peer) else {
            return;
        };
        live.user = Some(user.to_owned());
        let method = live.method;
        *self.authentication(method, reason) += 1;
        self.fail(now, peer, Stage::Authentication, reason, "");
    }

    fn note_refusal(&mut self, now: Instant, event: &Event) {
        let Event::Refused {
            path,
            peer,
            proven,
            reason,
            offer,
            hint,
        } = event
        else {
            return;
        };
        let (stage, proof) = match (peer, proven) {
            (Some(_), _) => (Stage::QuickMode, Proof::Key),
            (None, true) => (Stage::MainMode, Proof::Address),
            (None, false) => (Stage::MainMode, Proof::Nothing),
        };
        self.count(stage, reason);
        // Where it depends on the offer, the protocol knows best.
        let knows = ["no_proposal_chosen", "no_preshared_key", "invalid_identity"];
        let hint = if knows.contains(reason) { hint } else { "" };
        let attempt = Attempt {
            conn: *peer,
            peer: path.remote,
            user: None,
            host: None,
            stage,
            reason: (*reason).to_owned(),
            detail: offer.clone(),
            hint: hint.to_owned(),
        };
        self.journal.record(now, proof, attempt);
        if let Some(peer) = peer {
            self.with(*peer, |live| live.recorded = true);
        }
    }

    /// Records how an attempt ended, once.
    fn fail(&mut self, now: Instant, peer: PeerId, stage: Stage, reason: &str, detail: &str) {
        let Some(live) = self.live.get_mut(&peer) else {
            return;
        };
        if std::mem::replace(&mut live.recorded, true) {
            return;
        }
        let attempt = live.attempt(peer, stage, reason, detail);
        self.journal.record(now, Proof::Key, attempt);
    }

    fn with(&mut self, peer: PeerId, change: impl FnOnce(&mut Live)) {
        if let Some(live) = self.live.get_mut(&peer) {
            change(live);
        }
    }

    fn count(&mut self, stage: Stage, outcome: &'static str) {
        *self.tally.negotiations.entry((stage, outcome)).or_default() += 1;
    }

    fn authentication(&mut self, method: &'static str, outcome: &'static str) -> &mut u64 {
        let key = (method, outcome);
        self.tally.authentications.entry(key).or_default()
    }

    /// SAs of one peer or of all.
    pub(super) fn sas(&self, now: Instant, of: Option<PeerId>) -> Sas {
        let age = |since: Instant| now.saturating_duration_since(since).as_secs();
        let mut sas = Sas::default();
        let wanted = self
            .live
            .iter()
            .filter(|(id, _)| of.is_none_or(|of| of == **id));
        for (id, live) in wanted {
            let [peer, local] =
                [live.path.remote, live.path.local].map(|a: SocketAddr| a.to_string());
            for (_, suite, since) in &live.isakmp {
                sas.isakmp.push(IsakmpStatus {
                    id: id.number(),
                    peer: peer.clone(),
                    local: local.clone(),
                    nat: live.nat,
                    suite: suite.clone(),
                    age_seconds: age(*since),
                });
            }
            for esp in &live.esp {
                sas.esp.push(EspStatus {
                    id: id.number(),
                    peer: peer.clone(),
                    local: local.clone(),
                    udp_encapsulation: esp.udp_encapsulation,
                    suite: esp.suite.clone(),
                    spi_in: format!("{:08x}", esp.spi_in),
                    spi_out: format!("{:08x}", esp.spi_out),
                    age_seconds: age(esp.since),
                });
            }
        }
        sas
    }
}
