//! The calls and replies of the table: each makes use of one thing that dialects differ in.

use seaworthy_core::{
    call::{
        Block, CacheTtl, Call, Effort, Function, Media, MediaKind, MediaSource, Message, Native,
        Reasoning, ReasoningMode, Reply, ResponseFormat, Role, Sampling, Sealed, StopReason, Tool,
        ToolChoice,
    },
    dialect::Dialect,
    usage::Usage,
};

const SCHEMA: &str = r#"{"type":"object","properties":{"city":{"type":"string"}}}"#;

fn said(role: Role, blocks: Vec<Block>) -> Message {
    Message {
        role,
        name: None,
        blocks,
    }
}

fn text(text: &str) -> Block {
    Block::Text(text.to_owned())
}

fn asked() -> Call {
    Call {
        model: "claude-gpt-gemini".to_owned(),
        messages: vec![said(Role::User, vec![text("Weather in Kiel?")])],
        max_output_tokens: Some(500),
        ..Call::default()
    }
}

fn weather() -> Function {
    Function {
        name: "get_weather".to_owned(),
        description: Some("Weather of a city.".to_owned()),
        schema: Some(SCHEMA.to_owned()),
        strict: Some(false),
        cache: None,
    }
}

fn call_of(id: &str, arguments: &str) -> Block {
    Block::ToolUse {
        id: id.to_owned(),
        name: "get_weather".to_owned(),
        arguments: arguments.to_owned(),
    }
}

fn result_of(id: &str, blocks: Vec<Block>, is_error: bool) -> Block {
    Block::ToolResult {
        tool_use_id: id.to_owned(),
        blocks,
        is_error,
    }
}

fn with_tools(tool_choice: Option<ToolChoice>) -> Call {
    Call {
        tools: vec![Tool::Function(weather())],
        tool_choice,
        ..asked()
    }
}

fn picture(source: MediaSource) -> Block {
    Block::Media(Media {
        kind: MediaKind::Image,
        source,
        name: None,
        detail: None,
    })
}

fn base64(media_type: &str) -> MediaSource {
    MediaSource::Base64 {
        media_type: media_type.to_owned(),
        data: "AAAA".to_owned(),
    }
}

fn medium(kind: MediaKind, source: MediaSource) -> Call {
    let medium = Block::Media(Media {
        kind,
        source,
        name: None,
        detail: None,
    });
    saying(vec![text("What is this?"), medium])
}

fn saying(blocks: Vec<Block>) -> Call {
    Call {
        messages: vec![said(Role::User, blocks)],
        ..asked()
    }
}

fn formatted(response_format: ResponseFormat) -> Call {
    Call {
        response_format: Some(response_format),
        ..asked()
    }
}

fn reasoning(mode: Option<ReasoningMode>, effort: Option<Effort>) -> Call {
    Call {
        reasoning: Reasoning { mode, effort },
        ..asked()
    }
}

fn sampled(sampling: Sampling) -> Call {
    Call {
        sampling,
        ..asked()
    }
}

fn sealed(dialect: Dialect) -> Sealed {
    Sealed {
        dialect,
        text: "c2ln".to_owned(),
    }
}

/// A conversation in which the model thought before it called a tool.
fn thought(block: Block) -> Call {
    Call {
        messages: vec![
            said(Role::User, vec![text("Weather in Kiel?")]),
            said(Role::Assistant, vec![block, call_of("c1", "{}")]),
            said(Role::User, vec![result_of("c1", vec![text("calm")], false)]),
        ],
        ..with_tools(None)
    }
}

/// Every call by its name.
pub(super) fn calls() -> Vec<(&'static str, Call)> {
    let mut calls = conversations();
    calls.extend(tools());
    calls.extend(settings());
    calls
}

fn conversations() -> Vec<(&'static str, Call)> {
    let turns = vec![
        said(Role::User, vec![text("One?")]),
        said(Role::Assistant, vec![text("One.")]),
        said(Role::User, vec![text("Two?"), text("Or three?")]),
    ];
    let named = Message {
        name: Some("ann".to_owned()),
        ..said(Role::User, vec![text("Hi")])
    };
    let url = MediaSource::Url("https://example.org/a.png".to_owned());
    let unsigned = Block::Thinking {
        text: "Hm.".to_owned(),
        signature: None,
    };
    let mut calls = vec![
        ("text", asked()),
        (
            "streamed",
            Call {
                stream: true,
                ..asked()
            },
        ),
        (
            "instructions",
            Call {
                system: vec![text("Be brief.")],
                ..asked()
            },
        ),
        (
            "two_instructions",
            Call {
                system: vec![text("Be brief."), text("Be kind.")],
                ..asked()
            },
        ),
        (
            "turns",
            Call {
                messages: turns.clone(),
                ..asked()
            },
        ),
        (
            "prefill",
            Call {
                messages: turns[..2].to_vec(),
                ..asked()
            },
        ),
        (
            "late_instruction",
            Call {
                messages: vec![
                    turns[0].clone(),
                    turns[1].clone(),
                    said(Role::System, vec![text("Night.")]),
                    turns[2].clone(),
                ],
                ..asked()
            },
        ),
        (
            "speaker",
            Call {
                messages: vec![named],
                ..asked()
            },
        ),
        (
            "picture",
            saying(vec![text("See:"), picture(base64("image/png"))]),
        ),
        ("picture_url", saying(vec![text("See:"), picture(url)])),
        ("audio", medium(MediaKind::Audio, base64("audio/wav"))),
        (
            "document",
            medium(MediaKind::Document, base64("application/pdf")),
        ),
        (
            "cache_point",
            saying(vec![text("Long."), Block::CachePoint(CacheTtl::Hour)]),
        ),
        ("unsigned_thinking", thought(unsigned)),
    ];
    for dialect in Dialect::ALL {
        let signed = Block::Thinking {
            text: "Hm.".to_owned(),
            signature: Some(sealed(dialect)),
        };
        let (signed_name, sealed_name) = match dialect {
            Dialect::OpenAiChat => continue,
            Dialect::CohereChat => continue,
            Dialect::OpenAiResponses => {
                ("signed_by_openai_responses", "sealed_by_openai_responses")
            }
            Dialect::AnthropicMessages => (
                "signed_by_anthropic_messages",
                "sealed_by_anthropic_messages",
            ),
            Dialect::Gemini => {
                calls.push(("signed_by_gemini", thought(signed)));
                continue;
            }
            Dialect::BedrockConverse => {
                ("signed_by_bedrock_converse", "sealed_by_bedrock_converse")
            }
        };
        calls.push((signed_name, thought(signed)));
        calls.push((
            sealed_name,
            thought(Block::EncryptedThinking(sealed(dialect))),
        ));
    }
    calls
}

fn tools() -> Vec<(&'static str, Call)> {
    let both = vec![
        said(Role::User, vec![text("Weather in Kiel and Oslo?")]),
        said(
            Role::Assistant,
            vec![
                text("Let me look."),
                call_of("c1", r#"{"city":"Kiel"}"#),
                call_of("c2", r#"{"city":"Oslo"}"#),
            ],
        ),
        said(
            Role::User,
            vec![
                result_of("c1", vec![text(r#"{"wind":5}"#)], false),
                result_of("c2", vec![text("no such city")], true),
            ],
        ),
    ];
    let pictured = vec![
        said(Role::User, vec![text("Look.")]),
        said(Role::Assistant, vec![call_of("c1", "{}")]),
        said(
            Role::User,
            vec![result_of(
                "c1",
                vec![text("seen"), picture(base64("image/png"))],
                false,
            )],
        ),
    ];
    let strict = Function {
        strict: Some(true),
        ..weather()
    };
    let marked = Function {
        cache: Some(CacheTtl::Short),
        ..weather()
    };
    let bare = Function {
        name: "now".to_owned(),
        ..Function::default()
    };
    let native = Native {
        dialect: Dialect::AnthropicMessages,
        kind: "web_search_20260209".to_owned(),
        json: r#"{"type":"web_search_20260209","name":"web_search"}"#.to_owned(),
    };
    let only = |tool| Call {
        tools: vec![tool],
        ..asked()
    };
    vec![
        ("tools", with_tools(None)),
        ("tool_auto", with_tools(Some(ToolChoice::Auto))),
        ("tool_required", with_tools(Some(ToolChoice::Required))),
        ("tool_none", with_tools(Some(ToolChoice::None))),
        (
            "tool_named",
            with_tools(Some(ToolChoice::Named("get_weather".to_owned()))),
        ),
        ("tool_strict", only(Tool::Function(strict))),
        ("tool_marked", only(Tool::Function(marked))),
        ("tool_without_schema", only(Tool::Function(bare))),
        ("tool_native", only(Tool::Native(native))),
        (
            "one_tool_at_a_time",
            Call {
                parallel_tool_calls: Some(false),
                ..with_tools(None)
            },
        ),
        (
            "tool_results",
            Call {
                messages: both,
                ..with_tools(None)
            },
        ),
        (
            "tool_picture",
            Call {
                messages: pictured,
                ..with_tools(None)
            },
        ),
    ]
}

fn settings() -> Vec<(&'static str, Call)> {
    let schema = |description: Option<&str>| ResponseFormat::JsonSchema {
        name: Some("port".to_owned()),
        description: description.map(str::to_owned),
        schema: SCHEMA.to_owned(),
        strict: Some(true),
    };
    let none = Sampling::default();
    vec![
        ("json", formatted(ResponseFormat::JsonObject)),
        ("json_schema", formatted(schema(None))),
        (
            "json_schema_described",
            formatted(schema(Some("One port."))),
        ),
        ("no_reasoning", reasoning(Some(ReasoningMode::Off), None)),
        (
            "adaptive_reasoning",
            reasoning(Some(ReasoningMode::Adaptive), None),
        ),
        (
            "reasoning_budget",
            reasoning(Some(ReasoningMode::BudgetTokens(2_048)), None),
        ),
        ("effort", reasoning(None, Some(Effort::Medium))),
        (
            "temperature",
            sampled(Sampling {
                temperature: Some(0.5),
                top_p: Some(0.25),
                ..none
            }),
        ),
        (
            "hot",
            sampled(Sampling {
                temperature: Some(1.5),
                ..none
            }),
        ),
        (
            "top_k",
            sampled(Sampling {
                top_k: Some(40),
                ..none
            }),
        ),
        (
            "penalties",
            sampled(Sampling {
                frequency_penalty: Some(0.5),
                presence_penalty: Some(0.25),
                ..none
            }),
        ),
        (
            "seed",
            sampled(Sampling {
                seed: Some(7),
                ..none
            }),
        ),
        (
            "stop",
            Call {
                stop: vec!["END".to_owned()],
                ..asked()
            },
        ),
        (
            "unbounded",
            Call {
                max_output_tokens: None,
                ..asked()
            },
        ),
        (
            "choices",
            Call {
                choices: Some(2),
                ..asked()
            },
        ),
        (
            "end_user",
            Call {
                user: Some("u1".to_owned()),
                ..asked()
            },
        ),
        (
            "metadata",
            Call {
                metadata: vec![("a".to_owned(), "b".to_owned())],
                ..asked()
            },
        ),
        (
            "flex",
            Call {
                service_tier: Some("flex".to_owned()),
                ..asked()
            },
        ),
        (
            "stored_answer",
            Call {
                previous_response_id: Some("resp_1".to_owned()),
                ..asked()
            },
        ),
    ]
}

/// Every reply by its name.
pub(super) fn replies() -> Vec<(&'static str, Reply)> {
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
