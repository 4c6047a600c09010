//! Canonical messages as chat completions messages.

use crate::{
    json::{Items, Members},
    loss::{Feature, Losses},
    wire::shared::{data_url, lost_block, numbered},
};
use seaworthy_core::{
    call::{Block, Media, MediaKind, MediaSource, Message, Role},
    dialect::{Dialect, Family},
};

/// The instructions, as one message.
pub(super) fn system(blocks: &[Block], out: &mut Items<'_>, losses: &mut Losses) {
    let texts = texts(blocks, "system", losses);
    if !texts.is_empty() {
        out.object(|message| {
            message.str("role", "system");
            text_content(&texts, message);
        });
    }
}

/// One canonical message, which may become several: results of tools stand alone here.
pub(super) fn message(message: &Message, index: usize, out: &mut Items<'_>, losses: &mut Losses) {
    let path = format!("messages[{index}]");
    match message.role {
        Role::System => {
            let texts = texts(&message.blocks, &format!("{path}.content"), losses);
            out.object(|out| {
                start("system", message, out);
                text_content(&texts, out);
            });
        }
        Role::User => user(message, &path, out, losses),
        Role::Assistant => assistant(message, &path, out, losses),
    }
}

fn start(role: &str, message: &Message, out: &mut Members<'_>) {
    out.str("role", role);
    if let Some(name) = &message.name {
        out.str("name", name);
    }
}

fn user(message: &Message, path: &str, out: &mut Items<'_>, losses: &mut Losses) {
    let mut said: Vec<(&Block, String)> = Vec::new();
    for (index, block) in numbered(&message.blocks) {
        let path = format!("{path}.content[{index}]");
        let Block::ToolResult {
            tool_use_id,
            blocks,
            is_error,
        } = block
        else {
            said.push((block, path));
            continue;
        };
        if *is_error {
            losses.add(Feature::ToolError, format!("{path}.is_error"));
        }
        // Results are text only; pictures in them follow as said by the user.
        let media = blocks
            .iter()
            .filter(|block| matches!(block, Block::Media(_)));
        said.extend(media.map(|block| (block, path.clone())));
        let words: Vec<Block> = blocks
            .iter()
            .filter(|block| !matches!(block, Block::Media(_)))
            .cloned()
            .collect();
        let texts = texts(&words, &format!("{path}.content"), losses);
        out.object(|out| {
            out.str("role", "tool").str("tool_call_id", tool_use_id);
            text_content(&texts, out);
        });
    }
    if said.is_empty() && !message.blocks.is_empty() {
        return;
    }
    out.object(|out| {
        start("user", message, out);
        if said.is_empty() {
            out.str("content", "");
            return;
        }
        if let [(Block::Text(text), _)] = &*said {
            out.str("content", text);
            return;
        }
        out.array("content", |parts| {
            for (block, path) in &said {
                part(block, path, parts, losses);
            }
        });
    });
}

fn assistant(message: &Message, path: &str, out: &mut Items<'_>, losses: &mut Losses) {
    let mut texts = Vec::new();
    let mut calls = Vec::new();
    let mut refusals = Vec::new();
    for (index, block) in numbered(&message.blocks) {
        match block {
            Block::Text(text) => texts.push(&**text),
            Block::Refusal(text) => refusals.push(&**text),
            Block::ToolUse {
                id,
                name,
                arguments,
            } => calls.push(Call::Function(id, name, arguments)),
            Block::Native(native) if native.dialect == Dialect::OpenAiChat => {
                calls.push(Call::Native(&native.json));
            }
            other => losses.add(lost_block(other), format!("{path}.content[{index}]")),
        }
    }
    if texts.is_empty() && calls.is_empty() && refusals.is_empty() {
        // Nothing but reasoning was said, and the API refuses a message without content.
        return;
    }
    out.object(|out| {
        start("assistant", message, out);
        if texts.is_empty() {
            out.null("content");
        } else {
            text_content(&texts, out);
        }
        if !refusals.is_empty() {
            out.str("refusal", &refusals.concat());
        }
        write_calls(&calls, out);
    });
}

/// A tool call of the model.
pub(super) enum Call<'m> {
    Function(&'m str, &'m str, &'m str),
    Native(&'m str),
}

/// The calls of a message, if it has any.
pub(super) fn write_calls(calls: &[Call<'_>], message: &mut Members<'_>) {
    if calls.is_empty() {
        return;
    }
    message.array("tool_calls", |items| {
        for call in calls {
            match call {
                Call::Function(id, name, arguments) => {
                    items.object(|call| function_call(id, name, arguments, call));
                }
                Call::Native(json) => items.raw(json),
            }
        }
    });
}

/// The members of a call of a function.
pub(in crate::wire) fn function_call(
    id: &str,
    name: &str,
    arguments: &str,
    call: &mut Members<'_>,
) {
    call.str("id", id).str("type", "function");
    call.object("function", |function| {
        // Never empty: callers parse it, and nothing is not JSON.
        let arguments = if arguments.is_empty() {
            "{}"
        } else {
            arguments
        };
        function.str("name", name).str("arguments", arguments);
    });
}

/// The texts among the blocks; everything else is a loss.
fn texts<'b>(blocks: &'b [Block], path: &str, losses: &mut Losses) -> Vec<&'b str> {
    let mut texts = Vec::new();
    for (index, block) in numbered(blocks) {
        match block {
            Block::Text(text) | Block::Refusal(text) => texts.push(&**text),
            other => losses.add(lost_block(other), format!("{path}[{index}]")),
        }
    }
    texts
}

/// One text as a string, several as parts.
fn text_content(texts: &[&str], out: &mut Members<'_>) {
    if let [] | [_] = texts {
        out.str("content", texts.first().copied().unwrap_or_default());
        return;
    }
    out.array("content", |parts| {
        for text in texts {
            parts.object(|part| {
                part.str("type", "text").str("text", text);
            });
        }
    });
}

fn part(block: &Block, path: &str, out: &mut Items<'_>, losses: &mut Losses) {
    match block {
        Block::Text(text) | Block::Refusal(text) => out.object(|part| {
            part.str("type", "text").str("text", text);
        }),
        Block::Media(media) => self::media(media, path, out, losses),
        other => losses.add(lost_block(other), path),
    }
}

/// A medium as a content part.
pub(in crate::wire) fn media(media: &Media, path: &str, out: &mut Items<'_>, losses: &mut Losses) {
    match (media.kind, &media.source) {
        (MediaKind::Image, MediaSource::Url(url)) => image(url, media, out),
        (MediaKind::Image, MediaSource::Base64 { media_type, data }) => {
            image(&data_url(media_type, data), media, out);
        }
        (MediaKind::Audio, MediaSource::Base64 { media_type, data }) => {
            let format = match &**media_type {
                "audio/wav" | "audio/x-wav" => "wav",
                "audio/mpeg" | "audio/mp3" => "mp3",
                _ => return losses.add(Feature::Media, path),
            };
            out.object(|part| {
                part.str("type", "input_audio")
                    .object("input_audio", |out| {
                        out.str("data", data).str("format", format);
                    });
            });
        }
        (MediaKind::Document, MediaSource::Base64 { media_type, data }) => out.object(|part| {
            part.str("type", "file").object("file", |out| {
                out.str("filename", media.name.as_deref().unwrap_or("document"));
                out.str("file_data", &data_url(media_type, data));
            });
        }),
        (MediaKind::Document, MediaSource::Text(text)) => out.object(|part| {
            let title = media.name.as_ref().map(|name| format!("{name}\n\n"));
            let text = title.unwrap_or_default() + text;
            part.str("type", "text").str("text", &text);
        }),
        (MediaKind::Document, MediaSource::FileId { dialect, id })
            if dialect.family() == Family::OpenAi =>
        {
            out.object(|part| {
                part.str("type", "file").object("file", |out| {
                    out.str("file_id", id);
                });
            });
        }
        _ => losses.add(Feature::Media, path),
    }
}

fn image(url: &str, media: &Media, out: &mut Items<'_>) {
    out.object(|part| {
        part.str("type", "image_url").object("image_url", |out| {
            out.str("url", url);
            if let Some(detail) = &media.detail {
                out.str("detail", detail);
            }
        });
    });
}
