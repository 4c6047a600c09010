//! Where a piece of configuration came from: the file, an environment variable or a flag.

use std::ops::Range;

/// A range of bytes in one of the [`Sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    source: u32,
    start: u32,
    end: u32,
}

impl Span {
    /// The bytes `start..end` of the file.
    pub(crate) fn in_file(start: usize, end: usize) -> Self {
        let (start, end) = (narrow(start), narrow(end.max(start)));
        Self {
            source: 0,
            start,
            end,
        }
    }

    /// Whether this is a part of the file.
    pub(crate) fn is_in_file(self) -> bool {
        self.source == 0
    }

    /// The bytes of the file, or of the setting.
    fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// Files are much smaller than 4 GiB.
fn narrow(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// Everything that was read: the file first, then one entry a setting from outside it.
#[derive(Debug)]
pub(crate) struct Sources<'a> {
    file: (&'a str, &'a str),
    settings: Vec<String>,
}

/// A span as people count: lines and columns from 1, columns in characters.
#[derive(Debug)]
pub(crate) struct Position<'a> {
    /// Number of the line.
    pub line: usize,
    /// Number of the column.
    pub column: usize,
    /// The lines before, oldest first.
    pub before: Vec<&'a str>,
    /// The text of the line, without its end.
    pub text: &'a str,
    /// Byte offset of the line in the file.
    pub offset: usize,
    /// The part of the span that is on this line, in bytes of the line.
    pub range: Range<usize>,
}

impl<'a> Sources<'a> {
    /// Starts with the file.
    pub(crate) fn new(file_name: &'a str, text: &'a str) -> Self {
        Self {
            file: (file_name, text),
            settings: Vec::new(),
        }
    }

    /// Adds a setting from outside the file, and returns the span that stands for it.
    pub(crate) fn add_setting(&mut self, origin: &str) -> Span {
        self.settings.push(origin.to_owned());
        Span {
            source: narrow(self.settings.len()),
            start: 0,
            end: 0,
        }
    }

    /// The name to show for the source of `span`.
    pub(crate) fn name(&self, span: Option<Span>) -> &str {
        span.and_then(|span| span.source.checked_sub(1))
            .and_then(|setting| self.settings.get(setting as usize))
            .map_or(self.file.0, String::as_str)
    }

    /// Line and column of `span`, if it is in the file.
    pub(crate) fn position(&self, span: Span) -> Option<Position<'a>> {
        if !span.is_in_file() {
            return None;
        }
        let text = self.file.1;
        let start = floor_boundary(text, span.range().start);
        let lines: Vec<(usize, &str)> = lines(text).collect();
        let index = lines
            .partition_point(|(offset, _)| *offset <= start)
            .checked_sub(1)?;
        let (offset, line) = *lines.get(index)?;
        let from = (start - offset).min(line.len());
        let to = floor_boundary(text, span.range().end)
            .saturating_sub(offset)
            .clamp(from, line.len());
        Some(Position {
            line: index + 1,
            column: line[..from].chars().count() + 1,
            before: lines[..index].iter().map(|(_, line)| *line).collect(),
            text: line,
            offset,
            range: from..to,
        })
    }
}

impl Sources<'_> {
    /// The parts of a line that any of `spans` covers, in bytes of the line.
    pub(crate) fn overlaps(&self, position: &Position<'_>, spans: &[Span]) -> Vec<Range<usize>> {
        let line = position.offset..position.offset + position.text.len();
        let ranges = spans.iter().filter(|span| span.is_in_file());
        ranges
            .map(|span| span.range())
            .filter(|range| range.start < line.end && range.end > line.start)
            .map(|range| {
                range.start.max(line.start) - line.start..range.end.min(line.end) - line.start
            })
            .collect()
    }
}

/// The lines of `text` with their byte offsets; LF, CRLF and a lone CR end a line, as in YAML.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut rest = Some(0);
    std::iter::from_fn(move || {
        let start = rest?;
        let tail = &text[start..];
        let Some(end) = tail.find(['\n', '\r']) else {
            rest = None;
            return Some((start, tail));
        };
        let ending = if tail[end..].starts_with("\r\n") {
            2
        } else {
            1
        };
        rest = Some(start + end + ending);
        Some((start, &tail[..end]))
    })
}

fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_lines_end_in_every_usual_way() {
        let text = "a\r\nb\rhé = x\n";
        let sources = Sources::new("f", text);
        let at = text.find('x').unwrap();
        let position = sources.position(Span::in_file(at, at + 1)).unwrap();
        assert_eq!(
            (position.line, position.column, position.text),
            (3, 6, "hé = x")
        );
        assert_eq!(&position.text[position.range], "x");
        assert_eq!(position.before, ["a", "b"]);
    }

    #[test]
    fn a_span_over_several_lines_is_cut_at_the_end_of_the_first() {
        let sources = Sources::new("f", "[1,\n2]");
        let position = sources.position(Span::in_file(0, 6)).unwrap();
        assert_eq!(position.range, 0..3);
    }
}
