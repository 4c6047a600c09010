//! Lists whose items are headings, each with what explains it beneath.

use super::Item;

/// Fewer headings are no list.
const FEWEST: usize = 5;
/// A heading of fewer words names a part, one of more explains.
const WORDS: std::ops::RangeInclusive<usize> = 3..=30;

/// A line that is bold as a whole is no heading here.
const DEEPEST: usize = 6;

/// Of headings with their lines and levels those with none beneath them; none where most of them only
/// name a part.
pub(super) fn items(headings: &[(usize, usize, String)]) -> Vec<Item> {
    let headings = headings.iter().filter(|(_, level, _)| *level <= DEEPEST);
    let mut headings = headings.peekable();
    let (mut items, mut above, mut all) = (Vec::new(), Vec::<(usize, String)>::new(), 0);
    while let Some((number, level, text)) = headings.next() {
        above.retain(|(other, _)| other < level);
        if headings.peek().is_none_or(|(_, next, _)| next <= level) {
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
