//! Lists whose items are headings, each with what explains it beneath.

use super::Item;
use crate::checklist::text::repaired;

/// Fewer headings are no list.
const FEWEST: usize = 5;
/// A heading of fewer words names a part, one of more explains.
const WORDS: std::ops::RangeInclusive<usize> = 3..=30;

/// The headings with none beneath them; none where most of them only name a part.
pub(super) fn items(lines: &[String]) -> Vec<Item> {
    let headings = headings(lines);
    let (mut items, mut above, mut all) = (Vec::new(), Vec::<(usize, String)>::new(), 0);
    for (at, (number, level, text)) in headings.iter().enumerate() {
        above.retain(|(other, _)| other < level);
        let next = headings.get(at + 1);
        if next.is_none_or(|(_, next, _)| next <= level) {
            all += 1;
            if WORDS.contains(&text.split_whitespace().count()) {
                items.push(Item {
                    line: *number,
                    end: *number,
                    sections: above.iter().map(|(_, text)| text.clone()).collect(),
                    parent: None,
                    text: text.clone(),
                    indent: 0,
                    mark: None,
                    row: false,
                });
            }
        }
        above.push((*level, text.clone()));
    }
    if items.len() < FEWEST || items.len() * 2 <= all {
        items.clear();
    }
    items
}

/// The headings outside code: line, level and words.
fn headings(lines: &[String]) -> Vec<(usize, usize, String)> {
    let mut is_code = false;
    let mut found = Vec::new();
    for (number, line) in (1..).zip(lines) {
        let line = line.trim_start();
        is_code ^= line.starts_with("```") || line.starts_with("~~~");
        let words = line.trim_start_matches('#');
        let level = line.len() - words.len();
        if !is_code && (1..=6).contains(&level) && words.starts_with(' ') {
            let text = repaired(words.trim().trim_end_matches('#'));
            found.push((number, level, text.trim().to_owned()));
        }
    }
    found
}
