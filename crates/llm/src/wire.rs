//! The dialects, one file each: this is the only place that lists them.

mod anthropic_messages;
mod openai_chat;

use crate::{
    head::HeadRules,
    usage::{Reported, Seen, Tally},
};
use seaworthy_core::dialect::Dialect;

/// One wire format, without state.
pub(crate) trait Wire: Sync {
    /// What requests look like at their top level.
    fn head_rules(&self) -> &'static HeadRules;

    /// The usage within a complete reply.
    fn reply_usage(&self, body: &[u8]) -> Option<Reported>;

    /// Reads one stream event in passing.
    fn observe(&self, name: &[u8], data: &[u8], tally: &mut Tally) -> Seen;
}

/// The wire format of a dialect.
pub(crate) fn of(dialect: Dialect) -> &'static dyn Wire {
    match dialect {
        Dialect::OpenAiChat => &openai_chat::OpenAiChat,
        Dialect::AnthropicMessages => &anthropic_messages::AnthropicMessages,
    }
}
