//! The small pattern language of the shape file: literals and bounded runs, read without going back.

use crate::cursor::{Cursor, is_word};

/// A set of bytes with a name.
pub(super) type Class = fn(u8) -> bool;

/// A compiled pattern.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
enum Part {
    Literal(Vec<u8>),
    Run {
        class: Class,
        least: usize,
        most: usize,
    },
}

/// Why a pattern could not be compiled.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PatternError {
    /// A class that does not exist.
    #[error("unknown class {0:?} in a pattern; see the head of the shape file for the known ones")]
    Class(String),
    /// A run that is not `<class n>` or `<class n-m>` with 1 ≤ n ≤ m.
    #[error("expected `<class n>` or `<class n-m>` with 1 <= n <= m, found {0:?}")]
    Run(String),
    /// A pattern that must begin with literal text does not.
    #[error("a shape must begin with at least two plain characters, found {0:?}")]
    NoPrefix(String),
}

fn class(name: &str) -> Result<Class, PatternError> {
    Ok(match name {
        "digit" => |b| b.is_ascii_digit(),
        "hex" => |b| b.is_ascii_hexdigit(),
        "lowhex" => |b| matches!(b, b'0'..=b'9' | b'a'..=b'f'),
        "lower" => |b| b.is_ascii_lowercase(),
        "upper" => |b| b.is_ascii_uppercase(),
        "lowernum" => |b| b.is_ascii_lowercase() || b.is_ascii_digit(),
        "uppernum" => |b| b.is_ascii_uppercase() || b.is_ascii_digit(),
        "base32" => |b| matches!(b, b'A'..=b'Z' | b'2'..=b'7'),
        "alpha" => |b| b.is_ascii_alphabetic(),
        "alnum" => |b| b.is_ascii_alphanumeric(),
        "word" => is_word,
        "url" => |b| is_word(b) || b == b'-',
        "base64" => |b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'),
        "pad" => |b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='),
        "percent" => |b| b.is_ascii_alphanumeric() || b == b'%',
        "tilde" => |b| is_word(b) || matches!(b, b'-' | b'.' | b'~'),
        _ => return Err(PatternError::Class(name.to_owned())),
    })
}

impl Pattern {
    pub(crate) fn parse(source: &str) -> Result<Self, PatternError> {
        let mut parts = Vec::new();
        let mut rest = source;
        while !rest.is_empty() {
            let open = rest.find('<').unwrap_or(rest.len());
            if open > 0 {
                parts.push(Part::Literal(rest.as_bytes()[..open].to_vec()));
                rest = &rest[open..];
                continue;
            }
            let run = || PatternError::Run(source.to_owned());
            let (inner, after) = rest[1..].split_once('>').ok_or_else(run)?;
            let (name, count) = inner.split_once(' ').ok_or_else(run)?;
            let (least, most) = count.split_once('-').unwrap_or((count, count));
            let least: usize = least.parse().map_err(|_| run())?;
            let most: usize = most.parse().map_err(|_| run())?;
            if least == 0 || most < least {
                return Err(run());
            }
            parts.push(Part::Run {
                class: class(name)?,
                least,
                most,
            });
            rest = after;
        }
        Ok(Self { parts })
    }

    /// The literal text at the beginning.
    pub(crate) fn prefix(&self, source: &str) -> Result<&str, PatternError> {
        match self.parts.first() {
            Some(Part::Literal(bytes)) if bytes.len() >= 2 => {
                std::str::from_utf8(bytes).map_err(|_| PatternError::NoPrefix(source.to_owned()))
            }
            _ => Err(PatternError::NoPrefix(source.to_owned())),
        }
    }

    /// The longest text that matches, in bytes.
    pub(crate) fn max_len_bytes(&self) -> usize {
        let length = |part: &Part| match part {
            Part::Literal(bytes) => bytes.len(),
            Part::Run { most, .. } => *most,
        };
        self.parts.iter().map(length).sum()
    }

    /// Reads the pattern at the cursor, which must be followed by something that cannot belong to it.
    ///
    /// Returns the characters of the runs, the part that is random in a real credential.
    pub(crate) fn read(&self, cursor: &mut Cursor<'_>) -> Option<Vec<u8>> {
        let mut random = Vec::new();
        let mut last: Class = is_word;
        for part in &self.parts {
            match part {
                Part::Literal(bytes) => {
                    if !cursor.eat_literal(bytes) {
                        return None;
                    }
                    last = is_word;
                }
                Part::Run { class, least, most } => {
                    let begin = cursor.position();
                    if cursor.eat_while(*most, class) < *least {
                        return None;
                    }
                    random.extend_from_slice(cursor.since(begin));
                    last = *class;
                }
            }
        }
        let goes_on = cursor
            .peek()
            .is_some_and(|byte| last(byte) || is_word(byte));
        (!goes_on).then_some(random)
    }

    /// Writes an example, drawing each random character with `pick(count) < count`.
    pub(super) fn example(&self, pick: &mut dyn FnMut(usize) -> usize) -> String {
        let mut example = Vec::new();
        for part in &self.parts {
            match part {
                Part::Literal(bytes) => example.extend_from_slice(bytes),
                Part::Run { class, least, most } => {
                    // `%`, `=`, `.`, `-` and `~` are left out: a run must not end in them by chance.
                    let members: Vec<u8> = (b'0'..=b'z')
                        .filter(|&byte| byte.is_ascii_alphanumeric() && class(byte))
                        .collect();
                    let length = least + pick(most - least + 1);
                    example.extend((0..length).map(|_| members[pick(members.len())]));
                }
            }
        }
        String::from_utf8(example).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(pattern: &str, text: &str) -> Option<String> {
        let pattern = Pattern::parse(pattern).unwrap();
        let mut cursor = Cursor::new(text.as_bytes(), 0, true);
        pattern
            .read(&mut cursor)
            .map(|run| String::from_utf8(run).unwrap())
    }

    #[test]
    fn reads_literals_and_runs_and_wants_an_end() {
        assert_eq!(
            reads("a_<digit 2-3>.<hex 2>", "a_12.ff;").as_deref(),
            Some("12ff")
        );
        assert_eq!(reads("a_<digit 2-3>", "a_1"), None);
        assert_eq!(reads("a_<digit 2-3>", "a_1234"), None);
        assert_eq!(reads("a_<digit 2>", "a_12x"), None);
    }

    #[test]
    fn says_what_is_wrong_with_a_pattern() {
        assert_eq!(
            Pattern::parse("a<nope 3>").unwrap_err(),
            PatternError::Class("nope".into())
        );
        for bad in ["a<digit>", "a<digit 0>", "a<digit 3-2>", "a<digit 3"] {
            assert_eq!(
                Pattern::parse(bad).unwrap_err(),
                PatternError::Run(bad.into())
            );
        }
        assert!(Pattern::parse("<digit 3>").unwrap().prefix("x").is_err());
    }
}
