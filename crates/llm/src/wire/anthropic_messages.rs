//! Anthropic messages, `POST /v1/messages`.

mod usage;

use super::Wire;
use crate::{
    head::HeadRules,
    usage::{Reported, Seen, Tally},
};

/// Anthropic messages.
pub(super) struct AnthropicMessages;

const HEAD: HeadRules = HeadRules {
    roles: &["user", "assistant", "system"],
    max_tokens: &["max_tokens"],
    max_tokens_required: true,
    // Zero fills the prompt cache without an answer.
    max_tokens_least: 0,
    choices: None,
    usage_on_request: false,
};

impl Wire for AnthropicMessages {
    fn head_rules(&self) -> &'static HeadRules {
        &HEAD
    }

    fn reply_usage(&self, body: &[u8]) -> Option<Reported> {
        usage::of_reply(body)
    }

    fn observe(&self, name: &[u8], data: &[u8], tally: &mut Tally) -> Seen {
        usage::observe(name, data, tally)
    }
}
