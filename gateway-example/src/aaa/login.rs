//! A login: the proof, the limits, the address.

use super::accounting::Traffic;
use super::{Aaa, CallId, Cause, Event, Timer, guard};
use crate::config::{Config, Sessions, User};
use crate::pool::LeaseError;
use crate::radius::wire::{Encoder, kind, ms};
use crate::radius::{self, FramedAddress, Outcome, Request, Urgency};
use ppp::Claim;
use ppp::wire::MsChapFailure;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// A User-Name is no longer (RFC 2865 section 5).
const MAX_USER: usize = 253;
/// Longest password that RADIUS carries (RFC 2865 section 5.2).
const MAX_PASSWORD: usize = 128;
/// Interim records are not sent more often, whatever a server wants (RFC 2869 section 5.16).
pub(super) const MIN_INTERIM: Duration = Duration::from_secs(60);

/// A login that is not answered yet.
#[derive(Debug)]
pub(super) struct Pending {
    user: String,
    request: ppp::AuthRequest,
    since: Instant,
    /// At the RADIUS servers.
    key: Option<u64>,
    /// Decided, and held back.
    answer: Option<ppp::Verdict>,
}

/// Who is in, and on what terms.
#[derive(Debug)]
pub(super) struct Login {
    pub(super) user: String,
    /// User-Name as sent.
    pub(super) raw_user: Vec<u8>,
    pub(super) address: Ipv4Addr,
    /// Whether the address is still this call's.
    pub(super) holds: bool,
    pub(super) grant: Grant,
    pub(super) opened: Option<Instant>,
    /// Traffic when last looked at, and since when it is the same.
    pub(super) idle_since: Option<(Traffic, Instant)>,
}

/// What a user gets.
#[derive(Debug, Default)]
pub(super) struct Grant {
    /// Decided by a RADIUS server.
    pub(super) remote: bool,
    address: Option<Ipv4Addr>,
    pool: String,
    sessions: Option<Sessions>,
    dns: [Option<Ipv4Addr>; 2],
    wins: [Option<Ipv4Addr>; 2],
    pub(super) session_timeout: Option<Duration>,
    pub(super) idle_timeout: Option<Duration>,
    pub(super) interim_interval: Option<Duration>,
    pub(super) class: Vec<Vec<u8>>,
}

/// Why somebody is not let in.
struct Refusal {
    /// A stable word.
    reason: &'static str,
    verdict: ppp::Verdict,
    /// Whether it may be a guess at a password.
    guess: bool,
}

impl Refusal {
    /// Wrong name or password.
    fn guess(reason: &'static str) -> Self {
        Self {
            reason,
            verdict: ppp::Verdict::refuse(),
            guess: true,
        }
    }

    /// The user is who it says, but may not come in.
    fn policy(reason: &'static str, message: &str) -> Self {
        Self {
            reason,
            verdict: reject(MsChapFailure::NO_DIALIN_PERMISSION, false, message),
            guess: false,
        }
    }

    /// Nothing the user has done.
    fn ours(reason: &'static str) -> Self {
        Self {
            reason,
            verdict: ppp::Verdict::refuse(),
            guess: false,
        }
    }
}

fn reject(code: u16, retry: bool, message: &str) -> ppp::Verdict {
    let message = if message.is_empty() {
        "Access denied"
    } else {
        message
    };
    ppp::Verdict::Reject {
        code,
        retry,
        message: message.to_owned(),
    }
}

impl Grant {
    fn local(config: &Config, user: &User) -> Self {
        Self {
            address: user.address,
            pool: user.pool.clone().unwrap_or_default(),
            sessions: user.sessions,
            session_timeout: user.session_timeout.or(config.aaa.session_timeout),
            idle_timeout: user.idle_timeout.or(config.aaa.idle_timeout),
            ..Self::defaults(config)
        }
    }

    fn remote(config: &Config, accept: radius::Accept) -> Self {
        let defaults = Self::defaults(config);
        let address = match accept.address {
            FramedAddress::Fixed(address) => Some(address),
            // What the client would like is not known before IPCP.
            FramedAddress::Ours | FramedAddress::Clients => None,
        };
        let or = |given: [Option<Ipv4Addr>; 2], ours| {
            if given == [None; 2] { ours } else { given }
        };
        Self {
            remote: true,
            address,
            pool: accept.pool.unwrap_or_default(),
            sessions: accept.port_limit.filter(|n| *n > 0).map(Sessions::AtMost),
            dns: or(accept.dns, defaults.dns),
            wins: or(accept.wins, defaults.wins),
            session_timeout: accept.session_timeout.or(config.aaa.session_timeout),
            idle_timeout: accept.idle_timeout.or(config.aaa.idle_timeout),
            interim_interval: accept
                .interim_interval
                .map(|t| t.max(MIN_INTERIM))
                .or(defaults.interim_interval),
            class: accept.class,
        }
    }

    fn defaults(config: &Config) -> Self {
        let two = |list: &[Ipv4Addr]| [list.first().copied(), list.get(1).copied()];
        Self {
            dns: two(&config.ppp.dns),
            wins: two(&config.ppp.wins),
            interim_interval: config.radius.as_ref().and_then(|r| r.interim_interval),
            ..Self::default()
        }
    }
}

impl Aaa {
    /// Somebody wants in: [`Event::Verdict`] is the answer, now or later.
    pub fn authenticate(&mut self, now: Instant, id: CallId, request: &ppp::AuthRequest) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let name = ppp::mschapv2::without_domain(request.user());
        let user = String::from_utf8_lossy(name).into_owned();
        call.pending = Some(Pending {
            user,
            request: request.clone(),
            since: now,
            key: None,
            answer: None,
        });
        for timer in [Timer::Begin, Timer::Answer] {
            self.set_timer(id, timer, None);
        }
        self.judge(now, id);
    }

    pub(super) fn judge(&mut self, now: Instant, id: CallId) {
        let Some(call) = self.calls.get(&id) else {
            return;
        };
        let Some(pending) = &call.pending else {
            return;
        };
        let from = call.caller.peer.ip();
        if let Some(at) = self.guard.wait(now, from, &pending.user) {
            if at > pending.since + guard::LONGEST {
                return self.refuse(now, id, Refusal::ours("too_many_guesses"));
            }
            return self.set_timer(id, Timer::Begin, Some(at));
        }
        let request = &pending.request;
        if pending.user.is_empty() || request.user().len() > MAX_USER {
            return self.refuse(now, id, Refusal::guess("bad_user_name"));
        }
        let user = self.config.users.get(&pending.user);
        let remote = self.radius.as_ref().is_some_and(|r| r.authenticates());
        if user.is_none() && remote {
            return self.ask(now, id);
        }
        // An unknown user takes the same path as a wrong password: the answer tells nothing.
        let password = user.map_or("", |u| u.password.expose());
        let proof = request.verify(password);
        match (user, proof) {
            (Some(user), Some(proof)) => {
                let grant = Grant::local(&self.config, user);
                self.admit(now, id, grant, proof);
            }
            (Some(_), None) => self.refuse(now, id, Refusal::guess("bad_password")),
            (None, _) => self.refuse(now, id, Refusal::guess("unknown_user")),
        }
    }

    /// Asks the RADIUS servers.
    fn ask(&mut self, now: Instant, id: CallId) {
        self.serial += 1;
        let key = self.serial;
        let mut attributes = self.common(id);
        let Some(pending) = self.calls.get_mut(&id).and_then(|c| c.pending.as_mut()) else {
            return;
        };
        attributes.bytes(kind::USER_NAME, pending.request.user());
        let password = prove(&pending.request, &mut attributes);
        let Ok(password) = password else {
            return self.refuse(now, id, Refusal::guess("bad_password"));
        };
        pending.key = Some(key);
        let mut request = Request::new(key, Urgency::Login, attributes);
        request.password = password;
        let radius = self.radius.as_mut();
        if radius.is_none_or(|r| r.access(now, request).is_err()) {
            return self.refuse(now, id, Refusal::ours("radius_queue_full"));
        }
        self.asked.insert(key, id);
        self.drain_radius(now);
    }

    pub(super) fn on_outcome(&mut self, now: Instant, key: u64, outcome: Outcome) {
        let Some(id) = self.asked.remove(&key) else {
            return;
        };
        let pending = self.calls.get(&id).and_then(|c| c.pending.as_ref());
        let Some(pending) = pending.filter(|p| p.key == Some(key)) else {
            return;
        };
        let refusal = match outcome {
            Outcome::Accept(accept) => {
                let needed = pending.request.method() == ppp::AuthMethod::MsChapV2;
                match accept.success.clone() {
                    None if needed => Refusal::ours("radius_no_ms_chap2_success"),
                    success => {
                        let proof = ppp::Proof::from_radius(&success.unwrap_or_default());
                        let grant = Grant::remote(&self.config, *accept);
                        return self.admit(now, id, grant, proof);
                    }
                }
            }
            Outcome::Reject(reject_) => {
                let error = reject_.error;
                let code = error.map_or(MsChapFailure::AUTHENTICATION_FAILURE, |e| e.code);
                let retry = error.is_some_and(|e| e.retry);
                Refusal {
                    reason: "radius_reject",
                    verdict: reject(code, retry, &reject_.message),
                    guess: true,
                }
            }
            Outcome::Unusable(error) => Refusal::ours(error.reason()),
            Outcome::NoReply => Refusal::ours("radius_no_reply"),
        };
        self.refuse(now, id, refusal);
    }

    /// The user is who it says: finds an address within the limits.
    fn admit(&mut self, now: Instant, id: CallId, grant: Grant, proof: ppp::Proof) {
        // A call has one login: a second one replaces the first.
        self.give_back(id);
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        call.login = None;
        let Some(pending) = &call.pending else {
            return;
        };
        let (user, raw_user) = (pending.user.clone(), pending.request.user().to_vec());
        let address = match self.find_address(id, &user, &grant) {
            Ok(address) => address,
            Err(refusal) => return self.refuse(now, id, refusal),
        };
        self.of_user.entry(user.clone()).or_default().insert(id);
        let mut assignment = ppp::Assignment::new(self.config.ppp.local, address);
        assignment.dns = grant.dns;
        assignment.wins = grant.wins;
        let by = if grant.remote { "radius" } else { "local" };
        let session = self.session_id(id);
        let text = format!("login user={user:?} address={address} by={by} session={session}");
        if let Some(call) = self.calls.get_mut(&id) {
            call.pending = None;
            call.login = Some(Login {
                user,
                raw_user,
                address,
                holds: true,
                grant,
                opened: None,
                idle_since: None,
            });
        }
        self.note(Some(id), true, text);
        self.events.push_back(Event::Verdict {
            call: id,
            verdict: ppp::Verdict::Accept { proof, assignment },
        });
    }

    /// Applies the session policy and leases an address.
    fn find_address(&mut self, id: CallId, user: &str, grant: &Grant) -> Result<Ipv4Addr, Refusal> {
        let sessions = grant.sessions.unwrap_or(self.config.aaa.sessions);
        let others: Vec<_> = self
            .of_user
            .get(user)
            .into_iter()
            .flatten()
            .copied()
            .collect();
        match sessions {
            Sessions::Any => {}
            Sessions::Replace => {
                for other in others {
                    self.replace(other);
                }
            }
            Sessions::Deny if !others.is_empty() => {
                return Err(Refusal::policy("already_connected", "Already connected"));
            }
            Sessions::AtMost(n) if others.len() >= usize::try_from(n).unwrap_or(usize::MAX) => {
                return Err(Refusal::policy("too_many_sessions", "Too many connections"));
            }
            Sessions::Deny | Sessions::AtMost(_) => {}
        }
        if let Some(own) = grant.address {
            if grant.remote && !self.may_be_given(own) {
                return Err(Refusal::ours("address_not_ours"));
            }
            let holder = self.leases.holder(own);
            let mine = |holder: CallId| {
                let calls = self.of_user.get(user);
                calls.is_some_and(|calls| calls.contains(&holder))
            };
            match holder {
                // The user's other devices get theirs from the pool.
                Some(holder) if mine(holder) && matches!(sessions, Sessions::AtMost(2..)) => {}
                Some(holder) if mine(holder) => {
                    // The user is back from elsewhere.
                    self.replace(holder);
                    self.leases.take(own, id);
                    return Ok(own);
                }
                Some(_) => return Err(Refusal::ours("address_in_use")),
                None => {
                    self.leases.take(own, id);
                    return Ok(own);
                }
            }
        }
        let lease = self.leases.lease(&grant.pool, user, id);
        lease.map_err(|e| match e {
            LeaseError::UnknownPool => Refusal::ours("unknown_pool"),
            LeaseError::Exhausted => Refusal::ours("no_address_free"),
        })
    }

    /// Whether an address that a RADIUS server names is routed to clients.
    fn may_be_given(&self, address: Ipv4Addr) -> bool {
        let networks = self.config.radius.iter().flat_map(|r| &r.addresses);
        let mut pools = self.config.pool.iter();
        address != self.config.ppp.local
            && (networks.into_iter().any(|n| n.contains(address))
                || pools.any(|pool| pool.contains(address)))
    }

    fn replace(&mut self, id: CallId) {
        self.hang_up(id, Cause::PortPreempted, "replaced by a new connection");
    }

    fn refuse(&mut self, now: Instant, id: CallId, refusal: Refusal) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let Some(pending) = call.pending.as_mut() else {
            return;
        };
        let from = call.caller.peer.ip();
        let user = &pending.user;
        let method = pending.request.method().name();
        // In the words that log watchers such as fail2ban look for: they stay as they are.
        let text = format!(
            "auth failed user={user:?} peer={from} method={method} reason={}",
            refusal.reason
        );
        let denied = Event::Denied {
            call: id,
            user: user.clone(),
            reason: refusal.reason,
        };
        pending.answer = Some(refusal.verdict);
        let delay = self.config.aaa.wrong_password_delay;
        let at = refusal
            .guess
            .then(|| self.guard.failed(now, from, user, delay));
        self.events.push_back(denied);
        self.note(Some(id), false, text);
        match at.filter(|at| *at > now) {
            Some(at) => self.set_timer(id, Timer::Answer, Some(at)),
            None => self.answer_now(id),
        }
    }

    /// Sends the answer that was held back.
    pub(super) fn answer_now(&mut self, id: CallId) {
        let pending = self.calls.get_mut(&id).and_then(|c| c.pending.take());
        if let Some(verdict) = pending.and_then(|p| p.answer) {
            self.events.push_back(Event::Verdict { call: id, verdict });
        }
    }
}

/// Adds the proof as RADIUS carries it; a PAP password has to be hidden for each server.
fn prove(
    request: &ppp::AuthRequest,
    attributes: &mut Encoder,
) -> Result<Option<Zeroizing<Vec<u8>>>, ()> {
    match request.claim() {
        Claim::Pap { password } => {
            if password.len() > MAX_PASSWORD {
                return Err(());
            }
            return Ok(Some(password.clone()));
        }
        Claim::ChapMd5 {
            id,
            challenge,
            response,
        } => {
            // RFC 2865 sections 5.3 and 5.40.
            let mut value = vec![*id];
            value.extend(response);
            attributes.bytes(kind::CHAP_PASSWORD, &value);
            attributes.bytes(kind::CHAP_CHALLENGE, challenge);
        }
        Claim::MsChapV2 {
            id,
            challenge,
            peer_challenge,
            nt_response,
        } => {
            // RFC 2548 sections 2.1.2 and 2.3.2.
            let mut value = vec![*id, 0];
            value.extend(peer_challenge);
            value.extend([0; 8]);
            value.extend(nt_response);
            attributes.vendor(ms::VENDOR, ms::CHAP_CHALLENGE, challenge);
            attributes.vendor(ms::VENDOR, ms::CHAP2_RESPONSE, &value);
        }
        _ => return Err(()),
    }
    Ok(None)
}
