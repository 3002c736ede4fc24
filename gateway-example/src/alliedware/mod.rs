//! Configuration scripts of AlliedWare routers, the language of the how-to note "Create a VPN
//! between an Allied Telesis Router and a Microsoft Windows XP Client, over NAT-T": what such a
//! script says, as this gateway's own TOML.
//!
//! Pure: text in, text out. Every command is applied or named in a [`Note`] as having no meaning
//! here; an unknown word is a [`Problem`] with its place.

mod apply;
mod grammar;
mod lex;
mod render;
#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;

/// A script in this gateway's own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversion {
    /// The configuration file; it holds the script's secrets.
    pub toml: String,
    /// What became of each command, in the script's order.
    pub notes: Vec<Note>,
}

/// What became of one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Its line, from 1.
    pub line: usize,
    /// What it is about, without values that may be secret.
    pub command: String,
    /// Whether it is applied; if not, it has no meaning on this system.
    pub applied: bool,
    /// How it is applied, or why not.
    pub text: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            line,
            command,
            text,
            ..
        } = self;
        write!(f, "line {line}: {command}: {text}")
    }
}

/// What is wrong with a script, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where, in bytes of the script.
    pub span: Range<usize>,
    /// What.
    pub problem: String,
    /// What would be right.
    pub remedy: String,
}

/// More are not told of at once.
const MOST_PROBLEMS: usize = 50;

/// Longer scripts are none.
const LONGEST: usize = 1 << 20;

#[derive(Debug, Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, span: Range<usize>, problem: impl Into<String>, remedy: impl Into<String>) {
        if self.0.len() < MOST_PROBLEMS {
            self.0.push(Problem {
                span,
                problem: problem.into(),
                remedy: remedy.into(),
            });
        }
    }
}

/// Reads a script.
///
/// # Errors
/// All that is wrong with it, in the script's order, up to fifty.
pub fn convert(text: &str) -> Result<Conversion, Vec<Problem>> {
    let mut problems = Problems::default();
    if text.len() > LONGEST {
        problems.add(0..0, "the script is longer than 1 MiB", "name a script");
        return Err(problems.0);
    }
    let lines = lex::lines(text, &mut problems);
    let commands: Vec<_> = lines
        .iter()
        .filter_map(|line| grammar::command(line, &mut problems))
        .collect();
    let office = if problems.0.is_empty() {
        apply::apply(text, &commands, &mut problems)
    } else {
        None
    };
    match office {
        Some((office, notes)) => Ok(Conversion {
            toml: render::toml(&office, &notes),
            notes,
        }),
        None => {
            problems.0.sort_by_key(|problem| problem.span.start);
            Err(problems.0)
        }
    }
}
