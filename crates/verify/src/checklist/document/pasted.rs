//! Lists that lost their bullets, as when they are copied from a page: a line, and an empty line, for
//! each item.

use super::Item;
use crate::checklist::text::repaired;

/// Fewer lines are no list.
const FEWEST: usize = 5;
/// A line of more words explains.
const MOST_WORDS: usize = 30;

/// The items of a text without any bullet, box or table; none where most of it is prose.
pub(super) fn items(lines: &[String]) -> Vec<Item> {
    let (mut items, mut section, mut paragraphs) = (Vec::new(), None, 0);
    for (number, paragraph) in paragraphs_of(lines) {
        paragraphs += 1;
        let [line] = paragraph else {
            continue;
        };
        let text = repaired(line);
        let text = text.trim();
        if is_heading(text) {
            let words = text.trim_matches(|c: char| !c.is_alphanumeric());
            section = Some(words.to_owned());
        } else if asks(text) {
            items.push(Item {
                line: number,
                end: number,
                sections: section.iter().cloned().collect(),
                parent: None,
                text: text.to_owned(),
                indent: 0,
                mark: None,
                row: false,
            });
        }
    }
    if items.len() < FEWEST || items.len() * 2 <= paragraphs {
        items.clear();
    }
    items
}

/// Lines that stand together, with the number of the first one.
fn paragraphs_of(lines: &[String]) -> impl Iterator<Item = (usize, &[String])> {
    let mut before = 0;
    lines
        .split(|line| line.trim().is_empty())
        .filter_map(move |paragraph| {
            let number = before + 1;
            before += paragraph.len() + 1;
            (!paragraph.is_empty()).then_some((number, paragraph))
        })
}

/// Headings begin with a sign or a picture.
fn is_heading(text: &str) -> bool {
    let is_sign = |c: char| !c.is_alphanumeric() && !"\"'`([<$~>".contains(c);
    // A digit in a frame is a picture, too.
    let is_framed = text.chars().nth(1) == Some('\u{fe0f}');
    text.chars().next().is_some_and(is_sign) || is_framed
}

fn asks(text: &str) -> bool {
    let words = text.split_whitespace().count();
    (2..=MOST_WORDS).contains(&words) && !text.ends_with(['.', ':', ',', ';', '!'])
}
