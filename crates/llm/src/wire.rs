//! The dialects, one file each: this is the only place that lists them.

mod anthropic_messages;
mod bedrock_converse;
mod claude;
mod cohere_chat;
mod gemini;
mod openai_chat;
mod openai_responses;
mod shared;

use crate::{
    error::ErrorView,
    fault::Fault,
    framing::Framing,
    head::HeadRules,
    loss::Losses,
    stream::{DecodeStream, EncodeStream, StreamSettings},
    usage::{Reported, Seen, Tally},
};
use seaworthy_core::{
    call::{Call, Reply},
    dialect::Dialect,
};

/// One wire format, without state.
pub(crate) trait Wire: Sync {
    /// What requests look like at their top level.
    fn head_rules(&self) -> &'static HeadRules;

    /// Reads a whole request.
    fn decode_call(&self, body: &[u8]) -> Result<Call, Fault>;

    /// Writes a request for a provider.
    fn encode_call(&self, call: &Call, losses: &mut Losses) -> Vec<u8>;

    /// Reads a whole reply of a provider.
    fn decode_reply(&self, body: &[u8]) -> Result<Reply, Fault>;

    /// Writes a reply for a caller.
    fn encode_reply(&self, reply: &Reply, created_unix_s: i64, losses: &mut Losses) -> Vec<u8>;

    /// How the events of a stream are put together.
    fn framing(&self) -> Framing {
        Framing::ServerSentEvents
    }

    /// Writes a streamed reply for a caller.
    fn stream_encoder(&self, settings: StreamSettings, framing: Framing) -> Box<dyn EncodeStream>;

    /// Reads a streamed reply of a provider.
    fn stream_decoder(&self) -> Box<dyn DecodeStream>;

    /// Writes an error as the last event of a stream, after so many others.
    fn stream_error(&self, error: &ErrorView<'_>, sequence_number: u64, out: &mut Vec<u8>);

    /// The usage within a complete reply.
    fn reply_usage(&self, body: &[u8]) -> Option<Reported>;

    /// Reads one stream event in passing.
    fn observe(&self, name: &[u8], data: &[u8], tally: &mut Tally) -> Seen;
}

/// The wire format of a dialect.
pub(crate) fn of(dialect: Dialect) -> &'static dyn Wire {
    match dialect {
        Dialect::OpenAiChat => &openai_chat::OpenAiChat,
        Dialect::OpenAiResponses => &openai_responses::OpenAiResponses,
        Dialect::AnthropicMessages => &anthropic_messages::AnthropicMessages,
        Dialect::Gemini => &gemini::Gemini,
        Dialect::CohereChat => &cohere_chat::CohereChat,
        Dialect::BedrockConverse => &bedrock_converse::BedrockConverse,
    }
}
