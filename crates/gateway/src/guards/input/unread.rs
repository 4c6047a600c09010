//! Parts of a request that no guard can read, though a model does: files that are only named, documents that
//! are no text, the words of a stored prompt. Pictures, sounds and videos are no texts, and no matter of this.

use std::collections::HashMap;

use seaworthy_config::UnreadParts;
use seaworthy_core::dialect::Dialect;

use super::{Asked, Refused};
use crate::guards::Rules;
use crate::guards::said::place_of;
use crate::guards::texts::{Kind, Object, Outline, Text, holds_file, string_end};
use crate::guards::verdicts::Verdicts;

/// The longest address of a part that callers are told, in bytes.
const MAX_PATH_BYTES: usize = 200;

/// Why nobody here can read a part of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// It is a file that its provider keeps or fetches.
    NamedFile,
    /// It is a document that is no text.
    PackedFile,
    /// It is a prompt that its provider keeps.
    StoredPrompt,
    /// Its provider has encrypted it.
    Encrypted,
}

/// A part of a request that only its provider reads.
#[derive(Debug)]
pub(crate) struct UnreadPart {
    pub(crate) why: Unreadable,
    /// Where it stands, such as `messages[0].content[1].file.file_id`.
    pub(crate) path: String,
}

/// Why this text stands for something that nobody here can read, and whether a media type beside it could still
/// say that it is a picture, a sound or a video.
fn unread(dialect: Dialect, outline: &Outline<'_>, text: &Text<'_>) -> Option<(Unreadable, bool)> {
    if text.kind != Kind::String || text.value.is_empty() || text.packing.is_some() {
        return None;
    }
    let mut around = outline.ancestors(text.object);
    let (inner, outer) = (around.next()?, around.next());
    let is_document = |object: &Object<'_>| {
        object.key == "document" || object.kind.as_deref() == Some("document")
    };
    let in_document = outer.is_some_and(is_document);
    let (key, kind) = (&*text.key, inner.kind.as_deref());
    if holds_file(text, Some(inner)) && (!key.ends_with("url") || is_data(&text.value)) {
        let is_medium = match key {
            // Amazon's names of a picture and a video stand around them.
            "bytes" => !in_document,
            _ => media_type(&text.value).is_some_and(is_medium),
        };
        return (!is_medium).then_some((Unreadable::PackedFile, !in_document));
    }
    let names_file = match key {
        "file_id" | "fileId" => {
            matches!(kind, Some("input_file" | "container_upload"))
                || inner.key == "file"
                || (inner.key == "source" && in_document)
        }
        "file_url" => kind == Some("input_file"),
        "url" => inner.key == "source" && in_document,
        "uri" => inner.key == "s3Location" && around.next().is_some_and(is_document),
        "fileUri" | "file_uri" => matches!(&*inner.key, "fileData" | "file_data"),
        _ => false,
    };
    if names_file {
        return Some((Unreadable::NamedFile, !in_document));
    }
    let is_stored = key == "id" && inner.key == "prompt" && inner.parent == Some(0);
    let is_compacted = key == "encrypted_content"
        && kind.is_some_and(|kind| matches!(kind, "compaction" | "compaction_summary"));
    match dialect {
        Dialect::OpenAiResponses if is_stored => Some((Unreadable::StoredPrompt, false)),
        Dialect::OpenAiResponses if is_compacted => Some((Unreadable::Encrypted, false)),
        _ => None,
    }
}

fn is_data(url: &str) -> bool {
    let head = url.get(..5).unwrap_or_default();
    head.eq_ignore_ascii_case("data:")
}

/// The media type that a `data:` URL tells.
fn media_type(url: &str) -> Option<&str> {
    let told = is_data(url).then(|| url.get(5..)).flatten()?;
    told.split([';', ',']).next()
}

fn is_medium(media_type: &str) -> bool {
    let head = media_type.get(..6).unwrap_or_default();
    ["image/", "audio/", "video/"]
        .iter()
        .any(|medium| head.eq_ignore_ascii_case(medium))
}

impl Rules {
    /// Whether a request only names a part of its conversation, or holds one that nobody here can read, and
    /// may not.
    pub(super) fn check_readable(
        &self,
        asked: &Asked<'_>,
        outline: &Outline<'_>,
        verdicts: &mut Verdicts,
    ) -> Result<(), Refused> {
        self.check_unseen(asked, outline, verdicts)?;
        self.check_unread(asked, outline, verdicts)
    }

    fn check_unread(
        &self,
        asked: &Asked<'_>,
        outline: &Outline<'_>,
        verdicts: &mut Verdicts,
    ) -> Result<(), Refused> {
        let refuses = match self.unread_parts {
            UnreadParts::Allow => return Ok(()),
            // There may be nothing else to judge: it holds by itself.
            UnreadParts::Block => true,
            UnreadParts::Flag if !self.judges(asked.purpose) => return Ok(()),
            UnreadParts::Flag => false,
        };
        let parts = outline.texts.iter().filter_map(|text| {
            let (why, is_typed) = unread(asked.dialect, outline, text)?;
            Some((text, why, is_typed, place_of(outline, text)?))
        });
        let mut parts = parts.peekable();
        if parts.peek().is_none() {
            return Ok(());
        }
        let is_type = |text: &&Text<'_>| {
            let names = ["media_type", "mimeType", "mime_type"];
            text.kind == Kind::String && names.contains(&&*text.key)
        };
        let types = outline.texts.iter().filter(is_type);
        let types: HashMap<usize, &str> = types
            .filter_map(|text| Some((text.object?, &*text.value)))
            .collect();
        for (text, why, is_typed, place) in parts {
            let told = text.object.and_then(|object| types.get(&object));
            if is_typed && told.is_some_and(|told| is_medium(told)) {
                continue;
            }
            if !refuses {
                verdicts.add("unreadable", place, "flag");
                continue;
            }
            verdicts.add("unreadable", place, "block");
            let path = path_to(asked.body, text.at.start);
            return Err(Refused::Unread(UnreadPart { why, path }));
        }
        Ok(())
    }
}

/// A step from the outside of a document to a place in it.
#[derive(Debug)]
enum Step<'a> {
    Member { name: &'a str, at_name: bool },
    Item(usize),
}

/// The address of the text that begins at `place`, as other errors write it. Names that callers give their own
/// things are left out.
fn path_to(json: &str, place: usize) -> String {
    let bytes = json.as_bytes();
    let mut steps: Vec<Step<'_>> = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at).filter(|_| at < place) {
        let mut next = at + 1;
        match (byte, steps.last_mut()) {
            (b'{', _) => steps.push(Step::Member {
                name: "",
                at_name: true,
            }),
            (b'[', _) => steps.push(Step::Item(0)),
            (b'}' | b']', _) => drop(steps.pop()),
            (b',', Some(Step::Item(index))) => *index += 1,
            (b',', Some(Step::Member { at_name, .. })) => *at_name = true,
            (b'"', last) => {
                next = string_end(bytes, at);
                if let Some(Step::Member { name, at_name }) = last
                    && std::mem::take(at_name)
                {
                    *name = json.get(at + 1..next - 1).unwrap_or_default();
                }
            }
            _ => {}
        }
        at = next;
    }
    let mut path = String::new();
    for step in &steps {
        match step {
            Step::Item(index) => path.push_str(&format!("[{index}]")),
            Step::Member { name, .. } => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(name);
            }
        }
        if path == "prompt.variables" || path.len() > MAX_PATH_BYTES {
            break;
        }
    }
    path.truncate(path.floor_char_boundary(MAX_PATH_BYTES));
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_as_other_errors_tell_them() {
        let json = r#"{"a\"b":[1,[{"x":"}],"},{"y":"here"}]],"prompt":{"variables":{"mine":{"z":"there"}}}}"#;
        let at = |text: &str| path_to(json, json.find(text).unwrap());
        assert_eq!(at("\"here"), "a\\\"b[1][1].y");
        assert_eq!(at("\"there"), "prompt.variables");
        let long = format!(r#"{{"{}":"v"}}"#, "é".repeat(MAX_PATH_BYTES));
        assert_eq!(path_to(&long, long.len() - 4).len(), MAX_PATH_BYTES);
    }
}
