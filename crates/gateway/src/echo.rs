//! The built-in model: deterministic, free, and good enough to try every client against.
//!
//! It repeats the caller's last words. Offered tools, it calls those that the words name, or else
//! the first one, with arguments that fit the schema; given a tool's result, it repeats that. A
//! token is a piece of at most [`PIECE_BYTES`] bytes that ends at a space, in and out.

use bytes::Bytes;
use seaworthy_core::call::{Block, BlockOpening, Call, Delta, Reply, Role, StopReason};
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::code::Code;
use seaworthy_core::dialect::Dialect;
use seaworthy_core::ledger::Outcome;
use seaworthy_core::usage::Usage;
use seaworthy_llm::{Framing, StreamEncoder, StreamSettings};
use serde_json::json;

use crate::exchange::Exchange;
use crate::refusal::Refusal;
use crate::routes::Operation;
use crate::stage::decode::Request;

pub(crate) mod moderation;
mod tools;

/// Longest piece of text that counts as one token.
const PIECE_BYTES: usize = 32;

/// An answer of the built-in model.
#[derive(Debug)]
pub(crate) enum EchoReply {
    Whole { body: Bytes, usage: Usage },
    Stream(Box<EchoStream>),
}

/// Answers a request.
pub(crate) fn answer(
    request: &Request,
    request_id: &str,
    now: UnixMillis,
    guard: impl FnOnce(&mut Reply),
) -> Result<EchoReply, Refusal> {
    let dialect = request.operation.dialect();
    let call = request.decode_call()?;
    if matches!(request.operation, Operation::CountTokens(_)) {
        return Ok(EchoReply::Whole {
            body: counted(dialect, input_tokens(&call)).into(),
            usage: Usage::default(),
        });
    }
    if call.choices.is_some_and(|choices| choices > 1) {
        let message = "The built-in model gives one answer: leave `n` out or set it to 1.";
        let name = seaworthy_llm::setting(dialect, "n");
        let message = message.replace("`n`", &format!("`{name}`"));
        return Err(Refusal::new(Code::InvalidRequest, message).at(name));
    }
    let mut reply = compose(&call, request_id);
    guard(&mut reply);
    if call.stream {
        let settings = StreamSettings {
            include_usage: call.include_usage,
            created_unix_s: now.seconds(),
        };
        let encoder = StreamEncoder::with_framing(dialect, request.framing, settings);
        return Ok(EchoReply::Stream(Box::new(EchoStream::new(encoder, reply))));
    }
    let body = seaworthy_llm::encode_reply(dialect, &reply, now.seconds()).body;
    Ok(EchoReply::Whole {
        body: body.into(),
        usage: reply.usage.unwrap_or_default(),
    })
}

/// How a dialect says how many input tokens there are.
pub(crate) fn counted(dialect: Dialect, tokens: u64) -> String {
    match dialect {
        Dialect::Gemini => json!({"totalTokens": tokens}),
        Dialect::BedrockConverse => json!({"inputTokens": tokens}),
        Dialect::OpenAiResponses => {
            json!({"object": "response.input_tokens", "input_tokens": tokens})
        }
        _ => json!({"input_tokens": tokens}),
    }
    .to_string()
}

fn compose(call: &Call, request_id: &str) -> Reply {
    let (mut blocks, mut stop_reason) = match tools::calls(call, request_id) {
        Some(calls) => (calls, StopReason::ToolUse),
        None => (vec![Block::Text(words(call))], StopReason::EndTurn),
    };
    let mut output_tokens = 0;
    for block in &mut blocks {
        match block {
            Block::Text(text) => {
                let most = call.max_output_tokens.unwrap_or(u64::MAX);
                let count = pieces(text).count() as u64;
                if count > most {
                    let kept = usize::try_from(most).unwrap_or(usize::MAX);
                    *text = pieces(text).take(kept).collect();
                    stop_reason = StopReason::MaxTokens;
                }
                output_tokens += count.min(most);
            }
            Block::ToolUse { arguments, .. } => output_tokens += pieces(arguments).count() as u64,
            _ => {}
        }
    }
    Reply {
        id: format!("echo-{request_id}"),
        model: call.model.clone(),
        blocks,
        stop_reason,
        stop_sequence: None,
        usage: Some(Usage {
            input_tokens: input_tokens(call),
            output_tokens,
            ..Usage::default()
        }),
        unknown_fields: Vec::new(),
    }
}

/// What the caller said last.
fn words(call: &Call) -> String {
    let said = call
        .messages
        .iter()
        .rev()
        .find(|message| message.role == Role::User)
        .map(|message| text_of(&message.blocks))
        .filter(|text| !text.is_empty())
        .unwrap_or_else(|| "I repeat what I am told; nothing was said.".to_owned());
    match call.response_format {
        Some(_) => json!({"echo": said}).to_string(),
        None => said,
    }
}

/// The text of blocks, tool results included.
fn text_of(blocks: &[Block]) -> String {
    let mut text = String::new();
    for block in blocks {
        let part = match block {
            Block::Text(part) | Block::Refusal(part) => part.clone(),
            Block::ToolResult { blocks, .. } => text_of(blocks),
            _ => continue,
        };
        if !text.is_empty() && !part.is_empty() {
            text.push('\n');
        }
        text.push_str(&part);
    }
    text
}

fn input_tokens(call: &Call) -> u64 {
    let said = call.messages.iter().map(|message| text_of(&message.blocks));
    let all = std::iter::once(text_of(&call.system)).chain(said);
    let count: usize = all.map(|text| pieces(&text).count()).sum();
    (count as u64).max(1)
}

/// Cuts text into tokens; together they are the text.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(' ').flat_map(|word| {
        let mut rest = word;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let cut = rest.floor_char_boundary(PIECE_BYTES.min(rest.len()));
            let (piece, tail) = rest.split_at(cut);
            rest = tail;
            Some(piece)
        })
    })
}

/// A streamed answer, encoded event by event as it is sent.
#[derive(Debug)]
pub(crate) struct EchoStream {
    encoder: StreamEncoder,
    steps: std::vec::IntoIter<Step>,
    usage: Usage,
    sent_tokens: u64,
}

/// One event of a stream.
#[derive(Debug)]
enum Step {
    Deltas(Vec<Delta>),
    /// A piece of the answer, which counts as one token.
    Token(Delta),
    End,
}

impl EchoStream {
    fn new(encoder: StreamEncoder, reply: Reply) -> Self {
        let usage = reply.usage.unwrap_or_default();
        let at_start = Usage {
            output_tokens: 0,
            ..usage
        };
        let mut steps = vec![Step::Deltas(vec![
            Delta::Usage(at_start),
            Delta::Start {
                id: reply.id,
                model: reply.model,
            },
        ])];
        for block in reply.blocks {
            match block {
                Block::Text(text) => {
                    steps.push(Step::Deltas(vec![Delta::Open(BlockOpening::Text)]));
                    let text = pieces(&text).map(|piece| Delta::Text(piece.to_owned()));
                    steps.extend(text.map(Step::Token));
                }
                Block::ToolUse {
                    id,
                    name,
                    arguments,
                } => {
                    let opening = BlockOpening::ToolUse { id, name };
                    steps.push(Step::Deltas(vec![Delta::Open(opening)]));
                    let pieces = pieces(&arguments).map(|piece| Delta::Arguments(piece.to_owned()));
                    steps.extend(pieces.map(Step::Token));
                }
                _ => continue,
            }
            steps.push(Step::Deltas(vec![Delta::Close]));
        }
        let (stop_reason, stop_sequence) = (reply.stop_reason, reply.stop_sequence);
        steps.push(Step::Deltas(vec![
            Delta::Usage(usage),
            Delta::Finish {
                stop_reason,
                stop_sequence,
            },
        ]));
        steps.push(Step::End);
        Self {
            encoder,
            steps: steps.into_iter(),
            usage,
            sent_tokens: 0,
        }
    }

    /// How the events are put together.
    pub(crate) fn framing(&self) -> Framing {
        self.encoder.framing()
    }

    /// The next bytes for the caller; `None` when the answer is complete.
    pub(crate) fn next_event(&mut self, exchange: &mut Exchange) -> Option<Bytes> {
        let mut out = Vec::new();
        while out.is_empty() {
            match self.steps.next()? {
                Step::Deltas(deltas) => {
                    for delta in &deltas {
                        self.encoder.push(delta, &mut out);
                    }
                }
                Step::Token(delta) => {
                    self.encoder.push(&delta, &mut out);
                    self.sent_tokens += 1;
                }
                Step::End => {
                    self.encoder.finish(&mut out);
                    exchange.outcome = Outcome::Success;
                }
            }
            if let Some(call) = &mut exchange.call {
                call.note_usage(Usage {
                    output_tokens: self.sent_tokens,
                    ..self.usage
                });
            }
        }
        Some(out.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_the_text_and_never_long() {
        for text in ["", "one", "one two  three ", &"ä".repeat(100), "a\nb c"] {
            assert_eq!(pieces(text).collect::<String>(), text);
            assert!(pieces(text).all(|piece| (1..=PIECE_BYTES).contains(&piece.len())));
        }
        assert_eq!(pieces("one two three").count(), 3);
    }
}
