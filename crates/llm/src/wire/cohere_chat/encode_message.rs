//! Canonical messages as messages of Cohere.

use crate::{
    json::{Items, Members},
    loss::{Feature, Losses},
    wire::{
        openai_chat,
        shared::{lost_block, numbered},
    },
};
use seaworthy_core::{
    call::{Block, MediaKind, MediaSource, Message, Role},
    dialect::Dialect,
};

/// Blocks and where they stood.
type Placed<'b> = Vec<(&'b Block, String)>;

/// The instructions, as one message.
pub(super) fn system(blocks: &[Block], out: &mut Items<'_>, losses: &mut Losses) {
    let said = placed(blocks, "system", losses);
    if !said.is_empty() {
        out.object(|out| {
            out.str("role", "system");
            content(&said, out, losses);
        });
    }
}

/// One canonical message, which may become several: results of tools stand alone here.
pub(super) fn message(message: &Message, index: usize, out: &mut Items<'_>, losses: &mut Losses) {
    let path = format!("messages[{index}]");
    if message.name.is_some() {
        losses.add(Feature::SpeakerName, format!("{path}.name"));
    }
    let said = placed(&message.blocks, &format!("{path}.content"), losses);
    match message.role {
        Role::Assistant => assistant(&said, out, losses),
        Role::System => speech("system", &said, out, losses),
        Role::User => user(&said, out, losses),
    }
}

/// The blocks that can be said here, and where they stood; the others are lost.
fn placed<'b>(blocks: &'b [Block], path: &str, losses: &mut Losses) -> Placed<'b> {
    let mut said = Vec::new();
    for (index, block) in numbered(blocks) {
        let path = format!("{path}[{index}]");
        if can_be_said(block) {
            said.push((block, path));
        } else {
            losses.add(lost_block(block), path);
        }
    }
    said
}

fn can_be_said(block: &Block) -> bool {
    match block {
        Block::Text(_) | Block::Refusal(_) | Block::ToolUse { .. } | Block::ToolResult { .. } => {
            true
        }
        // Without a signature it is text to everybody.
        Block::Thinking { signature, .. } => signature.is_none(),
        Block::Native(native) => native.dialect == Dialect::CohereChat,
        Block::Media(media) => matches!(
            (media.kind, &media.source),
            (
                MediaKind::Image,
                MediaSource::Url(_) | MediaSource::Base64 { .. }
            ) | (MediaKind::Document, MediaSource::Text(_))
        ),
        Block::EncryptedThinking(_) | Block::CachePoint(_) => false,
    }
}

fn speech(role: &str, said: &Placed<'_>, out: &mut Items<'_>, losses: &mut Losses) {
    out.object(|out| {
        out.str("role", role);
        content(said, out, losses);
    });
}

fn user(said: &Placed<'_>, out: &mut Items<'_>, losses: &mut Losses) {
    let mut rest: Placed<'_> = Vec::new();
    for (block, path) in said {
        let Block::ToolResult {
            tool_use_id,
            blocks,
            is_error,
        } = block
        else {
            rest.push((block, path.clone()));
            continue;
        };
        if *is_error {
            losses.add(Feature::ToolError, format!("{path}.is_error"));
        }
        let result = placed(blocks, &format!("{path}.content"), losses);
        out.object(|out| {
            out.str("role", "tool").str("tool_call_id", tool_use_id);
            // Results are text only; pictures in them follow as said by the user.
            let (pictures, words) = result
                .into_iter()
                .partition(|(block, _)| matches!(block, Block::Media(_)));
            content(&words, out, losses);
            let pictures: Placed<'_> = pictures;
            rest.extend(pictures);
        });
    }
    if rest.is_empty() && !said.is_empty() {
        return;
    }
    speech("user", &rest, out, losses);
}

fn assistant(said: &Placed<'_>, out: &mut Items<'_>, losses: &mut Losses) {
    let is_call = |block: &Block| matches!(block, Block::ToolUse { .. });
    let (calls, words): (Placed<'_>, Placed<'_>) =
        said.iter().cloned().partition(|(block, _)| is_call(block));
    if said.is_empty() {
        return;
    }
    out.object(|out| {
        out.str("role", "assistant");
        if !words.is_empty() {
            content(&words, out, losses);
        }
        if calls.is_empty() {
            return;
        }
        out.array("tool_calls", |items| {
            for (block, _) in calls {
                if let Block::ToolUse {
                    id,
                    name,
                    arguments,
                } = block
                {
                    items.object(|call| openai_chat::function_call(id, name, arguments, call));
                }
            }
        });
    });
}

/// One text as a string, anything else as parts.
fn content(said: &Placed<'_>, out: &mut Members<'_>, losses: &mut Losses) {
    match &**said {
        [] => {
            out.str("content", "");
        }
        [(Block::Text(text) | Block::Refusal(text), _)] => {
            out.str("content", text);
        }
        _ => {
            out.array("content", |parts| {
                for (block, path) in said {
                    part(block, path, parts, losses);
                }
            });
        }
    }
}

fn part(block: &Block, path: &str, out: &mut Items<'_>, losses: &mut Losses) {
    match block {
        Block::Text(text) | Block::Refusal(text) => out.object(|part| {
            part.str("type", "text").str("text", text);
        }),
        Block::Thinking { text, .. } => out.object(|part| {
            part.str("type", "thinking").str("thinking", text);
        }),
        Block::Media(media) => openai_chat::media(media, path, out, losses),
        Block::Native(native) if native.dialect == Dialect::CohereChat => out.raw(&native.json),
        other => losses.add(lost_block(other), path),
    }
}
