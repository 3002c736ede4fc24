//! The commands that ask a running gateway.

use super::{Outcome, fail, say};
use clap::{Args as ClapArgs, Subcommand};
use gateway_example::config::{Changes, Config, DEFAULT_CONTROL_SOCKET};
use gateway_example::control::{Answer, Code, Request};
use gateway_example::core::{
    CaptureStatus, Counters, Explanation, Flows, KeylogStatus, Kicked, Metrics, Sas, SessionDetail,
    Sessions, Status, Users,
};
use gateway_example::io::ask;
use gateway_example::view::View;
use serde::de::DeserializeOwned;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::ExitCode;

/// Nothing goes by the name that was given.
const NO_SUCH: u8 = 3;

/// No gateway is running.
const NOT_RUNNING: u8 = 4;

/// Where the gateway is asked, and how its answer is shown.
#[derive(ClapArgs)]
pub(crate) struct Common {
    /// The running gateway's configuration file, which names its control socket.
    #[arg(long, short)]
    config: Option<PathBuf>,
    /// The control socket itself.
    #[arg(long, conflicts_with = "config")]
    socket: Option<PathBuf>,
    /// Print JSON instead of tables.
    #[arg(long)]
    pub(super) json: bool,
}

impl Common {
    pub(super) fn socket(&self) -> Result<PathBuf, Box<dyn std::error::Error>> {
        Ok(match (&self.socket, &self.config) {
            (Some(socket), _) => socket.clone(),
            (None, Some(config)) => Config::load(config)?.gateway.control_socket,
            (None, None) => DEFAULT_CONTROL_SOCKET.into(),
        })
    }
}

/// What can be asked.
#[derive(Subcommand)]
pub(crate) enum Ask {
    /// A summary of the running gateway, with a line for each connection.
    Status {
        #[command(flatten)]
        common: Common,
    },
    /// A line for each connection: user, address, peer, NAT, algorithms, bytes, last error.
    Sessions {
        #[command(flatten)]
        common: Common,
    },
    /// All about one connection.
    Session {
        /// Its number, as in the log's `conn`.
        id: u64,
        #[command(flatten)]
        common: Common,
    },
    /// ISAKMP and ESP SAs.
    Sas {
        /// How to show them.
        #[arg(long, value_enum, default_value_t)]
        format: SasFormat,
        #[command(flatten)]
        common: Common,
    },
    /// What the firewall follows.
    Flows {
        /// Only this user's.
        #[arg(long)]
        user: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// Who may connect and who is connected.
    Users {
        #[command(flatten)]
        common: Common,
    },
    /// Why the last attempts of an address or a user failed, and what to change.
    Explain {
        /// An IP address or a user's name.
        who: String,
        #[command(flatten)]
        common: Common,
    },
    /// End connections.
    Kick {
        /// A connection's number or a user's name.
        who: String,
        #[command(flatten)]
        common: Common,
    },
    /// Have the gateway take its configuration file anew, as a whole or not at all. Connections
    /// stay, except of users who have gone or changed.
    Reload {
        #[command(flatten)]
        common: Common,
    },
    /// Live: who uses how much.
    #[cfg(feature = "top")]
    Top {
        #[command(flatten)]
        common: Common,
    },
    /// Capture packets on both sides; `keylog` has what decrypts the outer one.
    #[command(subcommand)]
    Capture(Capture),
    /// Write session keys for Wireshark. Whoever has them can read the traffic.
    #[command(subcommand)]
    Keylog(Keylog),
    /// Every reason for which something was dropped or refused, and how often.
    Counters {
        /// All that is counted, as Prometheus reads it.
        #[arg(long, conflicts_with = "json")]
        prometheus: bool,
        #[command(flatten)]
        common: Common,
    },
}

/// `gateway capture`.
#[derive(Subcommand)]
pub(crate) enum Capture {
    /// Begin a capture, a pcapng file.
    Start {
        /// A file that does not exist yet; one in the gateway's state folder if left out.
        #[arg(long)]
        file: Option<PathBuf>,
        /// Bytes of the file at most; 100 MB if left out.
        #[arg(long)]
        max_bytes: Option<u64>,
        #[command(flatten)]
        common: Common,
    },
    /// End it; says how much was captured.
    Stop {
        #[command(flatten)]
        common: Common,
    },
}

/// `gateway keylog`.
#[derive(Subcommand)]
pub(crate) enum Keylog {
    /// Begin to write keys, those of SAs that are up too.
    On {
        /// The folder; `key_log_dir` or one in the gateway's state folder if left out.
        #[arg(long)]
        folder: Option<PathBuf>,
        #[command(flatten)]
        common: Common,
    },
    /// Write no more keys.
    Off {
        #[command(flatten)]
        common: Common,
    },
}

/// How `gateway sas` shows SAs.
#[derive(Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum SasFormat {
    /// As a table.
    #[default]
    Table,
    /// As `ip xfrm state` does, without keys.
    IpXfrm,
}

pub(crate) async fn run(what: Ask) -> Outcome {
    match what {
        Ask::Status { common } => show::<Status>(&common, &Request::Status).await,
        Ask::Sessions { common } => show::<Sessions>(&common, &Request::Sessions).await,
        Ask::Session { id, common } => {
            show::<SessionDetail>(&common, &Request::Session { id }).await
        }
        Ask::Sas { format, common } => {
            let view = match format {
                SasFormat::Table => Sas::view,
                SasFormat::IpXfrm => Sas::ip_xfrm,
            };
            exchange(&common, &Request::Sas, |sas: &Sas| {
                (view(sas), ExitCode::SUCCESS)
            })
            .await
        }
        Ask::Flows { user, common } => show::<Flows>(&common, &Request::Flows { user }).await,
        Ask::Users { common } => show::<Users>(&common, &Request::Users).await,
        Ask::Explain { who, common } => {
            exchange(&common, &Request::Explain { who }, |e: &Explanation| {
                let unknown = e.attempts.is_empty() && e.connected.is_empty();
                let code = if unknown { NO_SUCH } else { 0 };
                (e.view(), ExitCode::from(code))
            })
            .await
        }
        Ask::Reload { common } => {
            exchange(&common, &Request::Reload, |changes: &Changes| {
                (changes.to_string(), ExitCode::SUCCESS)
            })
            .await
        }
        Ask::Kick { who, common } => show::<Kicked>(&common, &Request::Kick { who }).await,
        #[cfg(feature = "top")]
        Ask::Top { common } => super::top::top(&common).await,
        Ask::Capture(Capture::Start {
            file,
            max_bytes,
            common,
        }) => {
            let path = file.map(std::path::absolute).transpose()?;
            let request = Request::CaptureStart { path, max_bytes };
            show::<CaptureStatus>(&common, &request).await
        }
        Ask::Capture(Capture::Stop { common }) => {
            show::<CaptureStatus>(&common, &Request::CaptureStop).await
        }
        Ask::Keylog(Keylog::On { folder, common }) => {
            let folder = folder.map(std::path::absolute).transpose()?;
            show::<KeylogStatus>(&common, &Request::KeylogOn { folder }).await
        }
        Ask::Keylog(Keylog::Off { common }) => {
            show::<KeylogStatus>(&common, &Request::KeylogOff).await
        }
        Ask::Counters {
            prometheus: true,
            common,
        } => show::<Metrics>(&common, &Request::Metrics).await,
        Ask::Counters { common, .. } => show::<Counters>(&common, &Request::Counters).await,
    }
}

/// Says why there was no answer.
pub(super) fn unreachable(e: &std::io::Error) -> ExitCode {
    fail(&e.to_string());
    match e.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => NOT_RUNNING.into(),
        _ => ExitCode::FAILURE,
    }
}

/// What a file would change in the running gateway.
pub(super) async fn diff(file: &std::path::Path, socket: PathBuf) -> Outcome {
    let common = Common {
        config: None,
        socket: Some(socket),
        json: false,
    };
    let path = std::path::absolute(file)?;
    exchange(&common, &Request::Diff { path }, |changes: &Changes| {
        (changes.to_string(), ExitCode::SUCCESS)
    })
    .await
}

async fn show<T: DeserializeOwned + View>(common: &Common, request: &Request) -> Outcome {
    exchange(common, request, |answer: &T| {
        (answer.view(), ExitCode::SUCCESS)
    })
    .await
}

/// Asks, and shows the answer by `view` unless JSON is wanted.
async fn exchange<T: DeserializeOwned>(
    common: &Common,
    request: &Request,
    view: impl FnOnce(&T) -> (String, ExitCode),
) -> Outcome {
    let answer: Answer = match ask(&common.socket()?, request).await {
        Ok(answer) => answer,
        Err(e) => return Ok(unreachable(&e)),
    };
    match answer.read::<T>() {
        Ok(body) => {
            let (text, code) = view(&body);
            say(if common.json { answer.json() } else { &text });
            Ok(code)
        }
        Err(refusal) => {
            if common.json {
                say(answer.json());
            } else {
                fail(&refusal.message);
            }
            Ok(match refusal.code {
                Code::NoSuch => NO_SUCH.into(),
                _ => ExitCode::FAILURE,
            })
        }
    }
}
