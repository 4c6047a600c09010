//! Guards an answer on its way to the caller, whole or streamed: what a caller gets is the same
//! whichever way it comes.
//!
//! Text and reasoning flow on as soon as they are decided. A tool call is held back until its
//! arguments are complete, because only whole arguments can be judged. A blocked answer ends before
//! the match with the stop reason of a content filter.

use std::sync::Arc;

use seaworthy_core::call::{Block, BlockOpening, Delta, MediaSource, Reply, StopReason};
use seaworthy_guard::{Flow, Place};

use super::arguments::Guarded;
use super::called::Called;
use super::guarding::Guarding;
use super::pipe::TextPipe;
use super::verdicts::Verdicts;

/// Longest arguments that are held back; longer ones are blocked unseen.
const MAX_ARGUMENTS_BYTES: usize = 4 * 1024 * 1024;

/// Guards one streamed answer.
#[derive(Debug)]
pub(crate) struct OutputGuard {
    guarding: Arc<Guarding>,
    open: Open,
    verdicts: Verdicts,
    /// Whether the answer holds what a tool returned that its provider runs.
    returned: bool,
    is_blocked: bool,
}

/// The block that is being read.
#[derive(Debug)]
enum Open {
    None,
    Text(Box<TextPipe>),
    /// A block of text that ended in what may still become part of a match: the next block decides
    /// about it, if it is text too. Callers join such blocks.
    Ended(Box<TextPipe>),
    /// A tool call whose arguments are not complete, or a block that only its own dialect knows.
    Call {
        opening: BlockOpening,
        arguments: String,
    },
}

impl OutputGuard {
    pub(crate) fn new(guarding: Arc<Guarding>) -> Self {
        Self {
            guarding,
            open: Open::None,
            verdicts: Verdicts::default(),
            returned: false,
            is_blocked: false,
        }
    }

    /// Whether the answer was ended; then nothing more passes.
    pub(crate) fn is_blocked(&self) -> bool {
        self.is_blocked
    }

    /// Takes the next step of the answer and appends what may pass.
    pub(crate) fn push(&mut self, delta: Delta, out: &mut Vec<Delta>) {
        if self.is_blocked || !self.settle_ended(&delta, out) {
            return;
        }
        match (delta, &mut self.open) {
            (
                Delta::Error {
                    status,
                    kind,
                    message,
                },
                _,
            ) => {
                let message = self.guarding.guard_error(&message, &mut self.verdicts);
                let kind = match self.guarding.admits_word(&kind, &mut self.verdicts) {
                    true => kind,
                    false => "error".to_owned(),
                };
                out.push(Delta::Error {
                    status,
                    kind,
                    message,
                });
            }
            (Delta::Open(opening), _) => self.begin(opening, out),
            (Delta::Text(piece), Open::Text(guard)) => {
                let flow = pass(guard, &piece, Delta::Text, out);
                self.go_on(flow, out);
            }
            (Delta::Thinking(piece), Open::Text(guard)) => {
                let flow = pass(guard, &piece, Delta::Thinking, out);
                self.go_on(flow, out);
            }
            (Delta::Arguments(piece), Open::Call { arguments, .. }) => {
                arguments.push_str(&piece);
                if arguments.len() > MAX_ARGUMENTS_BYTES {
                    self.verdicts.add("length", Place::ToolArguments, "block");
                    self.open = Open::None;
                    self.block(out);
                }
            }
            // Pieces belong to an open block of their kind; others cannot be judged.
            (Delta::Text(_) | Delta::Thinking(_) | Delta::Arguments(_), _) => self.block(out),
            (Delta::Signature(sealed), Open::Text(guard)) => {
                // It follows the reasoning, of which nothing is to come.
                let flow = finish(guard, out);
                self.go_on(flow, out);
                if !self.is_blocked {
                    out.push(Delta::Signature(sealed));
                }
            }
            (Delta::Close, _) => self.close(out),
            (
                Delta::Finish {
                    stop_reason,
                    stop_sequence,
                },
                Open::None,
            ) => out.push(Delta::Finish {
                stop_reason,
                stop_sequence,
            }),
            (finish @ Delta::Finish { .. }, _) => {
                self.close(out);
                if !self.is_blocked {
                    out.push(finish);
                }
            }
            (other, _) => out.push(other),
        }
    }

    /// Decides about a block that ended, now that it is known what follows; false once the answer or the
    /// step is dealt with.
    fn settle_ended(&mut self, next: &Delta, out: &mut Vec<Delta>) -> bool {
        match (std::mem::replace(&mut self.open, Open::None), next) {
            (Open::Ended(pipe), Delta::Open(BlockOpening::Text)) => {
                out.push(Delta::Close);
                out.push(Delta::Open(BlockOpening::Text));
                self.open = Open::Text(pipe);
                false
            }
            (Open::Ended(pipe), Delta::Open(_) | Delta::Finish { .. } | Delta::Error { .. }) => {
                self.open = Open::Text(pipe);
                self.finish_text(out);
                !self.is_blocked
            }
            (open, _) => {
                self.open = open;
                true
            }
        }
    }

    /// What was decided, also about a block that is still open.
    pub(crate) fn take_verdicts(&mut self) -> Verdicts {
        self.note_open();
        self.open = Open::None;
        std::mem::take(&mut self.verdicts)
    }

    fn begin(&mut self, opening: BlockOpening, out: &mut Vec<Delta>) {
        let place = match &opening {
            BlockOpening::Text | BlockOpening::Refusal => Place::OutputText,
            BlockOpening::Thinking => Place::Reasoning,
            BlockOpening::ToolUse { name, .. } => {
                let called = Called::function(name);
                let verdicts = &mut self.verdicts;
                if !self.guarding.admits(&called, self.returned, verdicts) {
                    self.open = Open::None;
                    return self.block(out);
                }
                return self.hold(opening);
            }
            BlockOpening::Native(_) => return self.hold(opening),
            BlockOpening::EncryptedThinking(_) => {
                self.open = Open::None;
                out.push(Delta::Open(opening));
                return;
            }
        };
        self.open = Open::Text(Box::new(TextPipe::new(&self.guarding, place)));
        out.push(Delta::Open(opening));
    }

    fn hold(&mut self, opening: BlockOpening) {
        self.open = Open::Call {
            opening,
            arguments: String::new(),
        };
    }

    fn close(&mut self, out: &mut Vec<Delta>) {
        match &mut self.open {
            Open::None | Open::Ended(_) => out.push(Delta::Close),
            Open::Text(guard) if guard.place() == Place::OutputText && !guard.is_idle() => {
                if let Open::Text(pipe) = std::mem::replace(&mut self.open, Open::None) {
                    self.open = Open::Ended(pipe);
                }
            }
            Open::Text(_) => self.finish_text(out),
            Open::Call { .. } => self.close_call(out),
        }
    }

    fn finish_text(&mut self, out: &mut Vec<Delta>) {
        if let Open::Text(guard) = &mut self.open {
            let flow = finish(guard, out);
            self.go_on(flow, out);
            if !self.is_blocked {
                self.note_open();
                self.open = Open::None;
                out.push(Delta::Close);
            }
        }
    }

    fn close_call(&mut self, out: &mut Vec<Delta>) {
        let Open::Call {
            mut opening,
            mut arguments,
        } = std::mem::replace(&mut self.open, Open::None)
        else {
            return;
        };
        let (guarding, verdicts) = (&self.guarding, &mut self.verdicts);
        let passes = match &mut opening {
            BlockOpening::Native(native) => {
                guarding.guard_native(native, &mut arguments, &mut self.returned, verdicts)
            }
            BlockOpening::ToolUse { name, .. } => {
                let guarded = guarding.guard_arguments(name, &arguments, verdicts);
                take(guarded, &mut arguments) == Passed::Whole
            }
            _ => false,
        };
        if !passes {
            return self.block(out);
        }
        out.push(Delta::Open(opening));
        if !arguments.is_empty() {
            out.push(Delta::Arguments(arguments));
        }
        out.push(Delta::Close);
    }

    fn go_on(&mut self, flow: Flow, out: &mut Vec<Delta>) {
        if flow == Flow::Blocked {
            self.note_open();
            self.open = Open::None;
            out.push(Delta::Close);
            self.block(out);
        }
    }

    /// Ends the answer.
    fn block(&mut self, out: &mut Vec<Delta>) {
        self.is_blocked = true;
        out.push(Delta::Finish {
            stop_reason: StopReason::ContentFilter,
            stop_sequence: None,
        });
    }

    fn note_open(&mut self) {
        if let Open::Text(guard) | Open::Ended(guard) = &mut self.open {
            guard.note(&mut self.verdicts);
        }
    }
}

fn pass(
    guard: &mut TextPipe,
    piece: &str,
    delta: fn(String) -> Delta,
    out: &mut Vec<Delta>,
) -> Flow {
    let mut text = String::new();
    let flow = guard.push(piece, &mut text);
    if !text.is_empty() {
        out.push(delta(text));
    }
    flow
}

fn finish(guard: &mut TextPipe, out: &mut Vec<Delta>) -> Flow {
    let mut text = String::new();
    let flow = guard.finish(&mut text);
    if !text.is_empty() {
        out.push(match guard.place() {
            Place::Reasoning => Delta::Thinking(text),
            _ => Delta::Text(text),
        });
    }
    flow
}

/// Guards a whole answer: of a provider, or one that was remembered.
pub(crate) fn guard_reply(guarding: &Arc<Guarding>, reply: &mut Reply, verdicts: &mut Verdicts) {
    let mut kept: Vec<Block> = Vec::with_capacity(reply.blocks.len());
    let mut blocks = std::mem::take(&mut reply.blocks).into_iter().peekable();
    // The text before, which ended in what may still become part of a match.
    let mut ended: Option<TextPipe> = None;
    let mut returned = false;
    while let Some(mut block) = blocks.next() {
        let outcome = match &mut block {
            Block::Text(text) => {
                let joins = matches!(blocks.peek(), Some(Block::Text(_)));
                let pipe = ended
                    .take()
                    .unwrap_or_else(|| TextPipe::new(guarding, Place::OutputText));
                let (passed, rest) = guard_words(pipe, text, joins, verdicts);
                ended = rest;
                passed
            }
            other => guard_block(guarding, other, &mut returned, verdicts),
        };
        match outcome {
            Passed::Whole | Passed::Beginning => kept.push(block),
            Passed::Nothing => {}
        }
        if outcome != Passed::Whole {
            reply.stop_reason = StopReason::ContentFilter;
            reply.stop_sequence = None;
            break;
        }
    }
    reply.blocks = kept;
}

/// How much of a block may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Passed {
    Whole,
    /// What stood before the match.
    Beginning,
    Nothing,
}

fn guard_block(
    guarding: &Arc<Guarding>,
    block: &mut Block,
    returned: &mut bool,
    verdicts: &mut Verdicts,
) -> Passed {
    match block {
        Block::Text(text) | Block::Refusal(text) => {
            guard_alone(guarding, Place::OutputText, text, verdicts)
        }
        Block::Thinking { text, .. } => guard_alone(guarding, Place::Reasoning, text, verdicts),
        Block::ToolUse {
            name, arguments, ..
        } => {
            let guarded = guarding.guard_call(name, arguments, *returned, verdicts);
            take(guarded, arguments)
        }
        Block::Native(native) => {
            let given = &mut String::new();
            match guarding.guard_native(native, given, returned, verdicts) {
                true => Passed::Whole,
                false => Passed::Nothing,
            }
        }
        Block::Media(media) => match &mut media.source {
            MediaSource::Text(text) | MediaSource::Url(text) => {
                guard_alone(guarding, Place::OutputText, text, verdicts)
            }
            _ => Passed::Whole,
        },
        Block::ToolResult { blocks, .. } => {
            let mut passed = blocks
                .iter_mut()
                .map(|block| guard_block(guarding, block, returned, verdicts));
            match passed.all(|passed| passed == Passed::Whole) {
                true => Passed::Whole,
                false => Passed::Nothing,
            }
        }
        Block::EncryptedThinking(_) | Block::CachePoint(_) => Passed::Whole,
    }
}

fn guard_alone(
    guarding: &Arc<Guarding>,
    place: Place,
    text: &mut String,
    verdicts: &mut Verdicts,
) -> Passed {
    guard_words(TextPipe::new(guarding, place), text, false, verdicts).0
}

/// Guards a text; where another one joins it, the guards come back that wait for what it says.
fn guard_words(
    mut guard: TextPipe,
    text: &mut String,
    joins: bool,
    verdicts: &mut Verdicts,
) -> (Passed, Option<TextPipe>) {
    let mut passed = String::with_capacity(text.len());
    let mut flow = guard.push(text, &mut passed);
    if flow == Flow::Open && joins && !guard.is_idle() {
        *text = passed;
        return (Passed::Whole, Some(guard));
    }
    if flow == Flow::Open {
        flow = guard.finish(&mut passed);
    }
    guard.note(verdicts);
    *text = passed;
    let passed = match flow {
        Flow::Blocked => Passed::Beginning,
        Flow::Open => Passed::Whole,
    };
    (passed, None)
}

fn take(guarded: Guarded, json: &mut String) -> Passed {
    match guarded {
        Guarded::Same => Passed::Whole,
        Guarded::Changed(new) => {
            *json = new;
            Passed::Whole
        }
        Guarded::Blocked => Passed::Nothing,
    }
}

#[cfg(test)]
mod tests;
