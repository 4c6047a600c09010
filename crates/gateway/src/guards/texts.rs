//! Finds the texts of a JSON document and puts others in their place; every other byte stays.
//!
//! One pass over the bytes, without recursion. The document must be valid JSON.

use std::borrow::Cow;
use std::ops::Range;

use super::packed::{self, Packing};

/// A string holds an escape that stands for no character, such as half a surrogate pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BrokenEscape;

/// What a text is in the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The name of a member.
    Key,
    String,
    Number,
}

/// One text of the document.
#[derive(Debug)]
pub(crate) struct Text<'a> {
    pub(crate) kind: Kind,
    /// Its bytes in the document, quotes included.
    pub(crate) at: Range<usize>,
    /// What it says.
    pub(crate) value: Cow<'a, str>,
    /// How that is packed in the document, if it is.
    pub(crate) packing: Option<Packing>,
    /// The name of the member that it belongs to, through arrays as well.
    pub(crate) key: Cow<'a, str>,
    /// The object that it belongs to.
    pub(crate) object: Option<usize>,
}

impl Text<'_> {
    /// The same text, saying something else.
    pub(crate) fn saying<'v>(&'v self, value: &'v str) -> Text<'v> {
        Text {
            kind: self.kind,
            at: self.at.clone(),
            value: Cow::Borrowed(value),
            packing: None,
            key: Cow::Borrowed(&self.key),
            object: self.object,
        }
    }

    /// What takes its place in the document so that it says this.
    pub(crate) fn written(&self, new: String) -> String {
        match &self.packing {
            Some(packing) => packing.pack(&new),
            None => new,
        }
    }
}

/// One object of the document.
#[derive(Debug)]
pub(crate) struct Object<'a> {
    pub(crate) parent: Option<usize>,
    /// The name of the member that it stands under, through arrays as well.
    pub(crate) key: Cow<'a, str>,
    /// Its member `role`.
    pub(crate) role: Option<Cow<'a, str>>,
    /// Its member `type`.
    pub(crate) kind: Option<Cow<'a, str>>,
    /// Whether its provider has signed it.
    pub(crate) is_signed: bool,
}

/// The texts and objects of a document, in its order.
#[derive(Debug, Default)]
pub(crate) struct Outline<'a> {
    pub(crate) texts: Vec<Text<'a>>,
    pub(crate) objects: Vec<Object<'a>>,
}

/// An array or object that is being read.
struct Frame<'a> {
    object: Option<usize>,
    key: Cow<'a, str>,
    /// Whether the next string is the name of a member.
    at_key: bool,
    is_object: bool,
}

impl<'a> Outline<'a> {
    /// Reads a document.
    pub(crate) fn read(json: &'a str) -> Result<Self, BrokenEscape> {
        Self::read_by(json, unquote)
    }

    /// Reads a document as readers do that take half a character for a whole one: U+FFFD stands for it.
    pub(crate) fn read_leniently(json: &'a str) -> Self {
        let lenient = |quoted: &'a str| {
            let inner = quoted.get(1..quoted.len().saturating_sub(1));
            Ok(unescape(inner.unwrap_or_default()))
        };
        Self::read_by(json, lenient).unwrap_or_default()
    }

    fn read_by(
        json: &'a str,
        unquote: impl Fn(&'a str) -> Result<Cow<'a, str>, BrokenEscape>,
    ) -> Result<Self, BrokenEscape> {
        let bytes = json.as_bytes();
        let mut outline = Self::default();
        let mut stack: Vec<Frame<'a>> = Vec::new();
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            match byte {
                b'{' | b'[' => {
                    outline.open(byte == b'{', &mut stack);
                    at += 1;
                }
                b'}' | b']' => {
                    stack.pop();
                    at += 1;
                }
                b',' => {
                    if let Some(frame) = stack.last_mut() {
                        frame.at_key = frame.is_object;
                    }
                    at += 1;
                }
                b'"' => {
                    let end = string_end(bytes, at);
                    let value = unquote(json.get(at..end).unwrap_or_default())?;
                    outline.string(value, at..end, &mut stack);
                    at = end;
                }
                b'-' | b'0'..=b'9' => {
                    let end = number_end(bytes, at);
                    let value = Cow::Borrowed(json.get(at..end).unwrap_or_default());
                    outline.text(Kind::Number, at..end, value, &stack);
                    at = end;
                }
                _ => at += 1,
            }
        }
        Ok(outline)
    }

    /// Unpacks the files that are texts, so that they can be judged like any other.
    pub(crate) fn unpack_files(&mut self) {
        let objects = &self.objects;
        for text in &mut self.texts {
            let object = text.object.and_then(|index| objects.get(index));
            if holds_file(text, object)
                && let Some((packing, value)) = packed::unpack(&text.value)
            {
                text.value = Cow::Owned(value);
                text.packing = Some(packing);
            }
        }
    }

    /// An object and those around it, from the inside out.
    pub(crate) fn ancestors(&self, object: Option<usize>) -> impl Iterator<Item = &Object<'a>> {
        self.indices(object)
            .filter_map(|index| self.objects.get(index))
    }

    /// The numbers of an object and of those around it, from the inside out.
    pub(crate) fn indices(&self, object: Option<usize>) -> impl Iterator<Item = usize> {
        std::iter::successors(object, |index| self.objects.get(*index)?.parent)
    }

    fn open(&mut self, is_object: bool, stack: &mut Vec<Frame<'a>>) {
        let outer = stack.last();
        let parent = outer.and_then(|frame| frame.object);
        let key = outer.map_or(Cow::Borrowed(""), |frame| frame.key.clone());
        let object = match is_object {
            true => {
                self.objects.push(Object {
                    parent,
                    key: key.clone(),
                    role: None,
                    kind: None,
                    is_signed: false,
                });
                Some(self.objects.len() - 1)
            }
            false => parent,
        };
        stack.push(Frame {
            object,
            key,
            at_key: is_object,
            is_object,
        });
    }

    fn string(&mut self, value: Cow<'a, str>, at: Range<usize>, stack: &mut [Frame<'a>]) {
        match stack.last_mut() {
            Some(frame) if frame.at_key => {
                frame.at_key = false;
                frame.key = value.clone();
                self.text(Kind::Key, at, value, stack);
            }
            frame => {
                let owner = frame.filter(|frame| frame.is_object);
                let owner = owner.and_then(|frame| Some((frame.object?, &*frame.key)));
                if let Some((index, key)) = owner
                    && let Some(object) = self.objects.get_mut(index)
                {
                    match key {
                        "role" => object.role = Some(value.clone()),
                        "type" => object.kind = Some(value.clone()),
                        "signature" => object.is_signed = !value.is_empty(),
                        _ => {}
                    }
                }
                self.text(Kind::String, at, value, stack);
            }
        }
    }

    fn text(&mut self, kind: Kind, at: Range<usize>, value: Cow<'a, str>, stack: &[Frame<'a>]) {
        let frame = stack.last();
        self.texts.push(Text {
            kind,
            at,
            value,
            packing: None,
            key: frame.map_or(Cow::Borrowed(""), |frame| frame.key.clone()),
            object: frame.and_then(|frame| frame.object),
        });
    }
}

/// Whether a text is a file, by the names of its member and of the object around it.
pub(super) fn holds_file(text: &Text<'_>, object: Option<&Object<'_>>) -> bool {
    let around = object.map_or("", |object| &*object.key);
    let kind = object.and_then(|object| object.kind.as_deref());
    text.kind == Kind::String
        && match &*text.key {
            "file_data" => true,
            "url" | "image_url" | "file_url" => text.value.starts_with(['d', 'D']),
            "bytes" => around == "source",
            "data" => kind == Some("base64") || matches!(around, "inlineData" | "inline_data"),
            _ => false,
        }
}

/// The document with strings in the place of some of its texts. `edits` are in its order.
pub(crate) fn replace(json: &str, edits: &[(Range<usize>, String)]) -> String {
    let mut out = String::with_capacity(json.len());
    let mut copied = 0;
    for (at, text) in edits {
        out.push_str(json.get(copied..at.start).unwrap_or_default());
        out.push_str(&serde_json::Value::from(text.as_str()).to_string());
        copied = at.end;
    }
    out.push_str(json.get(copied..).unwrap_or_default());
    out
}

/// Where the string that begins at `at` ends, behind its last quote.
pub(super) fn string_end(bytes: &[u8], at: usize) -> usize {
    let mut from = at + 1;
    loop {
        let rest = bytes.get(from..).unwrap_or_default();
        match rest.iter().position(|byte| matches!(byte, b'"' | b'\\')) {
            Some(found) if rest.get(found) == Some(&b'"') => return from + found + 1,
            Some(found) => from += found + 2,
            None => return bytes.len(),
        }
    }
}

fn number_end(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
    at + rest.iter().take_while(|byte| is_part(byte)).count()
}

fn unquote(quoted: &str) -> Result<Cow<'_, str>, BrokenEscape> {
    if quoted.contains('\\') {
        let plain: String = serde_json::from_str(quoted).map_err(|_| BrokenEscape)?;
        return Ok(Cow::Owned(plain));
    }
    let inner = quoted.get(1..quoted.len().saturating_sub(1));
    Ok(Cow::Borrowed(inner.unwrap_or_default()))
}

/// What the escapes of JSON in a text stand for. Half a character becomes U+FFFD, and what is no escape
/// stays.
pub(crate) fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(rest.get(..at).unwrap_or_default());
        rest = rest.get(at..).unwrap_or_default();
        let (character, length) = escaped(rest);
        out.push(character);
        rest = rest.get(length..).unwrap_or_default();
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The character that the escape at the beginning of a text stands for, and the length of the escape.
fn escaped(text: &str) -> (char, usize) {
    let unit = |from: usize| {
        let digits = text.get(from..from + 6)?.strip_prefix("\\u")?;
        u32::from_str_radix(digits, 16).ok()
    };
    let plain = match text.as_bytes().get(1) {
        Some(b'"') => '"',
        Some(b'\\') => '\\',
        Some(b'/') => '/',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        _ => {
            return match (unit(0), unit(6)) {
                (Some(high @ 0xD800..0xDC00), Some(low @ 0xDC00..0xE000)) => {
                    let whole = 0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00);
                    (char::from_u32(whole).unwrap_or('\u{FFFD}'), 12)
                }
                (Some(unit), _) => (char::from_u32(unit).unwrap_or('\u{FFFD}'), 6),
                (None, _) => ('\\', 1),
            };
        }
    };
    (plain, 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_read_as_lenient_readers_do() {
        assert_eq!(
            unescape(r#"\u002e\u002e\/x \"\n\q \ud83d\ude00\ud800."#),
            "../x \"\n\\q \u{1F600}\u{FFFD}."
        );
        assert_eq!(unescape("\\"), "\\");
        let outline = Outline::read_leniently(r#"{"a":"\ud800","b":"\u002e"}"#);
        let values: Vec<&str> = outline.texts.iter().map(|text| &*text.value).collect();
        assert_eq!(values, ["a", "\u{FFFD}", "b", "."]);
    }

    #[test]
    fn every_text_is_found_with_its_name_and_its_object() {
        let json = r#"{"messages":[{"r\u006fle":"tool","content":["a\n",{"type":"x","n":-1.5e3}]}],"top":"t"}"#;
        let outline = Outline::read(json).unwrap();
        let found: Vec<(Kind, &str, &str)> = outline
            .texts
            .iter()
            .filter(|text| text.kind != Kind::Key)
            .map(|text| (text.kind, &*text.key, &*text.value))
            .collect();
        let expected = [
            (Kind::String, "role", "tool"),
            (Kind::String, "content", "a\n"),
            (Kind::String, "type", "x"),
            (Kind::Number, "n", "-1.5e3"),
            (Kind::String, "top", "t"),
        ];
        assert_eq!(found, expected);
        let inner = outline.texts.iter().find(|text| text.key == "n").unwrap();
        let roles: Vec<Option<&str>> = outline
            .ancestors(inner.object)
            .map(|object| object.role.as_deref())
            .collect();
        assert_eq!(roles, [None, Some("tool"), None]);
    }

    #[test]
    fn what_is_not_replaced_stays_byte_for_byte() {
        let json = "{ \"a\" : \"x\\u00e9\" ,\n\"b\":1.0 }";
        let outline = Outline::read(json).unwrap();
        let at = outline.texts[1].at.clone();
        assert_eq!(
            replace(json, &[(at, "\"new\"".to_owned())]),
            "{ \"a\" : \"\\\"new\\\"\" ,\n\"b\":1.0 }"
        );
        assert_eq!(replace(json, &[]), json);
    }

    #[test]
    fn half_a_character_is_an_error() {
        assert_eq!(Outline::read(r#"["\ud800"]"#).err(), Some(BrokenEscape));
    }
}
