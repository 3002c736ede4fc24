//! Values of parameters: what a word may be, and what to say if it is not.

use super::{Named, Script};
use crate::alliedware::Problems;
use crate::alliedware::grammar::{Command, find};
use crate::alliedware::lex::Word;
use std::net::Ipv4Addr;

impl Script<'_> {
    /// The value of a parameter that there must be.
    pub(super) fn needed<'c>(&mut self, command: &'c Command, name: &str) -> Option<&'c Word> {
        let word = self.optional(command, name)?;
        if word.is_none() {
            let (verb, object) = (command.verb, command.object);
            self.problems.add(
                command.span.clone(),
                format!("this `{verb} {object}` lacks {name}="),
                format!("add {name}=..."),
            );
        }
        word
    }

    /// The value of a parameter, if it is there; the outer none is a problem.
    pub(super) fn optional<'c>(
        &mut self,
        command: &'c Command,
        name: &str,
    ) -> Option<Option<&'c Word>> {
        let Some(parameter) = command.parameter(name) else {
            return Some(None);
        };
        match &parameter.value {
            Some(word) if !word.text.is_empty() => Some(Some(word)),
            _ => {
                self.problems.add(
                    parameter.span.clone(),
                    format!("{name} has no value"),
                    format!("write {name}=..., without spaces around the sign"),
                );
                None
            }
        }
    }

    /// What the object itself is called.
    pub(super) fn named<'c>(&mut self, command: &'c Command) -> Option<&'c Word> {
        let word = command.value.as_ref().filter(|w| !w.text.is_empty());
        if word.is_none() {
            let object = command.object;
            self.problems.add(
                command.span.clone(),
                format!("{object} has no name"),
                format!("write {object}=..."),
            );
        }
        word
    }

    pub(super) fn parsed<T: std::str::FromStr>(
        &mut self,
        word: &Word,
        what: &str,
        right: &str,
    ) -> Option<T> {
        let parsed = word.text.parse().ok();
        if parsed.is_none() {
            let text = &word.text;
            self.problems
                .add(word.span.clone(), format!("`{text}` is not {what}"), right);
        }
        parsed
    }

    pub(super) fn address(&mut self, word: &Word) -> Option<Ipv4Addr> {
        let right = "write four numbers, such as 192.168.8.1";
        self.parsed(word, "an IPv4 address", right)
    }

    pub(super) fn optional_address(
        &mut self,
        command: &Command,
        name: &str,
    ) -> Option<Option<Ipv4Addr>> {
        match self.optional(command, name)? {
            Some(word) => self.address(word).map(Some),
            None => Some(None),
        }
    }

    pub(super) fn number(&mut self, word: &Word) -> Option<u16> {
        self.parsed(word, "a number from 0 to 65535", "write a number")
    }

    pub(super) fn optional_number(&mut self, command: &Command, name: &str) -> Option<Option<u16>> {
        match self.optional(command, name)? {
            Some(word) => self.number(word).map(Some),
            None => Some(None),
        }
    }

    pub(super) fn range(&mut self, word: &Word) -> Option<(Ipv4Addr, Ipv4Addr)> {
        let (first, last) = word
            .text
            .split_once('-')
            .unwrap_or((&word.text, &word.text));
        match (first.parse(), last.parse()) {
            (Ok(first), Ok(last)) if first <= last => Some((first, last)),
            _ => {
                self.problems.add(
                    word.span.clone(),
                    format!("`{}` is not a range of addresses", word.text),
                    "write the first and the last, such as 192.168.8.100-192.168.8.199",
                );
                None
            }
        }
    }

    pub(super) fn mask(&mut self, word: &Word) -> Option<u8> {
        let mask = self.address(word)?;
        let prefix = mask.to_bits().leading_ones();
        if mask.to_bits().count_ones() == prefix {
            u8::try_from(prefix).ok()
        } else {
            self.problems.add(
                word.span.clone(),
                format!("`{mask}` is not a mask"),
                "write ones, then zeros, such as 255.255.255.0",
            );
            None
        }
    }

    /// One of the words that a parameter may be.
    pub(super) fn word(
        &mut self,
        word: &Word,
        of: &[&'static str],
        what: &str,
    ) -> Option<&'static str> {
        find(word, of.iter().copied(), what, self.problems)
    }

    /// One of the words that a parameter must be.
    pub(super) fn choice(
        &mut self,
        command: &Command,
        name: &str,
        of: &[&'static str],
    ) -> Option<&'static str> {
        let word = self.needed(command, name)?;
        self.word(word, of, &format!("a value of {name}"))
    }

    pub(super) fn optional_choice(
        &mut self,
        command: &Command,
        name: &str,
        of: &[&'static str],
    ) -> Option<Option<&'static str>> {
        match self.optional(command, name)? {
            Some(word) => self.word(word, of, &format!("a value of {name}")).map(Some),
            None => Some(None),
        }
    }

    /// Keeps something under its name, once.
    pub(super) fn keep<T>(
        problems: &mut Problems,
        named: &mut Named<T>,
        name: &Word,
        thing: T,
    ) -> Option<()> {
        let key = name.text.to_ascii_lowercase();
        if named.0.contains_key(&key) {
            problems.add(
                name.span.clone(),
                format!("`{}` is there already", name.text),
                "give it another name, or use `set`",
            );
            return None;
        }
        named.0.insert(key, (name.span.clone(), thing));
        Some(())
    }

    /// What `set` changes.
    pub(super) fn existing<'n, T>(
        problems: &mut Problems,
        named: &'n mut Named<T>,
        name: &Word,
        what: &str,
    ) -> Option<&'n mut T> {
        let found = named.0.get_mut(&name.text.to_ascii_lowercase());
        if found.is_none() {
            problems.add(
                name.span.clone(),
                format!("there is no {what} `{}`", name.text),
                "create it before, or correct the name",
            );
        }
        found.map(|(_, thing)| thing)
    }
}
