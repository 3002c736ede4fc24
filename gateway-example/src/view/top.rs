//! `gateway top`: who uses how much, live.

use super::{bytes, clean, duration, rate};
use crate::core::{SessionStatus, Stage};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row, Table};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// From here on there is room for peer and time.
const WIDE: u16 = 110;

/// What is on the screen.
#[derive(Debug, Default)]
pub struct Top {
    clients: Vec<Client>,
    /// Bytes of each connection at the last look, by number and user.
    before: HashMap<(u64, Option<String>), (u64, u64)>,
    looked: Option<Instant>,
    first: usize,
    trouble: Option<String>,
}

#[derive(Debug)]
struct Client {
    session: SessionStatus,
    /// Bits in a second from and to the client.
    rates: (u64, u64),
}

impl Client {
    fn total(&self) -> u64 {
        self.rates.0.saturating_add(self.rates.1)
    }
}

impl Top {
    /// Takes what the gateway has answered; rates are over the time since the last.
    pub fn update(&mut self, now: Instant, sessions: Vec<SessionStatus>) {
        self.trouble = None;
        let past = self.looked.replace(now);
        let past = past.map(|at| now.saturating_duration_since(at));
        let mut before = HashMap::new();
        self.clients = sessions
            .into_iter()
            .map(|session| {
                let key = (session.id, session.user.clone());
                let is = (session.bytes_in, session.bytes_out);
                let was = self.before.get(&key).copied();
                before.insert(key, is);
                let rates = match (was, past) {
                    (Some(was), Some(past)) => (bits(was.0, is.0, past), bits(was.1, is.1, past)),
                    _ => (0, 0),
                };
                Client { session, rates }
            })
            .collect();
        self.before = before;
        self.clients
            .sort_by_key(|c| (std::cmp::Reverse(c.total()), c.session.id));
        self.scroll(0);
    }

    /// Says that the gateway did not answer; what was seen last stays.
    pub fn fail(&mut self, why: &str) {
        self.trouble = Some(clean(why));
    }

    /// Goes down by as many lines, or up.
    pub fn scroll(&mut self, lines: isize) {
        let last = self.clients.len().saturating_sub(1);
        self.first = self.first.saturating_add_signed(lines).min(last);
    }

    /// Draws everything.
    pub fn draw(&self, frame: &mut Frame<'_>) {
        let areas = Layout::vertical([
            Constraint::Length(2),
            Constraint::Min(1),
            Constraint::Length(1),
        ]);
        let [head, body, foot] = areas.areas(frame.area());
        frame.render_widget(self.heading(), head);
        frame.render_widget(self.table(body.width), body);
        let keys = "q quit   up/down scroll";
        let line = match &self.trouble {
            Some(trouble) => Line::styled(trouble.clone(), Style::new().fg(Color::Red)),
            None => Line::styled(keys, Style::new().add_modifier(Modifier::DIM)),
        };
        frame.render_widget(line, foot);
    }

    fn heading(&self) -> Paragraph<'_> {
        let sum = |of: fn(&Client) -> u64| self.clients.iter().map(of).fold(0, u64::saturating_add);
        let up = |c: &&Client| c.session.state == Stage::Connected;
        let text = format!(
            "gateway top: {} connected, in {}, out {}",
            self.clients.iter().filter(up).count(),
            rate(sum(|c| c.rates.0)),
            rate(sum(|c| c.rates.1)),
        );
        Paragraph::new(Line::styled(
            text,
            Style::new().add_modifier(Modifier::BOLD),
        ))
    }

    fn table(&self, width: u16) -> Table<'_> {
        let wide = width >= WIDE;
        let most = self.clients.iter().map(Client::total).max().unwrap_or(0);
        let right = |text: String| Cell::new(Line::raw(text).right_aligned());
        let mut headings = vec!["ID", "USER", "ADDRESS", "IN", "OUT"];
        let mut widths = [5, 14, 15, 11, 11].map(Constraint::Length).to_vec();
        if wide {
            headings.extend(["PEER", "UP", "BYTES"]);
            widths.extend([21, 7, 9].map(Constraint::Length));
        }
        headings.push("");
        widths.push(Constraint::Min(8));
        let fixed = if wide { 93 + 8 } else { 56 + 5 };
        let room = width.saturating_sub(fixed);
        let rows = self.clients.iter().skip(self.first).map(|client| {
            let s = &client.session;
            let dash = |text: &Option<String>| text.as_deref().map_or("-".into(), clean);
            let mut cells = vec![
                right(s.id.to_string()),
                Cell::new(dash(&s.user)),
                Cell::new(dash(&s.address)),
                right(rate(client.rates.0)),
                right(rate(client.rates.1)),
            ];
            if wide {
                cells.push(Cell::new(s.peer.clone()));
                cells.push(right(duration(s.uptime_seconds)));
                cells.push(right(bytes(s.bytes_in.saturating_add(s.bytes_out))));
            }
            cells.push(Cell::new(bar(client.rates, most, room)));
            Row::new(cells)
        });
        let headings = headings.into_iter().map(|heading| {
            let line = Line::raw(heading);
            let to_the_right = ["ID", "IN", "OUT", "UP", "BYTES"].contains(&heading);
            Cell::new(if to_the_right {
                line.right_aligned()
            } else {
                line
            })
        });
        let style = Style::new().add_modifier(Modifier::REVERSED);
        Table::new(rows, widths).header(Row::new(headings).style(style))
    }
}

fn bits(was: u64, is: u64, past: Duration) -> u64 {
    let bits = u128::from(is.saturating_sub(was)) * 8 * 1_000_000;
    let rate = bits / past.as_micros().max(1);
    u64::try_from(rate).unwrap_or(u64::MAX)
}

/// A bar for both directions, as long as the share of the busiest client.
fn bar(rates: (u64, u64), most: u64, room: u16) -> Line<'static> {
    let eighths = |rate: u64| {
        let share = u128::from(rate) * u128::from(room) * 8 / u128::from(most.max(1));
        usize::try_from(share).unwrap_or(0)
    };
    let (inward, both) = (
        eighths(rates.0) / 8,
        eighths(rates.0.saturating_add(rates.1)),
    );
    let full = both / 8;
    let rest = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let rest = rest.get(both % 8).copied().unwrap_or_default();
    let outward = format!("{}{rest}", "█".repeat(full.saturating_sub(inward)));
    Line::from(vec![
        Span::styled("█".repeat(inward), Style::new().fg(Color::Cyan)),
        Span::styled(outward, Style::new().fg(Color::Green)),
    ])
}

#[cfg(test)]
mod tests {
    use super::Top;
    use crate::core::{SessionStatus, Stage};
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use std::time::{Duration, Instant};

    fn client(id: u64, user: &str, bytes_in: u64, bytes_out: u64) -> SessionStatus {
        SessionStatus {
            id,
            state: Stage::Connected,
            user: Some(user.into()),
            address: Some(format!("192.168.200.{}", 9 + id)),
            peer: "203.0.113.9:4500".into(),
            bytes_in,
            bytes_out,
            ..SessionStatus::default()
        }
    }

    fn screen(top: &Top, width: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, 24)).unwrap();
        terminal.draw(|frame| top.draw(frame)).unwrap();
        let text = terminal.backend().to_string();
        let lines = text
            .lines()
            .map(|line| line.trim_matches('"').trim_end().to_owned());
        lines.collect()
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "any start will do for virtual time"
    )]
    fn two_looks() -> Top {
        let mut top = Top::default();
        let start = Instant::now();
        top.update(start, vec![client(1, "ann", 0, 0), client(2, "bob", 0, 0)]);
        let after = vec![
            client(1, "ann", 1000, 0),
            client(2, "bob", 125_000, 375_000),
        ];
        top.update(start + Duration::from_secs(1), after);
        top
    }

    #[test]
    fn the_busiest_comes_first_with_the_longest_bar() {
        let lines = screen(&two_looks(), 80);
        assert_eq!(
            lines[0],
            "gateway top: 2 connected, in 1.0 Mbit/s, out 3.0 Mbit/s"
        );
        assert!(lines[3].contains("bob"), "{lines:#?}");
        assert!(
            lines[3].contains("1.0 Mbit/s  3.0 Mbit/s ███"),
            "{lines:#?}"
        );
        assert!(lines[4].contains("ann"), "{lines:#?}");
        assert!(lines[4].contains("8.0 kbit/s     0 bit/s"), "{lines:#?}");
        assert!(!lines[4].contains('█'), "{lines:#?}");
        assert_eq!(lines[23], "q quit   up/down scroll");
        assert!(lines.iter().all(|line| line.chars().count() <= 80));
    }

    #[test]
    fn only_who_is_connected_is_counted() {
        let mut top = two_looks();
        let still = SessionStatus::default();
        let start = top.looked.unwrap();
        top.update(start, vec![client(1, "ann", 0, 0), still]);
        assert!(screen(&top, 80)[0].starts_with("gateway top: 1 connected"));
    }

    #[test]
    fn a_wide_terminal_shows_the_peer() {
        let lines = screen(&two_looks(), 120);
        assert!(lines[3].contains("203.0.113.9:4500"), "{lines:#?}");
    }

    #[test]
    fn trouble_and_a_tiny_terminal_are_shown_all_the_same() {
        let mut top = two_looks();
        top.fail("no gateway is running\u{1b}[2J");
        let lines = screen(&top, 80);
        assert_eq!(lines[23], "no gateway is running\\u{1b}[2J");
        let mut terminal = Terminal::new(TestBackend::new(3, 2)).unwrap();
        terminal.draw(|frame| top.draw(frame)).unwrap();
    }

    #[test]
    fn scrolling_stays_within_the_list() {
        let mut top = two_looks();
        top.scroll(5);
        assert!(screen(&top, 80)[3].contains("ann"));
        top.scroll(-5);
        assert!(screen(&top, 80)[3].contains("bob"));
    }
}
