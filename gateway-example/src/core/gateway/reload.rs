//! A new configuration in a running gateway.

use super::{Gateway, GatewayEvent};
use crate::config::{Change, Config, Secret};
use crate::core::stack::StackError;
use crate::core::{Severity, convert, sides};
use l2tp::SessionId;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Instant;

/// Settings, or groups of them, that hold until a restart: sockets and devices are made of them.
const FIXED: [&str; 16] = [
    "gateway.listen",
    "gateway.ike_port",
    "gateway.natt_port",
    "gateway.native_esp",
    "gateway.control_socket",
    "gateway.key_log_dir",
    "gateway.workers",
    "gateway.gather_microseconds",
    "gateway.metrics_listen",
    "gateway.state_dir",
    "internet",
    "l2tp.hide_avps",
    "l2tp.tunnel_secret",
    "lan.interface",
    "ppp.local",
    "tun",
];

/// Why a new configuration was not taken. The old one holds.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// These settings cannot change while the gateway runs.
    #[error("only a restart changes {}: nothing was changed", .0.join(", "))]
    NeedsRestart(Vec<String>),
    /// A part refused its configuration.
    #[error("{0}: nothing was changed")]
    Stack(#[from] StackError),
    /// The firewall refused its configuration.
    #[error("firewall: {0}: nothing was changed")]
    Firewall(#[from] firewall::ConfigError),
}

/// Whether a change waits for a restart.
#[must_use]
pub fn needs_restart(change: &Change) -> bool {
    FIXED.iter().any(|fixed| {
        let rest = change.key.strip_prefix(fixed);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

impl Gateway {
    /// What holds now.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What [`set_config`](Self::set_config) would change.
    ///
    /// # Errors
    /// What cannot change while it runs.
    pub fn changes_to(&self, config: &Config) -> Result<Vec<Change>, ReloadError> {
        let changes = self.config.diff(config);
        let fixed = changes.iter().filter(|change| needs_restart(change));
        let fixed: Vec<_> = fixed.map(|change| change.key.clone()).collect();
        if fixed.is_empty() {
            Ok(changes)
        } else {
            Err(ReloadError::NeedsRestart(fixed))
        }
    }

    /// Takes a new configuration as a whole or not at all; gives what has changed.
    ///
    /// Connections stay, except of users who have gone or have another password or address. New
    /// algorithms and keys count from the next negotiation on, PPP's settings from the next call
    /// on, rules from the next flow on. RADIUS servers are asked from now on, also for what waits.
    ///
    /// # Errors
    /// What cannot change while it runs, or which part refused.
    pub fn set_config(
        &mut self,
        now: Instant,
        config: Arc<Config>,
    ) -> Result<Vec<Change>, ReloadError> {
        let changes = self.changes_to(&config)?;
        let rules = Arc::new(sides::firewall_config(&config));
        self.firewall.set_config(rules)?;
        let stack = convert::stack_server(&config);
        if let Err(e) = self.stack.set_config(stack) {
            // It was good before.
            let rules = Arc::new(sides::firewall_config(&self.config));
            self.firewall.set_config(rules)?;
            return Err(e.into());
        }
        let old = std::mem::replace(&mut self.config, Arc::clone(&config));
        self.aaa.reconfigure(now, Arc::clone(&config));
        self.drain_aaa(now);
        let lost = self.sessions.iter().filter(|(_, session)| {
            let user = &session.user;
            !user.is_empty() && account(&old, user) != account(&config, user)
        });
        let lost: Vec<SessionId> = lost.map(|(id, _)| *id).collect();
        for session in lost {
            let peer = self.sessions.get(&session).map(|s| s.peer);
            self.step(GatewayEvent::Step {
                layer: "ppp",
                peer,
                severity: Severity::Info,
                text: "user changed in the configuration: session ends".into(),
            });
            self.close(now, session, "administrative");
            self.stack.hang_up(now, session, "your account has changed");
        }
        self.drain(now);
        Ok(changes)
    }
}

/// What of a user a session stands on: without it, the user has to log in again.
fn account<'c>(config: &'c Config, user: &str) -> Option<(&'c Secret, Option<Ipv4Addr>)> {
    let user = config.users.get(user)?;
    Some((&user.password, user.address))
}
