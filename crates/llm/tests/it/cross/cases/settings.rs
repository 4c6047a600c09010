//! Calls that differ in how the model is to answer.

#![expect(clippy::too_many_lines, reason = "a list is read line by line")]

use super::{SCHEMA, asked, formatted, reasoning, sampled, thought, with_tools};
use seaworthy_core::call::{
    Block, Call, Effort, OpenAiSetting, ReasoningMode, ResponseFormat, Sampling, ToolChoice,
};

/// The calls by their names.
pub(super) fn calls() -> Vec<(&'static str, Call)> {
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
        (
            "small_reasoning_budget",
            reasoning(Some(ReasoningMode::BudgetTokens(256)), None),
        ),
        (
            "large_reasoning_budget",
            Call {
                max_output_tokens: None,
                ..reasoning(Some(ReasoningMode::BudgetTokens(16_000)), None)
            },
        ),
        ("effort", reasoning(None, Some(Effort::Medium))),
        ("effort_minimal", reasoning(None, Some(Effort::Minimal))),
        (
            "effort_extra_high",
            reasoning(None, Some(Effort::ExtraHigh)),
        ),
        ("effort_max", reasoning(None, Some(Effort::Max))),
        (
            "budget_and_effort",
            reasoning(Some(ReasoningMode::BudgetTokens(2_048)), Some(Effort::High)),
        ),
        (
            "effort_and_forced_tool",
            Call {
                tools: with_tools(None).tools,
                tool_choice: Some(ToolChoice::Required),
                ..reasoning(None, Some(Effort::Medium))
            },
        ),
        (
            "effort_and_sampling",
            Call {
                sampling: Sampling {
                    temperature: Some(0.5),
                    top_p: Some(0.25),
                    top_k: Some(40),
                    ..none
                },
                ..reasoning(None, Some(Effort::Medium))
            },
        ),
        (
            "budget_and_forgotten_thoughts",
            Call {
                reasoning: reasoning(Some(ReasoningMode::BudgetTokens(2_048)), None).reasoning,
                max_output_tokens: Some(9_000),
                ..thought(Block::Text("Let me look.".to_owned()))
            },
        ),
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
            "labels_of_any_sign",
            Call {
                metadata: vec![("Team".to_owned(), "Ship yard".to_owned())],
                ..asked()
            },
        ),
        (
            "safety_identifier",
            Call {
                safety_identifier: Some("u2".to_owned()),
                ..asked()
            },
        ),
        (
            "kept",
            Call {
                store: Some(true),
                ..asked()
            },
        ),
        (
            "openai_settings",
            Call {
                openai: [("prompt_cache_key", "\"k\""), ("verbosity", "\"low\"")]
                    .map(|(name, json)| OpenAiSetting {
                        name,
                        json: json.to_owned(),
                    })
                    .into(),
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
