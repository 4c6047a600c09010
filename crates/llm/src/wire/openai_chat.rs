//! OpenAI chat completions, `POST /v1/chat/completions`, as its many imitators speak it too.

mod usage;

use super::Wire;
use crate::{
    head::HeadRules,
    usage::{Reported, Seen, Tally},
};

/// OpenAI chat completions.
pub(super) struct OpenAiChat;

const HEAD: HeadRules = HeadRules {
    roles: &[
        "developer",
        "system",
        "user",
        "assistant",
        "tool",
        "function",
    ],
    max_tokens: &["max_completion_tokens", "max_tokens"],
    max_tokens_required: false,
    max_tokens_least: 1,
    choices: Some("n"),
    usage_on_request: true,
};

impl Wire for OpenAiChat {
    fn head_rules(&self) -> &'static HeadRules {
        &HEAD
    }

    fn reply_usage(&self, body: &[u8]) -> Option<Reported> {
        usage::of_reply(body)
    }

    fn observe(&self, _name: &[u8], data: &[u8], tally: &mut Tally) -> Seen {
        usage::observe(data, tally)
    }
}
