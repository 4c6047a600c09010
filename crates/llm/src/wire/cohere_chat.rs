//! Cohere chat, `POST /v2/chat`.

mod decode_call;
mod decode_message;
mod encode_call;
mod encode_message;
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
use seaworthy_core::call::{Call, Reply};

/// Cohere chat.
pub(super) struct CohereChat;

const HEAD: HeadRules = HeadRules {
    model: ModelPlace::Body,
    conversation: Conversation {
        field: "messages",
        is_required: true,
        shape: Shape::Messages {
            roles: &["user", "assistant", "system", "developer", "tool"],
            role_required: true,
            or_text: false,
            or_one: false,
        },
    },
    settings: &[],
    max_tokens: &["max_tokens"],
    max_tokens_required: false,
    max_tokens_least: 1,
    choices: &[],
    keeps_answers: false,
    usage_on_request: false,
};

impl Wire for CohereChat {
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

    fn stream_encoder(
        &self,
        _settings: StreamSettings,
        _framing: Framing,
    ) -> Box<dyn EncodeStream> {
        Box::new(stream_out::Encoder::default())
    }

    fn stream_decoder(&self) -> Box<dyn DecodeStream> {
        Box::new(stream_in::Decoder::default())
    }

    fn stream_error(&self, error: &ErrorView<'_>, _sequence_number: u64, out: &mut Vec<u8>) {
        error::sse_event("message-end", out, |body| {
            body.str("type", "message-end").object("delta", |delta| {
                delta
                    .str("finish_reason", "ERROR")
                    .str("error", error.message);
            });
        });
    }

    fn reply_usage(&self, body: &[u8]) -> Option<Reported> {
        usage::of_reply(body)
    }

    fn observe(&self, name: &[u8], data: &[u8], tally: &mut Tally) -> Seen {
        usage::observe(name, data, tally)
    }
}
