//! The items of a conversation, in requests and in replies, as canonical messages and blocks.

use crate::{
    fault::Fault,
    json::{Node, Object},
    seal::{self, Kind},
    wire::openai_chat,
};
use seaworthy_core::{
    call::{Block, Media, MediaKind, MediaSource, Message, Native, Origin, Role, Sealed},
    dialect::Dialect,
};

/// Items put together to turns: here every call, every result and every thought stands alone.
#[derive(Default)]
pub(super) struct Turns {
    pub system: Vec<Block>,
    pub messages: Vec<Message>,
    pub origins: Vec<Vec<Origin>>,
    pub system_origins: Vec<Origin>,
    /// The number of the item that is being read.
    source: usize,
    /// Whether the last message consists of results, which the next result joins.
    ends_with_result: bool,
}

impl Turns {
    /// What the model says, calls and thinks in one go is one turn; two messages are two.
    fn say(&mut self, role: Role, blocks: Vec<Block>) {
        self.ends_with_result = false;
        let is_text = |block: Option<&Block>| {
            matches!(block, Some(Block::Text(_) | Block::Refusal(_)) | None)
        };
        let joins = self.messages.last().is_some_and(|last| {
            role == Role::Assistant
                && last.role == role
                && !(is_text(last.blocks.last()) && is_text(blocks.first()))
        });
        self.add(role, blocks, joins);
    }

    fn result(&mut self, block: Block) {
        self.add(Role::User, vec![block], self.ends_with_result);
        self.ends_with_result = true;
    }

    fn add(&mut self, role: Role, blocks: Vec<Block>, joins: bool) {
        let source = self.source;
        match (self.messages.last_mut(), self.origins.last_mut()) {
            (Some(last), Some(origins)) if joins => {
                origins.push(Origin::behind(source, &last.blocks));
                last.blocks.extend(blocks);
            }
            _ => {
                self.messages.push(Message {
                    role,
                    name: None,
                    blocks,
                });
                self.origins.push(vec![Origin { source, first: 0 }]);
            }
        }
    }

    /// One item of a request.
    pub(super) fn item(&mut self, node: Node<'_>) -> Result<(), Fault> {
        item(node, self)?;
        self.source += 1;
        Ok(())
    }

    fn instruct(&mut self, mut blocks: Vec<Block>) {
        let origin = Origin::behind(self.source, &self.system);
        self.system_origins.push(origin);
        self.system.append(&mut blocks);
    }
}

fn item(node: Node<'_>, turns: &mut Turns) -> Result<(), Fault> {
    let mut fields = node.object()?;
    let kind = fields.optional("type", |node| node.string())?;
    match kind.as_deref().unwrap_or("message") {
        "message" => {
            fields.skip(&["id", "status"]);
            phase(&mut fields)?;
            let role = fields.required("role", "a string", |node| {
                node.one_of(&[
                    ("user", Role::User),
                    ("assistant", Role::Assistant),
                    ("system", Role::System),
                    ("developer", Role::System),
                ])
            })?;
            let blocks = fields.required("content", CONTENT, content)?;
            if role == Role::System && turns.messages.is_empty() {
                turns.instruct(blocks);
            } else {
                turns.say(role, blocks);
            }
        }
        "function_call_output" => {
            fields.skip(&["id", "status"]);
            turns.result(Block::ToolResult {
                tool_use_id: fields.text("call_id")?,
                blocks: fields.required("output", CONTENT, content)?,
                is_error: false,
            });
        }
        other if other.ends_with("_output") || other.ends_with("_response") => {
            turns.result(Block::Native(native(other.to_owned(), node)));
            return Ok(());
        }
        other => {
            let block = said_by_model(other, &mut fields)?;
            let Some(block) = block else {
                let native = Block::Native(native(other.to_owned(), node));
                turns.say(Role::Assistant, vec![native]);
                return Ok(());
            };
            turns.say(Role::Assistant, vec![block]);
        }
    }
    fields.finish();
    Ok(())
}

/// Whether a message is the answer or said on the way to it; it is taken for the answer elsewhere.
pub(super) fn phase(fields: &mut Object<'_>) -> Result<(), Fault> {
    fields.optional("phase", |node| {
        if node.string()? != "final_answer" {
            node.note_unknown();
        }
        Ok(())
    })?;
    Ok(())
}

const CONTENT: &str = "a string or an array of content parts";

/// An item that only the model writes, message aside; `None` if only this dialect knows it.
pub(super) fn said_by_model(kind: &str, fields: &mut Object<'_>) -> Result<Option<Block>, Fault> {
    fields.skip(&["id", "status"]);
    Ok(match kind {
        "function_call" => Some(Block::ToolUse {
            id: fields.text("call_id")?,
            name: fields.text("name")?,
            arguments: fields.text("arguments")?,
        }),
        "reasoning" => Some(reasoning(fields)?),
        _ => None,
    })
}

/// Something that only this dialect has.
pub(super) fn native(kind: String, node: Node<'_>) -> Native {
    Native {
        dialect: Dialect::OpenAiResponses,
        kind,
        json: node.json().to_owned(),
    }
}

/// The seal of reasoning, and whether it is all there is of it rather than a signature.
pub(super) fn sealed(text: String) -> (Sealed, bool) {
    let (sealed, kind) = seal::unwrap_kind(Dialect::OpenAiResponses, text);
    (sealed, kind != Some(Kind::Signature))
}

/// Between the parts of a summary.
pub(super) const PARAGRAPH: &str = "\n\n";

fn reasoning(fields: &mut Object<'_>) -> Result<Block, Fault> {
    let paragraphs = |node: Node<'_>| {
        node.each(|part| {
            let mut fields = part.object()?;
            fields.skip(&["type"]);
            let text = fields.text("text")?;
            fields.finish();
            Ok(text)
        })
    };
    let mut text = fields.optional("summary", paragraphs)?.unwrap_or_default();
    text.extend(fields.optional("content", paragraphs)?.unwrap_or_default());
    let signature = fields.optional("encrypted_content", |node| node.string())?;
    let text = text.join(PARAGRAPH);
    Ok(match signature.map(sealed) {
        Some((sealed, true)) if text.is_empty() => Block::EncryptedThinking(sealed),
        signature => Block::Thinking {
            text,
            signature: signature.map(|(sealed, _)| sealed),
        },
    })
}

/// A string or parts.
pub(super) fn content(node: Node<'_>) -> Result<Vec<Block>, Fault> {
    if node.is_string() {
        let text = Some(node.string()?).filter(|text| !text.is_empty());
        return Ok(text.map(Block::Text).into_iter().collect());
    }
    if !node.is_array() {
        return Err(node.expected(CONTENT));
    }
    let parts = node.each(part)?;
    Ok(parts.into_iter().flatten().collect())
}

/// One part, and the mark behind it if it has one.
fn part(node: Node<'_>) -> Result<Vec<Block>, Fault> {
    let mut fields = node.object()?;
    let kind = fields.text("type")?;
    let block = match &*kind {
        "input_text" | "output_text" | "text" => Block::Text(fields.text("text")?),
        "refusal" => Block::Refusal(fields.text("refusal")?),
        "input_image" => Block::Media(image(&mut fields)?),
        "input_file" => Block::Media(file(&mut fields)?),
        "input_audio" => {
            let audio = fields.required("input_audio", "an object", openai_chat::audio)?;
            Block::Media(audio)
        }
        _ => return Ok(vec![Block::Native(native(kind, node))]),
    };
    let mark = openai_chat::cache_mark(&mut fields)?;
    fields.finish();
    Ok(std::iter::once(block)
        .chain(mark.map(Block::CachePoint))
        .collect())
}

fn image(fields: &mut Object<'_>) -> Result<Media, Fault> {
    let id = fields.optional("file_id", |node| node.string())?;
    let source = match id {
        Some(id) => stored(id),
        None => fields.required("image_url", "a URL or `file_id`", openai_chat::url)?,
    };
    Ok(Media {
        kind: MediaKind::Image,
        source,
        name: None,
        detail: fields.optional("detail", |node| node.string())?,
    })
}

fn file(fields: &mut Object<'_>) -> Result<Media, Fault> {
    let id = fields.optional("file_id", |node| node.string())?;
    let url = fields.optional("file_url", |node| node.string())?;
    let source = match (id, url) {
        (Some(id), _) => stored(id),
        (None, Some(url)) => MediaSource::Url(url),
        (None, None) => {
            let expected = "`file_data`, `file_url` or `file_id`";
            fields.required("file_data", expected, openai_chat::file_data)?
        }
    };
    Ok(Media {
        kind: MediaKind::Document,
        source,
        name: fields.optional("filename", |node| node.string())?,
        detail: None,
    })
}

fn stored(id: String) -> MediaSource {
    MediaSource::FileId {
        dialect: Dialect::OpenAiResponses,
        id,
    }
}
