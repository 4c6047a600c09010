//! OpenAI Responses, `POST /v1/responses`: a conversation as a list of typed items.

mod decode_call;
mod decode_item;
mod encode_call;
mod encode_item;
mod reply;
mod stream_in;
mod stream_out;
mod usage;

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

/// The setting of chat completions that is part of `text` here.
const VERBOSITY: &str = "verbosity";

/// OpenAI Responses.
pub(super) struct OpenAiResponses;

const HEAD: HeadRules = HeadRules {
    model: ModelPlace::Body,
    conversation: Conversation {
        field: "input",
        // A stored answer or a stored prompt will do as well.
        is_required: false,
        shape: Shape::Messages {
            roles: &["user", "assistant", "system", "developer"],
            role_required: false,
            or_text: true,
            or_one: false,
        },
    },
    settings: &[],
    max_tokens: &["max_output_tokens"],
    max_tokens_required: false,
    max_tokens_least: 1,
    choices: &[],
    keeps_answers: true,
    usage_on_request: false,
};

impl Wire for OpenAiResponses {
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

    fn stream_error(&self, error: &ErrorView<'_>, sequence_number: u64, out: &mut Vec<u8>) {
        let kind = || error::error_kind(Family::OpenAi, error.status);
        let code = error.code.or(error.kind).unwrap_or_else(kind);
        error::sse_event("error", out, |body| {
            body.str("type", "error")
                .str("code", code)
                .str("message", error.message)
                .str_or_null("param", error.param)
                .num("sequence_number", sequence_number);
        });
    }

    fn reply_usage(&self, body: &[u8]) -> Option<Reported> {
        usage::of_reply(body)
    }

    fn observe(&self, name: &[u8], data: &[u8], tally: &mut Tally) -> Seen {
        usage::observe(name, data, tally)
    }
}
