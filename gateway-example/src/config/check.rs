//! How a section's values are checked, with errors that point at them.

use super::{ConfigError, Network, Secret};
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use toml::Spanned;

/// A file being checked: knows how to point at a value.
pub(super) struct Checker<'a> {
    pub(super) file: &'a Path,
    pub(super) text: &'a str,
}

/// A secret as written: in the file itself, in another file, or as a credential of systemd.
pub(super) struct SecretSource {
    /// What the three keys' names begin with: `secret` or `password`.
    pub(super) key: &'static str,
    pub(super) inline: Option<String>,
    pub(super) file: Option<Spanned<PathBuf>>,
    pub(super) credential: Option<Spanned<String>>,
}

impl Checker<'_> {
    pub(super) fn wrong<T>(
        &self,
        value: &Spanned<T>,
        problem: impl Into<String>,
        remedy: &str,
    ) -> ConfigError {
        let span = Some(value.span()).filter(|span| span.end > 0);
        ConfigError::at(self.file, self.text, span, problem, remedy.to_owned())
    }

    pub(super) fn missing(&self, problem: &str, remedy: &str) -> ConfigError {
        ConfigError::at(self.file, self.text, None, problem, remedy.to_owned())
    }

    pub(super) fn value<T: FromStr>(
        &self,
        value: &Spanned<String>,
        what: &str,
        right: &str,
    ) -> Result<T, ConfigError> {
        let text = value.get_ref();
        text.parse()
            .map_err(|_| self.wrong(value, format!("`{text}` is not {what}"), right))
    }

    pub(super) fn ipv4(&self, value: &Spanned<String>) -> Result<Ipv4Addr, ConfigError> {
        self.value(
            value,
            "an IPv4 address",
            "write four numbers, such as \"192.168.8.1\"",
        )
    }

    pub(super) fn ipv4s(&self, values: &[Spanned<String>]) -> Result<Vec<Ipv4Addr>, ConfigError> {
        values.iter().map(|value| self.ipv4(value)).collect()
    }

    pub(super) fn ipv4_range(
        &self,
        value: &Spanned<String>,
    ) -> Result<RangeInclusive<Ipv4Addr>, ConfigError> {
        let text = value.get_ref();
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (first.trim().parse(), last.trim().parse()) {
            (Ok(first), Ok(last)) if first <= last => Ok(first..=last),
            _ => Err(self.wrong(
                value,
                format!("`{text}` is not a range of addresses"),
                "write the first and the last, such as \"203.0.113.1-203.0.113.99\"",
            )),
        }
    }

    /// One port or a range of them, without port 0.
    pub(super) fn ports(
        &self,
        value: &Spanned<String>,
    ) -> Result<RangeInclusive<u16>, ConfigError> {
        let text = value.get_ref();
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (first.trim().parse(), last.trim().parse()) {
            (Ok(first), Ok(last)) if 0 < first && first <= last => Ok(first..=last),
            _ => Err(self.wrong(
                value,
                format!("`{text}` is not a range of ports"),
                "write one port, such as \"443\", or the first and the last, such as \"8000-8010\"",
            )),
        }
    }

    pub(super) fn networks(&self, values: &[Spanned<String>]) -> Result<Vec<Network>, ConfigError> {
        let right = "write an address and a prefix length, such as \"192.168.8.0/24\"";
        let values = values.iter();
        values.map(|n| self.value(n, "a network", right)).collect()
    }

    /// The name of a network device.
    pub(super) fn device(&self, value: &Spanned<String>) -> Result<String, ConfigError> {
        let name = value.get_ref();
        // As the kernel has it (dev_valid_name).
        let bad = |c: char| c == '/' || c == ':' || c.is_whitespace();
        if name.is_empty() || name.len() > 15 || name.contains(bad) {
            return Err(self.wrong(
                value,
                "a device name has 1 to 15 characters, and no space, slash or colon",
                "choose a short name, such as \"rw0\"; `ip link` lists those there are",
            ));
        }
        Ok(name.clone())
    }

    /// The secret, if any is given; `owner` is where to point if more than one is.
    pub(super) fn secret<T>(
        &self,
        owner: &Spanned<T>,
        source: SecretSource,
    ) -> Result<Option<Secret>, ConfigError> {
        let key = source.key;
        match (source.inline, source.file, source.credential) {
            (None, None, None) => Ok(None),
            (Some(secret), None, None) => Ok(Some(Secret::new(secret))),
            (None, Some(file), None) => {
                let folder = self.file.parent().unwrap_or(Path::new(""));
                self.first_line(&file, &folder.join(file.get_ref()))
                    .map(Some)
            }
            (None, None, Some(name)) => self.credential(&name).map(Some),
            _ => Err(self.wrong(
                owner,
                format!("more than one of {key}, {key}_file and {key}_credential is given"),
                "give exactly one of them",
            )),
        }
    }

    /// As [`secret`](Self::secret), where there must be one.
    pub(super) fn needed_secret<T>(
        &self,
        owner: &Spanned<T>,
        whose: &str,
        source: SecretSource,
    ) -> Result<Secret, ConfigError> {
        let key = source.key;
        self.secret(owner, source)?.ok_or_else(|| {
            self.wrong(
                owner,
                format!("{whose} has no {key}"),
                &format!("give one of {key}, {key}_file and {key}_credential"),
            )
        })
    }

    /// What systemd's `LoadCredential=` or `SetCredential=` handed over.
    fn credential(&self, name: &Spanned<String>) -> Result<Secret, ConfigError> {
        let is_name = !name.get_ref().is_empty() && !name.get_ref().contains('/');
        if !is_name {
            return Err(self.wrong(
                name,
                "a credential has a name, not a path",
                "write its name in the unit's LoadCredential=",
            ));
        }
        let folder = std::env::var_os("CREDENTIALS_DIRECTORY").ok_or_else(|| {
            self.wrong(
                name,
                "there are no credentials: $CREDENTIALS_DIRECTORY is not set",
                "start the gateway by systemd with LoadCredential=, set it to the folder where they lie, or name a file instead",
            )
        })?;
        self.first_line(name, &Path::new(&folder).join(name.get_ref()))
    }

    fn first_line<T>(&self, value: &Spanned<T>, path: &Path) -> Result<Secret, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|e| {
            self.wrong(
                value,
                format!("{} cannot be read: {e}", path.display()),
                "name what holds the secret on its first line",
            )
        })?;
        Ok(Secret::new(text.lines().next().unwrap_or("").to_owned()))
    }
}
