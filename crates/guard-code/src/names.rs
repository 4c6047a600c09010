//! The names that Python and JavaScript use, whatever they are called on the way: `import os as o`,
//! `getattr(os, "system")`, `globalThis["eval"]`. Read from tokens, without a parser.

use std::collections::HashMap;
use std::iter::Peekable;
use std::str::Chars;

use crate::Language;

/// So deep are assignments and calls followed that stand in each other.
const MAX_DEPTH: usize = 16;
/// So many parts of a name are looked at; what follows is looked at as a name of its own.
const MAX_PARTS: usize = 64;

/// A dotted name, part by part.
pub(crate) type Path = Vec<String>;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Name(String),
    Text(String),
    Mark(char),
}

/// All dotted names of a source, as the modules call them that they come from.
pub(crate) fn paths(language: Language, source: &str) -> Vec<Path> {
    let mut reader = Reader {
        tokens: tokens(language, source),
        at: 0,
        known: HashMap::new(),
        found: Vec::new(),
    };
    while reader.at < reader.tokens.len() {
        reader.step();
    }
    reader.found
}

/// Whether a path leads through a dotted name.
pub(crate) fn leads_through(path: &[String], name: &str) -> bool {
    let parts: Vec<&str> = name.split('.').collect();
    path.windows(parts.len())
        .any(|window| window.iter().zip(&parts).all(|(a, b)| a == b))
}

struct Reader {
    tokens: Vec<Token>,
    at: usize,
    /// What names stand for that the source gives.
    known: HashMap<String, Path>,
    found: Vec<Path>,
}

impl Reader {
    fn step(&mut self) {
        let begin = self.at;
        match self.name(0) {
            Some("import") => self.import(),
            Some("from") => self.import_from(),
            Some(_) => {
                let path = self.path();
                self.found.extend(path);
            }
            None if self.is_mark(0, '{') => self.take_apart(),
            None => {}
        }
        self.at = self.at.max(begin + 1);
    }

    fn token(&self, ahead: usize) -> Option<&Token> {
        self.tokens.get(self.at + ahead)
    }

    fn name(&self, ahead: usize) -> Option<&str> {
        match self.token(ahead) {
            Some(Token::Name(name)) => Some(name),
            _ => None,
        }
    }

    fn text(&self, ahead: usize) -> Option<&str> {
        match self.token(ahead) {
            Some(Token::Text(text)) => Some(text),
            _ => None,
        }
    }

    fn is_mark(&self, ahead: usize, mark: char) -> bool {
        self.token(ahead) == Some(&Token::Mark(mark))
    }

    /// A dotted name, and what it is given to.
    fn path(&mut self) -> Option<Path> {
        self.path_within(MAX_DEPTH)
    }

    fn path_within(&mut self, depth: usize) -> Option<Path> {
        let first = self.name(0)?.to_owned();
        let is_assigned = self.is_mark(1, '=') && !self.is_mark(2, '=') && !self.is_mark(2, '>');
        if is_assigned && depth > 0 {
            self.at += 2;
            let path = self.path_within(depth - 1)?;
            if !self.is_mark(0, '(') {
                self.known.insert(first, path.clone());
            }
            return Some(path);
        }
        let mut path = if let Some(module) = self.loaded() {
            module
        } else if first == "getattr" && self.is_mark(1, '(') && depth > 0 {
            self.at += 2;
            let mut path = self.path_within(depth - 1)?;
            if self.is_mark(0, ',')
                && let Some(member) = self.text(1)
            {
                path.push(member.to_owned());
                self.at += 2;
            }
            path
        } else {
            self.at += 1;
            self.known.get(&first).cloned().unwrap_or(vec![first])
        };
        while path.len() < MAX_PARTS {
            if self.is_mark(0, '.') && self.name(1).is_some() {
                self.at += 1;
                if let Some(module) = self.loaded() {
                    path = module;
                } else if let Some(member) = self.name(0).map(str::to_owned) {
                    path.push(member);
                    self.at += 1;
                }
            } else if self.is_mark(0, '[')
                && self.is_mark(2, ']')
                && let Some(member) = self.text(1).map(str::to_owned)
            {
                path.push(member);
                self.at += 3;
            } else {
                break;
            }
        }
        Some(path)
    }

    /// A module that is loaded here by a call.
    fn loaded(&mut self) -> Option<Path> {
        let name = self.name(0)?;
        let loads = ["require", "__import__", "import_module", "import"].contains(&name);
        let module = self.text(2).filter(|_| loads && self.is_mark(1, '('))?;
        let path = module_path(module);
        self.at += 3 + usize::from(self.is_mark(3, ')'));
        Some(path)
    }

    /// `import a.b as c`, `import * as c from "a"`, `import c from "a"`, `import { b as c } from "a"`.
    fn import(&mut self) {
        self.at += 1;
        if self.is_mark(0, '(') {
            // A call: `await import("a")`.
            self.at -= 1;
            if let Some(path) = self.path() {
                self.found.push(path);
            }
            return;
        }
        if self.is_mark(0, '{') {
            self.take_apart();
            return;
        }
        if self.is_mark(0, '*') && self.name(1) == Some("as") {
            self.at += 2;
        }
        let Some(path) = self.path() else { return };
        if self.name(0) == Some("from")
            && let Some(module) = self.text(1)
        {
            let module = module_path(module);
            self.known.insert(path.join("."), module.clone());
            self.found.push(module);
            self.at += 2;
            return;
        }
        if self.name(0) == Some("as")
            && let Some(own) = self.name(1).map(str::to_owned)
        {
            self.known.insert(own, path.clone());
            self.at += 2;
        }
        self.found.push(path);
    }

    /// `from a.b import c as d, e`.
    fn import_from(&mut self) {
        self.at += 1;
        let Some(module) = self.path() else { return };
        if self.name(0) != Some("import") {
            self.found.push(module);
            return;
        }
        self.at += 1 + usize::from(self.is_mark(1, '('));
        while let Some(item) = self.name(0).map(str::to_owned) {
            let mut path = module.clone();
            path.push(item.clone());
            self.at += 1;
            let mut own = item;
            if self.name(0) == Some("as")
                && let Some(name) = self.name(1)
            {
                own = name.to_owned();
                self.at += 2;
            }
            self.known.insert(own, path.clone());
            self.found.push(path);
            if !self.is_mark(0, ',') {
                break;
            }
            self.at += 1;
        }
    }

    /// `{ b as c, d } from "a"`, `{ b: c, d } = require("a")`, if it is one of these.
    fn take_apart(&mut self) {
        let begin = self.at;
        self.at += 1;
        let mut taken: Vec<(String, String)> = Vec::new();
        while let Some(item) = self.name(0).map(str::to_owned) {
            self.at += 1;
            let mut own = item.clone();
            if (self.name(0) == Some("as") || self.is_mark(0, ':'))
                && let Some(name) = self.name(1)
            {
                own = name.to_owned();
                self.at += 2;
            }
            taken.push((item, own));
            if !self.is_mark(0, ',') {
                break;
            }
            self.at += 1;
        }
        let module = match (self.is_mark(0, '}'), self.name(1), self.text(2)) {
            (true, Some("from"), Some(module)) => Some(module_path(module)),
            (true, ..) if self.is_mark(1, '=') => {
                self.at += 2;
                self.path()
            }
            _ => None,
        };
        let Some(module) = module else {
            self.at = begin;
            return;
        };
        for (item, own) in taken {
            let mut path = module.clone();
            path.push(item);
            self.known.insert(own, path.clone());
            self.found.push(path);
        }
    }
}

fn module_path(module: &str) -> Path {
    let module = module.strip_prefix("node:").unwrap_or(module);
    module.split(['.', '/']).map(str::to_owned).collect()
}

fn tokens(language: Language, source: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = source.chars().peekable();
    while let Some(&letter) = rest.peek() {
        match letter {
            _ if is_inner(letter) || letter == '\\' => {
                let name = name(&mut rest);
                if !name.is_empty() {
                    tokens.push(Token::Name(name));
                }
            }
            '"' | '\'' | '`' => {
                rest.next();
                tokens.push(Token::Text(text(language, letter, &mut rest)));
            }
            '#' if language == Language::Python => skip_line(&mut rest),
            '/' if language == Language::JavaScript => {
                rest.next();
                match rest.peek() {
                    Some('/') => skip_line(&mut rest),
                    Some('*') => skip_comment(&mut rest),
                    _ => tokens.push(Token::Mark('/')),
                }
            }
            '?' => {
                rest.next();
                if rest.peek() != Some(&'.') {
                    tokens.push(Token::Mark('?'));
                }
            }
            _ => {
                rest.next();
                if !letter.is_whitespace() {
                    tokens.push(Token::Mark(letter));
                }
            }
        }
    }
    tokens
}

fn is_inner(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '_' | '$')
}

/// A name; what is escaped in it is what it stands for.
fn name(rest: &mut Peekable<Chars<'_>>) -> String {
    let mut name = String::new();
    while let Some(&letter) = rest.peek() {
        if letter == '\\' {
            rest.next();
            if rest.peek() != Some(&'u') {
                // A line that goes on in the next.
                break;
            }
            rest.next();
            let in_braces = rest.next_if_eq(&'{').is_some();
            let most = if in_braces { 6 } else { 4 };
            let mut digits = String::new();
            while digits.len() < most
                && let Some(digit) = rest.next_if(char::is_ascii_hexdigit)
            {
                digits.push(digit);
            }
            if in_braces {
                rest.next_if_eq(&'}');
            }
            let code = u32::from_str_radix(&digits, 16).ok();
            name.extend(code.and_then(char::from_u32));
        } else if is_inner(letter) {
            name.push(letter);
            rest.next();
        } else {
            break;
        }
    }
    name
}

/// A text behind its first quote.
fn text(language: Language, quote: char, rest: &mut Peekable<Chars<'_>>) -> String {
    let mut text = String::new();
    let mut length = 1;
    if rest.next_if_eq(&quote).is_some() {
        if language != Language::Python || rest.next_if_eq(&quote).is_none() {
            return text;
        }
        length = 3;
    }
    let mut quotes = 0;
    while let Some(letter) = rest.next() {
        match letter {
            '\\' => {
                text.extend(rest.next());
                quotes = 0;
            }
            '\n' if length == 1 && quote != '`' => break,
            _ if letter == quote => {
                quotes += 1;
                if quotes == length {
                    break;
                }
            }
            _ => {
                text.push(letter);
                quotes = 0;
            }
        }
    }
    text
}

fn skip_line(rest: &mut Peekable<Chars<'_>>) {
    while rest.next_if(|letter| *letter != '\n').is_some() {}
}

fn skip_comment(rest: &mut Peekable<Chars<'_>>) {
    let mut before = ' ';
    rest.next();
    for letter in rest.by_ref() {
        if before == '*' && letter == '/' {
            break;
        }
        before = letter;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uses(language: Language, source: &str, name: &str) -> bool {
        let found = paths(language, source);
        found.iter().any(|path| leads_through(path, name))
    }

    #[test]
    fn a_name_is_found_under_every_other_one() {
        for source in [
            "import os as o\no.system('id')",
            "from os import (\n    path,\n    system as s,\n)\n",
            "os . \\\n  system('id')",
            "os  .  system('id')",
            "getattr(os, 'system')('id')",
            "__import__('os').system('id')",
            "import importlib\nimportlib.import_module(\"os\").system('id')",
            "x = os\nx.system('id')",
            "os # why\n.system",
            "'''it's'''; os.system",
        ] {
            assert!(uses(Language::Python, source, "os.system"), "{source}");
        }
        for source in [
            "const { exec: run } = require('child_process'); run('id')",
            "import { exec as run } from \"node:child_process\"",
            "import * as c from 'child_process'; c.exec('id')",
            "const c = require(`child_process`); c/* why */?.exec('id')",
            "c = require('child_process'); c['exec']",
            "require('child_process').\\u0065xec('id')",
        ] {
            let name = "child_process.exec";
            assert!(uses(Language::JavaScript, source, name), "{source}");
        }
        for source in ["globalThis['eval']('1')", "\\u{65}val('1')", "window?.eval"] {
            assert!(uses(Language::JavaScript, source, "eval"), "{source}");
        }
    }

    #[test]
    fn what_only_looks_like_it_is_none() {
        for source in [
            "# os.system\nprint('os.system')",
            "import os\nos.path.join('a', 'system')",
            "from mine import os_system, system",
            "osx.system()",
            "a == os; a.system",
        ] {
            assert!(!uses(Language::Python, source, "os.system"), "{source}");
        }
        let text = "retrieval(1); // eval(2)\nmedieval.x";
        assert!(!uses(Language::JavaScript, text, "eval"));
    }

    #[test]
    fn long_and_deep_sources_are_read_to_their_ends() {
        for piece in [
            "a=", "getattr(", "a.", "[", "{a:", "\\", "'", "import ", "/*", "`",
        ] {
            let source = format!("{}\neval", piece.repeat(20_000));
            paths(Language::Python, &source);
            paths(Language::JavaScript, &source);
        }
    }
}
