//! Chat completion chunks as canonical deltas.

use super::{reply, usage::UsageObject};
use crate::{error::status_of_kind, fault::Fault, stream::DecodeStream};
use seaworthy_core::call::{BlockOpening, Delta};
use serde::{Deserialize, de::IgnoredAny};
use std::borrow::Cow;

#[derive(Default)]
pub(super) struct Decoder {
    started: bool,
    finished: bool,
    open: Option<Open>,
    called_tool: bool,
    declined: bool,
}

/// The block that is open.
#[derive(PartialEq, Eq)]
enum Open {
    Thinking,
    Text,
    Refusal,
    Tool { index: u64, id: String },
}

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    model: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    choices: Option<Vec<Choice<'a>>>,
    usage: Option<UsageObject>,
    #[serde(borrow)]
    error: Option<ErrorObject<'a>>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default)]
    index: u64,
    #[serde(borrow, default)]
    delta: Option<Piece<'a>>,
    #[serde(borrow)]
    finish_reason: Option<Cow<'a, str>>,
    logprobs: Option<IgnoredAny>,
}

#[derive(Default, Deserialize)]
struct Piece<'a> {
    #[serde(borrow)]
    content: Option<Cow<'a, str>>,
    #[serde(borrow)]
    refusal: Option<Cow<'a, str>>,
    #[serde(borrow)]
    reasoning_content: Option<Cow<'a, str>>,
    #[serde(borrow)]
    reasoning: Option<Cow<'a, str>>,
    #[serde(borrow)]
    tool_calls: Option<Vec<ToolPiece<'a>>>,
    function_call: Option<IgnoredAny>,
    audio: Option<IgnoredAny>,
    annotations: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct ToolPiece<'a> {
    #[serde(default)]
    index: u64,
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    function: Option<FunctionPiece<'a>>,
}

#[derive(Deserialize)]
struct FunctionPiece<'a> {
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    arguments: Option<Cow<'a, str>>,
}

/// `{"message", "type", …}`, or just a sentence from servers that keep it short.
#[derive(Deserialize)]
#[serde(untagged)]
enum ErrorObject<'a> {
    Full {
        #[serde(default, rename = "type")]
        kind: Option<Cow<'a, str>>,
        #[serde(default)]
        message: Option<Cow<'a, str>>,
    },
    Sentence(Cow<'a, str>),
}

impl DecodeStream for Decoder {
    fn event(&mut self, _name: &[u8], data: &[u8], out: &mut Vec<Delta>) -> Result<(), Fault> {
        if data.trim_ascii() == b"[DONE]" {
            // The proper end, even from servers that never say why the model stopped.
            if self.started {
                self.finish(None, out);
            }
            return Ok(());
        }
        let chunk: Chunk<'_> = serde_json::from_slice(data)
            .map_err(|error| Fault::whole(format!("expected a chat completion chunk: {error}")))?;
        if let Some(error) = chunk.error {
            out.push(error.into_delta());
            return Ok(());
        }
        if let Some(usage) = &chunk.usage
            && let Some(usage) = usage.to_reported().complete()
        {
            out.push(Delta::Usage(usage));
        }
        for choice in chunk.choices.unwrap_or_default() {
            if choice.index != 0 {
                out.push(Delta::Dropped(format!("choices[{}]", choice.index)));
                continue;
            }
            if !self.started {
                self.started = true;
                out.push(Delta::Start {
                    id: chunk.id.as_deref().unwrap_or_default().to_owned(),
                    model: chunk.model.as_deref().unwrap_or_default().to_owned(),
                });
            }
            self.choice(choice, out)?;
        }
        Ok(())
    }
}

impl Decoder {
    fn choice(&mut self, choice: Choice<'_>, out: &mut Vec<Delta>) -> Result<(), Fault> {
        let piece = choice.delta.unwrap_or_default();
        let strange = [
            ("logprobs", choice.logprobs.is_some()),
            ("function_call", piece.function_call.is_some()),
            ("audio", piece.audio.is_some()),
            ("annotations", piece.annotations.is_some()),
        ];
        let strange = strange.into_iter().filter(|(_, is_there)| *is_there);
        out.extend(strange.map(|(name, _)| Delta::Dropped(name.to_owned())));
        if let Some(text) = non_empty(piece.reasoning_content.or(piece.reasoning)) {
            self.open(Open::Thinking, BlockOpening::Thinking, out)?;
            out.push(Delta::Thinking(text));
        }
        if let Some(text) = non_empty(piece.content) {
            self.open(Open::Text, BlockOpening::Text, out)?;
            out.push(Delta::Text(text));
        }
        if let Some(text) = non_empty(piece.refusal) {
            self.declined = true;
            self.open(Open::Refusal, BlockOpening::Refusal, out)?;
            out.push(Delta::Text(text));
        }
        for piece in piece.tool_calls.unwrap_or_default() {
            self.tool(piece, out)?;
        }
        if let Some(reason) = choice.finish_reason {
            self.finish(Some(&reason), out);
        }
        Ok(())
    }

    fn finish(&mut self, reason: Option<&str>, out: &mut Vec<Delta>) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        self.close(out);
        let stopped = reply::stop_reason(reason, self.called_tool, self.declined);
        out.push(match stopped {
            Ok(stop_reason) => Delta::Finish {
                stop_reason,
                stop_sequence: None,
            },
            Err(broke_off) => broke_off.delta(None),
        });
    }

    /// A call begins with its ID; pieces without one belong to the call that is open. Some servers
    /// give every call the index 0, so a new ID counts as a new call too.
    fn tool(&mut self, piece: ToolPiece<'_>, out: &mut Vec<Delta>) -> Result<(), Fault> {
        let index = piece.index;
        let function = piece.function;
        let (name, arguments) = function.map_or((None, None), |f| (f.name, f.arguments));
        let new_id = non_empty(piece.id);
        let goes_on = matches!(
            &self.open,
            Some(Open::Tool { index: open, id })
                if *open == index && new_id.as_ref().is_none_or(|new_id| new_id == id)
        );
        if !goes_on {
            let (Some(id), Some(name)) = (new_id, non_empty(name)) else {
                return Err(Fault::whole(format!(
                    "expected the pieces of one tool call after another, found a piece of call \
                     {index} which is not open"
                )));
            };
            self.called_tool = true;
            let open = Open::Tool {
                index,
                id: id.clone(),
            };
            self.open(open, BlockOpening::ToolUse { id, name }, out)?;
        }
        out.extend(non_empty(arguments).map(Delta::Arguments));
        Ok(())
    }

    fn open(
        &mut self,
        open: Open,
        opening: BlockOpening,
        out: &mut Vec<Delta>,
    ) -> Result<(), Fault> {
        if self.finished {
            return Err(Fault::whole(
                "expected no more content after `finish_reason`, found some",
            ));
        }
        if self.open.as_ref() != Some(&open) {
            self.close(out);
            self.open = Some(open);
            out.push(Delta::Open(opening));
        }
        Ok(())
    }

    fn close(&mut self, out: &mut Vec<Delta>) {
        if self.open.take().is_some() {
            out.push(Delta::Close);
        }
    }
}

impl ErrorObject<'_> {
    fn into_delta(self) -> Delta {
        let (kind, message) = match self {
            Self::Full { kind, message } => (kind, message),
            Self::Sentence(message) => (None, Some(message)),
        };
        let kind = kind.unwrap_or_default().into_owned();
        Delta::Error {
            status: status_of_kind(&kind),
            kind,
            message: message.unwrap_or_default().into_owned(),
        }
    }
}

fn non_empty(text: Option<Cow<'_, str>>) -> Option<String> {
    text.filter(|text| !text.is_empty()).map(Cow::into_owned)
}
