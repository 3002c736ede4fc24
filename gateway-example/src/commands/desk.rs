//! What a running gateway writes down and answers.

use super::log_key;
use super::system::state_folder;
use gateway_example::capture::{KeyLog, Recorded, Recorder};
use gateway_example::config::Config;
use gateway_example::control::{Answer, Refusal, Request};
use gateway_example::core::{
    CaptureStatus, Counter, Gateway, GatewayEvent, KeylogStatus, Metrics, Severity,
};
use gateway_example::io::{Asked, Driver, InnerTap, Tap, now, wall_clock};
use gateway_example::metrics::{Exposition, Reloads, expose_process};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Bytes of a capture at most, unless told otherwise.
const CAPTURE: u64 = 100_000_000;

/// Where captures and keys go if the system has not said: systemd does.
const STATE_FOLDER: &str = "/var/lib/roadwarrior";

/// Everything that people see of a gateway.
pub(crate) struct Desk {
    started: Instant,
    key_folder: PathBuf,
    key_log: Option<KeyLog>,
    capture: Option<Arc<Recorder>>,
    pub(crate) reloads: Reloads,
}

impl Desk {
    pub(crate) fn open(config: &Config) -> io::Result<Self> {
        let state = state_folder().unwrap_or_else(|| PathBuf::from(STATE_FOLDER));
        let mut desk = Self {
            started: now(),
            key_folder: state.join("keys"),
            key_log: None,
            capture: None,
            reloads: Reloads::new(wall_clock()),
        };
        if let Some(folder) = &config.gateway.key_log_dir {
            desk.key_folder.clone_from(folder);
            desk.begin_keys()?;
        }
        Ok(desk)
    }

    fn begin_keys(&mut self) -> io::Result<()> {
        let folder = &self.key_folder;
        let explain = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", folder.display()));
        self.key_log = Some(KeyLog::open(folder).map_err(explain)?);
        tracing::warn!(
            folder = %folder.display(),
            "session keys are being written: whoever reads them can read the traffic"
        );
        Ok(())
    }

    /// Writes down what has happened.
    pub(crate) fn note(&mut self, core: &mut Gateway) {
        while let Some(event) = core.poll_event() {
            match event {
                GatewayEvent::Step {
                    layer,
                    peer,
                    severity,
                    text,
                } => {
                    let conn = peer.map(|peer| peer.number());
                    match severity {
                        Severity::Info => tracing::info!(layer, conn, "{text}"),
                        Severity::Warning | Severity::Failure => {
                            tracing::warn!(layer, conn, "{text}");
                        }
                    }
                }
                GatewayEvent::Key(key) => log_key(&mut self.key_log, &key),
                GatewayEvent::Plain(message) => {
                    if let Some(recorder) = &self.capture {
                        recorder.ike(wall_clock(), &message);
                    }
                }
                _ => {}
            }
        }
    }

    /// Answers a request, now or as soon as a file is closed.
    pub(crate) fn answer(&mut self, asked: Asked, driver: &mut Driver<Gateway>) {
        let answer = match &asked.request {
            Request::Status => {
                let mut status = driver.core.status(now());
                status.uptime_seconds = now().saturating_duration_since(self.started).as_secs();
                status.key_log = self.key_log.is_some();
                status.capture = self.capture.is_some();
                status.drops.insert("not_sent".into(), driver.lost());
                Answer::of(&status)
            }
            Request::Counters => {
                let mut counters = driver.core.counters();
                counters.counters.push(Counter {
                    layer: "io".into(),
                    reason: "not_sent".into(),
                    count: driver.lost(),
                });
                Answer::of(&counters)
            }
            Request::Metrics => Answer::of(&Metrics {
                text: self.metrics(driver),
            }),
            Request::KeylogOn { folder } => self.keys_on(driver, folder.as_deref()).into(),
            Request::KeylogOff => {
                driver.core.set_key_log(now(), false);
                self.key_log = None;
                tracing::info!("session keys are no longer written");
                Answer::of(&KeylogStatus::default())
            }
            Request::CaptureStart { path, max_bytes } => {
                let limit = max_bytes.unwrap_or(CAPTURE);
                self.capture_on(driver, path.as_deref(), limit).into()
            }
            Request::CaptureStop => {
                driver.devices.tap = None;
                driver.devices.inner_tap = None;
                driver.core.set_plain_messages(false);
                match self.capture.take().and_then(Arc::into_inner) {
                    Some(recorder) => {
                        // What waits is written first.
                        tokio::task::spawn_blocking(move || {
                            let done = recorder.stop();
                            let done = done.map(|done| status_of(done, false));
                            asked.answer(done.map_err(|e| Refusal::failed(&e)).into());
                        });
                        return;
                    }
                    None => Answer::refuse(&Refusal::failed("no capture is running")),
                }
            }
            request => match driver.core.answer(now(), request) {
                Some(answer) => answer,
                None => Answer::refuse(&Refusal::failed("this gateway does not know how")),
            },
        };
        asked.answer(answer);
    }

    fn keys_on(
        &mut self,
        driver: &mut Driver<Gateway>,
        folder: Option<&Path>,
    ) -> Result<KeylogStatus, Refusal> {
        if let Some(folder) = folder {
            self.key_folder = folder.to_owned();
        }
        self.begin_keys().map_err(|e| Refusal::failed(&e))?;
        driver.core.set_key_log(now(), true);
        Ok(KeylogStatus {
            on: true,
            folder: Some(self.key_folder.clone()),
        })
    }

    fn capture_on(
        &mut self,
        driver: &mut Driver<Gateway>,
        path: Option<&Path>,
        limit: u64,
    ) -> Result<CaptureStatus, Refusal> {
        if let Some(running) = &self.capture {
            let path = running.so_far().path;
            let why = format!("a capture to {} is running", path.display());
            return Err(Refusal::failed(&why));
        }
        let path = path.map_or_else(
            || {
                let name = format!("capture-{}.pcapng", wall_clock().as_secs());
                self.key_folder.with_file_name(name)
            },
            Path::to_owned,
        );
        let recorder = Recorder::start(&path, limit).map_err(|e| Refusal::failed(&e))?;
        let recorder = Arc::new(recorder);
        let outer = Arc::clone(&recorder);
        driver.devices.tap = Some(Tap(Box::new(move |from, to, payload, native| {
            outer.outer(wall_clock(), from, to, payload, native);
        })));
        let inner = Arc::clone(&recorder);
        driver.devices.inner_tap = Some(InnerTap(Box::new(move |packet| {
            inner.inner(wall_clock(), packet);
        })));
        driver.core.set_plain_messages(true);
        let status = status_of(recorder.so_far(), true);
        self.capture = Some(recorder);
        tracing::warn!(path = %path.display(), "packets are being captured");
        Ok(status)
    }

    fn metrics(&self, driver: &Driver<Gateway>) -> String {
        let mut exposition = Exposition::default();
        driver.core.expose(&mut exposition);
        self.reloads.expose(&mut exposition);
        let up = now().saturating_duration_since(self.started);
        expose_process(&mut exposition, up, wall_clock(), driver.lost());
        exposition.into_text()
    }
}

fn status_of(recorded: Recorded, running: bool) -> CaptureStatus {
    CaptureStatus {
        running,
        path: recorded.path,
        packets: recorded.packets,
        bytes: recorded.bytes,
        missed: recorded.missed,
        full: recorded.full,
    }
}
