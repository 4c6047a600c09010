//! The content of chat completions messages as canonical blocks.

use super::stream_tools::LEGACY;
use crate::{
    fault::Fault,
    json::{self, Node, Object},
};
use seaworthy_core::{
    call::{Block, CacheTtl, Media, MediaKind, MediaSource, Native},
    dialect::Dialect,
};

/// A string or parts of text only.
pub(super) fn text_blocks(node: Node<'_>) -> Result<Vec<Block>, Fault> {
    blocks(node, &["text"])
}

/// A string or parts as a user sends them.
pub(super) fn user_blocks(node: Node<'_>) -> Result<Vec<Block>, Fault> {
    blocks(node, &["text", "image_url", "input_audio", "file"])
}

/// What an assistant message holds: reasoning, text, refusal, tool calls, in this order. Replies
/// have the same fields.
pub(super) fn assistant_blocks(fields: &mut Object<'_>) -> Result<Vec<Block>, Fault> {
    fields.optional(LEGACY, |node| -> Result<(), Fault> {
        Err(node.fault("retired by OpenAI; use `tool_calls` instead"))
    })?;
    said_blocks(fields, &["text", "refusal"], tool_call)
}

/// The same of an answer, as the imitators of the API write it: thoughts may stand among the parts,
/// and calls may have no ID, which is empty then, and their arguments as they are.
pub(super) fn answered_blocks(fields: &mut Object<'_>) -> Result<Vec<Block>, Fault> {
    said_blocks(fields, &["text", "refusal", "thinking"], answered_call)
}

fn said_blocks(
    fields: &mut Object<'_>,
    parts: &[&str],
    call: fn(Node<'_>) -> Result<Block, Fault>,
) -> Result<Vec<Block>, Fault> {
    let mut blocks = Vec::new();
    let reasoning = fields.optional("reasoning_content", |node| node.string())?;
    let reasoning_by_other_name = fields.optional("reasoning", |node| node.string())?;
    if let Some(text) = reasoning.or(reasoning_by_other_name)
        && !text.is_empty()
    {
        let signature = None;
        blocks.push(Block::Thinking { text, signature });
    }
    let content = fields.optional("content", |node| self::blocks(node, parts))?;
    blocks.append(&mut content.unwrap_or_default());
    let refusal = fields.optional("refusal", |node| node.string())?;
    blocks.extend(refusal.map(Block::Refusal));
    let legacy = fields.optional(LEGACY, |node| Ok(native(LEGACY.to_owned(), node)))?;
    blocks.extend(legacy.map(Block::Native));
    let calls = fields.optional("tool_calls", |node| node.each(call))?;
    blocks.append(&mut calls.unwrap_or_default());
    Ok(blocks)
}

/// Something that only this dialect has.
pub(super) fn native(kind: String, node: Node<'_>) -> Native {
    Native {
        dialect: Dialect::OpenAiChat,
        kind,
        json: node.json().to_owned(),
    }
}

pub(in crate::wire) fn tool_call(node: Node<'_>) -> Result<Block, Fault> {
    let mut fields = node.object()?;
    let id = fields.text("id")?;
    function_call(node, fields, id)
}

fn answered_call(node: Node<'_>) -> Result<Block, Fault> {
    let mut fields = node.object()?;
    let id = fields.optional("id", |node| node.string())?;
    function_call(node, fields, id.unwrap_or_default())
}

fn function_call(node: Node<'_>, mut fields: Object<'_>, id: String) -> Result<Block, Fault> {
    let kind = fields.optional("type", |node| node.string())?;
    if let Some(kind) = kind.filter(|kind| kind != "function") {
        return Ok(Block::Native(native(kind, node)));
    }
    fields.skip(&["index"]);
    let (name, arguments) = fields.required("function", "an object", |node| {
        node.whole(|fields| {
            let name = fields.text("name")?;
            let arguments =
                fields.optional("arguments", |node| match json::is_object(node.json()) {
                    true => Ok(node.json().to_owned()),
                    false => node.string(),
                })?;
            Ok((name, arguments.unwrap_or_default()))
        })
    })?;
    fields.finish();
    Ok(Block::ToolUse {
        id,
        name,
        arguments,
    })
}

fn blocks(node: Node<'_>, allowed: &[&str]) -> Result<Vec<Block>, Fault> {
    if node.is_string() {
        let text = node.string()?;
        return Ok(Some(text)
            .filter(|text| !text.is_empty())
            .map(Block::Text)
            .into_iter()
            .collect());
    }
    if !node.is_array() {
        return Err(node.expected("a string or an array of content parts"));
    }
    let parts = node.each(|part| block(part, allowed))?;
    Ok(parts.into_iter().flatten().collect())
}

/// One part, and the mark behind it if it has one.
fn block(node: Node<'_>, allowed: &[&str]) -> Result<Vec<Block>, Fault> {
    let mut fields = node.object()?;
    let kind = fields.required("type", "a string", |node| {
        let kind = node.string()?;
        if allowed.contains(&&*kind) {
            return Ok(kind);
        }
        Err(node.expected(&format!("one of {}", allowed.join(", "))))
    })?;
    let block = match &*kind {
        "text" => Block::Text(fields.text("text")?),
        "refusal" => Block::Refusal(fields.text("refusal")?),
        "thinking" => Block::Thinking {
            text: fields.required("thinking", "an array of texts", thoughts)?,
            signature: None,
        },
        "image_url" => Block::Media(fields.required("image_url", "an object", image)?),
        "input_audio" => Block::Media(fields.required("input_audio", "an object", audio)?),
        _ => Block::Media(fields.required("file", "an object", file)?),
    };
    let mark = cache_mark(&mut fields)?;
    fields.finish();
    Ok(std::iter::once(block)
        .chain(mark.map(Block::CachePoint))
        .collect())
}

fn thoughts(node: Node<'_>) -> Result<String, Fault> {
    let texts = node.each(|part| part.object()?.optional("text", |node| node.string()))?;
    Ok(texts.into_iter().flatten().collect())
}

/// The mark of a part up to which the prompt should be cached.
pub(in crate::wire) fn cache_mark(fields: &mut Object<'_>) -> Result<Option<CacheTtl>, Fault> {
    fields.optional("prompt_cache_breakpoint", |node| {
        let ttl = node.whole(|fields| fields.optional("ttl", |node| node.string()))?;
        Ok(match ttl.as_deref() {
            Some("12h") => CacheTtl::Hour,
            _ => CacheTtl::Short,
        })
    })
}

pub(in crate::wire) fn image(node: Node<'_>) -> Result<Media, Fault> {
    let mut fields = node.object()?;
    let media = Media {
        kind: MediaKind::Image,
        source: fields.required("url", "a URL", url)?,
        name: None,
        detail: fields.optional("detail", |node| node.string())?,
    };
    fields.finish();
    Ok(media)
}

/// A place on the web, or the medium itself within a `data` URL.
pub(in crate::wire) fn url(node: Node<'_>) -> Result<MediaSource, Fault> {
    let url = node.string()?;
    match behind_data(&url) {
        Some(rest) => {
            base64_url(rest).ok_or_else(|| node.fault("expected `data:<type>;base64,<data>`"))
        }
        None => Ok(MediaSource::Url(url)),
    }
}

pub(in crate::wire) fn audio(node: Node<'_>) -> Result<Media, Fault> {
    let mut fields = node.object()?;
    let format = fields.text("format")?;
    let media_type = match &*format {
        "mp3" => "audio/mpeg".to_owned(),
        other => format!("audio/{other}"),
    };
    let data = fields.text("data")?;
    fields.finish();
    Ok(Media {
        kind: MediaKind::Audio,
        source: MediaSource::Base64 { media_type, data },
        name: None,
        detail: None,
    })
}

fn file(node: Node<'_>) -> Result<Media, Fault> {
    let mut fields = node.object()?;
    let id = fields.optional("file_id", |node| node.string())?;
    let source = match id {
        Some(id) => MediaSource::FileId {
            dialect: Dialect::OpenAiChat,
            id,
        },
        None => fields.required("file_data", "`file_data` or `file_id`", file_data)?,
    };
    let name = fields.optional("filename", |node| node.string())?;
    fields.finish();
    Ok(Media {
        kind: MediaKind::Document,
        source,
        name,
        detail: None,
    })
}

/// A document within the request, as a `data` URL or bare.
pub(in crate::wire) fn file_data(node: Node<'_>) -> Result<MediaSource, Fault> {
    let data = node.string()?;
    match behind_data(&data) {
        Some(rest) => {
            base64_url(rest).ok_or_else(|| node.fault("expected `data:<type>;base64,<data>`"))
        }
        None => Ok(MediaSource::Base64 {
            media_type: "application/pdf".to_owned(),
            data,
        }),
    }
}

/// What stands behind `data:`, which small letters are not asked of (RFC 3986, 3.1).
fn behind_data(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once(':')?;
    scheme.eq_ignore_ascii_case("data").then_some(rest)
}

/// The medium within a `data` URL. Parameters of its type are for texts, a charset for example, and
/// no API has a place for them.
fn base64_url(rest: &str) -> Option<MediaSource> {
    let (head, data) = rest.split_once(',')?;
    let (media_type, coding) = head.rsplit_once(';')?;
    let media_type = media_type.split(';').next().unwrap_or_default();
    let is_base64 = coding.trim().eq_ignore_ascii_case("base64");
    is_base64.then(|| MediaSource::Base64 {
        media_type: media_type.trim().to_ascii_lowercase(),
        data: data.to_owned(),
    })
}
