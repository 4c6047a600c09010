//! Chat completion chunks as canonical deltas.

use super::{
    reply,
    stream_tools::{Form, ToolPiece, Tools},
    usage::UsageObject,
};
use crate::{error::status_of_kind, fault::Fault, stream::DecodeStream};
use seaworthy_core::call::{BlockOpening, Delta};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;
use std::borrow::Cow;

mod said;

use said::Said;

#[derive(Default)]
pub(super) struct Decoder {
    started: bool,
    finished: bool,
    open: Option<Open>,
    tools: Tools,
    /// The ID of the answer.
    id: String,
    declined: bool,
}

/// The block that is open, if it is no call of a tool.
#[derive(PartialEq, Eq)]
enum Open {
    Thinking,
    Text,
    Refusal,
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
    content: Option<Said<'a>>,
    #[serde(borrow)]
    refusal: Option<Cow<'a, str>>,
    #[serde(borrow)]
    reasoning_content: Option<Cow<'a, str>>,
    #[serde(borrow)]
    reasoning: Option<Cow<'a, str>>,
    #[serde(borrow)]
    tool_calls: Option<Vec<CallPiece<'a>>>,
    #[serde(borrow)]
    function_call: Option<FunctionPiece<'a>>,
    audio: Option<IgnoredAny>,
    annotations: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct CallPiece<'a> {
    #[serde(default)]
    index: u64,
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    function: Option<FunctionPiece<'a>>,
    #[serde(borrow)]
    custom: Option<CustomPiece<'a>>,
}

#[derive(Deserialize)]
struct CustomPiece<'a> {
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    input: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct FunctionPiece<'a> {
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    /// A string, and with some servers the object itself.
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
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
                self.id = chunk.id.as_deref().unwrap_or_default().to_owned();
                out.push(Delta::Start {
                    id: self.id.clone(),
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
            ("audio", piece.audio.is_some()),
            ("annotations", piece.annotations.is_some()),
        ];
        let strange = strange.into_iter().filter(|(_, is_there)| *is_there);
        out.extend(strange.map(|(name, _)| Delta::Dropped(name.to_owned())));
        let (content, thought) = piece.content.map_or((None, None), Said::into_parts);
        let reasoning = piece.reasoning_content.or(piece.reasoning).or(thought);
        if let Some(text) = non_empty(reasoning) {
            self.open(Open::Thinking, BlockOpening::Thinking, out)?;
            out.push(Delta::Thinking(text));
        }
        if let Some(text) = non_empty(content) {
            self.open(Open::Text, BlockOpening::Text, out)?;
            out.push(Delta::Text(text));
        }
        if let Some(text) = non_empty(piece.refusal) {
            self.declined = true;
            self.open(Open::Refusal, BlockOpening::Refusal, out)?;
            out.push(Delta::Text(text));
        }
        let says = |call: &FunctionPiece<'_>| call.name.is_some() || call.arguments.is_some();
        if let Some(call) = piece.function_call.filter(says) {
            self.tool(call.told(Form::Legacy), out)?;
        }
        for piece in piece.tool_calls.unwrap_or_default() {
            self.tool(piece.told(), out)?;
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
        let stopped = reply::stop_reason(reason, self.tools.any(), self.declined);
        out.push(match stopped {
            Ok(stop_reason) => Delta::Finish {
                stop_reason,
                stop_sequence: None,
            },
            Err(broke_off) => broke_off.delta(None),
        });
    }

    fn tool(&mut self, piece: ToolPiece, out: &mut Vec<Delta>) -> Result<(), Fault> {
        self.still_open()?;
        if !self.tools.is_open() {
            self.close(out);
        }
        self.tools.push(piece, &self.id, out)
    }

    fn still_open(&self) -> Result<(), Fault> {
        match self.finished {
            false => Ok(()),
            true => Err(Fault::whole(
                "expected no more content after `finish_reason`, found some",
            )),
        }
    }

    fn open(
        &mut self,
        open: Open,
        opening: BlockOpening,
        out: &mut Vec<Delta>,
    ) -> Result<(), Fault> {
        self.still_open()?;
        if self.open.as_ref() != Some(&open) {
            self.close(out);
            self.open = Some(open);
            out.push(Delta::Open(opening));
        }
        Ok(())
    }

    fn close(&mut self, out: &mut Vec<Delta>) {
        self.tools.finish(out);
        if self.open.take().is_some() {
            out.push(Delta::Close);
        }
    }
}

impl CallPiece<'_> {
    fn told(self) -> ToolPiece {
        let told = match (self.function, self.custom) {
            (None, Some(custom)) => ToolPiece {
                form: Form::Custom,
                name: non_empty(custom.name),
                arguments: non_empty(custom.input),
                ..ToolPiece::default()
            },
            (Some(function), _) => function.told(Form::Function),
            (None, None) => ToolPiece::default(),
        };
        ToolPiece {
            index: self.index,
            id: non_empty(self.id),
            ..told
        }
    }
}

impl FunctionPiece<'_> {
    fn told(self, form: Form) -> ToolPiece {
        ToolPiece {
            form,
            name: non_empty(self.name),
            arguments: self.arguments.and_then(arguments_text),
            ..ToolPiece::default()
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

/// The text of arguments, which are a string or the object itself.
fn arguments_text(arguments: &RawValue) -> Option<String> {
    let text = match serde_json::from_str::<Cow<'_, str>>(arguments.get()) {
        Ok(text) => text.into_owned(),
        Err(_) => arguments.get().to_owned(),
    };
    (!text.is_empty()).then_some(text)
}
