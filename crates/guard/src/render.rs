//! Turns decided matches into the text that may pass: labels, placeholders, or the end.

use std::ops::Range;

use crate::finding::Finding;
use crate::policy::{Action, Judged, Place, Policy, Verdict};
use crate::vault::Vault;

/// Writes the text that passes, from left to right, as far as it has been decided.
#[derive(Debug)]
pub(crate) struct Renderer {
    place: Place,
    /// Everything before this offset was written or replaced.
    written: usize,
    blocked: bool,
    verdict: Verdict,
}

/// A piece of text and the offset at which it begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece<'t> {
    pub(crate) text: &'t str,
    pub(crate) begin: usize,
}

impl Piece<'_> {
    fn slice(&self, span: Range<usize>) -> &str {
        let begin = span.start.saturating_sub(self.begin);
        let end = span.end.saturating_sub(self.begin);
        self.text.get(begin..end).unwrap_or_default()
    }
}

impl Renderer {
    pub(crate) fn new(place: Place) -> Self {
        Self {
            place,
            written: 0,
            blocked: false,
            verdict: Verdict::default(),
        }
    }

    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked
    }

    pub(crate) fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    pub(crate) fn into_verdict(self) -> Verdict {
        self.verdict
    }

    /// Writes up to `until`; `findings` are all matches that begin in the newly decided part.
    ///
    /// Matches that overlap become one replacement that bears the name of the first.
    pub(crate) fn advance(
        &mut self,
        (piece, until): (Piece<'_>, usize),
        findings: Vec<Finding>,
        (policy, vault): (&Policy, &mut Option<&mut Vault>),
        out: &mut String,
    ) {
        if self.blocked {
            return;
        }
        let mut judged: Vec<Judged> = findings
            .into_iter()
            .map(|finding| Judged {
                action: policy.action(self.place, finding.category, &finding.rule),
                finding,
            })
            .filter(|judged| judged.action != Action::Allow)
            .collect();
        judged.sort_by_key(|judged| {
            let span = &judged.finding.span;
            (span.start, std::cmp::Reverse((judged.action, span.end)))
        });
        for index in 0..judged.len() {
            let Judged { finding, action } = &judged[index];
            let span = finding.span.clone();
            match action {
                Action::Allow | Action::Flag => {}
                Action::Block => {
                    self.write_plain(piece, span.start, out);
                    self.blocked = true;
                }
                Action::Redact | Action::Tokenize if span.start < self.written => {
                    self.written = self.written.max(span.end);
                }
                Action::Redact | Action::Tokenize => {
                    self.write_plain(piece, span.start, out);
                    let whole = span.start..end_of_cluster(&judged[index..]);
                    let placeholder = match (action, vault.as_deref_mut()) {
                        (Action::Tokenize, Some(vault)) => {
                            vault.placeholder(&finding.rule, piece.slice(whole))
                        }
                        _ => None,
                    };
                    match placeholder {
                        Some(placeholder) => out.push_str(&placeholder),
                        None => write_label(&finding.rule, out),
                    }
                    self.written = span.end;
                }
            }
            self.verdict.add(judged[index].clone());
            if self.blocked {
                return;
            }
        }
        self.write_plain(piece, until, out);
    }

    fn write_plain(&mut self, piece: Piece<'_>, until: usize, out: &mut String) {
        if until > self.written {
            out.push_str(piece.slice(self.written..until));
            self.written = until;
        }
    }
}

/// The label that takes the place of a redacted match.
fn write_label(rule: &str, out: &mut String) {
    out.push_str("[REDACTED:");
    out.push_str(rule);
    out.push(']');
}

/// Where the replaced matches that overlap the first one, directly or through others, end.
fn end_of_cluster(judged: &[Judged]) -> usize {
    let mut end = 0;
    for Judged { finding, action } in judged {
        if end != 0 && finding.span.start >= end {
            break;
        }
        if matches!(action, Action::Redact | Action::Tokenize) {
            end = end.max(finding.span.end);
        }
    }
    end
}
