use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// What is wrong with a configuration file, where, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    file: PathBuf,
    place: Option<Place>,
    problem: String,
    remedy: String,
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
        Self {
            file: file.to_owned(),
            place: None,
            problem: format!("cannot be read: {error}"),
            remedy: "name an existing file, or copy gateway-example/office.toml to start from"
                .into(),
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
            place: span.map(|span| Place::of(text, &span)),
            problem: problem.into(),
            remedy,
        }
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
        let column = start - line_start + 1;
        let width = (span.end.max(start) - start)
            .clamp(1, (source.len() + 1).saturating_sub(column).max(1));
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
            let secret = ["secret", "password"]
                .iter()
                .any(|w| place.source.contains(w));
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
        write!(f, "\n  = help: {}", self.remedy)
    }
}

impl std::error::Error for ConfigError {}
