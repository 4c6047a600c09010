//! The content of Anthropic messages as canonical blocks.

use crate::{
    fault::Fault,
    json::{Node, Object},
    seal,
};
use seaworthy_core::{
    call::{Block, CacheTtl, Media, MediaKind, MediaSource, Native, Sealed},
    dialect::Dialect,
};

/// A string or an array of blocks.
pub(super) fn content(node: Node<'_>) -> Result<Vec<Block>, Fault> {
    if node.is_string() {
        let text = Some(node.string()?).filter(|text| !text.is_empty());
        return Ok(text.map(Block::Text).into_iter().collect());
    }
    if !node.is_array() {
        return Err(node.expected("a string or an array of content blocks"));
    }
    blocks(node)
}

/// An array of blocks.
pub(super) fn blocks(node: Node<'_>) -> Result<Vec<Block>, Fault> {
    let blocks = node.each(block)?;
    Ok(blocks.into_iter().flatten().collect())
}

/// `cache_control` of a block or a tool.
pub(super) fn cache_control(fields: &mut Object<'_>) -> Result<Option<CacheTtl>, Fault> {
    fields.optional("cache_control", |node| {
        let mut fields = node.object()?;
        let ttl = fields.optional("ttl", |node| {
            node.one_of(&[("5m", CacheTtl::Short), ("1h", CacheTtl::Hour)])
        })?;
        fields.skip(&["type"]);
        fields.finish();
        Ok(ttl.unwrap_or(CacheTtl::Short))
    })
}

/// Something that only this dialect has.
pub(super) fn native(kind: String, node: Node<'_>) -> Native {
    Native {
        dialect: Dialect::AnthropicMessages,
        kind,
        json: node.json().to_owned(),
    }
}

/// One block, and the mark behind it if it has one.
fn block(node: Node<'_>) -> Result<Vec<Block>, Fault> {
    let mut fields = node.object()?;
    let kind = fields.text("type")?;
    let block = match &*kind {
        "text" => Block::Text(fields.text("text")?),
        "image" => Block::Media(image(&mut fields)?),
        "document" => Block::Media(document(&mut fields)?),
        "tool_use" => Block::ToolUse {
            id: fields.text("id")?,
            name: fields.text("name")?,
            arguments: fields.required("input", "an object", |node| node.object_text())?,
        },
        "tool_result" => Block::ToolResult {
            tool_use_id: fields.text("tool_use_id")?,
            blocks: fields.optional("content", content)?.unwrap_or_default(),
            is_error: fields
                .optional("is_error", |node| node.bool())?
                .unwrap_or(false),
        },
        "thinking" => {
            let signature = fields.optional("signature", |node| node.string())?;
            Block::Thinking {
                text: fields.text("thinking")?,
                signature: signature.filter(|text| !text.is_empty()).map(sealed),
            }
        }
        "redacted_thinking" => Block::EncryptedThinking(sealed(fields.text("data")?)),
        _ => {
            return Ok(vec![Block::Native(native(kind, node))]);
        }
    };
    let mark = cache_control(&mut fields)?;
    fields.finish();
    Ok(std::iter::once(block)
        .chain(mark.map(Block::CachePoint))
        .collect())
}

/// What a provider wrote for itself.
fn sealed(text: String) -> Sealed {
    seal::unwrap(Dialect::AnthropicMessages, text)
}

fn image(fields: &mut Object<'_>) -> Result<Media, Fault> {
    Ok(Media {
        kind: MediaKind::Image,
        source: fields.required("source", "an object", source)?,
        name: None,
        detail: None,
    })
}

fn document(fields: &mut Object<'_>) -> Result<Media, Fault> {
    Ok(Media {
        kind: MediaKind::Document,
        source: fields.required("source", "an object", source)?,
        name: fields.optional("title", |node| node.string())?,
        detail: None,
    })
}

fn source(node: Node<'_>) -> Result<MediaSource, Fault> {
    let mut fields = node.object()?;
    let kind = fields.required("type", "a string", |node| {
        node.one_of(&[
            ("base64", 0_u8),
            ("url", 1),
            ("file", 2),
            ("text", 3),
            ("content", 4),
        ])
    })?;
    let source = match kind {
        0 => MediaSource::Base64 {
            media_type: fields.text("media_type")?,
            data: fields.text("data")?,
        },
        1 => MediaSource::Url(fields.text("url")?),
        2 => MediaSource::FileId {
            dialect: Dialect::AnthropicMessages,
            id: fields.text("file_id")?,
        },
        3 => {
            fields.skip(&["media_type"]);
            MediaSource::Text(fields.text("data")?)
        }
        _ => MediaSource::Text(fields.required("content", "a string or blocks", blocks_of_text)?),
    };
    fields.finish();
    Ok(source)
}

/// A document in blocks of the caller's own: their texts. No other API has one with pictures in it.
fn blocks_of_text(node: Node<'_>) -> Result<String, Fault> {
    let texts = content(node)?.into_iter().filter_map(|block| match block {
        Block::Text(text) => Some(Ok(text)),
        Block::CachePoint(_) => None,
        _ => Some(Err(node.fault(
            "expected blocks of `text` only, for a provider of another API",
        ))),
    });
    Ok(texts.collect::<Result<Vec<_>, _>>()?.join("\n\n"))
}
