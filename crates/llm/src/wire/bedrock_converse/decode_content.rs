//! Content blocks of Bedrock, in requests and in replies, as canonical blocks.

use super::formats;
use crate::{
    fault::Fault,
    json::{Node, Object, Scan},
    seal,
};
use seaworthy_core::{
    call::{Block, CacheTtl, Media, MediaKind, MediaSource, Native, Sealed},
    dialect::Dialect,
};

/// An array of blocks.
pub(super) fn blocks(node: Node<'_>) -> Result<Vec<Block>, Fault> {
    node.each(block)
}

/// The same of an answer: a result in it is one of a tool that the provider runs.
pub(super) fn answered_blocks(node: Node<'_>) -> Result<Vec<Block>, Fault> {
    const RESULT: &str = "toolResult";
    node.each(
        |node| match Scan::new(node.json().as_bytes()).member(RESULT) {
            Some(_) => Ok(Block::Native(native(RESULT, node))),
            None => block(node),
        },
    )
}

/// Something that only this dialect has.
pub(super) fn native(kind: &str, node: Node<'_>) -> Native {
    Native {
        dialect: Dialect::BedrockConverse,
        kind: kind.to_owned(),
        json: node.json().to_owned(),
    }
}

pub(super) fn sealed(text: String) -> Sealed {
    seal::unwrap(Dialect::BedrockConverse, text)
}

/// A block is an object with one member, whose name tells what it is.
fn block(node: Node<'_>) -> Result<Block, Fault> {
    let mut fields = node.object()?;
    let block = match known_block(&mut fields)? {
        Some(block) => block,
        None => {
            let kind = Scan::new(node.json().as_bytes()).next().map(|(key, _)| key);
            let kind = String::from_utf8_lossy(kind.unwrap_or(b"block"));
            return Ok(Block::Native(native(&kind, node)));
        }
    };
    fields.finish();
    Ok(block)
}

/// `None` if only this dialect knows it.
fn known_block(fields: &mut Object<'_>) -> Result<Option<Block>, Fault> {
    if let Some(text) = fields.optional("text", |node| node.string())? {
        return Ok(Some(Block::Text(text)));
    }
    if let Some(json) = fields.optional("json", |node| Ok(node.json().to_owned()))? {
        return Ok(Some(Block::Text(json)));
    }
    for (name, kind) in [
        ("image", MediaKind::Image),
        ("document", MediaKind::Document),
        ("audio", MediaKind::Audio),
    ] {
        if let Some(media) = fields.optional(name, |node| media(node, kind))? {
            return Ok(media.map(Block::Media));
        }
    }
    if let Some(call) = fields.optional("toolUse", tool_use)? {
        return Ok(call);
    }
    if let Some(result) = fields.optional("toolResult", tool_result)? {
        return Ok(Some(result));
    }
    if let Some(ttl) = fields.optional("cachePoint", cache_point)? {
        return Ok(Some(Block::CachePoint(ttl)));
    }
    if let Some(thought) = fields.optional("reasoningContent", reasoning)? {
        return Ok(Some(thought));
    }
    fields.optional("citationsContent", cited_text)
}

/// `None` for what stands in the provider's own stores.
fn media(node: Node<'_>, kind: MediaKind) -> Result<Option<Media>, Fault> {
    let mut fields = node.object()?;
    let format = fields.optional("format", |node| node.string())?;
    let format = format.unwrap_or_else(|| "txt".to_owned());
    let name = fields.optional("name", |node| node.string())?;
    let source = fields.required("source", "an object", |node| {
        let mut fields = node.object()?;
        let text = fields.optional("text", |node| node.string())?;
        let bytes = fields.optional("bytes", |node| node.string())?;
        let source = match (text, bytes) {
            (Some(text), _) => Some(MediaSource::Text(text)),
            (None, Some(data)) => {
                formats::media_type(kind, &format).map(|media_type| MediaSource::Base64 {
                    media_type: media_type.to_owned(),
                    data,
                })
            }
            (None, None) => None,
        };
        if source.is_some() {
            fields.finish();
        }
        Ok(source)
    })?;
    let media = source.map(|source| Media {
        kind,
        source,
        name,
        detail: None,
    });
    if media.is_some() {
        fields.finish();
    }
    Ok(media)
}

/// `None` for calls of tools that the provider runs itself.
fn tool_use(node: Node<'_>) -> Result<Option<Block>, Fault> {
    let mut fields = node.object()?;
    let kind = fields.optional("type", |node| node.string())?;
    let call = Block::ToolUse {
        id: fields.text("toolUseId")?,
        name: fields.text("name")?,
        arguments: fields.required("input", "an object", |node| node.object_text())?,
    };
    if kind.is_some() {
        return Ok(None);
    }
    fields.finish();
    Ok(Some(call))
}

fn tool_result(node: Node<'_>) -> Result<Block, Fault> {
    let mut fields = node.object()?;
    let is_error = fields.optional("status", |node| {
        node.one_of(&[("success", false), ("error", true)])
    })?;
    let result = Block::ToolResult {
        tool_use_id: fields.text("toolUseId")?,
        blocks: fields.required("content", "an array of blocks", blocks)?,
        is_error: is_error.unwrap_or(false),
    };
    fields.finish();
    Ok(result)
}

pub(super) fn cache_point(node: Node<'_>) -> Result<CacheTtl, Fault> {
    let mut fields = node.object()?;
    fields.skip(&["type"]);
    let ttl = fields.optional("ttl", |node| {
        node.one_of(&[("5m", CacheTtl::Short), ("1h", CacheTtl::Hour)])
    })?;
    fields.finish();
    Ok(ttl.unwrap_or(CacheTtl::Short))
}

fn reasoning(node: Node<'_>) -> Result<Block, Fault> {
    let mut fields = node.object()?;
    let redacted = fields.optional("redactedContent", |node| node.string())?;
    if let Some(data) = redacted {
        fields.finish();
        return Ok(Block::EncryptedThinking(sealed(data)));
    }
    let thought = fields.required("reasoningText", "an object", |node| {
        let mut fields = node.object()?;
        let signature = fields.optional("signature", |node| node.string())?;
        let thought = Block::Thinking {
            text: fields.text("text")?,
            signature: signature.filter(|text| !text.is_empty()).map(sealed),
        };
        fields.finish();
        Ok(thought)
    })?;
    fields.finish();
    Ok(thought)
}

/// Text with the places that it was taken from.
fn cited_text(node: Node<'_>) -> Result<Block, Fault> {
    let mut fields = node.object()?;
    let texts = fields.optional("content", |node| {
        node.each(|part| part.object()?.text("text"))
    })?;
    fields.finish();
    Ok(Block::Text(texts.unwrap_or_default().concat()))
}
