use crate::secret::PresharedKey;

/// Characters below which a key counts as weak whatever they are.
const LEAST_LENGTH: usize = 20;
/// Bits of guessing work below which a key counts as weak.
const LEAST_BITS: u32 = 64;
/// Letters in a row that are taken for a word.
const WORD: usize = 3;

/// How well a pre-shared key withstands guessing.
///
/// Who can make a client talk to it, or sits between the two, gets a hash to try keys on, without
/// asking again (CVE-2018-5389): only the key's own strength helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyGrade {
    /// Below 20 characters.
    Short,
    /// Words, repetitions or sequences: below 64 bits of guessing work.
    Guessable,
    /// Not to be guessed.
    Strong,
}

impl KeyGrade {
    /// A stable word for logs.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Guessable => "guessable",
            Self::Strong => "strong",
        }
    }
}

impl std::fmt::Display for KeyGrade {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.reason())
    }
}

impl PresharedKey {
    /// Grades the key.
    ///
    /// An estimate from above, of its characters alone: it knows no dictionary.
    #[must_use]
    pub fn grade(&self) -> KeyGrade {
        let key = self.as_bytes();
        if key.len() < LEAST_LENGTH {
            KeyGrade::Short
        } else if guessing_bits(key) < LEAST_BITS {
            KeyGrade::Guessable
        } else {
            KeyGrade::Strong
        }
    }
}

/// Bits of work, in tenths until the end: whole bits.
fn guessing_bits(key: &[u8]) -> u32 {
    let each = tenths_of_a_character(key);
    let mut tenths = 0_u32;
    let mut rest = key;
    let mut previous = None;
    while let Some((&first, after)) = rest.split_first() {
        let word = word_length(rest);
        if word >= WORD {
            // As much as one of 8192 words, however long it is.
            tenths = tenths.saturating_add(130);
            previous = rest.get(word - 1).copied();
            rest = rest.get(word..).unwrap_or_default();
            continue;
        }
        let follows = previous.is_some_and(|p: u8| p.abs_diff(first) <= 1);
        tenths = tenths.saturating_add(if follows { 10 } else { each });
        previous = Some(first);
        rest = after;
    }
    tenths / 10
}

/// Letters at the start of `text` that are in the case of a word: `word`, `Word` or `WORD`.
fn word_length(text: &[u8]) -> usize {
    let run = |text: &[u8], class: fn(&u8) -> bool| text.iter().take_while(|b| class(b)).count();
    let upper = run(text, u8::is_ascii_uppercase);
    let rest = text.get(upper.min(1)..).unwrap_or_default();
    upper.max(upper.min(1) + run(rest, u8::is_ascii_lowercase))
}

/// Ten times the logarithm of how many characters there are to choose from.
fn tenths_of_a_character(key: &[u8]) -> u32 {
    if key.iter().all(u8::is_ascii_hexdigit) {
        return 40;
    }
    let size = |class: fn(&u8) -> bool, size: u32| u32::from(key.iter().any(class)) * size;
    let pool = size(u8::is_ascii_digit, 10)
        + size(u8::is_ascii_lowercase, 26)
        + size(u8::is_ascii_uppercase, 26)
        + size(|b| !b.is_ascii_alphanumeric(), 32);
    // Whole bits would round 62 characters down by a seventh.
    pool.saturating_pow(4).checked_ilog2().unwrap_or(0) * 10 / 4
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grade(key: &str) -> KeyGrade {
        PresharedKey::new(key).grade()
    }

    #[test]
    fn cve_2018_5389_weak_keys_are_told_from_strong_ones() {
        for key in ["", "vpn", "secret", "Passw0rd!", "kX9#mQ2$vL7@pR4&nT6"] {
            assert_eq!(grade(key), KeyGrade::Short, "{key}");
        }
        for key in [
            "aaaaaaaaaaaaaaaaaaaaaaaa",
            "12345678901234567890",
            "abcdefghijklmnopqrstuvwxyz",
            "CompanyVpnPassword2024",
            "correct-horse-battery",
            "0000000011111111222222223333",
            "zyxwvutsrqponmlkjihgfedcba9876543210",
        ] {
            assert_eq!(grade(key), KeyGrade::Guessable, "{key}");
        }
        for key in [
            "kX9mQ2vL7pR4nT6wZ3bY8",
            "9f86d081884c7d659a2feaa0c55ad015",
            "83712946205817394062",
            "xk-4tq.mz!rb+vw=7hd&",
            "demonstration7only2do8not3reuse5or9share",
        ] {
            assert_eq!(grade(key), KeyGrade::Strong, "{key}");
        }
    }

    #[test]
    fn grading_takes_any_bytes() {
        for byte in 0..=255 {
            let _ = PresharedKey::new([byte; 300]).grade();
        }
    }
}
