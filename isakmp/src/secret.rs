use zeroize::{Zeroize, ZeroizeOnDrop};

/// Key material: zeroed on drop, its Debug shows the length only.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct Secret(Vec<u8>);

impl Secret {
    pub(crate) const fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secret({} bytes)", self.0.len())
    }
}

/// A pre-shared key: any bytes.
#[derive(Clone)]
pub struct PresharedKey(Secret);

impl PresharedKey {
    /// The key's bytes, as typed: no terminator, no hexadecimal.
    #[must_use]
    pub fn new(key: impl AsRef<[u8]>) -> Self {
        Self(Secret::new(key.as_ref().to_vec()))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl std::fmt::Debug for PresharedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PresharedKey({} bytes)", self.as_bytes().len())
    }
}

/// The keys of one ESP SA; zeroed on drop.
#[derive(Clone)]
pub struct ChildKeys {
    encryption: Secret,
    integrity: Secret,
}

impl ChildKeys {
    pub(crate) fn new(encryption: &[u8], integrity: &[u8]) -> Self {
        Self {
            encryption: Secret::new(encryption.to_vec()),
            integrity: Secret::new(integrity.to_vec()),
        }
    }

    /// The cipher's key; for AES-GCM with its four bytes of salt at the end (RFC 4106 section 8.1).
    #[must_use]
    pub fn encryption(&self) -> &[u8] {
        self.encryption.as_bytes()
    }

    /// The key of the integrity algorithm; empty for AES-GCM.
    #[must_use]
    pub fn integrity(&self) -> &[u8] {
        self.integrity.as_bytes()
    }
}

impl std::fmt::Debug for ChildKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (e, i) = (self.encryption().len(), self.integrity().len());
        write!(f, "ChildKeys({e} + {i} bytes)")
    }
}
