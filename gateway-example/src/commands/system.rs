//! What a service manager wants to know (`sd_notify(3)`).

use sd_notify::NotifyState;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// The folder for what outlives a restart, if systemd has given one.
pub(crate) fn state_folder() -> Option<PathBuf> {
    let folders = std::env::var_os("STATE_DIRECTORY")?;
    // Several are divided by colons (`systemd.exec(5)`).
    std::env::split_paths(&folders).next()
}

/// systemd, or nobody.
pub(crate) struct ServiceManager {
    /// When it has to hear of us; only if it asked for that.
    watchdog: Option<Interval>,
}

impl ServiceManager {
    /// Says that clients may connect.
    pub(crate) fn ready() -> Self {
        tell(NotifyState::Ready);
        let watchdog = sd_notify::watchdog_enabled().map(|limit: Duration| {
            // Twice in its time, as systemd advises.
            let mut interval = interval((limit / 2).max(Duration::from_millis(1)));
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        });
        Self { watchdog }
    }

    /// Waits until [`ServiceManager::alive`] has to be said. May be dropped while it waits.
    pub(crate) async fn due(&mut self) {
        match &mut self.watchdog {
            Some(interval) => drop(interval.tick().await),
            None => std::future::pending().await,
        }
    }

    /// Says that packets and timers are being dealt with.
    pub(crate) fn alive(&self) {
        tell(NotifyState::Watchdog);
    }

    /// Says that clients are being sent away.
    pub(crate) fn stopping(&self) {
        tell(NotifyState::Stopping);
    }
}

fn tell(state: NotifyState<'_>) {
    // Without a service manager nobody listens.
    if let Err(e) = sd_notify::notify(&[state]) {
        tracing::debug!(error = %e, "service manager");
    }
}
