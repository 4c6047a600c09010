//! A checklist in Markdown as lines and items: read without loss, so that it can be written back.

use std::collections::BTreeSet;

use super::encoding::{Encoding, decode};
use super::text::repaired;

mod cells;
mod lines;
mod marks;
mod pasted;
mod said;
mod titled;

use cells::Table;
use marks::{Bullet, bullet, inline_boxes, inside, mark_at};
pub(super) use said::said_anew;

/// Ends every line that the writer adds, so that the next run can take it out again.
pub(super) const MARK: &str = "<!-- seaworthy -->";
/// What it says of a tick that it took away.
pub(super) const WAS_TICKED: &str = "its box was ticked";
/// Begins the part that the writer adds at the end.
pub(super) const BEGIN: &str = "<!-- seaworthy:begin -->";
/// Ends it.
pub(super) const END: &str = "<!-- seaworthy:end -->";

/// The longest file that is read, in bytes.
pub const MAX_BYTES: usize = 4 * 1024 * 1024;

/// A checklist, line by line, and what it asks.
#[derive(Debug)]
pub struct Document {
    /// Its lines, without what an earlier run added.
    pub lines: Vec<String>,
    /// What it asks, in order.
    pub items: Vec<Item>,
    /// Lines that are no items but may state a requirement, such as a setting in a code block.
    pub others: Vec<Other>,
    /// How it is written, so that it is written back like that.
    pub(super) form: Form,
}

/// How a file is written, and what an earlier run left in it.
#[derive(Debug, Default)]
pub(super) struct Form {
    /// How its characters are said.
    pub(super) encoding: Encoding,
    /// It begins with the mark of an encoding.
    pub(super) has_bom: bool,
    /// How each line ends.
    pub(super) endings: Vec<&'static str>,
    /// Its last line has no ending.
    pub(super) is_open: bool,
    /// Lines after which an earlier run said that it took a tick away, and rows of which it said so.
    unticked: BTreeSet<usize>,
}

impl Form {
    /// How most lines end.
    pub(super) fn ending(&self) -> &'static str {
        self.endings.first().copied().unwrap_or("\n")
    }
}

/// One thing that a checklist asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its line, from 1.
    pub line: usize,
    /// The line after which evidence can stand.
    pub end: usize,
    /// The headings above it, the nearest last.
    pub sections: Vec<String>,
    /// The item it is nested in.
    pub parent: Option<String>,
    /// Its words as written, on one line.
    pub text: String,
    /// Columns to indent evidence by.
    pub(super) indent: usize,
    /// Where its box is.
    pub(super) mark: Option<Mark>,
    /// It is a row of a table.
    pub row: bool,
}

/// The box of an item: bytes of its line, and whether it is ticked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) start: usize,
    pub(super) len: usize,
    pub(super) ticked: bool,
}

impl Item {
    /// The nearest heading.
    #[must_use]
    pub fn section(&self) -> &str {
        self.sections.last().map_or("", String::as_str)
    }

    /// What stands above it and helps to understand it: the item it is nested in, and its heading.
    #[must_use]
    pub(super) fn context(&self) -> Vec<&str> {
        let parent = self.parent.as_deref().into_iter();
        parent.chain(Some(self.section())).collect()
    }

    /// Whether somebody ticked it by hand.
    #[must_use]
    pub fn ticked(&self) -> bool {
        self.mark.as_ref().is_some_and(|mark| mark.ticked)
    }
}

/// A line that is not an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Other {
    /// Its line, from 1.
    pub line: usize,
    /// The nearest heading.
    pub section: String,
    /// Its words as written.
    pub text: String,
    /// The boxes in it.
    pub(super) boxes: Vec<Mark>,
}

impl From<Item> for Other {
    fn from(item: Item) -> Self {
        Self {
            line: item.line,
            section: item.section().to_owned(),
            text: item.text,
            boxes: Vec::new(),
        }
    }
}

impl Document {
    /// Reads the bytes of a file: UTF-8, UTF-16 that says so, or Latin-1.
    #[must_use]
    pub fn read_bytes(bytes: &[u8]) -> Self {
        let (text, encoding) = decode(bytes);
        let mut document = Self::read(&text);
        document.form.encoding = encoding;
        document
    }

    /// Reads a checklist. Any text is one, perhaps without items.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let (lines, form) = without_earlier_run(text);
        let mut reader = Reader::default();
        for (index, line) in lines.iter().enumerate() {
            let next = lines.get(index + 1).map(String::as_str);
            reader.take(index + 1, line, next);
        }
        reader.end_table();
        let pasted = pasted::items(&lines);
        // A tick may be the picture of a heading.
        if pasted.len() > reader.items.len() * 5 {
            let taken: BTreeSet<usize> = pasted.iter().map(|item| item.line).collect();
            let read = std::mem::replace(&mut reader.items, pasted).into_iter();
            let untaken = read.filter(|item| !taken.contains(&item.line));
            reader.others.extend(untaken.map(Other::from));
            reader.others.retain(|other| !taken.contains(&other.line));
        }
        if reader.items.is_empty() {
            reader.items = titled::items(&reader.titles);
            let taken: BTreeSet<usize> = reader.items.iter().map(|item| item.line).collect();
            reader.others.retain(|other| !taken.contains(&other.line));
        }
        let has_boxes = reader
            .items
            .iter()
            .any(|item| item.mark.is_some() || item.row);
        // A list without boxes is a list of demands; beside boxes, bullets explain.
        let asks = |item: &Item| !has_boxes || item.mark.is_some() || item.row;
        let (items, bullets): (Vec<_>, Vec<_>) = reader.items.into_iter().partition(asks);
        let mut others = reader.others;
        others.extend(bullets.into_iter().map(Other::from));
        others.sort_by_key(|other| other.line);
        Self {
            lines,
            items,
            others,
            form,
        }
    }

    /// Whether somebody ticked the item, in this file or before an earlier run took the tick away.
    pub(super) fn was_ticked(&self, item: &Item) -> bool {
        let place = if item.row { item.line } else { item.end };
        item.ticked() || self.form.unticked.contains(&place)
    }
}

fn without_earlier_run(text: &str) -> (Vec<String>, Form) {
    let (mut lines, mut form) = (Vec::new(), Form::default());
    let mut added = false;
    form.has_bom = text.starts_with('\u{feff}');
    for (line, ending) in lines::lines(text.trim_start_matches('\u{feff}')) {
        form.is_open = ending.is_none();
        match line.trim() {
            BEGIN => {
                added = true;
                // The empty line above is the writer's as well.
                if lines.last().is_some_and(String::is_empty) {
                    lines.pop();
                    form.endings.pop();
                }
            }
            END if added => added = false,
            trimmed if added || trimmed.ends_with(MARK) => {
                if trimmed.contains(WAS_TICKED) {
                    form.unticked.insert(row_of(trimmed).unwrap_or(lines.len()));
                }
            }
            _ => {
                let ending = ending.unwrap_or(form.ending());
                lines.push(line.to_owned());
                form.endings.push(ending);
            }
        }
    }
    (lines, form)
}

/// The row that a note beneath a table speaks of.
fn row_of(note: &str) -> Option<usize> {
    let rest = note.strip_prefix("> line ")?;
    rest.split(':').next()?.parse().ok()
}

#[derive(Default)]
struct Reader {
    headings: Vec<(usize, String)>,
    /// Every heading with its line and level, for lists that have nothing else.
    titles: Vec<(usize, usize, String)>,
    fence: Option<Fence>,
    table: Option<Table>,
    items: Vec<Item>,
    others: Vec<Other>,
    /// Items that the next one may be nested in, the innermost last.
    around: Vec<usize>,
    /// The list item that the next indented line continues.
    open: bool,
    previous: String,
}

struct Fence {
    marker: String,
    markdown: bool,
    /// It says that it is in another language.
    code: bool,
}

impl Reader {
    fn take(&mut self, number: usize, line: &str, next: Option<&str>) {
        let text = repaired(line);
        let (trimmed, is_framed) = inside(text.trim());
        if self.fence_changes(trimmed) {
            self.open = false;
        } else if let Some(found) = bullet(line).filter(|found| self.takes(found)) {
            self.end_table();
            self.add_bullet(number, found);
        } else if (self.reads_text() || is_framed) && self.heading(number, trimmed, next) {
            self.open = false;
            self.end_table();
            self.ticked_heading(number, line);
        } else if self.reads_text() && self.table_row(number, line, next) {
            self.open = false;
        } else if self.continues(line, trimmed) {
            if let Some(item) = self.items.last_mut() {
                item.text.push(' ');
                item.text.push_str(trimmed);
                item.end = number;
            }
        } else {
            self.open = false;
            self.end_table();
        }
        if !trimmed.is_empty() && self.items.last().is_none_or(|item| item.line != number) {
            self.others.push(Other {
                line: number,
                section: self.section(),
                text: text.clone(),
                boxes: inline_boxes(line),
            });
        }
        text.trim().clone_into(&mut self.previous);
    }

    fn section(&self) -> String {
        self.headings
            .last()
            .map(|(_, text)| text.clone())
            .unwrap_or_default()
    }

    /// Code is not prose, except a block that says it is Markdown.
    fn reads_text(&self) -> bool {
        self.fence.as_ref().is_none_or(|fence| fence.markdown)
    }

    /// Boxes count in code, too, but those that are drawn anyhow only where it has no language.
    fn takes(&self, found: &Bullet) -> bool {
        let is_code = self.fence.as_ref().is_some_and(|fence| fence.code);
        self.reads_text() || (found.mark.is_some() && !(found.is_loose && is_code))
    }

    fn fence_changes(&mut self, trimmed: &str) -> bool {
        let marker: String = trimmed
            .chars()
            .take_while(|c| *c == '`' || *c == '~')
            .collect();
        if marker.len() < 3 {
            return false;
        }
        match &self.fence {
            None => {
                let language = trimmed.trim_start_matches(['`', '~']).trim();
                let markdown = matches!(language, "markdown" | "md");
                let code = !markdown && !language.is_empty();
                self.fence = Some(Fence {
                    marker,
                    markdown,
                    code,
                });
            }
            Some(open) if trimmed == marker && marker.starts_with(&open.marker) => {
                self.fence = None;
            }
            Some(_) => {}
        }
        true
    }

    fn heading(&mut self, number: usize, trimmed: &str, next: Option<&str>) -> bool {
        let hashes = trimmed.chars().take_while(|c| *c == '#').count();
        let (level, text) = if (1..=6).contains(&hashes) && trimmed.chars().nth(hashes) == Some(' ')
        {
            (hashes, trimmed.trim_matches('#'))
        } else if underlined(trimmed, next) {
            (2, trimmed)
        } else if let Some(bold) = bold_line(trimmed) {
            (7, bold)
        } else {
            return false;
        };
        self.headings.retain(|(other, _)| *other < level);
        self.headings.push((level, text.trim().to_owned()));
        self.titles.push((number, level, text.trim().to_owned()));
        self.around.clear();
        true
    }

    /// A heading with a box asks for something, beside heading what follows.
    fn ticked_heading(&mut self, number: usize, line: &str) {
        let Some((_, text)) = self.headings.last_mut() else {
            return;
        };
        // Another mark may be a picture: only brackets ask.
        let start = line.find(text.as_str()).filter(|_| text.starts_with('['));
        let Some(mark) = start.and_then(|start| mark_at(text, start)) else {
            return;
        };
        let words = text.get(mark.len..).unwrap_or_default().trim().to_owned();
        if words.is_empty() || !inline_boxes(&words).is_empty() {
            return;
        }
        text.clone_from(&words);
        let mut sections = self.sections();
        sections.pop();
        self.items.push(Item {
            line: number,
            end: number,
            sections,
            parent: None,
            text: repaired(&words),
            indent: 0,
            mark: Some(mark),
            row: false,
        });
    }

    fn add_bullet(&mut self, number: usize, found: Bullet) {
        let mut around = self
            .around
            .iter()
            .rev()
            .filter_map(|at| self.items.get(*at));
        let parent = around.find(|item| item.indent <= found.column);
        let parent = parent.map(|item| item.text.clone());
        self.add(Item {
            line: number,
            end: number,
            sections: self.sections(),
            parent,
            text: repaired(&found.text).trim().to_owned(),
            indent: found.column + 2,
            mark: found.mark,
            row: false,
        });
        self.open = true;
    }

    fn add(&mut self, item: Item) {
        let is_outer = |at: &usize| self.items.get(*at).is_some_and(|o| o.indent < item.indent);
        self.around.retain(is_outer);
        self.around.push(self.items.len());
        self.items.push(item);
    }

    fn sections(&self) -> Vec<String> {
        self.headings.iter().map(|(_, text)| text.clone()).collect()
    }

    fn continues(&self, line: &str, trimmed: &str) -> bool {
        let indent = line.len() - line.trim_start().len();
        let deep = self.items.last().is_some_and(|item| indent >= item.indent);
        self.open && deep && !trimmed.is_empty() && self.fence.is_none()
    }

    fn table_row(&mut self, number: usize, line: &str, next: Option<&str>) -> bool {
        if !line.contains('|') {
            return false;
        }
        let Some(table) = &mut self.table else {
            self.table = Table::begin(line, next);
            return self.table.is_some();
        };
        if let Some(row) = table.row(line) {
            table.first_item.get_or_insert(self.items.len());
            self.add(Item {
                line: number,
                end: number,
                sections: self.sections(),
                parent: None,
                text: repaired(&row.text).trim().to_owned(),
                indent: 0,
                mark: row.mark,
                row: true,
            });
        }
        true
    }

    /// Evidence on the rows of a table stands after the last of them.
    fn end_table(&mut self) {
        let first = self.table.take().and_then(|table| table.first_item);
        let end = self.items.last().map_or(0, |item| item.line);
        let rows = first.map(|first| self.items.iter_mut().skip(first));
        rows.into_iter().flatten().for_each(|item| item.end = end);
    }
}

fn underlined(trimmed: &str, next: Option<&str>) -> bool {
    let Some((next, _)) = next.map(|next| inside(next.trim())) else {
        return false;
    };
    let is_of = |drawn: char| next.chars().all(|c| c == drawn);
    let line = next.len() >= 3 && ['=', '-', '─', '═', '━'].into_iter().any(is_of);
    line && trimmed.chars().any(char::is_alphanumeric) && !trimmed.contains('|')
}

/// A line that is bold as a whole serves as a heading.
fn bold_line(trimmed: &str) -> Option<&str> {
    let inner = trimmed.strip_prefix("**")?.trim_end_matches(':');
    let inner = inner.strip_suffix("**")?;
    (!inner.contains("**") && !inner.is_empty()).then(|| inner.trim_end_matches(':'))
}

#[cfg(test)]
mod tests;
