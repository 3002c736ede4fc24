//! `[gateway]`: where it listens and what it shows.

use super::check::Checker;
use super::{ConfigError, Policy};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use toml::Spanned;

/// More threads than this have too little to do.
const MOST_WORKERS: usize = 64;

/// How long packets may gather unless the configuration says otherwise.
pub const GATHER_MICROSECONDS: u16 = 500;

/// What a ping or a call would notice.
const MOST_MICROSECONDS: u16 = 1000;

/// Where the gateway listens, and what it shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Listen {
    /// Addresses to listen on; 0.0.0.0 for all.
    pub listen: IpAddr,
    /// UDP port of IKE (RFC 2409), normally 500.
    pub ike_port: u16,
    /// UDP port of NAT traversal (RFC 3947), normally 4500.
    pub natt_port: u16,
    /// Whether to take ESP as IP protocol 50 from peers that are not behind a NAT.
    pub native_esp: bool,
    /// Which algorithms peers may negotiate.
    pub policy: Policy,
    /// Threads that packets of different clients are spread over; one for each core unless set.
    pub workers: Option<NonZeroUsize>,
    /// How long packets may gather before they are read, while they come fast; 0 for never.
    pub gather_microseconds: u16,
    /// Where `status` asks the running gateway.
    pub control_socket: PathBuf,
    /// Where to append Wireshark's `ikev1_decryption_table` and `esp_sa`; none unless set.
    pub key_log_dir: Option<PathBuf>,
    /// Where users' addresses are kept over a restart; in the folder that systemd gives, or nowhere,
    /// unless set.
    pub state_dir: Option<PathBuf>,
    /// Where Prometheus reads `/metrics` over HTTP; nowhere unless set.
    pub metrics_listen: Option<SocketAddr>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawGateway {
    listen: Spanned<String>,
    ike_port: u16,
    natt_port: u16,
    native_esp: bool,
    policy: Policy,
    workers: Option<Spanned<usize>>,
    gather_microseconds: Spanned<u16>,
    control_socket: PathBuf,
    key_log_dir: Option<PathBuf>,
    state_dir: Option<PathBuf>,
    metrics_listen: Option<Spanned<String>>,
}

impl Default for RawGateway {
    fn default() -> Self {
        Self {
            listen: Spanned::new(0..0, "0.0.0.0".into()),
            ike_port: 500,
            natt_port: 4500,
            native_esp: true,
            policy: Policy::Compat,
            workers: None,
            gather_microseconds: Spanned::new(0..0, GATHER_MICROSECONDS),
            control_socket: super::DEFAULT_CONTROL_SOCKET.into(),
            key_log_dir: None,
            state_dir: None,
            metrics_listen: None,
        }
    }
}

impl RawGateway {
    pub(super) fn check(self, check: &Checker<'_>) -> Result<Listen, ConfigError> {
        let metrics_listen = self.metrics_listen.map(|at| {
            check.value(
                &at,
                "an address with a port",
                "write both, such as \"127.0.0.1:9476\"",
            )
        });
        let workers = self.workers.map(|given| {
            NonZeroUsize::new(*given.get_ref())
                .filter(|n| n.get() <= MOST_WORKERS)
                .ok_or_else(|| {
                    check.wrong(
                        &given,
                        format!("{} is no number of threads", given.get_ref()),
                        "write a number from 1 to 64, or leave it out for one on each core",
                    )
                })
        });
        if *self.gather_microseconds.get_ref() > MOST_MICROSECONDS {
            return Err(check.wrong(
                &self.gather_microseconds,
                "packets would be noticeably late",
                "choose 0 to 1000 microseconds",
            ));
        }
        Ok(Listen {
            listen: check.value(
                &self.listen,
                "an IP address",
                "write the address clients connect to, or \"0.0.0.0\" for all",
            )?,
            ike_port: self.ike_port,
            natt_port: self.natt_port,
            native_esp: self.native_esp,
            policy: self.policy,
            workers: workers.transpose()?,
            gather_microseconds: self.gather_microseconds.into_inner(),
            control_socket: self.control_socket,
            key_log_dir: self.key_log_dir,
            state_dir: self.state_dir,
            metrics_listen: metrics_listen.transpose()?,
        })
    }
}
