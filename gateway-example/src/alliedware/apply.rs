//! What the commands say, one by one.

use super::grammar::Command;
use super::lex::Word;
use super::{Note, Problems};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::ops::Range;

mod calls;
mod finish;
mod ipsec;
mod network;
mod users;
mod values;

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
    pub(super) radius_times: RadiusTimes,
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
    /// None of its service if zero.
    pub(super) port: u16,
    pub(super) accounting_port: u16,
}

#[derive(Debug, Default)]
pub(super) struct RadiusTimes {
    /// In seconds.
    pub(super) timeout: Option<u16>,
    pub(super) tries: Option<u16>,
    pub(super) dead_minutes: Option<u16>,
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
}

/// Whether a parameter's value may be shown.
fn is_public(name: &str) -> bool {
    !matches!(name, "password" | "secret" | "value" | "securedelay")
}
