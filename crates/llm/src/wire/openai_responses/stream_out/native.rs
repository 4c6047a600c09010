//! Events of an item that only this dialect knows. It is told whole once it is complete, in the order that
//! clients rely on: its beginning, its progress, its text in one piece, and its end.

use super::{Encoder, IN_PROGRESS};
use crate::{
    json::{Members, Scan},
    wire::openai_responses::reply::COMPLETED,
};
use seaworthy_core::call::Native;

/// What is told of the items of a kind beside their beginning and end.
struct Told {
    kind: &'static str,
    /// What happens before the text.
    before: &'static [&'static str],
    /// What the events of its text are called, and the member that holds it.
    text: Option<(&'static str, &'static str)>,
    /// What happens after the text.
    behind: &'static [&'static str],
    /// Whether the provider runs it, so that it says how that went.
    is_run: bool,
}

#[rustfmt::skip]
const TOLD: [Told; 7] = [
    Told { kind: "custom_tool_call", before: &[], text: Some(("custom_tool_call_input", "input")), behind: &[], is_run: false },
    Told { kind: "mcp_call", before: &[IN_PROGRESS], text: Some(("mcp_call_arguments", "arguments")), behind: &[], is_run: true },
    Told { kind: "mcp_list_tools", before: &[IN_PROGRESS], text: None, behind: &[], is_run: true },
    Told { kind: "web_search_call", before: &[IN_PROGRESS, "searching"], text: None, behind: &[], is_run: true },
    Told { kind: "file_search_call", before: &[IN_PROGRESS, "searching"], text: None, behind: &[], is_run: true },
    Told { kind: "code_interpreter_call", before: &[IN_PROGRESS], text: Some(("code_interpreter_call_code", "code")), behind: &["interpreting"], is_run: true },
    Told { kind: "image_generation_call", before: &[IN_PROGRESS, "generating"], text: None, behind: &[], is_run: true },
];

impl Encoder {
    /// Writes the events of an item, which is none of those that are told in pieces.
    pub(super) fn native(&mut self, native: &Native, out: &mut Vec<u8>) {
        let told = TOLD.iter().find(|told| told.kind == native.kind);
        let json = native.json.as_bytes();
        let text = told.and_then(|told| told.text);
        let text = text.and_then(|(event, name)| {
            let text = Scan::new(json).member(name)?;
            text.starts_with(b"\"").then_some((event, name, text))
        });
        let name = text.map(|(_, name, _)| name);
        self.about("output_item.added", out, None, |body| {
            body.raw("item", begun(json, name));
        });
        let id = Scan::new(json).member("id");
        let progress = |this: &mut Self, words: &[&str], out: &mut Vec<u8>| {
            for word in words {
                this.about(&format!("{}.{word}", native.kind), out, id, |_| {});
            }
        };
        progress(self, told.map_or(&[], |told| told.before), out);
        if let Some((event, name, text)) = text {
            if text != b"\"\"" {
                self.about(&format!("{event}.delta"), out, id, |body| {
                    body.raw("delta", text);
                });
            }
            self.about(&format!("{event}.done"), out, id, |body| {
                body.raw(name, text);
            });
        }
        if let Some(told) = told {
            progress(self, told.behind, out);
            progress(self, outcome(told, json), out);
        }
        self.about("output_item.done", out, None, |body| {
            body.raw("item", json);
        });
        self.items.push(json.to_vec());
    }

    /// An event about the item, by its own ID where it has one.
    fn about(
        &mut self,
        kind: &str,
        out: &mut Vec<u8>,
        id: Option<&[u8]>,
        fill: impl FnOnce(&mut Members<'_>),
    ) {
        self.event(&format!("response.{kind}"), out, |this, body| {
            body.num("output_index", this.items.len() as u64);
            if let Some(id) = id {
                body.raw("item_id", id);
            }
            fill(body);
        });
    }
}

/// The item as it begins: in progress, and without the text that its events tell.
fn begun(json: &[u8], text: Option<&str>) -> Vec<u8> {
    let mut item = Vec::with_capacity(json.len());
    for (key, value) in Scan::new(json) {
        item.push(if item.is_empty() { b'{' } else { b',' });
        let is_text = text.is_some_and(|name| name.as_bytes() == key);
        let value: &[u8] = match key {
            b"status" => b"\"in_progress\"",
            _ if is_text => b"\"\"",
            _ => value,
        };
        for part in [b"\"", key, b"\":", value] {
            item.extend_from_slice(part);
        }
    }
    item.push(b'}');
    item
}

/// How it went, where the provider runs it and says so.
fn outcome(told: &Told, json: &[u8]) -> &'static [&'static str] {
    let member = |name: &str| Scan::new(json).member(name);
    let failed = member("error").is_some_and(|error| error != b"null");
    let status = member("status").map(|status| status.trim_ascii());
    let is_complete = status.is_none_or(|status| status == format!("\"{COMPLETED}\"").as_bytes());
    match (told.is_run, failed) {
        (true, true) if told.kind.starts_with("mcp_") => &["failed"],
        (true, false) if is_complete => &[COMPLETED],
        _ => &[],
    }
}
