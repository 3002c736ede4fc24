//! A running gateway takes its configuration file anew.

use super::config::load;
use super::run::tun_setup;
use super::system_entropy;
use gateway_example::config::{Changes, Config};
use gateway_example::control::Refusal;
use gateway_example::core::{Gateway, needs_restart};
use gateway_example::io::{Driver, InternetRoutes, RadiusPorts, now, resolve_internet, wall_clock};
use gateway_example::metrics::Reloads;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What has to follow the configuration besides the gateway's core.
pub(crate) struct Reloader {
    pub(crate) file: PathBuf,
    /// From the command line, whatever the file says.
    pub(crate) socket: Option<PathBuf>,
    pub(crate) internet: Option<InternetRoutes>,
    /// For what the LAN's interface answers ARP: it would go on when the gateway has ended.
    pub(crate) answered: BTreeSet<Ipv4Addr>,
}

impl Reloader {
    /// Reads a file as the gateway does when it starts.
    pub(crate) async fn read(&self, file: &Path) -> Result<Config, Box<dyn std::error::Error>> {
        let mut config = load(file)?;
        if let Some(socket) = &self.socket {
            config.gateway.control_socket.clone_from(socket);
        }
        resolve_internet(&mut config).await?;
        Ok(config)
    }

    /// What a file would change.
    pub(crate) async fn diff(&self, running: &Config, file: &Path) -> Result<Changes, Refusal> {
        let new = self.read(file).await.map_err(|e| Refusal::failed(&e))?;
        Ok(changes(running.diff(&new)))
    }

    /// Takes the gateway's own file anew, as a whole or not at all.
    pub(crate) async fn reload(
        &mut self,
        driver: &mut Driver<Gateway>,
        radius: &mut RadiusPorts,
        reloads: &mut Reloads,
    ) -> Result<Changes, Refusal> {
        let done = self.try_reload(driver, radius).await;
        reloads.note(done.is_ok(), wall_clock());
        match &done {
            Ok(done) => {
                tracing::info!(changes = done.changes.len(), "configuration is taken anew");
                for change in &done.changes {
                    tracing::info!("{change}");
                }
            }
            Err(e) => tracing::error!("configuration stays as it was: {e}"),
        }
        done.map_err(|e| Refusal::failed(&e))
    }

    async fn try_reload(
        &mut self,
        driver: &mut Driver<Gateway>,
        radius: &mut RadiusPorts,
    ) -> Result<Changes, Box<dyn std::error::Error>> {
        let config = Arc::new(self.read(&self.file).await?);
        // All of it is tried before any of it is taken.
        driver.core.changes_to(&config)?;
        Gateway::new(Arc::clone(&config), system_entropy())?;
        let ports = radius.prepare(config.radius.as_ref(), config.gateway.listen)?;
        let old = driver.core.config().clone();
        if let Err(e) = self.follow(driver, &config).await {
            if let Err(e) = self.follow(driver, &old).await {
                tracing::error!(error = %e, "routes are not as they were");
            }
            return Err(e.into());
        }
        let done = driver.core.set_config(now(), Arc::clone(&config))?;
        radius.replace(ports);
        self.leave(driver, &old, &config).await;
        Ok(changes(done))
    }

    /// Adds what the system needs for a configuration.
    async fn follow(&mut self, driver: &Driver<Gateway>, config: &Config) -> std::io::Result<()> {
        if let Some(internet) = &mut self.internet {
            internet.update(config).await?;
        }
        let (_, routes) = super::run::routes(config);
        let proxied = super::run::proxied(config);
        self.answered.extend(&proxied);
        let setup = tun_setup(config, &proxied, &routes);
        driver.devices.inner.add_address_and_routes(&setup).await
    }

    /// Takes back what led to addresses of users who have them no more. Routes of a pool stay:
    /// calls may have its addresses still.
    async fn leave(&mut self, driver: &Driver<Gateway>, old: &Config, new: &Config) {
        let (before, _) = super::run::routes(old);
        let (own, routes) = super::run::routes(new);
        let gone = |address: &Ipv4Addr| !own.contains(address);
        let gone: Vec<_> = before.into_iter().filter(gone).collect();
        let led = |address: &&Ipv4Addr| !routes.contains(&(**address, 32));
        let led: Vec<_> = gone.iter().filter(led).map(|a| (*a, 32)).collect();
        let still = super::run::proxied(new);
        let silent: Vec<_> = gone.into_iter().filter(|a| !still.contains(a)).collect();
        self.answered.retain(|a| !silent.contains(a));
        let setup = tun_setup(new, &silent, &led);
        if let Err(e) = driver.devices.inner.remove_routes(&setup).await {
            tracing::warn!(error = %e, "routes of former users stay");
        }
    }
}

fn changes(changes: Vec<gateway_example::config::Change>) -> Changes {
    let restart = changes.iter().filter(|change| needs_restart(change));
    let needs_restart = restart.map(|change| change.key.clone()).collect();
    Changes {
        changes,
        needs_restart,
    }
}
