//! Bedrock Converse, `POST /model/{model}/converse` and `/converse-stream`: the model stands in the
//! path, a stream is binary frames, and an answer has neither an ID nor the name of its model.

mod decode_call;
mod decode_content;
mod documents;
mod encode_call;
mod encode_content;
mod formats;
mod reply;
mod stream_in;
mod stream_out;
mod usage;

use super::Wire;
use crate::{
    error::ErrorView,
    event_stream::{self, Kind},
    fault::Fault,
    framing::Framing,
    head::{Conversation, HeadRules, ModelPlace, Shape},
    json,
    loss::Losses,
    stream::{DecodeStream, EncodeStream, StreamSettings},
    usage::{Reported, Seen, Tally},
};
use seaworthy_core::call::{Call, Reply};

/// Bedrock Converse.
pub(super) struct BedrockConverse;

const HEAD: HeadRules = HeadRules {
    model: ModelPlace::Path,
    conversation: Conversation {
        field: "messages",
        is_required: true,
        shape: Shape::Messages {
            roles: &["user", "assistant", "system"],
            role_required: true,
            or_text: false,
            or_one: false,
        },
    },
    settings: &["inferenceConfig"],
    max_tokens: &["maxTokens"],
    max_tokens_required: false,
    max_tokens_least: 1,
    choices: &[],
    keeps_answers: false,
    usage_on_request: false,
};

impl Wire for BedrockConverse {
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

    fn framing(&self) -> Framing {
        Framing::EventStream
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
        let mut payload = Vec::new();
        json::object(&mut payload, |body| {
            body.str("message", error.message);
        });
        event_stream::write(Kind::Exception, exception(error.status), &payload, out);
    }

    fn reply_usage(&self, body: &[u8]) -> Option<Reported> {
        usage::of_reply(body)
    }

    fn observe(&self, name: &[u8], data: &[u8], tally: &mut Tally) -> Seen {
        usage::observe(name, data, tally)
    }
}

/// The few exceptions that a stream may end with.
fn exception(status: u16) -> &'static str {
    match status {
        429 => "throttlingException",
        502 | 503 | 529 => "serviceUnavailableException",
        408 | 424 | 504 => "modelStreamErrorException",
        400..500 => "validationException",
        _ => "internalServerException",
    }
}

/// The status that an exception or an error code stands for.
fn status_of(exception: &str) -> u16 {
    match exception {
        "throttlingException" | "ThrottlingException" => 429,
        "serviceUnavailableException" | "ServiceUnavailableException" => 503,
        "modelStreamErrorException" => 424,
        "modelTimeoutException" => 408,
        "validationException" | "ValidationException" => 400,
        _ => 500,
    }
}

/// Whether a frame of this type tells a failure: events begin in lower case, codes of errors do
/// not, and exceptions say what they are.
fn is_failure(name: &[u8]) -> bool {
    name.ends_with(b"Exception") || name.first().is_some_and(u8::is_ascii_uppercase)
}
