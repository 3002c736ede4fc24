use crate::Error;

/// A configuration option (RFC 1661 section 6): type and data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConfigOption<'a> {
    /// Which option, by the protocol's own numbers.
    pub kind: u8,
    /// What follows type and length.
    pub data: &'a [u8],
}

impl ConfigOption<'_> {
    /// Appends the option; none has more than 253 bytes of data.
    pub fn emit(&self, out: &mut Vec<u8>) {
        let data = self.data.get(..253).unwrap_or(self.data);
        let length = u8::try_from(data.len()).unwrap_or(253).saturating_add(2);
        out.extend([self.kind, length]);
        out.extend(data);
    }
}

/// Walks through a list of options.
#[derive(Debug, Clone)]
pub struct Options<'a>(&'a [u8]);

impl<'a> Options<'a> {
    /// The options in `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }
}

impl<'a> Iterator for Options<'a> {
    type Item = Result<ConfigOption<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let parsed = split(self.0);
        // After an error there is nothing to go on from.
        self.0 = parsed.as_ref().map_or(&[], |(_, rest)| rest);
        Some(parsed.map(|(option, _)| option))
    }
}

fn split(bytes: &[u8]) -> Result<(ConfigOption<'_>, &[u8]), Error> {
    let ([kind, length], _) = bytes
        .split_first_chunk::<2>()
        .ok_or(Error::Short("option header"))?;
    let (option, rest) = bytes
        .split_at_checked(usize::from(*length))
        .ok_or(Error::BadLength("option"))?;
    // A length of 0 or 1 would not move on.
    let data = option.get(2..).ok_or(Error::BadLength("option"))?;
    Ok((ConfigOption { kind: *kind, data }, rest))
}
