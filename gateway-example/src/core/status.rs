use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// What a gateway has now, for people and for scripts.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Status {
    /// Of this form; grows when a field changes its meaning.
    pub schema_version: u32,
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
    /// Addresses given to clients.
    pub addresses_in_use: usize,
    /// A line for each call.
    pub sessions: Vec<SessionStatus>,
    /// Dropped packets by reason.
    pub drops: BTreeMap<String, u64>,
}

/// One call, from its peer to its user.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SessionStatus {
    /// The connection's number in the log.
    pub conn: String,
    /// Outer address and port.
    pub peer: String,
    /// ESP algorithms.
    pub suite: String,
    /// Who; empty until authenticated.
    pub user: String,
    /// The address given to the user.
    pub address: Option<String>,
    /// Seconds since the call came up.
    pub up_seconds: u64,
    /// Bytes of IP packets from the client.
    pub bytes_in: u64,
    /// Bytes of IP packets to the client.
    pub bytes_out: u64,
}

impl Status {
    /// The form of this version.
    pub const SCHEMA_VERSION: u32 = 1;
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} ISAKMP SAs, {} ESP SA pairs, {} tunnels, {} sessions",
            self.isakmp_sas, self.esp_sas, self.l2tp_tunnels, self.l2tp_sessions
        )?;
        if !self.sessions.is_empty() {
            writeln!(
                f,
                "\n{:<5} {:<16} {:<15} {:<22} {:>8} {:>12} {:>12}  SUITE",
                "CONN", "USER", "ADDRESS", "PEER", "UP", "IN", "OUT"
            )?;
        }
        for s in &self.sessions {
            // Names come from the peer: keep control characters off the terminal.
            let user: String = s.user.escape_debug().collect();
            writeln!(
                f,
                "{:<5} {:<16} {:<15} {:<22} {:>7}s {:>12} {:>12}  {}",
                s.conn,
                user,
                s.address.as_deref().unwrap_or("-"),
                s.peer,
                s.up_seconds,
                s.bytes_in,
                s.bytes_out,
                s.suite
            )?;
        }
        if !self.drops.is_empty() {
            writeln!(f, "\nDropped:")?;
            for (reason, count) in &self.drops {
                writeln!(f, "  {reason:<24} {count}")?;
            }
        }
        Ok(())
    }
}
