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
    // `[describe the symptoms]` waits for somebody; links and boxes do not.
    let bare = line.trim().trim_start_matches(['-', '*', ' ']);
    let waits = bare.starts_with('[')
        && bare.ends_with(']')
        && bare.matches('[').count() == 1
        && bare.split_whitespace().count() > 1;
    let mut words = whole.split(|c: char| !c.is_alphanumeric());
    let unfinished = first == "wip"
        || words.next_back() == Some("wip")
        || whole.ends_with("work in progress")
        || line.contains("is a work in progress")
        || line.contains("still in progress");
    let is_heading = line.starts_with('#');
    let is_over =
        is_heading && matches!(whole, "deprecated" | "obsolete" | "outdated" | "archived");
    marks.contains(&first)
        || waits
        || unfinished
        || is_over
        || phrases
            .iter()
            .any(|p| whole == *p || whole.starts_with("lorem ipsum"))
}

/// Asks for a document with a name and contents.
pub(in crate::check::files) fn document(r: &Repository, wanted: &Wanted) -> Looked {
    let mut best: Option<(&str, Vec<String>)> = None;
    for (path, part) in parts(r, wanted.named) {
        let part = without_empty_sections(&without_comments(part));
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

/// Every text that is so named: whole files, and parts of others.
fn parts<'a>(r: &'a Repository, names: &'a [&'a str]) -> impl Iterator<Item = (&'a str, &'a str)> {
    let pages = r.texts_of(|path| path.to_lowercase().ends_with(".md"));
    pages.flat_map(move |(path, text)| {
        parts_named(path, text, names)
            .into_iter()
            .map(move |p| (path, p))
    })
}

/// The text without what only its source shows.
fn without_comments(text: &str) -> String {
    let mut out = String::new();
    for (index, part) in text.split("<!--").enumerate() {
        let shown = match index {
            0 => part,
            _ => part.split_once("-->").map_or("", |(_, shown)| shown),
        };
        out.push_str(shown);
    }
    out
}

/// The text without headings below which nothing stands.
fn without_empty_sections(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let level = |line: &str| line.chars().take_while(|c| *c == '#').count();
    let keeps = |(at, line): &(usize, &&str)| {
        let own = level(line);
        let mut below = lines
            .iter()
            .skip(at + 1)
            .filter(|line| !line.trim().is_empty());
        // A title may stand over headings of its own.
        own == 0
            || below
                .next()
                .is_some_and(|next| level(next) == 0 || level(next) > own)
    };
    let kept = lines.iter().enumerate().filter(keeps);
    kept.map(|(_, line)| *line).collect::<Vec<_>>().join("\n")
}

/// The text of a file so named, or the parts of it under headings so named.
fn parts_named<'a>(path: &str, text: &'a str, names: &[&str]) -> Vec<&'a str> {
    let file = path
        .rsplit('/')
        .next()
        .unwrap_or(path)
        .to_lowercase()
        .replace(['_', ' '], "-");
    if names.iter().any(|name| file.contains(name)) {
        return vec![text];
    }
    let mut out = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let level = line.chars().take_while(|c| *c == '#').count();
        let heading = line.to_lowercase().replace(['_', ' '], "-");
        if level > 0 && names.iter().any(|name| heading.contains(name)) {
            let rest = text.get(start..).unwrap_or_default();
            out.push(rest.get(..end_of_part(rest, level)).unwrap_or(rest));
        }
        start += line.len();
    }
    out
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

#[cfg(test)]
mod tests {
    use super::{is_draft, parts_named, without_comments, without_empty_sections};

    #[test]
    fn what_waits_to_be_written_is_a_draft() {
        for line in [
            "[describe the symptoms here]",
            "this page is a work in progress.",
            "# deprecated",
            "status: wip",
        ] {
            assert!(is_draft(line), "{line}");
        }
        for line in [
            "[the plan](plan.md)",
            "- [ ] ask the lead",
            "deprecated routes answer 410",
            "the wip limit of the board is three",
            "[a][b]",
        ] {
            assert!(!is_draft(line), "{line}");
        }
    }

    #[test]
    fn only_what_is_shown_and_filled_counts() {
        assert_eq!(without_comments("a<!-- b -->c<!-- d"), "ac");
        let text = "# T\n## A\n\n## B\ntext\n### C\nmore\n## D\n";
        assert_eq!(
            without_empty_sections(text),
            "# T\n\n## B\ntext\n### C\nmore"
        );
    }

    #[test]
    fn each_part_of_that_name_is_looked_at() {
        let text = "## On-call rotation\na\n## Key rotation\nb\n";
        let parts = parts_named("ops.md", text, &["rotation"]);
        assert_eq!(parts, ["## On-call rotation\na\n", "## Key rotation\nb\n"]);
    }
}
