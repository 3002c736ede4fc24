//! What the subcommands do.

pub(crate) mod ask;
pub(crate) mod config;
pub(crate) mod connect;
pub(crate) mod demo;
mod desk;
pub(crate) mod reload;
pub(crate) mod run;
mod system;
#[cfg(feature = "top")]
mod top;

use gateway_example::capture::KeyLog;
use gateway_example::core::{Entropy, KeyEvent};
use std::error::Error;
use std::io::Write as _;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

pub(crate) type Outcome = Result<ExitCode, Box<dyn Error>>;

/// How lines of the log look.
#[derive(Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// An object of JSON each.
    Json,
}

pub(crate) fn start_log(filter: &str, format: LogFormat) -> Result<(), Box<dyn Error>> {
    let log = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_new(filter)?)
        .with_writer(std::io::stderr)
        .with_ansi(false);
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
    Ok(())
}

/// Says what went wrong, in the form of a compiler.
pub(crate) fn fail(text: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "error: {text}");
    ExitCode::FAILURE
}

/// Prints a line for the user.
pub(crate) fn say(text: &str) {
    // A reader that has gone away is no reason to stop.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Random sources from the system.
pub(crate) fn system_entropy() -> Entropy {
    Box::new(|| Box::new(rand_core::UnwrapErr(getrandom::SysRng)))
}

/// Writes a key where the user asked for it; a full disk must not stop the gateway.
pub(crate) fn log_key(key_log: &mut Option<KeyLog>, key: &KeyEvent) {
    if let Some(file) = key_log
        && let Err(e) = key.write(file)
    {
        tracing::error!(error = %e, "key log");
        *key_log = None;
    }
}

/// Waits for Ctrl-C or a request to terminate.
pub(crate) async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
