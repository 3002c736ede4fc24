//! Keys, SA specifications, and the policies of IPsec and ISAKMP.

use super::{IpsecPolicy, IsakmpPolicy, Script};
use crate::alliedware::grammar::Command;
use crate::alliedware::lex::Word;

impl Script<'_> {
    pub(super) fn key(&mut self, command: &Command) -> Option<()> {
        let name = self.needed(command, "key")?;
        let kinds = ["general", "rsa", "des", "3des2key", "3desinner", "aes128"];
        if self.choice(command, "type", &kinds)? != "general" {
            return self.unused(command, "only pre-shared keys (type=general) are used here");
        }
        let value = self.needed(command, "value")?;
        Self::keep(self.problems, &mut self.keys, name, value.text.clone())?;
        self.applied(command, "a pre-shared key, once an ISAKMP policy names it")
    }

    pub(super) fn ipsec(&mut self, command: &Command) -> Option<()> {
        if command.has("saspecification") {
            let name = self.needed(command, "saspecification")?;
            self.choice(command, "keymanagement", &["isakmp"])?;
            self.choice(command, "protocol", &["esp"])?;
            let ciphers = ["des", "3desouter", "aes128", "aes192", "aes256"];
            let cipher = match self.choice(command, "encalg", &ciphers)? {
                "3desouter" => "3des",
                cipher => cipher,
            };
            let hash = match self.choice(command, "hashalg", &["sha", "md5"])? {
                "sha" => "sha1",
                hash => hash,
            };
            self.choice(command, "mode", &["transport"])?;
            let suite = format!("{cipher}-{hash}");
            Self::keep(self.problems, &mut self.sas, name, suite)?;
            return self.applied(command, "esp.proposals, once a bundle names it");
        }
        if command.has("string") {
            let name = self.needed(command, "bundlespecification")?;
            self.choice(command, "keymanagement", &["isakmp"])?;
            let string = self.needed(command, "string")?;
            let members = self.bundle(string)?;
            Self::keep(self.problems, &mut self.bundles, name, members)?;
            return self.applied(command, "esp.proposals, in this order");
        }
        let name = self.needed(command, "policy")?;
        let actions = ["ipsec", "permit", "deny"];
        let action = if command.verb == "set" {
            self.optional_choice(command, "action", &actions)?
        } else {
            Some(self.choice(command, "action", &actions)?)
        };
        if action == Some("deny") {
            self.problems.add(
                command.span.clone(),
                "what no policy permits is denied anyway",
                "leave the policy out",
            );
            return None;
        }
        self.optional_choice(command, "keymanagement", &["isakmp"])?;
        self.optional_choice(command, "peeraddress", &["any"])?;
        self.optional(command, "interface")?;
        let transport = self.optional_choice(command, "transportprotocol", &["udp"])?;
        let bundle = self.optional(command, "bundlespecification")?.cloned();
        let isakmp = self.optional(command, "isakmppolicy")?.cloned();
        let port = self.optional_number(command, "lport")?;
        let remote_port = self.optional_number(command, "rport")?;
        if command.verb == "create" {
            let policy = IpsecPolicy {
                span: command.span.clone(),
                permit: action == Some("permit"),
                ..IpsecPolicy::default()
            };
            Self::keep(self.problems, &mut self.ipsec, name, policy)?;
            self.ipsec_order.push(name.text.to_ascii_lowercase());
        }
        let policy = Self::existing(self.problems, &mut self.ipsec, name, "IPsec policy")?;
        policy.bundle = bundle.or(policy.bundle.take());
        policy.isakmp = isakmp.or(policy.isakmp.take());
        policy.port = port.or(policy.port);
        policy.remote_port = remote_port.or(policy.remote_port);
        policy.udp |= transport.is_some();
        if let Some(action) = action {
            policy.permit = action == "permit";
        }
        let permit = policy.permit;
        self.applied(
            command,
            if permit {
                "what goes past IPsec: IKE itself, and the internet if [internet] is there"
            } else {
                "calls are taken from IPsec alone"
            },
        )
    }

    /// `1 or 2 or 3`: specifications in order of preference.
    pub(super) fn bundle(&mut self, string: &Word) -> Option<Vec<Word>> {
        let mut members = Vec::new();
        let mut wants_name = true;
        for text in string.text.split_whitespace() {
            let is_or = text.eq_ignore_ascii_case("or");
            if is_or == wants_name {
                break;
            }
            if !is_or {
                members.push(Word {
                    text: text.to_owned(),
                    span: string.span.clone(),
                });
            }
            wants_name = !wants_name;
        }
        let words = string.text.split_whitespace().count();
        if wants_name || words != members.len() * 2 - 1 {
            self.problems.add(
                string.span.clone(),
                format!("`{}` is not a choice of SA specifications", string.text),
                "write them with `or` between, such as \"1 or 2\", the strongest first",
            );
            return None;
        }
        Some(members)
    }

    pub(super) fn isakmp(&mut self, command: &Command) -> Option<()> {
        let name = self.needed(command, "policy")?;
        let flags = ["true", "false", "on", "off", "yes", "no"];
        let is_on = |flag: &str| matches!(flag, "true" | "on" | "yes");
        let peer = match self.optional(command, "peer")? {
            Some(word) if word.text.eq_ignore_ascii_case("any") => Some("any".to_owned()),
            Some(word) => Some(self.address(word)?.to_string()),
            None => None,
        };
        let key = self.optional(command, "key")?.cloned();
        let deletes = self.optional_choice(command, "senddeletes", &flags)?;
        let natt = self.optional_choice(command, "natt", &flags)?;
        self.optional_choice(command, "sendnotify", &flags)?;
        // What stands in the identification payload is our address, as it is with `local` there.
        self.optional_choice(command, "localid", &["local"])?;
        let ciphers = ["des", "3desouter", "aes128", "aes192", "aes256"];
        let encalg = self.optional_choice(command, "encalg", &ciphers)?;
        let hashalg = self.optional_choice(command, "hashalg", &["sha", "md5"])?;
        let group = self.optional_choice(command, "group", &["0", "1", "2"])?;
        if command.verb == "create" {
            let Some(peer) = &peer else {
                return self.incomplete(command, "add peer=any");
            };
            let policy = IsakmpPolicy {
                peer: peer.clone(),
                ..IsakmpPolicy::default()
            };
            Self::keep(self.problems, &mut self.isakmp, name, policy)?;
        }
        let policy = Self::existing(self.problems, &mut self.isakmp, name, "ISAKMP policy")?;
        policy.peer = peer.unwrap_or(std::mem::take(&mut policy.peer));
        policy.key = key.or(policy.key.take());
        policy.send_deletes = deletes.map_or(policy.send_deletes, is_on);
        policy.nat_traversal = natt.map_or(policy.nat_traversal, is_on);
        policy.encalg = encalg.or(policy.encalg);
        policy.hashalg = hashalg.or(policy.hashalg);
        policy.group = group.or(policy.group);
        self.applied(command, "[ike] and [[psk]]")
    }
}
