//! From text to words: lines, continuation lines, comments, quotes and placeholders.

use super::Problems;
use std::ops::Range;

/// A piece of the script, without its quotes, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    /// In bytes of the script.
    pub(super) span: Range<usize>,
}

/// `name`, or `name=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) name: Word,
    pub(super) value: Option<Word>,
}

/// The tokens of one command, at least one.
pub(super) type Line = Vec<Token>;

/// What begins a command. All else at the start of a line goes on with the command before.
pub(super) const VERBS: [&str; 11] = [
    "add", "create", "delete", "destroy", "disable", "enable", "login", "reset", "restart", "set",
    "show",
];

pub(super) fn is_verb(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    // As short as the device takes them: two letters tell most apart.
    word.len() >= 2 && VERBS.iter().any(|verb| verb.starts_with(&word))
}

/// Splits a script into commands.
pub(super) fn lines(text: &str, problems: &mut Problems) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut joined = false;
    let mut start = 0;
    for row in text.split_inclusive('\n') {
        let begin = start;
        start += row.len();
        let row = row.trim_end_matches(['\n', '\r']);
        let (row, joins) = match row.trim_end().strip_suffix('\\') {
            Some(row) => (row, true),
            None => (row, false),
        };
        let indented = row.starts_with([' ', '\t']);
        let tokens = tokens(row, begin, problems);
        let Some(first) = tokens.first() else {
            joined &= joins;
            continue;
        };
        let begins = first.value.is_none() && is_verb(&first.name.text);
        let goes_on = joined || (!begins && (indented || first.value.is_some()));
        match lines.last_mut() {
            Some(line) if goes_on => line.extend(tokens),
            _ => lines.push(tokens),
        }
        joined = joins;
    }
    lines
}

fn tokens(row: &str, begin: usize, problems: &mut Problems) -> Vec<Token> {
    let mut scanner = Scanner {
        row,
        at: 0,
        begin,
        problems,
    };
    let mut tokens = Vec::new();
    while let Some(token) = scanner.token() {
        tokens.push(token);
    }
    tokens
}

struct Scanner<'a> {
    row: &'a str,
    at: usize,
    begin: usize,
    problems: &'a mut Problems,
}

/// What closes a quotation that `open` begins; a PDF's copy has curly ones.
fn closing(open: char) -> Option<[char; 2]> {
    match open {
        '"' | '\u{201c}' | '\u{201d}' => Some(['"', '\u{201d}']),
        _ => None,
    }
}

impl Scanner<'_> {
    fn rest(&self) -> &str {
        self.row.get(self.at..).unwrap_or("")
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn token(&mut self) -> Option<Token> {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
        if matches!(self.peek(), None | Some('#')) {
            return None;
        }
        let name = self.word(true);
        if self.peek() != Some('=') {
            return Some(Token { name, value: None });
        }
        self.at += 1;
        let value = Some(self.word(false));
        Some(Token { name, value })
    }

    /// Up to white space, or to the `=` that ends a name.
    fn word(&mut self, is_name: bool) -> Word {
        let from = self.at;
        let mut text = String::new();
        while let Some(c) = self.peek() {
            if c.is_whitespace() || (is_name && c == '=' && self.at > from) {
                break;
            }
            let place = self.begin + self.at;
            self.at += c.len_utf8();
            if let Some(closing) = closing(c) {
                let Some(end) = self.rest().find(closing) else {
                    self.problems.add(
                        place..self.begin + self.at,
                        "the quotation has no end",
                        "close it with \" on the same line",
                    );
                    text.push_str(self.rest());
                    self.at = self.row.len();
                    break;
                };
                text.push_str(self.rest().get(..end).unwrap_or(""));
                self.at += end;
                self.at += self.peek().map_or(0, char::len_utf8);
            } else if c == '<' && self.rest().contains('>') {
                let end = self.rest().find('>').unwrap_or(0);
                let inside = self.rest().get(..end).unwrap_or("").to_owned();
                self.at += end + 1;
                self.problems.add(
                    place..self.begin + self.at,
                    format!("<{inside}> is not filled in"),
                    "write your own value in its place, or in quotes if it is one",
                );
                text = format!("{text}<{inside}>");
            } else {
                text.push(c);
            }
        }
        Word {
            text,
            span: self.begin + from..self.begin + self.at,
        }
    }
}
