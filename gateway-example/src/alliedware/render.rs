//! The gateway's own TOML.

use super::Note;
use super::apply::{Office, Pinhole};
use std::fmt::{Display, Write as _};
use std::net::Ipv4Addr;

/// A configuration file, with what became of each command as comments.
pub(super) fn toml(office: &Office, notes: &[Note]) -> String {
    let mut out = String::from("# Made of an AlliedWare script. What became of its commands:\n");
    for note in notes {
        let mark = if note.applied { "+" } else { "-" };
        // A comment ends at the line's end, and control characters are no TOML.
        line(
            &mut out,
            format_args!("# {mark} {}", printable(&note.to_string())),
        );
    }
    gateway(office, &mut out);
    ppp(office, &mut out);
    lan(office, &mut out);
    for hole in &office.pinholes {
        pinhole(hole, &mut out);
    }
    radius(office, &mut out);
    for user in &office.users {
        out.push('\n');
        if let Some(description) = &user.description {
            line(&mut out, format_args!("# {}", printable(description)));
        }
        line(&mut out, "[[user]]");
        setting(&mut out, "name", quoted(&user.name));
        setting(&mut out, "password", quoted(&user.password));
        if let Some(address) = &user.address {
            setting(&mut out, "address", quoted(address));
        }
    }
    out
}

fn gateway(office: &Office, out: &mut String) {
    line(out, "\n[gateway]");
    if let Some(listen) = office.listen {
        setting(out, "listen", quoted(&listen));
    }
    line(
        out,
        "# The script leaves phase 1 to the router, which took what Windows XP offers.",
    );
    setting(out, "policy", quoted("legacy_xp"));
    line(out, "\n[ike]");
    if !office.ike_proposals.is_empty() {
        setting(out, "proposals", list(&office.ike_proposals));
    }
    setting(out, "send_deletes", office.send_deletes);
    setting(out, "nat_traversal", office.nat_traversal);
    for (peer, secret) in &office.psks {
        line(out, "\n[[psk]]");
        setting(out, "peer", quoted(peer));
        setting(out, "secret", quoted(secret));
    }
    line(out, "\n[esp]");
    setting(out, "proposals", list(&office.esp_proposals));
    let peers = office.l2tp_peers.iter().map(range);
    line(out, "\n[l2tp]");
    setting(out, "peers", list(peers));
}

fn ppp(office: &Office, out: &mut String) {
    line(out, "\n[ppp]");
    if let Some(local) = office.local {
        setting(out, "local", quoted(&local));
    }
    setting(out, "dns", list(&office.dns));
    setting(out, "wins", list(&office.wins));
    setting(out, "auth", list(&office.auth));
    setting(out, "echo_seconds", office.echo_seconds);
    if let Some(pool) = &office.pool {
        line(out, "\n[pool]");
        setting(out, "range", quoted(&range(pool)));
    }
}

fn lan(office: &Office, out: &mut String) {
    line(out, "\n[lan]");
    let networks = office.lan_networks.iter();
    let networks = networks.map(|(address, prefix)| format!("{address}/{prefix}"));
    setting(out, "networks", list(networks));
    if let Some(interface) = &office.lan_interface {
        setting(out, "interface", quoted(interface));
    }
    if let Some(internet) = &office.internet {
        line(out, "\n[internet]");
        setting(out, "interface", quoted(&internet.interface));
        if let Some(address) = internet.address {
            setting(out, "address", quoted(&address));
        }
        setting(out, "clients", internet.clients);
        setting(out, "lan", internet.lan);
    }
}

fn pinhole(hole: &Pinhole, out: &mut String) {
    line(out, format_args!("\n# rule {}", hole.number));
    line(out, "[[firewall.rule]]");
    setting(out, "action", quoted(hole.action));
    if hole.from != "internet" {
        setting(out, "from", quoted(hole.from));
    }
    if !matches!(hole.protocol, "any" | "all") {
        setting(out, "protocol", quoted(hole.protocol));
    }
    if let Some(source) = hole.source {
        setting(out, "source", quoted(&source));
    }
    if let Some(destination) = hole.destination {
        setting(out, "destination", quoted(&destination));
    }
    if let Some(port) = hole.port {
        setting(out, "ports", quoted(&port));
    }
    if let Some((address, port)) = hole.to {
        setting(out, "to", quoted(&format_args!("{address}:{port}")));
    }
    if hole.ipsec_only {
        setting(out, "ipsec_only", true);
    }
}

fn radius(office: &Office, out: &mut String) {
    if office.radius.is_empty() {
        return;
    }
    line(out, "\n[radius]");
    let times = &office.radius_times;
    if let Some(timeout) = times.timeout {
        setting(out, "timeout_seconds", timeout.clamp(1, 10));
    }
    if let Some(tries) = times.tries {
        setting(out, "tries", tries.clamp(1, 5));
    }
    if let Some(minutes) = times.dead_minutes {
        setting(out, "dead_seconds", u32::from(minutes) * 60);
    }
    for server in &office.radius {
        line(out, "\n[[radius.server]]");
        setting(out, "address", quoted(&server.server));
        setting(out, "secret", quoted(&server.secret));
        setting(out, "auth_port", server.port);
        setting(out, "acct_port", server.accounting_port);
    }
}

fn line(out: &mut String, text: impl Display) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{text}");
}

fn setting(out: &mut String, key: &str, value: impl Display) {
    line(out, format_args!("{key} = {value}"));
}

fn range((first, last): &(Ipv4Addr, Ipv4Addr)) -> String {
    format!("{first}-{last}")
}

fn list<T: Display>(values: impl IntoIterator<Item = T>) -> String {
    let values: Vec<_> = values.into_iter().map(|value| quoted(&value)).collect();
    format!("[{}]", values.join(", "))
}

/// A basic string of TOML.
fn quoted(value: &(impl Display + ?Sized)) -> String {
    let mut out = String::from("\"");
    for c in value.to_string().chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}
