//! `[firewall]`: what is let through besides what the office's side begins.

use super::check::Checker;
use super::{ConfigError, Network, shown};
use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::RangeInclusive;
use toml::Spanned;

/// Rules, in order; the first that matches decides. What matches none is let through from clients
/// and the LAN, and dropped from the internet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FirewallRules {
    /// Rules.
    #[serde(rename = "rule")]
    pub rules: Vec<FirewallRule>,
    /// Whether flows that open and close are logged: 200 lines a minute of one source at most.
    pub log_flows: bool,
}

/// A rule for packets that begin a flow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FirewallRule {
    /// What to do.
    pub action: FirewallAction,
    /// Where the packet comes from.
    pub from: Side,
    /// IP protocol number; any if none.
    pub protocol: Option<u8>,
    /// Source address; any if none.
    pub source: Option<Network>,
    /// Destination address; any if none.
    pub destination: Option<Network>,
    /// Destination ports; any if none.
    #[serde(serialize_with = "shown::debug")]
    pub ports: Option<RangeInclusive<u16>>,
    /// Whether only packets that came through IPsec match.
    pub ipsec_only: bool,
}

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FirewallAction {
    /// Lets the packet through.
    Allow,
    /// Drops it.
    Deny,
    /// Sends it to this address and port of the office: a pinhole.
    ForwardTo(Ipv4Addr, u16),
}

/// One of the gateway's sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The internet.
    Internet,
    /// Connected clients.
    Clients,
    /// The office's network.
    Lan,
    /// All three.
    Any,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawFirewall {
    rule: Vec<RawRule>,
    log_flows: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    action: Spanned<Action>,
    #[serde(default = "internet")]
    from: Side,
    protocol: Option<Spanned<String>>,
    source: Option<Spanned<String>>,
    destination: Option<Spanned<String>>,
    ports: Option<Spanned<String>>,
    to: Option<Spanned<String>>,
    #[serde(default)]
    ipsec_only: bool,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum Action {
    Allow,
    Deny,
    Forward,
}

fn internet() -> Side {
    Side::Internet
}

impl RawFirewall {
    pub(super) fn check(self, check: &Checker<'_>) -> Result<FirewallRules, ConfigError> {
        let rules = self.rule.into_iter().map(|rule| rule.check(check));
        Ok(FirewallRules {
            rules: rules.collect::<Result<_, _>>()?,
            log_flows: self.log_flows,
        })
    }
}

impl RawRule {
    fn check(self, check: &Checker<'_>) -> Result<FirewallRule, ConfigError> {
        let network = |value: &Option<Spanned<String>>| {
            let right = "write an address, or a network such as \"192.168.8.0/24\"";
            let value = value.as_ref();
            value
                .map(|v| check.value::<Network>(v, "a network", right))
                .transpose()
        };
        let protocol = self.protocol.as_ref().map(|p| protocol(check, p));
        let protocol = protocol.transpose()?;
        let ports = self.ports.as_ref().map(|p| check.ports(p)).transpose()?;
        if let Some(written) = &self.ports
            && !matches!(protocol, Some(TCP | UDP))
        {
            return Err(check.wrong(
                written,
                "only TCP and UDP have ports",
                "add protocol = \"tcp\" or \"udp\", or leave ports out",
            ));
        }
        let action = match (self.action.get_ref(), &self.to) {
            (Action::Allow, None) => FirewallAction::Allow,
            (Action::Deny, None) => FirewallAction::Deny,
            (Action::Forward, Some(to)) => {
                let target: SocketAddrV4 = check.value(
                    to,
                    "an address and a port",
                    "write where to, such as \"192.168.8.10:443\"",
                )?;
                let one = ports.as_ref().is_some_and(|p| p.start() == p.end());
                if !one || target.port() == 0 {
                    return Err(check.wrong(
                        to,
                        "a pinhole forwards one port to one port",
                        "give protocol and ports = \"443\", and a rule for each further port",
                    ));
                }
                FirewallAction::ForwardTo(*target.ip(), target.port())
            }
            (Action::Forward, None) => {
                return Err(check.wrong(
                    &self.action,
                    "a rule that forwards has to say where to",
                    "add to = \"192.168.8.10:443\"",
                ));
            }
            (_, Some(to)) => {
                return Err(check.wrong(
                    to,
                    "only a rule that forwards has a target",
                    "write action = \"forward\", or leave to out",
                ));
            }
        };
        Ok(FirewallRule {
            action,
            from: self.from,
            protocol,
            source: network(&self.source)?,
            destination: network(&self.destination)?,
            ports,
            ipsec_only: self.ipsec_only,
        })
    }
}

/// Protocol numbers of IANA's registry.
pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;
const ICMP: u8 = 1;

fn protocol(check: &Checker<'_>, value: &Spanned<String>) -> Result<u8, ConfigError> {
    match value.get_ref().as_str() {
        "tcp" => Ok(TCP),
        "udp" => Ok(UDP),
        "icmp" => Ok(ICMP),
        _ => check.value(
            value,
            "an IP protocol",
            "write \"tcp\", \"udp\", \"icmp\" or a number from 0 to 255",
        ),
    }
}
