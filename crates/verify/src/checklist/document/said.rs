//! Boxes that are written out instead of drawn: fields of HTML, characters by their number or name, and
//! characters that were encoded twice.

use super::Mark;
use super::marks::{EMPTY, TICKED};
use crate::checklist::text::repaired_first;

/// What stands for a box in HTML and in chats.
const NAMED: [(&str, bool); 10] = [
    ("&#9744;", false),
    ("&#x2610;", false),
    ("&#9745;", true),
    ("&#x2611;", true),
    ("&#9989;", true),
    ("&#x2705;", true),
    (":white_large_square:", false),
    (":white_medium_square:", false),
    (":white_check_mark:", true),
    (":ballot_box_with_check:", true),
];

/// The box that `text`, which begins at byte `start` of its line, begins with.
pub(super) fn said_at(text: &str, start: usize) -> Option<Mark> {
    let mark = |len, ticked| Mark { start, len, ticked };
    if let Some(field) = field(text) {
        return Some(mark(field.len(), attribute(field).is_some()));
    }
    let begins = |name: &str| {
        let first = text.get(..name.len());
        first.is_some_and(|first| first.eq_ignore_ascii_case(name))
    };
    if let Some((name, ticked)) = NAMED.iter().find(|(name, _)| begins(name)) {
        return Some(mark(name.len(), *ticked));
    }
    let (sign, len) = repaired_first(text)?;
    let sign = sign.to_string();
    let ticked = TICKED.contains(&sign.as_str());
    (ticked || EMPTY.contains(&sign.as_str())).then_some(mark(len, ticked))
}

/// The same box with its tick, or without, in the way in which it was written.
pub(in super::super) fn said_anew(old: &str, ticked: bool) -> Option<String> {
    if field(old).is_some() {
        let mut new = old.to_owned();
        match attribute(old) {
            Some(range) => new.replace_range(range, ""),
            None => new.insert_str("<input".len(), " checked"),
        }
        return Some(new);
    }
    let new = match (old.chars().next()?, ticked) {
        ('&', true) => "&#9745;",
        ('&', false) => "&#9744;",
        (':', true) => ":white_check_mark:",
        (':', false) => ":white_large_square:",
        _ => return None,
    };
    Some(new.to_owned())
}

/// The tag of a field to tick that a text begins with.
fn field(text: &str) -> Option<&str> {
    let tag = text.get(..=text.find('>')?)?;
    let rest = tag.get("<input".len()..)?.to_ascii_lowercase();
    let is_field = tag.to_ascii_lowercase().starts_with("<input")
        && rest.starts_with(|c: char| c.is_whitespace() || c == '/');
    let said: String = rest.chars().filter(|c| !"\"' ".contains(*c)).collect();
    (is_field && said.contains("type=checkbox")).then_some(tag)
}

/// Where a field says that it is ticked, with the space before.
fn attribute(tag: &str) -> Option<std::ops::Range<usize>> {
    let lower = tag.to_ascii_lowercase();
    let (start, after) = lower.match_indices(" checked").find_map(|(at, found)| {
        let after = at + found.len();
        let rest = lower.get(after..)?;
        rest.starts_with([' ', '=', '/', '>'])
            .then_some((at, after))
    })?;
    let rest = lower.get(after..)?;
    let Some(value) = rest.strip_prefix('=') else {
        return Some(start..after);
    };
    let quote = value.chars().next().filter(|c| ['"', '\''].contains(c));
    let length = match quote {
        Some(quote) => 2 + value.get(1..)?.find(quote)?,
        None => value.find([' ', '/', '>'])?,
    };
    Some(start..after + 1 + length)
}

/// A line without the tags that it begins with: the item of a list, a label, a cell.
pub(super) fn behind_tags(text: &str) -> &str {
    let mut rest = text;
    while let Some((tag, after)) = rest.strip_prefix('<').and_then(|r| r.split_once('>')) {
        let is_tag = tag.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
        if !is_tag || tag.contains('<') || field(rest).is_some() {
            break;
        }
        rest = after.trim_start();
    }
    rest
}

/// A text without tags.
pub(super) fn untagged(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        out.push_str(before);
        let is_tag = after.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
        match after.split_once('>').filter(|_| is_tag) {
            Some((_, after)) => {
                out.push(' ');
                rest = after;
            }
            None => {
                out.push('<');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::{behind_tags, said_anew, untagged};

    #[test]
    fn a_field_keeps_all_but_its_tick() {
        for (without, with) in [
            (
                "<input type=\"checkbox\">",
                "<input checked type=\"checkbox\">",
            ),
            (
                "<INPUT disabled type='checkbox'/>",
                "<INPUT checked disabled type='checkbox'/>",
            ),
        ] {
            assert_eq!(said_anew(without, true).as_deref(), Some(with));
            assert_eq!(said_anew(with, false).as_deref(), Some(without));
        }
        for (with, without) in [
            ("<input type=checkbox checked>", "<input type=checkbox>"),
            (
                "<input type=checkbox CHECKED=\"checked\" id=a>",
                "<input type=checkbox id=a>",
            ),
            (
                "<input checked='' type=checkbox />",
                "<input type=checkbox />",
            ),
            ("<input type=checkbox checked=1/>", "<input type=checkbox/>"),
        ] {
            assert_eq!(said_anew(with, false).as_deref(), Some(without));
        }
        assert_eq!(said_anew("☐", true), None);
    }

    #[test]
    fn tags_are_told_from_signs() {
        assert_eq!(behind_tags("<li> <label for=a>x</label>"), "x</label>");
        assert_eq!(behind_tags("< 5 s"), "< 5 s");
        assert_eq!(
            untagged("p95 < 5 s<br> and > 1 req/s</li>"),
            "p95 < 5 s and > 1 req/s"
        );
    }
}
