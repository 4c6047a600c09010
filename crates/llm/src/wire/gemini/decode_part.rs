//! The parts of contents, in requests and in replies, as canonical blocks.

use super::encode_part::NO_SIGNATURE;
use crate::{
    fault::Fault,
    json::{Node, Object, Scan},
    seal::{self, Kind},
};
use seaworthy_core::{
    call::{Block, Media, MediaKind, MediaSource, Native, Sealed},
    dialect::Dialect,
    fingerprint::Fingerprint,
};

/// Calls that have not been answered yet, since an API without IDs joins results by name and order.
#[derive(Default)]
pub(super) struct Calls {
    made: usize,
    open: Vec<(String, String)>,
    /// Makes IDs different from those of other answers.
    prefix: String,
}

impl Calls {
    /// Calls of an answer with this ID. One without is told from others by what it says: a
    /// conversation with two calls of the same ID is refused elsewhere.
    pub(super) fn of_reply(id: &str, said: &[u8]) -> Self {
        let prefix = match id {
            "" => Fingerprint::of(said).hex().chars().take(12).collect(),
            id => id.to_owned(),
        };
        Self {
            prefix: prefix + "_",
            ..Self::default()
        }
    }

    pub(super) fn call(&mut self, id: Option<String>, name: &str) -> String {
        let id = id.filter(|id| !id.is_empty());
        let id = id.unwrap_or_else(|| format!("call_{}{}", self.prefix, self.made));
        self.made += 1;
        self.open.push((name.to_owned(), id.clone()));
        id
    }

    fn answer(&mut self, id: Option<String>, name: &str) -> String {
        let same = |(open_name, open_id): &(String, String)| match &id {
            Some(id) => open_id == id,
            None => open_name == name,
        };
        match self.open.iter().position(same) {
            Some(at) => self.open.remove(at).1,
            // A result without a call: nothing to join it to but its name.
            None => id.unwrap_or_else(|| name.to_owned()),
        }
    }
}

/// All parts of a content.
pub(super) fn parts(node: Node<'_>, calls: &mut Calls) -> Result<Vec<Block>, Fault> {
    let mut blocks = Vec::new();
    node.each_or_one(|part| self::part(part, calls, &mut blocks))?;
    Ok(blocks)
}

fn part(node: Node<'_>, calls: &mut Calls, blocks: &mut Vec<Block>) -> Result<(), Fault> {
    let mut fields = node.object()?.in_camel_case();
    let is_thought = fields.optional("thought", |node| node.bool())?;
    let signature = fields.optional("thoughtSignature", |node| node.string())?;
    let signature = signature
        .filter(|text| !text.is_empty() && text != NO_SIGNATURE)
        .map(|text| seal::unwrap_kind(Dialect::Gemini, text));
    let text = fields.optional("text", |node| node.string())?;
    if is_thought == Some(true) {
        let signature = signature.map(|(sealed, _)| sealed);
        let text = text.unwrap_or_default();
        blocks.push(Block::Thinking { text, signature });
        fields.finish();
        return Ok(());
    }
    if let Some((sealed, kind)) = signature {
        sign(sealed, kind, blocks);
    }
    let block = match text {
        Some(text) => Some(Block::Text(text)),
        None => other_part(&mut fields, calls)?,
    };
    match block {
        None => {
            let kind = native_kind(node.json());
            let kind = kind.as_deref().unwrap_or("part");
            blocks.push(Block::Native(native(kind, node)));
            return Ok(());
        }
        Some(Block::Text(text)) if text.is_empty() => {}
        Some(block) => blocks.push(block),
    }
    fields.finish();
    Ok(())
}

/// A signature stands at the first part after the thoughts that it signs.
fn sign(sealed: Sealed, kind: Option<Kind>, blocks: &mut Vec<Block>) {
    match blocks.last_mut() {
        _ if kind == Some(Kind::Reasoning) => blocks.push(Block::EncryptedThinking(sealed)),
        Some(Block::Thinking { signature, .. }) if signature.is_none() => {
            *signature = Some(sealed);
        }
        _ => blocks.push(Block::Thinking {
            text: String::new(),
            signature: Some(sealed),
        }),
    }
}

/// A part that is not text; `None` if only this dialect knows it.
fn other_part(fields: &mut Object<'_>, calls: &mut Calls) -> Result<Option<Block>, Fault> {
    if let Some(media) = fields.optional("inlineData", inline_data)? {
        return Ok(media.map(Block::Media));
    }
    if let Some(media) = fields.optional("fileData", file_data)? {
        return Ok(media.map(Block::Media));
    }
    if let Some(call) = fields.optional("functionCall", |node| function_call(node, calls))? {
        return Ok(Some(call));
    }
    fields.optional("functionResponse", |node| function_response(node, calls))
}

/// What kind of part it is: the name of its first member that tells.
pub(super) fn native_kind(json: &str) -> Option<String> {
    const TELL_NOTHING: [&[u8]; 5] = [
        b"thought",
        b"thoughtSignature",
        b"thought_signature",
        b"partMetadata",
        b"part_metadata",
    ];
    let mut members = Scan::new(json.as_bytes()).map(|(key, _)| key);
    let kind = members.find(|key| !TELL_NOTHING.contains(key))?;
    Some(String::from_utf8_lossy(kind).into_owned())
}

/// Something that only this dialect has.
pub(super) fn native(kind: &str, node: Node<'_>) -> Native {
    Native {
        dialect: Dialect::Gemini,
        kind: kind.to_owned(),
        json: node.json().to_owned(),
    }
}

/// What kind of medium a media type is; `None` for those that only this dialect takes.
fn kind_of(media_type: &str) -> Option<MediaKind> {
    match media_type.split('/').next() {
        Some("image") => Some(MediaKind::Image),
        Some("audio") => Some(MediaKind::Audio),
        Some("video") => None,
        _ => Some(MediaKind::Document),
    }
}

fn inline_data(node: Node<'_>) -> Result<Option<Media>, Fault> {
    let mut fields = node.object()?.in_camel_case();
    let media_type = fields.text("mimeType")?;
    let data = in_usual_alphabet(fields.text("data")?);
    let name = fields.optional("displayName", |node| node.string())?;
    fields.finish();
    Ok(kind_of(&media_type).map(|kind| Media {
        kind,
        source: MediaSource::Base64 { media_type, data },
        name,
        detail: None,
    }))
}

/// The API takes base64 in the alphabet for URLs, too, and Google's own clients send it; no other API does.
fn in_usual_alphabet(data: String) -> String {
    match data.contains(['-', '_']) {
        true => data.replace('-', "+").replace('_', "/"),
        false => data,
    }
}

fn file_data(node: Node<'_>) -> Result<Option<Media>, Fault> {
    let mut fields = node.object()?.in_camel_case();
    let uri = fields.text("fileUri")?;
    let media_type = fields.optional("mimeType", |node| node.string())?;
    let name = fields.optional("displayName", |node| node.string())?;
    fields.finish();
    let is_on_the_web = uri.starts_with("https://") || uri.starts_with("http://");
    let source = if is_on_the_web && !uri.contains("/v1beta/files/") {
        MediaSource::Url(uri)
    } else {
        MediaSource::FileId {
            dialect: Dialect::Gemini,
            id: uri,
        }
    };
    let kind = media_type.map_or(Some(MediaKind::Document), |media_type| kind_of(&media_type));
    Ok(kind.map(|kind| Media {
        kind,
        source,
        name,
        detail: None,
    }))
}

fn function_call(node: Node<'_>, calls: &mut Calls) -> Result<Block, Fault> {
    let mut fields = node.object()?.in_camel_case();
    let name = fields.text("name")?;
    let id = fields.optional("id", |node| node.string())?;
    let arguments = fields.optional("args", |node| node.object_text())?;
    fields.finish();
    Ok(Block::ToolUse {
        id: calls.call(id, &name),
        name,
        arguments: arguments.unwrap_or_default(),
    })
}

fn function_response(node: Node<'_>, calls: &mut Calls) -> Result<Block, Fault> {
    let mut fields = node.object()?.in_camel_case();
    let name = fields.text("name")?;
    let id = fields.optional("id", |node| node.string())?;
    let (text, is_error) = fields.required("response", "an object", response)?;
    let mut blocks = vec![Block::Text(text)];
    let media = fields.optional("parts", |node| parts(node, &mut Calls::default()))?;
    blocks.append(&mut media.unwrap_or_default());
    fields.finish();
    Ok(Block::ToolResult {
        tool_use_id: calls.answer(id, &name),
        blocks,
        is_error,
    })
}

/// What a function said, and whether that is an error: `output` and `error` are names by agreement,
/// any other object is the answer itself.
fn response(node: Node<'_>) -> Result<(String, bool), Fault> {
    let entries = node.object()?.entries(|value| {
        if value.is_string() {
            value.string()
        } else {
            Ok(value.json().to_owned())
        }
    })?;
    Ok(match <[_; 1]>::try_from(entries) {
        Ok([(name, value)]) if name == "output" => (value, false),
        Ok([(name, value)]) if name == "error" => (value, true),
        _ => (node.json().to_owned(), false),
    })
}
