//! What a provider says a call consumed, and an estimate where it says nothing.

mod meter;
mod reported;
mod tools;

pub use meter::{Seen, UsageMeter};
pub(crate) use meter::{Tally, event_type, has_value, string_bytes};
pub(crate) use reported::{Reported, count, count_of};
pub use tools::{Piece, pieces_of_event, pieces_of_reply};

use crate::wire;
use seaworthy_core::{
    call::{Block, Call, MediaSource, Tool},
    dialect::Dialect,
    usage::Usage,
};

/// The usage within a complete reply; `None` if the provider does not say, which is not zero.
#[must_use]
pub fn from_reply(dialect: Dialect, body: &[u8]) -> Option<Usage> {
    wire::of(dialect).reply_usage(body)?.complete()
}

/// What a complete reply used: as its provider says, and where that says nothing a guess, from the size of
/// the request and of what the model wrote.
#[must_use]
pub fn of_reply(dialect: Dialect, body: &[u8], input_bytes: usize) -> Usage {
    let wire = wire::of(dialect);
    let reported = wire.reply_usage(body).unwrap_or_default();
    let mut usage = reported.to_usage();
    if !reported.has_input() {
        usage.input_tokens = tokens_in(input_bytes);
        usage.estimated = true;
    }
    if reported.output.is_none() {
        usage.output_tokens = match wire.decode_reply(body) {
            Ok(reply) => reply.blocks.iter().map(tokens_in_block).sum::<u64>().max(1),
            Err(_) => tokens_in(body.len()),
        };
        usage.estimated = true;
    }
    usage
}

/// A guess from sizes: a token is about four bytes of text.
#[must_use]
pub fn estimate(input_bytes: usize, output_bytes: usize) -> Usage {
    Usage {
        input_tokens: tokens_in(input_bytes),
        output_tokens: tokens_in(output_bytes),
        estimated: true,
        ..Usage::default()
    }
}

/// A guess at the input tokens of a call: its texts, and a flat rate for each medium and message.
#[must_use]
pub fn estimate_input(call: &Call) -> u64 {
    let said = call.messages.iter().flat_map(|message| &message.blocks);
    let blocks: u64 = call.system.iter().chain(said).map(tokens_in_block).sum();
    let tools: u64 = call.tools.iter().map(tokens_in_tool).sum();
    let messages = u64::try_from(call.messages.len()).unwrap_or(u64::MAX);
    blocks + tools + TOKENS_PER_MESSAGE * messages
}

/// What marks the start, the speaker and the end of a message.
const TOKENS_PER_MESSAGE: u64 = 4;

/// A picture of full size, or about a page of a document.
const TOKENS_PER_MEDIUM: u64 = 1_600;

fn tokens_in_block(block: &Block) -> u64 {
    match block {
        Block::Text(text) | Block::Refusal(text) => tokens_in(text.len()),
        Block::EncryptedThinking(sealed) => tokens_in(sealed.text.len()),
        Block::Thinking { text, .. } => tokens_in(text.len()),
        Block::Media(media) => match &media.source {
            MediaSource::Text(text) => tokens_in(text.len()),
            MediaSource::Base64 { .. } | MediaSource::Url(_) | MediaSource::FileId { .. } => {
                TOKENS_PER_MEDIUM
            }
        },
        Block::ToolUse {
            name, arguments, ..
        } => tokens_in(name.len() + arguments.len()),
        Block::ToolResult { blocks, .. } => blocks.iter().map(tokens_in_block).sum(),
        Block::Native(native) => tokens_in(native.json.len()),
        Block::CachePoint(_) => 0,
    }
}

fn tokens_in_tool(tool: &Tool) -> u64 {
    match tool {
        Tool::Function(function) => {
            let description = function.description.as_ref().map_or(0, String::len);
            let schema = function.schema.as_ref().map_or(0, String::len);
            tokens_in(function.name.len() + description + schema)
        }
        Tool::Native(native) => tokens_in(native.json.len()),
    }
}

/// About how many tokens so many bytes of text are.
fn tokens_in(bytes: usize) -> u64 {
    u64::try_from(bytes.div_ceil(4)).unwrap_or(u64::MAX)
}
