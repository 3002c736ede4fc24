//! Keeps one source from filling the log.

use super::Severity;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Lines that are counted together.
const WINDOW: Duration = Duration::from_secs(60);

/// Refusals of one kind from one source within a window at most.
const REFUSALS: u32 = 20;

/// Other lines of one kind from one source within a window at most.
const OTHERS: u32 = 200;

/// Sources and kinds that are told apart; the others share one place.
const PLACES: usize = 4096;

/// Counts lines of each kind and source.
#[derive(Debug, Default)]
pub(super) struct Limiter {
    places: HashMap<Option<(IpAddr, String)>, Place>,
}

#[derive(Debug)]
struct Place {
    since: Instant,
    lines: u32,
    suppressed: u64,
}

impl Limiter {
    /// The line as it may be written, with how many like it were not; none if it may not.
    ///
    /// What stands before its first `=` is its kind.
    pub(super) fn admit(
        &mut self,
        now: Instant,
        source: Option<IpAddr>,
        severity: Severity,
        text: String,
    ) -> Option<String> {
        let Some(source) = source else {
            return Some(text);
        };
        let kind = text.split('=').next().unwrap_or_default();
        let mut key = Some((source, kind.to_owned()));
        if self.places.len() >= PLACES && !self.places.contains_key(&key) {
            let fresh = |place: &Place| now.saturating_duration_since(place.since) < WINDOW;
            self.places.retain(|_, place| fresh(place));
            if self.places.len() >= PLACES {
                key = None;
            }
        }
        let place = self.places.entry(key).or_insert(Place {
            since: now,
            lines: 0,
            suppressed: 0,
        });
        if now.saturating_duration_since(place.since) >= WINDOW {
            (place.since, place.lines) = (now, 0);
        }
        let most = match severity {
            Severity::Info => OTHERS,
            Severity::Warning | Severity::Failure => REFUSALS,
        };
        if place.lines >= most {
            place.suppressed += 1;
            return None;
        }
        place.lines += 1;
        Some(match std::mem::take(&mut place.suppressed) {
            0 => text,
            suppressed => format!("{text} suppressed={suppressed}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Limiter, PLACES, REFUSALS, Severity, WINDOW};
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::Instant;

    #[test]
    #[allow(
        clippy::disallowed_methods,
        reason = "any start will do for virtual time"
    )]
    fn a_source_is_cut_off_and_what_is_left_out_is_counted() {
        let mut limiter = Limiter::default();
        let now = Instant::now();
        let source = |n: u32| Some(IpAddr::from(Ipv4Addr::from(n)));
        let line = || "negotiation refused reason=no_proposal_chosen".to_owned();
        let admitted =
            (0..100).filter_map(|_| limiter.admit(now, source(1), Severity::Failure, line()));
        assert_eq!(admitted.count(), usize::try_from(REFUSALS).unwrap());
        // Another kind and another source go on.
        assert!(
            limiter
                .admit(
                    now,
                    source(1),
                    Severity::Failure,
                    "auth failed user=x".into()
                )
                .is_some()
        );
        assert!(
            limiter
                .admit(now, source(2), Severity::Failure, line())
                .is_some()
        );
        let later = limiter.admit(now + WINDOW, source(1), Severity::Failure, line());
        assert_eq!(later.unwrap(), format!("{} suppressed=80", line()));
        // A flood from everywhere shares one place and takes no memory.
        for n in 0..100_000 {
            let _ = limiter.admit(now + WINDOW, source(n), Severity::Failure, line());
        }
        assert!(limiter.places.len() <= PLACES + 1);
    }
}
