//! A running gateway takes its configuration file anew.

use super::config::load;
use super::run::tun_setup;
use super::system_entropy;
use gateway_example::config::{Changes, Config};
use gateway_example::control::Refusal;
use gateway_example::core::{Gateway, needs_restart};
use gateway_example::io::{Driver, InternetRoutes, now, resolve_internet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What has to follow the configuration besides the gateway's core.
pub(crate) struct Reloader {
    pub(crate) file: PathBuf,
    /// From the command line, whatever the file says.
    pub(crate) socket: Option<PathBuf>,
    pub(crate) internet: Option<InternetRoutes>,
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
    ) -> Result<Changes, Refusal> {
        let done = self.try_reload(driver).await;
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
    ) -> Result<Changes, Box<dyn std::error::Error>> {
        let config = Arc::new(self.read(&self.file).await?);
        // All of it is tried before any of it is taken.
        Gateway::new(Arc::clone(&config), system_entropy())?;
        let done = driver.core.set_config(now(), Arc::clone(&config))?;
        if let Some(internet) = &mut self.internet {
            internet.update(&config).await?;
        }
        let (own, routes) = super::run::routes(&config);
        let setup = tun_setup(&config, &own, &routes);
        driver.devices.inner.add_address_and_routes(&setup).await?;
        Ok(changes(done))
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
