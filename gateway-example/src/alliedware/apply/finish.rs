//! What the commands come to together: references, and what must be there.

use super::{Internet, IpsecPolicy, Script};
use crate::alliedware::lex::Word;
use std::ops::Range;

/// What has to be enabled, and what for.
const ENABLED: [(&str, &str); 6] = [
    ("ip", "enable ip"),
    ("firewall", "enable firewall"),
    ("ipsec", "enable ipsec"),
    ("isakmp", "enable isakmp"),
    ("l2tp", "enable l2tp"),
    ("l2tp server", "enable l2tp server=both"),
];

/// The name that the language gives to the interfaces of clients.
const DYNAMIC: &str = "dyn-";

impl Script<'_> {
    pub(super) fn finish(&mut self) {
        for (what, command) in ENABLED {
            if !self.enabled.contains(&what) {
                self.lacks(
                    &format!("{what} is not enabled"),
                    &format!("add `{command}`"),
                );
            }
        }
        self.finish_interfaces();
        let ipsec = self.finish_ipsec();
        if let Some((bundle, isakmp)) = ipsec {
            self.finish_bundle(&bundle);
            self.finish_isakmp(&isakmp);
        }
        self.finish_ppp();
        self.finish_internet();
        self.finish_rules();
    }

    /// A rule is about packets that come in by its interface.
    fn finish_rules(&mut self) {
        let mut unknown = Vec::new();
        for hole in &mut self.office.pinholes {
            let name = hole.interface.text.to_ascii_lowercase();
            let side = self.sides.get(&hole.interface.text).copied();
            hole.from = match side {
                _ if name.starts_with(DYNAMIC) => "clients",
                Some("private") => "lan",
                Some(_) => "internet",
                None => {
                    unknown.push(hole.interface.clone());
                    continue;
                }
            };
        }
        for word in unknown {
            let remedy = "name one that `add firewall policy=... interface=` has added";
            self.unknown(&word, "interface of the firewall", remedy);
        }
    }

    fn lacks(&mut self, problem: &str, remedy: &str) {
        let end = self.text.trim_end().len();
        self.problems.add(end..end, problem, remedy);
    }

    fn unknown(&mut self, word: &Word, what: &str, remedy: &str) {
        self.problems.add(
            word.span.clone(),
            format!("there is no {what} `{}`", word.text),
            remedy,
        );
    }

    fn finish_interfaces(&mut self) {
        for (name, (span, kind)) in &self.sides.0 {
            if name.starts_with(DYNAMIC) {
                continue;
            }
            let Some(interface) = self.interfaces.get(name) else {
                self.problems.add(
                    span.clone(),
                    format!("interface `{name}` has no address"),
                    format!("add `add ip int={name} ip=...`"),
                );
                continue;
            };
            let office = &mut self.office;
            if *kind == "private" {
                office
                    .lan_networks
                    .push((interface.address, interface.prefix));
                if office.lan_interface.is_none() {
                    office.lan_interface = Some(name.clone());
                    office.local = Some(interface.address);
                }
            } else if let Some(other) = office.listen.replace(interface.address) {
                self.problems.add(
                    span.clone(),
                    format!("two public interfaces: {other} and {}", interface.address),
                    "leave one; the other needs a gateway of its own",
                );
            }
        }
        for (interface, network, prefix) in &self.routes {
            if self.sides.get(&interface.text) == Some(&"private") {
                self.office.lan_networks.push((*network, *prefix));
            }
        }
        if self.office.local.is_none() {
            self.lacks(
                "no interface is the office's",
                "add `add firewall policy=main int=vlan1 type=private`",
            );
        }
        if self.office.listen.is_none() {
            self.lacks(
                "no interface is the internet's",
                "add `add firewall policy=main int=eth0 type=public`",
            );
        }
    }

    /// The policy that wants IPsec: its bundle and its ISAKMP policy.
    fn finish_ipsec(&mut self) -> Option<(Word, Word)> {
        let wanting: Vec<&(Range<usize>, IpsecPolicy)> = self
            .ipsec_order
            .iter()
            .filter_map(|name| self.ipsec.0.get(name))
            .filter(|(_, policy)| !policy.permit)
            .collect();
        let policy = match wanting.as_slice() {
            [(_, policy)] => policy,
            [] => {
                self.lacks(
                    "no IPsec policy has action=ipsec",
                    "add `create ipsec policy=all_roaming action=ipsec ...`",
                );
                return None;
            }
            [_, (span, _), ..] => {
                self.problems.add(
                    span.clone(),
                    "a second policy with action=ipsec",
                    "use one policy with peer=any for all clients",
                );
                return None;
            }
        };
        let is_l2tp = policy.udp
            && (policy.port == Some(1701) || policy.remote_port == Some(1701))
            && policy.port.is_none_or(|port| port == 1701);
        if !is_l2tp {
            self.problems.add(
                policy.span.clone(),
                "only L2TP goes through IPsec here",
                "add `transport=udp lport=1701`",
            );
            return None;
        }
        let (Some(bundle), Some(isakmp)) = (&policy.bundle, &policy.isakmp) else {
            self.problems.add(
                policy.span.clone(),
                "the policy names no bundle or no ISAKMP policy",
                "add bundlespecification=1 isakmppolicy=\"roaming1\"",
            );
            return None;
        };
        Some((bundle.clone(), isakmp.clone()))
    }

    fn finish_bundle(&mut self, name: &Word) {
        let Some(members) = self.bundles.get(&name.text).cloned() else {
            return self.unknown(name, "bundle", "create it, or correct the number");
        };
        for member in members {
            match self.sas.get(&member.text) {
                Some(suite) if self.office.esp_proposals.contains(suite) => {}
                Some(suite) => self.office.esp_proposals.push(suite.clone()),
                None => self.unknown(
                    &member,
                    "SA specification",
                    "create it, or correct the number",
                ),
            }
        }
    }

    fn finish_isakmp(&mut self, name: &Word) {
        let Some(used) = self.isakmp.get(&name.text) else {
            return self.unknown(name, "ISAKMP policy", "create it, or correct the name");
        };
        self.office.send_deletes = used.send_deletes;
        self.office.nat_traversal = used.nat_traversal;
        if let (Some(encalg), hash, group) = (used.encalg, used.hashalg, used.group) {
            let cipher = if encalg == "3desouter" {
                "3des"
            } else {
                encalg
            };
            let hash = if hash == Some("md5") { "md5" } else { "sha1" };
            let group = match group {
                Some("2") => "modp1024",
                // The device's default; its group 0 is weaker still, and nobody has it.
                _ => "modp768",
            };
            self.office
                .ike_proposals
                .push(format!("{cipher}-{hash}-{group}"));
        }
        let mut wrong = Vec::new();
        for (span, policy) in self.isakmp.0.values() {
            match &policy.key {
                None => wrong.push((
                    span.clone(),
                    "the ISAKMP policy names no key".to_owned(),
                    "add key=1".to_owned(),
                )),
                Some(key) => match self.keys.get(&key.text) {
                    Some(secret) => {
                        let psk = (policy.peer.clone(), secret.clone());
                        self.office.psks.push(psk);
                    }
                    None => wrong.push((
                        key.span.clone(),
                        format!("there is no pre-shared key {}", key.text),
                        format!(
                            "add `create enco key={} type=general value=...`: on the router it was made by hand",
                            key.text
                        ),
                    )),
                },
            }
        }
        for (span, problem, remedy) in wrong {
            self.problems.add(span, problem, remedy);
        }
    }

    fn finish_ppp(&mut self) {
        let Some(name) = self.l2tp_template.clone() else {
            return self.lacks(
                "L2TP takes no calls",
                "add `add l2tp ip=1.1.1.1-255.255.255.254 ppptemplate=1`",
            );
        };
        let Some(template) = self.templates.get(&name.text) else {
            return self.unknown(&name, "PPP template", "create it, or correct the number");
        };
        self.office.auth.clone_from(&template.auth);
        self.office.echo_seconds = template.echo_seconds;
        if let Some(pool) = template.pool.clone() {
            match self.pools.get(&pool.text) {
                Some(range) => self.office.pool = Some(*range),
                None => self.unknown(&pool, "IP pool", "create it, or correct the name"),
            }
        }
    }

    /// Translation needs an IPsec policy that lets all else pass.
    fn finish_internet(&mut self) {
        let permits_all = |policy: &IpsecPolicy| {
            policy.permit && policy.port.is_none() && policy.remote_port.is_none() && !policy.udp
        };
        let permitted = self.ipsec.0.values().any(|(_, policy)| permits_all(policy));
        for (inside, outside, address) in std::mem::take(&mut self.nats) {
            if self.sides.get(&outside.text) != Some(&"public") {
                self.problems.add(
                    outside.span,
                    "the translation leads to no public interface",
                    "name the one with type=public",
                );
                continue;
            }
            let dynamic = inside.text.to_ascii_lowercase().starts_with(DYNAMIC);
            if !dynamic && self.sides.get(&inside.text) != Some(&"private") {
                self.problems.add(
                    inside.span,
                    "the translation begins at no private interface",
                    "name one with type=private",
                );
                continue;
            }
            if !permitted {
                let line = self.text.get(..inside.span.start).unwrap_or("");
                let line = line.matches('\n').count() + 1;
                if let Some(note) = self.notes.iter_mut().find(|note| note.line == line) {
                    note.applied = false;
                    note.text = "no IPsec policy permits the internet: add `create ipsec policy=internet int=... action=permit`".into();
                }
                continue;
            }
            let own = self.interfaces.get(&outside.text).map(|i| i.address);
            let internet = self.office.internet.get_or_insert_with(|| Internet {
                interface: outside.text.to_ascii_lowercase(),
                address: None,
                clients: false,
                lan: false,
            });
            internet.address = internet.address.or(address.filter(|a| Some(*a) != own));
            if dynamic {
                internet.clients = true;
            } else {
                internet.lan = true;
            }
        }
    }
}
