use std::hash::{BuildHasher as _, RandomState};
use std::sync::OnceLock;
use zeroize::Zeroizing;

/// A secret text: wiped on drop, never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Keeps `text`.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself, to hand to what needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secret({} bytes)", self.0.len())
    }
}

/// What a secret looks like in a listing begins with this.
pub(super) const MASK: &str = "********";

impl serde::Serialize for Secret {
    /// Masked, with a mark by which this process alone tells equal secrets from different ones.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        static KEY: OnceLock<RandomState> = OnceLock::new();
        let mark = KEY.get_or_init(RandomState::new).hash_one(self.expose());
        serializer.serialize_str(&format!("{MASK}{mark:016x}"))
    }
}
