//! What people see: answers of a running gateway as tables.

mod format;
#[cfg(test)]
mod tests;
#[cfg(feature = "top")]
mod top;

pub use format::{bytes, clean, duration, rate};
#[cfg(feature = "top")]
pub use top::Top;

use crate::core::{
    AttemptStatus, CaptureStatus, Counters, Explanation, Flows, KeylogStatus, Kicked, LastError,
    Metrics, Sas, SessionDetail, SessionStatus, Sessions, Status, Users,
};
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use std::fmt::Write as _;

/// An answer that people can read.
pub trait View {
    /// As text, without a line feed at the end.
    fn view(&self) -> String;
}

/// A table without lines; columns whose heading begins with `>` go to the right.
fn table<const N: usize>(
    headings: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(headings.map(|h| h.trim_start_matches('>')));
    for row in rows {
        table.add_row(row);
    }
    for (column, heading) in table.column_iter_mut().zip(headings) {
        column.set_padding((0, 2));
        if heading.starts_with('>') {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let lines: Vec<_> = table.lines().map(|l| l.trim_end().to_owned()).collect();
    lines.join("\n")
}

fn or_dash(text: Option<&str>) -> String {
    text.filter(|t| !t.is_empty())
        .map_or_else(|| "-".to_owned(), clean)
}

fn ago(error: Option<&LastError>) -> String {
    error.map_or_else(
        || "-".to_owned(),
        |e| format!("{} {} ago", clean(&e.reason), duration(e.seconds_ago)),
    )
}

fn plural(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn session_table(sessions: &[SessionStatus]) -> String {
    let rows = sessions.iter().map(|s| {
        [
            s.id.to_string(),
            or_dash(s.user.as_deref()),
            or_dash(s.address.as_deref()),
            s.state.name().to_owned(),
            s.peer.clone(),
            s.nat.name().to_owned(),
            or_dash(Some(&s.esp_suite)),
            duration(s.uptime_seconds),
            bytes(s.bytes_in),
            bytes(s.bytes_out),
            ago(s.last_error.as_ref()),
        ]
    });
    table(
        [
            ">ID",
            "USER",
            "ADDRESS",
            "STATE",
            "PEER",
            "NAT",
            "ESP",
            ">UP",
            ">IN",
            ">OUT",
            "LAST ERROR",
        ],
        rows,
    )
}

impl View for Status {
    fn view(&self) -> String {
        let mut text = format!(
            "gateway {}, up {}\n{}, {}, {}, {}, {}, {}",
            self.version,
            duration(self.uptime_seconds),
            plural(self.isakmp_sas, "ISAKMP SA"),
            plural(self.esp_sas, "ESP SA pair"),
            plural(self.l2tp_tunnels, "tunnel"),
            plural(self.l2tp_sessions, "session"),
            plural(self.flows, "flow"),
            if self.addresses_in_use == 1 {
                "1 address in use".to_owned()
            } else {
                format!("{} addresses in use", self.addresses_in_use)
            },
        );
        if self.key_log {
            text.push_str("\nwarning: session keys are being written");
        }
        if self.capture {
            text.push_str("\nwarning: packets are being captured");
        }
        if !self.sessions.is_empty() {
            let _ = write!(text, "\n\n{}", session_table(&self.sessions));
        }
        let dropped: u64 = self.drops.values().sum();
        if dropped > 0 {
            let _ = write!(
                text,
                "\n\n{dropped} packets dropped, `gateway counters` says why"
            );
        }
        text
    }
}

impl View for Sessions {
    fn view(&self) -> String {
        if self.sessions.is_empty() {
            return "nobody is connected".to_owned();
        }
        session_table(&self.sessions)
    }
}

impl View for SessionDetail {
    fn view(&self) -> String {
        let s = &self.session;
        let facts = [
            ("session", s.id.to_string()),
            ("state", s.state.name().to_owned()),
            ("user", or_dash(s.user.as_deref())),
            ("address", or_dash(s.address.as_deref())),
            ("host", or_dash(s.host.as_deref())),
            ("peer", s.peer.clone()),
            ("behind NAT", s.nat.name().to_owned()),
            ("IKE", or_dash(Some(&s.ike_suite))),
            ("ESP", or_dash(Some(&s.esp_suite))),
            ("up", duration(s.uptime_seconds)),
            ("in", bytes(s.bytes_in)),
            ("out", bytes(s.bytes_out)),
            ("last error", ago(s.last_error.as_ref())),
        ];
        let mut text = String::new();
        for (name, value) in facts {
            let _ = writeln!(text, "{name:<12}{value}");
        }
        let _ = write!(text, "\n{}", self.sas.view());
        if self.flows.total > 0 {
            let _ = write!(text, "\n\n{}", self.flows.view());
        }
        text
    }
}

impl View for Sas {
    fn view(&self) -> String {
        if self.isakmp.is_empty() && self.esp.is_empty() {
            return "no SAs".to_owned();
        }
        let isakmp = self.isakmp.iter().map(|sa| {
            [
                "IKE".to_owned(),
                sa.id.to_string(),
                sa.peer.clone(),
                sa.suite.clone(),
                format!("NAT {}", sa.nat.name()),
                "-".to_owned(),
                "-".to_owned(),
                duration(sa.age_seconds),
            ]
        });
        let esp = self.esp.iter().map(|sa| {
            let carrier = if sa.udp_encapsulation {
                "UDP"
            } else {
                "IP protocol 50"
            };
            [
                "ESP".to_owned(),
                sa.id.to_string(),
                sa.peer.clone(),
                sa.suite.clone(),
                carrier.to_owned(),
                sa.spi_in.clone(),
                sa.spi_out.clone(),
                duration(sa.age_seconds),
            ]
        });
        table(
            [
                "SA", ">ID", "PEER", "SUITE", "CARRIER", "SPI IN", "SPI OUT", ">AGE",
            ],
            isakmp.chain(esp),
        )
    }
}

impl Sas {
    /// As `ip xfrm state` shows ESP SAs, without keys; for scripts that read that.
    #[must_use]
    pub fn ip_xfrm(&self) -> String {
        let mut text = String::new();
        let address = |end: &str| {
            end.rsplit_once(':')
                .map_or(end.to_owned(), |(ip, _)| ip.to_owned())
        };
        let port = |end: &str| {
            end.rsplit_once(':')
                .map_or(String::new(), |(_, p)| p.to_owned())
        };
        for sa in &self.esp {
            let directions = [
                (&sa.peer, &sa.local, &sa.spi_in),
                (&sa.local, &sa.peer, &sa.spi_out),
            ];
            for (source, destination, spi) in directions {
                let _ = writeln!(text, "src {} dst {}", address(source), address(destination));
                let _ = writeln!(
                    text,
                    "\tproto esp spi 0x{spi} reqid {} mode transport",
                    sa.id
                );
                if sa.udp_encapsulation {
                    let _ = writeln!(
                        text,
                        "\tencap type espinudp sport {} dport {} addr 0.0.0.0",
                        port(source),
                        port(destination)
                    );
                }
            }
        }
        text.pop();
        text
    }
}

impl View for Flows {
    fn view(&self) -> String {
        if self.total == 0 {
            return "no flows".to_owned();
        }
        let rows = self.flows.iter().map(|flow| {
            let end = |end: &str, translated: Option<&str>| match translated {
                Some(translated) => format!("{end} as {translated}"),
                None => end.to_owned(),
            };
            [
                or_dash(flow.user.as_deref()),
                flow.protocol.clone(),
                flow.state.clone(),
                duration(flow.age_seconds),
                end(&flow.source, flow.translated_source.as_deref()),
                end(&flow.destination, flow.translated_destination.as_deref()),
            ]
        });
        let mut text = table(["USER", "PROTOCOL", "STATE", ">AGE", "FROM", "TO"], rows);
        if self.total > self.flows.len() {
            let _ = write!(text, "\n... and {} more", self.total - self.flows.len());
        }
        text
    }
}

impl View for Users {
    fn view(&self) -> String {
        if self.users.is_empty() {
            return "no users".to_owned();
        }
        let rows = self.users.iter().map(|user| {
            let numbers: Vec<_> = user.connections.iter().map(u64::to_string).collect();
            [
                clean(&user.name),
                or_dash(user.fixed_address.as_deref()),
                or_dash(Some(&numbers.join(","))),
                bytes(user.bytes_in),
                bytes(user.bytes_out),
                ago(user.last_error.as_ref()),
            ]
        });
        table(
            [
                "USER",
                "OWN ADDRESS",
                "SESSIONS",
                ">IN",
                ">OUT",
                "LAST ERROR",
            ],
            rows,
        )
    }
}

impl View for Explanation {
    fn view(&self) -> String {
        let who = clean(&self.who);
        let mut text = String::new();
        if self.connected.is_empty() {
            let _ = writeln!(text, "{who} is not connected.");
        } else {
            let _ = writeln!(
                text,
                "{who} is connected:\n{}",
                session_table(&self.connected)
            );
        }
        if self.attempts.is_empty() && self.connected.is_empty() {
            text.push_str(
                "No attempt is known. If one was made, no packet of it has come: see that UDP 500 and 4500 reach\n\
                 this gateway (Windows shows error 809), and that the client calls the right address.",
            );
        }
        for attempt in &self.attempts {
            let _ = writeln!(text, "\n{}", attempt.view());
        }
        text.trim_end().to_owned()
    }
}

impl View for AttemptStatus {
    fn view(&self) -> String {
        let mut text = format!("{} ago", duration(self.last_seconds_ago));
        if self.times > 1 {
            let first = duration(self.first_seconds_ago);
            let _ = write!(text, ", {} times since {first} ago", self.times);
        }
        let _ = write!(text, ", from {}", self.peer);
        if let Some(host) = &self.host {
            let _ = write!(text, " ({})", clean(host));
        }
        if let Some(user) = &self.user {
            let _ = write!(text, ", user {}", clean(user));
        }
        let what = if self.connected {
            "connected, then"
        } else {
            "failed in"
        };
        let stage = match self.connected {
            true => String::new(),
            false => format!(" {}", self.stage.name()),
        };
        let _ = write!(text, ": {what}{stage} {}", clean(&self.reason));
        let _ = write!(text, "\n  what     {}", self.explanation);
        if let Some(number) = self.windows_error {
            let _ = write!(text, "; Windows shows error {number}");
        }
        if let Some(detail) = &self.detail {
            let _ = write!(text, "\n  detail   {}", clean(detail));
        }
        if let Some(advice) = &self.advice {
            let _ = write!(text, "\n  change   {}", clean(advice));
        }
        if let Some(id) = self.id {
            let _ = write!(text, "\n  log      conn={id}");
        }
        text
    }
}

impl View for Kicked {
    fn view(&self) -> String {
        let numbers: Vec<_> = self.kicked.iter().map(u64::to_string).collect();
        format!("ended: {}", numbers.join(", "))
    }
}

impl View for CaptureStatus {
    fn view(&self) -> String {
        let state = match (self.running, self.full) {
            (true, false) => "capturing to",
            (true, true) => "full:",
            (false, _) => "captured:",
        };
        let mut text = format!(
            "{state} {}, {} packets, {}",
            self.path.display(),
            self.packets,
            bytes(self.bytes)
        );
        if self.missed > 0 {
            let _ = write!(text, ", {} packets missed", self.missed);
        }
        text
    }
}

impl View for KeylogStatus {
    fn view(&self) -> String {
        match &self.folder {
            Some(folder) if self.on => format!(
                "session keys go to {}: whoever reads them can read the traffic",
                folder.display()
            ),
            _ => "session keys are not written".to_owned(),
        }
    }
}

impl View for Metrics {
    fn view(&self) -> String {
        self.text.trim_end().to_owned()
    }
}

impl View for Counters {
    fn view(&self) -> String {
        if self.counters.is_empty() {
            return "nothing was dropped or refused".to_owned();
        }
        let rows = self
            .counters
            .iter()
            .map(|c| [c.layer.clone(), c.reason.clone(), c.count.to_string()]);
        table(["LAYER", "REASON", ">COUNT"], rows)
    }
}
