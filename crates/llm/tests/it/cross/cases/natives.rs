//! Requests that make use of what one API has alone, as its callers send them.

#![expect(clippy::too_many_lines, reason = "a list is read line by line")]

use crate::support::decode_of;
use seaworthy_core::{call::Call, dialect::Dialect};
use seaworthy_llm::InPath;
use serde_json::{Value, json};

/// A request of one API.
pub(crate) struct Native {
    /// What its caller speaks.
    pub(crate) caller: Dialect,
    /// What it makes use of.
    pub(crate) what: &'static str,
    /// The request.
    body: Value,
}

impl Native {
    /// The request.
    pub(crate) fn body(&self) -> &Value {
        &self.body
    }

    /// The request as a canonical call.
    pub(crate) fn read(&self) -> Call {
        let path = InPath {
            model: MODEL,
            stream: false,
        };
        let body = self.body.to_string();
        decode_of(self.caller, path, body.as_bytes())
            .unwrap_or_else(|fault| panic!("{}: {fault:?}", self.what))
    }
}

/// A model for which nobody knows more than its API says.
const MODEL: &str = "m";

/// The least request of a dialect.
fn least(caller: Dialect) -> Value {
    let said = json!([{"role": "user", "content": "Hi"}]);
    match caller {
        Dialect::OpenAiChat | Dialect::CohereChat => json!({"model": MODEL, "messages": said}),
        Dialect::OpenAiResponses => json!({"model": MODEL, "input": "Hi"}),
        Dialect::AnthropicMessages => json!({"model": MODEL, "max_tokens": 9, "messages": said}),
        Dialect::Gemini => json!({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}),
        Dialect::BedrockConverse => {
            json!({"messages": [{"role": "user", "content": [{"text": "Hi"}]}]})
        }
    }
}

fn user(parts: &Value) -> Value {
    json!([{"role": "user", "content": parts}])
}

/// The least request of a dialect with more fields, by what they are for.
pub(crate) fn natives() -> Vec<Native> {
    let parts = |parts: Value| json!([{"role": "user", "parts": parts}]);
    let function = json!({"type": "function", "function": {"name": "f"}});
    let called =
        json!({"id": "c1", "type": "function", "function": {"name": "f", "arguments": "[1]"}});
    let strange_call = json!([
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "tool_calls": [called]},
        {"role": "tool", "tool_call_id": "c1", "content": "ok"},
    ]);
    let custom = json!({"type": "custom", "custom": {"name": "sql"}});
    let allowed = json!({"mode": "auto", "tools": [function, custom]});
    let glance = json!({"url": "https://example.org/a.png", "detail": "low"});
    let search = json!({"type": "web_search_20260209", "name": "web_search"});
    let guarded = json!({"guardrailIdentifier": "gr-1", "guardrailVersion": "1"});
    let bucket = |kind: &str, format: &str| {
        let medium = json!({"format": format, "source": {"s3Location": {"uri": "s3://b/k"}}});
        user(&json!([{kind: medium}]))
    };
    let responses_file =
        json!([{"role": "user", "content": [{"type": "input_file", "file_id": "file_1"}]}]);
    let chat = Dialect::OpenAiChat;
    let responses = Dialect::OpenAiResponses;
    let anthropic = Dialect::AnthropicMessages;
    let (gemini, cohere, bedrock) = (
        Dialect::Gemini,
        Dialect::CohereChat,
        Dialect::BedrockConverse,
    );
    let listed: Vec<(Dialect, &'static str, Value)> = vec![
        (
            chat,
            "`logprobs`",
            json!({"logprobs": true, "top_logprobs": 3}),
        ),
        (chat, "`logit_bias`", json!({"logit_bias": {"50256": -100}})),
        (
            chat,
            "`prediction`",
            json!({"prediction": {"type": "content", "content": "a"}}),
        ),
        (
            chat,
            "spoken answers",
            json!({"modalities": ["text", "audio"], "audio": {"voice": "a", "format": "wav"}}),
        ),
        (
            chat,
            "`web_search_options`",
            json!({"web_search_options": {}}),
        ),
        (
            chat,
            "`include_obfuscation`",
            json!({"stream": true, "stream_options": {"include_obfuscation": true}}),
        ),
        (
            chat,
            "`detail` of a picture",
            json!({"messages": user(&json!([{"type": "image_url", "image_url": glance}]))}),
        ),
        (
            chat,
            "custom tool",
            json!({"tools": [{"type": "custom", "custom": {"name": "sql"}}]}),
        ),
        (
            chat,
            "allowed tools, a custom one among them",
            json!({"tools": [function], "tool_choice": {"type": "allowed_tools", "allowed_tools": allowed}}),
        ),
        (
            chat,
            "earlier call whose arguments are no object",
            json!({"messages": strange_call, "tools": [function]}),
        ),
        (responses, "`background`", json!({"background": true})),
        (
            responses,
            "`conversation`",
            json!({"conversation": "conv_1"}),
        ),
        (responses, "`truncation`", json!({"truncation": "auto"})),
        (responses, "`max_tool_calls`", json!({"max_tool_calls": 2})),
        (
            responses,
            "fill the cache only (`prewarm`)",
            json!({"prompt_cache_options": {"prewarm": true}}),
        ),
        (
            responses,
            "`reasoning.summary`",
            json!({"reasoning": {"summary": "auto"}}),
        ),
        (responses, "`top_logprobs`", json!({"top_logprobs": 3})),
        (
            responses,
            "stored prompt",
            json!({"prompt": {"id": "pmpt_1"}}),
        ),
        (
            responses,
            "web search",
            json!({"tools": [{"type": "web_search"}]}),
        ),
        (
            responses,
            "file by its ID",
            json!({"input": responses_file}),
        ),
        (
            anthropic,
            "fill the cache only (`max_tokens: 0`)",
            json!({"max_tokens": 0}),
        ),
        (
            anthropic,
            "reasoning, of a model that is not Claude",
            json!({"max_tokens": 5_000, "thinking": {"type": "enabled", "budget_tokens": 2_048}}),
        ),
        (
            anthropic,
            "`context_management`",
            json!({"context_management": {"edits": []}}),
        ),
        (anthropic, "`container`", json!({"container": "c1"})),
        (
            anthropic,
            "`mcp_servers`",
            json!({"mcp_servers": [{"type": "url", "url": "https://example.org", "name": "a"}]}),
        ),
        (anthropic, "web search", json!({"tools": [search]})),
        (
            anthropic,
            "search result",
            json!({"messages": user(&json!([{"type": "search_result", "source": "s", "title": "t", "content": []}]))}),
        ),
        (
            gemini,
            "`safetySettings`",
            json!({"safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]}),
        ),
        (
            gemini,
            "`cachedContent`",
            json!({"cachedContent": "cachedContents/x"}),
        ),
        (
            gemini,
            "`responseModalities`",
            json!({"generationConfig": {"responseModalities": ["IMAGE"]}}),
        ),
        (
            gemini,
            "`responseLogprobs`",
            json!({"generationConfig": {"responseLogprobs": true}}),
        ),
        (
            gemini,
            "`mediaResolution`",
            json!({"generationConfig": {"mediaResolution": "MEDIA_RESOLUTION_LOW"}}),
        ),
        (
            gemini,
            "`candidateCount` above 1",
            json!({"generationConfig": {"candidateCount": 2}}),
        ),
        (gemini, "search", json!({"tools": [{"googleSearch": {}}]})),
        (
            gemini,
            "video",
            json!({"contents": parts(json!([{"fileData": {"mimeType": "video/mp4", "fileUri": "https://youtu.be/x"}}]))}),
        ),
        (
            cohere,
            "`documents`",
            json!({"documents": [{"id": "1", "data": {"text": "Kiel is a port."}}]}),
        ),
        (
            cohere,
            "`citation_options`",
            json!({"citation_options": {"mode": "FAST"}}),
        ),
        (cohere, "`safety_mode`", json!({"safety_mode": "NONE"})),
        (cohere, "`logprobs`", json!({"logprobs": true})),
        (
            bedrock,
            "`guardrailConfig`",
            json!({"guardrailConfig": guarded}),
        ),
        (
            bedrock,
            "`performanceConfig`",
            json!({"performanceConfig": {"latency": "optimized"}}),
        ),
        (
            bedrock,
            "`promptVariables`",
            json!({"promptVariables": {"a": {"text": "b"}}}),
        ),
        (
            bedrock,
            "`additionalModelRequestFields`",
            json!({"additionalModelRequestFields": {"x": 1}}),
        ),
        (
            bedrock,
            "`additionalModelResponseFieldPaths`",
            json!({"additionalModelResponseFieldPaths": ["/x"]}),
        ),
        (
            bedrock,
            "guarded text",
            json!({"messages": user(&json!([{"guardContent": {"text": {"text": "a"}}}]))}),
        ),
        (
            bedrock,
            "picture in S3",
            json!({"messages": bucket("image", "png")}),
        ),
        (
            bedrock,
            "video in S3",
            json!({"messages": bucket("video", "mp4")}),
        ),
    ];
    let native = |(caller, what, more): (Dialect, &'static str, Value)| {
        let mut body = least(caller);
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        Native { caller, what, body }
    };
    listed.into_iter().map(native).collect()
}
