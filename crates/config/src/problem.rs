//! What is wrong with a configuration, told so that it can be mended at once.

use std::fmt;
use std::ops::Range;

use serde::Serialize;

use crate::document::{Key, Node};
use crate::mask;
use crate::source::{Sources, Span};

/// How many problems of one kind are told at once.
pub(crate) const MAX_PROBLEMS: usize = 50;

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// The configuration is used, but somebody should look at this.
    Warning,
}

/// One thing that is wrong, and where. Its texts hold no secrets.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// The file, environment variable or flag that the value came from.
    pub source: String,
    /// The line in the file, from 1.
    pub line: Option<usize>,
    /// The column in the line, in characters, from 1.
    pub column: Option<usize>,
    /// The path of the key, such as `server.listen`; empty for the file as a whole.
    pub key: String,
    /// What was expected and what was found.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    #[serde(skip)]
    excerpt: Option<Excerpt>,
}

/// The line in question, with the columns to underline.
#[derive(Clone, Debug, PartialEq)]
struct Excerpt {
    text: String,
    underline: Range<usize>,
}

/// Everything that is wrong with one configuration, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Problems(Vec<Problem>);

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl Problems {
    /// The problems, in the order of the file.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them as text, each with its line of the file; `color` adds ANSI colours.
    pub fn render(&self, color: bool) -> String {
        self.0
            .iter()
            .map(|problem| problem.render(color))
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// A problem with the file as a whole, before any of it was read.
    pub(crate) fn unreadable(file: &str, message: String, help: Option<String>) -> Self {
        Self(vec![Problem {
            severity: Severity::Error,
            source: file.to_owned(),
            line: None,
            column: None,
            key: String::new(),
            message,
            help,
            excerpt: None,
        }])
    }

    /// Locates the findings in their sources. `secrets` are the parts of the file not to show.
    pub(crate) fn locate(
        mut findings: Vec<Finding>,
        sources: &Sources<'_>,
        secrets: &[Span],
    ) -> Self {
        findings.sort_by_key(|finding| finding.span);
        findings.dedup_by(|a, b| a.span == b.span && a.message == b.message);
        findings.truncate(MAX_PROBLEMS);
        let unknown = findings.iter().flat_map(|finding| finding.hides.iter());
        let secrets: Vec<Span> = secrets.iter().chain(unknown).copied().collect();
        let located = findings
            .into_iter()
            .map(|finding| finding.locate(sources, &secrets));
        Self(located.collect())
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Problem {
    /// Where and what, in one line.
    pub fn summary(&self) -> String {
        match self.key.as_str() {
            "" => self.message.clone(),
            key => format!("`{key}`: {}", self.message),
        }
    }

    fn render(&self, color: bool) -> String {
        let paint = |code: &str, text: &str| {
            if color {
                format!("\u{1b}[{code}m{text}\u{1b}[0m")
            } else {
                text.to_owned()
            }
        };
        let (word, code) = match self.severity {
            Severity::Error => ("error", "1;31"),
            Severity::Warning => ("warning", "1;33"),
        };
        let mut place = self.source.clone();
        if let (Some(line), Some(column)) = (self.line, self.column) {
            place = format!("{place}:{line}:{column}");
        }
        let mut text = format!(
            "{}: {}: {}\n",
            paint("1", &place),
            paint(code, word),
            self.message
        );
        if let (Some(line), Some(excerpt)) = (self.line, &self.excerpt) {
            let number = line.to_string();
            let gutter = " ".repeat(number.len());
            let blank: String = excerpt.text[..excerpt.underline.start]
                .chars()
                .map(|c| if c == '\t' { '\t' } else { ' ' })
                .collect();
            let width = excerpt.text[excerpt.underline.clone()]
                .chars()
                .count()
                .max(1);
            let carets = paint(code, &"^".repeat(width));
            text += &format!(
                "  {number} | {}\n  {gutter} | {blank}{carets}\n",
                excerpt.text
            );
        }
        if let Some(help) = &self.help {
            text += &format!("  {}: {help}\n", paint("1;36", "help"));
        }
        text
    }
}

/// A problem before its place in the file was looked up.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Finding {
    pub severity: Severity,
    pub span: Option<Span>,
    pub path: String,
    pub message: String,
    pub help: Option<String>,
    /// The file could not be parsed, so that nobody knows which parts of it are secret.
    pub unparsed: bool,
    /// What follows the span on its line is none of this problem's business, and may be a secret.
    pub hides_rest: bool,
    /// Values that nobody knows the meaning of, so that they may be secrets.
    pub hides: Vec<Span>,
}

impl Finding {
    pub(crate) fn error(span: Option<Span>, path: &str, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            span,
            path: path.to_owned(),
            message: message.into(),
            help: None,
            unparsed: false,
            hides_rest: false,
            hides: Vec::new(),
        }
    }

    pub(crate) fn syntax(span: Option<Span>, message: impl Into<String>) -> Self {
        Self {
            unparsed: true,
            ..Self::error(span, "", message)
        }
    }

    pub(crate) fn unknown(key: &Key, node: &Node, path: &str, message: String) -> Self {
        Self {
            hides_rest: true,
            hides: node.leaves().into_iter().map(|leaf| leaf.span).collect(),
            ..Self::error(Some(key.span), path, message)
        }
    }

    pub(crate) fn duplicate(span: Span, path: &str, key: &str) -> Self {
        let finding = Self::error(Some(span), path, format!("the key `{key}` is set twice"));
        Self {
            hides_rest: true,
            ..finding.with_help("keep one of the two")
        }
    }

    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    fn locate(self, sources: &Sources<'_>, secrets: &[Span]) -> Problem {
        let position = self.span.and_then(|span| sources.position(span));
        let excerpt = position
            .as_ref()
            .filter(|position| !position.text.trim().is_empty());
        let excerpt = excerpt.map(|position| {
            if self.hides_rest {
                let text = &position.text[..position.range.end];
                let masked = mask::mask_line(text, &sources.overlaps(position, secrets));
                let start = masked.place(position.range.start);
                let underline = start..masked.text.len();
                return Excerpt {
                    text: format!("{} …", masked.text),
                    underline,
                };
            }
            let mut known = sources.overlaps(position, secrets);
            if self.unparsed && mask::continues_secret(&position.before, position.text) {
                let indent = position.text.len() - position.text.trim_start().len();
                known.push(indent..position.text.len());
            }
            let masked = mask::mask_line(position.text, &known);
            let (start, end) = (
                masked.place(position.range.start),
                masked.place(position.range.end),
            );
            let trimmed = masked.text.trim_end().len();
            let start = start.min(trimmed);
            Excerpt {
                underline: start..end.clamp(start, trimmed),
                text: masked.text,
            }
        });
        Problem {
            severity: self.severity,
            source: sources.name(self.span).to_owned(),
            line: position.as_ref().map(|position| position.line),
            column: position.as_ref().map(|position| position.column),
            key: mask::mask_text(&self.path),
            message: mask::mask_text(&self.message),
            help: self.help.map(|help| mask::mask_text(&help)),
            excerpt,
        }
    }
}
