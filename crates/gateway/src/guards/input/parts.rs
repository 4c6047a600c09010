//! Judges the parts of a message as the one text that the model reads: an attempt to take control may
//! be cut into pieces none of which says much.

use std::ops::Range;

use seaworthy_guard::injection::Level;
use seaworthy_guard::{Action, Category, Place};

use super::{Refused, SAID, Screening};
use crate::guards::said::Said;

/// So much of the beginning and of the end of each part is judged together with its neighbours.
const EDGE_BYTES: usize = 512;

/// What stands between parts when a model reads them; providers differ.
const JOINTS: [&str; 2] = ["", " "];

impl Screening<'_> {
    /// Judges messages of several parts; `edits` are what takes the place of texts. The places are told of those
    /// that go on though they are likely an attempt.
    pub(super) fn judge_parts(
        &mut self,
        said: &[Said<'_, '_>],
        edits: &mut Vec<(Range<usize>, String)>,
    ) -> Result<Vec<Place>, Refused> {
        let Some(judge) = &self.rules.injection else {
            return Ok(Vec::new());
        };
        let mut flagged = Vec::new();
        let mut labels: Vec<(Range<usize>, String)> = Vec::new();
        let together = |a: &Said<'_, '_>, b: &Said<'_, '_>| {
            a.message.is_some() && a.message == b.message && a.place == b.place
        };
        for message in said.chunk_by(together) {
            let is_part =
                |said: &&Said<'_, '_>| self.is_judged(said) && SAID.contains(&&*said.text.key);
            let parts: Vec<&Said<'_, '_>> = message.iter().filter(is_part).collect();
            let [first, _, ..] = parts[..] else {
                continue;
            };
            let place = first.place;
            let action = self.policy.action(place, Category::Injection, "injection");
            if action == Action::Allow {
                continue;
            }
            let written: Vec<&str> = parts.iter().map(|part| &*part.text.value).collect();
            // What is left of each once markup was taken out.
            let stripped: Vec<Option<String>> =
                parts.iter().map(|part| self.stripped(part)).collect();
            let without: Vec<&str> = stripped
                .iter()
                .zip(&written)
                .map(|(stripped, written)| stripped.as_deref().unwrap_or(written))
                .collect();
            let is_block = |words: &[&str]| {
                let says = |joint: &&str| judge.assess(&joined(words, joint), place).level;
                JOINTS.iter().any(|joint| says(joint) == Level::Block)
            };
            if !is_block(&written) && (without == written || !is_block(&without)) {
                continue;
            }
            self.verdicts.judge(Category::Injection, place, action);
            match action {
                Action::Allow | Action::Flag => flagged.push(place),
                Action::Block => return Err(Refused::Injection(place)),
                Action::Redact | Action::Tokenize => {
                    labels.extend(parts.iter().map(|part| {
                        let label = part.text.written("[REDACTED:injection]".to_owned());
                        (part.text.at.clone(), label)
                    }));
                }
            }
        }
        if !labels.is_empty() {
            label(edits, labels, |at| at.start);
        }
        Ok(flagged)
    }
}

/// Puts labels in the place of texts, whatever else takes it; `begin` tells where a text begins.
fn label<At>(
    edits: &mut Vec<(At, String)>,
    labels: Vec<(At, String)>,
    begin: impl Fn(&At) -> usize,
) {
    let others = std::mem::replace(edits, labels);
    edits.extend(others);
    // The order of equal ones stays: a label goes before what it replaces.
    edits.sort_by_key(|(at, _)| begin(at));
    edits.dedup_by_key(|(at, _)| begin(at));
}

fn joined(parts: &[&str], joint: &str) -> String {
    let mut text = String::new();
    for words in parts {
        let begin = words.floor_char_boundary(EDGE_BYTES);
        let end = words
            .ceil_char_boundary(words.len().saturating_sub(EDGE_BYTES))
            .max(begin);
        text.push_str(&words[..begin]);
        if end > begin {
            text.push('\n');
        }
        text.push_str(&words[end..]);
        text.push_str(joint);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn labels_take_the_place_of_edits_and_all_are_in_order() {
        let text = |at: usize| (at, format!("edit {at}"));
        let labels = |ats: &[usize]| ats.iter().map(|at| (*at, "label".to_owned())).collect();
        let mut edits = vec![text(1), text(4), text(9)];
        label(&mut edits, labels(&[2, 4]), |at| *at);
        let told: Vec<(usize, &str)> = edits.iter().map(|(at, told)| (*at, &**told)).collect();
        assert_eq!(
            told,
            [(1, "edit 1"), (2, "label"), (4, "label"), (9, "edit 9")]
        );
    }

    #[test]
    fn many_labels_are_put_among_many_edits_without_comparing_all_with_all() {
        let count = 20_000;
        let texts = |step: usize| (0..count).map(move |n| (n * step, String::new())).collect();
        let (mut edits, looks) = (texts(2), Cell::new(0));
        label(&mut edits, texts(3), |at: &usize| {
            looks.set(looks.get() + 1);
            *at
        });
        assert_eq!(edits.len(), count + count - count.div_ceil(3));
        assert!(looks.get() < 100 * count, "{}", looks.get());
    }
}
