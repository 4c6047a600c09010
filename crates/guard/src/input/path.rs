//! What keeps file references inside a folder reads of them, and absolute paths in what goes out.

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

/// Percent escapes taken off layer by layer, invisible characters taken out, compatibility characters folded, `\` read as `/`.
pub(super) fn decode_fully(reference: &str) -> Result<String, PathError> {
    let mut plain = reference.to_owned();
    for _ in 0..decode::MAX_DEPTH {
        let next = decode::percent_always(&plain).ok_or(PathError::Control)?;
        if next == plain {
            let folded: String = plain.nfkc().filter(|c| !is_invisible(*c)).collect();
            return Ok(folded.replace('\\', "/"));
        }
        plain = next;
    }
    Err(PathError::Encoding)
}

pub(super) const ROOTS: [&str; 18] = [
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
    "/users/",
    "/app/",
    "/workspace/",
    "/private/",
    ":\\",
    ":/",
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
            triggers: Triggers::new(ROOTS)?,
        })
    }

    fn read(cursor: &mut Cursor<'_>, start: usize, root: &str) -> Option<usize> {
        let is_drive = root.starts_with(':');
        let begin = if is_drive {
            start.checked_sub(1)?
        } else {
            start
        };
        let before = cursor.byte_before(begin);
        // `https://host/home/x` is a URL, `a/b/home/x` a relative path.
        if before.is_some_and(|b| {
            b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'_' | b'-' | b'>' | b'<')
        }) {
            return None;
        }
        if is_drive
            && !cursor
                .byte_before(start)
                .is_some_and(|b| b.is_ascii_alphabetic())
        {
            return None;
        }
        cursor.advance(root.len());
        let rest = cursor.eat_while(MAX_PATH - root.len() - 2, |b| {
            b.is_ascii_alphanumeric()
                || b >= 0x80
                || matches!(b, b'/' | b'\\' | b'.' | b'_' | b'-' | b'+' | b'@' | b'~')
        });
        (rest > 0).then_some(begin)
    }
}

impl Detector for AbsolutePaths {
    fn rules(&self) -> &[Rule] {
        &self.rules
    }

    fn scan(&self, window: Window<'_>, scan: &mut Scan) {
        let open = self.triggers.scan(&window, |literal, start| {
            let mut cursor = window.cursor(start);
            let Some(begin) = Self::read(&mut cursor, start, ROOTS[literal]) else {
                return;
            };
            if begin >= window.from {
                let dots = cursor
                    .since(begin)
                    .iter()
                    .rev()
                    .take_while(|b| **b == b'.')
                    .count();
                let found = self.rules[0].at(begin..cursor.position() - dots);
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
    use super::*;

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
        assert!(found("https://example.org/home/x and src/usr/x and 10:/3").is_empty());
    }
}
