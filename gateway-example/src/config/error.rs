use std::fmt;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// What is wrong with a configuration file, where, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    file: PathBuf,
    place: Option<Box<Place>>,
    problem: String,
    remedy: String,
    /// What else is wrong.
    others: Vec<Self>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    line: usize,
    column: usize,
    source: String,
    width: usize,
}

impl ConfigError {
    pub(super) fn unreadable(file: &Path, error: &std::io::Error) -> Self {
        let remedy = match error.kind() {
            ErrorKind::PermissionDenied => {
                "it has secrets, so only its owner may read it: run this as its owner or as root"
            }
            ErrorKind::InvalidData => "write it as text in UTF-8",
            _ => "name an existing file; `gateway init` writes one to start from",
        };
        Self {
            file: file.to_owned(),
            place: None,
            problem: format!("cannot be read: {error}"),
            remedy: remedy.into(),
            others: Vec::new(),
        }
    }

    pub(super) fn at(
        file: &Path,
        text: &str,
        span: Option<Range<usize>>,
        problem: impl Into<String>,
        remedy: String,
    ) -> Self {
        Self {
            file: file.to_owned(),
            place: span.map(|span| Box::new(Place::of(text, &span))),
            problem: problem.into(),
            remedy,
            others: Vec::new(),
        }
    }

    /// Several at once; there is at least one.
    pub(super) fn all(mut errors: Vec<Self>) -> Self {
        let others = errors.split_off(errors.len().min(1));
        let first = errors.pop();
        let mut first = first.unwrap_or_else(|| {
            let remedy = "name a script that has commands".into();
            Self::at(Path::new(""), "", None, "nothing can be read", remedy)
        });
        first.others = others;
        first
    }

    /// Line of the problem, from 1; none where it is about the file as a whole.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.place.as_ref().map(|place| place.line)
    }
}

impl Place {
    fn of(text: &str, span: &Range<usize>) -> Self {
        let start = span.start.min(text.len());
        let before = text.get(..start).unwrap_or("");
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        let source = text
            .get(line_start..)
            .and_then(|rest| rest.lines().next())
            .unwrap_or("")
            .to_owned();
        let characters = |range| text.get(range).map_or(0, |part: &str| part.chars().count());
        let column = characters(line_start..start) + 1;
        let rest = (source.chars().count() + 1).saturating_sub(column).max(1);
        let width = characters(start..span.end.max(start)).clamp(1, rest);
        Self {
            line: before.matches('\n').count() + 1,
            column,
            source,
            width,
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(place) = &self.place {
            write!(f, ":{}:{}", place.line, place.column)?;
        }
        write!(f, ": {}", self.problem)?;
        if let Some(place) = &self.place {
            // A line can hold a secret: show it only where the mark points at something else.
            let secret = ["secret", "pass", "value"]
                .iter()
                .any(|w| place.source.to_ascii_lowercase().contains(w));
            if !secret {
                let number = place.line.to_string();
                let margin = " ".repeat(number.len());
                write!(
                    f,
                    "\n{margin} |\n{number} | {}\n{margin} | {}{}",
                    place.source,
                    " ".repeat(place.column - 1),
                    "^".repeat(place.width)
                )?;
            }
        }
        write!(f, "\n  = help: {}", self.remedy)?;
        for other in &self.others {
            write!(f, "\n\n{other}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}
