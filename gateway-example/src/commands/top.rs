//! The live view.

use super::Outcome;
use super::ask::Common;
use gateway_example::control::Request;
use gateway_example::core::Sessions;
use gateway_example::io::{ask, now};
use gateway_example::view::Top;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use std::process::ExitCode;
use std::time::Duration;

/// Between two looks.
const PERIOD: Duration = Duration::from_secs(1);

/// As clap's own.
const WRONG_USAGE: u8 = 2;

pub(crate) async fn top(common: &Common) -> Outcome {
    if common.json {
        super::fail("this is for people: `gateway sessions --json` is for programs");
        return Ok(ExitCode::from(WRONG_USAGE));
    }
    let socket = common.socket()?;
    // Before the screen is taken over, so that a mistake is told as usual.
    if let Err(e) = ask(&socket, &Request::Sessions).await {
        return Ok(super::ask::unreachable(&e));
    }
    let mut terminal = ratatui::init();
    let mut view = Top::default();
    let result = loop {
        match ask(&socket, &Request::Sessions).await {
            Ok(answer) => match answer.read::<Sessions>() {
                Ok(sessions) => view.update(now(), sessions.sessions),
                Err(refusal) => view.fail(&refusal.message),
            },
            Err(e) => view.fail(&e.to_string()),
        }
        match watch(&mut terminal, &mut view).await {
            Ok(true) => {}
            Ok(false) => break Ok(ExitCode::SUCCESS),
            Err(e) => break Err(e.into()),
        }
    };
    ratatui::restore();
    result
}

/// Draws and waits for keys until the next look is due; false if it was time to go.
async fn watch(terminal: &mut ratatui::DefaultTerminal, view: &mut Top) -> std::io::Result<bool> {
    let due = now() + PERIOD;
    loop {
        terminal.draw(|frame| view.draw(frame))?;
        let left = due.saturating_duration_since(now());
        let pressed = tokio::task::spawn_blocking(move || {
            if event::poll(left)? {
                event::read().map(Some)
            } else {
                Ok(None)
            }
        });
        match pressed.await.map_err(std::io::Error::other)?? {
            None => return Ok(true),
            Some(Event::Key(key)) if key.kind == KeyEventKind::Press => match key.code {
                KeyCode::Char('q') | KeyCode::Esc => return Ok(false),
                KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => {
                    return Ok(false);
                }
                KeyCode::Down => view.scroll(1),
                KeyCode::Up => view.scroll(-1),
                KeyCode::PageDown => view.scroll(20),
                KeyCode::PageUp => view.scroll(-20),
                _ => {}
            },
            Some(_) => {}
        }
    }
}
