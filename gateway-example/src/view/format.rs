//! Numbers and names for people.

/// A text that a client has chosen, fit for a terminal.
#[must_use]
pub fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        // Controls, and what turns the direction of writing.
        if c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        {
            clean.extend(c.escape_default());
        } else {
            clean.push(c);
        }
    }
    clean
}

/// The two largest units of a duration.
#[must_use]
pub fn duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{:02}s", seconds % 60),
        (0, _, _) => format!("{hours}h{minutes:02}m"),
        _ => format!("{days}d{hours:02}h"),
    }
}

/// Bytes in the unit that leaves one to four digits.
#[must_use]
pub fn bytes(count: u64) -> String {
    scaled(
        count,
        &["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"],
        1024,
    )
}

/// Bits in a second.
#[must_use]
pub fn rate(bits_per_second: u64) -> String {
    scaled(
        bits_per_second,
        &["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"],
        1000,
    )
}

fn scaled(count: u64, units: &[&str], base: u64) -> String {
    let mut unit = 0;
    let mut size: u64 = 1;
    while count / size >= base && unit + 1 < units.len() {
        size *= base;
        unit += 1;
    }
    let name = units.get(unit).unwrap_or(&"");
    let tenths = u128::from(count) * 10 / u128::from(size);
    if unit == 0 || tenths >= 1000 {
        format!("{} {name}", tenths / 10)
    } else {
        format!("{}.{} {name}", tenths / 10, tenths % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::{bytes, clean, duration, rate};

    #[test]
    fn numbers_are_short() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(200 << 20), "200 MiB");
        assert_eq!(bytes(u64::MAX), "15.9 EiB");
        assert_eq!(rate(12_345_678), "12.3 Mbit/s");
        assert_eq!(duration(59), "59s");
        assert_eq!(duration(61), "1m01s");
        assert_eq!(duration(3_720), "1h02m");
        assert_eq!(duration(100_000), "1d03h");
    }

    #[test]
    fn a_name_cannot_drive_the_terminal() {
        assert_eq!(clean("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(clean("a\u{202e}b"), "a\\u{202e}b");
        assert_eq!(clean("Jürgen"), "Jürgen");
    }
}
