//! Canonical messages as Anthropic messages.

use crate::{
    json::{self, Items, Members},
    loss::{Feature, Losses},
    seal,
    wire::shared::{arguments_object, clean_id, numbered, registered},
};
use seaworthy_core::{
    call::{Block, CacheTtl, Media, MediaKind, MediaSource, Message, Role, Sealed},
    dialect::Dialect,
};
use std::borrow::Cow;

/// One message, unless nothing of it can be said here.
pub(super) fn message(message: &Message, index: usize, out: &mut Items<'_>, losses: &mut Losses) {
    let path = format!("messages[{index}]");
    if message.name.is_some() {
        losses.add(Feature::SpeakerName, format!("{path}.name"));
    }
    let mut content = Vec::new();
    json::array(&mut content, |items| {
        blocks(&message.blocks, &format!("{path}.content"), items, losses);
    });
    if content == b"[]" {
        // The API refuses a message without content: an empty one says nothing anyway.
        return;
    }
    out.object(|out| {
        out.str(
            "role",
            match message.role {
                Role::System => "system",
                Role::User => "user",
                Role::Assistant => "assistant",
            },
        );
        out.raw("content", &content);
    });
}

/// Blocks, each with the mark of the cache point that follows it.
pub(super) fn blocks(blocks: &[Block], path: &str, out: &mut Items<'_>, losses: &mut Losses) {
    for (position, (index, block)) in numbered(blocks).enumerate() {
        let mark = match blocks.get(position + 1) {
            Some(Block::CachePoint(ttl)) => Some(*ttl),
            _ => None,
        };
        self::block(block, mark, &format!("{path}[{index}]"), out, losses);
    }
}

pub(super) fn cache_control(ttl: CacheTtl, out: &mut Members<'_>) {
    out.object("cache_control", |out| {
        out.str("type", "ephemeral");
        if ttl == CacheTtl::Hour {
            out.str("ttl", "1h");
        }
    });
}

fn block(
    block: &Block,
    mark: Option<CacheTtl>,
    path: &str,
    out: &mut Items<'_>,
    losses: &mut Losses,
) {
    let mark = |out: &mut Members<'_>| {
        if let Some(ttl) = mark {
            cache_control(ttl, out);
        }
    };
    match block {
        Block::Text(text) | Block::Refusal(text) if text.is_empty() => {}
        Block::Text(text) | Block::Refusal(text) => out.object(|out| {
            out.str("type", "text").str("text", text);
            mark(out);
        }),
        Block::Media(media) => self::media(media, path, out, losses, mark),
        Block::ToolUse {
            id,
            name,
            arguments,
        } => {
            let Some(input) = arguments_object(arguments) else {
                return losses.add(Feature::ToolArguments, path);
            };
            out.object(|out| {
                out.str("type", "tool_use")
                    .str("id", &tool_id(id))
                    .str("name", name);
                out.raw("input", input);
                mark(out);
            });
        }
        Block::ToolResult {
            tool_use_id,
            blocks,
            is_error,
        } => out.object(|out| {
            out.str("type", "tool_result")
                .str("tool_use_id", &tool_id(tool_use_id));
            out.array("content", |items| {
                self::blocks(blocks, &format!("{path}.content"), items, losses);
            });
            if *is_error {
                out.bool("is_error", true);
            }
            mark(out);
        }),
        Block::Thinking { text, signature } => {
            let own = signature.as_ref().and_then(own);
            let Some(signature) = own else {
                return losses.add(Feature::Thinking, path);
            };
            out.object(|out| {
                out.str("type", "thinking")
                    .str("thinking", text)
                    .str("signature", signature);
            });
        }
        Block::EncryptedThinking(sealed) => {
            let Some(data) = own(sealed) else {
                return losses.add(Feature::Thinking, path);
            };
            out.object(|out| {
                out.str("type", "redacted_thinking").str("data", data);
            });
        }
        Block::CachePoint(_) => {}
        Block::Native(native) if native.dialect == Dialect::AnthropicMessages => {
            out.raw(&native.json);
        }
        Block::Native(_) => losses.add(Feature::NativeBlock, path),
    }
}

fn own(sealed: &Sealed) -> Option<&str> {
    seal::own(Dialect::AnthropicMessages, sealed)
}

fn media(
    media: &Media,
    path: &str,
    out: &mut Items<'_>,
    losses: &mut Losses,
    mark: impl FnOnce(&mut Members<'_>),
) {
    let kind = match (media.kind, &media.source) {
        (MediaKind::Audio, _) => return losses.add(Feature::Media, path),
        (_, MediaSource::FileId { dialect, .. }) if *dialect != Dialect::AnthropicMessages => {
            return losses.add(Feature::Media, path);
        }
        (MediaKind::Image, _) => "image",
        (MediaKind::Document, _) => "document",
    };
    if media.detail.as_ref().is_some_and(|detail| detail != "auto") {
        losses.add(Feature::ImageDetail, format!("{path}.image_url.detail"));
    }
    out.object(|out| {
        out.str("type", kind)
            .object("source", |source| match &media.source {
                MediaSource::Base64 { media_type, data } => {
                    source
                        .str("type", "base64")
                        .str("media_type", registered(media_type))
                        .str("data", data);
                }
                MediaSource::Url(url) => {
                    source.str("type", "url").str("url", url);
                }
                MediaSource::Text(text) => {
                    source
                        .str("type", "text")
                        .str("media_type", "text/plain")
                        .str("data", text);
                }
                MediaSource::FileId { id, .. } => {
                    source.str("type", "file").str("file_id", id);
                }
            });
        if let Some(name) = &media.name {
            out.str("title", name);
        }
        mark(out);
    });
}

/// What IDs are made of here besides letters and digits.
fn tool_id(id: &str) -> Cow<'_, str> {
    clean_id(id, "_-")
}
