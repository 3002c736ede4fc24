//! Addresses, routes and the firewall.

use super::{Interface, Pinhole, Script, class_of};
use crate::alliedware::grammar::Command;

impl Script<'_> {
    pub(super) fn ip(&mut self, command: &Command) -> Option<()> {
        if command.has("pool") {
            let name = self.needed(command, "pool")?;
            let range = self.needed(command, "ipaddress")?;
            let range = self.range(range)?;
            Self::keep(self.problems, &mut self.pools, name, range)?;
            return self.applied(command, "[pool], once a template names it");
        }
        if command.has("route") {
            let network = self.needed(command, "route")?;
            let network = self.address(network)?;
            let interface = self.needed(command, "interface")?;
            let next = self.needed(command, "nexthop")?;
            let next = self.address(next)?;
            let prefix = match self.optional(command, "mask")? {
                Some(mask) => self.mask(mask)?,
                None => class_of(network),
            };
            let via = format!("via {next} dev {}", interface.text);
            if prefix == 0 {
                return self.unused(
                    command,
                    format!("the system's routes are used: `ip route add default {via}`"),
                );
            }
            self.routes.push((interface.clone(), network, prefix));
            return self.applied(
                command,
                format!(
                    "lan.networks, if it is the LAN's; the system needs the route too: `ip route add {network}/{prefix} {via}`"
                ),
            );
        }
        let name = self.needed(command, "interface")?;
        let address = self.needed(command, "ipaddress")?;
        let address = self.address(address)?;
        let prefix = match self.optional(command, "mask")? {
            Some(mask) => self.mask(mask)?,
            None => class_of(address),
        };
        let interface = Interface { address, prefix };
        Self::keep(self.problems, &mut self.interfaces, name, interface)?;
        self.applied(
            command,
            format!(
                "known by this address; the system needs it too: `ip address add {address}/{prefix} dev {}`",
                name.text
            ),
        )
    }

    pub(super) fn firewall(&mut self, command: &Command) -> Option<()> {
        if !command.has("policy") {
            return self.incomplete(command, "name the policy: firewall policy=main");
        }
        self.needed(command, "policy")?;
        if command.has("nat") {
            return self.nat(command);
        }
        if command.has("rule") {
            return self.rule(command);
        }
        if command.has("type") {
            let interface = self.needed(command, "interface")?;
            let kind = self.choice(command, "type", &["private", "public"])?;
            if interface.text.to_ascii_lowercase().starts_with("dyn-") && kind == "public" {
                self.problems.add(
                    command.span.clone(),
                    "clients that come in through IPsec are not the internet",
                    "write type=private",
                );
                return None;
            }
            Self::keep(self.problems, &mut self.sides, interface, kind)?;
            return self.applied(command, format!("its side of the firewall: {kind}"));
        }
        if let Some(user) = self.optional(command, "user")? {
            if !user.text.eq_ignore_ascii_case("any") {
                self.problems.add(
                    user.span.clone(),
                    "the firewall treats all users alike",
                    "write user=ANY",
                );
                return None;
            }
            return self.applied(
                command,
                "every client's call is an interface of the firewall",
            );
        }
        if command.has("dynamic") {
            self.needed(command, "dynamic")?;
            return self.applied(command, "clients' interfaces come and go by themselves");
        }
        if command.verb == "create" && command.parameters.len() == 1 {
            return self.applied(command, "there is one policy, always");
        }
        self.incomplete(
            command,
            "name one of type=, nat=, rule=, dynamic= and user=",
        )
    }

    pub(super) fn nat(&mut self, command: &Command) -> Option<()> {
        self.choice(command, "nat", &["enhanced"])?;
        let inside = self.needed(command, "interface")?;
        let outside = self.needed(command, "gblinterface")?;
        let address = self.optional_address(command, "gblip")?;
        self.nats.push((inside.clone(), outside.clone(), address));
        self.applied(
            command,
            "[internet], together with an IPsec policy that permits it",
        )
    }

    pub(super) fn rule(&mut self, command: &Command) -> Option<()> {
        let number = self.needed(command, "rule")?;
        let number = self.number(number)?;
        let action = self.choice(command, "action", &["allow", "deny"])?;
        let protocol = self.choice(command, "protocol", &["udp", "tcp", "icmp", "any", "all"])?;
        let interface = self.needed(command, "interface")?;
        let ipsec_only =
            self.optional_choice(command, "encapsulation", &["ipsec", "none"])? == Some("ipsec");
        let address = self.optional_address(command, "ip")?;
        let port = self.optional_number(command, "port")?;
        let global = self.optional_address(command, "gblip")?;
        let global_port = self.optional_number(command, "gblport")?;
        let source = self.optional_address(command, "remoteip")?;
        let own = |port: u16| global == address && global_port.is_none_or(|global| global == port);
        if action == "allow" && protocol == "udp" && source.is_none() {
            match port {
                Some(500) if own(500) => return self.applied(command, "IKE is served, always"),
                Some(4500) if own(4500) => {
                    return self.applied(command, "NAT traversal is served, always");
                }
                Some(1701) if own(1701) && ipsec_only => {
                    return self.applied(command, "L2TP is taken from IPsec alone, always");
                }
                Some(1701) if own(1701) => {
                    self.problems.add(
                        command.span.clone(),
                        "L2TP without IPsec is not served",
                        "add encap=ipsec",
                    );
                    return None;
                }
                _ => {}
            }
        }
        if self
            .office
            .pinholes
            .iter()
            .any(|hole| hole.number == number)
        {
            self.problems.add(
                command.span.clone(),
                format!("rule {number} is there already"),
                "give it another number",
            );
            return None;
        }
        let has_ports = matches!(protocol, "tcp" | "udp");
        if (port.is_some() || global_port.is_some()) && !has_ports {
            self.problems.add(
                command.span.clone(),
                "only TCP and UDP have ports",
                "write protocol=tcp or protocol=udp",
            );
            return None;
        }
        if port == Some(0) || global_port == Some(0) {
            self.problems.add(
                command.span.clone(),
                "there is no port 0",
                "write a port from 1 to 65535",
            );
            return None;
        }
        let to = match (address, port, global_port.or(port)) {
            (Some(address), Some(port), Some(outer)) if action == "allow" && global.is_some() => {
                (global != Some(address) || outer != port).then_some((address, port))
            }
            _ => None,
        };
        self.office.pinholes.push(Pinhole {
            number,
            action: if to.is_some() { "forward" } else { action },
            from: "internet",
            interface: interface.clone(),
            protocol,
            source,
            destination: global.or(address),
            port: global_port.or(port),
            to,
            ipsec_only,
        });
        self.applied(command, "[[firewall.rule]]")
    }
}
