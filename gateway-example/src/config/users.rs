//! `[users]` and `[[user]]`: who may connect.

use super::check::{Checker, SecretSource};
use super::{ConfigError, Pools, Secret, Sessions, aaa, shown, toml_error};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::Spanned;

/// Somebody who may connect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct User {
    /// What proves it.
    pub password: Secret,
    /// An address of the user's own; takes precedence over the pool.
    pub address: Option<Ipv4Addr>,
    /// Another pool than the usual one.
    pub pool: Option<String>,
    /// How many calls the user may have.
    pub sessions: Option<Sessions>,
    /// How long a call may last.
    #[serde(rename = "session_timeout_seconds", serialize_with = "shown::seconds")]
    pub session_timeout: Option<Duration>,
    /// How long a call may be silent.
    #[serde(rename = "idle_timeout_seconds", serialize_with = "shown::seconds")]
    pub idle_timeout: Option<Duration>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawUsers {
    file: Option<Spanned<PathBuf>>,
}

/// A separate file of users.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawUsersFile {
    #[serde(default)]
    user: Vec<RawUser>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawUser {
    name: Spanned<String>,
    password: Option<String>,
    password_file: Option<Spanned<PathBuf>>,
    password_credential: Option<Spanned<String>>,
    address: Option<Spanned<String>>,
    pool: Option<Spanned<String>>,
    sessions: Option<Spanned<toml::Value>>,
    #[serde(default)]
    session_timeout_seconds: u64,
    #[serde(default)]
    idle_timeout_seconds: u64,
}

impl RawUsers {
    pub(super) fn check(
        self,
        check: &Checker<'_>,
        inline: Vec<RawUser>,
        pools: &Pools,
        gateway: Ipv4Addr,
    ) -> Result<BTreeMap<String, User>, ConfigError> {
        let mut users = BTreeMap::new();
        for user in inline {
            user.check(check, pools, gateway, &mut users)?;
        }
        if let Some(file) = &self.file {
            let folder = check.file.parent().unwrap_or(Path::new(""));
            let path = folder.join(file.get_ref());
            let text = std::fs::read_to_string(&path).map_err(|e| {
                check.wrong(
                    file,
                    format!("{} cannot be read: {e}", path.display()),
                    "name a file with tables [[user]]",
                )
            })?;
            let raw: RawUsersFile =
                toml::from_str(&text).map_err(|e| toml_error(&path, &text, &e))?;
            let check = Checker {
                file: &path,
                text: &text,
            };
            for user in raw.user {
                user.check(&check, pools, gateway, &mut users)?;
            }
        }
        Ok(users)
    }
}

impl RawUser {
    fn check(
        self,
        check: &Checker<'_>,
        pools: &Pools,
        gateway: Ipv4Addr,
        users: &mut BTreeMap<String, User>,
    ) -> Result<(), ConfigError> {
        if self.name.get_ref().is_empty() {
            return Err(check.wrong(&self.name, "the name is empty", "name the user"));
        }
        let source = SecretSource {
            key: "password",
            inline: self.password,
            file: self.password_file,
            credential: self.password_credential,
        };
        let password = check.needed_secret(&self.name, "a user", source)?;
        if password.expose().is_empty() {
            return Err(check.wrong(
                &self.name,
                "the password is empty",
                "choose one that cannot be guessed",
            ));
        }
        let address = self.address.as_ref().map(|a| check.ipv4(a)).transpose()?;
        if users.contains_key(self.name.get_ref()) {
            return Err(check.wrong(
                &self.name,
                format!("user `{}` stands here twice", self.name.get_ref()),
                "keep one of the two",
            ));
        }
        if let Some(own) = &self.address
            && address == Some(gateway)
        {
            return Err(check.wrong(
                own,
                format!("`{gateway}` is the gateway's own address, ppp.local"),
                "give the user another address, or leave it out",
            ));
        }
        if let (Some(mine), Some(own)) = (address, &self.address)
            && let Some((other, _)) = users.iter().find(|(_, u)| u.address == address)
        {
            return Err(check.wrong(
                own,
                format!("`{mine}` is the address of user `{other}` already"),
                "give each user an address of its own, or leave it out",
            ));
        }
        if let Some(pool) = &self.pool
            && !pools.named.contains_key(pool.get_ref())
        {
            return Err(check.wrong(
                pool,
                format!("no pool is named `{}`", pool.get_ref()),
                "name one of those in [pool] named, or leave it out",
            ));
        }
        let sessions = self.sessions.as_ref();
        let user = User {
            password,
            address,
            sessions: sessions.map(|s| aaa::sessions(check, s)).transpose()?,
            pool: self.pool.map(Spanned::into_inner),
            session_timeout: aaa::seconds(self.session_timeout_seconds),
            idle_timeout: aaa::seconds(self.idle_timeout_seconds),
        };
        users.insert(self.name.into_inner(), user);
        Ok(())
    }
}
