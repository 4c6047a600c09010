//! Judges harmful content: requests text by text, answers sentence by sentence, so that a stream
//! goes on while it is judged.

use std::sync::Arc;

use seaworthy_guard::moderation::ModerationJudge;
use seaworthy_guard::{Action, Category, Flow, Place, Policy, Severity, Shown};

use super::guarding::Guarding;
use super::verdicts::Verdicts;

/// A sentence that is longer is judged in parts.
const MAX_SENTENCE_BYTES: usize = 1024;
/// How much of what was said before is judged along.
const CONTEXT_BYTES: usize = 320;

/// What follows what was found in a text.
#[derive(Debug, Default)]
pub(super) struct Moderated {
    /// The strictest action, and the category that asked for it.
    pub(super) worst: Option<(Action, String)>,
    /// All categories that something follows.
    pub(super) all: Vec<(String, Action)>,
}

impl Moderated {
    /// Adds what was found in another piece of the same text.
    pub(super) fn add(&mut self, other: Self) {
        for (category, action) in other.all {
            if self.all.iter().all(|(known, _)| *known != category) {
                self.all.push((category, action));
            }
        }
        let action = |worst: &Option<(Action, String)>| worst.as_ref().map(|(action, _)| *action);
        if action(&other.worst) > action(&self.worst) {
            self.worst = other.worst;
        }
    }
}

/// Judges a text, or a piece of one.
pub(super) fn moderate(
    judge: &ModerationJudge,
    least: Severity,
    policy: &Policy,
    place: Place,
    text: &Shown<'_>,
) -> Moderated {
    let mut moderated = Moderated::default();
    for event in judge.assess_shown(text) {
        if event.severity < least {
            continue;
        }
        let action = policy.action(place, Category::Moderation, &event.category);
        if action == Action::Allow {
            continue;
        }
        let worst = moderated.worst.as_ref().map(|(action, _)| *action);
        if worst.is_none_or(|worst| action > worst) {
            moderated.worst = Some((action, event.category.clone()));
        }
        moderated.all.push((event.category, action));
    }
    moderated
}

/// Judges a streamed text sentence by sentence.
#[derive(Debug)]
pub(super) struct Segments {
    guarding: Arc<Guarding>,
    place: Place,
    held: String,
    context: String,
    /// Categories that were reported: context makes them come again.
    known: Vec<String>,
    verdicts: Verdicts,
    is_blocked: bool,
}

impl Segments {
    /// The judge of a text at this place, if anything would follow.
    pub(super) fn of(guarding: &Arc<Guarding>, place: Place) -> Option<Self> {
        guarding.moderates(place).then(|| Self {
            guarding: Arc::clone(guarding),
            place,
            held: String::new(),
            context: String::new(),
            known: Vec::new(),
            verdicts: Verdicts::default(),
            is_blocked: false,
        })
    }

    pub(super) fn push(&mut self, piece: &str, out: &mut String) -> Flow {
        for character in piece.chars() {
            if self.is_blocked {
                break;
            }
            let ends = self.held.ends_with(['.', '!', '?', '\u{3002}', ';']);
            if (ends && character.is_whitespace()) || self.held.len() >= MAX_SENTENCE_BYTES {
                self.decide(out);
            }
            if !self.is_blocked {
                self.held.push(character);
                if character == '\n' {
                    self.decide(out);
                }
            }
        }
        self.flow()
    }

    pub(super) fn finish(&mut self, out: &mut String) -> Flow {
        if !self.is_blocked && !self.held.is_empty() {
            self.decide(out);
        }
        self.flow()
    }

    /// Whether no sentence waits for its end.
    pub(super) fn is_idle(&self) -> bool {
        self.held.is_empty()
    }

    pub(super) fn take_verdicts(&mut self) -> Verdicts {
        std::mem::take(&mut self.verdicts)
    }

    fn flow(&self) -> Flow {
        match self.is_blocked {
            true => Flow::Blocked,
            false => Flow::Open,
        }
    }

    fn decide(&mut self, out: &mut String) {
        let sentence = std::mem::take(&mut self.held);
        let around = format!("{}{sentence}", self.context);
        let found = self.guarding.moderate(self.place, &around);
        let mut worst: Option<(Action, &str)> = None;
        for (category, action) in &found.all {
            if self.known.contains(category) {
                continue;
            }
            self.verdicts
                .judge(Category::Moderation, self.place, *action);
            if worst.is_none_or(|(known, _)| *action > known) {
                worst = Some((*action, category));
            }
        }
        match worst {
            Some((Action::Block, _)) => self.is_blocked = true,
            Some((Action::Redact | Action::Tokenize, category)) => {
                out.push_str("[REDACTED:");
                out.push_str(category);
                out.push(']');
                // What was taken out has no say in what follows.
                self.context.clear();
                return;
            }
            _ => out.push_str(&sentence),
        }
        self.known = found
            .all
            .into_iter()
            .map(|(category, _)| category)
            .collect();
        let from = around.len().saturating_sub(CONTEXT_BYTES);
        self.context = around[around.ceil_char_boundary(from)..].to_owned();
    }
}
