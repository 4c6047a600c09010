//! Canonical messages as the items of a request.

use crate::{
    json::{Items, Members},
    loss::{Feature, Losses},
    seal,
    wire::shared::{data_url, lost_block, numbered},
};
use seaworthy_core::{
    call::{Block, Call, Media, MediaKind, MediaSource, Message, Role},
    dialect::{Dialect, Family},
};

/// The instructions, as one item.
pub(super) fn system(blocks: &[Block], path: &str, out: &mut Items<'_>, losses: &mut Losses) {
    let said = said_side_by_side(blocks, path, losses);
    if !said.is_empty() {
        write(&said, Role::System, out, losses);
    }
}

/// One canonical message, which becomes as many items as it has calls, results and thoughts.
pub(super) fn message(message: &Message, index: usize, out: &mut Items<'_>, losses: &mut Losses) {
    let path = format!("messages[{index}]");
    if message.name.is_some() {
        losses.add(Feature::SpeakerName, format!("{path}.name"));
    }
    let mut said = Vec::new();
    for (index, block) in numbered(&message.blocks) {
        let path = format!("{path}.content[{index}]");
        if matches!(block, Block::CachePoint(_)) {
            losses.add(Feature::CachePoint, path);
            continue;
        }
        if is_part(block) {
            said.push((block, path));
            continue;
        }
        write(&said, message.role, out, losses);
        said.clear();
        item(block, &path, out, losses);
    }
    write(&said, message.role, out, losses);
}

/// Whether the call brings reasoning back that a provider of this dialect wrote.
pub(super) fn has_own_thoughts(call: &Call) -> bool {
    let mut blocks = call.messages.iter().flat_map(|message| &message.blocks);
    blocks.any(|block| match block {
        Block::EncryptedThinking(sealed) => sealed.dialect == Dialect::OpenAiResponses,
        Block::Thinking { signature, .. } => signature
            .as_ref()
            .is_some_and(|sealed| sealed.dialect == Dialect::OpenAiResponses),
        _ => false,
    })
}

/// Blocks that stand side by side in one item, and where they stood.
type Said<'b> = Vec<(&'b Block, String)>;

fn said_side_by_side<'b>(blocks: &'b [Block], path: &str, losses: &mut Losses) -> Said<'b> {
    let mut said = Vec::new();
    for (index, block) in numbered(blocks) {
        let path = format!("{path}[{index}]");
        if matches!(block, Block::CachePoint(_)) {
            losses.add(Feature::CachePoint, path);
        } else {
            said.push((block, path));
        }
    }
    said
}

fn is_part(block: &Block) -> bool {
    matches!(block, Block::Text(_) | Block::Refusal(_) | Block::Media(_))
}

fn write(said: &Said<'_>, role: Role, out: &mut Items<'_>, losses: &mut Losses) {
    if said.is_empty() {
        return;
    }
    out.object(|item| {
        let role_word = match role {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        item.str("type", "message").str("role", role_word);
        content("content", said, role, item, losses);
    });
}

/// One text as a string, anything else as parts.
fn content(key: &str, said: &Said<'_>, role: Role, out: &mut Members<'_>, losses: &mut Losses) {
    if let [(Block::Text(text), _)] = &**said {
        out.str(key, text);
        return;
    }
    out.array(key, |parts| {
        for (block, path) in said {
            part(block, path, role, parts, losses);
        }
    });
}

fn item(block: &Block, path: &str, out: &mut Items<'_>, losses: &mut Losses) {
    match block {
        Block::ToolUse {
            id,
            name,
            arguments,
        } => out.object(|item| {
            // Never empty: the model reads it as JSON.
            let arguments = Some(&**arguments).filter(|text| !text.is_empty());
            item.str("type", "function_call")
                .str("call_id", id)
                .str("name", name)
                .str("arguments", arguments.unwrap_or("{}"));
        }),
        Block::ToolResult {
            tool_use_id,
            blocks,
            is_error,
        } => {
            if *is_error {
                losses.add(Feature::ToolError, format!("{path}.is_error"));
            }
            out.object(|item| {
                item.str("type", "function_call_output")
                    .str("call_id", tool_use_id);
                if blocks.is_empty() {
                    item.str("output", "");
                    return;
                }
                let said = said_side_by_side(blocks, &format!("{path}.content"), losses);
                content("output", &said, Role::User, item, losses);
            });
        }
        Block::Thinking { text, signature } => {
            let own = signature
                .as_ref()
                .and_then(|sealed| seal::own(Dialect::OpenAiResponses, sealed));
            match own {
                Some(own) => reasoning(text, own, out),
                None => losses.add(Feature::Thinking, path),
            }
        }
        Block::EncryptedThinking(sealed) => match seal::own(Dialect::OpenAiResponses, sealed) {
            Some(own) => reasoning("", own, out),
            None => losses.add(Feature::Thinking, path),
        },
        Block::Native(native) if native.dialect == Dialect::OpenAiResponses => {
            out.raw(&native.json);
        }
        other => losses.add(lost_block(other), path),
    }
}

/// Without an ID: it would be looked up, and nothing is stored under it.
fn reasoning(text: &str, encrypted: &str, out: &mut Items<'_>) {
    out.object(|item| {
        item.str("type", "reasoning").array("summary", |parts| {
            if !text.is_empty() {
                parts.object(|part| {
                    part.str("type", "summary_text").str("text", text);
                });
            }
        });
        item.str("encrypted_content", encrypted);
    });
}

fn part(block: &Block, path: &str, role: Role, out: &mut Items<'_>, losses: &mut Losses) {
    match block {
        Block::Refusal(text) if role == Role::Assistant => out.object(|part| {
            part.str("type", "refusal").str("refusal", text);
        }),
        Block::Text(text) | Block::Refusal(text) => out.object(|part| {
            let kind = match role {
                Role::Assistant => "output_text",
                Role::System | Role::User => "input_text",
            };
            part.str("type", kind).str("text", text);
        }),
        Block::Media(media) => self::media(media, path, out, losses),
        other => losses.add(lost_block(other), path),
    }
}

fn media(media: &Media, path: &str, out: &mut Items<'_>, losses: &mut Losses) {
    let image = |out: &mut Items<'_>, key: &str, value: &str| {
        out.object(|part| {
            part.str("type", "input_image").str(key, value);
            if let Some(detail) = &media.detail {
                part.str("detail", detail);
            }
        });
    };
    let file = |out: &mut Items<'_>, key: &str, value: &str, name: Option<&str>| {
        out.object(|part| {
            part.str("type", "input_file").str(key, value);
            if let Some(name) = name {
                part.str("filename", name);
            }
        });
    };
    let name = media.name.as_deref();
    match (media.kind, &media.source) {
        (MediaKind::Image, MediaSource::Url(url)) => image(out, "image_url", url),
        (MediaKind::Image, MediaSource::Base64 { media_type, data }) => {
            image(out, "image_url", &data_url(media_type, data));
        }
        (MediaKind::Document, MediaSource::Url(url)) => file(out, "file_url", url, name),
        (MediaKind::Document, MediaSource::Base64 { media_type, data }) => {
            let name = name.unwrap_or("document");
            file(out, "file_data", &data_url(media_type, data), Some(name));
        }
        (MediaKind::Document, MediaSource::Text(text)) => out.object(|part| {
            let title = name.map(|name| format!("{name}\n\n")).unwrap_or_default();
            part.str("type", "input_text").str("text", &(title + text));
        }),
        (kind, MediaSource::FileId { dialect, id }) if dialect.family() == Family::OpenAi => {
            match kind {
                MediaKind::Image => image(out, "file_id", id),
                MediaKind::Document => file(out, "file_id", id, None),
                MediaKind::Audio => losses.add(Feature::Media, path),
            }
        }
        _ => losses.add(Feature::Media, path),
    }
}
