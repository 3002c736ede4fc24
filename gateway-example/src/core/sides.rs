//! The sides of the firewall: the LAN, the internet, and a group of calls.

use super::convert;
use crate::config::{Config, FirewallAction, FirewallRule, Internet, Side};
use firewall::{Firewall, Group, Ingress, Interface, InterfaceId, Kind, Nat, Rule, Scope};
use std::net::{IpAddr, Ipv4Addr};

/// The group of the LAN's interface.
const LAN: Group = Group(0);
/// The group of the calls' interfaces.
pub(super) const CALLS: Group = Group(1);

const ICMP: u8 = 1;

/// What the unencrypted device leads to. Packets of both come and go through the same TUN.
#[derive(Debug)]
pub(super) struct Sides {
    /// The office.
    pub(super) lan: InterfaceId,
    /// The internet, by the gateway's global address.
    internet: Option<(InterfaceId, Ipv4Addr)>,
}

/// The addresses of an IPv4 packet, and its protocol.
fn header(packet: &[u8]) -> Option<(Ipv4Addr, Ipv4Addr, u8)> {
    let address = |at| Some(Ipv4Addr::from(*packet.get(at..)?.first_chunk::<4>()?));
    let is_v4 = packet.first()? >> 4 == 4;
    is_v4.then_some((address(12)?, address(16)?, *packet.get(9)?))
}

fn is_lan(config: &Config, address: Ipv4Addr) -> bool {
    let networks = &config.lan.networks;
    networks.is_empty() || networks.iter().any(|n| n.contains(address))
}

/// Whether an address outside of the pools is a client's, present or not.
fn is_lent(config: &Config, address: Ipv4Addr) -> bool {
    let own = config.users.values().filter_map(|user| user.address);
    let mut given = config.radius.iter().flat_map(|radius| &radius.addresses);
    own.into_iter().any(|own| own == address) || given.any(|n| n.contains(address))
}

/// Whether a packet is for everybody: to a multicast group, or a broadcast.
pub(super) fn is_for_all(packet: &[u8]) -> bool {
    match packet.first().map(|first| first >> 4) {
        Some(4) => header(packet).is_some_and(|(_, to, _)| to.is_multicast() || to.is_broadcast()),
        Some(6) => packet.get(24) == Some(&0xff),
        _ => false,
    }
}

impl Sides {
    pub(super) fn new(firewall: &mut Firewall, config: &Config) -> Self {
        let mut office = Interface::private();
        office.error_source = Some(config.ppp.local);
        let lan = firewall.add_interface(office);
        let global = config.internet.as_ref().and_then(|i| i.address);
        let internet = global.map(|address| {
            let mut interface = Interface::public();
            interface.mss_clamp = Some(convert::segment_size(config.tun.mtu));
            (firewall.add_interface(interface), address)
        });
        Self { lan, internet }
    }

    /// Where a packet of the unencrypted device comes from.
    pub(super) fn ingress(&self, config: &Config, packet: &[u8]) -> Ingress {
        let interface = match (self.internet, header(packet)) {
            (Some((internet, global)), Some((source, destination, _))) => {
                // The system's errors about translated packets bear its own address.
                let ours = source == config.ppp.local && destination != global;
                if ours || (source != config.ppp.local && is_lan(config, source)) {
                    self.lan
                } else {
                    internet
                }
            }
            _ => self.lan,
        };
        Ingress {
            interface,
            ipsec: false,
        }
    }

    /// Where a packet leaves whose destination is no client's at present.
    pub(super) fn towards(
        &self,
        config: &Config,
        from: InterfaceId,
        destination: Ipv4Addr,
    ) -> Option<InterfaceId> {
        let mut pools = config.pool.named.values().chain([&config.pool.range]);
        if pools.any(|pool| pool.contains(destination)) {
            return None;
        }
        if is_lan(config, destination) {
            // What the system sends here for a client who is not there must not go back to it.
            let back = from == self.lan && is_lent(config, destination);
            return (!back).then_some(self.lan);
        }
        let ((internet, _), access) = (self.internet?, config.internet.as_ref()?);
        let may = if from == self.lan {
            access.lan
        } else {
            access.clients && from != internet
        };
        may.then_some(internet)
    }

    /// Whether what leaves here goes to the unencrypted device.
    pub(super) fn has(&self, interface: InterfaceId) -> bool {
        interface == self.lan || self.internet.is_some_and(|(id, _)| interface == id)
    }

    /// Whether a packet that the firewall has dropped is the system's: its ICMP comes here too,
    /// if it shares its address with the gateway, as errors for either look alike.
    pub(super) fn is_systems(&self, config: &Config, from: InterfaceId, packet: &[u8]) -> bool {
        let shared = config.internet.as_ref().is_some_and(|i| i.shared);
        let (Some((internet, global)), true) = (self.internet, shared) else {
            return false;
        };
        from == internet && header(packet).is_some_and(|(_, to, p)| to == global && p == ICMP)
    }
}

/// Translations and rules.
pub(super) fn firewall_config(config: &Config) -> firewall::Config {
    let mut firewall = firewall::Config::default();
    if let Some(internet) = &config.internet {
        let groups = [(internet.clients, CALLS), (internet.lan, LAN)];
        let groups = groups.into_iter().filter(|(through, _)| *through);
        let nats = groups.filter_map(|(_, group)| nat(internet, group));
        firewall.nat.extend(nats);
    }
    firewall.rules = config.firewall.rules.iter().map(rule).collect();
    firewall
}

fn nat(internet: &Internet, group: Group) -> Option<Nat> {
    let mut nat = Nat::new(internet.address?);
    nat.from = Scope::Group(group);
    nat.ports = internet.ports.clone();
    nat.low_ports = internet.ports.clone();
    Some(nat)
}

fn rule(rule: &FirewallRule) -> Rule {
    let prefix = |network: crate::config::Network| {
        firewall::Prefix::new(IpAddr::V4(network.address), network.prefix)
    };
    let mut out = Rule::new(match rule.action {
        FirewallAction::Allow => firewall::RuleAction::Allow,
        FirewallAction::Deny => firewall::RuleAction::Deny,
        FirewallAction::ForwardTo(address, port) => firewall::RuleAction::ForwardTo(address, port),
    });
    out.from = match rule.from {
        Side::Internet => Scope::Side(Kind::Public),
        Side::Clients => Scope::Group(CALLS),
        Side::Lan => Scope::Group(LAN),
        Side::Any => Scope::Any,
    };
    out.protocol = rule.protocol.map(firewall::Protocol);
    out.source = rule.source.map(prefix);
    out.destination = rule.destination.map(prefix);
    out.ports.clone_from(&rule.ports);
    out.ipsec_only = rule.ipsec_only;
    out
}
