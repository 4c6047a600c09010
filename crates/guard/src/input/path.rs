//! What keeps file references inside a folder reads of them, and absolute paths in what goes out.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use unicode_normalization::UnicodeNormalization;

use crate::cursor::Cursor;
use crate::detector::{Detector, Rule, Scan, Window};
use crate::finding::{Category, Severity};
use crate::invisible::is_invisible;
use crate::normalise::decode;
use crate::trigger::{TriggerError, Triggers};

/// Resolves symbolic links; the only part that touches the file system, so the caller brings it.
pub trait ResolveLinks {
    /// The path without symbolic links, `.` and `..`.
    fn resolve(&self, path: &Path) -> std::io::Result<PathBuf>;

    /// The same of a path that begins with a resolved folder and goes no way up.
    fn resolve_below(&self, _folder: &Path, path: &Path) -> std::io::Result<PathBuf> {
        self.resolve(path)
    }
}

/// Why a file reference was refused. The reference itself is not repeated.
#[derive(Debug, thiserror::Error)]
pub enum PathError {
    /// It holds a NUL or another control character, or encodes one.
    #[error("a file reference must hold no control characters")]
    Control,
    /// It is still encoded after three rounds of decoding.
    #[error("a file reference is encoded more than three times over; write it plainly")]
    Encoding,
    /// It begins at the root of a file system.
    #[error("a file reference must be relative to the project, found an absolute path")]
    Absolute,
    /// It leaves the folder.
    #[error("a file reference must stay inside the project, found one that leaves it")]
    Outside,
    /// Its extension is not allowed.
    #[error("files of this kind may not be referred to; allowed extensions: {0}")]
    Extension(String),
    /// Its links could not be resolved.
    #[error("the file cannot be found: {0}")]
    Resolve(#[from] std::io::Error),
}

/// Percent escapes taken off layer by layer, those of Microsoft too (`%u002e`), invisible characters taken out, compatibility
/// characters folded, `\` and what some systems write as `/` read as `/`.
pub(super) fn decode_fully(reference: &str) -> Result<String, PathError> {
    let mut plain = reference.to_owned();
    for _ in 0..decode::MAX_DEPTH {
        let next = decode::percent_always(&wide_escapes(&plain)).ok_or(PathError::Control)?;
        if next == plain {
            let folded = plain.nfkc().filter(|c| !is_invisible(*c));
            let is_slash = |c: char| SLASHES.contains(&c);
            return Ok(folded.map(|c| if is_slash(c) { '/' } else { c }).collect());
        }
        plain = next;
    }
    Err(PathError::Encoding)
}

/// Signs that are written as `/` where a system knows fewer characters than Unicode, or separate folders there.
const SLASHES: [char; 7] = [
    '\\', '\u{2044}', '\u{2215}', '\u{2216}', '\u{29F5}', '\u{29F8}', '\u{29F9}',
];

/// A reference with what `%u` and four digits stand for, as servers of Microsoft read it.
fn wide_escapes(reference: &str) -> Cow<'_, str> {
    if !reference.contains("%u") && !reference.contains("%U") {
        return reference.into();
    }
    let mut out = String::with_capacity(reference.len());
    let mut rest = reference;
    let begins = |pair: &[u8]| pair[0] == b'%' && pair[1].eq_ignore_ascii_case(&b'u');
    while let Some(at) = rest.as_bytes().windows(2).position(begins) {
        out.push_str(&rest[..at]);
        let code = rest.get(at + 2..at + 6);
        let code = code.filter(|code| code.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let character = code.and_then(|code| char::from_u32(u32::from_str_radix(code, 16).ok()?));
        let taken = match character {
            Some(character) => {
                out.push(character);
                6
            }
            None => {
                out.push_str(&rest[at..at + 2]);
                2
            }
        };
        rest = &rest[at + taken..];
    }
    out.push_str(rest);
    out.into()
}

/// Where absolute paths of a host begin.
const ROOTS: [&str; 27] = [
    "/home/",
    "/root/",
    "/etc/",
    "/usr/",
    "/var/",
    "/opt/",
    "/tmp/",
    "/proc/",
    "/sys/",
    "/dev/",
    "/mnt/",
    "/srv/",
    "/boot/",
    "/nix/",
    "/snap/",
    "/app/",
    "/workspace/",
    "/workspaces/",
    "/cygdrive/",
    "/private/",
    "/Users/",
    "/Volumes/",
    "/Library/",
    "/Applications/",
    "/System/",
    ":\\",
    ":/",
];

/// Whether a path begins at one of the roots. Those of macOS begin with a capital: `/users/12` is an address of an API.
pub(super) fn begins_at_root(path: &str) -> bool {
    ROOTS.iter().any(|root| {
        let begin = path.get(..root.len());
        let fits = begin.is_some_and(|begin| begin.eq_ignore_ascii_case(root));
        fits && root.starts_with('/') && is_capital_where_due(root, path.as_bytes()[1])
    })
}

fn is_capital_where_due(root: &str, first: u8) -> bool {
    !root.as_bytes()[1].is_ascii_uppercase() || first.is_ascii_uppercase()
}

/// What else begins with a place on a host: an address of a file, and a share of another machine.
const FILE_URL: &str = "file:/";
const SHARE: &str = "\\\\";

/// Every host has these: they say nothing of one.
const EVERYWHERE: [&[u8]; 9] = [
    b"/dev/null",
    b"/dev/zero",
    b"/dev/random",
    b"/dev/urandom",
    b"/dev/stdin",
    b"/dev/stdout",
    b"/dev/stderr",
    b"/dev/tty",
    b"/usr/bin/env",
];

const MAX_PATH: usize = 512;

/// Finds absolute paths of a host.
#[derive(Debug)]
pub struct AbsolutePaths {
    rules: Vec<Rule>,
    triggers: Triggers,
}

impl AbsolutePaths {
    /// The detector.
    pub fn built_in() -> Result<Self, TriggerError> {
        Ok(Self {
            rules: vec![Rule::new(
                "absolute_path",
                Category::Path,
                Severity::Low,
                MAX_PATH,
            )],
            triggers: Triggers::new(ROOTS.into_iter().chain([FILE_URL, SHARE]))?,
        })
    }

    fn read(cursor: &mut Cursor<'_>, start: usize, root: &str) -> Option<usize> {
        let is_drive = root.starts_with(':');
        let begin = if is_drive {
            start.checked_sub(1)?
        } else {
            start
        };
        if !may_begin(cursor, begin) {
            return None;
        }
        if is_drive
            && !cursor
                .byte_before(start)
                .is_some_and(|b| b.is_ascii_alphabetic())
        {
            return None;
        }
        if !is_drive && !is_capital_where_due(root, cursor.peek_at(1)?) {
            return None;
        }
        cursor.advance(root.len());
        let rest = eat_path(cursor, MAX_PATH - root.len() - 2);
        let path = cursor.since(begin);
        let is_interpreter =
            cursor.behind(begin).ends_with(b"#!") && path.starts_with(b"/usr/bin/");
        if is_interpreter || EVERYWHERE.contains(&without_dots(path)) {
            return None;
        }
        (rest > 0).then_some(begin)
    }

    /// `file:///srv/x`, on whatever machine.
    fn read_file_url(cursor: &mut Cursor<'_>, start: usize) -> Option<usize> {
        if !cursor.starts_token(start) {
            return None;
        }
        cursor.advance(FILE_URL.len());
        let rest = cursor.eat_while(MAX_PATH - FILE_URL.len() - 2, |b| {
            is_of_path(b) || matches!(b, b':' | b'%' | b'|')
        });
        (rest > 0).then_some(start)
    }

    /// `\\server\share`, also where each backslash is escaped by another.
    fn read_share(cursor: &mut Cursor<'_>, start: usize) -> Option<usize> {
        let is_part =
            |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'\\' | b'/' | b':' | b'_' | b'.');
        if cursor.byte_before(start).is_some_and(is_part) {
            return None;
        }
        let backslashes = cursor.eat_while(4, |b| b == b'\\');
        let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'@');
        let server = cursor.eat_while(MAX_SERVER, is_name);
        let between = cursor.eat_while(2, |b| b == b'\\');
        let is_share = server > 1
            && matches!(backslashes, 2 | 4)
            && between * 2 == backslashes
            && cursor.eat_if(|b| b.is_ascii_alphanumeric() || matches!(b, b'$' | b'_'));
        if !is_share {
            return None;
        }
        cursor.eat_while(MAX_PATH - MAX_SERVER - 16, |b| is_of_path(b) || b == b'$');
        Some(start)
    }
}

/// No name of a machine is longer.
const MAX_SERVER: usize = 253;

/// Whether an absolute path may begin here: `https://host/home/x` is an address, `a/b/home/x` a relative path. `//home/x`
/// and `-I/home/x` are absolute.
fn may_begin(cursor: &Cursor<'_>, begin: usize) -> bool {
    let behind = cursor.behind(begin);
    match behind {
        [rest @ .., b'/'] => {
            let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b":/.-_<".contains(byte);
            !rest.last().is_some_and(is_part)
        }
        [rest @ .., b'-', letter] if letter.is_ascii_alphabetic() => {
            rest.last().is_none_or(u8::is_ascii_whitespace)
        }
        [.., last] => !(last.is_ascii_alphanumeric() || matches!(last, b'.' | b'_' | b'-' | b'<')),
        [] => true,
    }
}

fn is_of_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || byte >= 0x80
        || matches!(byte, b'/' | b'\\' | b'.' | b'_' | b'-' | b'+' | b'@' | b'~')
}

fn eat_path(cursor: &mut Cursor<'_>, limit: usize) -> usize {
    cursor.eat_while(limit, is_of_path)
}

/// A path without the full stop of its sentence.
fn without_dots(path: &[u8]) -> &[u8] {
    let dots = path.iter().rev().take_while(|byte| **byte == b'.').count();
    &path[..path.len() - dots]
}

impl Detector for AbsolutePaths {
    fn rules(&self) -> &[Rule] {
        &self.rules
    }

    fn scan(&self, window: Window<'_>, scan: &mut Scan) {
        let open = self.triggers.scan(&window, |literal, start| {
            let mut cursor = window.cursor(start);
            let found = match ROOTS.get(literal) {
                Some(root) => Self::read(&mut cursor, start, root),
                None if literal == ROOTS.len() => Self::read_file_url(&mut cursor, start),
                None => Self::read_share(&mut cursor, start),
            };
            let Some(begin) = found else {
                // What has not all arrived is asked again.
                let is_drive = ROOTS.get(literal).is_some_and(|root| root.starts_with(':'));
                let begin = start.saturating_sub(usize::from(is_drive));
                scan.settle(begin.max(window.from), &cursor, None);
                return;
            };
            if begin >= window.from {
                let end = begin + without_dots(cursor.since(begin)).len();
                let found = self.rules[0].at(begin..end);
                scan.settle(begin, &cursor, Some(found));
            }
        });
        // A drive's letter stands before the literal that announces it.
        let letter = window.text.last().is_some_and(u8::is_ascii_alphabetic);
        let open = if open == window.text.len() && letter {
            open - 1
        } else {
            open
        };
        let drive = open > window.from && window.text.get(open) == Some(&b':');
        if !window.complete && open < window.text.len() {
            scan.open(if drive { open - 1 } else { open }.max(window.from));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::engine::{DEFAULT_HOLDBACK_BYTES, Engine};
    use crate::policy::{Action, Place, Policy};

    #[test]
    fn absolute_paths_are_found_and_urls_are_not() {
        let detector = AbsolutePaths::built_in().unwrap();
        let found = |text: &str| {
            let mut scan = Scan::default();
            detector.scan(Window::whole(text), &mut scan);
            scan.findings
                .iter()
                .map(|f| text[f.span.clone()].to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(found("see /home/ann/notes.txt."), ["/home/ann/notes.txt"]);
        assert_eq!(
            found("in C:\\Users\\ann\\x.log now"),
            ["C:\\Users\\ann\\x.log"]
        );
        for honest in [
            "https://example.org/home/x and src/usr/x and 10:/3",
            "GET /users/12, http://a.example//home/x",
            "run it > /dev/null 2>/dev/null, or with #!/usr/bin/env python and #!/usr/bin/perl",
            r"\\hline \\[2mm] \\d+\\w* a\\b\c \\n \\x\y",
            "file: /x, profile:/x",
        ] {
            assert!(found(honest).is_empty(), "{honest} {:?}", found(honest));
        }
        for (text, path) in [
            ("open file:///home/ann/a%20b.", "file:///home/ann/a%20b"),
            ("FILE:///C:/Users/ann", "FILE:///C:/Users/ann"),
            ("file://localhost/etc/ann", "file://localhost/etc/ann"),
            (r"on \\srv-1\share$\ann now", r"\\srv-1\share$\ann"),
            (r#""\\\\srv\\share\\ann""#, r"\\\\srv\\share\\ann"),
            ("cc -I/home/ann/include", "/home/ann/include"),
            ("echo>/home/ann/x", "/home/ann/x"),
            ("//home/ann", "/home/ann"),
            ("/Users/ann and /users/ann", "/Users/ann"),
            ("#!/home/ann/bin/python", "/home/ann/bin/python"),
            ("/dev/null/x", "/dev/null/x"),
        ] {
            assert_eq!(found(text)[0], path, "{text}");
        }
    }

    #[test]
    fn paths_are_the_same_wherever_a_stream_is_cut() {
        let detector: Box<dyn Detector> = Box::new(AbsolutePaths::built_in().unwrap());
        let policy = Policy::everywhere(Action::Redact, &[Category::Path]);
        let engine = Engine::new(vec![detector], policy, DEFAULT_HOLDBACK_BYTES).unwrap();
        let engine = Arc::new(engine);
        for text in [
            "see /home/ann/notes.txt. Then C:\\Users\\ann, c:/x and 10:/3",
            r"on \\srv-1\share$\ann and \\\\srv\\share\\a, not \\d+ or a\\b\c",
            "open file:///home/ann/a%20b or profile:/x or file://h/y",
            "cc -I/home/ann -o x >/home/a //home/b > /dev/null #!/usr/bin/env x",
            "/Users/ann and /users/ann, /home/",
        ] {
            let whole = engine.apply(Place::OutputText, text, None).text;
            let cuts = || (0..=text.len()).filter(|at| text.is_char_boundary(*at));
            for (first, second) in cuts().flat_map(|a| cuts().map(move |b| (a, a.max(b)))) {
                let mut guard = engine.stream(Place::OutputText);
                let mut out = String::new();
                for piece in [&text[..first], &text[first..second], &text[second..]] {
                    let _flow = guard.push(piece, &mut out);
                }
                let _flow = guard.finish(&mut out);
                assert_eq!(out, whole, "{text:?} at {first} and {second}");
            }
        }
    }
}
