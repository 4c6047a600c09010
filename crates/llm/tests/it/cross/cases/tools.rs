//! Calls that differ in tools, and in what tools said.

#![expect(clippy::too_many_lines, reason = "a list is read line by line")]

use super::{asked, base64, call_of, picture, result_of, said, text, weather, with_tools};
use seaworthy_core::{
    call::{CacheTtl, Call, Function, Native, Role, Tool, ToolChoice},
    dialect::Dialect,
};

/// The calls by their names.
pub(super) fn calls() -> Vec<(&'static str, Call)> {
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
        (
            "tools_allowed",
            Call {
                tools: ["get_weather", "get_tide", "get_time"]
                    .map(|name| {
                        Tool::Function(Function {
                            name: name.to_owned(),
                            ..weather()
                        })
                    })
                    .into(),
                ..with_tools(Some(ToolChoice::Allowed {
                    required: true,
                    names: vec!["get_weather".to_owned(), "get_tide".to_owned()],
                }))
            },
        ),
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
