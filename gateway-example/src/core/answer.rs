//! What a gateway answers to those who ask about it.

use super::PeerId;
use super::book::Live;
use super::gateway::Gateway;
use super::status::{
    Counter, Counters, Explanation, FlowStatus, Flows, Kicked, SessionDetail, SessionStatus,
    Sessions, Status, UserStatus, Users,
};
use crate::control::{Answer, Refusal, Request};
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

/// Flows in an answer at most.
const FLOWS: usize = 5000;

/// A protocol as people write it.
pub(super) fn protocol_name(protocol: firewall::Protocol) -> String {
    match protocol.0 {
        1 => "icmp".to_owned(),
        6 => "tcp".to_owned(),
        17 => "udp".to_owned(),
        other => other.to_string(),
    }
}

impl Gateway {
    /// Answers what a core can; none if the request is not about connections.
    pub fn answer(&mut self, now: Instant, request: &Request) -> Option<Answer> {
        Some(match request {
            Request::Status => Answer::of(&self.status(now)),
            Request::Sessions => Answer::of(&Sessions {
                sessions: self.session_lines(now),
            }),
            Request::Session { id } => self.session_detail(now, *id).into(),
            Request::Sas => Answer::of(&self.book.sas(now, None)),
            Request::Flows { user } => Answer::of(&self.flow_lines(now, user.as_deref())),
            Request::Users => Answer::of(&self.user_lines(now)),
            Request::Explain { who } => Answer::of(&self.explain(now, who)),
            Request::Kick { who } => self.kick(now, who).into(),
            Request::Counters => Answer::of(&self.counters()),
            _ => return None,
        })
    }

    /// Tells keys of SAs as [`GatewayEvent::Key`](super::GatewayEvent::Key) from now on, or no
    /// longer.
    pub fn set_key_log(&mut self, now: Instant, on: bool) {
        self.stack.set_key_log(now, on);
        self.drain(now);
    }

    /// Tells encrypted IKE messages as [`GatewayEvent::Plain`](super::GatewayEvent::Plain) from now
    /// on, or no longer.
    pub fn set_plain_messages(&mut self, on: bool) {
        self.stack.set_plain_messages(on);
    }

    /// What is there now.
    #[must_use]
    pub fn status(&self, now: Instant) -> Status {
        let stack = self.stack.drops().into_iter();
        let firewall = self.firewall.drops();
        let firewall = firewall.iter().map(|(d, n)| (d.reason(), *n));
        let mut drops = BTreeMap::new();
        for (reason, n) in stack.chain(firewall).chain(self.aaa.drops()) {
            *drops.entry(reason.to_owned()).or_default() += n;
        }
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            isakmp_sas: self.stack.isakmp_sas(),
            esp_sas: self.stack.esp_sas(),
            l2tp_tunnels: self.stack.l2tp_tunnels(),
            l2tp_sessions: self.stack.l2tp_sessions(),
            peers: self.stack.peers(),
            flows: self.firewall.flow_count(),
            addresses_in_use: self.aaa.addresses_in_use(),
            sessions: self.session_lines(now),
            drops,
            ..Status::default()
        }
    }

    fn session_lines(&self, now: Instant) -> Vec<SessionStatus> {
        let mut of_peer: HashMap<PeerId, Vec<_>> = HashMap::new();
        for session in self.sessions.values() {
            of_peer.entry(session.peer).or_default().push(session);
        }
        let failures = self.book.journal.failures(now);
        let mut lines = Vec::new();
        for (id, live) in self.book.live() {
            let calls = of_peer.remove(&id).unwrap_or_default();
            for call in &calls {
                let known = Some(&call.user).filter(|user| !user.is_empty());
                lines.push(SessionStatus {
                    user: known.cloned(),
                    address: call.leased.map(|a| a.to_string()),
                    bytes_in: call.bytes_in,
                    bytes_out: call.bytes_out,
                    last_error: known.and_then(|user| failures.get(user.as_str()).cloned()),
                    ..self.line(now, id, live)
                });
            }
            if calls.is_empty() {
                lines.push(self.line(now, id, live));
            }
        }
        lines
    }

    /// What all calls of a peer have in common.
    fn line(&self, now: Instant, id: PeerId, live: &Live) -> SessionStatus {
        let peer = live.path.remote;
        SessionStatus {
            id: id.number(),
            state: live.state(),
            peer: peer.to_string(),
            nat: live.nat,
            ike_suite: live.ike_suite.clone(),
            esp_suite: live.esp_suite().to_owned(),
            host: live.host.clone(),
            uptime_seconds: now.saturating_duration_since(live.since).as_secs(),
            last_error: self.book.journal.failure_from(now, peer.ip()),
            ..SessionStatus::default()
        }
    }

    fn session_detail(&self, now: Instant, id: u64) -> Result<SessionDetail, Refusal> {
        let mut lines = self.session_lines(now).into_iter();
        let session = lines
            .find(|line| line.id == id)
            .ok_or_else(|| Refusal::no_such(&format!("session {id}")))?;
        let peer = self.book.live().find(|(peer, _)| peer.number() == id);
        Ok(SessionDetail {
            sas: self.book.sas(now, peer.map(|(peer, _)| peer)),
            flows: self.flow_lines(now, session.user.as_deref()),
            session,
        })
    }

    /// Flows of `user`, or of everybody.
    fn flow_lines(&self, now: Instant, user: Option<&str>) -> Flows {
        let user_at = |end: &SocketAddr| match end.ip() {
            IpAddr::V4(v4) => self.by_address.get(&v4).and_then(|s| self.sessions.get(s)),
            IpAddr::V6(_) => None,
        };
        let mut flows = Flows::default();
        for status in self.firewall.flows() {
            let flow = status.info;
            // Whoever the client is, it is before translation on its side.
            let ends = [
                &flow.source,
                &flow.destination,
                &flow.translated_destination,
            ];
            let whose = ends.into_iter().find_map(user_at).map(|s| &s.user);
            if user.is_some_and(|user| whose.is_none_or(|whose| whose != user)) {
                continue;
            }
            flows.total += 1;
            if flows.flows.len() < FLOWS {
                let changed = |was: SocketAddr, is: SocketAddr| (was != is).then(|| is.to_string());
                flows.flows.push(FlowStatus {
                    user: whose.cloned(),
                    state: match status.phase {
                        firewall::Phase::Opening => "opening",
                        firewall::Phase::Closing => "closing",
                        _ => "established",
                    }
                    .to_owned(),
                    age_seconds: now.saturating_duration_since(status.opened).as_secs(),
                    protocol: protocol_name(flow.protocol),
                    source: flow.source.to_string(),
                    destination: flow.destination.to_string(),
                    translated_source: changed(flow.source, flow.translated_source),
                    translated_destination: changed(flow.destination, flow.translated_destination),
                });
            }
        }
        flows
    }

    fn user_lines(&self, now: Instant) -> Users {
        let failures = self.book.journal.failures(now);
        let mut users: BTreeMap<String, UserStatus> = BTreeMap::new();
        for (name, user) in &self.config.users {
            let entry = users.entry(name.clone()).or_default();
            entry.fixed_address = user.address.map(|a| a.to_string());
        }
        for session in self.sessions.values().filter(|s| !s.user.is_empty()) {
            let entry = users.entry(session.user.clone()).or_default();
            entry.connections.push(session.peer.number());
            entry.bytes_in += session.bytes_in;
            entry.bytes_out += session.bytes_out;
        }
        let lines = users.into_iter().map(|(name, user)| UserStatus {
            last_error: failures.get(name.as_str()).cloned(),
            name,
            ..user
        });
        Users {
            users: lines.collect(),
        }
    }

    fn explain(&self, now: Instant, who: &str) -> Explanation {
        let journal = &self.book.journal;
        let address = who.parse::<IpAddr>().ok();
        let attempts = match address {
            Some(address) => journal.of_address(now, address),
            None => journal.of_user(now, who),
        };
        let concerns = |line: &SessionStatus| match address {
            Some(address) => {
                let outer = line.peer.parse::<SocketAddr>().map(|peer| peer.ip());
                outer == Ok(address) || line.address.as_deref() == Some(who)
            }
            None => line.user.as_deref() == Some(who),
        };
        let mut connected = self.session_lines(now);
        connected.retain(concerns);
        Explanation {
            who: who.to_owned(),
            connected,
            attempts,
        }
    }

    /// Ends connections, by number or by user.
    fn kick(&mut self, now: Instant, who: &str) -> Result<Kicked, Refusal> {
        let number = who.parse::<u64>().ok();
        let of_number = self.book.live().find(|(id, _)| Some(id.number()) == number);
        let peers: Vec<_> = match of_number {
            Some((id, _)) => vec![id],
            None => {
                let theirs = self.sessions.values().filter(|s| s.user == who);
                theirs.map(|s| s.peer).collect()
            }
        };
        if peers.is_empty() {
            return Err(Refusal::no_such(&format!("session or user {who:?}")));
        }
        for peer in &peers {
            let calls = self.sessions.iter().filter(|(_, s)| s.peer == *peer);
            let calls: Vec<_> = calls.map(|(id, _)| *id).collect();
            for call in &calls {
                self.stack.hang_up(now, *call, "ended by the administrator");
            }
            if calls.is_empty() {
                self.stack.disconnect(now, *peer);
            }
        }
        self.drain(now);
        Ok(Kicked {
            kicked: peers.into_iter().map(PeerId::number).collect(),
        })
    }

    /// Every reason for which something was dropped or refused.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for (reason, count) in self.stack.drops() {
            *counts.entry((layer_of(reason), reason)).or_default() += count;
        }
        for (reason, count) in self.firewall.drops() {
            *counts.entry(("firewall", reason.reason())).or_default() += count;
        }
        for (reason, count) in self.aaa.drops() {
            *counts.entry(("radius", reason)).or_default() += count;
        }
        let tally = &self.book.tally;
        for ((stage, outcome), count) in &tally.negotiations {
            if *outcome != "success" {
                *counts.entry((stage.name(), outcome)).or_default() += count;
            }
        }
        for ((_, outcome), count) in &tally.authentications {
            if *outcome != "success" {
                *counts.entry(("authentication", outcome)).or_default() += count;
            }
        }
        let counters = counts.into_iter().map(|((layer, reason), count)| Counter {
            layer: layer.to_owned(),
            reason: reason.to_owned(),
            count,
        });
        Counters {
            counters: counters.collect(),
        }
    }
}

/// Which part counts by this word.
pub(super) fn layer_of(reason: &str) -> &'static str {
    const LAYERS: [&str; 5] = ["isakmp", "natt", "l2tp", "ppp", "firewall"];
    let prefix = reason.split('_').next().unwrap_or_default();
    let of_esp = || {
        let opening = esp::OpenError::ALL.iter().map(esp::OpenError::reason);
        let sealing = esp::SealError::ALL.iter().map(esp::SealError::reason);
        opening.chain(sealing).any(|known| known == reason)
    };
    let named = LAYERS.into_iter().find(|layer| *layer == prefix);
    named.unwrap_or_else(|| if of_esp() { "esp" } else { "gateway" })
}
