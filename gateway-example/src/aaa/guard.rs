//! Against guessing: a wrong password is answered late, and the next guess waits for that answer.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// No login is held longer: clients give up, and so does PPP.
pub(super) const LONGEST: Duration = Duration::from_secs(10);
/// Pairs of address and user remembered at most.
const REMEMBERED: usize = 4096;

/// When the last refusal for an address and a user goes out.
///
/// By both, since many clients share the address of a NAT, and a stranger must not lock a user out.
#[derive(Debug, Default)]
pub(super) struct Guard {
    until: HashMap<(IpAddr, String), Instant>,
}

impl Guard {
    /// From when a login may be judged, if not at once.
    pub(super) fn wait(&self, now: Instant, from: IpAddr, user: &str) -> Option<Instant> {
        let until = self.until.get(&(from, user.to_owned())).copied();
        until.filter(|at| *at > now)
    }

    /// A login has failed: when to say so.
    pub(super) fn failed(
        &mut self,
        now: Instant,
        from: IpAddr,
        user: &str,
        delay: Duration,
    ) -> Instant {
        let at = now + delay;
        if self.until.len() >= REMEMBERED {
            self.until.retain(|_, until| *until > now);
        }
        if self.until.len() < REMEMBERED {
            self.until.insert((from, user.to_owned()), at);
        }
        at
    }
}
