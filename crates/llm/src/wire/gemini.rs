//! Gemini, `POST /v1beta/models/{model}:generateContent` and `:streamGenerateContent`: the model
//! stands in the path, and so does whether to stream.

mod decode_call;
mod decode_part;
mod encode_call;
mod encode_part;
mod reply;
mod schema;
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

/// Gemini.
pub(super) struct Gemini;

const HEAD: HeadRules = HeadRules {
    model: ModelPlace::Path,
    conversation: Conversation {
        field: "contents",
        is_required: true,
        shape: Shape::Messages {
            roles: &["user", "model", "function"],
            role_required: false,
            or_text: false,
            or_one: true,
        },
    },
    settings: &["generationConfig", "generation_config"],
    max_tokens: &["maxOutputTokens", "max_output_tokens"],
    max_tokens_required: false,
    max_tokens_least: 1,
    choices: &["candidateCount", "candidate_count"],
    keeps_answers: false,
    usage_on_request: false,
};

impl Wire for Gemini {
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

    fn encode_reply(&self, reply: &Reply, _created_unix_s: i64, losses: &mut Losses) -> Vec<u8> {
        reply::encode(reply, losses)
    }

    fn stream_encoder(&self, _settings: StreamSettings, framing: Framing) -> Box<dyn EncodeStream> {
        Box::new(stream_out::Encoder::new(framing))
    }

    fn stream_decoder(&self) -> Box<dyn DecodeStream> {
        Box::new(stream_in::Decoder::default())
    }

    fn stream_error(&self, error: &ErrorView<'_>, _sequence_number: u64, out: &mut Vec<u8>) {
        error::sse_error(None, Family::Gemini, error, out);
    }

    fn reply_usage(&self, body: &[u8]) -> Option<Reported> {
        usage::of_reply(body)
    }

    fn observe(&self, _name: &[u8], data: &[u8], tally: &mut Tally) -> Seen {
        usage::observe(data, tally)
    }
}
