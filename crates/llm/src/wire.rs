//! The dialects, one file each: this is the only place that lists them.

mod anthropic_messages;
mod openai_chat;

use crate::{
    fault::Fault,
    head::HeadRules,
    loss::Losses,
    stream::{DecodeStream, EncodeStream, StreamSettings},
    usage::{Reported, Seen, Tally},
};
use seaworthy_core::{
    call::{Block, Call, Reply},
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

    /// Writes a streamed reply for a caller.
    fn stream_encoder(&self, settings: StreamSettings) -> Box<dyn EncodeStream>;

    /// Reads a streamed reply of a provider.
    fn stream_decoder(&self) -> Box<dyn DecodeStream>;

    /// The usage within a complete reply.
    fn reply_usage(&self, body: &[u8]) -> Option<Reported>;

    /// Reads one stream event in passing.
    fn observe(&self, name: &[u8], data: &[u8], tally: &mut Tally) -> Seen;
}

/// Blocks with the index they have on the wire, where a cache point is a mark of the block before.
pub(crate) fn numbered(blocks: &[Block]) -> impl Iterator<Item = (usize, &Block)> {
    let mut next = 0;
    blocks.iter().map(move |block| {
        if !matches!(block, Block::CachePoint(_)) {
            next += 1;
        }
        (next.max(1) - 1, block)
    })
}

/// The wire format of a dialect.
pub(crate) fn of(dialect: Dialect) -> &'static dyn Wire {
    match dialect {
        Dialect::OpenAiChat => &openai_chat::OpenAiChat,
        Dialect::AnthropicMessages => &anthropic_messages::AnthropicMessages,
    }
}
