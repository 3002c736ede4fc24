//! Which words there are, and how short they may be written.

use super::Problems;
use super::lex::{Line, Token, VERBS, Word};
use std::ops::Range;

/// What a command is about, and the parameters it may have.
struct Object {
    name: &'static str,
    parameters: &'static [&'static str],
}

const OBJECTS: [Object; 13] = [
    Object {
        name: "alias",
        parameters: &["string"],
    },
    Object {
        name: "config",
        parameters: &[],
    },
    Object {
        name: "enco",
        parameters: &["description", "format", "key", "length", "type", "value"],
    },
    Object {
        name: "firewall",
        parameters: &[
            "action",
            "dynamic",
            "encapsulation",
            "gblinterface",
            "gblip",
            "gblport",
            "interface",
            "ip",
            "nat",
            "policy",
            "port",
            "protocol",
            "remoteip",
            "rule",
            "type",
            "user",
        ],
    },
    Object {
        name: "ip",
        parameters: &[
            "interface",
            "ipaddress",
            "mask",
            "metric",
            "nexthop",
            "pool",
            "preference",
            "route",
        ],
    },
    Object {
        name: "ipsec",
        parameters: &[
            "action",
            "bundlespecification",
            "debug",
            "encalg",
            "expirykbytes",
            "expiryseconds",
            "hashalg",
            "interface",
            "isakmppolicy",
            "keymanagement",
            "lport",
            "mode",
            "peeraddress",
            "policy",
            "protocol",
            "rport",
            "saspecification",
            "string",
            "transportprotocol",
        ],
    },
    Object {
        name: "isakmp",
        parameters: &[
            "debug",
            "encalg",
            "expiryseconds",
            "group",
            "hashalg",
            "key",
            "localid",
            "natt",
            "peer",
            "policy",
            "senddeletes",
            "sendnotify",
        ],
    },
    Object {
        name: "l2tp",
        parameters: &["ip", "ppptemplate", "server"],
    },
    Object {
        name: "ppp",
        parameters: &[
            "authentication",
            "bap",
            "dnsprimary",
            "dnssecondary",
            "echo",
            "ippool",
            "lqr",
            "template",
            "winsprimary",
            "winssecondary",
        ],
    },
    Object {
        name: "radius",
        parameters: &[
            "accport",
            "deadtime",
            "local",
            "port",
            "retransmitcount",
            "secret",
            "server",
            "timeout",
        ],
    },
    Object {
        name: "ssh",
        parameters: &[
            "expirytime",
            "hostkey",
            "ipaddress",
            "logintimeout",
            "password",
            "server",
            "serverkey",
            "user",
        ],
    },
    Object {
        name: "system",
        parameters: &["name", "security"],
    },
    Object {
        name: "user",
        parameters: &[
            "description",
            "ipaddress",
            "login",
            "netmask",
            "password",
            "privilege",
            "securedelay",
        ],
    },
];

/// What a reader of a scanned page takes for something else.
const MISREAD: [(&str, &str); 2] = [("12tp", "l2tp"), ("lgr", "lqr")];

/// A command in its full words.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) verb: &'static str,
    pub(super) object: &'static str,
    /// As in `user=dialin1`.
    pub(super) value: Option<Word>,
    pub(super) parameters: Vec<Parameter>,
    /// From its first to its last word.
    pub(super) span: Range<usize>,
}

#[derive(Debug)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    /// Where the name stands.
    pub(super) span: Range<usize>,
    pub(super) value: Option<Word>,
}

impl Command {
    pub(super) fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|p| p.name == name)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.parameter(name).is_some()
    }
}

/// Reads a command; what is wrong with it goes to `problems`.
pub(super) fn command(line: &Line, problems: &mut Problems) -> Option<Command> {
    let mut tokens = line.iter();
    let first = tokens.next()?;
    let end = line.last().map_or(0, |token| {
        let value = token.value.as_ref();
        value.map_or(token.name.span.end, |value| value.span.end)
    });
    let span = first.name.span.start..end;
    let verb = find(&first.name, VERBS, "a command", problems)?;
    let Some(second) = tokens.next() else {
        problems.add(
            first.name.span.clone(),
            format!("`{verb}` what?"),
            "write what the command is about",
        );
        return None;
    };
    if verb == "login" {
        let value = Some(second.name.clone());
        return Some(Command {
            verb,
            object: "user",
            value,
            parameters: Vec::new(),
            span,
        });
    }
    let names = OBJECTS.iter().map(|object| object.name);
    let name = find(&second.name, names, "something to configure", problems)?;
    let object = OBJECTS.iter().find(|object| object.name == name)?;
    let mut command = Command {
        verb,
        object: name,
        value: second.value.clone(),
        parameters: Vec::new(),
        span,
    };
    let mut good = true;
    for token in tokens {
        good &= parameter(object, &mut command, token, problems);
    }
    good.then_some(command)
}

fn parameter(
    object: &Object,
    command: &mut Command,
    token: &Token,
    problems: &mut Problems,
) -> bool {
    let what = format!("a parameter of `{}`", object.name);
    let names = object.parameters.iter().copied();
    let Some(name) = find(&token.name, names, &what, problems) else {
        return false;
    };
    if command.has(name) {
        problems.add(
            token.name.span.clone(),
            format!("`{name}` stands here twice"),
            "keep one of the two",
        );
        return false;
    }
    command.parameters.push(Parameter {
        name,
        span: token.name.span.clone(),
        value: token.value.clone(),
    });
    true
}

/// The word that `word` is, or of which it is the beginning.
pub(super) fn find(
    word: &Word,
    names: impl IntoIterator<Item = &'static str>,
    what: &str,
    problems: &mut Problems,
) -> Option<&'static str> {
    let text = word.text.to_ascii_lowercase();
    let misread = MISREAD.iter().find(|(read, _)| *read == text);
    let text = misread.map_or(text.as_str(), |(_, meant)| meant);
    let names: Vec<_> = names.into_iter().collect();
    if let Some(exact) = names.iter().find(|name| **name == text) {
        return Some(exact);
    }
    let begins: Vec<_> = names
        .iter()
        .filter(|name| !text.is_empty() && name.starts_with(text))
        .copied()
        .collect();
    let shown = &word.text;
    match begins.as_slice() {
        [one] => Some(one),
        [] => {
            problems.add(
                word.span.clone(),
                format!("`{shown}` is not {what}"),
                format!("known are: {}", names.join(", ")),
            );
            None
        }
        several => {
            problems.add(
                word.span.clone(),
                format!("`{shown}` may be {}", several.join(" or ")),
                "write more letters of it",
            );
            None
        }
    }
}
