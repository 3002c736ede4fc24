//! Published vectors and captures that lie beside the repository, for tests: read in place, and
//! where they are absent the test says so and is skipped.
#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a test that cannot read its vectors has failed"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where a file or folder of the corpus is, if it is there.
#[must_use]
pub fn path(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/corpus")
        .join(name);
    if path.exists() {
        return Some(path);
    }
    #[allow(clippy::print_stderr, reason = "a skipped test says so")]
    {
        eprintln!("skipped: no {name}");
    }
    None
}

/// A file's bytes, if it is there.
#[must_use]
pub fn read(name: &str) -> Option<Vec<u8>> {
    Some(std::fs::read(path(name)?).unwrap())
}

/// A file's text, if it is there.
#[must_use]
pub fn text(name: &str) -> Option<String> {
    Some(std::fs::read_to_string(path(name)?).unwrap())
}

/// Bytes of hexadecimal digits; whatever stands between them is skipped.
#[must_use]
pub fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let digit = |d: u8| char::from(d).to_digit(16).unwrap() as u8;
    digits
        .chunks_exact(2)
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect()
}

/// Lines `name = value` of a NIST file, case by case; `section` is the heading in brackets.
#[must_use]
pub fn cases(text: &str) -> Vec<BTreeMap<String, String>> {
    let mut out: Vec<BTreeMap<_, _>> = Vec::new();
    let (mut section, mut shared) = (String::new(), BTreeMap::new());
    let mut in_case = false;
    for line in text.lines() {
        if line.starts_with('[') {
            in_case = false;
            if ["[SHA-", "[L=", "[ENCRYPT]", "[DECRYPT]"]
                .iter()
                .any(|start| line.starts_with(start))
                || line.contains(" - SHA")
            {
                section = line.trim().to_owned();
            }
        }
        let Some((name, value)) = line.split_once(" = ") else {
            continue;
        };
        let (name, value) = (name.trim().to_owned(), value.trim().to_owned());
        if name.eq_ignore_ascii_case("COUNT") {
            let mut case: BTreeMap<_, _> = shared.clone();
            case.insert("section".to_owned(), section.clone());
            case.insert("COUNT".to_owned(), value);
            out.push(case);
            in_case = true;
        } else if let Some(case) = out.last_mut().filter(|_| in_case) {
            case.insert(name, value);
        } else {
            // A group's parameters stand before its cases.
            shared.insert(name, value);
        }
    }
    out
}

/// A value of a flat JSON object.
#[must_use]
pub fn field(object: &str, name: &str) -> Option<String> {
    let (_, rest) = object.split_once(&format!("\"{name}\""))?;
    let rest = rest.trim_start_matches([' ', ':']);
    let value = match rest.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next()?,
        None => rest.split([',', '}', '\n']).next()?,
    };
    Some(value.to_owned())
}
