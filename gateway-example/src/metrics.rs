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

/// How long something took, counted in buckets.
#[derive(Debug, Clone, Default)]
pub struct Histogram {
    /// How many took at most each of [`Histogram::BOUNDS`].
    buckets: [u64; Self::BOUNDS.len()],
    count: u64,
    sum: Duration,
}

impl Histogram {
    /// Upper bounds in milliseconds: those that Prometheus' clients have where nothing is said.
    const BOUNDS: [u64; 11] = [5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000];

    /// Counts one more.
    pub fn observe(&mut self, took: Duration) {
        for (bucket, bound) in self.buckets.iter_mut().zip(Self::BOUNDS) {
            *bucket += u64::from(took <= Duration::from_millis(bound));
        }
        self.count += 1;
        self.sum += took;
    }

    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }
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

    /// Adds a histogram, in seconds.
    pub fn histogram(&mut self, of: &Histogram) {
        for (bound, below) in Histogram::BOUNDS.into_iter().zip(of.buckets) {
            let seconds = Duration::from_millis(bound).as_secs_f64();
            self.line("_bucket", &[("le", &seconds.to_string())], below);
        }
        self.line("_bucket", &[("le", "+Inf")], of.count);
        self.line("_sum", &[], of.sum.as_secs_f64());
        self.line("_count", &[], of.count);
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

/// What came of taking the configuration anew, and when.
#[derive(Debug, Clone)]
pub struct Reloads {
    taken: u64,
    refused: u64,
    last_was_taken: bool,
    /// Since 1970.
    taken_at: Duration,
}

impl Reloads {
    /// The configuration was taken when the gateway started, at this time since 1970.
    #[must_use]
    pub fn new(started: Duration) -> Self {
        Self {
            taken: 0,
            refused: 0,
            last_was_taken: true,
            taken_at: started,
        }
    }

    /// It was taken anew, or refused, at this time since 1970.
    pub fn note(&mut self, taken: bool, at: Duration) {
        self.last_was_taken = taken;
        if taken {
            self.taken += 1;
            self.taken_at = at;
        } else {
            self.refused += 1;
        }
    }

    /// Adds all that is known of them.
    pub fn expose(&self, to: &mut Exposition) {
        let help = "Configurations taken while running, and refused";
        let mut family = to.family("config_reloads_total", Kind::Counter, help);
        family.sample([("result", "success")], self.taken);
        family.sample([("result", "failure")], self.refused);
        let help = "Whether the last reload was taken";
        to.family("config_last_reload_successful", Kind::Gauge, help)
            .sample([], u8::from(self.last_was_taken));
        let help = "When the configuration in use was taken, since 1970";
        to.family("config_last_reload_timestamp_seconds", Kind::Gauge, help)
            .sample([], self.taken_at.as_secs());
    }
}
