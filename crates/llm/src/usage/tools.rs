//! Which tools an answer calls, and how many images it brings: what is paid for by the piece.

use memchr::memmem;
use seaworthy_core::dialect::Dialect;
use serde_json::Value;

/// One thing in an answer that can have a price of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// A tool that the caller is to run, by its name.
    Called(String),
    /// A tool that the provider has run, by its name.
    Ran(String),
    /// How often the provider has run a tool in the whole of its answer, as it reports itself: what
    /// counts instead of single calls, of which some are free because they failed.
    Total(&'static str, u64),
    /// An image that was generated.
    Image,
}

/// The pieces of a complete reply.
#[must_use]
pub fn pieces_of_reply(dialect: Dialect, body: &[u8]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    if may_hold_any(body)
        && let Ok(reply) = serde_json::from_slice::<Value>(body)
    {
        match dialect {
            Dialect::OpenAiChat => each(&reply["choices"], |choice| {
                chat(&choice["message"], &mut pieces)
            }),
            Dialect::OpenAiResponses => {
                each(&reply["output"], |item| response_item(item, &mut pieces))
            }
            Dialect::AnthropicMessages => {
                each(&reply["content"], |block| message_block(block, &mut pieces));
                message_usage(&reply["usage"], &mut pieces);
            }
            Dialect::Gemini => gemini(&reply, &mut pieces),
            Dialect::CohereChat => chat(&reply["message"], &mut pieces),
            Dialect::BedrockConverse => each(&reply["output"]["message"]["content"], |block| {
                called(&block["toolUse"]["name"], &mut pieces);
            }),
        }
    }
    pieces
}

/// The pieces that an event of a stream brings. Each is in exactly one event.
#[must_use]
pub fn pieces_of_event(dialect: Dialect, data: &[u8]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    if may_hold_any(data)
        && let Ok(event) = serde_json::from_slice::<Value>(data)
    {
        match dialect {
            Dialect::OpenAiChat => each(&event["choices"], |choice| {
                chat(&choice["delta"], &mut pieces)
            }),
            Dialect::OpenAiResponses if event["type"] == "response.output_item.done" => {
                response_item(&event["item"], &mut pieces);
            }
            Dialect::AnthropicMessages => {
                message_block(&event["content_block"], &mut pieces);
                message_usage(&event["usage"], &mut pieces);
            }
            Dialect::Gemini => gemini(&event, &mut pieces),
            Dialect::CohereChat => chat(&event["delta"]["message"], &mut pieces),
            Dialect::BedrockConverse => {
                let start = &event["contentBlockStart"]["start"];
                called(&start["toolUse"]["name"], &mut pieces);
                called(&event["start"]["toolUse"]["name"], &mut pieces);
            }
            Dialect::OpenAiResponses => {}
        }
    }
    pieces
}

/// A look that costs little, before a parse that costs more.
fn may_hold_any(data: &[u8]) -> bool {
    let marks = [
        &b"\"name\""[..],
        b"_call\"",
        b"inlineData",
        b"_requests\"",
        b"groundingMetadata",
    ];
    marks.iter().any(|mark| memmem::find(data, mark).is_some())
}

fn each(values: &Value, look: impl FnMut(&Value)) {
    values.as_array().into_iter().flatten().for_each(look);
}

fn called(name: &Value, pieces: &mut Vec<Piece>) {
    if let Some(name) = name.as_str().filter(|name| !name.is_empty()) {
        pieces.push(Piece::Called(name.to_owned()));
    }
}

/// OpenAI's and Cohere's list of tool calls; streams name a tool only where its call begins.
fn chat(message: &Value, pieces: &mut Vec<Piece>) {
    let calls = &message["tool_calls"];
    called(&calls["function"]["name"], pieces);
    each(calls, |call| called(&call["function"]["name"], pieces));
}

fn message_block(block: &Value, pieces: &mut Vec<Piece>) {
    match block["type"].as_str() {
        Some("tool_use") => called(&block["name"], pieces),
        Some("server_tool_use" | "mcp_tool_use") => {
            let name = block["name"].as_str().unwrap_or_default();
            pieces.push(Piece::Ran(name.to_owned()));
        }
        _ => {}
    }
}

/// What Anthropic says that it has searched; searches that failed are not in it.
fn message_usage(usage: &Value, pieces: &mut Vec<Piece>) {
    if let Some(searches) = usage["server_tool_use"]["web_search_requests"].as_u64() {
        pieces.push(Piece::Total("web_search", searches));
    }
}

fn response_item(item: &Value, pieces: &mut Vec<Piece>) {
    match item["type"].as_str() {
        Some("function_call" | "custom_tool_call") => called(&item["name"], pieces),
        Some("image_generation_call") => pieces.push(Piece::Image),
        Some("mcp_call") => {
            let name = item["name"].as_str().unwrap_or_default();
            pieces.push(Piece::Ran(name.to_owned()));
        }
        // Looking at what a search has found is part of it.
        Some("web_search_call") if matches!(item["action"]["type"].as_str(), Some(action) if action != "search") =>
            {}
        Some(kind) => {
            if let Some(tool) = kind.strip_suffix("_call") {
                pieces.push(Piece::Ran(tool.to_owned()));
            }
        }
        None => {}
    }
}

fn gemini(reply: &Value, pieces: &mut Vec<Piece>) {
    grounding(reply, pieces);
    each(&reply["candidates"], |candidate| {
        each(&candidate["content"]["parts"], |part| {
            called(&part["functionCall"]["name"], pieces);
            let media = part["inlineData"]["mimeType"].as_str();
            if media.is_some_and(|media| media.starts_with("image/")) {
                pieces.push(Piece::Image);
            }
        });
    });
}

/// What an answer of Gemini rests on. A stream says it as a whole, where it says it.
fn grounding(reply: &Value, pieces: &mut Vec<Piece>) {
    let (mut searches, mut maps) = (0, 0);
    each(&reply["candidates"], |candidate| {
        let grounding = &candidate["groundingMetadata"];
        each(&grounding["webSearchQueries"], |_| searches += 1);
        each(&grounding["groundingChunks"], |chunk| {
            maps += u64::from(chunk["maps"].is_object());
        });
    });
    for (tool, count) in [("google_search", searches), ("google_maps", maps)] {
        if count > 0 {
            pieces.push(Piece::Total(tool, count));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn called(name: &str) -> Piece {
        Piece::Called(name.to_owned())
    }

    #[test]
    fn whole_replies_name_their_tools_once() {
        let openai = br#"{"choices":[{"message":{"tool_calls":[{"function":{"name":"a","arguments":"{\"tool_calls\":[{\"name\":\"x\"}]}"}},{"function":{"name":"b"}}]}}]}"#;
        assert_eq!(
            pieces_of_reply(Dialect::OpenAiChat, openai),
            [called("a"), called("b")]
        );
        let responses = br#"{"output":[{"type":"function_call","name":"a"},{"type":"web_search_call"},{"type":"image_generation_call"},{"type":"message"}]}"#;
        assert_eq!(
            pieces_of_reply(Dialect::OpenAiResponses, responses),
            [called("a"), Piece::Ran("web_search".into()), Piece::Image]
        );
        let anthropic = br#"{"content":[{"type":"text","text":"\"name\""},{"type":"tool_use","name":"a","input":{"type":"tool_use","name":"x"}},{"type":"server_tool_use","name":"web_search"}]}"#;
        assert_eq!(
            pieces_of_reply(Dialect::AnthropicMessages, anthropic),
            [called("a"), Piece::Ran("web_search".into())]
        );
        let gemini = br#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"a"}},{"inlineData":{"mimeType":"image/png","data":""}}]}}]}"#;
        assert_eq!(
            pieces_of_reply(Dialect::Gemini, gemini),
            [called("a"), Piece::Image]
        );
        let bedrock =
            br#"{"output":{"message":{"content":[{"toolUse":{"name":"a","input":{}}}]}}}"#;
        assert_eq!(
            pieces_of_reply(Dialect::BedrockConverse, bedrock),
            [called("a")]
        );
    }

    #[test]
    fn what_providers_run_is_counted_as_they_count_it() {
        let anthropic = br#"{"content":[{"type":"server_tool_use","name":"web_search"},{"type":"server_tool_use","name":"web_fetch"}],"usage":{"server_tool_use":{"web_search_requests":0}}}"#;
        let ran = |name: &str| Piece::Ran(name.to_owned());
        assert_eq!(
            pieces_of_reply(Dialect::AnthropicMessages, anthropic),
            [
                ran("web_search"),
                ran("web_fetch"),
                Piece::Total("web_search", 0)
            ]
        );
        let end = br#"{"type":"message_delta","usage":{"output_tokens":5,"server_tool_use":{"web_search_requests":3}}}"#;
        assert_eq!(
            pieces_of_event(Dialect::AnthropicMessages, end),
            [Piece::Total("web_search", 3)]
        );
        let gemini = br#"{"candidates":[{"groundingMetadata":{"webSearchQueries":["a","b"],"groundingChunks":[{"web":{}},{"maps":{}}]}}]}"#;
        let grounded = [
            Piece::Total("google_search", 2),
            Piece::Total("google_maps", 1),
        ];
        assert_eq!(pieces_of_reply(Dialect::Gemini, gemini), grounded);
        assert_eq!(pieces_of_event(Dialect::Gemini, gemini), grounded);
        let responses = br#"{"output":[{"type":"web_search_call","action":{"type":"search"}},{"type":"web_search_call","action":{"type":"open_page"}}]}"#;
        assert_eq!(
            pieces_of_reply(Dialect::OpenAiResponses, responses),
            [ran("web_search")]
        );
    }

    #[test]
    fn streams_name_a_tool_where_its_call_begins() {
        let openai = br#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"name":"a","arguments":""}}]}}]}"#;
        assert_eq!(pieces_of_event(Dialect::OpenAiChat, openai), [called("a")]);
        let more = br#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\"name\""}}]}}]}"#;
        assert_eq!(pieces_of_event(Dialect::OpenAiChat, more), []);
        let anthropic =
            br#"{"type":"content_block_start","content_block":{"type":"tool_use","name":"a"}}"#;
        assert_eq!(
            pieces_of_event(Dialect::AnthropicMessages, anthropic),
            [called("a")]
        );
        let item = |kind: &str| {
            format!(r#"{{"type":"{kind}","item":{{"type":"function_call","name":"a"}}}}"#)
        };
        for (kind, count) in [
            ("response.output_item.added", 0),
            ("response.output_item.done", 1),
        ] {
            let pieces = pieces_of_event(Dialect::OpenAiResponses, item(kind).as_bytes());
            assert_eq!(pieces.len(), count, "{kind}");
        }
        let cohere = br#"{"type":"tool-call-start","delta":{"message":{"tool_calls":{"function":{"name":"a"}}}}}"#;
        assert_eq!(pieces_of_event(Dialect::CohereChat, cohere), [called("a")]);
        let bedrock = br#"{"contentBlockIndex":0,"start":{"toolUse":{"name":"a"}}}"#;
        assert_eq!(
            pieces_of_event(Dialect::BedrockConverse, bedrock),
            [called("a")]
        );
    }
}
