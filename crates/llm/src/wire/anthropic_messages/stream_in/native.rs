//! A streamed block that only this dialect knows, put together from its pieces.

use super::Piece;
use crate::{fault::Fault, wire::shared::native_opening};
use seaworthy_core::{call::Delta, dialect::Dialect};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

/// How much of a block is kept until it is complete.
const MOST_BYTES: usize = 4 << 20;

/// A block that has begun.
pub(super) struct NativeBlock {
    kind: String,
    /// As it began.
    json: String,
    /// What its tool is given, as far as it has come.
    input: String,
    /// Pieces of other kinds.
    others: Vec<Box<RawValue>>,
    bytes: usize,
}

/// The events of such a block, whose beginning and pieces are taken as they are written.
#[derive(Deserialize)]
struct Written<'a> {
    #[serde(borrow, alias = "content_block")]
    delta: &'a RawValue,
}

impl<'a> Written<'a> {
    fn read(event: &'a [u8]) -> Result<&'a RawValue, Fault> {
        let written: Self = serde_json::from_slice(event)
            .map_err(|error| Fault::whole(format!("expected an event of a block: {error}")))?;
        Ok(written.delta)
    }
}

impl NativeBlock {
    /// A block that begins with this event.
    pub(super) fn new(kind: &str, event: &[u8]) -> Result<Self, Fault> {
        let json = Written::read(event)?.get();
        Ok(Self {
            kind: kind.to_owned(),
            json: json.to_owned(),
            input: String::new(),
            others: Vec::new(),
            bytes: json.len(),
        })
    }

    /// Takes the piece of this event.
    pub(super) fn push(&mut self, piece: &Piece<'_>, event: &[u8]) -> Result<(), Fault> {
        self.bytes += event.len();
        if self.bytes > MOST_BYTES {
            return Err(Fault::whole(format!(
                "expected a block of type `{}` of at most {MOST_BYTES} bytes, found more",
                self.kind
            )));
        }
        match (&piece.kind, &piece.partial_json) {
            (Some(kind), Some(input)) if kind == "input_json_delta" => self.input += input,
            _ => self.others.push(Written::read(event)?.to_owned()),
        }
        Ok(())
    }

    /// Appends the block, which is complete.
    pub(super) fn finish(self, out: &mut Vec<Delta>) {
        let json = match self.others.is_empty() {
            true => self.json,
            false => joined(self.json, &self.others),
        };
        let opening = native_opening(Dialect::AnthropicMessages, &self.kind, &json);
        out.push(Delta::Open(opening));
        if !self.input.is_empty() {
            out.push(Delta::Arguments(self.input));
        }
        out.push(Delta::Close);
    }
}

/// The block with its pieces: texts go on with the member of their name, anything else takes its place.
fn joined(json: String, pieces: &[Box<RawValue>]) -> String {
    let Ok(Value::Object(mut block)) = serde_json::from_str(&json) else {
        return json;
    };
    let pieces = pieces.iter().map(|piece| serde_json::from_str(piece.get()));
    for (name, new) in pieces
        .filter_map(|piece| match piece {
            Ok(Value::Object(members)) => Some(members),
            _ => None,
        })
        .flatten()
    {
        match (block.get_mut(&name), new) {
            _ if name == "type" => {}
            (Some(Value::String(text)), Value::String(more)) => text.push_str(&more),
            (_, new) => {
                block.insert(name, new);
            }
        }
    }
    Value::Object(block).to_string()
}
