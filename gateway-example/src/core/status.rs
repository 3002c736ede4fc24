//! What a gateway has now, for people and for scripts. Names stay; new ones may come.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A summary, with a line for each connection.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Status {
    /// Version of the gateway.
    pub version: String,
    /// Seconds since it started.
    pub uptime_seconds: u64,
    /// ISAKMP SAs, half-open ones too.
    pub isakmp_sas: usize,
    /// Pairs of ESP SAs.
    pub esp_sas: usize,
    /// L2TP control connections.
    pub l2tp_tunnels: usize,
    /// L2TP calls.
    pub l2tp_sessions: usize,
    /// Peers with anything alive.
    pub peers: usize,
    /// Flows that the firewall follows.
    pub flows: usize,
    /// Addresses given to clients.
    pub addresses_in_use: usize,
    /// Whether session keys are being written.
    pub key_log: bool,
    /// Whether packets are being captured.
    pub capture: bool,
    /// A line for each connection.
    pub sessions: Vec<SessionStatus>,
    /// Dropped packets by reason.
    pub drops: BTreeMap<String, u64>,
}

/// A line for each connection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Sessions {
    /// In the order in which they began.
    pub sessions: Vec<SessionStatus>,
}

/// One connection, from its peer to its user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionStatus {
    /// Its number, the log's `conn`.
    pub id: u64,
    /// How far it is.
    pub state: Stage,
    /// Outer address and port.
    pub peer: String,
    /// Who is behind a NAT.
    pub nat: Nat,
    /// Algorithms of the ISAKMP SA.
    pub ike_suite: String,
    /// Algorithms of ESP.
    pub esp_suite: String,
    /// The client's name of itself in L2TP.
    pub host: Option<String>,
    /// Who; none until authenticated.
    pub user: Option<String>,
    /// The address given to the user.
    pub address: Option<String>,
    /// Seconds since main mode was complete.
    pub uptime_seconds: u64,
    /// Bytes of IP packets from the client.
    pub bytes_in: u64,
    /// Bytes of IP packets to the client.
    pub bytes_out: u64,
    /// The last failure of this user, or of this address if nobody has logged in.
    pub last_error: Option<LastError>,
}

/// What went wrong last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastError {
    /// A stable word.
    pub reason: String,
    /// How long ago.
    pub seconds_ago: u64,
}

/// How far a client has come.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stage {
    /// Agreeing on algorithms, keys and identity.
    #[default]
    MainMode,
    /// Agreeing on ESP.
    QuickMode,
    /// Opening the L2TP tunnel and the call.
    L2tp,
    /// Agreeing on the PPP link.
    Lcp,
    /// Name and password.
    Authentication,
    /// Addresses.
    Ipcp,
    /// Packets flow.
    Connected,
    /// The call has ended here; the client may not know yet.
    Closing,
}

/// Who is behind a NAT.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Nat {
    /// Nobody.
    #[default]
    None,
    /// The client.
    Client,
    /// We are.
    Gateway,
    /// Both.
    Both,
}

impl From<natt::Detection> for Nat {
    fn from(detection: natt::Detection) -> Self {
        match (detection.local_behind_nat, detection.remote_behind_nat) {
            (false, false) => Self::None,
            (false, true) => Self::Client,
            (true, false) => Self::Gateway,
            (true, true) => Self::Both,
        }
    }
}

impl Nat {
    /// For tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Client => "client",
            Self::Gateway => "gateway",
            Self::Both => "both",
        }
    }
}

impl Stage {
    /// As in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MainMode => "main_mode",
            Self::QuickMode => "quick_mode",
            Self::L2tp => "l2tp",
            Self::Lcp => "lcp",
            Self::Authentication => "authentication",
            Self::Ipcp => "ipcp",
            Self::Connected => "connected",
            Self::Closing => "closing",
        }
    }
}

/// All about one connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionDetail {
    /// The line of `sessions`.
    pub session: SessionStatus,
    /// Its SAs.
    pub sas: Sas,
    /// Its flows.
    pub flows: Flows,
}

/// Each ISAKMP SA and each pair of ESP SAs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sas {
    /// ISAKMP SAs that are established.
    pub isakmp: Vec<IsakmpStatus>,
    /// Pairs of ESP SAs.
    pub esp: Vec<EspStatus>,
}

/// An ISAKMP SA.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IsakmpStatus {
    /// Of this connection.
    pub id: u64,
    /// Outer address and port of the client.
    pub peer: String,
    /// Our address and port.
    pub local: String,
    /// Who is behind a NAT.
    pub nat: Nat,
    /// Its algorithms.
    pub suite: String,
    /// Seconds since it was established.
    pub age_seconds: u64,
}

/// A pair of ESP SAs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EspStatus {
    /// Of this connection.
    pub id: u64,
    /// Outer address and port of the client.
    pub peer: String,
    /// Our address and port.
    pub local: String,
    /// Whether ESP goes in UDP.
    pub udp_encapsulation: bool,
    /// Its algorithms.
    pub suite: String,
    /// SPI of packets to us, in hexadecimal.
    pub spi_in: String,
    /// SPI of packets to the client, in hexadecimal.
    pub spi_out: String,
    /// Seconds since it was established.
    pub age_seconds: u64,
}

/// What the firewall follows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flows {
    /// How many there are; the list may hold fewer.
    pub total: usize,
    /// Some or all of them.
    pub flows: Vec<FlowStatus>,
}

/// A flow of packets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowStatus {
    /// Whose.
    pub user: Option<String>,
    /// `opening`, `established` or `closing`.
    pub state: String,
    /// Seconds since its first packet.
    pub age_seconds: u64,
    /// `tcp`, `udp`, `icmp`, or a number.
    pub protocol: String,
    /// Who sent the first packet.
    pub source: String,
    /// To whom.
    pub destination: String,
    /// The source as it left, if it was translated.
    pub translated_source: Option<String>,
    /// The destination as it left, if it was translated.
    pub translated_destination: Option<String>,
}

/// Who may connect.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Users {
    /// By name.
    pub users: Vec<UserStatus>,
}

/// Somebody who may connect, or is connected.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserStatus {
    /// The name.
    pub name: String,
    /// An address of the user's own.
    pub fixed_address: Option<String>,
    /// Numbers of the user's connections.
    pub connections: Vec<u64>,
    /// Bytes of IP packets from the user, over connections that are up.
    pub bytes_in: u64,
    /// Bytes of IP packets to the user, over connections that are up.
    pub bytes_out: u64,
    /// The user's last failure.
    pub last_error: Option<LastError>,
}

/// Why attempts failed and what to change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// Who was asked about.
    pub who: String,
    /// Connections that are up.
    pub connected: Vec<SessionStatus>,
    /// The newest first.
    pub attempts: Vec<AttemptStatus>,
}

/// One attempt to connect, or several alike in a row.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptStatus {
    /// The log's `conn`, if main mode was complete.
    pub id: Option<u64>,
    /// Outer address and port.
    pub peer: String,
    /// Who, as far as is known.
    pub user: Option<String>,
    /// The client's name of itself in L2TP.
    pub host: Option<String>,
    /// Whether it came to a connection.
    pub connected: bool,
    /// How far it came.
    pub stage: Stage,
    /// A stable word for what ended it.
    pub reason: String,
    /// What happened, in words.
    pub explanation: String,
    /// What the client offered or said.
    pub detail: Option<String>,
    /// What to change.
    pub advice: Option<String>,
    /// The error number that Windows shows its user.
    pub windows_error: Option<u16>,
    /// How often in a row.
    pub times: u32,
    /// How long ago the first was.
    pub first_seconds_ago: u64,
    /// How long ago the last was.
    pub last_seconds_ago: u64,
}

/// What was ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kicked {
    /// Numbers of the connections.
    pub kicked: Vec<u64>,
}

/// Every reason for which something was dropped or refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// By layer and reason.
    pub counters: Vec<Counter>,
}

/// A capture of packets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptureStatus {
    /// Whether it goes on.
    pub running: bool,
    /// The file.
    pub path: PathBuf,
    /// Packets written.
    pub packets: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Packets that came faster than they could be written.
    pub missed: u64,
    /// Whether the file has the size that was allowed.
    pub full: bool,
}

/// Whether session keys are written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeylogStatus {
    /// They are.
    pub on: bool,
    /// Where.
    pub folder: Option<PathBuf>,
}

/// What Prometheus reads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metrics {
    /// In its text format.
    pub text: String,
}

/// One reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counter {
    /// Which part counted it.
    pub layer: String,
    /// A stable word.
    pub reason: String,
    /// How often.
    pub count: u64,
}
