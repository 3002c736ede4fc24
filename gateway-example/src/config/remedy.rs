//! What would be right, for what the TOML reader finds wrong.

/// As it says them: "missing field `local`", "invalid value: integer `70000`, expected u16".
const REMEDIES: [(&str, &str); 20] = [
    (
        "missing field `ppp`",
        "add a table [ppp] with local = \"192.168.8.1\"",
    ),
    (
        "missing field `local`",
        "add local = \"192.168.8.1\", the gateway's own address on the links",
    ),
    (
        "missing field `peer`",
        "add peer = \"any\", or an address or network",
    ),
    (
        "missing field `range`",
        "add range = \"192.168.200.10-192.168.200.99\"",
    ),
    (
        "missing field `name`",
        "add name = \"...\", the user's name",
    ),
    (
        "missing field `interface`",
        "add interface = \"eth0\", the interface towards the internet",
    ),
    (
        "missing field `action`",
        "add action = \"allow\", \"deny\" or \"forward\"",
    ),
    (
        "unknown field",
        "correct the key to one of those listed, or remove the line",
    ),
    ("unknown variant", "use one of those listed"),
    (
        "duplicate key",
        "keep one of the two; of several users, keys or rules each is a table [[user]], [[psk]], [[firewall.rule]]",
    ),
    (
        "map, expected a sequence",
        "a table of which there may be several has two brackets, such as [[psk]]",
    ),
    (
        "invalid type: map",
        "a table of which there can be but one has one bracket, such as [ppp]",
    ),
    (
        "expected a sequence",
        "write a list in brackets, such as [\"192.168.8.10\"]",
    ),
    (
        "string values must be quoted",
        "write the value in quotes, such as \"dialin1\"",
    ),
    ("expected a string", "write the value in quotes"),
    ("expected path string", "write the path in quotes"),
    (
        "expected u64",
        "write a whole number from 0 on, without quotes",
    ),
    (
        "expected u32",
        "write a whole number from 0 on, without quotes",
    ),
    (
        "expected u16",
        "write a whole number from 0 to 65535, without quotes",
    ),
    ("expected a boolean", "write true or false, without quotes"),
];

pub(super) fn for_toml(problem: &str) -> &'static str {
    let known = REMEDIES.iter().find(|(wrong, _)| problem.contains(wrong));
    known.map_or(
        "`gateway init` writes a file that shows how; docs/configuration.md has every setting",
        |(_, right)| right,
    )
}
