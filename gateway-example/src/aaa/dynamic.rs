//! What RADIUS servers want changed while a call lasts (RFC 5176).

use super::{Aaa, CallId, Cause, Timer, idle_check};
use crate::radius::{Change, DynamicRequest, ErrorCause, Selector};
use std::time::{Duration, Instant};

impl Aaa {
    pub(super) fn on_dynamic(&mut self, now: Instant, request: &DynamicRequest) {
        let answer = self.change(now, request);
        let what = match request.change {
            Change::Disconnect => "disconnect",
            _ => "change of authorization",
        };
        let text = match answer {
            Ok(calls) => format!("{what} by RADIUS server {} calls={calls}", request.from),
            Err(cause) => format!(
                "{what} by RADIUS server {} refused cause={cause:?}",
                request.from
            ),
        };
        self.note(None, answer.is_ok(), text);
        if let Some(radius) = &mut self.radius {
            radius.answer(request, answer.map(|_| ()));
        }
    }

    /// Does it; how many calls it concerned.
    fn change(&mut self, now: Instant, request: &DynamicRequest) -> Result<usize, ErrorCause> {
        if let Change::Unsupported(cause) = request.change {
            return Err(cause);
        }
        let calls = self.select(&request.selector)?;
        for id in &calls {
            match request.change {
                Change::Times {
                    session_timeout,
                    idle_timeout,
                    interim_interval,
                } => self.set_times(now, *id, session_timeout, idle_timeout, interim_interval),
                _ => self.hang_up(*id, Cause::AdminReset, "disconnected by the administrator"),
            }
        }
        Ok(calls.len())
    }

    fn select(&self, selector: &Selector) -> Result<Vec<CallId>, ErrorCause> {
        let settings = self.config.radius.as_ref();
        let ours = settings.map_or("", |r| r.nas_identifier.as_str());
        let named = selector.nas_identifier.as_deref();
        let address = settings.and_then(|r| r.nas_address);
        if named.is_some_and(|name| name != ours.as_bytes())
            || selector.nas_address.is_some_and(|a| Some(a) != address)
        {
            return Err(ErrorCause::NasIdentificationMismatch);
        }
        let fits = |id: CallId| {
            let call = self.calls.get(&id)?;
            let login = call.login.as_ref().filter(|_| call.ended.is_none())?;
            let user = selector.user.as_ref();
            let session = selector.session_id.as_ref();
            let station = selector.calling_station.as_ref();
            let peer = call.caller.peer.ip().to_string();
            let fits = user.is_none_or(|u| *u == login.raw_user)
                && session.is_none_or(|s| *s == self.session_id(id).into_bytes())
                && station.is_none_or(|s| *s == peer.into_bytes())
                && selector.port.is_none_or(|p| u64::from(p) == id.0)
                && selector.address.is_none_or(|a| a == login.address);
            fits.then_some(id)
        };
        let calls: Vec<_> = self.calls.keys().filter_map(|id| fits(*id)).collect();
        if calls.is_empty() {
            return Err(ErrorCause::SessionContextNotFound);
        }
        Ok(calls)
    }

    /// Other times; zero means none.
    fn set_times(
        &mut self,
        now: Instant,
        id: CallId,
        session: Option<Duration>,
        idle: Option<Duration>,
        interim: Option<Duration>,
    ) {
        let Some(login) = self.calls.get_mut(&id).and_then(|c| c.login.as_mut()) else {
            return;
        };
        let some = |t: Duration| Some(t).filter(|t| !t.is_zero());
        if let Some(t) = session {
            login.grant.session_timeout = some(t);
        }
        if let Some(t) = idle {
            login.grant.idle_timeout = some(t);
        }
        if let Some(t) = interim {
            login.grant.interim_interval = some(t).map(|t| t.max(super::login::MIN_INTERIM));
        }
        let Some(opened) = login.opened else {
            return;
        };
        let (session_timeout, idle_timeout, interim_interval) = (
            login.grant.session_timeout,
            login.grant.idle_timeout,
            login.grant.interim_interval,
        );
        if session.is_some() {
            let at = session_timeout.map(|t| (opened + t).max(now));
            self.set_timer(id, Timer::Session, at);
        }
        if idle.is_some() {
            self.set_timer(id, Timer::Idle, idle_timeout.map(|t| now + idle_check(t)));
        }
        if interim.is_some() {
            self.set_timer(id, Timer::Interim, interim_interval.map(|t| now + t));
        }
    }
}
