//! Judges the parts of a message as the one text that the model reads: an attempt to take control may
//! be cut into pieces none of which says much.

use std::collections::BTreeMap;
use std::ops::Range;

use seaworthy_guard::injection::Level;
use seaworthy_guard::{Action, Category};

use super::{Refused, SAID, Screening};
use crate::guards::said::Said;

/// So much of the beginning and of the end of each part is judged together with its neighbours.
const EDGE_BYTES: usize = 512;

/// What stands between parts when a model reads them; providers differ.
const JOINTS: [&str; 2] = ["", " "];

impl Screening<'_> {
    /// Judges messages of several parts; `edits` are what takes the place of texts.
    pub(super) fn judge_parts(
        &mut self,
        said: &[Said<'_, '_>],
        edits: &mut Vec<(Range<usize>, String)>,
    ) -> Result<(), Refused> {
        let Some(judge) = &self.rules.injection else {
            return Ok(());
        };
        let mut labelled: BTreeMap<usize, (Range<usize>, String)> = BTreeMap::new();
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
            let is_block =
                |joint: &&str| judge.assess(&joined(&parts, joint), place).level == Level::Block;
            if action == Action::Allow || !JOINTS.iter().any(is_block) {
                continue;
            }
            self.verdicts.judge(Category::Injection, place, action);
            match action {
                Action::Allow | Action::Flag => self.is_suspicious = true,
                Action::Block => return Err(Refused::Injection(place)),
                Action::Redact | Action::Tokenize => {
                    labelled.extend(parts.iter().map(|part| {
                        let label = part.text.written("[REDACTED:injection]".to_owned());
                        (part.text.at.start, (part.text.at.clone(), label))
                    }));
                }
            }
        }
        if !labelled.is_empty() {
            edits.retain(|(at, _)| !labelled.contains_key(&at.start));
            edits.extend(labelled.into_values());
            edits.sort_by_key(|(at, _)| at.start);
        }
        Ok(())
    }
}

fn joined(parts: &[&Said<'_, '_>], joint: &str) -> String {
    let mut text = String::new();
    for part in parts {
        let words = &*part.text.value;
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
