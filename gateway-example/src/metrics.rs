//! Prometheus' text exposition of a gateway.

use std::fmt::{Display, Write as _};
use std::time::Duration;

/// What goes before every name.
const PREFIX: &str = "gateway_";

/// Text in the format that Prometheus reads, version 0.0.4.
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
}

/// What a family of metrics is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts in buckets.
    Histogram,
}

/// A family of metrics, to which samples are added.
#[derive(Debug)]
pub struct Family<'a> {
    text: &'a mut String,
    name: String,
}

impl Exposition {
    /// Begins a family; each only once.
    pub fn family(&mut self, name: &str, kind: Kind, help: &str) -> Family<'_> {
        // What every process is expected to have keeps its name.
        let prefix = if name.starts_with("process_") {
            ""
        } else {
            PREFIX
        };
        let name = format!("{prefix}{name}");
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        Family {
            text: &mut self.text,
            name,
        }
    }

    /// The whole text.
    #[must_use]
    pub fn into_text(self) -> String {
        self.text
    }
}

impl Family<'_> {
    /// Adds a sample.
    pub fn sample<const N: usize>(&mut self, labels: [(&str, &str); N], value: impl Display) {
        self.line("", &labels, value);
    }

    /// Adds a histogram; `bounds` in seconds, with how many were at most that.
    pub fn histogram(&mut self, bounds: &[(f64, u64)], count: u64, sum: f64) {
        for (bound, below) in bounds {
            self.line("_bucket", &[("le", &bound.to_string())], below);
        }
        self.line("_bucket", &[("le", "+Inf")], count);
        self.line("_sum", &[], sum);
        self.line("_count", &[], count);
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        let _ = write!(self.text, "{}{suffix}", self.name);
        for (i, (label, text)) in labels.iter().enumerate() {
            let before = if i == 0 { '{' } else { ',' };
            let text = text
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n");
            let _ = write!(self.text, "{before}{label}=\"{text}\"");
        }
        let end = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{end} {value}");
    }
}

/// Adds what is known of the process: how long it is `up`, and packets that were not sent.
pub fn expose_process(to: &mut Exposition, up: Duration, since_epoch: Duration, not_sent: u64) {
    to.family("uptime_seconds", Kind::Gauge, "Since the gateway started")
        .sample([], up.as_secs());
    to.family(
        "not_sent_packets_total",
        Kind::Counter,
        "Packets that the system did not take, for want of room",
    )
    .sample([], not_sent);
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    let resident = resident.and_then(|l| l.trim().split(' ').next()?.parse::<u64>().ok());
    if let Some(kib) = resident {
        to.family(
            "process_resident_memory_bytes",
            Kind::Gauge,
            "Memory in use",
        )
        .sample([], kib.saturating_mul(1024));
    }
    to.family("process_start_time_seconds", Kind::Gauge, "Since 1970")
        .sample([], since_epoch.saturating_sub(up).as_secs());
}
