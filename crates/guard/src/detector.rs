//! The contract of a detector: look at a window of bytes, report matches and what is still open.

use std::ops::Range;
use std::sync::Arc;

use crate::cursor::Cursor;
use crate::finding::{Category, Finding, Severity};

/// One thing that a detector can report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its name in configuration, metrics and placeholders.
    pub id: Arc<str>,
    /// Its family.
    pub category: Category,
    /// How grave a match is.
    pub severity: Severity,
    /// The most bytes that a candidate can keep open before it is decided.
    pub max_len_bytes: usize,
}

impl Rule {
    /// A rule with the given limits.
    pub fn new(id: &str, category: Category, severity: Severity, max_len_bytes: usize) -> Self {
        Self {
            id: id.into(),
            category,
            severity,
            max_len_bytes,
        }
    }

    /// A match of this rule.
    pub fn at(&self, span: Range<usize>) -> Finding {
        Finding {
            rule: Arc::clone(&self.id),
            category: self.category,
            severity: self.severity,
            span,
        }
    }
}

/// The bytes that a detector looks at.
#[derive(Debug, Clone, Copy)]
pub struct Window<'a> {
    /// What has arrived, preceded by up to [`crate::cursor::LOOKBEHIND_BYTES`] of what was decided.
    pub text: &'a [u8],
    /// Matches that begin before this offset have been decided.
    pub from: usize,
    /// Whether nothing will follow.
    pub complete: bool,
}

impl<'a> Window<'a> {
    /// A whole text, all of it undecided.
    pub fn whole(text: &'a str) -> Self {
        Self {
            text: text.as_bytes(),
            from: 0,
            complete: true,
        }
    }

    /// A reader at `position`.
    pub fn cursor(&self, position: usize) -> Cursor<'a> {
        Cursor::new(self.text, position, self.complete)
    }
}

/// What a scan found: matches, and where the first undecided candidate begins.
#[derive(Debug)]
pub struct Scan {
    /// The matches, in no particular order.
    pub findings: Vec<Finding>,
    /// For each match, where its candidate began: a match may be the inner part of a candidate.
    pub anchors: Vec<usize>,
    /// The start of the first candidate that more text could still turn into a match.
    pub undecided: usize,
}

impl Default for Scan {
    fn default() -> Self {
        Self {
            findings: Vec::new(),
            anchors: Vec::new(),
            undecided: usize::MAX,
        }
    }
}

impl Scan {
    /// Notes that a candidate at `start` is not decided yet.
    pub fn open(&mut self, start: usize) {
        self.undecided = self.undecided.min(start);
    }

    /// The last offset up to `until` that no candidate spans: the next scan may begin there and will
    /// neither miss a match nor see a smaller one inside it.
    pub fn safe_cut(&self, mut until: usize) -> usize {
        let candidates = self.anchors.iter().zip(&self.findings);
        let begun = candidates.filter(|(anchor, _)| **anchor < until);
        let mut spans: Vec<(usize, usize)> = begun
            .map(|(anchor, finding)| (*anchor, finding.span.end))
            .collect();
        // The cut moves back only, so that one pass over them from the last one on is enough.
        spans.sort_unstable_by(|a, b| b.cmp(a));
        for (anchor, end) in spans {
            if anchor < until && until < end {
                until = anchor;
            }
        }
        until
    }

    /// Takes the outcome of a matcher that read through `cursor` from `start`.
    pub fn settle(&mut self, start: usize, cursor: &Cursor<'_>, found: Option<Finding>) {
        if cursor.starved() {
            self.open(start);
        } else if let Some(found) = found {
            // Two words of one name may lead to the same value.
            let recent = self.findings.iter().rev().take(4);
            if !recent.into_iter().any(|known| *known == found) {
                self.findings.push(found);
                self.anchors.push(start);
            }
        }
    }
}

/// Finds things in bytes. Pure: the same window gives the same scan.
///
/// The contract that makes streams exact: for a window that is not `complete`, the matches that begin
/// before `undecided` are the same as those found when more text is appended.
pub trait Detector: Send + Sync {
    /// Everything it can report.
    fn rules(&self) -> &[Rule];

    /// Reports the matches that begin at or after `window.from`, and the first undecided candidate.
    fn scan(&self, window: Window<'_>, scan: &mut Scan);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Dice;

    #[test]
    fn no_candidate_spans_a_safe_cut_and_none_later_is_safe() {
        let rule = Rule::new("any", Category::Custom, Severity::Low, 64);
        let mut dice = Dice::new(7);
        for _ in 0..2_000 {
            let mut scan = Scan::default();
            for _ in 0..dice.below(12) {
                let anchor = dice.below(40);
                let start = anchor + dice.below(4);
                scan.findings
                    .push(rule.at(start..start + 1 + dice.below(12)));
                scan.anchors.push(anchor);
            }
            let until = dice.below(60);
            let is_safe = |cut: usize| {
                let mut spans = scan.anchors.iter().zip(&scan.findings);
                spans.all(|(anchor, finding)| *anchor >= cut || cut >= finding.span.end)
            };
            let expected = (0..=until).rev().find(|cut| is_safe(*cut));
            assert_eq!(Some(scan.safe_cut(until)), expected);
        }
    }
}
