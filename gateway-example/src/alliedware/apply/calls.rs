//! Calls: what they are enabled by, PPP and L2TP.

use super::{PppTemplate, Script};
use crate::alliedware::grammar::Command;

impl Script<'_> {
    pub(super) fn enable(&mut self, command: &Command) -> Option<()> {
        let object = command.object;
        if !self.enabled.contains(&object) {
            self.enabled.push(object);
        }
        if object != "l2tp" {
            return self.applied(command, "always so");
        }
        match self.optional_choice(command, "server", &["both", "lac", "lns"])? {
            None => self.applied(command, "always so"),
            Some("lac") => {
                self.problems.add(
                    command.span.clone(),
                    "a concentrator alone answers no clients",
                    "write server=both or server=lns",
                );
                None
            }
            Some(server) => {
                self.enabled.push("l2tp server");
                let more = if server == "both" {
                    "; to call other servers there is `gateway connect`"
                } else {
                    ""
                };
                self.applied(command, format!("calls are taken{more}"))
            }
        }
    }

    pub(super) fn ppp(&mut self, command: &Command) -> Option<()> {
        if !command.has("template") {
            let mut any = false;
            for (name, is_dns) in [
                ("dnsprimary", true),
                ("dnssecondary", true),
                ("winsprimary", false),
                ("winssecondary", false),
            ] {
                if let Some(address) = self.optional_address(command, name)? {
                    any = true;
                    if is_dns {
                        self.office.dns.push(address);
                    } else {
                        self.office.wins.push(address);
                    }
                }
            }
            if !any {
                return self.incomplete(command, "name dnsprimary=... or template=...");
            }
            return self.applied(command, "ppp.dns and ppp.wins");
        }
        let name = self.needed(command, "template")?;
        let ways = ["chap", "pap", "either", "none"];
        let auth = match self.choice(command, "authentication", &ways)? {
            "chap" => vec!["chap"],
            "pap" => vec!["pap"],
            "either" => vec!["chap", "pap"],
            _ => {
                self.problems.add(
                    command.span.clone(),
                    "without authentication anybody with the pre-shared key is everybody",
                    "write authentication=chap",
                );
                return None;
            }
        };
        let echo_seconds = match self.optional(command, "echo")? {
            // As the device has it where nothing is said.
            None => 10,
            Some(word) => match word.text.to_ascii_lowercase().as_str() {
                "on" => 10,
                "off" => 0,
                _ => self.number(word)?,
            },
        };
        let template = PppTemplate {
            auth,
            echo_seconds,
            pool: self.optional(command, "ippool")?.cloned(),
        };
        let mut lacks = Vec::new();
        for feature in ["bap", "lqr"] {
            if self.optional_choice(command, feature, &["on", "off"])? == Some("on") {
                lacks.push(feature);
            }
        }
        Self::keep(self.problems, &mut self.templates, name, template)?;
        if lacks.is_empty() {
            self.applied(command, "[ppp]; bap and lqr are always off")
        } else {
            let lacks = lacks.join(" and ");
            self.applied(
                command,
                format!("[ppp], but {lacks} stays off: no client needs it"),
            )
        }
    }

    pub(super) fn l2tp(&mut self, command: &Command) -> Option<()> {
        let range = self.needed(command, "ip")?;
        let range = self.range(range)?;
        let template = self.needed(command, "ppptemplate")?;
        if let Some(before) = &self.l2tp_template
            && !before.text.eq_ignore_ascii_case(&template.text)
        {
            self.problems.add(
                template.span.clone(),
                "calls of different peers would get different templates",
                "use one template for all",
            );
            return None;
        }
        self.l2tp_template = Some(template.clone());
        self.office.l2tp_peers.push(range);
        self.applied(command, "l2tp.peers, with the template as [ppp]")
    }
}
