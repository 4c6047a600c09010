//! Keeps secrets out of everything that is shown: messages, excerpts of the file, effective values.

use std::ops::Range;

/// What stands where a secret was.
pub(crate) const REDACTED: &str = "[redacted]";

/// Names that hold secrets, without separators; a name within a slip of the finger counts as well.
const SECRET_NAMES: [&str; 8] = [
    "apikey",
    "secret",
    "password",
    "token",
    "authorization",
    "credential",
    "cookie",
    "privatekey",
];
/// Names that only look as if they held secrets.
const PUBLIC_NAMES: [&str; 1] = ["perkey"];
/// How well-known keys begin.
const KEY_PREFIXES: [&str; 18] = [
    "sk-",
    "sk_",
    "pk-",
    "pk_",
    "rk_",
    "swk_",
    "ghp_",
    "gho_",
    "ghs_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "AKIA",
    "AIza",
    "eyJ",
    "hf_",
    "gsk_",
];
/// A mixed run of letters and digits this long is taken for a key.
const KEY_RUN: usize = 20;
/// How far a secret may go on in a file that cannot be parsed.
const LINES_OF_A_SECRET: usize = 40;

/// Whether values under this key are secrets.
pub(crate) fn is_secret_name(name: &str) -> bool {
    let name: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect::<String>()
        .to_ascii_lowercase();
    let contains = [
        "secret",
        "password",
        "passwd",
        "authorization",
        "credential",
        "cookie",
    ];
    if PUBLIC_NAMES.contains(&name.as_str()) {
        return false;
    }
    name.ends_with("key")
        || name.ends_with("token")
        || contains.iter().any(|part| name.contains(part))
        || SECRET_NAMES
            .iter()
            .any(|secret| strsim::osa_distance(&name, secret) <= secret.len() / 4)
}

/// Whether the text looks like a key, whatever it is called.
pub(crate) fn looks_secret(text: &str) -> bool {
    !telltales(text).is_empty()
}

/// The text without anything that looks like a key.
pub(crate) fn mask_text(text: &str) -> String {
    Masked::new(text, telltales(text)).text
}

/// The line of a file without the values of secret names and without anything that looks like a
/// key. `known` are the parts that the caller knows to be secret.
pub(crate) fn mask_line(line: &str, known: &[Range<usize>]) -> Masked {
    let covered = |start: usize| {
        known
            .iter()
            .any(|range| (start..start + 2).contains(&range.start))
    };
    let assigned = secret_assignments(line).filter(|range| !covered(range.start));
    let ranges = telltales(line)
        .into_iter()
        .chain(assigned)
        .chain(known.iter().cloned());
    Masked::new(line, ranges.collect())
}

/// Whether a line in a file that could not be parsed may go on with a secret begun on a line before.
pub(crate) fn continues_secret(before: &[&str], line: &str) -> bool {
    let stands_alone = begins_with_a_name(line) || is_table_header(line);
    before.iter().rev().take(LINES_OF_A_SECRET).any(|line| {
        assignments(line)
            .filter(|(name, _)| is_secret_name(name))
            .any(|(_, value)| !stands_alone || is_unfinished(line[value..].trim()))
    })
}

/// Whether the first thing on a line is a name that is given a value.
fn begins_with_a_name(line: &str) -> bool {
    let line = line.trim_start_matches([' ', '\t', '-', '{', '"', '\'']);
    let name = line.find(['=', ':']).map(|end| line[..end].trim_end());
    name.is_some_and(|name| !name.is_empty() && !name.contains([' ', '\t', ',']))
}

/// Whether a line is the header of a TOML table, complete or not.
fn is_table_header(line: &str) -> bool {
    let name = line.trim().trim_end_matches(']');
    let bare = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    name.starts_with('[') && name.trim_start_matches('[').chars().all(bare)
}

/// Whether a value goes on after the end of its line.
fn is_unfinished(value: &str) -> bool {
    let count = |c: char| value.matches(c).count();
    value.is_empty()
        || value.starts_with(['#', '|', '>'])
        || count('"') % 2 == 1
        || count('\'') % 2 == 1
        || count('[') > count(']')
        || count('{') > count('}')
}

/// A text with its secrets replaced, which still knows where everything else went.
#[derive(Debug)]
pub(crate) struct Masked {
    /// What may be shown.
    pub text: String,
    /// What was replaced, as ranges of the original, in order.
    ranges: Vec<Range<usize>>,
}

impl Masked {
    fn new(original: &str, mut ranges: Vec<Range<usize>>) -> Self {
        for range in &mut ranges {
            range.end = range.end.min(original.len());
        }
        ranges.retain(|range| range.start < range.end);
        ranges.sort_by_key(|range| (range.start, range.end));
        let mut merged: Vec<Range<usize>> = Vec::new();
        for range in ranges {
            match merged.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => merged.push(range),
            }
        }
        let mut text = String::with_capacity(original.len());
        let mut at = 0;
        for range in &merged {
            text.push_str(&original[at..range.start]);
            text.push_str(REDACTED);
            at = range.end;
        }
        text.push_str(&original[at..]);
        Self {
            text,
            ranges: merged,
        }
    }

    /// Where a byte of the original is now; a byte of a secret is where its replacement begins.
    pub(crate) fn place(&self, offset: usize) -> usize {
        let mut shift: isize = 0;
        for range in &self.ranges {
            if offset < range.end {
                return offset.min(range.start).saturating_add_signed(shift);
            }
            shift += REDACTED.len() as isize - range.len() as isize;
        }
        offset.saturating_add_signed(shift)
    }
}

/// Every `name = ` or `name: ` of a line, with the byte at which its value begins.
fn assignments(line: &str) -> impl Iterator<Item = (&str, usize)> {
    line.char_indices()
        .filter(|(_, c)| matches!(c, '=' | ':'))
        .filter_map(|(at, _)| {
            let before = line[..at].trim_end().trim_end_matches(['"', '\'']);
            let name_start = before
                .rfind(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'))
                .map_or(0, |index| {
                    index + before[index..].chars().next().map_or(1, char::len_utf8)
                });
            let name = &before[name_start..];
            let after = &line[at + 1..];
            if name.is_empty() || after.starts_with("//") {
                return None;
            }
            Some((name, at + 1 + (after.len() - after.trim_start().len())))
        })
}

fn secret_assignments(line: &str) -> impl Iterator<Item = Range<usize>> {
    assignments(line)
        .filter(|(name, _)| is_secret_name(name))
        .filter_map(|(_, start)| {
            let value = line[start..].trim_end();
            let bare = value.trim_start_matches(['"', '\'']);
            let reference = bare.starts_with("secret://") && !bare.contains(char::is_whitespace);
            let opens = matches!(value, "[" | "{" | "" | "|" | ">");
            (!reference && !opens).then_some(start..start + value.len())
        })
}

/// Where a text holds something that looks like a key or a password.
fn telltales(text: &str) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    for word in words(text, |c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
        let content = &text[word.clone()];
        if content.len() >= 12
            && KEY_PREFIXES
                .iter()
                .any(|prefix| content.starts_with(prefix))
        {
            ranges.push(word);
        }
    }
    for run in words(text, |c| c.is_ascii_alphanumeric()) {
        let content = text[run.clone()].as_bytes();
        let mixed = content.iter().any(u8::is_ascii_digit)
            && content.iter().any(|byte| byte.is_ascii_alphabetic());
        if content.len() >= KEY_RUN && mixed {
            ranges.push(run);
        }
    }
    for scheme in ["Bearer ", "Basic "] {
        for (at, _) in text.match_indices(scheme) {
            let start = at + scheme.len();
            let rest = &text[start..];
            let len = rest.find(|c: char| c.is_whitespace() || "\"'`,".contains(c));
            ranges.push(start..start + len.unwrap_or(rest.len()));
        }
    }
    for (at, _) in text.match_indices("://") {
        let start = at + 3;
        let rest = &text[start..];
        let authority = &rest[..rest
            .find(|c: char| c.is_whitespace() || "/\"'`".contains(c))
            .unwrap_or(rest.len())];
        if let Some(len) = authority.rfind('@') {
            ranges.push(start..start + len);
        }
    }
    ranges
}

fn words(text: &str, belongs: impl Fn(char) -> bool) -> Vec<Range<usize>> {
    let mut words = Vec::new();
    let mut start = None;
    for (at, c) in text.char_indices() {
        match (belongs(c), start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                words.push(from..at);
                start = None;
            }
            _ => {}
        }
    }
    words.extend(start.map(|from| from..text.len()));
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_secret_names_are_masked_and_references_stay() {
        for (line, shown) in [
            ("api_key = \"hunter2\"", "api_key = [redacted]"),
            ("  api-kye: hunter2 # x", "  api-kye: [redacted]"),
            (
                "api_key = \"secret://env/OPENAI_API_KEY\"",
                "api_key = \"secret://env/OPENAI_API_KEY\"",
            ),
            ("max_tokens = 8000", "max_tokens = 8000"),
            (
                "models = [\"anthropic/claude-sonnet-4-20250514\"]",
                "models = [\"anthropic/claude-sonnet-4-20250514\"]",
            ),
            (
                "a = { \"x-api-key\" = \"abc\" }",
                "a = { \"x-api-key\" = [redacted]",
            ),
        ] {
            assert_eq!(mask_line(line, &[]).text, shown);
        }
    }

    #[test]
    fn what_looks_like_a_key_is_masked_under_any_name() {
        for text in [
            "x sk-ant-api03-aaaa y",
            "Bearer abc",
            "postgres://me:pass@host/db",
            "0123456789abcdef0123456789abcdef",
        ] {
            assert!(mask_text(text).contains(REDACTED), "{text}");
        }
        assert_eq!(
            mask_text("postgres://me:pass@host/db"),
            "postgres://[redacted]@host/db"
        );
    }

    #[test]
    fn places_move_with_the_replacements() {
        let masked = mask_line("api_key=\"a\", x", std::slice::from_ref(&(0..3)));
        assert_eq!(masked.text, "[redacted]_key=[redacted]");
        assert_eq!(masked.place(1), 0);
        assert_eq!(masked.place(3), REDACTED.len());
    }
}
