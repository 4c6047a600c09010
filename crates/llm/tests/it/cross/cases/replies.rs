//! Replies that differ in what is said, and in why the model stopped.

#![expect(clippy::too_many_lines, reason = "a list is read line by line")]

use super::{call_of, sealed, text};
use seaworthy_core::{
    call::{Block, Reply, StopReason},
    dialect::Dialect,
    usage::Usage,
};

/// Every reply by its name.
pub(crate) fn replies() -> Vec<(&'static str, Reply)> {
    let reply = |blocks, stop_reason| Reply {
        id: "a1".to_owned(),
        model: "m1".to_owned(),
        blocks,
        stop_reason,
        stop_sequence: None,
        usage: Some(Usage {
            input_tokens: 40,
            cached_read_tokens: 64,
            cache_write_5m_tokens: 10,
            cache_write_1h_tokens: 6,
            output_tokens: 30,
            reasoning_tokens: 12,
            audio_input_tokens: 4,
            audio_output_tokens: 2,
            estimated: false,
        }),
        unknown_fields: Vec::new(),
    };
    let call = || call_of("c1", r#"{"city":"Kiel"}"#);
    let thinking = |signature| Block::Thinking {
        text: "Hm.".to_owned(),
        signature,
    };
    let stopped = Reply {
        stop_sequence: Some("END".to_owned()),
        ..reply(vec![text("One.")], StopReason::StopSequence)
    };
    let mut replies = vec![
        ("text", reply(vec![text("Five é.")], StopReason::EndTurn)),
        ("tool", reply(vec![call()], StopReason::ToolUse)),
        (
            "tools_after_text",
            reply(
                vec![text("Look."), call(), call_of("c2", "{}")],
                StopReason::ToolUse,
            ),
        ),
        (
            "thinking",
            reply(vec![thinking(None), text("One.")], StopReason::EndTurn),
        ),
        (
            "refusal",
            reply(vec![Block::Refusal("No.".to_owned())], StopReason::Refusal),
        ),
        ("stop_sequence", stopped),
        (
            "max_tokens",
            reply(vec![text("One")], StopReason::MaxTokens),
        ),
        (
            "content_filter",
            reply(vec![text("One")], StopReason::ContentFilter),
        ),
        (
            "context_window",
            reply(vec![text("One")], StopReason::ContextWindowExceeded),
        ),
        ("paused", reply(vec![text("One")], StopReason::Paused)),
    ];
    for dialect in [
        Dialect::OpenAiResponses,
        Dialect::AnthropicMessages,
        Dialect::Gemini,
        Dialect::BedrockConverse,
    ] {
        let signed = thinking(Some(sealed(dialect)));
        let name = match dialect {
            Dialect::OpenAiResponses => "signed_by_openai_responses",
            Dialect::AnthropicMessages => "signed_by_anthropic_messages",
            Dialect::Gemini => "signed_by_gemini",
            _ => "signed_by_bedrock_converse",
        };
        replies.push((name, reply(vec![signed, call()], StopReason::ToolUse)));
    }
    let hidden = Block::EncryptedThinking(sealed(Dialect::AnthropicMessages));
    replies.push((
        "sealed",
        reply(vec![hidden, text("One.")], StopReason::EndTurn),
    ));
    replies
}
