//! Calls that differ in what is said, and by whom.

#![expect(clippy::too_many_lines, reason = "a list is read line by line")]

use super::{asked, base64, medium, picture, said, saying, sealed, text, thought};
use seaworthy_core::{
    call::{Block, CacheTtl, Call, MediaKind, MediaSource, Message, Role},
    dialect::Dialect,
};

/// The calls by their names.
pub(super) fn calls() -> Vec<(&'static str, Call)> {
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
            "only_instructions",
            Call {
                system: vec![text("Say Ahoy.")],
                messages: Vec::new(),
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
        ("document_named", document_named()),
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

fn document_named() -> Call {
    let mut call = medium(MediaKind::Document, base64("application/pdf"));
    for block in &mut call.messages[0].blocks {
        if let Block::Media(media) = block {
            media.name = Some("report.pdf".to_owned());
        }
    }
    call
}
