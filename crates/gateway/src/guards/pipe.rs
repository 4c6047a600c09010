//! One text of an answer on its way: moderated sentence by sentence, searched for matches, its code
//! judged, and placeholders put back. A whole answer goes the same way in one piece.

use std::sync::Arc;

use seaworthy_guard::{Flow, Place, Restorer, StreamGuard};
use seaworthy_guard_code::fence::FenceGuard;

use super::guarding::Guarding;
use super::moderate::Segments;
use super::verdicts::Verdicts;

/// The guards of one text.
#[derive(Debug)]
pub(crate) struct TextPipe {
    place: Place,
    segments: Option<Segments>,
    guard: Option<Box<StreamGuard>>,
    fences: Option<FenceGuard>,
    restorer: Option<Restorer>,
}

impl TextPipe {
    /// The guards of a text at this place.
    pub(crate) fn new(guarding: &Arc<Guarding>, place: Place) -> Self {
        let engine = guarding.outbound.as_ref();
        let fences = guarding.fences.as_ref();
        Self {
            place,
            segments: Segments::of(guarding, place),
            guard: engine.map(|engine| Box::new(engine.stream(place))),
            fences: fences.map(|rules| FenceGuard::new(rules.clone())),
            restorer: guarding.vault.as_ref().map(|vault| match place {
                // It may be signed, and then goes back as it came.
                Place::Reasoning => Restorer::exact(Arc::clone(vault)),
                _ => Restorer::new(Arc::clone(vault)),
            }),
        }
    }

    pub(crate) fn place(&self) -> Place {
        self.place
    }

    /// Whether everything that was pushed was decided, and neither code nor a placeholder waits for its end.
    pub(crate) fn is_idle(&self) -> bool {
        let holds_none = |guard: &StreamGuard| guard.held_bytes() == 0;
        self.segments.as_ref().is_none_or(Segments::is_idle)
            && self.guard.as_deref().is_none_or(holds_none)
            && self.fences.as_ref().is_none_or(FenceGuard::is_idle)
            && self.restorer.as_ref().is_none_or(Restorer::is_idle)
    }

    /// Takes the next piece and appends what may pass.
    pub(crate) fn push(&mut self, piece: &str, out: &mut String) -> Flow {
        self.pump(piece, false, out)
    }

    /// Decides the rest: nothing follows.
    pub(crate) fn finish(&mut self, out: &mut String) -> Flow {
        self.pump("", true, out)
    }

    /// Once a guard blocks, those behind it get what stood before and then the end.
    fn pump(&mut self, piece: &str, mut is_end: bool, out: &mut String) -> Flow {
        let mut blocked = false;
        let mut text = std::borrow::Cow::Borrowed(piece);
        let mut pass = |push: &mut dyn FnMut(&str, bool, &mut String) -> Flow| {
            let mut next = String::new();
            if push(&text, is_end, &mut next) == Flow::Blocked {
                blocked = true;
                is_end = true;
            }
            text = next.into();
        };
        if let Some(segments) = &mut self.segments {
            pass(&mut |text, is_end, out| match segments.push(text, out) {
                Flow::Open if is_end => segments.finish(out),
                flow => flow,
            });
        }
        if let Some(guard) = &mut self.guard {
            pass(&mut |text, is_end, out| match guard.push(text, out) {
                Flow::Open if is_end => guard.finish(out),
                flow => flow,
            });
        }
        if let Some(fences) = &mut self.fences {
            pass(&mut |text, is_end, out| match fences.push(text, out) {
                Flow::Open if is_end => fences.finish(out),
                flow => flow,
            });
        }
        match &mut self.restorer {
            Some(restorer) => {
                restorer.push(&text, out);
                if is_end {
                    restorer.finish(out);
                }
            }
            None => out.push_str(&text),
        }
        match blocked {
            true => Flow::Blocked,
            false => Flow::Open,
        }
    }

    /// Adds what was decided about the text. Called once, when nothing follows.
    pub(crate) fn note(&mut self, verdicts: &mut Verdicts) {
        if let Some(segments) = &mut self.segments {
            verdicts.append(segments.take_verdicts());
        }
        if let Some(guard) = &self.guard {
            verdicts.extend(self.place, guard.verdict());
        }
        if let Some(fences) = &mut self.fences {
            for (category, action) in fences.take_judged() {
                verdicts.judge(category, self.place, action);
            }
        }
    }
}
