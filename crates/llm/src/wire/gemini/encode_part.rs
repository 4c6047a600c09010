//! Canonical blocks as parts of a content.

use crate::{
    json::{self, Items, Members},
    loss::{Feature, Losses},
    seal,
    wire::shared::{arguments_object, lost_block, numbered, registered},
};
use seaworthy_core::{
    call::{Block, Call, Media, MediaKind, MediaSource},
    dialect::Dialect,
};
use std::collections::HashMap;

/// The functions that calls are for: a result has to name its function.
pub(super) struct Names<'c> {
    by_id: HashMap<&'c str, &'c str>,
    /// Whether the model wants signatures at calls.
    calls_are_signed: bool,
}

/// Whether the model is of the third generation or later.
pub(super) fn takes_levels(model: &str) -> bool {
    !model.contains("gemini-1") && !model.contains("gemini-2")
}

impl<'c> Names<'c> {
    pub(super) fn of(call: &'c Call) -> Self {
        let blocks = call.messages.iter().flat_map(|message| &message.blocks);
        let names = blocks.filter_map(|block| match block {
            Block::ToolUse { id, name, .. } => Some((&**id, &**name)),
            _ => None,
        });
        Self {
            by_id: names.collect(),
            calls_are_signed: takes_levels(&call.model),
        }
    }
}

/// What Gemini 3 takes in the place of a signature that nobody has, because another model made the
/// call; without one it refuses the history.
pub(super) const NO_SIGNATURE: &str = "skip_thought_signature_validator";

/// Blocks in a row. A signature waits for the part that follows its thoughts.
pub(super) fn parts(
    blocks: &[Block],
    path: &str,
    names: &Names<'_>,
    out: &mut Items<'_>,
    losses: &mut Losses,
) {
    let mut signature = None;
    // Only the first of parallel calls is signed.
    let mut first_call = names.calls_are_signed;
    for (index, block) in numbered(blocks) {
        let path = format!("{path}[{index}]");
        match block {
            Block::Thinking {
                text,
                signature: sealed,
            } => {
                let own = sealed
                    .as_ref()
                    .and_then(|sealed| seal::own(Dialect::Gemini, sealed));
                if own.is_none() {
                    losses.add(Feature::Thinking, path);
                    continue;
                }
                if !text.is_empty() {
                    out.object(|part| {
                        part.str("text", text).bool("thought", true);
                    });
                }
                signature = own;
            }
            _ => {
                if matches!(block, Block::ToolUse { .. }) && std::mem::take(&mut first_call) {
                    signature = signature.or(Some(NO_SIGNATURE));
                }
                part(block, signature.take(), &path, names, out, losses);
            }
        }
    }
    if let Some(signature) = signature {
        out.object(|part| {
            part.str("text", "").str("thoughtSignature", signature);
        });
    }
}

fn part(
    block: &Block,
    signature: Option<&str>,
    path: &str,
    names: &Names<'_>,
    out: &mut Items<'_>,
    losses: &mut Losses,
) {
    let sign = |part: &mut Members<'_>| {
        if let Some(signature) = signature {
            part.str("thoughtSignature", signature);
        }
    };
    match block {
        Block::Text(text) | Block::Refusal(text) if text.is_empty() => {}
        Block::Text(text) | Block::Refusal(text) => out.object(|part| {
            part.str("text", text);
            sign(part);
        }),
        Block::Media(media) => self::media(media, path, out, losses),
        Block::ToolUse {
            id,
            name,
            arguments,
        } => {
            let Some(args) = arguments_object(arguments) else {
                return losses.add(Feature::ToolArguments, path);
            };
            out.object(|part| {
                part.object("functionCall", |call| {
                    call.str("id", id).str("name", name).raw("args", args);
                });
                sign(part);
            });
        }
        Block::ToolResult {
            tool_use_id,
            blocks,
            is_error,
        } => {
            let name = names.by_id.get(&**tool_use_id).copied();
            out.object(|part| {
                part.object("functionResponse", |result| {
                    result
                        .str("id", tool_use_id)
                        .str("name", name.unwrap_or(tool_use_id));
                    self::result(blocks, *is_error, path, result, losses);
                });
            });
        }
        Block::Native(native) if native.dialect == Dialect::Gemini => out.raw(&native.json),
        other => losses.add(lost_block(other), path),
    }
}

/// An answer that is an object stands as it is; anything else is its `output` or its `error`.
fn result(
    blocks: &[Block],
    is_error: bool,
    path: &str,
    out: &mut Members<'_>,
    losses: &mut Losses,
) {
    let mut texts: Vec<&str> = Vec::new();
    let mut pictures = Vec::new();
    json::array(&mut pictures, |parts| {
        for (index, block) in numbered(blocks) {
            let path = format!("{path}.content[{index}]");
            match block {
                Block::Text(text) | Block::Refusal(text) => texts.push(text),
                Block::Media(media) => self::media(media, &path, parts, losses),
                other => losses.add(lost_block(other), path),
            }
        }
    });
    let text = texts.join("\n");
    if !is_error && json::is_object(&text) && !is_agreed_form(&text) {
        out.raw("response", &text);
    } else {
        let key = if is_error { "error" } else { "output" };
        out.object("response", |response| {
            response.str(key, &text);
        });
    }
    if pictures != b"[]" {
        out.raw("parts", &pictures);
    }
}

/// Whether an object would be read as the form that we make of texts.
fn is_agreed_form(object: &str) -> bool {
    let keys = serde_json::from_str::<HashMap<String, serde::de::IgnoredAny>>(object);
    keys.is_ok_and(|keys| {
        keys.len() == 1 && (keys.contains_key("output") || keys.contains_key("error"))
    })
}

fn media(media: &Media, path: &str, out: &mut Items<'_>, losses: &mut Losses) {
    if media.detail.as_ref().is_some_and(|detail| detail != "auto") {
        losses.add(Feature::ImageDetail, format!("{path}.image_url.detail"));
    }
    // A text says it in front; for the others the API has a name that it does not take.
    if media.name.is_some() && !matches!(media.source, MediaSource::Text(_)) {
        losses.add(Feature::FileName, format!("{path}.file.filename"));
    }
    match &media.source {
        MediaSource::Base64 { media_type, data } => out.object(|part| {
            part.object("inlineData", |inline| {
                inline
                    .str("mimeType", registered(media_type))
                    .str("data", data);
            });
        }),
        MediaSource::Url(uri) => file(uri, media.kind, out),
        MediaSource::FileId { dialect, id } if *dialect == Dialect::Gemini => {
            file(id, media.kind, out);
        }
        MediaSource::Text(text) => out.object(|part| {
            let title = media.name.as_ref().map(|name| format!("{name}\n\n"));
            part.str("text", &(title.unwrap_or_default() + text));
        }),
        MediaSource::FileId { .. } => losses.add(Feature::Media, path),
    }
}

fn file(uri: &str, kind: MediaKind, out: &mut Items<'_>) {
    out.object(|part| {
        part.object("fileData", |file| {
            file.str("mimeType", media_type(uri, kind))
                .str("fileUri", uri);
        });
    });
}

/// The media type that the end of a name suggests; the API does not look by itself.
fn media_type(uri: &str, kind: MediaKind) -> &'static str {
    let path = uri.split(['?', '#']).next().unwrap_or_default();
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
    match (kind, &*extension.to_ascii_lowercase()) {
        (MediaKind::Image, "png") => "image/png",
        (MediaKind::Image, "webp") => "image/webp",
        (MediaKind::Image, "gif") => "image/gif",
        (MediaKind::Image, _) => "image/jpeg",
        (MediaKind::Audio, "wav") => "audio/wav",
        (MediaKind::Audio, _) => "audio/mpeg",
        (MediaKind::Document, "txt" | "md") => "text/plain",
        (MediaKind::Document, "html") => "text/html",
        (MediaKind::Document, _) => "application/pdf",
    }
}
