//! OpenAI chat completions, `POST /v1/chat/completions`, as its many imitators speak it too.

mod decode_call;
mod decode_content;
mod encode_call;
mod encode_content;
mod reply;
mod stream_in;
mod stream_out;
mod stream_tools;
mod usage;

pub(super) use decode_call::{
    allowed, function, no_obfuscation, openai_settings, reasoning, say, tool_choice_word,
};
pub(super) use decode_content::{audio, cache_mark, file_data, image, tool_call, url};
pub(super) use encode_call::{allowed as write_allowed, effort, function_tool, labels};
pub(super) use encode_content::{function_call, media};

use super::Wire;
use crate::{
    error::{self, ErrorView},
    fault::Fault,
    framing::Framing,
    head::{Conversation, HeadRules, ModelPlace, Shape},
    loss::Losses,
    stream::{DecodeStream, EncodeStream, StreamSettings},
    usage::{Reported, Seen, Tally},
};
use seaworthy_core::{
    call::{Call, Reply},
    dialect::Family,
};

/// OpenAI chat completions.
pub(super) struct OpenAiChat;

const HEAD: HeadRules = HeadRules {
    model: ModelPlace::Body,
    conversation: Conversation {
        field: "messages",
        is_required: true,
        shape: Shape::Messages {
            roles: &[
                "developer",
                "system",
                "user",
                "assistant",
                "tool",
                "function",
            ],
            role_required: true,
            or_text: false,
            or_one: false,
        },
    },
    settings: &[],
    max_tokens: &["max_completion_tokens", "max_tokens"],
    max_tokens_required: false,
    max_tokens_least: 1,
    choices: &["n"],
    keeps_answers: false,
    usage_on_request: true,
};

impl Wire for OpenAiChat {
    fn head_rules(&self) -> &'static HeadRules {
        &HEAD
    }

    fn decode_call(&self, body: &[u8]) -> Result<Call, Fault> {
        decode_call::decode(body)
    }

    fn encode_call(&self, call: &Call, losses: &mut Losses) -> Vec<u8> {
        encode_call::encode(call, losses)
    }

    fn decode_reply(&self, body: &[u8]) -> Result<Reply, Fault> {
        reply::decode(body)
    }

    fn encode_reply(&self, reply: &Reply, created_unix_s: i64, losses: &mut Losses) -> Vec<u8> {
        reply::encode(reply, created_unix_s, losses)
    }

    fn stream_encoder(&self, settings: StreamSettings, _framing: Framing) -> Box<dyn EncodeStream> {
        Box::new(stream_out::Encoder::new(settings))
    }

    fn stream_decoder(&self) -> Box<dyn DecodeStream> {
        Box::new(stream_in::Decoder::default())
    }

    fn stream_error(&self, error: &ErrorView<'_>, _sequence_number: u64, out: &mut Vec<u8>) {
        error::sse_error(None, Family::OpenAi, error, out);
    }

    fn reply_usage(&self, body: &[u8]) -> Option<Reported> {
        usage::of_reply(body)
    }

    fn observe(&self, _name: &[u8], data: &[u8], tally: &mut Tally) -> Seen {
        usage::observe(data, tally)
    }
}
