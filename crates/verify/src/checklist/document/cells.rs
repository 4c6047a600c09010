//! Tables: which column asks, and which holds the box.

use super::Mark;
use super::marks::only_box;

/// A table whose header has been read.
pub(super) struct Table {
    /// The columns that ask, by their names.
    asking: Vec<usize>,
    /// The index of its first item.
    pub(super) first_item: Option<usize>,
}

pub(super) struct Row {
    pub(super) text: String,
    pub(super) mark: Option<Mark>,
}

const ASKING: [&str; 9] = [
    "check",
    "item",
    "requirement",
    "control",
    "task",
    "question",
    "criterion",
    "criteria",
    "description",
];

impl Table {
    /// Begins a table at a header that a rule follows.
    pub(super) fn begin(header: &str, next: Option<&str>) -> Option<Self> {
        let rule = next.filter(|next| is_rule(next));
        rule?;
        let asks = |(_, name): &(usize, &str)| {
            let name = name.to_lowercase();
            ASKING.iter().any(|word| name.contains(word))
        };
        let columns = cells(header).into_iter().enumerate();
        let asking = columns.filter(|(_, cell)| asks(cell));
        Some(Self {
            asking: asking.map(|(column, _)| column).collect(),
            first_item: None,
        })
    }

    /// Reads a row: an item when its table asks or when it has a box.
    pub(super) fn row(&self, line: &str) -> Option<Row> {
        if is_rule(line) {
            return None;
        }
        let cells = cells(line);
        let mark = cells
            .iter()
            .find_map(|(at, cell)| only_box(cell).map(|mark| Mark { start: *at, ..mark }));
        if mark.is_none() && self.asking.is_empty() {
            return None;
        }
        let says_something = |text: &str| text.chars().any(char::is_alphabetic);
        // The first column that asks may hold no more than the box.
        let asked = self.asking.iter().filter_map(|column| cells.get(*column));
        let asked = { asked }.find(|(_, cell)| says_something(cell));
        let longest = || cells.iter().rev().max_by_key(|(_, cell)| cell.len());
        let (_, text) = asked.or_else(longest)?;
        says_something(text).then(|| Row {
            text: (*text).to_owned(),
            mark,
        })
    }
}

/// The cells of a row with the byte at which each begins.
fn cells(line: &str) -> Vec<(usize, &str)> {
    let mut out = Vec::new();
    let mut start = 0;
    for part in line.split('|') {
        let cell = part.trim();
        let lead = part.len() - part.trim_start().len();
        if !(cell.is_empty() && (start == 0 || start + part.len() == line.len())) {
            out.push((start + lead, cell));
        }
        start += part.len() + 1;
    }
    out
}

fn is_rule(line: &str) -> bool {
    let line = line.trim();
    line.contains('-') && line.bytes().all(|b| matches!(b, b'|' | b'-' | b':' | b' '))
}
