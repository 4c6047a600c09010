//! Canonical blocks as content blocks of Bedrock.

use super::{documents::Names, formats};
use crate::{
    json::{Items, Members},
    loss::{Feature, Losses},
    seal,
    wire::shared::{arguments_object, clean_id, numbered},
};
use seaworthy_core::{
    call::{Block, CacheTtl, Media, MediaKind, MediaSource, Sealed},
    dialect::Dialect,
};

/// What is remembered while a request is written.
#[derive(Debug)]
pub(super) struct Written<'l> {
    pub(super) losses: &'l mut Losses,
    pub(super) names: Names,
}

/// Blocks in a row.
pub(super) fn blocks(blocks: &[Block], path: &str, out: &mut Items<'_>, written: &mut Written<'_>) {
    for (index, block) in numbered(blocks) {
        self::block(block, &format!("{path}[{index}]"), out, written);
    }
}

/// A mark up to where the prompt should be cached.
pub(super) fn cache_point(ttl: CacheTtl, out: &mut Items<'_>) {
    out.object(|block| {
        block.object("cachePoint", |out| {
            out.str("type", "default");
            if ttl == CacheTtl::Hour {
                out.str("ttl", "1h");
            }
        });
    });
}

fn own(sealed: &Sealed) -> Option<&str> {
    seal::own(Dialect::BedrockConverse, sealed)
}

/// Letters, digits and these are what IDs are made of here.
fn tool_id(id: &str) -> std::borrow::Cow<'_, str> {
    clean_id(id, "_-.:")
}

fn block(block: &Block, path: &str, out: &mut Items<'_>, written: &mut Written<'_>) {
    let losses = &mut *written.losses;
    match block {
        Block::Text(text) | Block::Refusal(text) if text.is_empty() => {}
        Block::Text(text) | Block::Refusal(text) => out.object(|block| {
            block.str("text", text);
        }),
        Block::Media(media) => self::media(media, path, out, written),
        Block::ToolUse {
            id,
            name,
            arguments,
        } => {
            let Some(input) = arguments_object(arguments) else {
                return losses.add(Feature::ToolArguments, path);
            };
            out.object(|block| {
                block.object("toolUse", |call| {
                    call.str("toolUseId", &tool_id(id))
                        .str("name", name)
                        .raw("input", input);
                });
            });
        }
        Block::ToolResult {
            tool_use_id,
            blocks,
            is_error,
        } => out.object(|block| {
            block.object("toolResult", |result| {
                result.str("toolUseId", &tool_id(tool_use_id));
                result.array("content", |items| {
                    self::blocks(blocks, &format!("{path}.content"), items, written);
                });
                if *is_error {
                    result.str("status", "error");
                }
            });
        }),
        Block::Thinking { text, signature } => match signature.as_ref().and_then(own) {
            Some(signature) => out.object(|block| thought(text, Some(signature), block)),
            None => losses.add(Feature::Thinking, path),
        },
        Block::EncryptedThinking(sealed) => match own(sealed) {
            Some(data) => out.object(|block| redacted(data, block)),
            None => losses.add(Feature::Thinking, path),
        },
        Block::CachePoint(ttl) => cache_point(*ttl, out),
        Block::Native(native) if native.dialect == Dialect::BedrockConverse => {
            out.raw(&native.json);
        }
        Block::Native(_) => losses.add(Feature::NativeBlock, path),
    }
}

/// Reasoning that may be read.
pub(super) fn thought(text: &str, signature: Option<&str>, block: &mut Members<'_>) {
    block.object("reasoningContent", |out| {
        out.object("reasoningText", |out| {
            out.str("text", text);
            if let Some(signature) = signature {
                out.str("signature", signature);
            }
        });
    });
}

/// Reasoning that only the provider can read.
pub(super) fn redacted(data: &str, block: &mut Members<'_>) {
    block.object("reasoningContent", |out| {
        out.str("redactedContent", data);
    });
}

fn media(media: &Media, path: &str, out: &mut Items<'_>, written: &mut Written<'_>) {
    let Written { losses, names } = written;
    if media.detail.as_ref().is_some_and(|detail| detail != "auto") {
        losses.add(Feature::ImageDetail, format!("{path}.image_url.detail"));
    }
    let (format, key, content) = match &media.source {
        MediaSource::Base64 { media_type, data } => {
            let Some(format) = formats::format(media.kind, media_type) else {
                return losses.add(Feature::Media, path);
            };
            (format, "bytes", data)
        }
        MediaSource::Text(text) if media.kind == MediaKind::Document => ("txt", "text", text),
        MediaSource::Url(_) | MediaSource::FileId { .. } | MediaSource::Text(_) => {
            return losses.add(Feature::Media, path);
        }
    };
    let kind = match media.kind {
        MediaKind::Image => "image",
        MediaKind::Audio => "audio",
        MediaKind::Document => "document",
    };
    out.object(|block| {
        block.object(kind, |out| {
            out.str("format", format);
            if media.kind == MediaKind::Document {
                out.str("name", &names.give(media.name.as_deref()));
            }
            out.object("source", |source| {
                source.str(key, content);
            });
        });
    });
}
