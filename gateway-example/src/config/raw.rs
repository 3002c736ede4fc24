//! The file as written, and its conversion to what the gateway uses.

use super::{Config, ConfigError, Policy, Ppp, Secret, Tun, User};
use crate::pool::Pool;
use ppp::AuthMethod;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use toml::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfig {
    gateway: RawGateway,
    #[serde(default)]
    psk: Vec<RawPsk>,
    ppp: RawPpp,
    #[serde(default)]
    l2tp: RawL2tp,
    pool: Option<RawPool>,
    #[serde(default)]
    lan: RawLan,
    #[serde(default)]
    tun: RawTun,
    #[serde(default)]
    user: Vec<RawUser>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGateway {
    #[serde(default = "any_address")]
    listen: Spanned<String>,
    #[serde(default = "ike_port")]
    ike_port: u16,
    #[serde(default = "natt_port")]
    natt_port: u16,
    #[serde(default = "yes")]
    native_esp: bool,
    #[serde(default = "compat")]
    policy: Policy,
    #[serde(default = "control_socket")]
    control_socket: PathBuf,
    key_log_dir: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPsk {
    peer: Spanned<String>,
    secret: Option<Spanned<String>>,
    secret_file: Option<Spanned<PathBuf>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPpp {
    local: Spanned<String>,
    #[serde(default)]
    dns: Vec<Spanned<String>>,
    #[serde(default)]
    wins: Vec<Spanned<String>>,
    auth: Option<Vec<Spanned<String>>>,
    #[serde(default = "mru")]
    mru: Spanned<u16>,
    #[serde(default = "echo_seconds")]
    echo_seconds: u64,
    #[serde(default)]
    ipv6: bool,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawL2tp {
    tunnel_secret: Option<String>,
    #[serde(default)]
    hide_avps: Option<Spanned<bool>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPool {
    range: Spanned<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawLan {
    #[serde(default)]
    networks: Vec<Spanned<String>>,
    interface: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawTun {
    name: Spanned<String>,
    mtu: u16,
}

impl Default for RawTun {
    fn default() -> Self {
        Self {
            name: Spanned::new(0..0, "rw0".into()),
            mtu: 1400,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawUser {
    name: Spanned<String>,
    password: Option<String>,
    password_file: Option<Spanned<PathBuf>>,
    address: Option<Spanned<String>>,
}

fn any_address() -> Spanned<String> {
    Spanned::new(0..0, "0.0.0.0".into())
}
fn ike_port() -> u16 {
    500
}
fn natt_port() -> u16 {
    4500
}
fn yes() -> bool {
    true
}
fn compat() -> Policy {
    Policy::Compat
}
fn control_socket() -> PathBuf {
    "/run/roadwarrior.sock".into()
}
fn mru() -> Spanned<u16> {
    Spanned::new(0..0, 1400)
}
fn echo_seconds() -> u64 {
    30
}

/// A file being checked: knows how to point at a value.
struct Checker<'a> {
    file: &'a Path,
    text: &'a str,
}

impl Checker<'_> {
    fn wrong<T>(&self, value: &Spanned<T>, problem: String, remedy: &str) -> ConfigError {
        let span = Some(value.span()).filter(|span| span.end > 0);
        ConfigError::at(self.file, self.text, span, problem, remedy.to_owned())
    }

    fn missing(&self, problem: &str, remedy: &str) -> ConfigError {
        ConfigError::at(self.file, self.text, None, problem, remedy.to_owned())
    }

    fn value<T: std::str::FromStr>(
        &self,
        value: &Spanned<String>,
        what: &str,
        right: &str,
    ) -> Result<T, ConfigError> {
        let text = value.get_ref();
        text.parse()
            .map_err(|_| self.wrong(value, format!("`{text}` is not {what}"), right))
    }

    fn ipv4(&self, value: &Spanned<String>) -> Result<Ipv4Addr, ConfigError> {
        self.value(
            value,
            "an IPv4 address",
            "write four numbers, such as \"192.168.8.1\"",
        )
    }

    fn ipv4s(&self, values: &[Spanned<String>]) -> Result<Vec<Ipv4Addr>, ConfigError> {
        values.iter().map(|value| self.ipv4(value)).collect()
    }

    /// The first line of a file beside the configuration.
    fn secret_file(&self, path: &Spanned<PathBuf>) -> Result<Secret, ConfigError> {
        let folder = self.file.parent().unwrap_or(Path::new(""));
        let full = folder.join(path.get_ref());
        let text = std::fs::read_to_string(&full).map_err(|e| {
            self.wrong(
                path,
                format!("{} cannot be read: {e}", full.display()),
                "name a file that holds the secret on its first line",
            )
        })?;
        Ok(Secret::new(text.lines().next().unwrap_or("").to_owned()))
    }
}

pub(super) fn parse(file: &Path, text: &str) -> Result<Config, ConfigError> {
    let raw: RawConfig = toml::from_str(text).map_err(|e| {
        let problem = e.message().trim().to_owned();
        let remedy = remedy_for(&problem).to_owned();
        ConfigError::at(file, text, e.span(), problem, remedy)
    })?;
    let check = Checker { file, text };
    let psks = psks(&check, &raw.psk)?;
    let users = users(&check, raw.user)?;
    let ppp = ppp_settings(&check, &raw.ppp)?;
    let pool = match &raw.pool {
        Some(pool) => check.value::<Pool>(
            &pool.range,
            "a range of addresses",
            "write the first and the last, such as \"192.168.200.10-192.168.200.99\"",
        )?,
        None => Pool::default(),
    };
    let network = "write an address and a prefix length, such as \"192.168.8.0/24\"";
    let networks = raw
        .lan
        .networks
        .iter()
        .map(|n| check.value(n, "a network", network))
        .collect::<Result<_, _>>()?;
    if let Some(hide) = &raw.l2tp.hide_avps
        && *hide.get_ref()
        && raw.l2tp.tunnel_secret.is_none()
    {
        return Err(check.wrong(
            hide,
            "hidden AVPs need a tunnel secret".into(),
            "set l2tp.tunnel_secret, or leave hide_avps out",
        ));
    }
    if raw.tun.name.get_ref().is_empty() || raw.tun.name.get_ref().len() > 15 {
        return Err(check.wrong(
            &raw.tun.name,
            "a device name has 1 to 15 characters".into(),
            "choose a short name, such as \"rw0\"",
        ));
    }
    Ok(Config {
        listen: check.value::<IpAddr>(
            &raw.gateway.listen,
            "an IP address",
            "write the address clients connect to, or \"0.0.0.0\" for all",
        )?,
        ike_port: raw.gateway.ike_port,
        natt_port: raw.gateway.natt_port,
        native_esp: raw.gateway.native_esp,
        policy: raw.gateway.policy,
        psks,
        control_socket: raw.gateway.control_socket,
        key_log_dir: raw.gateway.key_log_dir,
        ppp,
        pool,
        networks,
        tun: Tun {
            name: raw.tun.name.into_inner(),
            mtu: raw.tun.mtu,
            proxy_arp: raw.lan.interface,
        },
        users,
        tunnel_secret: raw.l2tp.tunnel_secret.map(Secret::new),
        hide_avps: raw.l2tp.hide_avps.is_some_and(Spanned::into_inner),
    })
}

/// What would be right, for what the TOML reader finds wrong.
fn remedy_for(problem: &str) -> &'static str {
    // As it says them: "missing field `local`", "invalid value: integer `70000`, expected u16".
    const REMEDIES: [(&str, &str); 10] = [
        (
            "missing field `gateway`",
            "add a table [gateway]; it may be empty",
        ),
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
            "unknown field",
            "correct the key to one of those listed, or remove the line",
        ),
        ("unknown variant", "use one of those listed"),
        (
            "expected u16",
            "write a whole number from 0 to 65535, without quotes",
        ),
        ("expected a boolean", "write true or false, without quotes"),
    ];
    let known = REMEDIES.iter().find(|(wrong, _)| problem.contains(wrong));
    known.map_or(
        "gateway-example/office.toml shows how each key is written",
        |(_, right)| right,
    )
}

fn psks(
    check: &Checker<'_>,
    raw: &[RawPsk],
) -> Result<Vec<(isakmp::PeerMatch, Secret)>, ConfigError> {
    if raw.is_empty() {
        return Err(check.missing(
            "no pre-shared key",
            "add [[psk]] with peer = \"any\" and secret = \"...\" or secret_file = \"...\"",
        ));
    }
    raw.iter()
        .map(|psk| {
            let secret = match (&psk.secret, &psk.secret_file) {
                (Some(secret), None) => Secret::new(secret.get_ref().clone()),
                (None, Some(file)) => check.secret_file(file)?,
                _ => {
                    return Err(check.wrong(
                        &psk.peer,
                        "a pre-shared key has either secret or secret_file".into(),
                        "give exactly one of the two",
                    ));
                }
            };
            if secret.expose().is_empty() {
                return Err(check.wrong(
                    &psk.peer,
                    "the pre-shared key is empty".into(),
                    "choose at least 20 random letters and digits",
                ));
            }
            Ok((peer_match(check, &psk.peer)?, secret))
        })
        .collect()
}

fn peer_match(
    check: &Checker<'_>,
    peer: &Spanned<String>,
) -> Result<isakmp::PeerMatch, ConfigError> {
    let text = peer.get_ref();
    if text == "any" {
        return Ok(isakmp::PeerMatch::Any);
    }
    let parsed = match text.split_once('/') {
        None => text.parse().map(isakmp::PeerMatch::Addr).ok(),
        Some((address, prefix)) => address.parse::<IpAddr>().ok().and_then(|address| {
            let bits = if address.is_ipv4() { 32 } else { 128 };
            let prefix = prefix.parse::<u8>().ok().filter(|p| *p <= bits)?;
            Some(isakmp::PeerMatch::Prefix(address, prefix))
        }),
    };
    parsed.ok_or_else(|| {
        check.wrong(
            peer,
            format!("`{text}` is not a peer"),
            "write \"any\", an address, or a network such as \"203.0.113.0/24\"",
        )
    })
}

fn ppp_settings(check: &Checker<'_>, raw: &RawPpp) -> Result<Ppp, ConfigError> {
    let auth = match &raw.auth {
        None => vec![AuthMethod::MsChapV2, AuthMethod::ChapMd5],
        Some(list) => list
            .iter()
            .map(|method| match method.get_ref().as_str() {
                "mschapv2" => Ok(AuthMethod::MsChapV2),
                "chap" => Ok(AuthMethod::ChapMd5),
                "pap" => Ok(AuthMethod::Pap),
                other => Err(check.wrong(
                    method,
                    format!("`{other}` is not an authentication method"),
                    "choose from \"mschapv2\", \"chap\" and \"pap\"",
                )),
            })
            .collect::<Result<_, _>>()?,
    };
    if auth.is_empty() {
        return Err(check.missing(
            "ppp.auth is empty: nobody could log in",
            "list at least one of \"mschapv2\", \"chap\" and \"pap\"",
        ));
    }
    if !(576..=1500).contains(raw.mru.get_ref()) {
        return Err(check.wrong(
            &raw.mru,
            format!("an MRU of {} bytes is out of range", raw.mru.get_ref()),
            "choose 576 to 1500; 1400 suits most paths",
        ));
    }
    Ok(Ppp {
        local: check.ipv4(&raw.local)?,
        dns: check.ipv4s(&raw.dns)?,
        wins: check.ipv4s(&raw.wins)?,
        auth,
        mru: *raw.mru.get_ref(),
        echo_seconds: raw.echo_seconds,
        ipv6: raw.ipv6,
    })
}

fn users(check: &Checker<'_>, raw: Vec<RawUser>) -> Result<BTreeMap<String, User>, ConfigError> {
    let mut users = BTreeMap::new();
    for user in raw {
        let password = match (user.password, &user.password_file) {
            (Some(password), None) => Secret::new(password),
            (None, Some(file)) => check.secret_file(file)?,
            _ => {
                return Err(check.wrong(
                    &user.name,
                    "a user has either password or password_file".into(),
                    "give exactly one of the two",
                ));
            }
        };
        let address = user.address.as_ref().map(|a| check.ipv4(a)).transpose()?;
        if users.contains_key(user.name.get_ref()) {
            return Err(check.wrong(
                &user.name,
                format!("user `{}` stands here twice", user.name.get_ref()),
                "keep one of the two",
            ));
        }
        users.insert(user.name.into_inner(), User { password, address });
    }
    Ok(users)
}
