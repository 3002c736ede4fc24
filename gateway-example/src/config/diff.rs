//! What is different between two configurations, in words without secrets.

use super::Config;
use super::secret::MASK;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// What is different between two configurations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// Each setting.
    pub changes: Vec<Change>,
    /// The names of those among them that only a restart changes.
    pub needs_restart: Vec<String>,
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.changes.is_empty() {
            return f.write_str("no difference");
        }
        let lines = self.changes.iter().map(|change| {
            let restart = self.needs_restart.contains(&change.key);
            let mark = if restart { "   (needs a restart)" } else { "" };
            format!("{change}{mark}")
        });
        f.write_str(&lines.collect::<Vec<_>>().join("\n"))
    }
}

/// A setting that two configurations do not share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Change {
    /// Its name, such as `gateway.listen` or `user.dialin1.address`.
    pub key: String,
    /// What it was; none if it was not there.
    pub old: Option<String>,
    /// What it is; none if it is not there.
    pub new: Option<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        match (&self.old, &self.new) {
            (Some(old), Some(new)) => write!(f, "~ {key} = {old} -> {new}"),
            (Some(old), None) => write!(f, "- {key} = {old}"),
            (None, Some(new)) => write!(f, "+ {key} = {new}"),
            (None, None) => Ok(()),
        }
    }
}

impl Config {
    /// What would change if `new` came in this one's place, by key.
    #[must_use]
    pub fn diff(&self, new: &Self) -> Vec<Change> {
        let (old, new) = (settings(self), settings(new));
        let mut keys: Vec<_> = old.keys().chain(new.keys()).collect();
        keys.sort();
        keys.dedup();
        let changed = keys.into_iter().filter(|k| old.get(*k) != new.get(*k));
        changed
            .map(|key| Change {
                key: key.clone(),
                old: old.get(key).map(|v| masked(v)),
                new: new.get(key).map(|v| masked(v)),
            })
            .collect()
    }
}

/// Every setting by its name. Secrets bear the marks that tell them apart.
fn settings(config: &Config) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    if let Ok(value) = serde_json::to_value(config) {
        flatten(String::new(), value, &mut all);
    }
    all
}

fn flatten(key: String, value: Value, all: &mut BTreeMap<String, String>) {
    let below = |name: &str| {
        if key.is_empty() {
            name.to_owned()
        } else {
            format!("{key}.{name}")
        }
    };
    match value {
        Value::Null => {}
        Value::Object(map) => {
            for (name, value) in map {
                flatten(below(&name), value, all);
            }
        }
        // A list of values is one setting; a list of tables is several.
        Value::Array(list) if list.iter().any(Value::is_object) => {
            for (i, value) in list.into_iter().enumerate() {
                flatten(below(&format!("{}", i + 1)), value, all);
            }
        }
        value => {
            all.insert(key, value.to_string());
        }
    }
}

fn masked(value: &str) -> String {
    if value.contains(MASK) {
        MASK.to_owned()
    } else {
        value.to_owned()
    }
}
