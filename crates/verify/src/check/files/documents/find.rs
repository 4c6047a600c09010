//! Finds a document by its name or heading, and whether it speaks of what belongs in it.

use std::collections::BTreeSet;

use super::super::Looked;
use crate::files::Problem;
use crate::files::repository::Repository;

/// What a document must be called or headed, and what its text must speak of.
pub(in crate::check::files) struct Wanted {
    /// One of these words in the file's name or in a heading.
    pub(in crate::check::files) named: &'static [&'static str],
    /// For each of these, one of the alternatives must be in the text.
    pub(in crate::check::files) speaks_of: &'static [&'static [&'static str]],
}

/// Words below which a document says nothing.
const LEAST_WORDS: usize = 30;

/// Different words below which it repeats itself.
const LEAST_DIFFERENT: usize = 18;

/// Whether a line, in lower case, says that what belongs there is not written yet.
fn is_draft(line: &str) -> bool {
    let marks = [concat!("to", "do"), "tbd", concat!("fix", "me")];
    let phrases = [
        "lorem ipsum",
        "to be written",
        "to be defined",
        "to be done",
        "coming soon",
    ];
    let text = line.trim_start_matches(|c: char| !c.is_alphanumeric());
    let first = text
        .split(|c: char| !c.is_alphanumeric())
        .next()
        .unwrap_or_default();
    let whole = text.trim_end_matches(|c: char| !c.is_alphanumeric());
    marks.contains(&first)
        || phrases
            .iter()
            .any(|p| whole == *p || whole.starts_with("lorem ipsum"))
}

/// Asks for a document with a name and contents.
pub(in crate::check::files) fn document(r: &Repository, wanted: &Wanted) -> Looked {
    let mut best: Option<(&str, Vec<String>)> = None;
    for (path, text) in r.texts_of(|path| path.to_lowercase().ends_with(".md")) {
        let Some(part) = part_named(path, text, wanted.named) else {
            continue;
        };
        let lower = part.to_lowercase();
        let mut lacks: Vec<String> = wanted
            .speaks_of
            .iter()
            .filter(|alternatives| !alternatives.iter().any(|word| lower.contains(word)))
            .map(|alternatives| format!("says nothing of {}", alternatives.join(" or ")))
            .collect();
        if part.split_whitespace().count() < LEAST_WORDS {
            lacks.push(format!("has fewer than {LEAST_WORDS} words"));
        }
        let different: BTreeSet<&str> = lower.split_whitespace().collect();
        if different.len() < LEAST_DIFFERENT {
            lacks.push(format!("has fewer than {LEAST_DIFFERENT} different words"));
        }
        if let Some(line) = lower.lines().find(|line| is_draft(line)) {
            let start: String = line.trim().chars().take(40).collect();
            lacks.push(format!("is a draft: `{start}`"));
        }
        if lacks.is_empty() {
            return Looked::At(path.to_owned(), Vec::new());
        }
        if best
            .as_ref()
            .is_none_or(|(_, known)| lacks.len() < known.len())
        {
            best = Some((path, lacks));
        }
    }
    let problem = match best {
        Some((path, lacks)) => Problem::new(path, 1, lacks.join(", ")),
        None => {
            let names = wanted.named.join(" or ");
            Problem::new(".", 1, format!("no document is named or headed {names}"))
        }
    };
    Looked::At(String::new(), vec![problem])
}

/// The text of a file so named, or the part of it under a heading so named.
fn part_named<'a>(path: &str, text: &'a str, names: &[&str]) -> Option<&'a str> {
    let file = path
        .rsplit('/')
        .next()
        .unwrap_or(path)
        .to_lowercase()
        .replace(['_', ' '], "-");
    if names.iter().any(|name| file.contains(name)) {
        return Some(text);
    }
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let level = line.chars().take_while(|c| *c == '#').count();
        let heading = line.to_lowercase().replace(['_', ' '], "-");
        if level > 0 && names.iter().any(|name| heading.contains(name)) {
            let rest = text.get(start..)?;
            return Some(rest.get(..end_of_part(rest, level)).unwrap_or(rest));
        }
        start += line.len();
    }
    None
}

/// Where the part under a heading of this level ends.
fn end_of_part(text: &str, level: usize) -> usize {
    let mut at = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let other = line.chars().take_while(|c| *c == '#').count();
        if index > 0 && (1..=level).contains(&other) {
            return at;
        }
        at += line.len();
    }
    text.len()
}
