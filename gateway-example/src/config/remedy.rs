//! What would be right, for what the TOML reader finds wrong.

/// As it says them: "missing field `local`", "invalid value: integer `70000`, expected u16".
const REMEDIES: [(&str, &str); 12] = [
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
        "keep one of the two; a list of several is written as one table [[...]] each",
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
        "gateway-example/office.toml shows how each key is written",
        |(_, right)| right,
    )
}
