use crate::core::Gateway;
use crate::pool::{MOST_REMEMBERED, Remembered};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// The file's name in the folder.
const NAME: &str = "leases.json";

/// A longer file is none of ours: a line has a name of 253 bytes, each escaped, at most.
const LONGEST: u64 = MOST_REMEMBERED as u64 * 2048;

/// Changes wait for others, so that a storm of logins is written once.
const GATHER: Duration = Duration::from_secs(2);

/// Keeps users' addresses in a file, so that they are the same after a restart.
///
/// It is replaced as a whole, by a thread of its own. One that cannot be read or written costs a
/// warning, and users other addresses, but never the gateway's work.
#[derive(Debug)]
pub struct LeaseFile {
    path: PathBuf,
    saved: u64,
    due: Option<Instant>,
    writing: Option<JoinHandle<()>>,
}

impl LeaseFile {
    /// Reads what was kept in `folder` into `core`.
    #[must_use]
    pub fn open(folder: &Path, core: &mut Gateway) -> Self {
        let path = folder.join(NAME);
        let shown = path.display();
        match read(&path) {
            Ok(text) => match Remembered::from_text(&text) {
                Some(recalled) => {
                    let kept = core.remember(&recalled.leases);
                    tracing::info!(file = %shown, kept, "addresses of users are kept");
                    if recalled.damaged > 0 {
                        let damaged = recalled.damaged;
                        tracing::warn!(file = %shown, damaged, "lines are damaged: their users get other addresses");
                    }
                }
                None => tracing::warn!(
                    file = %shown,
                    "not a file of leases, or of another version: it will be replaced, and users get other addresses"
                ),
            },
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => tracing::warn!(
                file = %shown,
                error = %e,
                "leases cannot be read: users may get other addresses"
            ),
        }
        Self {
            path,
            saved: core.aaa().leases_revision(),
            due: None,
            writing: None,
        }
    }

    /// Notices that something has changed.
    pub fn note(&mut self, now: Instant, core: &Gateway) {
        if self.due.is_none() && core.aaa().leases_revision() != self.saved {
            self.due = Some(now + GATHER);
        }
    }

    /// Waits until [`save`](Self::save) is due. May be dropped while it waits.
    pub async fn due(&mut self) {
        match self.due {
            Some(at) => tokio::time::sleep_until(at.into()).await,
            None => std::future::pending().await,
        }
        if let Some(writing) = &mut self.writing {
            let _ = writing.await;
            self.writing = None;
        }
    }

    /// Writes what is kept, meanwhile.
    pub fn save(&mut self, core: &Gateway) {
        self.due = None;
        self.saved = core.aaa().leases_revision();
        let leases = core.aaa().remembered();
        let path = self.path.clone();
        self.writing = Some(tokio::task::spawn_blocking(move || {
            let text = Remembered::to_text(&leases);
            if let Err(e) = replace(&path, text.as_bytes()) {
                tracing::warn!(
                    file = %path.display(),
                    error = %e,
                    "leases are not written: after a restart users may get other addresses"
                );
            }
        }));
    }

    /// Writes it for the last time, with who was here last.
    pub async fn close(mut self, core: &Gateway) {
        if let Some(writing) = self.writing.take() {
            let _ = writing.await;
        }
        self.save(core);
        if let Some(writing) = self.writing.take() {
            let _ = writing.await;
        }
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LONGEST).read_to_end(&mut bytes)?;
    // What is no text is a damaged line.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Whoever reads the file finds the old one or the new one, even after a loss of power.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let new = path.with_extension("new");
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use std::net::Ipv4Addr;
    use std::sync::Arc;

    fn gateway() -> Gateway {
        let office = include_str!("../../office.toml");
        let config = Config::parse("office.toml".as_ref(), office).unwrap();
        let entropy = Box::new(|| Box::new(simnet::seeded(1)) as _);
        Gateway::new(Arc::new(config), entropy).unwrap()
    }

    #[tokio::test]
    async fn a_new_gateway_finds_what_the_old_one_has_kept() {
        let folder = std::env::temp_dir().join(format!("gateway-leases-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        let mut old = gateway();
        let mut file = LeaseFile::open(&folder, &mut old);
        file.note(super::super::now(), &old);
        assert_eq!(file.due, None);
        let lease = Remembered {
            address: Ipv4Addr::new(192, 168, 200, 33),
            pool: String::new(),
            user: "dialin2".into(),
        };
        assert_eq!(old.remember(std::slice::from_ref(&lease)), 1);
        file.note(super::super::now(), &old);
        assert!(file.due.is_some());
        file.save(&old);
        file.close(&old).await;

        let mut new = gateway();
        let _file = LeaseFile::open(&folder, &mut new);
        assert_eq!(new.aaa().remembered(), [lease]);

        // Whatever stands there, the gateway starts, and the file is good again.
        std::fs::write(folder.join(NAME), [0xff; 100]).unwrap();
        let mut third = gateway();
        let file = LeaseFile::open(&folder, &mut third);
        assert!(third.aaa().remembered().is_empty());
        file.close(&third).await;
        let text = std::fs::read_to_string(folder.join(NAME)).unwrap();
        assert_eq!(Remembered::from_text(&text).unwrap(), Default::default());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
