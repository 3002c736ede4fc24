use crate::core::Severity;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Prints what happens, when, to whom, and with what outcome.
#[derive(Clone)]
pub(super) struct Timeline {
    start: Instant,
    print: fn(&str),
    failures: Arc<Mutex<usize>>,
}

impl Timeline {
    pub(super) fn new(start: Instant, print: fn(&str)) -> Self {
        Self {
            start,
            print,
            failures: Arc::default(),
        }
    }

    pub(super) fn step(
        &self,
        now: Instant,
        who: &str,
        layer: &str,
        severity: Severity,
        text: &str,
    ) {
        let mut line = String::new();
        let at = now.saturating_duration_since(self.start).as_secs_f64();
        let word = match severity {
            Severity::Info => "ok",
            Severity::Warning => "warn",
            Severity::Failure => "FAIL",
        };
        let _ = write!(line, "{at:>8.3}s  {who:<8} {layer:<5} {word:<4}  {text}");
        (self.print)(&line);
        if severity == Severity::Failure {
            *self.failures.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        }
    }

    pub(super) fn say(&self, text: &str) {
        (self.print)(text);
    }

    pub(super) fn failures(&self) -> usize {
        *self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
