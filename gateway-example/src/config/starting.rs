//! The file that `gateway init` writes.

/// Characters of a new pre-shared key: 142 bits if they are letters and digits.
const PSK_LENGTH: usize = 24;
/// Characters of a new password: people type it.
const PASSWORD_LENGTH: usize = 12;

/// The commented example with secrets of its own, which `random` makes with a given length.
pub fn starting_file(mut random: impl FnMut(usize) -> String) -> String {
    let mut text = String::new();
    for line in include_str!("../../office.toml").lines() {
        match line.split_once(" = ") {
            Some((key @ "secret", _)) => {
                text.push_str(&format!("{key} = \"{}\"", random(PSK_LENGTH)));
            }
            Some((key @ "password", _)) => {
                text.push_str(&format!("{key} = \"{}\"", random(PASSWORD_LENGTH)));
            }
            _ => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

/// Whether secrets stand in a configuration file or script itself.
#[must_use]
pub fn holds_secrets(text: &str) -> bool {
    let is_secret = |line: &str| {
        let line = line.trim_start();
        let key = line.split('=').next().unwrap_or("").trim_end();
        matches!(key, "secret" | "password" | "tunnel_secret")
            || (!line.starts_with('#') && (line.contains(" pass") || line.contains(" value=")))
    };
    text.lines().any(is_secret)
}
