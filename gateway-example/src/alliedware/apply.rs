//! What the commands say, one by one.

use super::grammar::{Command, find};
use super::lex::Word;
use super::{Note, Problems};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::ops::Range;

mod finish;

/// What a script sets up, in this gateway's terms.
#[derive(Debug, Default)]
pub(super) struct Office {
    pub(super) listen: Option<Ipv4Addr>,
    pub(super) psks: Vec<(String, String)>,
    pub(super) ike_proposals: Vec<String>,
    pub(super) send_deletes: bool,
    pub(super) nat_traversal: bool,
    pub(super) esp_proposals: Vec<String>,
    pub(super) l2tp_peers: Vec<(Ipv4Addr, Ipv4Addr)>,
    pub(super) local: Option<Ipv4Addr>,
    pub(super) dns: Vec<Ipv4Addr>,
    pub(super) wins: Vec<Ipv4Addr>,
    pub(super) auth: Vec<&'static str>,
    pub(super) echo_seconds: u16,
    pub(super) pool: Option<(Ipv4Addr, Ipv4Addr)>,
    pub(super) lan_interface: Option<String>,
    pub(super) lan_networks: Vec<(Ipv4Addr, u8)>,
    pub(super) internet: Option<Internet>,
    pub(super) pinholes: Vec<Pinhole>,
    pub(super) radius: Vec<Radius>,
    pub(super) users: Vec<User>,
}

#[derive(Debug)]
pub(super) struct Internet {
    pub(super) interface: String,
    pub(super) address: Option<Ipv4Addr>,
    pub(super) clients: bool,
    pub(super) lan: bool,
}

#[derive(Debug)]
pub(super) struct Pinhole {
    pub(super) number: u16,
    pub(super) action: &'static str,
    /// Where packets come in: a side of ours, once the interfaces are known.
    pub(super) from: &'static str,
    pub(super) interface: Word,
    pub(super) protocol: &'static str,
    pub(super) source: Option<Ipv4Addr>,
    pub(super) destination: Option<Ipv4Addr>,
    pub(super) port: Option<u16>,
    pub(super) to: Option<(Ipv4Addr, u16)>,
    pub(super) ipsec_only: bool,
}

#[derive(Debug)]
pub(super) struct Radius {
    pub(super) server: Ipv4Addr,
    pub(super) secret: String,
    pub(super) port: Option<u16>,
    pub(super) accounting_port: Option<u16>,
}

#[derive(Debug)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) password: String,
    pub(super) address: Option<Ipv4Addr>,
    pub(super) description: Option<String>,
}

/// Something named in one command and used by another.
#[derive(Debug)]
struct Named<T>(BTreeMap<String, (Range<usize>, T)>);

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

#[derive(Debug, Default)]
struct PppTemplate {
    auth: Vec<&'static str>,
    echo_seconds: u16,
    pool: Option<Word>,
}

#[derive(Debug, Default)]
struct IpsecPolicy {
    span: Range<usize>,
    permit: bool,
    bundle: Option<Word>,
    isakmp: Option<Word>,
    port: Option<u16>,
    remote_port: Option<u16>,
    udp: bool,
}

#[derive(Debug, Default)]
struct IsakmpPolicy {
    peer: String,
    key: Option<Word>,
    send_deletes: bool,
    nat_traversal: bool,
    encalg: Option<&'static str>,
    hashalg: Option<&'static str>,
    group: Option<&'static str>,
}

#[derive(Debug)]
struct Interface {
    address: Ipv4Addr,
    prefix: u8,
}

/// All that the commands have said so far.
struct Script<'a> {
    text: &'a str,
    problems: &'a mut Problems,
    notes: Vec<Note>,
    office: Office,
    enabled: Vec<&'static str>,
    keys: Named<String>,
    templates: Named<PppTemplate>,
    l2tp_template: Option<Word>,
    pools: Named<(Ipv4Addr, Ipv4Addr)>,
    interfaces: Named<Interface>,
    sides: Named<&'static str>,
    routes: Vec<(Word, Ipv4Addr, u8)>,
    nats: Vec<(Word, Word, Option<Ipv4Addr>)>,
    sas: Named<String>,
    bundles: Named<Vec<Word>>,
    ipsec: Named<IpsecPolicy>,
    ipsec_order: Vec<String>,
    isakmp: Named<IsakmpPolicy>,
    management: Vec<String>,
}

/// Reads all commands; none if something is wrong, which is in `problems` then.
pub(super) fn apply(
    text: &str,
    commands: &[Command],
    problems: &mut Problems,
) -> Option<(Office, Vec<Note>)> {
    let mut script = Script {
        text,
        problems,
        notes: Vec::new(),
        office: Office::default(),
        enabled: Vec::new(),
        keys: Named::default(),
        templates: Named::default(),
        l2tp_template: None,
        pools: Named::default(),
        interfaces: Named::default(),
        sides: Named::default(),
        routes: Vec::new(),
        nats: Vec::new(),
        sas: Named::default(),
        bundles: Named::default(),
        ipsec: Named::default(),
        ipsec_order: Vec::new(),
        isakmp: Named::default(),
        management: Vec::new(),
    };
    for command in commands {
        // None is a problem that was told.
        let _ = script.command(command);
    }
    if script.problems.0.is_empty() {
        script.finish();
    }
    if script.problems.0.is_empty() {
        Some((script.office, script.notes))
    } else {
        None
    }
}

impl<T> Named<T> {
    fn get(&self, name: &str) -> Option<&T> {
        self.0.get(&name.to_ascii_lowercase()).map(|(_, t)| t)
    }
}

/// The prefix length of an address's class, which the language means where no mask is given.
fn class_of(address: Ipv4Addr) -> u8 {
    match address.octets() {
        [0..=127, ..] => 8,
        [128..=191, ..] => 16,
        _ => 24,
    }
}

impl Script<'_> {
    fn command(&mut self, command: &Command) -> Option<()> {
        match (command.verb, command.object) {
            ("delete" | "destroy" | "disable" | "reset" | "restart" | "show", _)
                if !command.has("debug") =>
            {
                self.problems.add(
                    command.span.clone(),
                    format!("`{}` does not belong into a configuration", command.verb),
                    "remove the command; what is not set up need not be removed",
                );
                None
            }
            (_, "alias") => self.unused(command, "a shortcut of the router's command line"),
            (_, "config") => self.unused(command, "this file is named on the command line"),
            ("login", _) => self.unused(command, "the system's own login is used"),
            (_, "ssh") => self.unused(command, "the system's own SSH server is used"),
            (_, "system") => self.unused(command, "the system's own name and security are used"),
            (_, "isakmp" | "ipsec") if command.has("debug") => {
                self.unused(command, "start the gateway with `--log debug` instead")
            }
            ("enable", "ip" | "firewall" | "ipsec" | "isakmp" | "l2tp") => self.enable(command),
            (_, "enco") => self.key(command),
            (_, "user") => self.user(command),
            (_, "radius") => self.radius(command),
            (_, "ppp") => self.ppp(command),
            (_, "l2tp") => self.l2tp(command),
            (_, "ip") => self.ip(command),
            (_, "firewall") => self.firewall(command),
            (_, "ipsec") => self.ipsec(command),
            (_, "isakmp") => self.isakmp(command),
            _ => self.incomplete(command, "write it as the device's manual does"),
        }
    }

    // --- notes ---

    fn note(&mut self, command: &Command, applied: bool, text: impl Into<String>) {
        let before = self.text.get(..command.span.start).unwrap_or("");
        let mut about = format!("{} {}", command.verb, command.object);
        if let Some(value) = &command.value {
            about = format!("{about}={}", value.text.escape_debug());
        }
        if let Some(first) = command.parameters.first() {
            about = format!("{about} {}", first.name);
            if let Some(value) = first.value.as_ref().filter(|_| is_public(first.name)) {
                about = format!("{about}={}", value.text.escape_debug());
            }
        }
        self.notes.push(Note {
            line: before.matches('\n').count() + 1,
            command: about,
            applied,
            text: text.into(),
        });
    }

    fn applied(&mut self, command: &Command, text: impl Into<String>) -> Option<()> {
        self.note(command, true, text);
        Some(())
    }

    fn unused(&mut self, command: &Command, text: impl Into<String>) -> Option<()> {
        self.note(command, false, text);
        Some(())
    }

    fn incomplete(&mut self, command: &Command, remedy: &str) -> Option<()> {
        let (verb, object) = (command.verb, command.object);
        self.problems.add(
            command.span.clone(),
            format!("this `{verb} {object}` cannot be understood"),
            remedy,
        );
        None
    }

    // --- values ---

    /// The value of a parameter that there must be.
    fn needed<'c>(&mut self, command: &'c Command, name: &str) -> Option<&'c Word> {
        let word = self.optional(command, name)?;
        if word.is_none() {
            let (verb, object) = (command.verb, command.object);
            self.problems.add(
                command.span.clone(),
                format!("this `{verb} {object}` lacks {name}="),
                format!("add {name}=..."),
            );
        }
        word
    }

    /// The value of a parameter, if it is there; the outer none is a problem.
    fn optional<'c>(&mut self, command: &'c Command, name: &str) -> Option<Option<&'c Word>> {
        let Some(parameter) = command.parameter(name) else {
            return Some(None);
        };
        match &parameter.value {
            Some(word) if !word.text.is_empty() => Some(Some(word)),
            _ => {
                self.problems.add(
                    parameter.span.clone(),
                    format!("{name} has no value"),
                    format!("write {name}=..., without spaces around the sign"),
                );
                None
            }
        }
    }

    /// What the object itself is called.
    fn named<'c>(&mut self, command: &'c Command) -> Option<&'c Word> {
        let word = command.value.as_ref().filter(|w| !w.text.is_empty());
        if word.is_none() {
            let object = command.object;
            self.problems.add(
                command.span.clone(),
                format!("{object} has no name"),
                format!("write {object}=..."),
            );
        }
        word
    }

    fn parsed<T: std::str::FromStr>(&mut self, word: &Word, what: &str, right: &str) -> Option<T> {
        let parsed = word.text.parse().ok();
        if parsed.is_none() {
            let text = &word.text;
            self.problems
                .add(word.span.clone(), format!("`{text}` is not {what}"), right);
        }
        parsed
    }

    fn address(&mut self, word: &Word) -> Option<Ipv4Addr> {
        let right = "write four numbers, such as 192.168.8.1";
        self.parsed(word, "an IPv4 address", right)
    }

    fn optional_address(&mut self, command: &Command, name: &str) -> Option<Option<Ipv4Addr>> {
        match self.optional(command, name)? {
            Some(word) => self.address(word).map(Some),
            None => Some(None),
        }
    }

    fn number(&mut self, word: &Word) -> Option<u16> {
        self.parsed(word, "a number from 0 to 65535", "write a number")
    }

    fn optional_number(&mut self, command: &Command, name: &str) -> Option<Option<u16>> {
        match self.optional(command, name)? {
            Some(word) => self.number(word).map(Some),
            None => Some(None),
        }
    }

    fn range(&mut self, word: &Word) -> Option<(Ipv4Addr, Ipv4Addr)> {
        let (first, last) = word
            .text
            .split_once('-')
            .unwrap_or((&word.text, &word.text));
        match (first.parse(), last.parse()) {
            (Ok(first), Ok(last)) if first <= last => Some((first, last)),
            _ => {
                self.problems.add(
                    word.span.clone(),
                    format!("`{}` is not a range of addresses", word.text),
                    "write the first and the last, such as 192.168.8.100-192.168.8.199",
                );
                None
            }
        }
    }

    fn mask(&mut self, word: &Word) -> Option<u8> {
        let mask = self.address(word)?;
        let prefix = mask.to_bits().leading_ones();
        if mask.to_bits().count_ones() == prefix {
            u8::try_from(prefix).ok()
        } else {
            self.problems.add(
                word.span.clone(),
                format!("`{mask}` is not a mask"),
                "write ones, then zeros, such as 255.255.255.0",
            );
            None
        }
    }

    /// One of the words that a parameter may be.
    fn word(&mut self, word: &Word, of: &[&'static str], what: &str) -> Option<&'static str> {
        find(word, of.iter().copied(), what, self.problems)
    }

    /// One of the words that a parameter must be.
    fn choice(
        &mut self,
        command: &Command,
        name: &str,
        of: &[&'static str],
    ) -> Option<&'static str> {
        let word = self.needed(command, name)?;
        self.word(word, of, &format!("a value of {name}"))
    }

    fn optional_choice(
        &mut self,
        command: &Command,
        name: &str,
        of: &[&'static str],
    ) -> Option<Option<&'static str>> {
        match self.optional(command, name)? {
            Some(word) => self.word(word, of, &format!("a value of {name}")).map(Some),
            None => Some(None),
        }
    }

    /// Keeps something under its name, once.
    fn keep<T>(problems: &mut Problems, named: &mut Named<T>, name: &Word, thing: T) -> Option<()> {
        let key = name.text.to_ascii_lowercase();
        if named.0.contains_key(&key) {
            problems.add(
                name.span.clone(),
                format!("`{}` is there already", name.text),
                "give it another name, or use `set`",
            );
            return None;
        }
        named.0.insert(key, (name.span.clone(), thing));
        Some(())
    }

    /// What `set` changes.
    fn existing<'n, T>(
        problems: &mut Problems,
        named: &'n mut Named<T>,
        name: &Word,
        what: &str,
    ) -> Option<&'n mut T> {
        let found = named.0.get_mut(&name.text.to_ascii_lowercase());
        if found.is_none() {
            problems.add(
                name.span.clone(),
                format!("there is no {what} `{}`", name.text),
                "create it before, or correct the name",
            );
        }
        found.map(|(_, thing)| thing)
    }

    // --- commands ---

    fn enable(&mut self, command: &Command) -> Option<()> {
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

    fn key(&mut self, command: &Command) -> Option<()> {
        let name = self.needed(command, "key")?;
        let kinds = ["general", "rsa", "des", "3des2key", "3desinner", "aes128"];
        if self.choice(command, "type", &kinds)? != "general" {
            return self.unused(command, "only pre-shared keys (type=general) are used here");
        }
        let value = self.needed(command, "value")?;
        Self::keep(self.problems, &mut self.keys, name, value.text.clone())?;
        self.applied(command, "a pre-shared key, once an ISAKMP policy names it")
    }

    fn user(&mut self, command: &Command) -> Option<()> {
        if command.value.is_none() && command.has("securedelay") {
            return self.unused(
                command,
                "there is no command line with privileges to time out",
            );
        }
        let name = self.named(command)?;
        if command.verb == "set" {
            if self.management.contains(&name.text) {
                return self.unused(command, "an account of the router's management");
            }
            let description = self.needed(command, "description")?;
            let users = &mut self.office.users;
            if let Some(user) = users.iter_mut().find(|user| user.name == name.text) {
                user.description = Some(description.text.clone());
                return self.applied(command, "a comment beside the user");
            }
            self.problems.add(
                name.span.clone(),
                format!("there is no user `{}`", name.text),
                "add the user before",
            );
            return None;
        }
        let password = self.needed(command, "password")?;
        let address = self.optional_address(command, "ipaddress")?;
        let levels = ["user", "manager", "securityofficer"];
        let privilege = self.optional_choice(command, "privilege", &levels)?;
        let login = self.optional_choice(
            command,
            "login",
            &["yes", "no", "true", "false", "on", "off"],
        )?;
        if self.management.contains(&name.text) {
            return self.unused(command, "an account of the router's management");
        }
        let manages = matches!(login, Some("yes" | "true" | "on"))
            || matches!(privilege, Some("manager" | "securityofficer"));
        if self.office.users.iter().any(|user| user.name == name.text) {
            self.problems.add(
                name.span.clone(),
                format!("user `{}` stands here twice", name.text),
                "keep one of the two",
            );
            return None;
        }
        if manages {
            self.management.push(name.text.clone());
            return self.unused(
                command,
                "an account of the router's management: the system's own accounts are used",
            );
        }
        if let Some(address) = address
            && self
                .office
                .users
                .iter()
                .any(|user| user.address == Some(address))
        {
            self.problems.add(
                command.span.clone(),
                format!("{address} is another user's address already"),
                "give each user an address of its own, or leave it out",
            );
            return None;
        }
        let description = self.optional(command, "description")?;
        self.office.users.push(User {
            name: name.text.clone(),
            password: password.text.clone(),
            address,
            description: description.map(|word| word.text.clone()),
        });
        self.applied(command, "[[user]]")
    }

    fn radius(&mut self, command: &Command) -> Option<()> {
        let server = self.needed(command, "server")?;
        let server = self.address(server)?;
        let secret = self.needed(command, "secret")?;
        let radius = Radius {
            server,
            secret: secret.text.clone(),
            port: self.optional_number(command, "port")?,
            accounting_port: self.optional_number(command, "accport")?,
        };
        self.office.radius.push(radius);
        self.applied(command, "[[radius.server]]")
    }

    fn ppp(&mut self, command: &Command) -> Option<()> {
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

    fn l2tp(&mut self, command: &Command) -> Option<()> {
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

    fn ip(&mut self, command: &Command) -> Option<()> {
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

    fn firewall(&mut self, command: &Command) -> Option<()> {
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

    fn nat(&mut self, command: &Command) -> Option<()> {
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

    fn rule(&mut self, command: &Command) -> Option<()> {
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

    fn ipsec(&mut self, command: &Command) -> Option<()> {
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
    fn bundle(&mut self, string: &Word) -> Option<Vec<Word>> {
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

    fn isakmp(&mut self, command: &Command) -> Option<()> {
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

/// Whether a parameter's value may be shown.
fn is_public(name: &str) -> bool {
    !matches!(name, "password" | "secret" | "value" | "securedelay")
}
