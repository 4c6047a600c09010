//! The calls and replies of the table: each makes use of one thing that dialects differ in.

mod conversations;
pub(crate) mod natives;
mod replies;
mod settings;
mod tools;

pub(crate) use replies::replies;

use seaworthy_core::{
    call::{
        Block, Call, Effort, Function, Media, MediaKind, MediaSource, Message, Reasoning,
        ReasoningMode, ResponseFormat, Role, Sampling, Sealed, Tool, ToolChoice,
    },
    dialect::Dialect,
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
        max_output_tokens: Some(9_000),
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
    let mut calls = conversations::calls();
    calls.extend(tools::calls());
    calls.extend(settings::calls());
    calls
}
